"""The linear ordering problem: searches agree, and what is said to be exact is."""

import itertools

import numpy as np
import pytest
import torch

from shared import backward_share, matrices
from winnow import seeds as s
from winnow.metrics import linear_ordering, orderedness


def coupled(sizes, rng):
    """Blocks that each are one strongly connected component, driven one by the next."""
    parts = np.repeat(np.arange(len(sizes)), sizes)
    b = rng.random((len(parts), len(parts))) * (parts[:, None] <= parts)
    for part in np.unique(parts):
        units = np.flatnonzero(parts == part)
        b[units, np.roll(units, 1)] += 0.1
    shuffle = rng.permutation(len(parts))
    return (b * ~np.eye(len(parts), dtype=bool))[np.ix_(shuffle, shuffle)]


@pytest.mark.parametrize("sizes", [(8,), (13,), (14,), (5, 4), (13, 1), (2, 2, 2, 2, 5)], ids=str)
def test_the_integer_program_meets_the_subset_search(sizes):
    rng = np.random.default_rng(sum(sizes))
    blocks = np.stack([coupled(sizes, rng) for _ in range(2)])
    cost, _ = linear_ordering.subset_search(blocks)
    found, bound, orders = linear_ordering.integer_program(blocks, time_limit=60)
    np.testing.assert_allclose(found, cost, atol=1e-9)
    np.testing.assert_allclose(bound, cost, atol=1e-9)
    for b, sequence, least in zip(blocks, orders, cost, strict=True):
        assert sorted(sequence) == list(range(len(b)))
        assert np.tril(b[np.ix_(sequence, sequence)], -1).sum() == pytest.approx(least)


def residues(q):
    """The tournament of quadratic residues: cycles that no linear bound sees through."""
    squares = {x * x % q for x in range(1, q)}
    return np.array([[float((j - i) % q in squares) for j in range(q)] for i in range(q)])


@pytest.mark.slow
@pytest.mark.parametrize("forward", [1e2, 1e3, 1e4])
def test_large_forward_weights_do_not_hide_a_gap(forward):
    """A solver that stops at a share of its objective would certify a worse order."""
    rng = np.random.default_rng(5)
    b = rng.random((18, 18)) * 0.1
    b[:11, :11] += residues(11) * (1 + 0.2 * rng.random((11, 11)))
    b[11:, 11:] += residues(7) * (1 + 0.2 * rng.random((7, 7)))
    b[:11, 11:] += forward
    b *= ~np.eye(18, dtype=bool)
    least, _ = linear_ordering.subset_search(b[None], trace=False)
    found, bound, _ = linear_ordering.integer_program(b[None], time_limit=60)
    assert bound[0] <= least[0] * (1 + 1e-9)
    assert found[0] >= least[0] * (1 - 1e-9)
    if bound[0] == found[0]:
        assert found[0] == pytest.approx(least[0], rel=1e-9)


def test_the_subset_search_meets_the_integer_program_at_sixteen():
    block = coupled((16,), np.random.default_rng(3))[None]
    cost, [sequence] = linear_ordering.subset_search(block)
    assert np.tril(block[0][np.ix_(sequence, sequence)], -1).sum() == pytest.approx(cost[0])
    assert linear_ordering.integer_program(block, time_limit=60)[0] == pytest.approx(cost)


def test_many_matrices_give_what_each_gives_alone():
    blocks = np.abs(matrices(9, n_matrices=300))
    together, orders = linear_ordering.subset_search(blocks)
    for k in (0, 127, 128, 299):
        cost, alone = linear_ordering.subset_search(blocks[k : k + 1])
        assert cost[0] == together[k]
        assert (alone[0] == orders[k]).all()


def test_twenty_four_free_units_are_certified():
    a = matrices(25, density=0.25, n_matrices=1, seed=4)
    found = orderedness.orderedness(a, n_fixed=1)
    assert found.lower == found.value == found.upper == orderedness.value(a, n_fixed=1)
    [sequence] = found.order
    assert sequence[0] == 0
    assert backward_share(a[0], sequence) == pytest.approx(1 - found.value[0])
    b = np.abs(a[0][1:, 1:])
    pair_bound = (np.tril(np.minimum(b, b.T), -1).sum() + np.abs(a[0][1:, 0]).sum()) / abs(a).sum()
    assert found.value[0] <= 1 - pair_bound + 1e-12


@pytest.mark.parametrize("seconds", [1e-6, 0.05])
def test_without_time_the_bracket_is_valid(seconds):
    a = matrices(26, n_matrices=1, seed=6)[0]
    found = orderedness.orderedness(a, time_limit=seconds)
    assert found.lower == found.value < found.upper <= 1
    assert backward_share(a, found.order) == pytest.approx(1 - found.value)
    assert found.value > 0.55  # a random order leaves half


def test_a_bracket_holds_the_value_a_longer_search_finds():
    a = matrices(22, n_matrices=1, density=0.5, seed=7)[0]
    hasty, patient = (orderedness.orderedness(a, time_limit=t) for t in (1e-6, 60))
    assert hasty.lower <= patient.value <= hasty.upper
    assert patient.lower == patient.upper


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1e-320, 1e-300, 1e-30, 1e-11, 1e-7, 1e7, 1e30, 1e300, 1e306])
@pytest.mark.parametrize("h", [6, 24])
def test_exactness_does_not_hang_on_the_unit(h, unit):
    a = matrices(h, n_matrices=1, density=0.5 if h < 20 else 0.3, seed=8)[0]
    one = orderedness.orderedness(a)
    assert one.lower == one.upper
    found = orderedness.orderedness(unit * a)
    rounding = 1e-2 if unit < 1e-310 else 1e-12  # what is denormal has few digits
    assert found.lower == found.value == found.upper == pytest.approx(one.value, rel=rounding)


