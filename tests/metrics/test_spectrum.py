"""Spectral errors are those of the generalised eigenproblem, by every method."""

import math
from unittest import mock

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy import sparse

from winnow import arrays, pruners
from winnow import seeds as s
from winnow.metrics import spectrum
from winnow.metrics.spectrum import Bounds
from winnow.models import rate_covariance, rate_networks
from winnow.pruners import sampling, scores


def rng(seed=0):
    return np.random.default_rng(seed)


def network(n=30, seed=0, symmetric=True):
    """Clustered, with a little leak to spare."""
    sizes = [n - n // 3, n // 3] if n > 5 else [n]
    return rate_networks.clustered(sizes, rng=rng(seed), leak=1.1, symmetric=symmetric)


def prune(A, density=0.4, seed=1, symmetric=True):
    p = pruners.keep_probability(scores.degree_score(A), density=density)
    return pruners.sample_and_rescale(A, p, rng=rng(seed), symmetric=symmetric)


def ratios(A, A_sparse):
    """All generalised eigenvalues, by SciPy."""
    M, Ms = (-(x + x.T) / 2 for x in (A, A_sparse))
    return scipy.linalg.eigh(Ms, M, eigvals_only=True)


# --- bounds -------------------------------------------------------------------------------------


def taking(method, A, B):
    """Bounds by all eigenvalues, or by Lanczos also where networks are small."""
    most = {"dense": 10**9, "lanczos": spectrum._FEWEST}[method]
    with mock.patch.object(spectrum, "_DENSE", most):
        return spectrum.approximation_bounds(A, B)


METHODS = {
    "dense": lambda A, B: taking("dense", A, B),
    "lanczos": lambda A, B: taking("lanczos", A, B),
    "auto": spectrum.approximation_bounds,
    "sparse": lambda A, B: taking("lanczos", sparse.csr_array(A), sparse.csr_array(B)),
    "sparse, auto": lambda A, B: spectrum.approximation_bounds(
        sparse.coo_array(A), sparse.csc_array(B)
    ),
    "mixed": lambda A, B: spectrum.approximation_bounds(A, sparse.csr_array(B)),
}
by_method = pytest.mark.parametrize("bounds", METHODS.values(), ids=METHODS)


@by_method
@pytest.mark.parametrize("n", [60, 150])
@pytest.mark.parametrize("density", [0.2, 0.6])
def test_bounds_are_the_ends_of_the_generalised_spectrum(bounds, n, density):
    A = network(n)
    B = prune(A, density)
    values = ratios(A, B)
    found = bounds(A, B)
    assert isinstance(found.lo, float)
    assert found == pytest.approx((values[0], values[-1]), rel=3e-4)


@by_method
@pytest.mark.parametrize("n", [1, 2, 3, 5, 30, 41])
def test_bounds_of_small_networks(bounds, n):
    w = np.triu(rng(n).normal(size=(n, n)), 1)
    A = w + w.T - np.diag(1 + np.abs(w + w.T).sum(1))
    B = A * (1 + 0.2 * np.cos(np.add.outer(range(n), range(n))))
    values = ratios(A, B)
    assert bounds(A, B) == pytest.approx((values[0], values[-1]), rel=3e-4)


@by_method
def test_a_network_kept_whole_has_no_error(bounds):
    assert bounds(network(60), network(60)) == pytest.approx((1, 1), abs=3e-4)
    assert bounds(network(60), 0.5 * network(60)) == pytest.approx((0.5, 0.5), abs=3e-4)


@by_method
def test_ratios_are_never_outside_the_bounds(bounds):
    A = network(60)
    B = prune(A, 0.3)
    found = bounds(A, B)
    x = rng(2).normal(size=(500, 60))
    ratio = ((x @ B) * x).sum(1) / ((x @ A) * x).sum(1)
    assert (ratio >= found.lo * (1 - 1e-3)).all()
    assert (ratio <= found.hi * (1 + 1e-3)).all()


@pytest.mark.parametrize("n", [40, 200])
def test_any_half_of_the_neurons_lies_within_the_bounds_of_all(n):
    """Which is why a rectified network keeps its dynamics whichever neurons are silent."""
    A = network(n)
    B = prune(A, 0.3)
    whole = spectrum.approximation_bounds(A, B)
    for seed in range(10):
        half = np.ix_(*[rng(seed).choice(n, n // 2, replace=False)] * 2)
        part = spectrum.approximation_bounds(A[half], B[half])
        assert whole.lo - 1e-9 <= part.lo < part.hi <= whole.hi + 1e-9


@by_method
@pytest.mark.parametrize("cut", [[7], range(12), [3, 50]], ids=["neuron", "group", "two neurons"])
def test_lo_is_zero_where_pruning_cut_something_off(bounds, cut):
    A = rate_networks.bridged([40, 20], 5, rng=rng())
    B = A.copy()
    cut, rest = list(cut), np.setdiff1d(range(60), list(cut))
    B[np.ix_(cut, rest)] = B[np.ix_(rest, cut)] = 0
    B = B - np.diag(B.diagonal())
    B = B - np.diag(np.abs(B).sum(1))  # what is cut off has nothing left to leak
    found = bounds(A, B)
    assert found.lo == pytest.approx(0, abs=1e-5)
    assert found.hi == pytest.approx(ratios(A, B)[-1], rel=3e-4)


@by_method
def test_a_network_cut_to_pieces_has_an_answer_in_reasonable_time(bounds):
    A = network(90)
    B = sampling.with_leak(A * sampling.strongest(scores.weight_score(A), density=0.03), A)
    values = ratios(A, B)
    found = bounds(A, B)
    assert found.lo == pytest.approx(values[0], abs=1e-4)
    assert found.hi == pytest.approx(values[-1], rel=1e-3)


@by_method
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("strength", [1.02, 1.1, 1.5, 3.0, 20.0, 300.0])
def test_lo_is_negative_where_the_pruned_network_is_unstable(bounds, strength, symmetric):
    A = network(60) if symmetric else network(60, symmetric=False) - 0.5 * np.eye(60)
    B = strength * (A - np.diag(A.diagonal())) + np.diag(A.diagonal())
    values = ratios(A, B)
    assert values[0] < 0 or strength < 2
    assert bounds(A, B) == pytest.approx((values[0], values[-1]), rel=3e-4, abs=3e-4)


@by_method
@pytest.mark.parametrize("growth", [-0.5, -0.0101, -9.0, -49.0, -1e5])
@pytest.mark.parametrize("n_neurons", [1, 3])
def test_single_neurons_that_became_unstable_are_found(bounds, growth, n_neurons):
    """What is cut off and grows: eigenvectors of few neurons, that Lanczos passes over easily."""
    A = network(80)
    B, gone = A.copy(), np.arange(n_neurons) * 7
    B[gone, :] = B[:, gone] = 0
    B[gone, gone] = growth * A[gone, gone]
    values = ratios(A, B)
    found = bounds(A, B)
    assert found.lo == pytest.approx(values[0], rel=1e-3, abs=3e-4)
    assert found.hi == pytest.approx(values[-1], rel=3e-4 if growth > -1e3 else 3e-3)


@by_method
@pytest.mark.parametrize("unit", [1e-300, 1e-30, 1e-7, 1e7, 1e300])
def test_bounds_have_no_unit(bounds, unit):
    A = network(60)
    B = prune(A, 0.4)
    assert bounds(unit * A, unit * B) == pytest.approx(bounds(A, B), rel=1e-9)


@by_method
@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e7])
def test_an_original_that_is_unstable_is_refused_by_every_route(bounds, unit):
    A = network(60)
    for worse in (A + 0.5 * np.eye(60), A + np.diag(3.0 * (np.arange(60) == 4)), -A):
        with pytest.raises(ValueError, match="the symmetric part of A must be stable"):
            bounds(unit * worse, unit * A)


LAYOUTS = {
    "turned": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "fortran": np.asfortranarray,
    "list": lambda a: a.tolist(),
    "torch": torch.tensor,
    "mixed": lambda a: a.astype(np.float32).astype(float),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_networks_of_any_layout_are_read_alike(layout):
    A, B = network(20).round(3), prune(network(20)).round(3)
    tight = {"rel": 1e-5}
    expected = spectrum.approximation_bounds(A, B)
    assert spectrum.approximation_bounds(layout(A), layout(B)) == pytest.approx(expected, **tight)
    assert spectrum.approximation_bounds(A, layout(B)) == pytest.approx(expected, **tight)
    values = spectrum.eigenvalues(layout(A))
    np.testing.assert_allclose(values, spectrum.eigenvalues(A), rtol=1e-5)
    np.testing.assert_allclose(spectrum.slowest_eigenvalues(layout(A), 3), values[:3], rtol=1e-3)


def test_precisions_may_differ():
    A, B = network(20), prune(network(20))
    expected = spectrum.approximation_bounds(A, B)
    for pair in ((A, B.astype(np.float32)), (torch.tensor(A).float(), torch.tensor(B))):
        assert spectrum.approximation_bounds(*pair) == pytest.approx(expected, rel=1e-4)


NAN = np.array([[-1.0, np.nan], [np.nan, -1.0]])
NOT_FINITE = {
    "eigenvalues": lambda: spectrum.eigenvalues(NAN),
    "slowest": lambda: spectrum.slowest_eigenvalues(NAN, 1),
    "slowest, sparse": lambda: spectrum.slowest_eigenvalues(sparse.csr_array(NAN), 1),
    "edge": lambda: spectrum.predicted_edge(NAN, np.ones((2, 2))),
    "edge's probability": lambda: spectrum.predicted_edge(-np.eye(2), abs(NAN)),
}


@pytest.mark.parametrize("call", NOT_FINITE.values(), ids=NOT_FINITE)
def test_what_is_not_finite_is_refused(call):
    with pytest.raises(ValueError, match="must be finite"):
        call()


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, sparse.csr_array])
def test_the_slowest_eigenvalues_are_refused_where_they_would_be_of_another_network(kind):
    with pytest.raises(ValueError, match="A is not symmetric"):
        spectrum.slowest_eigenvalues(kind(network(40, symmetric=False)), 3)
    for k in (0, 40, 2.5):
        with pytest.raises(ValueError, match="k must be"):
            spectrum.slowest_eigenvalues(kind(network(40)), k)


@pytest.mark.parametrize("unit", [1e-300, 1e-30, 1e30, 1e300])
def test_other_measures_have_no_unit(unit):
    A = network(40)
    found = spectrum.slowest_eigenvalues(unit * A, 4) / unit
    np.testing.assert_allclose(found, spectrum.slowest_eigenvalues(A, 4), rtol=1e-9)
    np.testing.assert_allclose(
        spectrum.eigenvalues(unit * A) / unit, spectrum.eigenvalues(A), rtol=1e-9
    )
    edge = spectrum.predicted_edge(unit * A, np.full_like(A, 0.5)) / unit
    assert edge == pytest.approx(spectrum.predicted_edge(A, np.full_like(A, 0.5)))
    x, y = rng(3).normal(size=(2, 5))
    error = spectrum.trajectory_error(unit * x, unit * y)
    assert error == pytest.approx(spectrum.trajectory_error(x, y))


@by_method
def test_asymmetric_networks_are_compared_by_their_symmetric_parts(bounds):
    A = network(60, symmetric=False) - 0.5 * np.eye(60)
    B = prune(A, 0.5, symmetric=False)
    values = ratios(A, B)
    if values[0] < 0:
        B = B - 0.5 * np.eye(60)
        values = ratios(A, B)
    assert bounds(A, B) == pytest.approx((values[0], values[-1]), rel=3e-4)
    sym = [(x + x.T) / 2 for x in (A, B)]
    assert bounds(*sym) == pytest.approx(bounds(A, B), rel=3e-4)


@pytest.mark.parametrize("method", ["dense", "lanczos"])
def test_batches_broadcast_and_have_the_single_results(method):
    A = np.stack([network(45, seed=k) for k in range(2)])
    B = np.stack([[prune(a, d) for a in A] for d in (0.3, 0.5, 0.9)])
    found = taking(method, A, B)
    assert found.lo.shape == found.hi.shape == (3, 2)
    for d, k in np.ndindex(3, 2):
        alone = taking(method, A[k], B[d, k])
        assert (found.lo[d, k], found.hi[d, k]) == pytest.approx(alone, rel=1e-4)
        assert found.eps[d, k] == pytest.approx(alone.eps, rel=1e-3)
    one = taking(method, A[0], B[:, 0])
    np.testing.assert_allclose(one.lo, found.lo[:, 0], rtol=1e-4)


@pytest.mark.parametrize("method", ["dense", "lanczos"])
def test_bounds_are_of_the_kind_of_the_networks(method):
    A = np.stack([network(45, seed=k) for k in range(2)])
    B = np.stack([prune(a) for a in A])
    expected = spectrum.approximation_bounds(A, B)
    for dtype in (torch.float32, torch.float64):
        pair = [torch.tensor(x, dtype=dtype) for x in (A, B)]
        found = taking(method, *pair)
        assert all(isinstance(x, torch.Tensor) for x in (*found, found.eps))
        assert found.lo.dtype == dtype
        np.testing.assert_allclose(found.lo, expected.lo, rtol=1e-3)
        np.testing.assert_allclose(found.hi, expected.hi, rtol=1e-3)
    with_gradient = torch.tensor(A, requires_grad=True)
    found = taking(method, with_gradient, torch.tensor(B))
    np.testing.assert_allclose(found.lo.detach(), expected.lo, rtol=1e-3)


def test_integers_are_taken_as_real_numbers():
    assert spectrum.approximation_bounds(np.diag([-1, -4]), np.diag([-3, -2])) == (0.5, 3.0)


def test_bounds_leave_their_inputs_alone():
    A, B = network(), prune(network())
    kept = A.copy(), B.copy()
    spectrum.approximation_bounds(A, B)
    spectrum.predicted_edge(A, np.ones_like(A))
    assert (kept[0] == A).all()
    assert (kept[1] == B).all()


@pytest.mark.parametrize(
    ("bounds", "eps"),
    [
        (Bounds(0.5, 1.2), 0.5),
        (Bounds(0.9, 1.4), 0.4),
        (Bounds(1.0, 1.0), 0.0),
        (Bounds(1.1, 1.3), 0.3),
        (Bounds(0.0, 1.1), 1.0),
        (Bounds(-0.5, 1.1), 1.5),
        (Bounds(1e-12, 5.0), 4.0),
    ],
)
def test_errors_of_bounds(bounds, eps):
    assert bounds.eps == pytest.approx(eps)
    assert isinstance(bounds.eps, float)
    for kind in (np.array, torch.tensor):
        many = Bounds(kind([bounds.lo, 0.5]), kind([bounds.hi, 1.0]))
        np.testing.assert_allclose(many.eps, [eps, 0.5], rtol=1e-6)
        assert type(many.eps) is type(kind([1.0]))


WRONG = [
    (network(5), network(6), "A has 5 neurons and the pruned network 6"),
    (network(5), sparse.csr_array(network(6)), "A has 5 neurons and the pruned network 6"),
    (sparse.csr_array(network(5)), sparse.csr_array(network(6)), r"A is \(5, 5\) and the pr"),
    (sparse.csr_array(network(5)), network(5), "takes a sparse pruned one: got a dense array"),
    (np.ones((2, 3)), network(3), r"networks must be square, .* got \(2, 3\)"),
    (network(3), np.ones((2, 3)), r"networks must be square, .* got \(2, 3\)"),
    (network(4), np.full((4, 4), np.nan), "networks must be finite, got NaN or infinity"),
    (np.full((4, 4), np.inf), network(4), "networks must be finite"),
    (np.diag([-1.0, 0.5]), -np.eye(2), r"A must be stable, but its largest .* is 0\.5"),
    (np.diag([-1.0, 0.0]), -np.eye(2), r"A must be stable, but its largest .* is -?0$"),
    (np.array([[-1.0, 9], [0, -1]]), -np.eye(2), r"symmetric part of A .* is 3\.5"),
]


@pytest.mark.parametrize(("A", "B", "words"), WRONG)
def test_networks_that_cannot_be_compared_are_named(A, B, words):
    with pytest.raises(ValueError, match=words):
        spectrum.approximation_bounds(A, B)


@pytest.mark.parametrize("method", ["dense", "lanczos"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_sparse_network_that_is_not_finite_is_named(method, place):
    pair = [sparse.csr_array(network(60)) for _ in range(2)]
    pair[place].data[5] = np.nan
    with pytest.raises(ValueError, match="finite"):
        taking(method, *pair)


def test_an_unstable_sparse_network_is_named():
    A = sparse.csr_array(network(60) + 0.5 * np.eye(60))
    with pytest.raises(ValueError, match="stable"):
        taking("lanczos", A, A)


def test_small_eigenvalues_of_single_neurons_are_found_at_a_larger_size():
    """One weak neuron among 700: Lanczos passes over it easily."""
    A = network(700)
    B = prune(A, 0.5)
    B[3, :] *= 0.1
    B[:, 3] *= 0.1
    dense, lanczos = (taking(m, A, B) for m in ("dense", "lanczos"))
    assert lanczos == pytest.approx(dense, rel=3e-4)
    thin = spectrum.approximation_bounds(sparse.csr_array(A), sparse.csr_array(B))
    assert thin == pytest.approx(dense, rel=3e-4)


# --- eigenvalues --------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetric", [True, False])
def test_eigenvalues_come_slowest_first(symmetric):
    A = network(symmetric=symmetric)
    expected = np.sort(np.linalg.eigvals(A).real)[::-1]
    np.testing.assert_allclose(spectrum.eigenvalues(A), expected, rtol=1e-9)
    two = spectrum.eigenvalues(np.stack([A, 2 * A]))
    np.testing.assert_allclose(two, [expected, 2 * expected], rtol=1e-9)
    tensor = spectrum.eigenvalues(torch.tensor(A, dtype=torch.float32))
    assert tensor.dtype == torch.float32
    np.testing.assert_allclose(tensor, expected, rtol=1e-3)


def test_eigenvalues_of_integers():
    assert spectrum.eigenvalues(np.diag([-3, -1])).tolist() == [-1, -3]
    assert spectrum.eigenvalues(np.array([[-1, 2], [0, -3]])).tolist() == pytest.approx([-1, -3])


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_the_slowest_eigenvalues_are_the_first_of_all(kind):
    A = network(80)
    kept = A.copy()
    found = spectrum.slowest_eigenvalues(kind(A), 6)
    np.testing.assert_allclose(found, spectrum.eigenvalues(A)[:6], rtol=1e-3)
    assert (kept == A).all()


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("leak", [0.0, 1e-16], ids=["zero", "rounded"])
def test_modes_without_decay_are_among_the_slowest(kind, leak):
    A = network(80)
    A[5, :] = A[:, 5] = 0
    A[5, 5] = leak  # what a matched leak comes to when all weights are gone
    found = spectrum.slowest_eigenvalues(kind(A), 4)
    np.testing.assert_allclose(found, spectrum.eigenvalues(A)[:4], rtol=1e-3, atol=1e-7)


# --- dynamics -----------------------------------------------------------------------------------


def test_trajectory_errors_by_hand():
    x, y = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 0.0]]), np.array([[3.0, 0.0], [0, 0], [1, 0]])
    assert spectrum.trajectory_error(x, y).tolist() == [0.8, 0.0, math.inf]
    tensor = spectrum.trajectory_error(torch.tensor(x), torch.tensor(y))
    assert tensor.tolist() == [0.8, 0.0, math.inf]
    assert spectrum.trajectory_error(x[:1], np.stack([y, y])).shape == (2, 3)


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_trajectory_that_blew_up_has_no_small_error(lost):
    error = spectrum.trajectory_error(np.ones(3), np.array([1.0, lost, 1.0]))
    assert not error < 1


