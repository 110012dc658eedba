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
from winnow.training import epochs

#: Schemes of the paper.
PUBLISHED = ("normal", "orthogonal", "glorot")

#: The state before training.
UNTRAINED = "untrained"

#: Folds of held-out tree patterns, and rows that training has in the paper.
N_FOLDS, N_ROWS = 4, 1260

Matrices = list[np.ndarray]


def check(
    *,
    n_seeds: int,
    n_few: int,
    n_size5: int,
    mnist: str = "",
    grids: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Raise ``ValueError`` where a chapter's parameters cannot be used, before any work."""
    for name, values in (grids or {}).items():
        if len(values) < 2 or any(a >= b for a, b in itertools.pairwise(values)):
            raise ValueError(f"{name} must be two or more values that ascend, got {list(values)}")
    if mnist:
        load(mnist, among=["MNIST"])
    for name, value in {"n_few": n_few, "n_size5": n_size5}.items():
        if value > n_seeds:
            raise ValueError(f"{name} must be at most n_seeds, which is {n_seeds}, got {value}")


@dataclass(frozen=True)
class Cohort:
    """Networks of several seeds and schemes, trained on one set of patterns or more."""

    network: Perceptron
    seeds: tuple[int, ...]
    schemes: tuple[str, ...]
    tasks: tuple[str, ...]
    course: epochs.Course  #: replicas are the seeds on the first patterns, then on the next
    splits: dict[str, list[patterns.Split]]

    @property
    def states(self) -> tuple[str, ...]:
        """Before training, and after learning each set of patterns."""
        return (UNTRAINED, *self.tasks)

    def first(self, n: int) -> Cohort:
        """The networks of the first seeds only."""
        rows = np.arange(len(self.tasks) * len(self.seeds)).reshape(len(self.tasks), -1)[:, :n]
        splits = {task: kept[:n] for task, kept in self.splits.items()}
        return self._part(rows.ravel(), slice(None), seeds=self.seeds[:n], splits=splits)

    def only(self, schemes: Sequence[str]) -> Cohort:
        """The networks of some schemes only."""
        arms = [self.schemes.index(scheme) for scheme in schemes]
        return self._part(slice(None), arms, schemes=tuple(schemes))

    def _part(self, rows, arms, **changes) -> Cohort:
        kept = {
            epoch: {name: value[rows][:, arms] for name, value in p.items()}
            for epoch, p in self.course.snapshots.items()
        }
        right, loss = (v[:, rows][:, :, arms] for v in (self.course.accuracy, self.course.loss))
        return replace(self, course=epochs.Course(kept, right, loss), **changes)

    def weights(self, state: str, epoch: int | None = None) -> list[torch.Tensor]:
        """Weights of each layer, ``(seeds, schemes, n_target, n_source)``, after an epoch."""
        task = 0 if state == UNTRAINED else self.tasks.index(state)
        epoch = 0 if state == UNTRAINED else self.course.epochs[-1] if epoch is None else epoch
        n = len(self.seeds)
        return [w[task * n : (task + 1) * n] for w in layers(self.course.snapshots[epoch])]

    def running(self) -> pd.DataFrame:
        """Training accuracy during each epoch, ``task``, ``scheme``, ``seed``, ``epoch``."""
        shape = (len(self.course.accuracy), len(self.tasks), len(self.seeds), len(self.schemes))
        axes = {"epoch": range(1, shape[0] + 1), "task": self.tasks}
        axes |= {"seed": self.seeds, "scheme": self.schemes}
        return _tidy(self.course.accuracy.reshape(shape), axes, "accuracy")

    def tested(self) -> pd.DataFrame:
        """Accuracy on patterns kept for testing, ``task``, ``scheme``, ``seed``."""
        parts = [split.test for task in self.tasks for split in self.splits[task]]
        right = epochs.accuracy(self.network, self.course.final, *_stacked(parts))
        axes = {"task": self.tasks, "seed": self.seeds, "scheme": self.schemes}
        return _tidy(right.reshape([len(a) for a in axes.values()]), axes, "accuracy")


def train(
    tasks: Sequence[str],
    *,
    seeds: Sequence[int],
    hidden: Sequence[int],
    schemes: Sequence[str],
    n_epochs: int = 20,
    keep_every: int = 1,
) -> Cohort:
    """A cohort: for each seed patterns of its own, and one start per scheme for all patterns.

    Parameters
    ----------
    tasks
        Among ``"tree"``, ``"clusters"`` and ``"digits"``; of one size, so digits stand alone.
    seeds, hidden, schemes
        Replicas, units of the hidden layers, and names in
        :data:`~winnow.models.perceptron.SCHEMES`.
    n_epochs, keep_every
        Of training, and how often weights are kept.
    """
    splits = {task: [_split(task, seed) for seed in seeds] for task in tasks}
    return _fit(splits, seeds, hidden, schemes, n_epochs, keep_every)


def _fit(splits, seeds, hidden, schemes, n_epochs, keep_every, batch_size=20) -> Cohort:
    inputs, labels = _stacked([split.train for group in splits.values() for split in group])
    n_classes = next(iter(splits.values()))[0].train.n_classes
    network = Perceptron((inputs.shape[-1], *hidden, n_classes))
    start = network.initial(seeds, schemes=schemes)
    start = {
        name: value.repeat(len(splits), *[1] * (value.ndim - 1)) for name, value in start.items()
    }
    course = epochs.fit_epochs(
        *(network, start, inputs, labels),
        schedule=epochs.Schedule(n_epochs=n_epochs, batch_size=batch_size),
        seeds=[*seeds] * len(splits),
        keep_every=keep_every,
    )
    return Cohort(network, tuple(seeds), tuple(schemes), tuple(splits), course, splits)


def _split(task: str, seed: int) -> patterns.Split:
    makers = {"tree": patterns.tree, "clusters": patterns.clusters}
    if task not in (*makers, "digits"):
        raise ValueError(f"unknown task {task!r}: choose from {', '.join(makers)}, digits")
    if task == "digits":
        drawn = patterns.digits()
    else:
        drawn = makers[task](rng=generator(seed, f"{task} patterns"))
    return patterns.split(drawn, rng=generator(seed, f"{task} split"))


def _stacked(parts: Sequence[patterns.Patterns]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack([p.inputs for p in parts]), torch.stack([p.labels for p in parts])


def unseen(
    *, seeds: Sequence[int], hidden: Sequence[int], schemes: Sequence[str], n_epochs: int = 20
) -> pd.DataFrame:
    """Accuracy on tree patterns that training never showed, ``fold``, ``scheme``, ``seed``.

    Of 3000 rows drawn, 1260 that are not held out are learnt.

    Four folds; in each one of the four distinct patterns of every class is held out.
    """
    drawn = [patterns.tree(3000, rng=generator(seed, "tree patterns")) for seed in seeds]
    pairs = [patterns.hold_out(p, fold) for fold in range(N_FOLDS) for p in drawn]
    splits = [
        patterns.Split(kept.rows(torch.arange(N_ROWS)), _one_each(held)) for kept, held in pairs
    ]
    n = len(seeds)
    groups = {f"fold {i}": splits[i * n : (i + 1) * n] for i in range(N_FOLDS)}
    found = _fit(groups, seeds, hidden, schemes, n_epochs, n_epochs).tested()
    return found.rename(columns={"task": "fold"})


def _one_each(rows: patterns.Patterns) -> patterns.Patterns:
    """Each distinct row once."""
    _, first = np.unique(rows.inputs.numpy(), axis=0, return_index=True)
    return rows.rows(torch.from_numpy(first))


def _tidy(values: np.ndarray, axes: Mapping[str, Iterable], name: str) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([list(a) for a in axes.values()], names=list(axes))
    return pd.DataFrame({name: np.ravel(values)}, index=index).reset_index()


@dataclass(frozen=True)
class Nets:
    """Coloured networks in one state: matrices ``(seeds, schemes, n_target, n_source)``."""

    seeds: tuple[int, ...]
    schemes: tuple[str, ...]
    matrices: Matrices
    about: dict[str, object]  #: columns beside every row, such as ``{"state": "tree"}``
    stream: str  #: names their random numbers

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer."""
        return (self.matrices[0].shape[-1], *(m.shape[-2] for m in self.matrices))

    def replaced(self) -> Nets:
        """The same edges, with their colours, at random places within their layers."""
        rngs = [
            generator(seed, f"{self.stream} {scheme} replaced")
            for seed in self.seeds
            for scheme in self.schemes
        ]
        found = colouring.replaced(self.matrices, rng=rngs)
        return replace(self, matrices=found, stream=f"{self.stream}, re-placed")


def coloured(cohort: Cohort, *, cut: float = 0.55, own: bool = False) -> dict[str, Nets]:
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
    weights = {state: cohort.weights(state) for state in cohort.states}
    pooled = None if own else list(itertools.chain(*weights.values()))
    return {
        state: _coloured(cohort, found, cut, {"state": state}, state, pooled=pooled)
        for state, found in weights.items()
    }


def after_epochs(
    cohort: Cohort, task: str, looks: Sequence[int], *, cut: float = 0.55
) -> list[Nets]:
    """Coloured networks while a task is learnt, after some epochs, each with a cut of its own."""
    return [
        _coloured(
            cohort,
            cohort.weights(task, epoch),
            cut,
            {"state": task, "epoch": epoch},
            f"epoch {epoch}",
        )
        for epoch in looks
    ]


def untrained(
    *, seeds: Sequence[int], sizes: Sequence[int], scheme: str = "glorot", cut: float = 0.55
) -> Nets:
    """Coloured networks that were never trained, cut by their own weights alone."""
    weights = layers(Perceptron(tuple(sizes)).initial(seeds, schemes=[scheme]))
    matrices = _cut(weights, weights, cut)
    return Nets(tuple(seeds), (scheme,), matrices, {"state": UNTRAINED}, UNTRAINED)


def _coloured(cohort, weights, cut, about, stream, pooled=None) -> Nets:
    matrices = _cut(weights, weights if pooled is None else pooled, cut)
    return Nets(cohort.seeds, cohort.schemes, matrices, about, stream)


def _cut(weights: Sequence[torch.Tensor], pooled: Sequence[torch.Tensor], cut: float) -> Matrices:
    """Colours of weights ``(seeds, schemes, ...)`` by cuts that are fitted to pooled ones."""
    fitted = colouring.fit_cut([w.flatten(0, 1).numpy() for w in pooled], cut, per_replica=True)
    return [colouring.colours(w.flatten(0, 1).numpy(), fitted).reshape(w.shape) for w in weights]


def scaled(
    *,
    seeds: Sequence[int],
    hidden: Sequence[int],
    widths: Sequence[int],
    cuts: Sequence[float],
    **options: object,
) -> pd.DataFrame:
    """Scores of untrained Glorot networks with two wider layers, and with more edges.

    Returns
    -------
    pandas.DataFrame
        As from :func:`~winnow.experiments.motifs.networks.measure`, to which ``options`` go, and
        ``knob``, width or cut, with its ``value``.
    """
    tables = []
    for width in widths:
        nets = untrained(seeds=seeds, sizes=(31, width, width, 4))
        tables.append(measure([nets], **options).assign(knob="width", value=width))
    for cut in cuts:
        nets = untrained(seeds=seeds, sizes=(31, *hidden, 4), cut=cut)
        tables.append(measure([nets], **options).assign(knob="cut", value=cut))
    return pd.concat(tables, ignore_index=True)


def pruned(
    cohort: Cohort, state: str, densities: Sequence[float], **options: object
) -> pd.DataFrame:
    """Scores of networks without colours: the strongest weights left, or as many at random.

    Returns
    -------
    pandas.DataFrame
        As from :func:`~winnow.experiments.motifs.networks.measure`, to which ``options`` go, with
        ``density``, and as ``rule`` ``"magnitude"``, ``"random"`` or ``"by layer"``: the last is
        random with as many weights in each layer as magnitude leaves there.
    """
    weights, tables = cohort.weights(state), []
    for density in densities:
        rngs = [
            generator(seed, f"random mask {scheme} {density}")
            for seed in cohort.seeds
            for scheme in cohort.schemes
        ]
        masks = {"magnitude": colouring.strongest(weights, density)}
        masks["random"] = colouring.random_like(weights, density, rng=rngs)
        masks["by layer"] = colouring.replaced(masks["magnitude"], rng=rngs)
        for rule, kept in masks.items():
            matrices = [m.numpy().astype(np.int8) for m in kept]
            about = {"state": state, "rule": rule, "density": density}
            nets = Nets(cohort.seeds, cohort.schemes, matrices, about, rule)
            tables.append(measure([nets], **options))
    return pd.concat(tables, ignore_index=True)


def images(folder: str, *, seeds: Sequence[int], n_epochs: int, **options: object) -> pd.DataFrame:
    """Scores before and after learning MNIST, from the files in a folder.

    784-50-50-20-10, batches of 128 and a cut of 0.10, the paper's larger network.
    """
    found = load(folder, among=["MNIST"])
    trained = _digits(found.train, found.train_labels)
    tested = _digits(found.test, found.test_labels)
    memory.require(3 * len(seeds) * trained.inputs.nbytes, f"MNIST for {len(seeds)} networks")
    split = patterns.Split(trained, tested)
    splits = {"MNIST": [split] * len(seeds)}
    cohort = _fit(splits, seeds, (50, 50, 20), PUBLISHED, n_epochs, n_epochs, batch_size=128)
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
        for (i, seed), (j, scheme) in itertools.product(
            enumerate(net.seeds), enumerate(net.schemes)
        ):
            edges = colouring.edges([m[i, j] for m in net.matrices])
            for null in nulls:
                about = {"seed": seed, "scheme": scheme, **net.about, "null": null}
                rng = generator(seed, f"{null} null of {net.stream} {scheme} {size}")
                options = {"null": null, "n_random": n_random, "rng": rng, "layers": net.sizes}
                scores = _named(_scores(edges, size, **options), size)
                about["edges"] = len(edges)
                tables.append(pd.DataFrame(about, index=scores.index).join(scores))
            if report is not None and j + 1 == len(net.schemes):
                report(f"{net.stream}: {i + 1} of {len(net.seeds)} seeds")
    return pd.concat(tables, ignore_index=True)


def _scores(edges: np.ndarray, size: int, *, null: str, **options: object) -> pd.DataFrame:
    """``count``, ``expected``, ``z`` and perhaps ``msm`` of the classes that occur, by ``id``."""
    try:
        random = motifs.ensemble(edges, size, null=null, **options) if len(edges) else None
    except motifs.NothingToChangeError:
        random = None
    if random is not None:
        plain = motifs.score(random.by_topology(), absent=True).set_index("id")
        scores = plain[["count", "expected", "z"]]
        if null == "degree":
            scores = scores.assign(msm=motifs.most_significant(motifs.score(random)))
        return scores
    # Without edges, or with too few, the network is the only one with its degrees.
    found = motifs.census(edges, size) if len(edges) else pd.DataFrame({"id": [], "count": []})
    count = found.groupby("id")["count"].sum()
    scores = pd.DataFrame({"count": count, "expected": count, "z": np.nan})
    return scores.assign(msm=0.0) if null == "degree" else scores


def _named(scores: pd.DataFrame, size: int) -> pd.DataFrame:
    """With a row for every class that has a name, in their order, and with the name."""
    names = classes.NAMES.get(size, dict.fromkeys(sorted(scores.index), ""))
    absent = {"count": 0, "expected": 0, "msm": 0}
    found = scores.reindex(list(names)).fillna(absent).astype({"count": np.int64})
    found = found.rename_axis("id").reset_index()
    found.insert(1, "topology", list(names.values()))
    return found
