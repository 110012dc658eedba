r"""Stationary random fields on a ring or torus, Gaussian or not, with covariance in closed form.

A grid is ``(D,)`` for a ring of D sites, ``(p, q)`` for a torus of D = p q sites. A covariance is
given as its row for the first site, in the shape of the grid.

A Gaussian field z is put through one function, pixel by pixel: :math:`\mathrm{erf}(g z/\sqrt 2)`
pulls the pixels to :math:`\pm 1` (sub-Gaussian) :cite:p:`ingrosso2022`,
:math:`\mathrm{sign}(z) |z|^p` with :math:`p > 1` makes them rare and large (super-Gaussian). The
covariance of the result is known, so a Gaussian field with the very same one can stand beside it.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import fft, special

from winnow import memory
from winnow.arrays import Array, as_numpy, check_count, check_range, finite, like
from winnow.seeds import Rng, streams

#: Values that are drawn and transformed at once; what fits into a processor's cache is fastest.
CHUNK = 2**17

#: White noise that is added to every pixel of a field, as a variance.
NUGGET = 1e-3

#: Gains and powers that single precision can follow.
GAINS, POWERS = "[1e-6, 1e6]", "(0, 5]"


def correlation(grid: Sequence[int], xi: float) -> np.ndarray:
    r"""Correlation with the first site, :math:`e^{-(d/\xi)^2}`, as in :cite:t:`ingrosso2022`.

    Both ways around the ring and all further turns are added up and scaled to 1 at distance 0,
    because the shorter way alone is no covariance for long correlations; where the ring is six
    times as long as ``xi`` that is the same in effect. On a torus the factors of both directions
    are multiplied. A nugget of 0.001 is added to the variance alone, which is then 1.001.

    Parameters
    ----------
    grid
        Sites in each of one or two directions.
    xi
        Correlation length in sites, above 0.

    Returns
    -------
    numpy.ndarray
        Of the grid's shape.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> correlation((4,), 1.0).round(3).tolist()
    [1.001, 0.368, 0.037, 0.368]
    """
    _check_grid(grid)
    check_range("xi", xi, "(0, inf)")
    with np.errstate(over="ignore"):  # far beyond a tiny xi the exponent is infinite, as it should
        factors = [_factor(sites, xi) for sites in grid]
    c = functools.reduce(np.multiply.outer, factors)
    c[(0,) * c.ndim] += NUGGET
    return c


def erf_variance(gain: float, *, variance: float = 1.0) -> float:
    r"""Variance of :math:`\mathrm{erf}(g z/\sqrt 2)` for normal z, the :math:`\gamma` below.

    Parameters
    ----------
    gain
        The factor g, in [1e-6, 1e6].
    variance
        Of z: 1.001 for fields with :func:`~winnow.data.correlation`.

    Examples
    --------
    At gain 1 the values are uniform in [-1, 1].

    >>> round(erf_variance(1.0), 12)
    0.333333333333
    """
    check_range("gain", gain, GAINS)
    check_range("variance", variance, "(0, inf)")
    return float(2 / math.pi * _arcsine(np.float64(variance), variance, gain))


def nonlinear_covariance(corr: Array, gain: float) -> Array:
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
    numpy.ndarray or torch.Tensor
        Of the same shape and kind.

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
    c = _covariance(corr)
    check_range("gain", gain, GAINS)
    return like(_arcsine(c, c.flat[0], gain) / _arcsine(c.flat[0], c.flat[0], gain), corr)


def power_covariance(corr: Array, power: float) -> Array:
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
    numpy.ndarray or torch.Tensor
        Of the same shape and kind, 1 for the first site.

    Raises
    ------
    ValueError
        If the power is out of range, or ``corr`` is no covariance.

    Examples
    --------
    >>> power_covariance(np.array([1.0, 0.5]), 3.0).round(12).tolist()
    [1.0, 0.35]
    """
    c = _covariance(corr)
    check_range("power", power, POWERS)
    rho = c / c.flat[0]

    def unscaled(r: np.ndarray) -> np.ndarray:
        return r * special.hyp2f1((1 - power) / 2, (1 - power) / 2, 1.5, r * r)

    return like(unscaled(rho) / unscaled(np.float64(1.0)), corr)


def pixel_kurtosis(gain: float, *, variance: float = 1.0) -> float:
    r"""Exact excess kurtosis of one pixel of the field with that gain.

    −6/5 at gain 1, where pixels are uniform, and down to −2 for two values. A Gaussian field has 0.

    Parameters
    ----------
    gain
        As for :func:`~winnow.data.nonlinear_process`.
    variance
        Of the Gaussian below, which a gain is felt relative to: 1.001 for those fields.

    Raises
    ------
    ValueError
        If a value is out of range.

    Examples
    --------
    >>> round(pixel_kurtosis(1.0), 9)
    -1.2
    """
    second, gain = erf_variance(gain, variance=variance), gain * math.sqrt(variance)
    # E erf⁴ by the trapezoidal rule over s = log z: there the integrand is smooth on one scale for
    # every gain and dies off at both ends, so the rule is exact but for rounding.
    s, step = np.linspace(-45.0, 4.0, 2451, retstep=True)
    z = np.exp(s)
    density = np.exp(-z * z / 2) * math.sqrt(2 / math.pi)
    fourth = float(step * (special.erf(gain * z / math.sqrt(2)) ** 4 * density * z).sum())
    return fourth / second**2 - 3


