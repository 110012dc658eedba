"""Intervals and tests over independent seeds.

The unit is the seed: every function takes one number per seed, and two conditions are compared
seed by seed where the same seeds ran under both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats as _scipy

from winnow.arrays import Array, as_numpy

LEVEL = 0.95
N_RESAMPLES = 10_000


class Interval(NamedTuple):
    """An estimate, its interval, how many seeds it rests on, and a p-value where one exists."""

    estimate: float
    low: float
    high: float
    n: int
    p: float = float("nan")

    def __format__(self, spec: str) -> str:
        """``estimate [low, high]``, each number in the given format."""
        spec = spec or ".3f"
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def largest(gaps: Array) -> Interval:
    """Largest absolute entry over all seeds, ``(n, ...)``: an exact result, without width."""
    size = abs(as_numpy(gaps))
    return Interval(*[float(size.max())] * 3, len(size))


def bootstrap_ci(
    values: np.ndarray | Sequence[np.ndarray],
    *,
    rng: np.random.Generator,
    statistic: Callable[..., np.ndarray] = np.mean,
    level: float = LEVEL,
    n_boot: int = N_RESAMPLES,
) -> Interval:
    """A statistic over seeds with its percentile bootstrap interval.

    Parameters
    ----------
    values
        One number per seed ``(n,)``, or several arrays ``(n,)`` that belong together: the same
        seeds are then drawn from all of them. A seed with a NaN, where the measure is not
        defined, is left out.
    rng
        Draws the resamples.
    statistic
        Called as ``statistic(*arrays, axis=-1)`` on arrays ``(n,)`` or ``(n_boot, n)``.
    level
        Coverage aimed at, in (0, 1).
    n_boot
        Resamples, at least 100.

    Returns
    -------
    Interval
        With n the number of seeds that count.

    Raises
    ------
    ValueError
        If fewer than two seeds count, lengths differ, or a value is infinite.

    Examples
    --------
    >>> bootstrap_ci([1.0, 1.0, 1.0], rng=np.random.default_rng(0))
    Interval(estimate=1.0, low=1.0, high=1.0, n=3, p=nan)
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    if n_boot < 100:
        raise ValueError(f"n_boot must be 100 or larger, got {n_boot}")
    several = isinstance(values, tuple | list) and len(values) and np.ndim(values[0]) > 0
    arrays = _samples(values if several else [values])
    n = arrays.shape[1]
    picks = rng.integers(n, size=(n_boot, n))
    draws = statistic(*(a[picks] for a in arrays), axis=-1)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(*arrays, axis=-1)), float(low), float(high), n)


def bootstrap_each(
    samples: Mapping[str, np.ndarray], *, rng: np.random.Generator, label: str = "", **options
) -> dict[str, Interval]:
    """Mean and interval of each of several samples; keys are their names behind ``label``.

    Parameters
    ----------
    samples
        Name to one number per seed; a data frame serves as well, with its columns.
    label
        Begins every key.
    rng, **options
        As for :func:`~winnow.stats.bootstrap_ci`.
    """
    return {
        f"{label}{name}": bootstrap_ci(np.asarray(values, float), rng=rng, **options)
        for name, values in samples.items()
    }


def paired_difference(
    treated: np.ndarray,
    control: np.ndarray | float,
    *,
    rng: np.random.Generator,
    level: float = LEVEL,
    n_boot: int = N_RESAMPLES,
) -> Interval:
    r"""Mean of ``treated - control`` over seeds, bootstrap interval and sign-flip p-value.

    The p-value is two-sided, from :math:`n_\text{boot}` random sign changes of the
    differences: the share of them, plus one, whose mean is as far from zero. It is never below
    :math:`1 / (n_\text{boot} + 1)`.

    Parameters
    ----------
    treated, control
        One number per seed, ``(n,)``, in the same order; a number stands for a fixed value.
        Seeds with a NaN are left out.
    rng, level, n_boot
        As for :func:`~winnow.stats.bootstrap_ci`.
    """
    if np.ndim(control) == 0:
        control = np.full(np.shape(treated), control)
    treated, control = _samples([treated, control])
    difference = treated - control
    interval = bootstrap_ci(difference, rng=rng, level=level, n_boot=n_boot)
    signs = rng.integers(2, size=(n_boot, len(difference)), dtype=np.int8) * 2 - 1
    # A hair's breadth lets a mean equal but for rounding count as equal.
    far = abs(signs @ difference) / len(difference) >= abs(interval.estimate) * (1 - 1e-12)
    return interval._replace(p=float((1 + far.sum()) / (1 + n_boot)))


