"""Experiments of the chapter on motifs: perceptrons, their coloured graphs, and what is in them.

Tables have a row per seed, scheme (how weights were drawn), state (untrained, or which patterns
were learnt), null and class of subgraph. A cohort is trained at once; graphs are counted one by
one. What tables say is asked in :mod:`winnow.experiments.motifs.profiles` and in the chapter.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from winnow import memory
from winnow.data import patterns
from winnow.data.images import load
from winnow.metrics import motifs
from winnow.metrics.motifs import classes, colouring
from winnow.models import Perceptron
from winnow.models.perceptron import layers
from winnow.seeds import generator
from winnow.training import epochs, loop

#: Schemes of the paper.
PUBLISHED = ("normal", "orthogonal", "glorot")

#: Share of the peak density where edges begin in the paper.
CUT = 0.55

#: The state before training.
UNTRAINED = "untrained"

#: Tasks that hold out patterns of the tree, and rows that training has in the paper.
FOLDS, N_ROWS = ("fold 0", "fold 1", "fold 2", "fold 3"), 1260


def check(*, mnist: str, grids: Mapping[str, Sequence[float]]) -> None:
    """Raise ``ValueError`` where a chapter's parameters cannot be used, before any work.

    ``grids`` are values to go through by name.
    """
    for name, values in grids.items():
        if len(values) < 2 or any(a >= b for a, b in itertools.pairwise(values)):
            raise ValueError(f"{name} must be two or more values that ascend, got {list(values)}")
    if mnist:
        load(mnist, among=["MNIST"])


@dataclass(frozen=True)
class Cohort:
    """Networks of several seeds and schemes, trained on one set of patterns or more."""

    seeds: tuple[int, ...]
    schemes: tuple[str, ...]
    #: Of each layer, ``(seeds, schemes, n_target, n_source)``, by state and by epochs of training.
    weights: dict[tuple[str, int], list[torch.Tensor]]
    running: pd.DataFrame  #: training accuracy during each epoch, by task, seed and scheme
    tested: pd.DataFrame  #: accuracy on patterns kept for testing, by task, seed and scheme

    @property
    def states(self) -> dict[str, list[torch.Tensor]]:
        """Weights before training, and after learning each set of patterns."""
        # Of a state's epochs the last one stays.
        return {state: layers for (state, _), layers in self.weights.items()}

    def part(self, schemes: Sequence[str], n_seeds: int | None = None) -> Cohort:
        """The networks of some schemes, and of the first seeds, only."""
        seeds, arms = self.seeds[:n_seeds], [self.schemes.index(scheme) for scheme in schemes]
        weights = {at: [w[: len(seeds), arms] for w in net] for at, net in self.weights.items()}
        wanted = "seed in @seeds and scheme in @schemes"
        tables = self.running.query(wanted), self.tested.query(wanted)
        return Cohort(seeds, tuple(schemes), weights, *tables)


def train(tasks: Sequence[str], *, seeds: Sequence[int], **options: object) -> Cohort:
    """A cohort: for each seed patterns of its own, and one start per scheme for all patterns.

    Parameters
    ----------
    tasks
        Among ``"tree"``, ``"clusters"``, ``"digits"`` and :data:`FOLDS`; of one size, so digits
        stand alone.
    seeds
        Replicas.
    **options
        ``hidden``, units of the hidden layers; ``schemes``, names in
        :data:`~winnow.models.perceptron.SCHEMES`; perhaps ``n_epochs`` of training, after each of
        which weights are kept, as for :func:`~winnow.training.epochs.fit_epochs`.
    """
    splits = {task: [split(task, seed) for seed in seeds] for task in tasks}
    return _fit(splits, seeds, **options)


def split(task: str, seed: int) -> patterns.Split:
    """A seed's patterns, dealt out to training and testing.

    Of :data:`FOLDS`, 1260 of 3000 rows of the tree are learnt. Tested is one of the four distinct
    rows of every class, once each, which training never shows.
    """
    if task in FOLDS:
        drawn = patterns.tree(3000, rng=generator(seed, "tree patterns"))
        kept, held = patterns.hold_out(drawn, FOLDS.index(task))
        _, first = np.unique(held.inputs.numpy(), axis=0, return_index=True)
        return patterns.Split(kept.rows(torch.arange(N_ROWS)), held.rows(torch.from_numpy(first)))
    makers = {"tree": patterns.tree, "clusters": patterns.clusters}
    makers["digits"] = lambda rng: patterns.digits()  # the same for all seeds
    if task not in makers:
        raise ValueError(f"unknown task {task!r}: choose from {', '.join([*makers, *FOLDS])}")
    drawn = makers[task](rng=generator(seed, f"{task} patterns"))
    return patterns.split(drawn, rng=generator(seed, f"{task} split"))


def _fit(splits, seeds, *, hidden, schemes, **schedule) -> Cohort:
    """Replicas are the seeds on the first patterns, then on the next."""
    n, replicas = len(seeds), [*seeds] * len(splits)
    inputs, labels = _stacked(splits, "train")
    n_classes = next(iter(splits.values()))[0].train.n_classes
    network = Perceptron((inputs.shape[-1], *hidden, n_classes))
    start = network.initial(replicas, schemes=schemes)
    about = {"seeds": replicas} | schedule
    snapshots, running = epochs.fit_epochs(network, start, inputs, labels, **about)
    tested = loop.accuracy(network, snapshots[-1], *_stacked(splits, "test"))
    weights = {(UNTRAINED, 0): [w[:n] for w in layers(snapshots[0])]}
    for (i, task), (epoch, p) in itertools.product(enumerate(splits), enumerate(snapshots)):
        weights[task, epoch] = [w[i * n : (i + 1) * n] for w in layers(p)]
    axes = {"task": splits, "seed": seeds, "scheme": schemes}
    running = _tidy(running, {"epoch": range(1, len(running) + 1)} | axes)
    return Cohort(tuple(seeds), tuple(schemes), weights, running, _tidy(tested, axes))


def _stacked(splits, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    parts = [getattr(split, part) for split in itertools.chain(*splits.values())]
    return torch.stack([p.inputs for p in parts]), torch.stack([p.labels for p in parts])


def _tidy(accuracy: np.ndarray, axes: Mapping[str, Iterable]) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(axes.values(), names=axes)
    return pd.DataFrame({"accuracy": accuracy.ravel()}, index=index).reset_index()


@dataclass(frozen=True)
class Nets:
    """Coloured networks in one state: matrices ``(seeds, schemes, n_target, n_source)``."""

    seeds: tuple[int, ...]
    schemes: tuple[str, ...]
    matrices: list[np.ndarray]
    about: dict[str, object]  #: columns beside every row, such as ``{"state": "tree"}``
    stream: str  #: names their random numbers

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer."""
        return (self.matrices[0].shape[-1], *(m.shape[-2] for m in self.matrices))

    def replaced(self) -> Nets:
        """The same edges, with their colours, at random places within their layers."""
        found = colouring.replaced(self.matrices, rng=_rngs(self, f"{self.stream} {{}} replaced"))
        return replace(self, matrices=found, stream=f"{self.stream}, re-placed")


