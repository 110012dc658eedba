"""Numbers by seed are those that a loop over rows gives, on tables made by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest

from winnow.experiments.motifs import networks, profiles
from winnow.experiments.tables import by_seed, pivot
from winnow.metrics.motifs.classes import NAMES

PARALLEL, FAN = 2182, 204
SEEDS, SCHEMES, STATES = (9, 2, 10), ("normal", "glorot"), ("untrained", "tree", "clusters")
NULLS = ("degree", "layer")


def rng(seed=0):
    return np.random.default_rng(seed)


def every(**axes):
    """A row for each combination, in random order."""
    rows = pd.DataFrame(itertools.product(*axes.values()), columns=list(axes))
    return rows.sample(frac=1, random_state=3).reset_index(drop=True)


def scores(states=STATES, seeds=SEEDS, schemes=SCHEMES, nulls=("degree",), ids=NAMES[4], seed=0):
    table = every(seed=seeds, scheme=schemes, state=states, null=nulls, id=ids)
    draws = rng(seed).normal(size=(len(table), 3))
    table["topology"] = table.id.map(NAMES[4])
    edges = table.groupby(["seed", "scheme", "state"]).ngroup() + 50
    return table.assign(z=draws[:, 0], msm=np.exp(draws[:, 1]), count=draws[:, 2], edges=edges)


def value(table, column, **where):
    """The one entry where columns hold given values."""
    for name, wanted in where.items():
        table = table[table[name] == wanted]
    [found] = table[column]
    return found


TABLE = scores()


# --- by condition -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "where"),
    [
        (["scheme"], {"state": "tree", "id": FAN}),
        (["scheme", "state"], {"id": PARALLEL}),
        (["state", "scheme"], {"id": PARALLEL}),
        (["scheme", "state", "topology"], {}),
    ],
    ids=["one", "two", "turned", "three"],
)
def test_cells_hold_every_combination_by_seed(by, where):
    found = profiles.cells(TABLE, "msm", by, **where)
    values = [sorted(TABLE[name].unique()) for name in by]
    assert set(found) == {", ".join(key) for key in itertools.product(*values)}
    for key, samples in found.items():
        at = dict(zip(by, key.split(", ", len(by) - 1), strict=True)) | where
        assert samples.tolist() == [value(TABLE, "msm", seed=s, **at) for s in (2, 9, 10)]


def test_a_rise_has_values_after_training_and_before():
    found = profiles.rise(TABLE, "z", id=14)
    assert set(found) == {f"{scheme}, {task}" for scheme in SCHEMES for task in STATES[1:]}
    for key, (after, before) in found.items():
        scheme, task = key.split(", ")
        for samples, state in ((after, task), (before, "untrained")):
            expected = by_seed(TABLE, "z", scheme=scheme, state=state, id=14)
            assert samples.tolist() == expected.tolist()


def test_a_scheme_that_is_not_trained_does_not_rise():
    some = TABLE[(TABLE.scheme != "glorot") | (TABLE.state == "untrained")]
    assert set(profiles.rise(some, "z", id=14)) == {"normal, tree", "normal, clusters"}


# --- leaders ------------------------------------------------------------------------------------


def network(values, **where):
    """A network's rows by class."""
    where = {"seed": 0, "scheme": "normal", "state": "tree", "null": "degree"} | where
    rows = [{**where, "id": id, "msm": v, "z": -v} for id, v in values.items()]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("n_best", range(1, 6))
def test_of_equal_values_none_is_first(n_best):
    rows = network({14: 3.0, 28: 5.0, 74: 5.0, 140: 0.0, 204: 0.0})
    for id, rank in {14: 3, 28: 2, 74: 2, 140: 5, 204: 5}.items():
        found = profiles.leading_share(rows, id, n_best)
        assert found.tolist() == [float(rank <= n_best)]


def led():
    """Seeds 4, 1 and 3: bi-parallel leads in all, one and no state; bi-fan next, third, tied."""
    tables = []
    for scheme in SCHEMES:
        for state in ("tree", "clusters"):
            here = {"scheme": scheme, "state": state}
            first = {PARALLEL: 9.0, FAN: 8.0, 14: 1.0}
            third = {PARALLEL: 9.0 if state == "tree" else 8.5, FAN: 2.0, 14: 8.7}
            tied = {PARALLEL: 5.0, FAN: 5.0, 14: 1.0}
            tables += [network(first, seed=4, **here), network(third, seed=1, **here)]
            tables += [network(tied, seed=3, **here)]
    return pd.concat(tables, ignore_index=True)


