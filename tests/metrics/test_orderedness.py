"""Orderedness against permutations and closed forms, its parts and its nulls."""

import itertools

import numpy as np
import pytest
import torch

from shared import backward_share, matrices
from winnow import models
from winnow import seeds as s
from winnow.metrics import orderedness
from winnow.training import fits


def best_by_permutation(weights, n_fixed):
    """Orderedness of one matrix by trying every order, from the definition."""
    a = np.abs(weights)
    if a.sum() == 0:
        return np.nan
    prefix, free = tuple(range(n_fixed)), range(n_fixed, len(a))
    costs = (
        sum(
            a[late, early]
            for place, late in enumerate(prefix + tail)
            for early in (prefix + tail)[:place]
        )
        for tail in itertools.permutations(free)
    )
    return 1 - min(costs) / a.sum()


MAKES = {"dense": {}, "sparse": {"density": 0.3}, "ties": {"levels": 2}}


# --- the value ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKES)
@pytest.mark.parametrize(
    ("n", "n_fixed"), [(n, m) for n in range(1, 8) for m in range(4) if m <= n]
)
def test_value_and_order_are_those_of_all_permutations(n, n_fixed, kind):
    a = matrices(n, **MAKES[kind])
    found = orderedness.orderedness(a, n_fixed=n_fixed)
    expected = np.array([best_by_permutation(matrix, n_fixed) for matrix in a])
    np.testing.assert_allclose(found.value, expected, atol=1e-12)
    np.testing.assert_allclose(orderedness.value(a, n_fixed=n_fixed), expected, atol=1e-12)
    for matrix, sequence, value in zip(a, found.order, found.value, strict=True):
        assert sorted(sequence) == list(range(n))
        assert sequence[:n_fixed].tolist() == list(range(n_fixed))
        if not np.isnan(value):
            assert backward_share(matrix, sequence) == pytest.approx(1 - value, abs=1e-12)


@pytest.mark.parametrize("n_fixed", [0, 2, 4])
def test_all_zero_gives_nan_and_the_identity(n_fixed):
    found = orderedness.orderedness(np.zeros((2, 4, 4)), n_fixed=n_fixed)
    assert np.isnan([found.value, found.lower, found.upper]).all()
    assert (found.order == np.arange(4)).all()


def test_one_self_loop_is_ordered():
    assert orderedness.orderedness(np.array([[-3.0]])).value == 1
    assert np.isnan(orderedness.value(np.zeros((1, 1))))


@pytest.mark.parametrize("n", [2, 6, 14, 24])
def test_a_shuffled_strict_triangle_is_fully_ordered(n):
    shuffle = np.random.default_rng(n).permutation(n)
    triangle = np.triu(matrices(n, n_matrices=1)[0], 1)
    found = orderedness.orderedness(triangle[np.ix_(shuffle, shuffle)])
    assert found.value == found.lower == found.upper == 1
    assert backward_share(triangle[np.ix_(shuffle, shuffle)], found.order) == 0


@pytest.mark.parametrize("n", [3, 5, 9])
def test_a_directed_ring_must_cut_one_edge(n):
    ring = np.roll(np.eye(n), 1, axis=1)
    assert orderedness.value(ring) == pytest.approx(1 - 1 / n)


def test_a_symmetric_matrix_is_half_ordered_apart_from_self_loops():
    a = matrices(6, n_matrices=1)[0]
    both = np.abs(a) + np.abs(a).T
    assert orderedness.value(both - np.diag(np.diag(both))) == pytest.approx(0.5)
    assert orderedness.value(both) == pytest.approx((1 + np.trace(both) / both.sum()) / 2)


@pytest.mark.parametrize("n_fixed", [0, 1, 3])
def test_free_labels_scale_and_signs_do_not_matter(n_fixed):
    a, rng = matrices(7), np.random.default_rng(1)
    value = orderedness.value(a, n_fixed=n_fixed)
    moved = np.r_[np.arange(n_fixed), n_fixed + rng.permutation(7 - n_fixed)]
    relabelled = a[:, moved][:, :, moved]
    signs = rng.choice([-1, 1], size=a.shape)
    for same in (relabelled, 17.3 * a, 1e-200 * a, signs * a, 0.1 * signs * relabelled):
        np.testing.assert_allclose(orderedness.value(same, n_fixed=n_fixed), value, atol=1e-12)


