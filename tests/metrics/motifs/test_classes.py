"""Classes of small digraphs: FANMOD's numbers are complete, and descriptions tell classes apart."""

import hashlib
import itertools
import re
from collections import defaultdict
from importlib import resources

import networkx as nx
import numpy as np
import pytest

from winnow.metrics.motifs import classes
from winnow.metrics.motifs.fanmod import FANMOD_IDS

N_CLASSES = {3: 5, 4: 34, 5: 535}


def orders(size):
    return np.array(list(itertools.permutations(range(size))))


def orbit(matrix):
    """All relabellings of one digraph, as bytes."""
    p = orders(len(matrix))
    return {m.tobytes() for m in matrix[p[:, :, None], p[:, None, :]]}


def connected(matrices):
    both = (matrices + matrices.transpose(0, 2, 1) > 0) | np.eye(matrices.shape[-1], dtype=bool)
    return (np.linalg.matrix_power(both.astype(np.int64), matrices.shape[-1] - 1) > 0).all((1, 2))


def oriented(size, n_colours, letters=None):
    """Every digraph without loops and mutual edges, or those that the given letters spell."""
    pairs = list(itertools.combinations(range(size), 2))
    if letters is None:
        letters = np.array(list(itertools.product(range(2 * n_colours + 1), repeat=len(pairs))))
    out = np.zeros((len(letters), size, size), np.int64)
    for (a, b), letter in zip(pairs, letters.T, strict=True):
        out[:, a, b] = np.where(letter <= n_colours, letter, 0)
        out[:, b, a] = np.where(letter > n_colours, letter - n_colours, 0)
    return out[connected(out)]


def some(size, n_colours, n, seed=0):
    rng = np.random.default_rng([seed, size, n_colours])
    n_pairs = size * (size - 1) // 2
    letters = rng.integers(1, 2 * n_colours + 1, (n, n_pairs)) * (rng.random((n, n_pairs)) < 0.6)
    return oriented(size, n_colours, letters)


def unpack(numbers, size):
    """The 0/1 matrices that numbers stand for, first entry most significant."""
    bits = 1 << np.arange(size * size)[::-1]
    return ((np.array(numbers)[:, None] & bits) > 0).astype(np.int64).reshape(-1, size, size)


def stacks(matrix):
    """Whether nodes can be put into layers so that every edge leads one layer on."""
    g = nx.from_numpy_array(matrix, create_using=nx.DiGraph)
    level = {0: 0}
    for a, b in nx.bfs_edges(g.to_undirected(), 0):
        level[b] = level[a] + (1 if g.has_edge(a, b) else -1)
    return all(level[b] == level[a] + 1 for a, b in g.edges)


# --- the numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", N_CLASSES)
def test_numbers_stand_for_connected_digraphs_without_loops_and_mutual_edges(size):
    matrices = unpack(FANMOD_IDS[size], size)
    assert connected(matrices).all()
    assert not (matrices * matrices.transpose(0, 2, 1)).any()
    assert list(FANMOD_IDS[size]) == sorted(set(FANMOD_IDS[size]))


@pytest.mark.parametrize("size", N_CLASSES)
def test_numbers_stand_for_each_class_once(size):
    """As many pairwise different orbits as there are, and together they hold every digraph."""
    orbits = [orbit(m) for m in unpack(FANMOD_IDS[size], size)]
    assert len(orbits) == N_CLASSES[size]
    total = len(set().union(*orbits))
    assert total == sum(map(len, orbits))  # disjoint
    assert total == len(oriented(size, 1))  # and nothing is left over


def test_the_numbers_are_those_that_nauty_gave():
    """Whatever edits or converts the file; results know nothing of it but through this digest."""
    content = resources.files("winnow.metrics.motifs").joinpath("fanmod.txt").read_bytes()
    digest = hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()
    assert digest == "f8c897ad7abcf0955efcf72f55074bd61267ba948495705934c7d2ee7c31c8d1"


def test_no_two_numbers_are_isomorphic_to_networkx():
    groups = defaultdict(list)
    for m in unpack(FANMOD_IDS[4], 4):
        groups[m.sum()].append(nx.from_numpy_array(m, create_using=nx.DiGraph))
    pairs = [pair for group in groups.values() for pair in itertools.combinations(group, 2)]
    assert not any(nx.is_isomorphic(*pair) for pair in pairs)


@pytest.mark.parametrize("size", [3, 4])
def test_names_are_those_of_the_classes_in_layered_networks(size):
    stacked = [i for i in FANMOD_IDS[size] if stacks(unpack([i], size)[0])]
    assert sorted(classes.NAMES[size]) == stacked
    assert len(set(classes.NAMES[size].values())) == len(stacked)


