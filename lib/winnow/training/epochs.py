"""Training in epochs with Nesterov's momentum, for replicas and arms side by side.

Parameters are ``(S, A, ...)``, see :mod:`winnow.models`; every arm sees the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from winnow.models import Parameters
from winnow.models.perceptron import Lesson
from winnow.seeds import generators


class Network(Protocol):
    """What a network must offer, such as :class:`~winnow.models.Perceptron`."""

    def lesson(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> Lesson: ...
    def right(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True)
class Schedule:
    """Epochs, batches and steps, as in :cite:t:`zambra2020` by default.

    Parameters
    ----------
    n_epochs, batch_size
        At least 1. Where the batch size does not divide the samples, the last batch is smaller.
    lr
        Learning rate of the first step, above 0.
    momentum
        Share of a step that is made again in the next, in [0, 1).
    decay
        Step t, counted from 0, has the learning rate ``lr / (1 + decay * t)``; 0 or larger.
    nesterov
        Whether the momentum is applied ahead of the next gradient.

    Raises
    ------
    ValueError
        A value out of its range.

    Examples
    --------
    >>> Schedule(lr=0.1, decay=1.0).rate(4)
    0.02
    """

    n_epochs: int = 20
    batch_size: int = 20
    lr: float = 0.01
    momentum: float = 0.6
    decay: float = 1e-6
    nesterov: bool = True

    def __post_init__(self) -> None:
        for name in ("n_epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or larger, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be above 0, got {self.lr}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if not self.decay >= 0:
            raise ValueError(f"decay must be 0 or larger, got {self.decay}")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0 over all epochs."""
        return self.lr / (1 + self.decay * step)


@dataclass(frozen=True)
class Course:
    """How training went: parameters after some epochs, accuracy and loss during each."""

    snapshots: dict[int, Parameters] = field(repr=False)  #: by epoch, 0 before training
    accuracy: np.ndarray = field(repr=False)  #: running, (n_epochs, S, A)
    loss: np.ndarray = field(repr=False)  #: running, (n_epochs, S, A)

    @property
    def epochs(self) -> tuple[int, ...]:
        """Epochs after which parameters were kept, from 0 to the last."""
        return tuple(self.snapshots)

    @property
    def final(self) -> Parameters:
        """Parameters after the last epoch."""
        return self.snapshots[self.epochs[-1]]


