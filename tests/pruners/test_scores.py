"""Scores of synapses are their formulas, by every route."""

import itertools

import networkx as nx
import numpy as np
import pytest
import scipy.linalg
import torch
from scipy import sparse

from shared import N, batch, excitatory, network, off, rng, synapses
from winnow import pruners
from winnow.models import rate_covariance, rate_networks
from winnow.pruners import scores


def by_hand(A, C, sign=1.0):
    """The rule's formula in loops."""
    n, score = len(A), np.zeros_like(A)
    for i, j in itertools.permutations(range(n), 2):
        spread = C[i, i] + C[j, j] - 2 * sign * np.sign(A[i, j]) * C[i, j]
        score[i, j] = abs(A[i, j]) * spread
    return score


RULES = {
    "noise": {},
    "sign flipped": {"sign": -1.0},
    "no cross term": {"sign": 0.0},
}


@pytest.mark.parametrize("how", RULES.values(), ids=RULES)
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_noise_score_is_its_formula(how, symmetric):
    A = network(symmetric=symmetric)
    C = rate_covariance.exact(A)
    expected = by_hand(A, C, **how)
    found = pruners.noise_score(A, C, **how)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert (found[~synapses(A)] == 0).all()
    assert (found >= 0).all()


def test_leverages_are_weight_times_effective_resistance():
    A = excitatory(slack=0.0)
    n = len(A)
    graph = nx.from_numpy_array(off(A))
    grounded = A - 1e-9 * np.eye(n)  # without any leak to spare no covariance exists
    found = pruners.leverage(A, rate_covariance.exact(grounded))
    for i, j, data in graph.edges(data=True):
        resistance = nx.resistance_distance(graph, i, j, weight="weight", invert_weight=False)
        assert found[i, j] == pytest.approx(data["weight"] * resistance, rel=1e-5)
    assert np.triu(found).sum() == pytest.approx(n - 1, rel=1e-5)  # Foster's theorem


@pytest.mark.parametrize("leak", [1.0, 1.1, 2.0, 4.0])
def test_leverages_sum_to_the_neurons_less_the_slack(leak):
    A = network(leak=leak)
    M = -A
    inverse = np.linalg.inv(M)
    slack = M.diagonal() - np.abs(off(A)).sum(1)
    found = pruners.leverage(A, rate_covariance.exact(A))
    assert np.triu(found).sum() == pytest.approx(N - slack @ inverse.diagonal(), rel=1e-9)
    assert found.max() <= 1 + 1e-9  # no conductance exceeds what it is part of
    if leak == 1.0:
        assert np.triu(found).sum() == pytest.approx(N, rel=1e-9)


def test_leverages_are_those_of_the_incidence_factor():
    """From the vectors u of M = sum |w| u u' + slack, signs included."""
    A = network(leak=1.2)
    half = scipy.linalg.sqrtm(np.linalg.inv(-A)).real
    found = pruners.leverage(A, rate_covariance.exact(A))
    for i, j in zip(*np.nonzero(np.triu(off(A))), strict=True):
        u = np.zeros(N)
        u[i], u[j] = 1, -np.sign(A[i, j])
        assert found[i, j] == pytest.approx(abs(A[i, j]) * np.sum((half @ u) ** 2), rel=1e-8)


def test_a_bridge_has_leverage_one():
    A = rate_networks.bridged([8, 6], 1, rng=rng(), grounding=1e-7, density=1)
    found = pruners.leverage(A, rate_covariance.exact(A))
    assert found[:8, 8:].max() == pytest.approx(1, rel=1e-4)
    assert found[:8, :8].max() < 0.9


@pytest.mark.parametrize("symmetric", [True, False])
def test_scores_without_noise_are_their_formulas(symmetric):
    A = network(symmetric=symmetric)
    w = np.abs(off(A))
    total = (w.sum(0) + w.sum(1)) / 2
    expected = w * (1 / total[:, None] + 1 / total[None, :])
    np.testing.assert_allclose(scores.degree_score(A), expected, rtol=1e-12)
    assert (pruners.weight_score(A) == w).all()
    assert (scores.uniform_score(A) == (w > 0)).all()


def test_the_degree_score_is_the_leverage_in_a_large_dense_cluster():
    A = rate_networks.clustered([300], rng=rng(), density=1)
    exact, local = pruners.leverage(A, rate_covariance.exact(A)), scores.degree_score(A)
    ratio = exact[synapses(A)] / local[synapses(A)]
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert ratio.std() < 0.02


