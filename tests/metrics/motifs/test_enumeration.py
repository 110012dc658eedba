"""Counts of coloured subgraphs, against brute force, closed forms, other libraries and FANMOD."""

import csv
import functools
import itertools
from collections import Counter

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import pytest

from shared import layered_edges, zambra
from winnow.metrics import motifs
from winnow.metrics.motifs import census, classes, enumeration

CELLS = [f"{scheme}_{state}" for scheme in ("normal", "orth", "glorot")
         for state in ("init", "tree", "clus")]  # fmt: skip
FILES = [(cell, 4) for cell in CELLS] + [("normal_init", 5)]


def oriented(n, density, n_colours, *, seed=0, sparse_ids=False):
    """Random edges, one for some of the pairs, either way round: cycles and triangles occur."""
    rng = np.random.default_rng([seed, n, n_colours])
    pairs = np.array(list(itertools.combinations(range(n), 2)))
    pairs = pairs[rng.random(len(pairs)) < density]
    pairs = np.where(rng.random((len(pairs), 1)) < 0.5, pairs, pairs[:, ::-1])
    if sparse_ids:
        pairs = rng.choice(4000, n, replace=False)[pairs]
    return np.column_stack([pairs, rng.integers(1, n_colours + 1, len(pairs))])


@functools.cache
def canonical(digits):
    """The lowest of all relabellings of a matrix, given row by row."""
    size = int(len(digits) ** 0.5)
    places = itertools.permutations(range(size))
    return min(tuple(digits[size * a + b] for a in p for b in p) for p in places)


def by_brute_force(edges, size):
    """Every choice of nodes, one after the other; those that hang together count."""
    nodes = np.unique(edges[:, :2])
    matrix = np.zeros((len(nodes), len(nodes)), int)
    matrix[tuple(np.searchsorted(nodes, edges[:, :2]).T)] = edges[:, 2]
    counts = Counter()
    for chosen in itertools.combinations(range(len(nodes)), size):
        part = matrix[np.ix_(chosen, chosen)]
        near = ((part + part.T) > 0) + np.eye(size, dtype=int)
        if np.linalg.matrix_power(near, size - 1).all():
            counts[canonical(tuple(part.ravel().tolist()))] += 1
    return counts


def counted(edges, size):
    """The census in the same terms."""
    rows = census(edges, size)
    keys = [canonical(tuple(map(int, text))) for text in rows["adjacency"]]
    assert len(set(keys)) == len(keys), "a class has two rows"
    assert rows["count"].min() > 0
    return dict(zip(keys, rows["count"].tolist(), strict=True))


def topologies(edges, size):
    return census(edges, size).groupby("id")["count"].sum().to_dict()


def number(edges, size):
    matrix = np.zeros((1, size, size), int)
    for a, b in edges:
        matrix[0, a, b] = 1
    return classes.describe(matrix)[0][0].item()


# --- every subset of nodes ----------------------------------------------------------------------


@pytest.mark.parametrize("sparse_ids", [False, True], ids=["dense ids", "sparse ids"])
@pytest.mark.parametrize("n_colours", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("size", "n", "density"),
    [(3, 3, 1.0), (3, 14, 0.3), (3, 9, 1.0), (4, 11, 0.3), (4, 7, 1.0), (5, 9, 0.35), (5, 6, 1.0)],
)
def test_counts_are_those_of_all_subsets(size, n, density, n_colours, sparse_ids):
    for seed in range(2):
        edges = oriented(n, density, n_colours, seed=seed, sparse_ids=sparse_ids)
        assert counted(edges, size) == by_brute_force(edges, size)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_counts_of_layered_networks_are_those_of_all_subsets(size):
    edges = layered_edges((5, 4, 3, 2), density=0.6)
    assert counted(edges, size) == by_brute_force(edges, size)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_hubs_and_rings_are_those_of_all_subsets(size):
    """What grows from a hub waits long; a ring is met from its lowest node only."""
    hub = [(5, k, 1 + k % 2) if k % 3 else (k, 5, 1) for k in range(11) if k != 5]
    ring = [(10 + k, 10 + (k + 1) % 7, 2) for k in range(7)]
    edges = np.array(hub + ring)
    assert counted(edges, size) == by_brute_force(edges, size)


