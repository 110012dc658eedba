"""Significance follows its formulas, is calibrated under its nulls, and names what it refuses."""

import importlib
import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from shared import layered_edges
from winnow import stats
from winnow.metrics import motifs
from winnow.metrics.motifs import nulls

census_module = importlib.import_module("winnow.metrics.motifs.census")

LAYERED = [14, 28, 74, 140, 204, 392, 536, 2116, 2182, 2184]
COLUMNS = ["id", "adjacency", "count"]
SCORES = ["mean", "sd", "z", "p", "expected", "q", "invariant"]


def rng(seed=0):
    return np.random.default_rng(seed)


# --- significance by hand -----------------------------------------------------------------------


def hand_made(null="layer"):
    """Six classes of three topologies, four random networks; totals are all 100."""
    frame = pd.DataFrame(
        {
            "id": [6, 6, 12, 36, 36, 36],
            "adjacency": [f"{k:09d}" for k in (110, 220, 1100, 100100, 200100, 200200)],
        }
    )
    random = np.array(
        [
            [30, 20, 40, 9, 1, 0],
            [34, 20, 37, 9, 0, 0],
            [26, 20, 45, 9, 0, 0],
            [30, 20, 40, 9, 0, 1],
        ]
    )
    return census_module.Ensemble(frame, np.array([34, 20, 36, 8, 2, 0]), random, null)


def test_scores_by_hand():
    rows = motifs.score(hand_made(), absent=True)
    assert list(rows.columns) == COLUMNS + SCORES
    rows = rows.set_index("adjacency").loc[hand_made().classes["adjacency"]]
    assert rows["count"].tolist() == [34, 20, 36, 8, 2, 0]
    assert rows["mean"].tolist() == rows["expected"].tolist() == [30, 20, 40.5, 9, 0.25, 0.25]
    sd = [np.sqrt(32 / 3), 0, np.sqrt(33 / 3), 0, 0.5, 0.5]
    np.testing.assert_allclose(rows["sd"], sd, rtol=1e-12)
    z = [4 / sd[0], np.nan, -4.5 / sd[2], np.nan, 3.5, -0.5]
    np.testing.assert_allclose(rows["z"], z, rtol=1e-12)
    assert rows["invariant"].tolist() == [False, True, False, False, False, False]
    # sd is 0 and the count another: no z, but it is as far out as can be seen
    np.testing.assert_allclose(rows["p"], [0.4, np.nan, 1, 1, 0.2, 1])
    # enough is expected of three, one of them invariant: two are corrected for
    np.testing.assert_allclose(rows["q"], [0.8, np.nan, 1, np.nan, np.nan, np.nan])


@pytest.mark.parametrize("least", [0, 9, 20, 20.001, 31, 1000])
def test_only_classes_with_enough_expected_are_corrected_for(monkeypatch, least):
    monkeypatch.setattr(census_module, "MIN_EXPECTED", least)
    rows = motifs.score(hand_made(), absent=True)
    tested = (rows["expected"] >= least) & ~rows["invariant"]
    assert (rows["q"].notna() == tested).all()
    wanted = scipy.stats.false_discovery_control(rows["p"][tested]) if tested.any() else []
    np.testing.assert_allclose(rows["q"][tested], wanted)


@pytest.mark.parametrize("null", ["layer", "permutation"])
def test_shares_count_under_the_degree_null_and_counts_otherwise(null):
    plain, other, shares = (motifs.score(hand_made(n)) for n in ("layer", null, "degree"))
    pd.testing.assert_frame_equal(plain, other)
    for name in ("mean", "sd"):
        np.testing.assert_allclose(shares[name], plain[name] / 100, atol=1e-15)
    np.testing.assert_allclose(shares["z"], plain["z"])
    for name in ("count", "expected", "p", "q"):
        np.testing.assert_array_equal(shares[name], plain[name])


def test_shares_are_of_each_networks_own_total():
    counted = hand_made("degree")
    doubled = census_module.Ensemble(
        counted.classes, 3 * counted.observed, counted.random * [[1], [2], [5], [7]], "degree"
    )
    ours, theirs = motifs.score(doubled), motifs.score(counted)
    for name in ("mean", "sd", "z", "p"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9)
    assert ours["expected"].iloc[0] != theirs["expected"].iloc[0]


def test_absent_classes_are_shown_if_asked_for_and_always_corrected_for():
    counted = hand_made()
    counted.observed[2] = 0
    rows, more = motifs.score(counted), motifs.score(counted, absent=True)
    assert rows["count"].min() > 0
    assert sorted(more["count"])[:2] == [0, 0]
    pd.testing.assert_frame_equal(rows, more[more["count"] > 0])
    assert rows["q"].iloc[0] == 0.8  # of two, although one of them is not there


