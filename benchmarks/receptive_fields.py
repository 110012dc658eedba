"""What cavities and sampling of fields save, as ratios measured side by side.

Run with ``python3 tasks.py bench receptive_fields``. Every ratio compares two ways to the same
answer on the same data in the same run, on one thread. The ways take turns; times are medians over
turns, and so are ratios, each formed within a turn. The answers are checked to agree first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch
from scipy import linalg, stats

from winnow import data, models
from winnow.metrics.non_gaussianity import cavity_kurtosis
from winnow.reporting import results
from winnow.seeds import generator, generators
from winnow.training.batches import Windows
from winnow.training.loop import train

D, SAMPLES, OURS = 100, 10_000, "winnow"

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


def samples(n_replicas: int) -> Windows:
    """Fields of short and long correlations on a ring, mixed; labels are the class."""
    seeds = range(n_replicas)
    groups = [
        data.nonlinear_process((D,), xi, SAMPLES, gain=3.0, rng=generators(seeds, f"xi = {xi}"))
        for xi in (2.0, 6.0)
    ]
    inputs, labels = data.mix(groups, rng=generators(seeds, "order"))
    return Windows(torch.from_numpy(inputs), torch.from_numpy(labels))


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


def cavities() -> pd.DataFrame:
    """Kurtosis without each weight by moments, against deleting weights one by one."""
    n, xi, rng = 6000, 2.0, generator(0, "probe")
    x = data.nonlinear_process((D,), xi, n, gain=3.0, rng=rng)[0].astype(np.float64)
    columns = np.ascontiguousarray(x.T)  # for the loop that subtracts, not timed
    network, batches = models.Committee(D, 20), samples(1).batches(0, 4000, 200)
    sgd = partial(torch.optim.SGD, lr=0.05, momentum=0.9, fused=True)
    trained = train(network, network.initial([0]), batches, sgd)["weights"][0, 0].double().numpy()
    rows, subtracting, recomputing = [], "subtracting a term", "recomputing"
    for kept in (1.0, 0.058):
        cut = np.quantile(np.abs(trained), 1 - kept)
        w = np.where(np.abs(trained) >= cut, trained, 0.0)
        ways = {
            recomputing: lambda w=w: by_recomputing(w, x),
            subtracting: lambda w=w: by_subtracting(w, columns),
            "a unit at once": lambda w=w: by_unit(w, x),
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
    drawn, fits = sampling()
    tables = {
        "Kurtosis without each weight, n = 6,000, k = 20, d = 100": cavities(),
        "Sampling 10,000 fields; ring of 100 and 400 sites, torus of 16² and 32²": drawn,
        "The same: squared error of the sample covariance, over its expectation": fits,
    }
    print(results.run_card(threads=1, denormals="kept, as torch does by default"))
    for title, table in tables.items():
        print(f"\n### {title}\n\n{table.to_markdown(index=False, floatfmt='.3g')}")


if __name__ == "__main__":
    main()
