"""Training in epochs with Nesterov's momentum, for replicas and arms side by side.

Parameters are ``(S, A, ...)``, see :mod:`winnow.models`; every arm sees the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from winnow.models import Lesson, Network, Parameters
from winnow.models.network import copied
from winnow.training.batches import in_epochs, shuffled
from winnow.training.loop import DecayingSGD, train


@dataclass(frozen=True)
class Schedule:
    """Epochs, batches and steps, as in :cite:t:`zambra2020` by default.

    Parameters
    ----------
    n_epochs, batch_size
        At least 1. Where the batch size does not divide the samples, the last batch is smaller.
    lr
        Learning rate of the first step, above 0.
    momentum
        Share of a step that is made again in the next, in [0, 1).
    decay
        Step t, counted from 0, has the learning rate ``lr / (1 + decay * t)``; 0 or larger.
    nesterov
        Whether the momentum is applied ahead of the next gradient.

    Raises
    ------
    ValueError
        A value out of its range.
    """

    n_epochs: int = 20
    batch_size: int = 20
    lr: float = 0.01
    momentum: float = 0.6
    decay: float = 1e-6
    nesterov: bool = True

    def __post_init__(self) -> None:
        for name in ("n_epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or larger, got {getattr(self, name)}")
        if not self.lr > 0:
            raise ValueError(f"lr must be above 0, got {self.lr}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if not self.decay >= 0:
            raise ValueError(f"decay must be 0 or larger, got {self.decay}")


@dataclass(frozen=True)
class Course:
    """How training went: parameters after some epochs, accuracy and loss during each."""

    snapshots: dict[int, Parameters] = field(repr=False)  #: by epoch, 0 before training
    accuracy: np.ndarray = field(repr=False)  #: running, (n_epochs, S, A)
    loss: np.ndarray = field(repr=False)  #: running, (n_epochs, S, A)

    @property
    def epochs(self) -> tuple[int, ...]:
        """Epochs after which parameters were kept, from 0 to the last."""
        return tuple(self.snapshots)

    @property
    def final(self) -> Parameters:
        """Parameters after the last epoch."""
        return self.snapshots[self.epochs[-1]]


def fit_epochs(
    network: Network,
    params: Parameters,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    *,
    schedule: Schedule,
    seeds: Sequence[int],
    keep_every: int = 1,
) -> Course:
    r"""The course of a training that visits every sample once an epoch.

    Steps are those of :class:`~winnow.training.loop.DecayingSGD`.

    Accuracy and loss of an epoch are means over its samples, each judged just before the step
    that its batch makes. So they lag behind those of the snapshot after the epoch, for which
    there is :func:`~winnow.training.epochs.accuracy`. Nothing that is passed in is changed.

    Parameters
    ----------
    network, params
        What is trained, from where; ``(S, A, ...)``.
    inputs, labels
        ``(S, N, D)`` and whole numbers ``(S, N)``, on the device of the parameters.
    schedule
        Epochs, batches and steps.
    seeds
        One per replica. Each draws its order anew every epoch from a stream of its own; the arms
        share it.
    keep_every
        Parameters are kept after every so many epochs, before the first, and after the last.

    Raises
    ------
    ValueError
        Shapes that do not fit, other seeds than replicas, ``keep_every`` below 1, or training that
        diverges.

    Examples
    --------
    One step from zeros, where both classes have probability 1/2, so a loss of log 2, and the first
    counts as on top. The gradient of its bias is -1/2, so v is 0.05 and the step 0.025 + 0.05.

    >>> from winnow.models import Perceptron
    >>> network = Perceptron((1, 2))
    >>> start = {name: 0 * v for name, v in network.initial([5]).items()}
    >>> x, y = torch.zeros(1, 4, 1), torch.zeros(1, 4, dtype=torch.long)
    >>> schedule = Schedule(n_epochs=1, batch_size=4, lr=0.1, momentum=0.5)
    >>> course = fit_epochs(network, start, x, y, schedule=schedule, seeds=[5])
    >>> course.epochs, course.accuracy.tolist(), course.loss.round(4).tolist()
    ((0, 1), [[[1.0]]], [[[0.6931]]])
    >>> [round(b, 4) for b in course.final["biases.0"].flatten().tolist()]
    [0.075, -0.075]
    """
    _check(params, inputs, labels, seeds, keep_every)
    n, n_epochs = inputs.shape[1], schedule.n_epochs
    per_epoch = -(-n // schedule.batch_size)
    snapshots = {0: copied(params)}
    rights, losses, rows = [], [], []

    def observe(step: int, p: Parameters, lesson: Lesson) -> None:
        rights.append(lesson.right)
        losses.append(lesson.loss * lesson.right.shape[-1])
        epoch, rest = divmod(step, per_epoch)
        if rest:
            return
        right = torch.cat(rights, -1).double().mean(-1)
        rows.append(torch.stack((right, torch.stack(losses).double().sum(0) / n)))
        rights.clear(), losses.clear()
        if not all(bool(value.isfinite().all()) for value in p.values()):
            raise ValueError(
                f"training diverged in epoch {epoch}: lower lr, which is {schedule.lr}"
            )
        if epoch % keep_every == 0 or epoch == n_epochs:
            snapshots[epoch] = copied(p)

    step = {name: getattr(schedule, name) for name in ("lr", "momentum", "decay", "nesterov")}
    orders = shuffled(seeds, n, n_epochs)
    batches = in_epochs(inputs, labels.long(), orders, batch_size=schedule.batch_size)
    train(network, params, batches, partial(DecayingSGD, **step), observe=observe)
    right, loss = torch.stack(rows, 1).cpu().numpy()
    return Course(snapshots, right, loss)


def accuracy(network: Network, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """Share of samples that each replica and arm gets right, ``(S, A)`` in double precision.

    Inputs are ``(S, N, D)``, labels ``(S, N)``.

    Examples
    --------
    >>> from winnow.models import Perceptron
    >>> p = {"weights.0": torch.tensor([[[[-1.0], [1.0]]]]), "biases.0": torch.zeros(1, 1, 2)}
    >>> x = torch.tensor([[[-2.0], [-1.0], [1.0], [2.0]]])
    >>> accuracy(Perceptron((1, 2)), p, x, torch.tensor([[0, 0, 1, 0]])).tolist()
    [[0.75]]
    """
    with torch.no_grad():
        return network.right(p, x, y).double().mean(-1).cpu().numpy()


def _check(params, inputs, labels, seeds, keep_every) -> None:
    if inputs.ndim != 3 or labels.shape != inputs.shape[:2] or not labels.numel():
        raise ValueError(
            "inputs must be (S, N, D) and labels (S, N), none of them 0, "
            f"got {tuple(inputs.shape)} and {tuple(labels.shape)}"
        )
    n = len(inputs)
    if len(seeds) != n:
        raise ValueError(f"seeds must be {n}, one per replica, got {len(seeds)}")
    if any(len(value) != n for value in params.values()):
        raise ValueError(f"params must have {n} replicas, as inputs have, got {_replicas(params)}")
    if keep_every < 1:
        raise ValueError(f"keep_every must be 1 or larger, got {keep_every}")


def _replicas(params: Parameters) -> list[int]:
    return sorted({len(value) for value in params.values()})