# --- other libraries ----------------------------------------------------------------------------


@functools.cache
def igraph_number(size, isoclass):
    shape = igraph.Graph.Isoclass(n=size, cls=isoclass, directed=True)
    matrix = np.array(shape.get_adjacency().data)
    if (matrix * matrix.T).any() or not shape.is_connected("weak"):
        return None
    return classes.describe(matrix[None])[0][0].item()


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("density", [0.05, 0.2, 0.8])
def test_colours_added_up_are_igraphs_motifs(size, density):
    edges = oriented(40, density, 3)
    graph = igraph.Graph(edges=edges[:, :2].tolist(), directed=True)
    theirs = {
        igraph_number(size, k): int(count)
        for k, count in enumerate(graph.motifs_randesu(size, cut_prob=[0] * size))
        if count > 0
    }
    assert topologies(edges, size) == theirs


@pytest.mark.parametrize("density", [0.05, 0.3, 1.0])
def test_three_nodes_are_networkxs_triads(density):
    edges = oriented(30, density, 2)
    triads = nx.triadic_census(nx.DiGraph(edges[:, :2].tolist()))
    wanted = {6: "021D", 36: "021U", 12: "021C", 38: "030T", 140: "030C"}
    theirs = {number: triads[name] for number, name in wanted.items() if triads[name]}
    assert topologies(edges, 3) == theirs


# --- closed forms -------------------------------------------------------------------------------


def test_full_stacks_hold_what_binomials_say():
    wanted = {14: 24, 2184: 54, 204: 81, 2182: 114, 28: 72, 2116: 156, 536: 120}
    assert topologies(layered_edges((5, 4, 3, 2), density=1.0), 4) == wanted


@pytest.mark.parametrize(
    ("edges", "name"),
    [
        ([(0, 2), (0, 3), (1, 2), (1, 3)], "bi-fan"),
        ([(0, 1), (0, 2), (1, 3), (2, 3)], "bi-parallel"),
    ],
)
def test_four_nodes_are_one_class(edges, name):
    rows = census([(*edge, 1) for edge in edges], 4)
    assert classes.NAMES[4][rows["id"].item()] == name
    assert rows["count"].item() == 1
    assert rows["adjacency"].item() == format(rows["id"].item(), "016b")


@pytest.mark.parametrize("size", [3, 4, 5])
def test_a_path_is_chains_and_a_tournament_in_order_is_one_class(size):
    n = 9
    path = [(k, k + 1, 1) for k in range(n)]
    chain = number([(k, k + 1) for k in range(size - 1)], size)
    assert topologies(path, size) == {chain: n + 2 - size}
    tournament = [(*pair, 1) for pair in itertools.combinations(range(n), 2)]
    everything = number(itertools.combinations(range(size), 2), size)
    n_subsets = len(list(itertools.combinations(range(n), size)))
    assert topologies(tournament, size) == {everything: n_subsets}


# --- what must not matter -----------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 4, 5])
def test_names_of_nodes_and_the_order_of_edges_do_not_matter(size):
    rng = np.random.default_rng(size)
    edges = oriented(16, 0.3, 3)
    kept = census(edges, size)
    for _ in range(4):
        moved = rng.permutation(edges)
        moved[:, :2] = rng.choice(1000, 16, replace=False)[moved[:, :2]]
        assert census(moved, size).equals(kept)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_permuted_colours_permute_the_classes(size):
    edges = oriented(14, 0.3, 3)
    swap = np.array([0, 3, 1, 2])
    moved = np.column_stack([edges[:, :2], swap[edges[:, 2]]])
    turned = {
        canonical(tuple(int(swap[c]) for c in key)): count
        for key, count in counted(edges, size).items()
    }
    assert counted(moved, size) == turned


