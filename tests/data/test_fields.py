"""Random fields have the covariance, variance and kurtosis that are stated for them."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from winnow import data, memory
from winnow.data import fields
from winnow.seeds import generators

GRIDS = [(24,), (15,), (6, 5), (4, 8)]
PROCESSES = {
    "erf": (
        lambda c: data.nonlinear_covariance(c, 3.0),
        lambda grid, xi, n, rng: data.nonlinear_process(grid, xi, n, gain=3.0, rng=rng),
    ),
    "power": (
        lambda c: data.power_covariance(c, 1.5),
        lambda grid, xi, n, rng: data.power_process(grid, xi, n, power=1.5, rng=rng),
    ),
    "gauss": (
        lambda c: c,
        lambda grid, xi, n, rng: data.gaussian_process(data.correlation(grid, xi), n, rng=rng),
    ),
}


def rng(*seeds):
    return generators(seeds or (0,), "inputs")


def circulant(covariance):
    """The dense covariance matrix, entry by entry."""
    grid = covariance.shape
    sites = list(itertools.product(*map(range, grid)))
    C = np.empty((len(sites), len(sites)))
    for (i, a), (j, b) in itertools.product(enumerate(sites), repeat=2):
        C[i, j] = covariance[tuple((x - y) % m for x, y, m in zip(a, b, grid, strict=True))]
    return C


def in_sampling_error(x, C, bar=5.5):
    """Whether second moments of the rows of ``x`` are C, each within its own standard error."""
    products = x[:, :, None].astype(float) * x[:, None, :]
    error = products.std(0, ddof=1) / math.sqrt(len(x))
    return (abs(products.mean(0) - C) <= bar * error).all()


# --- correlations -------------------------------------------------------------------------------


def test_all_ways_around_make_a_covariance_at_any_length():
    for xi in (0.3, 2.0, 9.0, 60.0):
        c = data.correlation((10, 7), xi)
        assert c[0, 0] == 1.001
        assert np.linalg.eigvalsh(circulant(c)).min() > 0.001 - 1e-12
    brute = sum(np.exp(-((abs(3 + 10 * turn) / 9.0) ** 2)) for turn in range(-500, 501))
    brute /= sum(np.exp(-((abs(10 * turn) / 9.0) ** 2)) for turn in range(-500, 501))
    c = data.correlation((10,), 9.0)
    assert c[3] == pytest.approx(brute, abs=1e-12)


def test_on_a_long_ring_the_correlation_is_of_the_shorter_way_around():
    c = data.correlation((100,), 6.0)
    expected = [math.exp(-((min(d, 100 - d) / 6) ** 2)) for d in range(1, 100)]
    np.testing.assert_allclose(c[1:], expected, atol=1e-13)


def test_the_torus_has_the_product_and_one_nugget():
    c = data.correlation((20, 30), 1.5)
    for i, j in itertools.product(range(20), range(30)):
        square = min(i, 20 - i) ** 2 + min(j, 30 - j) ** 2
        assert c[i, j] == pytest.approx(math.exp(-square / 2.25) + 0.001 * (i == j == 0))


def test_the_nugget_is_a_thousandth():
    assert data.correlation((9,), 1.0)[0] == 1.001
    assert data.correlation((9, 3), 1e-200)[0, 0] == 1.001  # and a tiny length makes white noise
    assert not data.correlation((9, 3), 1e-200).flat[1:].any()


@pytest.mark.parametrize("gain", [1e-6, 0.5, 1, 3, 32, 1e3, 1e6])
@pytest.mark.parametrize("nugget", [1e-15, 1e-3, 1.0])
def test_the_arcsine_law_is_finite_with_unit_variance_at_any_gain(gain, nugget):
    x = data.nonlinear_covariance(data.correlation((30,), 3.0) + nugget * np.eye(1, 30)[0], gain)
    assert x[0] == 1
    assert np.isfinite(x).all()
    assert (np.abs(x[1:]) < 1).all()


def test_the_arcsine_law_has_its_limits():
    c = data.correlation((30,), 3.0)
    rho = c / c[0]
    assert data.nonlinear_covariance(c, 1e-3) == pytest.approx(rho, abs=1e-6)
    assert data.nonlinear_covariance(c, 1e6) == pytest.approx(2 / np.pi * np.arcsin(rho), abs=1e-5)
    both = data.nonlinear_covariance(np.array([2.0, 0.6, -0.6]), 1.7)
    assert both[1] == -both[2] > 0


@pytest.mark.parametrize(("gain", "variance"), [(0.3, 1.0), (1.0, 1.0), (3.0, 1.001), (2.0, 4.0)])
def test_the_variance_of_erf_is_its_integral(gain, variance):
    z = np.linspace(-9, 9, 200_001)
    values = [math.erf(gain * math.sqrt(variance) * u / math.sqrt(2)) ** 2 for u in z[::10]]
    assert fields.erf_variance(gain, variance=variance) == pytest.approx(
        np.trapezoid(values * stats.norm.pdf(z[::10]), z[::10]), abs=1e-8
    )


def angular(rho, power, n=400_000):
    """E f(z1) f(z2) over E f² by the trapezoidal rule over the angle of a Gaussian pair."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    a, b = np.cos(t), rho * np.cos(t) + math.sqrt(1 - rho**2) * np.sin(t)
    f, g = (np.sign(u) * np.abs(u) ** power for u in (a, b))
    return (f * g).mean() / (f * f).mean()


