"""Classes of small coloured digraphs: codes and FANMOD's numbers.

A digraph on k nodes without loops and mutual edges is a word with a letter for each pair of
nodes: 0 for no edge, c for an edge of colour c from the earlier to the later node, C + c for one
back, C being the number of colours. Read as digits in base 2 C + 1 the word is the code; pairs
come in the order (0,1), (0,2), (1,2), (0,3), …, so that a node that joins only adds digits.
"""

import functools
import itertools

import numpy as np

from winnow.arrays import check_count, check_range
from winnow.metrics.motifs.fanmod import FANMOD_IDS

MOST_COLOURS = 6

#: What the classes of layered networks are called, by FANMOD's number.
NAMES: dict[int, dict[int, str]] = {
    3: {6: "out-star", 12: "chain", 36: "in-star"},
    4: {
        14: "out-star",
        28: "chain, fork",
        74: "fork, chain",
        140: "N",
        204: "bi-fan",
        392: "chain, join",
        536: "chain",
        2116: "join, chain",
        2182: "bi-parallel",
        2184: "in-star",
    },
}


@functools.cache
def pairs(size: int) -> tuple[tuple[int, int], ...]:
    """Pairs of nodes in the order of a code's digits."""
    return tuple((a, b) for b in range(size) for a in range(b))


def matrices(codes: np.ndarray, size: int, n_colours: int) -> np.ndarray:
    """Adjacency matrices ``(..., size, size)`` of codes ``(...)``, colours as entries."""
    codes = np.asarray(codes, dtype=np.int64)
    out = np.zeros((*codes.shape, size, size), dtype=np.int64)
    for q, (a, b) in enumerate(pairs(size)):
        digit = codes // (2 * n_colours + 1) ** q % (2 * n_colours + 1)
        out[..., a, b] = np.where(digit <= n_colours, digit, 0)
        out[..., b, a] = np.where(digit > n_colours, digit - n_colours, 0)
    return out


def describe(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """FANMOD's number and a representative of the class of each small digraph.

    Parameters
    ----------
    colours
        Adjacency matrices ``(M, k, k)`` with k of 3, 4 or 5, row = source, 0 = no edge. Connected,
        without loops and mutual edges.

    Returns
    -------
    ids : (M,) int64
        Number of the class without colours.
    adjacency : (M,) str
        Colours of the representative, k² digits row by row. Without colours it is the matrix
        behind the number; of its colourings that fit it is the first in reading order. So
        two digraphs get the same text exactly if they are one class.

    Raises
    ------
    ValueError
        If a digraph has no number: it is not connected, or has a loop or a mutual edge; or a
        colour is beyond 6.

    Examples
    --------
    >>> describe(np.array([[[0, 2, 1], [0, 0, 0], [0, 0, 0]]]))
    (array([6]), array(['000000120'], dtype='<U9'))
    """
    colours = np.asarray(colours, dtype=np.int64)
    size = colours.shape[-1]
    check_count("size", size, 3, 5)
    check_range("colours", colours, f"[0, {MOST_COLOURS}]")
    taken = _places(size)
    weights = np.zeros((size * size, len(taken)), np.int64)
    weights[taken.T, np.arange(len(taken))] = 1 << np.arange(size * size)[::-1, None]
    # Few graphs are left without colours: what orders of nodes fit is asked once of each.
    plain = (colours > 0).reshape(len(colours), size * size)
    _, first, alike = np.unique(plain @ weights[:, 0], return_index=True, return_inverse=True)
    numbers = plain[first] @ weights
    fits = np.isin(numbers, FANMOD_IDS[size])
    if not (named := fits.any(1)).all():
        bad = colours[first[~named].min()].tolist()
        raise ValueError(f"{bad} is no connected digraph without loops and mutual edges")
    row, order = np.divmod(np.flatnonzero(fits[alike]), len(taken))
    digits = (colours + ord("0")).astype(np.uint8).reshape(plain.shape)
    text = digits[row[:, None], taken[order]].view(f"S{size * size}").ravel()
    by = np.lexsort([text, row])  # each row's fits in reading order
    best = by[np.unique(row, return_index=True)[1]]
    return numbers[alike, order[best]], text[best].astype(f"<U{size * size}")


@functools.cache
def _places(size: int) -> np.ndarray:
    """Which entry of the flat matrix comes where, ``(size!, k²)``, for each order of nodes."""
    orders = np.array(list(itertools.permutations(range(size))))
    return (size * orders[:, :, None] + orders[:, None, :]).reshape(len(orders), -1)
