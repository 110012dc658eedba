"""The chapter's experiments measure what their columns say, each at a size of seconds."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
from scipy import sparse

from winnow import memory, pruners
from winnow import seeds as s
from winnow.experiments import noise_pruning
from winnow.metrics import spectrum
from winnow.models import rate_covariance, rate_dynamics, rate_networks
from winnow.pruners import scores

SEEDS = (0, 5)
NAMES = ["noise", "weights"]


def batch(sizes=(24, 8, 8), **options):
    return rate_networks.clustered(sizes, rng=s.generators(SEEDS, "network"), **options)


def off(A):
    return A * (1 - np.eye(A.shape[-1]))


def synapses(A):
    return off(A) != 0


# --- rules compared -----------------------------------------------------------------------------

THREE = (4, 7, 9)


def three(**options):
    return rate_networks.clustered((24, 8, 8), rng=s.generators(THREE, "network"), **options)


def prune(A, rule, **options):
    activity = rate_covariance.exact(A)
    return pruners.prune(A, rule, density=0.4, seeds=THREE, activity=activity, **options)


def test_measures_are_their_definitions():
    A = three()
    pruned = prune(A, "noise")
    values = spectrum.eigenvalues(A)
    found = noise_pruning.measure(A, pruned, values=values, modes=slice(1, 3))
    table = pd.DataFrame(found)
    assert len(table) == 3
    for k, row in table.iterrows():
        assert row.kept == synapses(pruned[k]).sum() / synapses(A[k]).sum()
        ratio = scipy.linalg.eigh(-pruned[k], -A[k], eigvals_only=True)
        assert [row.lo, row.hi] == pytest.approx([ratio[0], ratio[-1]], abs=1e-9)
        assert row.eps == pytest.approx(max(1 - ratio[0], ratio[-1] - 1))
        left, before = (np.sort(np.linalg.eigvalsh(x[k]))[::-1] for x in (pruned, A))
        assert row.slow == pytest.approx(abs(left / before - 1)[1:3].mean(), abs=1e-9)
        assert row["all"] == pytest.approx(abs(left / before - 1).mean(), abs=1e-9)


def test_isolated_neurons_do_not_lower_the_share_kept():
    """Their leak is exactly 0 when it matches weights that are all gone."""
    A = np.array([[[-1.0, 1.0, 0.0], [1.0, -1.5, 0.5], [0.0, 0.5, -0.75]]])
    p = np.zeros_like(A)
    p[:, 1, 2] = p[:, 2, 1] = 1
    pruned = pruners.sample_and_rescale(A, p, rng=[np.random.default_rng(0)])
    assert pruned[0, 0, 0] == 0
    assert noise_pruning.share_kept(A, pruned).tolist() == [0.5]


def test_tables_have_a_row_per_rule_and_network_and_average_draws():
    A = three()
    names = ["weights", "noise", "magnitude"]
    options = {"density": 0.4, "seeds": THREE}
    table = noise_pruning.compare(A, names, n_draws=3, **options)
    assert list(zip(table.rule, table.seed, strict=True)) == [(r, k) for r in names for k in THREE]
    assert set(table) == {"rule", "seed", "kept", "lo", "hi", "eps", "slow", "all"}
    how = {"values": spectrum.eigenvalues(A), "modes": slice(5)}
    singles = [
        noise_pruning.measure(A, prune(A, "noise", draw=draw), **how)["eps"] for draw in range(3)
    ]
    noise = table[table.rule == "noise"]
    np.testing.assert_allclose(noise.eps, np.mean(singles, 0), rtol=1e-9)
    alone = noise_pruning.compare(A[:1], ["noise"], density=0.4, seeds=THREE[:1], n_draws=3)
    assert alone.eps[0] == pytest.approx(noise.eps.iloc[0])
    given = noise_pruning.compare(A, names, activity=rate_covariance.exact(A), n_draws=3, **options)
    pd.testing.assert_frame_equal(given, table)


def test_asymmetric_networks_have_no_bounds():
    table = noise_pruning.compare(three(symmetric=False), ["noise"], density=0.5, seeds=THREE)
    assert set(table) == {"rule", "seed", "kept", "slow", "all"}


def test_noise_pruning_beats_weights_on_the_papers_networks():
    A = rate_networks.clustered((120, 15, 15), rng=s.generators(range(4), "network"))
    table = noise_pruning.compare(
        A, ["noise", "weights", "local sums"], density=0.3, seeds=range(4)
    )
    wide = table.pivot(index="seed", columns="rule", values="eps")
    assert (wide["noise"] < wide["weights"]).all()
    assert abs(wide["noise"] - wide["local sums"]).max() < 0.15


def test_networks_are_set_beside_noise_pruning_in_the_order_of_seeds():
    table = pd.DataFrame(
        {"rule": ["noise", "weights"] * 3, "seed": [1, 1, 3, 3, 2, 2], "eps": [1, 2, 2, 6, 3, 5.0]}
    )
    [(name, (theirs, ours))] = noise_pruning.beside_noise(
        table, "eps", ["weights"], label="error: "
    ).items()
    assert name == "error: weights / noise"
    assert (theirs.tolist(), ours.tolist()) == ([2, 5, 6], [1, 3, 2])


# --- the chapter's experiments -------------------------------------------------------------------


def needed(kept, error, within=0.1):
    """The share needed by one network under one rule."""
    table = pd.DataFrame({"rule": "noise", "seed": 3, "kept": kept, "slow": error})
    [row] = noise_pruning.share_needed(table, within=within).itertuples(index=False)
    assert (row.rule, row.seed) == ("noise", 3)
    return row.share


def test_the_share_needed_is_where_the_error_crosses_the_bar():
    kept = np.array([0.4, 0.05, 0.1, 0.2])  # in any order
    assert needed(kept, 0.02 / kept) == pytest.approx(0.2)
    assert needed(kept, 0.001 / kept**2) == pytest.approx(0.1)
    assert needed(kept, 0.01 / kept) == pytest.approx(0.1)


def test_the_share_needed_is_after_the_last_crossing():
    assert needed([0.1, 0.2, 0.4, 0.8], [0.01, 0.2, 0.05, 0.01]) == pytest.approx(
        0.2 * 2 ** (math.log(0.2 / 0.1) / math.log(0.2 / 0.05))
    )


def test_shares_beyond_those_measured_are_bounded_by_all_and_by_the_fewest():
    assert needed([0.1, 0.5], [0.05, 0.02]) == 0.1
    assert needed([0.1, 0.5], [0.9, 0.2]) == pytest.approx(0.75)  # the error is 0 at 1
    assert needed([0.1, 0.5], [0.9, 0.1]) == pytest.approx(0.5)


def test_curves_hold_a_comparison_at_each_density():
    A = three()
    options = {"seeds": THREE, "modes": slice(1, 3)}
    table = noise_pruning.curves(A, NAMES, [0.4, 0.7], **options)
    assert len(table) == 2 * 2 * 3
    assert "eps" not in table
    once = noise_pruning.compare(A, NAMES, density=0.7, bounds=False, **options)
    pd.testing.assert_frame_equal(
        table[table.density == 0.7].drop(columns="density").reset_index(drop=True), once
    )


def test_watched_noise_comes_to_the_exact_covariance_and_rules_without_noise_do_not_watch():
    A = rate_networks.bridged([20] * 3, 3, grounding=0.01, rng=s.generators(THREE, "network"))
    table = noise_pruning.watched_errors(
        A, [0.01, 1e5], ["weights"], density=0.5, seeds=THREE, modes=slice(3), moments=20_000
    )
    assert len(table) == 4 * 3
    assert table[table.rule == "weights"]["T"].isna().all()
    exact, long, short = (
        table[(table.rule == "noise") & (table["T"] == T)].slow.to_numpy()
        for T in (np.inf, 1e5, 0.01)
    )
    np.testing.assert_allclose(long, exact, rtol=0.3)
    assert (short != exact).all()
    pruned = pruners.prune(
        A, "weights", density=0.5, seeds=THREE, activity=rate_covariance.exact(A)
    )
    old, new = (spectrum.eigenvalues(x)[:, :3] for x in (A, pruned))
    found = table[table.rule == "weights"].slow
    np.testing.assert_allclose(found, abs(new / old - 1).mean(1))


def test_a_map_has_watched_errors_in_each_cell():
    table = noise_pruning.bridge_map(
        [3, 9], [0.001, 0.1], [0.1], seeds=THREE[:2], density=0.3, moments=30
    )
    assert len(table) == 4 * 3 * 2  # local sums, noise exact and watched, of two networks
    assert [*table.groupby(["bridges", "leak"]).size()] == [6] * 4
    few = table[(table.leak == 0.001) & (table.bridges == 3)]
    sums = few[few.rule == "local sums"].slow
    assert sums.mean() > 2 * few[few["T"] == np.inf].slow.mean()


FACTORS = [3.0, 0.7]


@pytest.mark.parametrize("degree", [None, 30])
def test_scaling_has_a_row_for_each_size_factor_and_network(degree):
    options = {"degree": degree, "seeds": SEEDS}
    table = noise_pruning.scaling([60, 90], FACTORS, **options)
    assert len(table) == 8
    for n, rows in table.groupby("n"):
        assert rows.kappa.to_numpy() == pytest.approx(np.log(n) * np.array(FACTORS * 2))
    for _, rows in table.groupby(["n", "seed"]):
        assert rows.kept.is_monotonic_decreasing
        assert rows.eps.is_monotonic_increasing
    alone = noise_pruning.scaling([90], FACTORS[1:], degree=degree, seeds=SEEDS[1:])
    pd.testing.assert_frame_equal(alone, table.iloc[[-1]].reset_index(drop=True))


def test_scaling_stops_at_the_first_error_beyond():
    factors, options = [0.5, 1.0, 2.0, 4.0], {"seeds": [0, 1]}
    whole = noise_pruning.scaling([90], factors, **options)
    short = noise_pruning.scaling([90], factors, beyond=0.6, **options)
    before = whole.groupby("seed").eps.shift(fill_value=0)
    pd.testing.assert_frame_equal(short, whole[before <= 0.6].reset_index(drop=True))
    assert 4 < len(short) < 8


def test_dense_networks_are_scaled_by_the_exact_covariance():
    [row] = noise_pruning.scaling([90], [2.0], seeds=[5]).itertuples()
    A = rate_networks.clustered([30] * 3, n_long=150, rng=s.generator(5, "network 90"))
    p = pruners.noise_keep_probability(A, rate_covariance.exact(A), K=4 * math.log(90))
    pruned = pruners.sample_and_rescale(A, p, rng=s.generator(5, "coins 90"))
    assert row.kept == synapses(pruned).sum() / synapses(A).sum()
    assert row.eps == pytest.approx(spectrum.approximation_bounds(A, pruned).eps)


def test_synapses_of_sparse_networks_grow_as_the_root_of_their_size(monkeypatch, capsys):
    """Four times the neurons have twice the synapses each, and half the density."""
    drawn, built = [], rate_networks.clustered
    monkeypatch.setattr(
        rate_networks, "clustered", lambda *a, **o: drawn.append(built(*a, **o)) or drawn[-1]
    )
    noise_pruning.scaling([300, 1200, 3000], [0.7], seeds=[0], degree=30)
    each = [noise_pruning.n_synapses(A) / A.shape[0] for A in drawn]
    far = 5 / 3
    assert each == pytest.approx([30 + far, 60 + far, 30 * math.sqrt(10) + far], rel=0.05)
    assert capsys.readouterr().out == "3000 neurons: network 0 done\n"


def test_networks_of_any_size_have_half_an_error_between_the_factors():
    for sizes, degree in (([300, 900], None), ([300, 1500], 30)):
        table = noise_pruning.scaling(sizes, [1.2, 4.8], seeds=SEEDS, degree=degree)
        shares = noise_pruning.share_kept_at(table, eps=0.5)
        assert (noise_pruning.exponents(shares) < 0).all()


def law(c=1.1, slope=1.0):
    """A table that follows eps = c sqrt((1 - f) / kappa)^slope exactly."""
    kappa = np.array([3.0, 6, 12, 24])
    kept = kappa / 30
    eps = c * ((1 - kept) / kappa) ** (slope / 2)
    return pd.DataFrame({"n": 300, "seed": 0, "kappa": kappa, "kept": kept, "eps": eps})


@pytest.mark.parametrize("slope", [1.0, 1.3])
def test_slopes_of_the_law_are_recovered(slope):
    both = pd.concat([law(slope=slope), law(c=2.0, slope=slope).assign(seed=1)])
    found = noise_pruning.law_slopes(both.sample(frac=1, random_state=0))
    assert sorted(zip(found.n, found.seed, strict=True)) == [(300, 0), (300, 1)]
    assert found.slope.to_numpy() == pytest.approx(slope)


@pytest.mark.parametrize("slope", [1.0, 1.3])
def test_the_share_kept_at_an_error_is_that_of_the_law(slope):
    """With kappa = 30 f: f = 1 / (1 + 30 (eps / c)^(2 / slope))."""
    table = law(slope=slope).sample(frac=1, random_state=0)

    def share(eps):
        [found] = noise_pruning.share_kept_at(table, eps=float(eps)).share
        return found

    for eps in np.geomspace(table.eps.min() * 1.01, table.eps.max() * 0.99, 9):
        assert share(eps) == pytest.approx(1 / (1 + 30 * (eps / 1.1) ** (2 / slope)))
    assert math.isnan(share(table.eps.max() * 1.01))
    assert math.isnan(share(table.eps.min() * 0.99))


@pytest.mark.parametrize("factors", [[300.0], [3.5], [280.0, 300.0]])
def test_networks_of_which_all_is_kept_follow_no_law(factors):
    table = noise_pruning.scaling([30], factors, seeds=SEEDS)
    shares, slopes = noise_pruning.share_kept_at(table, eps=0.5), noise_pruning.law_slopes(table)
    assert shares.n.tolist() == slopes.n.tolist() == [30, 30]
    assert shares.share.isna().all()
    assert slopes.slope.isna().all()
    assert noise_pruning.exponents(shares).isna().all()


def test_exponents_are_those_of_each_seeds_power():
    table = pd.DataFrame({"n": np.repeat([300, 600, 3000], 3), "seed": [4, 2, 9] * 3})
    table["share"] = table.n.to_numpy() ** -np.tile([0.2, 0.5, 1.0], 3)
    table.loc[[6, 2, 5], "share"] = np.nan  # one size of the first seed, two of the last
    found = noise_pruning.exponents(table)
    assert found.index.tolist() == [4, 2, 9]
    assert found.to_numpy() == pytest.approx([-0.2, -0.5, np.nan], nan_ok=True)


def left_by(A, names=NAMES, density=0.5):
    options = {"density": density, "seeds": SEEDS, "activity": rate_covariance.exact(A)}
    return {rule: pruners.prune(A, rule, **options) for rule in names}


def test_dynamics_after_a_pulse_are_those_of_the_matrix_exponential():
    A = batch()
    pruned = left_by(A)
    table = noise_pruning.dynamics(A, pruned, seeds=SEEDS, duration=4.0, dt=0.01)
    assert set(table) == {"rule", "seed", "protocol", "t", "error"}
    assert sorted(table.t.unique()) == pytest.approx(0.2 * np.arange(1, 21))
    assert len(table) == 2 * 2 * 2 * 20
    starts = [g.random((10, 40)) for g in s.generators(SEEDS, "starts")]
    for rule, k in ((rule, k) for rule in NAMES for k in range(2)):
        x, xs = (starts[k] @ scipy.linalg.expm(2 * a[k]).T for a in (A, pruned[rule]))
        expected = (np.linalg.norm(xs - x, axis=1) / np.linalg.norm(x, axis=1)).mean()
        rows = table[(table.rule == rule) & (table.seed == SEEDS[k]) & np.isclose(table.t, 2.0)]
        assert rows[rows.protocol == "pulse"].error.tolist() == pytest.approx([expected], rel=0.02)


def test_dynamics_under_changing_input_are_those_of_each_mode():
    A = batch()
    pruned = left_by(A)
    table = noise_pruning.dynamics(A, pruned, seeds=SEEDS, duration=4.0, dt=0.01)
    inputs = [g.normal(size=(10, 40)) for g in s.generators(SEEDS, "inputs")]
    w, t = 2 * np.pi / np.geomspace(5, 80, 10)[:, None], 4.0

    def driven(a, towards):
        """x' = -r x + sin(w t) from rest, for every mode."""
        values, V = np.linalg.eigh(a)
        r = -values
        return (
            (towards @ V)
            * (r * np.sin(w * t) - w * np.cos(w * t) + w * np.exp(-r * t))
            / (r**2 + w**2)
            @ V.T
        )

    for rule, k in ((rule, k) for rule in NAMES for k in range(2)):
        x, xs = (driven(a[k], inputs[k]) for a in (A, pruned[rule]))
        expected = (np.linalg.norm(xs - x, axis=1) / np.linalg.norm(x, axis=1)).mean()
        rows = table[(table.rule == rule) & (table.seed == SEEDS[k]) & np.isclose(table.t, t)]
        assert rows[rows.protocol == "input"].error.tolist() == pytest.approx([expected], rel=0.02)


