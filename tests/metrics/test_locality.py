"""Locality counts pairs, kurtosis without a weight is that of deleting it, nulls are level."""

import itertools

import numpy as np
import pytest
import scipy.stats
import torch

from winnow import seeds
from winnow.metrics import locality, non_gaussianity


def rng(seed=0):
    return np.random.default_rng(seed)


RING, LINE, TORUS, IMAGE = ((12,), True), ((11,), False), ((4, 6), True), ((5, 4), False)
by_grid = pytest.mark.parametrize(
    ("grid", "cyclic"), [RING, LINE, TORUS, IMAGE], ids=["ring", "line", "torus", "image"]
)
kinds = pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])


def random_masks(shape, n, seed=0):
    """Masks with exactly n entries in each matrix."""
    order = rng(seed).random((*shape[:-2], shape[-2] * shape[-1])).argsort(-1).argsort(-1)
    return (order < n).reshape(shape)


# --- displacements by hand ----------------------------------------------------------------------


def displacement(a, b, grid, cyclic):
    """From site b to site a, the shortest way where cyclic."""
    gaps = np.array(np.unravel_index(a, grid)) - np.array(np.unravel_index(b, grid))
    return gaps % np.array(grid) if cyclic else gaps


def distance(a, b, grid, cyclic):
    gaps = abs(np.array(np.unravel_index(a, grid)) - np.array(np.unravel_index(b, grid)))
    return max(np.minimum(gaps, np.array(grid) - gaps) if cyclic else gaps)


def near_share(masks, grid, radius, cyclic):
    """Share of all pairs of kept sites of a unit that are within the radius."""
    near = total = 0
    for unit in masks:
        for a, b in itertools.permutations(np.flatnonzero(unit), 2):
            near += distance(a, b, grid, cyclic) <= radius
            total += 1
    return near / total


@by_grid
@pytest.mark.parametrize("radius", [1, "largest"])
def test_locality_is_that_of_counted_pairs(grid, cyclic, radius):
    radius = (min(grid) - 1) // 2 if radius == "largest" else radius
    d = int(np.prod(grid))
    masks = rng(3).random((3, 4, d)) < 0.4
    full = near_share(np.ones((1, d)), grid, radius, cyclic)
    options = {"grid": grid, "radius": radius, "cyclic": cyclic}
    expected = [near_share(m, grid, radius, cyclic) / full for m in masks]
    np.testing.assert_allclose(locality.pair_locality(masks, **options), expected, rtol=1e-12)
    each = [[near_share(u[None], grid, radius, cyclic) / full for u in m] for m in masks]
    np.testing.assert_allclose(locality.unit_locality(masks, **options), each, rtol=1e-12)