def test_the_fixed_units_do_matter():
    chain = np.array([[0.0, 0.0], [1.0, 0.0]])  # unit 0 drives unit 1
    assert orderedness.value(chain) == 1
    assert orderedness.value(chain, n_fixed=1) == 0
    assert orderedness.value(chain, n_fixed=2) == 0


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (2, 1, 2), (0,)])
def test_any_leading_axes(batch):
    a = np.random.default_rng(2).normal(size=(*batch, 5, 5))
    found = orderedness.orderedness(a, n_fixed=1)
    assert found.value.shape == found.lower.shape == found.upper.shape == batch
    assert found.order.shape == (*batch, 5)
    for at in np.ndindex(batch):
        assert found.value[at] == orderedness.value(a[at], n_fixed=1)
    assert orderedness.flip_null(a, n_draws=4, rng=s.generator(0, "null")).shape == (*batch, 4)
    assert orderedness.decompose(a)["feedback"].shape == batch


def every_function(a):
    rng = s.generator(0, "null")
    found, parts = orderedness.orderedness(a, n_fixed=1), orderedness.decompose(a, n_fixed=1)
    yield from (found.value, found.order, found.lower, found.upper, orderedness.value(a))
    yield from parts.values()
    yield orderedness.flip_directions(a, n_draws=3, rng=rng)
    yield orderedness.shuffle_rows(a, n_draws=3, rng=rng)
    yield orderedness.flip_null(a, n_draws=3, rng=rng)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_matrices", [0, 2])
def test_tensors_give_tensors_and_arrays_arrays(n_matrices, dtype):
    a = torch.from_numpy(matrices(5, n_matrices=n_matrices)).to(dtype).requires_grad_()
    plain = a.detach().numpy().astype(float)
    for ours, theirs in zip(every_function(a), every_function(plain), strict=True):
        assert isinstance(ours, torch.Tensor)
        assert not ours.requires_grad
        assert isinstance(theirs, np.ndarray)
        np.testing.assert_array_equal(ours.numpy(), theirs)


def test_weights_are_left_as_they_were():
    a = matrices(5)
    kept = a.copy()
    list(every_function(a))
    assert (a == kept).all()


@pytest.mark.parametrize(
    ("weights", "n_fixed", "words"),
    [
        (np.ones((2, 3)), 0, r"weights must be square, .* got \(2, 3\)"),
        (np.ones(3), 0, r"weights must be square, .* got \(3,\)"),
        (np.full((2, 2), np.nan), 0, "weights must be finite, got NaN or infinity"),
        (np.array([[1, np.inf], [1, 1]]), 0, "weights must be finite"),
        (np.ones((2, 2)), -1, r"n_fixed must be in \[0, 2\], got -1"),
        (np.ones((2, 2)), 3, r"n_fixed must be in \[0, 2\], got 3"),
        (np.ones((2, 2)), 0.5, r"n_fixed must be a whole number, got 0\.5"),
    ],
)
@pytest.mark.parametrize(
    "function", [orderedness.orderedness, orderedness.value, orderedness.decompose]
)
def test_bad_input_is_named(function, weights, n_fixed, words):
    with pytest.raises(ValueError, match=words):
        function(weights, n_fixed=n_fixed)


# --- its parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKES)
@pytest.mark.parametrize("n_fixed", range(4))
def test_the_parts_add_up_and_none_is_negative(n_fixed, kind):
    a = matrices(6, n_matrices=20, **MAKES[kind])
    p = orderedness.decompose(a, n_fixed=n_fixed)
    parts = np.stack(list(p.values()))
    np.testing.assert_allclose(parts.sum(0), 1 - orderedness.value(a, n_fixed=n_fixed), atol=1e-12)
    assert parts.min() > -1e-12


@pytest.mark.parametrize(
    ("weights", "n_fixed", "expected"),
    [
        ([[0, 1], [3, 0]], 2, (0.75, 0, 0, 0)),  # both in the prefix: 3 of 4 backward
        ([[0, 1], [3, 0]], 1, (0, 0.75, 0, 0)),  # from the output to the hidden unit
        ([[0, 1], [3, 0]], 0, (0, 0, 0.25, 0)),  # the weaker of a pair
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], 0, (0, 0, 0, 1 / 3)),  # a ring loses one edge
        ([[0, 2, 0], [1, 0, 2], [2, 1, 0]], 0, (0, 0, 2 / 8, 1 / 8)),
    ],
)
def test_each_part_has_its_own_cause(weights, n_fixed, expected):
    p = orderedness.decompose(np.array(weights), n_fixed=n_fixed)
    np.testing.assert_allclose(list(p.values()), expected, atol=1e-15)


