"""Weights become coloured edges by the published rule, and matrices edges."""

import numpy as np
import pytest
import torch
from scipy import stats

from winnow.metrics.motifs import colouring
from winnow.seeds import generators

LAYERS = (31, 20, 10, 4)


def rng(*seeds):
    return generators(seeds or (0,), "test of graphs")


def layered(seed=0, layers=LAYERS, lead=(), sd=1.0):
    g = np.random.default_rng(seed)
    pairs = zip(layers[1:], layers[:-1], strict=True)
    return [sd * g.normal(size=(*lead, *shape)) for shape in pairs]


def coloured(seed=0, layers=LAYERS, lead=()):
    g = np.random.default_rng(seed)
    pairs = zip(layers[1:], layers[:-1], strict=True)
    return [g.integers(4, size=(*lead, *shape)).astype(np.int8) for shape in pairs]


def fields(cut):
    return np.array(cut)


# --- the cut ------------------------------------------------------------------------------------


def plain_rule(values, cut):
    """The rule of the paper, step by step, for values with edges on both sides."""
    ordered = sorted(values)
    gaussian = stats.norm(np.mean(ordered), np.std(ordered))
    bar = cut * gaussian.pdf(gaussian.mean())
    start = next(k for k, w in enumerate(ordered) if gaussian.pdf(w) >= bar)
    a = ordered[start]
    b = next(w for w in ordered[start:] if gaussian.pdf(w) < bar)
    floor, ceiling = 1.1 * ordered[0], 1.1 * ordered[-1]
    splits = a - (a - floor) / 5, b + (ceiling - b) / 5
    return [a, b, *splits]


def fit_one(weights, cut=0.55):
    """One cut, in numbers, of all weights together."""
    return colouring.Cut(*(float(x[0]) for x in colouring.fit_cut([w[None] for w in weights], cut)))


