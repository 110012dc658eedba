"""Training on small tasks, pruned after every step, its loss watched on the way."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import torch

from winnow import data, models, pruners
from winnow.models import Lesson, Parameters
from winnow.training.batches import in_epochs, shuffled
from winnow.training.loop import train


@dataclass(frozen=True)
class Fit:
    """What training S replicas gives; losses are taken after the last prune."""

    network: models.CompleteLayer | models.Perceptron
    seeds: list[int]
    task: data.Task
    start: Parameters  #: first values, by name
    parameters: Parameters  #: after training, by name
    steps: np.ndarray  #: optimiser steps at the checks, (C,)
    losses: np.ndarray  #: mean squared error at the checks, (S, C)
    snapshots: torch.Tensor | None  #: weights at the checks, (S, C, n, U), where asked for

    @property
    def weights(self) -> torch.Tensor:
        """Trained weights of a complete layer, (S, n, U)."""
        return self.parameters["weights"]

    @property
    def square(self) -> torch.Tensor:
        """Unit-to-unit block of the trained weights, (S, n, n)."""
        return square(self.weights)

    @property
    def loss(self) -> np.ndarray:
        """Final mean squared error over all rows, (S,)."""
        found = self.network.loss(self.parameters, *_rows(self.task, self.parameters))
        return found.view(-1).double().cpu().numpy()

    @property
    def success(self) -> np.ndarray:
        """Whether enough rows are on the right side of 1/2, (S,) boolean.

        Raises
        ------
        ValueError
            For a regression task, which has no right rows.
        """
        if self.task.success_at is None:
            raise ValueError(f"task {self.task.name!r} has no success rate: compare losses")
        x, y = _rows(self.task, self.parameters)
        out = self.network.outputs(self.parameters, x).reshape(-1, *y.shape[-2:])  # no arms
        right = ((out > 0.5) == (y > 0.5)).all(-1)
        return (right.double().mean(-1) >= self.task.success_at).cpu().numpy()

    def steps_to(self, loss: float) -> np.ndarray:
        """First check at which the error is below ``loss``, (S,); infinite if never."""
        below = self.losses < loss
        return np.where(below.any(1), self.steps[below.argmax(1)].astype(float), np.inf)


def square(weights: torch.Tensor) -> torch.Tensor:
    """The unit-to-unit block of a complete layer, ``(..., n, U)`` to ``(..., n, n)``."""
    return weights[..., : weights.shape[-2]]


def fit(
    network: models.CompleteLayer | models.Perceptron,
    start: Parameters,
    task: data.Task,
    *,
    seeds: Sequence[int],
    prune: pruners.Prune | None = None,
    orders: np.ndarray | None = None,
    every: int = 10,
    snapshots: bool = False,
    horizon: int | None = None,
) -> Fit:
    """Train all replicas with Adam at rate 0.01 on the mean squared error, pruned at every step.

    Parameters
    ----------
    network, start
        A :class:`~winnow.models.CompleteLayer`, or a :class:`~winnow.models.Perceptron` with
        logistic outputs, and its first values, which are left as they are.
    task
        Rows, batch size, and passes over the rows, 0 or more.
    seeds
        One per replica.
    prune
        ``(weights, progress) -> weights`` on a complete layer's weights; its learnt initial
        state is never pruned. Progress is epoch / epochs.
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
    rows = _rows(task, start)
    taught = network
    if horizon is not None:
        taught = SimpleNamespace(loss=partial(network.loss, horizon=horizon))
    n_rows = rows[0].shape[-2]
    per_epoch = -(-n_rows // task.batch_size)
    steps, losses, kept = [], [], []

    def check(step: int, p: Parameters, lesson: Lesson | None = None) -> None:
        if step % every == 0:
            steps.append(step)
            losses.append(network.loss(p, *rows).view(-1))
            kept.extend([p["weights"].clone()] if snapshots else [])

    def cut(p: Parameters, step: int) -> None:
        p["weights"].copy_(prune(p["weights"], (step - 1) // per_epoch / task.n_epochs))

    check(0, start)
    if task.batch_size >= n_rows:
        batches = itertools.repeat(rows, task.n_epochs)
    else:
        drawn = shuffled(seeds, n_rows, task.n_epochs) if orders is None else orders.swapaxes(0, 1)
        batches = in_epochs(*rows, drawn, batch_size=task.batch_size)
    adam = partial(torch.optim.Adam, lr=0.01, fused=True)
    p = train(taught, start, batches, adam, after_step=prune and cut, observe=check)
    course = torch.stack(losses, 1).double().cpu().numpy()
    snaps = torch.stack(kept, 1) if kept else None
    return Fit(network, list(seeds), task, start, p, np.array(steps), course, snaps)


def fit_task(
    task: str | data.Task,
    *,
    seeds: Sequence[int],
    scheme: str = "none",
    value: pruners.Knob | None = None,
    **options,
) -> Fit:
    """Train the complete layer of a task under one scheme; see :func:`fit_schemes`."""
    return fit_schemes(task, {scheme: value}, seeds=seeds, **options)[scheme]


def fit_schemes(
    task: str | data.Task,
    schemes: Mapping[str, pruners.Knob | None],
    *,
    seeds: Sequence[int],
    **options,
) -> dict[str, Fit]:
    """Train the complete layer of a task under several schemes, side by side in one batch.

    Parameters
    ----------
    task
        A task or its name; of other sizes by :func:`~winnow.data.task`.
    schemes
        Names in :data:`~winnow.pruners.PRUNERS`, of those that act while a network trains, and
        their knobs.
    seeds
        One per replica. The same seed starts from the same weights under every scheme.
    **options
        Passed to :func:`~winnow.training.fits.fit`.

    Returns
    -------
    dict
        A :class:`Fit` with one replica per seed for each scheme.
    """
    task, n = data.task(task) if isinstance(task, str) else task, len(seeds)
    prunes = [pruners.schedule(name, value, seeds=seeds) for name, value in schemes.items()]

    def prune(weights: torch.Tensor, progress: float) -> torch.Tensor:
        parts = zip(prunes, weights.split(n), strict=True)
        return torch.cat([cut(part, progress) for cut, part in parts])

    side_by_side, sizes = task, (task.inputs.shape[-1], task.n_hidden, task.targets.shape[-1])
    if task.inputs.ndim == 3:  # rows of their own, once for each scheme
        x, y = (rows.repeat(len(schemes), 1, 1) for rows in (task.inputs, task.targets))
        side_by_side = replace(task, inputs=x, targets=y)
    layer = models.CompleteLayer(
        *sizes, n_iterations=task.n_iterations, seeds=[*seeds] * len(schemes)
    )
    whole = fit(layer, layer.values(), side_by_side, seeds=layer.seeds, prune=prune, **options)
    found = {}
    for k, name in enumerate(schemes):
        own = slice(k * n, (k + 1) * n)
        first, last = ({p: v[own] for p, v in q.items()} for q in (whole.start, whole.parameters))
        kept = None if whole.snapshots is None else whole.snapshots[own]
        about = {"task": task, "seeds": layer.seeds[own], "losses": whole.losses[own]}
        found[name] = replace(whole, start=first, parameters=last, snapshots=kept, **about)
    return found


def fit_perceptron(task: data.Task, *, seeds: Sequence[int], **options) -> Fit:
    """Train the task's baseline, a logistic perceptron, for as many steps as its complete layer.

    Parameters
    ----------
    task, seeds
        As for :func:`~winnow.training.fits.fit_task`.
    **options
        Passed to :func:`~winnow.training.fits.fit`.
    """
    sizes = (task.inputs.shape[-1], *task.mlp_hidden, task.targets.shape[-1])
    network = models.Perceptron(sizes, "logistic", "logistic", "uniform")
    return fit(network, network.initial(seeds), task, seeds=seeds, **options)


def untrained(fitted: Fit, scheme: str, value: pruners.Knob | None = None) -> torch.Tensor:
    """Initial weights under the same pruner, never trained: sparsity without learning.

    The pruner is applied as often and with the same progress as in training. ``(S, n, U)``.
    """
    prune = pruners.schedule(scheme, value, seeds=fitted.seeds)
    weights, task = fitted.start["weights"], fitted.task
    for epoch in range(task.n_epochs):
        for _ in range(0, task.inputs.shape[-2], task.batch_size):
            weights = prune(weights, epoch / task.n_epochs)
    return weights


def evaluate(fitted: Fit, weights: torch.Tensor) -> np.ndarray:
    """Mean squared error of a trained complete layer with other weights put in, ``(S,)``."""
    return replace(fitted, parameters=fitted.parameters | {"weights": weights}).loss


def _rows(task: data.Task, p: Parameters) -> list[torch.Tensor]:
    """A task's inputs and targets, of the kind of the parameters."""
    some = next(iter(p.values()))
    return [values.to(some) for values in (task.inputs, task.targets)]
