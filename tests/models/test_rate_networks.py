"""Networks have the clusters, weights, leak and spectrum that they say."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import norm

from winnow import memory
from winnow import seeds as s
from winnow.models import rate_networks

HARDLY_ANY = 1e-12  # no pair within clusters: what is left is long-range


def rng(seed=0):
    return s.generator(seed, "network")


def weights(A):
    """W of A = W - D."""
    return A - np.diag(A.diagonal())


def within(sizes):
    """Which entries lie inside a cluster."""
    label = np.repeat(range(len(sizes)), sizes)
    return label[:, None] == label


def n_entries(A):
    return np.count_nonzero(weights(A))


# --- clusters -----------------------------------------------------------------------------------


def test_the_sizes_add_up_and_the_authors_networks_are_theirs():
    assert all(sum(sizes) == n for n, sizes in rate_networks.SIZES.items())
    assert rate_networks.SIZES[2000] == (1000, 200, 800)
    assert rate_networks.SIZES[10000] == (6600, 1000, 1600, *[100] * 8)
    assert rate_networks.SIZES[3000] == (2700, 100, 100, 100)


@pytest.mark.parametrize("sizes", [(2, 2), (30, 20, 10), (90, 70)], ids=str)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("leak", [1.0, 1.5, 0.5])
def test_the_largest_eigenvalue_is_one_over_1_1_and_the_leak_the_sum_of_weights(
    sizes, symmetric, leak
):
    A = rate_networks.clustered(sizes, rng=rng(), density=0.9, leak=leak, symmetric=symmetric)
    W = weights(A)
    assert np.linalg.eigvals(W).real.max() == pytest.approx(1 / 1.1, rel=1e-9)
    np.testing.assert_allclose(-A.diagonal(), leak * np.abs(W).sum(1), rtol=1e-12)
    assert (W == W.T).all() == symmetric


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("n_long", [0, 2, 7, 40])
def test_long_range_entries_are_counted_and_uniform(symmetric, n_long):
    options = {"density": HARDLY_ANY, "symmetric": symmetric, "n_long": 2 * (n_long // 2)}
    if n_long == 0:
        A = rate_networks.clustered([20, 20], rng=rng(), n_long=0)
        assert not weights(A)[~within([20, 20])].any()
        return
    # Without clusters a directed graph may have no cycle and no positive eigenvalue.
    if not symmetric:
        options |= {"density": 1.0}
    A = rate_networks.clustered([20, 20], rng=rng(), **options | {"n_long": n_long})
    B = rate_networks.clustered([20, 20], rng=rng(), **options)
    assert (A == B).all()  # an odd number is rounded down to whole pairs
    if symmetric:
        assert n_entries(A) == 2 * (n_long // 2)
        assert (weights(A) >= 0).all()


@pytest.mark.parametrize(("n", "expected"), [(31, 52), (300, 500), (1998, 3330), (2000, 5000)])
def test_the_number_of_long_range_entries_follows_the_size(n, expected):
    sizes = [n // 2, n - n // 2]
    A = rate_networks.clustered(sizes, rng=rng(), density=HARDLY_ANY, as_sparse=True)
    assert A.nnz - n_isolated(A) == expected


def n_isolated(A):
    """Stored diagonal entries of a sparse network."""
    return np.count_nonzero(A.tocoo().coords[0] == A.tocoo().coords[1])


def test_long_range_weights_come_on_top_anywhere():
    sizes, n = [6, 5], 11
    many = [rng(seed) for seed in range(50)]
    nets = rate_networks.clustered(sizes, rng=many, density=1, n_long=n * (n - 1))
    inside, pooled = within(sizes), []
    for W in map(weights, nets):
        far = W[~inside]
        assert len(np.unique(far)) == 30  # one draw for each of the 6 x 5 pairs
        pooled.append(far.mean() / W[inside & ~np.eye(n, dtype=bool)].mean())
        assert (far > 0).all()
    # Inside, N(1, 1) + U(0, 1); outside, U(0, 1).
    assert np.mean(pooled) == pytest.approx(0.5 / 1.5, rel=0.1)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("density", [0.1, 0.6, 1.0])
def test_clusters_have_their_density(symmetric, density):
    sizes = [80, 50]
    A = rate_networks.clustered(sizes, rng=rng(1), density=density, n_long=0, symmetric=symmetric)
    n_pairs = sum(size * (size - 1) for size in sizes) // (2 if symmetric else 1)
    found = n_entries(A) / (2 if symmetric else 1)
    assert abs(found - density * n_pairs) <= 5 * math.sqrt(density * (1 - density) * n_pairs)
    assert not A[~within(sizes)].any()


def test_weights_within_clusters_are_normal_around_one():
    A = rate_networks.clustered([150], rng=rng(2), density=1, n_long=0)
    w = A[np.triu_indices(150, 1)]
    m = len(w)
    share = norm.cdf(-1)
    assert abs((w < 0).mean() - share) < 5 * math.sqrt(share * (1 - share) / m)
    assert w.mean() / w.std() == pytest.approx(1, abs=5 * math.sqrt(1.5 / m))


def test_two_directions_are_drawn_apart_when_asymmetric():
    A = rate_networks.clustered([100], rng=rng(3), density=0.5, n_long=0, symmetric=False)
    i, j = np.triu_indices(100, 1)
    assert abs(np.corrcoef(A[i, j] != 0, A[j, i] != 0)[0, 1]) < 5 / math.sqrt(len(i))
    both = (A[i, j] != 0) & (A[j, i] != 0)
    assert abs(np.corrcoef(A[i, j][both], A[j, i][both])[0, 1]) < 5 / math.sqrt(both.sum())


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("sizes", [(12, 8), (100, 40)], ids=str)
def test_sparse_networks_are_the_dense_ones(sizes, symmetric):
    options = {"symmetric": symmetric, "density": 0.3}
    thin = rate_networks.clustered(sizes, rng=rng(), as_sparse=True, **options)
    assert isinstance(thin, sparse.csr_array)
    assert thin.dtype == float
    assert (thin.toarray() == rate_networks.clustered(sizes, rng=rng(), **options)).all()


MAKERS = {
    "clustered": lambda g: rate_networks.clustered([70, 50], rng=g),
    "asymmetric": lambda g: rate_networks.clustered([70, 50], rng=g, symmetric=False),
    "bridged": lambda g: rate_networks.bridged([12, 8], 3, rng=g, push_pull=True, n_strong=2),
    "gaussian": lambda g: rate_networks.gaussian(9, 0.5, rng=g),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_network_does_not_depend_on_those_beside_it(make):
    among = make(s.generators([3, 8, 1], "network"))
    assert among.shape[0] == 3
    assert among.dtype == float
    assert (among[1] == make(rng(8))).all()
    assert (make([rng(8)]) == among[1:2]).all()
    assert (among[0] != among[1]).any()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_dominant_or_weak_network_is_stable(make):
    assert np.linalg.eigvals(make(rng(5))).real.max() < 0


def test_pairs_are_listed_in_order_and_exact_where_roots_round():
    i, j = rate_networks._pair(np.arange(4950))
    assert (np.stack([i, j]) == np.stack(np.tril_indices(100, -1))).all()
    for row in (10**5 + 7, 10**7 + 3, 40_000_001):
        first = row * (row - 1) // 2
        i, j = rate_networks._pair(np.array([first - 1, first, first + 1]))
        assert i.tolist() == [row - 1, row, row]
        assert j.tolist() == [row - 2, 0, 1]


# --- bridges ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_bridges", [1, 3, 7, 12])
@pytest.mark.parametrize("sizes", [(10, 6), (8, 5, 9), (4, 4, 4, 4)], ids=str)
def test_bridges_are_counted_and_dealt_evenly(sizes, n_bridges):
    A = rate_networks.bridged(sizes, n_bridges, rng=rng())
    label = np.repeat(range(len(sizes)), sizes)
    i, j = np.nonzero(np.tril(A, -1))
    across = label[i] != label[j]
    assert across.sum() == n_bridges
    dealt = [
        np.count_nonzero((label[i] == b) & (label[j] == a))
        for a, b in itertools.combinations(range(len(sizes)), 2)
    ]
    assert max(dealt) - min(dealt) <= 1
    assert (weights(A) >= 0).all()
    assert (A == A.T).all()


@pytest.mark.parametrize("grounding", [1e-6, 1e-2, 1.0])
@pytest.mark.parametrize("push_pull", [False, True])
def test_the_leak_beyond_the_weights_is_the_slowest_rate(grounding, push_pull):
    A = rate_networks.bridged([20, 15], 3, rng=rng(), grounding=grounding, push_pull=push_pull)
    total = np.abs(weights(A)).sum(1)
    np.testing.assert_allclose(-A.diagonal() - total, grounding * total.mean(), rtol=1e-8)
    slowest, largest = np.linalg.eigvalsh(A)[-1], np.linalg.eigvalsh(np.abs(weights(A)))[-1]
    assert slowest == pytest.approx(-grounding * total.mean(), rel=1e-7)
    assert largest == pytest.approx(1 / 1.1)


def test_weights_within_clusters_are_folded_normal_and_bridges_uniform():
    A = rate_networks.bridged([150, 40], 2000, rng=rng(), density=1)
    w = A[:150, :150][np.triu_indices(150, 1)]
    folded = np.abs(np.random.default_rng(0).normal(1, 1, 10**6))
    m = len(w)
    ratio = folded.mean() / folded.std()
    assert w.mean() / w.std() == pytest.approx(ratio, abs=6 * math.sqrt((1 + ratio**2 / 2) / m))
    scale = w.mean() / folded.mean()
    bridge = A[:150, 150:][A[:150, 150:] > 0] / scale
    assert bridge.max() < 1.03
    assert abs(bridge.mean() - 0.5) < 5 * math.sqrt(1 / 12 / 2000) + 0.01


def test_push_pull_keeps_the_spectrum_and_splits_every_cluster():
    sizes = [20, 16, 12]
    plain, mixed = (rate_networks.bridged(sizes, 5, rng=rng(), push_pull=p) for p in (False, True))
    np.testing.assert_allclose(np.linalg.eigvalsh(plain), np.linalg.eigvalsh(mixed), atol=1e-12)
    assert (np.abs(plain) == np.abs(mixed)).all()
    camp = np.sign(np.linalg.eigh(mixed)[1][:, -1])  # the slowest mode is the camps themselves
    assert (mixed == camp[:, None] * plain * camp).all()
    for cluster in np.split(camp, np.cumsum(sizes)[:-1]):
        assert set(cluster) == {-1, 1}


def test_strong_weights_are_counted_and_inside_clusters():
    plain, strong = (
        rate_networks.bridged([10, 10], 4, rng=rng(), density=1, n_strong=6, strength=x)
        for x in (1.0, 8.0)
    )
    i, j = np.nonzero(np.tril(plain, -1))
    ratio = strong[i, j] / plain[i, j]
    ratio /= np.median(ratio)
    marked = ratio > 2
    assert ratio[marked] == pytest.approx(np.full(6, 8.0))
    assert ratio[~marked] == pytest.approx(1)
    assert ((i[marked] < 10) == (j[marked] < 10)).all()


# --- without structure --------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.0, 0.3, 0.9])
def test_a_gaussian_network_fills_a_disc(gain):
    A = rate_networks.gaussian(300, gain, rng=rng())
    assert (A.diagonal() == -1).all()
    w = weights(A)
    assert w.std() == pytest.approx(gain / math.sqrt(300), rel=0.02)
    assert abs(np.linalg.eigvals(w)).max() == pytest.approx(gain, rel=0.1)


# --- what is refused ----------------------------------------------------------------------------

REFUSED = [
    (rate_networks.clustered, ([],), {}, r"clusters of 2 or more neurons, got \[\]"),
    (rate_networks.clustered, ([5, 1],), {}, r"clusters of 2 or more neurons, got \[5, 1\]"),
    (rate_networks.clustered, ([5],), {"density": 0}, r"density must be in \(0, 1\], got 0"),
    (rate_networks.clustered, ([5],), {"density": 1.1}, r"density must be in \(0, 1\], got 1\.1"),
    (rate_networks.clustered, ([5],), {"density": np.nan}, r"density must be in \(0, 1\], got nan"),
    (rate_networks.clustered, ([5],), {"leak": 0}, r"leak must be in \(0, inf\), got 0"),
    (rate_networks.clustered, ([5],), {"leak": np.nan}, r"leak must be in \(0, inf\), got nan"),
    (rate_networks.bridged, ([5, 5], 0), {}, r"n_bridges must be in \[1, 25\], got 0"),
    (rate_networks.bridged, ([5], 2), {}, r"two clusters or more to bridge, got \[5\]"),
    (
        rate_networks.bridged,
        ([5, 5], 2),
        {"grounding": 0},
        r"grounding must be in \(0, inf\), got 0",
    ),
    (rate_networks.bridged, ([5, 5], 2), {"density": 2}, r"density must be in \(0, 1\], got 2"),
    (rate_networks.gaussian, (5, 1.0), {}, r"gain must be in \[0, 1\), got 1\.0"),
    (rate_networks.gaussian, (5, -0.1), {}, r"gain must be in \[0, 1\), got -0\.1"),
    # counts that the sizes cannot hold
    (rate_networks.clustered, ([3, 3],), {"n_long": 32}, "n_long .* 32"),
    (rate_networks.clustered, ([3, 3],), {"n_long": -2}, "n_long .* -2"),
    (rate_networks.bridged, ([2, 2], 5), {}, "bridges"),
    (rate_networks.bridged, ([3, 3], 2), {"n_strong": 99, "density": 1}, "n_strong .* 99"),
    (rate_networks.clustered, ([5],), {"density": HARDLY_ANY, "n_long": 0}, "density|synapse"),
]


@pytest.mark.parametrize(("make", "sizes", "options", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_out_of_range_is_named(make, sizes, options, words):
    with pytest.raises(ValueError, match=words):
        make(*sizes, rng=rng(), **options)


def test_a_sparse_network_takes_one_generator():
    with pytest.raises(ValueError, match="got 2 generators for 1 replicas"):
        rate_networks.clustered([5, 5], rng=[rng(), rng()], as_sparse=True)


PEAKS = {
    "one": lambda: rate_networks.clustered([500], rng=rng()),
    "six": lambda: rate_networks.clustered([250], rng=[rng()] * 6),
    "sparse": lambda: rate_networks.clustered([500], rng=rng(), as_sparse=True),
    "thin": lambda: rate_networks.clustered([1500], rng=rng(), density=0.001, as_sparse=True),
    "gaussian": lambda: rate_networks.gaussian(400, 0.5, rng=rng()),
}


@pytest.mark.parametrize("make", PEAKS.values(), ids=PEAKS)
def test_no_more_memory_is_used_than_was_asked_for(make, monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "require", lambda n_bytes, what: asked.append(n_bytes))
    make()  # imports and caches
    tracemalloc.start()
    make()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * asked[-1] + 1e5
