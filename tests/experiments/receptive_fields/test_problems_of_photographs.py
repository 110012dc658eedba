"""Problems from photographs: what clones share with patches, and what they do not."""

import collections

import numpy as np
import pytest
import scipy.stats
import torch

from winnow import data, models
from winnow.experiments.receptive_fields import fields, problems
from winnow.experiments.receptive_fields.problems import CLONE, FIELD

SIZES = {"n_train": 400, "n_test": 60, "n_probe": 90}
PAIRS = (("coffee", "camera"), ("brick", "gravel"))


@pytest.fixture(scope="module")
def orders():
    return problems.higher_order_photos(5, seeds=(0, 7), **SIZES)


@pytest.fixture(scope="module")
def pairs():
    return problems.photo_pairs(PAIRS, 5, seeds=(3, 4), **SIZES)


def of_class(problem, c, at):
    return problem.source.inputs[at][problem.source.labels[at] == c].double().numpy()


def unlike(a, b):
    """Largest gap between covariances, over the largest entry."""
    a, b = np.cov(a.T), np.cov(b.T)
    return abs(a - b).max() / abs(a).max()


def test_kinds_and_shapes(orders, pairs):
    for problem in (orders, pairs):
        assert problem.groups == (FIELD, CLONE)
        assert problem.where == {"grid": (5, 5), "radius": 2, "cyclic": False}
        assert problem.source.inputs.shape == (4, 800, 25)
        assert problem.source.inputs.dtype == problem.test[0].dtype == torch.float32
        assert problem.test[0].shape == (4, 120, 25)
        assert [p.shape for p in problem.probes] == [(4, 90, 25)] * 2
        assert (problem.source.labels.sum(1) == 400).all()
    assert orders.seeds == (0, 7)
    assert pairs.seeds == (3, 4)


def test_patches_stand_against_clones_that_differ_in_higher_orders_only(orders):
    """A clone's covariance differs from its data's as 400 samples from one another's."""
    for at in range(4):
        zero, one = (of_class(orders, c, at) for c in (0, 1))
        assert unlike(zero, one) < 0.35
        assert abs(zero.mean(0) - one.mean(0)).max() < 0.4
    heavy = [[abs(scipy.stats.kurtosis(of_class(orders, c, at))).mean() for c in (0, 1)]
             for at in range(4)]  # fmt: skip
    photos, control = np.array(heavy[:2]), np.array(heavy[2:])
    assert (photos[:, 1] > 2 * photos[:, 0]).all()
    assert (abs(control) < 0.5).all()


def test_a_clone_is_the_same_in_both_kinds_and_two_clones_differ(orders):
    for seed in (0, 1):
        shared = of_class(orders, 0, seed), of_class(orders, 0, 2 + seed)
        assert np.array_equal(*shared)
        first, second = of_class(orders, 0, 2 + seed), of_class(orders, 1, 2 + seed)
        assert np.intersect1d(first[:, 0], second[:, 0]).size < 5
    assert not np.array_equal(of_class(orders, 1, 0), of_class(orders, 1, 1))


def test_photographs_are_the_patches_of_the_stated_region(orders, monkeypatch):
    seen, inner = [], data.patches

    def patches(names, n, size, *, region, rng):
        seen.append((names, n, size, region))
        return inner(names, n, size, region=region, rng=rng)

    monkeypatch.setattr(data, "patches", patches)
    again = problems.higher_order_photos(5, seeds=(0, 7), **SIZES)
    assert torch.equal(again.source.inputs, orders.source.inputs)
    assert seen == [(data.PHOTOS, 400, 5, "train"), (data.PHOTOS, 90, 5, "test")]
    del seen[:]
    problems.photo_pairs(PAIRS, 5, seeds=(3, 4), **SIZES)
    expected = [(pair[c], n, 5, region) for n, region in ((400, "train"), (90, "test"))
                for c in (0, 1) for pair in PAIRS]  # fmt: skip
    assert collections.Counter(seen) == collections.Counter(expected)


def test_pairs_are_whitened_together(pairs):
    for at in range(2):
        both = np.concatenate([of_class(pairs, c, at) for c in (0, 1)])
        spectrum = np.linalg.eigvalsh(np.cov(both.T))
        assert spectrum[-1] == pytest.approx(1, abs=0.02)
        assert (spectrum < 1.02).all()
        assert np.median(spectrum) > 0.6
        apart = unlike(of_class(pairs, 0, at), of_class(pairs, 1, at))
        assert apart > 0.2  # so classes keep their differences


def test_clones_of_pairs_are_cloned_class_by_class(pairs):
    for at in range(2):
        for c in (0, 1):
            ours, clone = of_class(pairs, c, at), of_class(pairs, c, 2 + at)
            assert unlike(ours, clone) < 0.35
            other = of_class(pairs, 1 - c, 2 + at)
            assert unlike(ours, clone) < unlike(ours, other)
            heavy = abs(scipy.stats.kurtosis(ours)).mean()
            assert heavy > abs(scipy.stats.kurtosis(clone)).mean() + 0.2


def test_a_pair_does_not_depend_on_others(pairs):
    alone = problems.photo_pairs(PAIRS[1:], 5, seeds=(4,), **SIZES)
    torch.testing.assert_close(alone.source.inputs, pairs.source.inputs[1::2])
    assert torch.equal(alone.source.labels, pairs.source.labels[1::2])
    torch.testing.assert_close(alone.test[0], pairs.test[0][1::2])


def test_a_seed_does_not_depend_on_others(orders):
    alone = problems.higher_order_photos(5, seeds=(7,), **SIZES)
    torch.testing.assert_close(alone.source.inputs, orders.source.inputs[1::2])
    torch.testing.assert_close(alone.probes[1], orders.probes[1][1::2])


def test_networks_learn_and_are_measured(pairs):
    pruned, table = fields.trial(
        pairs, models.Perceptron((25, 6, 2), scheme="small", readout=True), n_steps=40, n_rounds=2
    )
    assert len(table) == 4 * 3
    assert table.accuracy.between(0, 1).all()
    assert table[["locality", "window", "kappa"]].notna().all().all()
    assert pruned.kept("imp")[2].sum((-2, -1)).tolist() == [round(0.7**2 * 150)] * 4


def test_no_photograph_stands_in_more_than_two_pairs():
    names = [name for pair in problems.PAIRS for name in pair]
    assert set(names) == set(data.PHOTOS)
    assert max(collections.Counter(names).values()) == 2
    assert all(a != b for a, b in problems.PAIRS)
    assert len({frozenset(pair) for pair in problems.PAIRS}) == len(problems.PAIRS)


WRONG = {
    "photo": (
        lambda: problems.photo_pairs([("moon", "camera")], 5, seeds=(0,), **SIZES),
        "unknown photo 'moon'",
    ),
    "size": (
        lambda: problems.higher_order_photos(900, seeds=(0,), **SIZES),
        "size .* must be in",
    ),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
