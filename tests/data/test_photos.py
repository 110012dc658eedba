"""Patches come from their own region, normalised, and clones share two moments and no more."""

import itertools
import math
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import spatial, stats

from winnow import data, memory
from winnow.data import photos
from winnow.seeds import generators


def rng(*seeds):
    return generators(seeds or (0,), "inputs")


# --- photographs --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", data.PHOTOS)
def test_a_photograph_is_read_without_a_network(name, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    photos.photo.cache_clear()
    grey = data.photo(name)
    assert grey.ndim == 2
    assert min(grey.shape) >= 300
    assert grey.dtype == np.float32
    assert grey.min() >= 0
    assert 0.5 < grey.max() <= 1
    assert grey.std() > 0.02
    assert data.photo(name) is grey
    with pytest.raises(ValueError, match="read-only"):
        grey[0, 0] = 0


def test_there_are_eleven_photographs_and_no_two_are_one():
    assert len(data.PHOTOS) == len(set(data.PHOTOS)) == 11
    corners = {data.photo(name)[:50, :50].tobytes() for name in data.PHOTOS}
    assert len(corners) == 11


def test_grey_is_the_weighted_sum_of_colours():
    from skimage import data as originals

    red, green, blue = originals.astronaut()[100, 200] / 255
    expected = 0.2125 * red + 0.7154 * green + 0.0721 * blue
    assert red != green != blue
    assert data.photo("astronaut")[100, 200] == pytest.approx(expected, abs=1e-6)
    assert data.photo("camera")[7, 9] == pytest.approx(originals.camera()[7, 9] / 255, abs=1e-7)


@pytest.mark.slow
def test_the_library_does_not_wait_for_scikit_image():
    code = "import sys, winnow.data; sys.exit('skimage' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- where patches lie --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 5, 12])
@pytest.mark.parametrize("width", [120, 451, 133])
def test_training_and_testing_share_no_column(width, size):
    seen = {}
    for region in ("train", "test"):
        starts = photos._starts(width, size, region)
        seen[region] = set((starts[:, None] + np.arange(size)).ravel().tolist())
    assert not seen["train"] & seen["test"]
    test = {x for x in range(width) if x // (3 * size) % 4 == 3}
    assert seen["test"] <= test
    assert seen["train"] <= set(range(width)) - test
    left_out = set(range(width)) - seen["train"] - seen["test"]
    assert len(left_out) < size  # but for a last stripe too narrow for a patch


def test_patches_span_stripes_of_training_side_by_side():
    assert photos._starts(100, 2, "test").tolist() == [
        start + i for start in (18, 42, 66, 90) for i in range(5)
    ]
    assert photos._starts(24, 2, "train").tolist() == list(range(17))
    # 9 stripes of 6 columns: the last one belongs to training and follows a stripe for testing
    assert photos._starts(54, 2, "train").tolist() == [*range(17), *range(24, 41), *range(48, 53)]


def test_all_places_are_equally_likely(monkeypatch):
    picture = np.arange(9 * 100).reshape(9, 100) ** 2 / 1e4  # no two patches are the same
    monkeypatch.setattr(photos, "photo", lambda name: picture.astype(np.float32))
    x = photos._crops(("any",), 60_000, 4, "train", np.random.default_rng(0))
    _, counts = np.unique(x.reshape(len(x), -1), axis=0, return_counts=True)
    assert len(counts) == 6 * len(photos._starts(100, 4, "train"))
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("region", ["train", "test"])
def test_patches_are_cut_turned_and_signed_from_their_region(region, monkeypatch):
    picture = np.random.default_rng(3).random((40, 90)).astype(np.float32)
    monkeypatch.setattr(photos, "photo", lambda name: picture)
    windows = np.lib.stride_tricks.sliding_window_view(picture, (4, 4)).astype(float)
    test = np.arange(90) // 12 % 4 == 3
    inside = np.lib.stride_tricks.sliding_window_view(test == (region == "test"), 4).all(1)
    p = windows[:, inside].reshape(-1, 4, 4)
    p = (p - p.mean((1, 2), keepdims=True)) / p.std((1, 2), keepdims=True)
    kinds = [
        (sign * turned[:, ::up, ::across]).reshape(len(p), 16)
        for turned in (p, p.mT)
        for up, across, sign in itertools.product((1, -1), repeat=3)
    ]
    [x] = data.patches("any", 800, 4, region=region, rng=rng())
    distance, nearest = spatial.cKDTree(np.concatenate(kinds)).query(x)
    assert distance.max() < 1e-4
    assert stats.chisquare(np.bincount(nearest // len(p), minlength=16)).pvalue > 1e-4
    assert len(np.unique(nearest % len(p))) > 0.5 * min(len(p), 800)


# --- what patches are like ----------------------------------------------------------------------


@pytest.mark.parametrize("names", ["rocket", ["china"], ("china", "flower", "rocket")], ids=str)
@pytest.mark.parametrize("region", ["train", "test"])
def test_patches_are_normalised(names, region):
    x = data.patches(names, 300, 12, region=region, rng=rng(1, 2))
    assert x.shape == (2, 300, 144)
    assert x.dtype == np.float32
    assert np.isfinite(x).all()
    np.testing.assert_allclose(x.mean(2), 0, atol=1e-4)  # low contrast costs digits
    np.testing.assert_allclose(x.var(2), 1, atol=1e-4)


def test_the_mean_patch_is_zero_because_of_the_sign():
    [x] = data.patches("astronaut", 4000, 8, rng=rng())
    assert (abs(x.mean(0)) < 5 / math.sqrt(4000)).all()
    assert abs((x[:, 0] > 0).mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)


@pytest.mark.parametrize("names", ["coffee", ("brick", "grass")], ids=str)
def test_a_replica_does_not_depend_on_those_beside_it(names):
    among = data.patches(names, 40, 6, rng=rng(3, 8, 1))
    assert (among[1:2] == data.patches(names, 40, 6, rng=rng(8))).all()
    assert (among[1:2] == data.patches(names, 40, 6, rng=rng(8)[0])).all()
    assert (among[0] != among[1]).any()
    if names == "coffee":
        assert (data.patches([names], 40, 6, rng=rng(3, 8, 1)) == among).all()


def test_there_may_be_more_photographs_than_patches():
    x = data.patches(data.PHOTOS, 1, 8, rng=rng(*range(6)))
    np.testing.assert_allclose(x.var(2), 1, atol=1e-4)


def pictures(monkeypatch, **named):
    monkeypatch.setattr(photos, "photo", {k: np.float32(v) for k, v in named.items()}.get)


def test_several_photographs_take_part_alike(monkeypatch):
    x, y = np.meshgrid(np.arange(120), np.arange(40))
    pictures(monkeypatch, ramp=x + y, checks=(x + y) % 2, stripes=x // 1 % 4 // 2 + 1e-3 * y)
    [patches] = data.patches(["ramp", "checks", "stripes"], 900, 4, rng=rng())
    is_ramp = abs(abs(patches).max(1) - 3 / math.sqrt(2.5)) < 1e-3
    is_checks = (abs(abs(patches) - 1) < 1e-5).all(1)
    counts = [is_ramp.sum(), is_checks.sum(), (~is_ramp & ~is_checks).sum()]
    assert stats.chisquare(counts).pvalue > 1e-4


def test_flat_patches_are_drawn_again(monkeypatch):
    picture = np.zeros((60, 100))
    picture[25:, :] = np.random.default_rng(0).random((35, 100))
    picture[:25] += 1e-3 * np.random.default_rng(1).random((25, 100))  # below a grey level
    pictures(monkeypatch, half=picture, whole=np.full((60, 100), 0.7), other=picture[::-1])
    [x] = data.patches("half", 500, 5, rng=rng())
    assert np.isfinite(x).all()
    np.testing.assert_allclose(x.var(1), 1, atol=1e-4)
    assert len(np.unique(x[:, 0])) > 490
    with pytest.raises(ValueError, match="photo 'whole' is flat: no patch of size 5"):
        data.patches(["half", "whole"], 20, 5, rng=rng())


def test_memory_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "require", lambda n_bytes, what: asked.append(n_bytes))
    x = data.patches("grass", 30, 6, rng=rng(0, 1))
    clone = data.gaussian_clone(x, 40, rng=rng(0, 1))
    assert asked[0] >= x.nbytes
    assert asked[-1] >= clone.nbytes


# --- clones and whitening -----------------------------------------------------------------------


def test_a_clone_has_the_mean_and_covariance_of_its_own_replica():
    g = np.random.default_rng(0)
    maker = g.normal(size=(2, 5, 5))
    x = (g.exponential(size=(2, 3000, 5)) @ maker + np.array([[[3.0]], [[-1.0]]])).astype("f")
    before = x.copy()
    n = 40_000
    clone = data.gaussian_clone(x, n, rng=rng(1, 2))
    assert clone.shape == (2, n, 5)
    assert clone.dtype == np.float32
    assert (x == before).all()
    for theirs, ours in zip(clone.astype(float), x.astype(float), strict=True):
        C = np.cov(ours.T)
        assert (abs(theirs.mean(0) - ours.mean(0)) < 5 * np.sqrt(C.diagonal() / n)).all()
        error = np.sqrt((np.outer(C.diagonal(), C.diagonal()) + C**2) / n)
        assert (abs(np.cov(theirs.T) - C) < 5 * error).all()
        assert (abs(stats.kurtosis(theirs)) < 5 * math.sqrt(24 / n)).all()
    assert abs(stats.kurtosis(x[0])).max() > 0.5
    alone = data.gaussian_clone(x[1:], n, rng=rng(2))
    assert (alone[0] == clone[1]).all()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 255.0])
def test_a_clone_stays_in_the_plane_of_few_inputs(scale):
    x = scale * np.random.default_rng(0).normal(size=(1, 3, 200))
    [clone] = data.gaussian_clone(x, 50, rng=rng())
    rest = clone - x[0].mean(0)
    plane = np.linalg.svd(x[0] - x[0].mean(0))[2][:2]
    outside = rest - rest @ plane.T @ plane
    assert abs(outside).max() < 1e-3 * scale
    assert rest.std() > 0.3 * scale
    flat = data.gaussian_clone(np.full((1, 4, 3), 2.0), 5, rng=rng())
    assert flat == pytest.approx(2.0)


def test_a_clone_of_patches_is_gaussian_and_the_patches_are_not():
    x = data.patches("coffee", 3000, 8, rng=rng())
    clone = data.gaussian_clone(x, 3000, rng=rng(1))
    contrast = (x[0, :, :-1] - x[0, :, 1:]), (clone[0, :, :-1] - clone[0, :, 1:])
    sharp, soft = (stats.kurtosis(c, axis=0).mean() for c in contrast)
    assert sharp > 2
    assert abs(soft) < 0.2


def test_whitening_gives_the_unit_covariance():
    g = np.random.default_rng(0)
    x = (g.normal(size=(2, 500, 4)) * [5, 1, 2, 0.5]) @ g.normal(size=(2, 4, 4)) + 7
    W = data.zca(x, eps=1e-9)
    assert W.shape == (2, 4, 4)
    assert W.dtype == np.float32
    np.testing.assert_allclose(W, W.mT, atol=1e-5)
    for rows, matrix in zip(x, W, strict=True):
        np.testing.assert_allclose(np.cov((rows @ matrix).T), np.eye(4), atol=1e-3)
        assert (np.linalg.eigvalsh(matrix) > 0).all()
    assert (data.zca(x[1:], eps=1e-9)[0] == W[1]).all()


@pytest.mark.parametrize("eps", [1e-2, 1.0])
def test_whitening_adds_a_share_of_the_mean_eigenvalue(eps):
    x = data.patches("grass", 2000, 6, rng=rng())
    [W] = data.zca(x, eps).astype(float)
    C = np.cov(x[0].T.astype(float))
    raised = C + eps * np.trace(C) / 36 * np.eye(36)
    np.testing.assert_allclose(W @ raised @ W, np.eye(36), atol=2e-5)


def test_white_patches_are_nearly_white():
    x = data.patches("grass", 4000, 6, rng=rng())
    white = np.cov((x @ data.zca(x))[0].T)
    before = np.corrcoef(x[0].T)
    off = ~np.eye(36, dtype=bool)
    assert abs(white[off]).max() < 0.2
    assert before[off].max() > 0.4
    assert (abs(white.diagonal() - 0.9) < 0.1).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-25, 1e-20, 1e-15, 1.0, 1e15])
