"""What compiled loops and matrix products save in counting motifs, as ratios measured side by side.

Run with ``python3 tasks.py bench motifs``. Every ratio compares two ways to count the same network
in the same run, on one thread. The ways take turns and run equally often; times are the least
over all runs, and *least* and *most* are ratios within single turns. The counts are checked to
agree first, class by class, with colours added up where a way knows none.

Graph objects of igraph and networkx and the sets of the loop in Python are made before the clock
starts. Ours begins from the table of edges each time, layered products from matrices of colours.
"""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import torch

from winnow.metrics import motifs
from winnow.metrics.motifs import classes, colouring, nulls
from winnow.metrics.motifs.enumeration import table
from winnow.metrics.motifs.layered import layered_counts
from winnow.reporting import results
from winnow.seeds import generator

SHARES = {1: 0.1, 2: 0.8, 3: 0.1}  # of the colours
N_MANY, N_RANDOM, REPEATS = 100, 100, 3
COUNT, CENSUS = "winnow, bare count", "winnow, census"
SINGLE, BATCHED = "winnow, layered", f"winnow, layered, {N_MANY} at once"
IGRAPH, NETWORKX, PYTHON = "igraph (no colours)", "networkx (no colours)", "loop in Python"
TRIADS = {6: "021D", 36: "021U", 12: "021C", 38: "030T", 140: "030C"}

Ways = dict[str, Callable[[], object]]
Counts = dict[object, int]


def side_by_side(ways: Ways, *, turns: int, repeats: int = 1) -> tuple[dict, pd.DataFrame]:
    """Answers of several ways, and the least seconds that each took in each turn."""
    answers = {name: way() for name, way in ways.items()}  # warms up, too
    rows = [{n: min(seconds(way) for _ in range(repeats)) for n, way in ways.items()}
            for _ in range(turns)]  # fmt: skip
    return answers, pd.DataFrame(rows)


def seconds(way: Callable[[], object]) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def goal(text: str, times: pd.DataFrame, slow: str, fast: str, bound: float) -> dict:
    """A row that says whether one way is as many times faster than another as it should be."""
    ratio = times[slow].min() / times[fast].min()
    text = f"{text}: at least {bound:g} times faster"
    return verdict(text, ratio, times[slow] / times[fast], reached=ratio >= bound)


def verdict(text: str, measured: float, turns: pd.Series, *, reached: bool) -> dict:
    found = {"to reach": text, "measured": measured, "least": turns.min(), "most": turns.max()}
    return found | {"reached": "yes" if reached else "no"}


# --- networks -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Random networks of consecutive layers; what is timed one by one is the first of them."""

    layers: tuple[int, ...]
    stack: list[np.ndarray]  #: colours ``(R, n_target, n_source)``

    @property
    def name(self) -> str:
        return "-".join(map(str, self.layers))

    @property
    def one(self) -> list[np.ndarray]:
        return [block[0] for block in self.stack]

    @functools.cached_property
    def edges(self) -> np.ndarray:
        return colouring.edges(self.one).astype(np.int64)

    def pairs(self) -> list[list[int]]:
        return self.edges[:, :2].tolist()


def case_of(layers: tuple[int, ...], density: float, *, n: int = N_MANY) -> Case:
    rng, stack = generator(0, f"layers {layers}"), []
    for n_source, n_target in itertools.pairwise(layers):
        colours = rng.choice(list(SHARES), p=list(SHARES.values()), size=(n, n_target, n_source))
        stack.append(np.where(rng.random(colours.shape) < density, colours, 0))
    return Case(layers, stack)


# --- the ways -----------------------------------------------------------------------------------


