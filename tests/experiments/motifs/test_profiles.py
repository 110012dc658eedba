"""Numbers per seed are those that a loop over rows gives, on tables made by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from winnow.experiments.motifs import networks as motif_networks
from winnow.experiments.motifs import profiles as profiles
from winnow.metrics.motifs.classes import NAMES
from winnow.stats import Interval, bootstrap_ci, proportion_ci

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
    edges = table.groupby(["seed", "scheme", "state"]).ngroup() + 50
    return table.assign(z=draws[:, 0], msm=np.exp(draws[:, 1]), count=draws[:, 2], edges=edges)


def value(table, column, **where):
    """The one entry where columns hold given values."""
    for name, wanted in where.items():
        table = table[table[name] == wanted]
    [found] = table[column]
    return found


TABLE = scores()


# --- by seed ------------------------------------------------------------------------------------


def test_values_come_in_the_order_of_seeds():
    found = profiles.by_seed(TABLE, "msm", scheme="glorot", state="tree", id=PARALLEL)
    where = {"scheme": "glorot", "state": "tree", "id": PARALLEL}
    assert found.tolist() == [value(TABLE, "msm", seed=s, **where) for s in (2, 9, 10)]
    assert found.dtype == float
    z = profiles.by_seed(TABLE, scheme="glorot", state="tree", id=PARALLEL)
    assert z.tolist() == [value(TABLE, "z", seed=s, **where) for s in (2, 9, 10)]


def test_what_leaves_several_rows_for_a_seed_is_refused():
    with pytest.raises(ValueError, match=r"'state': 'tree'.* leave 6 rows for 3 seeds"):
        profiles.by_seed(TABLE, state="tree", id=PARALLEL)


@pytest.mark.parametrize(
    ("schemes", "states", "ids", "keys"),
    [
        (["normal"], ["tree"], [FAN], [""]),
        (SCHEMES, ["tree"], [FAN], ["normal", "glorot"]),
        (["normal"], ["tree", "clusters"], [FAN], ["tree", "clusters"]),
        (["normal"], ["tree"], [FAN, PARALLEL], ["bi-fan", "bi-parallel"]),
        (["normal"], ["tree"], NAMES[4], [*NAMES[4].values()]),
        (
            SCHEMES,
            ["tree", "clusters"],
            [FAN],
            ["normal, tree", "normal, clusters", "glorot, tree", "glorot, clusters"],
        ),
        (
            SCHEMES,
            ["tree"],
            [FAN, PARALLEL],
            ["normal, bi-fan", "normal, bi-parallel", "glorot, bi-fan", "glorot, bi-parallel"],
        ),
    ],
    ids=["one", "schemes", "states", "classes", "all", "two", "three"],
)
def test_keys_name_what_there_are_several_of(schemes, states, ids, keys):
    found = profiles.cells(TABLE, schemes=schemes, states=states, ids=ids)
    assert list(found) == keys
    at = itertools.product(schemes, states, ids)
    for values, (scheme, state, id) in zip(found.values(), at, strict=True):
        expected = profiles.by_seed(TABLE, "z", scheme=scheme, state=state, id=id)
        assert values.tolist() == expected.tolist()


def test_cells_of_a_null_and_of_surrogates():
    both = scores(nulls=NULLS)
    found = profiles.cells(both, "msm", schemes=SCHEMES, states=["tree"], null="layer")
    where = {"state": "tree", "null": "layer", "id": PARALLEL}
    for scheme in SCHEMES:
        expected = [value(both, "msm", seed=s, scheme=scheme, **where) for s in (2, 9, 10)]
        assert found[scheme].tolist() == expected
    mock = TABLE.assign(state=TABLE.state + ", re-placed")
    at = {"schemes": SCHEMES, "states": STATES}
    found = profiles.cells(mock, suffix=", re-placed", **at)
    expected = profiles.cells(TABLE, **at)
    assert list(found) == list(expected)
    assert all((found[k] == expected[k]).all() for k in found)


def test_a_rise_is_from_before_training():
    at = {"schemes": SCHEMES, "states": STATES[1:]}
    found = profiles.rise(TABLE, "msm", **at)
    keys = ["normal, tree", "normal, clusters", "glorot, tree", "glorot, clusters"]
    assert list(found) == keys
    star = profiles.rise(TABLE, "z", **at, id=14)
    assert list(star) == [f"{k}, out-star" for k in keys]
    for key in keys:
        scheme, state = key.split(", ")
        for values, column, id in (
            (found[key], "msm", PARALLEL),
            (star[f"{key}, out-star"], "z", 14),
        ):
            after, before = (
                profiles.by_seed(TABLE, column, scheme=scheme, state=s, id=id)
                for s in (state, "untrained")
            )
            assert values.tolist() == (after - before).tolist()


def test_the_leaders_beyond_the_same_edges_replaced():
    mock = scores(seed=5)
    labelled = mock.assign(state=mock.state + ", re-placed")
    found = profiles.beyond_replaced(TABLE, labelled, "msm", SCHEMES, ["tree"])
    assert list(found) == [
        "normal, bi-parallel", "normal, bi-fan", "glorot, bi-parallel", "glorot, bi-fan",
    ]  # fmt: skip
    where = {"scheme": "glorot", "state": "tree", "id": FAN}
    expected = [
        value(TABLE, "msm", seed=s, **where) - value(mock, "msm", seed=s, **where)
        for s in (2, 9, 10)
    ]
    assert found["glorot, bi-fan"].tolist() == expected


# --- ranks --------------------------------------------------------------------------------------


def network(values, **where):
    """A network's rows by class."""
    where = {"seed": 0, "scheme": "normal", "state": "tree", "null": "degree"} | where
    rows = [{**where, "id": id, "msm": v, "z": -v} for id, v in values.items()]
    return pd.DataFrame(rows)


