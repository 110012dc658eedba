"""Layered networks are counted by matrix products as by enumeration and by looking at all nodes."""

import itertools
import math
import re
from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

from shared import zambra
from winnow import memory
from winnow.metrics import motifs
from winnow.metrics.motifs import classes, enumeration, layered, nulls

CELLS = [f"{a}_{b}" for a in ("normal", "orth", "glorot") for b in ("init", "tree", "clus")]


def network(layers, *, seed=0, density=0.5, n_colours=3, lead=(), dtype=np.int64):
    """Colour matrices at random; a density for each block, or one for all."""
    rng = np.random.default_rng(seed)
    shapes = list(zip(layers[1:], layers, strict=False))
    stack = []
    for shape, share in zip(shapes, np.broadcast_to(density, len(shapes)), strict=True):
        colours = rng.integers(1, n_colours + 1, (*lead, *shape))
        stack.append(np.where(rng.random(colours.shape) < share, colours, 0).astype(dtype))
    return stack


def full(layers):
    return network(layers, density=1.0, n_colours=1)


def edges_of(stack):
    """Source, target and colour of each edge, units numbered layer by layer."""
    first, edges = 0, []
    for block in stack:
        target, source = np.nonzero(block)
        ends = source + first, target + first + block.shape[1], block[target, source]
        edges.append(np.stack(ends, 1))
        first += block.shape[1]
    return np.concatenate(edges).astype(np.int64)


@pytest.fixture
def by(monkeypatch):
    """Makes the census take one of its two routes."""

    def take(route):
        price = {"products": 1e9, "enumeration": 0.0}[route]
        monkeypatch.setattr(enumeration, "_SECONDS", price)

    return take


class Counted(NamedTuple):
    classes: pd.DataFrame
    counts: np.ndarray


def layered_counts(stack, size=4, *, n_colours=None):
    """Counts of one network, or of several side by side, with a frame of the classes."""
    lead = stack[0].shape[:-2]
    several = [w if lead else w[None] for w in stack]
    met = max((int(w.max()) for w in stack if w.size), default=1)
    options = {"n_colours": n_colours or max(1, met)}
    ids, adjacency, counts = layered.layered_counts(several, size, **options)
    assert counts.dtype == np.int64
    return Counted(pd.DataFrame({"id": ids, "adjacency": adjacency}), counts if lead else counts[0])


def layered_census(stack, size=4):
    """The counts as a table like the census's."""
    found = layered_counts(stack, size)
    frame = found.classes.assign(count=np.asarray(found.counts))
    order = ["count", "id", "adjacency"]
    return frame[frame["count"] > 0].sort_values(
        order, ascending=[False, True, True], ignore_index=True
    )


def n_layered_classes(c, size=4):
    """Classes by the numbers of colourings up to symmetry (Burnside's lemma for the last two)."""
    two = c * (c + 1) // 2
    if size == 3:
        return 2 * two + c**2
    symmetric = (c**4 + 3 * c**2) // 4 + (c**4 + c**2) // 2
    return 2 * math.comb(c + 2, 3) + 2 * c * two + 4 * c**3 + symmetric


def canonical(matrix):
    """The same for two coloured digraphs exactly if they are isomorphic."""
    orders = itertools.permutations(range(len(matrix)))
    return min(tuple(matrix[np.ix_(order, order)].ravel()) for order in orders)


def connected(matrix):
    reach = np.eye(len(matrix), dtype=int) + matrix + matrix.T
    return (np.linalg.matrix_power(reach, len(matrix)) > 0).all()


def brute_force(stack, size):
    """Connected induced subgraphs by class, all choices of nodes looked at."""
    n = stack[0].shape[1] + sum(map(len, stack))
    whole = np.zeros((n, n), np.int64)
    for source, target, colour in edges_of(stack):
        whole[source, target] = colour
    parts = (whole[np.ix_(x, x)] for x in itertools.combinations(range(n), size))
    return Counter(canonical(part) for part in parts if connected(part))


def matrix_of(text):
    size = math.isqrt(len(text))
    return np.array([int(digit) for digit in text]).reshape(size, size)


def occurring(found):
    return {
        canonical(matrix_of(text)): int(count)
        for text, count in zip(found.classes["adjacency"], found.counts, strict=True)
        if count
    }


# --- two other ways to count --------------------------------------------------------------------

