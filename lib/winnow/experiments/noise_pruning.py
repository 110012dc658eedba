"""Rate networks pruned under one rule and another: what is left of spectrum and dynamics.

Each experiment returns a tidy table with a row for each network (``seed``) and setting. Rules share
their coins, so they are compared network by network; where a network is pruned several times its
row holds the mean, because the network is the unit.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, product

import numpy as np
import pandas as pd
from scipy import sparse

from winnow import memory, pruners
from winnow.arrays import is_symmetric
from winnow.experiments.tables import by_seed
from winnow.metrics import spectrum
from winnow.models import rate_covariance, rate_dynamics, rate_networks
from winnow.pruners import scores
from winnow.seeds import generator, generators, normal, uniform

#: How far an error counts that has no limit: a mode was lost altogether, or activity grew away.
CAP = 1e6

#: Independent draws of the activity behind noise pruning in large networks.
N_SAMPLES = 64


def by_rule(
    A: pruners.Network,
    rules: Sequence[str],
    measured: Callable[[pruners.Network], Mapping[str, np.ndarray | float]],
    *,
    density: float,
    seeds: Sequence[int],
    activity: np.ndarray | None = None,
    n_draws: int = 1,
) -> pd.DataFrame:
    """Networks pruned under several rules at equal expected density, and what is left of them.

    Parameters
    ----------
    A, density, seeds, activity
        As for :func:`~winnow.pruners.prune`; the exact covariance when no activity is
        given.
    rules
        Names in :data:`~winnow.pruners.PRUNERS`, of those that prune once.
    measured
        Measures by name, a number for each of the pruned networks it is given.
    n_draws
        Prunings of each network; measures are averaged over them.

    Returns
    -------
    pandas.DataFrame
        A row per rule and network: ``rule``, ``seed`` and what is measured.
    """
    activity = rate_covariance.exact(A) if activity is None else activity
    tables = []
    for rule in rules:
        kept = pruners.probabilities(A, rule, density=density, activity=activity)
        for draw in range(n_draws):
            found = measured(pruners.sample(A, kept, rule, seeds=seeds, draw=draw))
            tables.append(pd.DataFrame({"rule": rule, "seed": list(seeds), **found}))
    return pd.concat(tables).groupby(["rule", "seed"], sort=False).mean().reset_index()


def compare(
    A: np.ndarray,
    rules: Sequence[str],
    *,
    modes: slice = slice(5),
    bounds: bool = True,
    **options: object,
) -> pd.DataFrame:
    """Spectral errors of networks under several rules at equal expected density.

    Parameters
    ----------
    A, rules, **options
        As for :func:`~winnow.experiments.noise_pruning.by_rule`.
    modes, bounds
        As for :func:`~winnow.experiments.noise_pruning.measure`.

    Returns
    -------
    pandas.DataFrame
        A row per rule and network: ``rule``, ``seed``, and what
        :func:`~winnow.experiments.noise_pruning.measure` measures.
    """
    measured = partial(measure, A, values=spectrum.eigenvalues(A), modes=modes, bounds=bounds)
    return by_rule(A, rules, measured, **options)


def measure(
    A: np.ndarray, pruned: np.ndarray, *, values: np.ndarray, modes: slice, bounds: bool = True
) -> dict[str, np.ndarray]:
    """What pruning leaves of the spectrum, a number for each network.

    Parameters
    ----------
    A, pruned
        ``(S, n, n)``.
    values
        Eigenvalues of A, slowest first, ``(S, n)``.
    modes
        Which of them are meant by ``slow``.
    bounds
        Whether the extreme ratios of symmetric networks are measured, which takes as long as all
        the rest.

    Returns
    -------
    dict
        ``kept`` (share); the mean relative error of the slow eigenvalues, ``slow``, and of
        ``all``; and, where A is symmetric, ``lo``, ``hi`` and ``eps``.
    """
    moved = abs(spectrum.eigenvalues(pruned) / values - 1)
    measures = {"kept": share_kept(A, pruned)}
    measures |= {"slow": moved[:, modes].mean(-1), "all": moved.mean(-1)}
    if bounds and is_symmetric(A):
        b = spectrum.approximation_bounds(A, pruned)
        measures |= {"lo": b.lo, "hi": b.hi, "eps": b.eps}
    return measures


def n_synapses(A: pruners.Network) -> np.ndarray | int:
    """Non-zero entries off the diagonal of each network, ``(..., n, n)`` to ``(...)``."""
    return (pruners.weight_score(A) > 0).sum((-2, -1))


def share_kept(A: pruners.Network, pruned: pruners.Network) -> np.ndarray | float:
    """Synapses left of those there were, ``(...)``."""
    return n_synapses(pruned) / n_synapses(A)


def beside_noise(
    table: pd.DataFrame, column: str, rules: Sequence[str], *, label: str = ""
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A column under other rules and under noise pruning, network by network.

    Keys are ``"rule / noise"`` behind ``label``.
    """
    ours = by_seed(table, column, rule="noise")
    return {f"{label}{rule} / noise": (by_seed(table, column, rule=rule), ours) for rule in rules}


