"""Coloured graphs from the weights of layered networks :cite:p:`zambra2020`.

A network of L layers is held as L − 1 matrices ``(..., n_target, n_source)``, of weights or of
colours. Its units are numbered layer by layer, from 0 on.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from winnow.arrays import Array, as_numpy, check_range, finite, like, unit_scale
from winnow.pruners.masks import n_kept, top_k
from winnow.seeds import Rng, uniform

#: Colours of edges; 0 is no edge, and a mild edge may have either sign.
COLOURS = {1: "strongly negative", 2: "mild", 3: "strongly positive"}

#: How far from the cut to the outer limit a weight becomes strong.
SPLIT = 1 / 5


class Cut(NamedTuple):
    """Where weights become edges and where edges change colour; numbers, or one per replica."""

    low: float | np.ndarray  #: smallest weight that is no edge
    high: float | np.ndarray  #: smallest weight above the centre that is an edge again
    low_split: float | np.ndarray  #: weights below are strongly negative
    high_split: float | np.ndarray  #: weights from here on are strongly positive


def fit_cut(weights: Sequence[Array], cut: float = 0.55) -> Cut:
    r"""A cut for each replica, from the Gaussian of its weights' mean :math:`\mu` and deviation σ.

    Weights whose fitted density is at least ``cut`` times its peak are the centre and no edges:
    :math:`|w - \mu| \le \sigma \sqrt{-2 \ln \text{cut}}`. Its bounds are weights themselves. The
    centre is [a, b), from its first weight a in ascending order to the first weight b beyond. Each
    tail is split a fifth of the way from there to the outer limit, 1.1 times the extreme weight
    :cite:p:`zambra2020`.

    Where no weight lies beyond the centre on one side, the centre ends with the extreme weight,
    which is no edge. Where no weight lies in the centre, it is empty and all are edges. Where all
    weights have one sign, the outer limit nearer to 0 is 0.9 times the extreme, still beyond it.

    Parameters
    ----------
    weights
        Arrays ``(R, ...)`` with R the same in all: all layers of all networks that are to share a
        cut; those of one network w as ``w[None]``.
    cut
        Share of the peak below which a weight is an edge, in (0, 1).

    Returns
    -------
    Cut
        Of arrays ``(R,)``.

    Raises
    ------
    ValueError
        If the cut is out of range, or weights are none, not finite, all equal, or differ in R.

    Examples
    --------
    >>> found = fit_cut([np.array([[-4.0, -1.0, 0.0]]), np.array([[0.5, 1.0, 5.0]])])
    >>> [bound.round(2).tolist() for bound in found]
    [[-1.0], [5.0], [-1.68], [5.1]]
    """
    check_range("cut", cut, "(0, 1)")
    pooled = _pool(weights)
    scale = unit_scale(torch.from_numpy(pooled), 1).numpy()  # squares of tiny weights stay
    pooled = pooled / scale
    mean, sd = pooled.mean(1), pooled.std(1)
    low, high = _centre(pooled, mean[:, None], sd[:, None], cut)
    floor, ceiling = (np.sort([0.9 * end, 1.1 * end], 0) for end in (pooled[:, 0], pooled[:, -1]))
    floor, ceiling = floor[0], ceiling[1]
    splits = low + SPLIT * (floor - low), high + SPLIT * (ceiling - high)
    return Cut(*(scale[:, 0] * x for x in (low, high, *splits)))


def _pool(weights: Sequence[Array]) -> np.ndarray:
    """All weights of each replica in ascending order, ``(R, N)``."""
    arrays = [as_numpy(finite(w, "weights")) for w in weights]
    if not sum(w.size for w in arrays):
        raise ValueError("weights must hold one array or more that is not empty, got none")
    if min(w.ndim for w in arrays) < 1 or len({len(w) for w in arrays}) > 1:
        shapes = ", ".join(str(w.shape) for w in arrays)
        raise ValueError(f"weights must have as many replicas in each array, got {shapes}")
    pooled = np.sort(np.concatenate([w.reshape(len(w), -1) for w in arrays], 1), 1)
    if (constant := pooled[:, 0] == pooled[:, -1]).any():
        value = pooled[constant.argmax(), 0]
        raise ValueError(f"weights must vary for a Gaussian to be fitted, all are {value}")
    return pooled


def _centre(
    pooled: np.ndarray, mean: np.ndarray, sd: np.ndarray, cut: float
) -> tuple[np.ndarray, np.ndarray]:
    """First weight of the centre and first beyond it, for each row of ascending weights."""
    inside = np.exp(-(((pooled - mean) / sd) ** 2) / 2) >= cut
    first = (~inside & (pooled < mean)).sum(1, keepdims=True)
    ends = first, first + inside.sum(1, keepdims=True)
    # Half-open bins hold the largest weight only if their bound is the next number.
    bounds = np.concatenate([pooled, np.nextafter(pooled[:, -1:], np.inf)], 1)
    low, high = (np.take_along_axis(bounds, end, 1)[:, 0] for end in ends)
    return low, high


def colours(weights: Array, cut: Cut) -> Array:
    """Colours of weights, in int8: 0 for no edge, else a key of :data:`COLOURS`.

    All bounds belong to the bin above them. Weights beyond the outer limits of the fit
    are strong; a cut that was fitted to other weights can meet some.

    Parameters
    ----------
    weights
        Any shape; for a cut with a number per replica, ``(R, ...)``.
    cut
        From :func:`~winnow.metrics.motifs.colouring.fit_cut`.

    Raises
    ------
    ValueError
        If weights are not finite, or replicas are not as many as those of the cut.

    Examples
    --------
    >>> cut = Cut(low=-1, high=1, low_split=-2, high_split=2)
    >>> colours(np.array([[-9.0, -2.0, -1.0], [1.0, 2.0, 0.0]]), cut)
    array([[1, 2, 0],
           [2, 3, 0]], dtype=int8)
    """
    w = finite(weights, "weights").double()
    bounds = (cut.low_split, cut.low, cut.high, cut.high_split)  # in ascending order
    if (lead := np.shape(cut.low)) != tuple(w.shape[: len(lead)]):
        raise ValueError(f"weights must be ({lead[0]}, ...) like the cut, got {tuple(w.shape)}")
    # Of each replica, with axes of length 1 for all that a replica holds.
    shape = (*lead, *[1] * (w.ndim - len(lead)))
    n_passed = sum(
        w >= torch.as_tensor(b, dtype=w.dtype, device=w.device).reshape(shape) for b in bounds
    )
    codes = torch.tensor([1, 2, 0, 2, 3], dtype=torch.int8, device=w.device)
    return like(codes[n_passed], weights)


def edges(matrices: Sequence[Array]) -> Array:
    """Edges of a coloured network, rows of source, target and colour, ``(m, 3)`` in int64.

    Rows are in the order of sources, then of targets. Units without edges leave no trace.

    Parameters
    ----------
    matrices
        Colours of one network, each ``(n_target, n_source)``, from the inputs on.

    Raises
    ------
    ValueError
        If there is none, a matrix does not follow on the one before, or holds anything but 0 to 3.

    Examples
    --------
    >>> edges([np.array([[2, 0], [3, 1]]), np.array([[0, 2]])])
    array([[0, 2, 2],
           [0, 3, 3],
           [1, 3, 1],
           [3, 4, 2]])
    """
    if not len(matrices):
        raise ValueError("matrices must hold one or more, got none")
    found, first, n_before = [], 0, "n_source"
    for k, matrix in enumerate(as_numpy(matrix, None) for matrix in matrices):
        if matrix.ndim != 2 or (k and matrix.shape[1] != n_before):
            raise ValueError(f"matrix {k} must be (n_target, {n_before}), got {matrix.shape}")
        if (bad := ~np.isin(matrix, range(4))).any():
            raise ValueError(f"colours must be 0, 1, 2 or 3, got {matrix[bad][0]} in matrix {k}")
        source, target = np.nonzero(matrix.T)
        after = first + matrix.shape[1]
        found.append(np.stack([first + source, after + target, matrix[target, source]], 1))
        first, n_before = after, len(matrix)
    return like(np.concatenate(found).astype(np.int64), matrices[0])


def replaced(matrices: Sequence[Array], *, rng: Rng) -> list[Array]:
    """A surrogate of a network: within each layer, the same entries at random places.

    Layers keep how many edges of each colour they have, and nothing else.

    Parameters
    ----------
    matrices
        Colours, or anything else, ``(..., n_target, n_source)``; each replica on its own.
    rng
        One generator, or one per replica.

    Raises
    ------
    ValueError
        If a list of generators does not hold one per replica.
    """
    return [_shuffled(matrix, rng) for matrix in matrices]


def _shuffled(matrix: Array, rng: Rng) -> Array:
    shape = tuple(matrix.shape)
    flat = as_numpy(matrix, None).reshape(*shape[:-2], math.prod(shape[-2:]))
    draws = uniform(rng, math.prod(shape[:-2]), flat.shape[-1:]).reshape(flat.shape)
    return like(np.take_along_axis(flat, draws.argsort(-1), -1).reshape(shape), matrix)


def strongest(weights: Sequence[Array], density: float | np.ndarray) -> list[Array]:
    r"""Masks of the largest weights by magnitude over all layers of a network together.

    Parameters
    ----------
    weights
        Matrices ``(..., n_target, n_source)`` with N entries in all; each replica on its own.
    density
        Share kept, in (0, 1], one or one per replica ``(...)``:
        :math:`\lfloor \text{density} \cdot N \rfloor` stay. Of equal weights those of earlier
        layers stay, and within a layer the first.

    Raises
    ------
    ValueError
        If there are no weights, some are not finite, leading axes differ, or the density is out of
        range.

    Examples
    --------
    >>> strongest([np.array([[3.0, -1.0]]), np.array([[-2.0], [1.0]])], 0.75)
    [array([[ True,  True]]), array([[ True],
           [False]])]
    """
    tensors = [finite(w, "weights") for w in weights]
    if len({w.shape[:-2] for w in tensors}) != 1 or min(w.ndim for w in tensors) < 2:
        shapes = ", ".join(str(tuple(w.shape)) for w in tensors) or "none"
        raise ValueError(f"weights must be (..., n_target, n_source) with one ..., got {shapes}")
    size = torch.cat([w.flatten(-2) for w in tensors], -1).abs()
    kept = top_k(size[..., None, :], n_kept(density, size.shape[-1]))[..., 0, :]
    parts = kept.split([w.shape[-2] * w.shape[-1] for w in tensors], -1)
    return [like(m.reshape(w.shape), v) for m, w, v in zip(parts, tensors, weights, strict=True)]


def random_like(weights: Sequence[Array], density: float | np.ndarray, *, rng: Rng) -> list[Array]:
    """Masks of as many weights as :func:`strongest` keeps, at random places.

    Weights give the shapes; ``rng`` is one generator, or one per replica.
    """
    draws = [uniform(rng, math.prod(w.shape[:-2]), tuple(w.shape[-2:])) for w in weights]
    scores = [like(d.reshape(tuple(w.shape)), w) for d, w in zip(draws, weights, strict=True)]
    return strongest(scores, density)
