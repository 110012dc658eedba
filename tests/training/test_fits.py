"""Batched training is the loop over seeds, and what it reports is after the last prune."""

import dataclasses

import numpy as np
import pytest
import torch

from winnow import data, models, pruners
from winnow.training import fits
from winnow.training.batches import shuffled

DOUBLE = torch.float64
SEEDS = (2, 0, 5)
RULES = {"none": None, "random": 0.5, "threshold": None, "top_k": 0.5, "dynamic_top_k": 0.3}
RULES |= {"damp": 0.1, "dynamic_damp": 0.5, "triangular": None}


def row_orders(seeds, n_epochs, n_rows):
    """The order of rows in each epoch, ``(S, n_epochs, n_rows)``."""
    return np.stack([*shuffled(seeds, n_rows, n_epochs)], 1)


def small(name, n_epochs):
    """A task with a short budget; the sine has 15 batches an epoch."""
    return data.task(name, n_epochs=n_epochs)


def fit(task, scheme="none", *, seeds=SEEDS, dtype=DOUBLE, **options):
    sizes = (task.n_inputs, task.n_hidden, task.n_outputs)
    layer = models.CompleteLayer(*sizes, n_iterations=task.n_iterations, seeds=seeds, dtype=dtype)
    prune = pruners.schedule(scheme, RULES[scheme], seeds=seeds)
    return fits.fit(layer, layer.values(), task, seeds=seeds, prune=prune, **options)


def plain_loop(task, scheme, seed, n_epochs):
    """One network, one sample order, PyTorch's plain optimiser: what anybody would write."""
    start = models.CompleteLayer(task.n_inputs, task.n_hidden, 1, seeds=[seed], dtype=DOUBLE)
    weights = start.weights.detach()[0].clone().requires_grad_()
    initial = start.initial.detach()[0].clone().requires_grad_()
    x, y = task.inputs.double(), task.targets.double()
    prune = pruners.schedule(scheme, RULES[scheme], seeds=[seed])
    optimiser = torch.optim.Adam([weights, initial], lr=0.01, foreach=False)
    for epoch in range(n_epochs):
        rows = torch.arange(len(x))
        if task.batch_size < len(x):
            rows = torch.from_numpy(row_orders([seed], n_epochs, len(x))[0, epoch])
        for batch in rows.split(task.batch_size):
            v = initial.expand(len(batch), -1)
            for _ in range(task.n_iterations):
                v = torch.sigmoid(torch.cat([v, x[batch]], 1) @ weights.T)
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(v[:, : task.n_outputs], y[batch]).backward()
            optimiser.step()
            with torch.no_grad():
                weights.copy_(prune(weights[None], epoch / n_epochs)[0])
    return weights.detach(), initial.detach()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", RULES)
@pytest.mark.parametrize(("name", "n_epochs"), [("xor", 60), ("sine", 3)])
def test_batched_training_is_the_loop_over_seeds(name, n_epochs, scheme):
    task = small(name, n_epochs)
    together = fit(task, scheme)
    for k, seed in enumerate(SEEDS):
        weights, initial = plain_loop(task, scheme, seed, n_epochs)
        torch.testing.assert_close(together.weights[k], weights, rtol=0, atol=1e-10)
        torch.testing.assert_close(together.parameters["initial"][k], initial, rtol=0, atol=1e-10)
    assert (together.weights - together.start["weights"]).abs().max() > 0.1


@pytest.mark.parametrize(("name", "n_epochs"), [("xor", 50), ("sine", 2)])
def test_a_seed_trains_alike_alone_and_among_others(name, n_epochs):
    task = small(name, n_epochs)
    among, alone = fit(task, "random"), fit(task, "random", seeds=[0])
    torch.testing.assert_close(alone.weights[0], among.weights[1], rtol=0, atol=1e-10)
    assert alone.loss[0] == pytest.approx(among.loss[1], abs=1e-10)


