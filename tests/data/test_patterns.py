"""The tree, the clusters and digits are as their rules say, and so are parts of them."""

import math
import socket
from collections import namedtuple

import networkx as nx
import numpy as np
import pytest
import torch
from scipy import stats

from winnow import data
from winnow.data import patterns


def rng(seed=0):
    return np.random.default_rng(seed)


def made(name, n_rows=2000, seed=0):
    return {"tree": data.tree, "clusters": data.clusters}[name](n_rows, rng=rng(seed))


Graph = namedtuple("Graph", ["points", "cluster", "edges", "values"])


def graph_of(seed):
    return Graph(*patterns.cluster_graph(rng=rng(seed)))


def paths(levels):
    """All rows of a tree and their probabilities from the leaf's place, by walking down."""
    found = {}
    for leaf in range(2 ** (levels - 1)):
        turns = [leaf >> k & 1 for k in range(levels - 2, -1, -1)]
        row = [-1] * (2**levels - 1)
        row[0] = 1 - 2 * turns[0]
        node, probability = 0, 0.5
        for depth, turn in enumerate(turns):
            node = 2 * node + 1 + turn
            row[node] = 1
            probability *= 1 if depth == 0 else (0.3 if turn else 0.7)
        found[tuple(row)] = (leaf, probability)
    return found


# --- the tree -----------------------------------------------------------------------------------


def test_rows_of_a_tree_are_its_paths_with_their_probabilities():
    x = made("tree", 40_000)
    expected = paths(5)
    leaves = [expected[tuple(row)][0] for row in x.inputs.int().tolist()]
    counts = np.bincount(leaves, minlength=len(expected))
    shares = np.array([p for _, p in expected.values()])
    assert shares.sum() == pytest.approx(1)
    assert stats.chisquare(counts, 40_000 * shares).pvalue > 1e-4


def test_the_tree_of_the_paper():
    x = made("tree")
    assert x.inputs.shape == (2000, 31)
    assert x.inputs.dtype == torch.float32
    assert x.labels.shape == (2000,)
    assert x.labels.dtype == torch.int64
    assert x.n_classes == 4
    assert x.n_distinct == 16
    assert set(x.inputs.unique().tolist()) == {-1, 1}
    assert (x.inputs[:, 15:] == 1).sum(1).tolist() == [1] * 2000
    authors = [708, 291, 694, 307]  # as stored with the paper, by first appearance
    shares = np.array([0.35, 0.15, 0.35, 0.15])
    for counts in (x.labels.bincount().numpy(), authors):
        assert stats.chisquare(counts, 2000 * shares).pvalue > 1e-4


def test_labels_are_the_distinct_patterns_of_the_first_features():
    x = made("tree")
    first = x.inputs[:, :7]
    assert x.n_classes == 4 == len(first.unique(dim=0))
    both = torch.cat([first, x.labels[:, None].float()], 1)
    assert len(both.unique(dim=0)) == x.n_classes
    place = first[:, 3:].argmax(1)  # from the left
    assert (place == x.labels).all()


def test_labels_mean_the_same_for_every_seed():
    seen = {}
    for seed in range(5):
        x = made("tree", seed=seed)
        for row, label in zip(x.inputs.tolist(), x.labels.tolist(), strict=True):
            assert seen.setdefault(tuple(row), label) == label
    assert len(seen) == 16


# --- the clusters -------------------------------------------------------------------------------


def melted_by_a_list(points):
    """The published loop: entries are removed from the list that is being walked along."""
    edges = [(a, b) for a in range(len(points)) for b in range(a + 1, len(points))]
    strength = {(a, b): 1 / math.dist(points[a], points[b]) for a, b in edges}
    weakest, strongest = min(strength.values()), max(strength.values())
    for temperature in np.linspace(1 / strongest, 1 / weakest, 15):
        for edge in edges:
            if strength[edge] < 1 / temperature - 1e-12:
                edges.remove(edge)
    return edges


@pytest.mark.parametrize("seed", range(6))
def test_the_graph_melts_like_a_list_that_is_walked_along(seed):
    graph = graph_of(seed)
    assert graph.edges.tolist() == [list(edge) for edge in melted_by_a_list(graph.points)]
    network = nx.DiGraph(graph.edges.tolist())
    network.add_nodes_from(range(31))
    ancestors = [max(1, len(nx.ancestors(network, node))) for node in range(31)]
    assert graph.values.tolist() == ancestors


def test_passing_over_the_entry_after_one_that_goes():
    weak = np.array([1, 1, 1, 0, 1, 0, 1, 1], bool)
    assert patterns._passed(weak).tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert patterns._passed(np.zeros(3, bool)).all()