# By Duhamel's formula, pruned and dense networks respond to a pulse alike at all times at once:
# sup over t of the norm of exp(A_s t) - exp(A t) is at most pi / (2 e) eps / sqrt(1 - eps).


def farthest(A, B, times):
    """The largest distance of two symmetric networks' responses to a pulse."""
    (a, u), (b, v) = map(np.linalg.eigh, (A, B))
    apart = [(v * np.exp(b * t)) @ v.T - (u * np.exp(a * t)) @ u.T for t in times]
    return max(np.linalg.norm(x, 2) for x in apart)


def uniform_bound(eps):
    return math.pi / (2 * math.e) * eps / math.sqrt(1 - eps)


def test_responses_are_matrix_exponentials():
    A, B = network(12), 1.3 * network(12, 1) - 0.1 * np.eye(12)
    expected = np.linalg.norm(scipy.linalg.expm(0.7 * B) - scipy.linalg.expm(0.7 * A), 2)
    assert farthest(A, B, [0.7]) == pytest.approx(expected)


def test_the_uniform_bound_is_never_violated():
    times, worst = np.geomspace(0.01, 300, 60), []
    for seed in range(12):
        A = network(24, seed)
        for density in (0.5, 0.8):
            B = prune(A, density, seed=seed + 50)
            eps = spectrum.approximation_bounds(A, B).eps
            if eps < 1:  # beyond there is no bound
                worst.append(farthest(A, B, times) / uniform_bound(eps))
    assert len(worst) > 12
    assert max(worst) <= 1
    assert max(worst) > 0.3  # and it is not an empty promise


