"""Cohorts are tidy, controls are the same networks, pairs of one seed, published values met."""

import csv
import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from winnow import data, models
from winnow.experiments import orderedness as experiment
from winnow.metrics import orderedness
from winnow.training import fits

SEEDS = (3, 1, 8)
XOR, SINE = data.task("xor", n_epochs=30), data.task("sine", n_epochs=1)


def trained(task, scheme="none", value=None, *, seeds=SEEDS):
    fit = fits.fit_task(task, seeds=seeds, scheme=scheme, value=value)
    return experiment.cohort(fit, scheme, n_draws=4), fit


@pytest.fixture(scope="module")
def pruned():
    return trained(XOR, "top_k", 0.5)


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
    table, fit = trained(SINE)
    assert table.success.isna().all()
    np.testing.assert_array_equal(table.loss, fit.loss)


def test_a_row_does_not_depend_on_the_other_seeds(pruned):
    alone, _ = trained(XOR, "top_k", 0.5, seeds=[1])
    ours, theirs = alone.iloc[0], pruned[0].iloc[1]
    numbers = alone.columns.drop(["task", "scheme"])
    found, expected = (row[numbers].astype(float) for row in (ours, theirs))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_controls_are_the_same_networks_without_learning(pruned):
    _, fit = pruned
    table = experiment.controls(fit, "top_k", 0.5, n_draws=3)
    start = models.CompleteLayer(2, 5, 1, seeds=SEEDS).weights.detach()
    np.testing.assert_allclose(table.start, orderedness.value(fits.square(start), n_fixed=1))
    bar = start.abs().flatten(1).sort().values[:, 24]  # N = 48, and the upper half stays
    cut = start * (start.abs() >= bar[:, None, None])
    np.testing.assert_allclose(table.untrained, orderedness.value(fits.square(cut), n_fixed=1))
    again = experiment.controls(fit, "top_k", 0.5, n_draws=3)
    pd.testing.assert_frame_equal(table, again)
    assert table.row_null.between(0.4, 1).all()


def test_the_row_null_moves_weights_within_their_rows_only(pruned):
    """Rows of one size are what they were after a shuffle, wherever the rows' sizes stand."""
    _, fit = pruned
    sizes = torch.tensor([0.0, 5, 0, 1, 3, 0])[:, None].expand(3, 6, 8)
    level = dataclasses.replace(fit, parameters=fit.parameters | {"weights": sizes})
    expected = orderedness.value(level.square, n_fixed=1)
    found = experiment.controls(level, "none", None, n_draws=5).row_null
    np.testing.assert_allclose(found, expected, rtol=1e-6)


# --- pairs --------------------------------------------------------------------------------


def stacked(**columns):
    """Two tasks, two schemes, eight seeds, the second scheme's rows in another order."""
    rows = []
    for t, task in enumerate(("xor", "sine")):
        for k, scheme in enumerate(("none", "top_k")):
            seeds = np.arange(8)[:: 1 - 2 * k]
            values = {name: f(seeds, t, k) for name, f in columns.items()}
            rows.append(pd.DataFrame({"task": task, "scheme": scheme, "seed": seeds, **values}))
    return pd.concat(rows)


def test_pairs_are_of_one_seed_whatever_the_order_of_rows():
    frame = stacked(excess=lambda seed, t, k: 100.0 * seed + (1 + t) * k)
    found = experiment.pairs(frame, "excess", ["top_k"])
    assert list(found) == ["xor, top_k", "sine, top_k"]
    for name, gap in (("xor, top_k", 1), ("sine, top_k", 2)):
        treated, control = found[name]
        assert control.tolist() == (100.0 * np.arange(8)).tolist()
        assert (treated - control == gap).all()


# --- the author's trials --------------------------------------------------------------------------