def test_clouds_and_edges_are_those_of_the_paper():
    found = [graph_of(seed) for seed in range(60)]
    for graph in found:
        assert np.bincount(graph.cluster).tolist() == [8, 7, 9, 7]
        assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
        between = graph.cluster[graph.edges]
        assert (between[:, 0] == between[:, 1]).all()
        assert graph.values.min() == 1
        assert graph.values.max() <= 8
    sizes = [len(graph.edges) for graph in found]
    assert min(sizes) > 30
    assert max(sizes) < 55
    assert 41 <= np.median(sizes) <= 46  # three graphs made by the authors' rule had 41 to 46
    centres = np.array([(1, 1), (1, 51), (51, 1), (51, 51)])
    spread = np.array([graph.points - centres[graph.cluster] for graph in found])
    n = spread.size
    assert abs(spread.mean()) < 5 * math.sqrt(8 / n)
    assert abs(spread.var() - 8) < 5 * 8 * math.sqrt(2 / n)
    assert abs((spread[..., 0] * spread[..., 1]).mean()) < 5 * 8 / math.sqrt(n / 2)


def test_a_row_of_clusters_is_its_label():
    x = made("clusters", 4000, seed=3)
    graph = graph_of(3)
    assert x.inputs.shape == (4000, 31)
    assert x.inputs.dtype == torch.float32
    assert x.labels.dtype == torch.int64
    assert (x.n_classes, x.n_distinct) == (4, 4)
    for row, label in zip(x.inputs.tolist()[:50], x.labels.tolist(), strict=False):
        for k, value in enumerate(row):
            assert value == (graph.values[k] if graph.cluster[k] == label else -1)
    assert stats.chisquare(x.labels.bincount().numpy()).pvalue > 1e-4


@pytest.mark.parametrize("name", ["tree", "clusters"])
def test_draws_are_repeated_by_their_stream_only(name):
    one, again, other = (made(name, 200, seed) for seed in (1, 1, 2))
    assert torch.equal(one.inputs, again.inputs)
    assert torch.equal(one.labels, again.labels)
    assert not torch.equal(one.labels, other.labels)
    assert made(name, 1).inputs.shape == (1, 31)


# --- digits and parts ---------------------------------------------------------------------------


def test_digits_come_without_a_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    x = data.digits()
    assert x.inputs.shape == (1797, 64)
    assert x.inputs.dtype == torch.float32
    assert (x.inputs.min(), x.inputs.max()) == (0, 1)
    assert x.labels.dtype == torch.int64
    assert x.labels[:10].tolist() == list(range(10))
    assert x.n_classes == 10
    assert x.inputs[0, :4].tolist() == [0, 0, 5 / 16, 13 / 16]


def numbered(n):
    inputs = torch.arange(n)[:, None].float()
    return data.Patterns(inputs, torch.arange(n) % 3, n_classes=3)


@pytest.mark.parametrize(
    ("n", "sizes"), [(2000, [1260, 600]), (1797, [1131, 540]), (10, [6, 3]), (3, [1, 1])]
)
def test_a_split_deals_a_row_to_one_part_at_most(n, sizes):
    whole = numbered(n)
    before = whole.inputs.clone()
    found = data.split(whole, rng=rng())
    parts = [found.train, found.test]
    assert [len(part.labels) for part in parts] == sizes
    assert [part.inputs.shape for part in parts] == [(size, 1) for size in sizes]
    together = torch.cat([part.inputs for part in parts])[:, 0]
    assert len(together.unique()) == sum(sizes)
    for part in parts:
        assert (part.labels == part.inputs[:, 0] % 3).all()
        assert part.n_classes == 3
    assert torch.equal(whole.inputs, before)


def test_a_split_has_the_sizes_of_scikit_learn():
    from sklearn.model_selection import train_test_split

    for n in (7, 99, 1797, 2000):
        train, test = train_test_split(np.arange(n), test_size=0.3, random_state=20)
        found = data.split(numbered(n), rng=rng())
        assert len(found.test.labels) == len(test)
        assert len(found.train.labels) == math.floor(0.9 * len(train))


def test_a_split_is_random():
    found = [data.split(numbered(50), rng=rng(seed)) for seed in range(400)]
    places = np.array([split.test.inputs[:, 0].numpy() for split in found]).astype(int)
    counts = np.bincount(places.ravel(), minlength=50)
    assert stats.chisquare(counts).pvalue > 1e-4
    assert (np.diff(places[0]) < 0).any()


