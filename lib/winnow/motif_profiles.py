"""Profiles of motifs, and one number per seed from them, for the chapter on motifs.

Tables are those of :func:`winnow.motif_study.measure`. A network's profile is its scores over the
classes of subgraphs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from winnow.metrics import classes
from winnow.stats import Interval, bootstrap_ci

#: The paper's two leaders, bi-parallel and bi-fan, and classes whose counts degrees settle.
BI_PARALLEL, BI_FAN = 2182, 204
SETTLED = (14, 28, 2116, 2184)

#: Four classes of five nodes that lead in the paper's networks.
FIVE = {541198: "tri-parallel", 541068: "bi-fan, join", 3864: "fork, bi-fan", 25368: "3-to-2"}

_SCORES = ("edges", "count", "mean", "z", "msm")


def by_seed(table: pd.DataFrame, column: str = "z", **where: object) -> np.ndarray:
    """A column's values, one per seed in their order, where other columns hold given values."""
    for name, value in where.items():
        table = table[table[name] == value]
    if not table.seed.is_unique:
        raise ValueError(f"{where} leave {len(table)} rows for {table.seed.nunique()} seeds")
    return table.sort_values("seed")[column].to_numpy(float)


def cells(
    table: pd.DataFrame,
    column: str = "z",
    *,
    schemes: Sequence[str],
    states: Sequence[str],
    ids: Sequence[int] = (BI_PARALLEL,),
    suffix: str = "",
    **where: object,
) -> dict[str, np.ndarray]:
    """Values by seed for each scheme, state and class; keys name what there are several of.

    ``suffix`` is added to states in the table but not in keys, so that networks and their
    surrogates have the same keys. Other columns hold the values given in ``where``.
    """
    found = {}
    for scheme, state, id in itertools.product(schemes, states, ids):
        words = {scheme: len(schemes), state: len(states), classes.NAMES[4][id]: len(ids)}
        key = ", ".join(word for word, several in words.items() if several > 1)
        at = where | {"scheme": scheme, "state": state + suffix, "id": id}
        found[key] = by_seed(table, column, **at)
    return found


def ranks(table: pd.DataFrame, column: str = "msm") -> pd.DataFrame:
    """The table with ``rank``: how many classes of its network have a value as large, 1 the first.

    So of equal values none is first.
    """
    networks = table.groupby(["seed", "scheme", "state", "null"])
    return table.assign(rank=networks[column].rank(ascending=False, method="max"))


def wide(table: pd.DataFrame, column: str, *, scheme: str, state: str) -> pd.DataFrame:
    """Values by seed (rows) and class (columns, in the order of their names)."""
    rows = table[(table.scheme == scheme) & (table.state == state)]
    found = rows.pivot(index="seed", columns="id", values=column)
    return found[[i for i in classes.NAMES[4] if i in found.columns]]


def curves(course: pd.DataFrame, task: str, scheme: str) -> np.ndarray:
    """Running accuracy by seed and epoch, ``(seeds, epochs)``."""
    rows = course[(course.task == task) & (course.scheme == scheme)]
    return rows.pivot(index="seed", columns="epoch", values="accuracy").to_numpy(float)


