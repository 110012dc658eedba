"""Multilayer perceptrons with several outputs and first values, replicas and arms as one tensor."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from winnow.models.network import Lesson, Parameters, check_sizes, cross_entropy, stacked
from winnow.seeds import generators

#: Standard deviation of first biases, and of first weights in the scheme "normal".
SD = 0.1

#: Where Glorot's normals are cut, in standard deviations before the cut.
CUT = 2.0

#: Ways to draw first weights: normal with sd 0.1, the same in every layer; normal with the variance
#: of Glorot's, layer by layer; orthonormal rows or columns, whichever are fewer, in random
#: directions; Glorot's normal, cut at two sd, variance 2 / (fan-in + fan-out) after the cut;
#: uniform up to 1 / sqrt(fan-in), biases too, as PyTorch's linear layers; normal, variance
#: 0.02 / fan-in in the first layer and 1 / fan-in above, no biases.
SCHEMES = ("normal", "matched", "orthogonal", "glorot", "uniform", "small")

#: What units do with their input, and what the last layer's are trained on.
ACTIVATIONS = ("relu", "logistic")
OUTPUTS = ("softmax", "logistic")


@dataclass(frozen=True)
class Perceptron:
    r"""Layers of units, each hearing the layer below.

    .. math:: a_{l+1} = f(W_l\, a_l + b_l)

    ``weights.l`` is ``(S, A, n_target, n_source)``, ``biases.l`` is ``(S, A, n_target)``, counted
    from the inputs. As it stands it is the rectified network of :cite:t:`zambra2020`.

    Parameters
    ----------
    sizes
        Units per layer from inputs to outputs, at least two, each at least 1; 31-20-10-4 in that
        paper's main text. Two make a regression.
    activation
        Of hidden units, ``"relu"`` or ``"logistic"``.
    output
        ``"softmax"``: logits, trained on the mean cross-entropy to labels ``(S, B)``;
        ``"logistic"``: values in (0, 1), trained on the mean squared error to ``(S, B, O)``.
    scheme
        How first values are drawn, a name in :data:`~winnow.models.perceptron.SCHEMES`.
    readout
        Whether the last layer only reads out: it has no biases and is not pruned.

    Raises
    ------
    ValueError
        Fewer than two layers, one without units, or an unknown name.

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
    >>> network.lesson(p, x, y).gradients["biases.1"].tolist()
    [[[-0.25, 0.25, 0.25, -0.25]]]
    """

    sizes: tuple[int, ...]
    activation: str = "relu"
    output: str = "softmax"
    scheme: str = "glorot"
    readout: bool = False

    def __post_init__(self) -> None:
        check_sizes(self.sizes, 2)
        allowed = {"activation": ACTIVATIONS, "output": OUTPUTS, "scheme": SCHEMES}
        for name, known in allowed.items():
            _check(name, getattr(self, name), known)

    @property
    def pruned(self) -> tuple[tuple[str, ...], ...]:
        """Names of parameters that are ranked together, the weights of all pruned layers."""
        return (tuple(f"weights.{i}" for i in range(len(self.sizes) - 1 - self.readout)),)

    def initial(
        self, seeds: Sequence[int], *, schemes: Sequence[str] | None = None, **options
    ) -> Parameters:
        r"""First values, an arm per scheme.

        With :math:`n` sources and :math:`m` targets of a layer, its weights have

        .. math:: \mathrm{sd} = 0.1,\quad \sqrt{2 / (n + m)},\quad 1 / \sqrt{\max(n, m)},\quad
           \sqrt{2 / (n + m)}

        in the schemes "normal", "matched", "orthogonal" :cite:p:`saxe2014` and "glorot"
        :cite:p:`glorot2010`; the last is cut at two sd before the cut, which is 2.27 sd after it.
        In these, biases are normal with sd 0.1, and the same in all arms of a seed: arms differ in
        their weights only. Each seed, scheme and layer has a stream of its own. In the paper's code
        one seed served every layer, so that layers of the normal and Glorot schemes shared their
        random numbers; ours are independent.

        Parameters
        ----------
        seeds
            One per replica S.
        schemes
            Names in :data:`~winnow.models.perceptron.SCHEMES`, one per arm A; the network's own
            when absent. An arm does not depend on those beside it; a name that comes twice makes
            two equal arms.
        options
            torch's dtype, single precision by default, and device. Drawn in double precision.

        Raises
        ------
        ValueError
            No scheme, or an unknown one.
        """
        schemes = (self.scheme,) if schemes is None else schemes
        if not schemes:
            raise ValueError(f"schemes must name at least one of {', '.join(SCHEMES)}, got none")
        for scheme in schemes:
            _check("scheme", scheme, SCHEMES)
        p, arms = {}, [_drawn(seeds, scheme, self.sizes) for scheme in schemes]
        for i, layer in enumerate(zip(*arms, strict=True)):
            weights, biases = zip(*layer, strict=True)
            p[f"weights.{i}"] = stacked(np.stack(weights, 1), options)
            p[f"biases.{i}"] = stacked(np.stack(biases, 1), options)
        if self.readout:
            del p[f"biases.{i}"]
        return p

    def outputs(self, p: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Logits or values ``(S, A, B, C)`` for inputs ``(S, B, D)``."""
        return self._forward(p, x)[-1].mT

    def loss(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy or squared error of each replica and arm, ``(S, A)``."""
        out = self.outputs(p, x)
        if self.output == "softmax":
            return cross_entropy(out, y)
        return ((out - y[..., None, :, :]) ** 2).mean((-2, -1))

    def right(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Which samples have their own class's logit on top, ``(S, A, B)`` boolean.

        Of equal logits the first is on top. Values are right where all are on the right side of
        one half.
        """
        return self._right(self._forward(p, x)[-1], y)

    def lesson(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> Lesson:
        r"""Gradients in closed form, loss and right answers, from one pass.

        The error e of the last layer's input is softmax less one-hot labels, over B, or that of
        the squared error; through a layer it goes as

        .. math:: \partial W_l = e_l a_l^\top,\quad \partial b_l = \textstyle\sum_B e_l,\quad
           e_{l-1} = f'(a_l)\, W_l^\top e_l
        """
        *hidden, out = self._forward(p, x)
        right = self._right(out, y)
        if self.output == "softmax":
            logs = out.log_softmax(-2)
            places = y[:, None, None].expand(-1, logs.shape[1], 1, -1)
            loss = -logs.gather(-2, places).mean((-2, -1))
            error = logs.exp_().scatter_add_(-2, places, -torch.ones_like(logs[..., :1, :]))
            error = error.div_(x.shape[-2])
        else:
            gap = out - y.mT[..., None, :, :]
            loss = (gap**2).mean((-2, -1))
            error = gap.mul_(2 / gap[0, 0].numel()).mul_(out).mul_(1 - out)
        return Lesson(self._backward(p, x, hidden, error), loss, right)

    def _forward(self, p: Parameters, x: torch.Tensor) -> list[torch.Tensor]:
        """Activities of each layer; all but the last ``(S * A, K, B)``, the last (S, A, C, B)."""
        s, arms = p["weights.0"].shape[:2]
        a, below = [], x.expand(s, -1, -1).mT
        for i, w in enumerate(layers(p)):
            b = p.get(f"biases.{i}", torch.zeros_like(w[..., 0]))
            # The inputs serve all arms, which lie below each other in one product.
            together = s if i == 0 else s * arms
            w, b = w.reshape(together, -1, w.shape[-1]), b.reshape(together, -1, 1)
            a.append(torch.baddbmm(b, w, below).view(s * arms, -1, x.shape[-2]))
            if i < len(self.sizes) - 2:
                below = a[-1].relu_() if self.activation == "relu" else a[-1].sigmoid_()
        out = a.pop().view(s, arms, -1, x.shape[-2])
        return [*a, out if self.output == "softmax" else out.sigmoid()]

    def _backward(
        self, p: Parameters, x: torch.Tensor, hidden: list[torch.Tensor], error: torch.Tensor
    ) -> Parameters:
        """Gradients from the error of the last layer, ``(S, A, C, B)``; uses up ``hidden``."""
        s, n = len(error), error.shape[-1]
        error, found = error.flatten(0, 1), {}
        for i in range(len(hidden), 0, -1):
            below, w = hidden[i - 1], p[f"weights.{i}"].flatten(0, 1)
            found[f"weights.{i}"], found[f"biases.{i}"] = error @ below.mT, error.sum(-1)
            if self.activation == "relu":  # whose derivative is the sign of its value
                error = below.sign_().mul_(w.mT @ error)
            else:
                error = (w.mT @ error).mul_(below).mul_(1 - below)
        found["weights.0"] = error.view(s, -1, n) @ x
        found["biases.0"] = error.sum(-1)
        return {name: found[name].view(value.shape) for name, value in p.items()}

    def _right(self, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.output == "softmax":
            return out.max(-2).indices == y[:, None]  # along this axis max is faster than argmax
        return ((out > 0.5) == (y.mT[..., None, :, :] > 0.5)).all(-2)


def layers(p: Parameters) -> list[torch.Tensor]:
    """Weights from the first to the last layer, each ``(S, A, n_target, n_source)``.

    Examples
    --------
    >>> [tuple(w.shape) for w in layers(Perceptron((5, 3, 2)).initial([0, 1]))]
    [(2, 1, 3, 5), (2, 1, 2, 3)]
    """
    return [p[f"weights.{i}"] for i in range(sum(name.startswith("weights.") for name in p))]


def _check(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}: choose from {', '.join(known)}")


def _drawn(
    seeds: Sequence[int], scheme: str, sizes: Sequence[int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights ``(S, m, n)`` and biases ``(S, m)``, layer by layer."""
    one_stream = generators(seeds, "weights")
    for i, (n, m) in enumerate(itertools.pairwise(sizes)):
        if scheme == "uniform":
            w = [rng.uniform(-1, 1, (m, n)) / np.sqrt(n) for rng in one_stream]
            b = [rng.uniform(-1, 1, m) / np.sqrt(n) for rng in one_stream]
        elif scheme == "small":
            sd = math.sqrt((0.02 if i == 0 else 1.0) / n)
            w, b = [sd * rng.normal(size=(m, n)) for rng in one_stream], np.zeros((len(seeds), m))
        else:
            w = [_DRAW[scheme](rng, (m, n)) for rng in generators(seeds, f"{scheme} weights {i}")]
            b = [SD * rng.normal(size=m) for rng in generators(seeds, f"biases {i}")]
        yield np.stack(w), np.stack(b)


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


_DRAW = {
    "normal": lambda rng, shape: SD * rng.normal(size=shape),
    "matched": lambda rng, shape: math.sqrt(2 / sum(shape)) * rng.normal(size=shape),
    "orthogonal": _orthogonal,
    "glorot": _glorot,
}