def test_of_equal_values_none_is_first():
    rows = network({14: 3.0, 28: 5.0, 74: 5.0, 140: 0.0, 204: 0.0})
    assert profiles.ranks(rows)["rank"].tolist() == [3, 2, 2, 5, 5]
    assert profiles.ranks(rows, "z")["rank"].tolist() == [3, 5, 5, 2, 2]
    assert "rank" not in rows


@pytest.mark.parametrize("axis", ["seed", "scheme", "state", "null"])
def test_ranks_are_within_a_network(axis):
    other = {"seed": 1, "scheme": "glorot", "state": "clusters", "null": "layer"}[axis]
    one, two = network({14: 3.0, 28: 5.0}), network({14: 7.0, 28: 6.0}, **{axis: other})
    found = profiles.ranks(pd.concat([one, two], ignore_index=True))
    assert found["rank"].tolist() == [2, 1, 1, 2]


def leaders():
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
    states = ["tree", "clusters"]
    share = profiles.leading_share
    at = {"states": states, "schemes": SCHEMES}
    assert share(leaders(), PARALLEL, 1, **at).tolist() == [0.5, 0, 1]  # seeds 1, 3, 4
    assert share(leaders(), PARALLEL, 2, **at).tolist() == [1, 1, 1]
    assert share(leaders(), FAN, 2, **at).tolist() == [0, 1, 1]
    some = {"states": ["tree"], "schemes": ["normal"]}
    assert share(leaders(), PARALLEL, 1, **some).tolist() == [1, 0, 1]
    mixed = leaders()
    mixed.loc[(mixed.scheme == "glorot") & (mixed.id == PARALLEL), "msm"] = 0.0
    assert share(mixed, PARALLEL, 1, **at).tolist() == [0.25, 0, 0.5]
    assert share(mixed, PARALLEL, 1, states=states, schemes=["normal"]).tolist() == [0.5, 0, 1]


def test_shares_of_seeds_with_the_leaders_in_front_in_all_states():
    found = profiles.leading_parts(leaders(), ["tree", "clusters"], schemes=["glorot", "normal"])
    assert found == {
        "bi-parallel first, glorot": proportion_ci([0, 0, 1]),
        "bi-parallel first, normal": proportion_ci([0, 0, 1]),
        "bi-fan in first two, glorot": proportion_ci([0, 1, 1]),
        "bi-fan in first two, normal": proportion_ci([0, 1, 1]),
    }
    mixed = leaders()
    mixed.loc[(mixed.scheme == "glorot") & (mixed.id == PARALLEL), "msm"] = 0.0
    found = profiles.leading_parts(mixed, ["tree", "clusters"], schemes=["glorot", "normal"])
    assert found["bi-parallel first, glorot"] == proportion_ci([0, 0, 0])
    assert found["bi-parallel first, normal"] == proportion_ci([0, 0, 1])
    tree = profiles.leading_parts(leaders(), ["tree"], schemes=["normal"])
    assert tree["bi-parallel first, normal"] == proportion_ci([1, 0, 1])


