"""Experiments of the chapter on receptive fields: what pruning leaves in networks, and why.

Tables have a row per kind, arm, round and seed; see :mod:`winnow.experiments.receptive_fields.problems` for what kinds
are and :mod:`winnow.training.rounds` for arms.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from winnow import stats
from winnow.experiments.receptive_fields.problems import (
    Field,
    Problem,
    assemble,
    higher_order,
    lengths,
    ring_problem,
    variants,
)
from winnow.metrics import cavity, locality
from winnow.seeds import generators
from winnow.training import rounds

__all__ = [
    "FRACTION",
    "N_ROUNDS",
    "Field",
    "Problem",
    "against_clones",
    "assemble",
    "by_seed",
    "check",
    "cuts",
    "doses",
    "ends",
    "higher_order",
    "lengths",
    "means",
    "measure",
    "overview",
    "per_round",
    "position_profile",
    "prune",
    "ring_problem",
    "summed",
    "survival",
    "trial",
    "variants",
]

#: Share of what is left that a round cuts, and rounds in most experiments.
FRACTION, N_ROUNDS = 0.3, 8


def check(*, n_seeds: int, n_few: int, lengths: Sequence[float], gains: Sequence[float]) -> None:
    """Raise ``ValueError`` where a chapter's parameters do not go together, before any work."""
    if n_few > n_seeds:
        raise ValueError(f"n_few must be at most n_seeds, which is {n_seeds}, got {n_few}")
    if len(set(gains)) < len(gains):
        raise ValueError(f"gains must differ from each other, got {list(gains)}")
    for one in itertools.chain(*variants((100,), lengths, gains=gains, power=2.0).values()):
        one.sample(1, seeds=[0], purpose="check")  # a field that cannot be is refused here


def prune(
    problem: Problem,
    network: rounds.Network,
    arms: Sequence[str] = ("imp",),
    *,
    n_steps: int,
    n_rounds: int = N_ROUNDS,
    **options: object,
) -> rounds.Rounds:
    """Rounds of pruning on a problem, each cutting :data:`~winnow.experiments.receptive_fields.fields.FRACTION`.

    Parameters
    ----------
    problem, network, arms
        What is learnt, by what, pruned in which ways.
    n_steps
        Of training in each round, in batches of 100.
    n_rounds
        As for :func:`~winnow.training.rounds.geometric`, unless ``densities`` are among the options.
    **options
        Passed to :func:`~winnow.training.rounds.prune`.
    """
    options = {"densities": rounds.geometric(FRACTION, n_rounds)} | options
    training = rounds.Training(n_steps)
    return rounds.prune(
        network, problem.source, seeds=problem.replicas, training=training, arms=arms, **options
    )


def trial(
    problem: Problem, network: rounds.Network, arms: Sequence[str] = ("imp",), **options: object
) -> tuple[rounds.Rounds, pd.DataFrame]:
    """Rounds of pruning, and what they left; see :func:`~winnow.experiments.receptive_fields.fields.prune`."""
    rounds = prune(problem, network, arms, **options)
    return rounds, measure(rounds, problem)


def doses(
    problem: Problem, rounds: rounds.Rounds, n_rounds: Sequence[int], *, n_steps: int, **options
) -> pd.DataFrame:
    """Magnitude pruning to the same density in fewer rounds, from the same dense networks.

    Parameters
    ----------
    problem, n_steps, **options
        As for :func:`~winnow.experiments.receptive_fields.fields.prune`.
    rounds
        Rounds with the usual number, whose dense training is used.
    n_rounds
        How many instead.

    Returns
    -------
    pandas.DataFrame
        What :func:`~winnow.experiments.receptive_fields.fields.measure` gives for the last round of each, the usual one
        included, and ``dose``, the number of rounds.
    """
    last, usual = rounds.densities[-1], len(rounds.densities) - 1
    tables = [measure(rounds, problem).query("arm == 'imp' and round == @usual").assign(dose=usual)]
    for n in (n for n in n_rounds if n != usual):
        densities = [last ** (r / n) for r in range(n + 1)]
        options |= {"densities": densities, "dense": rounds}
        found = prune(problem, rounds.network, n_steps=n_steps, **options)
        tables.append(measure(found, problem).query("round == @n").assign(dose=n))
    return pd.concat(tables, ignore_index=True)


