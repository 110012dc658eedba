"""Motifs: how often each class of small subgraph occurs, and how often it would by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from winnow import memory, stats
from winnow.arrays import Array, as_numpy, check_count
from winnow.metrics.motifs import classes, enumeration, layered
from winnow.metrics.motifs.nulls import levels, own_levels, random_networks

#: Below this expected count a z-score is far from normal, and a class is left out of corrections.
MIN_EXPECTED = 20


def census(edges: Array, size: int) -> pd.DataFrame:
    """Connected subgraphs of each coloured class, induced, in a directed network.

    What counts is the subgraph with all edges between its nodes. Every subgraph is enumerated once
    (ESU, :cite:p:`wernicke2006`), about 5 ns each. Where all edges lead one layer on and there is
    much to count, matrix products take over (:mod:`winnow.metrics.motifs.layered`): with the same
    result, whatever there is to count.

    Parameters
    ----------
    edges
        ``(m, 3)`` whole numbers: source, target, colour; or ``(m, 2)``, all of one colour. Nodes
        are numbers from 0, not necessarily all; colours are 1 to 6. No loops, and at most one edge
        between two nodes. Layers are not needed: any such network will do.
    size
        Nodes of a subgraph: 3, 4 or 5.

    Returns
    -------
    pandas.DataFrame
        A row for each class that occurs, the most frequent first: ``id``, FANMOD's number of the
        class without colours; ``adjacency``, the colours of one representative row by row, 0 where
        there is no edge; ``count``. Empty if no ``size`` nodes are connected.

    Raises
    ------
    ValueError
        If the size or an edge is not as above, or the network does not fit into memory.

    Examples
    --------
    A bi-fan, all edges of colour 2, and what its parts look like:

    >>> fan = [[0, 2, 2], [0, 3, 2], [1, 2, 2], [1, 3, 2]]
    >>> census(fan, 4)
        id         adjacency  count
    0  204  0000000022002200      1
    >>> census(fan, 3)
       id  adjacency  count
    0   6  000000220      2
    1  36  000200200      2
    """
    edges = check_edges(edges)
    check_count("size", size, 3, 5)
    ids, texts, [counts] = _count(edges[None, :, 0], edges[None, :, 1], edges[:, 2], size)
    return _sorted(pd.DataFrame({"id": ids, "adjacency": texts, "count": counts}))


@dataclass(frozen=True)
class Ensemble:
    """Counts in a network and in random ones, K classes and R random networks."""

    classes: pd.DataFrame  #: ``id`` and ``adjacency``, K rows
    observed: np.ndarray  #: (K,)
    random: np.ndarray  #: (R, K)
    null: str

    def by_topology(self) -> Ensemble:
        """The same with the colourings of each class added up; ``adjacency`` without colours."""
        if self.classes.empty:
            return self
        size = len(self.classes["adjacency"].iloc[0])
        order = np.argsort(self.classes["id"].to_numpy(), kind="stable")
        ids, start = np.unique(self.classes["id"].to_numpy()[order], return_index=True)
        plain = pd.DataFrame({"id": ids, "adjacency": [format(i, f"0{size}b") for i in ids]})
        counts = np.vstack([self.observed, self.random]).take(order, 1)
        added = np.add.reduceat(counts, start, 1)
        return Ensemble(plain, added[0], added[1:], self.null)


def ensemble(
    edges: Array,
    size: int,
    *,
    null: str,
    n_random: int,
    rng: np.random.Generator,
    layers: Sequence[int] | None = None,
) -> Ensemble:
    """Counts of each coloured class in a network and in random ones.

    Parameters and errors are those of :func:`~winnow.metrics.motifs.significance`.
    """
    edges = check_edges(edges)
    check_count("size", size, 3, 5)
    random = random_networks(edges, null=null, n_random=n_random, rng=rng, layers=layers)
    sources, targets = (np.concatenate([edges[None, :, end], random[end]]) for end in (0, 1))
    level = None if null == "degree" else levels(edges, layers)
    ids, texts, counts = _count(sources, targets, edges[:, 2], size, level)
    found = pd.DataFrame({"id": ids, "adjacency": texts})
    return Ensemble(found, counts[0], counts[1:], null)


def significance(
    edges: Array,
    size: int,
    *,
    null: str,
    n_random: int = 100,
    rng: np.random.Generator,
    layers: Sequence[int] | None = None,
) -> pd.DataFrame:
    r"""How far each class's frequency is from that in random networks.

    .. math:: z = \frac{c - \bar c_\text{random}}{s_\text{random}}, \qquad
       p = \frac{1 + \#\{c_\text{random} \ge c\}}{1 + R}

    Under ``"degree"`` c is a concentration, the share among all connected subgraphs of the
    same network, as in FANMOD; otherwise a count.

    Parameters
    ----------
    edges, size
        As for :func:`~winnow.metrics.motifs.census`.
    null
        ``"degree"``, ``"layer"`` or ``"permutation"``, see :mod:`winnow.metrics.motifs.nulls`.
    n_random
        Random networks R, at least 2; p is never below 1 / (R + 1).
    layers
        Sizes of the layers, for the nulls that keep them. When not given they are guessed from the
        edges, see :func:`~winnow.metrics.motifs.nulls.levels`: pass them where they are known.

    Returns
    -------
    pandas.DataFrame
        ``id``, ``adjacency``, ``count`` as in the census; ``mean``, ``sd`` (divisor R - 1), ``z``
        and ``p`` as above; ``expected``, the mean count in random networks; ``q``, p corrected by
        Benjamini and Hochberg over the classes with enough expected; ``invariant``, whether all
        random networks agreed with it exactly. Where random networks do not differ among
        themselves, z is not a number; for an invariant neither is p, since nothing was tested.

    Raises
    ------
    ValueError
        If an argument is out of range, the edges do not fit the layers, or the null cannot change
        the network.

    Examples
    --------
    How many nodes three edges leave together is fixed by the degrees, which this null keeps:

    >>> fork = [[0, 4, 1], [1, 4, 1], [2, 5, 1], [3, 5, 1]]
    >>> rows = significance(fork, 3, null="layer", rng=np.random.default_rng(0))
    >>> rows[["id", "count", "mean", "z", "invariant"]]
       id  count  mean   z  invariant
    0  36      2   2.0 NaN       True
    """
    check_count("n_random", n_random, 2)
    return score(ensemble(edges, size, null=null, n_random=n_random, rng=rng, layers=layers))


def score(counted: Ensemble, *, absent: bool = False) -> pd.DataFrame:
    """The table of :func:`~winnow.metrics.motifs.significance` for counts that are at hand."""
    check_count("n_random", n_random := len(counted.random), 2)
    counts = np.vstack([counted.observed, counted.random])
    if counted.null == "degree":
        counts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    observed, random = counts[0], counts[1:]
    mean = random.mean(0)
    constant = (random == random[:1]).all(0)
    sd = np.where(constant, 0.0, random.std(0, ddof=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(constant, np.nan, (observed - mean) / sd)
    invariant = constant & (observed == random[0])
    tail = (1 + (random >= observed).sum(0)) / (1 + n_random)
    p = np.where(invariant, np.nan, tail)
    expected = counted.random.mean(0)
    q = np.full(len(p), np.nan)
    tested = (expected >= MIN_EXPECTED) & ~invariant
    q[tested] = stats.benjamini_hochberg(p[tested])
    frame = counted.classes.assign(
        count=counted.observed, mean=mean, sd=sd, z=z, p=p, expected=expected, q=q,
        invariant=invariant,
    )  # fmt: skip
    return _sorted(frame if absent else frame[frame["count"] > 0])


def most_significant(rows: pd.DataFrame, *, alpha: float = 0.05) -> pd.Series:
    """Largest z among a class's colourings with p below ``alpha``, by ``id``; 0 if there is none.

    The measure of :cite:p:`zambra2020`, who call it most significant motif. It looks at up to 45
    colourings without a correction, so it is above 0 by chance too.

    Parameters
    ----------
    rows
        As returned by :func:`~winnow.metrics.motifs.significance`.
    alpha
        Bound on p, which must be below it: with fewer than 20 random networks none is below 0.05,
        and all values are 0.
    """
    counted = rows["z"].where(rows["p"] < alpha)
    return counted.groupby(rows["id"]).max().fillna(0.0)


def check_edges(edges: Array) -> np.ndarray:
    """The edges as whole numbers ``(m, 3)``, if the census can take them.

    Raises
    ------
    ValueError
        Naming an edge that it cannot take, and why.
    """
    array = as_numpy(edges, None)
    if array.size == 0:
        raise ValueError("edges are empty: a census needs at least one")
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise ValueError(
            f"edges must be (m, 3), source, target and colour, or (m, 2), got {array.shape}"
        )
    if array.dtype.kind not in "iu":
        raise ValueError(f"edges must be whole numbers, got {array.dtype}")
    array = array.astype(np.int64)
    if array.shape[1] == 2:
        array = np.insert(array, 2, 1, axis=1)
    (source, target, colour), most = array.T, classes.MOST_COLOURS
    low, high = np.minimum(source, target), np.maximum(source, target)
    faults = (
        (low < 0, "has a negative node: number nodes from 0"),
        ((colour < 1) | (colour > most), f"has no colour from 1 to {most}"),
        (source == target, "is a loop: leave it out"),
        (_repeated(source, target), "is there twice: keep one"),
        (
            _repeated(low, high),
            "has one that runs against it: mutual edges have no classes here, and without either "
            "edge other motifs are counted",
        ),
    )
    for bad, why in faults:
        if bad.any():
            source, target, colour = array[bad.argmax()]
            raise ValueError(f"edge {source} -> {target} (colour {colour}) {why}")
    return array


def _count(
    sources: np.ndarray,
    targets: np.ndarray,
    colours: np.ndarray,
    size: int,
    level: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes that occur, number and representative, and their counts in each network.

    ``level`` holds the nodes' layers where all networks keep to them; the layers of a single
    network are looked for.
    """
    n_nodes, n_colours = int(max(sources.max(), targets.max())) + 1, int(colours.max())
    if n_nodes > 2 * sources.shape[-1]:  # few of the numbers occur: close the gaps
        nodes, ends = np.unique(np.stack([sources, targets]), return_inverse=True)
        n_nodes, (sources, targets) = len(nodes), ends.reshape(2, *sources.shape)
        level = None if level is None else level[nodes]
    # The slower way takes 60 times as long for large layers, 20 times for small ones (benchmarks).
    effort = len(sources) * enumeration.seconds(sources[0], targets[0], size)
    if size < 5 and effort > layered.LEAST_SECONDS:
        if len(sources) == 1:
            level = own_levels(sources[0], targets[0])
        if level is not None and effort > layered.seconds(
            np.bincount(level), size, n_colours, n_networks=len(sources)
        ):
            return layered.count(sources, targets, colours, level, size)
    memory.require(n_nodes**2, f"a census of {n_nodes} nodes")
    return enumeration.table(size, n_colours).count(sources, targets, colours, n_nodes)


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    order = np.lexsort([frame["adjacency"], frame["id"], -frame["count"]])
    return frame.iloc[order].reset_index(drop=True)


def _repeated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which pairs come a second time."""
    return pd.DataFrame({"a": a, "b": b}).duplicated().to_numpy()