TINY = {
    "two layers": ((5, 4), 0.6),
    "three": ((3, 4, 3), 0.6),
    "narrow first": ((1, 4, 4), 0.7),
    "narrow middle": ((4, 1, 4), 0.8),
    "wide middle": ((2, 7, 2), 0.7),
    "four": ((3, 3, 3, 2), 0.6),
    "five": ((2, 3, 2, 3, 2), 0.7),
    "single units": ((1, 1, 1, 1, 1, 1), 1.0),
    "an empty block": ((3, 3, 3, 3), [0.8, 0.0, 0.8]),
}


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("n_colours", [1, 2, 3])
@pytest.mark.parametrize(("layers", "density"), TINY.values(), ids=TINY)
def test_counts_are_those_of_all_choices_of_nodes(layers, density, n_colours, size):
    stack = network(layers, seed=n_colours, density=density, n_colours=n_colours)
    assert occurring(layered_counts(stack, size)) == dict(brute_force(stack, size))


DRAWN = {
    "three layers": ((9, 8, 7), 0.5),
    "four": ((8, 7, 6, 5), 0.4),
    "five": ((6, 7, 5, 6, 4), 0.5),
    "six": ((5, 6, 4, 5, 3, 4), 0.6),
    "sparse": ((20, 18, 16, 9), 0.08),
    "dense": ((9, 8, 7, 6), 0.95),
    "complete": ((7, 6, 5, 4), 1.0),
    "an empty block": ((9, 8, 7, 6), [0.6, 0.0, 0.6]),
    "two empty blocks": ((9, 8, 7, 6), [0.0, 0.5, 0.0]),
    "layers of one unit": ((1, 9, 1, 8, 1), 0.7),
    "a bottleneck": ((30, 2, 25, 3), 0.3),
    "a wide middle": ((4, 40, 3), 0.3),
}


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("n_colours", [1, 2, 3, 6])
@pytest.mark.parametrize(("layers", "density"), DRAWN.values(), ids=DRAWN)
def test_table_is_that_of_the_enumeration(by, layers, density, n_colours, size):
    for seed in range(3):
        stack = network(layers, seed=seed, density=density, n_colours=n_colours)
        edges = edges_of(stack)
        by("enumeration")
        expected = motifs.census(edges, size)
        pd.testing.assert_frame_equal(layered_census(stack, size), expected)
        by("products")
        pd.testing.assert_frame_equal(motifs.census(edges, size), expected)


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("null", nulls.NULLS)
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("budget", [1, 1 << 24])
@pytest.mark.parametrize(("layers", "n_colours"), [((8, 7, 6, 5), 3), ((9, 8, 7), 1), ((6, 5), 6)])
def test_significance_is_the_same_by_both_routes(
    by, monkeypatch, layers, n_colours, budget, named, null, size
):
    edges = edges_of(network(layers, density=0.4, n_colours=n_colours))
    monkeypatch.setattr(layered, "_BUDGET", budget)
    found = {}
    for route in ("enumeration", "products"):
        by(route)
        counted = motifs.ensemble(
            edges, size, null=null, n_random=12, rng=np.random.default_rng(0),
            layers=layers if named else None,
        )  # fmt: skip
        found[route] = motifs.score(counted, absent=True)
    pd.testing.assert_frame_equal(*found.values())


def test_parts_and_far_numbers_are_counted_the_same_by_both_routes(by):
    one = edges_of(network((6, 5, 4, 3), density=0.5))
    moved = one + np.array([100, 100, 0])
    both = np.concatenate([one, moved[moved[:, 0] >= 106]])  # the second part lacks a layer
    for edges in (both, both * [10**8, 10**8, 1], both[::-1]):
        by("enumeration")
        expected = motifs.census(edges, 4)
        by("products")
        pd.testing.assert_frame_equal(motifs.census(edges, 4), expected)


@pytest.mark.parametrize("size", [3, 4])
def test_networks_without_layers_are_enumerated(by, monkeypatch, size):
    monkeypatch.setattr(layered, "count", None)  # is not called
    for edges in ([[0, 1], [1, 2], [0, 2], [2, 3]], [[0, 1], [1, 2], [2, 0], [2, 3]]):
        by("enumeration")
        expected = motifs.census(edges, size)
        by("products")
        pd.testing.assert_frame_equal(motifs.census(edges, size), expected)


def test_much_to_count_goes_by_products_and_little_by_enumeration(monkeypatch):
    routes, count = [], layered.count
    monkeypatch.setattr(layered, "count", lambda *given: routes.append("products") or count(*given))
    large, small = (edges_of(network(n)) for n in ((90, 90, 60), (8, 7, 6)))
    for edges in (small, large):
        motifs.census(edges, 4)
        routes.append("done")
    for null in nulls.NULLS:
        motifs.ensemble(small, 4, null=null, n_random=2, rng=np.random.default_rng(0))
    assert routes == ["done", "products", "done"]


