"""Tasks: inputs, targets, and the sizes and budgets the papers used with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Task:
    """A small supervised problem and the settings it is trained with."""

    name: str
    inputs: torch.Tensor  #: (N, I)
    targets: torch.Tensor  #: (N, O)
    n_hidden: int  #: hidden units of the complete layer
    n_iterations: int  #: updates before the output is read
    n_epochs: int
    batch_size: int
    mlp_hidden: tuple[int, ...]  #: hidden layers of the baseline perceptron
    mlp_epochs: int  #: the author's budget for the baseline
    #: share of rows that must be right for success; ``None`` where targets are not 0 or 1
    success_at: float | None

    @property
    def n_inputs(self) -> int:
        """Inputs I."""
        return self.inputs.shape[1]

    @property
    def n_outputs(self) -> int:
        """Outputs O."""
        return self.targets.shape[1]


def xor() -> Task:
    """The truth table of exclusive or, four rows :cite:p:`song2025`."""
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = (x[:, :1] != x[:, 1:]).float()
    return Task("xor", x, y, 5, 3, 1000, 4, (2,), 10_000, 1.0)


def sine() -> Task:
    r"""Mean sine of two neighbouring points: 150 rows, :math:`y = (\sin x_1 + \sin x_2)/2`.

    Pairs are consecutive, (0, .01), (.02, .03), …, so the inputs lie on a line and the task
    is one-dimensional in effect :cite:p:`song2025`.
    """
    x = torch.arange(0, 3, 0.01).reshape(150, 2)
    return Task("sine", x, torch.sin(x).mean(1, keepdim=True), 8, 3, 40, 10, (10, 10), 1000, False)


def parity(n_bits: int = 3) -> Task:
    """Parity of ``n_bits`` bits, all rows; more hidden units and iterations than XOR."""
    if not 2 <= n_bits <= 10:
        raise ValueError(f"n_bits must be in [2, 10], got {n_bits}")
    rows = np.array(list(np.ndindex(*(2,) * n_bits)), dtype=np.float32)
    y = torch.from_numpy(rows.sum(1, keepdims=True) % 2)
    n = len(rows)
    return Task("parity", torch.from_numpy(rows), y, 7, 4, 2000, n, (n_bits + 1,), 10_000, 1.0)


def moons(n_points: int = 100, noise: float = 0.1) -> Task:
    """Two interleaved half circles with Gaussian noise, always the same ``n_points`` points."""
    rng = np.random.default_rng(20)
    angle = np.pi * rng.random(n_points)
    upper = np.arange(n_points) % 2 == 0
    x = np.where(upper, np.cos(angle), 1 - np.cos(angle))
    y = np.where(upper, np.sin(angle), 0.5 - np.sin(angle))
    points = np.stack([x, y], 1) + noise * rng.normal(size=(n_points, 2))
    labels = torch.from_numpy(upper[:, None].astype(np.float32))
    inputs = torch.from_numpy(points.astype(np.float32))
    return Task("moons", inputs, labels, 8, 3, 100, 10, (10, 10), 1000, 0.95)


TASKS = {"xor": xor, "sine": sine, "parity": parity, "moons": moons}


def task(name: str) -> Task:
    """The task of that name, a key of :data:`~winnow.data.TASKS`."""
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}: choose from {', '.join(TASKS)}")
    return TASKS[name]()
