"""Intervals and tests over independent units, such as networks that share no random number.

Every interval function takes samples with one number per unit, ``(n,)``; two conditions are
compared unit by unit where the same units ran under both. A unit with a NaN, where the measure
is not defined, is left out; where too few are left to say anything, all numbers are NaN. What
comes out is an :class:`~winnow.stats.Interval`, which keeps the samples that it was made from and
knows its p-value against any bar.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats as _scipy

from winnow.arrays import Array, as_numpy

LEVEL = 0.95

#: Resamples of a bootstrap, and so the finest p-value that is told apart from none.
N_RESAMPLES = 10_000

#: With fewer units a bootstrap is too narrow, most of all far out, where corrected p-values lie;
#: Student's interval takes its place.
FEW = 50

Ends = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Interval:
    """An estimate, its interval, and how many independent units it rests on."""

    estimate: float
    low: float
    high: float
    n: int
    ends: Ends | None = field(default=None, repr=False, compare=False)  #: from a level
    kind: str = field(default="", repr=False, compare=False)  #: the function that made it
    samples: np.ndarray | None = field(default=None, repr=False, compare=False)  #: (arrays, n)

    def __format__(self, spec: str) -> str:
        """``estimate [low, high]``, each number in the given format."""
        spec = spec or ".3f"
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def p_above(self, bar: float) -> float:
        r"""Two-sided p-value of lying above a bar: :math:`\alpha` where the interval touches it.

        The smallest :math:`\alpha` at which the whole interval of level :math:`1 - \alpha` is
        above the bar, so that it is below 0.05 exactly where the 95 % interval is; 1 where no
        interval is. Never below 1 / :data:`~winnow.stats.N_RESAMPLES`.

        Examples
        --------
        >>> round(t_interval([1.0, 2.0, 3.0]).p_above(0), 3)
        0.074
        """
        return self._p_value(lambda ends: ends[0] > bar)

    def p_below(self, bar: float) -> float:
        """The same of lying below a bar."""
        return self._p_value(lambda ends: ends[1] < bar)

    def _p_value(self, clear: Callable[[tuple[float, float]], bool]) -> float:
        if self.ends is None or not math.isfinite(self.estimate):
            return math.nan
        small, large = 1 / N_RESAMPLES, 1.0
        if clear(self.ends(1 - small)):
            return small
        for _ in range(30):  # bisection: the interval grows with its level
            middle = math.sqrt(small * large)
            small, large = (small, middle) if clear(self.ends(1 - middle)) else (middle, large)
        return large


#: Every way to make an interval, by name: what was kept as samples can be judged again.
INTERVALS: dict[str, Callable[..., Interval]] = {}


def _interval(*, least: int = 2, numbers: Callable[[Any], np.ndarray] = as_numpy) -> Callable:
    """Make an interval function of one that gives (estimate, ends) from whole and finite samples.

    Each sample is turned into ``numbers``, and a lone number into a sample of nothing else. With
    fewer than ``least`` units of which nothing is missing, all numbers are NaN.
    """

    def decorate(build: Callable[..., tuple[float, Ends]]) -> Callable[..., Interval]:
        @functools.wraps(build)
        def made(*samples: Any) -> Interval:
            shape = np.shape(samples[0])
            kept = _complete([numbers(a if np.ndim(a) else np.full(shape, a)) for a in samples])
            estimate, low, high, ends = math.nan, math.nan, math.nan, None
            if kept.shape[1] >= least:
                if not np.isfinite(kept).all():
                    raise ValueError("samples must be finite: cap values that were never reached")
                estimate, ends = build(*kept)
                low, high = ends(LEVEL)
            found = map(float, (estimate, low, high))
            return Interval(*found, kept.shape[1], ends, build.__name__, kept)

        INTERVALS[build.__name__] = made
        return made

    return decorate


def each(function: Callable[..., Interval], samples: Mapping[str, Any]) -> dict[str, Interval]:
    """An interval of each of several samples, by name; a data frame serves with its columns.

    Parameters
    ----------
    function
        Of this module, such as :func:`~winnow.stats.bootstrap_ci`.
    samples
        Name to one sample, or to a tuple of those that the function takes.
    """
    return {
        f"{name}": function(*given) if isinstance(given, tuple) else function(given)
        for name, given in samples.items()
    }


def largest(gaps: Array) -> Interval:
    """Largest absolute entry over all units ``(n, ...)``: an exact result, without width."""
    sizes = abs(as_numpy(gaps))
    kept = sizes.reshape(1, len(sizes), -1).max(-1)
    top = float(kept.max())
    return Interval(top, top, top, kept.size, lambda level: (top, top), "largest", kept)


INTERVALS["largest"] = largest


# --- resampling -----------------------------------------------------------------------------------


@_interval()
def bootstrap_ci(values: np.ndarray) -> Interval:
    """Mean over units with its percentile bootstrap interval; Student's below 50 units.

    The resamples are the same at every call, so an interval depends on its samples alone.

    Parameters
    ----------
    values
        One number per unit, ``(n,)``.

    Raises
    ------
    ValueError
        If a value is infinite, or samples that belong together differ in length.

    Examples
    --------
    >>> bootstrap_ci([1.0, 1.0, 1.0])
    Interval(estimate=1.0, low=1.0, high=1.0, n=3)
    """
    return _resampled([values], lambda a: a.mean(-1))


@_interval()
def paired_difference(treated: np.ndarray, control: np.ndarray | float) -> Interval:
    """Mean of ``treated - control``, unit by unit; a number stands for a fixed value.

    Otherwise as :func:`~winnow.stats.bootstrap_ci`.
    """
    return _resampled([treated, control], lambda a, b: (a - b).mean(-1))


@_interval()
def ratio_of_means(treated: np.ndarray, control: np.ndarray) -> Interval:
    """Mean of ``treated`` over mean of ``control``, the same units resampled in both."""
    return _resampled([treated, control], lambda a, b: a.mean(-1) / b.mean(-1))


@_interval()
def ratio_of_medians(treated: np.ndarray, control: np.ndarray) -> Interval:
    """Median of ``treated`` over median of ``control``, the same units resampled in both."""
    samples = [treated, control]
    return _resampled(samples, lambda a, b: np.median(a, -1) / np.median(b, -1), smooth=False)


@_interval()
def share_regained(treated: np.ndarray, low: np.ndarray, high: np.ndarray) -> Interval:
    r"""Share of a fall from ``high`` to ``low`` that a treatment wins back.

    .. math:: (\bar t - \bar l) / (\bar h - \bar l)

    0: as low as before; 1: all of it. The same units are resampled in all three, ``(n,)`` each.
    """

    def share(*arrays: np.ndarray) -> np.ndarray:
        t, low, high = (a.mean(-1) for a in arrays)
        return (t - low) / (high - low)

    return _resampled([treated, low, high], share)


@_interval()
def explained_share(wrong: np.ndarray, total: np.ndarray, *control: np.ndarray) -> Interval:
    r"""Share of squared error that a prediction takes away, :math:`1 - \bar w / \bar t`.

    With ``wrong`` and ``total`` of a control behind them, the share beyond the control's.
    """
    if len(control) not in (0, 2):
        raise ValueError(f"a control has two samples, wrong and total, got {len(control)}")

    def share(wrong: np.ndarray, total: np.ndarray, *control: np.ndarray) -> np.ndarray:
        left = wrong.mean(-1) / total.mean(-1)
        return control[0].mean(-1) / control[1].mean(-1) - left if control else 1 - left

    return _resampled([wrong, total, *control], share)


@_interval()
def rank_correlation(a: np.ndarray, b: np.ndarray) -> Interval:
    """Spearman's correlation of two measures over units; 0 where one is constant."""
    return _resampled([a, b], _spearman)


