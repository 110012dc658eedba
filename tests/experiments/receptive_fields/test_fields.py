"""Problems share what they should, and tables hold what small direct computations give."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from winnow import data, models, seeds
from winnow.experiments.receptive_fields import fields as fields_study
from winnow.experiments.receptive_fields.fields import Field
from winnow.metrics import cavity, locality
from winnow.training import rounds

GRID, SEEDS, SIZES = (20,), (4, 9, 2), {"n_train": 150, "n_test": 60, "n_probe": 80}
NETWORK = models.Committee(20, 6)
ARMS = ("imp", "random", "no rewind")


@pytest.fixture(scope="module")
def problem():
    return fields_study.ring_problem(fields_study.lengths(GRID, (1, 3)), seeds=SEEDS, **SIZES)


@pytest.fixture(scope="module")
def rounds(problem):
    return fields_study.prune(problem, NETWORK, ARMS, n_steps=60, n_rounds=5)


@pytest.fixture(scope="module")
def table(rounds, problem):
    return fields_study.measure(rounds, problem)


def kappa(w, x):
    """Excess kurtosis of each unit (K, D), one by one; NaN without weights."""
    x = np.asarray(x, float)
    return np.array([scipy.stats.kurtosis(x @ u) if u.any() else np.nan for u in np.asarray(w)])


# --- problems -----------------------------------------------------------------------------------


def test_a_problem_has_every_kind_for_every_seed(problem):
    assert problem.kinds == ("field", "clone")
    assert problem.replicas == [4, 9, 2, 4, 9, 2]
    assert (problem.n_inputs, problem.radius, problem.cyclic) == (20, 3, True)
    assert problem.where == {"grid": (20,), "radius": 3, "cyclic": True}
    assert problem.source.inputs.shape == (6, 300, 20)
    assert problem.source.inputs.dtype == torch.float32
    assert problem.test[0].shape == (6, 120, 20)
    assert [p.shape for p in problem.probes] == [(6, 80, 20)] * 2
    index = problem.index(what=1.5)
    assert index.kind.tolist() == ["field"] * 3 + ["clone"] * 3
    assert index.seed.tolist() == problem.replicas
    assert (index.what == 1.5).all()
    assert problem.part("clone") == slice(3, 6)


def test_labels_are_balanced_and_in_random_order(problem):
    labels = problem.source.labels
    assert (labels.sum(1) == 150).all()
    assert ((labels[:, 1:] != labels[:, :-1]).double().mean(1) > 0.4).all()
    assert torch.equal(labels[:3], labels[3:])  # both kinds in the same order
    assert not torch.equal(labels[0], labels[1])
    assert (problem.test[1].sum(1) == 60).all()


def test_labels_say_which_class_an_input_is_of(problem):
    """Neighbours are more alike where correlations are long."""
    sets = [(problem.source.inputs, problem.source.labels), problem.test]
    for x, y in sets:
        alike = (x * x.roll(1, -1)).mean(-1)
        for s in range(len(x)):
            assert alike[s][y[s] == 1].mean() > alike[s][y[s] == 0].mean() + 0.1
    for c, probe in enumerate(problem.probes):
        x, y = problem.test
        assert torch.equal(probe[0, :60], x[0][y[0] == c])


def test_a_field_and_its_clone_are_made_of_the_same_noise(problem):
    """Through a monotone function, so their ranks agree; those of another seed do not."""
    field, clone = (problem.source.inputs[problem.part(k)] for k in ("field", "clone"))
    for s in range(3):
        signs = (field[s].sign() == clone[s].sign()).double().mean()
        other = (field[s].sign() == clone[(s + 1) % 3].sign()).double().mean()
        assert signs > 0.9
        assert other < 0.6
    moments = scipy.stats.kurtosis(field.flatten()), scipy.stats.kurtosis(clone.flatten())
    assert moments[0] < -1
    assert abs(moments[1]) < 0.15


def test_kinds_start_from_the_same_weights(rounds):
    start = rounds.start["weights"]
    assert torch.equal(start[:3], start[3:])
    assert not torch.equal(start[0], start[1])
    assert not torch.equal(rounds.trained[0]["weights"][:3], rounds.trained[0]["weights"][3:])


def test_training_testing_and_classes_have_noise_of_their_own(problem):
    groups = [problem.probes[0][0, :60], problem.probes[1][0, :60]]
    x, y = problem.source.inputs[0], problem.source.labels[0]
    groups += [x[y == 0][:60], x[y == 1][:60]]
    for i, a in enumerate(groups):
        for b in groups[:i]:
            assert abs(np.corrcoef(a.flatten(), b.flatten())[0, 1]) < 0.2
            assert torch.cdist(a, b).min() > 1e-3  # in whichever order


def test_a_seeds_problem_does_not_depend_on_others(problem):
    alone = fields_study.ring_problem(fields_study.lengths(GRID, (1, 3)), seeds=(9,), **SIZES)
    part = problem.only("field", "clone")
    for found, all_of_them in [
        (alone.source.inputs, part.source.inputs), (alone.source.labels, part.source.labels),
        (alone.test[0], part.test[0]), (alone.probes[1], part.probes[1]),
    ]:  # fmt: skip
        torch.testing.assert_close(found, all_of_them[1::3])


@pytest.mark.parametrize("n_seeds", [None, 1, 2])
@pytest.mark.parametrize("kinds", [(), ("field",), ("clone",), ("clone", "field")], ids=str)
def test_parts_hold_the_right_replicas(problem, kinds, n_seeds):
    part = problem.only(*kinds, n_seeds=n_seeds)
    kinds, n = kinds or problem.kinds, n_seeds or 3
    assert part.kinds == kinds
    assert part.seeds == SEEDS[:n]
    for i, (kind, seed) in enumerate((k, s) for k in kinds for s in range(n)):
        at = problem.kinds.index(kind) * 3 + seed
        assert torch.equal(part.source.inputs[i], problem.source.inputs[at])
        assert torch.equal(part.source.labels[i], problem.source.labels[at])
        assert all(torch.equal(a[i], b[at]) for a, b in zip(part.test, problem.test, strict=True))
        assert all(
            torch.equal(a[i], b[at]) for a, b in zip(part.probes, problem.probes, strict=True)
        )
    assert len(part.source.inputs) == len(part.replicas) == len(kinds) * n
    where = part.source.inputs.untyped_storage().data_ptr()
    shared = where == problem.source.inputs.untyped_storage().data_ptr()
    assert shared == (len(kinds) == 1 or (kinds == problem.kinds and n == 3))


def test_kinds_of_problems():
    fields = fields_study.lengths(GRID, (1, 3), gain=1.0)
    assert fields["field"] == (Field(GRID, 1, 1.0), Field(GRID, 3, 1.0))
    assert all(c == f.clone() and c.gaussian for f, c in zip(*fields.values(), strict=True))
    orders = fields_study.higher_order(GRID, 2.0)
    assert [f.gaussian for f in orders["field"]] == [True, False]
    assert [f.gaussian for f in orders["clone"]] == [True, True]
    assert {f.xi for pair in orders.values() for f in pair} == {2.0}
    some = fields_study.variants(GRID, (1, 3, 1, 2, 2, 4), gains=(3, 1), power=2.0)
    assert list(some) == [
        f"{name}, {kind}"
        for name in ("gain 1", "super-Gaussian", "lengths 1 and 2", "lengths 2 and 4")
        for kind in ("field", "clone")
    ]
    assert some["gain 1, clone"] == tuple(
        f.clone() for f in fields_study.lengths(GRID, (1, 3), gain=1)["field"]
    )
    assert some["super-Gaussian, field"][1] == Field(GRID, 3, power=2.0)
    assert some["lengths 2 and 4, field"] == (Field(GRID, 2, 3), Field(GRID, 4, 3))


@pytest.mark.parametrize("about", [{"gain": 3.0}, {"power": 2.0}], ids=["gain", "power"])
@pytest.mark.parametrize("grid", [(30,), (6, 6)], ids=["ring", "torus"])
def test_a_field_and_its_clone_have_the_stated_covariance(grid, about):
    one = Field(grid, 1.0, **about)
    assert one.covariance.shape == grid
    for f in (one, one.clone()):
        x = f.sample(20_000, seeds=(1,), purpose="test")[0].astype(float)
        for lag in (0, 1):
            rolled = np.roll(x.reshape(-1, *grid), -lag, -1).reshape(x.shape)
            assert (x * rolled).mean() == pytest.approx(one.covariance.flat[lag], abs=0.03)
    heavy = scipy.stats.kurtosis(one.sample(20_000, seeds=(1,), purpose="test"), axis=None)
    expected = data.pixel_kurtosis(**about)
    assert np.sign(heavy) == np.sign(expected)


# --- what rounds left ---------------------------------------------------------------------------


def rows_of(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    return table


def test_every_arm_round_and_replica_has_a_row(table, rounds):
    assert list(table.columns) == [
        "kind", "seed", "arm", "round", "density", "accuracy", "alive", "locality", "by_unit",
        "columns", "ipr", "window", "concentration", "kappa_0", "kappa",
    ]  # fmt: skip
    assert len(table) == len(ARMS) * 6 * 6
    assert not table.duplicated(["kind", "seed", "arm", "round"]).any()
    assert table.groupby("round").density.first().tolist() == list(rounds.densities)
    assert rounds.densities == tuple(0.7**r for r in range(6))


@pytest.mark.parametrize("r", [0, 3, 5])
@pytest.mark.parametrize("arm", ARMS)
def test_measures_are_those_of_one_network(table, rounds, problem, arm, r):
    for at, (kind, seed) in enumerate((k, s) for k in problem.kinds for s in SEEDS):
        [row] = rows_of(table, kind=kind, seed=seed, arm=arm, round=r).to_dict("records")
        w, m = rounds.fields(arm)[r, at].numpy(), rounds.kept(arm)[r, at].numpy()
        p = {n: v[at] for n, v in rounds.params(arm, r).items()}
        x, y = problem.test[0][at], problem.test[1][at]
        outputs = torch.relu(x @ p["weights"][0].T + p["biases"][0]).mean(-1) + p["offset"][0]
        assert row["accuracy"] == pytest.approx(((outputs > 0.5) == (y > 0.5)).double().mean())
        assert row["alive"] == m.any(-1).mean()
        assert row["density"] == rounds.densities[r]
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
    part = problem.only("clone", n_seeds=1)
    _, found = fields_study.trial(part, NETWORK, ("random",), n_steps=60, n_rounds=5)
    expected = rows_of(table, kind="clone", seed=4, arm="random").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3, atol=1e-4)


# --- cuts ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cuts(rounds, problem):
    return fields_study.cuts(rounds, problem, arms=ARMS)


def test_cuts_have_a_row_for_each_cut(cuts):
    assert list(cuts.columns) == [
        "kind", "seed", "arm", "round", "cut", "by_count", "by_energy", "retrain", "removed",
        "kept", "auc", "auc_raw",
    ]  # fmt: skip
    assert len(cuts) == len(ARMS) * 5 * 6
    assert cuts.iloc[:, 4:].notna().all().all()


@pytest.mark.parametrize("arm", ARMS)
def test_effects_of_a_cut_are_those_of_one_network(cuts, rounds, problem, arm):
    fields, masks = rounds.fields(arm).numpy(), rounds.kept(arm).numpy()
    for r, at in [(0, 0), (2, 4), (4, 5)]:
        w, before, after, x = fields[r, at], masks[r, at], masks[r + 1, at], problem.probes[1][at]
        kind, seed = problem.kinds[at // 3], problem.replicas[at]
        [row] = rows_of(cuts, kind=kind, seed=seed, arm=arm, round=r).to_dict("records")
        left = abs(kappa(w * after, x))
        assert row["cut"] == pytest.approx(np.nanmean(left - abs(kappa(w, x))), abs=1e-6)
        later = abs(kappa(fields[r + 1, at], x))
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


def test_cuts_and_retraining_make_up_all_of_the_change(cuts, rounds, problem):
    whole = 0
    for arm in ARMS:
        fields, x = rounds.fields(arm), problem.probes[1]
        for at, (kind, seed) in enumerate((k, s) for k in problem.kinds for s in SEEDS):
            rows = rows_of(cuts, kind=kind, seed=seed, arm=arm)
            sizes = np.array([abs(kappa(w[at], x[at])) for w in fields])
            steps = np.nanmean(np.diff(sizes, axis=0), -1)  # of units that are left
            np.testing.assert_allclose(rows["cut"] + rows["retrain"], steps, atol=1e-6)
            if not np.isnan(sizes).any():
                total = (rows["cut"] + rows["retrain"]).sum()
                assert total == pytest.approx(sizes[-1].mean() - sizes[0].mean(), abs=1e-6)
                whole += 1
    assert whole > 8  # of 18 networks, those that lost no unit


def test_other_class_other_numbers(cuts, rounds, problem):
    found = fields_study.cuts(rounds, problem, arms=("imp",), target=0)
    x = problem.probes[0][1]
    w, after = rounds.fields("imp")[0, 1], rounds.kept("imp")[1, 1]
    expected = abs(kappa(w * after, x)) - abs(kappa(w, x))
    [row] = rows_of(found, kind="field", seed=9, round=0).to_dict("records")
    assert row["cut"] == pytest.approx(expected.mean(), abs=1e-6)


def test_nulls_are_those_of_the_seed_and_the_round(cuts, rounds, problem):
    fields, masks, x = rounds.fields("imp"), rounds.kept("imp"), problem.probes[1]
    for r in (0, 3):
        rng = seeds.generators(problem.replicas, f"cuts of round {r}")
        given = masks[r], masks[r + 1]
        nulls = {"by_count": cavity.equal_count_cut(*given, rng=rng)}
        nulls["by_energy"] = cavity.equal_energy_cut(fields[r], *given, rng=rng)
        for name, kept in nulls.items():
            for at in (0, 4):
                was = abs(kappa(fields[r, at], x[at]))
                effect = abs(kappa(fields[r, at] * kept[at], x[at])) - was
                rows = rows_of(cuts, kind=problem.kinds[at // 3], seed=problem.replicas[at])
                [row] = rows_of(rows, arm="imp", round=r).to_dict("records")
                assert row[name] == pytest.approx(np.nanmean(effect), abs=1e-6)


def test_nulls_cut_as_much_elsewhere(cuts):
    random = rows_of(cuts, arm="random", kind="field")
    gap = random["cut"] - random["by_count"]
    assert abs(gap.mean()) < 4 * gap.std() / len(gap) ** 0.5 + 0.01
    assert (cuts["cut"] != cuts["by_count"]).all()
    assert (cuts["by_energy"] != cuts["by_count"]).all()


def test_only_the_units_that_count(rounds, problem):
    calls = []

    def units(p):
        calls.append(p)
        return (torch.arange(6) == 2).expand(len(p["weights"]), -1)

    found = fields_study.cuts(rounds, problem, arms=("imp",), units=units)
    for r, p in enumerate(calls):
        assert all(torch.equal(v, rounds.params("imp", r)[n]) for n, v in p.items())
    assert len(calls) == 5
    for r, at in [(0, 1), (3, 5)]:
        w, after, x = (
            rounds.fields("imp")[r, at],
            rounds.kept("imp")[r + 1, at],
            problem.probes[1][at],
        )
        [row] = rows_of(
            found, kind=problem.kinds[at // 3], seed=problem.replicas[at], round=r
        ).to_dict("records")
        effect = abs(kappa((w * after)[2:3], x)) - abs(kappa(w[2:3], x))
        assert row["cut"] == pytest.approx(effect[0], abs=1e-6)
        gain = cavity.gain_without(w, x)[2]
        gone = rounds.kept("imp")[r, at, 2] & ~after[2]
        assert row["removed"] == pytest.approx(float(gain[gone].nanmean()), abs=1e-6, nan_ok=True)
        assert row["kept"] == pytest.approx(float(gain[after[2]].nanmean()), abs=1e-6)


# --- survival and positions ---------------------------------------------------------------------


def test_survival_is_compared_among_weights_of_one_size(rounds, problem):
    found = fields_study.survival(rounds, problem, after=4)
    assert len(found) == 3 * 6
    dense = rounds.fields("imp")[0]
    gain = cavity.gain_without(dense, problem.probes[1])
    for arm in ARMS:
        kept = rounds.kept(arm)[4]
        for at in range(6):
            won = pairs = 0.0
            order = dense[at].abs().flatten().argsort(stable=True)
            for stratum in order.split(6):  # 120 weights in 20 strata
                g, k = gain[at].flatten()[stratum], kept[at].flatten()[stratum]
                won += float((g[k][:, None] < g[~k]).sum())
                pairs += float(k.sum() * (~k).sum())
            [row] = rows_of(
                found, kind=problem.kinds[at // 3], seed=problem.replicas[at], arm=arm
            ).to_dict("records")
            assert row["auc"] == pytest.approx(won / pairs)


def test_profiles_are_means_by_distance(rounds, problem):
    edges = (0, 2, 5, 11)
    found = fields_study.position_profile(rounds, problem, edges=edges)
    assert len(found) == 3 * 6
    dense = rounds.fields("imp")[0]
    gain = cavity.gain_without(dense, problem.probes[1])
    away = locality.distance_from_centre(dense, **problem.where)
    for low, high in [(0, 2), (2, 5), (5, 11)]:
        rows = found[(found.low == low) & (found.high == high)]
        expected = [
            float(g[(a >= low) & (a < high)].mean()) for g, a in zip(gain, away, strict=True)
        ]
        np.testing.assert_allclose(rows.gain, expected)


# --- other doses --------------------------------------------------------------------------------


def test_doses_reach_the_same_density_from_the_same_networks(rounds, problem):
    found = fields_study.doses(problem, rounds, (1, 2), n_steps=60, arms=("imp", "random"))
    assert found.dose.tolist() == [5] * 6 + [1] * 12 + [2] * 12
    usual = fields_study.measure(rounds, problem).query("round == 5 and arm == 'imp'")
    pd.testing.assert_frame_equal(found[:6].drop(columns="dose"), usual.reset_index(drop=True))
    np.testing.assert_allclose(found.density, 0.7**5)
    once = fields_study.prune(
        problem, NETWORK, ("imp",), n_steps=60, densities=(1, rounds.densities[-1])
    )
    expected = fields_study.measure(once, problem).query("round == 1")
    rows = rows_of(found, dose=1, arm="imp")
    np.testing.assert_allclose(rows.locality, expected.locality)


def test_single_weights_are_neither_concentrated_nor_a_warning(problem):
    part = problem.only("field", n_seeds=1)
    few = fields_study.prune(part, NETWORK, n_steps=5, densities=(1, 1 / 120))
    found = fields_study.measure(few, part)
    assert found["window"].tolist()[1] == 1
    assert np.isnan(found.concentration[1])
    assert np.isnan(found.locality[1])


# --- tables -------------------------------------------------------------------------------------


def test_numbers_seed_by_seed(table):
    found = fields_study.by_seed(table, "locality", kind="field", arm="imp", round=3)
    rows = rows_of(table, kind="field", arm="imp", round=3).set_index("seed")
    assert found.tolist() == rows.locality.loc[[2, 4, 9]].tolist()
    near = fields_study.by_seed(table, "locality", kind="field", arm="imp", density=0.36)
    assert near.tolist() == found.tolist()
    per = fields_study.per_round(table, "locality", kind="field", arm="imp")
    assert per.shape == (3, 6)
    assert per[:, 3].tolist() == found.tolist()
    assert per[:, 0].tolist() == [1, 1, 1]


def test_the_nearest_density_is_that_of_the_rows_asked_for():
    rows = {"seed": [0, 0], "dose": [1, 2], "density": [0.25, 0.25000001], "x": [1.0, 2.0]}
    table = pd.DataFrame(rows)
    assert fields_study.by_seed(table, "x", density=0.25, dose=2).tolist() == [2.0]


def test_fields_are_set_against_their_clones(table):
    twice = pd.concat([table, table.assign(kind="gain 1, " + table.kind, kappa=0.5)])
    options = {"arm": "imp", "round": 4}
    found = fields_study.against_clones(twice, "kappa", lambda a, b: (a - b).tolist(), **options)
    assert list(found) == ["main", "gain 1"]
    ours, theirs = (
        fields_study.by_seed(table, "kappa", **options, kind=k) for k in ("field", "clone")
    )
    assert found["main"] == (ours - theirs).tolist()
    assert found["gain 1"] == [0, 0, 0]
    usual = fields_study.against_clones(table, "window", arm="imp", density=0.2)["main"]
    ours, theirs = (
        fields_study.by_seed(table, "window", arm="imp", density=0.2, kind=k)
        for k in ("field", "clone")
    )
    assert usual.low < (ours - theirs).mean() < usual.high


def test_sums_and_means_of_tables(table, cuts):
    total = fields_study.summed(cuts)
    assert len(total) == 2 * 3 * 3
    [row] = rows_of(total, kind="clone", arm="random", seed=9).to_dict("records")
    rows = rows_of(cuts, kind="clone", arm="random", seed=9)
    assert row["cut"] == pytest.approx(rows["cut"].sum())
    found = fields_study.means(table)
    assert len(found) == 2 * 3 * 6
    [row] = rows_of(found, kind="field", arm="imp", round=4).to_dict("records")
    rows = rows_of(table, kind="field", arm="imp", round=4)
    assert row["kappa"] == pytest.approx(rows.kappa.mean(), abs=6e-6)
    found = fields_study.ends(table, "window", round=4)
    assert found["imp"].tolist() == rows.sort_values("seed").window.tolist()
    for name, kind, arm in [("clones", "clone", "imp"), ("random", "field", "random")]:
        rows = rows_of(table, kind=kind, arm=arm, round=4).sort_values("seed")
        assert found[name].tolist() == rows.window.tolist()


def test_the_overview_is_of_means(table):
    lines = fields_study.overview(table, ["alive", "locality"], rounds=(0, 4)).splitlines()
    assert [c.strip() for c in lines[0].strip("|").split("|")] == [
        "arm", "kind", "density", "alive", "locality",
    ]  # fmt: skip
    assert len(lines) == 2 + 3 * 2 * 2
    cells = [c.strip() for c in lines[2].strip("|").split("|")]
    assert cells == ["imp", "field", "1", "1", "1"]


def test_columns_of_photographs_and_planes_count_as_planes():
    plane = fields_study.ring_problem(
        fields_study.higher_order((5, 6), 0.8), seeds=(1,), n_train=20, n_test=5, n_probe=9
    )
    assert (plane.radius, plane.n_inputs) == (2, 30)
    assert plane.where == {"grid": (5, 6), "radius": 2, "cyclic": True}
    assert [len(p[0]) for p in plane.probes] == [9, 9]
    assert plane.test[0].shape == (2, 10, 30)


WRONG = {
    "kind": (lambda p, t: p.part("photo"), "unknown kind 'photo': choose from field, clone"),
    "only": (lambda p, t: p.only("photo"), "unknown kind 'photo'"),
    "seeds": (lambda p, t: p.only("field", n_seeds=4), r"n_seeds must be in \[1, 3\], got 4"),
    "no seeds": (lambda p, t: p.only("field", n_seeds=0), r"n_seeds must be in \[1, 3\], got 0"),
    "many rows": (
        lambda p, t: fields_study.by_seed(t, "ipr", kind="field", arm="imp"),
        "ipr needs one row per seed, got 18 where",
    ),
    "no rows": (
        lambda p, t: fields_study.by_seed(t, "ipr", kind="field", arm="none", density=0.5),
        "ipr needs one row per seed, got 0 where",
    ),
    "many rounds": (
        lambda p, t: fields_study.per_round(t, "ipr", kind="field"),
        "ipr needs one row per seed and round, got 54 where",
    ),
    "no rounds": (
        lambda p, t: fields_study.per_round(t, "ipr", kind="photo", arm="imp"),
        "ipr needs one row per seed and round, got 0 where",
    ),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_bad_input_is_named_in_one_line(call, words, problem, table):
    with pytest.raises(ValueError, match=words) as error:
        call(problem, table)
    assert "\n" not in str(error.value)


def test_nothing_given_is_changed(problem, rounds):
    was = problem.source.inputs.clone(), rounds.fields("imp").clone()
    fields_study.measure(rounds, problem)
    fields_study.cuts(rounds, problem)
    fields_study.survival(rounds, problem, after=2)
    assert torch.equal(problem.source.inputs, was[0])
    assert torch.equal(rounds.fields("imp"), was[1])


def test_arms_that_need_a_probe_get_it(problem):
    part = problem.only("field", n_seeds=1)
    found = fields_study.prune(
        part, NETWORK, ("cavity",), n_steps=20, n_rounds=2, probe=part.probes[1]
    )
    assert isinstance(found, rounds.Rounds)
    assert found.arms == ("cavity",)


# --- what chapters ask for ----------------------------------------------------------------------

SETTINGS = {"n_seeds": 8, "n_few": 4, "lengths": [2, 6, 1, 3], "gains": [3, 1]}


def test_settings_that_go_together_pass():
    fields_study.check(**SETTINGS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_few": 9}, "n_few must be at most n_seeds, which is 8, got 9"),
        ({"lengths": [2, 6, 1]}, r"lengths must be pairs.* got \[2, 6, 1\]"),
        ({"lengths": [2]}, r"lengths must be pairs.* got \[2\]"),
        ({"lengths": [2, 2]}, r"lengths must be pairs of two different ones, got \[2, 2\]"),
        ({"gains": [3, 1, 3]}, r"gains must differ from each other, got \[3, 1, 3\]"),
    ],
    ids=["few", "odd", "one", "equal", "twice"],
)
def test_settings_that_do_not_go_together_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        fields_study.check(**SETTINGS | change)


def test_a_problem_too_large_for_memory_is_refused_before_it_is_drawn():
    kinds = fields_study.lengths(GRID, (1, 3))
    with pytest.raises(ValueError, match="2 kinds of inputs for 3 seeds"):
        fields_study.ring_problem(kinds, seeds=SEEDS, **SIZES | {"n_train": 10**12})


def test_the_usual_dose_is_not_trained_again(rounds, problem):
    found = fields_study.doses(problem, rounds, (1, 5), n_steps=60)
    assert sorted(found.dose.unique()) == [1, 5]
    assert not found.duplicated(["kind", "seed", "dose"]).any()
