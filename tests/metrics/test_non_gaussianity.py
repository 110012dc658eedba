"""Cuts keep what their nulls must keep; survival is compared among weights of one size."""

import numpy as np
import pytest
import scipy.stats
import torch

from winnow import seeds
from winnow.metrics import non_gaussianity

kinds = pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])


def rng(seed=0):
    return np.random.default_rng(seed)


def layer(shape=(2, 3, 4, 8), n=200, seed=0):
    """Weights with zeros, masks that nest, and inputs of uniform and of heavy tails."""
    source = rng(seed)
    before = source.random(shape) < 0.8
    after = before & (source.random(shape) < 0.6)
    x = source.random((*shape[:-2], n, shape[-1]))
    x[..., ::2] = source.laplace(size=x[..., ::2].shape)
    return source.normal(size=shape), before, after, x


def kappa(w, x):
    """By SciPy; NaN for a unit without weights."""
    return scipy.stats.kurtosis(x @ w) if w.any() else np.nan


# --- kurtosis -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "expected", "bar"),
    [("standard_normal", 0, 0.03), ("random", -1.2, 0.01), ("laplace", 3, 0.25)],
)
def test_kurtosis_of_known_distributions(draw, expected, bar):
    generator = rng(7)
    x = (
        generator.laplace(size=(2, 60_000, 3))
        if draw == "laplace"
        else getattr(generator, draw)((2, 60_000, 3))
    )
    found = non_gaussianity.excess_kurtosis(5 + 3 * x)
    assert found.shape == (2, 3)
    assert abs(found.mean() - expected) < bar
    np.testing.assert_allclose(found, scipy.stats.kurtosis(5 + 3 * x, axis=-2), rtol=1e-9)


def test_pooled_classes_look_heavy_tailed_where_none_is():
    """A mixture of variances 1 and 4: 3 (17/2) / (5/2)^2 - 3 = 1.08."""
    x = rng().normal(size=(2, 50_000, 1)) * [[[1]], [[2]]]
    assert (abs(non_gaussianity.excess_kurtosis(x)) < 0.1).all()
    assert non_gaussianity.excess_kurtosis(x.reshape(1, -1, 1)) == pytest.approx(1.08, abs=0.1)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7, 1e-30])
def test_constant_columns_have_no_kurtosis(value):
    x = np.stack([np.full(70_001, value), rng().normal(size=70_001)], -1)
    assert np.isnan(non_gaussianity.excess_kurtosis(x)).tolist() == [True, False]
    rounded = np.full((50, 1), value) * (1 + 2e-16 * (np.arange(50) % 2))[:, None]
    assert np.isnan(non_gaussianity.excess_kurtosis(rounded)).all()


@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_kurtosis_has_no_scale(scale):
    x = rng().normal(size=(40, 2))
    found = non_gaussianity.excess_kurtosis(scale * x)
    np.testing.assert_allclose(found, scipy.stats.kurtosis(x), rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e-100, 1e-30, 1e100, 1e300])
@pytest.mark.parametrize("what", ["weights", "inputs"])
@kinds
def test_kurtosis_of_units_has_no_scale(kind, what, unit):
    w, _, _, x = layer(seed=3)
    units = {what: unit}
    scaled = kind(units.get("weights", 1) * w), kind(units.get("inputs", 1) * x)
    for measure in ("unit_kurtosis", "cavity_kurtosis", "gain_without"):
        function = getattr(non_gaussianity, measure)
        np.testing.assert_allclose(function(*scaled), function(w, x), rtol=1e-9, atol=1e-9)


def test_each_unit_and_each_replica_has_its_own_scale():
    w, _, _, x = layer(seed=3)
    units = 10.0 ** rng().integers(-250, 250, (2, 3, 4, 1))
    levels = 10.0 ** rng(1).integers(-250, 250, (2, 3, 1, 1))
    for measure in (non_gaussianity.unit_kurtosis, non_gaussianity.cavity_kurtosis):
        np.testing.assert_allclose(measure(units * w, levels * x), measure(w, x), rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-30, 1e200])
