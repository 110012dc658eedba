"""Trajectories follow their equation, and pruned copies share starts and noise."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy import sparse

from winnow import seeds as s
from winnow.models import rate_covariance, rate_dynamics


def rng(seed=0):
    return np.random.default_rng(seed)


def network(n=5, seed=0):
    return rng(seed).normal(size=(n, n)) / math.sqrt(n) - 2 * np.eye(n)


def last(*arguments, **options):
    """The state after the last step."""
    *_, state = rate_dynamics.trajectory(*arguments, **options)
    return state


def by_hand(A, start, *, n_steps, dt, current=0.0, rectified=False):
    """One network and one state, in loops."""
    states, x = [], start.copy()
    for _ in range(n_steps):
        slope = np.empty_like(x)
        for i in range(len(x)):
            inflow = sum(A[i, j] * x[j] for j in range(len(x)) if j != i)
            inflow += np.broadcast_to(current, x.shape)[i]
            slope[i] = A[i, i] * x[i] + (max(inflow, 0.0) if rectified else inflow)
        x = x + dt * slope
        states.append(x)
    return np.array(states)


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("current", [0.0, -0.3, rng(3).normal(size=5)], ids=str)
def test_states_are_those_of_loops(rectified, current):
    A, start = network(), rng(1).normal(size=5)
    options = {"n_steps": 7, "dt": 0.1, "current": current, "rectified": rectified}
    found = np.array(list(rate_dynamics.trajectory(A, start[None], **options)))
    assert found.shape == (7, 1, 5)
    np.testing.assert_allclose(found[:, 0], by_hand(A, start, **options), rtol=1e-12)


def test_small_steps_reach_the_matrix_exponential():
    A, start, b = network(), rng(1).normal(size=(3, 5)), rng(2).normal(size=(3, 5))
    grow, rest = scipy.linalg.expm(2.0 * A), -np.linalg.solve(A, b.T)
    exact = (grow @ (start.T - rest) + rest).T
    errors = []
    for n_steps in (500, 1000, 2000):
        found = last(A, start, n_steps=n_steps, dt=2.0 / n_steps, current=b)
        errors.append(abs(found - exact).max())
    assert errors[-1] < 2e-3
    for rough, fine in itertools.pairwise(errors):
        assert rough / fine == pytest.approx(2, rel=0.02)  # first order


def test_a_linear_network_comes_to_rest_where_the_equation_says():
    A, b = network(), rng(2).normal(size=(4, 5))
    found = last(A, np.zeros((4, 5)), n_steps=400, dt=0.2, current=b)
    np.testing.assert_allclose(found, -np.linalg.solve(A, b.T).T, rtol=1e-8, atol=1e-10)


def test_a_rectified_network_at_rest_is_a_linear_one_of_its_active_neurons():
    A, b = network(12, seed=4), rng(5).normal(size=12)
    x = last(A, np.zeros((1, 12)), n_steps=2000, dt=0.2, current=b[None], rectified=True)[0]
    on = x > 1e-9
    assert 0 < on.sum() < 12
    np.testing.assert_allclose(x[on], -np.linalg.solve(A[np.ix_(on, on)], b[on]), rtol=1e-8)
    W = A - np.diag(A.diagonal())
    assert (W @ x + b)[~on].max() <= 1e-9


def test_rectification_changes_nothing_while_all_receive_something():
    A = np.abs(network()) * (1 - np.eye(5)) / 5 - np.eye(5)
    options = {"n_steps": 20, "dt": 0.1, "current": 0.1}
    start = np.ones((2, 5))
    np.testing.assert_allclose(
        last(A, start, **options), last(A, start, rectified=True, **options), rtol=1e-12
    )


def test_a_swinging_input_is_followed_with_its_lag():
    """Each mode v of x' = A x + u sin(w t) by itself, from rest."""
    A, w, T = -np.diag([0.5, 1.0, 2.0]), 1.3, 3.0
    turn = np.linalg.qr(rng(3).normal(size=(3, 3)))[0]
    towards, r = rng(4).normal(size=(2, 3)), np.array([0.5, 1.0, 2.0])
    response = (r * np.sin(w * T) - w * np.cos(w * T) + w * np.exp(-r * T)) / (r**2 + w**2)
    exact = towards @ turn * response @ turn.T
    errors = []
    for n_steps in (500, 1000, 2000):
        found = last(
            turn @ A @ turn.T,
            np.zeros((2, 3)),
            n_steps=n_steps,
            dt=T / n_steps,
            current=lambda t: towards * np.sin(w * t),
        )
        errors.append(abs(found - exact).max())
    assert errors[-1] < 2e-3
    for rough, fine in itertools.pairwise(errors):
        assert rough / fine == pytest.approx(2, rel=0.02)


