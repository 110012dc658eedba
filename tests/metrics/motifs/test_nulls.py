"""Random networks keep what they promise, reach everything else, and reach it equally often."""

import itertools
import re
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from shared import layered_edges, zambra
from winnow.metrics.motifs import nulls

LAYERS = (31, 20, 10, 4)
GRAPHS = [f"{scheme}_{state}" for scheme in ("normal", "orth", "glorot")
          for state in ("init", "tree", "clus")]  # fmt: skip


def rng(seed=0):
    return np.random.default_rng(seed)


def published(name):
    return np.loadtxt(zambra(f"{name}_graph.txt"), dtype=np.int64)


def oriented(n=14, density=0.3, n_colours=3, seed=0):
    """Edges either way round, so that there are cycles, and no layers."""
    g = rng([seed, n])
    pairs = np.array(list(itertools.combinations(range(n), 2)))
    pairs = pairs[g.random(len(pairs)) < density]
    pairs = np.where(g.random((len(pairs), 1)) < 0.5, pairs, pairs[:, ::-1])
    return np.column_stack([pairs, g.integers(1, n_colours + 1, len(pairs))])


def draw(edges, null, n_random=20, seed=0, layers=None):
    """The random networks, each as edges."""
    ends = nulls.random_networks(edges, null=null, n_random=n_random, rng=rng(seed), layers=layers)
    for end in ends:
        assert end.shape == (n_random, len(edges))
        assert end.dtype == np.int64
    return [np.column_stack([s, t, edges[:, 2]]) for s, t in zip(*ends, strict=True)]


def degrees(edges):
    """Edges out of and into each node, colour by colour."""
    source, target, colour = edges.T.tolist()
    return Counter(zip(source, colour, strict=True)), Counter(zip(target, colour, strict=True))


def assert_simple(edges):
    source, target = edges[:, 0], edges[:, 1]
    assert (source != target).all()
    pairs = set(map(tuple, np.sort(edges[:, :2], axis=1).tolist()))
    assert len(pairs) == len(edges), "twice, or there and back"


# --- what each keeps ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edges",
    [
        layered_edges(),
        layered_edges(density=0.9),
        layered_edges(n_colours=1),
        oriented(),
        oriented(9, 0.9, 2),
    ],
    ids=["stack", "full stack", "one colour", "cycles", "nearly complete"],
)
def test_exchanges_keep_degrees_in_each_colour(edges):
    for random in draw(edges, "degree"):
        assert_simple(random)
        assert degrees(random) == degrees(edges)


@pytest.mark.parametrize("n_colours", [1, 3])
@pytest.mark.parametrize("layers", [None, (8, 7, 6, 4)], ids=["inferred", "given"])
def test_exchanges_between_layers_keep_degrees_and_layers(layers, n_colours):
    edges = layered_edges(n_colours=n_colours)
    level = np.repeat(range(4), (8, 7, 6, 4))
    for random in draw(edges, "layer", layers=layers):
        assert_simple(random)
        assert degrees(random) == degrees(edges)
        assert (level[random[:, 1]] == level[random[:, 0]] + 1).all()
        assert (level[random[:, 0]] == level[edges[:, 0]]).all()  # each edge stays in its block


@pytest.mark.parametrize("density", [0.1, 0.4, 1.0])
def test_permutations_keep_colours_in_each_block(density):
    edges = layered_edges(density=density)
    level = np.repeat(range(4), (8, 7, 6, 4))
    for random in draw(edges, "permutation", layers=(8, 7, 6, 4)):
        assert_simple(random)
        assert (level[random[:, 0]] == level[edges[:, 0]]).all()
        assert (level[random[:, 1]] == level[edges[:, 1]]).all()


@pytest.mark.parametrize("null", nulls.NULLS)
def test_networks_differ_and_the_generator_decides(null):
    edges = layered_edges()
    kept = edges.copy()
    first, again, other = (np.stack(draw(edges, null, seed=seed)) for seed in (0, 0, 1))
    assert (edges == kept).all()
    assert (first == again).all()
    assert (first != other).any()
    before = set(map(tuple, edges.tolist()))
    changed = [len(set(map(tuple, network)) - before) for network in first.tolist()]
    assert min(changed) > 0.2 * len(edges)
    assert len({a.tobytes() for a in first}) == len(first)