LAYOUTS = {
    "turned": lambda a: a[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
    "transposed": lambda a: np.ascontiguousarray(a.mT).mT,
    "fortran": np.asfortranarray,
    "list": lambda a: a.tolist(),
    "torch": torch.tensor,
    "torch view": lambda a: torch.tensor(a).mT.contiguous().mT,
    "float32": np.float32,
    "torch float32": lambda a: torch.tensor(a, dtype=torch.float32),
}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("unit", [1.0, 2.0**-100, 2.0**100])
def test_small_units_in_any_layout_and_beside_large_ones(layout, unit):
    a = matrices(22, n_matrices=2, levels=3, density=0.3, seed=9)
    expected = orderedness.orderedness(a).value
    found = orderedness.orderedness(layout(a * np.array([1.0, unit])[:, None, None]))
    assert (found.lower == found.upper).all()
    np.testing.assert_allclose(found.value, expected, rtol=1e-12)


def test_a_solver_that_claims_too_much_is_not_believed(monkeypatch):
    """Its order is priced anew, and a bound below that price is no proof."""
    a = matrices(24, n_matrices=1, density=0.5, seed=1)[0]
    exact, solve = orderedness.orderedness(a), linear_ordering._branch_and_cut
    backward = np.arange(24)[::-1]

    def boastful(b, seconds):
        return [backward], solve(b, seconds)[1] - 0.01 * b.sum()

    monkeypatch.setattr(linear_ordering, "_branch_and_cut", boastful)
    found = orderedness.orderedness(a)
    assert exact.lower == exact.upper
    assert found.lower < found.upper
    assert found.lower <= exact.value <= found.upper


@pytest.mark.parametrize("seed", range(4))
def test_bounds_without_the_solver_hold_the_truth(monkeypatch, seed):
    a = matrices(18, n_matrices=1, density=0.2, seed=seed, levels=2)[0]
    truth = orderedness.value(a)
    monkeypatch.setattr(linear_ordering, "_SMALL", 4)
    monkeypatch.setattr(linear_ordering, "_SECONDS", 1e9)
    monkeypatch.setattr(orderedness, "MAX_EXACT", 5)
    found = orderedness.orderedness(a)
    assert found.lower - 1e-12 <= truth <= found.upper + 1e-12
    assert found.upper - found.lower < 0.2
    assert backward_share(a, found.order) == pytest.approx(1 - found.value)


def test_a_large_sparse_network_has_a_good_order_at_once():
    """200 units with 399 edges: what heuristics find, however long the limit."""
    rng = np.random.default_rng(0)
    places = rng.choice(200 * 199, 399, replace=False)
    a = np.zeros((200, 200))
    a[places // 199, (places // 199 + 1 + places % 199) % 200] = 1
    found = orderedness.orderedness(a, time_limit=5)
    cost, bound = (round((1 - x) * 399) for x in (found.value, found.upper))
    assert backward_share(a, found.order) == pytest.approx(cost / 399)
    assert 8 < bound <= cost < 33  # igraph finds 33


@pytest.mark.parametrize("seconds", [-1, 0, np.nan])
@pytest.mark.parametrize("n", [3, 24])
@pytest.mark.parametrize("function", ["orderedness", "value", "decompose", "flip_null"])
def test_a_limit_that_is_none_is_refused(function, n, seconds):
    options = {"flip_null": {"n_draws": 2, "rng": s.generator(0, "null")}}
    with pytest.raises(ValueError, match=r"time_limit must be in \(0, inf\], got"):
        getattr(orderedness, function)(
            np.ones((1, n, n)), time_limit=seconds, **options.get(function, {})
        )


def test_bare_numbers_are_exact_or_missing():
    a, hasty = matrices(24, n_matrices=2, seed=6), {"time_limit": 1e-6}
    a[0] = np.triu(a[0])  # no search needed
    assert np.isnan(orderedness.value(a, **hasty)).tolist() == [False, True]
    parts = orderedness.decompose(a, **hasty)
    assert np.isnan(parts["frustration"]).tolist() == [False, True]
    assert not np.isnan(parts["reciprocity"]).any()
    null = orderedness.flip_null(a, n_draws=2, rng=s.generator(0, "null"), **hasty)
    assert np.isnan(null[1]).all()


def test_memory_is_asked_for_before_triples_are_listed(monkeypatch):
    monkeypatch.setattr("winnow.memory.free_gb", lambda: 1e-4)
    with pytest.raises(ValueError, match=r"the integer program of 24 units needs .* GB"):
        orderedness.orderedness(matrices(24, n_matrices=1))


@pytest.mark.parametrize("n", [3, 14, 30])
def test_rows_for_triples_are_those_of_combinations(n):
    rows = linear_ordering._no_cycles(n).toarray()
    index = {pair: k for k, pair in enumerate(itertools.combinations(range(n), 2))}
    for row, (i, j, k) in zip(rows, itertools.combinations(range(n), 3), strict=True):
        expected = np.zeros(len(index))
        expected[[index[i, j], index[j, k], index[i, k]]] = 1, 1, -1
        assert (row == expected).all()