def test_share_of_networks_in_which_a_class_leads():
    share, all_led = profiles.leading_share, led()
    assert share(all_led, PARALLEL, 1).tolist() == [0.5, 0, 1]  # seeds 1, 3, 4
    assert share(all_led, PARALLEL, 2).tolist() == [1, 1, 1]
    assert share(all_led, FAN, 2).tolist() == [0, 1, 1]
    some = all_led[(all_led.state == "tree") & (all_led.scheme == "normal")]
    assert share(some, PARALLEL, 1).tolist() == [1, 0, 1]
    mixed = led()
    mixed.loc[(mixed.scheme == "glorot") & (mixed.id == PARALLEL), "msm"] = 0.0
    assert share(mixed, PARALLEL, 1).tolist() == [0.25, 0, 0.5]


def test_leaders_are_in_front_in_all_states():
    found = profiles.leaders(led())
    assert {name: won.tolist() for name, won in found.items()} == {
        "bi-parallel first, normal": [False, False, True],
        "bi-parallel first, glorot": [False, False, True],
        "bi-fan in first two, normal": [False, True, True],
        "bi-fan in first two, glorot": [False, True, True],
    }
    tree = profiles.leaders(led().query("state == 'tree'"))
    assert tree["bi-parallel first, normal"].tolist() == [True, False, True]


# --- shares of variance -------------------------------------------------------------------------


def left_out(table, known):
    """Errors by a loop over seeds, networks and classes."""
    cells = {
        (r.seed, r.scheme, r.state, r.id): r.msm for r in table.itertuples() if r.null == "degree"
    }
    found = dict.fromkeys(sorted({seed for seed, *_ in cells}), 0.0)
    for (seed, scheme, state, id), x in cells.items():
        mine = {"scheme": scheme, "state": state}
        others = [
            y
            for (a, b, c, d), y in cells.items()
            if a != seed and d == id and all({"scheme": b, "state": c}[k] == mine[k] for k in known)
        ]
        found[seed] += (x - np.mean(others)) ** 2
    return list(found.values())


KNOWN = {"nothing": [], "state": ["state"], "scheme": ["scheme"], "both": ["state", "scheme"],
         "turned": ["scheme", "state"]}  # fmt: skip


@pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)
def test_errors_are_those_of_a_loop_that_leaves_seeds_out(known):
    found = profiles.errors(TABLE, known)
    assert found.shape == (3,)
    np.testing.assert_allclose(found, left_out(TABLE, known))


def test_states_with_fewer_schemes_weigh_less():
    """Means are over networks, so that what there is more of counts for more."""
    some = TABLE[~((TABLE.scheme == "normal") & (TABLE.state == "tree"))]
    for known in KNOWN.values():
        np.testing.assert_allclose(profiles.errors(some, known), left_out(some, known))


@pytest.mark.parametrize(
    ("column", "shares"),
    [
        ("state", {"state": 1, "scheme": 0, "both": 1}),
        ("scheme", {"state": 0, "scheme": 1, "both": 1}),
        ("seed", {"state": 0, "scheme": 0, "both": 0}),
    ],
    ids=["state", "scheme", "seed"],
)
def test_what_explains_all_and_what_nothing(column, shares):
    codes = {name: (k + 1) ** 2 for k, name in enumerate(sorted(set(TABLE[column])))}
    table = TABLE.assign(msm=TABLE[column].map(codes) * np.sqrt(TABLE.id))
    total = profiles.errors(table, [])
    assert (total > 0).all()
    for name, share in shares.items():
        found = 1 - profiles.errors(table, KNOWN[name]).mean() / total.mean()
        assert found == pytest.approx(share, abs=1e-12)


@pytest.mark.slow
def test_pure_noise_is_not_explained():
    """Unlike a fitted share, which is above 0 by chance, this one is below."""
    table = scores(seeds=range(40))
    total = profiles.errors(table, [])
    for known in ("state", "scheme", "both"):
        share = 1 - profiles.errors(table, KNOWN[known]).mean() / total.mean()
        assert -0.1 < share < 0.01


