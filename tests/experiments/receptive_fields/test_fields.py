"""What rounds of pruning left, against small direct computations on one network."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from winnow import models, seeds
from winnow.experiments.receptive_fields import fields, problems
from winnow.metrics import locality, non_gaussianity
from winnow.training import rounds

GRID, SEEDS, SIZES = (20,), (4, 9, 2), {"n_train": 150, "n_test": 60, "n_probe": 80}
NETWORK = models.Committee(20, 6)
ARMS = ("imp", "random", "no rewind")


@pytest.fixture(scope="module")
def problem():
    return problems.ring_problem(problems.lengths(GRID, (1, 3)), seeds=SEEDS, **SIZES)


def one(group):
    """A problem with one group and the first seed."""
    fields = {group: problems.lengths(GRID, (1, 3))[group]}
    return problems.ring_problem(fields, seeds=SEEDS[:1], **SIZES)


@pytest.fixture(scope="module")
def pruned(problem):
    return fields.trial(problem, NETWORK, arms=ARMS, n_steps=60, n_rounds=5)[0]


@pytest.fixture(scope="module")
def table(pruned, problem):
    return fields.measure(pruned, problem)


def kappa(w, x):
    """Excess kurtosis of each unit (K, D), one by one; NaN without weights."""
    x = np.asarray(x, float)
    return np.array([scipy.stats.kurtosis(x @ u) if u.any() else np.nan for u in np.asarray(w)])


# --- what rounds left ---------------------------------------------------------------------------


def rows_of(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    return table


def test_every_arm_round_and_replica_has_a_row(table, pruned):
    assert list(table.columns) == [
        "variant", "kind", "seed", "arm", "round", "density", "accuracy", "alive", "locality",
        "by_unit", "columns", "ipr", "window", "concentration", "kappa_0", "kappa",
    ]  # fmt: skip
    assert len(table) == len(ARMS) * 6 * 6
    assert not table.duplicated(["kind", "seed", "arm", "round"]).any()
    assert table.groupby("round").density.first().tolist() == list(pruned.densities)
    assert pruned.densities == tuple(0.7**r for r in range(6))


@pytest.mark.parametrize("r", [0, 3, 5])
@pytest.mark.parametrize("arm", ARMS)
def test_measures_are_those_of_one_network(table, pruned, problem, arm, r):
    for at, ((_, kind), seed) in enumerate((g, s) for g in problem.groups for s in SEEDS):
        [row] = rows_of(table, kind=kind, seed=seed, arm=arm, round=r).to_dict("records")
        w, m = pruned.fields(arm)[r, at].numpy(), pruned.kept(arm)[r, at].numpy()
        p = {n: v[at] for n, v in pruned.params(arm, r).items()}
        x, y = problem.test[0][at], problem.test[1][at]
        outputs = torch.relu(x @ p["weights"][0].T + p["biases"][0]).mean(-1) + p["offset"][0]
        assert row["accuracy"] == pytest.approx(((outputs > 0.5) == (y > 0.5)).double().mean())
        assert row["alive"] == m.any(-1).mean()
        assert row["density"] == pruned.densities[r]
        kappas = [np.nanmean(kappa(w, probe[at])) for probe in problem.probes]
        assert [row["kappa_0"], row["kappa"]] == pytest.approx(kappas, abs=1e-6)
        where = problem.where
        assert row["locality"] == pytest.approx(float(locality.pair_locality(m, **where)))
        alive = w[m.any(-1)]
        assert row["ipr"] == pytest.approx(((alive**4).sum(-1) / (alive**2).sum(-1) ** 2).mean())
        assert row["by_unit"] == pytest.approx(np.nanmean(locality.unit_locality(m, **where)))
        assert row["window"] == pytest.approx(locality.energy_window(alive, **where).mean())
        rng = seeds.generators([seed], "window null")
        null = locality.energy_window_null(w[None], **where, rng=rng, n_draws=2)
        chance = np.nanmean(null)
        assert row["concentration"] == pytest.approx((row["window"] - chance) / (1 - chance))


def test_nulls_are_level_and_a_replica_has_its_own(table):
    dense = table[table["round"] == 0]
    assert (dense.locality == 1).all()
    assert (dense["columns"] == 1).all()
    random = rows_of(table, arm="random", round=3)
    assert abs(random.locality.mean() - 1) < 0.15
    assert abs(random["columns"].mean() - 1) < 0.15
    assert table.groupby(["arm", "round"])["concentration"].nunique().min() == 6


def test_a_seeds_rows_do_not_depend_on_others(problem, table):
    part = one(problems.CLONE)
    _, found = fields.trial(part, NETWORK, arms=("random",), n_steps=60, n_rounds=5)
    expected = rows_of(table, kind="clone", seed=4, arm="random").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3, atol=1e-4)


# --- cuts ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cuts(pruned, problem):
    return fields.cuts(pruned, problem, ARMS)


def test_cuts_have_a_row_for_each_cut(cuts):
    assert list(cuts.columns) == [
        "variant", "kind", "seed", "arm", "round", "cut", "by_count", "by_energy", "retrain",
        "removed", "kept", "auc", "auc_raw",
    ]  # fmt: skip
    assert len(cuts) == len(ARMS) * 5 * 6
    assert cuts.iloc[:, 5:].notna().all().all()


@pytest.mark.parametrize("arm", ARMS)
def test_effects_of_a_cut_are_those_of_one_network(cuts, pruned, problem, arm):
    trained, masks = pruned.fields(arm).numpy(), pruned.kept(arm).numpy()
    for r, at in [(0, 0), (2, 4), (4, 5)]:
        w, before, after, x = trained[r, at], masks[r, at], masks[r + 1, at], problem.probes[1][at]
        kind, seed = problem.groups[at // 3][1], problem.replicas[at]
        [row] = rows_of(cuts, kind=kind, seed=seed, arm=arm, round=r).to_dict("records")
        left = abs(kappa(w * after, x))
        assert row["cut"] == pytest.approx(np.nanmean(left - abs(kappa(w, x))), abs=1e-6)
        later = abs(kappa(trained[r + 1, at], x))
        assert row["retrain"] == pytest.approx(np.nanmean(later - left), abs=1e-6)
        gain = np.full(w.shape, np.nan)
        for k, i in zip(*w.nonzero(), strict=True):
            rest = np.where(np.arange(20) == i, 0, w[k])[None]
            gain[k, i] = (abs(kappa(rest, x)) - abs(kappa(w[k : k + 1], x)))[0]
        gone = before & ~after
        assert row["removed"] == pytest.approx(np.nanmean(gain[gone]), abs=1e-6)
        assert row["kept"] == pytest.approx(np.nanmean(gain[after]), abs=1e-6)
        with np.errstate(invalid="ignore"):
            relative = gain / (w**2 / (w**2).sum(-1, keepdims=True))
        for name, score in (("auc", relative), ("auc_raw", gain)):
            a, b = score[gone], score[after]
            a, b = a[~np.isnan(a)], b[~np.isnan(b)]
            won = (a[:, None] > b).mean() + (a[:, None] == b).mean() / 2
            assert row[name] == pytest.approx(won, abs=1e-3)


def test_cuts_and_retraining_make_up_all_of_the_change(cuts, pruned, problem):
    whole = 0
    for arm in ARMS:
        trained, x = pruned.fields(arm), problem.probes[1]
        for at, ((_, kind), seed) in enumerate((g, s) for g in problem.groups for s in SEEDS):
            rows = rows_of(cuts, kind=kind, seed=seed, arm=arm)
            sizes = np.array([abs(kappa(w[at], x[at])) for w in trained])
            steps = np.nanmean(np.diff(sizes, axis=0), -1)  # of units that are left
            np.testing.assert_allclose(rows["cut"] + rows["retrain"], steps, atol=1e-6)
            if not np.isnan(sizes).any():
                total = (rows["cut"] + rows["retrain"]).sum()
                assert total == pytest.approx(sizes[-1].mean() - sizes[0].mean(), abs=1e-6)
                whole += 1
    assert whole > 8  # of 18 networks, those that lost no unit


def test_other_class_other_numbers(cuts, pruned, problem):
    found = fields.cuts(pruned, problem, ["imp"], target=0)
    x = problem.probes[0][1]
    w, after = pruned.fields("imp")[0, 1], pruned.kept("imp")[1, 1]
    expected = abs(kappa(w * after, x)) - abs(kappa(w, x))
    [row] = rows_of(found, kind="field", seed=9, round=0).to_dict("records")
    assert row["cut"] == pytest.approx(expected.mean(), abs=1e-6)


def test_nulls_are_those_of_the_seed_and_the_round(cuts, pruned, problem):
    trained, masks, x = pruned.fields("imp"), pruned.kept("imp"), problem.probes[1]
    for r in (0, 3):
        rng = seeds.generators(problem.replicas, f"cuts of round {r}")
        given = masks[r], masks[r + 1]
        nulls = {"by_count": non_gaussianity.equal_count_cut(*given, rng=rng)}
        nulls["by_energy"] = non_gaussianity.equal_energy_cut(trained[r], *given, rng=rng)
        for name, kept in nulls.items():
            for at in (0, 4):
                was = abs(kappa(trained[r, at], x[at]))
                effect = abs(kappa(trained[r, at] * kept[at], x[at])) - was
                rows = rows_of(cuts, kind=problem.groups[at // 3][1], seed=problem.replicas[at])
                [row] = rows_of(rows, arm="imp", round=r).to_dict("records")
                assert row[name] == pytest.approx(np.nanmean(effect), abs=1e-6)


def test_nulls_cut_as_much_elsewhere(cuts):
    random = rows_of(cuts, arm="random", kind="field")
    gap = random["cut"] - random["by_count"]
    assert abs(gap.mean()) < 4 * gap.std() / len(gap) ** 0.5 + 0.01
    assert (cuts["cut"] != cuts["by_count"]).all()
    assert (cuts["by_energy"] != cuts["by_count"]).all()


# --- survival and positions ---------------------------------------------------------------------


def test_survival_is_compared_among_weights_of_one_size(pruned, problem):
    found = fields.survival(pruned, problem, after=4)
    assert len(found) == 3 * 6
    dense = pruned.fields("imp")[0]
    gain = non_gaussianity.gain_without(dense, problem.probes[1])
    for arm in ARMS:
        kept = pruned.kept(arm)[4]
        for at in range(6):
            won = pairs = 0.0
            order = dense[at].abs().flatten().argsort(stable=True)
            for stratum in order.split(6):  # 120 weights in 20 strata
                g, k = gain[at].flatten()[stratum], kept[at].flatten()[stratum]
                won += float((g[k][:, None] < g[~k]).sum())
                pairs += float(k.sum() * (~k).sum())
            [row] = rows_of(
                found, kind=problem.groups[at // 3][1], seed=problem.replicas[at], arm=arm
            ).to_dict("records")
            assert row["auc"] == pytest.approx(won / pairs)


def test_profiles_are_means_by_distance(pruned, problem):
    edges = (0, 2, 5, 11)
    found = fields.position_profile(pruned, problem, edges=edges)
    assert len(found) == 3 * 6
    dense = pruned.fields("imp")[0]
    gain = non_gaussianity.gain_without(dense, problem.probes[1])
    away = locality.distance_from_centre(dense, **problem.where)
    for low, high in [(0, 2), (2, 5), (5, 11)]:
        rows = found[(found.low == low) & (found.high == high)]
        expected = [
            float(g[(a >= low) & (a < high)].mean()) for g, a in zip(gain, away, strict=True)
        ]
        np.testing.assert_allclose(rows.gain, expected)


# --- other doses --------------------------------------------------------------------------------


def test_doses_reach_the_same_density_from_the_same_networks(pruned, problem):
    found = fields.doses(problem, pruned, (1, 2), n_steps=60, arms=("imp", "random"))
    assert found.dose.tolist() == [5] * 6 + [1] * 12 + [2] * 12
    usual = fields.measure(pruned, problem).query("round == 5 and arm == 'imp'")
    pd.testing.assert_frame_equal(found[:6].drop(columns="dose"), usual.reset_index(drop=True))
    np.testing.assert_allclose(found.density, 0.7**5)
    once = fields.trial(
        problem, NETWORK, arms=("imp",), n_steps=60, densities=(1, pruned.densities[-1])
    )[0]
    expected = fields.measure(once, problem).query("round == 1")
    rows = rows_of(found, dose=1, arm="imp")
    np.testing.assert_allclose(rows.locality, expected.locality)


def test_single_weights_are_neither_concentrated_nor_a_warning():
    part = one(problems.FIELD)
    few = fields.trial(part, NETWORK, n_steps=5, densities=(1, 1 / 120))[0]
    found = fields.measure(few, part)
    assert found["window"].tolist()[1] == 1
    assert np.isnan(found.concentration[1])
    assert np.isnan(found.locality[1])


# --- what is handed in ---------------------------------------------------------------------------


def test_nothing_given_is_changed(problem, pruned):
    was = problem.source.inputs.clone(), pruned.fields("imp").clone()
    fields.measure(pruned, problem)
    fields.cuts(pruned, problem, ["imp"])
    fields.survival(pruned, problem, after=2)
    assert torch.equal(problem.source.inputs, was[0])
    assert torch.equal(pruned.fields("imp"), was[1])


def test_arms_that_need_a_probe_get_it():
    part = one(problems.FIELD)
    found = fields.trial(
        part, NETWORK, arms=("cavity",), n_steps=20, n_rounds=2, probe=part.probes[1]
    )[0]
    assert isinstance(found, rounds.Rounds)
    assert found.arms == ("cavity",)


def test_the_usual_dose_is_not_trained_again(pruned, problem):
    found = fields.doses(problem, pruned, (1, 5), n_steps=60)
    assert sorted(found.dose.unique()) == [1, 5]
    assert not found.duplicated(["kind", "seed", "dose"]).any()
