"""The soft committee machine, replicas and arms in one product."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from winnow.arrays import check_count
from winnow.models.network import Lesson, Parameters, stacked
from winnow.seeds import generators


@dataclass(frozen=True)
class Committee:
    r"""Soft committee machine with a fixed, averaging readout :cite:p:`ingrosso2022`.

    .. math:: \hat y = c + \frac{1}{K} \sum_k \max(0,\, w_k \cdot x + b_k)

    Trained on half the mean squared error to labels 0 and 1. Gradients of :math:`w_k` and
    :math:`b_k` are multiplied by K (mean-field scaling), so that units learn at a pace that does
    not depend on how many there are.

    Parameters
    ----------
    n_inputs, n_hidden
        D and K, at least 1.
    scale
        First weights are normal with variance ``scale**2 / D``; b and c start at 0. Small, so
        that what is learnt outgrows what was drawn.

    Examples
    --------
    >>> committee = Committee(5, 3)
    >>> drawn = committee.initial([0, 1])
    >>> {name: tuple(values.shape) for name, values in drawn.items()}
    {'weights': (2, 1, 3, 5), 'biases': (2, 1, 3), 'offset': (2, 1)}
    >>> tuple(committee.outputs(drawn, torch.zeros(2, 7, 5)).shape)
    (2, 1, 7)
    """

    n_inputs: int
    n_hidden: int
    scale: float = 0.1

    #: Names of parameters that are ranked together when they are pruned, a tuple per ranking.
    pruned = (("weights",),)

    def __post_init__(self) -> None:
        check_count("n_inputs", self.n_inputs)
        check_count("n_hidden", self.n_hidden)

    def initial(self, seeds: Sequence[int], **options) -> Parameters:
        """First values, one arm, a stream per seed; ``options`` are torch's dtype and device."""
        k, d = self.n_hidden, self.n_inputs
        w = [rng.normal(size=(1, k, d)) for rng in generators(seeds, "weights")]
        weights = stacked(w, options) * (self.scale / d**0.5)
        return {
            "weights": weights,
            "biases": torch.zeros_like(weights[..., 0]),
            "offset": torch.zeros_like(weights[..., 0, 0]),
        }

    def outputs(self, p: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Outputs ``(S, A, B)`` for inputs ``(S, B, D)``."""
        return _hidden(p, x).mean(-2) + p["offset"][..., None]

    def loss(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Half the mean squared error of each replica and arm, ``(S, A)``; labels y ``(S, B)``."""
        return ((self.outputs(p, x) - y[:, None]) ** 2).mean(-1) / 2

    def lesson(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> Lesson:
        """Gradients of the loss, those of weights and biases times K, in closed form."""
        hidden = _hidden(p, x)
        s, a, k, b = hidden.shape
        error = hidden.mean(-2).add_(p["offset"][..., None]).sub_(y[:, None])
        loss = (error**2).mean(-1) / 2
        error /= b
        slope = hidden.sign_().mul_(error[:, :, None])  # the sign is the rectifier's derivative
        weights = (slope.view(s, a * k, b) @ x).view(s, a, k, -1)
        gradients = {"weights": weights, "biases": slope.sum(-1), "offset": error.sum(-1)}
        return Lesson(gradients, loss)

    def right(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Which samples fall on the right side of one half, ``(S, A, B)`` boolean."""
        return (self.outputs(p, x) > 0.5) == (y[:, None] > 0.5)


def _hidden(p: Parameters, x: torch.Tensor) -> torch.Tensor:
    """Rectified activities ``(S, A, K, B)``; the arms lie below each other in one product."""
    s, a, k, d = p["weights"].shape
    pre = torch.baddbmm(p["biases"].view(s, a * k, 1), p["weights"].view(s, a * k, d), x.mT)
    return pre.relu_().view(s, a, k, -1)