# --- telling states by profile ------------------------------------------------------------------


def told_by_a_loop(table, scheme):
    rows = table[table.scheme == scheme]
    each = {}
    for (seed, state), part in rows.groupby(["seed", "state"]):
        x = part.sort_values("id").msm.to_numpy()
        each[seed, state] = x / max(np.linalg.norm(x), 1e-30)
    seeds, states = sorted({k[0] for k in each}), sorted({k[1] for k in each})
    found = []
    for seed in seeds:
        centres = {t: np.mean([each[s, t] for s in seeds if s != seed], 0) for t in states}
        won = [
            min(states, key=lambda t, x=each[seed, s]: np.linalg.norm(x - centres[t])) == s
            for s in states
        ]
        found.append(np.mean(won))
    return found


def test_profiles_are_told_as_by_a_loop():
    table = scores(seeds=range(12))
    for scheme in SCHEMES:
        found = profiles.recognised(table, scheme)
        assert found.tolist() == pytest.approx(told_by_a_loop(table, scheme))
    assert 0 < profiles.recognised(table, "normal").mean() < 0.9


def test_profiles_that_differ_in_shape_are_told_whatever_their_size():
    table = scores(seeds=range(8))
    peak = table.state.map(dict(zip(STATES, (14, 28, 74), strict=True)))
    size = 10 ** (1 + table.seed % 3)
    table["msm"] = size * ((table.id == peak) + 0.2 * rng(6).random(len(table)))
    assert profiles.recognised(table, "glorot").tolist() == [1] * 8


@pytest.mark.slow
def test_profiles_that_differ_in_size_only_are_not_told():
    table = scores(seeds=range(300))
    noise = rng(7).random((300, 10))
    column = table.id.map({id: k for k, id in enumerate(NAMES[4])})
    scale = table.state.map(dict(zip(STATES, (1.0, 8.0, 64.0), strict=True)))
    table["msm"] = scale * noise[table.seed, column]
    told = profiles.recognised(table, "glorot")
    assert told.mean() == pytest.approx(1 / 3, abs=0.01)  # all three are given one name
    table["msm"] = rng(8).random(len(table))
    told = profiles.recognised(table, "glorot")
    assert abs(told.mean() - 1 / 3) < 4 * np.sqrt(2 / 9 / 900)


def test_profiles_of_zeros_are_told_too():
    table = scores(seeds=range(6))
    table.loc[table.state == "untrained", "msm"] = 0.0
    found = profiles.recognised(table, "normal")
    assert found.tolist() == pytest.approx(told_by_a_loop(table, "normal"))
    assert (found >= 1 / 3).all()  # zeros are nearest to zeros


# --- on measured tables -------------------------------------------------------------------------


@pytest.mark.slow
def test_tables_that_are_measured_fit():
    cohort = networks.train(
        ["tree", "clusters"], seeds=(5, 3), hidden=[5, 4], schemes=SCHEMES, n_epochs=2
    )
    nets = networks.coloured(cohort)
    options = {"nulls": ["degree"], "n_random": 19}
    table = networks.measure(nets.values(), **options)
    swapped = networks.measure([net.replaced() for net in nets.values()], **options)
    assert swapped.state.tolist() == table.state.tolist()
    real, mock = (profiles.cells(rows, "z", id=PARALLEL) for rows in (table, swapped))
    assert list(real) == list(mock)
    assert len(real) == 6
    assert len(profiles.rise(table, "msm", id=FAN)) == 4
    for known in KNOWN.values():
        np.testing.assert_allclose(profiles.errors(swapped, known), left_out(swapped, known))
    assert profiles.recognised(swapped, "normal").shape == (2,)
    timed = networks.measure(
        [networks.after_epoch(cohort, "tree", epoch) for epoch in (0, 2, 1)],
        nulls=["permutation"],
        n_random=5,
    )
    trend = pivot(timed, "z", "epoch", scheme="glorot", id=2184)
    assert trend.columns.tolist() == [0, 2, 1]
    assert trend.index.tolist() == [3, 5]
