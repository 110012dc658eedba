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
from scipy.sparse import csgraph

from winnow.arrays import check_count, finite

#: Points in each cloud, the clouds' centres, the variance along each axis, and how often to melt.
CLOUDS = (8, 7, 9, 7)
CENTRES = ((1.0, 1.0), (1.0, 51.0), (51.0, 1.0), (51.0, 51.0))
VARIANCE = 8.0
N_TEMPERATURES = 15

#: Probability to turn right at the nodes of a tree's path, from the root on.
TURNS = (0.5, 0.3, 0.3, 0.3)

#: Shares of rows to test with, and of the others for validation.
TEST, VALIDATION = 0.3, 0.1


@dataclass(frozen=True, eq=False)
class Patterns:
    """Inputs, each with the number of its class."""

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
        return len(self.inputs.unique(dim=0))

    def rows(self, which: torch.Tensor) -> Patterns:
        """Those rows that a mask or a list of numbers picks."""
        return dataclasses.replace(self, inputs=self.inputs[which], labels=self.labels[which])


@dataclass(frozen=True, eq=False)
class Split:
    """Patterns to train and to test with."""

    train: Patterns
    test: Patterns


def tree(n_rows: int = 2000, *, rng: np.random.Generator) -> Patterns:
    """Nodes of a complete binary tree with one active path, +1 on it and −1 elsewhere.

    The root is +1 or −1 with the same probability, and a sign only: the path starts at its left
    child if it is +1, at its right child if it is −1. From there on it turns right with probability
    0.3 at each node :cite:p:`zambra2020`. Features are the 31 nodes level by level, each from left
    to right, and there are 16 distinct rows.

    Parameters
    ----------
    n_rows
        Rows, at least 1.
    rng
        Where the draws come from.

    Returns
    -------
    Patterns
        Labels are the places of the active node on the third level from the left, so that they
        mean the same for every draw; the authors number classes by first appearance. Shares of
        the four classes are .35, .15, .35 and .15.

    Raises
    ------
    ValueError
        If the number of rows is out of range.

    Examples
    --------
    >>> few = tree(5, rng=np.random.default_rng(0))
    >>> few.inputs[0, :7].tolist(), few.labels[0].item()
    ([1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0], 1)
    """
    check_count("n_rows", n_rows)
    right = torch.from_numpy(rng.random((n_rows, len(TURNS))) < TURNS)
    inputs = torch.full((n_rows, 2 ** (len(TURNS) + 1) - 1), -1.0)
    places = [torch.zeros(n_rows, dtype=torch.int64)]  # on a level, from the left
    for level, turn in enumerate(right.T, 1):
        places.append(2 * places[-1] + turn)
        inputs[torch.arange(n_rows), 2**level - 1 + places[-1]] = 1.0
    inputs[~right[:, 0], 0] = 1.0
    return Patterns(inputs, places[2], n_classes=4)


def cluster_graph(
    *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Four clouds of 31 points, the complete graph between them melted down to some 40 edges.

    An edge's strength is one over its length, and temperature rises in 15 equal steps from the
    smallest to the largest length. At each step the edges weaker than one over the temperature go,
    except that the edge after one that goes is passed over: the authors remove entries from the
    list that they walk along. Without this quirk, the first step would leave one edge. Edges lead
    from the point of the lower number to that of the higher, and a point's value is the number of
    its ancestors, or 1 if it has none :cite:p:`zambra2020`. The paper speaks of topological
    ordering values; the authors' code counts ancestors.

    Returns
    -------
    points : numpy.ndarray
        ``(31, 2)``.
    cluster : numpy.ndarray
        Which cloud each point was drawn from, ``(31,)`` in int64.
    edges : numpy.ndarray
        Source before target, in ascending order, ``(m, 2)`` in int64.
    values : numpy.ndarray
        Of each point, ``(31,)`` in int64.
    """
    cluster = np.repeat(np.arange(len(CLOUDS)), CLOUDS)
    spread = math.sqrt(VARIANCE) * rng.standard_normal((len(cluster), 2))
    points = np.array(CENTRES)[cluster] + spread
    edges = _melted(points, np.stack(np.triu_indices(len(points), 1), 1))
    leads = np.zeros((len(points), len(points)))
    leads[edges[:, 0], edges[:, 1]] = 1
    n_ancestors = np.isfinite(csgraph.shortest_path(leads)).sum(0) - 1  # all lead to themselves
    return points, cluster, edges, np.maximum(n_ancestors, 1)


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


def clusters(n_rows: int = 2000, *, rng: np.random.Generator) -> Patterns:
    """The values of one cluster's points, −1 elsewhere; all four clusters equally likely.

    Nothing else is random: rows of one label are equal, and there are four distinct ones
    :cite:p:`zambra2020`. Values are not normalised.

    Parameters
    ----------
    n_rows
        Rows, at least 1.
    rng
        Where the :func:`~winnow.data.patterns.cluster_graph` comes from, and labels after it.
    """
    check_count("n_rows", n_rows)
    _, cluster, _, values = cluster_graph(rng=rng)
    kinds = np.arange(len(CLOUDS))[:, None]
    each = torch.from_numpy(np.where(cluster == kinds, values, -1)).float()
    labels = torch.from_numpy(rng.integers(len(CLOUDS), size=n_rows))
    return Patterns(each[labels], labels, n_classes=len(CLOUDS))


def digits() -> Patterns:
    """1797 handwritten digits of 8 x 8 pixels from 0 to 1, ten classes, from scikit-learn."""
    from sklearn import datasets  # here, because it takes a second that most need not wait

    pixels, labels = datasets.load_digits(return_X_y=True)
    return Patterns(pixels / 16, labels, n_classes=10)


def split(patterns: Patterns, *, rng: np.random.Generator) -> Split:
    """Rows in random order: 30 % for testing, and all but a tenth of the others for training.

    The tenth is for validation in the paper; nothing here is chosen by it. Both shares are rounded
    up.

    Parameters
    ----------
    patterns
        N rows.
    rng
        Where the order comes from.

    Raises
    ------
    ValueError
        If no row is left to train with.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> parts = split(tree(2000, rng=rng), rng=rng)
    >>> [len(part.labels) for part in (parts.train, parts.test)]
    [1260, 600]
    """
    n = len(patterns.labels)
    n_test = math.ceil(TEST * n - 1e-9)  # 0.3 * 10 may be a little above 3
    n_train = n - n_test - math.ceil(VALIDATION * (n - n_test) - 1e-9)
    if n_train < 1:
        raise ValueError(f"a row or more must be left to train with, got {n} to split")
    order = torch.from_numpy(rng.permutation(n))
    tested, trained = order[:n_test], order[n_test : n_test + n_train]
    return Split(patterns.rows(trained), patterns.rows(tested))


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
