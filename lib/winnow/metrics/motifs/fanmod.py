"""FANMOD's numbers of motif classes :cite:p:`wernicke2006fanmod`.

A number holds the adjacency matrix of one member of the class, row by row, first entry first. Which
member is decided by nauty's canonical labelling with the vertex invariant that FANMOD asks it for,
so the numbers cannot be told from the graphs alone; these were computed once with nauty 2.8.
They are all connected directed graphs without loops and mutual edges: 5, 34 and 535 classes. A line
of ``fanmod.txt`` holds a size and its numbers.
"""

from importlib import resources

_ROWS = resources.files(__package__).joinpath("fanmod.txt").read_text(encoding="utf-8").splitlines()

#: Size of a subgraph to the numbers of its classes, ascending.
FANMOD_IDS = {size: tuple(ids) for size, *ids in (map(int, row.split()) for row in _ROWS)}
