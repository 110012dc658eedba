"""Networks pruned under a rule; rules share their coins, and so are compared by network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

from winnow import pruners
from winnow.arrays import is_symmetric
from winnow.seeds import generators

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
