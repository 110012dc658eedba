r"""Rate networks whose structure pruning must keep, as matrices :math:`A = W - D`.

In :math:`\dot x = A x + b` the weights W (row = target, column = source, zero diagonal) excite or
inhibit, and the leak D on the diagonal pulls back. Networks of several seeds are stacked,
``(S, n, n)``, each drawn from a generator of its own.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from winnow import memory
from winnow.arrays import check_count, check_range
from winnow.seeds import Rng, streams

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
    n_long: int | None = None,
    leak: float = 1.0,
    symmetric: bool = True,
    as_sparse: bool = False,
) -> np.ndarray | sparse.csr_array:
    r"""Densely connected clusters with few long-range weights, as in :cite:t:`moore2020`.

    Within clusters a share ``density`` of the pairs have weights from
    :math:`\mathcal N(1, 1)`, about 16 % of which inhibit; on top, ``n_long`` entries anywhere get
    weights from U(0, 1). W is divided by 1.1 times its largest eigenvalue (real part), and the leak
    is ``leak`` times each neuron's sum of absolute weights.

    Parameters
    ----------
    sizes
        Neurons of each cluster, n in all; see :data:`~winnow.models.rate_networks.SIZES`.
    rng
        One generator, or one for each of S networks.
    density
        Share of pairs connected within a cluster, in (0, 1].
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
    n, most = _checked(sizes, density), sum(sizes) * (sum(sizes) - 1)
    check_range("leak", leak, "(0, inf)")
    n_long = min(5000 if n >= 2000 else math.ceil(5 * n / 3), most) if n_long is None else n_long
    check_count("n_long", n_long, 0, most)

    def build(stream: np.random.Generator) -> sparse.csr_array:
        halves = []
        for _ in range(1 if symmetric else 2):
            i, j = _within(sizes, density, stream)
            far = _pair(stream.choice(most // 2, n_long // 2, replace=False))
            local = (i, j, stream.normal(1.0, 1.0, len(i)))
            halves += [_matrix(n, local, (*far, stream.random(n_long // 2)))]
        W = sparse.csr_array(halves[0] + halves[-1].T)
        return _with_leak(W / (1.1 * _largest(W, symmetric)), leak)

    if not as_sparse:
        return _stack(build, n, rng)
    [stream] = streams(rng, 1)
    entries = density * sum(s * s for s in sizes) + n_long
    memory.require(40 * entries + 12 * max(sizes) ** 2, f"a sparse network of {n} neurons")
    return build(stream)


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
    n = _checked(sizes, density)
    if len(sizes) < 2:
        raise ValueError(f"sizes must hold two clusters or more to bridge, got {list(sizes)}")
    check_range("grounding", grounding, "(0, inf)")
    check_count("n_bridges", n_bridges, 1, math.prod(sorted(sizes)[:2]))

    def build(stream: np.random.Generator) -> sparse.csr_array:
        i, j = _within(sizes, density, stream)
        check_count("n_strong", n_strong, 0, len(i))
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


def gaussian(n: int, gain: float, *, rng: Rng) -> np.ndarray:
    r"""Random network that is not diagonally dominant, :math:`A = -I + g J / \sqrt n`.

    J has standard normal entries off the diagonal. Its eigenvalues, scaled, fill a disc of radius
    g around −1: stable for g below 1 and large n.
    """
    check_range("gain", gain, "[0, 1)")

    def build(stream: np.random.Generator) -> sparse.csr_array:
        J = stream.normal(size=(n, n)) / math.sqrt(n)
        np.fill_diagonal(J, 0)
        return sparse.csr_array(gain * J - np.eye(n))

    return _stack(build, n, rng)


def _checked(sizes: Sequence[int], density: float) -> int:
    """How many neurons there are, if they can be drawn."""
    if not len(sizes) or min(sizes) < 2:
        raise ValueError(f"sizes must hold clusters of 2 or more neurons, got {list(sizes)}")
    check_range("density", density, "(0, 1]")
    return sum(sizes)


def _stack(
    build: Callable[[np.random.Generator], sparse.csr_array], n: int, rng: Rng
) -> np.ndarray:
    """One network for each generator; refused before the first where they will not fit."""
    rngs = streams(rng)
    # Up to seven more dense matrices live while one is made.
    memory.require(8 * n * n * (len(rngs) + 7), f"{len(rngs)} networks of {n} neurons")
    stacked = np.empty((len(rngs), n, n))
    for place, stream in enumerate(rngs):
        stacked[place] = build(stream).toarray()
    return stacked[0] if isinstance(rng, np.random.Generator) else stacked


def _within(sizes: Sequence[int], density: float, rng: np.random.Generator) -> np.ndarray:
    """Pairs ``(2, m)`` of the same cluster, each taken with probability ``density``."""
    found, start = [], 0
    for size in sizes:
        picked = np.flatnonzero(rng.random(size * (size - 1) // 2) < density)
        found.append(start + np.stack(_pair(picked)))
        start += size
    return np.concatenate(found, axis=1)


def _pair(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pair (i, j), j < i, at a place of the list (1, 0), (2, 0), (2, 1), (3, 0) …"""
    i = ((1 + np.sqrt(1 + 8 * index.astype(float))) / 2).astype(np.int64)
    i -= i * (i - 1) // 2 > index  # the root may round up to the next row
    return i, index - i * (i - 1) // 2


def _bridges(sizes: Sequence[int], n_bridges: int, rng: np.random.Generator) -> np.ndarray:
    """Distinct pairs ``(2, n_bridges)`` between clusters, dealt in turn to pairs of clusters."""
    start = np.concatenate([[0], np.cumsum(sizes)])
    upper, lower = np.tril_indices(len(sizes), -1)
    ends = []
    for k, (a, b) in enumerate(zip(upper, lower, strict=True)):
        many = len(range(k, n_bridges, len(upper)))
        place = rng.choice(sizes[a] * sizes[b], many, replace=False)
        ends.append([start[a] + place // sizes[b], start[b] + place % sizes[b]])
    return np.concatenate(ends, axis=1)


def _matrix(n: int, *pairs: Pairs) -> sparse.csr_array:
    """Strictly lower triangle with the weights of all pairs; where two meet they add up."""
    i, j, w = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return sparse.csr_array((w, (i.astype(np.int32), j.astype(np.int32))), shape=(n, n))


def _largest(W: sparse.csr_array, symmetric: bool) -> float:
    """Largest real part of an eigenvalue."""
    if not W.nnz:
        raise ValueError(f"no synapse was drawn for {W.shape[0]} neurons: raise density or sizes")
    if W.shape[0] <= 100:
        return float(np.linalg.eigvals(W.toarray()).real.max())
    start = np.ones(W.shape[0])  # ARPACK's own is random, and then so are the last digits
    solve, which = (linalg.eigsh, "LA") if symmetric else (linalg.eigs, "LR")
    return float(solve(W, 1, which=which, v0=start, return_eigenvectors=False)[0].real)


def _with_leak(W: sparse.csr_array, leak: float, extra: float = 0.0) -> sparse.csr_array:
    total = np.asarray(abs(W).sum(1)).ravel()
    return sparse.csr_array(W - sparse.diags_array(leak * total + extra))
