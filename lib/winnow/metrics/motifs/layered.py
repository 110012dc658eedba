r"""Motifs of layered networks by matrix products: the census without an enumeration.

In a network whose edges join consecutive layers a connected subgraph of four nodes is one of ten
:cite:p:`zambra2020`. How often each occurs, coloured and induced, is a sum of products of
degrees, of co-degrees (common neighbours of two units) or of numbers of paths. So the cost grows
with the layers' sizes and not with what is counted, and many networks are counted at once. It
shares no step with :mod:`winnow.metrics.motifs.enumeration`, and each checks the other.
:func:`winnow.metrics.motifs.census` takes whichever is faster.
"""

import functools
import itertools
from collections.abc import Sequence

import numpy as np
import torch

from winnow import memory
from winnow.arrays import Array, as_tensor, check_count
from winnow.metrics.motifs import classes

#: Whole numbers below this are exact in double precision, and so are their sums and products.
_EXACT = 2**53

#: The same for single precision.
_EXACT_SINGLE = 2**24

#: Bytes of intermediate matrices at once, about what caches hold.
_BUDGET = 1 << 24

#: What any count takes, and what it takes for each possible edge and unit of products.
LEAST_SECONDS, _SECONDS_ENTRY, _SECONDS_PRODUCT = 5e-3, 25e-9, 0.03e-9

#: Edges whose colours the axes of labelled counts stand for, in the order of :func:`_quadrangles`,
#: and how many tuples of nodes each subgraph is met as.
_TOPOLOGIES = (
    (((2, 0), (2, 1), (3, 0), (3, 1)), 4),  # bi-fan
    (((0, 1), (1, 3), (0, 2), (2, 3)), 2),  # bi-parallel
    (((1, 2), (0, 2), (1, 3)), 1),  # N
    (((1, 2), (3, 2), (0, 1)), 1),  # join of chain
    (((0, 1), (1, 2), (0, 3)), 1),  # fork, chain
    (((1, 2), (2, 3), (0, 1)), 1),  # chain
)

#: Two stacks of matrices of each colour, ``(R, C, n, k)`` and ``(R, C, m, k)``.
_Pair = tuple[torch.Tensor, torch.Tensor]