@pytest.mark.parametrize("eps", [0.05, 0.3, 0.7, 0.95])
def test_the_uniform_bound_holds_for_the_worst_pairs(eps):
    """Pairs M, M_s with forms within 1 ± eps, made to differ as much as they may."""
    for seed in range(20):
        source = rng(seed)
        q = np.linalg.qr(source.normal(size=(8, 8)))[0]
        M = q @ np.diag(np.geomspace(0.01, 10, 8)) @ q.T
        L = np.linalg.cholesky(M)
        u = np.linalg.qr(source.normal(size=(8, 8)))[0]
        Ms = L @ u @ np.diag(1 + eps * source.choice([-1, 1], 8)) @ u.T @ L.T
        reached = farthest(-M, -(Ms + Ms.T) / 2, np.geomspace(0.01, 1000, 60))
        assert reached <= uniform_bound(eps)


def test_the_predicted_edge_is_its_formula():
    A, p = rng().normal(size=(6, 6)) - 3 * np.eye(6), rng(1).random((6, 6))
    p[2, 3] = A[2, 3] = 0
    inflated = sum(A[i, j] ** 2 / p[i, j] for i in range(6) for j in range(6) if i != j and A[i, j])
    expected = A.diagonal().mean() + math.sqrt(inflated / 6)
    assert spectrum.predicted_edge(A, p) == pytest.approx(expected)
    many = spectrum.predicted_edge(np.stack([A, A]), np.stack([p, np.ones_like(p)]))
    assert many[0] == pytest.approx(expected)
    assert many[1] < many[0]
    assert spectrum.predicted_edge(torch.tensor(A), torch.tensor(p)) == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("density", [0.8, 0.4, 0.15])
