"""Problems from photographs, for the chapter on receptive fields.

Patches of one seed come from random places, but of the same photographs: seeds say how much
training and sampling vary, not whether a result holds for other pictures. For that, the unit is
a pair of photographs.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from winnow import data
from winnow.experiments.receptive_fields.problems import CLONE, FIELD, Problem, Sampler, assemble
from winnow.seeds import generators

#: Pairs in which no photograph stands more than twice.
PAIRS = (
    ("china", "flower"),
    ("coffee", "camera"),
    ("brick", "gravel"),
    ("astronaut", "grass"),
    ("chelsea", "rocket"),
    ("motorcycle", "camera"),
    ("flower", "brick"),
    ("coffee", "chelsea"),
    ("astronaut", "gravel"),
    ("grass", "china"),
)


def higher_order_photos(size: int, *, seeds: Sequence[int], **sizes: int) -> Problem:
    """Patches of all photographs against Gaussian clones of them, which have their covariance.

    The second kind, a control, sets clones against clones: nothing can be told apart. Patches for
    testing, and those that clones for testing are made from, lie where no training patch does.

    Parameters
    ----------
    size
        Pixels along an edge of a patch.
    seeds
        Each with patches of its own.
    **sizes
        ``n_train``, ``n_test``, ``n_probe``, per class.
    """

    @functools.cache  # the same patches are cloned and looked at
    def photos(n: int, purpose: str) -> np.ndarray:
        rng = generators(seeds, f"patches, {purpose}")
        return data.patches(data.PHOTOS, n, size, region=purpose, rng=rng)

    clones = [_clones(photos, f"clone {c}", seeds) for c in (0, 1)]
    groups = {FIELD: (clones[0], photos), CLONE: tuple(clones)}
    return assemble(groups, _where(size), seeds=seeds, **sizes)


def photo_pairs(
    pairs: Sequence[tuple[str, str]], size: int, *, seeds: Sequence[int], **sizes: int
) -> Problem:
    """One photograph against another, and the same between their Gaussian clones.

    Patches are whitened; matrices are fitted to the training patches of both photographs of a
    pair, clones to the whitened patches of each. What stands for replicas are the pairs.

    Parameters
    ----------
    pairs
        Names of photographs.
    size, **sizes
        As for :func:`~winnow.experiments.receptive_fields.photographs.higher_order_photos`.
    seeds
        One per pair.
    """

    @functools.cache
    def patches(c: int, n: int, purpose: str) -> np.ndarray:
        rngs = generators(seeds, f"patches {c}, {purpose}")
        drawn = [
            data.patches(pair[c], n, size, region=purpose, rng=[rng])
            for pair, rng in zip(pairs, rngs, strict=True)
        ]
        return np.concatenate(drawn)

    both = [patches(c, sizes["n_train"], "train") for c in (0, 1)]
    white = data.zca(np.concatenate(both, 1)).astype(np.float32)
    natural = [lambda n, purpose, c=c: patches(c, n, purpose) @ white for c in (0, 1)]
    clones = [_clones(natural[c], f"clone {c}", seeds) for c in (0, 1)]
    groups = {FIELD: natural, CLONE: clones}
    return assemble(groups, _where(size), seeds=seeds, **sizes)


def _where(size: int) -> dict[str, object]:
    return {"grid": (size, size), "radius": 2, "cyclic": False}


def _clones(photos: Sampler, name: str, seeds: Sequence[int]) -> Sampler:
    """Gaussian inputs with the mean and covariance of as many patches."""

    @functools.cache
    def draw(n: int, purpose: str) -> np.ndarray:
        rng = generators(seeds, f"{name}, {purpose}")
        return data.gaussian_clone(photos(n, purpose), n, rng=rng)

    return draw