def plain_colour(w, rule):
    a, b, low, high = rule
    if a <= w < b:
        return 0
    return (1 if w < low else 2) if w < a else (2 if w < high else 3)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [0.1, 0.55, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_cut_and_colours_follow_the_plain_rule(seed, cut):
    weights = layered(seed, sd=0.3) + layered(seed + 10, sd=0.5)
    values = np.concatenate([w.ravel() for w in weights])
    expected = plain_rule(values.tolist(), cut)
    found = fit_one(weights, cut)
    np.testing.assert_allclose(fields(found), expected, rtol=1e-12, atol=1e-12)
    assert (found.low, found.high) == (expected[0], expected[1])
    colours = np.concatenate([colouring.colours(w, found).ravel() for w in weights])
    assert colours.tolist() == [plain_colour(w, expected) for w in values]
    assert set(colours) == {0, 1, 2, 3}


def test_a_cut_by_hand():
    # mean 0.25, deviation 2.68: the centre reaches from -2.68 to 3.18
    found = fit_one([np.array([[-4.0, -1.0, 0.0]]), np.array([[5.0], [1.0], [0.5]])])
    assert (found.low, found.high) == (-1, 5)
    assert found.low_split == pytest.approx(-1.68)
    assert found.high_split == pytest.approx(5.1)
    assert isinstance(found.low, float)


def test_the_cut_lies_where_a_gaussian_says():
    g = np.random.default_rng(1)
    found = fit_one([g.normal(0.5, 2, (200, 500))], 0.55)
    reach = np.sqrt(-2 * np.log(0.55))
    assert reach == pytest.approx(1.0935, abs=1e-4)
    assert (found.low - 0.5) / 2 == pytest.approx(-reach, abs=0.03)
    assert (found.high - 0.5) / 2 == pytest.approx(reach, abs=0.03)


def test_bounds_belong_to_the_bin_above():
    cut = colouring.Cut(-1.0, 1.5, -2.0, 2.5)
    at = np.array([-2.0, -1.0, 1.5, 2.5])
    assert colouring.colours(at, cut).tolist() == [2, 0, 2, 3]
    assert colouring.colours(np.nextafter(at, -9), cut).tolist() == [1, 2, 0, 2]
    beyond = np.array([-6.0, -99.0, 6.0, 99.0])
    assert colouring.colours(beyond, cut).tolist() == [1, 1, 3, 3]
    single = np.nextafter(np.float32([-1, 1.5]), np.float32(-9))
    assert colouring.colours(torch.from_numpy(single), cut).tolist() == [2, 0]


def test_bounds_are_not_rounded_to_the_kind_of_the_weights():
    cut = colouring.Cut(-1.0, 1.0, -2.0, 2 + 1e-12)
    assert colouring.colours(torch.tensor([2.0]), cut).tolist() == [2]


def test_a_side_without_weights_beyond_has_no_edges():
    values = np.array([[-9.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])
    for sign in (1, -1):
        found = fit_one([sign * values])
        colours = colouring.colours(sign * values, found)
        first = 1 if sign > 0 else 2  # an upper tail begins with its own first weight
        assert colours.tolist() == [[first, 0, 0, 0, 0, 0, 0]]
        inner = 0.6 if sign > 0 else -0.6
        bound = found.high if sign > 0 else found.low
        assert bound == pytest.approx(inner)
        farther = colouring.colours(np.array([inner * 1.02, inner * 3]), found)
        assert farther.tolist() == ([2, 3] if sign > 0 else [2, 1])


def test_an_empty_centre_makes_all_weights_edges():
    values = np.array([[-1.0, -1.0, 1.0, 1.0]])
    found = fit_one([values], 0.9)
    assert found.low == found.high == 1
    assert colouring.colours(values, found).tolist() == [[1, 1, 2, 2]]


@pytest.mark.parametrize("shift", [-50.0, 50.0])
def test_outer_limits_lie_outside_for_weights_of_one_sign(shift):
    [values] = layered(3, (40, 30))
    found = fit_one([values + shift])
    assert found.low_split < found.low < found.high < found.high_split
    # the splits are a fifth of the way to the limits, which all weights lie within
    assert 5 * found.low_split - 4 * found.low < (values + shift).min()
    assert 5 * found.high_split - 4 * found.high > (values + shift).max()
    about = fit_one([values])
    assert found.low - shift == pytest.approx(about.low)
    assert found.high - shift == pytest.approx(about.high)


def test_the_cut_scales_with_the_weights_and_turns_with_their_sign():
    weights = layered(5)
    found = fit_one(weights)
    doubled = fit_one([4 * w for w in weights])
    assert (fields(doubled) == 4 * fields(found)).all()
    turned = fit_one([-w for w in weights])
    limits = [5 * split - 4 * end for end, split in zip(turned[:2], turned[2:], strict=True)]
    assert limits[0] == pytest.approx(-(5 * found.high_split - 4 * found.high))
    for w in weights:
        colours = colouring.colours(w, found)
        other = np.array([0, 3, 2, 1])[colouring.colours(-w, turned)]
        at_a_bound = (w == found.low) | (w == found.high)
        assert at_a_bound.sum() <= 2
        # bins are half-open and bounds are weights, so the splits move a little
        assert (other == colours)[~at_a_bound].mean() > 0.97


def test_order_and_layers_do_not_matter_to_the_cut():
    weights = layered(6)
    found = fields(fit_one(weights))
    assert (fields(fit_one(weights[::-1])) == found).all()
    whole = np.concatenate([w.ravel() for w in weights])
    assert (fields(fit_one([whole])) == found).all()
    tensors = [torch.from_numpy(w) for w in weights]
    assert (fields(fit_one(tensors)) == found).all()


def test_each_replica_can_have_a_cut_of_its_own():
    lead = (5,)
    weights = [w * np.arange(1, 6)[:, None, None] for w in layered(2, lead=lead)]
    found = colouring.fit_cut(weights, 0.4)
    assert found.low.shape == (5,)
    for r in range(5):
        alone = fit_one([w[r] for w in weights], 0.4)
        assert (fields(alone) == fields(found)[:, r]).all()
        for w in weights:
            assert (colouring.colours(w, found)[r] == colouring.colours(w[r], alone)).all()
    states = [w.reshape(5, 1, *w.shape[1:]).repeat(3, 1) for w in weights]
    for state, w in zip(states, weights, strict=True):
        assert (colouring.colours(state, found) == colouring.colours(w, found)[:, None]).all()
    pooled = fit_one(weights, 0.4)
    lowest = 5 * pooled.low_split - 4 * pooled.low
    assert lowest == pytest.approx(1.1 * min(w.min() for w in weights))


@pytest.mark.parametrize("kind", [np.float32, np.float64, torch.float32])
def test_colours_are_of_the_kind_that_went_in(kind):
    [w] = layered(0, (6, 5), lead=(2, 3))
    w = torch.tensor(w, dtype=kind) if kind is torch.float32 else w.astype(kind)
    before = w.clone() if isinstance(w, torch.Tensor) else w.copy()
    colours = colouring.colours(w, fit_one([w]))
    assert type(colours) is type(w)
    assert colours.dtype == (torch.int8 if isinstance(w, torch.Tensor) else np.int8)
    assert colours.shape == (2, 3, 5, 6)
    assert (w == before).all()


def test_weights_in_training_are_taken():
    w = torch.randn(4, 5, requires_grad=True)
    colours = colouring.colours(w, fit_one([w]))
    assert not colours.requires_grad
    assert colouring.strongest([w], 0.5)[0].sum() == 10


# --- edges and matrices -------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [LAYERS, (2, 1), (1, 1, 1, 1, 1), (3, 7, 2)])
def test_edges_are_the_entries_of_matrices(layers):
    matrices = coloured(4, layers)
    table = colouring.edges(matrices)
    assert table.dtype == np.int64
    starts = np.cumsum([0, *layers])
    expected = [
        (starts[k] + s, starts[k + 1] + t, m[t, s])
        for k, m in enumerate(matrices)
        for s in range(layers[k])
        for t in range(layers[k + 1])
        if m[t, s]
    ]
    assert [tuple(row) for row in table.tolist()] == expected


def test_torch_goes_in_and_out():
    matrices = [torch.from_numpy(m) for m in coloured(1)]
    table = colouring.edges(matrices)
    assert isinstance(table, torch.Tensor)
    assert table.dtype == torch.int64
    assert table.numpy().tolist() == colouring.edges(coloured(1)).tolist()


# --- surrogates and masks -----------------------------------------------------------------------


def test_a_surrogate_keeps_the_colours_of_each_layer_and_replica():
    matrices = coloured(3, lead=(4, 2))
    before = [m.copy() for m in matrices]
    found = colouring.replaced(matrices, rng=np.random.default_rng(0))
    for new, old, was in zip(found, matrices, before, strict=True):
        assert (old == was).all()
        assert new.dtype == np.int8
        assert new.shape == old.shape
        flat = new.reshape(8, -1), old.reshape(8, -1)
        assert (np.sort(flat[0], 1) == np.sort(flat[1], 1)).all()
        assert (flat[0] != flat[1]).any(1).all()
    tensors = colouring.replaced(
        list(map(torch.from_numpy, matrices)), rng=np.random.default_rng(0)
    )
    assert all((t.numpy() == m).all() for t, m in zip(tensors, found, strict=True))


def test_a_surrogate_does_not_depend_on_those_beside_it():
    matrices = coloured(3, lead=(3,))
    among = colouring.replaced(matrices, rng=rng(4, 9, 2))
    alone = colouring.replaced([m[1] for m in matrices], rng=rng(9))
    assert all((a[1] == b).all() for a, b in zip(among, alone, strict=True))
    copies = [np.broadcast_to(m[1], (3, *m[1].shape)) for m in matrices]
    several = colouring.replaced(copies, rng=rng(4, 9, 2))
    assert all((a[1] == b).all() for a, b in zip(several, alone, strict=True))


def test_all_places_are_equally_likely():
    matrix = np.zeros((12_000, 2, 3), np.int8)
    matrix[:, 0, 1], matrix[:, 1, 2] = 1, 3
    [found] = colouring.replaced([matrix], rng=np.random.default_rng(5))
    flat = found.reshape(-1, 6)
    pairs = 6 * (flat == 1).argmax(1) + (flat == 3).argmax(1)
    counts = np.bincount(pairs, minlength=36)
    assert not counts[::7].any()
    assert stats.chisquare(np.delete(counts, np.arange(0, 36, 7))).pvalue > 1e-4


@pytest.mark.parametrize("density", [0.01, 0.37, 1.0])
def test_the_strongest_weights_of_all_layers_are_kept(density):
    weights = layered(8, lead=(3,))
    before = [w.copy() for w in weights]
    found = colouring.strongest(weights, density)
    n = 31 * 20 + 20 * 10 + 10 * 4
    for r in range(3):
        size = np.concatenate([abs(w[r]).ravel() for w in weights])
        kept = np.concatenate([m[r].ravel() for m in found])
        assert kept.dtype == bool
        assert kept.sum() == int(density * n)
        assert size[kept].min() > size[~kept].max(initial=0)
        alone = colouring.strongest([w[r] for w in weights], density)
        assert all((a == m[r]).all() for a, m in zip(alone, found, strict=True))
    assert all((w == b).all() for w, b in zip(weights, before, strict=True))


def test_ties_go_to_earlier_layers_and_places():
    weights = [torch.tensor([[1.0, -2.0], [2.0, 2.0]]), torch.tensor([[-2.0, 3.0]])]
    first, second = colouring.strongest(weights, 0.5)
    assert first.tolist() == [[False, True], [True, False]]
    assert second.tolist() == [[False, True]]


def test_each_replica_can_have_its_density():
    weights = layered(8, (5, 4, 2), lead=(2,))
    found = colouring.strongest(weights, np.array([0.25, 0.5]))
    assert sum(m.sum((1, 2)) for m in found).tolist() == [7, 14]
    drawn = colouring.random_like(weights, np.array([0.25, 0.5]), rng=rng(1, 2))
    assert sum(m.sum((1, 2)) for m in drawn).tolist() == [7, 14]


def test_random_masks_are_drawn_over_all_layers():
    weights = layered(8, (3, 2, 1), lead=(20_000,))
    found = colouring.random_like(weights, 0.25, rng=np.random.default_rng(0))
    flat = np.concatenate([m.reshape(20_000, -1) for m in found], 1)
    assert (flat.sum(1) == 2).all()
    assert abs(flat.mean(0) - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 20_000)
    among = colouring.random_like([w[:3] for w in weights], 0.5, rng=rng(0, 1, 2))
    alone = colouring.random_like([w[1] for w in weights], 0.5, rng=rng(1))
    assert all((a[1] == b).all() for a, b in zip(among, alone, strict=True))


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-30, 1e300])
def test_the_cut_has_no_unit(scale):
    weights = layered(9, lead=(2,))
    one = fields(colouring.fit_cut(weights))
    tiny = [scale * w for w in weights]
    cut = colouring.fit_cut(tiny)
    np.testing.assert_allclose(fields(cut) / scale, one, rtol=1e-12)
    plain = colouring.fit_cut(weights)
    for w, v in zip(weights, tiny, strict=True):
        assert (colouring.colours(w, plain) == colouring.colours(v, cut)).all()


