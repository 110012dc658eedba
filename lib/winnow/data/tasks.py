"""Tasks: inputs, targets, and the sizes and budgets the papers used with them."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Task:
    """A small supervised problem and the settings it is trained with."""

    name: str
    inputs: torch.Tensor  #: (N, I), or (S, N, I) where each replica has rows of its own
    targets: torch.Tensor  #: (N, O), or (S, N, O)
    n_hidden: int  #: hidden units of the complete layer
    n_iterations: int  #: updates before the output is read
    n_epochs: int
    batch_size: int
    mlp_hidden: tuple[int, ...]  #: hidden layers of the baseline perceptron
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
    budget = {"n_hidden": 5, "n_iterations": 3, "n_epochs": 1000, "batch_size": 4}
    return Task("xor", x, y, **budget, mlp_hidden=(2,), success_at=1.0)


def sine() -> Task:
    r"""Mean sine of two neighbouring points: 150 rows, :math:`y = (\sin x_1 + \sin x_2)/2`.

    Pairs are consecutive, (0, .01), (.02, .03), …, so the inputs lie on a line and the task
    is one-dimensional in effect :cite:p:`song2025`.
    """
    x = torch.arange(0, 3, 0.01).reshape(150, 2)
    y = torch.sin(x).mean(1, keepdim=True)
    budget = {"n_hidden": 8, "n_iterations": 3, "n_epochs": 40, "batch_size": 10}
    return Task("sine", x, y, **budget, mlp_hidden=(10, 10), success_at=None)


def parity() -> Task:
    """Parity of three bits, all rows; more hidden units and iterations than XOR."""
    x = torch.tensor(list(np.ndindex(2, 2, 2)), dtype=torch.float32)
    budget = {"n_hidden": 7, "n_iterations": 4, "n_epochs": 2000, "batch_size": len(x)}
    y = x.sum(1, keepdim=True) % 2
    return Task("parity", x, y, **budget, mlp_hidden=(4,), success_at=1.0)


def moons() -> Task:
    """Two interleaved half circles with Gaussian noise, always the same 100 points."""
    rng = np.random.default_rng(20)
    angle = np.pi * rng.random(100)
    upper = np.arange(100) % 2 == 0
    x = np.where(upper, np.cos(angle), 1 - np.cos(angle))
    y = np.where(upper, np.sin(angle), 0.5 - np.sin(angle))
    points = np.stack([x, y], 1) + 0.1 * rng.normal(size=(100, 2))
    labels = torch.from_numpy(upper[:, None].astype(np.float32))
    inputs = torch.from_numpy(points.astype(np.float32))
    budget = {"n_hidden": 8, "n_iterations": 3, "n_epochs": 100, "batch_size": 10}
    return Task("moons", inputs, labels, **budget, mlp_hidden=(10, 10), success_at=0.95)


#: Tasks by name.
TASKS = {"xor": xor, "sine": sine, "parity": parity, "moons": moons}


def task(name: str, **changes: Any) -> Task:
    """The task of that name, a key of :data:`~winnow.data.TASKS`.

    Parameters
    ----------
    name
        Which task.
    **changes
        Fields of :class:`~winnow.data.Task` to set, such as ``n_hidden=3``.
    """
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}: choose from {', '.join(TASKS)}")
    return dataclasses.replace(TASKS[name](), **changes)