def test_clones_and_whitening_do_not_hang_on_units(scale):
    x = np.random.default_rng(0).normal(size=(2, 40, 5)) * [1, 2, 3, 4, 5]
    expected = data.gaussian_clone(x, 60, rng=rng(1, 2)), data.zca(x)
    fixed = scale * x
    fixed.setflags(write=False)
    for inputs in (
        fixed,
        (scale * x)[:, ::-1, ::-1].copy()[:, ::-1, ::-1],
        torch.from_numpy(scale * x),
    ):
        clone, white = data.gaussian_clone(inputs, 60, rng=rng(1, 2)), data.zca(inputs)
        assert type(clone) is type(white) is type(inputs)
        np.testing.assert_allclose(np.asarray(clone) / scale, expected[0], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(np.asarray(white) * scale, expected[1], rtol=1e-3, atol=1e-5)


# --- what is refused ----------------------------------------------------------------------------

ONE = {"rng": np.random.default_rng(0)}
BAD = np.ones((1, 3, 2))
BAD[0, 1, 1] = np.nan
REFUSED = {
    "photo": (lambda: data.photo("moon"), "unknown photo 'moon': choose from astronaut, .*flower"),
    "name": (lambda: data.patches(["china", "x"], 2, 8, **ONE), "unknown photo 'x': choose from"),
    "region": (lambda: data.patches("china", 2, 8, region="all", **ONE), "'test', got 'all'"),
    "n": (lambda: data.patches("china", 0, 8, **ONE), "n must be 1 or larger, got 0"),
    "small": (lambda: data.patches("china", 2, 1, **ONE), r"china must be in \[2, 64\], got 1"),
    "stripes": (
        lambda: data.patches("china", 2, 65, **ONE),
        r"size for patches of china must be in \[2, 64\], got 65",
    ),
    "smallest": (
        lambda: data.patches(["china", "chelsea"], 2, 50, **ONE),
        r"chelsea must be in \[2, 45\], got 50",
    ),
    "photo size": (lambda: data.patches("camera", 2, 600, **ONE), r"\[2, 51\], got 600"),
    "eps": (lambda: data.zca(np.eye(3)[None], eps=0), r"eps must be in \(0, inf\), got 0"),
    "constant": (lambda: data.zca(np.ones((1, 4, 3))), "must vary in every replica"),
    "one": (lambda: data.zca(np.ones((2, 1, 3))), r"n of 2 or more, got \(2, 1, 3\)"),
    "flat": (lambda: data.gaussian_clone(np.ones((2, 3)), 1, **ONE), r"n of 2 .* got \(2, 3\)"),
    "single": (lambda: data.gaussian_clone(np.ones((1, 1, 3)), 1, **ONE), r"n of 2 or more"),
    "nan": (lambda: data.gaussian_clone(BAD, 1, **ONE), "inputs must be finite"),
    "inf": (lambda: data.zca(np.full((1, 2, 2), np.inf)), "be finite"),
    "part": (lambda: data.patches("china", 2.5, 8, **ONE), "n must be a whole number, got 2.5"),
    "clones": (lambda: data.gaussian_clone(np.ones((1, 3, 2)), 0, **ONE), "n must be 1 .* got 0"),
    "streams": (lambda: data.gaussian_clone(np.ones((2, 3, 2)), 1, **ONE), "1 generators for 2"),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_out_of_range_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_photograph_that_its_package_lacks_is_named(monkeypatch):
    monkeypatch.setitem(photos._FILES, "ghost", "skimage/data/ghost.png")
    with pytest.raises(ValueError, match="photo 'ghost' is missing from skimage: reinstall"):
        data.photo("ghost")