# --- tables turned for drawing ------------------------------------------------------------------


def test_classes_stand_in_the_order_of_their_names():
    found = profiles.wide(TABLE, "msm", scheme="glorot", state="tree")
    assert list(found.columns) == list(NAMES[4])
    assert found.index.tolist() == [2, 9, 10]
    where = {"scheme": "glorot", "state": "tree"}
    for seed, id in itertools.product(SEEDS, NAMES[4]):
        assert found.loc[seed, id] == value(TABLE, "msm", seed=seed, id=id, **where)
    some = profiles.wide(TABLE[TABLE.id.isin([FAN, 14])], "z", scheme="glorot", state="tree")
    assert list(some.columns) == [14, FAN]


def test_curves_are_in_the_order_of_epochs():
    table = every(epoch=[1, 2, 10, 11], task=["tree", "clusters"], seed=SEEDS, scheme=SCHEMES)
    table["accuracy"] = rng().random(len(table))
    found = profiles.curves(table, "clusters", "normal")
    expected = [
        [
            value(table, "accuracy", task="clusters", scheme="normal", seed=s, epoch=e)
            for e in (1, 2, 10, 11)
        ]
        for s in (2, 9, 10)
    ]
    assert found.tolist() == expected


def test_edges_and_scores_of_a_state_belong_together():
    x, y = profiles.scatter(TABLE, "z", state="clusters")
    assert len(x) == len(y) == 6
    found = dict(zip(x.tolist(), y.tolist(), strict=True))
    for seed, scheme in itertools.product(SEEDS, SCHEMES):
        where = {"seed": seed, "scheme": scheme, "state": "clusters", "id": PARALLEL}
        assert found[value(TABLE, "edges", **where)] == value(TABLE, "z", **where)


def test_looks_are_in_the_order_of_epochs():
    looks = [f"epoch {e}" for e in (0, 2, 10, 20)]
    table = scores(states=looks, nulls=["permutation"])
    table = pd.concat([table[table.state == look] for look in looks])  # as they are measured
    found = profiles.over_time(table, "glorot", 2184)
    expected = [
        [value(table, "z", seed=s, state=look, scheme="glorot", id=2184) for look in looks]
        for s in (2, 9, 10)
    ]
    assert found.tolist() == expected


# --- calibration and association ----------------------------------------------------------------


def normals(mean, sd, n=150):
    table = scores(
        states=["untrained", "tree"],
        seeds=range(n),
        schemes=("normal", "glorot", "orthogonal"),
        nulls=("degree", "layer", "permutation"),
        ids=(PARALLEL, FAN, 14),
    )
    table["z"] = mean + sd * rng(4).normal(size=len(table))
    wrong = (table.state != "untrained") | (table.null == "degree") | (table.id == 14)
    wrong |= table.scheme == "orthogonal"
    return table.assign(z=table.z.where(~wrong, 99.0))


@pytest.mark.parametrize(("mean", "sd"), [(0, 1), (2, 3)], ids=["standard", "other"])
def test_calibration_finds_the_mean_and_the_spread(mean, sd):
    table = normals(mean, sd)
    centre, spread = profiles.calibration(table, SCHEMES, rng=rng())
    keys = [
        f"{null}, {name}" for null in ("layer", "permutation") for name in ("bi-parallel", "bi-fan")
    ]
    assert list(centre) == keys
    assert list(spread) == [f"{k}, sd" for k in keys]
    for key, id in zip(keys, (PARALLEL, FAN) * 2, strict=True):
        at = {"null": key.split(",")[0], "id": id, "state": "untrained"}
        each = [profiles.by_seed(table, scheme=s, **at) for s in SCHEMES]
        found = centre[key]
        assert found.n == spread[f"{key}, sd"].n == 150
        assert found.estimate == pytest.approx(np.mean(each))
        error = sd / np.sqrt(300)  # the mean over schemes first, then over seeds
        assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.25)
        assert abs(found.estimate - mean) < 4 * error
        found = spread[f"{key}, sd"]
        assert found.estimate == pytest.approx(np.sqrt(np.mean([v.var(ddof=1) for v in each])))
        assert abs(found.estimate - sd) < 4 * sd / np.sqrt(600)
        assert found.low < found.estimate < found.high