@pytest.mark.parametrize(
    ("name", "edges"),
    [
        ("out-star", [(0, 1), (0, 2), (0, 3)]),
        ("in-star", [(1, 0), (2, 0), (3, 0)]),
        ("chain", [(0, 1), (1, 2), (2, 3)]),
        ("chain, fork", [(0, 1), (1, 2), (1, 3)]),
        ("join, chain", [(0, 2), (1, 2), (2, 3)]),
        ("fork, chain", [(0, 1), (0, 2), (1, 3)]),
        ("chain, join", [(0, 1), (1, 2), (3, 2)]),
        ("N", [(0, 2), (1, 2), (1, 3)]),
        ("bi-fan", [(0, 2), (0, 3), (1, 2), (1, 3)]),
        ("bi-parallel", [(0, 1), (0, 2), (1, 3), (2, 3)]),
    ],
)
def test_names_fit_what_they_are_drawn_as(name, edges):
    matrix = np.zeros((1, 4, 4), int)
    matrix[0][tuple(np.transpose(edges))] = 1
    [number], _ = classes.describe(matrix)
    assert classes.NAMES[4][number] == name


# --- descriptions -------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "n_colours"), [(3, 1), (3, 2), (3, 6), (4, 1), (4, 2)])
def test_descriptions_are_classes_exhaustively(size, n_colours):
    """One text for all relabellings of a digraph, another for every other digraph."""
    matrices = oriented(size, n_colours)
    _, texts = classes.describe(matrices)
    members = defaultdict(set)
    for m, text in zip(matrices, texts, strict=True):
        members[text].add(m.tobytes())
    for text, found in members.items():
        assert orbit(np.array(list(map(int, text))).reshape(size, size)) == found


@pytest.mark.parametrize("n_colours", [1, 3, 6])
def test_descriptions_of_five_nodes_are_constant_on_orbits(n_colours):
    for m in some(5, n_colours, 60):
        p = orders(5)
        ids, texts = classes.describe(m[p[:, :, None], p[:, None, :]])
        assert set(ids) == {ids[0]}
        assert set(texts) == {texts[0]}
        assert np.array(list(map(int, texts[0]))).reshape(5, 5).tobytes() in orbit(m)


@pytest.mark.parametrize("n_colours", [1, 2, 6])
@pytest.mark.parametrize("size", N_CLASSES)
def test_the_number_is_the_representative_without_colours(size, n_colours):
    ids, texts = classes.describe(some(size, n_colours, 300))
    assert [int("".join("01"[c > "0"] for c in t), 2) for t in texts] == ids.tolist()
    assert set(ids) <= set(FANMOD_IDS[size])


def test_the_representative_is_the_first_colouring_in_reading_order():
    for m in some(4, 3, 100):
        [number], [text] = classes.describe(m[None])
        [plain] = unpack([number], 4)
        fits = [
            "".join(map(str, np.frombuffer(o, np.int64)))
            for o in orbit(m)
            if ((np.frombuffer(o, np.int64).reshape(4, 4) > 0) == plain).all()
        ]
        assert text == min(fits)


@pytest.mark.parametrize("size", N_CLASSES)
def test_no_digraphs_have_no_descriptions(size):
    ids, texts = classes.describe(np.zeros((0, size, size), int))
    assert ids.shape == texts.shape == (0,)
    assert ids.dtype == np.int64
    assert texts.dtype == f"<U{size * size}"


@pytest.mark.parametrize(
    "edges",
    [[(0, 1)], [(0, 1), (1, 0), (1, 2)], [(0, 0), (0, 1), (1, 2)], []],
    ids=["not connected", "mutual", "loop", "empty"],
)
def test_what_has_no_number_is_named(edges):
    chain = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    bad = np.zeros((3, 3), int)
    for a, b in edges:
        bad[a, b] = 2
    with pytest.raises(ValueError, match=re.escape(f"{bad.tolist()} is no connected digraph")):
        classes.describe(np.stack([chain, bad]))


@pytest.mark.parametrize("size", [0, 2, 6])
def test_sizes_without_numbers_are_refused(size):
    with pytest.raises(ValueError, match=re.escape(f"size must be in [3, 5], got {size}")):
        classes.describe(np.zeros((1, size, size), int))


def test_describing_leaves_the_matrices_as_they_were():
    m = some(4, 3, 50)
    kept = m.copy()
    classes.describe(m)
    assert (m == kept).all()


@pytest.mark.parametrize(("size", "n_classes"), [(4, 236), (5, 3895)])
def test_coloured_classes_of_layered_networks_are_as_many_as_counting_says(size, n_classes):
    """All ways to colour each layered class in three colours."""
    numbers = [i for i in FANMOD_IDS[size] if stacks(unpack([i], size)[0])]
    assert len(numbers) == {4: 10, 5: 42}[size]
    texts = set()
    for m in unpack(numbers, size):
        at = np.nonzero(m)
        ways = np.array(list(itertools.product((1, 2, 3), repeat=len(at[0]))))
        coloured = np.zeros((len(ways), size, size), np.int64)
        coloured[:, *at] = ways
        texts |= set(classes.describe(coloured)[1])
    assert len(texts) == n_classes