# --- what is refused ----------------------------------------------------------------------------

W = np.array([[1.0, 2.0], [3.0, -4.0]])
NAN = np.array([[1.0, np.nan]])
CUT = colouring.Cut(-1.0, 1.0, -2.0, 2.0)
CUTS = colouring.fit_cut([np.stack([W, W])])
ONE = np.random.default_rng(0)


REFUSED = {
    "cut 0": (lambda: fit_one([W], 0), r"cut must be in \(0, 1\), got 0"),
    "cut 1": (lambda: fit_one([W], 1.0), r"cut must be in \(0, 1\), got 1.0"),
    "cut nan": (lambda: fit_one([W], np.nan), r"cut must be in \(0, 1\), got nan"),
    "no weights": (lambda: fit_one([]), "one array or more that is not empty, got none"),
    "empty": (lambda: fit_one([np.ones((0, 3))]), "that is not empty, got none"),
    "nan": (lambda: fit_one([W, NAN]), "weights must be finite, got NaN"),
    "inf": (lambda: fit_one([W, -np.inf * W**0]), "must be finite, got NaN or inf"),
    "constant": (lambda: fit_one([W**0]), "must vary .* all are 1.0"),
    "one constant": (
        lambda: colouring.fit_cut([np.stack([W, 0 * W - 7])]),
        "all are -7.0",
    ),
    "replicas": (
        lambda: colouring.fit_cut([W, W[:1]]),
        r"as many replicas in each array, got \(2, 2\), \(1, 2\)",
    ),
    "colour nan": (lambda: colouring.colours(NAN, CUT), "must be finite, got NaN"),
    "colour shape": (
        lambda: colouring.colours(np.ones((3, 2)), CUTS),
        r"\(2, ...\) .* got \(3, 2\)",
    ),
    "no matrices": (lambda: colouring.edges([]), "one or more, got none"),
    "follows": (lambda: colouring.edges([0 * W, W[:, :1]]), r"matrix 1 .*, 2\), got \(2, 1\)"),
    "batch": (lambda: colouring.edges([0 * W[None]]), r"matrix 0 .*n_source\), got \(1, 2, 2\)"),
    "colour 4": (lambda: colouring.edges([0 * W, W**0 + 3]), "0, 1, 2 or 3, got 4.0 in matrix 1"),
    "colour -1": (lambda: colouring.edges([-(W**0)]), "got -1.0 in matrix 0"),
    "colour 1.5": (lambda: colouring.edges([1.5 * W**0]), "got 1.5 in matrix 0"),
    "streams": (lambda: colouring.replaced([W[None]], rng=[ONE, ONE]), "2 generators for 1"),
    "density": (lambda: colouring.strongest([W], 0), r"density must be in \(0, 1\], got 0"),
    "sparse nan": (lambda: colouring.strongest([W, NAN], 0.5), "must be finite, got NaN"),
    "nothing": (lambda: colouring.strongest([], 0.5), r"with one \.\.\., got none"),
    "leads": (lambda: colouring.strongest([W, W[None]], 0.5), r"got \(2, 2\), \(1, 2, 2\)"),
    "flat": (lambda: colouring.strongest([W[0]], 0.5), r"n_source\) .*, got \(2,\)"),
    "random density": (lambda: colouring.random_like([W], 2, rng=ONE), r"in \(0, 1\], got 2"),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_out_of_range_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
