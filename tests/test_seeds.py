"""A stream belongs to one seed and one purpose."""

import numpy as np
import pytest

from winnow import seeds as s

PURPOSES = ("weights", "batches", "random mask", "flip null", "bootstrap", "inputs")


def test_one_seed_and_purpose_give_one_stream():
    first, again = (s.generator(3, "weights").random(5) for _ in range(2))
    assert (first == again).all()


def test_no_two_seeds_or_purposes_share_a_stream():
    firsts = {s.generator(k, purpose).random() for k in range(50) for purpose in PURPOSES}
    assert len(firsts) == 50 * len(PURPOSES)


def test_the_global_generator_is_neither_read_nor_moved():
    np.random.seed(0)  # noqa: NPY002 - the global state is what this test looks at
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    before = s.generator(1, "weights").random()
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert s.generator(1, "weights").random() == before


def test_a_negative_seed_is_named():
    with pytest.raises(ValueError, match="0 or larger, got -1"):
        s.generator(-1, "weights")


@pytest.mark.parametrize("seed", [1.2, 1.0, "1", None, np.float64(3), np.nan])
def test_a_seed_that_is_no_whole_number_is_named(seed):
    for call in (lambda: s.generator(seed, "weights"), lambda: s.generators([seed], "weights")):
        with pytest.raises(ValueError, match="seed must be a whole number, 0 or larger, got"):
            call()


def test_generators_keep_the_order_of_the_seeds():
    draws = [g.random() for g in s.generators((5, 2, 5), "weights")]
    assert draws[0] == draws[2] != draws[1]


def test_replicas_draw_from_their_own_streams():
    alone = s.uniform(s.generators([7], "null"), 1, (2, 3))
    beside = s.uniform(s.generators([4, 7, 9], "null"), 3, (2, 3))
    assert beside.shape == (3, 2, 3)
    assert (alone[0] == beside[1]).all()


def test_a_single_stream_serves_replicas_in_turn():
    together = s.uniform(s.generator(0, "null"), 2, (3,))
    rng = s.generator(0, "null")
    assert together.tolist() == [rng.random(3).tolist(), rng.random(3).tolist()]


def test_uniform_numbers_fill_the_unit_interval():
    draws = s.uniform(s.generators(range(20), "null"), 20, (1000,))
    assert 0 <= draws.min() < 1e-3
    assert 0.999 < draws.max() < 1
    assert abs(draws.mean() - 0.5) < 3 / np.sqrt(12 * draws.size)


@pytest.mark.parametrize("n", [1, 3])
def test_streams_and_replicas_must_match(n):
    with pytest.raises(ValueError, match=f"got 2 generators for {n} replicas"):
        s.uniform(s.generators([0, 1], "null"), n, (2,))


def test_normal_numbers_are_drawn_as_uniform_ones_are():
    together = s.normal(s.generators([3, 4], "a"), 2, (500,))
    assert (together[1] == s.normal(s.generator(4, "a"), 1, (500,))[0]).all()
    assert abs(together.mean()) < 0.2
    assert abs(together.std() - 1) < 0.15
    assert s.normal([], 0, (4, 5)).shape == (0, 4, 5)
    with pytest.raises(ValueError, match="got 1 generators for 2 replicas"):
        s.normal(s.generators([3], "a"), 2, (5,))
