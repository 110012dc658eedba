"""Problems of the chapter on receptive fields: two classes of inputs, in several groups.

A group is a variant of the inputs and a kind of it: the fields themselves, or their Gaussian
clones. All groups are trained side by side for the same seeds: what
:mod:`winnow.training.rounds` calls a replica is a group and a seed.

Patches of one seed come from random places, but of the same photographs: seeds say how much
training and sampling vary, not whether a result holds for other pictures. For that, the unit is
a pair of photographs.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from winnow import data, memory
from winnow.data.images import load
from winnow.seeds import generators
from winnow.training.batches import Windows

#: Sets of images that the deep network can learn.
IMAGE_SETS = ("CIFAR-10", "ImageNet32")

#: Draws ``(S, n, D)`` inputs of one class: ``(n, purpose) -> inputs``, a stream per seed.
Sampler = Callable[[int, str], np.ndarray]

#: A variant of inputs, and one of its kinds, "field" or "clone".
Group = tuple[str, str]

#: The groups of a problem that has no other variants.
FIELD, CLONE = ("main", "field"), ("main", "clone")


@dataclass(frozen=True)
class Field:
    """A class of inputs: a field on a ring or torus, or the Gaussian field of its covariance."""

    grid: tuple[int, ...]
    xi: float  #: correlation length, in sites
    gain: float = 3.0  #: of the error function
    power: float | None = None  #: instead of it, the exponent of a super-Gaussian field
    gaussian: bool = False  #: the matched Gaussian field

    def clone(self) -> Field:
        """The Gaussian field with the same covariance."""
        return dataclasses.replace(self, gaussian=True)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance with the first site, in the grid's shape."""
        corr = data.correlation(self.grid, self.xi)
        if self.power is not None:
            return data.power_covariance(corr, self.power)
        return data.nonlinear_covariance(corr, self.gain)

    def sample(self, n: int, *, seeds: Sequence[int], purpose: str) -> np.ndarray:
        """Fields ``(S, n, D)`` in float32, a stream per seed and purpose."""
        rng = generators(seeds, purpose)
        if self.gaussian:
            return data.gaussian_process(self.covariance, n, rng=rng)
        if self.power is not None:
            return data.power_process(self.grid, self.xi, n, power=self.power, rng=rng)
        return data.nonlinear_process(self.grid, self.xi, n, gain=self.gain, rng=rng)


def lengths(
    grid: tuple[int, ...], xis: Sequence[float], *, variant: str = "main", **options: float
) -> dict[Group, tuple[Field, Field]]:
    """Short against long correlations: the fields, and their Gaussian clones.

    Parameters
    ----------
    grid, **options
        As for :class:`~winnow.experiments.receptive_fields.problems.Field`.
    xis
        Two different lengths, in sites.
    variant
        What these inputs are called.
    """
    if len(xis) != 2 or xis[0] == xis[1]:
        raise ValueError(f"lengths must be pairs of two different ones, got {list(xis)}")
    short, long = (Field(grid, xi, **options) for xi in xis)
    clones = (short.clone(), long.clone())
    return {(variant, "field"): (short, long), (variant, "clone"): clones}


def variants(
    grid: tuple[int, ...], xis: Sequence[float], *, gains: Sequence[float], power: float
) -> dict[Group, tuple[Field, Field]]:
    """Fields beside the main ones, of other kurtosis or of other lengths, and their clones.

    At the main lengths ``"gain 1"``, nearer to Gaussian or to binary fields, and
    ``"super-Gaussian"``, of the given power; at the main gain such as ``"lengths 1 and 3"``.

    Parameters
    ----------
    grid
        As for :class:`~winnow.experiments.receptive_fields.problems.Field`.
    xis, gains
        Lengths, short and long in turn, and gains; the first two lengths and the first gain are
        the main ones.
    power
        Exponent of the super-Gaussian fields.
    """
    if len(xis) % 2:
        raise ValueError(f"lengths must be pairs, short and long in turn, got {list(xis)}")
    found = {}
    for gain in gains[1:]:
        found |= lengths(grid, xis[:2], variant=f"gain {gain:g}", gain=gain)
    found |= lengths(grid, xis[:2], variant="super-Gaussian", power=power)
    for pair in zip(xis[2::2], xis[3::2], strict=True):
        found |= lengths(grid, pair, variant="lengths {:g} and {:g}".format(*pair), gain=gains[0])
    return found


