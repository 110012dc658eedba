"""The random numbers of the author's own notebooks, to check published values against.

:cite:t:`song2025` seeds torch once and runs the trials one after the other, so trial 2 starts
where trial 1 left the generator. Training itself is ours, all trials at once; only the order of
the draws is repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from winnow import data, models, pruners
from winnow.metrics import orderedness
from winnow.training import task_loop


def author_trials(
    task: str,
    scheme: str,
    value: float | None,
    *,
    n_hidden: int | None = None,
    n_iterations: int | None = None,
    seed: int = 20,
    n_trials: int = 5,
) -> task_loop.Fit:
    """Trials as the author's notebooks of May 2025 drew them.

    Parameters
    ----------
    task, scheme, value, n_hidden, n_iterations
        As for :func:`~winnow.training.task_loop.fit_task`.
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
    return task_loop.fit(layer, problem, n_epochs=problem.n_epochs, prune=prune, orders=orders)


def compare(published: Mapping[tuple[str, str, float], float]) -> pd.DataFrame:
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
