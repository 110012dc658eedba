"""Each experiment at the limits of noise pruning measures what its columns say."""

import math

import numpy as np
import pytest
import scipy.linalg

from winnow import pruners
from winnow import seeds as s
from winnow.experiments import noise_limits
from winnow.experiments.tables import by_seed
from winnow.models import rate_covariance, rate_networks

SEEDS = (0, 5)
CLUSTERS = (24, 16)


def batch(sizes=(24, 8, 8), **options):
    return rate_networks.clustered(sizes, rng=s.generators(SEEDS, "network"), **options)


def joined(n_bridges=4, **options):
    return rate_networks.bridged(CLUSTERS, n_bridges, rng=s.generators(SEEDS, "network"), **options)


def synapses(A):
    return A * (1 - np.eye(A.shape[-1])) != 0


def test_the_authors_network_is_rebuilt(monkeypatch):
    """At their size it takes seconds; what they stored is checked by its chapter."""
    monkeypatch.setitem(rate_networks.SIZES, 2000, (200, 40, 160))
    table = noise_limits.released(SEEDS)
    assert table.seed.tolist() == [*SEEDS]
    A = rate_networks.clustered((200, 40, 160), rng=s.generator(0, "released"))
    row, m = table.iloc[0], synapses(A).sum()
    assert row["non-zeros"] == m
    values = np.linalg.eigvalsh(A)
    assert [row.fastest, row.slowest] == pytest.approx([values[0], values[-1]], rel=1e-4)
    # Dividing by the sum and capping afterwards keeps less than asked for.
    for name, score in {
        "noise": pruners.noise_score(A, rate_covariance.exact(A)),
        "weights": pruners.weight_score(A),
    }.items():
        expected = np.minimum(1, 0.2 * m * score / score.sum()).sum()
        assert row[f"kept, {name}"] == pytest.approx(expected, abs=5 * math.sqrt(0.32 * m))
        assert row[f"kept, {name}"] % 2 == 0
        assert expected < 0.2 * m + 1


def test_a_mode_is_lost_when_a_hundredth_of_its_decay_is_left():
    A = joined(2)
    rules = ["noise", "weights"]
    table = noise_limits.modes_lost(A, rules, density=0.3, seeds=SEEDS, slowest=3)
    assert table.rule.tolist() == ["noise", "noise", "weights", "weights"]
    pruned = pruners.prune(A, "weights", density=0.3, seeds=SEEDS)
    before, after = (np.linalg.eigvalsh(-x)[:, :3] for x in (A, pruned))
    expected = (after < before / 100).sum(1)
    assert by_seed(table, "lost", rule="weights").tolist() == expected.tolist()
    assert expected.max() > 0
    whole = noise_limits.modes_lost(A, ["noise"], density=1.0, seeds=SEEDS)
    assert (whole.lost == 0).all()


def test_wrong_noise_has_the_covariance_of_lyapunovs_equation():
    A, n = joined(), sum(CLUSTERS)
    found = noise_limits.wrong_noise(A, CLUSTERS, seeds=SEEDS)
    one = np.eye(n)
    blocks = scipy.linalg.block_diag(*(np.ones((k, k)) for k in CLUSTERS))
    strength = np.diag(s.generator(5, "strengths").lognormal(size=n))
    for kind, Q in {
        "half common to all": (one + 1) / 2,
        "half common to clusters": (one + blocks) / 2,
        "uneven": strength,
    }.items():
        solved = scipy.linalg.solve_continuous_lyapunov(A[1], -Q)
        np.testing.assert_allclose(found[kind][1], solved, rtol=1e-6, atol=1e-8)
    for tau in (1, 100):  # neurons, and below them the noise that drives them
        both = np.block([[A[1], one], [0 * one, -one / tau]])
        Q = scipy.linalg.block_diag(0 * one, one / tau**2)
        solved = scipy.linalg.solve_continuous_lyapunov(both, -Q)[:n, :n]
        kind = f"coloured, {tau} leak time{'s' * (tau > 1)}"
        np.testing.assert_allclose(found[kind][1], solved, rtol=1e-6, atol=1e-8)


def test_noise_that_all_neurons_share_cancels_where_leaks_are_even():
    """Scores keep their proportions, so that the rule does the same."""
    A = rate_networks.bridged([20] * 3, 6, rng=s.generators(SEEDS, "network"))
    noisy = noise_limits.wrong_noise(A, [20] * 3, seeds=SEEDS)["half common to all"]
    both = [pruners.noise_score(A, C) for C in (noisy, rate_covariance.exact(A))]
    shared, white = (score / score.sum((1, 2), keepdims=True) for score in both)
    np.testing.assert_allclose(shared, white, atol=1e-9)