@pytest.mark.slow
@pytest.mark.parametrize("power", [0.5, 1.0, 1.5, 2.0, 3.0, 5.0])
def test_the_power_covariance_is_the_angular_integral(power):
    rho = np.array([1.0, 0.97, 0.5, 0.1, 0.0, -0.6])
    found = data.power_covariance(1.7 * rho, power)
    assert found[0] == 1
    assert found[1:] == pytest.approx([angular(r, power) for r in rho[1:]], abs=1e-6)


def test_the_power_covariance_is_exact_where_moments_are_known():
    rho = data.correlation((20,), 3.0) / 1.001
    assert data.power_covariance(rho, 1.0) == pytest.approx(rho, abs=1e-15)
    assert data.power_covariance(rho, 3.0) == pytest.approx((3 * rho + 2 * rho**3) / 5, abs=1e-14)


def test_the_power_covariance_is_that_of_samples():
    rho, n = 0.6, 400_000
    z = np.random.default_rng(1).standard_normal((2, n))
    z[1] = rho * z[0] + 0.8 * z[1]
    moment = 4 / math.sqrt(2 * math.pi)  # E |z|³
    product = (np.sign(z) * np.abs(z) ** 1.5).prod(0) / moment
    expected = data.power_covariance(np.array([1, rho]), 1.5)[1]
    assert abs(product.mean() - expected) < 5 * product.std() / math.sqrt(n)


# --- samples ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("name", PROCESSES)
def test_samples_have_the_stated_covariance(name, grid):
    covariance, process = PROCESSES[name]
    C = circulant(covariance(data.correlation(grid, 1.0)))
    [x] = process(grid, 1.0, 4000, rng())
    assert x.shape == (4000, math.prod(grid))
    assert x.dtype == np.float32
    assert in_sampling_error(x, C)
    assert not in_sampling_error(x, np.roll(C, 1, 0))
    assert (abs(x.mean(0)) < 5.5 / math.sqrt(4000)).all()