def test_input_is_that_of_the_beginning_of_a_step():
    seen = []
    states = rate_dynamics.trajectory(
        np.zeros((1, 1)),
        np.zeros((1, 1)),
        n_steps=3,
        dt=0.5,
        current=lambda t: [seen.append(t) or t],
    )
    assert [float(x[0, 0]) for x in states] == [0, 0.25, 0.75]
    assert seen[-3:] == [0, 0.5, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, int])
@pytest.mark.parametrize("options", [{}, {"rectified": True}, {"sigma": 0.2}], ids=str)
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.coo_array])
def test_a_sparse_network_moves_as_a_dense_one(dtype, options, kind):
    A = (2 * network(8) * (rng(2).random((8, 8)) < 0.5)).astype(dtype)
    A[3] = A[:, 3] = 0  # a neuron that was cut off stores nothing, not even its leak
    start, b = rng(1).random((4, 8)), rng(5).normal(size=(4, 8))
    for current in (b, lambda t: b * t):
        expected, found = (
            last(a, start, n_steps=6, dt=0.1, current=current, rng=rng(7), **options)
            for a in (A, kind(A))
        )
        assert isinstance(found, np.ndarray)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


# --- noise --------------------------------------------------------------------------------------


def test_noise_is_added_with_the_root_of_the_step():
    A, start, dt = network(), np.zeros((2, 5)), 0.05
    options = {"n_steps": 6, "dt": dt, "sigma": 0.3, "rng": rng(7)}
    found = list(rate_dynamics.trajectory(A, start, **options))
    source, x = rng(7), start
    for state in found:
        kick = source.standard_normal((1, 2, 5))[0]
        x = x + dt * x @ A.T + 0.3 * math.sqrt(dt) * kick
        np.testing.assert_allclose(state, x, rtol=1e-12)


def test_noise_has_the_stationary_covariance():
    A = np.array([[-1.0, 0.4, 0.0], [0.4, -1.5, -0.3], [0.0, -0.3, -1.0]])
    c, dt = 20_000, 0.05
    x = last(A, np.zeros((c, 3)), n_steps=200, dt=dt, sigma=0.5, rng=rng(8))
    M = -A
    expected = 0.125 * np.linalg.inv(M) @ np.linalg.inv(np.eye(3) - dt * M / 2)
    spread = np.sqrt((np.outer(expected.diagonal(), expected.diagonal()) + expected**2) / c)
    assert (abs(x.T @ x / c - expected) < 5 * spread).all()
    assert abs(x.T @ x / c / (0.25 * rate_covariance.exact(A)) - 1)[0, 0] < 0.1


def test_noise_stands_outside_the_rectifier():
    x = last(-np.eye(2), np.zeros((5000, 2)), n_steps=1, dt=1.0, sigma=1.0, rng=rng(), rectified=1)
    assert (x < 0).mean() == pytest.approx(0.5, abs=0.03)


def test_pruned_copies_share_starts_and_noise():
    A = np.stack([network(seed=k) for k in range(3)])
    copies = np.stack([A, A / 2 - np.eye(5), A])
    start = rng(9).random((3, 4, 5))
    options = {"n_steps": 5, "dt": 0.1, "sigma": 0.2, "current": 0.1}
    together = last(copies, start, rng=s.generators(range(3), "noise"), **options)
    assert together.shape == (3, 3, 4, 5)
    assert (together[0] == together[2]).all()
    assert (together[0] != together[1]).any()
    for copy, states in zip(copies, together, strict=True):
        found = last(copy, start, rng=s.generators(range(3), "noise"), **options)
        np.testing.assert_allclose(states, found, rtol=1e-12)
        alone = last(copy[1], start[1], rng=s.generator(1, "noise"), **options)
        np.testing.assert_allclose(states[1], alone, rtol=1e-12)


def test_one_generator_serves_all_networks_with_different_noise():
    A = np.stack([-np.eye(2)] * 2)
    x = last(A, np.zeros((3, 2)), n_steps=1, dt=1.0, sigma=1.0, rng=rng())
    assert x.shape == (2, 3, 2)
    assert len(np.unique(x)) == 12


# --- kinds and shapes ---------------------------------------------------------------------------