@_interval(least=3)  # the jackknife leaves one out, and a variance takes two
def mean_spread(*groups: np.ndarray) -> Interval:
    """Root of the mean variance between units, the mean over several groups ``(n,)``."""

    def spread(*groups: np.ndarray) -> np.ndarray:
        return np.sqrt(np.mean([g.var(-1, ddof=1) for g in groups], axis=0))

    return _resampled(groups, spread)


def _spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    ranks = [_scipy.rankdata(v, axis=-1) for v in (a, b)]
    x, y = (r - r.mean(-1, keepdims=True) for r in ranks)
    size = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    return (x * y).sum(-1) / np.where(size > 0, size, 1)


def _resampled(
    arrays: Sequence[np.ndarray], statistic: Callable[..., np.ndarray], *, smooth: bool = True
) -> tuple[float, Ends]:
    """Percentiles of a statistic over resampled units; below 50 units Student's, if smooth.

    Student's interval is that of the jackknife's pseudo-values, which for a mean are the values
    themselves. A median is not smooth enough for it.
    """
    n, estimate = len(arrays[0]), float(statistic(*arrays))
    if n < FEW and smooth:
        left_out = np.array([statistic(*np.delete(arrays, i, 1)) for i in range(n)])
        pseudo = n * estimate - (n - 1) * left_out
        return estimate, _students(pseudo, centre=estimate)
    picks = np.random.default_rng(0).integers(n, size=(N_RESAMPLES, n))
    draws = np.sort(statistic(*(a[picks] for a in arrays)))

    def ends(level: float) -> tuple[float, float]:
        return tuple(np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]))

    return estimate, ends