@pytest.mark.parametrize("name", ["erf", "power"])
def test_a_matched_gaussian_shares_the_covariance_and_has_no_kurtosis(name):
    covariance, process = PROCESSES[name]
    wanted = covariance(data.correlation((24,), 1.5))
    [clone] = data.gaussian_process(wanted, 20_000, rng=rng(5))
    [x] = process((24,), 1.5, 20_000, rng(6))
    assert in_sampling_error(clone[:4000], circulant(wanted))
    gap = (clone**2).mean(1) - (x**2).mean(1)  # both 1 on average, field by field
    assert abs(gap.mean()) < 5 * gap.std() / math.sqrt(len(gap))
    # Neighbours are correlated, so the error is that of one pixel per field, at least.
    assert abs(stats.kurtosis(clone, axis=None)) < 5 * math.sqrt(24 / 20_000)
    assert abs(stats.kurtosis(x, axis=None)) > 1


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_the_fourier_square_root_squares_to_the_dense_matrix(grid):
    covariance = data.nonlinear_covariance(data.correlation(grid, 1.2), 2.0)
    size = math.prod(grid)

    class Unit:
        """Draws the unit vectors in place of white noise."""

        def standard_normal(self, shape, dtype):
            return np.eye(size, dtype=dtype).reshape(shape)

    [root] = data.gaussian_process(covariance, size, rng=[Unit()])
    np.testing.assert_allclose(root @ root.T, circulant(covariance), atol=3e-6)
    np.testing.assert_allclose(root, root.T, atol=1e-6)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_replica_does_not_depend_on_those_beside_it(name):
    _, process = PROCESSES[name]
    among = process((4, 3), 1.0, 50, rng(3, 8, 1))
    assert among.shape == (3, 50, 12)
    assert (among[1:2] == process((4, 3), 1.0, 50, rng(8))).all()
    assert (among[1:2] == process((4, 3), 1.0, 50, rng(8)[0])).all()
    flat = among.reshape(3, -1)
    assert (abs(np.corrcoef(flat)[np.triu_indices(3, 1)]) < 5 / math.sqrt(50)).all()


def test_rows_do_not_depend_on_how_many_are_made_at_once(monkeypatch):
    c = data.correlation((10,), 1.0)
    whole = data.gaussian_process(c, 25, rng=rng(2))
    monkeypatch.setattr(fields, "CHUNK", 40)
    np.testing.assert_allclose(data.gaussian_process(c, 25, rng=rng(2)), whole, atol=1e-6)
    assert len(np.unique(whole[0, :, 0])) == 25


def test_an_eigenvalue_that_rounding_made_negative_counts_as_zero():
    smooth = np.fft.irfft([8.0, 4.0, 0.0, -1e-7, -1e-7], 8)
    [x] = data.gaussian_process(smooth, 500, rng=rng())
    waves = np.abs(np.fft.rfft(x)).max(0)
    assert waves[[0, 1]].min() > 1
    assert waves[2:].max() < 1e-4


def test_memory_is_asked_for(monkeypatch):
    asked = {}
    monkeypatch.setattr(memory, "require", lambda n_bytes, what: asked.update({what: n_bytes}))
    x = data.nonlinear_process((50,), 2.0, 40, gain=1.0, rng=rng(0, 1))
    inputs, labels = data.mix([x, x], rng=rng(0, 1))
    assert asked["2 x 40 fields of 50 sites"] >= x.nbytes
    assert asked["mixing the classes"] >= inputs.nbytes + labels.nbytes


# --- kurtosis -----------------------------------------------------------------------------------


def test_the_kurtosis_has_its_limits():
    assert data.pixel_kurtosis(gain=1.0) == pytest.approx(-1.2, abs=1e-12)
    assert data.pixel_kurtosis(gain=1e-3) == pytest.approx(0, abs=1e-5)
    assert data.pixel_kurtosis(gain=1e6) == pytest.approx(-2, abs=1e-5)
    assert data.pixel_kurtosis(gain=3.0, variance=4.0) == pytest.approx(
        data.pixel_kurtosis(gain=6.0), abs=1e-12
    )


