"""Masks from weights, and pruners that act while a network trains."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from winnow.arrays import Array, check_range, finite, like
from winnow.pruners.masks import n_kept, top_k
from winnow.pruners.table import Seen, named

#: One number for all replicas or an array with one for each.
Knob = float | np.ndarray

#: A step of training, ``(weights, progress) -> weights``.
Prune = Callable[[torch.Tensor, float], torch.Tensor]


def threshold(scores: Array, *, tau: Array | float) -> Array:
    r"""Keep what is worth at least :math:`\tau`.

    ``tau`` is a number or one per replica, ``(...)``; not negative.
    """
    check_range("tau", tau, "[0, inf)")
    worth = finite(scores, "scores", axes=2)
    bar = torch.as_tensor(tau, dtype=worth.dtype, device=worth.device)
    return like(worth >= bar[..., None, None], scores)


def half_threshold(scores: Array) -> Array:
    r"""The :math:`\lfloor N/2 \rfloor`-th smallest score of each matrix, ``(...)``.

    What the author's threshold scheme, whose scores are magnitudes, freezes at its first call
    :cite:p:`song2025`.
    """
    flat = finite(scores, "scores", axes=2).flatten(-2)
    return like(flat.kthvalue(max(1, flat.shape[-1] // 2), dim=-1).values, scores)


def magnitude(weights: Array, *, density: Knob) -> Array:
    r"""Keep the largest weights of each matrix.

    Parameters
    ----------
    weights
        ``(..., n, m)``, N = n m entries in each matrix.
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
    return like(top_k(size, n_kept(density, size.shape[-2:].numel())), weights)


def damp(weights: Array, *, factor: Knob) -> Array:
    r"""Weights with the strictly lower triangle multiplied by :math:`1 - f`.

    The diagonal is left alone. ``factor`` f is in [0, 1], one or one per replica; applied after
    every step it compounds, so it is no density: any f of 0.1 or more leaves next to nothing.
    """
    check_range("factor", factor, "[0, 1]")
    w = finite(weights, "weights", axes=2)
    f = torch.as_tensor(factor, dtype=w.dtype, device=w.device)
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
    first: list[torch.Tensor] = []  # a mask, or a threshold, of the first step

    def step(weights: torch.Tensor, progress: float) -> torch.Tensor:
        if pruner.select == "all":
            return weights
        share = value
        if "annealed" in pruner.schedules:
            nothing = 1 if pruner.select == "top-k" else 0  # the value that prunes nothing
            share = nothing + (value - nothing) * anneal(progress)
        if pruner.select == "damp":
            return damp(weights, factor=share)
        if pruner.select == "fixed" and first:
            return finite(weights, "weights", axes=2) * first[0]
        scores = pruner.score(Seen(finite(weights, "weights", axes=2), seeds=seeds))
        if pruner.select == "top-k":
            return weights * top_k(scores, n_kept(share, scores.shape[-2:].numel()))
        if pruner.select == "threshold":
            if not first:
                first.append(half_threshold(scores) if value is None else value)
            return weights * threshold(scores, tau=first[0])
        first.append(threshold(scores, tau=1.0 if value is None else value))
        return weights * first[0]

    return step


def check(name: str, value: Knob | None) -> None:
    """Raise ``ValueError`` where no pruner of training has that name, or its value is unfit."""
    pruner = named(name, "every step", "annealed")
    if value is None and (pruner.optional or not pruner.knob):
        return
    try:  # a pruner without a knob has a range that holds no number
        check_range(name, np.nan if value is None else value, pruner.within or "(0, 0)")
    except ValueError:
        takes = f"{pruner.knob}, {pruner.within}" if pruner.knob else f"no value ({pruner.words})"
        raise ValueError(f"{name} got {value}, but takes: {takes}") from None
