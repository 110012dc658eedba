"""Locality counts pairs, windows are searched, nulls are level."""

import itertools

import numpy as np
import pytest
import torch

from winnow import seeds
from winnow.metrics import locality


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
    centre = share.argmax(-1)
    expected = [[[distance(c, j, grid, cyclic) for j in range(d)] for c in unit] for unit in centre]
    assert (locality.distance_from_centre(fields, **options) == expected).all()


def test_of_equal_windows_the_first_is_the_centre():
    field = np.zeros((1, 12))
    field[0, 5:7] = [0.1, 0.3]  # within 2 of the sites 4 to 7
    for scale in (1, 1e-3, np.pi):
        for cyclic in (True, False):
            options = {"grid": (12,), "radius": 2, "cyclic": cyclic}
            away = locality.distance_from_centre(scale * field, **options)
            assert np.flatnonzero(away == 0).tolist() == [4]
            assert locality.energy_window(scale * field, **options).tolist() == [1]


def test_all_zero_units_have_no_window():
    fields = np.array([[0.0] * 9, [1.0] * 9])
    options = {"grid": (3, 3), "radius": 1, "cyclic": False}
    assert np.isnan(locality.energy_window(fields, **options)).tolist() == [True, False]
    away = locality.distance_from_centre(fields, **options)
    assert np.isnan(away[0]).all()
    assert away[1].tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    null = locality.energy_window_null(fields, rng=rng(), **options)
    assert np.isnan(null).tolist() == [True, False]


@pytest.mark.slow
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


# --- all ----------------------------------------------------------------------------------------

OPTIONS = {"grid": (4, 3), "radius": 1, "cyclic": False}
MEASURES = {
    "ipr": locality.ipr,
    "pair_locality": lambda x: locality.pair_locality(x > 0, **OPTIONS),
    "unit_locality": lambda x: locality.unit_locality(x > 0, **OPTIONS),
    "energy_window": lambda x: locality.energy_window(x, **OPTIONS),
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
    "axes": (
        lambda: locality.ipr(np.ones(3)),
        r"fields must have 2 axes or more, got shape \(3,\)",
    ),
    "shuffled nan": (lambda: locality.shuffle_columns(ONES * np.nan, rng=rng()), "must be finite"),
    "window nan": (
        lambda: locality.energy_window_null(
            ONES * np.nan, grid=(12,), radius=1, cyclic=True, rng=rng()
        ),
        "fields must be finite",
    ),
    "fields": (lambda: locality.ipr(np.full((2, 2), np.nan)), "fields must be finite.*got NaN"),
    "grid": (
        lambda: locality.pair_locality(ONES, grid=(5, 2), radius=1, cyclic=True),
        r"grid must.*sites of \(2, 12\), got \(5, 2\)",
    ),
    "radius 0": (
        lambda: locality.pair_locality(ONES, grid=(3, 4), radius=0, cyclic=True),
        r"radius must be in \[1, 1\], got 0",
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


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-30, 1e160, 1e300])
@kinds
def test_fields_have_no_unit(kind, scale):
    fields = rng(5).normal(size=(2, 3, 12)) * (rng(6).random((2, 3, 12)) < 0.7)
    for measure in ("ipr", "energy_window", "distance_from_centre"):
        found, one = (MEASURES[measure](kind(x)) for x in (scale * fields, fields))
        np.testing.assert_allclose(found, one, rtol=1e-12)


LOCAL = {
    "pair_locality": locality.pair_locality,
    "unit_locality": locality.unit_locality,
    "pair_locality_null": lambda m, **o: locality.pair_locality_null(m, **o, rng=rng(), n_draws=2),
}
by_local = pytest.mark.parametrize("measure", LOCAL.values(), ids=LOCAL)
MASKS = {
    "float": lambda m: m.astype(float),
    "integer": lambda m: m.astype(int),
    "uint8": lambda m: m.astype(np.uint8),
    "turned": lambda m: m[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
    "fortran": np.asfortranarray,
    "list": lambda m: m.tolist(),
    "torch": torch.tensor,
    "torch float": lambda m: torch.tensor(m).float(),
}


@by_local
@pytest.mark.parametrize("layout", MASKS.values(), ids=MASKS)
def test_masks_of_any_layout_are_read_alike(measure, layout):
    masks = rng(4).random((2, 3, 12)) < 0.4
    np.testing.assert_array_equal(measure(layout(masks), **OPTIONS), measure(masks, **OPTIONS))


@by_local
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.3, -1.0, 2.0])
def test_weights_do_not_pass_for_masks(measure, value):
    weights = np.ones((2, 12))
    weights[1, 3] = value
    with pytest.raises(ValueError, match="masks must hold 0 and 1 only, got"):
        measure(weights, **OPTIONS)


@pytest.mark.parametrize("cyclic", ["no", "", 1, None, 0.0])
@pytest.mark.parametrize(
    "measure",
    [*LOCAL.values(), locality.energy_window, locality.distance_from_centre],
)
def test_edges_meet_or_do_not(measure, cyclic):
    with pytest.raises(TypeError, match="cyclic must be True or False, got"):
        measure(np.ones((2, 12)), grid=(12,), radius=1, cyclic=cyclic)


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