@pytest.mark.parametrize("gain", [0.5, 3.0, 10.0])
def test_the_kurtosis_is_the_integral_over_ranks(gain):
    u = (np.arange(100_000) + 0.5) / 100_000
    x = 2 * stats.norm.cdf(gain * stats.norm.ppf(u)) - 1
    expected = np.mean(x**4) / np.mean(x**2) ** 2 - 3
    assert data.pixel_kurtosis(gain=gain) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(
    ("process", "knob", "kurtosis"),
    [
        (data.nonlinear_process, {"gain": 0.5}, data.pixel_kurtosis(0.5, variance=1.001)),
        (data.nonlinear_process, {"gain": 3.0}, data.pixel_kurtosis(3.0, variance=1.001)),
        (data.power_process, {"power": 1.5}, 15 * math.pi / 8 - 3),
        (data.power_process, {"power": 2.0}, 105 / 9 - 3),
    ],
    ids=["gain 0.5", "gain 3", "power 1.5", "power 2"],
)
def test_pixels_have_the_stated_kurtosis(process, knob, kurtosis):
    [x] = process((10,), 1e-9, 20_000, rng=rng(), **knob).astype(float)  # independent pixels
    expected = 3 + kurtosis
    fourth = (x**4).ravel()
    assert abs(fourth.mean() - expected) < 5 * fourth.std() / math.sqrt(fourth.size)
    square = (x**2).ravel()
    assert abs(square.mean() - 1) < 5 * square.std() / math.sqrt(square.size)


# --- classes ------------------------------------------------------------------------------------


def labelled(s, n, label):
    """Rows that say their class, replica and place."""
    return np.stack([[[label, k, i] for i in range(n)] for k in range(s)]).astype(np.float32)