@pytest.mark.parametrize("size", [3, 4, 5])
def test_edges_turned_round_are_counted_alike(size):
    edges = oriented(14, 0.3, 3)
    turned = {
        canonical(tuple(np.reshape(key, (size, size)).T.ravel().tolist())): count
        for key, count in counted(edges, size).items()
    }
    assert counted(edges[:, [1, 0, 2]], size) == turned


def test_colours_that_do_not_occur_do_not_matter():
    """Colour 6 on an edge apart makes a larger table, and nothing else."""
    edges = oriented(14, 0.3, 2)
    for size in (3, 4, 5):
        apart = np.vstack([edges, [[500, 501, 6]]])
        assert census(apart, size).equals(census(edges, size))


# --- tables -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "n_colours", "dense"),
    [(3, 6, True), (4, 6, True), (5, 1, True), (5, 2, False), (5, 6, False)],
)
def test_large_tables_are_hashed(size, n_colours, dense):
    table = enumeration.Table(size, n_colours)
    assert (len(table.keys) == 0) == dense
    assert len(table.slots) == (
        (2 * n_colours + 1) ** (size * (size - 1) // 2) if dense else 1 << 14
    )


def spelt(texts, counts):
    """What occurs, by the matrix of each class row by row."""
    named = zip(texts, counts, strict=True)
    return {tuple(map(int, text)): int(n) for text, n in named if n}


def count_with(table, edges, n_nodes):
    source, target, colour = edges.T
    _, texts, [counts] = table.count(source[None], target[None], colour, n_nodes)
    return spelt(texts, counts)


@pytest.fixture(scope="module")
def crowded():
    """So many codes that the hash table grows and so does their list."""
    return oriented(22, 0.5, 6)


@pytest.mark.parametrize("grow", [False, True])
def test_a_table_that_grows_counts_on(crowded, grow):
    small = oriented(9, 0.35, 6, seed=3)
    table = enumeration.Table(5, 6)
    if grow:
        with_all = count_with(table, crowded, 22)
        assert len(table.keys) > 1 << 14
        assert table.used[0] * 2 <= len(table.keys)
        assert sum(with_all.values()) == subsets(crowded, 5)
    found = {canonical(key): n for key, n in count_with(table, small, 22).items()}
    assert found == by_brute_force(small, 5)


def subsets(edges, size):
    """How many choices of nodes hang together, colours aside."""
    return sum(topologies(edges * [1, 1, 0] + [0, 0, 1], size).values())


def test_a_grown_table_tells_what_a_fresh_one_tells(crowded):
    """The second half is met by a table that grew on the first: same classes, same counts."""
    used, fresh = enumeration.Table(5, 6), enumeration.Table(5, 6)
    count_with(used, crowded[::2], 22)
    assert count_with(used, crowded[1::2], 22) == count_with(fresh, crowded[1::2], 22)
    assert used.used[0] > fresh.used[0]


def test_several_networks_are_counted_as_each_alone():
    """Classes turn up one network after the other; the rows are filled up with zeros."""
    parts = [oriented(12, 0.4, 6, seed=k)[:20] for k in range(5)]
    colours = parts[0][:, 2]
    table = enumeration.Table(5, 6)
    ends = [np.stack([p[:, k] for p in parts]) for k in (0, 1)]
    _, texts, together = table.count(*ends, colours, 12)
    assert together.shape == (5, len(texts))
    assert together.any(0).all()
    for k, part in enumerate(parts):
        alone = enumeration.Table(5, 6)
        lone = count_with(alone, np.column_stack([part[:, :2], colours]), 12)
        assert spelt(texts, together[k]) == lone


@pytest.mark.parametrize("size", [3, 4, 5])
def test_what_was_counted_before_does_not_matter(size):
    networks = [oriented(11, 0.3, 3, seed=k) for k in range(6)]
    enumeration.table.cache_clear()
    forward = [census(edges, size) for edges in networks]
    enumeration.table.cache_clear()
    backward = [census(edges, size) for edges in networks[::-1]][::-1]
    warm = [census(edges, size) for edges in networks]
    for a, b, c in zip(forward, backward, warm, strict=True):
        assert a.equals(b)
        assert a.equals(c)


@pytest.mark.parametrize(("size", "n"), [(4, 32), (5, 20)], ids=["dense", "hashed"])
def test_more_codes_than_there_is_room_for_at_first(size, n):
    """They turn up in the second network; the first, a path, is not counted again."""
    table = enumeration.Table(size, 6)
    n_room = len(table.codes)
    big = oriented(n, 0.5, 6)
    path = np.column_stack([np.arange(len(big)), np.arange(1, len(big) + 1)])
    ends = [np.stack([part[:, k] for part in (path, big, path)]) for k in (0, 1)]
    *_, counts = table.count(*ends, big[:, 2], len(big) + 1)
    assert table.used[0] > n_room
    assert len(set(table.codes[: table.used[0]].tolist())) == table.used[0]
    assert counts.sum(1).tolist() == [len(big) + 2 - size, subsets(big, size), len(big) + 2 - size]
    assert (counts[0] == counts[2]).all()


# --- FANMOD's files -----------------------------------------------------------------------------


def graph(cell):
    return np.loadtxt(zambra(f"{cell}_graph.txt"), dtype=np.int64)


@functools.cache
def fanmod(cell, size):
    """FANMOD's table with our representatives, and how many subgraphs it enumerated."""
    lines = zambra(f"{cell}_size{size}_fanmod.csv").read_text().splitlines()
    [total] = [int(x.split()[0]) for x in lines if x.endswith("in the original network.")]
    begin = next(k for k, line in enumerate(lines) if line.startswith(",,[Original]")) + 1
    rows = [row for row in csv.reader(lines[begin:]) if row]
    head = [row for row in rows if row[0]]
    names = ["printed", "digits", "frequency", "mean", "sd", "z", "p"]
    table = pd.DataFrame(head, columns=names)
    matrices = [[int(c) for c in row[1].removeprefix("_")] for row in rows]
    ids, adjacency = classes.describe(np.array(matrices).reshape(-1, size, size))
    table = table.assign(id=ids, adjacency=adjacency)
    assert (table["printed"].astype(int) == ids).all()
    table["mean"] = table["mean"].str.removesuffix("%").astype(float) / 100
    for name in ("sd", "z", "p"):
        table[name] = pd.to_numeric(table[name], errors="coerce")  # z may be "undefined"
    return table.set_index("adjacency"), total


def published(cell, size):
    """The authors' own table of topologies."""
    table = pd.read_csv(zambra("published_most_significant_z.csv"))
    here = (table["scheme"] + "_" + table["dataset"] == cell) & (table["size"] == size)
    return table[here].set_index("fanmod_id")


# --- the files: counts --------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "size"), FILES)
def test_the_census_is_fanmods(cell, size):
    table, total = fanmod(cell, size)
    rows = census(graph(cell), size).set_index("adjacency")
    assert rows["count"].sum() == total
    assert set(rows.index) == set(table.index)
    assert table.index.is_unique
    rows = rows.loc[table.index]
    assert (rows["id"] == table["id"]).all()
    printed = [f"{100 * n / total:.5g}%" for n in rows["count"]]
    assert printed == table["frequency"].tolist()


@pytest.mark.parametrize(
    ("cell", "size", "total", "n_classes"),
    [("normal_init", 4, 1244, 27), ("normal_init", 5, 5357, 103), ("orth_init", 4, 7207, 171)],
)
def test_published_totals_are_met(cell, size, total, n_classes):
    rows = census(graph(cell), size)
    assert rows["count"].sum() == total
    assert len(rows) == n_classes


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_published_counts_of_each_topology_are_met(cell, size):
    assert topologies(graph(cell), size) == published(cell, size)["count"].to_dict()


# --- the files: significance --------------------------------------------------------------------


@functools.cache
def degree_scores(cell, size, n_random):
    edges, seed = graph(cell), FILES.index((cell, size))
    rows = motifs.significance(
        edges, size, null="degree", n_random=n_random, rng=np.random.default_rng(seed)
    )
    return rows.set_index("adjacency")


def deviations(cell, size, n_random=1000):
    """Ours minus FANMOD's in standard errors, means and z, where random networks hold enough."""
    table, _ = fanmod(cell, size)
    rows = degree_scores(cell, size, n_random).loc[table.index]
    kept = (rows["expected"] >= 20) & table["z"].notna()
    if size == 5:
        # Two edges have colour 3. Whoever exchanges these two with each other in sweeps, an even
        # number of times, leaves them where they were: see the next test.
        kept &= ~table.index.str.contains("3")
    rows, table = rows[kept], table[kept]
    both, spread = 1 / n_random + 1 / 100, 1 / (n_random - 1) + 1 / 99
    mean = (rows["mean"] - table["mean"]) / (rows["sd"] * np.sqrt(both))
    z = (rows["z"] - table["z"]) / np.sqrt(both + rows["z"] ** 2 / 2 * spread)
    return mean.to_numpy(), z.to_numpy()


def test_means_and_z_are_fanmods_within_sampling_error():
    means, zs = (np.concatenate(d) for d in zip(*(deviations(c, 4) for c in CELLS), strict=True))
    assert means.size > 400
    for d in (means, zs):
        assert 0.9 < np.sqrt((d**2).mean()) < 1.1
        assert 0.93 < (abs(d) < 2).mean() < 0.97
        assert abs(d).max() < 5


def test_means_and_z_of_five_nodes_are_fanmods():
    for d in deviations("normal_init", 5):
        assert d.size > 20
        assert 0.7 < np.sqrt((d**2).mean()) < 1.3


def test_fanmod_leaves_the_only_two_edges_of_a_colour_where_they_were():
    """With a colour each they cannot be exchanged, and then FANMOD's means are met."""
    table, _ = fanmod("normal_init", 5)
    edges = graph("normal_init")
    edges[np.flatnonzero(edges[:, 2] == 3)[1], 2] = 1
    counted = motifs.ensemble(edges, 5, null="degree", n_random=1000, rng=np.random.default_rng(0))
    digits = np.array([list(map(int, t)) for t in counted.classes["adjacency"]])
    digits[digits == 1] = 3
    _, adjacency = classes.describe(digits.reshape(-1, 5, 5))
    shares = counted.random / counted.random.sum(1, keepdims=True)
    shares = pd.DataFrame(shares.T).groupby(adjacency).sum().T
    kept = [a for a in table.index if "3" in a and shares.get(a, np.zeros(1)).mean() > 1e-3]
    ours, theirs = shares[kept], table.loc[kept, "mean"]
    d = (ours.mean() - theirs) / (ours.std() * np.sqrt(1 / 1000 + 1 / 100))
    assert len(kept) > 20
    assert np.sqrt((d**2).mean()) < 1.3
    free = degree_scores("normal_init", 5, 1000).loc[kept]
    off = (free["mean"] - theirs) / (free["sd"] * np.sqrt(1 / 1000 + 1 / 100))
    assert np.sqrt((off**2).mean()) > 2  # what is at stake


@pytest.mark.parametrize("cell", CELLS)
def test_the_most_significant_motifs_are_those_published(cell):
    table, _ = fanmod(cell, 4)
    by_hand = {
        i: max(rows["z"][rows["p"] < 0.05].dropna(), default=0.0) for i, rows in table.groupby("id")
    }
    found = motifs.most_significant(table.reset_index())
    assert found.to_dict() == by_hand
    assert by_hand == published(cell, 4)["msm_z"].to_dict()
    assert len(by_hand) == 10