def curves(
    A: np.ndarray,
    rules: Sequence[str],
    densities: Sequence[float],
    *,
    seeds: Sequence[int],
    modes: slice,
) -> pd.DataFrame:
    """What :func:`compare` measures, without bounds, at each ``density``, which is a column."""
    values, activity = spectrum.eigenvalues(A), rate_covariance.exact(A)
    measured = partial(measure, A, values=values, modes=modes, bounds=False)
    options = {"seeds": seeds, "activity": activity}
    return pd.concat(
        [
            by_rule(A, rules, measured, density=share, **options).assign(density=share)
            for share in densities
        ],
        ignore_index=True,
    )


def share_needed(table: pd.DataFrame, *, within: float) -> pd.DataFrame:
    """How many synapses must stay for the slow eigenvalues to move no further than a bar.

    Parameters
    ----------
    table
        Columns ``rule``, ``seed``, ``kept`` and ``slow``, as from :func:`curves`.
    within
        The mean relative error that is allowed.

    Returns
    -------
    pandas.DataFrame
        A row per rule and network: ``rule``, ``seed``, and the ``share`` kept where the error last
        crosses the bar on the way from few synapses to all, interpolated on logarithmic axes;
        the smallest share measured where it never does; between the largest and 1 by a straight
        line on the error, which is 0 where all are kept.
    """
    rows = []
    for (rule, seed), network in table.groupby(["rule", "seed"], sort=False):
        kept, error = network.sort_values("kept")[["kept", "slow"]].to_numpy().T
        kept, error = np.append(kept, 1.0), np.append(error, 0.0)
        [over] = np.nonzero(error > within)
        share = kept[0]
        if len(over):
            ends = slice(over[-1], over[-1] + 2)  # over the bar at the first and not at the second
            axis, back = (np.log, np.exp) if error[ends][1] else (np.positive, np.positive)
            (x, x1), (y, y1), bar = map(axis, (kept[ends], error[ends], within))
            share = back(x + (x1 - x) * (y - bar) / (y - y1))
        rows.append({"rule": rule, "seed": seed, "share": share})
    return pd.DataFrame(rows)


def watched_errors(
    A: np.ndarray,
    times: Sequence[float],
    rules: Sequence[str],
    *,
    density: float,
    seeds: Sequence[int],
    modes: slice,
    moments: int,
) -> pd.DataFrame:
    """Slow eigenvalues under rules without noise, and under noise that is watched for a while.

    Parameters
    ----------
    A, density, seeds, modes
        As for :func:`compare`; symmetric networks.
    times
        Times watched, in units of each network's slowest time constant.
    rules
        Those without noise.
    moments
        How often a watch reads the activity, see :func:`~winnow.models.rate_covariance.watched`.

    Returns
    -------
    pandas.DataFrame
        A row per rule and network, ``rule``, ``seed``, what is measured, and ``T``: for rule
        "noise" each time watched, infinity standing for the exact covariance; NaN for others.
        All share their coins.
    """
    values = spectrum.eigenvalues(A)
    measured = partial(measure, A, values=values, modes=modes, bounds=False)
    options = {"density": density, "seeds": seeds}
    exact = by_rule(A, ["noise", *rules], measured, **options)
    tables = [exact.assign(T=np.where(exact.rule == "noise", np.inf, np.nan))]
    for T in times:
        streams = generators(seeds, f"watch {T:g}")
        seen = rate_covariance.watched(A, -T / values[:, 0], rng=streams, moments=moments)
        tables.append(by_rule(A, ["noise"], measured, activity=seen, **options).assign(T=T))
    return pd.concat(tables, ignore_index=True)