def test_what_is_held_out_is_never_seen():
    x = made("tree")
    seen = []
    for fold in range(4):
        kept, held = data.hold_out(x, fold)
        assert len(kept.labels) + len(held.labels) == 2000
        assert (kept.n_distinct, held.n_distinct) == (12, 4)
        assert held.labels.unique().tolist() == kept.labels.unique().tolist() == [0, 1, 2, 3]
        assert len(torch.cat([kept.inputs, held.inputs]).unique(dim=0)) == 16
        leaves = held.inputs[:, 15:].argmax(1)
        assert (leaves == 4 * held.labels + fold).all()  # from left to right
        seen.append(held.inputs)
    assert sum(map(len, seen)) == 2000
    assert len(torch.cat(seen).unique(dim=0)) == 16


def test_a_row_of_two_classes_is_held_out_of_both():
    inputs = torch.tensor([[3.0], [2.0], [3.0], [1.0]])
    x = data.Patterns(inputs, torch.tensor([0, 0, 1, 1]), n_classes=2)
    kept, held = data.hold_out(x, 0)
    assert held.inputs[:, 0].tolist() == [3, 3]
    kept, held = data.hold_out(x, 1)
    assert kept.inputs[:, 0].tolist() == [3, 3]


def test_distinct_rows_are_counted_by_value():
    x = np.array([[0.0, 1], [-0.0, 1], [1, 0], [1, 0]])
    assert data.Patterns(x, np.zeros(4), n_classes=1).n_distinct == 2


# --- arrays of any kind and layout --------------------------------------------------------------

LAYOUTS = {
    "reversed": lambda a: a[::-1].copy()[::-1],
    "every other": lambda a: np.repeat(a, 2, 0)[::2],
    "by column": np.asfortranarray,
    "foreign": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "tensor": torch.from_numpy,
}


def read_only(array):
    array = array.copy()
    array.setflags(write=False)
    return array


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("layout", [*LAYOUTS.values(), read_only], ids=[*LAYOUTS, "read-only"])
@pytest.mark.parametrize("dtype", ["int64", "int16", "uint8", "float32", "float64"])
def test_patterns_take_arrays_of_any_kind_and_layout(layout, dtype):
    expected = made("tree", 60)
    inputs = layout(expected.inputs.numpy().astype("float64"))
    labels = layout(expected.labels.numpy().astype(dtype))
    found = data.Patterns(inputs, labels, n_classes=4)
    assert (found.inputs.dtype, found.labels.dtype) == (torch.float32, torch.int64)
    assert torch.equal(found.inputs, expected.inputs)
    assert torch.equal(found.labels, expected.labels)
    assert found.n_distinct == expected.n_distinct
    for one, other in (
        (data.hold_out(found, 1), data.hold_out(expected, 1)),
        (data.split(found, rng=rng()), data.split(expected, rng=rng())),
    ):
        pairs = zip(one, other, strict=True) if isinstance(one, tuple) else [(one.test, other.test)]
        assert all(torch.equal(a.inputs, b.inputs) for a, b in pairs)


def patterns_of(inputs, labels, n_classes=3):
    return lambda: data.Patterns(np.asarray(inputs), np.asarray(labels), n_classes)


# --- what is refused ----------------------------------------------------------------------------

REFUSED = {
    "rows": (lambda: made("tree", 0), "n_rows must be 1 or larger, got 0"),
    "rows of clusters": (lambda: made("clusters", -2), "n_rows must be 1 or larger, got -2"),
    "no rows left": (
        lambda: data.split(numbered(2), rng=rng()),
        "left to train with, got 2 to split",
    ),
    "nan": (patterns_of([[1.0, math.nan]], [0]), "inputs must be finite"),
    "infinite": (patterns_of([[1.0, -math.inf]], [0]), "inputs must be finite"),
    "nan label": (patterns_of([[1.0], [2]], [0, math.nan]), "labels must be finite"),
    "half label": (
        patterns_of([[1.0]], [0.5]),
        r"labels must be whole numbers in \[0, 2\], got 0.5",
    ),
    "label 3": (patterns_of([[1.0], [2]], [0, 3]), r"whole numbers in \[0, 2\], got 3"),
    "label -1": (patterns_of([[1.0], [2]], [-1, 0]), r"whole numbers in \[0, 2\], got -1"),
    "few labels": (patterns_of([[1.0], [2]], [0]), r"2 inputs and labels of shape \(1,\)"),
    "flat inputs": (patterns_of([1.0, 2], [0, 1]), r"inputs must have 2 axes or more"),
    "part of a row": (lambda: made("tree", 2.5), "n_rows must be a whole number, got 2.5"),
    "fold": (lambda: data.hold_out(made("tree"), 4), r"fold must be in \[0, 3\], got 4"),
    "fold -1": (lambda: data.hold_out(made("tree"), -1), r"fold must be in \[0, 3\], got -1"),
    "one row": (lambda: data.hold_out(made("clusters"), 0), "2 distinct rows or more, one has 1"),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_out_of_range_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
