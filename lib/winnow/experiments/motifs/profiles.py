"""Profiles of motifs, and one number per seed from them, for the chapter on motifs.

Tables are those of :func:`winnow.experiments.motifs.networks.measure`. A network's profile is its scores over the
classes of subgraphs.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from winnow.metrics.motifs import classes
from winnow.stats import Interval, bootstrap_ci, proportion_ci

#: The paper's two leaders by FANMOD's number.
BI_PARALLEL, BI_FAN = 2182, 204

#: Classes whose counts the degrees settle.
SETTLED = (14, 28, 2116, 2184)

#: Four classes of five nodes that lead in the paper's networks.
FIVE = {541198: "tri-parallel", 541068: "bi-fan, join", 3864: "fork, bi-fan", 25368: "3-to-2"}

_SCORES = ("edges", "count", "expected", "z", "msm")


def by_seed(table: pd.DataFrame, column: str = "z", **where: object) -> np.ndarray:
    """A column's values, one per seed in their order, where other columns hold given values."""
    for name, value in where.items():
        table = table[table[name] == value]
    if table.empty:
        raise ValueError(f"no row has {where}")
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


def rise(
    table: pd.DataFrame,
    column: str,
    *,
    schemes: Sequence[str],
    states: Sequence[str],
    id: int = BI_PARALLEL,
) -> dict[str, np.ndarray]:
    """Values of trained networks less those of the same networks before training, by seed.

    Keys are ``"scheme, state"``, with the class's name behind it unless it is bi-parallel.
    """
    name = "" if id == BI_PARALLEL else f", {classes.NAMES[4][id]}"
    found = {}
    for scheme, state in itertools.product(schemes, states):
        after, before = (
            by_seed(table, column, scheme=scheme, state=s, id=id) for s in (state, "untrained")
        )
        found[f"{scheme}, {state}{name}"] = after - before
    return found


def beyond_replaced(
    table: pd.DataFrame,
    replaced: pd.DataFrame,
    column: str,
    schemes: Sequence[str],
    states: Sequence[str],
) -> dict[str, np.ndarray]:
    """Values of the two leaders less those of the same edges re-placed, by seed."""
    at = {"schemes": schemes, "states": states, "ids": (BI_PARALLEL, BI_FAN)}
    mock = cells(replaced, column, suffix=", re-placed", **at)
    return {key: real - mock[key] for key, real in cells(table, column, **at).items()}


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


def scatter(table: pd.DataFrame, column: str, *, state: str) -> tuple[np.ndarray, np.ndarray]:
    """Edges and bi-parallel's scores of all networks of a state, to be drawn against each other."""
    rows = table[(table.state == state) & (table.id == BI_PARALLEL)]
    return rows.edges.to_numpy(), rows[column].to_numpy(float)


def over_time(table: pd.DataFrame, scheme: str, id: int) -> np.ndarray:
    """A class's z by seed and epoch, ``(seeds, looks)``."""
    rows = table[(table.scheme == scheme) & (table.id == id)]
    by_epoch = rows.pivot(index="seed", columns="state", values="z")
    return by_epoch[rows.state.unique()].to_numpy(float)


def leading_share(
    table: pd.DataFrame, id: int, n_best: int, *, states: Sequence[str], schemes: Sequence[str]
) -> np.ndarray:
    """Share of a seed's networks in which a class is among the best, ``(seeds,)``."""
    rows = ranks(table[table.scheme.isin(schemes) & table.state.isin(states)])
    ahead = (rows.id == id) & (rows["rank"] <= n_best)
    by_network = ahead.groupby([rows.seed, rows.scheme, rows.state]).any()
    return by_network.groupby("seed").mean().to_numpy(float)


def leading_parts(
    table: pd.DataFrame, states: Sequence[str], *, schemes: Sequence[str]
) -> dict[str, Interval]:
    """Share of seeds with bi-parallel first, and bi-fan in the first two, in all states."""
    places = {"bi-parallel first": (BI_PARALLEL, 1), "bi-fan in first two": (BI_FAN, 2)}
    found = {}
    for (words, place), scheme in itertools.product(places.items(), schemes):
        share = leading_share(table, *place, states=states, schemes=[scheme])
        found[f"{words}, {scheme}"] = proportion_ci(share == 1)
    return found