def measure(rounds: rounds.Rounds, problem: Problem) -> pd.DataFrame:
    r"""What each round left, in every arm.

    Parameters
    ----------
    rounds
        Of networks with a first layer named ``weights``.
    problem
        What they were trained on.

    Returns
    -------
    pandas.DataFrame
        A row per replica, arm and round: ``kind``, ``seed``, ``arm``, ``round``, ``density``,
        test ``accuracy``, share of units ``alive``, pair ``locality`` pooled over units, its mean
        ``by_unit``, and that of masks whose columns are shuffled, ``columns``; ``ipr``; ``window``,
        the share of energy within the best window, and ``concentration``, how much of what the
        same entries at random positions leave outside it holds besides; ``kappa_0`` and ``kappa``,
        mean over units of the excess kurtosis on samples of class 0 and of class 1.
    """
    accuracy, tables = rounds.accuracy(*problem.test), []
    for arm in rounds.arms:
        fields, kept = rounds.fields(arm), rounds.kept(arm)
        kappas = [_kurtosis(fields, probe).nanmean(-1).numpy() for probe in problem.probes]
        for r, share in enumerate(rounds.densities):
            found = {"arm": arm, "round": r, "density": share, "accuracy": accuracy[arm][r]}
            found |= _of_masks(kept[r], problem) | _of_fields(fields[r], problem)
            tables.append(problem.index(**found, kappa_0=kappas[0][r], kappa=kappas[1][r]))
    return pd.concat(tables, ignore_index=True)


def _kurtosis(fields: torch.Tensor, probe: torch.Tensor) -> torch.Tensor:
    """Excess kurtosis of units ``(R, S, K, D)`` on inputs ``(S, n, D)``, ``(R, S, K)``."""
    side_by_side = torch.cat(list(fields), -2)  # one pass over the inputs serves all rounds
    found = locality.unit_kurtosis(side_by_side, probe)
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
    rounds: rounds.Rounds,
    problem: Problem,
    *,
    arms: Sequence[str] = ("imp", "random"),
    target: int = 1,
    units: Callable[[rounds.Parameters], torch.Tensor] | None = None,
) -> pd.DataFrame:
    r"""What each cut does to the non-Gaussianity of units, before any retraining.

    Parameters
    ----------
    rounds, problem
        As for :func:`~winnow.experiments.receptive_fields.fields.measure`.
    arms
        Whose cuts.
    target
        Class on whose samples pre-activations are looked at.
    units
        From trained parameters of one arm ``(S, 1, ...)`` to the units that count, ``(S, K)``
        boolean; all when absent.

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
        fields, kept = rounds.fields(arm), rounds.kept(arm)
        counted = [_counted(units, rounds, arm, r, kept[r]) for r in range(len(fields) - 1)]
        effects = _effects(fields, kept, probe, problem.replicas)
        for r, count in enumerate(counted):
            found = {name: _mean(values[r], count) for name, values in effects.items()}
            found |= _single(fields[r], kept[r], kept[r + 1], probe, count)
            tables.append(problem.index(arm=arm, round=r, **found))
    return pd.concat(tables, ignore_index=True)


def _counted(units, rounds: rounds.Rounds, arm: str, r: int, kept: torch.Tensor) -> torch.Tensor:
    """Which units count, ``(S, K)``."""
    if units is None:
        return torch.ones(kept.shape[:-1], dtype=torch.bool)
    return units(rounds.params(arm, r))


def _effects(fields, kept, probe, seeds) -> dict[str, torch.Tensor]:
    """Changes of |kurtosis| by cuts, by nulls and by retraining, each ``(R, S, K)``."""
    masks = {"cut": kept[1:], "by_count": [], "by_energy": []}
    for r, (w, before, after) in enumerate(zip(fields[:-1], kept[:-1], kept[1:], strict=True)):
        rng = generators(seeds, f"cuts of round {r}")
        masks["by_count"].append(cavity.equal_count_cut(before, after, rng=rng))
        masks["by_energy"].append(cavity.equal_energy_cut(w, before, after, rng=rng))
    trained = _kurtosis(fields, probe).abs()
    left = {k: _kurtosis(fields[:-1] * torch.stack(list(m)), probe).abs() for k, m in masks.items()}
    found = {name: values - trained[:-1] for name, values in left.items()}
    return found | {"retrain": trained[1:] - left["cut"]}


def _single(w, before, after, probe, count) -> dict[str, np.ndarray]:
    """Gains without single weights, of those that go and those that stay."""
    gain = cavity.gain_without(w, probe)
    before, after = before & count[..., None], after & count[..., None]
    energy = w.double() ** 2 / (w.double() ** 2).sum(-1, keepdim=True)
    per_energy = torch.where(w != 0, gain / energy, torch.nan)
    return {
        "removed": _mean(gain.flatten(-2), (before & ~after).flatten(-2)),
        "kept": _mean(gain.flatten(-2), after.flatten(-2)),
        "auc": cavity.auc(-per_energy, after, before & per_energy.isfinite()).numpy(),
        "auc_raw": cavity.auc(-gain, after, before & gain.isfinite()).numpy(),
    }


def _mean(values: torch.Tensor, count: torch.Tensor) -> np.ndarray:
    """Mean over the last axis of what is a number and counts."""
    return values.masked_fill(~count, torch.nan).nanmean(-1).numpy()


def survival(
    rounds: rounds.Rounds, problem: Problem, *, after: int, target: int = 1
) -> pd.DataFrame:
    """Whether weights with a small gain in the dense network survive others of their size.

    Returns
    -------
    pandas.DataFrame
        A row per replica and arm: ``auc``, the probability that, of two weights of like size in
        the dense network, the one that round ``after`` still has is the one without which the unit
        would be less non-Gaussian; one half if that does not matter.
    """
    dense = rounds.fields(rounds.arms[0])[0]
    gain = cavity.gain_without(dense, problem.probes[target])
    tables = []
    for arm in rounds.arms:
        kept, all_of_them = rounds.kept(arm)[after], torch.ones_like(dense, dtype=torch.bool)
        found = cavity.stratified_auc(-gain, kept, all_of_them, dense.abs())
        tables.append(problem.index(arm=arm, auc=found.numpy()))
    return pd.concat(tables, ignore_index=True)


def position_profile(
    rounds: rounds.Rounds, problem: Problem, *, edges: Sequence[float], target: int = 1
) -> pd.DataFrame:
    """Mean gain without a weight of the dense network, by distance from its unit's field centre.

    A row per replica and bin of distance: ``low``, ``high``, ``gain``.
    """
    dense = rounds.fields(rounds.arms[0])[0]
    gain = cavity.gain_without(dense, problem.probes[target])
    distance = locality.distance_from_centre(dense, **problem.where)
    found = cavity.profile_by_distance(gain, distance, edges)
    return pd.concat(
        [
            problem.index(low=low, high=high, gain=found[..., i].numpy())
            for i, (low, high) in enumerate(itertools.pairwise(edges))
        ],
        ignore_index=True,
    )


def ends(table: pd.DataFrame, column: str, **where: object) -> dict[str, np.ndarray]:
    """A column under magnitude pruning on fields, on clones, and under random masks, by seed."""
    contrasts = {"imp": ("imp", "field"), "clones": ("imp", "clone"), "random": ("random", "field")}
    return {
        name: by_seed(table, column, arm=arm, kind=kind, **where)
        for name, (arm, kind) in contrasts.items()
    }


def summed(table: pd.DataFrame) -> pd.DataFrame:
    """What cuts did in all, over their rounds: a row per kind, arm and seed."""
    return table.drop(columns="round").groupby(["kind", "arm", "seed"], as_index=False).sum()


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, a row for each combination of what is not measured, to five decimals."""
    known = ("kind", "arm", "round", "density", "dose", "low", "high")
    by = [name for name in known if name in table]
    return table.drop(columns="seed").groupby(by, sort=False).mean().round(5).reset_index()