def gaussian_process(covariance: Array, n: int, *, rng: Rng) -> np.ndarray:
    r"""Gaussian fields with mean 0 and a given covariance, ``(S, n, D)`` in float32.

    White noise w is coloured in Fourier space, where the circulant covariance is diagonal:
    :math:`z = F^{-1}[\sqrt\lambda\, F w]` with :math:`\lambda = F c`, in O(n D log D).

    Parameters
    ----------
    covariance
        With the first site, in the grid's shape.
    n
        Fields of each replica, at least 1.
    rng
        One generator for each of S replicas; a single one makes one replica.

    Returns
    -------
    numpy.ndarray
        Sites of a torus in row-major order.

    Raises
    ------
    ValueError
        If an eigenvalue is negative beyond rounding, a millionth of the largest, or memory does
        not suffice.

    Examples
    --------
    >>> gaussian_process(np.eye(1, 6)[0], 3, rng=np.random.default_rng(0)).shape
    (1, 3, 6)
    """
    return _sample(covariance, n, rng, lambda z: z)


def nonlinear_process(
    grid: Sequence[int], xi: float, n: int, *, gain: float, rng: Rng
) -> np.ndarray:
    r"""Sub-Gaussian fields :math:`\mathrm{erf}(g z/\sqrt 2)/\sqrt\gamma`, ``(S, n, D)`` in float32.

    z has the :func:`~winnow.data.correlation` of ``grid`` and ``xi``; the variance is 1 and
    the covariance that of :func:`~winnow.data.nonlinear_covariance` :cite:p:`ingrosso2022`.

    Parameters
    ----------
    grid, xi
        As for :func:`~winnow.data.correlation`.
    n, rng
        As for :func:`~winnow.data.gaussian_process`.
    gain
        As for :func:`~winnow.data.nonlinear_covariance`.

    Raises
    ------
    ValueError
        As by these three.

    Examples
    --------
    Variance 1, and no pixel beyond 1/√γ:

    >>> x = nonlinear_process((10,), 1.0, 2000, gain=1.0, rng=np.random.default_rng(0))
    >>> x.shape, round(float(x.std()), 1), bool(abs(x).max() < 3**0.5)
    ((1, 2000, 10), 1.0, True)
    """
    corr = correlation(grid, xi)
    scale = np.float32(1 / math.sqrt(erf_variance(gain, variance=corr.flat[0])))
    inner = np.float32(gain / math.sqrt(2))
    return _sample(corr, n, rng, lambda z: special.erf(z * inner) * scale)


def power_process(grid: Sequence[int], xi: float, n: int, *, power: float, rng: Rng) -> np.ndarray:
    r"""Fields :math:`\mathrm{sign}(z)|z|^p` of variance 1, ``(S, n, D)`` in float32.

    They are super-Gaussian for p above 1. z has the :func:`~winnow.data.correlation` of ``grid``
    and ``xi``, and they have the covariance of :func:`~winnow.data.power_covariance`.

    Parameters
    ----------
    grid, xi
        As for :func:`~winnow.data.correlation`.
    n, rng
        As for :func:`~winnow.data.gaussian_process`.
    power
        The exponent p, in (0, 5].

    Raises
    ------
    ValueError
        As by these, or if the power is out of range.
    """
    check_range("power", power, POWERS)
    corr = correlation(grid, xi)
    # E |z|^2p for a standard normal; the variance of z is divided out before the power.
    moment = 2**power * special.gamma(power + 0.5) / math.sqrt(math.pi)
    scale = np.float32(moment ** (-0.5 / power) / math.sqrt(corr.flat[0]))
    p = np.float32(power)
    return _sample(corr, n, rng, lambda z: np.copysign(np.abs(z * scale) ** p, z))