def test_rows_are_in_order_of_counts_then_numbers_then_text():
    counted = hand_made()
    counted.observed[:] = [5, 5, 7, 5, 5, 7]
    rows = motifs.score(counted)
    assert rows["count"].tolist() == [7, 7, 5, 5, 5, 5]
    assert rows["id"].tolist() == [12, 36, 6, 6, 36, 36]
    assert rows["adjacency"].iloc[2:].is_monotonic_increasing
    assert rows.index.tolist() == list(range(6))


def test_topologies_are_sums_of_their_colourings():
    counted = hand_made().by_topology()
    assert counted.classes["id"].tolist() == [6, 12, 36]
    assert counted.classes["adjacency"].tolist() == ["000000110", "000001100", "000100100"]
    assert counted.observed.tolist() == [54, 36, 10]
    assert counted.random.tolist() == [[50, 40, 10], [54, 37, 9], [46, 45, 9], [50, 40, 10]]
    assert counted.null == "layer"
    assert motifs.score(counted)["count"].sum() == 100


@pytest.mark.parametrize(("alpha", "wanted"), [(0.05, [2.5, 0, 0]), (0.3, [2.5, 4, 0])])
def test_the_most_significant_is_the_largest_z_below_alpha(alpha, wanted):
    rows = pd.DataFrame(
        {
            "id": [6, 6, 6, 12, 12, 36],
            "z": [1.0, 2.5, 9.0, 4.0, np.nan, np.nan],
            "p": [0.01, 0.04, 0.5, 0.05, 0.01, np.nan],
        }
    )
    assert motifs.most_significant(rows, alpha=alpha).to_dict() == dict(
        zip([6, 12, 36], wanted, strict=True)
    )


# --- significance of networks -------------------------------------------------------------------


@pytest.mark.parametrize("null", nulls.NULLS)
def test_significance_is_the_score_of_an_ensemble_of_censuses(null):
    """Each random network, counted by itself, gives its row."""
    edges = layered_edges(density=0.3)
    counted = motifs.ensemble(edges, 4, null=null, n_random=5, rng=rng())
    rows = motifs.significance(edges, 4, null=null, n_random=5, rng=rng())
    pd.testing.assert_frame_equal(rows, motifs.score(counted))
    drawn = nulls.random_networks(edges, null=null, n_random=5, rng=rng())
    networks = [np.column_stack([*pair, edges[:, 2]]) for pair in zip(*drawn, strict=True)]
    for network, counts in zip(
        [edges, *networks], [counted.observed, *counted.random], strict=True
    ):
        lone = motifs.census(network, 4).set_index("adjacency")["count"].to_dict()
        row = zip(counted.classes["adjacency"], counts.tolist(), strict=True)
        assert {a: n for a, n in row if n} == lone
    assert counted.observed.any() or counted.random.any()
    assert (counted.observed + counted.random.sum(0) > 0).all()
    absent = motifs.score(counted, absent=True)
    assert len(absent) == len(counted.classes) > len(rows) - (null == "layer")


@pytest.mark.parametrize("layers", [None, (8, 7, 6, 4)], ids=["inferred", "given"])
def test_stars_forks_and_joins_are_invariants_of_the_layer_null(layers):
    edges = layered_edges(density=0.5, n_colours=2)
    options = {"null": "layer", "layers": layers, "rng": rng()}
    counted = motifs.ensemble(edges, 4, n_random=60, **options)
    rows, sums = motifs.score(counted), motifs.score(counted.by_topology())
    for table in (rows, sums):
        fixed = table["id"].isin([14, 28, 2116, 2184])
        assert (table["invariant"] == fixed).all()
        assert table["z"].isna().eq(fixed).all()
        assert table["p"].isna().eq(fixed).all()
        assert (table["mean"][fixed] == table["count"][fixed]).all()
    assert sorted(sums["id"]) == LAYERED


def z_of_untrained(null, n_graphs, n_random=60, **options):
    """Topology z and p, (graphs, classes), of networks with independent edges."""
    z, p = [], []
    for seed in range(n_graphs):
        edges = layered_edges(seed=seed, density=0.4, **options)
        options_ = {"null": null, "n_random": n_random, "layers": (8, 7, 6, 4)}
        counted = motifs.ensemble(edges, 4, rng=rng([seed, 5]), **options_).by_topology()
        rows = motifs.score(counted).set_index("id").reindex(LAYERED)
        z.append(rows["z"])
        p.append(rows["p"])
    return np.array(z), np.array(p)