def test_only_the_degree_null_leaves_the_layers():
    level = np.repeat(range(4), (8, 7, 6, 4))
    steps = np.concatenate(
        [level[r[:, 1]] - level[r[:, 0]] for r in draw(layered_edges(), "degree")]
    )
    assert steps.min() < 0 < 1 < steps.max()


def test_far_numbers_are_exchanged_as_near_ones():
    edges = oriented()
    far = edges * [10**9, 10**9, 1] + [7, 7, 0]
    near, moved = draw(edges, "degree"), draw(far, "degree")
    for a, b in zip(near, moved, strict=True):
        assert (a * [10**9, 10**9, 1] + [7, 7, 0] == b).all()


# --- equally often ------------------------------------------------------------------------------


def reachable(edges, level=None):
    """All networks that exchanges lead to, found by trying every pair of edges everywhere."""
    start = frozenset(map(tuple, edges.tolist()))
    found, todo = {start}, [start]
    while todo:
        network = todo.pop()
        joined = {frozenset(e[:2]) for e in network}
        for (a, b, c), (x, y, z) in itertools.combinations(network, 2):
            if c != z or len({a, b, x, y}) < 4 or (level is not None and level[a] != level[x]):
                continue
            if {frozenset((a, y)), frozenset((x, b))} & joined:
                continue
            new = network - {(a, b, c), (x, y, z)} | {(a, y, c), (x, b, c)}
            if new not in found:
                found.add(new)
                todo.append(new)
    return found


def uniform(networks, states):
    """P-value that all states are equally likely; each network must be one."""
    tally = Counter(frozenset(map(tuple, n.tolist())) for n in networks)
    assert set(tally) <= states
    return stats.chisquare([tally[state] for state in states]).pvalue


#: Sorted by source, with a hub: sweeps in this order would not be uniform.
TINY = {
    "hub": [(0, 4, 1), (0, 5, 1), (0, 6, 1), (1, 4, 1), (2, 5, 1), (3, 6, 1)],
    "path and fork": [(0, 1, 1), (1, 2, 1), (2, 3, 1), (4, 5, 1), (4, 0, 1)],
    "two colours": [(0, 4, 1), (0, 5, 2), (1, 4, 2), (1, 6, 1), (2, 5, 1), (3, 6, 2), (3, 4, 1)],
    "held back": [(0, 1, 1), (0, 2, 1), (1, 2, 1), (3, 1, 1), (4, 3, 1)],
}


@pytest.mark.parametrize("name", TINY)
def test_every_network_within_reach_is_equally_likely(name):
    edges = np.array(TINY[name])
    states = reachable(edges)
    assert 5 <= len(states) <= 200
    assert uniform(draw(edges, "degree", n_random=400 * len(states), seed=1), states) > 1e-3


def test_every_network_within_reach_and_layers_is_equally_likely():
    edges = np.array([(0, 3, 1), (0, 4, 1), (1, 3, 1), (2, 5, 1), (3, 6, 1), (4, 7, 1), (5, 7, 1)])
    level = np.repeat(range(3), (3, 3, 2))
    states = reachable(edges, level)
    assert 5 <= len(states) < len(reachable(edges))
    networks = draw(edges, "layer", n_random=400 * len(states), layers=(3, 3, 2))
    assert uniform(networks, states) > 1e-3


def test_layered_networks_with_the_same_degrees_are_all_within_reach():
    """Of one colour between two layers, exchanges connect all tables with the same margins."""
    edges = np.array([(0, 4, 1), (0, 5, 1), (1, 4, 1), (2, 5, 1), (2, 6, 1), (3, 6, 1)])
    places = list(itertools.product(range(4), range(4, 7), [1]))
    same = {
        frozenset(chosen)
        for chosen in itertools.combinations(places, len(edges))
        if degrees(np.array(chosen)) == degrees(edges)
    }
    assert reachable(edges, np.repeat([0, 1], [4, 3])) == same
    assert uniform(draw(edges, "layer", n_random=300 * len(same)), same) > 1e-3


def test_permuted_edges_land_anywhere_and_independently():
    edges = np.array([(0, 3, 1), (1, 4, 1), (2, 3, 2), (3, 5, 1), (4, 5, 1)])
    networks = draw(edges, "permutation", n_random=9000)
    states = {
        frozenset({*((a, b, 1) for a, b in ones), (*two, 2), (3, 5, 1), (4, 5, 1)})
        for ones in itertools.combinations(itertools.product(range(3), (3, 4)), 2)
        for two in set(itertools.product(range(3), (3, 4))) - set(ones)
    }
    assert len(states) == 15 * 4
    assert uniform(networks, states) > 1e-3


