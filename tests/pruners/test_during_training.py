"""Pruners keep exact counts, are nested in their knob, and leave their input alone."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from winnow import pruners
from winnow.pruners import during_training

SCHEMES = pruners.names("every step", "annealed")
SHAPE = (4, 6, 8)  # replicas, units, nodes: N = 48
TAKES_NONE = ("none", "triangular")
GOOD = {"random": 0.5, "threshold": 0.7, "top_k": 0.5, "dynamic_top_k": 0.5}
GOOD |= {"damp": 0.5, "dynamic_damp": 0.5}


def normal(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


MASKERS = {
    "threshold": lambda w: during_training.threshold(abs(w), tau=0.5),
    "magnitude": lambda w: pruners.magnitude(w, density=0.6),
}


def test_every_scheme_is_tried_with_a_value_if_it_takes_one():
    assert set(SCHEMES) == {*TAKES_NONE, *GOOD}, "name a good value of a new scheme in GOOD"


@pytest.mark.parametrize("name", [n for n in SCHEMES if pruners.PRUNERS[n].score])
def test_the_score_decides_which_weights_stay(name, monkeypatch):
    weights = torch.from_numpy(normal())
    one = np.arange(48.0).reshape(6, 8) / 48
    for scores in (one, one[::-1, ::-1].copy()):
        mine = replace(
            pruners.PRUNERS[name], score=lambda seen, s=scores: torch.tensor(s).tile(4, 1, 1)
        )
        monkeypatch.setitem(pruners.PRUNERS, name, mine)
        kept = pruners.schedule(name, GOOD.get(name), seeds=range(4))(weights, 1.0) != 0
        least = torch.where(kept[0], torch.tensor(scores), torch.inf).min()
        assert 0 < kept.sum() < kept.numel() or name == "triangular"
        assert (kept[0] == torch.tensor(scores >= float(least))).all()


@pytest.mark.parametrize("prune", MASKERS.values(), ids=MASKERS)
def test_masks_are_of_the_kind_of_the_weights(prune):
    weights = normal()
    tensor = prune(torch.from_numpy(weights))
    assert isinstance(tensor, torch.Tensor)
    assert isinstance(prune(weights), np.ndarray)
    assert (tensor.numpy() == prune(weights)).all()
    assert tensor.any()
    assert not tensor.all()
    assert (weights == normal()).all()


@pytest.mark.parametrize("prune", MASKERS.values(), ids=MASKERS)
def test_masks_of_one_matrix_are_those_it_has_among_others(prune):
    assert (prune(normal()[:1]) == prune(normal())[:1]).all()
    assert (prune(normal()[0]) == prune(normal())[0]).all()


# --- magnitude ----------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0.05, 0.29, 0.3, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("shape", [(3, 6, 8), (2, 9, 11), (1, 10, 10)], ids=str)
@pytest.mark.parametrize("levels", [None, 1, 3])
def test_magnitude_keeps_the_floor_of_the_share_ties_included(density, shape, levels):
    weights = normal(shape) if levels is None else np.round(normal(shape) * levels) / levels
    masks = pruners.magnitude(weights, density=density)
    n = shape[1] * shape[2]
    assert (masks.sum((1, 2)) == int(density * 100 + 0.5) * n // 100).all()
    size = np.abs(weights)
    for m, a in zip(masks, size, strict=True):
        assert m.all() or a[m].min() >= a[~m].max()


def test_each_replica_may_have_its_own_density():
    density = np.array([0.1, 0.25, 0.5, 1.0])
    masks = pruners.magnitude(normal(), density=density)
    assert masks.sum((1, 2)).tolist() == [4, 12, 24, 48]
    for k in range(4):
        alone = pruners.magnitude(normal()[k], density=float(density[k]))
        assert (masks[k] == alone).all()


def test_magnitude_is_nested_in_density():
    shares = np.linspace(0.02, 1, 50)
    masks = [pruners.magnitude(np.round(normal(), 1), density=share) for share in shares]
    for small, large in itertools.pairwise(masks):
        assert (small <= large).all()


@pytest.mark.parametrize("density", [0, 2, -0.5, np.nan])
def test_magnitude_names_a_density_out_of_range(density):
    with pytest.raises(ValueError, match=rf"density must be in \(0, 1\], got {density}"):
        pruners.magnitude(normal(), density=density)


# --- threshold, triangle, damping ---------------------------------------------------------------


def test_a_threshold_keeps_what_reaches_it():
    scores = np.array([[[0.5, -0.5, 0.4999]], [[2.0, 0.1, 0.0]]])
    one = during_training.threshold(scores, tau=0.5)
    assert one.tolist() == [[[True, False, False]], [[True, False, False]]]
    each = during_training.threshold(abs(scores), tau=np.array([0.4999, 0.0]))
    assert each.all()


def test_the_half_threshold_is_the_value_at_half_of_the_count():
    scores = abs(normal((3, 3, 5)))  # N = 15: the 7th smallest
    expected = np.sort(scores.reshape(3, 15))[:, 6]
    assert (during_training.half_threshold(scores) == expected).all()
    kept = during_training.threshold(scores, tau=during_training.half_threshold(scores))
    assert (kept.sum((1, 2)) == 9).all()  # all but the six below it


def test_a_negative_threshold_is_named():
    with pytest.raises(ValueError, match=r"tau must be in \[0, inf\), got -0\.5"):
        during_training.threshold(normal(), tau=-0.5)


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, np.array([0.0, 0.1, 0.5, 1.0])], ids=str)
def test_damping_scales_the_strictly_lower_triangle(factor):
    weights = normal()
    damped = during_training.damp(weights, factor=factor)
    below = np.tril(np.ones(SHAPE[1:], bool), -1)
    shares = np.broadcast_to(1 - np.asarray(factor), 4)[:, None]
    np.testing.assert_allclose(damped[:, below], shares * weights[:, below], rtol=1e-12)
    assert (damped[:, ~below] == weights[:, ~below]).all()
    assert (weights == normal()).all()


@pytest.mark.parametrize("factor", [-0.1, 1.1, np.nan, np.array([0.5, 2.0])], ids=str)
def test_damping_names_a_factor_out_of_range(factor):
    with pytest.raises(ValueError, match=r"factor must be in \[0, 1\], got"):
        during_training.damp(normal((2, 3, 3)), factor=factor)


# --- schedules ----------------------------------------------------------------------------------


def test_annealing_starts_at_nothing_and_is_a_quarter_half_way():
    assert pruners.anneal(0.0) == 0
    assert pruners.anneal(0.5) == pytest.approx(0.25)
    assert pruners.anneal(1.0) == pytest.approx(1)
    steps = [pruners.anneal(p) for p in np.linspace(0, 1, 101)]
    assert steps == sorted(steps)


def after(scheme, value, progress, weights):
    return pruners.schedule(scheme, value, seeds=range(len(weights)))(weights, progress)


@pytest.mark.parametrize(
    ("progress", "kept"),
    [(0.0, 48), (0.5, 42), (1.0, 24)],  # 1 - 0.5 s(p), with s = 0, 1/4, 1
)
def test_dynamic_top_k_anneals_from_all_weights(progress, kept):
    out = after("dynamic_top_k", 0.5, progress, torch.from_numpy(normal()))
    assert ((out != 0).sum((1, 2)) == kept).all()


@pytest.mark.slow
@pytest.mark.parametrize(("progress", "left"), [(0.0, 1.0), (0.5, 0.8), (1.0, 0.2)])
def test_dynamic_damping_anneals_from_no_damping(progress, left):
    weights = torch.from_numpy(normal())
    out = after("dynamic_damp", 0.8, progress, weights)
    torch.testing.assert_close(out.tril(-1), left * weights.tril(-1))
    assert torch.equal(out.triu(), weights.triu())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_leaves_its_input_and_keeps_the_values_it_keeps(scheme):
    weights = torch.from_numpy(normal())
    out = after(scheme, GOOD.get(scheme), 0.5, weights)
    assert torch.equal(weights, torch.from_numpy(normal()))
    if "damp" not in scheme:
        assert ((out == 0) | (out == weights)).all()
    assert (out == weights).all() == (scheme == "none")


@pytest.mark.parametrize("scheme", GOOD)
def test_every_knob_may_differ_between_replicas(scheme):
    values, weights = np.array([0.2, 0.4, 0.6, 0.8]), torch.from_numpy(normal())
    together = after(scheme, values, 0.5, weights)
    for k, value in enumerate(values):
        assert torch.equal(together[k], after(scheme, float(value), 0.5, weights)[k])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_replica_is_pruned_alike_alone_and_among_others(scheme):
    weights = torch.from_numpy(normal())
    among = pruners.schedule(scheme, GOOD.get(scheme), seeds=[3, 8, 1, 5])(weights, 0.5)
    alone = pruners.schedule(scheme, GOOD.get(scheme), seeds=[8])(weights[1:2], 0.5)
    assert torch.equal(alone[0], among[1])


def test_a_random_mask_is_drawn_once_and_stays():
    prune = pruners.schedule("random", 0.5, seeds=range(4))
    first = prune(torch.ones(SHAPE), 0.0)
    assert torch.equal(prune(torch.ones(SHAPE), 0.9), first)
    assert torch.equal(prune(2 * torch.ones(SHAPE), 0.9), 2 * first)
    assert not torch.equal(first[0], first[1])


def test_a_threshold_is_frozen_at_the_first_call():
    weights = torch.from_numpy(normal())
    prune = pruners.schedule("threshold", None)
    bar = during_training.half_threshold(weights.abs())[:, None, None]
    assert ((prune(weights, 0.0) != 0).sum((1, 2)) == 25).all()  # N = 48: the 24th smallest stays
    assert torch.equal(prune(10 * weights, 0.0), 10 * weights * (10 * weights.abs() >= bar))
    assert (prune(weights / 1e6, 0.0) == 0).all()


def test_a_given_threshold_is_that_number():
    weights = torch.from_numpy(normal())
    expected = torch.where(weights.abs() >= 0.7, weights, 0)
    assert torch.equal(after("threshold", 0.7, 0.0, weights), expected)


def test_damping_compounds():
    prune, weights = pruners.schedule("damp", 0.5), torch.from_numpy(normal())
    out = weights
    for _ in range(10):
        out = prune(out, 0.3)
    torch.testing.assert_close(out.tril(-1), weights.tril(-1) / 1024)


# --- what is refused ----------------------------------------------------------------------------

BAD = [
    *[(scheme, value) for scheme in ("top_k", "dynamic_top_k") for value in (0, 2, -1, None)],
    *[("random", value) for value in (1, -0.1, 2, None)],
    *[(scheme, value) for scheme in ("damp", "dynamic_damp") for value in (-0.1, 1.1, None)],
    *[("threshold", value) for value in (-1, np.inf)],
    *[(scheme, 0.5) for scheme in TAKES_NONE],
    *[(scheme, np.nan) for scheme in GOOD],
]


@pytest.mark.parametrize(("scheme", "value"), BAD, ids=str)
def test_a_scheme_names_the_value_it_does_not_take(scheme, value):
    with pytest.raises(ValueError, match=f"^{scheme} got {value}, but takes: ") as caught:
        pruners.schedule(scheme, value)
    pruner = pruners.PRUNERS[scheme]
    assert (pruner.knob or pruner.words) in str(caught.value)


@pytest.mark.parametrize("scheme", [s for s in GOOD if s != "threshold"])
def test_one_bad_value_among_replicas_is_refused(scheme):
    with pytest.raises(ValueError, match=f"{scheme} got"):
        pruners.check(scheme, np.array([0.5, 1.5]))


@pytest.mark.parametrize(
    ("scheme", "value"),
    [("random", 0), ("top_k", 1), ("dynamic_top_k", 1), ("damp", 0), ("damp", 1), ("threshold", 0)],
)
def test_the_ends_of_a_range_are_taken(scheme, value):
    pruners.check(scheme, value)


def test_an_unknown_scheme_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown pruner 'topk': choose from none, random"):
        pruners.schedule("topk", 0.5)


# --- arrays as people have them -----------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("prune", MASKERS.values(), ids=MASKERS)
def test_masks_of_what_is_not_finite_are_refused(prune, bad):
    weights = normal()
    weights[1, 2, 3] = bad
    for kind in (np.asarray, torch.from_numpy):
        with pytest.raises(ValueError, match="must be finite, got NaN or infinity"):
            prune(kind(weights))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s != "none"])
def test_no_scheme_empties_a_network_for_one_nan(scheme, bad):
    weights = torch.from_numpy(normal())
    weights[0, 0, 0] = bad
    with pytest.raises(ValueError, match=r"finite|NaN"):
        after(scheme, GOOD.get(scheme), 0.5, weights)


@pytest.mark.parametrize("prune", MASKERS.values(), ids=MASKERS)
def test_layouts_do_not_matter(prune):
    weights = normal()
    fixed = weights.copy()
    fixed.flags.writeable = False
    backwards = np.ascontiguousarray(weights[:, ::-1])[:, ::-1]
    for same in (fixed, backwards, np.asfortranarray(weights)):
        assert (prune(same) == prune(weights)).all()