@pytest.mark.slow
@pytest.mark.parametrize("null", ["layer", "permutation"])
def test_nulls_are_calibrated_on_networks_of_independent_edges(null):
    n = 250
    z, p = z_of_untrained(null, n)
    if null == "layer":
        fixed = np.isin(LAYERED, [14, 28, 2116, 2184])
        assert np.isnan(z[:, fixed]).all()
        z, p = z[:, ~fixed], p[:, ~fixed]
    # Chains are invariant too where, say, all nodes before the last layer have two edges out.
    known = ~np.isnan(z)
    assert known.mean() > 0.99
    for k in range(z.shape[1]):
        z_k, p_k = z[known[:, k], k], p[known[:, k], k]
        assert abs(z_k.mean()) < 4 / np.sqrt(n)
        assert 0.85 < z_k.std(ddof=1) < 1.2
        for alpha in (0.05, 0.1, 0.5):  # less often is well: counts are tied with their networks'
            error = np.sqrt(alpha * (1 - alpha) / n)
            assert -0.2 < (p_k <= alpha).mean() - alpha < 4 * error


def test_the_degree_null_calls_layers_significant():
    """It does not know them, so that networks of independent edges stand out."""
    edges = layered_edges((12, 12, 12), density=0.5)
    counted = motifs.ensemble(edges, 4, null="degree", n_random=60, rng=rng()).by_topology()
    assert motifs.score(counted).set_index("id")["z"][2182] > 5


def test_planted_bi_fans_are_found():
    """Eight full blocks of three by three, 72 bi-fans, where a quarter would be by chance."""
    blocks = [(3 * k + a, 24 + 3 * k + b, 1) for k in range(8) for a in range(3) for b in range(3)]
    for null in nulls.NULLS:
        rows = motifs.significance(blocks, 4, null=null, rng=rng()).set_index("id")
        assert rows["count"][204] == 72
        assert rows["z"][204] > 5
        assert rows["p"][204] == pytest.approx(1 / 101)


# --- what goes in -------------------------------------------------------------------------------

FORK = [[0, 3, 1], [1, 3, 2], [1, 4, 1], [2, 4, 2]]


@pytest.mark.parametrize(
    "kind",
    [np.array, torch.tensor, np.uint8, np.int16, lambda e: torch.tensor(e, dtype=torch.int32)],
    ids=["array", "tensor", "uint8", "int16", "int32 tensor"],
)
def test_lists_arrays_and_tensors_are_counted_alike(kind):
    edges = kind(FORK)
    kept = np.array(edges.tolist())
    assert motifs.census(edges, 4).equals(motifs.census(FORK, 4))
    options = {"null": "permutation", "n_random": 9}
    rows = motifs.significance(edges, 4, **options, rng=rng())
    pd.testing.assert_frame_equal(rows, motifs.significance(FORK, 4, **options, rng=rng()))
    assert (np.array(edges.tolist()) == kept).all()


@pytest.mark.parametrize("size", [3, 4, 5])
def test_edges_without_colours_have_one(size):
    edges = layered_edges(n_colours=1)
    pd.testing.assert_frame_equal(motifs.census(edges[:, :2], size), motifs.census(edges, size))
    turned = np.asfortranarray(edges[::-1, ::-1])[:, ::-1]
    pd.testing.assert_frame_equal(motifs.census(turned, size), motifs.census(edges, size))


