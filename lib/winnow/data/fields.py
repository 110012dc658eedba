r"""Stationary random fields on a ring or torus, Gaussian or not, with covariance in closed form.

A Gaussian field z is put through one function, pixel by pixel: :math:`\mathrm{erf}(g z/\sqrt 2)`
pulls the pixels to :math:`\pm 1` (sub-Gaussian) :cite:p:`ingrosso2022`,
:math:`\mathrm{sign}(z) |z|^p` with :math:`p > 1` makes them rare and large (super-Gaussian). The
covariance of the result is known, so a Gaussian field with the very same one can stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import fft, special

from winnow import memory
from winnow.data import kernels
from winnow.seeds import Rng

#: Values that are drawn and transformed at once; what fits into a processor's cache is fastest.
CHUNK = 2**17


def gaussian_process(covariance: np.ndarray, n: int, *, rng: Rng) -> np.ndarray:
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
    grid: Sequence[int], xi: float, n: int, *, gain: float, rng: Rng, all_ways: bool = False
) -> np.ndarray:
    r"""Sub-Gaussian fields :math:`\mathrm{erf}(g z/\sqrt 2)/\sqrt\gamma`, ``(S, n, D)`` in float32.

    z has the :func:`~winnow.data.correlation` of ``grid`` and ``xi``; the variance is 1 and
    the covariance that of :func:`~winnow.data.nonlinear_covariance` :cite:p:`ingrosso2022`.

    Parameters
    ----------
    grid, xi, all_ways
        As for :func:`~winnow.data.correlation`.
    n, rng
        As for :func:`~winnow.data.gaussian_process`.
    gain
        As for :func:`~winnow.data.nonlinear_covariance`.

    Raises
    ------
    ValueError
        As by these three, among them a ``xi`` too long for the grid.

    Examples
    --------
    Variance 1, and no pixel beyond 1/√γ:

    >>> x = nonlinear_process((10,), 1.0, 2000, gain=1.0, rng=np.random.default_rng(0))
    >>> x.shape, round(float(x.std()), 1), bool(abs(x).max() < 3**0.5)
    ((1, 2000, 10), 1.0, True)
    """
    corr = kernels.correlation(grid, xi, all_ways=all_ways)
    scale = 1 / math.sqrt(kernels.erf_variance(gain, variance=corr.flat[0]))

    def squash(z: np.ndarray) -> np.ndarray:
        z *= np.float32(gain / math.sqrt(2))
        special.erf(z, out=z)
        z *= np.float32(scale)
        return z

    return _sample(corr, n, rng, squash)


def power_process(
    grid: Sequence[int], xi: float, n: int, *, power: float, rng: Rng, all_ways: bool = False
) -> np.ndarray:
    r"""Fields :math:`\mathrm{sign}(z)|z|^p` of variance 1, ``(S, n, D)`` in float32.

    They are super-Gaussian for p above 1. z has the :func:`~winnow.data.correlation` of ``grid``
    and ``xi``, and they have the covariance of :func:`~winnow.data.power_covariance`.

    Parameters
    ----------
    grid, xi, all_ways
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
    kernels.check_power(power)
    corr = kernels.correlation(grid, xi, all_ways=all_ways)
    # E |z|^2p for a standard normal; the variance of z is divided out before the power.
    moment = 2**power * special.gamma(power + 0.5) / math.sqrt(math.pi)
    scale = moment ** (-0.5 / power) / math.sqrt(corr.flat[0])

    def stretch(z: np.ndarray) -> np.ndarray:
        z *= np.float32(scale)
        return np.copysign(np.abs(z) ** np.float32(power), z)

    return _sample(corr, n, rng, stretch)


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
        If shapes or the number of generators do not match, or memory does not suffice.

    Examples
    --------
    >>> zeros, ones = np.zeros((1, 3, 2)), np.ones((1, 2, 2))
    >>> inputs, labels = mix([zeros, ones], rng=np.random.default_rng(0))
    >>> inputs.shape, bool((inputs[..., 0] == labels).all()), int(labels.sum())
    ((1, 5, 2), True, 2)
    """
    streams, n_inputs = _check_groups(groups, rng)
    ends = np.cumsum([0, *(group.shape[1] for group in groups)])
    shape = (len(streams), int(ends[-1]))
    memory.require(4 * math.prod(shape) * n_inputs + 16 * math.prod(shape), "mixing the classes")
    inputs, labels = np.empty((*shape, n_inputs), np.float32), np.empty(shape, np.int64)
    for s, stream in enumerate(streams):
        places = stream.permutation(shape[1])
        for label, group in enumerate(groups):
            to = places[ends[label] : ends[label + 1]]
            inputs[s, to], labels[s, to] = group[s], label
    return inputs, labels


def _sample(
    covariance: np.ndarray, n: int, rng: Rng, transform: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Gaussian fields, a few rows at a time, each handed to ``transform``."""
    if n < 1:
        raise ValueError(f"n must be 1 or larger, got {n}")
    root = np.sqrt(_eigenvalues(covariance)).astype(np.float32)
    grid = np.shape(covariance)
    size, axes = math.prod(grid), tuple(range(1, len(grid) + 1))
    streams = [rng] if isinstance(rng, np.random.Generator) else list(rng)
    rows = max(1, CHUNK // size)
    need = 4 * size * (len(streams) * n + 6 * min(rows, n))
    memory.require(need, f"{len(streams)} x {n} fields of {size} sites")
    out = np.empty((len(streams), n, size), np.float32)
    for place, stream in enumerate(streams):
        for start in range(0, n, rows):
            white = stream.standard_normal((min(rows, n - start), *grid), dtype=np.float32)
            waves = fft.rfftn(white, axes=axes, overwrite_x=True)
            waves *= root
            z = fft.irfftn(waves, grid, axes=axes, overwrite_x=True)
            out[place, start : start + rows] = transform(z).reshape(-1, size)
    return out


def _eigenvalues(covariance: np.ndarray) -> np.ndarray:
    """Those of the circulant matrix, as many as a real transform has, none below 0."""
    c = kernels.check_covariance(covariance)
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


def _check_groups(
    groups: Sequence[np.ndarray], rng: Rng
) -> tuple[Sequence[np.random.Generator], int]:
    shapes = [np.shape(group) for group in groups]
    if not shapes or any(len(s) != 3 or s[::2] != shapes[0][::2] for s in shapes):
        raise ValueError(f"groups must have shapes (S, n_i, D) with one S and D, got {shapes}")
    streams = [rng] if isinstance(rng, np.random.Generator) else list(rng)
    if len(streams) != shapes[0][0]:
        n = shapes[0][0]
        raise ValueError(f"got {len(streams)} generators for {n} replicas: pass one for each")
    return streams, shapes[0][2]