def test_each_permuted_edge_lands_anywhere():
    edges = layered_edges((4, 3, 2), density=0.5)
    first = nulls.random_networks(edges, null="permutation", n_random=3000, rng=rng(1))
    for e in range(len(edges)):
        tally = Counter(zip(first[0][:, e].tolist(), first[1][:, e].tolist(), strict=True))
        n_places = 12 if edges[e, 0] < 4 else 6
        assert len(tally) == n_places
        assert stats.chisquare(list(tally.values())).pvalue > 1e-4


@pytest.mark.parametrize("null", ["degree", "layer"])
def test_a_chain_goes_on_and_is_not_begun_anew(null):
    """Networks far along the chain are as far from the first as from the network itself."""
    edges = layered_edges(density=0.3)
    networks = [set(map(tuple, n.tolist())) for n in draw(edges, null, n_random=60)]
    shared = [len(a & b) for a, b in itertools.pairwise(networks)]
    start = set(map(tuple, edges.tolist()))
    to_start = [len(start & n) for n in networks]
    gap = abs(np.mean(shared) - np.mean(to_start))
    assert gap < 5 * np.sqrt((np.var(shared) + np.var(to_start)) / 60)


# --- layers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRAPHS)
def test_layers_of_published_graphs_are_read_off(name):
    edges = published(name)
    given, found = nulls.levels(edges, LAYERS), nulls.levels(edges)
    used = np.unique(edges[:, :2])
    assert (found[used] == given[used]).all()
    assert (given == np.repeat(range(4), LAYERS)).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("density", [0.4, 0.7, 1.0])
def test_layers_of_connected_stacks_are_read_off(density, seed):
    layers = (9, 8, 7, 6)
    edges = layered_edges(layers, density, seed=seed)
    found = nulls.levels(edges)
    level = np.repeat(range(4), layers)
    used = np.unique(edges[:, :2])
    shift = level[used].min()
    assert (found[used] == level[used] - shift).all()


@pytest.mark.parametrize(
    ("edges", "wanted"),
    [
        ([(0, 1)], [0, 1]),
        ([(1, 0)], [1, 0]),
        ([(0, 3), (2, 4), (3, 5), (1, 4)], [0, 0, 0, 1, 1, 2]),
        # 1 -> 6 lies apart, and fits between 0 and 4, and between 5 and 7
        ([(0, 4), (0, 5), (4, 7), (5, 8), (1, 6)], [0, 0, 0, 0, 1, 1, 1, 2, 2]),
        ([(0, 4), (0, 5), (4, 7), (5, 8), (6, 9)], [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]),
        # 3 and 6 have no edges
        ([(0, 4), (1, 4), (2, 5), (4, 7), (5, 7)], [0, 0, 0, 0, 1, 1, 1, 2]),
        ([(2, 4), (3, 4)], [0, 0, 0, 0, 1]),
    ],
    ids=["edge", "backward", "skewed", "first gap", "second gap", "isolated", "isolated first"],
)
def test_layers_by_hand(edges, wanted):
    assert nulls.levels(np.array(edges)).tolist() == wanted


def test_a_part_below_the_largest_goes_below_it():
    """The largest part need not touch the first layer."""
    edges = np.array([(0, 5), (6, 10), (6, 11), (10, 15)])
    level = nulls.levels(edges)
    given = nulls.levels(edges, (5, 5, 5, 5))
    used = np.unique(edges)
    assert (level[used] == given[used]).all()


def test_parts_that_fit_nowhere_are_refused():
    """3 and 4 both lie between nodes of the first layer, and yet an edge joins them."""
    with pytest.raises(ValueError, match=r"node 3 and those .* fit nowhere .* pass layers"):
        nulls.levels(np.array([(0, 10), (5, 10), (9, 10), (3, 4)]))


def test_numbers_far_beyond_the_edges_are_refused_and_not_stored():
    with pytest.raises(ValueError, match=r"numbered up to 1000000000, but there are 2 edges"):
        nulls.levels(np.array([(0, 10**9), (1, 10**9)]))


def test_only_a_generator_draws():
    with pytest.raises(ValueError, match=r"rng must be a numpy.random.Generator, got 7"):
        nulls.random_networks(np.array([(0, 1, 1)]), null="degree", n_random=2, rng=7)


