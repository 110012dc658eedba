r"""Patches of photographs that come with installed packages, whitened, and their Gaussian clones.

Nothing is downloaded: nine photographs lie in the package of scikit-image, two in that of
scikit-learn. A photograph is cut into column stripes that belong to training or to testing, so no
pixel is ever seen in both. A clone shares mean and covariance with the data and nothing beyond
them, so what tells the two apart are statistics of higher order.
"""

import functools
from collections.abc import Sequence
from importlib import resources

import numpy as np

from winnow import memory
from winnow.arrays import Array, as_numpy, check_count, check_range, finite, like
from winnow.seeds import Rng, streams

_FILES = {
    "astronaut": "skimage/data/astronaut.png",
    "camera": "skimage/data/camera.png",
    "chelsea": "skimage/data/chelsea.png",
    "coffee": "skimage/data/coffee.png",
    "rocket": "skimage/data/rocket.jpg",
    "motorcycle": "skimage/data/motorcycle_left.png",
    "brick": "skimage/data/brick.png",
    "grass": "skimage/data/grass.png",
    "gravel": "skimage/data/gravel.png",
    "china": "sklearn/datasets/images/china.jpg",
    "flower": "sklearn/datasets/images/flower.jpg",
}

#: Names of the photographs.
PHOTOS = tuple(_FILES)

#: Shares of red, green and blue in grey.
GREY = (0.2125, 0.7154, 0.0721)

#: Width of a stripe in patches, and how many stripes there are for each one of testing.
STRIPE, EVERY = 3, 4

#: Contrast below which a patch is drawn again: one grey level of 256, as a standard deviation.
FLAT = 1 / 255


@functools.cache
def photo(name: str) -> np.ndarray:
    """A photograph in grey, ``(height, width)`` in float32 from 0 (black) to 1 (white).

    Parameters
    ----------
    name
        One of :data:`~winnow.data.PHOTOS`.

    Returns
    -------
    numpy.ndarray
        Read-only, because the same array is handed out every time.

    Raises
    ------
    ValueError
        If there is no such photograph, or its package came without it.

    Examples
    --------
    >>> photo("camera").shape
    (512, 512)
    """
    if name not in _FILES:
        raise ValueError(f"unknown photo {name!r}: choose from {', '.join(PHOTOS)}")
    from skimage import io  # here, because it takes a second that most need not wait

    package, _, file = _FILES[name].partition("/")
    path = resources.files(package) / file
    if not path.is_file():
        raise ValueError(f"photo {name!r} is missing from {package}: reinstall that package")
    pixels = io.imread(path)
    grey = pixels if pixels.ndim == 2 else pixels[..., :3] @ np.array(GREY)
    grey = (grey / 255).astype(np.float32)
    grey.setflags(write=False)
    return grey


