r"""Orderedness: how nearly weights flow one way.

:cite:t:`song2025` orders the units of a network so that as little absolute weight as possible
runs backward, and calls the share that does not its orderedness. The search over orders is the
linear ordering problem (minimum feedback arc set). The paper tries every permutation; here a
recursion over subsets solves it exactly, and an integer program with a certified bracket takes
over where subsets become too many.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from winnow.arrays import Array, as_numpy, as_tensor, finite, like, square_matrices, unit_scale
from winnow.metrics import linear_ordering
from winnow.seeds import Rng, uniform

#: Free units up to which the subset recursion is used; time and memory double with each more.
MAX_EXACT = 20


@dataclass(frozen=True)
class Order:
    """Orderedness of each matrix, and an order of the units that attains it."""

    value: Array  #: orderedness (...), in [0, 1]; NaN for an all-zero matrix
    order: Array  #: units from the output's end to the input's end, (..., n)
    lower: Array  #: certified bounds (...); equal to ``value`` where it is exact
    upper: Array

    @property
    def exact(self) -> Array:
        """Whether no order does better, ``(...)``; so it is for an all-zero matrix."""
        return ~(self.lower < self.upper)


def orderedness(weights: Array, *, n_fixed: int = 0, time_limit: float = 60.0) -> Order:
    r"""Largest share of absolute weight that some order of the units leaves running forward.

    .. math:: O(W) = 1 - \min_\pi \frac{\sum_{i > j} |W_{\pi_i \pi_j}|}{\sum_{i,j} |W_{ij}|}

    over the orders :math:`\pi` that begin with the first ``n_fixed`` units. With row = target,
    column = source and outputs first, the numerator is the weight that flows away from the
    output :cite:p:`song2025`. Self-loops are never counted as backward but are in the
    denominator, so they count as ordered.

    Parameters
    ----------
    weights
        Square blocks ``(..., n, n)``; signs do not matter.
    n_fixed
        Units m that open every order, in their given sequence: the outputs. In [0, n].
    time_limit
        Seconds for each matrix, used above 20 free units only: for heuristics first, then for an
        integer program if there is time for it.

    Returns
    -------
    Order
        Exact, with ``lower == value == upper``, up to 20 free units, and above that wherever
        the integer program closes in time; otherwise a bracket that holds the exact value, with
        the value that ``order`` attains as ``lower``. The unit of the weights does not matter.
        All-zero matrices give NaN and the identity order.

    Raises
    ------
    ValueError
        If the matrices are not square or not finite, ``n_fixed`` or ``time_limit`` is out of
        range, or the integer program does not fit into memory.

    Notes
    -----
    With the free block :math:`B` of h = n − m units, the cost of a set S of units that come
    first obeys :math:`f(S) = \min_{v \in S} [f(S \setminus v) + \sum_{u \in S \setminus v}
    |B_{vu}|]`: :math:`O(2^h h)` time and :math:`O(2^h)` memory.

    Examples
    --------
    >>> chain = np.array([[0, 2, 0], [0, 0, 3], [1, 0, 0]])  # 0 <- 1 <- 2, and 0 -> 2
    >>> result = orderedness(chain)
    >>> round(float(result.value), 12), result.order.tolist()  # the 1 runs backward
    (0.833333333333, [0, 1, 2])
    """
    a = _in_units(_magnitudes(weights, n_fixed, time_limit))
    n, batch = a.shape[-1], a.shape[:-2]
    flat = a.reshape(-1, n, n)
    constant, total = _prefix_cost(flat, n_fixed), flat.sum((-2, -1))
    if n - n_fixed <= MAX_EXACT:
        cost, free = linear_ordering.subset_search(flat[:, n_fixed:, n_fixed:])
        bound = cost
    else:
        cost, bound, free = linear_ordering.integer_program(
            flat[:, n_fixed:, n_fixed:], time_limit=time_limit
        )
    order = np.concatenate(
        [np.broadcast_to(np.arange(n_fixed), (len(flat), n_fixed)), free + n_fixed], axis=1
    )
    value, upper = (_share(total, constant + c).reshape(batch)[()] for c in (cost, bound))
    back = functools.partial(like, template=weights)
    return Order(back(value), back(order.reshape(*batch, n)), back(value), back(upper))


def value(weights: Array, *, n_fixed: int = 0, time_limit: float = 60.0) -> Array:
    """Exact orderedness alone, ``(..., n, n)`` to ``(...)``: quicker, as no order is traced back.

    As :func:`~winnow.metrics.orderedness.orderedness`. NaN where that knows a bracket only, which
    can be above 20 free units.
    """
    a = _in_units(_magnitudes(weights, n_fixed, time_limit))
    if a.shape[-1] - n_fixed > MAX_EXACT:
        found = orderedness(a, n_fixed=n_fixed, time_limit=time_limit)
        return like(np.where(found.exact, found.value, np.nan)[()], weights)
    flat = a.reshape(-1, *a.shape[-2:])
    cost, _ = linear_ordering.subset_search(flat[:, n_fixed:, n_fixed:], trace=False)
    share = _share(flat.sum((-2, -1)), _prefix_cost(flat, n_fixed) + cost)
    return like(share.reshape(a.shape[:-2])[()], weights)


@dataclass(frozen=True)
class Disorder:
    """The parts of 1 − orderedness, each ``(...)``; they add up to it exactly."""

    prefix: Array  #: among the fixed units, against their given sequence
    feedback: Array  #: from the fixed units (the outputs) back to the free ones
    reciprocity: Array  #: the weaker direction of free units that drive each other
    frustration: Array  #: longer cycles among free units; NaN where orderedness is not exact


def decompose(weights: Array, *, n_fixed: int = 0, time_limit: float = 60.0) -> Disorder:
    r"""Why a matrix is not perfectly ordered: :math:`1 - O` split without remainder.

    .. math:: 1 - O = \frac{C_F}{T} + \frac{F}{T} + \frac{\sum_{i<j} \min(B_{ij}, B_{ji})}{T}
       + \frac{L(B) - \sum_{i<j} \min(B_{ij}, B_{ji})}{T}

    with total T, backward weight :math:`C_F` among the fixed units, weight F from fixed to
    free units, free block B and its cheapest order's cost L(B).

    Parameters
    ----------
    weights, n_fixed, time_limit
        As for :func:`~winnow.metrics.orderedness.orderedness`.

    Returns
    -------
    Disorder
        Four shares of the total weight, NaN for an all-zero matrix.

    Examples
    --------
    >>> parts = decompose(np.array([[1, 2, 2], [1, 0, 1], [0, 3, 0]]), n_fixed=1)
    >>> [f"{p:.3f}" for p in (parts.feedback, parts.reciprocity)]
    ['0.100', '0.100']
    """
    a = _in_units(_magnitudes(weights, n_fixed, time_limit))
    free = a[..., n_fixed:, n_fixed:]
    total = np.where((t := a.sum((-2, -1))) == 0, np.nan, t)
    prefix = np.tril(a[..., :n_fixed, :n_fixed], -1).sum((-2, -1)) / total
    feedback = a[..., n_fixed:, :n_fixed].sum((-2, -1)) / total
    mutual = np.tril(np.minimum(free, free.mT), -1).sum((-2, -1)) / total
    rest = 1 - value(a, n_fixed=n_fixed, time_limit=time_limit) - prefix - feedback - mutual
    return Disorder(*(like(p[()], weights) for p in (prefix, feedback, mutual, rest)))


def flip_directions(weights: Array, *, n_draws: int, rng: Rng) -> Array:
    """Copies in which each pair of opposite weights is swapped with probability 1/2.

    Every undirected weight, the diagonal, the density and the reciprocity stay; only direction
    is randomised. This is the null model for a claim about direction.

    Parameters
    ----------
    weights
        ``(..., n, n)``.
    n_draws
        Copies K of each, at least 1.
    rng
        One generator, or one for each matrix.

    Returns
    -------
    Array
        ``(..., K, n, n)``, absolute values.
    """
    a = _magnitudes(weights)
    n = a.shape[-1]
    rows, columns = np.tril_indices(n, -1)
    flat = a.reshape(-1, 1, n, n)
    swap = uniform(rng, len(flat), (_draws(n_draws), len(rows))) < 0.5
    copies = np.repeat(flat, n_draws, axis=1)
    low, high = flat[..., rows, columns], flat[..., columns, rows]
    copies[..., rows, columns] = np.where(swap, high, low)
    copies[..., columns, rows] = np.where(swap, low, high)
    return like(copies.reshape(*a.shape[:-2], n_draws, n, n), weights)


def shuffle_entries(weights: Array, *, within: str, n_draws: int, rng: Rng) -> Array:
    """Copies with entries permuted: a null that keeps the values but not where they stand.

    Parameters
    ----------
    weights, n_draws, rng
        As for :func:`~winnow.metrics.orderedness.flip_directions`.
    within
        ``"all"`` entries, the ``"off-diagonal"`` ones, or each of the ``"rows"`` by itself.

    Returns
    -------
    Array
        ``(..., K, n, n)``, absolute values.
    """
    a = _magnitudes(weights)
    n = a.shape[-1]
    flat = a.reshape(-1, 1, n * n)
    keys = uniform(rng, len(flat), (_draws(n_draws), n * n))
    if within == "all":
        copies = np.take_along_axis(flat, keys.argsort(-1), -1)
    elif within == "rows":
        source = keys.reshape(len(flat), n_draws, n, n).argsort(-1)
        copies = np.take_along_axis(flat.reshape(-1, 1, n, n), source, -1)
    elif within == "off-diagonal":
        off = np.flatnonzero(~np.eye(n, dtype=bool))
        copies = np.repeat(flat, n_draws, axis=1)
        copies[..., off] = np.take_along_axis(flat[..., off], keys[..., off].argsort(-1), -1)
    else:
        raise ValueError(f"within must be 'all', 'off-diagonal' or 'rows', got {within!r}")
    return like(copies.reshape(*a.shape[:-2], n_draws, n, n), weights)


def flip_null(
    weights: Array, *, n_fixed: int = 0, n_draws: int = 50, rng: Rng, time_limit: float = 60.0
) -> Array:
    """Orderedness of direction-randomised copies, ``(..., n, n)`` to ``(..., n_draws)``.

    See :func:`~winnow.metrics.orderedness.flip_directions`, and
    :func:`~winnow.metrics.orderedness.value` for copies that are NaN. Orderedness less the mean of
    this null is the *excess*: the part that density and reciprocity do not explain.
    """
    copies = flip_directions(weights, n_draws=n_draws, rng=rng)
    return value(copies, n_fixed=n_fixed, time_limit=time_limit)


def without_diagonal(weights: Array) -> Array:
    """The weights with self-loops set to zero, ``(..., n, n)``."""
    a = as_numpy(square_matrices(weights, "weights"))
    return like(a * ~np.eye(a.shape[-1], dtype=bool), weights)


def hidden_block(weights: Array, *, n_outputs: int) -> Array:
    """Weights among hidden units, self-loops set to zero, ``(..., h, h)``."""
    return without_diagonal(weights[..., n_outputs:, n_outputs:])


def sink_index(weights: Array, *, n_outputs: int) -> Array:
    r"""How far the outputs receive more than they send, :math:`(in - out)/(in + out)`.

    Absolute weights between outputs and hidden units, ``(..., n, n)`` to ``(...)``; 1 is a pure
    sink, -1 a pure source, NaN where nothing connects them.
    """
    a = _in_units(_magnitudes(weights, n_outputs))
    into = a[..., :n_outputs, n_outputs:].sum((-2, -1))
    out = a[..., n_outputs:, :n_outputs].sum((-2, -1))
    total = into + out
    return like(((into - out) / np.where(total == 0, np.nan, total))[()], weights)


def profile(
    weights: Array, *, n_outputs: int, n_draws: int, rng: Rng, time_limit: float = 60.0
) -> dict[str, np.ndarray]:
    """Everything this chapter measures on trained weights, one number per replica.

    Parameters
    ----------
    weights
        Square blocks ``(S, n, n)``, outputs first.
    n_outputs
        Output units, fixed at the head of the order.
    n_draws
        Copies for each flip null.
    rng
        One generator, or one per replica.
    time_limit
        As for :func:`~winnow.metrics.orderedness.value`.

    Returns
    -------
    dict
        ``(S,)`` arrays: ``orderedness``, ``null`` (mean of the flip null), ``excess`` (their
        difference), ``relative`` (excess / (1 - null)), ``strict``, ``hidden_excess`` (among
        hidden units, without self-loops), ``sink``, ``density`` of the block, and the three
        parts ``feedback``, ``reciprocity``, ``frustration``.
    """
    weights, limit = as_numpy(weights), {"time_limit": time_limit}
    fixed, draws = {"n_fixed": n_outputs, **limit}, {"n_draws": n_draws, "rng": rng}
    o = value(weights, **fixed)
    null = flip_null(weights, **fixed, **draws).mean(-1)
    hidden = hidden_block(weights, n_outputs=n_outputs)
    hidden_null = flip_null(hidden, **limit, **draws).mean(-1)
    headroom = np.where(null < 1, 1 - null, np.nan)
    parts = decompose(weights, **fixed)
    return {
        "orderedness": o,
        "null": null,
        "excess": o - null,
        "relative": (o - null) / headroom,
        "strict": value(without_diagonal(weights), **fixed),
        "hidden_excess": value(hidden, **limit) - hidden_null,
        "sink": sink_index(weights, n_outputs=n_outputs),
        "density": (weights != 0).mean((-2, -1)),
        "feedback": parts.feedback,
        "reciprocity": parts.reciprocity,
        "frustration": parts.frustration,
    }


def _magnitudes(weights: Array, n_fixed: int = 0, time_limit: float = 1.0) -> np.ndarray:
    """Absolute weights in float64; every argument is checked before any work."""
    a = np.abs(as_numpy(finite(weights, "weights")))
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(
            f"weights must be square blocks (..., n, n), got {a.shape}: "
            "pass weights[..., :n] of a complete layer"
        )
    if n_fixed not in range(a.shape[-1] + 1):
        raise ValueError(f"n_fixed must be a whole number in [0, {a.shape[-1]}], got {n_fixed}")
    if not time_limit > 0:
        raise ValueError(f"time_limit must be above 0 seconds, got {time_limit}")
    return a


def _in_units(a: np.ndarray) -> np.ndarray:
    """Each matrix divided by a power of two next to its largest entry, so that no sum overflows."""
    return a / as_numpy(unit_scale(as_tensor(a), (-2, -1)))


def _prefix_cost(a: np.ndarray, n_fixed: int) -> np.ndarray:
    """Backward weight that no order changes: among fixed units, and from them to free ones."""
    return np.tril(a[:, :, :n_fixed], -1).sum((-2, -1))


def _share(total: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """One minus cost over total, NaN for a total of zero."""
    return 1 - np.divide(cost, total, out=np.full(total.shape, np.nan), where=total > 0)


def _draws(n_draws: int) -> int:
    if n_draws < 1:
        raise ValueError(f"n_draws must be 1 or larger, got {n_draws}")
    return n_draws