def _rngs(networks: Nets | Cohort, purpose: str) -> list[np.random.Generator]:
    """A stream for each seed and scheme, whose name goes into the purpose."""
    each = itertools.product(networks.seeds, networks.schemes)
    return [generator(seed, purpose.format(scheme)) for seed, scheme in each]


def coloured(cohort: Cohort, *, cut: float = CUT, own: bool = False) -> dict[str, Nets]:
    """Coloured networks by state, of every seed and scheme.

    Parameters
    ----------
    cohort
        Whose weights to cut.
    cut
        As for :func:`~winnow.metrics.motifs.colouring.fit_cut`.
    own
        Whether each network has a cut of its own. Otherwise a seed's networks of one scheme share
        theirs, as in the paper: so how many edges one has depends on the weights of the others.
    """
    found, everything = {}, list(itertools.chain(*cohort.states.values()))
    for state, weights in cohort.states.items():
        matrices = _cut(weights, cut, pooled=weights if own else everything)
        found[state] = Nets(cohort.seeds, cohort.schemes, matrices, {"state": state}, state)
    return found


def after_epoch(cohort: Cohort, task: str, epoch: int, *, cut: float = CUT) -> Nets:
    """Coloured networks while a task is learnt, each with a cut of its own."""
    matrices, about = _cut(cohort.weights[task, epoch], cut), {"state": task, "epoch": epoch}
    return Nets(cohort.seeds, cohort.schemes, matrices, about, f"epoch {epoch}")


def untrained(
    seeds: Sequence[int], hidden: Sequence[int], *, cut: float = CUT, **about: object
) -> Nets:
    """Coloured Glorot networks as they start; ``about`` is said of them in tables."""
    weights = layers(Perceptron((31, *hidden, 4)).initial(seeds, schemes=["glorot"]))
    about = {"state": UNTRAINED} | about
    return Nets(tuple(seeds), ("glorot",), _cut(weights, cut), about, UNTRAINED)


def _cut(weights: Sequence[torch.Tensor], cut: float, pooled=None) -> list[np.ndarray]:
    """Colours of weights ``(seeds, schemes, ...)`` by cuts fitted to pooled ones, or to these."""
    pooled = [w.flatten(0, 1).numpy() for w in pooled or weights]
    fitted = colouring.fit_cut(pooled, cut)
    return [colouring.colours(w.flatten(0, 1).numpy(), fitted).reshape(w.shape) for w in weights]


