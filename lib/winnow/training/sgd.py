"""Stochastic gradient descent on masks, for replicas and arms side by side.

Parameters are ``(S, A, ...)``, see :mod:`winnow.models`; batches ``(S, B, D)`` serve all arms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from winnow.models import Parameters
from winnow.seeds import generator, generators

Masks = dict[str, torch.Tensor]


class Network(Protocol):
    """What a network must offer, such as :class:`~winnow.models.Committee`."""

    pruned: tuple[tuple[str, ...], ...]

    def initial(self, seeds: Sequence[int], **options: Any) -> Parameters: ...
    def gradients(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> Parameters: ...
    def right(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor: ...


class Source(Protocol):
    """Where batches come from."""

    inputs: torch.Tensor
    labels: torch.Tensor

    @property
    def n_replicas(self) -> int: ...
    def batches(
        self, stage: int, n_steps: int, size: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]: ...


@dataclass(frozen=True)
class Windows:
    """Batches as windows on samples shuffled beforehand: views, nothing is copied.

    The windows' places are the same for all replicas, whose data are their own.
    """

    inputs: torch.Tensor  #: (S, N, D), in random order
    labels: torch.Tensor  #: (S, N), whole numbers

    @property
    def n_replicas(self) -> int:
        """Replicas S."""
        return len(self.inputs)

    def batches(
        self, stage: int, n_steps: int, size: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """``n_steps`` batches ``(S, size, D)``, ``(S, size)`` for one round of training."""
        n = self.inputs.shape[1]
        if not 1 <= size <= n:
            raise ValueError(f"batch_size must be in [1, {n}], the samples, got {size}")
        starts = generator(stage, "windows").integers(n - size + 1, size=n_steps)
        for i in starts.tolist():
            yield self.inputs[:, i : i + size], self.labels[:, i : i + size]


@dataclass(frozen=True)
class Draws:
    """Batches drawn with replacement from samples that all replicas share."""

    inputs: torch.Tensor  #: (N, D)
    labels: torch.Tensor  #: (N,), whole numbers
    seeds: Sequence[int]  #: one per replica

    @property
    def n_replicas(self) -> int:
        """Replicas S."""
        return len(self.seeds)

    def batches(
        self, stage: int, n_steps: int, size: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """``n_steps`` batches ``(S, size, D)``, ``(S, size)`` for one round of training."""
        rngs = generators(self.seeds, f"draws of round {stage}")
        for _ in range(n_steps):
            rows = torch.from_numpy(
                np.stack([g.integers(len(self.inputs), size=size) for g in rngs])
            )
            yield self.inputs[rows], self.labels[rows]


@dataclass(frozen=True)
class Training:
    """Stochastic gradient descent with momentum, the same in every round."""

    n_steps: int
    batch_size: int = 100
    lr: float = 0.05
    momentum: float = 0.9

    def __post_init__(self) -> None:
        for name in ("n_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or larger, got {getattr(self, name)}")
        if not (self.lr > 0 and 0 <= self.momentum < 1):
            raise ValueError(
                f"lr must be above 0 and momentum in [0, 1), got {self.lr} and {self.momentum}"
            )


def train(
    network: Network,
    params: Parameters,
    masks: Masks,
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    training: Training,
    *,
    keep_at: int | None = None,
) -> tuple[Parameters, Parameters | None]:
    """Parameters after training on masks, and those after ``keep_at`` steps where asked for.

    Masked parameters are and stay 0. Nothing that is passed in is changed.

    Raises
    ------
    ValueError
        If training diverges: a parameter is no longer finite.
    """
    p = {name: value.clone() for name, value in params.items()}
    keep = {name: mask.to(p[name].dtype) for name, mask in masks.items()}
    for name, mask in keep.items():
        p[name] *= mask
    pace = {name: torch.zeros_like(value) for name, value in p.items()}
    early = _copy(p) if keep_at == 0 else None
    with torch.no_grad():
        for step, (x, y) in enumerate(batches, start=1):
            for name, gradient in network.gradients(p, x, y).items():
                pace[name].mul_(training.momentum).add_(gradient)
                p[name].sub_(pace[name], alpha=training.lr)
                if name in keep:
                    p[name].mul_(keep[name])
            if step == keep_at:
                early = _copy(p)
    if not all(bool(value.isfinite().all()) for value in p.values()):
        raise ValueError(f"training diverged: lower lr, which is {training.lr}")
    return p, early


def _copy(p: Parameters) -> Parameters:
    return {name: value.clone() for name, value in p.items()}
