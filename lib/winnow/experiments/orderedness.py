"""Cohorts: train many seeds under one condition, measure each, compare by seed.

A cohort is a tidy table with one row per network; conditions stack into one frame whose columns
``task``, ``scheme`` and ``seed`` say what a row is.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from winnow import data, pruners, stats
from winnow.metrics import orderedness
from winnow.reporting import claims
from winnow.seeds import generators
from winnow.training import task_loop

#: What "no worse" means, fixed beforehand, in points of success rate and times the median error.
SUCCESS_MARGIN, ERROR_RATIO = 0.05, 1.5


def cohort(
    task: data.Task,
    scheme: str = "none",
    value: pruners.Knob | None = None,
    *,
    seeds: Sequence[int],
    n_draws: int,
    **training,
) -> tuple[pd.DataFrame, task_loop.Fit]:
    """Train one network per seed under a scheme and measure its order.

    Parameters
    ----------
    task, scheme, value, seeds, **training
        As for :func:`~winnow.training.task_loop.fit_task`.
    n_draws
        Copies of each network for the flip null.

    Returns
    -------
    tuple
        A table with a row per seed: ``task``, ``scheme``, ``seed``, final ``loss``,
        ``success``, and what :func:`~winnow.metrics.orderedness.profile` measures; and the fit.
    """
    fit = task_loop.fit_task(task, seeds=seeds, scheme=scheme, value=value, **training)
    success = fit.success if task.success_at is not None else np.nan
    return measure(fit.square, fit, scheme, n_draws=n_draws, loss=fit.loss, success=success), fit


def measure(
    square: torch.Tensor, fit: task_loop.Fit, scheme: str, *, n_draws: int, **columns
) -> pd.DataFrame:
    """A cohort's table for any square blocks ``(S, n, n)`` of its networks."""
    rng = generators(fit.model.seeds, "flip null")
    measured = orderedness.profile(square, n_outputs=fit.task.n_outputs, n_draws=n_draws, rng=rng)
    labels = {"task": fit.task.name, "scheme": scheme, "seed": fit.model.seeds}
    return pd.DataFrame({**labels, **columns, **measured})


def controls(
    fit: task_loop.Fit, scheme: str, value: pruners.Knob | None, *, n_draws: int
) -> pd.DataFrame:
    """Orderedness that the same networks reach without learning, or with weights moved.

    Returns
    -------
    pandas.DataFrame
        ``start``: initial weights as they are; ``untrained``: after the pruner alone;
        ``row_null``: mean over copies with trained weights shuffled within rows, which keeps
        what each unit receives in all.
    """
    m, rng = fit.task.n_outputs, generators(fit.model.seeds, "row null")
    bare = task_loop.untrained(fit, scheme, value)
    moved = orderedness.shuffle_entries(fit.square, within="rows", n_draws=n_draws, rng=rng)
    return pd.DataFrame(
        {
            "start": orderedness.value(task_loop.square(fit.before), n_fixed=m),
            "untrained": orderedness.value(task_loop.square(bare), n_fixed=m),
            "row_null": orderedness.value(moved, n_fixed=m).mean(-1),
        }
    )


def prune_once(fit: task_loop.Fit, *, density: float, n_draws: int) -> pd.DataFrame:
    """The table of trained networks after one magnitude cut, with the error the cut leaves."""
    cut = fit.weights * pruners.magnitude(fit.weights, density=density)
    loss = task_loop.evaluate(fit.model, cut, fit.task)
    return measure(task_loop.square(cut), fit, "pruned once", n_draws=n_draws, loss=loss)


def unit_map(
    tasks: Sequence[str],
    hidden: Sequence[int],
    iterations: Sequence[int],
    *,
    density: float,
    **training,
) -> pd.DataFrame:
    """Orderedness under dynamic top-k pruning on a grid of hidden units and updates.

    Parameters
    ----------
    tasks, hidden, iterations
        The grid.
    density
        Share of weights kept at the end.
    **training
        Seeds and more for :func:`~winnow.training.task_loop.fit_task`.

    Returns
    -------
    pandas.DataFrame
        ``task``, ``hidden``, ``T``, ``seed``, ``orderedness``: a row per network.
    """
    cells = []
    for task, h, t in itertools.product(tasks, hidden, iterations):
        size = {"n_hidden": h, "n_iterations": t}
        fit = task_loop.fit_task(task, scheme="dynamic_top_k", value=density, **size, **training)
        o = orderedness.value(fit.square, n_fixed=fit.task.n_outputs)
        cells.append(
            pd.DataFrame(
                {"task": task, "hidden": h, "T": t, "seed": fit.model.seeds, "orderedness": o}
            )
        )
    return pd.concat(cells, ignore_index=True)