def test_nothing_has_no_parts():
    parts = orderedness.decompose(np.zeros((3, 3)), n_fixed=1)
    assert np.isnan(list(parts.values())).all()


# --- null models --------------------------------------------------------------------------------


def test_flips_keep_pairs_and_diagonal():
    a = np.abs(matrices(6, density=0.7))
    copies = orderedness.flip_directions(-a, n_draws=40, rng=s.generator(0, "null"))
    assert copies.shape == (3, 40, 6, 6)
    np.testing.assert_array_equal(copies + copies.mT, (a + a.mT)[:, None].repeat(40, 1))
    low, high = np.minimum(copies, copies.mT), np.minimum(a, a.mT)
    np.testing.assert_array_equal(low, high[:, None].repeat(40, 1))
    diagonal = np.diagonal(copies, axis1=-2, axis2=-1)
    np.testing.assert_array_equal(
        diagonal, np.diagonal(a, axis1=-2, axis2=-1)[:, None].repeat(40, 1)
    )


def test_each_pair_flips_half_of_the_time_and_independently():
    a = np.triu(np.ones((4, 4)), 1)
    copies = orderedness.flip_directions(a, n_draws=4000, rng=s.generator(0, "null"))
    flipped = copies[:, *np.tril_indices(4, -1)]
    bound = 4 / np.sqrt(4 * 4000)
    assert abs(flipped.mean(0) - 0.5).max() < bound
    correlations = np.corrcoef(flipped.T) - np.eye(6)
    assert abs(correlations).max() < 4 / np.sqrt(4000)


def test_shuffles_keep_each_rows_entries():
    a = np.abs(matrices(5, density=0.6))
    copies = orderedness.shuffle_rows(-a, n_draws=30, rng=s.generator(0, "null"))
    assert copies.shape == (3, 30, 5, 5)
    np.testing.assert_array_equal(np.sort(copies), np.sort(a)[:, None].repeat(30, 1))
    assert (copies != a[:, None]).mean() > 0.3


def test_a_shuffled_entry_lands_anywhere_in_its_row():
    a = np.zeros((3, 3))
    a[0, 1] = 1
    copies = orderedness.shuffle_rows(a, n_draws=6000, rng=s.generator(1, "null"))
    expected = a[:, [1]] * np.ones(3) / 3
    assert abs(copies.mean(0) - expected).max() < 4 * np.sqrt(0.25 / 6000)
    assert (copies.sum((-2, -1)) == 1).all()


@pytest.mark.parametrize(
    "null",
    [
        orderedness.flip_directions,
        orderedness.flip_null,
        orderedness.shuffle_rows,
    ],
    ids=["flips", "flip null", "shuffle"],
)
def test_a_replica_does_not_see_its_neighbours(null):
    a = matrices(5, n_matrices=30)
    few, many = (null(a[:k], n_draws=4, rng=s.generators(range(k), "null")) for k in (3, 30))
    np.testing.assert_array_equal(few, many[:3])
    with pytest.raises(ValueError, match="n_draws must be 1 or larger, got 0"):
        null(a, n_draws=0, rng=s.generators(range(30), "null"))


@pytest.mark.parametrize(("n_hidden", "seed"), [(5, 0), (8, 1000)])
def test_the_flip_null_is_calibrated_on_untrained_networks(n_hidden, seed):
    layer = models.CompleteLayer(2, n_hidden, 1, seeds=range(seed, seed + 400))
    block = fits.square(layer.weights.detach())
    rng = s.generators(layer.seeds, "null")
    null = orderedness.flip_null(block, n_fixed=1, n_draws=20, rng=rng).mean(-1)
    excess = orderedness.value(block, n_fixed=1) - null
    assert abs(excess.mean()) < 3 * excess.std() / np.sqrt(len(excess))


def test_the_flip_null_sees_planted_direction():
    a = np.triu(np.abs(matrices(6, n_matrices=20)), 1) + 0.2 * np.abs(matrices(6, n_matrices=20))
    null = orderedness.flip_null(a, n_draws=30, rng=s.generators(range(20), "null")).mean(-1)
    assert (orderedness.value(a) - null).min() > 0


# --- agreement with a planted order -------------------------------------------------------------


