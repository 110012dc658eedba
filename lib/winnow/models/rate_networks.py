r"""Rate networks whose structure pruning must keep, as matrices :math:`A = W - D`.

In :math:`\dot x = A x + b` the weights W (row = target, column = source, zero diagonal) excite or
inhibit, and the leak D on the diagonal pulls back. Networks of several seeds are stacked,
``(S, n, n)``, each drawn from a generator of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from winnow import memory
from winnow.seeds import Rng

#: Cluster sizes of the authors' networks :cite:p:`moore2020` (2,000 to 10,000 neurons, from
#: their code), and two of ours with the same imbalance for quick work.
SIZES = {
    300: (240, 20, 20, 20),
    900: (810, 30, 30, 30),
    2000: (1000, 200, 800),
    3000: (2700, 100, 100, 100),
    10000: (6600, 1000, 1600, *[100] * 8),
}

#: Edges as sources, targets and weights, each pair once with the larger index first.
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]


def clustered(
    sizes: Sequence[int],
    *,
    rng: Rng,
    density: float = 0.6,
    mean: float = 1.0,
    n_long: int | None = None,
    leak: float = 1.0,
    symmetric: bool = True,
    as_sparse: bool = False,
) -> np.ndarray | sparse.csr_array:
    r"""Densely connected clusters with few long-range weights, as in :cite:t:`moore2020`.

    Within clusters a share ``density`` of the pairs have weights from
    :math:`\mathcal N(\text{mean}, 1)`; on top, ``n_long`` entries anywhere get weights from
    U(0, 1). W is divided by 1.1 times its largest eigenvalue (real part), and the leak is
    ``leak`` times each neuron's sum of absolute weights.

    Parameters
    ----------
    sizes
        Neurons of each cluster, n in all; see :data:`~winnow.models.rate_networks.SIZES`.
    rng
        One generator, or one for each of S networks.
    density
        Share of pairs connected within a cluster, in (0, 1].
    mean
        Of the weights within clusters; at 1 about 16 % of them inhibit.
    n_long
        Non-zero long-range entries; when not given, the authors' 5,000 from 2,000 neurons on
        and 5 n / 3 below.
    leak
        At least 1 for diagonal dominance; 1 leaves none to spare.
    symmetric
        One weight for both directions of a pair; otherwise two independent draws.
    as_sparse
        A compressed sparse row array instead of a dense one, for one generator only.

    Returns
    -------
    numpy.ndarray or scipy.sparse.csr_array
        A, ``(n, n)``, or ``(S, n, n)`` for several generators.

    Raises
    ------
    ValueError
        If a size, the density, the leak or the number of entries is out of range, or memory does
        not suffice.
    """
    _check(sizes, density)
    if not leak > 0:
        raise ValueError(f"leak must be above 0, got {leak}")
    n = sum(sizes)
    most = n * (n - 1)
    n_long = min(5000 if n >= 2000 else math.ceil(5 * n / 3), most) if n_long is None else n_long
    if not 0 <= n_long <= most:
        raise ValueError(f"n_long must be in [0, {most}] for {n} neurons, got {n_long}")

    def build(stream: np.random.Generator) -> sparse.csr_array:
        halves = []
        for _ in range(1 if symmetric else 2):
            i, j = _within(sizes, density, stream)
            far = _long_range(n, n_long // 2, stream)
            local = (i, j, stream.normal(mean, 1.0, len(i)))
            halves += [_matrix(n, local, (*far, stream.random(len(far[0]))))]
        W = sparse.csr_array(halves[0] + halves[-1].T)
        return _with_leak(W / (1.1 * _largest(W, symmetric)), leak)

    entries = density * sum(s * s for s in sizes) + n_long
    return _stack(build, n, rng, as_sparse, need=40 * entries + 12 * max(sizes) ** 2)


def bridged(
    sizes: Sequence[int],
    n_bridges: int,
    *,
    rng: Rng,
    density: float = 0.6,
    grounding: float = 1e-4,
    n_strong: int = 0,
    strength: float = 8.0,
    push_pull: bool = False,
) -> np.ndarray:
    r"""Clusters that hang together by a few bridges, so that slow modes depend on them.

    Weights within clusters are :math:`|\mathcal N(1, 1)|`; bridges, U(0, 1), are dealt evenly to
    the pairs of clusters. The leak is a neuron's sum of absolute weights plus ``grounding``
    times the mean of these sums; W is divided by 1.1 times its largest eigenvalue first.

    Parameters
    ----------
    sizes, rng, density
        As for :func:`~winnow.models.rate_networks.clustered`.
    n_bridges
        Pairs of neurons in different clusters that are connected; with fewer than pairs of
        clusters, some clusters stay apart.
    grounding
        Leak beyond the sum of weights; without any, the slowest mode would not decay at all.
    n_strong, strength
        How many pairs within clusters are made stronger, and how many times.
    push_pull
        Split each cluster at random in two camps that excite within and inhibit across. Up to
        the signs of the neurons, the dynamics are those of the network without inhibition.

    Returns
    -------
    numpy.ndarray
        A, ``(n, n)`` or ``(S, n, n)``, symmetric.
    """
    _check(sizes, density)
    if len(sizes) < 2 or n_bridges < 1:
        raise ValueError(f"bridges need two clusters: got {n_bridges} for {len(sizes)} clusters")
    if not grounding > 0:
        raise ValueError(f"grounding must be above 0, got {grounding}")
    n, smallest, second = sum(sizes), *sorted(sizes)[:2]
    if n_bridges > smallest * second:
        raise ValueError(f"n_bridges must be at most {smallest * second}, got {n_bridges}")

    def build(stream: np.random.Generator) -> sparse.csr_array:
        i, j = _within(sizes, density, stream)
        if n_strong > len(i):
            raise ValueError(f"n_strong must be at most {len(i)} here, got {n_strong}")
        w = np.abs(stream.normal(1.0, 1.0, len(i)))
        w[stream.choice(len(w), n_strong, replace=False)] *= strength
        bridges = (*_bridges(sizes, n_bridges, stream), stream.random(n_bridges))
        half = _matrix(n, (i, j, w), bridges)
        W = sparse.csr_array(half + half.T)
        W = W / (1.1 * _largest(W, symmetric=True))
        A = _with_leak(W, 1.0, extra=grounding * W.sum() / n)
        if push_pull:
            camps = sparse.diags_array(stream.choice([-1.0, 1.0], n))
            A = sparse.csr_array(camps @ A @ camps)
        return A

    return _stack(build, n, rng)


def gaussian(n: int, gain: float, *, rng: Rng, symmetric: bool = False) -> np.ndarray:
    r"""Random network that is not diagonally dominant, :math:`A = -I + g J / \sqrt n`.

    J has standard normal entries off the diagonal. Its eigenvalues, scaled, fill a disc of radius
    g, or, when symmetric, an interval of radius 2 g around −1: stable for g below 1 or below 0.5,
    and large n.
    """
    limit = 0.5 if symmetric else 1
    if not 0 <= gain < limit:
        raise ValueError(f"gain must be in [0, {limit}) for a stable network, got {gain}")

    def build(stream: np.random.Generator) -> sparse.csr_array:
        J = stream.normal(size=(n, n)) / math.sqrt(n)
        J = (J + J.T) / math.sqrt(2) if symmetric else J
        np.fill_diagonal(J, 0)
        return sparse.csr_array(gain * J - np.eye(n))

    return _stack(build, n, rng, work=7)


def _check(sizes: Sequence[int], density: float) -> None:
    if not len(sizes) or min(sizes) < 2:
        raise ValueError(f"sizes must hold clusters of 2 or more neurons, got {list(sizes)}")
    if not 0 < density <= 1:
        raise ValueError(f"density must be in (0, 1], got {density}")


def _stack(
    build: Callable[[np.random.Generator], sparse.csr_array],
    n: int,
    rng: Rng,
    as_sparse: bool = False,
    need: float = 0,
    work: float = 5,
) -> np.ndarray | sparse.csr_array:
    """One network for each generator; refused before the first where they will not fit.

    ``need`` bytes for a sparse one, ``work`` dense matrices while one is made.
    """
    streams = [rng] if isinstance(rng, np.random.Generator) else list(rng)
    if as_sparse:
        if len(streams) > 1:
            raise ValueError(f"as_sparse takes one generator, got {len(streams)}")
        memory.require(need, f"a sparse network of {n} neurons")
        return build(streams[0])
    memory.require(8 * n * n * (len(streams) + work), f"{len(streams)} networks of {n} neurons")
    stacked = np.empty((len(streams), n, n))
    for place, stream in enumerate(streams):
        stacked[place] = build(stream).toarray()
    return stacked[0] if isinstance(rng, np.random.Generator) else stacked


def _within(sizes: Sequence[int], density: float, rng: np.random.Generator) -> Pairs:
    """Pairs of neurons of the same cluster, each taken with probability ``density``."""
    found, start = [], 0
    for size in sizes:
        picked = np.flatnonzero(rng.random(size * (size - 1) // 2) < density)
        found.append(start + np.stack(_pair(picked)))
        start += size
    i, j = np.concatenate(found, axis=1)
    return i, j


def _long_range(n: int, k: int, rng: np.random.Generator) -> Pairs:
    return _pair(rng.choice(n * (n - 1) // 2, k, replace=False))


def _pair(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pair (i, j), j < i, at a place of the list (1, 0), (2, 0), (2, 1), (3, 0) …"""
    i = ((1 + np.sqrt(1 + 8 * index.astype(float))) / 2).astype(np.int64)
    i -= i * (i - 1) // 2 > index  # the root may round up to the next row
    return i, index - i * (i - 1) // 2


