"""Cohorts: train many seeds under one condition, measure each, and repeat the author's own trials.

A cohort is a tidy table with one row per network; conditions stack into one frame whose columns
``task``, ``scheme`` and ``seed`` say what a row is.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from winnow import data, models, pruners, stats
from winnow.experiments.tables import by_seed
from winnow.metrics import orderedness
from winnow.seeds import generators
from winnow.training import fits


def cohort(
    task: data.Task,
    scheme: str = "none",
    value: pruners.Knob | None = None,
    *,
    seeds: Sequence[int],
    n_draws: int,
    **training,
) -> tuple[pd.DataFrame, fits.Fit]:
    """Train one network per seed under a scheme and measure its order.

    Parameters
    ----------
    task, scheme, value, seeds, **training
        As for :func:`~winnow.training.fits.fit_task`.
    n_draws
        Copies of each network for the flip null.

    Returns
    -------
    tuple
        A table with a row per seed: ``task``, ``scheme``, ``seed``, final ``loss``,
        ``success``, and what :func:`~winnow.metrics.orderedness.profile` measures; and the fit.
    """
    fit = fits.fit_task(task, seeds=seeds, scheme=scheme, value=value, **training)
    success = fit.success.astype(float) if task.success_at is not None else np.nan
    return measure(fit.square, fit, scheme, n_draws=n_draws, loss=fit.loss, success=success), fit


def measure(
    square: torch.Tensor, fit: fits.Fit, scheme: str, *, n_draws: int, **columns
) -> pd.DataFrame:
    """A cohort's table for any square blocks ``(S, n, n)`` of its networks."""
    rng = generators(fit.seeds, "flip null")
    measured = orderedness.profile(square, n_outputs=fit.task.n_outputs, n_draws=n_draws, rng=rng)
    labels = {"task": fit.task.name, "scheme": scheme, "seed": fit.seeds}
    return pd.DataFrame({**labels, **columns, **measured})


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
    m, rng = fit.task.n_outputs, generators(fit.seeds, "row null")
    bare = fits.untrained(fit, scheme, value)
    moved = orderedness.shuffle_rows(fit.square, n_draws=n_draws, rng=rng)
    return pd.DataFrame(
        {
            "start": orderedness.value(fits.square(fit.before), n_fixed=m),
            "untrained": orderedness.value(fits.square(bare), n_fixed=m),
            "row_null": orderedness.value(moved, n_fixed=m).mean(-1),
        }
    )


def prune_once(fit: fits.Fit, *, density: float, n_draws: int) -> pd.DataFrame:
    """The table of trained networks after one magnitude cut, with the error the cut leaves."""
    cut = fit.weights * pruners.magnitude(fit.weights, density=density)
    loss = fits.evaluate(fit, cut)
    return measure(fits.square(cut), fit, "pruned once", n_draws=n_draws, loss=loss)


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
        Seeds and more for :func:`~winnow.training.fits.fit_task`.

    Returns
    -------
    pandas.DataFrame
        ``task``, ``hidden``, ``T``, ``seed``, ``orderedness``: a row per network.
    """
    cells = []
    for task, h, t in itertools.product(tasks, hidden, iterations):
        size = {"n_hidden": h, "n_iterations": t}
        fit = fits.fit_task(task, scheme="dynamic_top_k", value=density, **size, **training)
        o = orderedness.value(fit.square, n_fixed=fit.task.n_outputs)
        cells.append(
            pd.DataFrame({"task": task, "hidden": h, "T": t, "seed": fit.seeds, "orderedness": o})
        )
    return pd.concat(cells, ignore_index=True)


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
        Schemes; or, where ``control`` is a column, each network's own value there.

    Returns
    -------
    dict
        ``"task, scheme"`` to two arrays ``(seeds,)``.
    """
    found = {}
    for task, scheme in itertools.product(table.task.unique(), schemes):
        at = {"task": task, "scheme": scheme}
        if control in table:
            base = by_seed(table, control, **at)
        else:
            base = by_seed(table, column, **at | {"scheme": control})
        found[f"{task}, {scheme}"] = by_seed(table, column, **at), base
    return found


def performance(fit: fits.Fit, baseline: fits.Fit) -> stats.Interval:
    """How well networks do beside those of the same seeds trained otherwise.

    Where rows are right or wrong: the success rate, less the baseline's. In regression: the median
    error over the baseline's.
    """
    if baseline.task.success_at is None:
        return stats.ratio_of_medians(fit.loss, baseline.loss)
    return stats.paired_proportion_difference(fit.success, baseline.success)


def author_trials(
    task: str,
    scheme: str,
    value: float | None,
    *,
    n_hidden: int | None = None,
    n_iterations: int | None = None,
    seed: int = 20,
    n_trials: int = 5,
) -> fits.Fit:
    """Trials as the author's notebooks of May 2025 drew them.

    :cite:t:`song2025` seeds torch once and runs the trials one after the other, so trial 2 starts
    where trial 1 left the generator. Training itself is ours, all trials at once; only the order
    of the draws is repeated here.

    Parameters
    ----------
    task, scheme, value, n_hidden, n_iterations
        As for :func:`~winnow.training.fits.fit_task`.
    seed
        Given to torch once, before the first trial.
    n_trials
        Trials in sequence. They share one random mask, as the author's do.

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
    problem = data.task(task)
    layer = models.CompleteLayer(
        problem.n_inputs,
        problem.n_hidden if n_hidden is None else n_hidden,
        problem.n_outputs,
        n_iterations=problem.n_iterations if n_iterations is None else n_iterations,
        seeds=n_trials,
    )
    mask_shape = layer.weights.shape[1:] if scheme == "random" else None
    initial, weights, orders, mask = _draw(problem, layer, mask_shape, seed)
    with torch.no_grad():
        layer.initial.copy_(initial)
        layer.weights.copy_(weights)
    prune = pruners.schedule(scheme, value)
    if mask is not None:
        kept = mask >= value
        prune = lambda w, progress: w * kept  # noqa: E731 - one of two rules for one name
    return fits.fit(
        layer,
        layer.values(),
        problem,
        seeds=layer.seeds,
        n_epochs=problem.n_epochs,
        prune=prune,
        orders=orders,
    )


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
    rows = []
    for key, stored in published.items():
        block = author_trials(*key).square
        ours = [float(orderedness.value(block, n_fixed=m).mean()) for m in (2, 1)]
        rows.append([*key, stored, *ours])
    columns = ["task", "scheme", "value", "published", "two pinned", "output pinned"]
    return pd.DataFrame(rows, columns=columns)


def _draw(
    problem: data.Task, layer: models.CompleteLayer, mask_shape: torch.Size | None, seed: int
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, torch.Tensor | None]:
    """Initial states, weights, row orders (trials, epochs, N) and the shared random mask."""
    n_trials, n, n_nodes = layer.weights.shape
    rows = DataLoader(range(len(problem.inputs)), len(problem.inputs), shuffle=True)
    initial, weights, orders, mask = [], [], [], None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(n_trials):
            initial.append(torch.normal(0.0, 1.0, (n,)))
            weights.append(torch.normal(0.0, 1.0, (n, n_nodes)))
            for _ in range(problem.n_epochs):
                orders.extend(batch.numpy() for batch in rows)
                if mask is None and mask_shape is not None:
                    mask = torch.rand(mask_shape)  # drawn at the first call, after one step
    shape = (n_trials, problem.n_epochs, len(problem.inputs))
    return torch.stack(initial), torch.stack(weights), np.stack(orders).reshape(shape), mask
