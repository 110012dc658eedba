"""One training loop: all replicas in one product, a pruning rule after every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from winnow import data, models, pruners
from winnow.seeds import generators


@dataclass(frozen=True)
class Fit:
    """What training S replicas gives; losses are taken after the last prune."""

    model: nn.Module
    task: data.Task
    n_epochs: int
    before: torch.Tensor | None  #: initial weights (S, n, U); ``None`` for a perceptron
    loss: np.ndarray  #: final mean squared error over all rows, (S,)
    accuracy: np.ndarray  #: share of rows on the right side of 1/2, (S,); NaN for regression
    steps: np.ndarray  #: optimiser steps at the checks, (C,)
    losses: np.ndarray  #: mean squared error at the checks, (S, C)
    snapshots: torch.Tensor | None  #: weights at the checks, (S, C, n, U), where asked for

    @property
    def weights(self) -> torch.Tensor:
        """Trained weights of a complete layer, (S, n, U), cut from the gradient graph."""
        return self.model.weights.detach()

    @property
    def square(self) -> torch.Tensor:
        """Unit-to-unit block of the trained weights, (S, n, n)."""
        return square(self.weights)

    @property
    def success(self) -> np.ndarray:
        """Whether enough rows are right, (S,) boolean.

        Raises
        ------
        ValueError
            For a regression task, which has no right rows.
        """
        if self.task.success_at is None:
            raise ValueError(f"task {self.task.name!r} has no success rate: compare losses")
        return self.accuracy >= self.task.success_at

    def steps_to(self, loss: float) -> np.ndarray:
        """First check at which the error is below ``loss``, (S,); infinite if never."""
        below = self.losses < loss
        return np.where(below.any(1), self.steps[below.argmax(1)].astype(float), np.inf)


def square(weights: torch.Tensor) -> torch.Tensor:
    """The unit-to-unit block of a complete layer, ``(..., n, U)`` to ``(..., n, n)``."""
    return weights[..., : weights.shape[-2]]


def batch_orders(seeds: Sequence[int], n_epochs: int, n_rows: int) -> np.ndarray:
    """Each seed's own shuffle of the rows in each epoch, ``(S, n_epochs, n_rows)``."""
    rows = np.tile(np.arange(n_rows), (n_epochs, 1))
    return np.stack([rng.permuted(rows, axis=1) for rng in generators(seeds, "batches")])


def fit(
    model: nn.Module,
    task: data.Task,
    *,
    n_epochs: int,
    prune: pruners.Prune | None = None,
    lr: float = 0.01,
    orders: np.ndarray | None = None,
    every: int = 10,
    snapshots: bool = False,
    horizon: int | None = None,
) -> Fit:
    """Train all replicas with Adam on the mean squared error, pruning after every step.

    A replica's loss does not touch another's weights, so the sum over replicas trains each as
    if it were alone.

    Parameters
    ----------
    model
        A :class:`~winnow.models.CompleteLayer` or :class:`~winnow.models.MLP`, changed in place.
    task
        Rows and batch size.
    n_epochs
        Passes over the rows, 0 or more.
    prune
        ``(weights, progress) -> weights`` on a complete layer's weights; its learnt initial
        state is never pruned. Progress is epoch / epochs.
    lr
        Adam's learning rate.
    orders
        Row order per seed and epoch, ``(S, n_epochs, N)``; drawn from the seeds when absent.
        Not used where a batch holds all rows.
    every
        Steps between checks of the loss over all rows.
    snapshots
        Keep the weights at the checks too.
    horizon
        Updates through which gradients flow; all when absent.

    Returns
    -------
    Fit
        Final and intermediate losses and the trained model.
    """
    forward = {} if horizon is None else {"horizon": horizon}
    device = next(model.parameters()).device
    x, y = task.inputs.to(device, _dtype(model)), task.targets.to(device, _dtype(model))
    is_layer = isinstance(model, models.CompleteLayer)
    before = model.weights.detach().clone() if is_layer else None
    optimiser = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    checks = _Checks(model, x, y, keep_weights=snapshots)
    batches = _batches(model.seeds, task, n_epochs, orders)
    checks.add(0)
    for step, (progress, rows) in enumerate(batches, start=1):
        bx, by = (x, y) if rows is None else (x[rows], y[rows])  # (B, I) or (S, B, I)
        optimiser.zero_grad()
        ((model(bx, **forward) - by) ** 2).mean((1, 2)).sum().backward()
        optimiser.step()
        if prune is not None:
            with torch.no_grad():
                model.weights.copy_(prune(model.weights, progress))
        if step % every == 0:
            checks.add(step)
    return checks.result(task, n_epochs, before)