@pytest.mark.parametrize("name", ["xor", "sine"])
def test_perceptrons_train_as_linear_layers_do(name):
    task = small(name, 3)
    mlp = models.Perceptron((2, 4, 1), "logistic", "logistic", "uniform")
    together, single = (
        fits.fit(mlp, mlp.initial(seeds, dtype=DOUBLE), task, seeds=seeds) for seeds in (SEEDS, [5])
    )
    assert together.loss[2] == pytest.approx(single.loss[0], abs=1e-12)
    for name, value in single.parameters.items():
        torch.testing.assert_close(together.parameters[name][2], value[0], rtol=0, atol=1e-10)
    start = {n: v[0, 0].clone().requires_grad_() for n, v in single.start.items()}
    adam = torch.optim.Adam(start.values(), lr=0.01, foreach=False)
    x, y = task.inputs.double(), task.targets.double()
    for epoch in range(3):
        rows = torch.arange(len(x))
        if task.batch_size < len(x):
            rows = torch.from_numpy(row_orders([5], 3, len(x))[0, epoch])
        for batch in rows.split(task.batch_size):
            a = x[batch]
            for i in range(2):
                a = torch.sigmoid(a @ start[f"weights.{i}"].T + start[f"biases.{i}"])
            adam.zero_grad()
            torch.nn.functional.mse_loss(a, y[batch]).backward()
            adam.step()
    for name, value in start.items():
        torch.testing.assert_close(single.parameters[name][0, 0], value.detach())


def mean_squared_error(fitted):
    task = fitted.task
    out = fitted.network.outputs(fitted.parameters, task.inputs.to(fitted.weights.dtype))
    return ((out - task.targets) ** 2).mean((1, 2)).detach().numpy()


@pytest.mark.parametrize("scheme", RULES)
def test_losses_are_taken_after_the_prune(scheme):
    fitted = fit(small("xor", 20), scheme, every=1, snapshots=True)
    np.testing.assert_allclose(fitted.loss, mean_squared_error(fitted), rtol=1e-12)
    assert (fitted.losses[:, -1] == fitted.loss).all()
    assert torch.equal(fitted.snapshots[:, -1], fitted.weights)
    density = (fitted.weights != 0).double().mean((1, 2))
    if scheme == "top_k":
        assert (density == 0.5).all()
        assert ((fitted.snapshots[:, 1:] != 0).double().mean((2, 3)) == 0.5).all()
    if scheme == "triangular":
        assert (fitted.snapshots[:, 1:].tril(-1) == 0).all()
    if scheme == "none":
        assert (density == 1).all()


def test_the_initial_state_is_learnt_and_never_pruned():
    layer = models.CompleteLayer(2, 5, 1, seeds=SEEDS)
    hollow = fits.fit(
        layer,
        layer.values(),
        small("xor", 20),
        seeds=SEEDS,
        prune=lambda weights, progress: weights * (weights.abs() > 0.5),
    )
    assert (hollow.weights == 0).any()
    assert (hollow.parameters["initial"] != 0).all()
    assert (hollow.parameters["initial"] != layer.initial).any()
    assert torch.equal(layer.weights, hollow.start["weights"])  # the layer itself is left as it was


def test_pruners_see_the_progress_of_each_epoch():
    seen = []
    layer = models.CompleteLayer(2, 8, 1, seeds=2)
    task, note = small("sine", 4), lambda w, p: seen.append(p) or w
    fits.fit(layer, layer.values(), task, seeds=[0, 1], prune=note)
    assert seen == [p for p in (0, 0.25, 0.5, 0.75) for _ in range(15)]


def test_checks_stand_where_they_say():
    fitted = fit(small("xor", 25), "top_k", every=10, snapshots=True)
    assert fitted.steps.tolist() == [0, 10, 20]
    assert fitted.losses.shape == (3, 3)
    assert torch.equal(fitted.snapshots[:, 0], fitted.start["weights"])
    shorter = fit(small("xor", 10), "top_k")
    np.testing.assert_allclose(fitted.losses[:, 1], shorter.loss, rtol=1e-12)
    assert fit(small("xor", 3)).snapshots is None


@pytest.mark.parametrize("name", ["xor", "sine"])
def test_no_epochs_change_nothing(name):
    fitted = fit(small(name, 0))
    assert torch.equal(fitted.weights, fitted.start["weights"])
    assert fitted.steps.tolist() == [0]


def test_given_row_orders_are_used():
    task = small("sine", 2)
    orders = row_orders([7, 8, 9], 2, 150)
    ours, theirs = fit(task, orders=orders), fit(task)
    assert not torch.equal(ours.weights, theirs.weights)
    own = row_orders(SEEDS, 2, 150)
    assert torch.equal(fit(task, orders=own).weights, theirs.weights)