def mix(groups: Sequence[np.ndarray], *, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of all classes in random order, ``(S, N, D)``, and their labels, ``(S, N)``.

    Parameters
    ----------
    groups
        Inputs of class 0, 1, …, each ``(S, n_i, D)``; N is the sum of the n_i.
    rng
        One generator for each replica, which has an order of its own.

    Returns
    -------
    inputs : numpy.ndarray
        In float32, a copy.
    labels : numpy.ndarray
        In int64, the place of each row's class in ``groups``.

    Raises
    ------
    ValueError
        If shapes or the number of generators do not match, a value is not finite, or memory does
        not suffice.

    Examples
    --------
    >>> zeros, ones = np.zeros((1, 3, 2)), np.ones((1, 2, 2))
    >>> inputs, labels = mix([zeros, ones], rng=np.random.default_rng(0))
    >>> inputs.shape, bool((inputs[..., 0] == labels).all()), int(labels.sum())
    ((1, 5, 2), True, 2)
    """
    shapes = [np.shape(group) for group in groups]
    if not shapes or any(len(s) != 3 or s[::2] != shapes[0][::2] for s in shapes):
        raise ValueError(f"groups must have shapes (S, n_i, D) with one S and D, got {shapes}")
    groups = [as_numpy(finite(group, "groups"), None) for group in groups]
    n_replicas, _, n_inputs = shapes[0]
    rngs = streams(rng, n_replicas)
    ends = np.cumsum([0, *(group.shape[1] for group in groups)])
    shape = (n_replicas, int(ends[-1]))
    memory.require(4 * math.prod(shape) * n_inputs + 16 * math.prod(shape), "mixing the classes")
    inputs, labels = np.empty((*shape, n_inputs), np.float32), np.empty(shape, np.int64)
    for s, stream in enumerate(rngs):
        places = stream.permutation(shape[1])
        for label, group in enumerate(groups):
            to = places[ends[label] : ends[label + 1]]
            inputs[s, to], labels[s, to] = group[s], label
    return inputs, labels


def _factor(sites: int, xi: float) -> np.ndarray:
    """Correlation along one direction."""
    # Beyond this many turns what is left to add is below rounding.
    turns = math.ceil(40**0.5 * xi / sites) + 1
    memory.require(48 * turns * sites, f"a correlation length of {xi}")
    distance = abs(np.arange(sites) + sites * np.arange(-turns, turns + 1)[:, None])
    total = np.exp(-((distance / xi) ** 2)).sum(0)
    return total / total[0]


def _arcsine(c: np.ndarray, variance: float, gain: float) -> np.ndarray:
    # The argument stays below 1 for any gain, because the nugget counts above and below.
    return np.arcsin(gain**2 * c / (1 + gain**2 * variance))


def _check_grid(grid: Sequence[int]) -> None:
    whole = np.ndim(grid) == 1 and all(isinstance(sites, int | np.integer) for sites in grid)
    if not whole or len(grid) not in (1, 2) or min(grid) < 1:
        raise ValueError(f"grid must be (D,) or (p, q) with 1 site or more each, got {grid}")


def _covariance(corr: Array) -> np.ndarray:
    c = as_numpy(finite(corr, "covariance"))
    _check_grid(c.shape)
    if not (c.flat[0] > 0 and (np.abs(c) <= c.flat[0] * (1 + 1e-12)).all()):
        worst = c.flat[np.abs(c).argmax()]
        raise ValueError(f"covariance must be within its first entry {c.flat[0]}, got {worst}")
    return c


def _sample(
    covariance: Array, n: int, rng: Rng, transform: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Gaussian fields, a few rows at a time, each handed to ``transform``."""
    check_count("n", n)
    c, rngs = _covariance(covariance), streams(rng)
    if not 1e-60 <= c.flat[0] <= 1e60:
        raise ValueError(f"covariance must begin with 1e-60 to 1e60 for float32, got {c.flat[0]}")
    root = np.sqrt(_eigenvalues(c)).astype(np.float32)
    grid, size, axes = c.shape, c.size, tuple(range(1, c.ndim + 1))
    rows = max(1, CHUNK // size)
    need = 4 * size * (len(rngs) * n + 6 * min(rows, n))
    memory.require(need, f"{len(rngs)} x {n} fields of {size} sites")
    out = np.empty((len(rngs), n, size), np.float32)
    for place, stream in enumerate(rngs):
        for start in range(0, n, rows):
            white = stream.standard_normal((min(rows, n - start), *grid), dtype=np.float32)
            waves = fft.rfftn(white, axes=axes, overwrite_x=True)
            waves *= root
            z = fft.irfftn(waves, grid, axes=axes, overwrite_x=True)
            out[place, start : start + rows] = transform(z).reshape(-1, size)
    return out


def _eigenvalues(c: np.ndarray) -> np.ndarray:
    """Those of the circulant matrix, as many as a real transform has, none below 0."""
    axes = tuple(range(c.ndim))
    mirrored = np.roll(np.flip(c, axes), 1, axes)
    worst = np.abs(c - mirrored).argmax()
    if abs(c.flat[worst] - mirrored.flat[worst]) > 1e-9 * c.flat[0]:
        raise ValueError(
            "covariance must be the same to both sides of the first site, "
            f"got {mirrored.flat[worst]} and {c.flat[worst]}"
        )
    values = fft.rfftn(c).real
    if values.min() < -1e-6 * values.max():
        raise ValueError(
            f"covariance has the negative eigenvalue {values.min():.3g}, allowed are 0 or larger: "
            "choose a shorter correlation length for this grid, or a larger nugget"
        )
    return np.maximum(values, 0)