def pruned(cohort: Cohort, state: str, density: float) -> list[Nets]:
    """Networks without colours: the strongest weights left, or as many at random.

    Each set says its ``rule``: ``"magnitude"``, ``"random"``, or ``"by layer"``, random with as
    many weights in each layer as magnitude leaves there.
    """
    weights, rngs = cohort.states[state], _rngs(cohort, f"random mask {{}} {density}")
    masks = {"magnitude": colouring.strongest(weights, density)}
    masks["random"] = colouring.random_like(weights, density, rng=rngs)
    masks["by layer"] = colouring.replaced(masks["magnitude"], rng=rngs)
    nets = []
    for rule, kept in masks.items():
        about = {"state": state, "rule": rule, "density": density}
        matrices = [m.numpy().astype(np.int8) for m in kept]
        nets.append(Nets(cohort.seeds, cohort.schemes, matrices, about, rule))
    return nets


def images(folder: str, *, seeds: Sequence[int], n_epochs: int, **options: object) -> pd.DataFrame:
    """Scores before and after learning MNIST, from the files in a folder.

    784-50-50-20-10, batches of 128 and a cut of 0.10, the paper's larger network.
    """
    found = load(folder, among=["MNIST"])
    trained = _digits(found.train, found.train_labels)
    tested = _digits(found.test, found.test_labels)
    memory.require(3 * len(seeds) * trained.inputs.nbytes, f"MNIST for {len(seeds)} networks")
    splits = {"MNIST": [patterns.Split(trained, tested)] * len(seeds)}
    learning = {"n_epochs": n_epochs, "batch_size": 128}
    cohort = _fit(splits, seeds, hidden=(50, 50, 20), schemes=PUBLISHED, **learning)
    return measure(coloured(cohort, cut=0.1).values(), **options)


def _digits(pixels: np.ndarray, labels: np.ndarray) -> patterns.Patterns:
    inputs = torch.from_numpy(pixels.reshape(len(pixels), -1) / np.float32(255))
    return patterns.Patterns(inputs, torch.from_numpy(labels), n_classes=10)


def measure(
    nets: Iterable[Nets],
    *,
    nulls: Sequence[str],
    n_random: int,
    size: int = 4,
    report: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Each class's count and scores in every network under every null.

    Parameters
    ----------
    nets
        Networks of several states, one after the other.
    nulls, n_random, size
        As for :func:`~winnow.metrics.motifs.significance`.
    report
        Told how far it is, if given.

    Returns
    -------
    pandas.DataFrame
        ``seed``, ``scheme``, what the networks are about, such as ``state``; ``null``; ``edges``
        of the network; ``id`` and ``topology``, a class by number and by name; with colours added
        up ``count``, ``expected`` in random networks and ``z``; under the degree null ``msm``, the
        largest z among colourings with p < 0.05
        (:func:`~winnow.metrics.motifs.most_significant`). For sizes 3 and 4 every class of layered
        networks has a row, with NaN where z is not defined.
    """
    tables = []
    for net in nets:
        for i, j in np.ndindex(len(net.seeds), len(net.schemes)):
            seed, scheme = net.seeds[i], net.schemes[j]
            edges = colouring.edges([m[i, j] for m in net.matrices])
            for null in nulls:
                rng = generator(seed, f"{null} null of {net.stream} {scheme} {size}")
                options = {"n_random": n_random, "rng": rng, "layers": net.sizes}
                scores = _scores(edges, size, null=null, **options)
                about = {"seed": seed, "scheme": scheme, **net.about, "null": null}
                about["edges"] = len(edges)
                tables.append(pd.DataFrame(about, index=scores.index).join(scores))
            if report is not None and j + 1 == len(net.schemes):
                report(f"{net.stream}: {i + 1} of {len(net.seeds)} seeds")
    return pd.concat(tables, ignore_index=True)


def _scores(edges: np.ndarray, size: int, *, null: str, **options: object) -> pd.DataFrame:
    """``id``, ``topology``, ``count``, ``expected``, ``z`` and perhaps ``msm``.

    A row for every class that has a name, in their order; of size 5, for those that occur.
    """
    try:
        random = motifs.ensemble(edges, size, null=null, **options) if len(edges) else None
    except motifs.NothingToChangeError:
        random = None
    if random is not None:
        scores = motifs.score(random.by_topology(), absent=True).set_index("id")
    else:  # without edges, or with too few, the network is the only one with its degrees
        found = motifs.census(edges, size) if len(edges) else pd.DataFrame({"id": [], "count": []})
        count = found.groupby("id")["count"].sum()
        scores = pd.DataFrame({"count": count, "expected": count, "z": np.nan})
    columns = ["count", "expected", "z"]
    if null == "degree":
        best = 0.0 if random is None else motifs.most_significant(motifs.score(random))
        scores, columns = scores.assign(msm=best), [*columns, "msm"]
    names = classes.NAMES.get(size, dict.fromkeys(sorted(scores.index), ""))
    absent = {"count": 0, "expected": 0, "msm": 0}
    found = scores.reindex(list(names)).fillna(absent).astype({"count": np.int64})
    found = found.assign(topology=list(names.values())).rename_axis("id").reset_index()
    return found[["id", "topology", *columns]]