def test_dynamics_of_a_network_left_whole_are_kept_and_those_of_a_sparse_one_the_same():
    A = batch()
    pruned = left_by(A) | {"whole": A}
    table = noise_pruning.dynamics(A, pruned, seeds=SEEDS)
    assert (table[table.rule == "whole"].error < 1e-4).all()
    assert (table[table.rule != "whole"].error > 1e-3).all()
    thin = {rule: sparse.csr_array(a[1]) for rule, a in pruned.items()}
    alone = noise_pruning.dynamics(sparse.csr_array(A[1]), thin, seeds=SEEDS[1:])
    expected = table[table.seed == SEEDS[1]].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_activity_that_grows_away_counts_as_a_capped_error():
    """A step too long for the strengthened weights makes activity grow without limit."""
    A = batch()
    table = noise_pruning.dynamics(A, left_by(A), seeds=SEEDS, duration=4000.0, dt=8.0)
    assert table.error.max() == noise_pruning.CAP


def test_rectified_networks_follow_their_equation():
    A, density = batch(), 0.7
    options = {"density": density, "seeds": SEEDS, "slowest": 3}
    table = noise_pruning.rectified(A, NAMES, duration=8.0, dt=0.1, **options)
    assert table.rule.tolist() == ["noise", "noise", "weights", "weights"]
    assert set(table) == {"rule", "seed", "path", "active", "silent", "same"}
    pruned = left_by(A, density=density)["weights"][1]
    start = s.generator(SEEDS[1], "starts").random((5, 40))
    b = s.generator(SEEDS[1], "inputs").normal(size=(5, 40))
    how = {"n_steps": 80, "dt": 0.1, "current": b, "rectified": True}
    x, xs = (np.array(list(rate_dynamics.trajectory(a, start, **how))) for a in (A[1], pruned))
    found = table.iloc[3]
    apart = np.linalg.norm(xs - x, axis=-1) / np.linalg.norm(x, axis=-1)
    assert found.path == pytest.approx(apart[3::4].mean(), rel=1e-3)
    on, still_on = (end @ off(a).T + b > 0 for a, end in ((A[1], x[-1]), (pruned, xs[-1])))
    assert found.silent == pytest.approx(1 - on.mean())
    assert found.same == pytest.approx((on == still_on).mean())
    errors = []
    for k in on:
        old, new = (np.linalg.eigvalsh(a[np.ix_(k, k)])[:-4:-1] for a in (A[1], pruned))
        errors.append(abs(new / old - 1).mean())
    assert found.active == pytest.approx(np.mean(errors), rel=1e-6)


