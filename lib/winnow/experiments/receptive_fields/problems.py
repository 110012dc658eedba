"""Problems of the chapter on receptive fields: two classes of inputs, in several groups.

A group is a variant of the inputs and a kind of it: the fields themselves, or their Gaussian
clones. All groups are trained side by side for the same seeds: what
:mod:`winnow.training.rounds` calls a replica is a group and a seed.
"""

from __future__ import annotations

import dataclasses
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
        return Field(self.grid, self.xi, self.gain, self.power, gaussian=True)

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


def higher_order(grid: tuple[int, ...], xi: float) -> dict[Group, tuple[Field, Field]]:
    """A field against its clone, told apart by higher orders only; and a clone against itself."""
    one = Field(grid, xi)
    return {FIELD: (one.clone(), one), CLONE: (one.clone(), one.clone())}


def other_signs(
    grid: tuple[int, ...], xis: Sequence[float], *, gains: Sequence[float], power: float
) -> dict[Group, tuple[Field, Field]]:
    """Fields of other kurtosis at the same lengths, and their clones.

    Variants ``"gain 1"``, nearer to Gaussian or to binary fields, and ``"super-Gaussian"``, of the
    given power.
    """
    found = {}
    for gain in gains:
        found |= lengths(grid, xis, variant=f"gain {gain:g}", gain=gain)
    return found | lengths(grid, xis, variant="super-Gaussian", power=power)


def other_lengths(
    grid: tuple[int, ...], xis: Sequence[float], *, gain: float
) -> dict[Group, tuple[Field, Field]]:
    """Fields of other correlation lengths, short and long in turn, and their clones.

    Variants such as ``"lengths 1 and 3"``.
    """
    if len(xis) % 2:
        raise ValueError(f"lengths must be pairs, short and long in turn, got {list(xis)}")
    found = {}
    for short, long in zip(xis[::2], xis[1::2], strict=True):
        found |= lengths(grid, (short, long), variant=f"lengths {short:g} and {long:g}", gain=gain)
    return found


def check(
    *,
    n_seeds: int,
    n_few: int,
    lengths: Sequence[float],
    gains: Sequence[float],
    images: str = "",
) -> None:
    """Raise ``ValueError`` where a chapter's parameters do not go together, before any work."""
    if n_few > n_seeds:
        raise ValueError(f"n_few must be at most n_seeds, which is {n_seeds}, got {n_few}")
    if len(set(gains)) < len(gains):
        raise ValueError(f"gains must differ from each other, got {list(gains)}")
    groups = other_lengths((100,), lengths, gain=gains[0])
    groups |= other_signs((100,), lengths[:2], gains=gains, power=2.0)
    for field in itertools.chain(*groups.values()):  # a field that cannot be is refused here
        field.sample(1, seeds=[0], purpose="check")
    if images:
        load(images, among=IMAGE_SETS)


@dataclass(frozen=True)
class Problem:
    """Two classes to be told apart, in several groups, for the same seeds."""

    groups: tuple[Group, ...]
    seeds: tuple[int, ...]
    grid: tuple[int, ...]
    cyclic: bool  #: whether the grid closes on itself
    source: Windows = dataclasses.field(repr=False)
    test: tuple[torch.Tensor, torch.Tensor] = dataclasses.field(repr=False)  #: inputs and labels
    probes: tuple[torch.Tensor, ...] = dataclasses.field(repr=False)  #: by class, (S, n, D)

    @property
    def replicas(self) -> list[int]:
        """Seeds of all groups, one after the other."""
        return list(self.seeds) * len(self.groups)

    @property
    def where(self) -> dict[str, object]:
        """Grid, radius and boundary, as measures of locality take them.

        Near are 3 sites on a ring, 2 pixels in a plane.
        """
        radius = 3 if len(self.grid) == 1 else 2
        return {"grid": self.grid, "radius": radius, "cyclic": self.cyclic}

    def index(self, **columns: object) -> pd.DataFrame:
        """A row per replica: ``variant``, ``kind``, ``seed``, and constant or computed columns."""
        names = np.repeat(np.array(self.groups), len(self.seeds), axis=0)
        index = {"variant": names[:, 0], "kind": names[:, 1], "seed": self.replicas}
        return pd.DataFrame(index | columns)

    def part(self, kind: str) -> slice:
        """The replicas of a kind of the main variant."""
        if ("main", kind) not in self.groups:
            raise ValueError(f"kind must be field or clone of the main variant, got {kind!r}")
        start = self.groups.index(("main", kind)) * len(self.seeds)
        return slice(start, start + len(self.seeds))

    def only(self, kind: str, *, n_seeds: int) -> Problem:
        """The same problem with one kind and the first seeds only; inputs are views."""
        if not 1 <= n_seeds <= len(self.seeds):
            raise ValueError(f"n_seeds must be in [1, {len(self.seeds)}], got {n_seeds}")
        start = self.part(kind).start
        rows = slice(start, start + n_seeds)
        source = Windows(self.source.inputs[rows], self.source.labels[rows])
        return dataclasses.replace(
            self,
            groups=(("main", kind),),
            seeds=self.seeds[:n_seeds],
            source=source,
            test=(self.test[0][rows], self.test[1][rows]),
            probes=tuple(probe[rows] for probe in self.probes),
        )


def ring_problem(
    groups: Mapping[Group, tuple[Field, Field]], *, seeds: Sequence[int], **sizes: int
) -> Problem:
    """A problem on a ring or a torus; the same noise underlies a field and its clone.

    Parameters
    ----------
    groups
        Each with its two classes.
    seeds
        Each with samples of its own.
    **sizes
        ``n_train``, ``n_test``, ``n_probe``, per class.
    """
    samplers = {
        group: [_sampler(field, c, seeds) for c, field in enumerate(pair)]
        for group, pair in groups.items()
    }
    grid = next(iter(groups.values()))[0].grid
    return assemble(samplers, seeds=seeds, grid=grid, cyclic=True, **sizes)


def _sampler(field: Field, c: int, seeds: Sequence[int]) -> Sampler:
    return lambda n, purpose: field.sample(n, seeds=seeds, purpose=f"class {c}, {purpose}")


def assemble(
    samplers: Mapping[Group, Sequence[Sampler]],
    *,
    seeds: Sequence[int],
    grid: tuple[int, ...],
    cyclic: bool,
    n_train: int,
    n_test: int,
    n_probe: int,
) -> Problem:
    """A problem from what draws the classes of each group."""
    n_values = len(samplers) * len(seeds) * 2 * math.prod(grid) * (2 * n_train + n_test + n_probe)
    memory.require(4 * n_values, f"{len(samplers)} groups of inputs for {len(seeds)} seeds")
    inputs, labels, tests, probes = [], [], [], []
    for classes in samplers.values():
        groups = [draw(n_train, "train") for draw in classes]
        mixed = data.mix(groups, rng=generators(seeds, "shuffle"))
        inputs.append(mixed[0])
        labels.append(mixed[1])
        tests.append([draw(max(n_test, n_probe), "test") for draw in classes])
    known = [np.stack([t[c] for t in tests]).reshape(-1, *tests[0][c].shape[1:]) for c in (0, 1)]
    test = torch.from_numpy(np.concatenate([k[:, :n_test] for k in known], 1))
    right = torch.arange(2).repeat_interleave(n_test).expand(len(test), -1)
    probes = tuple(torch.from_numpy(k[:, :n_probe]) for k in known)
    source = Windows(*(torch.from_numpy(np.concatenate(a)) for a in (inputs, labels)))
    return Problem(tuple(samplers), tuple(seeds), grid, cyclic, source, (test, right), probes)