def test_the_horizon_reaches_the_model():
    task = small("xor", 5)
    cut, whole = fit(task, horizon=1), fit(task)
    start = models.CompleteLayer(2, 5, 1, seeds=SEEDS, dtype=DOUBLE).initial
    assert torch.equal(cut.parameters["initial"], start)  # no gradient gets there
    assert not torch.equal(whole.parameters["initial"], start)


# --- success and steps --------------------------------------------------------------------------


def test_success_counts_rows_on_the_right_side():
    fitted = fit(small("xor", 300))
    out = fitted.network.outputs(fitted.parameters, fitted.task.inputs.double())
    out = out.numpy()[..., 0]
    right = ((out > 0.5) == (fitted.task.targets.numpy()[:, 0] > 0.5)).mean(1)
    assert (fitted.success == (right == 1)).all()
    assert fitted.success.dtype == bool


def test_a_regression_has_no_success():
    fitted = fit(small("sine", 1))
    with pytest.raises(ValueError, match="task 'sine' has no success rate"):
        _ = fitted.success


def test_steps_to_a_loss_is_the_first_check_below_it():
    fitted = dataclasses.replace(
        fit(small("xor", 2)),
        steps=np.array([0, 10, 20, 30]),
        losses=np.array([[0.4, 0.2, 0.3, 0.1], [0.4, 0.4, 0.4, 0.4], [0.1, 0.3, 0.3, 0.3]]),
    )
    assert fitted.steps_to(0.3).tolist() == [10, np.inf, 0]
    assert fitted.steps_to(0.2).tolist() == [30, np.inf, 0]  # below, not at
    assert fitted.steps_to(0.05).tolist() == [np.inf] * 3


def test_the_square_block_has_no_input_columns():
    fitted = fit(small("xor", 1))
    assert fitted.weights.shape == (3, 6, 8)
    assert torch.equal(fitted.square, fitted.weights[:, :, :6])
    assert not fitted.weights.requires_grad


# --- fit_task, untrained, evaluate --------------------------------------------------------------


def test_the_same_seed_starts_alike_under_every_scheme():
    starts = [
        fits.fit_task(small("xor", 1), seeds=SEEDS, scheme=scheme, value=value).start["weights"]
        for scheme, value in RULES.items()
    ]
    for start in starts:
        assert torch.equal(start, starts[0])


def test_fit_task_takes_sizes_from_the_task():
    task = data.task("xor", n_epochs=2, n_hidden=2, n_iterations=4)
    fitted = fits.fit_task(task, seeds=[0], every=1)
    assert fitted.weights.shape == (1, 3, 5)
    assert fitted.network.n_iterations == 4
    assert fitted.steps.tolist() == [0, 1, 2]


def test_fit_task_is_fit_with_the_scheme():
    ours = fits.fit_task(small("xor", 20), seeds=SEEDS, scheme="random", value=0.5)
    theirs = fit(small("xor", 20), "random", dtype=torch.float32)
    assert torch.equal(ours.weights, theirs.weights)


def pruned_by_hand(scheme, task, n_steps_per_epoch):
    """The author's rules on weights that never learn."""
    w = models.CompleteLayer(2, task.n_hidden, 1, seeds=SEEDS).weights.detach()
    value, n, last = RULES[scheme], w[0].numel(), (task.n_epochs - 1) / task.n_epochs
    anneal = np.sin(np.pi * last / 2) ** 4
    if scheme in ("top_k", "dynamic_top_k"):
        share = value if scheme == "top_k" else 1 - (1 - value) * anneal
        bar = w.abs().flatten(1).sort(descending=True).values[:, int(share * n) - 1]
        return w * (w.abs() >= bar[:, None, None])
    if scheme == "threshold":
        bar = w.abs().flatten(1).sort().values[:, n // 2 - 1]
        return w * (w.abs() >= bar[:, None, None])
    left = torch.ones(())
    for epoch in range(task.n_epochs):
        p = epoch / task.n_epochs
        factor = {
            "none": 0,
            "triangular": 1,
            "damp": value,
            "dynamic_damp": (value or 0) * np.sin(np.pi * p / 2) ** 4,
        }[scheme]
        left = left * (1 - factor) ** n_steps_per_epoch
    return w.triu() + left * w.tril(-1)


@pytest.mark.parametrize("scheme", [k for k in RULES if k != "random"])
@pytest.mark.parametrize(("name", "n_epochs", "steps"), [("xor", 7, 1), ("sine", 3, 15)])
def test_untrained_networks_meet_the_pruner_as_often_and_nothing_else(
    name, n_epochs, steps, scheme
):
    task = small(name, n_epochs)
    fitted = fit(task, scheme, dtype=torch.float32)
    out = fits.untrained(fitted, scheme, RULES[scheme])
    expected = pruned_by_hand(scheme, task, steps).float()
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-7)
    assert torch.equal(
        fitted.start["weights"], models.CompleteLayer(2, task.n_hidden, 1, seeds=SEEDS).weights
    )