@by_grid
def test_the_map_is_that_of_counted_pairs(grid, cyclic):
    d = int(np.prod(grid))
    masks = rng(4).random((3, d)) < 0.4
    sizes = grid if cyclic else tuple(2 * p - 1 for p in grid)
    middle = [p // 2 for p in sizes] if cyclic else [p - 1 for p in grid]
    counts = np.zeros((2, *sizes))
    for which, units in enumerate([masks, np.ones((1, d))]):
        for unit in units:
            for a, b in itertools.permutations(np.flatnonzero(unit), 2):
                at = displacement(a, b, grid, cyclic) + middle
                counts[(which, *(at % sizes))] += 1
    pairs = sum(n * (n - 1) for n in masks.sum(1)) / (d * (d - 1))
    counts[1][tuple(middle)] = np.nan
    expected = counts[0] / (counts[1] * pairs)
    found = locality.displacement_map(masks, grid=grid, cyclic=cyclic)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@by_grid
def test_locality_is_the_mean_of_the_map_over_the_window(grid, cyclic):
    d = int(np.prod(grid))
    masks = rng(5).random((2, 3, d)) < 0.5
    options = {"grid": grid, "cyclic": cyclic}
    maps = locality.displacement_map(masks, **options)
    sides = [p if cyclic else 2 * p - 1 for p in grid]
    gaps = [abs(np.arange(n) - n // 2) for n in sides]
    reach = np.max(np.meshgrid(*gaps, indexing="ij"), axis=0)
    room = [np.ones(n) if cyclic else (n + 1) // 2 - gap for n, gap in zip(sides, gaps, strict=1)]
    weight = np.prod(np.meshgrid(*room, indexing="ij"), axis=0)[(reach > 0) & (reach <= 1)]
    near = maps[:, (reach > 0) & (reach <= 1)]
    mean = (near * weight).sum(-1) / weight.sum()
    np.testing.assert_allclose(locality.pair_locality(masks, radius=1, **options), mean)


@pytest.mark.parametrize("width", [2, 3, 4, 7])
def test_locality_of_a_block_by_hand(width):
    """Of width (width - 1) pairs on a ring of 20, 2 (width - j) are j apart."""
    block = np.roll(np.arange(20) < width, 8)[None]
    near = sum(2 * (width - j) for j in range(1, min(3, width - 1) + 1))
    expected = near / (width * (width - 1)) / (6 / 19)
    found = locality.pair_locality(block, grid=(20,), radius=3, cyclic=True)
    assert float(found) == pytest.approx(expected)


def test_a_block_across_the_edge_is_local_on_a_ring_only():
    block = np.roll(np.arange(20) < 4, -2)[None]
    options = {"grid": (20,), "radius": 3}
    assert locality.pair_locality(block, cyclic=True, **options) == pytest.approx(19 / 6)
    assert locality.pair_locality(block, cyclic=False, **options) < 2


@by_grid
@pytest.mark.parametrize("share", [0.12, 0.3, 0.6, 0.95])
def test_locality_of_random_masks_is_one_at_any_density(grid, cyclic, share):
    d, k = int(np.prod(grid)), 5
    masks = random_masks((2000, k, d), round(share * k * d), seed=int(100 * share))
    masks = masks[masks.sum(-1).max(-1) > 1]  # fewer have no pair
    found = locality.pair_locality(masks, grid=grid, radius=1, cyclic=cyclic)
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - 1) < 4 * error < 0.12
    maps = locality.displacement_map(masks, grid=grid, cyclic=cyclic).reshape(len(found), -1)
    maps = np.delete(maps, np.flatnonzero(np.isnan(maps[0])), axis=1)
    assert maps.shape[1] >= d - 1
    assert (abs(maps.mean(0) - 1) < 4.5 * maps.std(0) / np.sqrt(len(maps))).all()


def test_full_masks_are_exactly_one():
    for grid, cyclic in [RING, LINE, TORUS, IMAGE]:
        full = np.ones((2, int(np.prod(grid))))
        assert locality.pair_locality(full, grid=grid, radius=1, cyclic=cyclic) == 1


def test_dense_units_dominate_the_pool_but_not_the_mean():
    masks = np.zeros((2, 30), bool)
    masks[0], masks[1, :2] = True, True
    options = {"grid": (30,), "radius": 1, "cyclic": True}
    assert locality.pair_locality(masks, **options) < 1.05
    np.testing.assert_allclose(locality.unit_locality(masks, **options), [1, 14.5])


def test_masks_without_a_pair_have_no_locality():
    masks = np.zeros((2, 3, 9), bool)
    masks[0, :, 4] = True
    masks[1, 0, :2] = True
    options = {"grid": (3, 3), "radius": 1, "cyclic": False}
    assert np.isnan(locality.pair_locality(masks, **options)).tolist() == [True, False]
    assert np.isnan(locality.unit_locality(masks, **options)).tolist() == [
        [True] * 3, [False, True, True],
    ]  # fmt: skip
    assert np.isnan(locality.displacement_map(masks[0], grid=(3, 3), cyclic=True)).all()


# --- nulls --------------------------------------------------------------------------------------


@kinds
def test_shuffled_columns_keep_each_input_and_move_units(kind):
    fields = kind(rng().random((3, 6, 8)))
    copy = locality.shuffle_columns(fields, rng=rng(1))
    assert type(copy) is type(fields)
    before, after = np.asarray(fields), np.asarray(copy)
    assert (np.sort(before, -2) == np.sort(after, -2)).all()
    same = (before == after).mean()
    assert 0.02 < same < 0.4  # 1 in 6 by chance
    rows = after[0].argsort(0)
    assert len({tuple(c) for c in (rows - before[0].argsort(0)).T}) > 4  # column by column


def test_the_column_null_keeps_what_usage_explains():
    options = {"grid": (20,), "radius": 2, "cyclic": True}
    block = np.tile(np.arange(20) < 5, (12, 1))[None]  # all units use the same inputs
    null = locality.pair_locality_null(block, rng=rng(), n_draws=3, **options)
    assert null.shape == (1, 3)
    np.testing.assert_allclose(null, locality.pair_locality(block, **options)[:, None] + 0 * null)
    spread = np.stack([np.roll(np.arange(20) < 5, 2 * j) for j in range(10)])[None]
    null = locality.pair_locality_null(spread, rng=rng(), n_draws=30, **options)
    assert abs(null.mean() - 1) < 0.1
    assert locality.pair_locality(spread, **options) > 2


def test_the_same_seed_has_the_same_null_among_others():
    masks = rng().random((4, 5, 9)) < 0.5
    options = {"grid": (3, 3), "radius": 1, "cyclic": True}
    for null in (locality.pair_locality_null, locality.energy_window_null):
        many = null(masks, rng=seeds.generators(range(4), "null"), n_draws=2, **options)
        one = null(masks[2:3], rng=seeds.generators([2], "null"), n_draws=2, **options)
        np.testing.assert_array_equal(many[2:3], one)


# --- windows ------------------------------------------------------------------------------------


@by_grid
@pytest.mark.parametrize("radius", [0, 1])
def test_windows_centres_and_distances_are_those_of_a_search(grid, cyclic, radius):
    d = int(np.prod(grid))
    fields = rng(6).normal(size=(2, 3, d))
    inside = np.array(
        [[distance(c, j, grid, cyclic) <= radius for j in range(d)] for c in range(d)]
    )
    share = (inside * fields[..., None, :] ** 2).sum(-1) / (fields**2).sum(-1)[..., None]
    options = {"grid": grid, "radius": radius, "cyclic": cyclic}
    np.testing.assert_allclose(locality.energy_window(fields, **options), share.max(-1))
    centre = locality.field_centre(fields, **options)
    assert (centre == share.argmax(-1)).all()
    expected = [[[distance(c, j, grid, cyclic) for j in range(d)] for c in unit] for unit in centre]
    assert (locality.distance_from_centre(fields, **options) == expected).all()


def test_of_equal_windows_the_first_is_the_centre():
    field = np.zeros((1, 12))
    field[0, 5:7] = [0.1, 0.3]  # within 2 of the sites 4 to 7
    for scale in (1, 1e-3, np.pi):
        for cyclic in (True, False):
            options = {"grid": (12,), "radius": 2, "cyclic": cyclic}
            assert locality.field_centre(scale * field, **options).tolist() == [4]
            assert locality.energy_window(scale * field, **options).tolist() == [1]


def test_all_zero_units_have_no_window():
    fields = np.array([[0.0] * 9, [1.0] * 9])
    options = {"grid": (3, 3), "radius": 1, "cyclic": False}
    assert np.isnan(locality.energy_window(fields, **options)).tolist() == [True, False]
    assert locality.field_centre(fields, **options).tolist() == [-1, 4]
    away = locality.distance_from_centre(fields, **options)
    assert np.isnan(away[0]).all()
    assert away[1].tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    null = locality.energy_window_null(fields, rng=rng(), **options)
    assert np.isnan(null).tolist() == [True, False]


def test_the_window_null_is_what_random_positions_give():
    field = np.zeros((1, 10))
    field[0, :2] = 1
    options = {"grid": (10,), "radius": 1, "cyclic": True}
    null = locality.energy_window_null(field, rng=rng(), n_draws=3000, **options)
    # One window holds both if they are at most 2 apart: 4 of 9 places.
    assert null[0] == pytest.approx(4 / 9 + 5 / 9 / 2, abs=0.02)
    level = locality.energy_window(rng(1).normal(size=(2000, 1, 10)), **options).mean()
    draws = locality.energy_window_null(rng(1).normal(size=(2000, 1, 10)), rng=rng(2), **options)
    assert draws.mean() == pytest.approx(level, abs=0.01)


# --- participation ------------------------------------------------------------------------------


def test_participation_lies_within_its_bounds_and_forgets_positions():
    fields = rng().normal(size=(5, 4, 30)) * (rng(1).random((5, 4, 30)) < 0.5)
    found = locality.ipr(fields)
    n = (fields != 0).sum(-1)
    assert ((found > 1 / n) & (found < 1)).all()
    np.testing.assert_allclose(found, (fields**4).sum(-1) / (fields**2).sum(-1) ** 2)
    np.testing.assert_allclose(locality.ipr(fields[..., rng(2).permutation(30)]), found)
    np.testing.assert_allclose(locality.ipr(1e-120 * fields), found)
    assert locality.ipr(np.ones((1, 8))).tolist() == [0.125]
    assert np.isnan(locality.ipr(np.zeros((1, 8)))).all()


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
    found = locality.excess_kurtosis(5 + 3 * x)
    assert found.shape == (2, 3)
    assert abs(found.mean() - expected) < bar
    np.testing.assert_allclose(found, scipy.stats.kurtosis(5 + 3 * x, axis=-2), rtol=1e-9)


def test_pooled_classes_look_heavy_tailed_where_none_is():
    """A mixture of variances 1 and 4: 3 (17/2) / (5/2)^2 - 3 = 1.08."""
    x = rng().normal(size=(2, 50_000, 1)) * [[[1]], [[2]]]
    assert (abs(locality.excess_kurtosis(x)) < 0.1).all()
    assert locality.excess_kurtosis(x.reshape(1, -1, 1)) == pytest.approx(1.08, abs=0.1)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e7, 1e-30])
def test_constant_columns_have_no_kurtosis(value):
    x = np.stack([np.full(70_001, value), rng().normal(size=70_001)], -1)
    assert np.isnan(locality.excess_kurtosis(x)).tolist() == [True, False]
    rounded = np.full((50, 1), value) * (1 + 2e-16 * (np.arange(50) % 2))[:, None]
    assert np.isnan(locality.excess_kurtosis(rounded)).all()


@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_kurtosis_has_no_scale(scale):
    x = rng().normal(size=(40, 2))
    found = locality.excess_kurtosis(scale * x)
    np.testing.assert_allclose(found, scipy.stats.kurtosis(x), rtol=1e-9)


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
    found = locality.cavity_kurtosis(kind(w), kind(x))
    assert isinstance(found, type(kind(w)))
    expected = deleted(w, x - x.mean(0))
    assert np.isnan(expected).sum() == {"one weight": 1, "dead": 9}.get(name, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    own = np.asarray(locality.unit_kurtosis(w, x))[:, None] + 0 * w
    np.testing.assert_allclose(found[w == 0], own[w == 0], rtol=1e-10, atol=1e-10)


def test_nothing_remains_where_what_remains_is_constant():
    w, x = case("constant")
    found = locality.cavity_kurtosis(w, x)
    assert np.isnan(found[0, 1])
    assert not np.isnan(found[0, 3])
    assert np.isnan(found).sum() == 1
    assert np.isnan(locality.unit_kurtosis(np.eye(9)[3:4], x)).all()


def test_copies_that_cancel_are_themselves_once_one_is_gone():
    w, x = case("copies")
    found, once = locality.cavity_kurtosis(w, x), scipy.stats.kurtosis(x[:, 0])
    np.testing.assert_allclose(found[0, :2], [once, once], rtol=1e-10)
    assert np.isnan(found[0, 2:]).all()


@pytest.mark.parametrize("block", [1, 3000, 10**9])
def test_blocks_change_nothing(block, monkeypatch):
    w, x = case("one rules")
    expected = deleted(w, x)
    monkeypatch.setattr(non_gaussianity, "_BLOCK", block)
    np.testing.assert_allclose(locality.cavity_kurtosis(w, x), expected, rtol=1e-10, atol=1e-10)


def test_batch_axes_of_weights_and_inputs_broadcast():
    w = rng().normal(size=(2, 3, 4, 6)) * (rng(1).random((2, 3, 4, 6)) < 0.6)
    w[1, 2, 0], w[0, 1, 3, 2] = 0, 1e5
    x = rng(2).laplace(size=(2, 1, 300, 6)) ** 3
    found = locality.cavity_kurtosis(w, x)
    own = locality.unit_kurtosis(w, x)
    for s, a in np.ndindex(2, 3):
        np.testing.assert_allclose(found[s, a], deleted(w[s, a], x[s, 0]), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(own[s, a], locality.unit_kurtosis(w[s, a], x[s, 0]))
    one = locality.cavity_kurtosis(w[0, 0], x[:, 0])
    assert one.shape == (2, 4, 6)
    np.testing.assert_allclose(one[1], deleted(w[0, 0], x[1, 0]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_single_precision_is_good_for_some_digits(name):
    w, x = case(name)
    found = locality.cavity_kurtosis(torch.tensor(w), torch.tensor(x).float(), dtype="float32")
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, deleted(w, x - x.mean(0)), rtol=1e-2, atol=1e-2)
    wide = locality.cavity_kurtosis(w.astype("float32"), x.astype("float32"))
    assert wide.dtype == np.float64


# --- all ----------------------------------------------------------------------------------------

OPTIONS = {"grid": (4, 3), "radius": 1, "cyclic": False}
MEASURES = {
    "ipr": locality.ipr,
    "excess_kurtosis": locality.excess_kurtosis,
    "cavity_kurtosis": lambda x: locality.cavity_kurtosis(x, (x + 1) ** 2),
    "pair_locality": lambda x: locality.pair_locality(x > 0, **OPTIONS),
    "unit_locality": lambda x: locality.unit_locality(x > 0, **OPTIONS),
    "displacement_map": lambda x: locality.displacement_map(x > 0, grid=(4, 3), cyclic=True),
    "energy_window": lambda x: locality.energy_window(x, **OPTIONS),
    "field_centre": lambda x: locality.field_centre(x, **OPTIONS),
    "distance_from_centre": lambda x: locality.distance_from_centre(x, **OPTIONS),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_batch_is_a_loop_and_kinds_are_kept(measure):
    x = rng(9).normal(size=(2, 3, 5, 12))
    was = x.copy()
    found = measure(x)
    assert isinstance(found, np.ndarray)
    assert (x == was).all()
    for at in np.ndindex(2, 3):
        np.testing.assert_allclose(found[at], measure(x[at]), rtol=1e-12, atol=1e-14)
    tensor = measure(torch.tensor(x, requires_grad=True))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor, found)


ONES, NULL = np.ones((2, 12)), {"rng": rng(), "n_draws": 0}
WRONG = {
    "axes": (lambda: locality.ipr(np.ones(3)), r"two axes or more, got shape \(3,\)"),
    "fields": (lambda: locality.ipr(np.full((2, 2), np.nan)), "fields must be finite.*got NaN"),
    "one sample": (lambda: locality.excess_kurtosis(ONES[:1]), "samples must be 2 or more, got 1"),
    "samples": (lambda: locality.excess_kurtosis(ONES * np.inf), "samples must be finite"),
    "inputs": (
        lambda: locality.cavity_kurtosis(ONES, np.ones((5, 7))),
        r"inputs must be \(\.\.\., n, 12\).*got \(5, 7\)",
    ),
    "one input": (lambda: locality.cavity_kurtosis(ONES, ONES[:1]), r"n of 2 or more, got \(1, 12"),
    "weights": (lambda: locality.unit_kurtosis(ONES * np.nan, ONES), "weights must be finite"),
    "batch": (
        lambda: locality.cavity_kurtosis(np.ones((2, 1, 3)), np.ones((3, 4, 3))),
        r"batch axes must broadcast, got \(2, 1, 3\) and \(3, 4, 3\)",
    ),
    "dtype": (
        lambda: locality.cavity_kurtosis(ONES, ONES, dtype="float16"),
        "'float64' or 'float32', got 'float16'",
    ),
    "grid": (
        lambda: locality.pair_locality(ONES, grid=(5, 2), radius=1, cyclic=True),
        r"grid must.*sites of \(2, 12\), got \(5, 2\)",
    ),
    "three sides": (
        lambda: locality.displacement_map(ONES, grid=(2, 2, 3), cyclic=True),
        r"one or two sides.*got \(2, 2, 3\)",
    ),
    "radius 0": (
        lambda: locality.pair_locality(ONES, grid=(3, 4), radius=0, cyclic=True),
        r"radius must be in \[1, 1\] on a grid \(3, 4\), got 0",
    ),
    "radius 2": (
        lambda: locality.unit_locality(ONES, grid=(4, 3), radius=2, cyclic=False),
        r"radius must be in \[1, 1\].*got 2",
    ),
    "radius 6": (
        lambda: locality.energy_window(ONES, grid=(12,), radius=6, cyclic=True),
        r"radius must be in \[0, 5\].*got 6",
    ),
    "draws": (
        lambda: locality.pair_locality_null(ONES, grid=(12,), radius=1, cyclic=True, **NULL),
        "n_draws must be 1 or larger, got 0",
    ),
    "window draws": (
        lambda: locality.energy_window_null(ONES, grid=(12,), radius=1, cyclic=True, **NULL),
        "n_draws must be 1 or larger, got 0",
    ),
    "generators": (
        lambda: locality.shuffle_columns(np.ones((3, 2, 4)), rng=[rng()]),
        "got 1 generators for 3 replicas",
    ),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
