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
from winnow import seeds as s
from winnow.data import held_out
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
    np.testing.assert_array_equal(table.learnt, fit.success)
    np.testing.assert_array_equal(table.orderedness, orderedness.value(fit.square, n_fixed=1))
    assert (table.orderedness - table.null == table.excess).all()


@pytest.mark.parametrize("bar", [0.01, 0.1, 0.3])
def test_a_regression_is_learnt_below_an_error(bar):
    fit = fits.fit_task(SINE, seeds=SEEDS)
    table = experiment.cohort(fit, "none", n_draws=2, learnt_below=bar)
    assert table.learnt.tolist() == (fit.loss < bar).tolist()
    np.testing.assert_array_equal(table.loss, fit.loss)


def test_a_measure_splits_what_is_left_of_disorder(pruned):
    table, fit = pruned
    measured = experiment.measure(fit.square, fit, "top_k", n_draws=4)
    assert measured[["task", "scheme", "seed"]].equals(table[["task", "scheme", "seed"]])
    np.testing.assert_array_equal(measured.excess, table.excess)
    disorder = measured.feedback + measured.reciprocity + measured.frustration
    np.testing.assert_allclose(disorder, 1 - table.orderedness, atol=1e-12)


def test_hidden_excess_looks_at_hidden_units_alone():
    fit = fits.fit_task(XOR, seeds=SEEDS)
    layered = torch.ones(3, 6, 6).triu(1)
    moved = layered.clone()
    moved[:, 0], moved[:, :, 0] = 7.0, 9.0  # the output, and loops
    moved.diagonal(dim1=1, dim2=2).fill_(5.0)
    one, other = (experiment.measure(x, fit, "x", n_draws=9) for x in (layered, moved))
    assert (one.hidden_excess > 0).all()
    np.testing.assert_array_equal(one.hidden_excess, other.hidden_excess)


def test_rows_of_their_own_pin_outputs_and_not_rows():
    task = dataclasses.replace(held_out.digits(SEEDS).train, n_hidden=3, n_epochs=0)
    table, fit = trained(task)
    value = orderedness.value(fit.square, n_fixed=10)
    np.testing.assert_array_equal(table.orderedness, value)
    np.testing.assert_array_equal(table.learnt, fit.success)
    controls = experiment.controls(fit, "none", None, n_draws=2)
    np.testing.assert_array_equal(controls.start, value)
    measured = experiment.measure(fit.square, fit, "none", n_draws=4)
    np.testing.assert_array_equal(measured.excess, table.excess)


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


# --- students and their teachers ------------------------------------------------------------------

N_INPUTS = 3


def dense_teachers(n_units, seeds=SEEDS):
    """Weights ``(S, K, K + I)``, every pair joined along a random order, and that order's pairs."""
    found, upstream = [], []
    for rng in s.generators(seeds, "test"):
        place = rng.permutation(n_units)
        upstream.append(place[:, None] < place)
        w = rng.choice([-1, 1], (n_units, n_units)) * rng.uniform(1, 3, (n_units, n_units))
        found.append(np.hstack([w * upstream[-1], 2 * rng.normal(size=(n_units, N_INPUTS))]))
    return np.stack(found), np.stack(upstream)


def taught_by(weights, upstream, n_shown, seeds=SEEDS):
    """What such teachers show of their first units, on 200 rows that students learn from, too."""
    n_units = upstream.shape[-1]
    x = np.stack([rng.normal(size=(200, N_INPUTS)) for rng in s.generators(seeds, "test rows")])
    x = torch.from_numpy(x).float()
    layer = models.CompleteLayer(N_INPUTS, 0, n_units, n_iterations=n_units + 2)
    initial = torch.zeros(len(weights), n_units)
    activity = layer.outputs({"weights": torch.from_numpy(weights).float(), "initial": initial}, x)
    budget = {"n_hidden": n_units - n_shown, "n_iterations": n_units + 2, "n_epochs": 0}
    options = {"batch_size": 200, "mlp_hidden": (), "success_at": None}
    task = data.Task("teachers", x, activity[..., :n_shown], **budget, **options)
    return held_out.Taught(task, task, activity.numpy(), upstream)


def student(weights, taught, *, seeds=SEEDS, start=None):
    """A fit whose trained weights are those given, from first values of its own."""
    n_hidden = weights.shape[1] - taught.train.targets.shape[-1]
    fit = fits.fit_task(dataclasses.replace(taught.train, n_hidden=n_hidden), seeds=seeds)
    given = {"weights": torch.from_numpy(weights).float()}
    return dataclasses.replace(fit, parameters=fit.parameters | given)


def disguised(weights, n_shown):
    """The same network with hidden units in another order, two more of them, and one inverted.

    A unit without sources is 1/2 always, so twice a weight from it is a bias; with that, a unit
    whose sources change sign is one less itself, and its targets need not notice.
    """
    w, n, rng = torch.from_numpy(weights), weights.shape[1], np.random.default_rng(5)
    w = (
        torch.nn.functional.pad(w[..., :n], (0, 2, 0, 2)),
        torch.nn.functional.pad(w[..., n:], (0, 0, 0, 2)),
    )
    w = torch.cat(w, 2).numpy()
    dead, idle, inverted = n, n + 1, n - 1
    w[:, idle, n + 2 :] = rng.normal(size=(len(w), N_INPUTS))  # heard by nobody
    w[:, :, dead] += 2 * w[:, :, inverted]
    w[:, :, inverted] *= -1
    w[:, inverted] *= -1
    moved = np.r_[:n_shown, n_shown + rng.permutation(n + 2 - n_shown)]
    w[..., : n + 2] = w[..., moved]
    return w[:, moved], np.argsort(moved)[n_shown:n] - n_shown