def test_rectified_networks_left_whole_are_kept():
    whole = noise_pruning.rectified(batch(), ["noise"], density=1.0, seeds=SEEDS)
    assert whole[["path", "active"]].max(axis=None) < 1e-6
    assert (whole.same == 1).all()
    assert ((whole.silent > 0.02) & (whole.silent < 0.6)).all()


@pytest.mark.parametrize("dense", [True, False])
def test_large_networks_are_measured_one_at_a_time(dense):
    names = ["noise", "uniform", "magnitude"]
    options = {"density": 0.3, "seeds": SEEDS, "dense": dense}
    table, paths = noise_pruning.at_scale([60, 20], names, **options)
    assert table.n.tolist() == [80] * 6
    assert table.rule.tolist() == names * 2
    assert table.kept.to_numpy() == pytest.approx(0.3, abs=0.07)
    assert table.slow.notna().all() if dense else table.slow.isna().all()
    A = rate_networks.clustered([60, 20], rng=s.generator(5, "network 80"))
    p = pruners.keep_probability(scores.uniform_score(A), density=0.3)
    uniform = table[(table.rule == "uniform") & (table.seed == 5)].iloc[0]
    assert uniform.synapses == synapses(A).sum()
    assert uniform.gain == pytest.approx(1 / p.max())
    assert (table[table.rule == "magnitude"].gain == 1).all()
    assert paths.n.tolist() == [80] * len(paths)
    path = paths[(paths.rule == "uniform") & (paths.seed == 5)]
    for protocol in ("pulse", "input"):
        expected = path[path.protocol == protocol].error.mean()
        assert uniform[protocol] == pytest.approx(expected)