def layered_counts(
    stack: Sequence[Array], size: int, *, n_colours: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Connected subgraphs of each coloured class, induced, in networks of consecutive layers.

    With 0/1 matrices :math:`W_c` for the edges of colour c into a layer, :math:`W'_c` for those
    that leave it, and sums over all pairs of units,

    .. math:: H_{cdef} = \sum (W_c W_d^\top) \circ (W_e W_f^\top), \qquad
       H'_{cdef} = \sum (W'_d W_c) \circ (W'_f W_e).

    The bi-fan is H without the terms where two units coincide, divided by the four ways to name
    its nodes; the bi-parallel is H' likewise, by two. The N, the fork with a chain and the join
    of a chain are open in one place: three edges of any such quadrangle, less the
    closed ones, :math:`\sum_f H_{cdef}` and its like for H'. All others are sums of
    products of degrees. For each topology all runs of consecutive layers are added up.

    Why that counts induced subgraphs: two units may be joined only if their layers are
    consecutive, so a subgraph's shape says which of its nodes could be joined and are not. In the
    ten classes there is such a pair in three only, those that are open in one place.

    Parameters
    ----------
    stack
        Matrices ``(R, n_target, n_source)``, one for each two consecutive layers, from the first
        on; whole numbers, 0 for no edge or a colour.
    size
        Nodes of a subgraph, 3 or 4.
    n_colours
        Colours C that classes are listed for, 1 to 6, and no others may occur.

    Returns
    -------
    ids, adjacency : (K,) numpy.ndarray
        All classes that a layered network can hold, as in the census, and in that order.
    counts : (R, K) numpy.ndarray
        Whole numbers.

    Raises
    ------
    ValueError
        If the size is another, or a number on the way reaches :math:`2^{53}`, from where on it
        might not be exact. Matrices are not checked: :func:`winnow.metrics.motifs.census` checks
        edges.

    Notes
    -----
    Two matrix products for each two layers, of :math:`C^2 n^3` operations for n units each, and
    :math:`C^4 n^2` for their sums. Products run over the smaller of the sides that lead to the
    same sum. Size 3 takes degrees only. Products whose entries stay below :math:`2^{24}` are in
    single precision and exact; all else is in double.

    Examples
    --------
    One unit has edges of colours 2 and 1 to the two units of the next layer:

    >>> ids, adjacency, counts = layered_counts([np.array([[[2], [1]]])], 3, n_colours=2)
    >>> ids[counts[0] > 0].tolist(), adjacency[counts[0] > 0].tolist()
    ([6], ['000000120'])
    """
    check_count("size", size, 3, 4)
    ids, adjacency, of_entry, names = _legend(size, n_colours)
    found = _labelled([as_tensor(b).to(torch.int8) for b in stack], size, n_colours)
    counts = found.new_zeros(len(found), len(ids)).index_add_(1, of_entry, found)
    return ids, adjacency, (counts // names).numpy()


def seconds(layers: np.ndarray, size: int, n_colours: int, *, n_networks: int) -> float:
    """About how long it takes to find the layers, of so many units each, and count."""
    blocks, products = list(itertools.pairwise(layers.tolist())), 0
    if size == 4:
        products = sum(_cost(min(b), min(b), max(b), n_colours) for b in blocks)
        products += sum(
            min(_sides(a, b, c, n_colours)) for (a, b), (_, c) in itertools.pairwise(blocks)
        )
    entries = sum(a * b for a, b in blocks)
    each = _SECONDS_ENTRY * n_colours * entries + _SECONDS_PRODUCT * n_colours**2 * products
    return LEAST_SECONDS + n_networks * each


def count(
    sources: np.ndarray, targets: np.ndarray, colours: np.ndarray, level: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes that occur, number and representative, and their counts in networks ``(R, m)``.

    An edge, of the same colour in all networks, leads from the same layer in all to the next.
    """
    sizes, by_layer = np.bincount(level), np.argsort(level, kind="stable")
    place = np.empty_like(level)
    place[by_layer] = np.arange(len(level)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    ends, from_layer, counts = (place[sources], place[targets]), level[sources[0]], []
    n_colours = int(colours.max())
    step = _at_once(sizes, n_colours)
    for part in (slice(k, k + step) for k in range(0, len(sources), step)):
        stack, row = [], np.arange(len(sources[part]))[:, None]
        for k in range(len(sizes) - 1):
            source, target = (end[part][:, from_layer == k] for end in ends)
            stack.append(np.zeros((len(row), sizes[k + 1], sizes[k]), np.int8))
            stack[k][row, target, source] = colours[from_layer == k]
        ids, texts, found = layered_counts(stack, size, n_colours=n_colours)
        counts.append(found)
    counts = np.concatenate(counts)
    met = counts.any(0)
    return ids[met], texts[met], counts[:, met]


@functools.cache
def _legend(size: int, n_colours: int) -> tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor]:
    """What labelled counts stand for: classes by number and representative, the class of each
    labelled count, and as how many tuples of nodes each subgraph of a class is met.

    Classes are found by drawing each labelled subgraph, so that no symmetry is worked out here.
    """
    shapes, graphs, names = [], [], []
    for n_in in range(size):  # node 0 and its neighbours, for each number of edges in
        edges = [(leg, 0) if leg <= n_in else (0, leg) for leg in range(1, size)]
        sides = _choices(n_colours, n_in), _choices(n_colours, size - 1 - n_in)
        shapes.append((edges, [a + b for a, b in itertools.product(*sides)], 1))
    for edges, n_names in _TOPOLOGIES if size == 4 else ():
        colourings = itertools.product(range(1, n_colours + 1), repeat=len(edges))
        shapes.append((edges, list(colourings), n_names))
    for edges, colourings, n_names in shapes:
        drawn = np.zeros((len(colourings), size, size), np.int64)
        drawn[:, *np.transpose(edges)] = colourings
        graphs.append(drawn)
        names += [n_names] * len(drawn)
    ids, texts = classes.describe(np.concatenate(graphs))
    keys = [f"{i:05}{text}" for i, text in zip(ids, texts, strict=True)]
    _, first, of_entry = np.unique(keys, return_index=True, return_inverse=True)
    names = torch.tensor(names)[first]
    return ids[first], texts[first], torch.from_numpy(of_entry), names


def _choices(n_colours: int, n: int) -> list[tuple[int, ...]]:
    """Colours of n edges that are alike, in every way."""
    return list(itertools.combinations_with_replacement(range(1, n_colours + 1), n))


def _labelled(blocks: Sequence[torch.Tensor], size: int, n_colours: int) -> torch.Tensor:
    """Subgraphs as tuples of nodes ``(R, entries)``, in the order of the legend."""
    shades = torch.arange(1, n_colours + 1, device=blocks[0].device)[:, None, None]
    single = max(max(b.shape[-2:]) for b in blocks) < _EXACT_SINGLE
    dtype = torch.float32 if single else torch.float64
    hot = [(b[:, None] == shades).to(dtype) for b in blocks]
    into, out = _degrees(hot)
    # Stars, and chains that fork or join: choices of edges at a unit, summed over all units.
    units_in, units_out = torch.cat(into, -1), torch.cat(out, -1)
    found = [
        _exact(_chosen(units_in, n_in) @ _chosen(units_out, size - 1 - n_in).mT)
        for n_in in range(size)
    ]
    if size == 4:
        found += _quadrangles(hot, into, out)
    return torch.cat([f.flatten(1) for f in found], 1).long()


def _degrees(hot: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Edges into and out of the units of each layer by colour, ``(R, C, n)`` each."""
    into = [w.sum(-1, dtype=torch.float64) for w in hot]
    out = [w.sum(-2, dtype=torch.float64) for w in hot]
    return [torch.zeros_like(out[0]), *into], [*out, torch.zeros_like(into[-1])]


def _chosen(degree: torch.Tensor, n: int) -> torch.Tensor:
    """Ways to choose n edges at each unit, ``(R, choices, N)``, by their colours."""
    ways = [torch.ones_like(degree), degree, degree * (degree - 1) / 2]
    if n == 3:  # the product must be exact for the division to be
        ways.append(_exact(degree * (degree - 1) * (degree - 2)) / 6)
    n_colours, columns = degree.shape[1], []
    for chosen in _choices(n_colours, n):
        each = (ways[chosen.count(c)][:, c - 1] for c in sorted(set(chosen)))
        columns.append(functools.reduce(torch.mul, each, torch.ones_like(degree[:, 0])))
    return torch.stack(columns, 1)


def _quadrangles(
    hot: Sequence[torch.Tensor], into: Sequence[torch.Tensor], out: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Bi-fans and bi-parallels, what is like them but open in one place, and chains of three."""
    fans = sum(_fans(w) for w in hot)
    twos = itertools.pairwise(hot)
    diamonds = sum((_diamonds(*two) for two in twos), torch.zeros_like(fans))
    at_target = [torch.cat(both, 1) for both in zip(into[1:], out[1:], strict=True)]
    at_source = [torch.cat(both, 1) for both in zip(out[:-1], into[:-1], strict=True)]
    # What is closed is some of what is open or closed, so these are the largest numbers here.
    forms = _exact(sum(map(_forms, hot, at_target, at_source)))
    n = into[0].shape[1]
    return [
        *_apart(fans, diamonds, torch.cat(into, -1), torch.cat(out, -1)),
        forms[:, :, :n, :n] - fans.sum(-1).mT,
        forms[:, :, :n, n:] - diamonds.sum(-2).permute(0, 2, 3, 1),
        forms[:, :, n:, :n] - diamonds.sum(-1),
        forms[:, :, n:, n:],
    ]


def _apart(
    fans: torch.Tensor, diamonds: torch.Tensor, into: torch.Tensor, out: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The overlaps less the terms where two targets, two sources or two middles are one unit."""
    n = into.shape[1]
    same = torch.eye(n, dtype=fans.dtype, device=fans.device)
    rows = same[:, :, None, None] * same  # c = d and e = f
    columns = rows.transpose(1, 2)  # c = e and d = f
    one_target = (into @ into.mT)[:, :, None, :, None] * rows
    one_source = (out @ out.mT)[:, :, :, None, None] * columns
    one_edge = into.sum(-1)[:, :, None, None, None] * rows * columns
    one_middle = (into @ out.mT)[:, :, :, None, None] * columns
    return fans - one_target - one_source + one_edge, diamonds - one_middle


def _forms(w: torch.Tensor, at_target: torch.Tensor, at_source: torch.Tensor) -> torch.Tensor:
    """Sums over edges of each colour of what is at their ends, ``(R, C, U, V)``.

    The three edges of a chain or an N are one edge in the middle and one more at each end.
    """
    # A colour at a time, because all in double precision would be the largest thing held.
    return torch.stack([(at_target @ c.double()) @ at_source.mT for c in w.unbind(1)], 1)


def _fans(w: torch.Tensor) -> torch.Tensor:
    """H of one block, ``(R, C, C, C, C)``, from the pairs of its smaller side."""
    n_target, n_source = w.shape[-2:]
    if n_target <= n_source:
        return _overlaps((w, w))
    return _overlaps((w.mT, w.mT)).transpose(2, 3)


def _diamonds(w: torch.Tensor, onward: torch.Tensor) -> torch.Tensor:
    """H' of two blocks, from pairs of first and last layer, or from pairs of the middle one."""
    ends, middles = _sides(w.shape[-1], w.shape[-2], onward.shape[-2], w.shape[1])
    if ends <= middles:
        return _overlaps((w.mT, onward))
    return _overlaps((w, w), (onward.mT, onward.mT)).transpose(2, 3)


def _sides(first: int, middle: int, last: int, n_colours: int) -> tuple[int, int]:
    """Time by pairs of first and last layer, and by pairs of the middle one."""
    ends = _cost(first, last, middle, n_colours)
    return ends, _cost(middle, middle, first + last, n_colours)


def _cost(rows: int, columns: int, depth: int, n_colours: int) -> int:
    """Time of overlaps in some unit: their sums take as long as products of that much depth."""
    return rows * columns * (depth + 8 * n_colours**2)


def _overlaps(one: _Pair, other: _Pair | None = None) -> torch.Tensor:
    r"""Entry cdef is :math:`\sum (A_c B_d^\top) \circ (A'_e B'_f^\top)`, ``(R, C, C, C, C)``.

    Single precision does for the products, whose entries are below the depth; not for the sums.
    Rows are taken in portions, so that what is held at once does not grow with their square.
    """
    n_replicas, n_colours, n_rows, _ = one[0].shape
    total = one[0].new_zeros(n_replicas, n_colours**2, n_colours**2, dtype=torch.float64)
    row_bytes = 12 * n_replicas * n_colours**2 * one[1].shape[2]
    step = max(1, _BUDGET // max(1, row_bytes))
    for start in range(0, n_rows, step):
        left = _products(one, slice(start, start + step))
        right = left if other is None else _products(other, slice(start, start + step))
        total += left @ right.mT
    return total.reshape(n_replicas, *[n_colours] * 4)


def _products(pair: _Pair, rows: slice) -> torch.Tensor:
    """Some rows of all products of two colours, ``(R, C * C, entries)``, in double precision."""
    a, b = pair[0][:, :, rows], pair[1]
    # The colours of each side below one another: one product instead of C * C small ones.
    every = a.flatten(1, 2) @ b.flatten(1, 2).mT
    apart = every.unflatten(2, b.shape[1:3]).unflatten(1, a.shape[1:3]).transpose(2, 3)
    return apart.to(torch.float64, memory_format=torch.contiguous_format).flatten(3).flatten(1, 2)


def _at_once(layers: np.ndarray, n_colours: int) -> int:
    """How many networks the budget holds; one if it holds none."""
    blocks = list(itertools.pairwise(layers.tolist()))
    entries, pairs = sum(a * b for a, b in blocks), max(min(block) ** 2 for block in blocks)
    held = 12 * n_colours * entries  # of each colour, again when turned, and one of them as double
    memory.require(held + _BUDGET, f"a layered census of {entries} possible edges")
    return max(1, _BUDGET // (held + 12 * n_colours**2 * pairs + 64 * n_colours**4))


def _exact(numbers: torch.Tensor) -> torch.Tensor:
    """The numbers, if rounding has touched none of them.

    Of sums of whole numbers that are not negative: the first partial sum that is not exact
    is 2**53 or more, and rounding never leads back below.
    """
    if numbers.numel() and not float(numbers.max()) < _EXACT:
        raise ValueError(
            f"counts must stay below 2**53 to be exact, got {float(numbers.max()):.3g}: "
            "choose fewer or smaller layers"
        )
    return numbers