def planted(n, *, seed=0, density=0.5):
    """A strict order's pairs in random places: column's unit upstream of row's."""
    rng = np.random.default_rng([seed, n])
    shuffle = rng.permutation(n)
    return np.triu(rng.random((n, n)) < density, 1)[np.ix_(shuffle, shuffle)]


def tau_by_pairs(order, upstream):
    order = list(order)
    pairs = [(row, column) for row, column in np.ndindex(upstream.shape) if upstream[row, column]]
    signs = [1 if order.index(row) < order.index(column) else -1 for row, column in pairs]
    return np.mean(signs) if signs else np.nan


@pytest.mark.parametrize("n", range(1, 8))
def test_agreement_is_what_counting_pairs_gives(n):
    rng = np.random.default_rng(n)
    for seed in range(20):
        upstream, order = planted(n, seed=seed), rng.permutation(n)
        found = orderedness.agreement(order, upstream)
        assert found == pytest.approx(tau_by_pairs(order, upstream), nan_ok=True)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_a_planted_order_agrees_and_its_reverse_does_not(n):
    shuffle = np.random.default_rng(n).permutation(n)  # a unit's place
    upstream = shuffle[:, None] < shuffle
    assert orderedness.agreement(np.argsort(shuffle), upstream) == 1
    assert orderedness.agreement(np.argsort(-shuffle), upstream) == -1
    weights = np.where(upstream, np.random.default_rng(n).normal(size=(n, n)), 0)
    assert orderedness.agreement(orderedness.orderedness(weights).order, upstream) == 1


def test_chance_agreement_is_zero_and_labels_do_not_matter():
    upstream, shuffle = planted(5), np.random.default_rng(0).permutation(5)
    orders = np.array(list(itertools.permutations(range(5))))
    found = orderedness.agreement(orders, upstream)
    assert found.mean() == pytest.approx(0, abs=1e-12)
    relabelled = orderedness.agreement(
        np.argsort(shuffle)[orders], upstream[np.ix_(*[shuffle] * 2)]
    )
    np.testing.assert_array_equal(found, relabelled)


def test_agreement_needs_a_decided_pair():
    found = orderedness.agreement(np.arange(3), np.stack([np.zeros((3, 3)), np.eye(3, k=1)]))
    np.testing.assert_array_equal(found, [np.nan, 1])
    assert np.isnan(orderedness.agreement(np.zeros((2, 0), int), np.zeros((2, 0, 0)))).all()


def test_batches_of_orders_are_held_against_one_planted_order_each():
    rng = np.random.default_rng(3)
    orders = rng.permuted(np.tile(np.arange(5), (3, 4, 1)), axis=-1)
    upstream = np.stack([planted(5, seed=k) for k in range(3)])
    found = orderedness.agreement(orders, upstream[:, None])
    assert found.shape == (3, 4)
    for k, draw in np.ndindex(3, 4):
        assert found[k, draw] == orderedness.agreement(orders[k, draw], upstream[k])


def test_agreement_of_tensors_is_a_tensor_and_leaves_them_alone():
    order, upstream = np.array([[2, 0, 1], [0, 1, 2]]), planted(3, density=1)
    tensors = torch.from_numpy(order), torch.from_numpy(upstream)
    found = orderedness.agreement(*tensors)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found.numpy(), orderedness.agreement(order, upstream))
    assert isinstance(orderedness.agreement(tensors[0][0], upstream), torch.Tensor)
    assert tensors[0].tolist() == [[2, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize(
    ("order", "upstream", "words"),
    [
        ([0, 1], np.eye(3, k=1), r"order must hold each of 3 units once, got shape \(2,\)"),
        ([0], np.eye(3, k=1), "order must hold each of 3 units once"),
        ([0, 1, 1], np.eye(3, k=1), "order must hold each of 3 units once"),
        ([1, 2, 3], np.eye(3, k=1), "order must hold each of 3 units once"),
        ([0, 1, np.nan], np.eye(3, k=1), "order must hold each of 3 units once"),
        ([0, 1, 2], 0.3 * np.eye(3, k=1), r"upstream must hold 0 and 1 only, got 0\.3"),
        ([0, 1, 2], np.full((3, 3), np.nan), "upstream must hold 0 and 1 only, got nan"),
    ],
)
def test_orders_that_leave_out_units_are_refused(order, upstream, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        orderedness.agreement(np.array(order), upstream)
