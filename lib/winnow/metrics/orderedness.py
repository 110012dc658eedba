r"""Orderedness: how nearly weights flow one way.

:cite:t:`song2025` orders the units of a network so that as little absolute weight as possible
runs backward, and calls the share that does not its orderedness. The search over orders is the
linear ordering problem (minimum feedback arc set). The paper tries every permutation; here a
recursion over subsets solves it exactly, and an integer program with a certified bracket takes
over where subsets become too many.
"""

import functools
from dataclasses import dataclass

import numpy as np

from winnow.arrays import (
    Array,
    as_mask,
    as_numpy,
    as_tensor,
    check_count,
    check_range,
    like,
    square_matrices,
    unit_scale,
)
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
        Square blocks ``(..., n, n)``: of a complete layer ``weights[..., :n]``. Signs do not
        matter.
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
    lower, upper, free = _search(weights, n_fixed, time_limit, trace=True)
    fixed = np.broadcast_to(np.arange(n_fixed), (*free.shape[:-1], n_fixed))
    found = lower, np.concatenate([fixed, free + n_fixed], axis=-1), lower, upper
    return Order(*(like(x, weights) for x in found))


def value(weights: Array, *, n_fixed: int = 0, time_limit: float = 60.0) -> Array:
    """Exact orderedness alone, ``(..., n, n)`` to ``(...)``: quicker, as no order is traced back.

    As :func:`~winnow.metrics.orderedness.orderedness`. NaN where that knows a bracket only, which
    can be above 20 free units.
    """
    lower, upper, _ = _search(weights, n_fixed, time_limit, trace=False)
    return like(np.where(lower < upper, np.nan, lower)[()], weights)


def agreement(order: Array, upstream: Array) -> Array:
    r"""Kendall's :math:`\tau` of an order with a planted one, over pairs that the latter decides.

    .. math:: \tau = \frac{\text{pairs as planted} - \text{pairs reversed}}{\text{pairs}}

    Parameters
    ----------
    order
        Units from the output's end to the input's end, ``(..., n)``, as
        :func:`~winnow.metrics.orderedness.orderedness` gives it.
    upstream
        Whether the column's unit is planted upstream of the row's, ``(..., n, n)``.

    Returns
    -------
    Array
        ``(...)`` in [-1, 1]: 0 is what chance gives; NaN where no pair is decided.

    Raises
    ------
    ValueError
        If an order leaves out a unit, or ``upstream`` holds anything but 0 and 1.

    Examples
    --------
    >>> chain = np.triu(np.ones((3, 3), bool), 1)  # 0 <- 1 <- 2
    >>> [round(float(agreement(np.array(order), chain)), 3) for order in ([0, 1, 2], [1, 0, 2])]
    [1.0, 0.333]
    """
    units, planted = as_numpy(order), as_numpy(as_mask(upstream, "upstream"), None)
    n = planted.shape[-1]
    if units.shape[-1:] != (n,) or (np.sort(units, -1) != np.arange(n)).any():
        raise ValueError(f"order must hold each of {n} units once, got shape {units.shape}")
    place = np.argsort(units, -1)
    later = np.sign(place[..., None, :] - place[..., :, None])  # the column's unit than the row's
    pairs = planted.sum((-2, -1))
    tau = (later * planted).sum((-2, -1)) / np.where(pairs == 0, np.nan, pairs)
    return like(tau[()], order)


def decompose(weights: Array, *, n_fixed: int = 0, time_limit: float = 60.0) -> dict[str, Array]:
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
    dict
        Four shares of the total weight ``(...)``, which add up to :math:`1 - O`; NaN for an
        all-zero matrix. ``prefix``: among the fixed units, against their given sequence;
        ``feedback``: from the fixed units (the outputs) back to the free ones; ``reciprocity``:
        the weaker direction of free units that drive each other; ``frustration``: longer cycles
        among free units, NaN where orderedness is not exact.

    Examples
    --------
    >>> parts = decompose(np.array([[1, 2, 2], [1, 0, 1], [0, 3, 0]]), n_fixed=1)
    >>> [f"{p:.3f}" for p in (parts["feedback"], parts["reciprocity"])]
    ['0.100', '0.100']
    """
    a = _in_units(_magnitudes(weights, n_fixed, time_limit))
    free = a[..., n_fixed:, n_fixed:]
    total = a.sum((-2, -1))
    parts = {
        "prefix": np.tril(a[..., :n_fixed, :n_fixed], -1),
        "feedback": a[..., n_fixed:, :n_fixed],
        "reciprocity": np.tril(np.minimum(free, free.mT), -1),
    }
    shares = {k: v.sum((-2, -1)) / np.where(total == 0, np.nan, total) for k, v in parts.items()}
    disorder = 1 - value(a, n_fixed=n_fixed, time_limit=time_limit)
    shares["frustration"] = functools.reduce(np.subtract, shares.values(), disorder)
    return {k: like(v[()], weights) for k, v in shares.items()}


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
    check_count("n_draws", n_draws)
    swap = uniform(rng, len(flat), (n_draws, len(rows))) < 0.5
    copies = np.repeat(flat, n_draws, axis=1)
    low, high = flat[..., rows, columns], flat[..., columns, rows]
    copies[..., rows, columns] = np.where(swap, high, low)
    copies[..., columns, rows] = np.where(swap, low, high)
    return like(copies.reshape(*a.shape[:-2], n_draws, n, n), weights)


def shuffle_rows(weights: Array, *, n_draws: int, rng: Rng) -> Array:
    """Copies with the entries of each row permuted: a null that keeps what a unit receives.

    Parameters and result are as for :func:`~winnow.metrics.orderedness.flip_directions`.
    """
    a = _magnitudes(weights)
    n = a.shape[-1]
    flat = a.reshape(-1, 1, n, n)
    check_count("n_draws", n_draws)
    source = uniform(rng, len(flat), (n_draws, n, n)).argsort(-1)
    copies = np.take_along_axis(flat, source, -1)
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


def _magnitudes(weights: Array, n_fixed: int = 0, time_limit: float = 1.0) -> np.ndarray:
    """Absolute weights in float64; every argument is checked before any work."""
    a = np.abs(as_numpy(square_matrices(weights, "weights")))
    check_count("n_fixed", n_fixed, 0, a.shape[-1])
    check_range("time_limit", time_limit, "(0, inf]")
    return a


def _in_units(a: np.ndarray) -> np.ndarray:
    """Each matrix divided by a power of two next to its largest entry, so that no sum overflows."""
    return a / as_numpy(unit_scale(as_tensor(a), (-2, -1)))


def _search(
    weights: Array, n_fixed: int, time_limit: float, *, trace: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Certified bounds ``(...)`` and an order of the free units, ``(..., h)``."""
    a = _in_units(_magnitudes(weights, n_fixed, time_limit))
    n, batch = a.shape[-1], a.shape[:-2]
    flat = a.reshape(-1, n, n)
    free = flat[:, n_fixed:, n_fixed:]
    if n - n_fixed <= MAX_EXACT:
        cost, order = linear_ordering.subset_search(free, trace=trace)
        bound = cost
    else:
        cost, bound, order = linear_ordering.integer_program(free, time_limit=time_limit)
    # What no order changes: backward among the fixed units, and from them to free ones.
    constant, total = np.tril(flat[:, :, :n_fixed], -1).sum((-2, -1)), flat.sum((-2, -1))
    total = np.where(total > 0, total, np.nan)
    lower, upper = ((1 - (constant + c) / total).reshape(batch)[()] for c in (cost, bound))
    return lower, upper, order.reshape(*batch, n - n_fixed)