def test_given_layers_count_nodes_beyond_the_last_edge():
    edges = np.array([(0, 2), (1, 2)])
    assert nulls.levels(edges, (2, 3)).tolist() == [0, 0, 1, 1, 1]
    targets = nulls.random_networks(
        np.column_stack([edges, [1, 2]]), null="permutation", n_random=200, rng=rng(), layers=(2, 3)
    )[1]
    assert set(targets.ravel().tolist()) == {2, 3, 4}


@pytest.mark.parametrize(
    ("edges", "layers", "words"),
    [
        ([(0, 1), (1, 2), (0, 2)], None, r"edge \d -> \d does not lead from a layer to the next"),
        ([(0, 1), (1, 2), (2, 0)], None, r"edge \d -> \d does not .*pass layers, or choose the"),
        ([(0, 1), (1, 2), (0, 3), (3, 4), (4, 2)], None, "edge .* does not lead"),
        ([(0, 2), (0, 1)], (2, 2), r"edge 0 -> 1 does not .* next of layers \[2, 2\]"),
        ([(0, 1), (0, 2)], (1, 1, 1), r"edge 0 -> 2 does not .* next of layers \[1, 1, 1\]"),
        ([(1, 0)], (1, 1), "edge 1 -> 0 does not lead"),
        ([(0, 4)], (2, 2), r"node 4 is beyond layers \[2, 2\] of 4 nodes"),
        ([(0, 1)], (2, 0, 1), r"layers must be sizes of 1 or larger, got \[2, 0, 1\]"),
        ([(0, 1)], (), r"layers must be sizes of 1 or larger, got \[\]"),
        ([(0, 1)], np.array([2, -1]), r"layers must be sizes of 1 or larger, got .*-1"),
    ],
    ids=["skip", "ring", "diamond", "within", "too far", "back", "beyond", "zero", "none", "below"],
)
def test_edges_that_do_not_fit_are_named(edges, layers, words):
    with pytest.raises(ValueError, match=words):
        nulls.levels(np.array(edges), layers)
    if len(edges) > 1:
        coloured = np.column_stack([edges, np.ones(len(edges), int)])
        for null in ("layer", "permutation"):
            with pytest.raises(ValueError, match=words):
                draw(coloured, null, layers=layers)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "options", "words"),
    [
        ([(0, 1, 1)], {"null": "layers"}, "null must be one of degree, layer, permutation, got 'l"),
        ([(0, 1, 1)], {"null": "degree", "n_random": 0}, "n_random must be 1 or larger, got 0"),
        ([(0, 1, 1)], {"null": "degree"}, "no two of the 1 edges .* 30 tries: this null cannot"),
        ([(0, 2, 1), (1, 3, 2)], {"null": "degree"}, "no two of the 2 edges could exchange"),
        ([(0, 1, 1), (2, 1, 1)], {"null": "degree"}, "no two of the 2 edges could exchange"),
        ([(0, 1, 1), (1, 2, 1), (2, 0, 1)], {"null": "degree"}, "no two of the 3 edges"),
        ([(0, 1, 1), (1, 2, 1), (2, 3, 1)], {"null": "layer"}, "no two of the 3 edges"),
        ([(0, 2, 1), (1, 2, 1)], {"null": "permutation"}, "the 2 edges take all places between"),
    ],
    ids=["unknown", "none", "lone", "colours", "join", "ring", "path", "full"],
)
def test_what_cannot_be_drawn_is_refused(edges, options, words):
    options = {"n_random": 3} | options
    with pytest.raises(ValueError, match=words):
        draw(np.array(edges), **options)


def test_a_full_block_of_two_colours_can_still_be_permuted():
    networks = draw(np.array([(0, 2, 1), (1, 2, 2)]), "permutation", n_random=50)
    assert len({frozenset(map(tuple, n.tolist())) for n in networks}) == 2


def test_layers_do_not_matter_to_the_degree_null():
    edges = oriented()
    plain, odd = (np.stack(draw(edges, "degree", layers=layers)) for layers in (None, (1,)))
    assert (plain == odd).all()


def test_the_message_names_what_was_asked_for():
    with pytest.raises(ValueError, match=re.escape("got 'none'")):
        nulls.random_networks(layered_edges(), null="none", n_random=2, rng=rng())