def test_mixing_keeps_rows_with_their_labels_in_an_order_of_each_replica():
    groups = [labelled(2, 30, 0), labelled(2, 20, 1), labelled(2, 1, 2)]
    inputs, labels = data.mix(groups, rng=rng(4, 5))
    assert inputs.shape == (2, 51, 3)
    assert labels.shape == (2, 51)
    assert (inputs.dtype, labels.dtype) == (np.float32, np.int64)
    assert (inputs[..., 0] == labels).all()
    assert (inputs[..., 1] == [[0], [1]]).all()
    for s in range(2):
        expected = sorted(map(tuple, np.concatenate([g[s] for g in groups])))
        assert sorted(map(tuple, inputs[s])) == expected
        assert (np.diff(labels[s]) != 0).sum() > 5
    assert (labels[0] != labels[1]).any()
    alone, of_alone = data.mix([g[1:] for g in groups], rng=rng(5))
    assert (alone[0] == inputs[1]).all()
    assert (of_alone[0] == labels[1]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_covariances_of_any_kind_layout_and_scale_mean_the_same(scale):
    c = data.correlation((9,), 1.5)
    fixed = (scale * c).copy()
    fixed.setflags(write=False)
    layouts = {
        "reversed": (scale * c)[::-1].copy()[::-1],
        "read-only": fixed,
        "foreign": (scale * c).astype(">f8"),
        "tensor": torch.from_numpy(scale * c),
    }
    for corr in layouts.values():
        found = data.power_covariance(corr, 2.0)
        assert type(found) is type(corr)
        np.testing.assert_allclose(np.asarray(found), data.power_covariance(c, 2.0), rtol=1e-12)
        fields_of = data.gaussian_process(corr, 50, rng=rng()) / math.sqrt(scale)
        expected = data.gaussian_process(c, 50, rng=rng())
        np.testing.assert_allclose(fields_of, expected, rtol=1e-3, atol=1e-4)
    assert isinstance(data.nonlinear_covariance(layouts["tensor"], 2.0), torch.Tensor)


# --- what is refused ----------------------------------------------------------------------------

ONE = {"rng": np.random.default_rng(0)}
SHORTER = np.minimum(np.arange(100), 100 - np.arange(100))  # the shorter way around
REFUSED = {
    "xi 0": (lambda: data.correlation((9,), 0), r"xi must be in \(0, inf\), got 0"),
    "xi nan": (lambda: data.correlation((9,), math.nan), "xi must .* got nan"),
    "xi beyond memory": (lambda: data.correlation((9,), 1e20), "length of 1e.20 needs .* free"),
    "xi below": (lambda: data.nonlinear_process((9,), -1, 2, gain=1, **ONE), "xi must .* got -1"),
    "no grid": (lambda: data.correlation((), 1), r"grid must be \(D,\) or \(p, q\) .* got \(\)"),
    "no site": (lambda: data.correlation((4, 0), 1), r"grid must .* got \(4, 0\)"),
    "number": (lambda: data.correlation(9, 1), "grid must .* got 9"),
    "solid": (lambda: data.correlation((2, 2, 2), 1), r"grid must .* got \(2, 2, 2\)"),
    "gain 0": (lambda: data.nonlinear_process((9,), 1, 2, gain=0, **ONE), "gain must .* got 0"),
    "gain": (lambda: data.nonlinear_covariance(np.ones(3), -2), r"\[1e-6, 1e6\], got -2"),
    "gain nan": (lambda: data.pixel_kurtosis(gain=math.nan), r"gain must be in .* got nan"),
    "variance": (lambda: data.pixel_kurtosis(gain=1, variance=0), "variance must .* got 0"),
    "power 0": (lambda: data.power_process((9,), 1, 2, power=0, **ONE), r"\(0, 5\], got 0"),
    "power": (lambda: data.power_covariance(np.ones(3), 6), r"power must be in \(0, 5\], got 6"),
    "n": (lambda: data.gaussian_process(np.ones(3), 0, **ONE), "n must be 1 or larger, got 0"),
    "negative": (
        lambda: data.gaussian_process(np.array([1, 0.9, 0.0, 0.9]), 1, **ONE),
        r"negative eigenvalue -0\.8,.* shorter correlation length",
    ),
    "long": (
        lambda: data.gaussian_process(np.exp(-((SHORTER / 45) ** 2)), 1, **ONE),
        "negative eigenvalue",
    ),
    "lopsided": (
        lambda: data.gaussian_process(np.array([1, 0.2, 0.0]), 1, **ONE),
        r"the same to both sides of the first site, got 0\.0 and 0\.2",
    ),
    "beyond": (lambda: data.power_covariance(np.array([1, 2.0]), 1), "first entry 1.0, got 2.0"),
    "nan": (lambda: data.power_covariance(np.array([1, math.nan]), 1), "covariance must be finite"),
    "zero": (lambda: data.gaussian_process(np.zeros(3), 1, **ONE), "covariance must"),
    "inf": (lambda: data.nonlinear_covariance(np.array([math.inf, 1]), 1), "must be finite"),
    "part of a site": (lambda: data.correlation((4.5,), 1), r"grid must .* got \(4.5,\)"),
    "part of a field": (lambda: data.gaussian_process(np.ones(3), 1.5, **ONE), "got 1.5"),
    "huge": (lambda: data.gaussian_process(np.eye(1, 4)[0] * 1e80, 1, **ONE), "got 1e.80"),
    "minute": (lambda: data.gaussian_process(np.eye(1, 4)[0] * 1e-90, 1, **ONE), "got 1e-90"),
    "nan to mix": (
        lambda: data.mix([np.full((1, 2, 3), math.nan)], **ONE),
        "groups must be finite",
    ),
    "no class": (lambda: data.mix([], **ONE), r"groups must .* got \[\]"),
    "widths": (lambda: data.mix([np.ones((1, 2, 3)), np.ones((1, 2, 4))], **ONE), "one S and D"),
    "replicas": (lambda: data.mix([np.ones((1, 2, 3)), np.ones((2, 2, 3))], **ONE), "one S and D"),
    "flat": (lambda: data.mix([np.ones((2, 3))], **ONE), "groups must have shapes"),
    "streams": (lambda: data.mix([np.ones((2, 2, 3))], **ONE), "1 generators for 2 replicas"),
}


@pytest.mark.parametrize(("call", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_out_of_range_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