def test_one_start_serves_many_networks_and_one_network_many_starts():
    A, start = np.stack([network(seed=k) for k in range(3)]), rng().normal(size=(4, 5))
    many = last(A, start, n_steps=3, dt=0.1)
    assert many.shape == (3, 4, 5)
    for k, c in np.ndindex(3, 4):
        alone = last(A[k], start[c : c + 1], n_steps=3, dt=0.1)
        np.testing.assert_allclose(many[k, c], alone[0], rtol=1e-12)


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_are_of_the_kind_of_the_network(rectified, dtype):
    A, start = network(), rng().random((2, 5))
    options = {"n_steps": 3, "dt": 0.1, "rectified": rectified}
    expected = last(A, start, sigma=0.1, rng=rng(), **options)
    found = last(
        torch.tensor(A, dtype=dtype),
        torch.tensor(start, dtype=dtype),
        sigma=0.1,
        rng=rng(),
        **options,
    )
    assert isinstance(expected, np.ndarray)
    assert isinstance(found, torch.Tensor)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_inputs_are_untouched_and_states_are_not_shared():
    A, start = network(), rng().random((2, 5))
    kept = A.copy(), start.copy()
    states = list(rate_dynamics.trajectory(A, start, n_steps=3, dt=0.1, sigma=0.1, rng=rng()))
    assert (kept[0] == A).all()
    assert (start == kept[1]).all()
    assert len({state.tobytes() for state in states}) == 3
    assert list(rate_dynamics.trajectory(A, start, n_steps=0, dt=0.1)) == []


@pytest.mark.parametrize(
    ("A", "start"),
    [
        (network().astype(np.float32), rng().random((2, 5))),
        (network(), rng().random((2, 5)).astype(np.float32)),
        (np.array([[-1, 1], [0, -2]]), rng().random((2, 2))),
        (-np.eye(2), np.ones((2, 2), int)),
    ],
    ids=["single network", "single start", "integer network", "integer start"],
)
def test_networks_and_starts_of_different_types_go_together(A, start):
    found = last(A, start, n_steps=4, dt=0.1)
    expected = last(A.astype(float), start.astype(float), n_steps=4, dt=0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dt": 0}, r"dt must be in \(0, inf\), got 0"),
        ({"dt": -0.5}, r"dt must be in \(0, inf\), got -0\.5"),
        ({"dt": np.nan}, r"dt must be in \(0, inf\), got nan"),
        ({"dt": 0.1, "sigma": 0.2}, r"noise of 0\.2 needs a generator: pass rng"),
    ],
)
def test_bad_options_are_named_when_asked_not_when_used(options, words):
    with pytest.raises(ValueError, match=words):
        next(rate_dynamics.trajectory(network(), np.ones((1, 5)), n_steps=1, **options))
    with pytest.raises(ValueError, match=words):
        rate_dynamics.trajectory(network(), np.ones((1, 5)), n_steps=1, **options)


def test_a_generator_for_each_network_is_asked_for():
    A = np.stack([network()] * 3)
    with pytest.raises(ValueError, match="got 2 generators for 3 replicas"):
        last(A, np.ones((1, 5)), n_steps=1, dt=0.1, sigma=1.0, rng=[rng()] * 2)


def test_a_state_without_its_axis_does_not_pass_for_many():
    """(n,) against (S, n, n) would turn into S states of each network at the second step."""
    try:
        x = last(np.stack([network()] * 3), np.ones(5), n_steps=2, dt=0.1)
    except ValueError:
        return
    assert x.shape in {(3, 5), (3, 1, 5)}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["A", "start", "current"])
def test_nan_and_infinity_are_refused_at_the_door(where, bad):
    given = {"A": network(), "start": np.ones((1, 5)), "current": np.ones((1, 5))}
    given[where][0, 1] = bad
    with pytest.raises(ValueError, match=f"{where} must be finite, got NaN or infinity"):
        rate_dynamics.trajectory(**given, n_steps=1, dt=0.1)


def test_nan_is_refused_in_a_sparse_network_and_in_changing_input():
    A, start = network(), np.ones((1, 5))
    bad = A.copy()
    bad[0, 1] = np.nan
    with pytest.raises(ValueError, match="A must be finite, got NaN or infinity"):
        rate_dynamics.trajectory(sparse.csr_array(bad), start, n_steps=1, dt=0.1)
    with pytest.raises(ValueError, match="current must be finite, got NaN or infinity"):
        rate_dynamics.trajectory(A, start, n_steps=1, dt=0.1, current=lambda t: start * np.nan)


def test_a_sparse_network_is_square_and_its_start_fits():
    with pytest.raises(ValueError, match=r"A must be square, \(n, n\), got \(4, 5\)"):
        rate_dynamics.trajectory(
            sparse.csr_array(network()[:4]), np.ones((1, 5)), n_steps=1, dt=0.1
        )
    with pytest.raises(ValueError, match=r"start must be \(\.\.\., c, 5\)"):
        rate_dynamics.trajectory(sparse.csr_array(network()), np.ones((1, 4)), n_steps=1, dt=0.1)


def test_layouts_do_not_matter():
    A, x = network(), rng(1).normal(size=(3, 5))
    backwards = np.ascontiguousarray(A[::-1, ::-1])[::-1, ::-1]
    fixed = x.copy()
    fixed.flags.writeable = False
    expected = last(A, x, n_steps=4, dt=0.1)
    np.testing.assert_allclose(last(backwards, fixed, n_steps=4, dt=0.1), expected, rtol=1e-12)