def calibration(
    table: pd.DataFrame, schemes: Sequence[str], *, rng: np.random.Generator
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Mean and spread of z in untrained networks, under the nulls that keep layers.

    Of the two leaders. The mean is taken over schemes first; the spread is the root of the mean
    variance between seeds.
    """
    centre, spread = {}, {}
    for null, id in itertools.product(("layer", "permutation"), (BI_PARALLEL, BI_FAN)):
        found = cells(table, schemes=schemes, states=["untrained"], ids=(id,), null=null)
        values, key = list(found.values()), f"{null}, {classes.NAMES[4][id]}"
        centre[key] = bootstrap_ci(np.mean(values, 0), rng=rng)
        spread[f"{key}, sd"] = bootstrap_ci(values, rng=rng, statistic=_mean_sd)
    return centre, spread


def _mean_sd(*values: np.ndarray, axis: int) -> np.ndarray:
    return np.sqrt(np.mean([v.var(axis, ddof=1) for v in values], axis=0))


def association(a: np.ndarray, b: np.ndarray, *, rng: np.random.Generator) -> Interval:
    """Spearman's correlation over seeds, ``(n,)`` each, with a bootstrap interval of seeds."""
    return bootstrap_ci((a, b), rng=rng, statistic=_spearman)


def _spearman(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    ranks = [rankdata(v, axis=axis) for v in (a, b)]
    x, y = (r - r.mean(axis, keepdims=True) for r in ranks)
    size = np.sqrt((x**2).sum(axis) * (y**2).sum(axis))
    return (x * y).sum(axis) / np.where(size > 0, size, 1)


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


def explained(
    wrong: np.ndarray,
    total: np.ndarray,
    control: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    rng: np.random.Generator,
) -> Interval:
    """Share of variance explained, from two of :func:`~winnow.experiments.motifs.profiles.errors`.

    With the two of a ``control``, such as surrogates of the same seeds, the share beyond theirs.
    """
    arrays = (wrong, total) if control is None else (wrong, total, *control)
    return bootstrap_ci(arrays, rng=rng, statistic=_explained)


def _explained(*arrays: np.ndarray, axis: int) -> np.ndarray:
    ratios = [a.mean(axis) / b.mean(axis) for a, b in zip(arrays[::2], arrays[1::2], strict=True)]
    return 1 - ratios[0] if len(ratios) == 1 else ratios[1] - ratios[0]


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
    """Means over seeds as Markdown, a row per scheme and state, a column per class.

    The two leaders come first.
    """
    keys = ["scheme", "state", "edges"]
    edges = table.groupby(keys[:2]).edges.transform("mean")
    named = table.assign(name=table.id.map(classes.NAMES[4]), edges=edges)
    means = named.pivot_table(index=keys, columns="name", values=column, sort=False)
    leaders = [classes.NAMES[4][i] for i in (BI_PARALLEL, BI_FAN)]
    ordered = [*leaders, *(name for name in means.columns if name not in leaders)]
    return means[ordered].reset_index().to_markdown(index=False, floatfmt=".1f")


def by_cell(table: pd.DataFrame, names: Sequence[str]) -> dict[object, np.ndarray]:
    """Accuracies by seed, ``(seeds,)``, for each combination of columns; means over the others."""
    means = table.groupby([*names, "seed"]).accuracy.mean().unstack("seed")
    return {key: means.loc[key].to_numpy(float) for key in means.index}


def accuracies(table: pd.DataFrame) -> str:
    """Mean test accuracy by task and scheme, in words."""
    means = table.groupby(["task", "scheme"]).accuracy.mean()
    return f"Mean test accuracy: {', '.join(f'{t}, {s} {v:.2f}' for (t, s), v in means.items())}."


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


def thinned(table: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Bi-parallel's z in pruned networks by density, means over schemes, ``(seeds,)`` each.

    First under the layer null, strongest weights less random ones with as many in each layer; then
    of these random ones under the degree null. Of :func:`winnow.experiments.motifs.networks.pruned`.
    """
    rows = table[table.id == BI_PARALLEL]
    wide = rows.pivot_table("z", ["density", "seed"], ["null", "state"])
    gap = wide["layer", "magnitude"] - wide["layer", "by layer"]
    both = gap, wide["degree", "by layer"]
    gaps, chance = (
        {f"density {d}": v.to_numpy(float) for d, v in values.groupby("density")} for values in both
    )
    return gaps, chance


def scaled_rows(table: pd.DataFrame, knob: str, null: str) -> np.ndarray:
    """Bi-parallel's z by seed and value of a knob, of :func:`winnow.experiments.motifs.networks.scaled`."""
    rows = table[(table.knob == knob) & (table.null == null) & (table.id == BI_PARALLEL)]
    return rows.pivot(index="seed", columns="value", values="z").to_numpy(float)


def percent_more(ratios: Mapping[str, Interval]) -> str:
    """Ratios as Markdown, in percent above 1."""
    more = {key: [100 * (v - 1) for v in i[:3]] for key, i in ratios.items()}
    rows = {key: f"{a:+.1f} % [{b:+.1f}, {c:+.1f}]" for key, (a, b, c) in more.items()}
    return pd.Series(rows, name="more than the null").rename_axis("part").to_markdown()


def edge_numbers(table: pd.DataFrame) -> str:
    """Mean numbers of edges as Markdown, a row per scheme and a column per state."""
    means = table.groupby(["scheme", "state"], sort=False).edges.mean().unstack("state")
    words = means.map("{:.0f}".format, na_action="ignore").fillna("–")
    return words.to_markdown()
