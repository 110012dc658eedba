"""Masks: which weights are kept. ``True`` means kept."""

import numpy as np
import torch

from winnow.arrays import Array, as_tensor, check_range, like


def n_kept(density: float | np.ndarray, n: int) -> int | np.ndarray:
    """How many of ``n`` weights a density keeps: the whole number below ``density * n``.

    Raises
    ------
    ValueError
        If a density is outside (0, 1].

    Examples
    --------
    >>> n_kept(0.5, 99)
    49
    >>> n_kept(0.29, 100)  # 0.29 * 100 is 28.999999999999996 in floating point
    29
    """
    check_range("density", density, "(0, 1]")
    kept = np.floor(np.asarray(density, float) * n + 1e-9).astype(int)
    return kept if kept.ndim else int(kept)


def top_k(scores: Array, k: int | np.ndarray) -> Array:
    """Mask of the ``k`` largest entries of each matrix; of equal entries the first win.

    Parameters
    ----------
    scores
        ``(..., n, m)``; infinite ones are larger or smaller than any other.
    k
        How many to keep in each matrix, 0 to n m: one number, or one per matrix ``(...)``.

    Returns
    -------
    Array
        Boolean, same shape, exactly ``k`` entries ``True`` in each matrix.

    Raises
    ------
    ValueError
        If ``k`` is negative or larger than a matrix, or a score is NaN.

    Examples
    --------
    >>> top_k(np.array([[3.0, 1.0], [1.0, 1.0]]), 2)
    array([[ True,  True],
           [False, False]])
    """
    tensor = as_tensor(scores)
    if tensor.ndim < 2:
        raise ValueError(f"scores must be (..., n, m), got {tuple(tensor.shape)}")
    if bool(tensor.isnan().any()):
        raise ValueError("scores must be numbers, got NaN")
    flat = tensor.flatten(-2)
    n = flat.shape[-1]
    check_range("k", k, f"[0, {n}]")
    count = torch.as_tensor(k, device=flat.device).expand(flat.shape[:-1])[..., None]
    order = flat.argsort(dim=-1, descending=True, stable=True)
    first = (torch.arange(n, device=flat.device) < count).expand_as(flat)
    return like(torch.zeros_like(first).scatter(-1, order, first).view(tensor.shape), scores)
