"""Where batches come from: windows, draws with replacement, shuffles epoch by epoch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from winnow.arrays import check_count
from winnow.seeds import generator, generators

#: Inputs ``(S, B, D)`` and targets; without the first axis where all replicas share them.
Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Windows:
    """Batches as windows on samples shuffled beforehand: views, nothing is copied.

    The windows' places are the same for all replicas, whose data are their own.
    """

    inputs: torch.Tensor  #: (S, N, D), in random order
    labels: torch.Tensor  #: (S, N), whole numbers

    def batches(self, stage: int, n_steps: int, size: int) -> Iterator[Batch]:
        """``n_steps`` batches ``(S, size, D)``, ``(S, size)`` for one round of training."""
        n = self.inputs.shape[1]
        check_count("batch_size", size, 1, n)
        starts = generator(stage, "windows").integers(n - size + 1, size=n_steps)
        for i in starts.tolist():
            yield self.inputs[:, i : i + size], self.labels[:, i : i + size]


@dataclass(frozen=True)
class Draws:
    """Batches drawn with replacement from samples that all replicas share."""

    inputs: torch.Tensor  #: (N, D)
    labels: torch.Tensor  #: (N,), whole numbers
    seeds: Sequence[int]  #: one per replica

    def batches(self, stage: int, n_steps: int, size: int) -> Iterator[Batch]:
        """``n_steps`` batches ``(S, size, D)``, ``(S, size)`` for one round of training."""
        rngs = generators(self.seeds, f"draws of round {stage}")
        for _ in range(n_steps):
            drawn = [g.integers(len(self.inputs), size=size) for g in rngs]
            rows = torch.from_numpy(np.stack(drawn))
            yield self.inputs[rows], self.labels[rows]


#: Anything with ``inputs``, ``labels`` and ``batches(stage, n_steps, size)``, which are always the
#: same ones for a round of training; with ``seeds`` where replicas share the inputs.
Source = Windows | Draws


def in_epochs(
    inputs: torch.Tensor, labels: torch.Tensor, orders: Iterable[np.ndarray], *, batch_size: int
) -> Iterator[Batch]:
    """Every sample once in each epoch; the last batch of an epoch may be smaller.

    Parameters
    ----------
    inputs, labels
        ``(S, N, D)`` and ``(S, N, ...)``, or ``(N, D)`` and ``(N, ...)`` shared by all replicas.
    orders
        For each epoch the order of samples, ``(S, N)``.
    batch_size
        B, at least 1.
    """
    for order in orders:
        columns = torch.from_numpy(order).to(inputs.device)
        rows = torch.arange(len(order), device=inputs.device)[:, None]
        place = (rows, columns) if inputs.ndim == 3 else columns
        x, y = inputs[place], labels[place]
        yield from zip(x.split(batch_size, 1), y.split(batch_size, 1), strict=True)


def shuffled(seeds: Sequence[int], n_samples: int, n_epochs: int) -> Iterator[np.ndarray]:
    """Each seed's own order of samples in each epoch, ``(S, N)``, one epoch after the other."""
    rngs = generators(seeds, "batch order")
    for _ in range(n_epochs):
        yield np.stack([rng.permutation(n_samples) for rng in rngs])
