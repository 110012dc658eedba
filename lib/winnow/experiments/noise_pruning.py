"""Rate networks pruned under one rule and another: what is left of spectrum and dynamics.

Each experiment returns a tidy table with a row for each network (``seed``) and setting. Rules share
their coins, so they are compared network by network; where a network is pruned several times its
row holds the mean, because the network is the unit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from winnow import memory, pruners
from winnow.arrays import is_symmetric
from winnow.experiments.tables import by_seed
from winnow.metrics import spectrum
from winnow.models import rate_covariance, rate_dynamics, rate_networks
from winnow.seeds import generator, generators

#: How far an error counts that has no limit: a mode was lost altogether, or activity grew away.
CAP = 1e6


def compare(
    A: np.ndarray,
    rules: Sequence[str],
    *,
    density: float,
    seeds: Sequence[int],
    activity: np.ndarray | None = None,
    n_draws: int = 1,
    slowest: int = 5,
) -> pd.DataFrame:
    """Spectral errors of networks under several rules at equal expected density.

    Parameters
    ----------
    A, density, seeds, activity
        As for :func:`~winnow.pruners.prune`; the exact covariance when no activity is
        given.
    rules
        Names in :data:`~winnow.pruners.PRUNERS`, of those that prune once.
    n_draws
        Prunings of each network; measures are averaged over them.
    slowest
        Eigenvalues, counted from the slowest, whose mean relative error is ``slow``.

    Returns
    -------
    pandas.DataFrame
        A row per rule and network: ``rule``, ``seed``, ``kept`` (share), ``lo``, ``hi``,
        ``eps``, ``rho`` (at most :data:`~winnow.experiments.noise_pruning.CAP`), ``slow``; the
        bounds are missing for networks that are not symmetric.
    """
    activity = rate_covariance.exact(A) if activity is None else activity
    values, tables = spectrum.eigenvalues(A), []
    for rule in rules:
        kept = pruners.probabilities(A, rule, density=density, activity=activity)
        for draw in range(n_draws):
            pruned = pruners.sample(A, kept, rule, seeds=seeds, draw=draw)
            table = measure(A, pruned, values, slowest=slowest)
            tables.append(table.assign(rule=rule, seed=list(seeds)))
    return pd.concat(tables).groupby(["rule", "seed"], sort=False).mean().reset_index()


def measure(
    A: np.ndarray, pruned: np.ndarray, values: np.ndarray, *, slowest: int = 5
) -> pd.DataFrame:
    """Density and spectral errors of pruned networks, a row each, given the eigenvalues of A."""
    many = n_synapses(pruned) / n_synapses(A)
    errors = abs(spectrum.eigenvalues(pruned) / values - 1)
    columns = {"kept": many, "slow": errors[..., :slowest].mean(-1)}
    if is_symmetric(A):
        b = spectrum.approximation_bounds(A, pruned)
        columns |= {"lo": b.lo, "hi": b.hi, "eps": b.eps, "rho": np.minimum(b.rho, CAP)}
    return pd.DataFrame(columns)


def n_synapses(A: pruners.Network) -> np.ndarray | int:
    """Non-zero entries off the diagonal of each network, ``(..., n, n)`` to ``(...)``."""
    if sparse.issparse(A):
        return A.count_nonzero() - np.count_nonzero(A.diagonal())
    leaks = np.count_nonzero(A.diagonal(axis1=-2, axis2=-1), axis=-1)
    return np.count_nonzero(A, axis=(-2, -1)) - leaks


def beside_noise(
    table: pd.DataFrame, column: str, rules: Sequence[str], *, label: str = ""
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A column under other rules and under noise pruning, network by network.

    Keys are ``"rule / noise"`` behind ``label``.
    """
    ours = by_seed(table, column, rule="noise")
    return {f"{label}{rule} / noise": (by_seed(table, column, rule=rule), ours) for rule in rules}


