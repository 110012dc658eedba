"""How much faster than what a user would do instead, as ratios measured side by side.

Run with ``python3 tasks.py bench orderedness``. Every ratio compares two ways to the same answer
on the same data in the same run, on one thread; the answers are checked to agree first.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from winnow import data, models
from winnow.metrics import linear_ordering, orderedness
from winnow.reporting import results
from winnow.seeds import generator
from winnow.training import fits


def seconds(work: Callable[[], object], *, least: float = 0.3) -> float:
    """Best time of one call, over repeats that fill at least ``least`` seconds."""
    times, spent = [], 0.0
    while spent < least:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
        spent += times[-1]
    return min(times)


def permutation_search(a: np.ndarray) -> float:
    """Orderedness as the paper computes it: try every order of the free units, first one fixed."""
    total, best = a.sum(), np.inf
    rows = a.tolist()
    for rest in itertools.permutations(range(1, len(a))):
        pi = (0, *rest)
        best = min(best, sum(rows[pi[i]][pi[j]] for i in range(len(pi)) for j in range(i)))
    return 1 - best / total


def numpy_permutation_search(a: np.ndarray) -> float:
    """The same with the sum of each order in NumPy, as the author's code does it."""
    best = np.inf
    for rest in itertools.permutations(range(1, len(a))):
        pi = [0, *rest]
        best = min(best, np.tril(a[np.ix_(pi, pi)], -1).sum())
    return 1 - best / a.sum()


def against_permutations(rng: np.random.Generator) -> pd.DataFrame:
    """Exact orderedness of many distinct matrices against the searches, per matrix."""
    rows = []
    for h in range(5, 10):
        batch = np.abs(rng.normal(size=(2000, h + 1, h + 1)))
        ours = orderedness.value(batch, n_fixed=1)
        searched = {"Python": permutation_search(batch[0])}
        row = {
            "free units": h,
            "subsets, µs": 1e6
            * seconds(lambda b=batch: orderedness.value(b, n_fixed=1))
            / len(batch),
        }
        row["Python search, µs"] = 1e6 * seconds(lambda b=batch: permutation_search(b[0]))
        if h < 9:  # NumPy's calls cost more than the sums: minutes for one matrix of nine
            searched["NumPy"] = numpy_permutation_search(batch[0])
            row["NumPy search, µs"] = 1e6 * seconds(lambda b=batch: numpy_permutation_search(b[0]))
        for name, value in searched.items():
            assert abs(value - ours[0]) < 1e-9, f"{name} search disagrees at {h} units"
            row[f"{name} / ours"] = row[f"{name} search, µs"] / row["subsets, µs"]
        rows.append(row)
        progress(f"{h} free units")
    return pd.DataFrame(rows)


def growth(rng: np.random.Generator) -> pd.DataFrame:
    """Seconds for one matrix as the number of free units grows, and the integer program's."""
    rows = []
    for h in (10, 12, 14, 16, 18, 20, 22, 24, 26, 28):
        block = np.abs(rng.normal(size=(1, h, h)))
        row = {"free units": h}
        if h <= 22:
            row["subsets, s"] = seconds(lambda b=block: linear_ordering.subset_search(b))
        start = time.perf_counter()
        cost, bound, _ = linear_ordering.integer_program(block, time_limit=60)
        row["integer program, s"] = time.perf_counter() - start
        row["bracket"] = float((cost - bound)[0] / block.sum())
        if h <= 22:
            exact = linear_ordering.subset_search(block, trace=False)[0]
            assert abs(exact - cost)[0] < 1e-9, f"the two methods disagree at {h} units"
            row["subsets / program"] = row["subsets, s"] / row["integer program, s"]
        rows.append(row)
        progress(f"growth, {h} free units")
    return pd.DataFrame(rows)


def replicas() -> pd.DataFrame:
    """Training S seeds at once against a loop over seeds with the same code, XOR and sine."""
    rows = []
    for name in ("xor", "sine"):
        task = data.task(name)
        one = seconds(lambda t=task: fits.fit_task(t, seeds=[0], every=10_000), least=2)
        plain = seconds(lambda t=task: one_by_one(t), least=2)
        for n in (1, 8, 64, 256):
            together = seconds(
                lambda t=task, n=n: fits.fit_task(t, seeds=range(n), every=10_000), least=1
            )
            rows.append(
                {"task": name, "seeds": n, "together, s": together, "one seed, s": one}
                | {"loop / together": n * one / together}
                | {"plain loop / together": n * plain / together}
            )
            progress(f"{name}, {n} seeds")
    return pd.DataFrame(rows)


def one_by_one(task: data.Task) -> float:
    """One network as a user would write it: a module, a data loader, Adam."""
    layer = models.CompleteLayer(task.n_inputs, task.n_hidden, task.n_outputs)
    weights, state = (
        p.detach()[0].clone().requires_grad_() for p in (layer.weights, layer.initial)
    )
    adam = torch.optim.Adam([weights, state], lr=0.01)
    rows = torch.utils.data.TensorDataset(task.inputs, task.targets)
    loader = torch.utils.data.DataLoader(rows, task.batch_size, shuffle=True)
    for _ in range(task.n_epochs):
        for x, y in loader:
            v = state.expand(len(x), -1)
            for _ in range(task.n_iterations):
                v = torch.sigmoid(torch.cat([v, x], 1) @ weights.T)
            loss = ((v[:, : task.n_outputs] - y) ** 2).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    return float(loss.detach())


def progress(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> None:
    torch.set_num_threads(1)
    rng = generator(0, "benchmark")
    tables = {
        "Exact orderedness against permutation search, one matrix": against_permutations(rng),
        "Growth of the exact methods": growth(rng),
        "Training seeds together against a loop": replicas(),
    }
    print(results.run_card(threads=1))
    for title, table in tables.items():
        print(f"\n### {title}\n\n{table.to_markdown(index=False, floatfmt='.3g')}")


if __name__ == "__main__":
    main()
