r"""Gaussian clones of data, and whitening: what the mean and the covariance hold.

A clone shares both with the data and nothing beyond them, so what tells the two apart are
statistics of higher order.
"""

from __future__ import annotations

import numpy as np

from winnow import memory
from winnow.seeds import Rng


def zca(inputs: np.ndarray, eps: float = 1e-2) -> np.ndarray:
    r"""Symmetric whitening matrices, ``(S, D, D)`` in float32 for inputs ``(S, n, D)``.

    .. math:: W = U (\Lambda + \epsilon \bar\lambda)^{-1/2} U^\top

    with the covariance :math:`U \Lambda U^\top` of a replica's inputs and its mean eigenvalue
    :math:`\bar\lambda`. Whiten rows by ``inputs @ W``, those of the test set too. When classes
    are to keep their differences, fit W to all of them together.

    Parameters
    ----------
    inputs
        Training data, n of 2 or more.
    eps
        Above 0. Directions whose variance is far below ``eps`` times the mean stay small, instead
        of noise being blown up.

    Raises
    ------
    ValueError
        If ``eps`` is not above 0, there are fewer than 2 inputs, or they do not vary.

    Examples
    --------
    The variances are 16/3 and 4/3, and there is no regularisation to speak of.

    >>> x = np.array([[[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]]])
    >>> (zca(x, eps=1e-9)[0].diagonal() ** -2.0 * 3).round(3).tolist()
    [16.0, 4.0]
    """
    if not eps > 0:
        raise ValueError(f"eps must be above 0, got {eps}")
    _, covariance = _moments(inputs)
    values, vectors = np.linalg.eigh(covariance)
    mean = values.mean(-1, keepdims=True)
    if not (mean > 0).all():
        raise ValueError("inputs to whiten must vary in every replica, got constant ones")
    scale = 1 / np.sqrt(np.maximum(values, 0) + eps * mean)
    return ((vectors * scale[:, None]) @ vectors.mT).astype(np.float32)


def gaussian_clone(inputs: np.ndarray, n: int, *, rng: Rng) -> np.ndarray:
    """Gaussian samples with the mean and covariance of the inputs, ``(S, n, D)`` in float32.

    What a network makes of them it can only have from these two :cite:p:`refinetti2023`. Each
    replica's clone is of its own inputs. A variance of 1e-8 times the mean one is added to every
    direction, so that inputs fewer than D, or confined to a plane, have clones too.

    Parameters
    ----------
    inputs
        What to fit, ``(S, n', D)`` with n' of 2 or more, which need not be n. Classes are cloned
        one by one.
    n
        Samples of each replica, at least 1.
    rng
        One generator for each replica.

    Raises
    ------
    ValueError
        If there are fewer than 2 inputs, one is not finite, the number of generators does not
        match, or memory does not suffice.

    Examples
    --------
    Inputs on a line have clones on that line.

    >>> x = np.array([[[0.0, 1.0], [2.0, 1.0]]])
    >>> clone = gaussian_clone(x, 3, rng=np.random.default_rng(0))
    >>> clone.shape, clone[0, :, 1].round(3).tolist()
    ((1, 3, 2), [1.0, 1.0, 1.0])
    """
    if n < 1:
        raise ValueError(f"n must be 1 or larger, got {n}")
    mean, covariance = _moments(inputs)
    streams = [rng] if isinstance(rng, np.random.Generator) else list(rng)
    n_replicas, n_pixels = mean.shape
    if len(streams) != n_replicas:
        raise ValueError(
            f"got {len(streams)} generators for {n_replicas} replicas: pass one for each"
        )
    memory.require(4 * n * n_pixels * (n_replicas + 2), f"{n_replicas} x {n} Gaussian clones")
    out = np.empty((n_replicas, n, n_pixels), np.float32)
    for place, stream in enumerate(streams):
        root = _cholesky(covariance[place]).T.astype(np.float32)
        np.matmul(stream.standard_normal((n, n_pixels), np.float32), root, out=out[place])
        out[place] += mean[place].astype(np.float32)
    return out


def _moments(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``(S, D)`` and covariance ``(S, D, D)`` of each replica, in float64."""
    inputs = np.asarray(inputs)
    if inputs.ndim != 3 or inputs.shape[1] < 2:
        raise ValueError(f"inputs must be (S, n, D) with n of 2 or more, got {inputs.shape}")
    if not np.isfinite(inputs).all():
        raise ValueError("inputs must be finite numbers, got NaN or infinity")
    memory.require(8 * inputs[0].size + 16 * len(inputs) * inputs.shape[2] ** 2, "a covariance")
    mean = inputs.mean(1, dtype=np.float64)
    covariance = np.empty((*mean.shape, mean.shape[1]))
    for place, (rows, centre) in enumerate(zip(inputs, mean, strict=True)):
        rest = rows - centre
        np.matmul(rest.T, rest, out=covariance[place])
    covariance /= inputs.shape[1] - 1
    return mean, covariance


def _cholesky(covariance: np.ndarray) -> np.ndarray:
    n = len(covariance)
    jitter = 1e-8 * max(np.trace(covariance) / n, 1e-30)
    return np.linalg.cholesky(covariance + jitter * np.eye(n))
