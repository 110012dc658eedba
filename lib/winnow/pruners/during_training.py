"""Rules that prune while a network trains, and their schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from winnow.arrays import Array, as_tensor, like
from winnow.pruners.masks import n_kept, top_k
from winnow.seeds import Rng, generators, uniform

#: The schemes of :cite:t:`song2025`, the meaning of their value, and its admissible range.
SCHEMES = {
    "none": "no pruning; takes no value",
    "random": "fraction pruned by one fixed random mask, [0, 1)",
    "threshold": "magnitude below which a weight goes, [0, inf); none: half the weights at first",
    "top_k": "density kept at every step, (0, 1]",
    "dynamic_top_k": "density kept at the end, (0, 1]",
    "damp": "share taken from the lower triangle at every step, [0, 1]",
    "dynamic_damp": "share taken from the lower triangle at the end, [0, 1]",
    "triangular": "the lower triangle is cut; takes no value",
}

#: One number for all replicas or an array with one for each.
Knob = float | np.ndarray

#: A step of training, ``(weights, progress) -> weights``.
Prune = Callable[[torch.Tensor, float], torch.Tensor]


def random(weights: Array, masks: Array | None = None, *, fraction: Knob, rng: Rng) -> Array:
    """Drop each kept weight with the same probability.

    Parameters
    ----------
    weights
        ``(..., n, m)``; only the shape matters.
    masks
        Weights kept so far, same shape; all when absent.
    fraction
        Probability to drop a weight, in [0, 1), one or one per replica. The author's code calls
        it ``p`` and documents it as the probability of *keeping*; it is not
        :cite:p:`song2025`.
    rng
        One generator, or one per replica.

    Returns
    -------
    Array
        New masks, a subset of ``masks``. For one stream, masks are nested in ``fraction``.

    Raises
    ------
    ValueError
        If the fraction is outside [0, 1).
    """
    share = np.asarray(fraction, float)
    if not ((share >= 0) & (share < 1)).all():
        raise ValueError(f"fraction must be in [0, 1), got {fraction}")
    shape = tuple(weights.shape)
    draws = uniform(rng, math.prod(shape[:-2]), shape[-2:]).reshape(shape)
    kept = like(draws >= share[..., None, None], weights)
    return kept if masks is None else kept & masks


def threshold(weights: Array, masks: Array | None = None, *, tau: Array | float) -> Array:
    r"""Keep the weights with :math:`|w| \ge \tau`.

    ``tau`` is a number or one per replica, ``(...)``; not negative.
    """
    w = as_tensor(weights)
    bar = torch.as_tensor(tau, dtype=w.dtype, device=w.device)
    if bool((bar < 0).any()):
        raise ValueError(f"tau must be 0 or larger, got {float(bar.min())}")
    kept = like(w.abs() >= bar[..., None, None], weights)
    return kept if masks is None else kept & masks


def half_threshold(weights: Array) -> Array:
    r"""The :math:`\lfloor N/2 \rfloor`-th smallest magnitude of each matrix, ``(...)``.

    What the author's threshold scheme freezes at its first call :cite:p:`song2025`.
    """
    flat = as_tensor(weights).abs().flatten(-2)
    return like(flat.kthvalue(flat.shape[-1] // 2, dim=-1).values, weights)


def magnitude(weights: Array, masks: Array | None = None, *, density: Knob) -> Array:
    r"""Keep the largest weights of each matrix.

    Parameters
    ----------
    weights
        ``(..., n, m)``, N = n m entries in each matrix.
    masks
        Weights kept so far; of the others none comes back.
    density
        Share kept of all N, in (0, 1], one or one per replica:
        :math:`\lfloor \text{density} \cdot N \rfloor` stay.

    Returns
    -------
    Array
        Masks; ties are broken by position, so the count is exact.

    Examples
    --------
    >>> import numpy as np
    >>> magnitude(np.array([[3.0, -1.0], [0.5, -2.0]]), density=0.5)
    array([[ True, False],
           [False,  True]])
    """
    size = as_tensor(weights).abs()
    if masks is not None:
        size = size.masked_fill(~as_tensor(masks), -1.0)
    kept = top_k(size, n_kept(density, size.shape[-2] * size.shape[-1]))
    return like(kept & (size >= 0), weights)


def triangular(weights: Array, masks: Array | None = None) -> Array:
    """Keep the upper triangle and the diagonal: no weight from an earlier to a later unit.

    Columns beyond the square block (a complete layer's inputs) lie above the diagonal and
    are kept.
    """
    kept = like(torch.ones_like(as_tensor(weights), dtype=torch.bool).triu(), weights)
    return kept if masks is None else kept & masks


def damp(weights: Array, *, factor: Knob) -> Array:
    r"""Weights with the strictly lower triangle multiplied by :math:`1 - f`.

    The diagonal is left alone. ``factor`` f is in [0, 1], one or one per replica; applied after
    every step it compounds, so it is no density: any f of 0.1 or more leaves next to nothing.
    """
    w = as_tensor(weights)
    f = torch.as_tensor(factor, dtype=w.dtype, device=w.device)
    if not bool(((f >= 0) & (f <= 1)).all()):
        raise ValueError(f"factor must be in [0, 1], got {factor}")
    return like(w - f[..., None, None] * w.tril(-1), weights)


def anneal(progress: float) -> float:
    r"""How far a dynamic schedule has come, :math:`s(p) = \sin^4(\pi p / 2)`.

    Training progress p is epoch / epochs and never reaches 1 :cite:p:`song2025`.

    Examples
    --------
    >>> anneal(0.0), round(anneal(0.5), 12), anneal(1.0)
    (0.0, 0.25, 1.0)
    """
    return math.sin(math.pi * progress / 2) ** 4


def schedule(scheme: str, value: Knob | None = None, *, seeds: Sequence[int] = (0,)) -> Prune:
    """One of the eight schemes as a step of training.

    Parameters
    ----------
    scheme
        A key of :data:`~winnow.pruners.SCHEMES`.
    value
        The scheme's knob, one for all or one per replica; its meaning and range stand in the
        same table.
    seeds
        One per replica; the random scheme draws its fixed masks from them.

    Returns
    -------
    callable
        ``(weights, progress) -> weights``, applied after every optimiser step. A random mask
        or a threshold is fixed at the first call and then kept.

    Raises
    ------
    ValueError
        Unknown scheme, a value out of range, or one where none is taken.
    """
    check_scheme(scheme, value)
    if scheme == "none":
        return lambda weights, progress: weights
    if scheme == "random":
        rngs = generators(seeds, "random mask")
        mask = _once(lambda w: random(w, fraction=value, rng=rngs))
        return lambda weights, progress: weights * mask(weights)
    if scheme == "threshold":
        tau = _once(half_threshold) if value is None else (lambda weights: value)
        return lambda weights, progress: weights * threshold(weights, tau=tau(weights))
    if scheme == "top_k":
        return lambda weights, progress: weights * magnitude(weights, density=value)
    if scheme == "dynamic_top_k":
        return lambda weights, progress: (
            weights * magnitude(weights, density=1 - (1 - value) * anneal(progress))
        )
    if scheme == "damp":
        return lambda weights, progress: damp(weights, factor=value)
    if scheme == "dynamic_damp":
        return lambda weights, progress: damp(weights, factor=value * anneal(progress))
    return lambda weights, progress: weights * triangular(weights)


def check_scheme(scheme: str, value: Knob | None) -> None:
    """Raise ``ValueError`` where a scheme is unknown or its value out of range."""
    if scheme not in SCHEMES:
        raise ValueError(f"unknown pruning scheme {scheme!r}: choose from {', '.join(SCHEMES)}")
    if scheme in ("none", "triangular") or (scheme == "threshold" and value is None):
        fits = value is None
    else:
        v = np.asarray(np.nan if value is None else value, float)
        above = v > 0 if scheme.endswith("top_k") else v >= 0
        below = {"random": v < 1, "threshold": v < np.inf}.get(scheme, v <= 1)
        fits = bool((above & below).all())
    if not fits:
        raise ValueError(f"{scheme} got {value}, but takes: {SCHEMES[scheme]}")


def _once(draw: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function's first result, whatever it is called with later."""
    first: list[torch.Tensor] = []

    def remembered(weights: torch.Tensor) -> torch.Tensor:
        if not first:
            first.append(draw(weights))
        return first[0]

    return remembered
