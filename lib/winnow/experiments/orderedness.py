"""Cohorts: train many seeds under one condition, measure each, and repeat the author's own trials.

A cohort is a tidy table with one row per network; conditions stack into one frame whose columns
``task``, ``scheme`` and ``seed`` say what a row is.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from scipy import optimize
from torch.utils.data import DataLoader

from winnow import data, models, pruners, stats
from winnow.data import held_out
from winnow.experiments.tables import by_seed
from winnow.metrics import orderedness
from winnow.models import Parameters
from winnow.seeds import generators
from winnow.training import fits


def cohort(fit: fits.Fit, scheme: str, *, n_draws: int, learnt_below: float = 0.01) -> pd.DataFrame:
    """The order of networks that were trained under a scheme, beside their flip null.

    Parameters
    ----------
    fit
        From :func:`~winnow.training.fits.fit_task`.
    scheme
        What its networks are called.
    n_draws
        Copies of each network for the flip null.
    learnt_below
        Mean squared error below which a regression is learnt; other tasks have right rows.

    Returns
    -------
    pandas.DataFrame
        A row per seed: ``task``, ``scheme``, ``seed``, final ``loss``, whether it ``learnt``,
        ``orderedness``, the mean of its flip ``null`` and the ``excess`` over it.
    """
    rng = generators(fit.seeds, "flip null")
    ordered, null = _ordered(fit.square, fit.network.n_outputs, n_draws, rng)
    learnt = fit.loss < learnt_below if fit.task.success_at is None else fit.success
    found = {"loss": fit.loss, "learnt": learnt, "orderedness": ordered, "null": null}
    return pd.DataFrame({**_labels(fit, scheme), **found, "excess": ordered - null})


def measure(square: torch.Tensor, fit: fits.Fit, scheme: str, *, n_draws: int) -> pd.DataFrame:
    """Order among hidden units, and why order is not perfect, in square blocks ``(S, n, n)``.

    Returns
    -------
    pandas.DataFrame
        A row per seed: ``task``, ``scheme``, ``seed``; the ``excess`` of orderedness over the flip
        null, and the ``hidden_excess`` among hidden units alone, without self-loops; and the shares
        ``feedback``, ``reciprocity`` and ``frustration`` of
        :func:`~winnow.metrics.orderedness.decompose`.
    """
    n_outputs, rng = fit.task.targets.shape[-1], generators(fit.seeds, "flip null")
    loops = torch.eye(square.shape[-1], dtype=bool)
    hidden = square.masked_fill(loops, 0)[..., n_outputs:, n_outputs:]
    whole, null = _ordered(square, n_outputs, n_draws, rng)
    within, hidden_null = _ordered(hidden, 0, n_draws, rng)
    parts = orderedness.decompose(square.numpy(), n_fixed=n_outputs)
    del parts["prefix"]
    found = {"excess": whole - null, "hidden_excess": within - hidden_null, **parts}
    return pd.DataFrame({**_labels(fit, scheme), **found})


def _ordered(
    square: torch.Tensor, n_fixed: int, n_draws: int, rng: list[np.random.Generator]
) -> tuple[np.ndarray, np.ndarray]:
    """Orderedness and the mean of its flip null, ``(S,)`` each."""
    null = orderedness.flip_null(square.numpy(), n_fixed=n_fixed, n_draws=n_draws, rng=rng)
    return orderedness.value(square.numpy(), n_fixed=n_fixed), null.mean(-1)


def _labels(fit: fits.Fit, scheme: str) -> dict[str, object]:
    return {"task": fit.task.name, "scheme": scheme, "seed": fit.seeds}


def controls(
    fit: fits.Fit, scheme: str, value: pruners.Knob | None, *, n_draws: int
) -> pd.DataFrame:
    """Orderedness that the same networks reach without learning, or with weights moved.

    Returns
    -------
    pandas.DataFrame
        ``start``: initial weights as they are; ``untrained``: after the pruner alone;
        ``row_null``: mean over copies with trained weights shuffled within rows, which keeps
        what each unit receives in all.
    """
    n_outputs, rng = fit.network.n_outputs, generators(fit.seeds, "row null")
    blocks = {
        "start": fits.square(fit.start["weights"]),
        "untrained": fits.square(fits.untrained(fit, scheme, value)),
        "row_null": orderedness.shuffle_rows(fit.square, n_draws=n_draws, rng=rng),
    }
    found = {k: orderedness.value(block, n_fixed=n_outputs) for k, block in blocks.items()}
    return pd.DataFrame(found | {"row_null": found["row_null"].mean(-1)})


def recovery(fit: fits.Fit, taught: held_out.Taught, scheme: str, *, n_draws: int) -> pd.DataFrame:
    """Whether the best order of students is the one that was planted in their teachers.

    Units that the teacher shows are outputs, and known; the order compared is theirs. Where
    students have hidden units, the order compared is that of hidden units instead, and for each of
    the teacher's stands the student's whose activity on new rows is most correlated with its own,
    one to one (the Hungarian method).

    Parameters
    ----------
    fit, taught
        Students, one for each teacher, with no fewer hidden units.
    scheme
        What the students are called.
    n_draws
        Copies of each student for its nulls.

    Returns
    -------
    pandas.DataFrame
        A row per seed: ``task``, ``scheme``, ``seed``; ``agreement``, Kendall's tau with the
        planted order; its mean ``flip_null`` over copies with directions redrawn and ``row_null``
        over copies with weights shuffled within rows; and ``start`` before training. All four are
        NaN where no two units are compared. ``unexplained`` is the mean squared error on new rows
        over the targets' variance, the mean over outputs.
    """
    hidden = slice(taught.test.targets.shape[-1] if fit.task.n_hidden else 0, None)
    units = _resembling(fit, taught, hidden)

    def tau(blocks: np.ndarray) -> np.ndarray:  # mean over copies, (S, C, h, h) to (S,)
        place = orderedness.orderedness(blocks).order.argsort(-1)
        order = np.take_along_axis(place, units[:, None], -1).argsort(-1)
        return orderedness.agreement(order, taught.upstream[:, None, hidden, hidden]).mean(-1)

    start, trained = (
        fits.square(p["weights"])[:, hidden, hidden].numpy() for p in (fit.start, fit.parameters)
    )
    flip_rng, row_rng = (generators(fit.seeds, purpose) for purpose in ("flip null", "row null"))
    error = replace(fit, task=taught.test).loss
    return pd.DataFrame(
        {
            **_labels(fit, scheme),
            "agreement": tau(trained[:, None]),
            "flip_null": tau(orderedness.flip_directions(trained, n_draws=n_draws, rng=flip_rng)),
            "row_null": tau(orderedness.shuffle_rows(trained, n_draws=n_draws, rng=row_rng)),
            "start": tau(start[:, None]),
            "unexplained": error / taught.test.targets.double().var(1).mean(-1).numpy(),
        }
    )


def _resembling(fit: fits.Fit, taught: held_out.Taught, hidden: slice) -> np.ndarray:
    """The student's unit that stands for each of the teacher's, among those compared, (S, K)."""
    layer, p = fit.network, fit.parameters
    n_units = layer.n_hidden + layer.n_outputs
    if hidden.start == 0:
        return np.tile(np.arange(n_units), (len(fit.seeds), 1))
    whole = models.CompleteLayer(layer.n_inputs, 0, n_units, n_iterations=layer.n_iterations)
    seen = whole.outputs(p, taught.test.inputs)[..., hidden].double().numpy()
    found = []
    for student, teacher in zip(seen, taught.activity[..., hidden], strict=True):
        with np.errstate(invalid="ignore"):  # a unit that never moves resembles none
            correlation = np.corrcoef(teacher.T, student.T)[: teacher.shape[1], teacher.shape[1] :]
        found.append(optimize.linear_sum_assignment(-np.nan_to_num(abs(correlation)))[1])
    return np.stack(found)


def pairs(
    table: pd.DataFrame, column: str, schemes: Sequence[str], *, control: str = "none"
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A column under each scheme and under a control, seed by seed, in each task.

    Parameters
    ----------
    table
        Cohorts, one below the other.
    column
        What to compare.
    schemes, control
        Names in the column ``scheme``.

    Returns
    -------
    dict
        ``"task, scheme"`` to two arrays ``(seeds,)``.
    """
    return {
        f"{task}, {scheme}": tuple(
            by_seed(table, column, task=task, scheme=name) for name in (scheme, control)
        )
        for task, scheme in itertools.product(table.task.unique(), schemes)
    }


