"""The pruners of the book: what a weight is worth, who stays, and when.

A pruner is a *score* for each weight, a *selection* by it, and a *schedule*. Three settings read
the one table: :func:`~winnow.pruners.schedule` prunes while a network trains ("every step",
"annealed"), :func:`winnow.training.rounds.prune` trains and prunes in turns ("rounds"), and
:func:`~winnow.pruners.prune` prunes a rate network ("once").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from winnow.arrays import as_tensor, like
from winnow.pruners import scores
from winnow.pruners.scores import Network
from winnow.seeds import generators, uniform


@dataclass(frozen=True)
class Seen:
    """What a score may look at; what a setting does not have is left out."""

    #: As they are now, (S, ...) or one sparse network; in rounds one parameter of the network,
    #: weights (S, 1, K, D) with row = target or biases (S, 1, K), whatever the mask leaves of them.
    weights: Network
    dense: torch.Tensor | None = None  #: as they were trained before anything was pruned
    activity: np.ndarray | None = None  #: of a rate network under noise, covariance or samples
    gain: Callable[[], torch.Tensor] | None = None  #: growth of a unit's measure without a weight
    seeds: Sequence[int] = (0,)
    purpose: str = "random mask"  #: of the random numbers


@dataclass(frozen=True)
class Pruner:
    """A way of pruning.

    Examples
    --------
    One's own, cut in rounds that are not rewound:

    >>> from dataclasses import replace
    >>> mine = replace(PRUNERS["random"], rewind=False)
    >>> mine.select, mine.schedules, mine.rewind
    ('fixed', ('every step', 'rounds'), False)
    """

    words: str  #: what it does, in a line
    score: Callable[[Seen], Any] | None  #: what a weight is worth; the most worth stay
    select: str  #: "all", "fixed", "threshold", "top-k", "damp" or "sample"; in rounds always top-k
    schedules: tuple[str, ...]  #: of "every step", "annealed", "rounds", "once"
    knob: str = ""  #: what its number means while a network trains, where it takes one
    within: str = ""  #: the range of that number
    optional: bool = False  #: whether it may be left out
    cavity: bool = False  #: whether it looks at the inputs of the first layer
    rewind: bool = True  #: whether a round starts from early values again
    diagonal: str = "matched"  #: what becomes of a rate network's leak
    rescale: bool = True  #: whether a kept synapse is divided by its probability
    gain: bool = False  #: whether the sum of absolute weights is restored


def drawn(seen: Seen) -> Any:
    """Uniform random numbers, a stream per seed; the same whenever it is asked."""
    shape = tuple(seen.weights.shape)
    numbers = uniform(generators(seen.seeds, seen.purpose), shape[0], shape[1:])
    return like(numbers, seen.weights)


def size(seen: Seen) -> Any:
    """Absolute weights."""
    return abs(seen.weights)


def above_the_diagonal(seen: Seen) -> Any:
    """1 on and above the diagonal and 0 below."""
    return like(torch.ones_like(as_tensor(seen.weights)).triu(), seen.weights)


def _noise(**how: float) -> Callable[[Seen], Network]:
    return lambda seen: scores.known_noise_score(seen.weights, seen.activity, **how)


_STEP, _ANNEALED, _ROUNDS, _ONCE = ("every step",), ("annealed",), ("rounds",), ("once",)
_small = partial(Pruner, "small weights", size)
_damp = partial(Pruner, "weights from earlier to later units", None, "damp", within="[0, 1]")
_rounds = partial(Pruner, select="top-k", schedules=_ROUNDS)
_cavity = partial(_rounds, cavity=True)
_once = partial(Pruner, select="sample", schedules=_ONCE)
_largest = partial(_once, score=lambda seen: scores.weight_score(seen.weights), select="top-k")

#: Name to pruner. The schemes of :cite:t:`song2025` come first, then what is cut in rounds
#: :cite:p:`frankle2019`, then noise pruning :cite:p:`moore2020`, what it has to beat, and what is
#: left of it without one of its parts.
PRUNERS = {
    "none": Pruner("no pruning", None, "all", _STEP),
    "random": Pruner(
        "one fixed random order", drawn, "fixed", _STEP + _ROUNDS, "fraction pruned", "[0, 1)"
    ),
    "threshold": _small(
        "threshold",
        _STEP,
        "magnitude below which a weight goes; none: half the weights at first",
        "[0, inf)",
        optional=True,
    ),
    "top_k": _small("top-k", _STEP, "density kept at every step", "(0, 1]"),
    "dynamic_top_k": _small("top-k", _ANNEALED, "density kept at the end", "(0, 1]"),
    "damp": _damp(_STEP, "share taken from the lower triangle at every step"),
    "dynamic_damp": _damp(_ANNEALED, "share taken from the lower triangle at the end"),
    "triangular": Pruner("the lower triangle is cut", above_the_diagonal, "fixed", _STEP),
    "imp": _rounds("the smallest trained weights", size),
    "one-shot": _rounds("the smallest weights when dense", lambda seen: abs(seen.dense)),
    "no rewind": _rounds("the smallest trained weights, training going on", size, rewind=False),
    "cavity": _cavity("what keeps a unit from non-Gaussianity", lambda seen: -seen.gain()),
    "neutral": _cavity("what matters least for it", lambda seen: abs(seen.gain())),
    "reversed": _cavity("what makes a unit non-Gaussian", lambda seen: seen.gain()),
    "noise": _once("weight times noise of the difference", _noise()),
    "local sums": _once(
        "weight over its neurons' sums", lambda seen: scores.degree_score(seen.weights)
    ),
    "weights": _once("weight", lambda seen: scores.weight_score(seen.weights)),
    "uniform": _once("all alike", lambda seen: scores.uniform_score(seen.weights)),
    "magnitude": _largest("the largest weights"),
    "magnitude, gain": _largest("the same, scaled to the old sum", gain=True),
    "magnitude, own leak": _largest("the same, the leak left as it was", diagonal="original"),
    "noise, own leak": _once("noise, the leak left as it was", _noise(), diagonal="original"),
    "noise, no gain": _once("noise, kept weights left as they were", _noise(), rescale=False),
    "sign ignored": _once(
        "noise of the difference for all weights",
        lambda seen: scores.known_noise_score(abs(seen.weights), seen.activity),
    ),
    "sign flipped": _once("the sign rule turned around", _noise(sign=-1.0)),
    "no covariance": _once("weight times both variances", _noise(sign=0.0)),
}


def named(name: str, *schedules: str) -> Pruner:
    """The pruner of that name, if it has one of the schedules.

    Raises
    ------
    ValueError
        If it is unknown or has none of them; the words name those that fit.
    """
    fit = names(*schedules)
    if name not in fit:
        raise ValueError(f"unknown pruner {name!r}: choose from {', '.join(fit)}")
    return PRUNERS[name]


def names(*schedules: str) -> tuple[str, ...]:
    """Names of the pruners with one of some schedules.

    Examples
    --------
    >>> names("annealed")
    ('dynamic_top_k', 'dynamic_damp')
    """
    return tuple(n for n, pruner in PRUNERS.items() if set(pruner.schedules) & set(schedules))