def check(*, lengths: Sequence[float], gains: Sequence[float], images: str) -> None:
    """Raise ``ValueError`` where a chapter's parameters do not go together, before any work."""
    # The main gain stands twice, so that it is among the variants too.
    groups = variants((100,), lengths, gains=[gains[0], *gains], power=2.0)
    for field in itertools.chain(*groups.values()):  # a field that cannot be is refused here
        field.sample(1, seeds=[0], purpose="check")
    if images:
        load(images, among=IMAGE_SETS)


@dataclass(frozen=True)
class Problem:
    """Two classes to be told apart, in several groups, for the same seeds."""

    groups: tuple[Group, ...]
    seeds: tuple[int, ...]
    where: dict[str, object]  #: grid, radius and boundary, as measures of locality take them
    source: Windows = dataclasses.field(repr=False)
    test: tuple[torch.Tensor, ...] = dataclasses.field(repr=False)  #: inputs and labels
    probes: tuple[torch.Tensor, ...] = dataclasses.field(repr=False)  #: by class, (S, n, D)

    @property
    def replicas(self) -> list[int]:
        """Seeds of all groups, one after the other."""
        return list(self.seeds) * len(self.groups)

    def index(self, **columns: object) -> pd.DataFrame:
        """A row per replica: ``variant``, ``kind``, ``seed``, and constant or computed columns."""
        names = np.repeat(np.array(self.groups), len(self.seeds), axis=0)
        index = {"variant": names[:, 0], "kind": names[:, 1], "seed": self.replicas}
        return pd.DataFrame(index | columns)

    def first(self, kind: str) -> int:
        """Where the replicas of a kind of the main variant begin."""
        return self.groups.index(("main", kind)) * len(self.seeds)


def ring_problem(
    groups: Mapping[Group, tuple[Field, Field]], *, seeds: Sequence[int], **sizes: int
) -> Problem:
    """A problem on a ring or a torus; the same noise underlies a field and its clone.

    Near are 3 sites on a ring, 2 on a torus.

    Parameters
    ----------
    groups
        Each with its two classes.
    seeds
        Each with samples of its own.
    **sizes
        ``n_train``, ``n_test``, ``n_probe``, per class.
    """

    def sampler(field: Field, c: int) -> Sampler:
        return lambda n, purpose: field.sample(n, seeds=seeds, purpose=f"class {c}, {purpose}")

    samplers = {group: [sampler(pair[c], c) for c in (0, 1)] for group, pair in groups.items()}
    grid = next(iter(groups.values()))[0].grid
    where = {"grid": grid, "radius": 3 if len(grid) == 1 else 2, "cyclic": True}
    return assemble(samplers, where, seeds=seeds, **sizes)


def assemble(
    samplers: Mapping[Group, Sequence[Sampler]],
    where: dict[str, object],
    *,
    seeds: Sequence[int],
    n_train: int,
    n_test: int,
    n_probe: int,
) -> Problem:
    """A problem from what draws the classes of each group, for ``"train"`` and for ``"test"``."""
    n_inputs = len(samplers) * len(seeds) * 2 * (2 * n_train + n_test + n_probe)
    what = f"{len(samplers)} groups of inputs for {len(seeds)} seeds"
    memory.require(4 * n_inputs * math.prod(where["grid"]), what)
    mixed, tests = [], []
    for classes in samplers.values():
        drawn = [draw(n_train, "train") for draw in classes]
        mixed.append(data.mix(drawn, rng=generators(seeds, "shuffle")))
        tests.append([draw(max(n_test, n_probe), "test") for draw in classes])
    source = Windows(*(torch.from_numpy(np.concatenate(a)) for a in zip(*mixed, strict=True)))
    known = [torch.from_numpy(np.concatenate(of_class)) for of_class in zip(*tests, strict=True)]
    right = torch.arange(2).repeat_interleave(n_test).expand(len(known[0]), -1)
    test = torch.cat([x[:, :n_test] for x in known], 1), right
    probes = tuple(x[:, :n_probe] for x in known)
    return Problem(tuple(samplers), tuple(seeds), where, source, test, probes)