def patches(
    names: str | Sequence[str], n: int, size: int, *, region: str = "train", rng: Rng
) -> np.ndarray:
    """Square patches with mean 0 and variance 1, ``(S, n, size * size)`` in float32.

    Each is cut at random, and at random transposed, flipped in both directions and multiplied by
    −1, so that the mean over patches is 0 for any photograph. Patches flatter than one grey level
    of 256 are drawn again.

    Parameters
    ----------
    names
        One of :data:`~winnow.data.PHOTOS`, or several: then each patch is from any of them
        with the same probability.
    n
        Patches of each replica, at least 1.
    size
        Rows and columns of a patch, at least 2, at most the height and a tenth of the width of the
        smallest photograph.
    region
        ``"train"`` or ``"test"``. Stripes are 3 ``size`` columns wide and every fourth is for
        testing. Patches lie within one region; stripes of training side by side count as one.
    rng
        One generator for each of S replicas; a single one makes one replica.

    Raises
    ------
    ValueError
        If a name, the region or a number is not among those above, or memory does not suffice.

    Examples
    --------
    >>> x = patches("coffee", 5, 8, rng=np.random.default_rng(0))
    >>> x.shape, bool(abs(x.mean(2)).max() < 1e-4), bool(abs(x.std(2) - 1).max() < 1e-4)
    ((1, 5, 64), True, True)
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    if region not in ("train", "test"):
        raise ValueError(f"region must be 'train' or 'test', got {region!r}")
    check_count("n", n)
    for name in names:
        height, width = photo(name).shape
        most = min(height, width // (STRIPE * (EVERY - 1) + 1))  # one patch for testing fits
        check_count(f"size for patches of {name}", size, 2, most)
    rngs = streams(rng)
    need = 4 * size**2 * n * (len(rngs) + 3)
    memory.require(need, f"{len(rngs)} x {n} patches of {size} x {size} pixels")
    out = np.empty((len(rngs), n, size * size), np.float32)
    for place, stream in enumerate(rngs):
        raw = _crops(names, n, size, region, stream)
        transposed, down, across = stream.random((3, n)) < 0.5
        raw[transposed] = raw[transposed].transpose(0, 2, 1)
        raw[down] = raw[down, ::-1]
        raw[across] = raw[across, :, ::-1]
        raw *= stream.choice(np.float32([-1, 1]), n)[:, None, None] / _deviation(raw)
        out[place] = raw.reshape(n, -1)
    return out


def zca(inputs: Array, eps: float = 1e-2) -> Array:
    r"""Symmetric whitening matrices, ``(S, D, D)`` in float32 for inputs ``(S, n, D)``.

    .. math:: W = U (\Lambda + \epsilon \bar\lambda)^{-1/2} U^\top

    with the covariance :math:`U \Lambda U^\top` of a replica's inputs and its mean eigenvalue
    :math:`\bar\lambda`. Whiten rows by ``inputs @ W``, those of the test set too. When classes
    are to keep their differences, fit W to all of them together.

    Parameters
    ----------
    inputs
        Training data, n of 2 or more.
    eps
        Above 0. Directions whose variance is far below ``eps`` times the mean stay small, instead
        of noise being blown up.

    Raises
    ------
    ValueError
        If ``eps`` is not above 0, there are fewer than 2 inputs, or they do not vary.

    Examples
    --------
    The variances are 16/3 and 4/3, and there is no regularisation to speak of.

    >>> x = np.array([[[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]]])
    >>> (zca(x, eps=1e-9)[0].diagonal() ** -2.0 * 3).round(3).tolist()
    [16.0, 4.0]
    """
    check_range("eps", eps, "(0, inf)")
    _, covariance = _moments(inputs)
    values, vectors = np.linalg.eigh(covariance)
    mean = values.mean(-1, keepdims=True)
    if not (mean > 0).all():
        raise ValueError("inputs to whiten must vary in every replica, got constant ones")
    scale = 1 / np.sqrt(np.maximum(values, 0) + eps * mean)
    return like(((vectors * scale[:, None]) @ vectors.mT).astype(np.float32), inputs)


def gaussian_clone(inputs: Array, n: int, *, rng: Rng) -> Array:
    """Gaussian samples with the mean and covariance of the inputs, ``(S, n, D)`` in float32.

    What a network makes of them it can only have from these two :cite:p:`refinetti2023`. Each
    replica's clone is of its own inputs. A variance of 1e-8 times the mean one is added to every
    direction, so that inputs fewer than D, or confined to a plane, have clones too.

    Parameters
    ----------
    inputs
        What to fit, ``(S, n', D)`` with n' of 2 or more, which need not be n. Classes are cloned
        one by one.
    n
        Samples of each replica, at least 1.
    rng
        One generator for each replica.

    Raises
    ------
    ValueError
        If there are fewer than 2 inputs, one is not finite, the number of generators does not
        match, or memory does not suffice.

    Examples
    --------
    Inputs on a line have clones on that line.

    >>> x = np.array([[[0.0, 1.0], [2.0, 1.0]]])
    >>> clone = gaussian_clone(x, 3, rng=np.random.default_rng(0))
    >>> clone.shape, clone[0, :, 1].round(3).tolist()
    ((1, 3, 2), [1.0, 1.0, 1.0])
    """
    check_count("n", n)
    mean, covariance = _moments(inputs)
    n_replicas, n_pixels = mean.shape
    rngs = streams(rng, n_replicas)
    memory.require(4 * n * n_pixels * (n_replicas + 2), f"{n_replicas} x {n} Gaussian clones")
    out = np.empty((n_replicas, n, n_pixels), np.float32)
    for place, stream in enumerate(rngs):
        root = _cholesky(covariance[place]).T.astype(np.float32)
        np.matmul(stream.standard_normal((n, n_pixels), np.float32), root, out=out[place])
        out[place] += mean[place].astype(np.float32)
    return like(out, inputs)


def _crops(
    names: tuple[str, ...], n: int, size: int, region: str, rng: np.random.Generator
) -> np.ndarray:
    """Patches ``(n, size, size)`` less their mean, none of them flat."""
    from_which = rng.integers(len(names), size=n)
    out = np.empty((n, size, size), np.float32)
    for k, name in enumerate(names):
        windows = np.lib.stride_tricks.sliding_window_view(photo(name), (size, size))
        starts = _starts(photo(name).shape[1], size, region)
        todo = np.flatnonzero(from_which == k)
        for _ in range(1000):
            top = rng.integers(len(windows), size=len(todo))
            raw = windows[top, starts[rng.integers(len(starts), size=len(todo))]]
            out[todo] = raw - raw.mean((1, 2), keepdims=True)
            todo = todo[_deviation(out[todo])[:, 0, 0] < FLAT]
            if not len(todo):
                break
        else:
            raise ValueError(f"photo {name!r} is flat: no patch of size {size} shows anything")
    return out


def _starts(width: int, size: int, region: str) -> np.ndarray:
    """Left columns from which ``size`` columns on all belong to the region."""
    stripe = np.arange(width) // (STRIPE * size)
    inside = (stripe % EVERY == EVERY - 1) == (region == "test")
    count = np.concatenate([[0], np.cumsum(inside)])
    return np.flatnonzero(count[size:] - count[:-size] == size)


def _deviation(raw: np.ndarray) -> np.ndarray:
    """Standard deviation of patches whose mean is 0, ``(n, 1, 1)``."""
    return np.sqrt(np.einsum("nij,nij->n", raw, raw) / raw.shape[1] ** 2)[:, None, None]


def _moments(inputs: Array) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``(S, D)`` and covariance ``(S, D, D)`` of each replica, in float64."""
    inputs = as_numpy(finite(inputs, "inputs"), None)
    if inputs.ndim != 3 or inputs.shape[1] < 2:
        raise ValueError(f"inputs must be (S, n, D) with n of 2 or more, got {inputs.shape}")
    memory.require(8 * inputs[0].size + 16 * len(inputs) * inputs.shape[2] ** 2, "a covariance")
    mean = inputs.mean(1, dtype=np.float64)
    covariance = np.empty((*mean.shape, mean.shape[1]))
    for place, (rows, centre) in enumerate(zip(inputs, mean, strict=True)):
        rest = rows - centre
        np.matmul(rest.T, rest, out=covariance[place])
    covariance /= inputs.shape[1] - 1
    return mean, covariance


def _cholesky(covariance: np.ndarray) -> np.ndarray:
    variance = np.trace(covariance) / len(covariance)
    if variance == 0:  # constant inputs have a constant clone
        return covariance
    return np.linalg.cholesky(covariance + 1e-8 * variance * np.eye(len(covariance)))
