"""Random numbers that belong to one seed and one purpose.

Replica :math:`k` draws from its own stream, so its result does not depend on how many
replicas run beside it, and two purposes (initial weights, batch order, null model) never
share a stream.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

Rng = np.random.Generator | Sequence[np.random.Generator]


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A stream for one seed and one purpose.

    Parameters
    ----------
    seed
        The replica's seed, 0 or larger.
    purpose
        What the numbers are for, such as ``"weights"``; part of the stream's identity.

    Examples
    --------
    >>> a, b = generator(7, "weights"), generator(7, "batches")
    >>> bool(a.random() == generator(7, "weights").random())
    True
    >>> bool(a.random() == b.random())
    False
    """
    if seed < 0:
        raise ValueError(f"seed must be 0 or larger, got {seed}")
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(purpose.encode())]))


def generators(seeds: Sequence[int], purpose: str) -> list[np.random.Generator]:
    """One stream per seed, see :func:`~winnow.seeds.generator`."""
    return [generator(int(seed), purpose) for seed in seeds]


def uniform(rng: Rng, n_replicas: int, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers in [0, 1) for each replica, ``(n_replicas, *shape)``.

    Parameters
    ----------
    rng
        One generator per replica, or a single one that serves them in turn.
    n_replicas
        Replicas R, at least 0.
    shape
        What each replica gets.

    Raises
    ------
    ValueError
        If a list of generators does not hold one per replica.
    """
    if isinstance(rng, np.random.Generator):
        return rng.random((n_replicas, *shape))
    if len(rng) != n_replicas:
        raise ValueError(f"got {len(rng)} generators for {n_replicas} replicas: pass one for each")
    return np.stack([g.random(shape) for g in rng])


def normal(rng: Rng, n_replicas: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, otherwise as :func:`~winnow.seeds.uniform`."""
    if isinstance(rng, np.random.Generator):
        return rng.standard_normal((n_replicas, *shape))
    if len(rng) != n_replicas:
        raise ValueError(f"got {len(rng)} generators for {n_replicas} replicas: pass one for each")
    return np.array([g.standard_normal(shape) for g in rng]).reshape(n_replicas, *shape)