SCORES = {
    "noise": lambda A, x: pruners.noise_score(A, samples=x),
    "flipped": lambda A, x: pruners.noise_score(A, samples=x, sign=-1.0),
    "no cross term": lambda A, x: pruners.noise_score(A, samples=x, sign=0.0),
    "degree": lambda A, x: scores.degree_score(A),
    "weights": lambda A, x: pruners.weight_score(A),
    "uniform": lambda A, x: scores.uniform_score(A),
}


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.coo_array])
def test_sparse_scores_are_the_dense_ones(score, symmetric, kind):
    A, x = network(symmetric=symmetric), rng(5).normal(size=(9, N))
    found = score(kind(A), x)
    assert sparse.issparse(found)
    np.testing.assert_allclose(found.toarray(), score(A, x), rtol=1e-12)
    assert found.nnz == synapses(A).sum()


def test_many_sparse_edges_are_scored_in_chunks():
    n = 400  # 159,600 edges, more than two chunks
    A, x = off(rng().normal(size=(n, n))), rng(1).normal(size=(3, n))
    found = pruners.noise_score(sparse.csr_array(A), samples=x)
    np.testing.assert_allclose(found.toarray(), pruners.noise_score(A, samples=x), rtol=1e-10)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_scores_are_of_the_kind_of_the_network_and_alike_in_a_batch(score):
    A, x = batch(), rng(5).normal(size=(3, 9, N))
    kept = A.copy()
    found = score(A, x)
    assert (kept == A).all()
    for k in range(3):
        np.testing.assert_allclose(found[k], score(A[k], x[k]), rtol=1e-12)
    for dtype in (torch.float32, torch.float64):
        tensor = score(torch.tensor(A, dtype=dtype), torch.tensor(x))
        assert isinstance(tensor, torch.Tensor)
        assert tensor.dtype == dtype
        np.testing.assert_allclose(tensor, found, rtol=2e-3, atol=1e-6)
    backwards = score(np.asfortranarray(A), x)
    np.testing.assert_allclose(backwards, found, rtol=1e-12)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
@pytest.mark.parametrize("as_sparse", [False, True])
def test_isolated_neurons_and_empty_graphs_have_no_scores(score, as_sparse):
    wrap = sparse.csr_array if as_sparse else np.asarray
    unwrap = (lambda x: x.toarray()) if as_sparse else np.asarray
    alone = scipy.linalg.block_diag(network(), -1.0)
    found = unwrap(score(wrap(alone), rng().normal(size=(4, N + 1))))
    assert np.isfinite(found).all()
    assert (found[-1] == 0).all()
    assert (found[:, -1] == 0).all()
    for n in (1, 2, 5):
        found = unwrap(score(wrap(-np.eye(n)), rng().normal(size=(4, n))))
        assert (found == np.zeros((n, n))).all()


def test_integer_networks_are_scored_as_real_ones():
    A = np.array([[-3, 2], [2, -3]])
    C = rate_covariance.exact(A)
    expected = pruners.noise_score(A.astype(float), C)
    assert (pruners.noise_score(A, C) == expected).all()
    assert scores.degree_score(A).tolist() == [[0, 2], [2, 0]]


@pytest.mark.parametrize("shift", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("as_torch", [False, True])
def test_samples_stand_for_their_covariance_whatever_their_mean(shift, as_torch):
    A, x = network(), rng().normal(size=(40, N)) + shift * np.arange(N)
    expected = pruners.noise_score(A, np.cov(x.T))
    kind = torch.from_numpy if as_torch else np.asarray
    found = pruners.noise_score(kind(A), samples=kind(x))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    thin = pruners.noise_score(sparse.csr_array(A), samples=x).toarray()
    np.testing.assert_allclose(thin, expected, rtol=1e-9)
    p = pruners.noise_keep_probability(A, samples=x, density=0.4)
    known = pruners.noise_keep_probability(A, np.cov(x.T), density=0.4)
    np.testing.assert_allclose(p, known, rtol=1e-9)


def test_one_sample_has_no_covariance():
    for A in (network(), sparse.csr_array(network())):
        with pytest.raises(ValueError, match=r"samples must be 2 or more .* got 1"):
            pruners.noise_score(A, samples=np.ones((1, N)))


def test_a_score_that_cancels_to_nothing_still_keeps_its_synapse():
    A = np.array([[-1.0, 1.0], [1.0, -1.0]])
    C = np.ones((2, 2))  # two neurons that always agree
    assert 0 < pruners.noise_score(A, C)[0, 1] < 1e-12
