"""Random networks to compare a network's motifs with.

Each null keeps something and shuffles the rest:

degree
    FANMOD's :cite:p:`wernicke2006fanmod`: two edges of one colour exchange their targets. Kept are
    each node's edges in and out, colour by colour. Layers are not known to it, so that random
    networks hold edges within, across and against the layers.
layer
    The same among edges of one colour between the same two layers: kept are the degrees and
    the layers.
permutation
    The edges between two layers, with their colours, go to random places between these layers:
    kept are, for each pair of layers, the numbers of edges of each colour.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from winnow import memory
from winnow.arrays import check_count

NULLS = ("degree", "layer", "permutation")

#: Exchanges tried per edge between two random networks; those refused count.
TRIES_PER_EDGE = 10


class NothingToChangeError(ValueError):
    """A null that cannot change the network that it is to be drawn for."""


def random_networks(
    edges: np.ndarray,
    *,
    null: str,
    n_random: int,
    rng: np.random.Generator,
    layers: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Sources and targets ``(R, m)`` of random networks; edge e keeps its colour in all.

    Parameters
    ----------
    edges
        ``(m, 3)`` source, target, colour: no loops, no pair of nodes twice.
    null
        ``"degree"``, ``"layer"`` or ``"permutation"``. By exchanges the networks form one chain,
        each ten tries an edge further than the last.
    n_random
        Networks R, at least 1.
    layers
        Sizes of the layers, nodes being numbered layer by layer. Without it they are read off
        the edges, see :func:`~winnow.metrics.motifs.nulls.levels`; not used by ``"degree"``.

    Raises
    ------
    ValueError
        If the null is unknown, or the edges do not fit the layers.
    NothingToChangeError
        If the null cannot change this network; a ``ValueError``, too.
    """
    if null not in NULLS:
        raise ValueError(f"null must be one of {', '.join(NULLS)}, got {null!r}")
    check_count("n_random", n_random)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a numpy.random.Generator, got {rng!r}")
    edges = np.asarray(edges, dtype=np.int64)
    memory.require(32 * n_random * len(edges), f"{n_random} random networks")
    source, target, colour = edges.T
    block = np.zeros(len(edges), np.int64)
    if null != "degree":
        level = levels(edges, layers)
        block = level[source]
    if null == "permutation":
        return _permuted(edges, block, level, n_random, rng)
    _, bag = np.unique(np.stack([block, colour]), axis=1, return_inverse=True)
    return _exchanged(source, target, bag, n_random, rng)


def levels(edges: np.ndarray, layers: Sequence[int] | None = None) -> np.ndarray:
    """Layer of each node ``(n,)``, counted from 0.

    Parameters
    ----------
    edges
        ``(m, 2)`` or more columns, source and target first.
    layers
        Sizes of the layers, nodes being numbered layer by layer. When not given, they are guessed.
        Every edge leads one layer on, which settles the layers of connected nodes against each
        other. A part that is not connected with the largest goes where its nodes fit between those
        of the largest by number; of several such places, to one among the largest part's layers
        and the first. A node without edges gets the layer of the one before it. In sparse networks
        that fall into many parts the guess can be wrong.

    Raises
    ------
    ValueError
        If an edge does not lead from a layer to the next, a node is beyond the last layer, or
        layers are to be guessed and nodes are not numbered layer by layer.

    Examples
    --------
    >>> levels(np.array([[0, 2], [1, 2], [2, 3]]))
    array([0, 0, 1, 2])
    """
    source, target = np.asarray(edges, dtype=np.int64).T[:2]
    n = int(max(source.max(), target.max())) + 1
    if layers is None:
        level = _read_off(source, target, n)
        hint = ": pass layers, or choose the degree null"
    else:
        if min(layers, default=0) < 1:
            raise ValueError(f"layers must be sizes of 1 or larger, got {list(layers)}")
        level = np.repeat(np.arange(len(layers)), layers)
        if n > len(level):
            raise ValueError(f"node {n - 1} is beyond layers {list(layers)} of {len(level)} nodes")
        hint = f" of layers {list(layers)}"
    bad = np.flatnonzero(level[target] != level[source] + 1)
    if len(bad):
        ends = f"{source[bad[0]]} -> {target[bad[0]]}"
        raise ValueError(f"edge {ends} does not lead from a layer to the next{hint}")
    return level


