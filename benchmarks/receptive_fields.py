"""What batched training, cavities and sampling of fields save, as ratios measured side by side.

Run with ``python3 tasks.py bench receptive_fields``. Every ratio compares two ways to the same
answer on the same data in the same run, on one thread. The ways take turns; times are medians over
turns, and so are ratios, each formed within a turn. The answers are checked to agree first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy import linalg, stats
from torch import func, nn

from winnow import data, models
from winnow.metrics.non_gaussianity import cavity_kurtosis
from winnow.models import Parameters
from winnow.reporting import results
from winnow.seeds import generator, generators
from winnow.training import rounds

D, SAMPLES, STEPS, LR, MOMENTUM = 100, 10_000, 300, 0.05, 0.9
LOOP, AUTOGRAD, VMAP, OURS = "module loop", "batched autograd", "vmap(grad)", "winnow"

Ways = dict[str, Callable[[], object]]


def side_by_side(ways: Ways, *, turns: int) -> tuple[dict, pd.DataFrame]:
    """Answers of several ways, and the seconds that each took in each turn."""
    answers, times = {}, []
    for _ in range(turns):
        row = {}
        for name, way in ways.items():
            start = time.perf_counter()
            answers[name] = way()
            row[name] = time.perf_counter() - start
        times.append(row)
    return answers, pd.DataFrame(times)


def exponent(sizes: tuple[int, int], values: list[float]) -> float:
    """Slope of the line through two points in logarithms."""
    return float(np.diff(np.log(values))[0] / np.diff(np.log(sizes))[0])


# --- training -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Networks on masks, all from their own first values, and what they are trained on."""

    network: models.Committee | models.TwoLayer
    start: Parameters
    masks: rounds.Masks
    source: rounds.Windows
    batch_size: int
    n_steps: int

    @property
    def pace(self) -> dict[str, float]:
        """Learning rates; the committee's mean-field scaling is one of its first layer's."""
        scaled = LR * self.network.n_hidden if isinstance(self.network, models.Committee) else LR
        return {n: scaled if n in ("weights", "biases") else LR for n in self.start}

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return self.source.batches(0, self.n_steps, self.batch_size)


class CommitteeModule(nn.Module):
    """The committee as a user would write it."""

    def __init__(self, network: models.Committee) -> None:
        super().__init__()
        self.hidden = nn.Linear(network.n_inputs, network.n_hidden)
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.hidden(x).relu().mean(-1) + self.offset

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return ((self(x) - y) ** 2).mean() / 2


