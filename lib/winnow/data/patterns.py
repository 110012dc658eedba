"""Labelled patterns: a tree and clusters rebuilt by their rules, and handwritten digits.

The tree and the clusters are those of :cite:t:`zambra2020`. They have few distinct rows, so that a
random split puts the same rows into training and testing; :func:`~winnow.data.hold_out` does not.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch

from winnow import memory
from winnow.arrays import Array, as_numpy, check_count, finite

#: Points in each cloud, the clouds' centres, the variance along each axis, and how often to melt.
CLOUDS = (8, 7, 9, 7)
CENTRES = ((1.0, 1.0), (1.0, 51.0), (51.0, 1.0), (51.0, 51.0))
VARIANCE = 8.0
N_TEMPERATURES = 15


@dataclass(frozen=True, eq=False)
class Patterns:
    """Inputs, each with the number of its class."""

    name: str
    inputs: torch.Tensor  #: (N, D) in float32
    labels: torch.Tensor  #: (N,) in int64, from 0 on
    n_classes: int

    def __post_init__(self) -> None:
        """Take arrays of any kind and layout, and labels in any numbers that are whole."""
        inputs, labels = finite(self.inputs, "inputs", axes=2), finite(self.labels, "labels")
        if labels.shape != inputs.shape[:1]:
            got = f"{len(inputs)} inputs and labels of shape {tuple(labels.shape)}"
            raise ValueError(f"labels must be one for each input, got {got}")
        whole = labels.long()
        if bool((bad := (whole != labels) | (whole < 0) | (whole >= self.n_classes)).any()):
            allowed = f"whole numbers in [0, {self.n_classes - 1}]"
            raise ValueError(f"labels must be {allowed}, got {labels[bad][0].item()}")
        object.__setattr__(self, "inputs", inputs.float())
        object.__setattr__(self, "labels", whole)

    @property
    def n_distinct(self) -> int:
        """How many rows differ from each other."""
        return distinct_rows(self.inputs)

    def rows(self, which: torch.Tensor) -> Patterns:
        """Those rows that a mask or a list of numbers picks."""
        return dataclasses.replace(self, inputs=self.inputs[which], labels=self.labels[which])


@dataclass(frozen=True, eq=False)
class Split:
    """Patterns to train with, to stop or choose by, and to test with."""

    train: Patterns
    validation: Patterns
    test: Patterns


@dataclass(frozen=True, eq=False)
class ClusterGraph:
    """Points in four clouds and the graph that is left of the complete one between them."""

    points: np.ndarray  #: (31, 2)
    cluster: np.ndarray  #: (31,) in int64; which cloud a point was drawn from
    edges: np.ndarray  #: (m, 2) in int64; source before target, in ascending order
    values: np.ndarray  #: (31,) in int64; ancestors of a point, or 1 if it has none


def distinct_rows(inputs: Array) -> int:
    """How many rows of ``(N, ...)`` differ from each other.

    Examples
    --------
    >>> distinct_rows(np.array([[0.0, 1.0], [1.0, 0.0], [-0.0, 1.0]]))
    2
    """
    rows = as_numpy(finite(inputs, "inputs", axes=1), None)
    return len({row.tobytes() for row in rows + 0})  # -0 + 0 is 0


def tree(
    n_rows: int = 2000,
    *,
    rng: np.random.Generator,
    n_levels: int = 5,
    flip: float = 0.3,
    label_levels: int = 2,
) -> Patterns:
    """Nodes of a complete binary tree with one active path, +1 on it and −1 elsewhere.

    The root is +1 or −1 with the same probability, and a sign only: the path starts at its left
    child if it is +1, at its right child if it is −1. From there on it turns right with probability
    ``flip`` at each node :cite:p:`zambra2020`. Features are the nodes level by level, each from
    left to right.

    Parameters
    ----------
    n_rows
        Rows, at least 1.
    rng
        Where the draws come from.
    n_levels
        Levels of the tree, in [2, 12]: :math:`2^{n} - 1` features and at most :math:`2^{n-1}`
        distinct rows.
    flip
        Probability to turn right, in [0, 1].
    label_levels
        Level l whose active node is the label, in [1, ``n_levels`` − 1]: :math:`2^{l}` classes.

    Returns
    -------
    Patterns
        Labels are the places on that level from the left, so that they mean the same for every
        draw; the authors number classes by first appearance. Shares of the four classes of the
        defaults are .35, .15, .35 and .15.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> few = tree(99, rng=np.random.default_rng(0), n_levels=3, flip=0)
    >>> few.inputs.unique(dim=0).tolist()
    [[-1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, 1.0, -1.0, -1.0, -1.0]]
    """
    if not 0 <= flip <= 1:
        raise ValueError(f"flip must be in [0, 1], got {flip}")
    check_count("n_rows", n_rows, 1)
    check_count("n_levels", n_levels, 2, 12)
    check_count("label_levels", label_levels, 1, n_levels - 1)
    memory.require(n_rows * 2**n_levels * 4, f"{n_rows} rows of a tree of {n_levels} levels")
    bars = np.array([0.5] + [flip] * (n_levels - 2))
    right = rng.random((n_rows, n_levels - 1)) < bars
    inputs = torch.full((n_rows, 2**n_levels - 1), -1.0)
    place = torch.zeros(n_rows, dtype=torch.int64)  # on a level, from the left
    for level, turn in enumerate(torch.from_numpy(right).T, 1):
        place = 2 * place + turn
        inputs[torch.arange(n_rows), 2**level - 1 + place] = 1.0
        if level == label_levels:
            labels = place
    inputs[~torch.from_numpy(right[:, 0]), 0] = 1.0
    return Patterns("tree", inputs, labels, n_classes=2**label_levels)


def cluster_graph(*, rng: np.random.Generator) -> ClusterGraph:
    """Four clouds of 31 points, the complete graph between them melted down to some 40 edges.

    An edge's strength is one over its length, and temperature rises in 15 equal steps from the
    smallest to the largest length. At each step the edges weaker than one over the temperature go,
    except that the edge after one that goes is passed over: the authors remove entries from the
    list that they walk along. Without this quirk, the first step would leave one edge. Edges lead
    from the point of the lower number to that of the higher, and a point's value is the number of
    its ancestors, or 1 if it has none :cite:p:`zambra2020`. The paper speaks of topological
    ordering values; the authors' code counts ancestors.
    """
    cluster = np.repeat(np.arange(len(CLOUDS)), CLOUDS)
    spread = math.sqrt(VARIANCE) * rng.standard_normal((len(cluster), 2))
    points = np.array(CENTRES)[cluster] + spread
    edges = _melted(points, np.stack(np.triu_indices(len(points), 1), 1))
    values = np.maximum(_n_ancestors(edges, len(points)), 1)
    return ClusterGraph(points, cluster, edges, values)


def _melted(points: np.ndarray, edges: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    for temperature in np.linspace(length.min(), length.max(), N_TEMPERATURES):
        stays = _passed(length > temperature)
        edges, length = edges[stays], length[stays]
    return edges


def _passed(weak: np.ndarray) -> np.ndarray:
    """Which entries are left by a walk along a list that loses each weak entry it comes to."""
    stays, was_removed = [], False
    for is_weak in weak.tolist():
        was_removed = is_weak and not was_removed
        stays.append(not was_removed)
    return np.array(stays)


def _n_ancestors(edges: np.ndarray, n: int) -> np.ndarray:
    """How many nodes lead to each, ``(n,)``, for edges that ascend in source and lead upwards."""
    above = np.zeros((n, n), bool)  # [node, ancestor]
    for source, target in edges:  # all that leads to a source came before it
        above[target] |= above[source]
        above[target, source] = True
    return above.sum(1)


def clusters(
    n_rows: int = 2000, *, rng: np.random.Generator, graph: ClusterGraph | None = None
) -> Patterns:
    """The values of one cluster's points, −1 elsewhere; all four clusters equally likely.

    Nothing else is random: rows of one label are equal, and there are four distinct ones
    :cite:p:`zambra2020`. Values are not normalised.

    Parameters
    ----------
    n_rows
        Rows, at least 1.
    rng
        Where labels come from, and the graph before them.
    graph
        The graph; when not given, the :func:`~winnow.data.cluster_graph` of the same stream.

    """
    check_count("n_rows", n_rows, 1)
    graph = cluster_graph(rng=rng) if graph is None else graph
    kinds = np.arange(len(CLOUDS))[:, None]
    each = torch.from_numpy(np.where(graph.cluster == kinds, graph.values, -1)).float()
    labels = torch.from_numpy(rng.integers(len(CLOUDS), size=n_rows))
    return Patterns("clusters", each[labels], labels, n_classes=len(CLOUDS))


def digits() -> Patterns:
    """1797 handwritten digits of 8 x 8 pixels from 0 to 1, ten classes, from scikit-learn."""
    from sklearn import datasets  # here, because it takes a second that most need not wait

    pixels, labels = datasets.load_digits(return_X_y=True)
    inputs = torch.from_numpy(pixels / 16).float()
    return Patterns("digits", inputs, torch.from_numpy(labels).long(), n_classes=10)


def split(
    patterns: Patterns, *, rng: np.random.Generator, test: float = 0.3, validation: float = 0.1
) -> Split:
    """Rows in random order, dealt out to testing, training and validation.

    Parameters
    ----------
    patterns
        N rows.
    rng
        Where the order comes from.
    test
        Share of rows to test with, in [0, 1), rounded up.
    validation
        Share of the others that is left for validation, in [0, 1), rounded up: the last ones.

    Raises
    ------
    ValueError
        If a share is out of range or no row is left to train with.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> parts = split(tree(2000, rng=rng), rng=rng)
    >>> [len(part.labels) for part in (parts.train, parts.validation, parts.test)]
    [1260, 140, 600]
    """
    for name, share in (("test", test), ("validation", validation)):
        if not 0 <= share < 1:
            raise ValueError(f"{name} must be in [0, 1), got {share}")
    n = len(patterns.labels)
    n_test = math.ceil(test * n - 1e-9)  # 0.07 * 100 is 7.000000000000001
    n_validation = math.ceil(validation * (n - n_test) - 1e-9)
    if n_test + n_validation >= n:
        got = f"test={test} and validation={validation} of {n} rows"
        raise ValueError(f"a row or more must be left to train with, got {got}")
    order = torch.from_numpy(rng.permutation(n))
    sizes = (n_test, n - n_test - n_validation, n_validation)
    tested, trained, validated = (patterns.rows(rows) for rows in order.split(sizes))
    return Split(trained, validated, tested)


def hold_out(patterns: Patterns, fold: int) -> tuple[Patterns, Patterns]:
    """Patterns kept and held out: all rows equal to one distinct row of each class.

    What is held out was never seen in training. The distinct rows of a class are numbered in
    descending order, by the first feature in which they differ; for the tree these are the leaves
    from left to right, four in each class.

    Parameters
    ----------
    patterns
        Each class with two distinct rows or more.
    fold
        Which distinct row of each class, from 0 to one less than the fewest that a class has.

    Raises
    ------
    ValueError
        If a class has fewer than two distinct rows, or the fold is out of range.

    Examples
    --------
    >>> kept, held = hold_out(tree(rng=np.random.default_rng(0)), 0)
    >>> kept.n_distinct, held.n_distinct
    (12, 4)
    """
    _, which = patterns.inputs.unique(dim=0, return_inverse=True)
    of_class = [which[patterns.labels == k].unique().flip(0) for k in range(patterns.n_classes)]
    fewest = min(len(rows) for rows in of_class)
    if fewest < 2:
        raise ValueError(f"each class must have 2 distinct rows or more, one has {fewest}")
    check_count("fold", fold, 0, fewest - 1)
    held = torch.isin(which, torch.stack([rows[fold] for rows in of_class]))
    return patterns.rows(~held), patterns.rows(held)
