"""Cohorts are tidy, controls use the same networks, and contrasts pair seed with seed."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from winnow import data, models, stats
from winnow import seeds as s
from winnow.experiments import orderedness
from winnow.metrics import orderedness
from winnow.reporting import claims
from winnow.training import task_loop

SEEDS = (3, 1, 8)
XOR, SINE = data.task("xor", n_epochs=30), data.task("sine", n_epochs=1)


def rng():
    return s.generator(0, "bootstrap")


@pytest.fixture(scope="module")
def pruned():
    return orderedness.cohort(XOR, "top_k", 0.5, seeds=SEEDS, n_draws=4)


@pytest.fixture(scope="module")
def unpruned():
    return orderedness.cohort(XOR, seeds=SEEDS, n_draws=4)


def test_a_cohort_has_a_row_for_each_seed(pruned):
    table, fit = pruned
    assert table.seed.tolist() == list(SEEDS)
    assert set(table.task) == {"xor"}
    assert set(table.scheme) == {"top_k"}
    np.testing.assert_array_equal(table.loss, fit.loss)
    np.testing.assert_array_equal(table.success, fit.success)
    np.testing.assert_array_equal(table.orderedness, orderedness.value(fit.square, n_fixed=1))
    assert (table.orderedness - table.null == table.excess).all()


def test_a_regression_has_losses_and_no_success():
    table, fit = orderedness.cohort(SINE, seeds=SEEDS, n_draws=2)
    assert table.success.isna().all()
    np.testing.assert_array_equal(table.loss, fit.loss)


def test_a_row_does_not_depend_on_the_other_seeds(pruned):
    alone, _ = orderedness.cohort(XOR, "top_k", 0.5, seeds=[1], n_draws=4)
    ours, theirs = alone.iloc[0], pruned[0].iloc[1]
    numbers = alone.columns.drop(["task", "scheme"])
    found, expected = (row[numbers].astype(float) for row in (ours, theirs))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_controls_are_the_same_networks_without_learning(pruned):
    _, fit = pruned
    table = orderedness.controls(fit, "top_k", 0.5, n_draws=3)
    start = models.CompleteLayer(2, 5, 1, seeds=SEEDS).weights.detach()
    np.testing.assert_allclose(table.start, orderedness.value(task_loop.square(start), n_fixed=1))
    bar = start.abs().flatten(1).sort().values[:, 24]  # N = 48, and the upper half stays
    cut = start * (start.abs() >= bar[:, None, None])
    np.testing.assert_allclose(table.untrained, orderedness.value(task_loop.square(cut), n_fixed=1))
    again = orderedness.controls(fit, "top_k", 0.5, n_draws=3)
    pd.testing.assert_frame_equal(table, again)
    assert table.row_null.between(0.4, 1).all()


def test_the_row_null_moves_weights_within_their_rows_only(pruned):
    """Rows of one size are what they were after a shuffle, wherever the rows' sizes stand."""
    _, fit = pruned
    sizes = torch.tensor([0.0, 5, 0, 1, 3, 0])[:, None].expand(3, 6, 8)
    level = dataclasses.replace(fit, model=_with(fit.model, sizes))
    expected = orderedness.value(level.square, n_fixed=1)
    found = orderedness.controls(level, "none", None, n_draws=5).row_null
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def _with(model, weights):
    """A copy of a layer with other weights."""
    other = models.CompleteLayer(2, 5, 1, seeds=SEEDS)
    other.load_state_dict({**model.state_dict(), "weights": weights})
    return other


def test_pruning_once_cuts_the_trained_weights(unpruned):
    _, fit = unpruned
    before = fit.weights.clone()
    table = orderedness.prune_once(fit, density=0.25, n_draws=4)
    bar = before.abs().flatten(1).sort(descending=True).values[:, 11]  # a quarter of 48
    cut = before * (before.abs() >= bar[:, None, None])
    np.testing.assert_allclose(
        table.orderedness, orderedness.value(task_loop.square(cut), n_fixed=1)
    )
    np.testing.assert_allclose(table.loss, task_loop.evaluate(fit.model, cut, XOR))
    assert set(table.scheme) == {"pruned once"}
    assert torch.equal(fit.weights, before)


def test_the_unit_map_is_the_grid():
    grid = orderedness.unit_map(["xor"], [1, 3], [2, 3], density=0.5, seeds=[4, 6], n_epochs=2)
    cells = list(itertools.product([1, 3], [2, 3], [4, 6]))
    assert list(grid[["hidden", "T", "seed"]].itertuples(index=False, name=None)) == cells
    options = {"scheme": "dynamic_top_k", "value": 0.5, "n_epochs": 2}
    fit = task_loop.fit_task("xor", seeds=[6], n_hidden=3, n_iterations=2, **options)
    [found] = grid.query("hidden == 3 and T == 2 and seed == 6").orderedness
    assert found == pytest.approx(orderedness.value(fit.square, n_fixed=1).item(), abs=1e-6)


# --- comparisons --------------------------------------------------------------------------------


def stacked(**columns):
    """Two tasks, two schemes, eight seeds, the second scheme's rows in another order."""
    rows = []
    for t, task in enumerate(("xor", "sine")):
        for k, scheme in enumerate(("none", "top_k")):
            seeds = np.arange(8)[:: 1 - 2 * k]
            values = {name: f(seeds, t, k) for name, f in columns.items()}
            rows.append(pd.DataFrame({"task": task, "scheme": scheme, "seed": seeds, **values}))
    return pd.concat(rows)