class TwoLayerModule(nn.Module):
    """The two-layer network as a user would write it."""

    def __init__(self, network: models.TwoLayer) -> None:
        super().__init__()
        self.hidden = nn.Linear(network.n_inputs, network.n_hidden)
        self.readout = nn.Linear(network.n_hidden, network.n_classes, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.readout(self.hidden(x).relu())

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(self(x), y)


MODULES = {models.Committee: CommitteeModule, models.TwoLayer: TwoLayerModule}
NAMES = {"weights": "hidden.weight", "biases": "hidden.bias"}
NAMES |= {"offset": "offset", "readout": "readout.weight"}


def together(case: Case) -> Parameters:
    """The library's way."""
    training = rounds.Training(case.n_steps, case.batch_size, LR, MOMENTUM)
    return rounds.train(case.network, case.start, case.masks, case.batches(), training)[0]


def loop(case: Case) -> Parameters:
    """One module after the other, each with autograd, an optimizer, and masks after its steps."""
    s, a = case.start["weights"].shape[:2]
    found = [[one_module(case, i, j) for j in range(a)] for i in range(s)]
    return {
        name: torch.stack([torch.stack([p[NAMES[name]] for p in row]) for row in found])
        for name in case.start
    }


def one_module(case: Case, s: int, a: int) -> dict[str, torch.Tensor]:
    module = MODULES[type(case.network)](case.network)
    module.to(case.start["weights"].dtype)
    own = dict(module.named_parameters())
    mask = case.masks["weights"][s, a].to(case.start["weights"].dtype)
    with torch.no_grad():
        for name, values in case.start.items():
            own[NAMES[name]].copy_(values[s, a])
        module.hidden.weight.mul_(mask)
    groups = [{"params": [own[NAMES[n]]], "lr": lr} for n, lr in case.pace.items()]
    sgd = torch.optim.SGD(groups, momentum=MOMENTUM)
    source = rounds.Windows(case.source.inputs[s : s + 1], case.source.labels[s : s + 1])
    for x, y in source.batches(0, case.n_steps, case.batch_size):
        sgd.zero_grad()
        module.loss(x[0], y[0]).backward()
        sgd.step()
        with torch.no_grad():
            module.hidden.weight.mul_(mask)
    return {name: value.detach() for name, value in own.items()}


def batched_autograd(case: Case) -> Parameters:
    """All at once, with autograd and an optimizer."""
    p = {name: values.clone() for name, values in case.start.items()}
    mask = case.masks["weights"].to(p["weights"].dtype)
    p["weights"] *= mask
    for values in p.values():
        values.requires_grad_()
    sgd = torch.optim.SGD(
        [{"params": [p[n]], "lr": lr} for n, lr in case.pace.items()], momentum=MOMENTUM
    )
    for x, y in case.batches():
        sgd.zero_grad()
        case.network.loss(p, x, y).sum().backward()
        sgd.step()
        with torch.no_grad():
            p["weights"].mul_(mask)
    return {name: values.detach() for name, values in p.items()}


def vmapped(case: Case) -> Parameters:
    """All at once: the gradient of one module, vectorized, and momentum by hand."""
    module = MODULES[type(case.network)](case.network)
    p = {NAMES[n]: values[:, 0].clone() for n, values in case.start.items()}
    mask = case.masks["weights"][:, 0].to(p["hidden.weight"].dtype)
    p["hidden.weight"] *= mask
    lr = {NAMES[n]: value for n, value in case.pace.items()}
    speed = {name: torch.zeros_like(values) for name, values in p.items()}

    def one_loss(p: Parameters, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return func.functional_call(Loss(module), {f"of.{n}": v for n, v in p.items()}, (x, y))

    gradients = func.vmap(func.grad(one_loss))
    for x, y in case.batches():
        for name, gradient in gradients(p, x, y).items():
            speed[name].mul_(MOMENTUM).add_(gradient)
            p[name].sub_(speed[name], alpha=lr[name])
        p["hidden.weight"].mul_(mask)
    return {name: p[NAMES[name]][:, None] for name in case.start}


class Loss(nn.Module):
    """A module's loss as its output, which is what ``functional_call`` calls."""

    def __init__(self, of: nn.Module) -> None:
        super().__init__()
        self.of = of

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.of.loss(x, y)


def samples(n_replicas: int) -> rounds.Windows:
    """Fields of short and long correlations on a ring, mixed; labels are the class."""
    seeds = range(n_replicas)
    groups = [
        data.nonlinear_process((D,), xi, SAMPLES, gain=3.0, rng=generators(seeds, f"xi = {xi}"))
        for xi in (2.0, 6.0)
    ]
    inputs, labels = data.mix(groups, rng=generators(seeds, "order"))
    return rounds.Windows(torch.from_numpy(inputs), torch.from_numpy(labels))


def case_of(
    network: models.Committee | models.TwoLayer,
    source: rounds.Windows,
    *,
    n_replicas: int,
    n_arms: int,
    batch_size: int,
    dtype: torch.dtype = torch.float32,
) -> Case:
    """First values for each replica, random masks that keep half for each replica and arm."""
    seeds = range(n_replicas)
    drawn = network.initial(seeds, dtype=dtype)
    start = {n: v.expand(-1, n_arms, *v.shape[2:]).clone() for n, v in drawn.items()}
    shape = (n_arms, network.n_hidden, D)
    kept = np.stack([rng.random(shape) < 0.5 for rng in generators(seeds, "masks")])
    inputs, labels = source.inputs[:n_replicas].to(dtype), source.labels[:n_replicas]
    if isinstance(network, models.Committee):
        labels = labels.to(dtype)  # converted once, for all
    windows = rounds.Windows(inputs, labels)
    return Case(network, start, {"weights": torch.from_numpy(kept)}, windows, batch_size, STEPS)


def gaps(found: Parameters, reference: Parameters) -> torch.Tensor:
    """Largest difference of any parameter, a number per replica and arm."""
    apart = [(found[n] - reference[n]).double().abs() for n in reference]
    return torch.stack([a.flatten(2).amax(2) if a.ndim > 2 else a for a in apart]).amax(0)


def training(source: rounds.Windows) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replicas together against modules in a loop, the reference, and against two other ways."""
    committee, two_layer = models.Committee(D, 20), models.TwoLayer(D, 30)
    ways = {LOOP: loop, AUTOGRAD: batched_autograd, VMAP: vmapped, OURS: together}
    rows, agreement = [], []
    for label, network, batch_size, n_replicas in (
        ("committee, K = 20", committee, 200, 8),
        ("committee, K = 20", committee, 100, 8),
        ("committee, K = 20", committee, 200, 1),
        ("two-layer, K = 30", two_layer, 200, 8),
    ):
        about = {"network": label, "batch": batch_size, "replicas": n_replicas}
        sizes = {"n_replicas": n_replicas, "n_arms": 1, "batch_size": batch_size}
        double = case_of(network, source, **sizes, dtype=torch.float64)
        exact = {name: way(double) for name, way in ways.items()}  # warms up, too
        single = case_of(network, source, **sizes)
        answers, times = side_by_side(
            {name: lambda way=way, c=single: way(c) for name, way in ways.items()}, turns=7
        )
        for name in ways:
            same = float(gaps(exact[name], exact[LOOP]).max())
            close, off = gaps(answers[name], answers[LOOP]), gaps(answers[name], exact[LOOP])
            assert same < 1e-12, f"{name} differs from the loop by {same:.3g}"
            assert close.median() < 1e-4, f"{name} differs from the loop by {close}"
            agreement.append(
                about
                | {"way": name, "float64": same}
                | {"float32, median network": float(close.median()), "worst": float(close.max())}
                | {"float32 from the loop in float64, worst": float(off.max())}
            )
        ratio = times[LOOP] / times[OURS]
        rows.append(
            about
            | {f"{name}, s": times[name].median() for name in ways}
            | {"loop / winnow": ratio.median(), "least": ratio.min(), "most": ratio.max()}
            | {f"{n} / winnow": (times[n] / times[OURS]).median() for n in (AUTOGRAD, VMAP)}
        )
        progress(f"training, {label}, batch {batch_size}, {n_replicas} replicas")
    return pd.DataFrame(rows), pd.DataFrame(agreement)


def arms(source: rounds.Windows) -> pd.DataFrame:
    """Four arms of 8 replicas side by side against four runs of 8 replicas each."""
    rows, n_arms = [], 4
    for label, network, batch_size in (
        ("committee, K = 20", models.Committee(D, 20), 200),
        ("committee, K = 20", models.Committee(D, 20), 100),
        ("two-layer, K = 30", models.TwoLayer(D, 30), 200),
    ):
        case = case_of(network, source, n_replicas=8, n_arms=n_arms, batch_size=batch_size)

        def one_after_the_other(case: Case = case) -> Parameters:
            runs = []
            for a in range(n_arms):
                start = {n: v[:, a : a + 1] for n, v in case.start.items()}
                masks = {n: v[:, a : a + 1] for n, v in case.masks.items()}
                sizes = (case.source, case.batch_size, case.n_steps)
                runs.append(together(Case(case.network, start, masks, *sizes)))
            return {n: torch.cat([run[n] for run in runs], 1) for n in case.start}

        ways = {"one after the other": one_after_the_other, OURS: lambda c=case: together(c)}
        answers, times = side_by_side(ways, turns=7)
        apart = gaps(answers[OURS], answers["one after the other"])
        assert apart.median() < 1e-4, f"arms side by side differ by {apart}"
        ratio = times["one after the other"] / times[OURS]
        rows.append(
            {"network": label, "batch": batch_size, "arms": n_arms, "replicas": 8}
            | {"one after the other, s": times["one after the other"].median()}
            | {"side by side, s": times[OURS].median()}
            | {"one after the other / side by side": ratio.median()}
            | {"least": ratio.min(), "most": ratio.max()}
            | {"largest difference, median network": float(apart.median())}
            | {"worst": float(apart.max())}
        )
        progress(f"arms, {label}, batch {batch_size}")
    return pd.DataFrame(rows)


# --- cavities -----------------------------------------------------------------------------------


def kurtosis(y: np.ndarray) -> np.ndarray:
    """Excess kurtosis over the first axis."""
    square = (y - y.mean(0)) ** 2
    return (square * square).mean(0) / square.mean(0) ** 2 - 3


def by_recomputing(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Delete each weight that is there and compute the unit's pre-activations again."""
    found = np.repeat(kurtosis(x @ w.T)[:, None], w.shape[1], 1)
    for k, i in zip(*np.nonzero(w), strict=True):
        less = w[k].copy()
        less[i] = 0
        found[k, i] = kurtosis(x @ less)
    return found


def by_subtracting(w: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Subtract from the unit's pre-activations the term of each weight that is there."""
    y = w @ columns
    found = np.repeat(kurtosis(y.T)[:, None], w.shape[1], 1)
    for k, i in zip(*np.nonzero(w), strict=True):
        found[k, i] = kurtosis(y[k] - w[k, i] * columns[i])
    return found


def by_unit(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Subtract all terms of a unit at once, a column each."""
    return np.stack([kurtosis((x @ row)[:, None] - row * x) for row in w])


def cavities(source: rounds.Windows) -> pd.DataFrame:
    """Kurtosis without each weight by moments, against deleting weights one by one."""
    n, xi, rng = 6000, 2.0, generator(0, "probe")
    x = data.nonlinear_process((D,), xi, n, gain=3.0, rng=rng)[0].astype(np.float64)
    columns = np.ascontiguousarray(x.T)  # for the loop that subtracts, not timed
    network = models.Committee(D, 20)
    one = rounds.Windows(source.inputs[:1], source.labels[:1])
    case = Case(network, network.initial([0]), {}, one, batch_size=200, n_steps=4000)
    trained = together(case)["weights"][0, 0].double().numpy()
    rows, subtracting, recomputing = [], "subtracting a term", "recomputing"
    for kept in (1.0, 0.058):
        cut = np.quantile(np.abs(trained), 1 - kept)
        w = np.where(np.abs(trained) >= cut, trained, 0.0)
        ways = {
            recomputing: lambda w=w: by_recomputing(w, x),
            subtracting: lambda w=w: by_subtracting(w, columns),
            "a unit at once": lambda w=w: by_unit(w, x),
            "winnow, float32": lambda w=w: cavity_kurtosis(w, x, dtype="float32"),
            OURS: lambda w=w: cavity_kurtosis(w, x),
        }
        with np.errstate(invalid="ignore", divide="ignore"):  # a unit whose only weight goes
            answers, times = side_by_side(ways, turns=15)
        ours = answers[OURS]
        there = np.isfinite(ours)
        # Where a unit's only weight goes nothing remains: NaN, but rounding for one who subtracts.
        assert (there == np.isfinite(answers[recomputing])).all()
        gaps = {name: abs(answers[name] - ours)[there].max() for name in ways}
        assert gaps[recomputing] < 1e-10, f"deleting differs by {gaps[recomputing]:.3g}"
        assert gaps["winnow, float32"] < 0.01
        for name in ways:
            ratio = times[name] / times[OURS]
            rows.append(
                {"weights there": np.count_nonzero(w), "way": name, "s": times[name].median()}
                | {"way / winnow": ratio.median(), "least": ratio.min(), "most": ratio.max()}
                | {"largest difference from winnow": gaps[name]}
            )
        progress(f"cavities, {np.count_nonzero(w)} weights")
    return pd.DataFrame(rows)


# --- sampling -----------------------------------------------------------------------------------


def circulant(row: np.ndarray) -> np.ndarray:
    """The covariance of all pairs of sites, from that with the first."""
    index = [np.subtract.outer(np.arange(s), np.arange(s)) % s for s in row.shape]
    if row.ndim == 1:
        return row[index[0]]
    return row[index[0][:, None, :, None], index[1][None, :, None, :]].reshape(row.size, row.size)


def misfit(x: np.ndarray, covariance: np.ndarray) -> float:
    """Squared errors of the sample covariance, over what independent Gaussian draws would have."""
    found = x.T @ x / len(x)
    variance = np.diag(covariance)
    expected = (np.multiply.outer(variance, variance) + covariance**2) / len(x)
    return float(((found - covariance) ** 2).mean() / expected.mean())


def sampling() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fields by Fourier transforms against a Cholesky factor, and scipy's sampler."""
    n, rows, checks = 10_000, [], []
    noise, ours = "white noise alone", "winnow, float32"
    for shape, grids in (("ring", ((100,), (400,))), ("torus", ((16, 16), (32, 32)))):
        seconds, misfits = [], []
        for grid in grids:
            row = data.nonlinear_covariance(data.correlation(grid, 2.0), 3.0)
            full, size = circulant(row), row.size
            rng = generator(size, "draws")

            def by_cholesky(dtype: type, full: np.ndarray = full, rng=rng) -> np.ndarray:
                factor = linalg.cholesky(full, lower=True).astype(dtype)
                return rng.standard_normal((n, len(full)), dtype=dtype) @ factor.T

            ways = {
                noise: lambda s=size, r=rng: r.standard_normal((n, s), dtype=np.float32),
                "Cholesky, float32": lambda f=by_cholesky: f(np.float32),
                "Cholesky, float64": lambda f=by_cholesky: f(np.float64),
                "scipy": lambda c=full, r=rng: stats.multivariate_normal.rvs(
                    cov=c, size=n, random_state=r
                ),
                ours: lambda c=row, r=rng: data.gaussian_process(c, n, rng=r)[0],
            }
            answers, times = side_by_side(ways, turns=3 if size > 1000 else 7)
            fits = {name: misfit(answers[name], full) for name in ways if name != noise}
            assert all(0.7 < fit < 1.4 for fit in fits.values()), f"covariances: {fits}"
            seconds.append(times)
            misfits.append(fits)
            progress(f"sampling, {shape}, {size} sites")
        sizes = tuple(int(np.prod(grid)) for grid in grids)
        for name in ways:
            ratios = [times[name] / times[ours] for times in seconds]
            taken = [times[name].median() for times in seconds]
            at = [f"{a} sites" for a in ("fewer", "more")]
            rows.append(
                {"grid": shape, "way": name}
                | {f"{a}, s": t for a, t in zip(at, taken, strict=True)}
                | {f"{a} / winnow": r.median() for a, r in zip(at, ratios, strict=True)}
                | {"growth": exponent(sizes, taken)}
            )
            if name != noise:
                fits = {a: fit[name] for a, fit in zip(at, misfits, strict=True)}
                checks.append({"grid": shape, "way": name} | fits)
    return pd.DataFrame(rows), pd.DataFrame(checks)


def progress(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)
    source = samples(8)
    trained, agreement = training(source)
    drawn, fits = sampling()
    tables = {
        f"Training, {STEPS} steps": trained,
        "The same: largest difference of any parameter from the loop's": agreement,
        f"Arms, {STEPS} steps": arms(source),
        "Kurtosis without each weight, n = 6,000, k = 20, d = 100": cavities(source),
        "Sampling 10,000 fields; ring of 100 and 400 sites, torus of 16² and 32²": drawn,
        "The same: squared error of the sample covariance, over its expectation": fits,
    }
    print(results.run_card(threads=1, denormals="kept, as torch does by default"))
    for title, table in tables.items():
        print(f"\n### {title}\n\n{table.to_markdown(index=False, floatfmt='.3g')}")


if __name__ == "__main__":
    main()
