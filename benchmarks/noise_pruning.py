"""What the covariance and the pruning of rate networks cost, as ratios measured side by side.

Run with ``python3 tasks.py bench noise_pruning``. Every ratio compares two ways to the same answer
on the same network in the same run, on one thread; the answers are checked to agree first, those
of a sketch of k draws within its standard error √(2/k).
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from scipy import linalg, sparse

from winnow import pruners
from winnow.metrics import spectrum
from winnow.models import rate_covariance, rate_networks
from winnow.reporting import results
from winnow.seeds import generator

#: Draws of the sketch next to the inverse, and of the sparse route.
FEW, MANY = 32, 64

COINS = 8
INVERSE, CHOLESKY, LYAPUNOV = "inverse (numpy)", "exact", "Lyapunov (scipy)"

Ways = dict[str, Callable[[dict[str, object]], object]]


def side_by_side(ways: Ways, *, least: float = 1.0) -> tuple[dict, dict[str, float]]:
    """Answers and best times of several ways, each given the answers so far.

    The ways take turns, so that what else the machine does meets all alike: five or more that
    fill ``least`` seconds together. A way that has had 12 seconds drops out.
    """
    answers, times, spent = {}, {}, {}

    def turn(name: str) -> float:
        start = time.perf_counter()
        answers[name] = ways[name](answers)
        return time.perf_counter() - start

    turns = 0
    while turns < 5 or sum(spent.values()) < least:
        for name in ways:
            if spent.get(name, 0) < 12:
                taken = turn(name)
                times[name] = min(taken, times.get(name, math.inf))
                spent[name] = spent.get(name, 0) + taken
        turns += 1
    return answers, times


def exponent(sizes: list[int], values: list[float]) -> float:
    """Slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def score_errors(exact: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Relative errors of the positive scores."""
    return found[exact > 0] / exact[exact > 0] - 1


def check_sketch(error: np.ndarray, k: int) -> float:
    """Root mean square error of a sketch's scores, which theory says is √(2/k)."""
    rms = math.sqrt(np.mean(error**2))
    assert 0.8 < rms / math.sqrt(2 / k) < 1.2, f"{k} draws err by {rms:.3g}"
    return rms


def covariance_routes() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every route to the covariance against a plain inverse, and what the answers have in common.

    The unit is ``numpy.linalg.inv`` of A alone. The library's routes check their input too.
    """
    seconds, errors, sizes = {}, {}, [300, 1000, 2000]
    for n in sizes:
        A = rate_networks.clustered(
            [n // 2, n // 10, n - n // 2 - n // 10], rng=generator(n, "benchmark")
        )
        single, noise = A.astype(np.float32), -np.eye(n)

        def watch(a: np.ndarray, n: int = n) -> np.ndarray:
            return rate_covariance.watched(a, 100, moments=500, rng=generator(n, "trajectory"))

        def draw(a: np.ndarray, n: int = n) -> np.ndarray:
            return rate_covariance.samples(a, FEW, rng=generator(n, "sketch"))

        ways = {
            INVERSE: lambda _, A=A: np.linalg.inv(A),
            CHOLESKY: lambda _, A=A: rate_covariance.exact(A),
            "exact, float32": lambda _, a=single: rate_covariance.exact(a),
            f"sketch, {FEW} draws": lambda _, A=A: draw(A),
            f"sketch, {FEW} draws, float32": lambda _, a=single: draw(a),
            "watched, T = 100": lambda _, A=A: watch(A),
            "watched, T = 100, float32": lambda _, a=single: watch(a),
            LYAPUNOV: lambda _, A=A, q=noise: linalg.solve_continuous_lyapunov(A, q),
        }
        answers, times = side_by_side(ways, least=2.0)
        answers[INVERSE] = answers[INVERSE] / -2
        for name, taken in times.items():
            seconds.setdefault(name, []).append(taken)
        compare(A, answers, errors)
        progress(f"covariance, {n} neurons")
    costs = [
        {"route": name}
        | {f"N = {n:,}, s": taken[at] for at, n in enumerate(sizes)}
        | {f"N = {n:,} / inverse": taken[at] / seconds[INVERSE][at] for at, n in enumerate(sizes)}
        | {"growth": exponent(sizes, taken)}
        for name, taken in seconds.items()
    ]
    agreement = [
        {"route": name}
        | {f"N = {n:,}, {what}": pair[w] for w, what in enumerate(("p", "scores"))
           for n, pair in zip(sizes, pairs, strict=True)}
        for name, pairs in errors.items()
    ]  # fmt: skip
    return pd.DataFrame(costs), pd.DataFrame(agreement)


def compare(A: np.ndarray, answers: dict[str, np.ndarray], errors: dict[str, list]) -> None:
    """Differences from what the plain inverse gives, each checked to be what the route promises."""
    score = pruners.noise_score(A, answers[INVERSE])
    p = pruners.keep_probability(score, density=0.2)
    for name in (name for name in answers if name != INVERSE):
        given = {"samples" if name.startswith("sketch") else "covariance": answers[name]}
        found = pruners.noise_score(A, **given)
        gap = float(abs(pruners.keep_probability(found, density=0.2) - p).max())
        error = score_errors(score, found)
        rms = math.sqrt(np.mean(error**2))
        if name in (CHOLESKY, LYAPUNOV):
            assert gap < 1e-10, f"{name}: probabilities differ by {gap:.3g}"
        elif name.startswith("exact"):
            assert gap < 1e-4, f"{name}: probabilities differ by {gap:.3g}"
        elif name.startswith("sketch"):
            check_sketch(error, FEW)
        else:  # a step of 0.2 biases all scores up; K takes that back
            assert np.std(error) / np.mean(1 + error) < 0.3, f"{name}: scores err by {rms:.3g}"
        errors.setdefault(name, []).append((gap, rms))


def sketch_against_exact() -> pd.DataFrame:
    """Spectral error and time of pruning by a sketch, both against the exact covariance.

    Time is that of covariance or draws, scores and probabilities; coins are the same. Errors are
    compared at equal density, and densities at equal error.
    """
    rows = []
    for n, density in ((900, 0.1), (2000, 0.2)):
        A = rate_networks.clustered(rate_networks.SIZES[n], rng=generator(n, "benchmark"))

        def by_sketch(k: int, coin: int, A: np.ndarray = A, density: float = density) -> np.ndarray:
            x = rate_covariance.samples(A, k, rng=generator(coin, f"{k} draws"))
            return pruners.noise_keep_probability(A, samples=x, density=density)

        def by_exact(A: np.ndarray = A, density: float = density) -> np.ndarray:
            return pruners.noise_keep_probability(A, rate_covariance.exact(A), density=density)

        def eps(p: np.ndarray, coin: int, A: np.ndarray = A) -> float:
            pruned = pruners.sample_and_rescale(A, p, rng=generator(coin, "coins"))
            return spectrum.approximation_bounds(A, pruned).eps

        def kept_at(wanted: float, k: int, A: np.ndarray = A, low: float = density) -> float:
            """Density at which the sketch's mean error is the one wanted, by bisection."""
            draws = (
                rate_covariance.samples(A, k, rng=generator(c, f"{k} draws")) for c in range(COINS)
            )
            scores = [pruners.noise_score(A, samples=x) for x in draws]
            high = 2 * low
            for _ in range(7):
                middle = (low + high) / 2
                p = [pruners.keep_probability(score, density=middle) for score in scores]
                worse = np.mean([eps(q, coin) for coin, q in enumerate(p)]) > wanted
                low, high = (middle, high) if worse else (low, middle)
            return (low + high) / 2

        ks = (8, 16, 32, 64, 128)
        ways = {0: lambda _: by_exact()} | {k: lambda _, k=k: by_sketch(k, 0) for k in ks}
        answers, times = side_by_side(ways)
        exact = np.array([eps(answers[0], coin) for coin in range(COINS)])
        for k in ks:
            sketched = np.array([eps(by_sketch(k, coin), coin) for coin in range(COINS)])
            rows.append(
                {"N": f"{n:,}", "kept": density, "draws": k, "√(2/k)": math.sqrt(2 / k)}
                | {"eps, exact": exact.mean(), "eps, sketch": sketched.mean()}
                | {"eps: sketch / exact": sketched.mean() / exact.mean()}
                | {"worst coin": (sketched / exact).max()}
                | {"kept at equal eps": kept_at(exact.mean(), k) if k in (32, 64) else math.nan}
                | {"exact, s": times[0], "sketch, s": times[k]}
                | {"time: sketch / exact": times[k] / times[0]}
            )
            progress(f"sketch, {n} neurons, {k} draws")
    return pd.DataFrame(rows)


def sparse_route() -> pd.DataFrame:
    """From network to pruned network without a dense matrix, for copies of one cluster pattern.

    Up to 3,000 neurons the dense exact route prunes the same network beside it. The last row has
    the growth exponents.
    """
    rows, sizes = [], [900, 3000, 9000, 30000, 99900]
    for n in sizes:
        start = time.perf_counter()
        A = rate_networks.clustered(
            [240, 20, 20, 20] * (n // 300),
            rng=generator(n, "benchmark"),
            n_long=5 * n // 3,
            as_sparse=True,
        )
        built = time.perf_counter() - start
        ways = {
            "draws": lambda _, A=A: rate_covariance.samples(A, MANY, rng=generator(0, "sketch")),
            "p": lambda done, A=A: pruners.noise_keep_probability(
                A, samples=done["draws"], density=0.2
            ),
            "pruned": lambda done, A=A: pruners.sample_and_rescale(
                A, done["p"], rng=generator(0, "coins")
            ),
        }
        if n <= 3000:
            full = A.toarray()
            ways["dense"] = lambda _, a=full: prune_dense(a)
        answers, times = side_by_side(ways)
        whole = times["draws"] + times["p"] + times["pruned"]
        row = {"N": f"{n:,}", "synapses": A.nnz - n, "network, s": built}
        row |= {f"{MANY} draws, s": times["draws"], "scores and p, s": times["p"]}
        row |= {"sampling, s": times["pruned"], "route, s": whole}
        row |= {"A, MB": megabytes(A), "draws, MB": answers["draws"].nbytes / 1e6}
        if n <= 3000:
            row["dense exact, s"] = times["dense"]
            row["route / dense"] = whole / times["dense"]
            exact = pruners.noise_score(full, rate_covariance.exact(full))
            found = pruners.noise_score(A, samples=answers["draws"]).toarray()
            row["scores' error"] = check_sketch(score_errors(exact, found), MANY)
        kept = (answers["pruned"].nnz - n) / (A.nnz - n)
        assert abs(kept - 0.2) < 0.02, f"{kept:.3g} of the synapses are left, not 0.2"
        rows.append(row)
        progress(f"sparse, {n} neurons")
    everywhere = [name for name in rows[-1] if name != "N"]
    growth = {name: exponent(sizes, [row[name] for row in rows]) for name in everywhere}
    return pd.DataFrame([*rows, {"N": "growth"} | growth])


def prune_dense(A: np.ndarray) -> np.ndarray:
    """The same by the exact covariance."""
    p = pruners.noise_keep_probability(A, rate_covariance.exact(A), density=0.2)
    return pruners.sample_and_rescale(A, p, rng=generator(0, "coins"))


def megabytes(A: sparse.csr_array) -> float:
    return (A.data.nbytes + A.indices.nbytes + A.indptr.nbytes) / 1e6


def progress(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> None:
    torch.set_num_threads(1)
    costs, agreement = covariance_routes()
    tables = {
        "Routes to the covariance, against a plain inverse": costs,
        "The same routes: largest difference of p at density 0.2, relative error of scores (rms)": (
            agreement
        ),
        "Pruning by a sketch against the exact covariance": sketch_against_exact(),
        "The sparse route": sparse_route(),
    }
    print(results.run_card(threads=1))
    for title, table in tables.items():
        print(f"\n### {title}\n\n{table.to_markdown(index=False, floatfmt='.3g')}")


if __name__ == "__main__":
    main()