def test_the_share_kept_and_the_slow_eigenvalues_are_those_of_the_pruned_network():
    """Isolated neurons have a leak of exactly 0, which a sparse network need not store."""
    table, _ = noise_pruning.at_scale([60, 20], ["magnitude"], density=0.05, seeds=[0])
    A = rate_networks.clustered([60, 20], rng=s.generator(0, "network 80"))
    m = synapses(A).sum()
    assert table.kept[0] * m == pytest.approx(math.floor(0.05 * m), abs=1.001)
    pruned = pruners.prune(A[None], "magnitude", density=0.05, seeds=[0])
    slow = [spectrum.eigenvalues(x)[..., :2] for x in (pruned[0], A)]
    assert table.slow[0] == pytest.approx(abs(slow[0] / slow[1] - 1).mean(), rel=1e-3)


def test_memory_is_stated_and_refused_before_anything_is_computed(monkeypatch, capsys):
    noise_pruning.require_memory([300, 900], 600)
    assert capsys.readouterr().out == "largest network: 900 neurons, about 0.036 GB of memory\n"
    noise_pruning.require_memory([300], 99_999)
    assert "99900 sparse, about 1.8 GB" in capsys.readouterr().out
    monkeypatch.setattr(memory, "free_gb", lambda: 1.0)
    with pytest.raises(ValueError, match=r"10000 neurons needs 4\.4 GB and 1 GB are free"):
        noise_pruning.require_memory([300, 10000], 600)


