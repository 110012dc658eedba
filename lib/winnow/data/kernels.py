r"""Correlations of fields on a ring or torus, and what a pointwise function makes of them.

A grid is ``(D,)`` for a ring of D sites, ``(p, q)`` for a torus of D = p q sites. A covariance is
given as its row for the first site, in the shape of the grid.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy import special


def correlation(
    grid: Sequence[int],
    xi: float,
    *,
    power: float = 2.0,
    nugget: float = 1e-3,
    all_ways: bool = False,
) -> np.ndarray:
    r"""Correlation with the first site, :math:`e^{-(d/\xi)^p}`, as in :cite:t:`ingrosso2022`.

    The distance d is the shorter way around the ring. On a torus the factors of both directions
    are multiplied. The nugget is added to the variance alone, which is then 1 + ``nugget``.

    Parameters
    ----------
    grid
        Sites in each of one or two directions.
    xi
        Correlation length in sites, above 0.
    power
        The exponent p, in (0, 2]: smooth fields at 2, rough ones at 1.
    nugget
        White noise added to every pixel, as a variance, at least 0.
    all_ways
        Add up both ways around and all further turns, scaled to 1 at distance 0: a covariance for
        any ``xi``, and the same in effect where the grid is six times as long.

    Returns
    -------
    numpy.ndarray
        Of the grid's shape. With power 2 and the default nugget the shorter way alone makes a
        covariance for ``xi`` up to a sixth of the grid; where distances bend at the far side,
        longer ones are none, and :func:`~winnow.data.gaussian_process` refuses them.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> correlation((4,), 1.0, power=1.0, nugget=0.0).round(3).tolist()
    [1.0, 0.368, 0.135, 0.368]
    """
    check_grid(grid)
    if not (xi > 0 and math.isfinite(xi)):
        raise ValueError(f"xi must be a number of sites above 0, got {xi}")
    if not 0 < power <= 2:
        raise ValueError(f"power must be in (0, 2], where correlations exist, got {power}")
    if all_ways and power < 0.5:
        raise ValueError(f"power must be 0.5 or larger where all ways are added, got {power}")
    if not (nugget >= 0 and math.isfinite(nugget)):
        raise ValueError(f"nugget must be 0 or larger, got {nugget}")
    with np.errstate(over="ignore"):  # far beyond a tiny xi the exponent is infinite, as it should
        factors = [_factor(sites, xi, power, all_ways) for sites in grid]
    c = functools.reduce(np.multiply.outer, factors)
    c[(0,) * c.ndim] += nugget
    return c


def erf_variance(gain: float, *, variance: float = 1.0) -> float:
    r"""Variance of :math:`\mathrm{erf}(g z/\sqrt 2)` for normal z, the :math:`\gamma` below.

    Parameters
    ----------
    gain
        The factor g, in [1e-6, 1e6].
    variance
        Of z: 1 + ``nugget`` for fields with :func:`~winnow.data.correlation`.

    Examples
    --------
    At gain 1 the values are uniform in [-1, 1].

    >>> round(erf_variance(1.0), 12)
    0.333333333333
    """
    check_gain(gain)
    if not (variance > 0 and math.isfinite(variance)):
        raise ValueError(f"variance must be above 0, got {variance}")
    return float(2 / math.pi * _arcsine(np.float64(variance), variance, gain))


def nonlinear_covariance(corr: np.ndarray, gain: float) -> np.ndarray:
    r"""Covariance of :math:`x = \mathrm{erf}(g z/\sqrt 2)/\sqrt\gamma`, the arcsine law.

    .. math:: \mathrm{E}\, x_0 x_i = \frac{2}{\pi\gamma} \arcsin\frac{g^2 c_i}{1 + g^2 c_0},
        \qquad \gamma = \frac{2}{\pi} \arcsin\frac{g^2 c_0}{1 + g^2 c_0}

    Here :math:`\gamma` counts the nugget in :math:`c_0`, so a pixel's variance is exactly 1.
    Leaving it out, as the authors do :cite:p:`ingrosso2022`, makes it larger by 0.1 % or less.

    Parameters
    ----------
    corr
        Covariance c of z, in the grid's shape, :math:`|c_i| \le c_0`.
    gain
        The factor g, in [1e-6, 1e6]. Towards 0 the field stays Gaussian with the correlation of
        z; for large gains only the signs of z are left.

    Returns
    -------
    numpy.ndarray
        Of the same shape.

    Raises
    ------
    ValueError
        If the gain is out of range, or ``corr`` is no covariance.

    Examples
    --------
    At gain 1 and variance 1 the values are arcsin(1/4) and arcsin(1/2), over the latter.

    >>> nonlinear_covariance(np.array([1.0, 0.5]), 1.0).round(6).tolist()
    [1.0, 0.482584]
    """
    corr = check_covariance(corr)
    check_gain(gain)
    return _arcsine(corr, corr.flat[0], gain) / _arcsine(corr.flat[0], corr.flat[0], gain)


def power_covariance(corr: np.ndarray, power: float) -> np.ndarray:
    r"""Covariance of :math:`x = \mathrm{sign}(z)|z|^p`, divided by its standard deviation.

    .. math:: \mathrm{E}\, x_0 x_i = \frac{\Gamma(1 + p/2)^2}{\Gamma(3/2)\, \Gamma(p + 1/2)}\,
        \rho_i\; {}_2F_1\left(\tfrac{1-p}{2}, \tfrac{1-p}{2}; \tfrac32; \rho_i^2\right),
        \qquad \rho_i = c_i / c_0

    It is exact: the angular integral of two homogeneous functions of a Gaussian pair has this
    closed form. With p = 1 it is :math:`\rho`, with p = 3 it is
    :math:`(3\rho + 2\rho^3)/5`.

    Parameters
    ----------
    corr
        Covariance c of z, in the grid's shape, :math:`|c_i| \le c_0`.
    power
        The exponent p, in (0, 5].

    Returns
    -------
    numpy.ndarray
        Of the same shape, 1 for the first site.

    Raises
    ------
    ValueError
        If the power is out of range, or ``corr`` is no covariance.

    Examples
    --------
    >>> power_covariance(np.array([1.0, 0.5]), 3.0).round(12).tolist()
    [1.0, 0.35]
    """
    corr = check_covariance(corr)
    check_power(power)
    rho = corr / corr.flat[0]

    def unscaled(r: np.ndarray) -> np.ndarray:
        return r * special.hyp2f1((1 - power) / 2, (1 - power) / 2, 1.5, r * r)

    return unscaled(rho) / unscaled(np.float64(1.0))


def pixel_kurtosis(
    *, gain: float | None = None, power: float | None = None, variance: float = 1.0
) -> float:
    r"""Exact excess kurtosis of one pixel, of the field with that gain or that power.

    For a gain by quadrature: −6/5 at gain 1, where pixels are uniform, and down to −2 for two
    values. For a power, :math:`\sqrt\pi\, \Gamma(2p + 1/2)/\Gamma(p + 1/2)^2 - 3`. A Gaussian
    field has 0.

    Parameters
    ----------
    gain, power
        One of the two, as for :func:`~winnow.data.nonlinear_process` and
        :func:`~winnow.data.power_process`.
    variance
        Of the Gaussian below, which a gain is felt relative to: 1 + ``nugget`` for those fields.

    Raises
    ------
    ValueError
        If both or neither are given, or a value is out of range.

    Examples
    --------
    >>> round(pixel_kurtosis(gain=1.0), 9), round(pixel_kurtosis(power=2.0), 9)
    (-1.2, 8.666666667)
    """
    if (gain is None) == (power is None):
        raise ValueError(f"give either gain or power, got gain={gain} and power={power}")
    if power is not None:
        check_power(power)
        ratio = special.gamma(2 * power + 0.5) / special.gamma(power + 0.5) ** 2
        return float(math.sqrt(math.pi) * ratio - 3)
    second = erf_variance(gain, variance=variance)
    return _erf_fourth_moment(gain * math.sqrt(variance)) / second**2 - 3


def _factor(sites: int, xi: float, power: float, all_ways: bool) -> np.ndarray:
    """Correlation along one direction."""
    here = np.arange(sites)
    if not all_ways:
        return np.exp(-((np.minimum(here, sites - here) / xi) ** power))
    # Beyond this many turns what is left to add is below rounding.
    turns = math.ceil(40 ** (1 / power) * xi / sites) + 1
    distance = abs(here + sites * np.arange(-turns, turns + 1)[:, None])
    total = np.exp(-((distance / xi) ** power)).sum(0)
    return total / total[0]


def _arcsine(c: np.ndarray, variance: float, gain: float) -> np.ndarray:
    # The argument stays below 1 for any gain, because the nugget counts above and below.
    return np.arcsin(gain**2 * c / (1 + gain**2 * variance))


def _erf_fourth_moment(gain: float) -> float:
    r"""E erf⁴ by the trapezoidal rule over :math:`s = \log z`.

    There the integrand is smooth on one scale for every gain and dies off at both ends, so the
    rule is exact but for rounding.
    """
    s, step = np.linspace(-45.0, 4.0, 2451, retstep=True)
    z = np.exp(s)
    density = np.exp(-z * z / 2) * math.sqrt(2 / math.pi)
    return float(step * (special.erf(gain * z / math.sqrt(2)) ** 4 * density * z).sum())


def check_grid(grid: Sequence[int]) -> None:
    if np.ndim(grid) != 1 or len(grid) not in (1, 2) or min(grid) < 1:
        raise ValueError(f"grid must be (D,) or (p, q) with 1 site or more each, got {grid}")


def check_gain(gain: float) -> None:
    if not 1e-6 <= gain <= 1e6:
        raise ValueError(f"gain must be in [1e-6, 1e6], got {gain}")


def check_power(power: float) -> None:
    if not 0 < power <= 5:
        raise ValueError(f"power must be in (0, 5], got {power}")


def check_covariance(corr: np.ndarray) -> np.ndarray:
    c = np.asarray(corr, float)
    check_grid(c.shape)
    if not (c.flat[0] > 0 and (np.abs(c) <= c.flat[0] * (1 + 1e-12)).all()):
        worst = c.flat[np.abs(c).argmax()]
        raise ValueError(f"covariance must be within its first entry {c.flat[0]}, got {worst}")
    return c