def first_figure(
    seeds: Sequence[int], *, density: float
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Small networks like those of the paper's Figure 1: three clusters, six links, six strong.

    Returns
    -------
    tuple
        Matrices ``(n, n)`` of the first network by name: weights, covariance, variance of
        differences, keep-probability; and mean probabilities, a row per network, of ``bridges``,
        ``strong`` weights and all ``others``.
    """
    cluster = np.repeat(range(3), 40)
    options = {"grounding": 1e-3, "n_strong": 6}
    A, plain = (
        rate_networks.bridged([40] * 3, 6, strength=k, rng=generators(seeds, "figure"), **options)
        for k in (8.0, 1.0)
    )
    C, w = rate_covariance.exact(A), pruners.weight_score(A)
    p = pruners.noise_keep_probability(A, C, density=density)
    own = C[0].diagonal()
    views = {
        "weights": w[0],
        "noise covariance": C[0],
        "variance of differences": own[:, None] + own - 2 * C[0],
        "keep-probability": p[0],
    }
    bridges = (w > 0) & (cluster[:, None] != cluster)
    # The same network without strong weights tells which they are, up to the common scale.
    twin = pruners.weight_score(plain)
    grown = np.divide(w, twin, out=np.zeros_like(w), where=twin > 0)
    strong = grown > 0.5 * grown.max((1, 2), keepdims=True)
    kinds = {"bridges": bridges, "strong": strong, "others": (w > 0) & ~bridges & ~strong}
    return views, pd.DataFrame({k: (p * m).sum((1, 2)) / m.sum((1, 2)) for k, m in kinds.items()})


def identities(A: np.ndarray, C: np.ndarray) -> pd.DataFrame:
    """Leverages against effective resistances from eigenvectors, and their sum against n.

    A row per symmetric network: the largest relative errors ``leverage`` and ``sum``, the latter
    with the slack that a leak beyond the weights leaves.
    """
    values, V = np.linalg.eigh(-A)
    inverse = (V / values[:, None, :]) @ V.swapaxes(-1, -2)
    own, w = inverse.diagonal(axis1=-2, axis2=-1), pruners.weight_score(A)
    resistance = own[:, :, None] + own[:, None, :] - 2 * np.sign(A) * inverse
    found, wanted = pruners.leverage(A, C), w * resistance
    slack = -A.diagonal(axis1=-2, axis2=-1) - w.sum(-1)
    total = found.sum((-2, -1)) / 2 + (slack * own).sum(-1)
    gap = abs(found - wanted).max((-2, -1)) / wanted.max((-2, -1))
    return pd.DataFrame({"leverage": gap, "sum": abs(total / A.shape[-1] - 1)})


def unbiased(
    A: np.ndarray, probability: np.ndarray, *, seeds: Sequence[int], n_draws: int
) -> pd.DataFrame:
    """Standardised deviation of each pair's mean weight over draws: its mean and spread.

    Pairs whose coin cannot fall two ways are left out. A row per network: ``seed``, ``mean``,
    ``sd``; near 0 and 1 for an unbiased rule with the binomial variance.
    """
    total = np.zeros_like(A)
    coins = generators(seeds, "unbiased")
    for _ in range(n_draws):
        total += pruners.sample_and_rescale(A, probability, rng=coins, diagonal="original")
    rows = []
    for seed, a, p, t in zip(seeds, A, probability, total, strict=True):
        i, j = np.nonzero(np.triu((p > 0) & (p < 1), 1))
        sd = np.abs(a[i, j]) * np.sqrt((1 / p[i, j] - 1) / n_draws)
        z = (t[i, j] / n_draws - a[i, j]) / sd
        rows.append({"seed": seed, "mean": z.mean(), "sd": z.std()})
    return pd.DataFrame(rows)


def promised(
    A: np.ndarray, C: np.ndarray, seeds: Sequence[int], promises: Sequence[float]
) -> pd.DataFrame:
    """Networks pruned with the theorem's K for each promised error, and the error they have.

    A row per promise and network: ``n``, ``promised``, ``seed``, ``kept`` (share), ``eps``, and
    the ``ratio`` of the error found to the one promised.
    """
    tables = []
    for eps in promises:
        p = pruners.noise_keep_probability(A, C, eps=eps)
        pruned = pruners.sample_and_rescale(A, p, rng=generators(seeds, f"coins {eps:g}"))
        table = pd.DataFrame({"n": A.shape[-1], "promised": eps, "seed": list(seeds)})
        table["kept"] = n_synapses(pruned) / n_synapses(A)
        table["eps"] = spectrum.approximation_bounds(A, pruned).eps
        tables.append(table.assign(ratio=table.eps / eps))
    return pd.concat(tables, ignore_index=True)


def bridge_sweep(
    bridges: Sequence[int], names: Sequence[str], *, density: float, seeds: Sequence[int]
) -> pd.DataFrame:
    """Rules compared on three equal clusters joined by more and more ``bridges``."""
    tables = []
    for many in bridges:
        A = rate_networks.bridged([100] * 3, many, rng=generators(seeds, f"bridges {many}"))
        tables.append(compare(A, names, density=density, seeds=seeds).assign(bridges=many))
    return pd.concat(tables, ignore_index=True)


def sketches(
    A: np.ndarray, counts: Sequence[int], *, density: float, seeds: Sequence[int]
) -> pd.DataFrame:
    """Noise pruning :func:`compare`'s way, by ``k`` independent samples of the activity."""
    tables = []
    for k in counts:
        activity = rate_covariance.samples(A, k, rng=generators(seeds, f"samples {k}"))
        found = compare(A, ["noise"], density=density, seeds=seeds, activity=activity)
        tables.append(found.assign(k=k))
    return pd.concat(tables, ignore_index=True)


def again(A: np.ndarray, *, density: float, seeds: Sequence[int]) -> pd.DataFrame:
    """Prune to a density, then again with the same K: the shares that survive each pass.

    K is what the density takes in each network. For the second pass the covariance of the pruned
    network is taken anew.
    """
    C = rate_covariance.exact(A)
    first = pruners.noise_keep_probability(A, C, density=density)
    score = pruners.noise_score(A, C)
    uncapped = (first > 0) & (first < 1)
    K = (first * uncapped).sum((-2, -1)) / (score * uncapped).sum((-2, -1))
    once = pruners.sample_and_rescale(A, first, rng=generators(seeds, "coins 0"))
    # A hair of leak gives neurons that were cut off a covariance; to the others it makes none.
    grounded = once - 1e-9 * np.eye(A.shape[-1])
    renewed = K[:, None, None] * pruners.noise_score(once, rate_covariance.exact(grounded))
    twice = pruners.sample_and_rescale(
        once, renewed.clip(max=1), rng=generators(seeds, "coins 1"), diagonal="original"
    )
    left = [n_synapses(x) for x in (A, once, twice)]
    shares = {"first": left[1] / left[0], "second": left[2] / left[1]}
    return pd.DataFrame({"seed": list(seeds), **shares})


def scaling(sizes: Sequence[int], kappas: Sequence[float], *, seeds: Sequence[int]) -> pd.DataFrame:
    r"""Spectral error over the size of three equal clusters and over :math:`\kappa = K\sigma^2/2`.

    A row each: ``n``, ``kappa``, ``seed``, ``kept``, ``eps``.
    """
    rows = []
    for n in sizes:
        for seed in seeds:  # one at a time: a size's networks together would be the largest array
            A = rate_networks.clustered([n // 3] * 3, rng=generator(seed, f"network {n}"))[None]
            score = pruners.noise_score(A, rate_covariance.exact(A))
            for kappa in kappas:
                p = pruners.keep_probability(score, K=2 * kappa)
                coins = generators([seed], f"coins {n} {kappa:g}")
                pruned = pruners.sample_and_rescale(A, p, rng=coins)
                eps = spectrum.approximation_bounds(A, pruned).eps[0]
                kept = float(n_synapses(pruned)[0] / n_synapses(A)[0])
                rows.append({"n": n, "kappa": kappa, "seed": seed, "kept": kept, "eps": eps})
    return pd.DataFrame(rows)


def law_fits(table: pd.DataFrame, *, eps: float) -> pd.DataFrame:
    r"""How each network's error follows the law, from a table of :func:`scaling`.

    Networks of which all is kept have no error. NaN where fewer than two kappas leave one.

    Returns
    -------
    pandas.DataFrame
        A row per network: ``n``, ``seed``, ``slope`` of :math:`\ln \varepsilon` over
        :math:`\ln \sqrt{(1 - f) / \kappa}`, and ``share`` pruned where the error crosses ``eps``,
        between the kappas measured (log–log; NaN where it never does).
    """
    rows = []
    for (n, seed), network in table.groupby(["n", "seed"], sort=False):
        some = network[(network.kept > 0) & (network.kept < 1) & (network.eps > 0)]
        some = some.sort_values("eps")
        row = {"n": n, "seed": seed, "slope": np.nan, "share": np.nan}
        if len(some) > 1:
            x = np.log((1 - some.kept) / some.kappa) / 2
            error, kept = np.log(some.eps), np.log(some.kept)
            row["slope"] = np.polyfit(x, error, 1)[0]
            row["share"] = 1 - np.exp(np.interp(np.log(eps), error, kept, np.nan, np.nan))
        rows.append(row)
    return pd.DataFrame(rows)


def measured_covariance(
    A: np.ndarray,
    durations: Sequence[float],
    *,
    seeds: Sequence[int],
    dt: float,
    density: float | None = None,
    n_draws: int = 1,
) -> pd.DataFrame:
    r"""The rule at work on covariances that simulated noise shows, against the exact one.

    Parameters
    ----------
    A, seeds, n_draws
        As for :func:`~winnow.experiments.noise_pruning.compare`.
    durations, dt
        As for :func:`~winnow.models.rate_covariance.simulated`.
    density
        Prune too, with the same coins under both covariances.

    Returns
    -------
    pandas.DataFrame
        A row per duration and network: ``T``, ``seed``, ``off`` (relative error of C), ``corr``
        (of the scores over synapses), ``k_eff`` (independent samples of the same precision,
        two over the relative variance of the scores), and ``eps``, ``exact`` when pruned.
    """
    C = rate_covariance.exact(A)
    single = A.astype(np.float32)  # its rounding is far below the noise of the estimate
    seen = rate_covariance.simulated(single, durations, dt=dt, rng=generators(seeds, "activity"))
    score = pruners.noise_score(A, C)
    tables = []
    for T, measured in zip(durations, seen, strict=True):
        noisy = pruners.noise_score(A, measured)
        pairs = [(a[a > 0], b[a > 0]) for a, b in zip(score, noisy, strict=True)]
        table = pd.DataFrame({"T": T, "seed": list(seeds)})
        table["off"] = np.linalg.norm(measured - C, axis=(-2, -1)) / np.linalg.norm(
            C, axis=(-2, -1)
        )
        table["corr"] = [np.corrcoef(a, b)[0, 1] for a, b in pairs]
        ratios = [b / a for a, b in pairs]
        table["k_eff"] = [2 * r.mean() ** 2 / r.var() for r in ratios]
        if density is not None:
            options = {"density": density, "seeds": seeds, "n_draws": n_draws}
            for name, activity in {"eps": measured, "exact": C}.items():
                table[name] = compare(A, ["noise"], activity=activity, **options).eps
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def precision(
    sizes: Sequence[int], *, seeds: Sequence[int], time: float, dt: float
) -> pd.DataFrame:
    """``k_eff`` of scores from the same time of watching, for network sizes ``n``."""
    tables = []
    for n in sizes:
        parts = [n - 3 * (n // 15), *[n // 15] * 3]  # one large cluster and three small ones
        for seed in seeds:  # one at a time, as large networks together would fill the memory
            A = rate_networks.clustered(parts, rng=generator(seed, f"watched {n}"))[None]
            tables.append(measured_covariance(A, [time], seeds=[seed], dt=dt).assign(n=n))
    return pd.concat(tables, ignore_index=True)


def dynamics(
    A: np.ndarray,
    rules: Sequence[str],
    *,
    density: float,
    seeds: Sequence[int],
    duration: float,
    dt: float,
    n_starts: int = 10,
    sigma: float = 0.01,
    current: float = 2e-4,
    every: int = 10,
) -> pd.DataFrame:
    """Relative distance to the unpruned trajectory under the same noise, over time.

    Starts are uniform on (0, 1) and each neuron gets a small constant input, as in the authors'
    protocol :cite:p:`moore2020`. In single precision: errors are many orders above its rounding.

    Returns
    -------
    pandas.DataFrame
        A row per rule, network and time: ``rule``, ``seed``, ``t``, ``error`` (mean over
        starts, each at most :data:`~winnow.experiments.noise_pruning.CAP`).
    """
    C = rate_covariance.exact(A)
    pruned = [pruners.prune(A, rule, density=density, seeds=seeds, activity=C) for rule in rules]
    stacked = np.stack([A, *pruned]).astype(np.float32)
    shape = (n_starts, A.shape[-1])
    start = np.stack([g.random(shape, np.float32) for g in generators(seeds, "starts")])
    options = {"dt": dt, "current": current, "sigma": sigma, "rng": generators(seeds, "noise")}
    n_steps = round(duration / dt)
    rows = []
    for k, x in enumerate(
        rate_dynamics.trajectory(stacked, start, n_steps=n_steps, **options), start=1
    ):
        if k % every == 0:
            error = np.nan_to_num(spectrum.trajectory_error(x[:1], x[1:]), nan=CAP)
            error = error.clip(max=CAP).mean(-1)
            for rule, values in zip(rules, error, strict=True):
                columns = {"rule": rule, "seed": list(seeds), "t": k * dt, "error": values}
                rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)


def propagators(
    A: np.ndarray, times: np.ndarray, *, density: float, seeds: Sequence[int]
) -> np.ndarray:
    """Distance of propagators after noise pruning over its bound for all times, ``(S, T)``."""
    pruned = pruners.prune(
        A, "noise", density=density, seeds=seeds, activity=rate_covariance.exact(A)
    )
    bound = spectrum.uniform_bound(spectrum.approximation_bounds(A, pruned).eps)
    return spectrum.propagator_distance(A, pruned, times) / bound[:, None]


def rectified(
    A: np.ndarray,
    rules: Sequence[str],
    *,
    density: float,
    seeds: Sequence[int],
    duration: float = 300.0,
    n_inputs: int = 20,
    n_sets: int = 5,
) -> pd.DataFrame:
    """Where rectified networks come to rest under random inputs, and which neurons fall silent.

    Rest means ``duration`` leak times after a start at 0, several times the slowest time
    constant; a network that lost a mode never rests.

    Returns
    -------
    pandas.DataFrame
        A row per rule and network: ``error`` (relative, mean over inputs), ``silent`` (share of
        neurons at 0 before pruning), ``same`` (share of neurons whose silence is kept),
        ``outside`` (by how much the spectral bounds of random halves of the neurons exceed the
        whole network's; 0 or less when they lie inside).
    """
    shape = (n_inputs, A.shape[-1])
    current = np.stack([g.normal(size=shape) for g in generators(seeds, "inputs")])
    rest = _at_rest(A, current, duration)
    quiet = 1e-6 * rest.max()  # a silenced neuron decays to 0 and never quite gets there
    halves = [np.flatnonzero(generator(k, "half").random(shape[1]) < 0.5) for k in range(n_sets)]
    C, rows = rate_covariance.exact(A), []
    for rule in rules:
        pruned = pruners.prune(A, rule, density=density, seeds=seeds, activity=C)
        found = _at_rest(pruned, current, duration)
        error = spectrum.trajectory_error(rest, found).mean(-1)
        whole, outside = spectrum.approximation_bounds(A, pruned), []
        for half in halves:
            cut = (..., half[:, None], half)
            part = spectrum.approximation_bounds(A[cut], pruned[cut])
            outside.append(np.maximum(whole.lo - part.lo, part.hi - whole.hi))
        columns = {"rule": rule, "seed": list(seeds), "error": error, "outside": np.max(outside, 0)}
        columns["silent"] = (rest < quiet).mean((-2, -1))
        columns["same"] = ((rest < quiet) == (found < quiet)).mean((-2, -1))
        rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)


def _at_rest(A: np.ndarray, current: np.ndarray, duration: float) -> np.ndarray:
    dt = 1 / -A.diagonal(axis1=-2, axis2=-1).min()  # the largest step that no neuron overshoots
    options = {"n_steps": math.ceil(duration / dt), "dt": dt, "current": current}
    states = rate_dynamics.trajectory(A, np.zeros_like(current), rectified=True, **options)
    return deque(states, maxlen=1).pop()


def edges(gain: float, n: int, densities: Sequence[float], *, seeds: Sequence[int]) -> pd.DataFrame:
    """Rightmost real part of pruned random networks, predicted and measured, by density."""
    A = rate_networks.gaussian(n, gain, rng=generators(seeds, "network"))
    C, rows = rate_covariance.exact(A), []
    for density in densities:
        p = pruners.noise_keep_probability(A, C, density=density)
        options = {"diagonal": "original", "symmetric": False}
        pruned = pruners.sample_and_rescale(A, p, rng=generators(seeds, "coins 0"), **options)
        columns = {"density": density, "seed": list(seeds)}
        columns["predicted"] = spectrum.predicted_edge(A, p)
        columns["measured"] = spectrum.eigenvalues(pruned)[..., 0]
        rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)


def peak_memory(sizes: Sequence[int], n_samples: int, *, dense: bool) -> float:
    """Bytes that :func:`~winnow.experiments.noise_pruning.at_scale` holds at once, about."""
    n, entries = sum(sizes), 0.6 * sum(size * size for size in sizes)
    return 44.0 * n * n if dense else 120 * entries + 56 * n * n_samples


def require_memory(scale: Sequence[int], sparse_size: int, n_samples: int = 64) -> None:
    """Say what the largest networks of the chapter will take, or raise where it is not free.

    Called before anything is computed, because these networks come late.
    """
    copies = rate_networks.SIZES[300] * (sparse_size // 300)
    asked = {
        f"{n} neurons": peak_memory(rate_networks.SIZES[n], n_samples, dense=True) for n in scale
    }
    asked[f"{sum(copies)} sparse"] = peak_memory(copies, n_samples, dense=False)
    most = max(asked, key=asked.get)
    memory.require(asked[most], most)
    print(f"largest network: {most}, about {asked[most] / 1e9:.2g} GB of memory", flush=True)


def at_scale(
    sizes: Sequence[int],
    rules: Sequence[str],
    *,
    density: float,
    seeds: Sequence[int],
    n_samples: int,
    n_long: int | None = None,
    dense: bool = True,
) -> pd.DataFrame:
    """Large networks, one at a time, with the covariance sketched from independent samples.

    Parameters
    ----------
    sizes, n_long, density, rules, seeds
        As for :func:`~winnow.models.rate_networks.clustered` and :func:`compare`.
    n_samples
        Independent draws of the activity behind noise pruning.
    dense
        Use Cholesky factors, about :math:`40 n^2` bytes at once; otherwise conjugate gradients
        alone. Says before it starts how much memory that takes, and after
        each network how far it is.

    Returns
    -------
    pandas.DataFrame
        A row per rule and network: ``n``, ``rule``, ``seed``, ``synapses``, ``kept``, ``lo``,
        ``hi``, ``eps``, ``gain`` (the largest strengthening), and for dense ones ``slow``, the mean
        relative error of the ten slowest eigenvalues.
    """
    n, rows = sum(sizes), []
    memory.require(peak_memory(sizes, n_samples, dense=dense), f"a network of {n} neurons")
    options = {"n_long": n_long, "as_sparse": True}
    for place, seed in enumerate(seeds, start=1):
        A = rate_networks.clustered(sizes, rng=generator(seed, f"network {n}"), **options)
        stream = generator(seed, f"samples {n}")
        activity = rate_covariance.samples(A.toarray() if dense else A, n_samples, rng=stream)
        values = spectrum.slowest_eigenvalues(A, 10) if dense else None
        for rule in rules:
            pruned = pruners.prune(A, rule, density=density, seeds=[seed], activity=activity)
            row = {"n": n, "rule": rule, "seed": seed} | _gains(A, pruned)
            b = spectrum.approximation_bounds(A.toarray() if dense else A, pruned)
            row |= {"lo": b.lo, "hi": b.hi, "eps": b.eps}
            if dense:
                errors = abs(spectrum.slowest_eigenvalues(pruned, 10) / values - 1)
                row["slow"] = errors.mean()
            rows.append(row)
        print(f"{n} neurons: network {place} of {len(seeds)} done", flush=True)
    return pd.DataFrame(rows)


def _gains(A: sparse.csr_array, pruned: sparse.csr_array) -> dict[str, float]:
    old, new = (sparse.triu(x, 1, format="csr") for x in (A, pruned))
    where = new.nonzero()
    return {
        "synapses": n_synapses(A),
        "kept": n_synapses(pruned) / n_synapses(A),
        "gain": float(np.max(np.asarray(new[where]) / np.asarray(old[where]))),
    }


def released(seeds: Sequence[int]) -> pd.DataFrame:
    """The authors' network of 2,000 neurons rebuilt: what their notebook stored as output.

    They divide scores by their sum and cap at 1 afterwards, which keeps a little less than the
    20 % they ask for; so it is done here, and only here.

    Returns
    -------
    pandas.DataFrame
        A row per network: ``non-zeros`` (off the diagonal), ``fastest``, ``slowest``
        (eigenvalues), ``kept, noise`` and ``kept, weights`` (of the non-zeros, after pruning).
    """
    rows = []
    for seed in seeds:
        A = rate_networks.clustered(rate_networks.SIZES[2000], rng=generator(seed, "released"))
        values = spectrum.eigenvalues(A)
        row = {"seed": seed, "non-zeros": n_synapses(A)}
        row |= {"fastest": values[-1], "slowest": values[0]}
        noise = pruners.noise_score(A, rate_covariance.exact(A))
        for name, score in {"noise": noise, "weights": pruners.weight_score(A)}.items():
            K = 0.2 * np.count_nonzero(score) / score.sum()
            kept = pruners.keep_probability(score, K=K)
            pruned = pruners.sample(A[None], kept[None], "noise", seeds=[seed])
            row[f"kept, {name}"] = n_synapses(pruned)[0]
        rows.append(row)
    return pd.DataFrame(rows)
