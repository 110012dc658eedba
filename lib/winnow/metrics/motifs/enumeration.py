"""Every connected subgraph of 3, 4 or 5 nodes, once, and its class: compiled loops.

The enumeration is ESU :cite:p:`wernicke2006`: a subgraph grows from its lowest node by
neighbours that no earlier node of it had, so that each is met in one way only. Codes of what is
met (see :mod:`winnow.metrics.motifs.classes`) are counted in a table that fills as they turn up
and is kept between calls; what class a code is of is asked once.
"""

import functools

import numpy as np
from numba import njit

from winnow.metrics.motifs import classes

#: Tables with more entries than this are kept as hash tables.
_DENSE = 1 << 23

#: Of one subgraph, where there are many.
_SECONDS = 5e-9


class Table:
    """Codes of subgraphs, numbered from 1 in the order they turn up; 0 means not yet seen."""

    def __init__(self, size: int, n_colours: int) -> None:
        self.size, self.n_colours = size, n_colours
        n_codes = (2 * n_colours + 1) ** len(classes.pairs(size))
        dense = n_codes <= _DENSE
        # Codes + 1, where they are, four places for each that there is room for; empty where the
        # code itself is the place.
        self.keys = np.zeros(0 if dense else 1 << 14, np.int64)
        self.slots = np.zeros(n_codes if dense else 1 << 14, np.int32)
        self.codes = np.zeros(1 << 12, np.int64)
        self.used = np.zeros(1, np.int64)  # codes met so far
        # Classes in the order they turn up, and the class of each code by its place in that order.
        self.ids, self.texts = classes.describe(np.zeros((0, size, size), np.int64))
        self.alike, self.places = np.zeros(0, np.int64), {}

    def count(
        self, sources: np.ndarray, targets: np.ndarray, colours: np.ndarray, n_nodes: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Classes that occur in R graphs with m edges each, and subgraphs of each.

        Parameters
        ----------
        sources, targets
            Ends of edges ``(R, m)``, below ``n_nodes``; no loops, no pair of nodes twice.
        colours
            Of the edges, ``(m,)``, the same in all graphs, 1 to ``n_colours``.
        n_nodes
            Nodes N. Takes N² bytes.

        Returns
        -------
        ids, adjacency : (K,) numpy.ndarray
            FANMOD's numbers and representatives of the classes that occur.
        counts : (R, K) numpy.ndarray
            Whole numbers.
        """
        sources, targets, colours = (
            np.ascontiguousarray(a, dtype=np.int64) for a in (sources, targets, colours)
        )
        state = np.zeros((n_nodes, n_nodes), np.uint8)
        rows = [self._one(*ends, colours, state) for ends in zip(sources, targets, strict=True)]
        self._describe()
        counts = np.zeros((len(rows), len(self.ids)), np.int64)
        for row, (codes, values) in zip(counts, rows, strict=True):
            np.add.at(row, self.alike[codes], values)
        met = counts.any(0)
        return self.ids[met], self.texts[met], counts.compress(met, axis=1)

    def _describe(self) -> None:
        """Find the classes of the codes that have turned up since the last time."""
        new = self.codes[len(self.alike) : self.used[0]]
        ids, texts = classes.describe(classes.matrices(new, self.size, self.n_colours))
        alike = np.array([self.places.setdefault(t, len(self.places)) for t in texts], np.int64)
        place, first = np.unique(alike, return_index=True)
        first = first[place >= len(self.ids)]  # the first codes of new classes
        self.alike = np.append(self.alike, alike)
        self.ids, self.texts = np.append(self.ids, ids[first]), np.append(self.texts, texts[first])

    def _one(self, source, target, colours, state) -> tuple[np.ndarray, np.ndarray]:
        """The codes in one graph, as places among all that were met, and how often each occurs."""
        start, near = _neighbours(source, target, len(state))
        graph = (source, target, colours, start, near, state)
        while True:
            counts = np.zeros(len(self.codes) + 1, np.int64)
            tables = (self.keys, self.slots, self.codes, self.used, counts)
            if _count(*graph, self.size, self.n_colours, *tables):
                met = np.flatnonzero(counts[1:])
                return met, counts[met + 1]
            self._enlarge()

    def _enlarge(self) -> None:
        """Twice the places; the graph that found no room is counted again."""
        self.codes = np.append(self.codes, np.zeros_like(self.codes))
        if len(self.keys):
            self.keys, self.slots = _doubled(self.keys, self.slots)


@functools.cache
def table(size: int, n_colours: int) -> Table:
    """The table for subgraphs of a size with a number of colours; a cache, so one for each."""
    return Table(size, n_colours)


def seconds(source: np.ndarray, target: np.ndarray, size: int) -> float:
    """About how long the enumeration of 3 or 4 nodes takes: by the trees of 2 or 3 edges."""
    degree = np.bincount(np.concatenate([source, target])).astype(float)
    if size == 3:
        return _SECONDS * (degree * (degree - 1) / 2).sum()
    stars = degree * (degree - 1) * (degree - 2) / 6
    return _SECONDS * (stars.sum() + ((degree[source] - 1) * (degree[target] - 1)).sum())


def _neighbours(source: np.ndarray, target: np.ndarray, n_nodes: int) -> tuple[np.ndarray, ...]:
    """Where each node's neighbours start in one array, and the array: node by node, ascending."""
    pairs = np.sort(np.append(source * n_nodes + target, target * n_nodes + source))
    return np.searchsorted(pairs, n_nodes * np.arange(n_nodes + 1)), pairs % n_nodes


@njit(cache=True, nogil=True)
def _count(
    source, target, colour, start, near, state, size, n_colours, keys, slots, codes, used, counts
):
    """Count the subgraphs of one graph; False if the table has no room for what was met.

    A node that waits to join carries its link: its edges with the members as digits, not yet
    shifted to their place in the code. So a subgraph's last node costs one look, at its edge with
    the member before it. No array is replaced and no function called with arrays, which are
    costly here: the time goes into few steps for each of many short loops.
    """
    _connect(source, target, colour, n_colours, state)
    low = start[:-1].copy()  # where a node's neighbours above the root begin
    new = np.ones(len(state), np.int64)  # neither a member nor next to one
    power = (2 * n_colours + 1) ** np.arange(size)
    shift = (2 * n_colours + 1) ** (np.arange(size) * (np.arange(size) - 1) // 2)
    word = np.zeros(size - 1, np.int64)  # code of the members so far
    waiting, link = np.zeros((2, size - 2, len(state)), np.int64)
    ends = np.zeros(size - 2, np.int64)  # waiting at each depth
    olds = np.zeros(size - 2, np.int64)  # of these, carried over from the depth before
    at = np.zeros(size - 2, np.int64)
    unseen = np.zeros(len(state), np.int64)
    room = True
    for root in range(len(state)):
        new[root] = 0
        at[0], depth = 0, 0
        ends[0] = _welcome(root, 0, 0, power, low, start, near, state, new, waiting, link)
        while depth >= 0 and room:
            i = at[depth]
            if i == ends[depth]:
                for j in range(olds[depth], i):
                    new[waiting[depth, j]] = 1
                depth -= 1
                continue
            at[depth] += 1
            node = waiting[depth, i]
            code = word[depth] + link[depth, i] * shift[depth + 1]
            if depth < size - 3:
                n = ends[depth] - i - 1
                for j in range(n):
                    x = waiting[depth, i + 1 + j]
                    waiting[depth + 1, j] = x
                    link[depth + 1, j] = link[depth, i + 1 + j] + state[node, x] * power[depth + 1]
                depth += 1
                word[depth], at[depth], olds[depth] = code, 0, n
                ends[depth] = _welcome(
                    node, depth, n, power, low, start, near, state, new, waiting, link
                )
                continue
            n = _close(
                code, shift[size - 1], power[size - 2], node, state, new, waiting, link,
                depth, i + 1, ends[depth], near, low[node], start[node + 1],
                keys, slots, counts, unseen,
            )  # fmt: skip
            for j in range(n):
                room &= _enter(unseen[j], keys, slots, codes, used)
                if room:
                    counts[slots[_place(keys, unseen[j])]] += 1
        for j in range(low[root], start[root + 1]):
            low[near[j]] += 1  # what was a root is never new again: do not look at it
    _connect(source, target, 0 * colour, 0, state)
    return room


@njit(cache=True, nogil=True)
def _connect(source, target, colour, n_colours, state):
    """Write each edge's letters into the matrix of states, in place."""
    for e in range(len(source)):
        state[source[e], target[e]] = colour[e]
        state[target[e], source[e]] = colour[e] + n_colours


@njit(cache=True, nogil=True, inline="always")
def _welcome(node, depth, n, power, low, start, near, state, new, waiting, link):
    """Let a node's neighbours not seen before wait behind n others; how many wait then."""
    for j in range(low[node], start[node + 1]):
        x = near[j]
        if new[x]:
            new[x] = 0
            waiting[depth, n] = x
            link[depth, n] = state[node, x] * power[depth]
            n += 1
    return n


@njit(cache=True, nogil=True, inline="always")
def _close(
    code, shift, power, node, state, new, waiting, link, depth, i, end, near, low, high,
    keys, slots, counts, unseen,
):  # fmt: skip
    """Count the subgraphs that one more node completes; how many are of a code never seen."""
    n, dense = 0, len(keys) == 0
    for j in range(i, end):
        found = code + (link[depth, j] + state[node, waiting[depth, j]] * power) * shift
        slot = slots[_place(keys, found)]
        counts[slot] += 1
        if slot == 0:
            unseen[n] = found
            n += 1
    for j in range(low, high):
        x = near[j]
        if not (dense or new[x]):
            continue
        found = code + state[node, x] * power * shift
        slot = slots[_place(keys, found)]
        counts[slot] += new[x]  # where keys allow, added blindly: half of all guesses would fail
        if (slot == 0) & new[x]:
            unseen[n] = found
            n += 1
    return n


@njit(cache=True, nogil=True, inline="always")
def _place(keys, code):
    """Where a code is or belongs: the code itself without keys, else by linear probing."""
    if len(keys) == 0:
        return code
    mask = len(keys) - 1
    place = ((code * 0x2545F4914F6CDD1D) >> 20) & mask
    while keys[place] != 0 and keys[place] != code + 1:
        place = (place + 1) & mask
    return place


@njit(cache=True, nogil=True)
def _enter(code, keys, slots, codes, used):
    """Write a code into the table; False if there is no room."""
    place = _place(keys, code)
    if slots[place] != 0:
        return True
    if used[0] == len(codes):
        return False
    codes[used[0]] = code
    used[0] += 1
    slots[place] = used[0]
    if len(keys) > 0:
        keys[place] = code + 1
    return True


@njit(cache=True, nogil=True)
def _doubled(keys, slots):
    more_keys, more_slots = np.zeros(2 * len(keys), np.int64), np.zeros(2 * len(keys), np.int32)
    for old in range(len(keys)):
        if keys[old] != 0:
            place = _place(more_keys, keys[old] - 1)
            more_keys[place], more_slots[place] = keys[old], slots[old]
    return more_keys, more_slots