def overview(
    table: pd.DataFrame, columns: Sequence[str], *, rounds: Sequence[int] = (0, 4, 6, 8)
) -> str:
    """Means of columns over seeds in some rounds, by arm, kind and density, as Markdown."""
    by = [name for name in ("inputs", "arm", "kind", "density") if name in table]
    rows = table[table["round"].isin(rounds)].groupby(by, sort=False)[list(columns)].mean()
    return rows.round(2).reset_index().round({"density": 2}).to_markdown(index=False)


def against_clones(
    table: pd.DataFrame,
    column: str,
    compare: Callable[..., stats.Interval] = stats.t_difference,
    **where: object,
) -> dict[str, stats.Interval]:
    """A column on fields against clones, seed by seed, for each variant of the kinds.

    Parameters
    ----------
    table
        As from :func:`~winnow.experiments.receptive_fields.fields.measure`; kinds end in ``field`` and ``clone``.
    column, **where
        As for :func:`~winnow.experiments.receptive_fields.fields.by_seed`.
    compare
        Such as :func:`~winnow.stats.t_difference` or :func:`~winnow.stats.t_ratio`.

    Returns
    -------
    dict
        Variant to interval; the variant of kinds without a name of their own is ``"main"``.
    """
    found = {}
    for kind in [k for k in table.kind.unique() if k.endswith("field")]:
        clone = kind.removesuffix("field") + "clone"
        ours, theirs = (by_seed(table, column, **where, kind=k) for k in (kind, clone))
        found[kind.removesuffix("field").removesuffix(", ") or "main"] = compare(ours, theirs)
    return found


def by_seed(table: pd.DataFrame, column: str, **where: object) -> np.ndarray:
    """One number per seed, in the order of seeds, from the rows with the given values.

    ``density`` means the round that comes nearest to it.
    """
    rows, wanted = table, where.pop("density", None)
    for name, value in where.items():
        rows = rows[rows[name] == value]
    if wanted is not None and not rows.empty:
        shares = rows.density.unique()
        rows = rows[rows.density == shares[abs(np.log(shares / wanted)).argmin()]]
    if rows.empty or rows.seed.duplicated().any():
        raise ValueError(f"{column} needs one row per seed, got {len(rows)} where {where}")
    return rows.sort_values("seed")[column].to_numpy()


def per_round(table: pd.DataFrame, column: str, **where: object) -> np.ndarray:
    """A column seed by seed and round by round, ``(S, R + 1)``."""
    rows = table
    for name, value in where.items():
        rows = rows[rows[name] == value]
    if rows.empty or rows.duplicated(["seed", "round"]).any():
        raise ValueError(
            f"{column} needs one row per seed and round, got {len(rows)} where {where}"
        )
    return rows.pivot(index="seed", columns="round", values=column).to_numpy()
