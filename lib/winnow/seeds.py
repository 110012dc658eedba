"""Random numbers that belong to one seed and one purpose.

Replica :math:`k` draws from its own stream, so its result does not depend on how many
replicas run beside it, and two purposes (initial weights, batch order, null model) never
share a stream.
"""

import zlib
from collections.abc import Callable, Sequence

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
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be a whole number, 0 or larger, got {seed!r}")
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(purpose.encode())]))


def generators(seeds: Sequence[int], purpose: str) -> list[np.random.Generator]:
    """One stream per seed, see :func:`~winnow.seeds.generator`."""
    return [generator(seed, purpose) for seed in seeds]


def streams(rng: Rng, n_replicas: int | None = None) -> list[np.random.Generator]:
    """A generator per replica, where a single one makes one replica.

    Raises
    ------
    ValueError
        If there are not as many as replicas, where their number is given.
    """
    found = [rng] if isinstance(rng, np.random.Generator) else list(rng)
    if n_replicas is not None and len(found) != n_replicas:
        raise ValueError(
            f"got {len(found)} generators for {n_replicas} replicas: pass one for each"
        )
    return found


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
    return _drawn(np.random.Generator.random, rng, n_replicas, shape)


def normal(rng: Rng, n_replicas: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, otherwise as :func:`~winnow.seeds.uniform`."""
    return _drawn(np.random.Generator.standard_normal, rng, n_replicas, shape)


def _drawn(draw: Callable[..., np.ndarray], rng: Rng, n: int, shape: tuple[int, ...]) -> np.ndarray:
    if isinstance(rng, np.random.Generator):
        return draw(rng, (n, *shape))
    return np.array([draw(g, shape) for g in streams(rng, n)]).reshape(n, *shape)