def spread(frame: pd.DataFrame, column: str, by: Sequence[str]) -> pd.DataFrame:
    """One column of stacked cohorts as a table: a row per seed, a column per condition."""
    return frame.pivot(index="seed", columns=list(by), values=column).sort_index(axis=1)


def contrast(
    frame: pd.DataFrame,
    column: str,
    treated: Sequence[str],
    *,
    control: str = "none",
    rng: np.random.Generator,
) -> dict[str, stats.Interval]:
    """Mean difference of a column between schemes and a control, paired by seed, in each task.

    Parameters
    ----------
    frame
        Cohorts, one below the other.
    column
        What to compare.
    treated, control
        Schemes; or, where ``control`` is a column, each network against its own value there.
    rng
        Draws the resamples.

    Returns
    -------
    dict
        ``"task, scheme"`` to interval with p-value.

    """
    parts = {}
    for task, rows in frame.groupby("task", sort=False):
        table = rows.pivot(index="seed", columns="scheme")
        for scheme in treated:
            ours = table[column, scheme]
            base = table[control, scheme] if control in frame else table[column, control]
            parts[f"{task}, {scheme}"] = stats.paired_difference(ours, base, rng=rng)
    return parts


def no_worse(
    pairs: Mapping[str, tuple[task_loop.Fit, task_loop.Fit]], *, rng: np.random.Generator
) -> tuple[dict[str, stats.Interval], dict[str, claims.Criterion]]:
    """Performance against a baseline, and the rule for calling it no worse.

    Where rows are right or wrong: the success rate's paired difference, a loss of
    :data:`~winnow.experiments.orderedness.SUCCESS_MARGIN` excluded. In regression: the ratio of median errors,
    :data:`~winnow.experiments.orderedness.ERROR_RATIO` excluded.

    Parameters
    ----------
    pairs
        Name to (fit, baseline) over the same seeds of the same task.
    rng
        Draws the resamples.

    Returns
    -------
    tuple
        Intervals and criteria by name.
    """
    intervals, rules = {}, {}
    for name, (fit, base) in pairs.items():
        if base.task.success_at is None:
            rules[name] = claims.below(ERROR_RATIO)
            intervals[name] = stats.ratio_of_medians(fit.loss, base.loss, rng=rng)
        else:
            rules[name] = claims.non_inferior(SUCCESS_MARGIN)
            intervals[name] = stats.paired_proportion_difference(fit.success, base.success)
    return intervals, rules


def speed(
    pairs: Mapping[str, tuple[task_loop.Fit, task_loop.Fit]],
    *,
    loss: float,
    rng: np.random.Generator,
) -> dict[str, stats.Interval]:
    """Ratio of median steps until the error is below ``loss``, fit over baseline, by name.

    A network that never gets there counts with the whole budget, so where many do not, the ratio
    understates how much slower the slower one is.
    """
    ratios = {}
    for name, both in pairs.items():
        steps = [fit.steps_to(loss).clip(max=fit.steps[-1]) for fit in both]
        ratios[name] = stats.ratio_of_medians(*steps, rng=rng)
    return ratios


def slopes(
    frame: pd.DataFrame, column: str, along: str, *, rng: np.random.Generator
) -> dict[str, stats.Interval]:
    """Mean slope of a column per doubling of another, fitted seed by seed.

    Parameters
    ----------
    frame
        Cohorts at two or more values of ``along``, which are positive.
    column, along
        What changes, and along what.
    rng
        Draws the resamples.

    Returns
    -------
    dict
        ``"task, scheme"`` to interval, with the p-value of no slope.
    """
    fitted = {}
    for (task, scheme), rows in frame.groupby(["task", "scheme"], sort=False):
        table = rows.pivot(index="seed", columns=along, values=column)
        x = np.log2(table.columns.to_numpy(float))
        slope = np.polynomial.polynomial.polyfit(x, table.T.to_numpy(), 1)[1]
        fitted[f"{task}, {scheme}"] = stats.paired_difference(slope, 0, rng=rng)
    return fitted
