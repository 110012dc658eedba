"""Readers of tidy tables give what a loop over rows gives, on tables made by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest

from winnow.experiments import tables

SEEDS, ARMS, DENSITIES = (9, 2, 10), ("imp", "random"), (1.0, 0.117, 0.058)


def made(**more):
    axes = {"seed": SEEDS, "arm": ARMS, "density": DENSITIES, **more}
    found = pd.DataFrame(itertools.product(*axes.values()), columns=list(axes))
    found["score"] = np.random.default_rng(3).normal(size=len(found))
    return found.sample(frac=1, random_state=5)


TABLE = made()


def entry(table, column="score", **where):
    for name, value in where.items():
        table = table[table[name] == value]
    [found] = table[column]
    return found


def test_values_come_in_the_order_of_seeds():
    found = tables.by_seed(TABLE, "score", arm="imp", density=1.0)
    assert found.tolist() == [entry(TABLE, arm="imp", density=1.0, seed=s) for s in (2, 9, 10)]


@pytest.mark.parametrize(
    ("asked", "meant"), [(0.118, 0.117), (0.08, 0.058), (0.09, 0.117), (0.5, 1.0), (1, 1.0)]
)
def test_a_density_is_the_nearest_by_ratio(asked, meant):
    at = {"arm": "random"}
    for read in (tables.by_seed, lambda *a, **k: tables.pivot(*a, "arm", **k)):
        found, expected = (read(TABLE, "score", **at, density=d) for d in (asked, meant))
        np.testing.assert_array_equal(found, expected)


def test_the_nearest_density_is_sought_among_the_rows_of_the_other_conditions():
    other = TABLE.assign(arm="other", density=TABLE.density + 0.001)[TABLE.arm == "imp"]
    found = tables.by_seed(pd.concat([TABLE, other]), "score", density=0.118, arm="imp")
    np.testing.assert_array_equal(found, tables.by_seed(TABLE, "score", density=0.117, arm="imp"))


def test_a_pivot_has_a_row_per_seed_and_keeps_the_order_of_columns():
    ordered = TABLE.sort_values("density", ascending=False)
    found = tables.pivot(ordered, "score", "density", arm="random")
    assert found.index.tolist() == [2, 9, 10]
    assert found.columns.tolist() == list(DENSITIES)
    for seed, density in itertools.product(SEEDS, DENSITIES):
        assert found.loc[seed, density] == entry(TABLE, arm="random", density=density, seed=seed)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"arm": "imp"}, "9 rows for 3 of seed where"),
        ({"arm": "none", "density": 1.0}, "no row has"),
        ({"density": 1.0, "rule": "imp"}, "no column 'rule': choose from seed, arm, density"),
    ],
)
def test_what_does_not_leave_one_row_per_seed_is_refused(where, message):
    with pytest.raises(ValueError, match=message):
        tables.by_seed(TABLE, "score", **where)
    with pytest.raises(ValueError, match=message.replace("of seed", "of seed and arm")):
        tables.pivot(TABLE, "score", "arm", **where)


def test_means_are_over_seeds_and_say_over_how_many():
    table = made().assign(note="text")
    found = tables.means(table, ["arm", "density"])
    assert found.columns.tolist() == ["arm", "density", "score", "networks"]
    for row in found.itertuples():
        mine = table[(table.arm == row.arm) & (table.density == row.density)].score
        assert row.score == float(f"{mine.mean():.5g}")
        assert row.networks == len(SEEDS)


def test_means_keep_conditions_that_have_no_value():
    table = TABLE.assign(value=TABLE.density.where(TABLE.arm == "imp"))
    assert len(tables.means(table, ["arm", "value"])) == 4


def test_an_overview_lists_measures_or_runs_across_a_condition():
    table = pd.DataFrame(
        {
            "seed": [1, 2, 1, 2, 1],
            "arm": ["b", "b", "a", "a", "a"],
            "n": [300, 300, 300, 300, 900],
            "score": [1.0, 2.0, 3.0, 3.0, 0.126],
        }
    )
    listed = [row.split() for row in tables.overview(table, ["score"], ["arm", "n"]).splitlines()]
    assert [row[1::2] for row in listed[2:]] == [
        ["b", "300", "1.50"],
        ["a", "300", "3.00"],
        ["a", "900", "0.13"],
    ]
    wide = tables.overview(table, "score", ["arm"], across="n", digits=1).splitlines()
    assert [row.split()[1::2] for row in wide[2:]] == [["b", "1.5", "–"], ["a", "3.0", "0.1"]]