# --- Student's ------------------------------------------------------------------------------------


@_interval()
def t_interval(values: np.ndarray) -> Interval:
    """Mean over units with Student's interval, exact where values are normal.

    Parameters
    ----------
    values
        One number per unit, ``(n,)``.

    Raises
    ------
    ValueError
        If a value is infinite, or samples that belong together differ in length.

    Examples
    --------
    >>> format(t_interval([1.0, 2.0, 3.0]), ".2f")
    '2.00 [-0.48, 4.48]'
    """
    return values.mean(), _students(values)


@_interval()
def t_difference(treated: np.ndarray, control: np.ndarray) -> Interval:
    """Mean of ``treated - control``, pair by pair; see :func:`~winnow.stats.t_interval`."""
    return (treated - control).mean(), _students(treated - control)


@_interval()
def t_ratio(treated: np.ndarray, control: np.ndarray) -> Interval:
    """Geometric mean of ``treated / control``, pair by pair, both positive.

    The interval is Student's on logarithms; see :func:`~winnow.stats.t_interval`.

    Examples
    --------
    >>> format(t_ratio([2.0, 8.0], [1.0, 1.0]).estimate, ".2f")
    '4.00'
    """
    if (least := min(treated.min(), control.min())) <= 0:
        raise ValueError(f"ratios need positive numbers, got {least:g}")
    logs = np.log(treated / control)
    ends = _students(logs)
    return np.exp(logs.mean()), lambda level: tuple(np.exp(ends(level)))


def _students(values: np.ndarray, centre: float | None = None) -> Ends:
    n, mean = len(values), values.mean() if centre is None else centre
    error = values.std(ddof=1) / np.sqrt(n) if np.ptp(values) > 0 else 0.0

    def ends(level: float) -> tuple[float, float]:
        reach = _scipy.t.ppf((1 + level) / 2, n - 1) * error
        return mean - reach, mean + reach

    return ends


# --- shares ---------------------------------------------------------------------------------------


def _truths(values: Any) -> np.ndarray:
    """Truth values as 0 and 1, NaN where one is missing."""
    return np.array([_truth(value) for value in np.asarray(values, object)], float)


def _truth(value: Any) -> float:
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return math.nan
    if isinstance(value, bool | int | float | np.generic) and value in (0, 1):
        return float(value)
    raise ValueError(f"successes must be true or false, got {value!r}: compare with a bar first")


@_interval(least=1, numbers=_truths)
def proportion_ci(successes: np.ndarray) -> Interval:
    """Share of successes with Wilson's interval, which stays wide at 0 and at 1.

    Parameters
    ----------
    successes
        Booleans (or 0 and 1), one per unit; a missing value (None, NaN) is left out.

    Raises
    ------
    ValueError
        If anything else is among them.

    Examples
    --------
    >>> format(proportion_ci([True] * 64), ".3f")
    '1.000 [0.943, 1.000]'
    """
    return successes.mean(), functools.partial(_wilson, successes)


def _wilson(successes: np.ndarray, level: float) -> tuple[float, float]:
    test = _scipy.binomtest(int(successes.sum()), len(successes))
    found = test.proportion_ci(level, method="wilson")
    return found.low, found.high


