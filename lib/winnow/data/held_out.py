"""Tasks whose networks are tested on rows they never saw: every replica draws its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from winnow.arrays import check_count, check_range
from winnow.data.patterns import digits as all_digits
from winnow.data.tasks import Task
from winnow.seeds import generators

_NEW_ROWS = 1000  # to test on, where there is no end of them


@dataclass(frozen=True)
class HeldOut:
    """A task to learn and the same task on new rows, ``(S, N, I)`` to ``(S, N, O)`` each."""

    train: Task
    test: Task


@dataclass(frozen=True)
class Taught(HeldOut):
    """What acyclic teachers show, and the order that was planted in their K units."""

    activity: np.ndarray  #: all units on the rows of the test, ``(S, N, K)``
    #: whether the column's unit lies upstream of the row's, however far, ``(S, K, K)``
    upstream: np.ndarray


def moons(seeds: Sequence[int], *, n_rows: int = 100) -> HeldOut:
    """Two interleaved half circles with Gaussian noise of 0.1, new points for each replica.

    Parameters
    ----------
    seeds
        One per replica.
    n_rows
        Points to learn from, 2 or more; it is tested on 1000 others.
    """
    from sklearn import datasets  # here, because it takes a second that most need not wait

    check_count("n_rows", n_rows, 2)
    drawn = []
    for rng in generators(seeds, "moons"):
        state = int(rng.integers(2**32))
        points, labels = datasets.make_moons(n_rows + _NEW_ROWS, noise=0.1, random_state=state)
        drawn.append((points, labels[:, None]))
    budget = {"n_hidden": 8, "n_iterations": 3, "n_epochs": 100, "batch_size": 10}
    whole = _task("moons", drawn, **budget, mlp_hidden=(10, 10), success_at=0.95)
    return _divided(whole, n_rows)


def digits(seeds: Sequence[int], *, n_rows: int = 500) -> HeldOut:
    """1797 handwritten digits of 8 x 8 pixels, divided anew for each replica; targets are 0 or 1.

    Parameters
    ----------
    seeds
        One per replica.
    n_rows
        Digits to learn from, in [1, 1796]; it is tested on all others.
    """
    patterns = all_digits()
    check_count("n_rows", n_rows, 1, len(patterns.labels) - 1)
    one_hot = np.eye(10)[np.asarray(patterns.labels)]
    drawn = []
    for rng in generators(seeds, "digits"):
        rows = rng.permutation(len(one_hot))
        drawn.append((np.asarray(patterns.inputs)[rows], one_hot[rows]))
    budget = {"n_hidden": 16, "n_iterations": 3, "n_epochs": 100, "batch_size": 50}
    return _divided(_task("digits", drawn, **budget, mlp_hidden=(16,), success_at=0.9), n_rows)


def teachers(
    seeds: Sequence[int],
    *,
    n_units: int = 6,
    n_inputs: int = 3,
    n_shown: int | None = None,
    density: float = 0.5,
    gain: float = 2.5,
    n_rows: int = 100,
) -> Taught:
    r"""What random acyclic networks of logistic units do, and which unit lies upstream of which.

    Students see what the ``n_shown`` units furthest downstream do, in a task with as many units.

    The units of a teacher stand in a random order. Each pair is joined with probability
    ``density``, always from the later to the earlier unit; a unit that would hear nobody hears one
    later unit at random. The last two hear the inputs, which are standard normal. Weights between
    units are :math:`\pm g\,u` with u uniform on [0.5, 1.5], those of inputs normal with variance
    :math:`(1.5\,g)^2 / I`.

    Parameters
    ----------
    seeds
        One per replica, each with a teacher of its own.
    n_units, n_inputs
        K, 2 or more, and I, 1 or more.
    n_shown
        In [1, K]; all K when absent. Shown units come first, and each part in random order.
    density, gain
        Share of pairs that are joined, in [0, 1], and g, above 0.
    n_rows
        Rows to learn from, 1 or more; it is tested on 1000 others.
    """
    check_count("n_units", n_units, 2)
    check_count("n_inputs", n_inputs)
    check_count("n_rows", n_rows)
    check_range("density", density, "[0, 1]")
    check_range("gain", gain, "(0, inf)")
    n_shown = n_units if n_shown is None else n_shown
    check_count("n_shown", n_shown, 1, n_units)
    drawn, upstream = [], []
    for rng in generators(seeds, "teachers"):
        parts = np.split(np.arange(n_units), [n_shown])
        place = np.concatenate([*map(rng.permutation, parts)])  # of the task's units
        weights = _acyclic(n_units, density, gain, rng)
        entry = rng.normal(size=(2, n_inputs)) * 1.5 * gain / np.sqrt(n_inputs)
        x = rng.normal(size=(n_rows + _NEW_ROWS, n_inputs))
        drive = np.zeros((len(x), n_units))
        drive[:, -2:] = x @ entry.T
        shown = np.zeros((len(x), n_units))
        for unit in reversed(range(n_units)):  # sources come before what they drive
            shown[:, unit] = 1 / (1 + np.exp(-drive[:, unit] - shown @ weights[unit]))
        drawn.append((x, shown[:, place]))
        upstream.append(_reached(weights != 0)[np.ix_(place, place)])
    budget = {"n_hidden": n_units - n_shown, "n_iterations": n_units, "n_epochs": 2000}
    options = {"batch_size": n_rows, "mlp_hidden": (n_units,), "success_at": None}
    found = _divided(_task("teachers", drawn, **budget, **options), n_rows)
    activity = found.test.targets.numpy()
    parts = (replace(t, targets=t.targets[..., :n_shown]) for t in (found.train, found.test))
    return Taught(*parts, activity, np.stack(upstream))


def _acyclic(n: int, density: float, gain: float, rng: np.random.Generator) -> np.ndarray:
    """Weights above the diagonal: row = target, column = source, a later unit."""
    joined = np.triu(rng.random((n, n)) < density, 1)
    for unit in range(n - 1):
        joined[unit, rng.integers(unit + 1, n)] |= not joined[unit].any()
    return joined * rng.choice([-gain, gain], (n, n)) * rng.uniform(0.5, 1.5, (n, n))


def _reached(joined: np.ndarray) -> np.ndarray:
    """Which unit (column) reaches which (row) along any number of joins."""
    reached = joined
    for unit in range(len(joined)):
        reached = reached | reached[:, [unit]] & reached[[unit]]
    return reached


def _task(name: str, drawn: Sequence[tuple[np.ndarray, np.ndarray]], **budget) -> Task:
    inputs, targets = (torch.from_numpy(np.stack(a)).float() for a in zip(*drawn, strict=True))
    return Task(name, inputs, targets, **budget)


def _divided(whole: Task, n_rows: int) -> HeldOut:
    parts = whole.inputs.tensor_split([n_rows], 1), whole.targets.tensor_split([n_rows], 1)
    return HeldOut(*(replace(whole, inputs=x, targets=y) for x, y in zip(*parts, strict=True)))