def test_energies_have_no_scale(unit):
    w, before, after, _ = layer(seed=4)
    found = non_gaussianity.equal_energy_cut(unit * w, before, after, rng=rng())
    assert (found == non_gaussianity.equal_energy_cut(w, before, after, rng=rng())).all()


@pytest.mark.parametrize("dtype", [float, int, np.float32, np.uint8])
def test_masks_may_be_numbers(dtype):
    w, before, after, _ = layer(seed=4)
    pair = (
        before.astype(dtype)[..., ::-1, ::-1][..., ::-1, ::-1],
        np.asfortranarray(after.astype(dtype)),
    )
    found = non_gaussianity.equal_count_cut(*pair, rng=rng())
    assert (found == non_gaussianity.equal_count_cut(before, after, rng=rng())).all()
    found = non_gaussianity.auc(abs(w), pair[1], pair[0])
    np.testing.assert_array_equal(found, non_gaussianity.auc(abs(w), after, before))


def deleted(weights, inputs):
    """Kurtosis with each weight deleted, one by one, by SciPy."""
    out = np.full(weights.shape, np.nan)
    for unit, w in enumerate(weights):
        for i in range(len(w)):
            rest = np.where(np.arange(len(w)) == i, 0, w)
            if rest.any():
                out[unit, i] = scipy.stats.kurtosis(inputs @ rest)
    return out


def case(name, d=9, n=400):
    """Weights with zeros, inputs of one kind."""
    source = rng(8)
    w = source.normal(size=(5, d)) * (source.random((5, d)) < 0.7)
    x = source.normal(size=(n, d)) @ (np.eye(d) + 0.5 * np.eye(d, k=1))
    if name == "heavy":
        x = np.sign(x) * abs(x) ** 3
    if name == "means":
        x = x + 100 * np.arange(d)
    if name == "one weight":
        w[2], w[2, 4] = 0, 1.3
    if name == "dead":
        w[1] = 0
    if name == "one rules":
        w[0, 1], w[3, 2], w[4, 5], w[4, 6] = 1e3, -1e7, 1e4, 1e3
    if name == "two weights":
        w = np.eye(5, d) + 1e-9 * np.eye(5, d, k=1)
    if name == "constant":
        x[:, 3] = 0.1
        w = w * (np.arange(d) < 4)
        w[0] = np.eye(d)[3] + np.eye(d)[1]
    if name == "copies":
        x[:, 1] = x[:, 0]
        w[0], w[0, :2] = 0, [1, -1]
    return w, x


CASES = ["plain", "heavy", "means", "one weight", "dead", "one rules", "two weights"]