# --- photographs ---------------------------------------------------------------------------------

#: Pairs in which no photograph stands more than twice.
PAIRS = (
    ("china", "flower"),
    ("coffee", "camera"),
    ("brick", "gravel"),
    ("astronaut", "grass"),
    ("chelsea", "rocket"),
    ("motorcycle", "camera"),
    ("flower", "brick"),
    ("coffee", "chelsea"),
    ("astronaut", "gravel"),
    ("grass", "china"),
)


def higher_order_photos(size: int, *, seeds: Sequence[int], **sizes: int) -> Problem:
    """Patches of all photographs against Gaussian clones of them, which have their covariance.

    The second kind, a control, sets clones against clones: nothing can be told apart. Patches for
    testing, and those that clones for testing are made from, lie where no training patch does.

    Parameters
    ----------
    size
        Pixels along an edge of a patch.
    seeds
        Each with patches of its own.
    **sizes
        ``n_train``, ``n_test``, ``n_probe``, per class.
    """

    @functools.cache  # the same patches are cloned and looked at
    def photos(n: int, purpose: str) -> np.ndarray:
        rng = generators(seeds, f"patches, {purpose}")
        return data.patches(data.PHOTOS, n, size, region=purpose, rng=rng)

    clones = [_clones(photos, f"clone {c}", seeds) for c in (0, 1)]
    groups = {FIELD: (clones[0], photos), CLONE: tuple(clones)}
    return assemble(groups, _where(size), seeds=seeds, **sizes)


def photo_pairs(
    pairs: Sequence[tuple[str, str]], size: int, *, seeds: Sequence[int], **sizes: int
) -> Problem:
    """One photograph against another, and the same between their Gaussian clones.

    Patches are whitened; matrices are fitted to the training patches of both photographs of a
    pair, clones to the whitened patches of each. What stands for replicas are the pairs.

    Parameters
    ----------
    pairs
        Names of photographs.
    size, **sizes
        As for :func:`~winnow.experiments.receptive_fields.problems.higher_order_photos`.
    seeds
        One per pair.
    """

    @functools.cache
    def patches(c: int, n: int, purpose: str) -> np.ndarray:
        rngs = generators(seeds, f"patches {c}, {purpose}")
        drawn = [
            data.patches(pair[c], n, size, region=purpose, rng=[rng])
            for pair, rng in zip(pairs, rngs, strict=True)
        ]
        return np.concatenate(drawn)

    both = [patches(c, sizes["n_train"], "train") for c in (0, 1)]
    white = data.zca(np.concatenate(both, 1)).astype(np.float32)
    natural = [lambda n, purpose, c=c: patches(c, n, purpose) @ white for c in (0, 1)]
    clones = [_clones(natural[c], f"clone {c}", seeds) for c in (0, 1)]
    groups = {FIELD: natural, CLONE: clones}
    return assemble(groups, _where(size), seeds=seeds, **sizes)


def _where(size: int) -> dict[str, object]:
    return {"grid": (size, size), "radius": 2, "cyclic": False}


def _clones(photos: Sampler, name: str, seeds: Sequence[int]) -> Sampler:
    """Gaussian inputs with the mean and covariance of as many patches."""

    @functools.cache
    def draw(n: int, purpose: str) -> np.ndarray:
        rng = generators(seeds, f"{name}, {purpose}")
        return data.gaussian_clone(photos(n, purpose), n, rng=rng)

    return draw
