"""The linear ordering problem: exact by subsets, certified by an integer program.

Given non-negative matrices B, find the order of the units with the least weight below the
diagonal, :math:`L(B) = \\min_\\pi \\sum_{i>j} B_{\\pi_i \\pi_j}`.
"""

import graphlib
import math
import time

import numpy as np
from numba import njit
from scipy import optimize, sparse
from scipy.sparse import csgraph

from winnow import memory

_SMALL = 12  # units of a component that the search over subsets takes

#: Bits of the largest weight that the solver sees. Its tolerances are absolute, 1e-6 and 1e-7, and
#: are to be far below what counts, whatever the unit.
_LARGEST = 20

#: Share of a component's weight within which a cost and a bound are one.
_MARGIN = 1e-9

#: Seconds and bytes of the solver for each three units, before it looks at its clock.
_SECONDS, _BYTES = 1e-4, 500


def subset_search(blocks: np.ndarray, *, trace: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Least cost of each block, and an order that attains it.

    Parameters
    ----------
    blocks
        Non-negative, ``(M, h, h)``.
    trace
        Also trace the order back; otherwise an empty array stands for it.

    Returns
    -------
    tuple
        Costs ``(M,)`` and orders ``(M, h)``. Memory is ``2^h`` numbers, for one matrix at a time.
    """
    n_matrices, h = blocks.shape[:2]
    costs, orders = np.zeros(n_matrices), np.zeros((n_matrices, h), int)
    _search_subsets(np.ascontiguousarray(blocks, float), costs, orders[:, : h * trace])
    return costs, orders


@njit(cache=True, nogil=True)
def _search_subsets(blocks: np.ndarray, costs: np.ndarray, orders: np.ndarray) -> None:
    """Fill in costs, and orders where there is room; a subset's bits are its units.

    What a unit pays for coming after all of a subset, its row summed over it, is the sum of two
    entries: one for the lower half of the bits, one for the upper half. Of ties, the highest unit
    comes last, so that a block of zeros keeps its order.
    """
    h = blocks.shape[1]
    half = h // 2
    low, high = np.zeros((h, 1 << half)), np.zeros((h, 1 << (h - half)))
    least = np.zeros(1 << h)  # cost of every subset that comes first, in its best order
    for k in range(len(blocks)):
        for unit in range(h):
            for bit in range(h):
                sums, first = (low[unit], bit) if bit < half else (high[unit], bit - half)
                for rest in range(1 << first):
                    sums[rest | 1 << first] = sums[rest] + blocks[k, unit, bit]
        for subset in range(1, 1 << h):
            least[subset] = _last(subset, least, low, high, half)[0]
        costs[k] = least[-1]
        subset = (1 << h) - 1
        for position in range(orders.shape[1] - 1, -1, -1):
            orders[k, position] = _last(subset, least, low, high, half)[1]
            subset ^= 1 << orders[k, position]


@njit(cache=True, nogil=True, inline="always")
def _last(
    subset: int, least: np.ndarray, low: np.ndarray, high: np.ndarray, half: int
) -> tuple[float, int]:
    """Least cost of a subset, and the unit that comes last in its best order."""
    best, last = np.inf, -1
    for unit in range(len(low) - 1, -1, -1):
        if subset >> unit & 1:
            rest = subset ^ (1 << unit)
            cost = least[rest] + low[unit, rest & ((1 << half) - 1)] + high[unit, rest >> half]
            if cost < best:
                best, last = cost, unit
    return best, last


def integer_program(
    blocks: np.ndarray, *, time_limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best cost found, certified lower bound, and the order found, for each block.

    The cost adds up over strongly connected components, so each is solved by itself: small
    ones by :func:`~winnow.metrics.linear_ordering.subset_search`, larger ones by heuristics and
    then, where there is time for it, by branch and cut. What a solver says of its own success is
    not asked: the order's cost is computed anew and compared with the bound.

    Parameters
    ----------
    blocks
        Non-negative, ``(M, h, h)``.
    time_limit
        Seconds for each block.

    Returns
    -------
    tuple
        Costs ``(M,)``, lower bounds ``(M,)`` and orders ``(M, h)``. A bound equals its cost where
        the order is optimal.

    Raises
    ------
    ValueError
        If a component's program does not fit into memory.
    """
    n_blocks, h = blocks.shape[:2]
    cost, bound, order = np.zeros(n_blocks), np.zeros(n_blocks), np.zeros((n_blocks, h), int)
    for k, b in enumerate(blocks):
        order[k], gap = _by_components(b * ~np.eye(h, dtype=bool), time.monotonic() + time_limit)
        cost[k] = _backward(b, order[k])
        bound[k] = max(cost[k] - gap, 0)
    return cost, bound, order


def _by_components(b: np.ndarray, deadline: float) -> tuple[np.ndarray, float]:
    """An order, and how far its cost may be from the least."""
    n_parts, part = csgraph.connected_components(
        sparse.csr_array(b), directed=True, connection="strong"
    )
    parts = part[np.array(np.nonzero(b))]
    sorter = graphlib.TopologicalSorter(dict.fromkeys(range(n_parts), ()))
    for target, source in parts.T[parts[0] != parts[1]].tolist():
        sorter.add(source, target)  # so that no weight between them runs backward
    order, gaps = [], 0.0
    for k in sorter.static_order():
        units = np.flatnonzero(part == k)
        local, gap = _one_component(b[np.ix_(units, units)], deadline)
        order.extend(units[local])
        gaps += gap
    return np.array(order), gaps


def _one_component(b: np.ndarray, deadline: float) -> tuple[np.ndarray, float]:
    h = len(b)
    if h <= _SMALL:
        return subset_search(b[None])[1][0], 0.0
    unit = int(np.frexp(b.max())[1]) - _LARGEST
    b = np.ldexp(b, -unit)  # a power of two: no digit changes
    starts = np.argsort(b.sum(0) - b.sum(1), kind="stable"), _greedy(b)
    orders, margin = [_insertion(b, o, deadline) for o in starts], _MARGIN * b.sum()
    bound, left = np.minimum(b, b.T).sum() / 2, deadline - time.monotonic()
    if min(_backward(b, o) for o in orders) - bound > margin and left > _SECONDS * math.comb(h, 3):
        found, certified = _branch_and_cut(b, 0.9 * left)
        bound = max(bound, certified)
        orders += [_insertion(b, o, deadline) for o in found]
    order = min(orders, key=lambda o: _backward(b, o))
    gap = _backward(b, order) - bound
    if gap > margin:
        gap = min(gap, _backward(b, order) - _packed_cycles(b, deadline))
    return order, 0.0 if gap <= margin else float(np.ldexp(gap + margin, unit))


def _branch_and_cut(b: np.ndarray, seconds: float) -> tuple[list[np.ndarray], float]:
    """The order found, if one was, and a lower bound, by the solver's word."""
    h = len(b)
    memory.require(_BYTES * math.comb(h, 3), f"the integer program of {h} units")
    i, j = np.triu_indices(h, 1)  # x_ij = 1: i comes before j
    gain = b[j, i] - b[i, j]
    result = optimize.milp(
        gain,
        integrality=np.ones(len(gain)),
        bounds=(0, 1),
        constraints=optimize.LinearConstraint(_no_cycles(h), 0, 1),
        # The default gap is relative to an objective that forward weight inflates.
        options={"time_limit": seconds, "mip_rel_gap": 0},
    )
    bound = -math.inf if result.mip_dual_bound is None else b[i, j].sum() + result.mip_dual_bound
    if result.x is None:
        return [], bound
    before = np.zeros((h, h))
    before[i, j], before[j, i] = result.x, 1 - result.x
    return [np.argsort(-before.sum(1), kind="stable")], bound


def _no_cycles(h: int) -> sparse.csr_array:
    """Rows x_ij + x_jk - x_ik for i < j < k: within [0, 1] exactly when there is no cycle."""
    units = np.arange(h)
    before = units[:, None] < units
    i, j, k = np.nonzero(before[:, :, None] & before)
    index = before.cumsum().reshape(h, h) - 1
    columns = np.stack([index[i, j], index[j, k], index[i, k]], 1).ravel()
    starts = 3 * np.arange(len(i) + 1)
    return sparse.csr_array((np.tile([1.0, 1.0, -1.0], len(i)), columns, starts))


def _backward(b: np.ndarray, order: np.ndarray) -> float:
    return np.tril(b[np.ix_(order, order)], -1).sum()


def _greedy(b: np.ndarray) -> np.ndarray:
    """Eades, Lin and Smyth: what pays for nothing goes last, then what costs least goes first."""
    units, first, last = np.arange(len(b)), [], []
    while len(units):
        rest = b[np.ix_(units, units)]
        pays, costs = rest.sum(1), rest.sum(0)
        at = int(pays.argmin())
        if pays[at] == 0:
            last.append(units[at])
        else:
            at = int(np.where(costs == 0, np.inf, pays - costs).argmax())
            first.append(units[at])
        units = np.delete(units, at)
    return np.array(first + last[::-1])


def _insertion(b: np.ndarray, order: np.ndarray, deadline: float) -> np.ndarray:
    """Move single units to their best place until no move helps."""
    improved, least = True, 1e-12 * b.sum()
    while improved:
        improved = False
        for unit in order.copy():
            if time.monotonic() > deadline:
                return order
            rest = order[order != unit]
            # Cost of standing at place p: paid to those before, and by those after.
            paid = (
                np.r_[0, np.cumsum(b[unit, rest])] + np.r_[np.cumsum(b[rest, unit][::-1])[::-1], 0]
            )
            place = int(np.flatnonzero(order == unit)[0])
            best = int(paid.argmin())
            if paid[best] < paid[place] - least:
                order, improved = np.insert(rest, best, unit), True
    return order


def _packed_cycles(b: np.ndarray, deadline: float) -> float:
    """Weight of cycles that share no weight: each costs any order the least of its weights."""
    pairs = np.minimum(b, b.T)
    rest, bound = b - pairs, pairs.sum() / 2
    for i, j in zip(*np.nonzero(rest), strict=True):
        while rest[i, j] > 0 and time.monotonic() < deadline:
            _, before = csgraph.breadth_first_order(sparse.csr_array(rest), j)
            if before[i] < 0:
                break
            way = [i]
            while way[-1] != j:
                way.append(before[way[-1]])
            edges = [i, *way[1:]], [j, *way[:-1]]
            least = rest[edges].min()
            rest[edges] -= least
            bound += least
    return bound