def bare(edges: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The census without its checks of the edges and without a data frame."""
    source, target, colour = edges.T
    n_nodes = int(edges[:, :2].max()) + 1
    return table(size, len(SHARES)).count(source[None], target[None], colour, n_nodes)


class Loop:
    """Enumeration as one would write it in Python, on sets and dictionaries, with colours."""

    def __init__(self, edges: np.ndarray) -> None:
        nodes = np.unique(edges[:, :2]).tolist()
        self.letters: dict[int, dict[int, int]] = {node: {} for node in nodes}
        for source, target, colour in edges.tolist():
            self.letters[target][source], self.letters[source][target] = colour, -colour

    def __call__(self, size: int) -> Counts:
        words: Counter[tuple[int, ...]] = Counter()
        for root, near in self.letters.items():
            above = {node for node in near if node > root}
            self.extend((root,), (), above, {root, *near}, size, words)
        return by_class(words, size)

    def extend(self, members, word, waiting, seen, size, words) -> None:
        """Let each waiting node join, and behind it those next to it and to no earlier node."""
        waiting = set(waiting)
        while waiting:
            node = waiting.pop()
            letters = self.letters[node]
            longer = word + tuple([letters.get(m, 0) for m in members])
            if len(members) == size - 1:
                words[longer] += 1
                continue
            new = {x for x in letters.keys() - seen if x > members[0]}
            self.extend((*members, node), longer, waiting | new, seen | new, size, words)


def by_class(words: Counter[tuple[int, ...]], size: int) -> Counts:
    """Counts of coloured classes from counts of words, which hold a letter for each two nodes."""
    letters, n = np.array(list(words)), np.arange(len(words))
    matrices = np.zeros((len(words), size, size), np.int64)
    for letter, (a, b) in zip(letters.T, classes.pairs(size), strict=True):
        matrices[n, a, b], matrices[n, b, a] = np.maximum(letter, 0), np.maximum(-letter, 0)
    return added(zip(*classes.describe(matrices), strict=True), words.values())


# --- what they say ------------------------------------------------------------------------------


def added(names: Iterable, counts: Iterable[int]) -> Counts:
    """Counts by name, those of one name added up, without zeros."""
    total: Counter = Counter()
    for name, count in zip(names, counts, strict=True):
        total[name] += int(count)
    return {name: count for name, count in total.items() if count}


def without_colours(counts: Counts) -> Counts:
    return added((number for number, _ in counts), counts.values())


def in_bare(answer: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Counts:
    ids, adjacency, [counts] = answer
    return added(zip(ids, adjacency, strict=True), counts)


@functools.cache
def numbers(size: int) -> tuple[int | None, ...]:
    """FANMOD's number of each of igraph's classes; none for those that no network here can hold."""
    found = []
    for k in range(len(igraph.Graph(size, directed=True).motifs_randesu(size))):
        graph = igraph.Graph.Isoclass(n=size, cls=k, directed=True)
        matrix = np.array(graph.get_adjacency().data)
        fits = graph.is_connected("weak") and not (matrix * matrix.T).any()
        found.append(int(classes.describe(matrix[None])[0][0]) if fits else None)
    return tuple(found)


def in_igraph(motif_counts: list[float], size: int) -> Counts:
    return added(numbers(size), np.nan_to_num(motif_counts))


def check(answers: dict, size: int) -> Counts:
    """Coloured counts, if all ways agree in them."""
    table = answers[CENSUS]
    wanted = added(zip(table["id"], table["adjacency"], strict=True), table["count"])
    plain = without_colours(wanted)
    assert in_bare(answers[COUNT]) == wanted
    for name in {SINGLE, BATCHED} & answers.keys():
        ids, texts, counts = answers[name]
        assert added(zip(ids, texts, strict=True), counts[0]) == wanted, name
    assert answers.get(PYTHON, wanted) == wanted
    assert IGRAPH not in answers or in_igraph(answers[IGRAPH], size) == plain
    if NETWORKX in answers:
        assert added(TRIADS, map(answers[NETWORKX].get, TRIADS.values())) == plain
    return wanted


def rows_of(case: Case, counts: Counts, times: pd.DataFrame) -> list[dict]:
    """A row for each way, and how many times as long it takes as ours."""
    least = times.min()
    about = {"network": case.name, "edges": len(case.edges), "subgraphs": sum(counts.values())}
    return [
        about
        | {"way": name, "s": least[name]}
        | {f"way / {ours.removeprefix('winnow, ')}": least[name] / least[ours]
           for ours in (COUNT, CENSUS)}
        for name in times
    ]  # fmt: skip


# --- measured -----------------------------------------------------------------------------------


def four(cases: list[Case]) -> tuple[pd.DataFrame, list[dict]]:
    """Four nodes: compiled enumeration and matrix products, igraph and a loop in Python."""
    rows, goals = [], []
    for case in cases:
        graph = igraph.Graph(edges=case.pairs(), directed=True)
        ways = ours(case, 4) | {IGRAPH: lambda g=graph: g.motifs_randesu(4)}
        if len(case.edges) < 1000:
            ways[PYTHON] = functools.partial(Loop(case.edges), 4)
        answers, times = side_by_side(ways, turns=8, repeats=REPEATS)
        times[BATCHED] /= N_MANY
        rows += rows_of(case, check(answers, 4), times)
        if case.layers == (31, 30, 30, 4):
            text = f"{case.name}, {{}} against igraph"
            goals = [goal(text.format(w), times, IGRAPH, w, 8) for w in (COUNT, CENSUS)]
        progress(f"four nodes, {case.name}")
    return pd.DataFrame(rows), goals


def ours(case: Case, size: int) -> Ways:
    return {
        COUNT: lambda: bare(case.edges, size),
        CENSUS: lambda: motifs.census(case.edges, size),
        SINGLE: lambda first=[b[:1] for b in case.stack]: layered_counts(first, size, n_colours=3),
        BATCHED: lambda: layered_counts(case.stack, size, n_colours=3),
    }


def three(cases: list[Case]) -> pd.DataFrame:
    """Three nodes, where networkx counts as well."""
    rows = []
    for case in cases:
        graph = igraph.Graph(edges=case.pairs(), directed=True)
        triads = nx.DiGraph(case.pairs())
        ways = ours(case, 3) | {
            IGRAPH: lambda g=graph: g.motifs_randesu(3),
            NETWORKX: lambda g=triads: nx.triadic_census(g),
        }
        answers, times = side_by_side(ways, turns=4, repeats=REPEATS)
        times[BATCHED] /= N_MANY
        rows += rows_of(case, check(answers, 3), times)
        progress(f"three nodes, {case.name}")
    return pd.DataFrame(rows)


def five(cases: list[Case]) -> pd.DataFrame:
    """Five nodes, which igraph does not count in directed graphs."""
    rows = []
    for case in cases:
        ways = {name: ours(case, 5)[name] for name in (COUNT, CENSUS)}
        if len(case.edges) < 400:
            ways[PYTHON] = functools.partial(Loop(case.edges), 5)
        answers, times = side_by_side(ways, turns=5)
        rows += rows_of(case, check(answers, 5), times)
        progress(f"five nodes, {case.name}")
    return pd.DataFrame(rows)


def large(case: Case) -> tuple[pd.DataFrame, list[dict]]:
    """Where enumeration visits hundreds of millions and matrix products a few matrices."""
    ways = {name: ours(case, 4)[name] for name in (COUNT, CENSUS, SINGLE)}
    answers, times = side_by_side(ways, turns=5)
    counts = check(answers, 4)
    progress(f"four nodes, {case.name}")
    met = goal(f"{case.name}, layered against the bare count", times, COUNT, SINGLE, 10)
    return pd.DataFrame(rows_of(case, counts, times)), [met]


def with_igraph(graph: igraph.Graph) -> np.ndarray:
    """Counts in random graphs of the same degrees, each from the one before; and in the graph."""
    counts, moving = [graph.motifs_randesu(4)], graph.copy()
    for _ in range(N_RANDOM):
        moving.rewire(n=nulls.TRIES_PER_EDGE * graph.ecount())
        counts.append(moving.motifs_randesu(4))
    assert moving.outdegree() == graph.outdegree()
    return np.nan_to_num(counts[1:])


def with_winnow(case: Case, null: str, size: int) -> np.ndarray:
    """The same, with colours, by one of the nulls."""
    rng = generator(0, "random networks")
    about = {"null": null, "n_random": N_RANDOM, "layers": case.layers}
    return motifs.ensemble(case.edges, size, rng=rng, **about).random


def ensembles(case: Case) -> tuple[pd.DataFrame, list[dict]]:
    """A network and a hundred random ones: all that a significance takes."""
    igraph.set_random_number_generator(None)  # its own, which is faster than Python's
    graph = igraph.Graph(edges=case.pairs(), directed=True)
    ways: Ways = {f"winnow, {n}": lambda n=n: with_winnow(case, n, 4) for n in nulls.NULLS}
    answers, times = side_by_side(ways | {IGRAPH: lambda: with_igraph(graph)}, turns=6)
    rows = [random_row(4, name, times[name].min(), answers[name]) for name in times]
    table.cache_clear()
    for turn in ("first time", "again"):
        start = time.perf_counter()
        counts = with_winnow(case, "degree", 5)
        rows.append(random_row(5, f"winnow, degree, {turn}", time.perf_counter() - start, counts))
    progress(f"random networks, {case.name}")
    frame = pd.DataFrame(rows)
    frame.insert(3, "way / degree, size 4", frame["s"] / frame["s"][0])
    return frame, [below(case, times["winnow, degree"], 0.5)]


def random_row(size: int, way: str, taken: float, counts: np.ndarray) -> dict:
    mean = round(counts.sum(1).mean())
    return {"size": size, "way": way, "s": taken, "subgraphs in a random network, mean": mean}


def below(case: Case, times: pd.Series, bound: float) -> dict:
    """A row that says whether the random networks take as few seconds as they should."""
    text = f"{case.name}, {N_RANDOM} random networks, degree null: seconds below {bound:g}"
    return verdict(text, times.min(), times, reached=times.min() < bound)


# --- compiling ----------------------------------------------------------------------------------

FRESH = """
import json, time
start, marks = time.perf_counter(), []
import numpy as np
from winnow.metrics import motifs
marks.append(time.perf_counter())
fan = np.array([[0, 2, 1], [0, 3, 2], [1, 2, 2], [1, 3, 2], [4, 5, 1], [6, 7, 1]])
for _ in range(2):
    motifs.census(fan, 4)
    marks.append(time.perf_counter())
motifs.ensemble(fan, 4, null="degree", n_random=2, rng=np.random.default_rng(0))
marks.append(time.perf_counter())
print(json.dumps(np.diff([start, *marks]).tolist()))
"""
STAGES = ("import, s", "first census, s", "second census, s", "then first ensemble, s")


def fresh(folder: str) -> list[float]:
    """Seconds of each stage in a process of its own."""
    environment = os.environ | {"NUMBA_CACHE_DIR": folder}
    done = subprocess.run(
        [sys.executable, "-c", FRESH], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def compiling() -> pd.DataFrame:
    """What a first call costs with nothing compiled, and with everything compiled earlier."""
    empty, filled = [], []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            empty.append(fresh(folder))
            filled.append(fresh(folder))
        progress("compiling")
    least = {"empty": np.min(empty, 0), "filled": np.min(filled, 0)}
    return pd.DataFrame(
        [{"cache": k} | dict(zip(STAGES, v, strict=True)) for k, v in least.items()]
    )


def progress(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> None:
    torch.set_num_threads(1)
    small, middle = case_of((31, 20, 10, 4), 0.285), case_of((31, 30, 30, 4), 0.298)
    wide, huge = case_of((64, 64, 64, 10), 0.249), case_of((256, 256, 256, 10), 0.2395, n=1)
    at_four, goals = four([small, middle, wide])
    at_most, more = large(huge)
    random, most = ensembles(middle)
    tables = {
        "To reach": pd.DataFrame(goals + most + more),
        "Four nodes, seconds per network": at_four,
        "Four nodes, many subgraphs": at_most,
        "Three nodes": three([small, middle, wide]),
        "Five nodes": five([small, middle]),
        f"{middle.name} and {N_RANDOM} random networks": random,
        "First calls in a fresh process, by what the cache of compiled code holds": compiling(),
    }
    also = (
        f"{name} {importlib.metadata.version(name)}" for name in ("numba", "igraph", "networkx")
    )
    print(results.run_card(threads=1, also=", ".join(also)))
    for title, frame in tables.items():
        print(f"\n### {title}\n\n{frame.to_markdown(index=False, floatfmt='.3g')}")


if __name__ == "__main__":
    main()