def test_spread_is_that_within_schemes():
    """Schemes that differ in their means only have no spread."""
    table = scores(states=["untrained"], nulls=("layer", "permutation"))
    table["z"] = table.scheme.map({"normal": 5.0, "glorot": -1.0})
    centre, spread = profiles.calibration(table, SCHEMES, rng=rng())
    assert {i[:3] for i in centre.values()} == {(2, 2, 2)}
    assert {i[:3] for i in spread.values()} == {(0, 0, 0)}


def test_association_is_spearmans():
    a = rng(1).integers(0, 6, 40).astype(float)
    b = a + rng(2).normal(size=40).round()
    found = profiles.association(a, b, rng=rng())
    assert found.estimate == pytest.approx(scipy.stats.spearmanr(a, b).statistic)
    assert found.low < found.estimate < found.high < 1
    assert found.n == 40
    picks = rng().integers(40, size=(10_000, 40))
    redrawn = [scipy.stats.spearmanr(a[p], b[p]).statistic for p in picks[:300]]
    assert found.low == pytest.approx(np.quantile(redrawn, 0.025), abs=0.06)


@pytest.mark.parametrize(
    ("of", "wanted"),
    [(np.exp, 1), (lambda v: -(v**3), -1), (lambda v: 0 * v + 0.1, 0)],
    ids=["rising", "falling", "constant"],
)
def test_association_at_its_ends(of, wanted):
    a = rng(3).normal(size=12)
    found = profiles.association(a, of(a), rng=rng())
    np.testing.assert_allclose(found[:3], wanted, atol=1e-12)


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
        found = profiles.explained(profiles.errors(table, KNOWN[name]), total, rng=rng())
        np.testing.assert_allclose(found[:3], share, atol=1e-12)
        assert found.n == 3


def test_pure_noise_is_not_explained():
    """Unlike a fitted share, which is above 0 by chance, this one is below."""
    table = scores(seeds=range(40))
    total = profiles.errors(table, [])
    for known in ("state", "scheme", "both"):
        found = profiles.explained(profiles.errors(table, KNOWN[known]), total, rng=rng())
        assert -0.1 < found.estimate < 0.01


def test_shares_are_one_less_the_ratio_of_means():
    wrong, total, a, b = rng(5).random((4, 30)) + np.array([[0.0], [1], [0.5], [1]])
    found = profiles.explained(wrong, total, rng=rng())
    assert found.estimate == pytest.approx(1 - wrong.mean() / total.mean())
    beyond = profiles.explained(wrong, total, (a, b), rng=rng())
    gap = (1 - wrong.mean() / total.mean()) - (1 - a.mean() / b.mean())
    assert beyond.estimate == pytest.approx(gap)
    assert beyond.low < gap < beyond.high
    assert beyond.n == 30
    same = profiles.explained(wrong, total, (wrong, total), rng=rng())
    assert same[:3] == (0, 0, 0)
    draws = rng().integers(30, size=(10_000, 30))
    ratios = a[draws].mean(1) / b[draws].mean(1) - wrong[draws].mean(1) / total[draws].mean(1)
    np.testing.assert_allclose(beyond[1:3], np.quantile(ratios, [0.025, 0.975]))


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


# --- words and means ----------------------------------------------------------------------------


def cells_of(markdown):
    return [[c.strip() for c in line.strip("|").split("|")] for line in markdown.splitlines()]


def test_an_overview_has_a_row_per_scheme_and_state_and_the_leaders_first():
    ids = (14, FAN, PARALLEL)
    keys = itertools.product(("normal", "glorot"), ("untrained", "tree"), (7, 3), ids)
    table = pd.DataFrame(keys, columns=["scheme", "state", "seed", "id"])
    table["msm"] = np.arange(24) / 4
    table["edges"] = ([10] * 3 + [13] * 3) * 4
    head, _, *rows = cells_of(profiles.overview(table, "msm"))
    assert head == ["scheme", "state", "edges", "bi-parallel", "bi-fan", "out-star"]
    assert [row[:3] for row in rows] == [
        ["normal", "untrained", "11.5"], ["normal", "tree", "11.5"],
        ["glorot", "untrained", "11.5"], ["glorot", "tree", "11.5"],
    ]  # fmt: skip
    for k, row in enumerate(rows):
        two = np.arange(24).reshape(4, 2, 3)[k] / 4
        assert [float(v) for v in row[3:]] == pytest.approx(two.mean(0)[::-1], abs=0.051)


