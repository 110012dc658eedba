"""Plain multi-layer perceptrons from several first values, replicas and arms as one tensor."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from winnow.models.committee import Parameters
from winnow.seeds import generators

#: Standard deviation of first biases, and of first weights in the scheme "normal".
SD = 0.1

#: Where Glorot's normals are cut, in standard deviations before the cut.
CUT = 2.0

#: Ways to draw first weights, name to what it is.
SCHEMES = {
    "normal": "normal with sd 0.1, the same in every layer",
    "matched": "normal with the variance of Glorot's, layer by layer",
    "orthogonal": "orthonormal rows or columns, whichever are fewer, in random directions",
    "glorot": "Glorot's normal, cut at two sd, variance 2 / (fan-in + fan-out) after the cut",
}


class Lesson(NamedTuple):
    """What a batch teaches and how it was answered before, from one pass."""

    gradients: Parameters  #: of the loss
    loss: torch.Tensor  #: mean cross-entropy, (S, A)
    right: torch.Tensor  #: which samples have their own class on top, (S, A, B) boolean


@dataclass(frozen=True)
class Perceptron:
    r"""Rectified layers and a softmax on top :cite:p:`zambra2020`.

    .. math:: a_{l+1} = \max(0,\; W_l\, a_l + b_l)

    and logits, without rectification, from the last layer. The mean cross-entropy of their softmax
    is the loss. ``weights.l`` is ``(S, A, n_target, n_source)``, ``biases.l`` is
    ``(S, A, n_target)``, counted from the inputs.

    Parameters
    ----------
    sizes
        Units per layer from inputs to classes, at least two, each at least 1; 31-20-10-4 in the
        paper's main text. Two make a softmax regression.

    Raises
    ------
    ValueError
        Fewer than two layers, or one without units.

    Examples
    --------
    Without weights, a class is as likely as its bias says: here all are alike.

    >>> network = Perceptron((3, 5, 4))
    >>> p = {name: 0 * v for name, v in network.initial([0]).items()}
    >>> {name: tuple(v.shape) for name, v in p.items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'weights.0': (1, 1, 5, 3), 'biases.0': (1, 1, 5),
     'weights.1': (1, 1, 4, 5), 'biases.1': (1, 1, 4)}
    >>> x, y = torch.ones(1, 2, 3), torch.tensor([[0, 3]])
    >>> bool(network.loss(p, x, y).exp().isclose(torch.tensor(4.0)))
    True
    >>> network.gradients(p, x, y)["biases.1"].tolist()
    [[[-0.25, 0.25, 0.25, -0.25]]]
    """

    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise ValueError(
                f"sizes must be two or more layers of 1 or more units, got {self.sizes}"
            )

    @property
    def pruned(self) -> tuple[tuple[str, ...], ...]:
        """Names of parameters that are ranked together, the weights of all layers."""
        return (tuple(f"weights.{i}" for i in range(len(self.sizes) - 1)),)

    def initial(
        self, seeds: Sequence[int], *, schemes: Sequence[str] = ("glorot",), **options
    ) -> Parameters:
        r"""First values, an arm per scheme.

        Biases are normal with sd 0.1, and the same in all arms of a seed: arms differ in their
        weights only. With :math:`n` sources and :math:`m` targets of a layer, its weights have

        .. math:: \mathrm{sd} = 0.1,\quad \sqrt{2 / (n + m)},\quad 1 / \sqrt{\max(n, m)},\quad
           \sqrt{2 / (n + m)}

        in the schemes "normal", "matched", "orthogonal" :cite:p:`saxe2014` and "glorot"
        :cite:p:`glorot2010`; the last is cut at two sd before the cut, which is 2.27 sd after it.
        Each seed, scheme and layer has a stream of its own. In the paper's code one seed served
        every layer, so that layers of the normal and Glorot schemes shared their random numbers;
        ours are independent.

        Parameters
        ----------
        seeds
            One per replica S.
        schemes
            Names in :data:`~winnow.models.perceptron.SCHEMES`, one per arm A. An arm does not
            depend on those beside it; a name that comes twice makes two equal arms.
        options
            torch's dtype, single precision by default, and device. Drawn in double precision.

        Raises
        ------
        ValueError
            No scheme, or an unknown one.
        """
        _check(schemes)
        options, p = {"dtype": torch.float32} | options, {}
        for i, (d, k) in enumerate(itertools.pairwise(self.sizes)):
            arms = np.stack([_weights(seeds, scheme, i, (k, d)) for scheme in schemes], 1)
            p[f"weights.{i}"] = torch.as_tensor(arms, **options)
            b = np.stack([SD * rng.normal(size=k) for rng in generators(seeds, f"biases {i}")])
            p[f"biases.{i}"] = torch.as_tensor(b, **options)[:, None].repeat(1, len(schemes), 1)
        return p

    def outputs(self, p: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Logits ``(S, A, B, C)`` for inputs ``(S, B, D)``."""
        return _by_arm(self._forward(p, x)[-1], p).mT

    def loss(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of each replica and arm, ``(S, A)``; labels y ``(S, B)``."""
        logs = _by_arm(self._forward(p, x)[-1], p).log_softmax(-2)
        return _cross_entropy(logs, _places(logs, y))

    def gradients(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> Parameters:
        """Gradients of the loss, in closed form."""
        return self.lesson(p, x, y).gradients

    def right(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Which samples have their own class's logit on top, ``(S, A, B)`` boolean.

        Of equal logits the first is on top.
        """
        return _on_top(_by_arm(self._forward(p, x)[-1], p), y)

    def lesson(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> Lesson:
        r"""Gradients, loss and right answers from one pass, for one who follows the training.

        The error of the logits is softmax less one-hot labels, over B; through a layer it goes as

        .. math:: \partial W_l = e_l a_l^\top,\quad \partial b_l = \textstyle\sum_B e_l,\quad
           e_{l-1} = [a_l > 0]\, W_l^\top e_l
        """
        *hidden, logits = self._forward(p, x)
        logits = _by_arm(logits, p)
        right = _on_top(logits, y)
        logs = logits.log_softmax(-2)
        places = _places(logs, y)
        loss = _cross_entropy(logs, places)
        error = logs.exp_().scatter_add_(-2, places, -torch.ones_like(logs[..., :1, :]))
        return Lesson(_backward(p, x, hidden, error.div_(x.shape[1])), loss, right)

    def _forward(self, p: Parameters, x: torch.Tensor) -> list[torch.Tensor]:
        """Activities of each layer, the last the logits, ``(S * A, K, B)``."""
        w, b = p["weights.0"], p["biases.0"]
        # The inputs serve all arms, which lie below each other in one product.
        wide = torch.baddbmm(b.flatten(1)[..., None], w.flatten(1, 2), x.mT)
        a = [wide.view(-1, self.sizes[1], x.shape[1])]
        for i in range(1, len(self.sizes) - 1):
            w, b = p[f"weights.{i}"].flatten(0, 1), p[f"biases.{i}"].flatten(0, 1)
            a.append(torch.baddbmm(b[..., None], w, a[-1].relu_()))
        return a


def layers(p: Parameters) -> list[torch.Tensor]:
    """Weights from the first to the last layer, each ``(S, A, n_target, n_source)``.

    Examples
    --------
    >>> [tuple(w.shape) for w in layers(Perceptron((5, 3, 2)).initial([0, 1]))]
    [(2, 1, 3, 5), (2, 1, 2, 3)]
    """
    return [p[f"weights.{i}"] for i in range(sum(name.startswith("weights.") for name in p))]


def _backward(p: Parameters, x: torch.Tensor, hidden: list, error: torch.Tensor) -> Parameters:
    """Gradients from the error of the logits, ``(S, A, C, B)``; uses up ``hidden``."""
    s, a, _, n = error.shape
    error, found = error.view(s * a, -1, n), {}
    for i in range(len(hidden), 0, -1):
        below, w = hidden[i - 1], p[f"weights.{i}"].flatten(0, 1)
        found[f"weights.{i}"], found[f"biases.{i}"] = error @ below.mT, error.sum(-1)
        error = below.sign_().mul_(w.mT @ error)  # the sign is the rectifier's derivative
    found["weights.0"] = error.view(s, -1, n) @ x
    found["biases.0"] = error.sum(-1)
    return {name: found[name].view(value.shape) for name, value in p.items()}


def _by_arm(values: torch.Tensor, p: Parameters) -> torch.Tensor:
    return values.view(*p["biases.0"].shape[:2], *values.shape[1:])


def _on_top(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Which samples have their own class on top; along this axis max is faster than argmax."""
    return logits.max(-2).indices == y[:, None]


def _places(logs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Where the labels' classes stand in ``(S, A, C, B)``."""
    return y[:, None, None].expand(-1, logs.shape[1], 1, -1)


def _cross_entropy(logs: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return -logs.gather(-2, places).mean((-2, -1))


def _check(schemes: Sequence[str]) -> None:
    known = ", ".join(SCHEMES)
    if isinstance(schemes, str) or not schemes:
        raise ValueError(f"schemes must be a list of at least one of {known}, got {schemes!r}")
    for scheme in schemes:
        if scheme not in SCHEMES:
            raise ValueError(f"unknown scheme {scheme!r}: choose from {known}")


def _weights(seeds: Sequence[int], scheme: str, i: int, shape: tuple[int, int]) -> np.ndarray:
    """Layer i of a scheme, ``(S, *shape)``."""
    rngs = generators(seeds, f"{scheme} weights {i}")
    return np.stack([_DRAW[scheme](rng, shape) for rng in rngs])


def _normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return SD * rng.normal(size=shape)


def _matched(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return math.sqrt(2 / sum(shape)) * rng.normal(size=shape)


def _orthogonal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Orthonormal rows or columns, uniform over all such matrices.

    Without the signs, directions would depend on how the decomposition is computed.
    """
    q, r = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q if shape[0] >= shape[1] else q.T


def _glorot(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    r"""Standard normals cut at :math:`\pm c`, then scaled by their sd after the cut.

    .. math:: \sqrt{1 - \frac{2 c\, \varphi(c)}{2 \Phi(c) - 1}} = 0.8796 \quad (c = 2)
    """
    density = math.exp(-(CUT**2) / 2) / math.sqrt(2 * math.pi)
    after = math.sqrt(1 - 2 * CUT * density / (ndtr(CUT) - ndtr(-CUT)))
    cut = ndtri(rng.uniform(ndtr(-CUT), ndtr(CUT), size=shape))
    return math.sqrt(2 / sum(shape)) / after * cut


_DRAW = {"normal": _normal, "matched": _matched, "orthogonal": _orthogonal, "glorot": _glorot}
