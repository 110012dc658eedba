"""Networks with one hidden layer, for pruning studies: replicas and arms in one product.

Parameters are dictionaries of tensors ``(S, A, ...)``: S replicas (seeds), each with its own
data, and A arms (ways of pruning) that see the same batches. A network object holds sizes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from winnow.seeds import generators

Parameters = dict[str, torch.Tensor]


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
        _check(n_inputs=self.n_inputs, n_hidden=self.n_hidden)

    def initial(self, seeds: Sequence[int], **options) -> Parameters:
        """First values, one arm, a stream per seed; ``options`` are torch's dtype and device."""
        k, d = self.n_hidden, self.n_inputs
        w = [rng.normal(size=(1, k, d)) for rng in generators(seeds, "weights")]
        weights = _stack(w, options) * (self.scale / d**0.5)
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

    def gradients(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> Parameters:
        """Gradients of the loss, those of weights and biases times K, in closed form."""
        hidden = _hidden(p, x)
        error = hidden.mean(-2).add_(p["offset"][..., None]).sub_(y[:, None])
        error /= x.shape[1]
        slope = hidden.sign_().mul_(error[:, :, None])  # the sign is the rectifier's derivative
        return _first_layer(slope, x) | {"offset": error.sum(-1)}

    def right(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Which samples fall on the right side of one half, ``(S, A, B)`` boolean."""
        return (self.outputs(p, x) > 0.5) == (y[:, None] > 0.5)


@dataclass(frozen=True)
class TwoLayer:
    r"""Two-layer network with a trained readout, C logits.

    .. math:: \text{logits} = V \max(0, W x + b)

    Trained on the cross-entropy. First weights are normal with variance ``scale**2 / D``, the
    readout with variance 1/K.

    Parameters
    ----------
    n_inputs, n_hidden, n_classes
        D, K, at least 1, and C, at least 2.
    scale
        Of the first weights; :math:`\sqrt{0.02}` by default.
    """

    n_inputs: int
    n_hidden: int
    n_classes: int = 2
    scale: float = 0.02**0.5

    pruned = (("weights",),)

    def __post_init__(self) -> None:
        _check(n_inputs=self.n_inputs, n_hidden=self.n_hidden)
        if self.n_classes < 2:
            raise ValueError(f"n_classes must be 2 or larger, got {self.n_classes}")

    def initial(self, seeds: Sequence[int], **options) -> Parameters:
        """First values, as for :meth:`~winnow.models.Committee.initial`."""
        k, d, c = self.n_hidden, self.n_inputs, self.n_classes
        rngs = generators(seeds, "weights")
        drawn = [(g.normal(size=(1, k, d)), g.normal(size=(1, c, k))) for g in rngs]
        first, readout = zip(*drawn, strict=True)
        weights = _stack(first, options) * (self.scale / d**0.5)
        return {
            "weights": weights,
            "biases": torch.zeros_like(weights[..., 0]),
            "readout": _stack(readout, options) / k**0.5,
        }

    def outputs(self, p: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Logits ``(S, A, B, C)`` for inputs ``(S, B, D)``."""
        return (p["readout"] @ _hidden(p, x)).mT

    def loss(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of each replica and arm, ``(S, A)``; labels y ``(S, B)``."""
        logs = self.outputs(p, x).log_softmax(-1)
        index = y[:, None, :, None].expand(*logs.shape[:-1], 1)
        return -logs.gather(-1, index).mean((-2, -1))

    def gradients(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> Parameters:
        """Gradients of the loss, in closed form."""
        hidden = _hidden(p, x)
        error = (p["readout"] @ hidden).softmax(-2)  # (S, A, C, B)
        index = y[:, None, None].expand(-1, error.shape[1], 1, -1)
        error.scatter_add_(-2, index, -torch.ones_like(error[..., :1, :]))
        error /= x.shape[1]
        readout = error @ hidden.mT
        slope = hidden.sign_().mul_(p["readout"].mT @ error)
        return _first_layer(slope, x) | {"readout": readout}

    def right(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Which samples have their own class's logit on top, ``(S, A, B)`` boolean."""
        return self.outputs(p, x).argmax(-1) == y[:, None]


def _hidden(p: Parameters, x: torch.Tensor) -> torch.Tensor:
    """Rectified activities ``(S, A, K, B)``; the arms lie below each other in one product."""
    s, a, k, d = p["weights"].shape
    pre = torch.baddbmm(p["biases"].view(s, a * k, 1), p["weights"].view(s, a * k, d), x.mT)
    return pre.relu_().view(s, a, k, -1)


def _first_layer(slope: torch.Tensor, x: torch.Tensor) -> Parameters:
    """Gradients of weights and biases from those of pre-activations, ``(S, A, K, B)``."""
    s, a, k, b = slope.shape
    weights = slope.view(s, a * k, b) @ x
    return {"weights": weights.view(s, a, k, -1), "biases": slope.sum(-1)}


def _stack(drawn: Sequence, options: dict) -> torch.Tensor:
    return torch.stack([torch.as_tensor(d, **({"dtype": torch.float32} | options)) for d in drawn])


def _check(**sizes: int) -> None:
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be 1 or larger, got {value}")
