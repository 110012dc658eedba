"""Experiments of the chapter on receptive fields: what pruning leaves in networks, and why.

Tables have a row per variant, kind, arm, round and seed; see
:mod:`winnow.experiments.receptive_fields.problems` for variants and kinds and
:mod:`winnow.training.rounds` for arms.
"""

import itertools
from collections.abc import Sequence

import pandas as pd
import torch

from winnow.experiments.receptive_fields.problems import Problem
from winnow.metrics import locality, non_gaussianity
from winnow.models import Network
from winnow.seeds import generators
from winnow.training import rounds


def trial(
    problem: Problem, network: Network, *, n_steps: int, n_rounds: int = 8, **options: object
) -> tuple[rounds.Rounds, pd.DataFrame]:
    """Rounds of pruning, each of which cuts 30 % of what is left, and :func:`measure` of them.

    Parameters
    ----------
    problem, network
        What is learnt, and by what.
    n_steps
        Of training in each round, in batches of 100.
    n_rounds
        As for :func:`~winnow.training.rounds.geometric`, unless ``densities`` are given.
    **options
        Passed to :func:`~winnow.training.rounds.prune`, such as ``arms``.
    """
    options = {"densities": rounds.geometric(0.3, n_rounds)} | options
    about = {"seeds": problem.replicas, "training": rounds.Training(n_steps)}
    pruned = rounds.prune(network, problem.source, **about, **options)
    return pruned, measure(pruned, problem)


def doses(
    problem: Problem, pruned: rounds.Rounds, n_rounds: Sequence[int], **options: object
) -> pd.DataFrame:
    """Magnitude pruning to the same density in fewer rounds, from the same dense networks.

    Parameters
    ----------
    problem, **options
        As for :func:`~winnow.experiments.receptive_fields.fields.trial`.
    pruned
        Rounds with the usual number.
    n_rounds
        How many instead.

    Returns
    -------
    pandas.DataFrame
        What :func:`measure` gives for the last round of each, the usual one included, and
        ``dose``, the number of rounds.
    """
    last, usual = pruned.densities[-1], len(pruned.densities) - 1
    tables = [measure(pruned, problem).query("arm == 'imp'").assign(dose=usual)]
    for n in sorted({*n_rounds} - {usual}):
        densities = [last ** (r / n) for r in range(n + 1)]
        _, found = trial(problem, pruned.network, densities=densities, **options)
        tables.append(found.assign(dose=n))
    return pd.concat(tables).query("round == dose").reset_index(drop=True)


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
    accuracy, where, tables = pruned.accuracy(*problem.test), problem.where, []
    for arm in pruned.arms:
        fields, kept = pruned.fields(arm), pruned.kept(arm)
        kappa_0, kappa = (_kurtosis(fields, probe).nanmean(-1) for probe in problem.probes)
        for r, (w, m) in enumerate(zip(fields, kept, strict=True)):
            draws = {"rng": generators(problem.replicas, "column null"), "n_draws": 2}
            columns = locality.pair_locality_null(m, **where, **draws).mean(-1)
            draws["rng"] = generators(problem.replicas, "window null")
            chance = locality.energy_window_null(w, **where, **draws).nanmean(-1)
            window = locality.energy_window(w, **where).nanmean(-1)
            found = problem.index(
                arm=arm,
                round=r,
                density=pruned.densities[r],
                accuracy=accuracy[arm][r],
                alive=rounds.connected(m),
                locality=locality.pair_locality(m, **where),
                by_unit=locality.unit_locality(m, **where).nanmean(-1),
                columns=columns,
                ipr=locality.ipr(w).nanmean(-1),
                window=window,
                concentration=(window - chance) / (1 - chance),  # NaN for single weights
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


def cuts(
    pruned: rounds.Rounds, problem: Problem, arms: Sequence[str], *, target: int = 1
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
        size = _kurtosis(fields, probe).abs()
        for r, (w, before, after) in enumerate(zip(fields[:-1], kept[:-1], kept[1:], strict=True)):
            rng = generators(problem.replicas, f"cuts of round {r}")
            masks = {"cut": after}
            masks["by_count"] = non_gaussianity.equal_count_cut(before, after, rng=rng)
            masks["by_energy"] = non_gaussianity.equal_energy_cut(w, before, after, rng=rng)
            left = _kurtosis(w * torch.stack([*masks.values()]), probe).abs()
            found = dict(zip(masks, (left - size[r]).nanmean(-1), strict=True))
            found["retrain"] = (size[r + 1] - left[0]).nanmean(-1)
            gain = non_gaussianity.gain_without(w, probe)
            for name, which in {"removed": before & ~after, "kept": after}.items():
                found[name] = gain.masked_fill(~which, torch.nan).flatten(-2).nanmean(-1)
            energy = w.double() ** 2 / (w.double() ** 2).sum(-1, keepdim=True)
            per_energy = torch.where(w != 0, gain / energy, torch.nan)
            for name, score in {"auc": per_energy, "auc_raw": gain}.items():
                found[name] = non_gaussianity.auc(-score, after, before & score.isfinite())
            tables.append(problem.index(arm=arm, round=r, **found))
    return pd.concat(tables, ignore_index=True)


def survival(pruned: rounds.Rounds, problem: Problem, *, after: int) -> pd.DataFrame:
    """Whether weights with a small gain in the dense network survive others of their size.

    Returns
    -------
    pandas.DataFrame
        A row per replica and arm: ``auc``, the probability that, of two weights of like size in
        the dense network, the one that round ``after`` still has is the one without which the unit
        would be less non-Gaussian; one half if that does not matter.
    """
    (dense, gain), tables = _dense_gain(pruned, problem), []
    for arm in pruned.arms:
        kept, every = pruned.kept(arm)[after], torch.ones_like(dense, dtype=torch.bool)
        found = non_gaussianity.stratified_auc(-gain, kept, every, dense.abs())
        tables.append(problem.index(arm=arm, auc=found))
    return pd.concat(tables, ignore_index=True)


def position_profile(
    pruned: rounds.Rounds, problem: Problem, *, edges: Sequence[float]
) -> pd.DataFrame:
    """Mean gain without a weight of the dense network, by distance from its unit's field centre.

    A row per replica and bin of distance: ``low``, ``high``, ``gain``.
    """
    dense, gain = _dense_gain(pruned, problem)
    distance = locality.distance_from_centre(dense, **problem.where)
    found = non_gaussianity.profile_by_distance(gain, distance, edges)
    tables = [
        problem.index(low=low, high=high, gain=found[..., i])
        for i, (low, high) in enumerate(itertools.pairwise(edges))
    ]
    return pd.concat(tables, ignore_index=True)


def _dense_gain(pruned: rounds.Rounds, problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights of the dense networks, and the gain without each of them on class 1."""
    dense = pruned.fields(pruned.arms[0])[0]
    return dense, non_gaussianity.gain_without(dense, problem.probes[1])