def ratio_of_medians(
    treated: np.ndarray, control: np.ndarray, *, rng: np.random.Generator, **options
) -> Interval:
    """Median of ``treated`` over median of ``control``, the same seeds resampled in both."""
    return bootstrap_ci(
        (treated, control),
        rng=rng,
        statistic=lambda a, b, axis: np.median(a, axis) / np.median(b, axis),
        **options,
    )


def ratio_of_means(
    treated: np.ndarray, control: np.ndarray, *, rng: np.random.Generator, **options
) -> Interval:
    """Mean of ``treated`` over mean of ``control``, the same seeds resampled in both."""
    return bootstrap_ci(
        (np.asarray(treated, float), np.asarray(control, float)),
        rng=rng,
        statistic=lambda a, b, axis: a.mean(axis) / b.mean(axis),
        **options,
    )


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


def share_regained(
    treated: np.ndarray, low: np.ndarray, high: np.ndarray, *, rng: np.random.Generator, **options
) -> Interval:
    r"""Share of a fall from ``high`` to ``low`` that a treatment wins back.

    .. math:: (\bar t - \bar l) / (\bar h - \bar l)

    0: as low as before; 1: all of it. The same seeds are resampled in all three, ``(n,)`` each.
    """
    return bootstrap_ci(
        (treated, low, high),
        rng=rng,
        statistic=lambda t, a, b, axis: (
            (t.mean(axis) - a.mean(axis)) / (b.mean(axis) - a.mean(axis))
        ),
        **options,
    )


def t_interval(values: np.ndarray, *, level: float = LEVEL) -> Interval:
    """Mean over seeds with Student's interval, for few seeds, where a bootstrap is too narrow.

    Parameters
    ----------
    values
        One number per seed, ``(n,)``; a seed with a NaN is left out.
    level
        Coverage aimed at, in (0, 1); reached where values are normal.

    Raises
    ------
    ValueError
        If fewer than two seeds count, or a value is infinite.

    Examples
    --------
    >>> format(t_interval([1.0, 2.0, 3.0]), ".2f")
    '2.00 [-0.48, 4.48]'
    """
    [sample] = _samples([values])
    n, mean = len(sample), float(sample.mean())
    reach = _scipy.t.ppf((1 + level) / 2, n - 1) * sample.std(ddof=1) / np.sqrt(n)
    return Interval(mean, mean - float(reach), mean + float(reach), n)


def t_test(values: np.ndarray, *, level: float = LEVEL) -> Interval:
    """:func:`~winnow.stats.t_interval` with the two-sided p-value of Student's test for mean 0.

    Examples
    --------
    >>> round(t_test([1.0, 2.0, 3.0]).p, 3)
    0.074
    """
    [sample] = _samples([values])
    p = float(_scipy.ttest_1samp(sample, 0).pvalue) if np.ptp(sample) > 0 else float("nan")
    return t_interval(sample, level=level)._replace(p=p)


def t_difference(treated: np.ndarray, control: np.ndarray, *, level: float = LEVEL) -> Interval:
    """Mean of ``treated - control``, pair by pair; see :func:`~winnow.stats.t_interval`."""
    pairs = _samples([treated, control])
    return t_interval(pairs[0] - pairs[1], level=level)


def t_ratio(treated: np.ndarray, control: np.ndarray, *, level: float = LEVEL) -> Interval:
    """Geometric mean of ``treated / control``, pair by pair, both positive.

    The interval is Student's on logarithms; see :func:`~winnow.stats.t_interval`.

    Examples
    --------
    >>> format(t_ratio([2.0, 8.0], [1.0, 1.0]).estimate, ".2f")
    '4.00'
    """
    pairs = _samples([treated, control])
    if not (pairs > 0).all():
        raise ValueError(f"ratios need positive numbers, got {pairs.min():g}")
    *logs, n, p = t_interval(np.log(pairs[0] / pairs[1]), level=level)
    return Interval(*np.exp(logs).tolist(), n, p)