def fit_epochs(
    network: Network,
    params: Parameters,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    *,
    schedule: Schedule,
    seeds: Sequence[int],
    keep_every: int = 1,
    masks: Mapping[str, torch.Tensor] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Course:
    r"""The course of a training that visits every sample once an epoch.

    Step t follows the gradient g with the momentum m, as in Keras:

    .. math:: \eta_t = \frac{\eta}{1 + \delta t},\qquad v \leftarrow m v - \eta_t g,\qquad
       w \leftarrow w + m v - \eta_t g

    or :math:`w \leftarrow w + v` without ``nesterov``. With a constant rate this is torch's
    ``SGD``, whose velocity is :math:`-v / \eta`.

    Accuracy and loss of an epoch are means over its samples, each judged just before the step
    that its batch makes. So they lag behind those of the snapshot after the epoch, for which
    there is :func:`~winnow.training.epochs.accuracy`. Nothing that is passed in is changed.

    Parameters
    ----------
    network, params
        What is trained, from where; ``(S, A, ...)``.
    inputs, labels
        ``(S, N, D)`` and whole numbers ``(S, N)``, on the device of the parameters.
    schedule
        Epochs, batches and steps.
    seeds
        One per replica. Each draws its order anew every epoch from a stream of its own; the arms
        share it.
    keep_every
        Parameters are kept after every so many epochs, before the first, and after the last.
    masks
        Name to boolean, broadcast to the parameter; what is masked is and stays 0.
    progress
        Called after each epoch with its number and how many there are.

    Raises
    ------
    ValueError
        Shapes that do not fit, other seeds than replicas, ``keep_every`` below 1, masks of unknown
        parameters, or training that diverges: a parameter is no longer finite.

    Examples
    --------
    One step from zeros, where both classes have probability 1/2, so a loss of log 2, and the first
    counts as on top. The gradient of its bias is -1/2, so v is 0.05 and the step 0.025 + 0.05.

    >>> from winnow.models import Perceptron
    >>> network = Perceptron((1, 2))
    >>> start = {name: 0 * v for name, v in network.initial([5]).items()}
    >>> x, y = torch.zeros(1, 4, 1), torch.zeros(1, 4, dtype=torch.long)
    >>> schedule = Schedule(n_epochs=1, batch_size=4, lr=0.1, momentum=0.5)
    >>> course = fit_epochs(network, start, x, y, schedule=schedule, seeds=[5])
    >>> course.epochs, course.accuracy.tolist(), course.loss.round(4).tolist()
    ((0, 1), [[[1.0]]], [[[0.6931]]])
    >>> [round(b, 4) for b in course.final["biases.0"].flatten().tolist()]
    [0.075, -0.075]
    """
    _check(params, inputs, labels, seeds, keep_every, masks or {})
    run = _Run(network, params, schedule, masks or {})
    rngs, rows = generators(seeds, "batch order"), []
    snapshots = {0: run.snapshot()}
    for epoch in range(1, schedule.n_epochs + 1):
        rows.append(run.epoch(*_shuffled(inputs, labels, rngs)))
        if not run.is_finite():
            raise ValueError(
                f"training diverged in epoch {epoch}: lower lr, which is {schedule.lr}"
            )
        if epoch % keep_every == 0 or epoch == schedule.n_epochs:
            snapshots[epoch] = run.snapshot()
        if progress is not None:
            progress(epoch, schedule.n_epochs)
    right, loss = torch.stack(rows, 1).cpu().numpy()
    return Course(snapshots, right, loss)


def accuracy(network: Network, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """Share of samples that each replica and arm gets right, ``(S, A)`` in double precision.

    Inputs are ``(S, N, D)``, labels ``(S, N)``.

    Examples
    --------
    >>> from winnow.models import Perceptron
    >>> p = {"weights.0": torch.tensor([[[[-1.0], [1.0]]]]), "biases.0": torch.zeros(1, 1, 2)}
    >>> x = torch.tensor([[[-2.0], [-1.0], [1.0], [2.0]]])
    >>> accuracy(Perceptron((1, 2)), p, x, torch.tensor([[0, 0, 1, 0]])).tolist()
    [[0.75]]
    """
    with torch.no_grad():
        return network.right(p, x, y).double().mean(-1).cpu().numpy()


class _Run:
    """Parameters as views of one tensor, so that a step is a few operations on it."""

    def __init__(self, network, params: Parameters, schedule: Schedule, masks: Mapping) -> None:
        self.network, self.schedule, self.step = network, schedule, 0
        self.shapes = {name: value.shape for name, value in params.items()}
        self.flat = _flat(params.values()).detach()
        self.keep = None
        if masks:
            every = {name: torch.ones_like(value) for name, value in params.items()}
            self.keep = _flat(masks.get(n, v).to(v).expand_as(v) for n, v in every.items())
            self.flat *= self.keep
        self.pace, self.gradient = torch.zeros_like(self.flat), torch.empty_like(self.flat)

    def epoch(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Accuracy and loss while every batch makes a step, ``(2, S, A)``."""
        size, p = self.schedule.batch_size, self.views(self.flat)
        rights, losses = [], []
        with torch.no_grad():
            for batch in zip(x.split(size, 1), y.split(size, 1), strict=True):
                found = self.network.lesson(p, *batch)
                self.follow(found.gradients)
                rights.append(found.right)
                losses.append(found.loss * found.right.shape[-1])
        right = torch.cat(rights, -1).double().mean(-1)
        return torch.stack((right, torch.stack(losses).double().sum(0) / x.shape[1]))

    def follow(self, gradients: Parameters) -> None:
        """One step of descent, see :func:`~winnow.training.epochs.fit_epochs`."""
        g, v, m = self.gradient, self.pace, self.schedule.momentum
        torch.cat([gradients[name].flatten() for name in self.shapes], out=g)
        if self.keep is not None:
            g *= self.keep
        rate = self.schedule.rate(self.step)
        v.mul_(m).sub_(g, alpha=rate)
        if self.schedule.nesterov:
            self.flat.add_(v, alpha=m).sub_(g, alpha=rate)
        else:
            self.flat += v
        self.step += 1

    def views(self, flat: torch.Tensor) -> Parameters:
        """The parameters that lie one after the other in ``flat``."""
        parts = flat.split([shape.numel() for shape in self.shapes.values()])
        return {n: part.view(self.shapes[n]) for n, part in zip(self.shapes, parts, strict=True)}

    def snapshot(self) -> Parameters:
        """Parameters as they are now, copied."""
        return self.views(self.flat.clone())

    def is_finite(self) -> bool:
        """Whether every parameter is."""
        return bool(self.flat.isfinite().all())


def _flat(values: Iterable[torch.Tensor]) -> torch.Tensor:
    return torch.cat([v.flatten() for v in values])


def _shuffled(inputs, labels, rngs) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples in the order of the next epoch: batches are then views."""
    order = np.stack([rng.permutation(labels.shape[1]) for rng in rngs])
    columns = torch.from_numpy(order).to(labels.device)
    rows = torch.arange(len(labels), device=labels.device)[:, None]
    return inputs[rows, columns], labels[rows, columns].long()


def _check(params, inputs, labels, seeds, keep_every, masks) -> None:
    if inputs.ndim != 3 or labels.shape != inputs.shape[:2] or not labels.numel():
        raise ValueError(
            "inputs must be (S, N, D) and labels (S, N), none of them 0, "
            f"got {tuple(inputs.shape)} and {tuple(labels.shape)}"
        )
    n = len(inputs)
    if len(seeds) != n:
        raise ValueError(f"seeds must be {n}, one per replica, got {len(seeds)}")
    if any(len(value) != n for value in params.values()):
        raise ValueError(f"params must have {n} replicas, as inputs have, got {_replicas(params)}")
    if keep_every < 1:
        raise ValueError(f"keep_every must be 1 or larger, got {keep_every}")
    for name in masks:
        if name not in params:
            raise ValueError(
                f"unknown parameter {name!r} in masks: choose from {', '.join(params)}"
            )


def _replicas(params: Parameters) -> list[int]:
    return sorted({len(value) for value in params.values()})
