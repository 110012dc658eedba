"""Tasks hold the rows and settings the papers used."""

import dataclasses
import itertools
import math

import pytest
import torch

from winnow import data


@pytest.fixture(params=data.TASKS)
def task(request):
    return data.task(request.param)


def test_a_task_is_whole(task):
    n = len(task.inputs)
    assert task.targets.shape == (n, task.n_outputs)
    assert task.inputs.shape == (n, task.n_inputs)
    assert task.inputs.dtype == task.targets.dtype == torch.float32
    assert torch.isfinite(task.inputs).all()
    assert n % task.batch_size == 0  # else the last batch would weigh its rows more


def test_success_is_defined_where_targets_are_zero_or_one(task):
    binary = bool(((task.targets == 0) | (task.targets == 1)).all())
    assert (task.success_at is not None) is binary
    if binary:
        assert 0 < task.success_at <= 1


def test_a_task_is_the_same_every_time(task):
    again = data.task(task.name)
    assert torch.equal(task.inputs, again.inputs)
    assert torch.equal(task.targets, again.targets)


def test_exclusive_or_is_its_truth_table():
    task = data.xor()
    rows = {tuple(map(int, x)): int(y) for x, y in zip(task.inputs, task.targets, strict=True)}
    assert rows == {(a, b): a ^ b for a in (0, 1) for b in (0, 1)}
    assert (task.n_hidden, task.n_iterations, task.n_epochs, task.batch_size) == (5, 3, 1000, 4)


def test_the_sine_takes_consecutive_points():
    task = data.sine()
    assert (task.n_hidden, task.n_iterations, task.n_epochs, task.batch_size) == (8, 3, 40, 10)
    for k, (x, y) in enumerate(zip(task.inputs.tolist(), task.targets.tolist(), strict=True)):
        assert x == pytest.approx([0.02 * k, 0.02 * k + 0.01], abs=1e-6)
        assert y[0] == pytest.approx((math.sin(x[0]) + math.sin(x[1])) / 2, abs=1e-6)
    assert k == 149


def test_parity_is_the_last_bit_of_the_count():
    task = data.parity()
    rows = {tuple(map(int, x)): int(y) for x, y in zip(task.inputs, task.targets, strict=True)}
    assert rows == {bits: sum(bits) % 2 for bits in itertools.product((0, 1), repeat=3)}


def test_moons_are_two_halves_near_two_circles():
    task = data.moons()
    upper = task.targets[:, 0] == 1
    assert upper.sum() == 50
    around = torch.where(upper[:, None], torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.5]))
    offset = task.inputs - around
    off = offset.norm(dim=1) - 1
    assert 0.05 < off.std() < 0.2
    assert off.abs().max() < 0.5
    assert ((offset[:, 1] >= -0.5) & upper).sum() == 50
    assert ((offset[:, 1] <= 0.5) & ~upper).sum() == 50


def test_a_task_may_be_changed_by_name_of_a_field():
    changed = data.task("xor", n_hidden=3, n_epochs=7)
    assert (changed.n_hidden, changed.n_epochs) == (3, 7)
    assert dataclasses.replace(changed, n_hidden=5, n_epochs=1000).n_iterations == 3
    assert data.task("xor").n_hidden == 5


def test_an_unknown_task_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown task 'xnor': choose from xor, sine"):
        data.task("xnor")