def _bridges(
    sizes: Sequence[int], n_bridges: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs between clusters, dealt in turn to the pairs of clusters."""
    start = np.concatenate([[0], np.cumsum(sizes)])
    upper, lower = np.tril_indices(len(sizes), -1)
    ends = []
    for k, (a, b) in enumerate(zip(upper, lower, strict=True)):
        many = len(range(k, n_bridges, len(upper)))
        place = rng.choice(sizes[a] * sizes[b], many, replace=False)
        ends.append([start[a] + place // sizes[b], start[b] + place % sizes[b]])
    i, j = np.concatenate(ends, axis=1)
    return i, j


def _matrix(n: int, *pairs: Pairs) -> sparse.csr_array:
    """Strictly lower triangle with the weights of all pairs; where two meet they add up."""
    i, j, w = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    narrow = np.int32 if n < 2**31 else np.int64
    return sparse.csr_array((w, (i.astype(narrow), j.astype(narrow))), shape=(n, n))


def _largest(W: sparse.csr_array, symmetric: bool) -> float:
    """Largest real part of an eigenvalue."""
    if not W.nnz:
        raise ValueError(f"no synapse was drawn for {W.shape[0]} neurons: raise density or sizes")
    if W.shape[0] <= 100:
        return float(np.linalg.eigvals(W.toarray()).real.max())
    start = np.ones(W.shape[0])  # ARPACK's own is random, and then so are the last digits
    if symmetric:
        return float(linalg.eigsh(W, 1, which="LA", v0=start, return_eigenvectors=False)[0])
    return float(linalg.eigs(W, 1, which="LR", v0=start, return_eigenvectors=False)[0].real)


def _with_leak(W: sparse.csr_array, leak: float, extra: float = 0.0) -> sparse.csr_array:
    total = np.asarray(abs(W).sum(1)).ravel()
    return sparse.csr_array(W - sparse.diags_array(leak * total + extra))
