"""Every route to the covariance leads to the same one, with the error that it states."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy import sparse

from winnow import seeds as s
from winnow.models import rate_covariance, rate_networks


def generator(seed=0):
    return np.random.default_rng(seed)


def dominant(n, seed=0, slack=0.3, density=0.7):
    """Symmetric, signed, diagonally dominant, and stable."""
    w = generator(seed).normal(size=(n, n)) * (generator(seed + 1).random((n, n)) < density)
    w = np.triu(w, 1)
    w = w + w.T
    A = w - np.diag(np.abs(w).sum(1) + slack)
    return 1.3 * A / abs(A).max()


def asymmetric(n, seed=0):
    return 0.7 * generator(seed).normal(size=(n, n)) / math.sqrt(n) - 1.2 * np.eye(n)


KINDS = {
    "symmetric": dominant(12),
    "asymmetric": asymmetric(12),
    "one neuron": np.array([[-3.0]]),
    "no synapse": np.diag([-1.0, -2.0, -0.5]),
    "isolated neuron": scipy.linalg.block_diag(dominant(5), -0.1),
    "not normal": np.array([[-1.0, 50.0], [0.0, -2.0]]),
    "oscillating": np.array([[-0.1, 5.0], [-5.0, -0.1]]),
}

# --- exact --------------------------------------------------------------------------------------


@pytest.mark.parametrize("A", KINDS.values(), ids=KINDS)
def test_the_exact_covariance_solves_the_lyapunov_equation(A):
    C, noise = rate_covariance.exact(A), np.eye(len(A))
    np.testing.assert_allclose(A @ C + C @ A.T, -noise, atol=1e-11 * abs(A).max() ** 2)
    theirs = scipy.linalg.solve_continuous_lyapunov(A, -noise)
    np.testing.assert_allclose(C, theirs, rtol=1e-10, atol=1e-12 * abs(theirs).max())
    assert (C == C.T).all()
    assert np.linalg.eigvalsh(C)[0] > 0


def test_the_exact_covariance_is_the_integral_of_the_response_to_noise():
    A = asymmetric(5)
    times, weights = np.polynomial.legendre.leggauss(200)
    times, weights = 30 * (times + 1), 30 * weights
    steps = [scipy.linalg.expm(A * t) for t in times]
    integral = sum(w * p @ p.T for w, p in zip(weights, steps, strict=True))
    np.testing.assert_allclose(rate_covariance.exact(A), integral, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_symmetric_covariance_is_half_the_inverse(n):
    A = dominant(n, seed=n)
    np.testing.assert_allclose(
        rate_covariance.exact(A), -np.linalg.inv(A) / 2, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("make", [dominant, asymmetric])
@pytest.mark.parametrize("batch", [(3,), (2, 3), (0,)], ids=str)
def test_networks_in_a_batch_have_their_own_covariance(make, batch):
    A = np.array([make(6, seed=k) for k in range(math.prod(batch))]).reshape(*batch, 6, 6)
    C = rate_covariance.exact(A)
    assert C.shape == A.shape
    for k in np.ndindex(*batch):
        np.testing.assert_allclose(C[k], rate_covariance.exact(A[k]), rtol=1e-12)


def test_a_small_asymmetric_network_beside_a_large_one_is_not_taken_for_symmetric():
    """What is symmetric is judged network by network."""
    small = asymmetric(4)
    among = rate_covariance.exact(np.stack([1e12 * dominant(4), small]))[1]
    np.testing.assert_allclose(among, rate_covariance.exact(small), rtol=1e-9)


@pytest.mark.parametrize("A", [dominant(6), asymmetric(6)], ids=["symmetric", "asymmetric"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_keep_their_kind_and_precision(A, dtype):
    tensor = torch.tensor(A, dtype=dtype)
    C = rate_covariance.exact(tensor)
    assert isinstance(C, torch.Tensor)
    assert C.dtype == dtype
    np.testing.assert_allclose(
        C, rate_covariance.exact(A), rtol=1e-4 if dtype == torch.float32 else 0
    )
    single = rate_covariance.exact(A.astype(np.float32))
    assert isinstance(single, np.ndarray)
    assert single.dtype == np.float32


@pytest.mark.parametrize("A", [dominant(6), asymmetric(6)], ids=["symmetric", "asymmetric"])
def test_inputs_are_untouched_and_may_be_transposed_or_need_gradients(A):
    before = A.copy()
    C = rate_covariance.exact(A)
    np.testing.assert_allclose(
        rate_covariance.exact(np.asfortranarray(A)), C, rtol=1e-10
    )  # strides do not matter
    tensor = torch.tensor(A, requires_grad=True)
    np.testing.assert_allclose(rate_covariance.exact(tensor).detach(), C, rtol=1e-10)
    rate_covariance.samples(dominant(6), 3, rng=generator())
    rate_covariance.watched(dominant(6), 2.0, rng=generator())
    assert (before == A).all()


def test_integers_are_taken_as_real_numbers():
    A = np.array([[-2, 1], [1, -2]])
    np.testing.assert_allclose(rate_covariance.exact(A), [[1 / 3, 1 / 6], [1 / 6, 1 / 3]])
    directed = np.array([[-2, 1], [0, -2]])
    np.testing.assert_allclose(
        rate_covariance.exact(directed), rate_covariance.exact(directed * 1.0)
    )


# --- what is refused ----------------------------------------------------------------------------

ROUTES = {
    "exact": rate_covariance.exact,
    "samples": lambda A: rate_covariance.samples(A, 3, rng=generator()),
    "watched": lambda A: rate_covariance.watched(A, 2.0, rng=generator()),
}


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
@pytest.mark.parametrize(
    ("A", "words"),
    [
        (np.zeros((2, 3)), r"A must be square, \(\.\.\., n, n\), got \(2, 3\)"),
        (np.zeros(3), r"A must be square, .* got \(3,\)"),
        (np.array([[-1.0, np.nan], [0, -1]]), "A must be finite, got NaN or infinity"),
        (np.array([[-np.inf, 0], [0, -1]]), "A must be finite"),
        (np.diag([-1.0, 0.25]), r"A must be stable, but its largest .* is 0\.25"),
        (np.diag([-1.0, 0.0]), "A must be stable, but its largest .* is -?0$"),
    ],
)
def test_bad_networks_are_named(route, A, words):
    with pytest.raises(ValueError, match=words):
        route(A)


def test_an_unstable_asymmetric_network_is_named():
    with pytest.raises(ValueError, match=r"A must be stable, but its largest real part is 0\.5"):
        rate_covariance.exact(np.array([[0.5, 3.0], [-3.0, 0.5]]))


@pytest.mark.parametrize("seed", range(8))
def test_a_network_with_a_mode_that_does_not_decay_has_no_covariance(seed):
    """Excitation that balances the leak exactly: rounding must not decide."""
    w = np.abs(np.triu(generator(seed).normal(size=(8, 8)), 1))
    A = w + w.T - np.diag((w + w.T).sum(1))
    with pytest.raises(ValueError, match="A must be stable"):
        rate_covariance.exact(A)


# --- independent samples ------------------------------------------------------------------------


def scores(C):
    """Variance of each difference of two neurons, a vector over pairs."""
    i, j = np.triu_indices(C.shape[-1], 1)
    return C[..., i, i] + C[..., j, j] - 2 * C[..., i, j]


SOLVERS = {
    "dense": lambda A, k, g, **o: rate_covariance.samples(A, k, rng=g, **o),
    "sparse": lambda A, k, g, **o: rate_covariance.samples(
        sparse.csr_array(A), k, rng=g, tolerance=1e-8, **o
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("draw", SOLVERS.values(), ids=SOLVERS)
def test_samples_have_the_covariance(draw):
    A, k = dominant(8, slack=0.1), 40_000
    x = draw(A, k, generator(1))
    assert x.shape == (k, 8)
    C = rate_covariance.exact(A)
    spread = np.sqrt((np.outer(C.diagonal(), C.diagonal()) + C**2) / k)
    assert (abs(x.T @ x / k - C) < 5 * spread).all()
    assert (abs(x.mean(0)) < 5 * np.sqrt(C.diagonal() / k)).all()
    power = -((x @ A) * x).sum() / (4 * k)  # chi-squared, 8 k degrees of freedom
    assert abs(power - 1) < 5 * math.sqrt(2 / (8 * k))


@pytest.mark.slow
@pytest.mark.parametrize("draw", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize(("n", "k"), [(6, 8), (6, 64), (40, 8)])
def test_differences_have_the_relative_error_of_k_samples(draw, n, k):
    A = dominant(n)
    truth, source, m = scores(rate_covariance.exact(A)), generator(2), 400
    x = np.stack([draw(A, k, source) for _ in range(m)])
    ratio = scores(x.swapaxes(-1, -2) @ x / k) / truth
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    assert ratio.var(0).mean() == pytest.approx(2 / k, rel=0.1)


@pytest.mark.parametrize("slack", [0.0, 0.5])
def test_a_sparse_network_with_and_without_slack_is_solved(slack):
    """Signed and frustrated, so stable even where no leak is left over."""
    A = dominant(9, seed=4, slack=slack)
    x = rate_covariance.samples(sparse.csc_array(A), 20_000, rng=generator(), tolerance=1e-8)
    ratio = scores(x.T @ x / 20_000) / scores(rate_covariance.exact(A))
    assert abs(ratio - 1).max() < 5 * math.sqrt(2 / 20_000)


@pytest.mark.parametrize(
    "A",
    [
        np.array([[-2.0]]),
        np.diag([-1.0, -4.0, -0.5]),
        scipy.linalg.block_diag(dominant(2), dominant(6), -0.3),
        rate_networks.clustered([20, 10], rng=generator()),
        np.array([[-2, 1], [1, -3]]),
    ],
    ids=["one", "no synapse", "islands", "clustered", "integers"],
)
def test_small_and_broken_sparse_networks_are_sampled(A):
    x = rate_covariance.samples(sparse.csr_array(A), 5000, rng=generator(3), tolerance=1e-8)
    C = rate_covariance.exact(A)
    np.testing.assert_allclose((x**2).mean(0) / C.diagonal(), 1, atol=5 * math.sqrt(2 / 5000))


def test_the_tolerance_suffices_for_slow_modes():
    """The draws are the same: what differs is where conjugate gradients stop."""
    A = rate_networks.bridged([100] * 3, 3, rng=generator(1), grounding=1e-4)
    slow = np.linalg.eigh(A)[1][:, -1]
    thin = sparse.csr_array(A)
    by_default, exact = (
        ((rate_covariance.samples(thin, 400, rng=generator(3), **o) @ slow) ** 2).mean()
        for o in ({}, {"tolerance": 1e-9})
    )
    assert by_default == pytest.approx(exact, rel=0.05)


def test_samples_of_one_network_are_those_it_has_among_others():
    A = np.stack([dominant(5, seed=k) for k in range(4)])
    among = rate_covariance.samples(A, 7, rng=s.generators(range(4), "activity"))
    alone = rate_covariance.samples(A[2], 7, rng=[s.generator(2, "activity")])
    assert among.shape == (4, 7, 5)
    np.testing.assert_allclose(among[2], alone, rtol=1e-12)
    nested = rate_covariance.samples(
        A.reshape(2, 2, 5, 5), 7, rng=s.generators(range(4), "activity")
    )
    assert (nested.reshape(4, 7, 5) == among).all()
    single = rate_covariance.samples(A[2], 7, rng=s.generator(2, "activity"))
    assert (single == alone).all()


def test_samples_are_of_the_kind_of_the_network():
    tensor = torch.tensor(dominant(5), dtype=torch.float32)
    x = rate_covariance.samples(tensor, 4, rng=generator())
    assert isinstance(x, torch.Tensor)
    assert x.dtype == torch.float32
    np.testing.assert_allclose(
        x, rate_covariance.samples(dominant(5), 4, rng=generator()), rtol=1e-4, atol=1e-5
    )
    assert rate_covariance.samples(np.zeros((0, 5, 5)), 4, rng=[]).shape == (0, 4, 5)


LINE = np.diag([1.0] * 3, 1) + np.diag([1.0] * 3, -1)


@pytest.mark.parametrize(
    ("A", "words"),
    [
        (asymmetric(4), "samples are drawn for symmetric networks: A is not symmetric"),
        (sparse.csr_array(LINE - 1.5 * np.eye(4)), "a sparse A must be diagonally dominant"),
        (sparse.csr_array((3, 3)), "stable|dominant"),
        (sparse.csr_array(np.triu(LINE) - 3 * np.eye(4)), "A is not symmetric"),
        (sparse.csr_array(LINE - 3 * np.eye(4))[:3], r"A must be square, .* got \(3, 4\)"),
        (sparse.csr_array(np.where(LINE, np.nan, -3 * np.eye(4))), "A must be finite"),
        (sparse.csr_array(LINE - np.diag(LINE.sum(1))), "A must be stable"),
    ],
    ids=["asymmetric", "weak leak", "zeros", "sparse asymmetric", "shape", "nan", "zero mode"],
)
def test_samples_name_what_they_do_not_take(A, words):
    with pytest.raises(ValueError, match=words):
        rate_covariance.samples(A, 3, rng=generator())


@pytest.mark.parametrize("A", [LINE - 3 * np.eye(4), sparse.csr_array(LINE - 3 * np.eye(4))])
def test_dense_and_sparse_routes_check_alike(A):
    with pytest.raises(ValueError, match="k must be 1 or larger, got 0"):
        rate_covariance.samples(A, 0, rng=generator())


def test_a_generator_for_each_network_is_asked_for():
    with pytest.raises(ValueError, match="got 2 generators for 3 replicas"):
        rate_covariance.samples(np.stack([dominant(3)] * 3), 4, rng=[generator()] * 2)


# --- watched ------------------------------------------------------------------------------------


def test_a_long_watch_shows_the_exact_covariance():
    A = dominant(6)
    seen = rate_covariance.watched(A, 1e6, rng=generator(), moments=100_000)
    np.testing.assert_allclose(seen, rate_covariance.exact(A), atol=0.01)


@pytest.mark.parametrize(("T", "moments"), [(0.1, 1), (0.5, 7), (20.0, 300)])
def test_a_watch_is_right_on_average_and_as_sure_as_its_process_lets_it_be(T, moments):
    """The variance of a mean of squares of a Gaussian process is known."""
    slow, many = np.array([0.1, 1.0, 3.0]), 4000
    A = np.stack([-np.diag(slow)] * many)
    seen = rate_covariance.watched(A, T, rng=generator(3), moments=moments)
    ratio = seen.diagonal(axis1=-2, axis2=-1) * 2 * slow
    lags = np.subtract.outer(np.arange(moments), np.arange(moments))
    for k, decay in enumerate(slow):
        variance = 2 * np.exp(-2 * decay * abs(lags) * T / moments).mean()
        assert ratio[:, k].mean() == pytest.approx(1, abs=4 * np.sqrt(variance / many))
        assert ratio[:, k].var() == pytest.approx(variance, rel=0.25)


def test_what_is_centred_misses_what_moves_slower_than_the_watch():
    A = np.stack([np.diag([-0.001, -1.0])] * 300)
    whole, centred = (
        rate_covariance.watched(A, 100.0, rng=generator(8), moments=400, centred=c).mean(0)
        for c in (False, True)
    )
    assert whole[0, 0] == pytest.approx(500, rel=0.25)
    assert centred[0, 0] < 0.1 * whole[0, 0]
    assert centred[1, 1] == pytest.approx(0.5, rel=0.05)


def test_a_watched_network_does_not_depend_on_those_beside_it():
    A = np.stack([dominant(4, seed=k) for k in range(3)])
    times = np.array([1.0, 30.0, 500.0])
    among = rate_covariance.watched(A, times, rng=s.generators(range(3), "activity"), moments=300)
    alone = rate_covariance.watched(A[1], 30.0, rng=[s.generator(1, "activity")], moments=300)
    np.testing.assert_allclose(among[1], alone, rtol=1e-9)


def test_a_watch_is_of_the_kind_of_the_network():
    tensor = torch.tensor(dominant(4), dtype=torch.float32)
    found = rate_covariance.watched(tensor, 5.0, rng=generator(), moments=20)
    assert isinstance(found, torch.Tensor)
    assert found.dtype == torch.float32
    expected = rate_covariance.watched(dominant(4), 5.0, rng=generator(), moments=20)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("moments", [1, 200, 600])
def test_a_watch_is_positive_semidefinite_however_short(moments):
    C = rate_covariance.watched(dominant(30), 5.0, rng=generator(), moments=moments)
    assert np.linalg.eigvalsh(C)[0] > -1e-12 * C.trace()
    assert np.linalg.matrix_rank(C) == min(moments, 30)


@pytest.mark.parametrize(
    ("A", "duration", "options", "words"),
    [
        (-np.eye(2), 0.0, {}, "duration must be above 0, got 0$"),
        (-np.eye(2), -5.0, {}, "duration must be above 0, got -5$"),
        (-np.eye(2), np.nan, {}, "duration must be finite"),
        (-np.eye(2), 1.0, {"moments": 0}, "moments must be"),
        (asymmetric(3), 1.0, {}, "noise is watched in symmetric networks: A is not symmetric"),
    ],
)
def test_what_cannot_be_watched_is_named(A, duration, options, words):
    with pytest.raises(ValueError, match=words):
        rate_covariance.watched(A, duration, rng=generator(), **options)


def test_all_networks_of_a_batch_must_be_stable():
    A = np.stack([dominant(3), np.diag([-1.0, -1.0, 0.5])])
    with pytest.raises(ValueError, match="A must be stable"):
        rate_covariance.exact(A)
    with pytest.raises(ValueError, match="A must be stable"):
        rate_covariance.watched(A, 100.0, rng=generator())


def test_normal_numbers_belong_to_their_generator():
    among = s.normal(s.generators(range(3), "noise"), 3, (2, 5))
    assert among.shape == (3, 2, 5)
    assert (among[1] == s.generator(1, "noise").standard_normal((2, 5))).all()
    assert (s.normal(generator(), 2, (4,)) == generator().standard_normal((2, 4))).all()
    assert s.normal(generator(), 0, (4,)).shape == (0, 4)
    with pytest.raises(ValueError, match="got 2 generators for 3 replicas: pass one for each"):
        s.normal(s.generators(range(2), "noise"), 3, (4,))
