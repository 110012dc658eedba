"""Noise pruning has the probabilities it states, keeps what it says, and A on average."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy import sparse

from shared import N, batch, network, off, rng, synapses
from winnow import pruners
from winnow import seeds as s
from winnow.metrics import spectrum
from winnow.models import rate_covariance, rate_networks
from winnow.pruners import sampling, scores


def capped_by_sorting(score, density):
    """min(1, K s) with the wanted mean: the largest c scores are capped, c found by trying all."""
    positive = score[score > 0]
    wanted, ranked = density * positive.size, np.sort(positive)[::-1]
    for c in range(positive.size + 1):
        rest = ranked[c:].sum()
        if wanted <= c + 1e-12:
            return np.minimum(1, np.where(score >= ranked[max(c - 1, 0)], 1.0, 0))
        K = (wanted - c) / rest
        if K * ranked[c] <= 1 + 1e-12:
            return np.minimum(1, K * score)
    raise AssertionError


# --- probabilities ------------------------------------------------------------------------------


@pytest.mark.parametrize("leak", [1.0, 1.3])
def test_probabilities_are_the_same_by_every_exact_route(leak):
    A = network(leak=leak)
    routes = [
        rate_covariance.exact(A),
        scipy.linalg.solve_continuous_lyapunov(A, -np.eye(N)),
        -np.linalg.inv(A) / 2,
    ]
    found = [pruners.noise_keep_probability(A, C, density=0.3) for C in routes]
    np.testing.assert_allclose(found[1], found[0], atol=1e-10)
    np.testing.assert_allclose(found[2], found[0], atol=1e-10)


DENSITIES = [0.001, 0.01, 0.1, 0.37, 0.5, 0.8, 0.95, 0.99, 0.9999, 1.0]


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("spread", [0.5, 2.0, 6.0])
def test_the_density_is_met_exactly_after_capping(density, spread):
    for seed in range(5):
        score = np.exp(spread * rng(seed).normal(size=(15, 15))) * synapses(np.ones((15, 15)))
        p = pruners.keep_probability(score, density=density)
        m = np.count_nonzero(score)
        assert p.sum() == pytest.approx(density * m, rel=1e-10)
        assert p.max() <= 1
        assert p.min() >= 0
        assert ((p > 0) == (score > 0)).all()
        np.testing.assert_allclose(p, capped_by_sorting(score, density), atol=1e-9)


@pytest.mark.parametrize("density", [0.1, 0.25, 0.5, 0.75, 1.0])
def test_ties_and_whole_numbers_of_capped_scores(density):
    for some in (
        [1.0] * 8,
        [1e9] * 4 + [1.0] * 4,
        [1e30, 1.0, 1e-30, 1e-30],
        [1e12] * 6 + [1e-9] * 2,
    ):
        p = pruners.keep_probability(np.array([some]), density=density)
        assert p.sum() == pytest.approx(density * len(some), rel=1e-9)
        assert p.min() >= 0
        assert p.max() <= 1
        for a, b in itertools.pairwise(p[0]):
            assert a >= b


def test_probabilities_grow_with_the_density():
    score = pruners.noise_score(network(), rate_covariance.exact(network()))
    many = [pruners.keep_probability(score, density=d) for d in DENSITIES]
    for small, large in itertools.pairwise(many):
        assert (small <= large + 1e-12).all()


@pytest.mark.parametrize("K", [1e-6, 0.5, 3.0, 1e9])
def test_a_factor_is_applied_and_capped(K):
    A = network()
    C = rate_covariance.exact(A)
    expected = np.minimum(1, K * pruners.noise_score(A, C))
    np.testing.assert_allclose(pruners.noise_keep_probability(A, C, K=K), expected, rtol=1e-12)


@pytest.mark.parametrize("sigma", [1e-6, 1e-3, 0.01, 5.0, 1e4])
def test_the_amplitude_of_the_noise_cancels(sigma):
    A = network()
    C = rate_covariance.exact(A)
    loud = sigma**2 * C
    at_one = pruners.noise_keep_probability(A, C, density=0.3)
    np.testing.assert_allclose(
        pruners.noise_keep_probability(A, loud, density=0.3), at_one, rtol=1e-9
    )
    np.testing.assert_allclose(
        pruners.noise_keep_probability(A, loud, K=4 / sigma**2),
        pruners.noise_keep_probability(A, C, K=4),
        rtol=1e-9,
    )


def test_expected_pairs_are_at_most_kappa_n():
    A = network(leak=1.2)
    for kappa in (0.3, 1.0, 5.0):
        p = pruners.noise_keep_probability(A, rate_covariance.exact(A), K=2 * kappa)
        assert np.triu(p).sum() <= kappa * N


@pytest.mark.parametrize(("n", "eps"), [(300, 0.5), (9, 0.9)])
def test_the_theorems_factor_is_its_formula(n, eps):
    assert sampling.theorem_factor(n, eps) == pytest.approx(6 * math.log(40 * n) / eps**2)


@pytest.mark.parametrize("promise", [0.5, 0.9])
@pytest.mark.parametrize("sizes", [(70, 50), (200, 100)])
def test_the_theorem_keeps_its_promise(promise, sizes):
    """Of 4 x 20 prunings each the promise lets one fail on average; none is near."""
    A = np.stack([network(seed=k, sizes=sizes) for k in range(2)])
    p = pruners.noise_keep_probability(A, rate_covariance.exact(A), eps=promise)
    assert ((p > 0) & (p < 1)).mean() > 0.02  # something is at stake
    for draw in range(10):
        pruned = pruners.sample_and_rescale(A, p, rng=s.generators(range(2), f"coins {draw}"))
        assert (spectrum.approximation_bounds(A, pruned).eps < promise).all()


@pytest.mark.parametrize("how", [{"eps": 0.9}, {"density": 0.3}])
@pytest.mark.parametrize("n", [1, 2, 6])
def test_networks_without_synapses_have_no_probabilities(how, n):
    A = -np.eye(n)
    for found in (
        pruners.noise_keep_probability(A, rate_covariance.exact(A), **how),
        pruners.noise_keep_probability(
            sparse.csr_array(A), samples=np.ones((2, n)), **how
        ).toarray(),
    ):
        assert (found == np.zeros((n, n))).all()


@pytest.mark.parametrize("how", [{"density": 0.3}, {"K": 2.0}, {"eps": 0.9}], ids=str)
def test_probabilities_by_kind_batch_and_sparsity(how):
    A = batch()
    C, x = rate_covariance.exact(A), rng().normal(size=(3, 30, N))
    kept = A.copy(), C.copy(), x.copy()
    found = pruners.noise_keep_probability(A, C, **how)
    sampled = pruners.noise_keep_probability(A, samples=x, **how)
    for k in range(3):
        alone = pruners.noise_keep_probability(A[k], C[k], **how)
        np.testing.assert_allclose(found[k], alone, rtol=1e-9)
        thin = pruners.noise_keep_probability(sparse.csr_array(A[k]), samples=x[k], **how)
        np.testing.assert_allclose(thin.toarray(), sampled[k], rtol=1e-7)
    tensor = pruners.noise_keep_probability(torch.tensor(A), torch.tensor(C), **how)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor, found, rtol=1e-9)
    single = pruners.noise_keep_probability(A.astype(np.float32), C.astype(np.float32), **how)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, found, rtol=1e-3)
    for now, before in zip((A, C, x), kept, strict=True):
        assert (now == before).all()


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.coo_array])
@pytest.mark.parametrize("how", [{"density": 0.4}, {"K": 0.3}])
def test_sparse_scores_of_every_format_get_their_own_probabilities(kind, how):
    score = rng().random((7, 7)) * synapses(np.ones((7, 7))) * (rng(1).random((7, 7)) < 0.6)
    found = pruners.keep_probability(kind(score), **how)
    np.testing.assert_allclose(found.toarray(), pruners.keep_probability(score, **how), rtol=1e-12)


def test_integer_scores_are_taken_as_real_ones():
    score = np.array([[0, 8], [1, 0]])
    for how in ({"density": 0.7}, {"K": 0.1}, {"density": 1.0}):
        found = pruners.keep_probability(score, **how)
        assert found.dtype == float
        assert (found == pruners.keep_probability(score * 1.0, **how)).all()


A4 = network(sizes=(4, 3), leak=1.1)
C4 = rate_covariance.exact(A4)
INDEFINITE = np.eye(7) - 2 * (np.add.outer(range(7), range(7)) == 1)
SKEWED = C4 + np.triu(np.full((7, 7), 0.1), 1)


@pytest.mark.parametrize(
    ("A", "C", "options", "words"),
    [
        (np.ones((3, 4)), np.eye(3), {}, r"A must be square, .* got \(3, 4\)"),
        (A4 * np.where(np.eye(7), 1, np.nan), C4, {}, "A must be finite, got NaN or infinity"),
        (np.full((7, 7), np.inf), C4, {}, "A must be finite"),
        (A4, C4[:5, :5], {}, r"the covariance is \(5, 5\), but A is \(7, 7\)"),
        (A4, np.stack([C4]), {}, r"the covariance is \(1, 7, 7\), but A is \(7, 7\)"),
        (A4, INDEFINITE, {}, "covariance must be positive semidefinite, but has eigenvalue -1"),
        (A4, -C4, {}, "covariance must be positive semidefinite with every variance above 0"),
        (A4, SKEWED, {}, "the covariance must be symmetric"),
        (A4, C4 * np.nan, {}, "the covariance must be finite"),
        (A4, None, {}, "give the covariance or samples of the activity"),
        (A4, C4, {"samples": np.ones((2, 7))}, "give the covariance or samples of the activity"),
        (A4, None, {"samples": np.ones((2, 6))}, r"samples are \(2, 6\), not \(2, 7\) as A asks"),
        (A4, None, {"samples": np.ones(7)}, r"samples are \(7,\), not \(1, 7\)"),
        (A4, None, {"samples": np.full((2, 7), np.nan)}, "finite"),
        (A4, None, {"samples": np.ones((0, 7))}, "samples|scores"),
        (sparse.csr_array(A4), C4, {}, "a sparse network takes samples"),
        (sparse.csr_array(A4), None, {"samples": np.ones((2, 6))}, r"samples are \(2, 6\)"),
        (sparse.csr_array(A4), None, {"samples": np.full((2, 7), np.nan)}, "finite"),
        (A4, C4, {"K": 1.0}, "give one of density, K, eps, got density and K"),
        (A4, C4, {"density": None}, "give one of density, K, eps, got none"),
        (A4, C4, {"eps": 0.5, "K": 1}, "got density and K and eps"),
        (A4, C4, {"density": 0}, r"density must be in \(0, 1\], got 0"),
        (A4, C4, {"density": 1.5}, r"density must be in \(0, 1\], got 1\.5"),
        (A4, C4, {"density": np.nan}, r"density must be in \(0, 1\], got nan"),
        (A4, C4, {"density": None, "K": 0}, r"K must be in \(0, inf\), got 0"),
        (A4, C4, {"density": None, "K": np.inf}, r"K must be in \(0, inf\), got inf"),
        (A4, C4, {"density": None, "eps": 1.0}, r"eps must be in \(0, 1\), got 1\.0"),
        (A4, C4, {"density": None, "eps": -1}, r"eps must be in \(0, 1\), got -1"),
    ],
)
def test_bad_probabilities_are_named(A, C, options, words):
    with pytest.raises(ValueError, match=words):
        pruners.noise_keep_probability(A, C, **{"density": 0.5} | options)


def test_the_amount_is_checked_before_long_work():
    """A covariance of the wrong shape would be found later."""
    with pytest.raises(ValueError, match="density must be"):
        pruners.noise_keep_probability(np.ones((3, 4)), np.ones(2), density=7)


@pytest.mark.parametrize("k", [1, 3, 200])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_covariances_of_low_rank_and_single_precision_pass(k, dtype):
    x = rng().normal(size=(k, N)).astype(dtype)
    C = x.T @ x / k
    found = pruners.noise_keep_probability(network(), C, density=0.3)
    assert found.sum() == pytest.approx(0.3 * synapses(network()).sum())


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_scores_that_are_none_are_named(kind, bad):
    with pytest.raises(ValueError, match="scores must be 0 or larger and finite"):
        pruners.keep_probability(kind(np.array([[0, bad], [1.0, 0]])), density=0.5)


@pytest.mark.parametrize("how", [{}, {"density": 0.5, "K": 1.0}])
def test_one_of_density_and_factor_is_asked_for(how):
    with pytest.raises(ValueError, match="give one of density, K, got"):
        pruners.keep_probability(np.ones((2, 2)), **how)


# --- the strongest -------------------------------------------------------------------------------


def strongest(A, density):
    return sampling.strongest(scores.weight_score(A), density=density)


@pytest.mark.parametrize("density", [0.01, 0.1, 0.5, 0.77, 1.0])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_the_strongest_are_kept_and_counted(density, symmetric, kind):
    A = network(symmetric=symmetric)
    p = strongest(kind(A), density=density)
    p = p.toarray() if sparse.issparse(p) else p
    wanted = math.floor(density * synapses(A).sum() + 1e-9)
    assert abs(p.sum() - wanted) <= (1 if symmetric else 0)
    kept = p == 1
    assert ((p == 0) | kept).all()
    assert not kept[~synapses(A)].any()
    if kept.any() and not kept[synapses(A)].all():
        assert np.abs(A[kept]).min() >= np.abs(A[synapses(A) & ~kept]).max()
    assert not symmetric or (kept == kept.T).all()


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("density", [0.2, 0.5, 0.9])
def test_equal_weights_do_not_all_count_as_the_strongest(kind, density):
    A = np.ones((8, 8)) - 9 * np.eye(8)
    p = strongest(kind(A), density=density)
    assert abs(p.sum() - math.floor(density * 56 + 1e-9)) <= 1


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_a_density_below_one_synapse_keeps_none_and_an_empty_network_has_none(kind):
    assert strongest(kind(network()), density=1e-6).sum() == 0
    assert strongest(kind(-np.eye(3)), density=0.5).sum() == 0
    assert strongest(kind(-np.eye(1)), density=0.5).sum() == 0


def test_the_strongest_in_a_batch_are_those_alone():
    A = np.stack([network(), network(1, symmetric=False), network(2)])
    together = strongest(A, density=0.33)
    for found, a in zip(together, A, strict=True):
        assert (found == strongest(a, density=0.33)).all()
    tensor = strongest(torch.tensor(A), density=0.33)
    assert isinstance(tensor, torch.Tensor)
    assert (tensor.numpy() == together).all()


# --- sampling -----------------------------------------------------------------------------------


def probabilities(A, density=0.4):
    return pruners.keep_probability(scores.degree_score(A), density=density)


KINDS = [np.asarray, sparse.csr_array, sparse.csc_array, sparse.coo_array]


def dense(x):
    return x.toarray() if sparse.issparse(x) else np.asarray(x)


def sample(A, p, kind=np.asarray, seed=3, **options):
    return dense(pruners.sample_and_rescale(kind(A), kind(p), rng=rng(seed), **options))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("rescale", [True, False])
def test_kept_weights_are_divided_by_their_probability(kind, symmetric, rescale):
    A = network(symmetric=symmetric)
    p = probabilities(A)
    pruned = sample(A, p, kind, symmetric=symmetric, rescale=rescale)
    kept = synapses(pruned)
    assert not kept[~synapses(A)].any()
    assert 0 < kept.sum() < synapses(A).sum()
    np.testing.assert_allclose(
        pruned[kept], (A[kept] / p[kept]) if rescale else A[kept], rtol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_matched_diagonal_is_its_formula_and_the_original_stays(kind, symmetric):
    A = network(symmetric=symmetric, leak=1.3)
    p = probabilities(A)
    pruned = sample(A, p, kind, symmetric=symmetric)
    change = np.abs(off(pruned)).sum(1) - np.abs(off(A)).sum(1)
    np.testing.assert_allclose(pruned.diagonal(), A.diagonal() - change, rtol=1e-10)
    own = sample(A, p, kind, symmetric=symmetric, diagonal="original")
    assert (own.diagonal() == A.diagonal()).all()
    assert (off(own) == off(pruned)).all()
    matched = dense(sampling.with_leak(kind(own), kind(A)))
    np.testing.assert_allclose(matched, pruned, rtol=1e-12, atol=1e-12)


def test_dominance_and_slack_survive_the_matched_diagonal():
    A = network(leak=1.3)
    slack = -A.diagonal() - np.abs(off(A)).sum(1)
    for seed in range(5):
        pruned = sample(A, probabilities(A, 0.2), seed=seed)
        left = -pruned.diagonal() - np.abs(off(pruned)).sum(1)
        np.testing.assert_allclose(left, slack, atol=1e-10)
        assert np.linalg.eigvalsh(pruned)[-1] < 0


@pytest.mark.parametrize("kind", KINDS[:2])
def test_one_coin_is_thrown_for_a_pair_and_two_when_asymmetric(kind):
    A = network(sizes=(40, 30))
    p = probabilities(A, 0.5)
    pair = sample(A, p, kind)
    assert (pair == pair.T).all()
    each = synapses(sample(A, p, kind, symmetric=False))
    i, j = np.nonzero(np.triu(synapses(A)))
    one, other, chance = each[i, j], each[j, i], p[i, j]
    spread = np.sqrt((chance * (1 - chance)) ** 2)
    z = ((one - chance) * (other - chance)).sum() / np.sqrt((spread**2).sum())
    assert abs(z) < 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_pruned_network_equals_the_network_on_average(kind, symmetric):
    A = network(symmetric=symmetric, sizes=(8, 6))
    p, m, source = probabilities(A, 0.3), 800, rng(11)
    options = {"symmetric": symmetric, "rng": source}
    draws = [dense(pruners.sample_and_rescale(kind(A), kind(p), **options)) for _ in range(m)]
    mean = np.mean(draws, 0)
    coin = synapses(A) & (p < 1)
    sd = np.abs(A[coin]) * np.sqrt((1 / p[coin] - 1) / m)
    z = (mean[coin] - A[coin]) / sd
    assert abs(z).max() < 4.5
    assert abs(z.mean()) < 4 / math.sqrt(z.size / 2)
    assert z.std() == pytest.approx(1, abs=0.3)
    spread = np.std(draws, 0).diagonal() / math.sqrt(m)
    assert (abs(mean - A).diagonal() < 4.5 * spread + 1e-12).all()  # the matched leak too
    share = np.mean([synapses(d).sum() for d in draws]) / synapses(A).sum()
    assert share == pytest.approx(0.3, abs=0.01)


def test_pruning_by_noise_is_unbiased_with_the_variance_of_its_coins():
    """Each pair has a coin of its own: standardised deviations are independent."""
    A, n_draws = network(sizes=(70, 50)), 300
    p = pruners.noise_keep_probability(A, rate_covariance.exact(A), density=0.2)
    coin = np.triu((p > 0) & (p < 1))
    options = {"rng": rng(7), "diagonal": "original"}
    mean = sum(pruners.sample_and_rescale(A, p, **options)[coin] for _ in range(n_draws)) / n_draws
    z = (mean - A[coin]) / (np.abs(A[coin]) * np.sqrt((1 / p[coin] - 1) / n_draws))
    assert z.size > 2000
    assert abs((z * np.sign(A[coin])).mean()) < 4 / math.sqrt(z.size)
    assert z.std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_probability_one_changes_nothing_and_zero_leaves_the_slack(kind):
    A = network(leak=1.5)
    np.testing.assert_allclose(sample(A, synapses(A) * 1.0, kind), A, rtol=1e-12, atol=1e-12)
    nothing = sample(A, np.zeros_like(A), kind)
    assert not synapses(nothing).any()
    slack = -A.diagonal() - np.abs(off(A)).sum(1)
    np.testing.assert_allclose(-nothing.diagonal(), slack, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_networks_without_synapses_stay(kind, n):
    A = -np.diag(np.arange(1.0, n + 1))
    for symmetric in (True, False):
        assert (sample(A, np.zeros((n, n)), kind, symmetric=symmetric) == A).all()


def test_coins_of_one_network_are_those_it_has_among_others():
    A = batch()
    p = probabilities(A)
    among = pruners.sample_and_rescale(A, p, rng=s.generators(range(3), "coins"))
    for k in range(3):
        alone = pruners.sample_and_rescale(A[k], p[k], rng=s.generator(k, "coins"))
        np.testing.assert_allclose(alone, among[k], rtol=1e-12)
    nested = pruners.sample_and_rescale(A[None], p[None], rng=s.generators(range(3), "coins"))
    assert (nested[0] == among).all()
    thin = [
        pruners.sample_and_rescale(sparse.csr_array(A[1]), sparse.csr_array(p[1]), rng=g)
        for g in (s.generator(1, "coins"), [s.generator(1, "coins")])
    ]
    assert (thin[0] != thin[1]).nnz == 0


def test_coins_are_shared_between_probabilities():
    """With the same generator a larger probability keeps all that a smaller one does."""
    A = network()
    for kind in KINDS[:2]:
        few, many = (synapses(sample(A, probabilities(A, d), kind)) for d in (0.3, 0.6))
        assert (few <= many).all()
        assert few.sum() < many.sum()


def test_pruned_networks_are_of_the_kind_of_the_network():
    A, p = network(), probabilities(network())
    kept = A.copy(), p.copy()
    expected = sample(A, p)
    for dtype in (torch.float32, torch.float64):
        pair = torch.tensor(A, dtype=dtype), torch.tensor(p, dtype=dtype)
        found = pruners.sample_and_rescale(*pair, rng=rng(3))
        assert isinstance(found, torch.Tensor)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    thin = pruners.sample_and_rescale(sparse.coo_array(A), sparse.csr_array(p), rng=rng(3))
    assert isinstance(thin, sparse.csr_array)
    for x in (torch.tensor(A, requires_grad=True), np.asfortranarray(A)):
        found = pruners.sample_and_rescale(x, p, rng=rng(3))
        np.testing.assert_allclose(
            found.detach() if isinstance(found, torch.Tensor) else found, expected, atol=1e-12
        )
    assert (kept[0] == A).all()
    assert (p == kept[1]).all()


@pytest.mark.parametrize("kind", KINDS[:2])
def test_integer_networks_are_pruned_as_real_ones(kind):
    A = np.array([[-3, 2, 1], [2, -3, 0], [1, 0, -2]])
    p = np.where(A > 0, 0.6, 0)
    for diagonal in ("matched", "original"):
        found = sample(A, p, kind, diagonal=diagonal)
        assert (found == sample(A * 1.0, p, kind, diagonal=diagonal)).all()


def test_an_empty_batch_stays_empty():
    nothing = np.zeros((0, 3, 3))
    assert pruners.sample_and_rescale(nothing, nothing, rng=[]).shape == (0, 3, 3)
    assert pruners.noise_keep_probability(nothing, nothing, density=0.5).shape == (0, 3, 3)


A_ASYM = network(symmetric=False, sizes=(4, 3))


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize(
    ("A", "p", "options", "words"),
    [
        (A4, np.zeros((6, 6)), {}, r"A is \(7, 7\) and the probabilities \(6, 6\)"),
        (A4, np.full((7, 7), 1.2), {}, r"probabilities must be in \[0, 1\], got 1\.2"),
        (A4, np.full((7, 7), -0.1), {}, r"probabilities must be in \[0, 1\], got -0\.1"),
        (A4, np.full((7, 7), np.nan), {}, r"probabilities must be in \[0, 1\], got nan"),
        (A4, np.zeros((7, 7)), {"diagonal": "mine"}, "matched or original, got 'mine'"),
        (
            A_ASYM,
            np.ones((7, 7)),
            {},
            r"A must be symmetric, .*: average .* or pass symmetric=False",
        ),
        (A4, np.triu(np.ones((7, 7))), {}, r"the probabilities must be symmetric, .* differ by 1"),
        (A4 * np.where(np.eye(7), 1, np.nan), np.ones((7, 7)), {}, "finite"),
        (np.where(np.eye(7), np.nan, A4), np.ones((7, 7)), {}, "finite"),
        (np.ones((3, 4)), np.ones((3, 4)), {}, "A must be square"),
    ],
)
def test_bad_samples_are_named(kind, A, p, options, words):
    with pytest.raises(ValueError, match=words):
        pruners.sample_and_rescale(kind(A), kind(p), rng=rng(), **options)


def test_a_generator_for_each_network_is_asked_for():
    with pytest.raises(ValueError, match="got 2 generators for 3 replicas"):
        pruners.sample_and_rescale(batch(), probabilities(batch()), rng=[rng()] * 2)


# --- what the rule is for -----------------------------------------------------------------------


def test_pruning_again_with_the_same_factor_takes_little():
    A = network(sizes=(120, 40))
    K = 2 * 12
    score = pruners.noise_score(A, rate_covariance.exact(A))
    once = sample(A, pruners.keep_probability(score, K=K))
    again = pruners.noise_keep_probability(once, rate_covariance.exact(once), K=K)
    survive = again[synapses(once)].mean()
    assert synapses(once).sum() / synapses(A).sum() < 0.5
    assert survive > 0.9


def test_bridges_and_strong_weights_are_kept_first():
    A = rate_networks.bridged([40] * 3, 6, rng=rng(), n_strong=6, grounding=1e-3)
    p = pruners.noise_keep_probability(A, rate_covariance.exact(A), density=0.2)
    label = np.repeat(range(3), 40)
    across = synapses(A) & (label[:, None] != label)
    strong = synapses(A) & (np.sort(A[synapses(A)])[-13] < A)
    usual = p[synapses(A) & ~across & ~strong].mean()
    assert p[across].mean() > 2 * usual
    assert p[strong].mean() > 2 * usual


# --- arrays as people have them -----------------------------------------------------------------

SPOILT = {
    "noise_score": lambda A: pruners.noise_score(A, np.eye(N)),
    "of samples": lambda A: pruners.noise_score(A, samples=np.random.default_rng(0).random((9, N))),
    "leverage": lambda A: pruners.leverage(A, np.eye(N)),
    "weight_score": pruners.weight_score,
    "degree_score": scores.degree_score,
    "uniform_score": scores.uniform_score,
    "strongest": lambda A: strongest(A, density=0.5),
    "keep_probability": lambda A: pruners.keep_probability(abs(A), density=0.5),
    "sample_and_rescale": lambda A: pruners.sample_and_rescale(A, abs(A) > 0, rng=rng()),
    "with_leak": lambda A: sampling.with_leak(A, network()),
    **{
        name: lambda A, name=name: pruners.prune(
            A[None], name, density=0.5, seeds=[0], activity=np.eye(N)[None]
        )
        for name in pruners.names("once")
    },
}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("call", SPOILT.values(), ids=SPOILT)
def test_nan_and_infinity_are_refused_by_every_function_of_a_network(call, bad):
    A = network()
    A[2, 3] = A[3, 2] = bad
    for kind in (np.asarray, torch.from_numpy):
        with pytest.raises(ValueError, match=r"finite|in \[0, 1\]") as error:
            call(kind(A))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", pruners.names("once"))
def test_networks_of_any_layout_are_pruned_alike(name):
    A = np.stack([network()])
    turned, fixed = A[:, ::-1, ::-1][:, ::-1, ::-1], A.copy()
    fixed.flags.writeable = False
    C = np.stack([np.eye(N)])
    expected = pruners.prune(A, name, density=0.5, seeds=[3], activity=C)
    backwards = np.ascontiguousarray(A[:, ::-1, ::-1])[:, ::-1, ::-1]  # negative strides
    for same in (turned, fixed, backwards, np.asfortranarray(A)):
        found = pruners.prune(same, name, density=0.5, seeds=[3], activity=C)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