@pytest.mark.parametrize("cell", CELLS)
def test_published_networks_are_counted_as_by_enumeration(by, cell):
    by("enumeration")
    edges = np.loadtxt(zambra(f"{cell}_graph.txt"), dtype=np.int64)
    starts = np.cumsum([0, 31, 20, 10, 4])
    whole = np.zeros((65, 65), np.int64)
    whole[edges[:, 1], edges[:, 0]] = edges[:, 2]
    bounds = [slice(*ends) for ends in itertools.pairwise(starts)]
    stack = [whole[target, source] for source, target in itertools.pairwise(bounds)]
    assert sum(map(np.count_nonzero, stack)) == len(edges)
    for size in (3, 4):
        pd.testing.assert_frame_equal(layered_census(stack, size), motifs.census(edges, size))


# --- closed forms -------------------------------------------------------------------------------


def test_complete_layers_hold_what_binomials_say():
    found = layered_counts(full((5, 4, 3, 2)))
    counts = dict(zip(found.classes["id"], found.counts.tolist(), strict=True))
    assert counts == {
        14: 24, 2184: 54, 204: 81, 2182: 114, 28: 72, 2116: 156, 536: 120, 74: 0, 140: 0, 392: 0,
    }  # fmt: skip
    three = layered_census(full((5, 4, 3, 2)), size=3).set_index("id")["count"]
    assert three.to_dict() == {
        6: 5 * 6 + 4 * 3 + 3 * 1,
        36: 10 * 4 + 6 * 3 + 3 * 2,
        12: 5 * 4 * 3 + 4 * 3 * 2,
    }


def test_a_network_without_edges_holds_nothing():
    stack = [np.zeros((3, 2), int), np.zeros((4, 3), int)]
    assert layered_census(stack).empty
    assert list(layered_census(stack)) == ["id", "adjacency", "count"]
    assert layered_counts(stack).counts.tolist() == [0] * n_layered_classes(1)


def test_layers_without_units_are_taken():
    stack = [np.zeros((0, 3), int), np.zeros((2, 0), int), np.ones((2, 2), int)]
    assert layered_census(stack)["id"].tolist() == [204]
    assert layered_counts([np.zeros((0, 2, 3), int)]).counts.shape == (0, 10)


def test_numbers_beyond_single_precision_are_exact():
    fan = layered_counts(full((5001, 2)))
    assert fan.counts[fan.classes["id"] == 204] == [math.comb(5001, 2)]
    turned = layered_counts(full((2, 5001)))
    assert turned.counts[turned.classes["id"] == 204] == [math.comb(5001, 2)]
    diamond = layered_counts(full((1, 5001, 1)))
    assert diamond.counts[diamond.classes["id"] == 2182] == [math.comb(5001, 2)]
    star = layered_census(full((1, 200_000)))
    assert star[["id", "count"]].to_numpy().tolist() == [[14, math.comb(200_000, 3)]]


# --- classes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("n_colours", range(1, 7))
def test_classes_are_as_many_as_the_formula_says_and_all_different(n_colours, size):
    found = layered_counts(full((2, 2)), size, n_colours=n_colours).classes
    assert len(found) == n_layered_classes(n_colours, size) == found["adjacency"].nunique()
    assert set(found["id"]) == set(classes.NAMES[size])
    assert found.equals(found.sort_values(["id", "adjacency"], ignore_index=True))


def test_three_colours_make_236_classes():
    assert n_layered_classes(3) == 236
    counts = layered_counts(full((2, 2)), n_colours=3).classes["id"].value_counts().to_dict()
    assert counts == {
        14: 10, 2184: 10, 28: 18, 2116: 18, 74: 27, 392: 27, 140: 27, 204: 27, 2182: 45, 536: 27,
    }  # fmt: skip


def in_layers(graph):
    """Colour matrices of a small connected digraph, each node in the layer its edges put it in."""
    level = {0: 0}
    while len(level) < len(graph):
        for a, b in np.argwhere(graph):
            if a in level:
                level[b] = level[a] + 1
            elif b in level:
                level[a] = level[b] - 1
    lowest = min(level.values())
    layers = [[x for x in level if level[x] - lowest == k] for k in range(max(level.values()) + 5)]
    filled = [layer for layer in layers if layer]
    return [graph[np.ix_(a, b)].T for a, b in itertools.pairwise(filled)]


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 4])
def test_each_class_is_found_once_in_its_own_picture_and_no_other(size):
    found = layered_counts(full((2, 2)), size, n_colours=3).classes
    for k, text in enumerate(found["adjacency"]):
        stack = in_layers(matrix_of(text))
        counts = layered_counts(stack, size, n_colours=3).counts
        assert counts.tolist() == np.eye(len(found), dtype=int)[k].tolist()


