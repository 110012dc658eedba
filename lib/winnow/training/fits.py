"""Training on small tasks, pruned after every step, its loss watched on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from winnow import data, models, pruners
from winnow.models import Lesson, Parameters
from winnow.seeds import generators
from winnow.training.batches import Batch, in_epochs
from winnow.training.loop import train


@dataclass(frozen=True)
class Fit:
    """What training S replicas gives; losses are taken after the last prune."""

    network: models.CompleteLayer | models.Perceptron
    seeds: list[int]
    task: data.Task
    n_epochs: int
    start: Parameters  #: first values
    parameters: Parameters  #: after training
    loss: np.ndarray  #: final mean squared error over all rows, (S,)
    accuracy: np.ndarray  #: share of rows on the right side of 1/2, (S,); NaN for regression
    steps: np.ndarray  #: optimiser steps at the checks, (C,)
    losses: np.ndarray  #: mean squared error at the checks, (S, C)
    snapshots: torch.Tensor | None  #: weights at the checks, (S, C, n, U), where asked for

    @property
    def before(self) -> torch.Tensor:
        """First weights of a complete layer, (S, n, U)."""
        return self.start["weights"]

    @property
    def weights(self) -> torch.Tensor:
        """Trained weights of a complete layer, (S, n, U)."""
        return self.parameters["weights"]

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
    network: models.CompleteLayer | models.Perceptron,
    start: Parameters,
    task: data.Task,
    *,
    seeds: Sequence[int],
    n_epochs: int,
    prune: pruners.Prune | None = None,
    lr: float = 0.01,
    orders: np.ndarray | None = None,
    every: int = 10,
    snapshots: bool = False,
    horizon: int | None = None,
) -> Fit:
    """Train all replicas with Adam on the mean squared error, pruning after every step.

    Parameters
    ----------
    network, start
        A :class:`~winnow.models.CompleteLayer`, or a :class:`~winnow.models.Perceptron` with
        logistic outputs, and its first values, which are left as they are.
    task
        Rows and batch size.
    seeds
        One per replica.
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
        Updates of a complete layer through which gradients flow; all when absent.
    """
    some = next(iter(start.values()))
    rows = [t.to(some) for t in (task.inputs, task.targets)]
    taught = network if horizon is None else _ShortSighted(network, horizon)
    per_epoch = -(-len(rows[0]) // task.batch_size)
    steps, losses, kept = [], [], []

    def check(step: int, p: Parameters, lesson: Lesson | None = None) -> None:
        if step % every == 0:
            steps.append(step)
            losses.append(network.loss(p, *rows).view(-1))
            kept.extend([p["weights"].clone()] if snapshots else [])

    def cut(p: Parameters, step: int) -> None:
        p["weights"].copy_(prune(p["weights"], (step - 1) // per_epoch / n_epochs))

    check(0, start)
    p = train(
        taught,
        start,
        _batches(*rows, task, seeds, n_epochs, orders),
        partial(torch.optim.Adam, lr=lr, fused=True),
        after_step=None if prune is None else cut,
        observe=check,
    )
    out = network.outputs(p, rows[0])
    right = ((out > 0.5) == (rows[1] > 0.5)).all(-1).double().mean(-1).view(-1).cpu().numpy()
    return Fit(
        network=network,
        seeds=list(seeds),
        task=task,
        n_epochs=n_epochs,
        start=start,
        parameters=p,
        loss=_loss(network, p, task),
        accuracy=right if task.success_at is not None else np.full(len(right), np.nan),
        steps=np.array(steps),
        losses=torch.stack(losses, 1).double().cpu().numpy(),
        snapshots=torch.stack(kept, 1) if kept else None,
    )


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
        A name in :data:`~winnow.pruners.PRUNERS`, of those that act while a network trains, and
        its knob.
    n_hidden, n_iterations, n_epochs
        The task's own where absent.
    **options
        Passed to :func:`~winnow.training.fits.fit`.
    """
    task = data.task(task) if isinstance(task, str) else task
    prune = pruners.schedule(scheme, value, seeds=seeds)
    layer = models.CompleteLayer(
        task.n_inputs,
        task.n_hidden if n_hidden is None else n_hidden,
        task.n_outputs,
        n_iterations=task.n_iterations if n_iterations is None else n_iterations,
        seeds=seeds,
    )
    n_epochs = task.n_epochs if n_epochs is None else n_epochs
    return fit(
        layer, layer.values(), task, seeds=layer.seeds, n_epochs=n_epochs, prune=prune, **options
    )


def fit_perceptron(
    task: data.Task, *, seeds: Sequence[int], hidden: Sequence[int] | None = None, **options
) -> Fit:
    """Train the task's baseline, a logistic perceptron, for as many steps as its complete layer.

    Parameters
    ----------
    task, seeds
        As for :func:`~winnow.training.fits.fit_task`.
    hidden
        Hidden layers; the task's own where absent.
    **options
        Passed to :func:`~winnow.training.fits.fit`.
    """
    sizes = (task.n_inputs, *(task.mlp_hidden if hidden is None else hidden), task.n_outputs)
    network = models.Perceptron(sizes, "logistic", "logistic", "uniform")
    start = network.initial(seeds)
    return fit(network, start, task, seeds=seeds, n_epochs=task.n_epochs, **options)


def untrained(fitted: Fit, scheme: str, value: pruners.Knob | None = None) -> torch.Tensor:
    """Initial weights under the same pruner, never trained: sparsity without learning.

    The pruner is applied as often and with the same progress as in training. ``(S, n, U)``.
    """
    prune = pruners.schedule(scheme, value, seeds=fitted.seeds)
    weights, rows = fitted.before, len(fitted.task.inputs)
    for epoch in range(fitted.n_epochs):
        for _ in range(0, rows, fitted.task.batch_size):
            weights = prune(weights, epoch / fitted.n_epochs)
    return weights


def evaluate(fitted: Fit, weights: torch.Tensor) -> np.ndarray:
    """Mean squared error of a trained complete layer with other weights put in, ``(S,)``."""
    return _loss(fitted.network, fitted.parameters | {"weights": weights}, fitted.task)


def _loss(network, p: Parameters, task: data.Task) -> np.ndarray:
    some = next(iter(p.values()))
    x, y = (rows.to(some) for rows in (task.inputs, task.targets))
    return network.loss(p, x, y).detach().view(-1).double().cpu().numpy()


def _batches(x, y, task: data.Task, seeds, n_epochs: int, orders) -> Iterator[Batch]:
    if task.batch_size >= len(x):
        return ((x, y) for _ in range(n_epochs))
    orders = batch_orders(seeds, n_epochs, len(x)) if orders is None else orders
    return in_epochs(x, y, orders.swapaxes(0, 1), batch_size=task.batch_size)


@dataclass(frozen=True)
class _ShortSighted:
    """A complete layer whose gradients flow through its last updates only."""

    layer: models.CompleteLayer
    horizon: int

    def loss(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.layer.loss(p, x, y, horizon=self.horizon)
