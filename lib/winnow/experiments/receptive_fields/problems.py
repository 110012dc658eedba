"""Problems of the chapter on receptive fields: two classes of inputs, in several kinds.

All kinds, such as fields and their Gaussian clones, are trained side by side for the same seeds:
what :mod:`winnow.training.rounds` calls a replica is a kind and a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from winnow import data, memory
from winnow.seeds import generators
from winnow.training import rounds

#: Draws ``(S, n, D)`` inputs of one class: ``(n, purpose) -> inputs``, a stream per seed.
Sampler = Callable[[int, str], np.ndarray]


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
        corr = data.correlation(self.grid, self.xi, all_ways=True)
        if self.power is not None:
            return data.power_covariance(corr, self.power)
        return data.nonlinear_covariance(corr, self.gain)

    def sample(self, n: int, *, seeds: Sequence[int], purpose: str) -> np.ndarray:
        """Fields ``(S, n, D)`` in float32, a stream per seed and purpose."""
        rng = generators(seeds, purpose)
        if self.gaussian:
            return data.gaussian_process(self.covariance, n, rng=rng)
        about = {"rng": rng, "all_ways": True}
        if self.power is not None:
            return data.power_process(self.grid, self.xi, n, power=self.power, **about)
        return data.nonlinear_process(self.grid, self.xi, n, gain=self.gain, **about)


def lengths(grid: tuple[int, ...], xis: Sequence[float], **options) -> dict[str, tuple]:
    """Short against long correlations: the fields, and their Gaussian clones.

    Parameters
    ----------
    grid, **options
        As for :class:`~winnow.experiments.receptive_fields.problems.Field`.
    xis
        Two different lengths, in sites.
    """
    if len(xis) != 2 or xis[0] == xis[1]:
        raise ValueError(f"lengths must be pairs of two different ones, got {list(xis)}")
    both = tuple(Field(grid, xi, **options) for xi in xis)
    return {"field": both, "clone": tuple(f.clone() for f in both)}


def higher_order(grid: tuple[int, ...], xi: float) -> dict[str, tuple]:
    """A field against its clone, told apart by higher orders only; and a clone against itself."""
    one = Field(grid, xi)
    return {"field": (one.clone(), one), "clone": (one.clone(), one.clone())}


def variants(
    grid: tuple[int, ...], xis: Sequence[float], *, gains: Sequence[float], power: float
) -> dict[str, tuple]:
    """Other fields and their clones: kinds named ``"gain 1, field"``, ``"gain 1, clone"`` …

    Parameters
    ----------
    grid
        As for the main fields.
    xis
        Short and long lengths in turn. The first two are those of the main fields and of
        other gains; the others are taken with the first gain.
    gains
        The first is that of the main fields, which are left out here.
    power
        Exponent of super-Gaussian fields.
    """
    if len(xis) % 2:
        raise ValueError(f"lengths must be pairs, short and long in turn, got {list(xis)}")
    fields = {f"gain {gain:g}": lengths(grid, xis[:2], gain=gain) for gain in gains[1:]}
    fields["super-Gaussian"] = lengths(grid, xis[:2], power=power)
    for short, long in zip(xis[2::2], xis[3::2], strict=True):
        pair = lengths(grid, (short, long), gain=gains[0])
        fields[f"lengths {short:g} and {long:g}"] = pair
    return {f"{name}, {k}": v for name, kinds in fields.items() for k, v in kinds.items()}


@dataclass(frozen=True)
class Problem:
    """Two classes to be told apart, in several kinds, for the same seeds."""

    kinds: tuple[str, ...]
    seeds: tuple[int, ...]
    grid: tuple[int, ...]
    cyclic: bool  #: whether the grid closes on itself
    source: rounds.Windows = field(repr=False)
    test: tuple[torch.Tensor, torch.Tensor] = field(repr=False)  #: inputs and labels
    probes: tuple[torch.Tensor, ...] = field(repr=False)  #: inputs of each class, (S, n, D)

    @property
    def replicas(self) -> list[int]:
        """Seeds of all kinds, one after the other."""
        return list(self.seeds) * len(self.kinds)

    @property
    def n_inputs(self) -> int:
        """Inputs D."""
        return math.prod(self.grid)

    @property
    def radius(self) -> int:
        """What counts as near, 3 sites on a ring, 2 pixels in a plane."""
        return 3 if len(self.grid) == 1 else 2

    @property
    def where(self) -> dict[str, object]:
        """Grid, radius and boundary, as measures of locality take them."""
        return {"grid": self.grid, "radius": self.radius, "cyclic": self.cyclic}

    def index(self, **columns: object) -> pd.DataFrame:
        """A row per replica: ``kind``, ``seed``, and constant or computed columns."""
        kinds = np.repeat(self.kinds, len(self.seeds))
        return pd.DataFrame({"kind": kinds, "seed": self.replicas} | columns)

    def part(self, kind: str) -> slice:
        """The replicas of a kind."""
        if kind not in self.kinds:
            raise ValueError(f"unknown kind {kind!r}: choose from {', '.join(self.kinds)}")
        at = self.kinds.index(kind) * len(self.seeds)
        return slice(at, at + len(self.seeds))

    def only(self, *kinds: str, n_seeds: int | None = None) -> Problem:
        """The same problem with some kinds, in their order, and the first seeds only."""
        kinds, n = kinds or self.kinds, len(self.seeds) if n_seeds is None else n_seeds
        if not 1 <= n <= len(self.seeds):
            raise ValueError(f"n_seeds must be in [1, {len(self.seeds)}], got {n}")
        at = [i for k in kinds for i in range(self.part(k).start, self.part(k).start + n)]
        # A run of neighbours is a view; anything else has to be copied.
        rows = slice(at[0], at[-1] + 1) if at == list(range(at[0], at[-1] + 1)) else at
        inputs, labels = self.source.inputs[rows], self.source.labels[rows]
        test = (self.test[0][rows], self.test[1][rows])
        probes = tuple(p[rows] for p in self.probes)
        source = rounds.Windows(inputs, labels)
        return Problem(kinds, self.seeds[:n], self.grid, self.cyclic, source, test, probes)


def ring_problem(
    kinds: Mapping[str, tuple[Field, Field]], *, seeds: Sequence[int], **sizes: int
) -> Problem:
    """A problem on a ring or a torus; the same noise underlies a field and its clone.

    Parameters
    ----------
    kinds
        Name to the two classes.
    seeds
        Each with samples of its own.
    **sizes
        ``n_train``, ``n_test``, ``n_probe``, per class.
    """
    samplers = {
        kind: [
            lambda n, purpose, f=f, c=c: f.sample(n, seeds=seeds, purpose=f"class {c}, {purpose}")
            for c, f in enumerate(fields)
        ]
        for kind, fields in kinds.items()
    }
    grid = next(iter(kinds.values()))[0].grid
    return assemble(samplers, seeds=seeds, grid=grid, cyclic=True, **sizes)


def assemble(
    samplers: Mapping[str, Sequence[Sampler]],
    *,
    seeds: Sequence[int],
    grid: tuple[int, ...],
    cyclic: bool,
    n_train: int,
    n_test: int,
    n_probe: int,
) -> Problem:
    """A problem from what draws the classes of each kind."""
    n_values = len(samplers) * len(seeds) * 2 * math.prod(grid) * (2 * n_train + n_test + n_probe)
    memory.require(4 * n_values, f"{len(samplers)} kinds of inputs for {len(seeds)} seeds")
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
    source = rounds.Windows(*(torch.from_numpy(np.concatenate(a)) for a in (inputs, labels)))
    return Problem(tuple(samplers), tuple(seeds), grid, cyclic, source, (test, right), probes)