@_interval(least=1, numbers=_truths)
def paired_proportion_difference(treated: np.ndarray, control: np.ndarray) -> Interval:
    r"""Difference of two success rates over the same units, Newcombe's paired score interval.

    A bootstrap of two perfect rates has no width; this interval keeps the doubt that n units
    leave :cite:p:`newcombe1998`.

    Parameters
    ----------
    treated, control
        Booleans, one per unit, in the same order; as for :func:`~winnow.stats.proportion_ci`.

    Returns
    -------
    Interval
        Of the rate of ``treated`` less that of ``control``.

    Examples
    --------
    >>> format(paired_proportion_difference([True] * 64, [True] * 64), ".3f")
    '0.000 [-0.057, 0.057]'
    """
    n, a, b = len(treated), treated == 1, control == 1
    both, only_a, only_b, neither = (float((x & y).sum()) for x in (a, ~a) for y in (b, ~b))
    spread = math.sqrt(float(a.sum()) * (~a).sum() * b.sum() * (~b).sum())
    # Newcombe's method 10: correlation of the two outcomes, continuity corrected above zero.
    cross = both * neither - only_a * only_b
    cross = max(cross - n / 2, 0) if cross > 0 else cross
    phi = cross / spread if spread else 0.0
    rate_a, rate_b = a.mean(), b.mean()

    def ends(level: float) -> tuple[float, float]:
        low_a, high_a = _wilson(a, level)
        low_b, high_b = _wilson(b, level)
        down = _combined(rate_a - low_a, high_b - rate_b, phi)
        up = _combined(high_a - rate_a, rate_b - low_b, phi)
        return rate_a - rate_b - down, rate_a - rate_b + up

    return rate_a - rate_b, ends


def _combined(x: float, y: float, phi: float) -> float:
    return math.sqrt(max(x**2 - 2 * phi * x * y + y**2, 0))


# --- trends and corrections -----------------------------------------------------------------------


def rank_trend(rows: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row ``(n, R)`` with its order, ``(n,)``; NaN if constant.

    Examples
    --------
    >>> rank_trend(np.array([[1.0, 5.0, 9.0], [3.0, 2.0, 1.0]])).tolist()
    [1.0, -1.0]
    """
    ranks = _scipy.rankdata(rows, axis=-1)
    ranks = ranks - ranks.mean(-1, keepdims=True)
    steps = np.arange(ranks.shape[-1]) - (ranks.shape[-1] - 1) / 2
    with np.errstate(invalid="ignore"):
        return ranks @ steps / np.sqrt((ranks**2).sum(-1) * (steps**2).sum())


def slopes_per_doubling(x: Sequence[float], rows: np.ndarray) -> np.ndarray:
    """Least-squares slope of each row ``(n, R)`` over the base-2 logarithm of ``x``, ``(n,)``.

    Examples
    --------
    >>> slopes_per_doubling([1, 2, 4], [[1.0, 3.0, 5.0]]).round(9).tolist()
    [2.0]
    """
    steps = np.log2(np.asarray(x, float))
    steps -= steps.mean()
    return np.asarray(rows, float) @ steps / (steps @ steps)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values adjusted for how many were looked at, by Holm's step-down rule.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = _p_values(p_values)
    rank = p.argsort(kind="stable")
    stepped = np.maximum.accumulate(p[rank] * np.arange(len(p), 0, -1))
    return stepped.clip(max=1)[rank.argsort()]


def benjamini_hochberg(p_values: Sequence[float]) -> np.ndarray:
    """P-values adjusted so that a bar on them bounds the share of false discoveries.

    For many tests of which some false alarms are bearable, by the step-up rule of Benjamini and
    Hochberg :cite:p:`benjamini1995`; a lone claim of several parts is for
    :func:`~winnow.stats.holm`.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.04, 0.04]
    """
    p = _p_values(p_values)
    return _scipy.false_discovery_control(p) if p.size else p


def _p_values(values: Sequence[float]) -> np.ndarray:
    p = np.asarray(values, float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be in [0, 1], got {p.tolist()}")
    return p


def _complete(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Units ``(arrays, n)`` of which nothing is missing."""
    shapes = [a.shape for a in arrays]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise ValueError(f"samples must be one number per unit, of one length, got {shapes}")
    rows = np.array(arrays)
    return rows[:, ~np.isnan(rows).any(0)]