NAMES = {
    "RandomPrune": "random",
    "TopKPrune": "top_k",
    "DynamicTopK": "dynamic_top_k",
    "TrilDamp": "damp",
    "DynamicTrilDamp": "dynamic_damp",
}
ROOT = Path(__file__).resolve().parents[2]
REFERENCE = Path(os.environ.get("WINNOW_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
TABLE = REFERENCE / "song" / "published_sweeps.csv"


def published():
    if not TABLE.is_file():
        missing = f"{TABLE.name} is not in {TABLE.parent}: set WINNOW_REFERENCE_DATA"
        return [pytest.param(None, marks=pytest.mark.skip(reason=missing))]
    rows = csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines())
    return [
        pytest.param(row, id="-".join((row["task"], row["pruner"], row["parameter"])))
        for row in rows
    ]


@pytest.mark.parametrize("row", published())
def test_published_means_and_deviations_are_met(row):
    fit = experiment.author_trials(
        data.task(row["task"], n_hidden=int(row["hidden"]), n_iterations=int(row["iterations"])),
        NAMES[row["pruner"]],
        float(row["parameter"]),
    )
    trials = orderedness.value(fit.square, n_fixed=2).numpy()  # two units pinned, as in May
    assert trials.shape == (5,)
    assert trials.mean() == pytest.approx(float(row["orderedness_mean"]), abs=0.0015)
    assert trials.std() == pytest.approx(float(row["orderedness_std"]), abs=0.0015)


def one_after_the_other(n_trials, n_epochs):
    """Exclusive or under constant top-k, as a notebook would write it: no replica axis at all."""
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    y = torch.tensor([[0.0], [1], [1], [0]])
    rows = DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)
    torch.manual_seed(20)
    trials = []
    for _ in range(n_trials):
        initial = torch.nn.Parameter(torch.normal(0.0, 1.0, (1, 6)))
        weights = torch.nn.Parameter(torch.normal(0.0, 1.0, (6, 8)))
        optimiser = torch.optim.Adam([weights, initial], lr=0.01)
        for _ in range(n_epochs):
            for bx, by in rows:
                v = initial.expand(len(bx), 6)
                for _ in range(3):
                    v = torch.sigmoid(torch.cat([v, bx], 1) @ weights.T)
                optimiser.zero_grad()
                torch.nn.functional.mse_loss(v[:, :1], by).backward()
                optimiser.step()
                with torch.no_grad():
                    smallest = weights.abs().flatten().argsort()[:24]
                    weights.view(-1)[smallest] = 0
        trials.append(weights.detach())
    return torch.stack(trials)


@pytest.mark.slow
def test_trials_at_once_are_trials_in_a_loop():
    with torch.random.fork_rng(devices=[]):
        expected = one_after_the_other(n_trials=2, n_epochs=data.xor().n_epochs)
    fit = experiment.author_trials(data.xor(), "top_k", 0.5)
    assert torch.equal(fit.weights[:2] != 0, expected != 0)
    torch.testing.assert_close(fit.weights[:2], expected, rtol=1e-3, atol=2e-3)


SHORT = data.task("xor", n_epochs=3)  # first values and masks, next to no training


def test_trials_share_one_random_mask_and_nested_ones_over_the_knob():
    few, many = (experiment.author_trials(SHORT, "random", f).weights != 0 for f in (0.6, 0.2))
    assert (few == few[0]).all()
    assert (few <= many).all()
    assert 0 < few.sum() < many.sum()


def test_trials_start_apart_and_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    fit = experiment.author_trials(SHORT, "top_k", 0.5)
    assert torch.equal(torch.get_rng_state(), state)
    assert len({w.item() for w in fit.start["weights"][:, 0, 0]}) == 5


def test_threshold_trials_are_refused():
    with pytest.raises(ValueError, match="threshold trials share one frozen threshold"):
        experiment.author_trials(SHORT, "threshold", None)


def test_the_comparison_pins_two_units_and_one(monkeypatch):
    monkeypatch.setitem(data.TASKS, "xor", lambda: SHORT)
    block = experiment.author_trials(SHORT, "top_k", 0.5).square
    table = experiment.beside_published({("xor", "top_k", 0.5): 0.7})
    [row] = table.to_dict("records")
    expected = [float(np.mean(orderedness.value(block, n_fixed=m).numpy())) for m in (2, 1)]
    assert [row["task"], row["scheme"], row["value"], row["published"]] == [
        "xor",
        "top_k",
        0.5,
        0.7,
    ]
    assert [row["two pinned"], row["output pinned"]] == pytest.approx(expected)
    assert expected[0] != expected[1]