def bridge_map(
    bridges: Sequence[int],
    leaks: Sequence[float],
    times: Sequence[float],
    *,
    seeds: Sequence[int],
    **options: object,
) -> pd.DataFrame:
    """Watched noise and local sums over how many bridges there are and how large the leak is.

    ``density`` and ``moments`` are passed to :func:`watched_errors`. Its rows, with columns
    ``bridges`` and ``leak`` (beyond the sum of weights). Three clusters of a hundred neurons; slow
    are the two modes that hang on bridges.
    """
    tables = []
    for many, leak in product(bridges, leaks):
        streams = generators(seeds, f"bridges {many}, leak {leak:g}")
        A = rate_networks.bridged([100] * 3, many, grounding=leak, rng=streams)
        table = watched_errors(A, times, ["local sums"], seeds=seeds, modes=slice(1, 3), **options)
        tables.append(table.assign(bridges=many, leak=leak))
    return pd.concat(tables, ignore_index=True)


def first_figure(
    seeds: Sequence[int], *, density: float
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Small networks like those of the paper's Figure 1: three clusters, six links, six strong.

    Returns
    -------
    tuple
        The first network A and its keep-probabilities, ``(n, n)``; and a row per network: the mean
        keep-probability of ``bridges``, ``strong`` weights and all ``others``, and the mean
        correlation of activities ``within`` clusters and ``across`` them.
    """
    cluster = np.repeat(range(3), 40)
    options = {"grounding": 1e-3, "n_strong": 6}
    A, plain = (
        rate_networks.bridged([40] * 3, 6, strength=k, rng=generators(seeds, "figure"), **options)
        for k in (8.0, 1.0)
    )
    C = rate_covariance.exact(A)
    p = pruners.noise_keep_probability(A, C, density=density)
    w = pruners.weight_score(A)
    apart = np.broadcast_to(cluster[:, None] != cluster, w.shape)
    bridges = (w > 0) & apart
    # The same network without strong weights tells which they are, up to the common scale.
    twin = pruners.weight_score(plain)
    grown = np.divide(w, twin, out=np.zeros_like(w), where=twin > 0)
    strong = grown > 0.5 * grown.max((1, 2), keepdims=True)
    kinds = {"bridges": bridges, "strong": strong, "others": (w > 0) & ~bridges & ~strong}
    spread = np.sqrt(C.diagonal(axis1=1, axis2=2))
    correlation = C / (spread[:, :, None] * spread[:, None, :])
    pairs = {"within": ~apart & ~np.eye(len(cluster), dtype=bool), "across": apart}
    found = {k: np.nanmean(np.where(m, p, np.nan), (1, 2)) for k, m in kinds.items()}
    found |= {k: np.nanmean(np.where(m, correlation, np.nan), (1, 2)) for k, m in pairs.items()}
    return A[0], p[0], pd.DataFrame({"seed": list(seeds), **found})


def scaling(
    sizes: Sequence[int],
    factors: Sequence[float],
    *,
    seeds: Sequence[int],
    degree: float | None = None,
    beyond: float = math.inf,
) -> pd.DataFrame:
    r"""Spectral error of noise pruning over the size of three equal clusters.

    Parameters
    ----------
    sizes
        Neurons n, multiples of 3.
    factors
        :math:`\kappa = K \sigma^2 / 2` over :math:`\ln n`. Errors follow
        :math:`1.1 \sqrt{(1 - f) / x}` at a factor x and a share f kept: those of one half lie
        between 1.2 and 4.8 from 300 neurons to 30,000.
    seeds
        Of the networks, which are independent at each size.
    degree
        None for dense clusters with the exact covariance. Otherwise mean synapses of a neuron
        within its cluster of 100, which grow as the root of n; sparse throughout, covariance from
        samples.
    beyond
        An error that need not be exceeded twice: factors are tried from the largest on, and
        smaller ones are left out.

    Returns
    -------
    pandas.DataFrame
        A row per size, network and factor: ``n``, ``seed``, ``kappa``, ``kept``, ``eps``.
    """
    rows = []
    for n, seed in product(sizes, seeds):  # a size's networks together would be too large an array
        options = {"rng": generator(seed, f"network {n}"), "n_long": math.ceil(5 * n / 3)}
        if degree is not None:
            options |= {"density": degree / 100 * math.sqrt(300 / n), "as_sparse": True}
        A = rate_networks.clustered([n // 3] * 3, **options)
        if degree is None:
            score = pruners.noise_score(A, rate_covariance.exact(A))
        else:
            stream = generator(seed, f"samples {n}")
            seen = rate_covariance.samples(A, N_SAMPLES, rng=stream, tolerance=1e-4)
            score = pruners.noise_score(A, samples=seen)
        for kappa in np.multiply(sorted(factors, reverse=True), math.log(n)):
            p = pruners.keep_probability(score, K=2 * kappa)
            pruned = pruners.sample(A, p, "noise", seeds=[seed], draw=n)
            eps = spectrum.approximation_bounds(A, pruned).eps
            kept = share_kept(A, pruned)
            rows.append({"n": n, "seed": seed, "kappa": kappa, "kept": kept, "eps": eps})
            if eps > beyond:
                break
        if n >= 3000:
            print(f"{n} neurons: network {seed} done", flush=True)
    return pd.DataFrame(rows)


def share_kept_at(table: pd.DataFrame, *, eps: float) -> pd.DataFrame:
    """The share kept where each network's error crosses ``eps``, from :func:`scaling`.

    Between the factors measured the odds of being kept are a power of the error, as under the law.
    NaN where it is not crossed, such as in networks of which all is kept.

    Returns
    -------
    pandas.DataFrame
        A row per network: ``n``, ``seed``, ``share``.
    """

    def crossing(network: pd.DataFrame) -> float:
        if network.empty:
            return math.nan
        x = network.sort_values("eps")
        odds = np.log(x.kept / (1 - x.kept))
        return 1 / (1 + math.exp(-np.interp(math.log(eps), np.log(x.eps), odds, np.nan, np.nan)))

    return _each_network(table, crossing, "share")


def law_slopes(table: pd.DataFrame) -> pd.DataFrame:
    r"""Each network's slope of :math:`\ln \varepsilon` over :math:`\ln \sqrt{(1 - f) / \kappa}`.

    From :func:`scaling`; f is the share kept. A row per network: ``n``, ``seed``, ``slope``, NaN
    where fewer than two factors leave an error.
    """

    def slope(network: pd.DataFrame) -> float:
        x = np.log((1 - network.kept) / network.kappa) / 2
        return np.polyfit(x, np.log(network.eps), 1)[0] if len(x) > 1 else math.nan

    return _each_network(table, slope, "slope")


def _each_network(
    table: pd.DataFrame, found: Callable[[pd.DataFrame], float], name: str
) -> pd.DataFrame:
    """A number from the rows of each network where something is kept and something lost."""
    rows = [
        {"n": n, "seed": seed, name: found(network.query("0 < kept < 1 and eps > 0"))}
        for (n, seed), network in table.groupby(["n", "seed"], sort=False)
    ]
    return pd.DataFrame(rows)


def exponents(shares: pd.DataFrame) -> pd.Series:
    """Slope of the logarithm of the share kept over that of n, from :func:`share_kept_at`.

    A number for each seed, over the sizes at which it has a share; NaN with fewer than two.
    """
    logs = np.log(shares.dropna().set_index("seed")[["n", "share"]])
    about = logs - logs.groupby("seed").transform("mean")
    sums = about.mul(about.n, axis=0).groupby("seed").sum()
    return (sums.share / sums.n).reindex(shares.seed.unique())


def dynamics(
    A: pruners.Network,
    pruned: Mapping[str, pruners.Network],
    *,
    seeds: Sequence[int],
    duration: float = 40.0,
    dt: float = 0.2,
) -> pd.DataFrame:
    """Relative distance to the unpruned trajectory, after a pulse and under changing input.

    "pulse": ten starts uniform on (0, 1), as the authors' :cite:p:`moore2020`, and no input.
    "input": from rest, ten random directions whose strength swings as a sine, with periods from 5
    to 80.

    Parameters
    ----------
    A
        ``(S, n, n)``, or one sparse network.
    pruned
        The same networks as each rule leaves them.
    duration, dt
        Time and step, in leak times.

    Returns
    -------
    pandas.DataFrame
        A row per rule, network, protocol and moment, of which there are about twenty: ``rule``,
        ``seed``, ``protocol``, ``t``, ``error`` (mean over the ten, each at most
        :data:`~winnow.experiments.noise_pruning.CAP`).
    """
    shape, none = (len(seeds), (10, A.shape[-1])), np.zeros((len(seeds), 10, A.shape[-1]))
    pulses = uniform(generators(seeds, "starts"), *shape)
    inputs = normal(generators(seeds, "inputs"), *shape)
    whole = (*A.shape[:-2], 20, A.shape[-1])
    start = np.concatenate([pulses, none], 1).reshape(whole)
    towards = np.concatenate([none, inputs], 1).reshape(whole)
    speed = 2 * np.pi / np.tile(np.geomspace(5, 80, 10), 2)[:, None]
    options = {"dt": dt, "current": lambda t: towards * np.sin(speed * t)}
    tables, settings = [], list(product(pruned, seeds, ["pulse", "input"]))
    for t, states in _moments([A, *pruned.values()], start, duration=duration, **options):
        error = _distances(states).reshape(len(settings), 10).mean(-1)
        table = pd.DataFrame(settings, columns=["rule", "seed", "protocol"])
        tables.append(table.assign(t=t, error=error))
    return pd.concat(tables, ignore_index=True)


def _moments(
    networks: Sequence[pruners.Network],
    start: np.ndarray,
    *,
    duration: float,
    dt: float,
    **options: object,
) -> Iterator[tuple[float, np.ndarray]]:
    """About twenty times and the states of all networks then, ``(networks, ..., c, n)``."""
    n_steps = round(duration / dt)
    every = max(n_steps // 20, 1)
    options |= {"n_steps": n_steps, "dt": dt}
    # In single precision: errors are many orders above its rounding.
    alone = (rate_dynamics.trajectory(x.astype(np.float32), start, **options) for x in networks)
    steps = zip(*alone, strict=True)
    for k, states in enumerate(islice(steps, every - 1, None, every), start=1):
        yield k * every * dt, np.stack(states)


def _distances(states: np.ndarray) -> np.ndarray:
    """Of all networks but the first from the first, each at most CAP."""
    error = spectrum.trajectory_error(states[:1], states[1:])
    return np.nan_to_num(error, nan=CAP).clip(max=CAP)


def rectified(
    A: np.ndarray,
    rules: Sequence[str],
    *,
    density: float,
    seeds: Sequence[int],
    slowest: int = 4,
    duration: float = 40.0,
    dt: float = 0.2,
) -> pd.DataFrame:
    """Trajectories of rectified networks under five random inputs, and the spectra that shape them.

    A neuron is active where it receives more than 0 at the end; among the active ones the network
    is linear.

    Parameters
    ----------
    A, rules, density, seeds
        As for :func:`~winnow.experiments.noise_pruning.by_rule`.
    slowest
        Eigenvalues of the neurons that are active before pruning, counted from the slowest.
    duration, dt
        As for :func:`~winnow.experiments.noise_pruning.dynamics`.

    Returns
    -------
    pandas.DataFrame
        A row per rule and network, means over inputs: ``rule``, ``seed``, ``path`` (relative
        distance of trajectories, mean over time), ``active`` (mean relative error of the slowest
        eigenvalues), ``silent`` (share of neurons before pruning), ``same`` (share of neurons that
        are active or silent as before).
    """
    options = {"density": density, "seeds": seeds, "activity": rate_covariance.exact(A)}
    networks = [A, *(pruners.prune(A, rule, **options) for rule in rules)]
    shape = len(seeds), (5, A.shape[-1])
    start = uniform(generators(seeds, "starts"), *shape)
    b = normal(generators(seeds, "inputs"), *shape)
    options = {"duration": duration, "dt": dt, "current": b, "rectified": True}
    paths = []
    for _, states in _moments(networks, start, **options):
        paths.append(_distances(states).mean(-1))
    ends = zip(networks, states, strict=True)
    active, *kept = (x @ scores.off(a).swapaxes(-1, -2) + b > 0 for a, x in ends)

    def slow(network: np.ndarray) -> np.ndarray:
        pairs = zip(network, active, strict=True)
        values = [[spectrum.eigenvalues(a[np.ix_(k, k)])[:slowest] for k in on] for a, on in pairs]
        return np.array(values)

    whole, tables = slow(A), []
    for rule, path, network, on in zip(rules, np.mean(paths, 0), networks[1:], kept, strict=True):
        measures = {
            "path": path,
            "active": abs(slow(network) / whole - 1).mean((1, 2)),
            "silent": 1 - active.mean((1, 2)),
            "same": (on == active).mean((1, 2)),
        }
        tables.append(pd.DataFrame({"rule": rule, "seed": list(seeds), **measures}))
    return pd.concat(tables, ignore_index=True)


def require_memory(scale: Sequence[int], sparse_size: int) -> None:
    """Say what the largest networks of the chapter will take, or raise where it is not free.

    Called before anything is computed, because these networks come late.
    """
    copies = rate_networks.SIZES[300] * (sparse_size // 300)
    asked = {f"{n} neurons": 44.0 * n * n for n in scale}
    entries, n = 0.6 * sum(size * size for size in copies), sum(copies)
    asked[f"{n} sparse"] = 120 * entries + 56 * n * N_SAMPLES
    most = max(asked, key=asked.get)
    memory.require(asked[most], most)
    print(f"largest network: {most}, about {asked[most] / 1e9:.2g} GB of memory", flush=True)


def at_scale(
    sizes: Sequence[int],
    rules: Sequence[str],
    *,
    density: float,
    seeds: Sequence[int],
    dense: bool = True,
    duration: float = 40.0,
    dt: float = 0.2,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Large networks, one at a time, with the covariance sketched from independent samples.

    Parameters
    ----------
    sizes, rules, density, seeds
        As for :func:`~winnow.models.rate_networks.clustered` and
        :func:`~winnow.experiments.noise_pruning.by_rule`.
    dense
        Use Cholesky factors, about :math:`44 n^2` bytes at once; otherwise conjugate gradients
        alone, and 5 n / 3 long-range entries at any size. From 2,000 neurons on it says how far it
        is.
    duration, dt
        As for :func:`~winnow.experiments.noise_pruning.dynamics`.

    Returns
    -------
    tuple
        A table with a row per rule and network: ``n``, ``rule``, ``seed``, ``synapses``, ``kept``,
        ``gain`` (the largest strengthening), ``slow`` (mean relative error of as many slowest
        eigenvalues as there are clusters; NaN unless dense), ``pulse`` and ``input`` (means over
        time of what :func:`~winnow.experiments.noise_pruning.dynamics` measures); and its table,
        with ``n``.
    """
    n, tables, paths = sum(sizes), [], []
    options = {"n_long": None if dense else math.ceil(5 * n / 3), "as_sparse": True}
    for place, seed in enumerate(seeds, start=1):
        A = rate_networks.clustered(sizes, rng=generator(seed, f"network {n}"), **options)
        stream = generator(seed, f"samples {n}")
        activity = rate_covariance.samples(A.toarray() if dense else A, N_SAMPLES, rng=stream)
        slowest = spectrum.slowest_eigenvalues(A, len(sizes)) if dense else None
        how = {"density": density, "seeds": [seed], "activity": activity}
        pruned = {rule: pruners.prune(A, rule, **how) for rule in rules}
        path = dynamics(A, pruned, seeds=[seed], duration=duration, dt=dt)
        rows = [
            {"n": n, "rule": rule, "seed": seed, **_measure_large(A, left, slowest)}
            for rule, left in pruned.items()
        ]
        means = path.pivot_table("error", "rule", "protocol")
        tables.append(pd.DataFrame(rows).join(means, on="rule"))
        paths.append(path.assign(n=n))
        if n >= 2000:
            print(f"{n} neurons: network {place} of {len(seeds)} done", flush=True)
    return pd.concat(tables, ignore_index=True), pd.concat(paths, ignore_index=True)


def _measure_large(
    A: sparse.csr_array, pruned: sparse.csr_array, slowest: np.ndarray | None
) -> dict[str, float]:
    old, new = (sparse.triu(x, 1, format="csr") for x in (A, pruned))
    where = new.nonzero()
    gains = np.asarray(new[where]) / np.asarray(old[where])
    measures = {"synapses": n_synapses(A), "kept": share_kept(A, pruned), "gain": gains.max()}
    measures["slow"] = np.nan
    if slowest is not None:
        left = spectrum.slowest_eigenvalues(pruned, len(slowest))
        measures["slow"] = abs(left / slowest - 1).mean()
    return measures