def test_large_networks_dense_and_sparse_agree():
    options = {"density": 0.4, "seeds": [1]}
    dense, thin = (
        noise_pruning.at_scale([60, 20], NAMES, dense=d, **options)[0].set_index("rule")
        for d in (True, False)
    )
    same = ["synapses", "kept", "gain", "pulse", "input"]
    pd.testing.assert_series_equal(dense.loc["weights", same], thin.loc["weights", same])
    # other draws of the activity
    assert dense.pulse["noise"] == pytest.approx(thin.pulse["noise"], rel=0.5)


def test_the_first_figure_shows_the_first_network():
    A, p, table = noise_pruning.first_figure(SEEDS, density=0.2)
    assert A.shape == p.shape == (120, 120)
    w = pruners.weight_score(A)
    assert p.sum() == pytest.approx(0.2 * np.count_nonzero(w))
    across = (w > 0) & (np.arange(120)[:, None] // 40 != np.arange(120) // 40)
    assert across.sum() == 12
    assert table.bridges[0] == pytest.approx(p[across].mean())
    assert (table.bridges > table.others).all()
    assert (table.strong > table.others).all()
    C = rate_covariance.exact(A)
    r = C / np.sqrt(np.outer(C.diagonal(), C.diagonal()))
    alike = np.arange(120)[:, None] // 40 == np.arange(120) // 40
    assert table.across[0] == pytest.approx(r[~alike].mean())
    assert table.within[0] == pytest.approx((r[alike].sum() - 120) / (alike.sum() - 120))


def test_the_strong_weights_of_the_first_figure_are_the_strengthened():
    """The twelve largest entries need not be the six pairs that were made stronger."""
    seeds = range(6)
    *_, table = noise_pruning.first_figure(seeds, density=0.2)
    nets = [
        rate_networks.bridged(
            [40] * 3,
            6,
            grounding=1e-3,
            n_strong=6,
            strength=x,
            rng=s.generators(seeds, "figure"),
        )
        for x in (1.0, 8.0)
    ]
    before, after = (off(A) / off(A).sum((1, 2), keepdims=True) for A in nets)
    marked = after > 4 * before
    assert (marked.sum((1, 2)) == 12).all()
    p = pruners.noise_keep_probability(nets[1], rate_covariance.exact(nets[1]), density=0.2)
    expected = (p * marked).sum((1, 2)) / 12
    np.testing.assert_allclose(table.strong, expected)