def test_the_predicted_edge_is_where_pruned_random_networks_end(density):
    A = rate_networks.gaussian(200, 0.8, rng=s.generators(range(4), "network"))
    p = pruners.noise_keep_probability(A, rate_covariance.exact(A), density=density)
    coins = s.generators(range(4), "coins")
    B = pruners.sample_and_rescale(A, p, rng=coins, diagonal="original", symmetric=False)
    measured = spectrum.eigenvalues(B)[:, 0].mean()
    assert measured == pytest.approx(spectrum.predicted_edge(A, p).mean(), abs=0.1)


# --- what spectrum stands on --------------------------------------------------------------------


def test_symmetry_is_judged_but_for_rounding():
    A = network()
    assert arrays.is_symmetric(A)
    assert arrays.is_symmetric(np.stack([A, 2 * A]))
    assert not arrays.is_symmetric(network(symmetric=False))
    assert not arrays.is_symmetric(np.stack([A, network(symmetric=False)]))
    nudged = A.copy()
    nudged[0, 1] += 1e-13
    assert arrays.is_symmetric(nudged)
    nudged[0, 1] += 1e-6
    assert not arrays.is_symmetric(nudged)
    single = nudged.astype(np.float32)
    assert arrays.is_symmetric(single)
    assert arrays.is_symmetric(torch.tensor(single))
    assert arrays.is_symmetric(np.array([[0, 1], [1, 0]]))
    assert not arrays.is_symmetric(np.array([[0, 1], [2, 0]]))
    assert arrays.is_symmetric(np.zeros((0, 3, 3)))
    assert arrays.is_symmetric(np.array([[5.0]]))


def test_symmetric_eigenvalues_are_ascending_for_all_kinds():
    A = np.stack([network(12, seed=k) for k in range(2)])
    expected = np.linalg.eigvals(A).real
    expected.sort()
    np.testing.assert_allclose(arrays.eigvalsh(A), expected, rtol=1e-9)
    tensor = arrays.eigvalsh(torch.tensor(A))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor, expected, rtol=1e-9)
    with_gradient = arrays.eigvalsh(torch.tensor(A, requires_grad=True))
    np.testing.assert_allclose(with_gradient.detach(), expected, rtol=1e-9)