def test_noise_of_reading_doubles_the_typical_difference():
    A = joined()
    found = noise_limits.wrong_noise(A, CLUSTERS, seeds=SEEDS)["read with noise"]
    i, j = np.nonzero(synapses(A[0]))
    C = rate_covariance.exact(A[0])
    apart = [c[i, i] + c[j, j] - 2 * c[i, j] for c in (C, found[0])]
    assert np.ptp(apart[1] - apart[0]) < 1e-6
    assert np.mean(apart[1] - apart[0]) == pytest.approx(2 * np.median(apart[0]))


def test_networks_under_wrong_noise_do_not_depend_on_their_company():
    together = noise_limits.wrong_noise(joined(), CLUSTERS, seeds=SEEDS)
    alone = noise_limits.wrong_noise(joined()[1:], CLUSTERS, seeds=SEEDS[1:])
    for kind, C in together.items():
        np.testing.assert_allclose(C[1], alone[kind][0], err_msg=kind)


def test_a_rectified_network_under_little_noise_is_linear():
    A = batch()
    C, silent = noise_limits.rectified_noise(A, 0.01, seeds=SEEDS, copies=50, duration=400)
    assert silent.tolist() == [0, 0]
    assert (C.mT == C).all()
    exact = pruners.noise_score(A, rate_covariance.exact(A))
    ratio = pruners.noise_score(A, C / 1e-4)[exact > 0] / exact[exact > 0]
    assert ratio.mean() == pytest.approx(1, abs=0.02)  # a step alone would add a tenth
    assert ratio.std() < 0.1


def test_strong_noise_silences_rectified_neurons():
    options = {"seeds": SEEDS, "copies": 20, "duration": 50}
    _, some = noise_limits.rectified_noise(joined(), 0.05, **options)
    C, more = noise_limits.rectified_noise(joined(), 5.0, **options)
    assert (more > some).all()
    alone, silent = noise_limits.rectified_noise(joined()[1:], 5.0, **options | {"seeds": [5]})
    assert silent[0] == pytest.approx(more[1])
    np.testing.assert_allclose(alone[0], C[1], rtol=1e-3, atol=1e-3)


def test_precision_is_what_the_modes_slowness_leaves_of_the_time():
    """Time over the integral of the squared autocorrelation, mean over synapses."""
    table = noise_limits.precision([150, 225], 100, seeds=SEEDS)
    assert list(zip(table.n, table.seed, strict=True)) == [
        (n, k) for n in (150, 225) for k in SEEDS
    ]
    for _, row in table.iterrows():
        n = int(row.n)
        parts = [n - 3 * (n // 15), *[n // 15] * 3]
        A = rate_networks.clustered(parts, rng=s.generator(int(row.seed), f"watched {n}"))
        m, v = np.linalg.eigh(-A)
        i, j = np.nonzero(np.triu(synapses(A)))
        share = (v[i] - np.sign(A[i, j])[:, None] * v[j]) ** 2 / m
        share /= share.sum(1, keepdims=True)
        overlap = 2 / np.add.outer(m, m)
        predicted = 100 / np.einsum("ek,kl,el->e", share, overlap, share, optimize=True).mean()
        # Errors that synapses share are absorbed by K, so it is somewhat more.
        assert 0.75 < row.k_eff / predicted < 1.7


def test_the_edge_of_random_networks_is_predicted():
    table = noise_limits.edges(0.8, 150, [0.8, 0.3], seeds=SEEDS)
    assert table.density.tolist() == [0.8, 0.8, 0.3, 0.3]
    assert abs(table.predicted - table.measured).max() < 0.2
    assert (table.measured[2:].to_numpy() > table.measured[:2].to_numpy()).all()


def test_a_second_pass_keeps_almost_all():
    A = batch((100, 20))
    table = noise_limits.again(A, density=0.3, seeds=SEEDS)
    assert table["first"].to_numpy() == pytest.approx(0.3, abs=0.03)
    assert (table["second"] > 0.85).all()
    alone = noise_limits.again(A[1:], density=0.3, seeds=SEEDS[1:])
    assert alone["second"][0] == pytest.approx(table["second"][1])
    score = pruners.noise_score(A, rate_covariance.exact(A))
    first = pruners.keep_probability(score, density=0.3)
    once = pruners.sample_and_rescale(A, first, rng=s.generators(SEEDS, "coins 0"))
    renewed = pruners.noise_score(once, rate_covariance.exact(once))
    for k in range(2):
        free = (first[k] > 0) & (first[k] < 1)
        K = (first[k][free] / score[k][free]).mean()
        p = pruners.keep_probability(renewed[k], K=K)
        twice = pruners.sample_and_rescale(once[k], p, rng=s.generator(SEEDS[k], "coins 1"))
        assert table["second"][k] == synapses(twice).sum() / synapses(once[k]).sum()
