"""Pruners of rate networks share their coins and are what they are called; the table is whole."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from winnow import pruners
from winnow import seeds as s
from winnow.models import rate_covariance, rate_networks
from winnow.pruners import scores

SEEDS = (4, 7, 9)
SIZES = (24, 8, 8)
RULES = {name: pruners.PRUNERS[name] for name in pruners.names("once")}
MATCHED = [name for name, rule in RULES.items() if rule.diagonal == "matched"]


def batch(symmetric=True, seeds=SEEDS):
    return rate_networks.clustered(SIZES, rng=s.generators(seeds, "network"), symmetric=symmetric)


def off(A):
    return A * (1 - np.eye(A.shape[-1]))


def synapses(A):
    return off(A) != 0


def prune(A, rule, density=0.4, seeds=SEEDS, **options):
    return pruners.prune(
        A, rule, density=density, seeds=seeds, activity=rate_covariance.exact(A), **options
    )


@pytest.mark.parametrize("select", ["top-k", "sample"])
def test_the_score_decides_which_synapses_stay(select, monkeypatch):
    A = batch()
    least = synapses(A) / (abs(A) + ~synapses(A))
    small = replace(RULES["magnitude"], select=select, score=lambda seen: least)
    monkeypatch.setitem(pruners.PRUNERS, "magnitude", small)
    kept = synapses(prune(A, "magnitude"))
    size = abs(off(A))
    assert size[kept].mean() < 0.9 * size[synapses(A)].mean()
    if select == "top-k":
        assert all(a[k].max() <= a[(a > 0) & ~k].min() for a, k in zip(size, kept, strict=True))


# --- what each rule does ------------------------------------------------------------------------


def test_noise_pruning_is_its_parts():
    A = batch()
    p = pruners.noise_keep_probability(A, rate_covariance.exact(A), density=0.4)
    expected = pruners.sample_and_rescale(A, p, rng=s.generators(SEEDS, "coins 2"))
    assert (prune(A, "noise", draw=2) == expected).all()


@pytest.mark.parametrize(
    ("rule", "score"),
    [
        ("local sums", scores.degree_score),
        ("weights", pruners.weight_score),
        ("uniform", scores.uniform_score),
        ("sign ignored", lambda A: pruners.noise_score(abs(A), rate_covariance.exact(A))),
        ("sign flipped", lambda A: pruners.noise_score(A, rate_covariance.exact(A), sign=-1.0)),
        ("no covariance", lambda A: pruners.noise_score(A, rate_covariance.exact(A), sign=0.0)),
    ],
)
def test_rules_sample_by_their_scores(rule, score):
    A = batch()
    p = pruners.keep_probability(score(A), density=0.4)
    expected = pruners.sample_and_rescale(A, p, rng=s.generators(SEEDS, "coins 0"))
    np.testing.assert_allclose(prune(A, rule), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_keeps_its_density_and_leaves_its_input(rule):
    A = batch()
    kept = A.copy()
    shares = [
        synapses(prune(A, rule, draw=draw)).sum((1, 2)) / synapses(A).sum((1, 2))
        for draw in range(12)
    ]
    assert (kept == A).all()
    m = synapses(A).sum((1, 2)).min() / 2
    slack = 5 * np.sqrt(0.25 / (m * 36)) + (2 / m if "magnitude" in rule else 0)
    assert np.mean(shares) == pytest.approx(0.4, abs=slack)


def test_rules_share_their_coins():
    """Equal probabilities fall alike; so noise and its variants differ in weights alone."""
    A = batch()
    plain, own, flat = (prune(A, r) for r in ("noise", "noise, own leak", "noise, no gain"))
    assert (off(plain) == off(own)).all()
    assert (synapses(plain) == synapses(flat)).all()
    assert (off(flat)[synapses(flat)] == A[synapses(flat)]).all()
    assert (np.diagonal(own, axis1=1, axis2=2) == np.diagonal(A, axis1=1, axis2=2)).all()
    coins = np.stack([g.random(A.shape[1:]) for g in s.generators(SEEDS, "coins 0")])
    coins = np.triu(coins) + np.triu(coins, 1).swapaxes(1, 2)
    for rule in ("uniform", "weights", "noise"):
        p = pruners.probabilities(A, rule, density=0.4, activity=rate_covariance.exact(A))
        assert (synapses(prune(A, rule)) == (coins < p) & synapses(A)).all()


@pytest.mark.parametrize("rule", RULES)
def test_a_network_is_pruned_alike_alone_and_among_others(rule):
    A = batch()
    among = prune(A, rule)
    alone = prune(A[1:2], rule, seeds=SEEDS[1:2])
    np.testing.assert_allclose(among[1], alone[0], rtol=1e-10, atol=1e-12)


def test_draws_differ_and_repeat():
    A = batch()
    assert (prune(A, "noise", draw=1) == prune(A, "noise", draw=1)).all()
    assert (prune(A, "noise", draw=1) != prune(A, "noise", draw=2)).any()


@pytest.mark.parametrize("rule", MATCHED)
def test_the_matched_leak_keeps_what_is_left_beyond_the_weights(rule):
    A = batch()
    pruned = prune(A, rule)
    left = -np.diagonal(pruned, axis1=1, axis2=2) - abs(off(pruned)).sum(-1)
    np.testing.assert_allclose(left, 0, atol=1e-9)


def test_the_gain_restores_the_sum_of_absolute_weights():
    A = batch()
    plain, scaled = (prune(A, r) for r in ("magnitude", "magnitude, gain"))
    np.testing.assert_allclose(abs(off(scaled)).sum((1, 2)), abs(off(A)).sum((1, 2)))
    ratio = off(scaled)[synapses(plain)] / off(plain)[synapses(plain)]
    for k in range(3):
        own = (off(scaled)[k] / np.where(synapses(plain)[k], plain[k], 1))[synapses(plain)[k]]
        assert own == pytest.approx(own[0])
    assert (ratio > 1).all()
    assert (synapses(scaled) == synapses(plain)).all()


@pytest.mark.parametrize("rule", ["noise", "local sums", "weights", "magnitude"])
def test_asymmetric_networks_are_pruned_entry_by_entry(rule):
    A = batch(symmetric=False)
    pruned = prune(A, rule)
    kept = synapses(pruned)
    assert (kept != kept.swapaxes(1, 2)).any()
    assert kept.sum() / synapses(A).sum() == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("rule", RULES)
def test_sparse_networks_are_pruned_by_every_rule(rule):
    A = batch()[0]
    x = rate_covariance.samples(A, 30, rng=np.random.default_rng(0))
    thin = sparse.csr_array(A)
    pruned = pruners.prune(thin, rule, density=0.4, seeds=[4], activity=x)
    assert sparse.issparse(pruned)
    assert synapses(pruned.toarray()).sum() / synapses(A).sum() == pytest.approx(0.4, abs=0.12)


def test_sparse_asymmetric_networks_are_pruned_too():
    A = sparse.csr_array(batch(symmetric=False)[0])
    pruned = pruners.prune(A, "weights", density=0.4, seeds=[4])
    assert synapses(pruned.toarray()).sum() / synapses(A.toarray()).sum() < 0.6


@pytest.mark.parametrize("k", [5, 40])
def test_noise_may_be_known_from_samples(k):
    """40 samples of 40 neurons look like a covariance, but are none."""
    A = batch()
    x = rate_covariance.samples(A, k, rng=s.generators(SEEDS, "activity"))
    p = pruners.noise_keep_probability(A, samples=x, density=0.4)
    expected = pruners.sample_and_rescale(A, p, rng=s.generators(SEEDS, "coins 0"))
    pruned = pruners.prune(A, "noise", density=0.4, seeds=SEEDS, activity=x)
    np.testing.assert_allclose(pruned, expected)


def test_an_unknown_rule_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'nose'.* noise, local sums"):
        pruners.prune(batch(), "nose", density=0.4, seeds=SEEDS)


def test_noise_pruning_without_noise_is_named():
    with pytest.raises(ValueError, match=r"activity|covariance"):
        pruners.prune(batch(), "noise", density=0.4, seeds=SEEDS)


def test_a_seed_for_each_network_is_asked_for():
    with pytest.raises(ValueError, match="got 2 generators for 3 replicas"):
        prune(batch(), "noise", seeds=(1, 2))


# --- the table ----------------------------------------------------------------------------------

SCHEDULES = ("every step", "annealed", "rounds", "once")


@pytest.mark.parametrize("pruner", pruners.PRUNERS.values(), ids=pruners.PRUNERS)
def test_entries_are_complete(pruner):
    assert pruner.words
    assert pruner.schedules
    assert set(pruner.schedules) <= set(SCHEDULES)
    assert pruner.select in ("all", "fixed", "threshold", "top-k", "damp", "sample")
    assert (pruner.score is None) == (pruner.select in ("all", "damp"))
    assert bool(pruner.knob) == bool(pruner.within)
    if pruner.within:
        low, high = map(float, pruner.within[1:-1].split(","))
        assert 0 <= low < high
        assert (pruner.within[0], pruner.within[-1]) in itertools.product("[(", ")]")


def test_every_pruner_is_read_by_one_setting_or_more():
    read = [pruners.names("every step", "annealed"), pruners.names("rounds"), pruners.names("once")]
    assert set().union(*read) == set(pruners.PRUNERS)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_pruner_of_another_setting_is_refused_with_those_that_fit(schedule):
    for name in set(pruners.PRUNERS) - set(pruners.names(schedule)):
        with pytest.raises(ValueError, match=f"unknown pruner '{name}': choose from") as error:
            pruners.named(name, schedule)
        assert str(error.value).endswith(", ".join(pruners.names(schedule)))
