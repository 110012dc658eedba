"""What closed-form gradients and replicas side by side save in training, measured side by side.

Run with ``python3 tasks.py bench training``. Every ratio compares two ways to the same parameters
on the same batches in the same run, on one thread. The ways take turns; times are processor times,
medians over turns, and so are ratios, each formed within a turn. The parameters are checked to
agree first, in double precision.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from torch import nn

from winnow import models
from winnow.models import Lesson, Network, Parameters, by_autograd
from winnow.reporting import results
from winnow.training.loop import DecayingSGD, train

STEPS, TURNS = 100, 5
MODULES, AUTOGRAD, CLOSED = "modules, one by one", "autograd", "closed form"

MOMENTUM = partial(torch.optim.SGD, lr=0.05, momentum=0.9, fused=True)
NESTEROV = partial(DecayingSGD, lr=0.01, momentum=0.6, decay=1e-6)
ADAM = partial(torch.optim.Adam, lr=0.01, fused=True)

READOUT = {"scheme": "small", "readout": True}
#: Network, optimiser, inputs, classes, batch, replicas, arms; as the chapters use them.
CASES = {
    "committee, K = 20": (models.Committee(100, 20), MOMENTUM, 100, 2, 100, 8, 1),
    "the same, 4 arms": (models.Committee(100, 20), MOMENTUM, 100, 2, 100, 8, 4),
    "the same, 1 replica": (models.Committee(100, 20), MOMENTUM, 100, 2, 100, 1, 1),
    "readout, 100-30-2": (models.Perceptron((100, 30, 2), **READOUT), MOMENTUM, 100, 2, 100, 8, 1),
    "31-20-10-4": (models.Perceptron((31, 20, 10, 4)), NESTEROV, 31, 4, 20, 16, 3),
    "logistic, 2-8-1": (
        *(models.Perceptron((2, 8, 1), "logistic", "logistic", "uniform"), ADAM),
        *(2, 0, 10, 32, 1),
    ),
}


@dataclass(frozen=True)
class ByAutograd:
    """A network without its closed form; the committee's mean-field scaling stays."""

    network: Network

    def lesson(self, p: Parameters, x: torch.Tensor, y: torch.Tensor) -> Lesson:
        found = by_autograd(lambda q: self.network.loss(q, x, y), p)
        if isinstance(self.network, models.Committee):
            for name in ("weights", "biases"):
                found.gradients[name].mul_(self.network.n_hidden)
        return found


class Module(nn.Module):
    """One replica and arm as a user would write it."""

    def __init__(self, network: Network, p: Parameters) -> None:
        super().__init__()
        self.network = network
        self.p = nn.ParameterDict({n.replace(".", "_"): v.clone() for n, v in p.items()})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p = {n.replace("_", "."): v for n, v in self.p.items()}
        if isinstance(self.network, models.Committee):
            hidden = nn.functional.linear(x, p["weights"], p["biases"]).relu()
            return hidden.mean(-1) + p["offset"]
        n = sum(name.startswith("weights") for name in p)
        for i in range(n):
            x = nn.functional.linear(x, p[f"weights.{i}"], p.get(f"biases.{i}"))
            if i < n - 1:
                x = x.relu() if self.network.activation == "relu" else x.sigmoid()
        return x.sigmoid() if self.network.output == "logistic" else x

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if isinstance(self.network, models.Committee):
            return nn.functional.mse_loss(self(x), y.to(x.dtype)) / 2
        if self.network.output == "logistic":
            return nn.functional.mse_loss(self(x), y)
        return nn.functional.cross_entropy(self(x), y)


def one_by_one(network: Network, start: Parameters, batches: list, optimiser) -> Parameters:
    """One module after the other, each with autograd and an optimiser of its own."""
    found = {name: torch.empty_like(value) for name, value in start.items()}
    shape = next(iter(start.values())).shape[:2]
    for s in range(shape[0]):
        for a in range(shape[1]):
            module = Module(network, {n: v[s, a] for n, v in start.items()})
            own = {n.replace("_", "."): v for n, v in module.p.items()}
            learns = optimiser(list(own.values()))
            for x, y in batches:
                learns.zero_grad()
                module.loss(x[s], y[s]).backward()
                if isinstance(network, models.Committee):
                    for name in ("weights", "biases"):
                        own[name].grad.mul_(network.n_hidden)
                learns.step()
            for name, value in own.items():
                found[name][s, a] = value.detach()
    return found


def batches_of(d: int, classes: int, b: int, s: int, dtype: torch.dtype) -> list:
    """Views on samples in random order, as the chapters' windows are."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(s, 5000, d, generator=source, dtype=dtype)
    if classes:
        y = torch.randint(classes, (s, 5000), generator=source)
    else:
        y = torch.rand(s, 5000, 1, generator=source, dtype=dtype)
    starts = torch.randint(5000 - b, (STEPS,), generator=source).tolist()
    return [(x[:, i : i + b], y[:, i : i + b]) for i in starts]


def ways_of(case: tuple, dtype: torch.dtype) -> dict[str, Callable[[], Parameters]]:
    network, optimiser, d, classes, b, s, a = case
    drawn = network.initial(range(s), dtype=dtype)
    start = {n: v.expand(-1, a, *v.shape[2:]).clone() for n, v in drawn.items()}
    batches = batches_of(d, classes, b, s, dtype)
    return {
        MODULES: lambda: one_by_one(network, start, batches, optimiser),
        AUTOGRAD: lambda: train(ByAutograd(network), start, batches, optimiser),
        CLOSED: lambda: train(network, start, batches, optimiser),
    }


def training() -> pd.DataFrame:
    """Seconds of each way, and their ratios to the closed form."""
    rows = []
    for label, case in CASES.items():
        exact = {name: way() for name, way in ways_of(case, torch.float64).items()}
        apart = max(
            float((exact[name][n] - value).abs().max())
            for name in (MODULES, AUTOGRAD)
            for n, value in exact[CLOSED].items()
        )
        assert apart < 1e-10, f"{label}: parameters differ by {apart:.3g}"
        ways, turns = ways_of(case, torch.float32), []
        for _ in range(TURNS):
            turns.append({})
            for name, way in ways.items():
                start = time.process_time()
                way()
                turns[-1][name] = time.process_time() - start
        times = pd.DataFrame(turns)
        row = {"network": label, "batch": case[4], "replicas": case[5], "arms": case[6]}
        row |= {f"{name}, s": times[name].median() for name in ways}
        for name in (MODULES, AUTOGRAD):
            ratio = times[name] / times[CLOSED]
            row |= {f"{name} / closed": ratio.median()}
        row |= {"least": ratio.min(), "most": ratio.max(), "largest difference": apart}
        rows.append(row)
        print(f"  {label}", file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    torch.set_num_threads(1)
    before = os.getloadavg()[0]
    table = training()
    print(results.run_card(threads=1))
    print(f"\nLoad of the machine: {before:.1f} before, {os.getloadavg()[0]:.1f} after.")
    print(f"\n### Training, {STEPS} steps\n\n{table.to_markdown(index=False, floatfmt='.3g')}")


if __name__ == "__main__":
    main()