def test_the_teacher_itself_is_a_student_that_agrees():
    weights, upstream = dense_teachers(5)
    taught = taught_by(weights, upstream, 5)
    table = experiment.recovery(student(weights, taught), taught, "teacher", n_draws=3)
    assert table.seed.tolist() == list(SEEDS)
    assert set(table.task) == {"teachers"}
    assert set(table.scheme) == {"teacher"}
    assert (table.agreement == 1).all()
    assert table.unexplained.max() < 1e-10
    backward = weights.copy()
    backward[..., :5] = weights[..., :5].swapaxes(1, 2)
    table = experiment.recovery(student(backward, taught), taught, "reversed", n_draws=3)
    assert (table.agreement == -1).all()
    assert table.unexplained.min() > 0.01


@pytest.mark.parametrize("n_shown", [1, 2])
def test_hidden_units_are_known_by_what_they_do_however_many_and_inverted(n_shown):
    weights, upstream = dense_teachers(n_shown + 4)
    taught = taught_by(weights, upstream, n_shown)
    same, (other, places) = weights, disguised(weights, n_shown)
    for given, expected in ((same, np.arange(4)), (other, places)):
        fit = student(given, taught)
        units = experiment._resembling(fit, taught, slice(n_shown, None))
        np.testing.assert_array_equal(units, np.tile(expected, (3, 1)))
        table = experiment.recovery(fit, taught, "teacher", n_draws=3)
        assert (table.agreement == 1).all()
        assert table.unexplained.max() < 1e-8
    assert (places != np.arange(4)).any()


def test_a_student_that_never_moves_has_units_and_no_warning():
    weights, upstream = dense_teachers(4)
    taught = taught_by(weights, upstream, 1)
    fit = student(np.zeros_like(weights), taught)
    units = experiment._resembling(fit, taught, slice(1, None))
    assert (np.sort(units) == np.arange(3)).all()
    expected = orderedness.agreement(units.argsort(-1), upstream[:, 1:, 1:])
    table = experiment.recovery(fit, taught, "dead", n_draws=2)
    for name in ("agreement", "flip_null", "row_null"):  # no weight, so the order is by position
        np.testing.assert_array_equal(table[name], expected)


def test_errors_on_new_rows_are_in_units_of_their_variance():
    taught = held_out.teachers(SEEDS, n_shown=1)
    fit = fits.fit_task(dataclasses.replace(taught.train, n_epochs=2), seeds=SEEDS)
    table = experiment.recovery(fit, taught, "none", n_draws=1)
    y = taught.test.targets.double()
    gap = fit.network.outputs(fit.parameters, taught.test.inputs) - y
    expected = (gap**2).mean((1, 2)) / y.flatten(1).var(1)
    np.testing.assert_allclose(table.unexplained, expected, rtol=1e-5)


def test_untrained_students_and_redrawn_directions_agree_by_chance():
    seeds = range(300)
    taught = held_out.teachers(seeds, n_units=5, n_rows=2, density=1)
    task = dataclasses.replace(taught.train, n_epochs=0)
    table = experiment.recovery(fits.fit_task(task, seeds=seeds), taught, "none", n_draws=4)
    np.testing.assert_array_equal(table.start, table.agreement)
    weights, upstream = dense_teachers(5, seeds)
    perfect = taught_by(weights, upstream, 5, seeds)
    planted = experiment.recovery(student(weights, perfect, seeds=seeds), perfect, "", n_draws=4)
    assert (planted.agreement == 1).all()
    columns = [table[name] for name in ("agreement", "flip_null", "row_null")]
    for values in (*columns, planted.flip_null, planted.start):
        assert abs(values.mean()) < 4 * values.std() / np.sqrt(300)


@pytest.mark.parametrize(("n_shown", "n_more"), [(5, 0), (2, 0), (2, 2)])
def test_a_students_row_does_not_depend_on_the_other_seeds(n_shown, n_more):
    def found(seeds):
        taught = held_out.teachers(seeds, n_units=5, n_shown=n_shown)
        n_hidden = taught.train.n_hidden + n_more
        task = dataclasses.replace(taught.train, n_epochs=5, n_hidden=n_hidden)
        fit = fits.fit_task(task, seeds=seeds, scheme="top_k", value=0.5)
        return experiment.recovery(fit, taught, "top_k", n_draws=4)

    among, alone = found(SEEDS), found([1])
    assert among.seed.tolist() == list(SEEDS)
    numbers = alone.columns.drop(["task", "scheme"])
    ours, theirs = (row[numbers].astype(float) for row in (alone.iloc[0], among.iloc[1]))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert not ours.isna().any()


def test_students_with_too_few_hidden_units_are_refused():
    taught = held_out.teachers(SEEDS, n_units=5, n_shown=2)
    for n_hidden in (0, 2):
        task = dataclasses.replace(taught.train, n_epochs=0, n_hidden=n_hidden)
        with pytest.raises(ValueError, match=r"order must hold each of \d units once"):
            experiment.recovery(fits.fit_task(task, seeds=SEEDS), taught, "few", n_draws=1)


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
