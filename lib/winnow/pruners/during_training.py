"""Masks from weights, and pruners that act while a network trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from winnow.arrays import Array, as_mask, finite, like
from winnow.pruners.masks import n_kept, top_k
from winnow.pruners.table import Seen, named
from winnow.seeds import Rng, uniform

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
    share, w = np.asarray(fraction, float), finite(weights, "weights", axes=2)
    if not ((share >= 0) & (share < 1)).all():
        raise ValueError(f"fraction must be in [0, 1), got {fraction}")
    shape = tuple(w.shape)
    draws = uniform(rng, math.prod(shape[:-2]), shape[-2:]).reshape(shape)
    return _within(torch.from_numpy(draws >= share[..., None, None]), masks, weights)


def threshold(weights: Array, masks: Array | None = None, *, tau: Array | float) -> Array:
    r"""Keep the weights with :math:`|w| \ge \tau`.

    ``tau`` is a number or one per replica, ``(...)``; not negative.
    """
    w = finite(weights, "weights", axes=2)
    bar = torch.as_tensor(tau, dtype=w.dtype, device=w.device)
    if not bool((bar >= 0).all()):
        raise ValueError(f"tau must be 0 or larger, got {float(bar.min())}")
    return _within(w.abs() >= bar[..., None, None], masks, weights)


def half_threshold(weights: Array) -> Array:
    r"""The :math:`\lfloor N/2 \rfloor`-th smallest magnitude of each matrix, ``(...)``.

    What the author's threshold scheme freezes at its first call :cite:p:`song2025`.
    """
    flat = finite(weights, "weights", axes=2).abs().flatten(-2)
    return like(flat.kthvalue(max(1, flat.shape[-1] // 2), dim=-1).values, weights)


def magnitude(weights: Array, masks: Array | None = None, *, density: Knob) -> Array:
    r"""Keep the largest weights of each matrix.

    Parameters
    ----------
    weights
        ``(..., n, m)``, N = n m entries in each matrix.
    masks
        Weights kept so far, in bool or as 0 and 1; of the others none comes back.
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
    size = finite(weights, "weights", axes=2).abs()
    if masks is not None:
        size = size.masked_fill(~as_mask(masks).to(size.device), -1)
    return _within(top_k(size, n_kept(density, size.shape[-2:].numel())), masks, weights)


def triangular(weights: Array, masks: Array | None = None) -> Array:
    """Keep the upper triangle and the diagonal: no weight from an earlier to a later unit.

    Columns beyond the square block (a complete layer's inputs) lie above the diagonal and
    are kept.
    """
    w = finite(weights, "weights", axes=2)
    return _within(torch.ones_like(w, dtype=torch.bool).triu(), masks, weights)


def damp(weights: Array, *, factor: Knob) -> Array:
    r"""Weights with the strictly lower triangle multiplied by :math:`1 - f`.

    The diagonal is left alone. ``factor`` f is in [0, 1], one or one per replica; applied after
    every step it compounds, so it is no density: any f of 0.1 or more leaves next to nothing.
    """
    w = finite(weights, "weights", axes=2)
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


def schedule(name: str, value: Knob | None = None, *, seeds: Sequence[int] = (0,)) -> Prune:
    """A pruner as a step of training.

    Parameters
    ----------
    name
        In :data:`~winnow.pruners.PRUNERS`, of those that act at every step or are annealed.
    value
        The pruner's knob, one for all or one per replica; its meaning and range stand in the
        same table.
    seeds
        One per replica; random scores belong to them.

    Returns
    -------
    callable
        ``(weights, progress) -> weights``, applied after every optimiser step. A random mask
        or a threshold is fixed at the first call and then kept.

    Raises
    ------
    ValueError
        Unknown pruner, a value out of range, or one where none is taken.

    Examples
    --------
    >>> prune = schedule("top_k", 0.25)
    >>> prune(torch.tensor([[[1.0, -4.0], [3.0, 2.0]]]), 0.0).tolist()
    [[[0.0, -4.0], [0.0, 0.0]]]
    """
    check(name, value)
    pruner = named(name, "every step", "annealed")
    if pruner.select == "all":
        return lambda weights, progress: weights
    first: list[torch.Tensor] = []  # a mask, or a threshold, of the first step

    def amount(weights: torch.Tensor, progress: float) -> Knob | torch.Tensor:
        if not pruner.knob:
            return 1.0
        if value is None:
            first.extend([] if first else [half_threshold(weights)])
            return first[0]
        if "annealed" not in pruner.schedules:
            return value
        nothing = 1 if pruner.select == "top-k" else 0  # the value that prunes nothing
        return nothing + (value - nothing) * anneal(progress)

    def mask(weights: torch.Tensor, share: Knob | torch.Tensor) -> torch.Tensor:
        if pruner.frozen and first:
            return first[0]
        scores = pruner.score(Seen(weights, seeds=seeds))
        if pruner.select == "top-k":
            kept = magnitude(scores, density=share)
        else:
            kept = threshold(scores, tau=share)
        if pruner.frozen:
            first.append(kept)
        return kept

    def step(weights: torch.Tensor, progress: float) -> torch.Tensor:
        finite(weights, "weights", axes=2)
        share = amount(weights, progress)
        if pruner.select == "damp":
            return damp(weights, factor=share)
        return weights * mask(weights, share)

    return step


def check(name: str, value: Knob | None) -> None:
    """Raise ``ValueError`` where no pruner of training has that name, or its value is unfit."""
    pruner = named(name, "every step", "annealed")
    if value is None or not pruner.knob:
        fits = value is None and (pruner.optional or not pruner.knob)
    else:
        v, (low, high) = np.asarray(value, float), map(float, pruner.within[1:-1].split(","))
        above = v > low if pruner.within[0] == "(" else v >= low
        below = v < high if pruner.within[-1] == ")" else v <= high
        fits = bool((above & below).all())
    if not fits:
        raise ValueError(f"{name} got {value}, but takes: {pruner.takes}")


def _within(kept: torch.Tensor, masks: Array | None, weights: Array) -> Array:
    """What is kept of what was kept before, as the kind of the weights."""
    return like(kept if masks is None else kept & as_mask(masks).to(kept.device), weights)
