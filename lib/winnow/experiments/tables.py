"""Tidy tables, a row per network or per network and moment: numbers by seed, and means over seeds.

A column ``seed`` says which network a row belongs to; other columns are conditions or measures.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def rows(table: pd.DataFrame, **where: object) -> pd.DataFrame:
    """Rows in which columns have the given values.

    A ``density`` means the one among these rows that comes nearest to it on a logarithmic scale,
    because rounds of pruning seldom end at a round number.

    Raises
    ------
    ValueError
        For an unknown column, or where no row is left.
    """
    if unknown := [name for name in where if name not in table]:
        raise ValueError(f"no column {unknown[0]!r}: choose from {', '.join(table.columns)}")
    found = table
    for name, value in where.items():
        if name != "density":
            found = found[found[name] == value]
    if "density" in where and not found.empty:
        densities = found.density.unique()
        nearest = densities[abs(np.log(densities / where["density"])).argmin()]
        found = found[found.density == nearest]
    if found.empty:
        raise ValueError(f"no row has {where}")
    return found


def by_seed(table: pd.DataFrame, column: str, **where: object) -> np.ndarray:
    """A column's values, one per seed in their order, from the :func:`rows` with given values.

    Parameters
    ----------
    table
        A row per seed for each combination of conditions.
    column
        What to read.
    **where
        Conditions, enough of them to leave one row per seed.

    Returns
    -------
    numpy.ndarray
        ``(seeds,)``, in the order of seeds, so that two of these are paired.

    Raises
    ------
    ValueError
        Where no row is left, or several for one seed.
    """
    found = _one_each(rows(table, **where), ["seed"], where)
    return found.sort_values("seed")[column].to_numpy(float)


def pivot(table: pd.DataFrame, column: str, along: str, **where: object) -> pd.DataFrame:
    """A column's values by seed (rows, in order) and by the values of another (columns).

    Parameters
    ----------
    table, column, **where
        As for :func:`by_seed`.
    along
        The condition that runs along columns; its values keep the order they have in the table.

    Raises
    ------
    ValueError
        Where no row is left, or several for one seed and one value of ``along``.
    """
    found = _one_each(rows(table, **where), ["seed", along], where)
    wide = found.pivot(index="seed", columns=along, values=column)
    return wide[found[along].unique()]


def _one_each(found: pd.DataFrame, keys: list[str], where: dict[str, object]) -> pd.DataFrame:
    if found.duplicated(keys).any():
        groups = len(found[keys].drop_duplicates())
        raise ValueError(f"{len(found)} rows for {groups} of {' and '.join(keys)} where {where}")
    return found


def means(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Means over seeds of everything measured, to five significant digits.

    Parameters
    ----------
    table
        Any tidy table.
    by
        Columns to keep apart; all others must be measures, text among them is left out.

    Returns
    -------
    pandas.DataFrame
        A row for each combination that occurs, in order of appearance: the columns of ``by``, the
        means, and ``networks``, the number of rows behind them.
    """
    groups = table.drop(columns="seed").groupby(list(by), sort=False, dropna=False)
    found = groups.mean(numeric_only=True).map(lambda value: float(f"{value:.5g}"))
    return found.assign(networks=groups.size()).reset_index()


def overview(
    table: pd.DataFrame,
    columns: str | list[str],
    by: Sequence[str],
    *,
    across: str | None = None,
    digits: int = 2,
) -> str:
    """Means over seeds as a Markdown table.

    Parameters
    ----------
    table
        Any tidy table.
    columns
        What to average; one name, where ``across`` is given.
    by
        A row for each combination of these that occurs, in order of appearance.
    across
        A column for each value of this one instead of a column per measure.
    digits
        Decimals of all numbers but whole ones.
    """
    keys = [*by, across] if across else list(by)
    found = table.groupby(keys, sort=False, dropna=False)[columns].mean()
    if across:
        found = found.unstack(across, sort=False)[table[across].unique()]
    shown = found.reset_index()
    shown = shown.astype(object).where(shown.notna(), None)
    return shown.to_markdown(index=False, floatfmt=f".{digits}f", missingval="–")
