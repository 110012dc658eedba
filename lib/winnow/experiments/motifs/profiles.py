"""Profiles of motifs, and numbers by seed from them, for the chapter on motifs.

Tables are those of :func:`winnow.experiments.motifs.networks.measure`. A network's profile is its
scores over the classes of subgraphs.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from winnow.experiments.motifs.networks import UNTRAINED
from winnow.experiments.tables import by_seed, rows

#: The paper's two leaders, and the two stars, by FANMOD's number.
BI_PARALLEL, BI_FAN, OUT_STAR, IN_STAR = 2182, 204, 14, 2184

#: Classes whose counts the degrees settle.
SETTLED = (14, 28, 2116, 2184)

#: Four classes of five nodes that lead in the paper's networks.
FIVE = {541198: "tri-parallel", 541068: "bi-fan, join", 3864: "fork, bi-fan", 25368: "3-to-2"}


def cells(
    table: pd.DataFrame, column: str, by: Sequence[str] = ("scheme", "state"), **where: object
) -> dict[str, np.ndarray]:
    """A column by seed for each combination of conditions; keys such as ``"normal, tree"``.

    Parameters
    ----------
    table, column, **where
        As for :func:`~winnow.experiments.tables.by_seed`.
    by
        Columns with the conditions, in the order of keys.
    """
    groups = rows(table, **where).groupby(list(by), sort=False)
    return {", ".join(map(str, key)): by_seed(found, column) for key, found in groups}


def rise(
    table: pd.DataFrame, column: str, **where: object
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values by seed after training, and of the same networks before it, by scheme and task."""
    before = cells(table, column, ["scheme"], state=UNTRAINED, **where)
    after = cells(table[table.state != UNTRAINED], column, **where)
    return {
        name: (values, start)
        for scheme, start in before.items()
        for name, values in after.items()
        if name.startswith(f"{scheme}, ")
    }


def leading_share(table: pd.DataFrame, id: int, n_best: int) -> np.ndarray:
    """Share of a seed's networks in which a class is among the best by msm, ``(seeds,)``.

    A class's rank is the number of classes with a value as large: of equal values none is first.
    """
    networks = [table.seed, table.scheme, table.state]
    rank = table.groupby(networks).msm.rank(ascending=False, method="max")
    ahead = ((table.id == id) & (rank <= n_best)).groupby(networks).any()
    return ahead.groupby("seed").mean().to_numpy(float)


def leaders(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Whether a seed has bi-parallel first, and bi-fan in the first two, in all states."""
    places = {"bi-parallel first": (BI_PARALLEL, 1), "bi-fan in first two": (BI_FAN, 2)}
    return {
        f"{words}, {scheme}": leading_share(found, *place) == 1
        for words, place in places.items()
        for scheme, found in table.groupby("scheme", sort=False)
    }


def errors(table: pd.DataFrame, known: Sequence[str]) -> np.ndarray:
    """Squared error with which other seeds' mean profile predicts a seed's, ``(seeds,)``.

    The mean is taken over other seeds' networks that agree in what is known, such as ``state`` or
    ``scheme``; without any, over all of them. Summed over a seed's networks and over classes.
    One less the ratio of two such errors (:func:`~winnow.stats.explained_share`) is a share of
    variance explained, free of the optimism of fitted means.
    """
    profiles = _profiles(table)
    gaps = ((profiles - _of_others(profiles, known)) ** 2).sum(axis=1)
    return gaps.groupby("seed").sum().to_numpy()


def recognised(table: pd.DataFrame, scheme: str) -> np.ndarray:
    """Share of a seed's states told from its profiles by the nearest mean of other seeds.

    Profiles are scaled to length 1 :cite:p:`milo2004`. ``(seeds,)``; chance is one over states.
    """
    profiles = _profiles(table[table.scheme == scheme])
    length = np.sqrt((profiles**2).sum(axis=1)).replace(0, 1)
    profiles = profiles.div(length, axis=0)
    centres, found = _of_others(profiles, ["state"]), []
    for _, mine in profiles.groupby("seed"):  # a row for each state, as its centres have
        nearest = cdist(mine, centres.loc[mine.index]).argmin(1)
        found.append((nearest == np.arange(len(mine))).mean())
    return np.array(found)


def _profiles(table: pd.DataFrame) -> pd.DataFrame:
    """One row per seed, scheme and state, one column per class."""
    return table.pivot(index=["seed", "scheme", "state"], columns="id", values="msm")


def _of_others(profiles: pd.DataFrame, known: Sequence[str]) -> pd.DataFrame:
    """For each profile the mean over other seeds' that agree with it in what is known."""
    alike = [profiles.index.get_level_values(name) for name in known] or [np.zeros(len(profiles))]
    seeds = profiles.index.get_level_values("seed")
    total, count = (
        profiles.groupby(alike).transform(how) - profiles.groupby([seeds, *alike]).transform(how)
        for how in ("sum", "count")
    )
    return total / count