def proportion_ci(successes: np.ndarray, *, level: float = LEVEL) -> Interval:
    """Share of successes with Wilson's interval, which stays wide at 0 and at 1.

    Parameters
    ----------
    successes
        Booleans, one per seed.

    Examples
    --------
    >>> format(proportion_ci([True] * 64), ".3f")
    '1.000 [0.943, 1.000]'
    """
    won = np.asarray(successes, bool)
    if won.size == 0:
        raise ValueError("successes must hold at least one seed, got none")
    test = _scipy.binomtest(int(won.sum()), won.size)
    low, high = test.proportion_ci(level, method="wilson")
    return Interval(float(won.mean()), float(low), float(high), won.size)


def paired_proportion_difference(
    treated: np.ndarray, control: np.ndarray, *, level: float = LEVEL
) -> Interval:
    r"""Difference of two success rates over the same seeds, Newcombe's paired score interval.

    A bootstrap of two perfect rates has no width; this interval keeps the doubt that n seeds
    leave :cite:p:`newcombe1998`.

    Parameters
    ----------
    treated, control
        Booleans, one per seed, in the same order.

    Returns
    -------
    Interval
        Of the rate of ``treated`` less that of ``control``.

    Examples
    --------
    >>> format(paired_proportion_difference([True] * 64, [True] * 64), ".3f")
    '0.000 [-0.057, 0.057]'
    """
    a, b = np.asarray(treated, bool), np.asarray(control, bool)
    if a.shape != b.shape:
        raise ValueError(f"pairs must match: {a.size} treated seeds, {b.size} control")
    pa, pb = proportion_ci(a, level=level), proportion_ci(b, level=level)
    both, only_a, only_b, neither = ((x & y).sum() for x, y in [(a, b), (a, ~b), (~a, b), (~a, ~b)])
    spread = np.sqrt(float(a.sum()) * (~a).sum() * b.sum() * (~b).sum())
    # Newcombe's method 10: correlation of the two outcomes, continuity corrected above zero.
    cross = float(both) * neither - float(only_a) * only_b
    cross = max(cross - a.size / 2, 0) if cross > 0 else cross
    phi = cross / spread if spread else 0.0
    reach = [
        np.sqrt(max(x**2 - 2 * phi * x * y + y**2, 0))
        for x, y in [
            (pa.estimate - pa.low, pb.high - pb.estimate),
            (pa.high - pa.estimate, pb.estimate - pb.low),
        ]
    ]
    difference = pa.estimate - pb.estimate
    low, high = difference - reach[0], difference + reach[1]
    return Interval(float(difference), float(low), float(high), a.size)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values adjusted for how many were looked at, by Holm's step-down rule.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be in [0, 1], got {p.tolist()}")
    rank = p.argsort(kind="stable")
    stepped = np.maximum.accumulate(p[rank] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[rank] = stepped.clip(max=1)
    return adjusted


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
    p = np.asarray(p_values, float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must be in [0, 1], got {p.tolist()}")
    rank = p.argsort(kind="stable")
    stepped = p[rank] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty_like(p)
    adjusted[rank] = np.minimum.accumulate(stepped[::-1])[::-1]
    return adjusted


def non_inferior(difference: Interval, *, margin: float) -> bool:
    """Whether a difference (larger is better) excludes a loss as large as the margin.

    The margin is stated before looking, is positive, and is compared with the interval's lower
    end: a test at half of 1 − level.
    """
    if margin <= 0:
        raise ValueError(f"margin must be positive, got {margin}")
    return difference.low > -margin


def _samples(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Paired samples as ``(arrays, n)``, without the seeds that hold a NaN."""
    shapes = [np.shape(a) for a in arrays]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise ValueError(f"samples must be one number per seed, of one length, got {shapes}")
    rows = np.array(arrays, float)
    rows = rows[:, ~np.isnan(rows).any(0)]
    if rows.shape[1] < 2:
        raise ValueError(f"samples must hold two or more seeds, got {rows.shape[1]} that count")
    if not np.isfinite(rows).all():
        raise ValueError("samples must be finite: cap values that were never reached")
    return rows