def performance(fit: fits.Fit, baseline: fits.Fit) -> stats.Interval:
    """How well networks do beside those of the same seeds trained otherwise.

    Where rows are right or wrong: the success rate, less the baseline's. In regression: the median
    error over the baseline's.
    """
    if baseline.task.success_at is None:
        return stats.ratio_of_medians(fit.loss, baseline.loss)
    return stats.paired_proportion_difference(fit.success, baseline.success)


def author_trials(task: data.Task, scheme: str, value: float | None) -> fits.Fit:
    """Trials as the author's notebooks of May 2025 drew them.

    :cite:t:`song2025` seeds torch once and runs five trials one after the other, so trial 2 starts
    where trial 1 left the generator. Training itself is ours, all trials at once; only the order
    of the draws is repeated here. Trials share one random mask, as the author's do.

    Parameters
    ----------
    task, scheme, value
        As for :func:`~winnow.training.fits.fit_task`.

    Returns
    -------
    Fit
        One replica per trial.

    Raises
    ------
    ValueError
        For the threshold scheme, whose threshold the author's trials share by accident too.
    """
    if scheme == "threshold":
        raise ValueError("threshold trials share one frozen threshold: no published value to meet")
    sizes = task.n_inputs, task.n_hidden, task.n_outputs
    layer = models.CompleteLayer(*sizes, n_iterations=task.n_iterations, seeds=5)
    start, orders, mask = _draw(task, layer.weights.shape, scheme == "random")
    scheduled = pruners.schedule(scheme, value)

    def prune(weights: torch.Tensor, progress: float) -> torch.Tensor:
        return scheduled(weights, progress) if mask is None else weights * (mask >= value)

    return fits.fit(layer, start, task, seeds=layer.seeds, prune=prune, orders=orders)


