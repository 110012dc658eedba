r"""How far from Gaussian units are: their excess kurtosis, also without each of their weights.

A unit is a row of weights over inputs, ``(..., k, d)`` holds k of them. Public at
:mod:`winnow.metrics.locality`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from winnow.arrays import Array, as_tensor, like

#: Bytes that a block of samples fills while moments are summed: fits a cache.
_BLOCK = 2**22

#: Standard deviations below this share of the values themselves are rounding.
_ROUNDING = float(np.finfo(np.float64).resolution)

#: Cancellation up to which a moment without one weight is taken from the formula.
_CANCELLATION = 1e3


def excess_kurtosis(samples: Array) -> Array:
    r"""Excess kurtosis :math:`m_4 / m_2^2 - 3` about the sample mean, in float64.

    **Never pool classes**: a mixture of two Gaussians that differ in variance has a positive
    kurtosis, though neither has any.

    Parameters
    ----------
    samples
        ``(..., n, k)``: n samples, 2 or more, of k variables.

    Returns
    -------
    Array
        ``(..., k)``, −2 or larger; 0 for a Gaussian. NaN for a column that is constant, but for
        rounding.

    Raises
    ------
    ValueError
        If there are fewer than 2 samples, or one is not finite.

    Examples
    --------
    >>> excess_kurtosis(np.array([[0.0, 5.0], [1.0, 5.0], [0.0, 5.0], [1.0, 5.0]])).tolist()
    [-2.0, nan]
    """
    x = finite(samples, "samples").double()
    if x.shape[-2] < 2:
        raise ValueError(f"samples must be 2 or more, got {x.shape[-2]}")
    y = x - x.mean(-2, keepdim=True)
    peak = y.abs().amax(-2, keepdim=True)
    y /= torch.where(peak > _ROUNDING * x.abs().amax(-2, keepdim=True), peak, math.nan)
    square = y * y
    return like((square * square).mean(-2) / square.mean(-2) ** 2 - 3, samples)


def unit_kurtosis(weights: Array, inputs: Array) -> Array:
    r"""Excess kurtosis of the pre-activations :math:`\lambda_k = \sum_i w_{ki} x_i`.

    Weights ``(..., k, d)`` and inputs ``(..., n, d)`` of one class to ``(..., k)``; batch axes
    broadcast. NaN for a unit without weights, or all of whose inputs are constant. See
    :func:`~winnow.metrics.locality.excess_kurtosis`. Biases do not matter.
    """
    w, x = _layer(weights, inputs)
    m2, m4 = 0.0, 0.0
    for c in _centred(x, w):  # so that pre-activations are centred too
        square = (c @ w.mT).square_()
        m2, m4 = m2 + square.sum(-2), m4 + square.square_().sum(-2)
    return like(x.shape[-2] * m4 / m2**2 - 3, weights)


def cavity_kurtosis(weights: Array, inputs: Array, *, dtype: str = "float64") -> Array:
    r"""Excess kurtosis of each pre-activation without one of its weights, for all at once.

    With centred inputs x, :math:`\lambda_k = \sum_i w_{ki} x_i` and
    :math:`M_{ab} = \langle \lambda_k^a x_i^b \rangle`, what remains without weight i has

    .. math:: m_2' &= M_{20} - 2 w M_{11} + w^2 M_{02} \\
       m_4' &= M_{40} - 4 w M_{31} + 6 w^2 M_{22} - 4 w^3 M_{13} + w^4 M_{04}

    and kurtosis :math:`m_4' / m_2'^2 - 3`: four matrix products, and exact. A cavity in the sense
    of :cite:p:`redman2024`. Pass samples of one class, as for
    :func:`~winnow.metrics.locality.excess_kurtosis`.

    Parameters
    ----------
    weights
        ``(..., k, d)``; a zero is a weight that is not there.
    inputs
        ``(..., n, d)``, n of 2 or more. Batch axes broadcast with those of the weights.
    dtype
        ``"float64"``, or ``"float32"`` for speed and about four digits.

    Returns
    -------
    Array
        ``(..., k, d)``. Where the weight is 0, the unit's own kurtosis; NaN where no weight
        remains, or only such whose inputs are constant.

    Raises
    ------
    ValueError
        If shapes do not fit, samples are fewer than 2, a number is not finite, or dtype is another.

    Notes
    -----
    Time :math:`O(n k d)`, against :math:`O(n k d^2)` for deleting one by one; memory
    :math:`O(k d)` and one block of samples. Where a weight carries nearly all of its unit, the
    formula is a small difference of large numbers: such weights, seldom more than one a unit,
    are really deleted.

    Examples
    --------
    >>> x = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 0.0], [-1.0, 0.0]])
    >>> cavity_kurtosis(np.array([[2.0, 5.0]]), x).round(9).tolist()  # 2 0's and ±1; 2 ±1's
    [[-1.0, -2.0]]
    """
    if dtype not in ("float64", "float32"):
        raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
    w, x = _layer(weights, inputs)
    w = w.to(getattr(torch, dtype))
    m2, m4, bound = _moments_without(w, x)
    doubtful = (w != 0) & ~(bound < _CANCELLATION * m4)
    return like(_delete(w, x, doubtful, m4 / m2**2 - 3).to(w.dtype), weights)


def finite(array: Array, name: str) -> torch.Tensor:
    """The values as a tensor of two axes or more, refused under ``name`` if not finite."""
    x = as_tensor(array).detach()
    if x.ndim < 2 or not bool(x.isfinite().all()):
        wrong = f"shape {tuple(x.shape)}" if x.ndim < 2 else "NaN or infinity"
        raise ValueError(f"{name} must be finite, with two axes or more, got {wrong}")
    return x


def _layer(weights: Array, inputs: Array) -> tuple[torch.Tensor, torch.Tensor]:
    w, x = finite(weights, "weights").double(), finite(inputs, "inputs")
    if w.shape[-1] != x.shape[-1] or x.shape[-2] < 2:
        raise ValueError(
            f"inputs must be (..., n, {w.shape[-1]}) as weights are {tuple(w.shape)}, "
            f"with n of 2 or more, got {tuple(x.shape)}"
        )
    pairs = zip(reversed(w.shape[:-2]), reversed(x.shape[:-2]), strict=False)
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        raise ValueError(f"batch axes must broadcast, got {tuple(w.shape)} and {tuple(x.shape)}")
    return w, x


def _replicas(w: torch.Tensor, x: torch.Tensor) -> int:
    return max(1, math.prod(torch.broadcast_shapes(w.shape[:-2], x.shape[:-2])))


def _centred(x: torch.Tensor, w: torch.Tensor) -> Iterator[torch.Tensor]:
    """Blocks of samples less their mean, as exact as ``w``; zeros for a constant input."""
    row = w.element_size() * _replicas(w, x) * 3 * (w.shape[-1] + w.shape[-2])
    blocks, first = x.split(max(1, _BLOCK // row), -2), x[..., :1, :].to(w.dtype)
    mean = sum((b.to(w.dtype) - first).sum(-2, keepdim=True) for b in blocks) / x.shape[-2]
    return ((b.to(w.dtype) - first).sub_(mean) for b in blocks)


def _moments_without(w: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Second and fourth moments without each weight, and a size that shows cancellation."""
    total = [0.0] * 8
    for c in _centred(x, w):
        y, c2 = c @ w.mT, c * c
        y2 = y * y
        parts = (
            y2.sum(-2)[..., None], (y2 * y2).sum(-2)[..., None],
            c2.sum(-2)[..., None, :], (c2 * c2).sum(-2)[..., None, :],
            y.mT @ c, (y2 * y).mT @ c, y2.mT @ c2, y.mT @ (c2 * c),
        )  # fmt: skip
        total = [t + p.double() for t, p in zip(total, parts, strict=True)]
    m20, m40, m02, m04, m11, m31, m22, m13 = (t / x.shape[-2] for t in total)
    w = w.double()
    m2 = m20 + w * (w * m02 - 2 * m11)
    m4 = m40 + w * (w * (6 * m22 + w * (w * m04 - 4 * m13)) - 4 * m31)
    return m2, m4, (m40**0.25 + w.abs() * m04**0.25) ** 4


def _delete(
    w: torch.Tensor, x: torch.Tensor, chosen: torch.Tensor, kurtosis: torch.Tensor
) -> torch.Tensor:
    """``kurtosis`` with the chosen entries replaced by what deleting the weight gives."""
    d, marked = w.shape[-1], chosen.expand(kurtosis.shape).flatten(-2)
    most = int(marked.sum(-1).amax()) if marked.numel() else 0
    if most == 0:
        return kurtosis
    # As many entries in each replica as in the one that needs most, the chosen ones first.
    at = marked.byte().argsort(dim=-1, descending=True, stable=True)[..., :most]
    rows = w.expand(*kurtosis.shape).gather(-2, (at // d)[..., None].expand(*at.shape, d))
    rows = rows.scatter(-1, (at % d)[..., None], 0.0)
    flat = kurtosis.flatten(-2)
    new = torch.where(marked.gather(-1, at), unit_kurtosis(rows, x), flat.gather(-1, at))
    return flat.scatter(-1, at, new).view(kurtosis.shape)