def test_numbers_of_edges_are_means_over_seeds():
    table = scores(states=["untrained", "tree"])
    table["edges"] = 10.4 * table.seed + (table.state == "tree") + 100 * (table.scheme == "glorot")
    some = table[~((table.scheme == "normal") & (table.state == "tree"))]
    head, _, *rows = cells_of(profiles.edge_numbers(some))
    found = {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}
    assert found == {
        "normal": {"untrained": "73", "tree": "–"},  # 10.4 * 7 is 72.8
        "glorot": {"untrained": "173", "tree": "174"},
    }


def accuracy_table():
    table = every(epoch=[1, 2, 10], task=["tree", "clusters"], seed=SEEDS, scheme=SCHEMES)
    return table.assign(accuracy=rng(9).random(len(table)))


def test_accuracies_by_cell_are_means_over_the_rest():
    table = accuracy_table()
    found = profiles.by_cell(table, ["task", "scheme"])
    assert set(found) == set(itertools.product(["tree", "clusters"], SCHEMES))
    for (task, scheme), values in found.items():
        rows = table[(table.task == task) & (table.scheme == scheme)]
        expected = [rows[rows.seed == s].accuracy.mean() for s in (2, 9, 10)]
        np.testing.assert_allclose(values, expected)
    one = profiles.by_cell(table, ["scheme"])
    assert set(one) == set(SCHEMES)
    both = np.mean([found["tree", "normal"], found["clusters", "normal"]], 0)
    np.testing.assert_allclose(one["normal"], both)


def test_a_head_start_is_the_mean_of_the_first_epochs():
    table = accuracy_table()
    found = profiles.head_start(table, n_epochs=2)
    expected = profiles.by_cell(table[table.epoch != 10], ["task", "scheme"])
    assert list(found) == list(expected)
    for key, values in found.items():
        np.testing.assert_allclose(values, expected[key])
    first = profiles.head_start(table, n_epochs=1)["tree", "glorot"][1]
    assert first == value(table, "accuracy", epoch=1, task="tree", scheme="glorot", seed=9)


def test_accuracies_in_words():
    table = pd.DataFrame(
        [
            ("digits", "normal", 1, 0.5), ("digits", "normal", 2, 0.75),
            ("digits", "glorot", 1, 0.9), ("digits", "glorot", 2, 0.9),
        ],
        columns=["task", "scheme", "seed", "accuracy"],
    )  # fmt: skip
    words = "Mean test accuracy: digits, glorot 0.90, digits, normal 0.62."
    assert profiles.accuracies(table) == words


def test_ratios_in_percent():
    ratios = {"a": Interval(1.25, 1.0, 1.5, 9), "b": Interval(0.9, 0.815, 0.99, 9)}
    _, _, *rows = cells_of(profiles.percent_more(ratios))
    assert rows == [["a", "+25.0 % [+0.0, +50.0]"], ["b", "-10.0 % [-18.5, -1.0]"]]


def test_means_over_seeds_are_rounded_and_counted():
    table = pd.DataFrame(
        [
            ("b", 0.3, 1, 10, 2 / 3, 100), ("b", 0.3, 2, 13, 1 / 3 + 1e-4, 100),
            ("b", 0.1, 2, 20, np.nan, 123456), ("b", 0.1, 5, 20, 4.0, 123459),
            ("b", 0.1, 7, 21, 5.0, 123459), ("a", 0.1, 1, 5, np.nan, 0),
        ],
        columns=["state", "density", "seed", "edges", "z", "count"],
    )  # fmt: skip
    found = profiles.means(table)
    assert list(found.columns) == ["state", "density", "edges", "count", "z", "n"]
    assert found.state.tolist() == ["b", "b", "a"]  # as they come
    assert found.density.tolist() == [0.3, 0.1, 0.1]
    assert found.edges.tolist() == [11.5, 20.333, 5]
    assert found["count"].tolist() == [100, 123460, 0]
    np.testing.assert_array_equal(found.z, [0.50005, 4.5, np.nan])
    assert found.n.tolist() == [2, 3, 1]