def test_untrained_random_masks_are_those_of_training():
    fitted = fit(small("xor", 5), "random")
    out = fits.untrained(fitted, "random", 0.5)
    assert torch.equal(out != 0, fitted.weights != 0)
    assert ((out == 0) | (out == fitted.start["weights"])).all()


def test_untrained_takes_the_epochs_of_the_fit():
    """Damping compounds, so the number of times it is applied must be that of training."""
    fitted = fits.fit_task(small("xor", 4), seeds=SEEDS, scheme="damp", value=0.1)
    out = fits.untrained(fitted, "damp", 0.1)
    torch.testing.assert_close(out.tril(-1), 0.9**4 * fitted.start["weights"].tril(-1))


def test_evaluate_is_the_loss_with_other_weights():
    fitted = fit(small("xor", 5), dtype=torch.float32)
    np.testing.assert_allclose(fits.evaluate(fitted, fitted.weights), fitted.loss, rtol=1e-6)
    kept = fitted.weights.clone()
    dead = fits.evaluate(fitted, torch.zeros_like(kept))
    np.testing.assert_allclose(dead, 0.25, rtol=1e-6)  # the output rests at 1/2
    assert torch.equal(fitted.weights, kept)


def test_the_baseline_perceptron_gets_the_tasks_layers_and_budget():
    task = small("xor", 3)
    fitted = fits.fit_perceptron(task, seeds=SEEDS, every=1)
    assert fitted.network.sizes == (2, *task.mlp_hidden, 1)
    assert fitted.steps.tolist() == [0, 1, 2, 3]
    alone = fits.fit_perceptron(task, seeds=[5], every=1)
    assert alone.loss[0] == pytest.approx(fitted.loss[2], abs=1e-6)


# --- rows of their own --------------------------------------------------------------------------


def own_rows(batch_size):
    """Each of three replicas draws 12 rows; two outputs, which are 0 or 1."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(3, 12, 2))).float()
    y = torch.from_numpy(rng.integers(2, size=(3, 12, 2))).float()
    changes = {"batch_size": batch_size, "success_at": 0.3}
    return dataclasses.replace(small("xor", 6), inputs=x, targets=y, **changes)


@pytest.mark.parametrize("batch_size", [5, 12, 50])
@pytest.mark.parametrize("train", [fits.fit_task, fits.fit_perceptron])
def test_replicas_with_rows_of_their_own_train_as_each_would_alone(train, batch_size):
    task = own_rows(batch_size)
    together = train(task, seeds=SEEDS, every=1)
    assert len(together.steps) == 1 + 6 * -(-12 // batch_size)
    assert together.loss.shape == together.success.shape == (3,)
    for k, seed in enumerate(SEEDS):
        own = dataclasses.replace(task, inputs=task.inputs[k], targets=task.targets[k])
        alone = train(own, seeds=[seed], every=1)
        for name, values in alone.parameters.items():
            torch.testing.assert_close(together.parameters[name][k], values[0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(together.losses[k], alone.losses[0], atol=1e-6)
        assert together.loss[k] == pytest.approx(alone.loss[0], abs=1e-6)
        assert together.success[k] == alone.success[0]


def test_pruners_meet_rows_of_their_own_as_often_as_shared_ones():
    fitted = fits.fit_task(own_rows(5), seeds=SEEDS, scheme="damp", value=0.1, every=1)
    out = fits.untrained(fitted, "damp", 0.1)
    left = 0.9 ** (len(fitted.steps) - 1)
    torch.testing.assert_close(out.tril(-1), left * fitted.start["weights"].tril(-1))
    np.testing.assert_array_equal(fits.evaluate(fitted, fitted.weights), fitted.loss)
