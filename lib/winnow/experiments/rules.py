"""Networks pruned under a rule, measured, and set beside the same networks under other rules.

A tidy table has a row for each network (``seed``) and rule. Rules share their coins, so they are
compared network by network; where a network is pruned several times its row holds the mean,
because the network is the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from winnow import pruners, stats
from winnow.arrays import is_symmetric
from winnow.metrics import spectrum
from winnow.models import rate_covariance
from winnow.seeds import generators

#: How far a ratio counts that has no limit, because a network lost a mode altogether.
CAP = 1e6

Keep = Callable[[pruners.Network, np.ndarray | None, float], pruners.Network]


class Rule(NamedTuple):
    """A method: keep-probabilities from network, covariance and density, and what comes after."""

    keep: Keep
    diagonal: str = "matched"
    rescale: bool = True
    gain: bool = False  #: scale all that is left to the old sum of absolute weights


def _scored(score: Callable[..., pruners.Network], **how: object) -> Keep:
    return lambda A, C, density: pruners.keep_probability(score(A, **how), density=density)


def _noise(A: pruners.Network, C: np.ndarray, density: float, **how: object) -> pruners.Network:
    if C is None:
        raise ValueError("noise pruning needs the activity: pass a covariance or samples")
    # As many samples as neurons are told from a covariance by not being symmetric.
    known = not sparse.issparse(A) and C.shape == A.shape and is_symmetric(C)
    kind = "covariance" if known else "samples"
    return pruners.keep_probability(pruners.noise_score(A, **{kind: C}, **how), density=density)


def _strongest(A: pruners.Network, C: np.ndarray | None, density: float) -> pruners.Network:
    return pruners.strongest(A, density=density)


#: Noise pruning, what it has to beat, and what is left of it without one of its parts.
RULES = {
    "noise": Rule(_noise),
    "local sums": Rule(_scored(pruners.degree_score)),
    "weights": Rule(_scored(pruners.weight_score)),
    "uniform": Rule(_scored(pruners.uniform_score)),
    "magnitude": Rule(_strongest),
    "magnitude, gain": Rule(_strongest, gain=True),
    "magnitude, own leak": Rule(_strongest, diagonal="original"),
    "noise, own leak": Rule(_noise, diagonal="original"),
    "noise, no gain": Rule(_noise, rescale=False),
    "sign ignored": Rule(lambda A, C, density: _noise(abs(A), C, density)),
    "sign flipped": Rule(lambda A, C, density: _noise(A, C, density, sign=-1.0)),
    "no covariance": Rule(lambda A, C, density: _noise(A, C, density, cross=False)),
}


def prune(
    A: pruners.Network,
    rule: str,
    *,
    density: float,
    seeds: Sequence[int],
    activity: np.ndarray | None = None,
    draw: int = 0,
) -> pruners.Network:
    """Networks pruned under one of the rules.

    Parameters
    ----------
    A
        ``(S, n, n)``, one for each seed, or one sparse ``(n, n)``.
    rule
        A key of :data:`~winnow.experiments.rules.RULES`.
    density
        Share of the synapses to keep, in expectation.
    seeds
        Of the networks; coins depend on seed and draw, and are the same for every rule.
    activity
        Covariance ``(S, n, n)`` or samples ``(S, k, n)``, for the rules that look at noise.
    draw
        Which of several prunings.
    """
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r}: choose from {', '.join(RULES)}")
    kept = RULES[rule].keep(A, activity, density)
    return sample(A, kept, rule, seeds=seeds, draw=draw)


def sample(
    A: pruners.Network, kept: pruners.Network, rule: str, *, seeds: Sequence[int], draw: int = 0
) -> pruners.Network:
    """The second half of ``prune``, for probabilities that are there already."""
    how = RULES[rule]
    coins = generators(seeds, f"coins {draw}")
    symmetric = abs(A - A.T).max() == 0 if sparse.issparse(A) else is_symmetric(A)
    options = {"diagonal": how.diagonal, "rescale": how.rescale, "symmetric": symmetric}
    pruned = pruners.sample_and_rescale(A, kept, rng=coins, **options)
    return _regain(pruned, A) if how.gain else pruned


def _regain(pruned: pruners.Network, A: pruners.Network) -> pruners.Network:
    total = [pruners.weight_score(x).sum((-2, -1)) for x in (A, pruned)]
    gain = np.asarray(total[0] / np.where(total[1] > 0, total[1], 1))
    scaled = pruned * (gain if sparse.issparse(pruned) else gain[..., None, None])
    return pruners.match_diagonal(scaled, A)


def n_synapses(A: pruners.Network) -> np.ndarray | int:
    """Non-zero entries off the diagonal of each network, ``(..., n, n)`` to ``(...)``."""
    if sparse.issparse(A):
        return A.count_nonzero() - np.count_nonzero(A.diagonal())
    leaks = np.count_nonzero(A.diagonal(axis1=-2, axis2=-1), axis=-1)
    return np.count_nonzero(A, axis=(-2, -1)) - leaks


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
        As for :func:`~winnow.experiments.rules.prune`; the exact covariance when no activity is given.
    rules
        Keys of :data:`~winnow.experiments.rules.RULES`.
    n_draws
        Prunings of each network; measures are averaged over them.
    slowest
        Eigenvalues, counted from the slowest, whose mean relative error is ``slow``.

    Returns
    -------
    pandas.DataFrame
        A row per rule and network: ``rule``, ``seed``, ``kept`` (share), ``lo``, ``hi``,
        ``eps``, ``rho`` (at most :data:`~winnow.experiments.rules.CAP`), ``slow``; the bounds are
        missing for networks that are not symmetric.
    """
    activity = rate_covariance.exact(A) if activity is None else activity
    values, tables = spectrum.eigenvalues(A), []
    for rule in rules:
        kept = RULES[rule].keep(A, activity, density)
        for draw in range(n_draws):
            pruned = sample(A, kept, rule, seeds=seeds, draw=draw)
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


def against(
    table: pd.DataFrame,
    column: str,
    rules: Sequence[str],
    *,
    rng: np.random.Generator,
    label: str = "",
) -> dict[str, stats.Interval]:
    """Ratio of means of a column, another rule over noise pruning, the same networks resampled.

    Keys are the rules' names behind ``label``.
    """
    wide = table.pivot(index="seed", columns="rule", values=column)
    return {
        f"{label}{rule} / noise": stats.ratio_of_means(wide[rule], wide["noise"], rng=rng)
        for rule in rules
    }


def excess(
    table: pd.DataFrame, column: str, rule: str, *, rng: np.random.Generator
) -> stats.Interval:
    """Mean of a column under another rule, less that under noise pruning, network by network."""
    wide = table.pivot(index="seed", columns="rule", values=column)
    return stats.paired_difference(wide[rule], wide["noise"], rng=rng)