def fit_task(
    task: str | data.Task,
    *,
    seeds: Sequence[int],
    scheme: str = "none",
    value: pruners.Knob | None = None,
    n_hidden: int | None = None,
    n_iterations: int | None = None,
    n_epochs: int | None = None,
    **options,
) -> Fit:
    """Train the complete layer of a task under a pruning scheme, one replica per seed.

    Parameters
    ----------
    task
        A task or its name.
    seeds
        One per replica. The same seed starts from the same weights under every scheme.
    scheme, value
        See :data:`~winnow.pruners.SCHEMES`.
    n_hidden, n_iterations, n_epochs
        The task's own where absent.
    **options
        Passed to :func:`~winnow.training.task_loop.fit`.
    """
    task = data.task(task) if isinstance(task, str) else task
    layer = models.CompleteLayer(
        task.n_inputs,
        task.n_hidden if n_hidden is None else n_hidden,
        task.n_outputs,
        n_iterations=task.n_iterations if n_iterations is None else n_iterations,
        seeds=seeds,
    )
    return fit(
        layer,
        task,
        n_epochs=task.n_epochs if n_epochs is None else n_epochs,
        prune=pruners.schedule(scheme, value, seeds=seeds),
        **options,
    )


def fit_mlp(
    task: data.Task, *, seeds: Sequence[int], hidden: Sequence[int] | None = None, **options
) -> Fit:
    """Train the task's baseline perceptron, for as many steps as its complete layer.

    Parameters
    ----------
    task, seeds
        As for :func:`~winnow.training.task_loop.fit_task`.
    hidden
        Hidden layers; the task's own where absent.
    **options
        Passed to :func:`~winnow.training.task_loop.fit`.
    """
    layers = task.mlp_hidden if hidden is None else hidden
    mlp = models.MLP((task.n_inputs, *layers, task.n_outputs), seeds=seeds)
    return fit(mlp, task, n_epochs=task.n_epochs, **options)


def untrained(fitted: Fit, scheme: str, value: pruners.Knob | None = None) -> torch.Tensor:
    """Initial weights under the same pruner, never trained: sparsity without learning.

    The pruner is applied as often and with the same progress as in training. ``(S, n, U)``.
    """
    task = fitted.task
    prune = pruners.schedule(scheme, value, seeds=fitted.model.seeds)
    weights = fitted.before
    for progress, _ in _batches(fitted.model.seeds, task, fitted.n_epochs, None):
        weights = prune(weights, progress)
    return weights


def evaluate(model: nn.Module, weights: torch.Tensor, task: data.Task) -> np.ndarray:
    """Mean squared error of a complete layer with other weights put in, ``(S,)``."""
    x, y = (rows.to(weights.device, weights.dtype) for rows in (task.inputs, task.targets))
    with torch.no_grad():
        out = torch.func.functional_call(model, {"weights": weights}, (x,))
    return ((out - y) ** 2).mean((1, 2)).double().cpu().numpy()


def _dtype(model: nn.Module) -> torch.dtype:
    return next(model.parameters()).dtype


def _batches(
    seeds: Sequence[int], task: data.Task, n_epochs: int, orders: np.ndarray | None
) -> Iterator[tuple[float, torch.Tensor | None]]:
    """Progress and rows (S, B) of each step; ``None`` stands for all rows."""
    n_rows = len(task.inputs)
    if task.batch_size >= n_rows:
        for epoch in range(n_epochs):
            yield epoch / n_epochs, None
        return
    chosen = torch.from_numpy(batch_orders(seeds, n_epochs, n_rows) if orders is None else orders)
    for epoch in range(n_epochs):
        for rows in chosen[:, epoch].split(task.batch_size, dim=1):
            yield epoch / n_epochs, rows


class _Checks:
    """Collects losses, and weights where asked for, while a model trains."""

    def __init__(self, model: nn.Module, x: torch.Tensor, y: torch.Tensor, *, keep_weights: bool):
        self.model, self.x, self.y, self.keep_weights = model, x, y, keep_weights
        self.steps: list[int] = []
        self.losses: list[torch.Tensor] = []
        self.weights: list[torch.Tensor] = []

    def add(self, step: int) -> None:
        with torch.no_grad():
            self.losses.append(((self.model(self.x) - self.y) ** 2).mean((1, 2)))
        self.steps.append(step)
        if self.keep_weights:
            self.weights.append(self.model.weights.detach().clone())

    def result(self, task: data.Task, n_epochs: int, before: torch.Tensor | None) -> Fit:
        with torch.no_grad():
            out = self.model(self.x)
        right = ((out > 0.5) == (self.y > 0.5)).all(-1).double().mean(1).cpu().numpy()
        return Fit(
            model=self.model,
            task=task,
            n_epochs=n_epochs,
            before=before,
            loss=((out - self.y) ** 2).mean((1, 2)).double().cpu().numpy(),
            accuracy=right if task.success_at is not None else np.full(len(right), np.nan),
            steps=np.array(self.steps),
            losses=torch.stack(self.losses, 1).double().cpu().numpy(),
            snapshots=torch.stack(self.weights, 1) if self.weights else None,
        )