def beside_published(published: Mapping[tuple[str, str, float], float]) -> pd.DataFrame:
    """Published means beside ours, with two units pinned as then and with the outputs pinned.

    Parameters
    ----------
    published
        (task, scheme, value) to the mean orderedness over the author's trials.

    Returns
    -------
    pandas.DataFrame
        A row each: ``task``, ``scheme``, ``value``, ``published``, ``two pinned``,
        ``output pinned``.
    """
    blocks = [author_trials(data.task(task), *how).square for task, *how in published]
    ours = {
        column: [float(orderedness.value(block, n_fixed=m).mean()) for block in blocks]
        for column, m in {"two pinned": 2, "output pinned": 1}.items()
    }
    table = pd.Series(published, name="published").rename_axis(["task", "scheme", "value"])
    return table.reset_index().assign(**ours)


def _draw(
    task: data.Task, shape: torch.Size, masked: bool
) -> tuple[Parameters, np.ndarray, torch.Tensor | None]:
    """First values, row orders (trials, epochs, N) and the shared random mask, in their order."""
    n_trials, n, n_nodes = shape
    n_rows = len(task.inputs)
    rows = DataLoader(range(n_rows), n_rows, shuffle=True)
    initial, weights, orders, mask = [], [], [], None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20)
        for _ in range(n_trials):
            initial.append(torch.normal(0.0, 1.0, (n,)))
            weights.append(torch.normal(0.0, 1.0, (n, n_nodes)))
            for _ in range(task.n_epochs):
                orders.extend(batch.numpy() for batch in rows)
                if mask is None and masked:
                    mask = torch.rand(n, n_nodes)  # drawn at the first call, after one step
    start = {"initial": torch.stack(initial), "weights": torch.stack(weights)}
    return start, np.stack(orders).reshape(n_trials, task.n_epochs, n_rows), mask