def scatter(
    table: pd.DataFrame, column: str, *, states: Sequence[str], schemes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Edges and bi-parallel's scores of all networks, to be drawn against each other."""
    rows = table[table.state.isin(states) & table.scheme.isin(schemes) & (table.id == BI_PARALLEL)]
    return rows.edges.to_numpy(), rows[column].to_numpy(float)


def over_time(table: pd.DataFrame, null: str, scheme: str) -> np.ndarray:
    """Bi-parallel's z by seed and epoch, ``(seeds, looks)``."""
    rows = table[(table.null == null) & (table.scheme == scheme) & (table.id == BI_PARALLEL)]
    by_epoch = rows.pivot(index="seed", columns="state", values="z")
    return by_epoch[rows.state.unique()].to_numpy(float)


def leading_share(
    table: pd.DataFrame, id: int, n_best: int, *, states: Sequence[str], schemes: Sequence[str]
) -> np.ndarray:
    """Share of a seed's networks in which a class is among the best, ``(seeds,)``."""
    rows = ranks(table[table.scheme.isin(schemes) & table.state.isin(states)])
    rows = rows[rows.id == id]
    return (rows["rank"] <= n_best).groupby(rows.seed).mean().to_numpy(float)


def leading_parts(
    table: pd.DataFrame,
    states: Sequence[str],
    *,
    schemes: Sequence[str],
    ci: Callable[[np.ndarray], Interval],
) -> dict[str, Interval]:
    """How often bi-parallel is first and bi-fan in the first two, by scheme."""
    places = {"bi-parallel first": (BI_PARALLEL, 1), "bi-fan in first two": (BI_FAN, 2)}
    return {
        f"{words}, {scheme}": ci(leading_share(table, *place, states=states, schemes=[scheme]))
        for words, place in places.items()
        for scheme in schemes
    }


def calibration(
    table: pd.DataFrame, schemes: Sequence[str], *, ci: Callable[[np.ndarray], Interval]
) -> dict[str, Interval]:
    """Mean z of the two leaders in untrained networks, under the nulls that keep layers."""
    found = {}
    for null in ("layer", "permutation"):
        values = cells(
            table, schemes=schemes, states=["untrained"], ids=(BI_PARALLEL, BI_FAN), null=null
        )
        found |= {f"{null}, {key}": ci(value) for key, value in values.items()}
    return found


def errors(table: pd.DataFrame, known: Sequence[str]) -> np.ndarray:
    """Squared error with which other seeds' mean profile predicts a seed's, ``(seeds,)``.

    The mean is taken over other seeds' networks that agree in what is known, such as ``state`` or
    ``scheme``; without any, over all of them. Summed over a seed's networks and over classes.
    One less the ratio of two such errors is a share of variance explained, free of the
    optimism of fitted means.
    """
    profiles = _profiles(table)
    seeds = profiles.index.get_level_values("seed")
    found = []
    for seed in seeds.unique():
        mine, others = profiles[seeds == seed], profiles[seeds != seed]
        guess = others.mean().to_numpy()
        if known:
            of_mine = mine.index.to_frame()[list(known)].apply(tuple, axis=1)
            of_others = others.index.to_frame()[list(known)].apply(tuple, axis=1)
            guess = others.groupby(of_others.to_numpy()).mean().loc[of_mine].to_numpy()
        found.append(((mine.to_numpy() - guess) ** 2).sum())
    return np.array(found)


def explained(wrong: np.ndarray, total: np.ndarray, *, rng: np.random.Generator) -> Interval:
    """Share of variance explained, from two of :func:`~winnow.motif_profiles.errors`."""
    return bootstrap_ci(
        (wrong, total), rng=rng, statistic=lambda w, t, axis: 1 - w.mean(axis) / t.mean(axis)
    )


def recognised(table: pd.DataFrame, scheme: str) -> np.ndarray:
    """Share of a seed's states told from its profiles by the nearest mean of other seeds.

    Profiles are scaled to length 1 :cite:p:`milo2004`. ``(seeds,)``; chance is one over states.
    """
    profiles = _profiles(table[table.scheme == scheme])
    length = np.sqrt((profiles**2).sum(axis=1)).replace(0, 1)
    profiles = profiles.div(length, axis=0)
    seeds = profiles.index.get_level_values("seed")
    found = []
    for seed in seeds.unique():
        means = profiles[seeds != seed].groupby("state").mean()
        mine = profiles[seeds == seed]
        gaps = ((mine.to_numpy()[:, None] - means.to_numpy()) ** 2).sum(-1)
        told = means.index.to_numpy()[gaps.argmin(1)]
        found.append((told == mine.index.get_level_values("state")).mean())
    return np.array(found)


def _profiles(table: pd.DataFrame) -> pd.DataFrame:
    """One row per seed, scheme and state, one column per class."""
    return table.pivot(index=["seed", "scheme", "state"], columns="id", values="msm")


def overview(table: pd.DataFrame, column: str) -> str:
    """Means over seeds as Markdown, a row per scheme and state, a column per class."""
    named = table.assign(name=table.id.map(classes.NAMES[4]))
    keys = ["scheme", "state", "edges"]
    named["edges"] = named.groupby(keys[:2]).edges.transform("mean")
    means = named.pivot_table(index=keys, columns="name", values=column, sort=False)
    return means.reset_index().to_markdown(index=False, floatfmt=".1f")


def by_cell(table: pd.DataFrame, names: Sequence[str]) -> dict[object, np.ndarray]:
    """Accuracies by seed, ``(seeds,)``, for each combination of columns; means over the others."""
    means = table.groupby([*names, "seed"]).accuracy.mean().unstack("seed")
    return {key: means.loc[key].to_numpy(float) for key in means.index}


def head_start(course: pd.DataFrame, *, n_epochs: int) -> dict[object, np.ndarray]:
    """Mean running accuracy of the first epochs by seed, for each ``(task, scheme)``."""
    return by_cell(course[course.epoch <= n_epochs], ["task", "scheme"])


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, rounded to five significant digits, and how many seeds."""
    scores = [c for c in _SCORES if c in table]
    keys = [c for c in table.columns if c not in (*scores, "seed", "where")]
    groups = table.groupby(keys, sort=False)
    found = groups[scores].mean().map(lambda v: float(f"{v:.5g}"))
    return found.assign(n=groups.size()).reset_index()