@pytest.mark.parametrize("null", nulls.NULLS)
def test_the_generator_decides(null):
    edges = layered_edges()
    kept = edges.copy()
    first, again, other = (
        motifs.significance(edges, 4, null=null, n_random=9, rng=rng(s)) for s in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    assert (edges == kept).all()


def test_far_numbers_are_no_harder():
    near = layered_edges()
    far = near * [10**9, 10**9, 1]
    assert motifs.census(far, 4).equals(motifs.census(near, 4))
    options = {"null": "degree", "n_random": 9}
    rows = motifs.significance(far, 4, **options, rng=rng())
    pd.testing.assert_frame_equal(rows, motifs.significance(near, 4, **options, rng=rng()))


@pytest.mark.parametrize("size", [3, 4, 5])
def test_where_nothing_hangs_together_tables_are_empty(size):
    apart = [[0, 2, 1], [1, 3, 1]]
    full = motifs.census(layered_edges(), size)
    empty = motifs.census(apart, size)
    assert len(empty) == 0
    assert (empty.dtypes == full.dtypes).all()
    for null in ("degree", "layer", "permutation"):
        if null == "permutation" and size == 3:
            continue  # may bring two edges together
        counted = motifs.ensemble(apart, size, null=null, n_random=2, rng=rng(), layers=(2, 2))
        rows = motifs.score(counted)
        assert list(rows.columns) == COLUMNS + SCORES
        assert len(rows) == 0
        assert len(motifs.score(counted.by_topology())) == 0
        assert len(motifs.most_significant(rows)) == 0


def test_what_only_random_networks_hold_has_no_rows_unless_asked_for():
    options = {"null": "permutation", "n_random": 50}
    rows = motifs.significance([[0, 2, 1], [1, 3, 1]], 3, **options, rng=rng())
    assert len(rows) == 0
    drawn = motifs.ensemble([[0, 2, 1], [1, 3, 1]], 3, **options, rng=rng())
    rows = motifs.score(drawn, absent=True)
    assert set(rows["id"]) == {6, 36}
    assert (rows["count"] == 0).all()
    assert (rows["z"] < 0).all()


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ([], "edges are empty: a census needs at least one"),
        (np.zeros((0, 3), int), "edges are empty"),
        ([[0]], r"edges must be \(m, 3\), source, target and colour, or \(m, 2\), got \(1, 1\)"),
        ([0, 1, 1], r"edges must be \(m, 3\), .* got \(3,\)"),
        ([[0.0, 1.0, 1.0]], "edges must be whole numbers, got float64"),
        (torch.ones(1, 3), "edges must be whole numbers, got float32"),
        (np.eye(3, dtype=bool), "edges must be whole numbers, got bool"),
        ([[0, 1, 1], [2, -1, 1]], r"edge 2 -> -1 \(colour 1\) has a negative node: number .* 0"),
        ([[0, 1, 1], [-3, 1, 1]], r"edge -3 -> 1 \(colour 1\) has a negative node"),
        ([[0, 1, 0]], r"edge 0 -> 1 \(colour 0\) has no colour from 1 to 6"),
        ([[0, 1, 6], [1, 2, 7]], r"edge 1 -> 2 \(colour 7\) has no colour from 1 to 6"),
        ([[0, 1, 1], [2, 2, 1], [3, 3, 1]], r"edge 2 -> 2 \(colour 1\) is a loop: leave it out"),
        ([[0, 1, 1], [2, 3, 1], [0, 1, 2]], r"edge 0 -> 1 \(colour 2\) is there twice: keep one"),
        ([[0, 1, 1], [1, 0, 2]], r"edge 1 -> 0 \(colour 2\) has one that runs against it: mut"),
    ],
    ids=[
        *("empty", "none", "columns", "flat", "float", "tensor", "bool", "target", "source"),
        *("colour 0", "colour 7", "loop", "twice", "mutual"),
    ],
)
def test_edges_that_cannot_be_counted_are_named(edges, words):
    options = {"null": "degree", "n_random": 2, "rng": rng()}
    for call in (
        lambda: motifs.census(edges, 4),
        lambda: motifs.significance(edges, 4, **options),
    ):
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.parametrize("size", [2, 6, 0, -1])
def test_sizes_that_are_not_counted_are_refused(size):
    words = re.escape(f"size must be in [3, 5], got {size}")
    with pytest.raises(ValueError, match=words):
        motifs.census(FORK, size)
    with pytest.raises(ValueError, match=words):
        motifs.significance(FORK, size, null="degree", rng=rng())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_random": 1}, "n_random must be 2 or larger, got 1"),
        ({"null": "layers"}, "null must be one of degree, layer, permutation, got 'layers'"),
        ({"null": "layer", "layers": (4, 1)}, r"edge 0 -> 3 .* of layers \[4, 1\]"),
    ],
    ids=["n_random", "null", "layers"],
)
def test_options_out_of_range_are_named(options, words):
    options = {"null": "permutation", "rng": rng()} | options
    with pytest.raises(ValueError, match=words):
        motifs.significance(FORK, 4, **options)


def test_networks_too_large_for_memory_are_refused(monkeypatch):
    monkeypatch.setattr("winnow.memory.free_gb", lambda: 2e-8)  # 20 bytes
    with pytest.raises(ValueError, match=re.escape("a census of 5 nodes needs 2.5e-08 GB")):
        motifs.census(FORK, 4)
    assert len(motifs.census(FORK[:2], 3)) == 1


def test_corrections_are_those_of_the_library():
    edges = layered_edges((12, 12, 12), n_colours=2)
    rows = motifs.significance(edges, 4, null="permutation", rng=rng())
    tested = rows["q"].notna()
    assert (rows["expected"][tested] >= census_module.MIN_EXPECTED).all()
    assert tested.sum() > 10
    # all classes with enough expected occur in the network, so that the shown ones are all
    np.testing.assert_allclose(rows["q"][tested], stats.benjamini_hochberg(rows["p"][tested]))