@kinds
@pytest.mark.parametrize("name", CASES)
def test_cavity_kurtosis_is_that_of_deleting_each_weight(name, kind):
    w, x = case(name)
    found = non_gaussianity.cavity_kurtosis(kind(w), kind(x))
    assert isinstance(found, type(kind(w)))
    expected = deleted(w, x - x.mean(0))
    assert np.isnan(expected).sum() == {"one weight": 1, "dead": 9}.get(name, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    own = np.asarray(non_gaussianity.unit_kurtosis(w, x))[:, None] + 0 * w
    np.testing.assert_allclose(found[w == 0], own[w == 0], rtol=1e-10, atol=1e-10)


def test_nothing_remains_where_what_remains_is_constant():
    w, x = case("constant")
    found = non_gaussianity.cavity_kurtosis(w, x)
    assert np.isnan(found[0, 1])
    assert not np.isnan(found[0, 3])
    assert np.isnan(found).sum() == 1
    assert np.isnan(non_gaussianity.unit_kurtosis(np.eye(9)[3:4], x)).all()


def test_copies_that_cancel_are_themselves_once_one_is_gone():
    w, x = case("copies")
    found, once = non_gaussianity.cavity_kurtosis(w, x), scipy.stats.kurtosis(x[:, 0])
    np.testing.assert_allclose(found[0, :2], [once, once], rtol=1e-10)
    assert np.isnan(found[0, 2:]).all()


@pytest.mark.parametrize("block", [1, 3000, 10**9])
def test_blocks_change_nothing(block, monkeypatch):
    w, x = case("one rules")
    expected = deleted(w, x)
    monkeypatch.setattr(non_gaussianity, "_BLOCK", block)
    np.testing.assert_allclose(
        non_gaussianity.cavity_kurtosis(w, x), expected, rtol=1e-10, atol=1e-10
    )


def test_batch_axes_of_weights_and_inputs_broadcast():
    w = rng().normal(size=(2, 3, 4, 6)) * (rng(1).random((2, 3, 4, 6)) < 0.6)
    w[1, 2, 0], w[0, 1, 3, 2] = 0, 1e5
    x = rng(2).laplace(size=(2, 1, 300, 6)) ** 3
    found = non_gaussianity.cavity_kurtosis(w, x)
    own = non_gaussianity.unit_kurtosis(w, x)
    for s, a in np.ndindex(2, 3):
        np.testing.assert_allclose(found[s, a], deleted(w[s, a], x[s, 0]), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(own[s, a], non_gaussianity.unit_kurtosis(w[s, a], x[s, 0]))
    one = non_gaussianity.cavity_kurtosis(w[0, 0], x[:, 0])
    assert one.shape == (2, 4, 6)
    np.testing.assert_allclose(one[1], deleted(w[0, 0], x[1, 0]), rtol=1e-10, atol=1e-10)


def test_single_precision_inputs_are_summed_in_double():
    w, x = (np.float32(a) for a in case("dense" if "dense" in CASES else next(iter(CASES))))
    found = non_gaussianity.cavity_kurtosis(w, x)
    assert found.dtype == np.float64
    expected = deleted(w.astype(float), x.astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


# --- gains and cuts -----------------------------------------------------------------------------


@kinds
def test_gains_are_those_of_deleting_each_weight(kind):
    w, before, _, x = layer()
    w = w * before
    w[0, 0, 1], w[0, 0, 2] = 0, np.eye(8)[3]
    x[1] = rng(1).random(x[1].shape)  # kurtosis below zero
    found = non_gaussianity.gain_without(kind(w), kind(x))
    assert isinstance(found, type(kind(w)))
    expected = np.full(w.shape, np.nan)
    for at in zip(*w.nonzero(), strict=True):
        unit, data = w[at[:-1]], x[at[:-2]]
        rest = np.where(np.arange(8) == at[-1], 0, unit)
        expected[at] = abs(kappa(rest, data)) - abs(kappa(unit, data))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)
    found = np.asarray(found)
    assert np.isnan(found[0, 0, 2]).all()
    assert np.isnan(found).sum() == (w == 0).sum() + 1


def test_gaussian_inputs_gain_nothing():
    x = rng().normal(size=(20_000, 6))
    assert (abs(non_gaussianity.gain_without(np.ones((3, 6)), x)) < 0.1).all()


# --- nulls of a cut -----------------------------------------------------------------------------


@kinds
def test_an_equal_count_is_kept_of_what_there_was(kind):
    _, before, after, _ = layer((3, 5, 20))
    after[0, 0], after[1, 1] = False, before[1, 1]
    cut = non_gaussianity.equal_count_cut(kind(before), kind(after), rng=rng(1))
    assert isinstance(cut, type(kind(before)))
    cut = np.asarray(cut)
    assert cut.dtype == bool
    assert (cut.sum(-1) == after.sum(-1)).all()
    assert not (cut & ~before).any()
    assert (cut != after).mean() > 0.1


def test_each_kept_weight_is_as_likely_to_go():
    before = np.tile([True] * 5 + [False] * 3, (4000, 2, 1))
    after = before & (np.arange(8) > 1)
    w = np.ones(before.shape)
    for cut in (
        non_gaussianity.equal_count_cut(before, after, rng=rng()),
        non_gaussianity.equal_energy_cut(w, before, after, rng=rng()),
    ):
        np.testing.assert_allclose(cut.mean((0, 1))[:5], 0.6, atol=0.03)
        assert not (cut[:, 0] == cut[:, 1]).all(-1).mean() > 0.2  # unit by unit


def greedy(w, before, limit, order):
    """The rule, visit by visit."""
    kept, spent = before.copy(), 0.0
    for i in order:
        if before[i] and limit > 0 and spent + w[i] ** 2 <= limit * (1 + 1e-12):
            spent += w[i] ** 2
            kept[i] = False
    return kept


@kinds
def test_an_equal_energy_cut_is_greedy_in_random_order(kind):
    w, before, after, _ = layer((3, 5, 20), seed=3)
    before[1, 1, 2], w[1, 1, 2], w[2, 2, 2] = True, 0, 0
    after[0, 0], after[1, 1] = False, before[1, 1]
    cut = non_gaussianity.equal_energy_cut(kind(w), kind(before), kind(after), rng=rng(1))
    assert isinstance(cut, type(kind(before)))
    keys = rng(1).random((3, 5, 20))
    for at in np.ndindex(3, 5):
        limit = (w[at] ** 2 * (before[at] & ~after[at])).sum()
        expected = greedy(w[at], before[at], limit, keys[at].argsort())
        assert (np.asarray(cut[at]) == expected).all()
    assert not cut[0, 0].any()
    assert (np.asarray(cut[1, 1]) == before[1, 1]).all()


def test_no_more_energy_goes_than_in_the_cut_and_nothing_small_is_spared():
    w, before, after, _ = layer((50, 6, 30), seed=4)
    cut = non_gaussianity.equal_energy_cut(w, before, after, rng=rng())
    gone, limit = ((w**2 * (before & ~m)).sum(-1) for m in (cut, after))
    assert (gone <= limit * (1 + 1e-9)).all()
    assert gone.sum() > 0.9 * limit.sum()
    spared = np.where(cut, w**2, np.inf).min(-1)
    assert (gone + spared > limit)[limit > 0].all()  # what is left would not fit
    assert not (cut & ~before).any()


def test_a_replica_has_the_same_cut_among_others():
    w, before, after, _ = layer((4, 5, 9), seed=5)
    one, many = seeds.generators([2], "cut"), seeds.generators(range(4), "cut")
    cut = non_gaussianity.equal_count_cut(before, after, rng=many)
    assert (cut[2:3] == non_gaussianity.equal_count_cut(before[2:3], after[2:3], rng=one)).all()
    one, many = seeds.generators([2], "cut"), seeds.generators(range(4), "cut")
    cut = non_gaussianity.equal_energy_cut(w, before, after, rng=many)
    assert (
        cut[2:3] == non_gaussianity.equal_energy_cut(w[2:3], before[2:3], after[2:3], rng=one)
    ).all()


# --- survival -----------------------------------------------------------------------------------


def auc_by_hand(scores, survived, eligible, size, n_strata):
    """Count pairs, stratum by stratum."""
    known = eligible & ~np.isnan(scores) & ~np.isnan(size)
    order = np.argsort(size[known], kind="stable")
    won = pairs = 0
    for s in range(n_strata):
        members = [p for r, p in enumerate(order) if r * n_strata // len(order) == s]
        x, kept = scores[known][members], survived[known][members]
        for a in x[kept]:
            won += (a > x[~kept]).sum() + (a == x[~kept]).sum() / 2
        pairs += kept.sum() * (~kept).sum()
    return won / pairs if pairs else np.nan


@kinds
@pytest.mark.parametrize("levels", [3, 1000], ids=["ties", "no ties"])
@pytest.mark.parametrize("n_strata", [1, 2, 7, 20])
def test_survival_is_that_of_counted_pairs(n_strata, levels, kind):
    source = rng(n_strata)
    scores = source.integers(levels, size=(2, 3, 9, 9)).astype(float)
    size = source.integers(levels, size=scores.shape) / 2
    survived, eligible = source.random((2, *scores.shape)) < 0.6
    scores[0, 0, 1, :4], size[1, 1, 1, 2] = np.nan, np.nan
    scores[1, 2, 3, 3], scores[1, 2, 4, 4], size[1, 2, 8, 7:] = np.inf, -np.inf, np.inf
    eligible[1, 2, 8] = True
    eligible[1, 0], survived[0, 2] = False, True
    found = non_gaussianity.stratified_auc(
        *map(kind, (scores, survived, eligible, size)), n_strata=n_strata
    )
    assert isinstance(found, type(kind(scores)))
    expected = [
        [
            auc_by_hand(*(a[at, b].ravel() for a in (scores, survived, eligible, size)), n_strata)
            for b in range(3)
        ]
        for at in range(2)
    ]
    assert np.isnan(expected).tolist() == [[False, False, True], [True, False, False]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    if n_strata == 1:
        plain = non_gaussianity.auc(*map(kind, (scores, survived, eligible)))
        flat = np.where(np.isnan(size), np.nan, scores)
        again = non_gaussianity.auc(flat, survived, eligible)
        np.testing.assert_allclose(again, expected)
        np.testing.assert_allclose(plain[0], expected[0])


def test_one_stratum_is_mann_and_whitney():
    scores, survived = rng().normal(size=(6, 10)), rng(1).random((6, 10)) < 0.4
    u = scipy.stats.mannwhitneyu(scores[survived], scores[~survived]).statistic
    found = non_gaussianity.auc(scores, survived, np.ones((6, 10), bool))
    assert float(found) == pytest.approx(u / survived.sum() / (~survived).sum())
    assert non_gaussianity.auc(survived, survived, np.ones((6, 10))) == 1
    assert non_gaussianity.auc(~survived, survived, np.ones((6, 10))) == 0


def test_random_survival_is_a_coin():
    scores, size = rng().normal(size=(2, 400, 6, 30))
    survived, eligible = rng(1).random((2, 400, 6, 30)) < 0.5
    found = non_gaussianity.stratified_auc(scores, survived, eligible, size)
    assert abs(found.mean() - 0.5) < 4 * found.std() / 20
    assert found.std() < 0.1


def test_strata_take_away_what_size_explains():
    """Score and survival both follow size, and within a size nothing else."""
    size = np.repeat(np.arange(20.0), 30).reshape(1, 20, 30) * np.ones((60, 1, 1))
    size = rng(3).permuted(size.reshape(60, -1), axis=-1).reshape(size.shape)
    scores = size + rng().random(size.shape)
    survived = rng(1).random(size.shape) < (size + 1) / 22
    everything = np.ones(size.shape, bool)
    plain = non_gaussianity.auc(scores, survived, everything)
    found = non_gaussianity.stratified_auc(scores, survived, everything, size, n_strata=20)
    assert (plain > 0.75).all()
    assert abs(found.mean() - 0.5) < 4 * found.std() / np.sqrt(60) < 0.03
    wrong = non_gaussianity.stratified_auc(scores, survived, everything, rng(2).random(size.shape))
    assert (wrong > 0.7).all()


def test_sizes_that_do_not_overlap_cannot_be_compared():
    """Magnitude pruning of one round: strata hold survivors only, or removed only."""
    size = rng().random((5, 4, 10))
    survived = size > np.median(size, (-2, -1), keepdims=True)
    everything = np.ones(size.shape, bool)
    found = non_gaussianity.stratified_auc(rng(1).random(size.shape), survived, everything, size)
    assert np.isnan(found).all()
    np.testing.assert_array_equal(non_gaussianity.auc(size, survived, everything), 1)


# --- profiles -----------------------------------------------------------------------------------


@kinds
def test_profiles_are_means_of_bins(kind):
    values, edges = rng().normal(size=(2, 3, 4, 10)), [1, 2, 2.5, 4, 6, 7]
    away = rng(1).integers(0, 8, size=values.shape).astype(float)
    away[away == 5] = 6
    values[0, 0, :2], away[1, 1, :2] = np.nan, np.nan
    found = non_gaussianity.profile_by_distance(kind(values), kind(away), edges)
    assert isinstance(found, type(kind(values)))
    for at in np.ndindex(2, 3):
        known = ~np.isnan(values[at]) & ~np.isnan(away[at])
        x, v = away[at][known], values[at][known]
        count, total = (np.histogram(x, edges, weights=y)[0] for y in (None, v))
        np.testing.assert_allclose(found[at], total / count, rtol=1e-12)


def test_empty_bins_and_open_ends():
    values, away = np.array([[1.0, 2.0, 4.0]]), np.array([[0.0, 1.0, 9.0]])
    found = non_gaussianity.profile_by_distance(values, away, [0, 0.5, 0.9, 1, np.inf])
    np.testing.assert_array_equal(found, [1, np.nan, np.nan, 3])


# --- all ----------------------------------------------------------------------------------------

FULL = np.ones((2, 3))
SOME = np.eye(2, 3)
WRONG = {
    "more": (
        lambda: non_gaussianity.equal_count_cut(SOME, FULL, rng=rng()),
        "after must keep only what before keeps, got 4 entries more",
    ),
    "energy": (
        lambda: non_gaussianity.equal_energy_cut(FULL, SOME, FULL, rng=rng()),
        "got 4 entries more",
    ),
    "masks": (
        lambda: non_gaussianity.equal_count_cut(FULL, FULL[:1], rng=rng()),
        r"alike, got \(2, 3\) and \(1, 3\)",
    ),
    "axes": (lambda: non_gaussianity.equal_count_cut(FULL[0], FULL[0], rng=rng()), r"got \(3,\)"),
    "generators": (
        lambda: non_gaussianity.equal_count_cut(FULL[None], FULL[None], rng=[rng(), rng()]),
        "got 2 generators for 1 replicas",
    ),
    "inputs": (lambda: non_gaussianity.gain_without(FULL, np.ones((5, 4))), r"got \(5, 4\)"),
    "one sample": (lambda: non_gaussianity.excess_kurtosis(FULL[:1]), "2 or more, got 1"),
    "samples": (lambda: non_gaussianity.excess_kurtosis(FULL * np.inf), "samples must be finite"),
    "one input": (
        lambda: non_gaussianity.cavity_kurtosis(FULL, FULL[:1]),
        r"2 or more, got \(1, 3",
    ),
    "weights": (lambda: non_gaussianity.unit_kurtosis(FULL * np.nan, FULL), "weights must be fin"),
    "batch": (
        lambda: non_gaussianity.cavity_kurtosis(np.ones((2, 1, 3)), np.ones((3, 4, 3))),
        r"batch axes must broadcast, got \(2, 1, 3\) and \(3, 4, 3\)",
    ),
    "gain": (lambda: non_gaussianity.gain_without(FULL, FULL * np.nan), "inputs must be finite"),
    "energy nan": (
        lambda: non_gaussianity.equal_energy_cut(FULL * np.nan, FULL, SOME, rng=rng()),
        "weights must be finite",
    ),
    "weights for masks": (
        lambda: non_gaussianity.equal_count_cut(0.3 * FULL, SOME, rng=rng()),
        r"before must hold 0 and 1 only, got 0\.3",
    ),
    "survived": (
        lambda: non_gaussianity.auc(FULL, FULL * np.nan, FULL),
        "survived must hold 0 and 1 only, got nan",
    ),
    "strata": (
        lambda: non_gaussianity.stratified_auc(FULL, FULL, FULL, FULL, n_strata=0),
        "n_strata must be 1 or larger, got 0",
    ),
    "shapes": (lambda: non_gaussianity.auc(FULL, FULL, FULL[:1]), r"one shape, got .*\(1, 3\)"),
    "flat": (
        lambda: non_gaussianity.auc(FULL[0], FULL[0], FULL[0]),
        r"\(\.\.\., k, d\).*got \[\(3,\)",
    ),
    "distance": (lambda: non_gaussianity.profile_by_distance(FULL, FULL[:1], [0, 1]), "one shape"),
    "one edge": (
        lambda: non_gaussianity.profile_by_distance(FULL, FULL, [1]),
        r"edges .* got \[1\.0\]",
    ),
    "edges": (
        lambda: non_gaussianity.profile_by_distance(FULL, FULL, [0, 2, 2]),
        r"edges must be 2 or more numbers that increase, got \[0\.0, 2\.0, 2\.0\]",
    ),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_inputs_are_left_untouched():
    w, before, after, x = layer((3, 4, 8))
    kept = [a.copy() for a in (w, before, after, x)]
    non_gaussianity.gain_without(w, x)
    non_gaussianity.equal_energy_cut(w, before, after, rng=rng())
    non_gaussianity.stratified_auc(w, after, before, abs(w))
    non_gaussianity.profile_by_distance(w, abs(w), [0, 1, 2])
    assert all((a == b).all() for a, b in zip(kept, (w, before, after, x), strict=True))
