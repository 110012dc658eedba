"""Experiments of the chapter on receptive fields: what pruning leaves in networks, and why.

Tables have a row per variant, kind, arm, round and seed; see
:mod:`winnow.experiments.receptive_fields.problems` for variants and kinds and
:mod:`winnow.training.rounds` for arms.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from winnow.experiments.receptive_fields.problems import Problem
from winnow.experiments.tables import by_seed
from winnow.metrics import locality, non_gaussianity
from winnow.models import Network
from winnow.seeds import generators
from winnow.training import rounds

#: Share of what is left that a round cuts, and rounds in most experiments.
FRACTION, N_ROUNDS = 0.3, 8


def prune(
    problem: Problem,
    network: Network,
    arms: Sequence[str] = ("imp",),
    *,
    n_steps: int,
    n_rounds: int = N_ROUNDS,
    **options: object,
) -> rounds.Rounds:
    """Rounds of pruning on a problem, each of which cuts 30 % of what is left.

    Parameters
    ----------
    problem, network, arms
        What is learnt, by what, pruned in which ways.
    n_steps
        Of training in each round, in batches of 100.
    n_rounds
        As for :func:`~winnow.training.rounds.geometric`, unless ``densities`` are given.
    **options
        Passed to :func:`~winnow.training.rounds.prune`.
    """
    options = {"densities": rounds.geometric(FRACTION, n_rounds)} | options
    training = rounds.Training(n_steps)
    return rounds.prune(
        network, problem.source, seeds=problem.replicas, training=training, arms=arms, **options
    )


def trial(
    problem: Problem, network: Network, arms: Sequence[str] = ("imp",), **options: object
) -> tuple[rounds.Rounds, pd.DataFrame]:
    """Rounds of pruning by :func:`prune`, and what they left by :func:`measure`."""
    pruned = prune(problem, network, arms, **options)
    return pruned, measure(pruned, problem)


def doses(
    problem: Problem, pruned: rounds.Rounds, n_rounds: Sequence[int], *, n_steps: int, **options
) -> pd.DataFrame:
    """Magnitude pruning to the same density in fewer rounds, from the same dense networks.

    Parameters
    ----------
    problem, n_steps, **options
        As for :func:`~winnow.experiments.receptive_fields.fields.prune`.
    pruned
        Rounds with the usual number, whose dense training is used.
    n_rounds
        How many instead.

    Returns
    -------
    pandas.DataFrame
        What :func:`measure` gives for the last round of each, the usual one included, and
        ``dose``, the number of rounds.
    """
    last, usual = pruned.densities[-1], len(pruned.densities) - 1
    found = measure(pruned, problem)
    tables = [found[(found.arm == "imp") & (found["round"] == usual)].assign(dose=usual)]
    for n in n_rounds:
        if n == usual:
            continue
        densities = [last ** (r / n) for r in range(n + 1)]
        again = prune(
            problem, pruned.network, n_steps=n_steps, densities=densities, dense=pruned, **options
        )
        found = measure(again, problem)
        tables.append(found[found["round"] == n].assign(dose=n))
    return pd.concat(tables, ignore_index=True)


def measure(pruned: rounds.Rounds, problem: Problem) -> pd.DataFrame:
    r"""What each round left, in every arm.

    Parameters
    ----------
    pruned
        Rounds of networks with a first layer named ``weights``.
    problem
        What they were trained on.

    Returns
    -------
    pandas.DataFrame
        A row per replica, arm and round: ``variant``, ``kind``, ``seed``, ``arm``, ``round``,
        ``density``, test ``accuracy``, share of units ``alive``, pair ``locality`` pooled over
        units, its mean ``by_unit``, and that of masks whose columns are shuffled, ``columns``;
        ``ipr``; ``window``,
        the share of energy within the best window, and ``concentration``, how much of what the
        same entries at random positions leave outside it holds besides; ``kappa_0`` and ``kappa``,
        mean over units of the excess kurtosis on samples of class 0 and of class 1.
    """
    accuracy, tables = pruned.accuracy(*problem.test), []
    for arm in pruned.arms:
        fields, kept = pruned.fields(arm), pruned.kept(arm)
        kappa_0, kappa = (_kurtosis(fields, probe).nanmean(-1).numpy() for probe in problem.probes)
        for r, density in enumerate(pruned.densities):
            found = problem.index(
                arm=arm,
                round=r,
                density=density,
                accuracy=accuracy[arm][r],
                **_of_masks(kept[r], problem),
                **_of_fields(fields[r], problem),
                kappa_0=kappa_0[r],
                kappa=kappa[r],
            )
            tables.append(found)
    return pd.concat(tables, ignore_index=True)


def _kurtosis(fields: torch.Tensor, probe: torch.Tensor) -> torch.Tensor:
    """Excess kurtosis of units ``(R, S, K, D)`` on inputs ``(S, n, D)``, ``(R, S, K)``."""
    side_by_side = torch.cat(list(fields), -2)  # one pass over the inputs serves all rounds
    found = non_gaussianity.unit_kurtosis(side_by_side, probe)
    return torch.stack(found.split(fields.shape[-2], -1))


def _of_masks(kept: torch.Tensor, problem: Problem) -> dict[str, np.ndarray]:
    rng = generators(problem.replicas, "column null")
    null = locality.pair_locality_null(kept, **problem.where, rng=rng, n_draws=2)
    return {
        "alive": rounds.connected(kept).numpy(),
        "locality": locality.pair_locality(kept, **problem.where).numpy(),
        "by_unit": locality.unit_locality(kept, **problem.where).nanmean(-1).numpy(),
        "columns": null.mean(-1).numpy(),
    }


def _of_fields(w: torch.Tensor, problem: Problem) -> dict[str, np.ndarray]:
    rng = generators(problem.replicas, "window null")
    null = locality.energy_window_null(w, **problem.where, rng=rng, n_draws=2)
    window = locality.energy_window(w, **problem.where)
    window, chance = window.nanmean(-1), null.nanmean(-1)
    return {
        "ipr": locality.ipr(w).nanmean(-1).numpy(),
        "window": window.numpy(),
        "concentration": ((window - chance) / (1 - chance)).numpy(),  # NaN for single weights
    }


def cuts(
    pruned: rounds.Rounds,
    problem: Problem,
    *,
    arms: Sequence[str] = ("imp", "random"),
    target: int = 1,
) -> pd.DataFrame:
    r"""What each cut does to the non-Gaussianity of units, before any retraining.

    Parameters
    ----------
    pruned, problem
        As for :func:`~winnow.experiments.receptive_fields.fields.measure`.
    arms
        Whose cuts.
    target
        Class on whose samples pre-activations are looked at.

    Returns
    -------
    pandas.DataFrame
        A row per replica, arm and cut, with means over units: ``cut`` (change of
        :math:`|\kappa|` by the cut), ``by_count`` and ``by_energy`` (the same for nulls that
        remove as many weights or as much energy of each unit), ``retrain`` (change by training
        after it); ``removed`` and ``kept`` (gain without a weight, mean over weights that go, and
        that stay); ``auc`` and ``auc_raw`` (probability that a weight that goes has a larger gain
        than one that stays; gain per energy, and as it is).
    """
    probe, tables = problem.probes[target], []
    for arm in arms:
        fields, kept = pruned.fields(arm), pruned.kept(arm)
        effects = _effects(fields, kept, probe, problem.replicas)
        for r in range(len(fields) - 1):
            changes = {name: units[r].nanmean(-1).numpy() for name, units in effects.items()}
            single = _single(fields[r], kept[r], kept[r + 1], probe)
            tables.append(problem.index(arm=arm, round=r, **changes, **single))
    return pd.concat(tables, ignore_index=True)


def _effects(fields, kept, probe, seeds) -> dict[str, torch.Tensor]:
    """Changes of |kurtosis| by cuts, by nulls and by retraining, each ``(R, S, K)``."""
    by_count, by_energy = [], []
    for r, (w, before, after) in enumerate(zip(fields[:-1], kept[:-1], kept[1:], strict=True)):
        rng = generators(seeds, f"cuts of round {r}")
        by_count.append(non_gaussianity.equal_count_cut(before, after, rng=rng))
        by_energy.append(non_gaussianity.equal_energy_cut(w, before, after, rng=rng))
    masks = {
        "cut": kept[1:],
        "by_count": torch.stack(by_count),
        "by_energy": torch.stack(by_energy),
    }
    trained = _kurtosis(fields, probe).abs()
    left = {name: _kurtosis(fields[:-1] * mask, probe).abs() for name, mask in masks.items()}
    changes = {name: size - trained[:-1] for name, size in left.items()}
    return changes | {"retrain": trained[1:] - left["cut"]}


def _single(w, before, after, probe) -> dict[str, np.ndarray]:
    """Gains without single weights, of those that go and those that stay."""
    gain = non_gaussianity.gain_without(w, probe)
    energy = w.double() ** 2 / (w.double() ** 2).sum(-1, keepdim=True)
    per_energy = torch.where(w != 0, gain / energy, torch.nan)
    return {
        "removed": gain.masked_fill(~(before & ~after), torch.nan).flatten(-2).nanmean(-1).numpy(),
        "kept": gain.masked_fill(~after, torch.nan).flatten(-2).nanmean(-1).numpy(),
        "auc": non_gaussianity.auc(-per_energy, after, before & per_energy.isfinite()).numpy(),
        "auc_raw": non_gaussianity.auc(-gain, after, before & gain.isfinite()).numpy(),
    }


def survival(
    pruned: rounds.Rounds, problem: Problem, *, after: int, target: int = 1
) -> pd.DataFrame:
    """Whether weights with a small gain in the dense network survive others of their size.

    Returns
    -------
    pandas.DataFrame
        A row per replica and arm: ``auc``, the probability that, of two weights of like size in
        the dense network, the one that round ``after`` still has is the one without which the unit
        would be less non-Gaussian; one half if that does not matter.
    """
    dense = pruned.fields(pruned.arms[0])[0]
    gain = non_gaussianity.gain_without(dense, problem.probes[target])
    everywhere, tables = torch.ones_like(dense, dtype=torch.bool), []
    for arm in pruned.arms:
        found = non_gaussianity.stratified_auc(
            -gain, pruned.kept(arm)[after], everywhere, dense.abs()
        )
        tables.append(problem.index(arm=arm, auc=found.numpy()))
    return pd.concat(tables, ignore_index=True)


def position_profile(
    pruned: rounds.Rounds, problem: Problem, *, edges: Sequence[float], target: int = 1
) -> pd.DataFrame:
    """Mean gain without a weight of the dense network, by distance from its unit's field centre.

    A row per replica and bin of distance: ``low``, ``high``, ``gain``.
    """
    dense = pruned.fields(pruned.arms[0])[0]
    gain = non_gaussianity.gain_without(dense, problem.probes[target])
    distance = locality.distance_from_centre(dense, **problem.where)
    found = non_gaussianity.profile_by_distance(gain, distance, edges).numpy()
    tables = [
        problem.index(low=low, high=high, gain=found[..., i])
        for i, (low, high) in enumerate(itertools.pairwise(edges))
    ]
    return pd.concat(tables, ignore_index=True)


def summed(table: pd.DataFrame) -> pd.DataFrame:
    """What cuts did in all, over their rounds: a row per variant, kind, arm and seed."""
    keys = ["variant", "kind", "arm", "seed"]
    return table.drop(columns="round").groupby(keys, as_index=False).sum()


def field_and_clone(
    table: pd.DataFrame, column: str, **where: object
) -> tuple[np.ndarray, np.ndarray]:
    """A column by seed on fields, and on their clones: two samples that belong together."""
    field = by_seed(table, column, kind="field", **where)
    return field, by_seed(table, column, kind="clone", **where)