def test_contrasts_pair_seeds_and_not_rows():
    frame = stacked(excess=lambda seed, t, k: 100.0 * seed + (1 + t) * k)
    parts = orderedness.contrast(frame, "excess", ["top_k"], rng=rng())
    assert list(parts) == ["xor, top_k", "sine, top_k"]
    assert parts["xor, top_k"][:4] == (1, 1, 1, 8)
    assert parts["sine, top_k"][:4] == (2, 2, 2, 8)
    assert parts["xor, top_k"].p == pytest.approx(2 / 2**8, abs=0.004)


def test_contrasts_may_be_with_each_networks_own_column():
    frame = stacked(
        orderedness=lambda seed, t, k: 10.0 * seed + k, start=lambda seed, t, k: 10.0 * seed - 1
    )
    parts = orderedness.contrast(
        frame, "orderedness", ["none", "top_k"], control="start", rng=rng()
    )
    assert [parts[name].estimate for name in ("xor, none", "sine, top_k")] == [1, 2]


def test_a_seed_without_a_value_is_left_out_of_its_pair():
    frame = stacked(excess=lambda seed, t, k: np.where((seed == 2) & (k == 1), np.nan, 1.0 * k))
    parts = orderedness.contrast(frame, "excess", ["top_k"], rng=rng())
    assert parts["xor, top_k"].n == 7
    assert parts["xor, top_k"].estimate == 1


def test_spread_has_a_row_for_each_seed():
    frame = stacked(excess=lambda seed, t, k: seed + 10.0 * t + 100 * k)
    table = orderedness.spread(frame, "excess", ["task", "scheme"])
    assert table.shape == (8, 4)
    np.testing.assert_array_equal(table["sine", "top_k"], 110 + np.arange(8))


def fits(task, loss=None, accuracy=None, losses=None):
    """What training would give, with made-up results."""
    n = len(next(a for a in (loss, accuracy, losses) if a is not None))
    arrays = {"loss": loss, "accuracy": accuracy, "losses": losses}
    found = {k: np.asarray(v, float) for k, v in arrays.items() if v is not None}
    blank = {k: np.full(n, np.nan) for k in arrays if k not in found}
    return task_loop.Fit(
        model=None, task=task, n_epochs=30, before=None, snapshots=None,
        steps=np.array([0, 10, 20, 30]), **found, **blank,
    )  # fmt: skip


@pytest.mark.parametrize(("lost", "verdict"), [(0, "reproduced"), (20, "not reproduced")])
def test_success_may_not_fall_by_the_margin(lost, verdict):
    base, fit = (fits(XOR, accuracy=np.arange(200) >= k) for k in (0, lost))
    parts, rules = orderedness.no_worse({"xor": (fit, base)}, rng=rng())
    assert parts["xor"].estimate == pytest.approx(-lost / 200)
    assert parts["xor"] == stats.paired_proportion_difference(fit.success, base.success)
    judged = claims.judge("C", "-", parts, rules, source="paper", statistic="-", null="-")
    assert judged.verdict == verdict
    assert judged.criterion == "a loss of 0.05 excluded"


@pytest.mark.parametrize(("ratio", "verdict"), [(1.2, "reproduced"), (1.6, "not reproduced")])
def test_errors_may_not_rise_by_the_ratio(ratio, verdict):
    loss = 1 + np.arange(100) / 1e4
    parts, rules = orderedness.no_worse(
        {"sine": (fits(SINE, ratio * loss), fits(SINE, loss))}, rng=rng()
    )
    assert parts["sine"].estimate == pytest.approx(ratio)
    judged = claims.judge("C", "-", parts, rules, source="paper", statistic="-", null="-")
    assert judged.verdict == verdict
    assert judged.criterion == "interval below 1.5"


def test_the_margins_are_those_stated_beforehand():
    assert (orderedness.SUCCESS_MARGIN, orderedness.ERROR_RATIO) == (0.05, 1.5)


def test_speed_counts_the_whole_budget_for_who_never_arrives():
    quick = fits(XOR, losses=[[1, 0.1, 0.1, 0.1]] * 5)
    slow = fits(XOR, losses=[[1, 1, 0.1, 0.1]] * 5)
    never = fits(XOR, losses=[[1, 1, 1, 1]] * 5)
    pairs = {"slow": (slow, quick), "never": (never, quick), "same": (slow, slow)}
    ratios = orderedness.speed(pairs, loss=0.5, rng=rng())
    assert {name: r.estimate for name, r in ratios.items()} == {"slow": 2, "never": 3, "same": 1}


def test_slopes_are_per_doubling_and_fitted_seed_by_seed():
    rows = [
        {"task": "xor", "scheme": "none", "T": t, "seed": seed, "excess": 50 * seed + 3 * k}
        for seed in range(6)
        for k, t in reversed(list(enumerate((1, 2, 4, 8))))
    ]
    [(name, slope)] = orderedness.slopes(pd.DataFrame(rows), "excess", "T", rng=rng()).items()
    assert name == "xor, none"
    assert slope[:4] == pytest.approx((3, 3, 3, 6))
    assert slope.p == pytest.approx(2 / 2**6, abs=0.01)