def test_more_colours_than_occur_only_add_classes():
    stack = network((6, 5, 4, 3), n_colours=2)
    few, many = layered_counts(stack), layered_counts(stack, n_colours=5)
    assert (len(few.counts), len(many.counts)) == (n_layered_classes(2), n_layered_classes(5))
    assert occurring(few) == occurring(many)


# --- replicas, kinds, portions ------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("lead", [(7,), (0,), (1,)])
def test_replicas_are_counted_as_one_by_one(lead, size):
    stack = network((6, 5, 7, 3), lead=lead, density=0.4)
    found = layered_counts(stack, size, n_colours=3).counts
    assert found.shape == (*lead, n_layered_classes(3, size))
    assert found.dtype == np.int64
    for at in np.ndindex(lead):
        alone = layered_counts([w[at] for w in stack], size, n_colours=3).counts
        assert np.array_equal(found[at], alone)


@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.int8, np.uint16, np.uint64, np.float16, float]
)
def test_any_type_of_whole_number_will_do(dtype):
    stack = full((3, 3, 2))
    found = layered_counts([w.astype(dtype) for w in stack]).counts
    assert np.array_equal(found, layered_counts(stack).counts)


def test_inputs_are_untouched():
    stack = network((4, 4, 4), dtype=np.int8)
    before = [w.copy() for w in stack]
    layered_counts(stack)
    assert all(map(np.array_equal, stack, before))


@pytest.mark.parametrize("budget", [1, 2_000, 60_000])
@pytest.mark.parametrize("layers", [(9, 12, 7, 3), (20, 3, 18), (3, 20, 4)])
def test_portions_make_no_difference(monkeypatch, layers, budget):
    stack = network(layers, lead=(5,), density=0.4)
    expected = layered_counts(stack).counts
    monkeypatch.setattr(layered, "_BUDGET", budget)
    assert np.array_equal(layered_counts(stack).counts, expected)


@pytest.mark.parametrize(
    ("layers", "sides"),
    [((30, 2, 40), [(2, 2), (2, 2), (2, 2)]), ((3, 40, 4), [(3, 3), (4, 4), (3, 4)])],
)
def test_pairs_are_those_of_the_smaller_layers(monkeypatch, layers, sides):
    seen, overlaps = [], layered._overlaps

    def watched(one, *other):
        seen.append(tuple(side.shape[2] for side in one))
        return overlaps(one, *other)

    monkeypatch.setattr(layered, "_overlaps", watched)
    layered_counts(network(layers))
    assert seen == sides


def test_double_precision_takes_over_where_single_would_round(monkeypatch):
    stack, seen = network((6, 5, 4)), []
    expected = layered_counts(stack).counts
    degrees = layered._degrees
    monkeypatch.setattr(layered, "_degrees", lambda hot: seen.append(hot[0].dtype) or degrees(hot))
    assert np.array_equal(layered_counts(stack).counts, expected)
    monkeypatch.setattr(layered, "_EXACT_SINGLE", 6)
    assert np.array_equal(layered_counts(stack).counts, expected)
    assert seen == [torch.float32, torch.float64]


# --- refusals -----------------------------------------------------------------------------------


def test_numbers_too_large_to_be_exact_are_refused():
    stack = full((1, 208_066))
    with pytest.raises(ValueError, match=r"below 2\*\*53 to be exact, got 9.01e\+15"):
        layered_counts(stack)
    assert layered_census(stack, size=3)["count"].tolist() == [math.comb(208_066, 2)]


#: Layers, and the largest number on the way: no other comes up to a half of it.
LARGEST = {
    "ways to choose at a unit": ((1, 1, 30), 30 * 29 * 28),
    "stars": ((300, 15), 15 * math.comb(300, 3)),
    "open and closed quadrangles": ((40, 40), 40**4),
}


@pytest.mark.parametrize(("layers", "largest"), LARGEST.values(), ids=LARGEST)
def test_each_kind_of_sum_is_watched(monkeypatch, layers, largest):
    stack = full(layers)
    monkeypatch.setattr(layered, "_EXACT", largest + 1)
    layered_counts(stack)
    monkeypatch.setattr(layered, "_EXACT", largest)
    with pytest.raises(ValueError, match=r"to be exact"):
        layered_counts(stack)


def test_what_does_not_fit_into_memory_is_refused(by, monkeypatch):
    by("products")
    monkeypatch.setattr(memory, "free_gb", lambda: 0.0)
    with pytest.raises(
        ValueError, match=r"layered census of 4 possible edges needs .* GB are free"
    ):
        motifs.census(edges_of(full((2, 2))), 4)


@pytest.mark.parametrize("size", [2, 5])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=re.escape(f"size must be in [3, 4], got {size}")):
        layered_counts(full((2, 2)), size)
