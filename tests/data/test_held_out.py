"""Every replica has rows of its own and is tested on new ones; planted orders are in the rows."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from winnow import data, models
from winnow import seeds as s
from winnow.data import held_out
from winnow.metrics import orderedness

SEEDS = (3, 1, 8)
MAKES = {"moons": held_out.moons, "digits": held_out.digits, "teachers": held_out.teachers}
make = pytest.fixture(lambda request: request.param, params=MAKES.values(), ids=MAKES)


def rows(task, replica):
    both = torch.cat([task.inputs[replica], task.targets[replica]], 1)
    return [tuple(row) for row in both.tolist()]


# --- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_rows", "n_new", "n_inputs", "n_outputs"),
    [
        ("moons", 100, 1000, 2, 1),
        ("digits", 500, 1297, 64, 10),
        ("teachers", 100, 1000, 3, 6),
    ],
)
def test_each_replica_has_rows_to_learn_and_new_ones(name, n_rows, n_new, n_inputs, n_outputs):
    found = MAKES[name](SEEDS)
    for task, n in ((found.train, n_rows), (found.test, n_new)):
        assert task.inputs.shape == (3, n, n_inputs)
        assert task.targets.shape == (3, n, n_outputs)
        assert task.inputs.dtype == task.targets.dtype == torch.float32
        assert task.inputs.isfinite().all()
        assert task.name == name
    assert MAKES[name]([0], n_rows=17).train.inputs.shape == (1, 17, n_inputs)


def test_learning_and_testing_differ_in_rows_alone(make):
    found = make([0])
    rows_of_train = {name: getattr(found.train, name) for name in ("inputs", "targets")}
    same = dataclasses.replace(found.test, **rows_of_train)
    assert dataclasses.astuple(same)[3:] == dataclasses.astuple(found.train)[3:]
    assert found.train.success_at is None or bool(found.train.targets.unique().numel() == 2)


def test_a_replica_does_not_see_its_neighbours(make):
    among, alone, again = make(SEEDS), make([1]), make(SEEDS)
    for part in ("train", "test"):
        for field in ("inputs", "targets"):
            first, own, same = (getattr(getattr(f, part), field) for f in (among, alone, again))
            assert torch.equal(first[1], own[0])
            assert torch.equal(first, same)
    assert not torch.equal(among.train.inputs[0], among.train.inputs[1])
    assert not torch.equal(among.test.inputs[0], among.test.inputs[1])


def test_no_row_is_learnt_and_tested(make):
    found = make(SEEDS)
    for k in range(3):
        assert not set(rows(found.train, k)) & set(rows(found.test, k))


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (held_out.moons, {"n_rows": 1}, "n_rows must be 2 or larger, got 1"),
        (held_out.digits, {"n_rows": 0}, r"n_rows must be in \[1, 1796\], got 0"),
        (held_out.digits, {"n_rows": 1797}, r"n_rows must be in \[1, 1796\], got 1797"),
        (held_out.teachers, {"n_rows": 0}, "n_rows must be 1 or larger, got 0"),
        (held_out.teachers, {"n_rows": 2.5}, r"n_rows must be a whole number, got 2\.5"),
        (held_out.teachers, {"n_units": 1}, "n_units must be 2 or larger, got 1"),
        (held_out.teachers, {"n_inputs": 0}, "n_inputs must be 1 or larger, got 0"),
        (held_out.teachers, {"n_shown": 0}, r"n_shown must be in \[1, 6\], got 0"),
        (held_out.teachers, {"n_shown": 7}, r"n_shown must be in \[1, 6\], got 7"),
        (held_out.teachers, {"density": -0.1}, r"density must be in \[0, 1\], got -0\.1"),
        (held_out.teachers, {"density": np.nan}, r"density must be in \[0, 1\], got nan"),
        (held_out.teachers, {"gain": 0}, r"gain must be in \(0, inf\), got 0"),
        (held_out.teachers, {"gain": np.inf}, r"gain must be in \(0, inf\), got inf"),
        (held_out.teachers, {"seeds": [-1]}, "seed must be a whole number, 0 or larger, got -1"),
    ],
)
def test_bad_input_is_named(make, options, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        make(**{"seeds": [0], **options})


# --- moons and digits ---------------------------------------------------------------------------


def test_moons_are_two_balanced_half_circles_with_noise():
    found = held_out.moons(range(20))
    x = torch.cat([found.train.inputs, found.test.inputs], 1)
    inner = torch.cat([found.train.targets, found.test.targets], 1)[..., 0]
    assert (inner.sum(1) == 550).all()
    assert (found.train.targets.mean((1, 2)) - 0.5).abs().max() < 4 * 0.5 / 10
    from_centre = x - inner[..., None] * torch.tensor([1.0, 0.5])
    off = from_centre.norm(dim=-1) - 1
    assert off.std() == pytest.approx(0.1, rel=0.05)
    above = torch.where(inner == 1, -from_centre[..., 1], from_centre[..., 1])
    assert above.min() > -0.5


def test_digits_are_divided_without_loss_or_repetition():
    patterns = data.digits()
    whole = torch.cat([patterns.inputs, torch.nn.functional.one_hot(patterns.labels).float()], 1)
    found = held_out.digits(SEEDS, n_rows=1000)
    for k in range(3):
        together = rows(found.train, k) + rows(found.test, k)
        assert sorted(together) == sorted(map(tuple, whole.tolist()))
        for task in (found.train, found.test):
            assert (task.targets[k].mean(0) - 0.1).abs().max() < 0.04
    assert len(held_out.digits([0], n_rows=1796).test.inputs[0]) == 1


# --- teachers -----------------------------------------------------------------------------------


def reaches(joined, source, target):
    """Whether a path leads from source to target, by walking all of them."""
    return any(
        joined[target, last] and (last == source or reaches(joined, source, last))
        for last in range(target + 1, len(joined))
    )


@pytest.mark.parametrize("n", range(2, 8))
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_teachers_are_acyclic_and_upstream_is_all_that_reaches(n, density):
    for seed in range(10):
        joined = held_out._acyclic(n, density, 2.0, s.generator(seed, "test")) != 0
        assert not np.tril(joined).any()
        assert joined[:-1].any(1).all()  # all but the last hear a unit
        brute = [[reaches(joined, source, target) for source in range(n)] for target in range(n)]
        np.testing.assert_array_equal(held_out._reached(joined), brute)
    n_joined = {0.0: n - 1, 1.0: n * (n - 1) // 2}.get(density, joined.sum())
    assert joined.sum() == n_joined


def test_weights_between_units_have_the_sizes_signs_and_density_they_say():
    drawn = np.stack([held_out._acyclic(8, 0.5, 2.0, s.generator(k, "test")) for k in range(400)])
    sizes = np.abs(drawn[drawn != 0])
    assert 1 <= sizes.min() < 1.01
    assert 2.99 < sizes.max() <= 3
    assert abs((drawn[drawn != 0] > 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(sizes.size)
    first_row = (drawn[:, 0, 1:] != 0).mean()  # 7 pairs: a rescue is rare
    assert first_row == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2800))


@pytest.mark.parametrize("n_shown", [1, 3, 6])
def test_upstream_is_a_strict_order_without_shown_units_above_hidden_ones(n_shown):
    upstream = held_out.teachers(range(50), n_shown=n_shown).upstream
    assert upstream.shape == (50, 6, 6)
    assert upstream.dtype == bool
    assert not (upstream & upstream.mT).any()  # nor a unit above itself
    assert not ((upstream.astype(int) @ upstream > 0) & ~upstream).any()
    assert not upstream[:, n_shown:, :n_shown].any()


@pytest.mark.parametrize("n_shown", [6, 3])
def test_places_in_a_task_tell_nothing_of_the_planted_order(n_shown):
    upstream = held_out.teachers(range(400), n_units=6, n_shown=n_shown).upstream
    for part in (slice(n_shown), slice(n_shown, None)):
        tau = orderedness.agreement(np.arange(len(upstream[0, part])), upstream[:, part, part])
        tau = tau[~np.isnan(tau)]
        assert abs(tau.sum()) <= 4 * np.sqrt((tau**2).sum())


def by_regression(x, activity, upstream):
    """Weights ``(K, K + I)`` that make each unit of what lies upstream of it, and inputs for two.

    A unit with two or more others upstream must do without the inputs.
    """
    n_units = activity.shape[1]
    weights = np.zeros((n_units, n_units + x.shape[1]))
    for unit, v in enumerate(activity.T):
        heard = np.append(upstream[unit], np.full(x.shape[1], upstream[unit].sum() < 2))
        slope = v * (1 - v)  # errors of the activity, not of the drive, are what counts
        clipped = np.clip(v, 1e-7, 1 - 1e-7)
        drive = np.log(clipped / (1 - clipped))
        sources = np.hstack([activity, x])[:, heard]
        weights[unit, heard] = np.linalg.lstsq(sources * slope[:, None], drive * slope)[0]
    return weights


@pytest.mark.parametrize("options", [{}, {"n_shown": 3}, {"n_units": 4, "n_inputs": 1}])
def test_the_activity_is_that_of_a_complete_layer_with_weights_from_upstream_alone(options):
    found = held_out.teachers(SEEDS, **options)
    x, activity = found.test.inputs.double(), found.activity.astype(float)
    pairs = zip(x.numpy(), activity, found.upstream, strict=True)
    weights = torch.from_numpy(np.stack([by_regression(*pair) for pair in pairs]))
    n_iterations, n_units = found.test.n_iterations, activity.shape[-1]
    layer = models.CompleteLayer(x.shape[-1], 0, n_units, n_iterations=n_iterations)
    for initial in (torch.zeros(3, n_units), torch.ones(3, n_units)):
        out = layer.outputs({"initial": initial.double(), "weights": weights}, x)
        np.testing.assert_allclose(out.numpy(), activity, atol=1e-3)


def test_students_see_the_shown_units_in_a_task_with_as_many_units():
    found = held_out.teachers(SEEDS, n_units=5, n_shown=2, n_rows=30)
    assert found.activity.shape == (3, 1000, 5)
    np.testing.assert_array_equal(found.test.targets.numpy(), found.activity[..., :2])
    assert found.train.targets.shape == (3, 30, 2)
    assert (found.train.n_hidden, found.train.n_iterations, found.train.batch_size) == (3, 5, 30)
    assert found.train.success_at is None
    alone = held_out.teachers([1], n_units=5, n_shown=2, n_rows=30)
    np.testing.assert_array_equal(alone.activity[0], found.activity[1])
    np.testing.assert_array_equal(alone.upstream[0], found.upstream[1])


def test_teachers_differ_from_each_other_and_their_inputs_are_standard_normal():
    found = held_out.teachers(range(20))
    for a, b in itertools.combinations(range(20), 2):
        assert not np.allclose(found.activity[a], found.activity[b])
    x = found.test.inputs.double()
    assert abs(x.mean()) < 4 / np.sqrt(x.numel())
    assert x.std() == pytest.approx(1, abs=4 / np.sqrt(2 * x.numel()))