# --- pruned, wider and denser -------------------------------------------------------------------


def test_gaps_of_pruned_networks():
    table = pd.concat(
        [
            scores(states=["magnitude", "random", "by layer"], nulls=NULLS, seed=k).assign(
                density=d
            )
            for k, d in enumerate((0.3, 0.1))
        ]
    )
    gaps, chance = profiles.thinned(table)
    assert list(gaps) == list(chance) == ["density 0.1", "density 0.3"]

    def mean(density, seed, null, state):
        where = {"density": density, "seed": seed, "null": null, "state": state, "id": PARALLEL}
        return np.mean([value(table, "z", scheme=s, **where) for s in SCHEMES])

    for d in (0.1, 0.3):
        expected = [
            mean(d, s, "layer", "magnitude") - mean(d, s, "layer", "by layer") for s in (2, 9, 10)
        ]
        np.testing.assert_allclose(gaps[f"density {d}"], expected)
        expected = [mean(d, s, "degree", "by layer") for s in (2, 9, 10)]
        np.testing.assert_allclose(chance[f"density {d}"], expected)


def test_scores_by_knob():
    table = pd.concat(
        [
            scores(states=["untrained"], schemes=["glorot"], nulls=NULLS, seed=k).assign(
                knob=knob, value=v
            )
            for k, (knob, v) in enumerate(
                [("width", 40), ("width", 8), ("cut", 0.3), ("cut", 0.1), ("width", 16)]
            )
        ]
    )
    for knob, values in {"width": (8, 16, 40), "cut": (0.1, 0.3)}.items():
        found = profiles.scaled_rows(table, knob, "layer")
        where = {"knob": knob, "null": "layer", "id": PARALLEL}
        expected = [
            [value(table, "z", seed=s, value=v, **where) for v in values] for s in (2, 9, 10)
        ]
        assert found.tolist() == expected


# --- on measured tables -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured():
    cohort = motif_networks.train(
        ["tree", "clusters"], seeds=(5, 3), hidden=[5, 4], schemes=SCHEMES, n_epochs=2
    )
    nets = motif_networks.coloured(cohort)
    options = {"nulls": ["degree"], "n_random": 19}
    swaps = [net.replaced() for net in nets.values()]
    looks = motif_networks.coloured(cohort.first(2), own=True, task="tree", at=[0, 1, 2]).values()
    return {
        "cohort": cohort,
        "table": motif_networks.measure(nets.values(), **options),
        "swapped": motif_networks.measure(swaps, **options),
        "timed": motif_networks.measure(looks, nulls=["permutation"], n_random=5),
        "thin": motif_networks.pruned(cohort, "tree", [0.3, 0.5], nulls=NULLS, n_random=5),
    }


def test_tables_that_are_measured_fit(measured):
    table, swapped = measured["table"], measured["swapped"]
    at = ("msm", SCHEMES, ["tree", "clusters"])
    gaps = profiles.beyond_replaced(table, swapped, *at)
    assert len(gaps) == 8
    assert all(np.isfinite(v).all() and v.shape == (2,) for v in gaps.values())
    assert profiles.wide(table, "msm", scheme="normal", state="tree").shape == (2, 10)
    trend = profiles.over_time(measured["timed"], "glorot", 2184)
    for s, e in np.ndindex(2, 3):
        at = {"seed": (3, 5)[s], "state": f"epoch {e}", "scheme": "glorot", "id": 2184}
        assert trend[s, e] == value(measured["timed"], "z", **at)
    for known in KNOWN.values():
        np.testing.assert_allclose(profiles.errors(swapped, known), left_out(swapped, known))
    assert profiles.recognised(swapped, "normal").shape == (2,)
    gaps, chance = profiles.thinned(measured["thin"])
    assert list(gaps) == list(chance) == ["density 0.3", "density 0.5"]
    assert len(profiles.means(table)) == len(table) / 2
    assert (profiles.means(measured["thin"]).n == 2).all()
    cohort = measured["cohort"]
    assert profiles.curves(cohort.running(), "tree", "normal").shape == (2, 2)
    head = profiles.head_start(cohort.running(), n_epochs=1)
    assert [v.shape for v in head.values()] == [(2,)] * 4
    assert bootstrap_ci(head["tree", "normal"], rng=rng()).n == 2