def _read_off(source: np.ndarray, target: np.ndarray, n: int) -> np.ndarray:
    """Layers guessed from the edges; whether every edge agrees is left to be checked."""
    if n > 100 * len(source) + 100:
        raise ValueError(
            f"nodes are numbered up to {n - 1}, but there are {len(source)} edges: number the "
            "nodes layer by layer, or pass layers"
        )
    part = _parts(source, target, n)
    sizes = np.bincount(part)
    height = _heights(source, target, part)
    largest = np.flatnonzero(part == sizes.argmax())
    settled = height[largest]
    level, top = height.copy(), settled.max()
    for k in np.setdiff1d(np.flatnonzero(sizes > 1), sizes.argmax()):
        nodes = np.flatnonzero(part == k)
        after = np.searchsorted(largest, nodes)
        least = np.where(after > 0, settled[after - 1], -n)
        most = np.append(settled, n)[after]
        places = np.arange(-height[nodes].max(), top + 2)
        raised = height[nodes] + places[:, None]
        misfits = ((raised < least) | (raised > most)).sum(1)
        outside = (raised.min(1) < 0) | (raised.max(1) > top)
        if misfits.all():
            raise ValueError(
                f"node {nodes[0]} and those it is connected with fit nowhere between the others "
                "by number: number nodes layer by layer, or pass layers"
            )
        level[nodes] = raised[np.lexsort([outside, misfits])[0]]
    joined = sizes[part] > 1
    level -= level[joined].min()
    before = np.maximum.accumulate(np.where(joined, np.arange(n), -1))
    return np.where(before >= 0, level[before], 0)


def own_levels(source: np.ndarray, target: np.ndarray) -> np.ndarray | None:
    """Layer of each node among those it is connected with; None if an edge does not lead one on."""
    n = int(max(source.max(), target.max())) + 1
    level = _heights(source, target, _parts(source, target, n))
    return level if (level[target] == level[source] + 1).all() else None


def _parts(source: np.ndarray, target: np.ndarray, n: int) -> np.ndarray:
    graph = sparse.csr_array((np.ones(len(source)), (source, target)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def _heights(source: np.ndarray, target: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Layers of all nodes within their parts, the lowest 0."""
    height, met = np.zeros(len(part), np.int64), np.zeros(len(part), bool)
    met[np.unique(part, return_index=True)[1]] = True
    here, there = np.append(source, target), np.append(target, source)
    step = np.repeat([1, -1], len(source))
    while (found := met[here] & ~met[there]).any():
        height[there[found]] = height[here[found]] + step[found]
        met[there[found]] = True
    lowest = np.full(part.max() + 1, len(part))
    np.minimum.at(lowest, part, height)
    return height - lowest[part]


def _exchanged(
    source: np.ndarray, target: np.ndarray, bag: np.ndarray, n_random: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    nodes, ends = np.unique(np.concatenate([source, target]), return_inverse=True)
    m, n = len(source), len(nodes)
    place = np.argsort(bag, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(bag))])
    memory.require(n**2, f"random networks of {n} nodes")
    joined = np.zeros((n, n), np.bool_)
    a, b = ends[:m].copy(), ends[m:].copy()
    joined[a, b] = joined[b, a] = True
    targets = np.empty((n_random, m), np.int64)
    n_done = 0
    for r in range(n_random):
        n_done += _exchange(a, b, bag, place, start, joined, TRIES_PER_EDGE * m, rng)
        targets[r] = nodes[b]
    if n_done == 0:
        raise NothingToChangeError(
            f"no two of the {m} edges could exchange their targets in "
            f"{n_random * TRIES_PER_EDGE * m} tries: this null cannot change the network"
        )
    return np.broadcast_to(source, targets.shape), targets


@njit(cache=True, nogil=True)
def _exchange(source, target, bag, place, start, joined, n_tries, rng):
    """Try exchanges of targets in place; how many were made.

    Both edges are picked at random and a refused exchange counts as a step, so that every
    network that can be reached is equally likely in the long run. Sweeps over edges in the order
    of their sources would bias the counts.
    """
    n_done, m = 0, len(source)
    for _ in range(n_tries):
        e = int(rng.random() * m)
        first, last = start[bag[e]], start[bag[e] + 1]
        f = place[first + int(rng.random() * (last - first))]
        a, b, c, d = source[e], target[e], source[f], target[f]
        if a in (c, d) or b in (c, d) or joined[a, d] or joined[c, b]:
            continue
        joined[a, b] = joined[b, a] = joined[c, d] = joined[d, c] = False
        joined[a, d] = joined[d, a] = joined[c, b] = joined[b, c] = True
        target[e], target[f] = d, b
        n_done += 1
    return n_done


def _permuted(
    edges: np.ndarray, block: np.ndarray, level: np.ndarray, n_random: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    sources, targets = (np.empty((n_random, len(edges)), np.int64) for _ in range(2))
    free = False
    for layer in np.unique(block):
        mine = np.flatnonzero(block == layer)
        here, there = np.flatnonzero(level == layer), np.flatnonzero(level == layer + 1)
        n_places = len(here) * len(there)
        memory.require(16 * n_random * n_places, f"{n_random} times {n_places} places")
        free |= n_places > len(mine) or len(np.unique(edges[mine, 2])) > 1
        drawn = rng.permuted(np.broadcast_to(np.arange(n_places), (n_random, n_places)), axis=1)
        sources[:, mine] = here[drawn[:, : len(mine)] // len(there)]
        targets[:, mine] = there[drawn[:, : len(mine)] % len(there)]
    if not free:
        raise NothingToChangeError(
            f"the {len(edges)} edges take all places between their layers and have one colour: "
            "the permutation null cannot change the network"
        )
    return sources, targets
