"""What everything that trains has in common: parameters by name, and what a batch teaches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

#: Name to tensor ``(S, ...)``: S replicas (seeds), mostly followed by A arms on the same data.
Parameters = dict[str, torch.Tensor]


class Network(Protocol):
    """Something that trains, such as :class:`~winnow.models.Committee`; it holds no parameters.

    Replicas and arms lie side by side in the parameters, ``(S, A, ...)``, and do not touch each
    other. Where autograd on ``loss`` is too slow, or where a batch moves parameters that no
    gradient reaches, a network offers ``lesson(p, x, y) -> Lesson`` too.
    """

    #: Names of parameters that are ranked together when they are pruned, a tuple per ranking;
    #: the very first belongs to the layer that sees the inputs.
    pruned: tuple[tuple[str, ...], ...]

    def initial(self, seeds: Sequence[int], **options: Any) -> Parameters:
        """First values, a stream per seed; ``options`` are torch's dtype and device."""

    def outputs(self, p: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Outputs ``(S, A, B, ...)`` for inputs ``(S, B, D)``."""

    def loss(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Loss of each replica and arm, ``(S, A)``."""

    def right(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Which samples are answered rightly, ``(S, A, B)`` boolean."""


class Lesson(NamedTuple):
    """What a batch teaches, and how it was answered before the step that it makes."""

    gradients: Parameters  #: of the loss; names that are missing are not learnt
    loss: torch.Tensor  #: (S, A), or (S,) without arms
    right: torch.Tensor | None = None  #: which samples were right, (S, A, B), where known
    moved: Mapping[str, torch.Tensor] = {}  #: new values that no gradient tells, as running means


def by_autograd(loss: Callable[[Parameters], torch.Tensor], p: Parameters) -> Lesson:
    """The lesson of a batch whose loss is a function of the parameters, by differentiation.

    A replica's loss touches only its own parameters, so the sum over replicas gives each the
    gradients that it has alone.

    Examples
    --------
    >>> lesson = by_autograd(lambda p: (p["w"] ** 2).sum(-1), {"w": torch.tensor([[3.0], [4.0]])})
    >>> lesson.loss.tolist(), lesson.gradients["w"].tolist()
    ([9.0, 16.0], [[6.0], [8.0]])
    """
    leaves = {name: value.detach().requires_grad_() for name, value in p.items()}
    with torch.enable_grad():
        found = loss(leaves)
        gradients = torch.autograd.grad(found.sum(), list(leaves.values()), allow_unused=True)
    learnt = {n: g for n, g in zip(leaves, gradients, strict=True) if g is not None}
    return Lesson(learnt, found.detach())


def copied(p: Parameters) -> Parameters:
    """The parameters as they are now, contiguous and cut from any gradient graph."""
    layout = {"memory_format": torch.contiguous_format}
    return {name: value.detach().clone(**layout) for name, value in p.items()}


def cross_entropy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean over samples of the negative log-probability of the labels, ``(S, A)``.

    Logits are ``(S, A, B, C)``, labels ``(S, B)``.
    """
    index = y[:, None, :, None].expand(*logits.shape[:-1], 1)
    return -logits.log_softmax(-1).gather(-1, index).mean((-2, -1))


def stacked(drawn: Sequence[np.ndarray], options: Mapping[str, Any]) -> torch.Tensor:
    """One array per seed as a tensor ``(S, ...)``, in single precision unless options differ."""
    return torch.as_tensor(np.stack(drawn), **({"dtype": torch.float32} | options))


def check_sizes(sizes: Sequence[int], least: int) -> None:
    """Raise ``ValueError`` where there are too few layers, or one without units."""
    if len(sizes) < least or min(sizes) < 1:
        raise ValueError(f"sizes must be {least} or more layers of 1 or more units, got {sizes}")
