r"""How local the fields of units are: where their weights stand, and how unequal they are.

A field is a row of weights over inputs that stand on a grid: ``(..., k, d)`` holds k units over
d sites. ``grid`` is ``(d,)``, a line or ring, or ``(p, q)`` with p q = d, an image. ``cyclic``
joins opposite edges (ring, torus). The measures follow :cite:p:`redman2024` and the works it
builds on :cite:p:`pellegrini2022,ingrosso2022`.
"""

import math
from collections.abc import Sequence

import torch

from winnow.arrays import Array, as_mask, check_count, finite, like
from winnow.seeds import Rng, uniform


def ipr(fields: Array) -> Array:
    r"""Inverse participation ratio :math:`\sum_i w_i^4 / (\sum_i w_i^2)^2` of each unit.

    ``(..., k, d)`` to ``(..., k)``: 1 for a single weight, 1/n for n equal ones, NaN for an
    all-zero unit :cite:p:`redman2022`. Elsewhere its inverse goes by the same name.

    **It is blind to position**: permuting the inputs changes nothing, so it measures how unequal
    weights are, not where they stand. It is at least 1/n for n weights, so it rises by pruning
    alone, and at equal density random masks have the highest of all.

    Examples
    --------
    >>> import numpy as np
    >>> ipr(np.array([[1.0, 0.0, -1.0, 0.0], [0.0, 3.0, 0.0, 0.0]])).tolist()
    [0.5, 1.0]
    """
    energy = _energy(fields)
    return like((energy**2).sum(-1) / energy.sum(-1) ** 2, fields)


def pair_locality(masks: Array, *, grid: Sequence[int], radius: int, cyclic: bool) -> Array:
    r"""How many times more often kept weights of a unit are neighbours than in a full mask.

    .. math:: LM = \frac{\sum_{0 < |\delta| \le r} A_\delta}{\sum_{\delta \ne 0} A_\delta}
       \Big/ \frac{\sum_{0 < |\delta| \le r} F_\delta}{\sum_{\delta \ne 0} F_\delta}

    :math:`A_\delta` counts pairs of kept weights at displacement :math:`\delta`, added up over
    units; :math:`F_\delta` the same for full masks; :math:`|\cdot|` is the larger of both
    components. The scalar form of the maps of :cite:t:`pellegrini2022`.

    Parameters
    ----------
    masks
        ``(..., k, d)`` of 0 and 1; of weights w, pass ``w != 0``.
    grid
        ``(d,)``, or ``(p, q)`` with p q = d.
    radius
        r, from 1 to the largest whole number below half of the shorter side.
    cyclic
        Whether opposite edges meet. Otherwise nothing lies beyond them.

    Returns
    -------
    Array
        ``(...)``, 0 or larger. Given how many weights each unit has, its expectation is exactly
        1 for random masks. Dense units have most pairs and dominate. NaN where no unit has two
        weights.

    Raises
    ------
    ValueError
        If a mask holds anything but 0 and 1, the grid does not hold d sites, or the radius is out
        of range.

    Examples
    --------
    A pair of neighbours on a ring of 7: all of its pairs are within 1, a third of all others.

    >>> import numpy as np
    >>> float(pair_locality(np.array([[1, 1, 0, 0, 0, 0, 0]]), grid=(7,), radius=1, cyclic=True))
    3.0
    """
    return _locality(masks, grid, radius, cyclic, pool=True)


def unit_locality(masks: Array, *, grid: Sequence[int], radius: int, cyclic: bool) -> Array:
    """Locality unit by unit, ``(..., k, d)`` to ``(..., k)``, so that dense ones do not dominate.

    As :func:`~winnow.metrics.locality.pair_locality`; NaN for a unit with fewer than 2 weights.
    """
    return _locality(masks, grid, radius, cyclic, pool=False)


def shuffle_columns(masks: Array, *, rng: Rng) -> Array:
    """Copies in which each input's column is permuted over units, ``(..., k, d)``.

    How often each input is used stays; which unit uses it is random. Values move along. ``rng``
    is one generator, or one for each entry of the leading axes.
    """
    x = finite(masks, "masks", axes=2)
    return like(x.gather(-2, _keys(rng, x).argsort(-2)), masks)


def pair_locality_null(masks: Array, *, rng: Rng, n_draws: int = 10, **where: object) -> Array:
    """Locality of copies whose columns are permuted over units, ``(..., n_draws)``.

    It is above 1 where inputs in demand are neighbours: locality above 1 but not above this
    null says which inputs matter, not that each unit is local. See
    :func:`~winnow.metrics.locality.shuffle_columns`; ``n_draws`` is 1 or larger, ``grid``,
    ``radius`` and ``cyclic`` are as for :func:`~winnow.metrics.locality.pair_locality`.
    """
    check_count("n_draws", n_draws)
    kept = as_mask(masks)
    copies = (shuffle_columns(kept, rng=rng) for _ in range(n_draws))
    return like(torch.stack([pair_locality(c, **where) for c in copies], -1), masks)


def energy_window(fields: Array, *, grid: Sequence[int], radius: int, cyclic: bool) -> Array:
    r"""Largest share of :math:`\sum_i w_i^2` within one window, ``(..., k, d)`` to ``(..., k)``.

    A window holds the sites within ``radius``, 0 or larger, of its centre along each axis.
    Between the window's share of the grid and 1; NaN for an all-zero unit. With masks, the share
    of weights. Errors as for :func:`~winnow.metrics.locality.pair_locality`.

    Examples
    --------
    >>> import numpy as np
    >>> field = np.array([[2.0, 0.0, 0.0, 1.0, 1.0]])
    >>> [energy_window(field, grid=(5,), radius=1, cyclic=c).round(3).item() for c in (True, False)]
    [1.0, 0.667]
    """
    energy = _energy(fields)
    best = _windows(energy, grid, radius, cyclic).amax(-1)
    return like((best / energy.sum(-1)).clamp(max=1), fields)


def energy_window_null(fields: Array, *, rng: Rng, n_draws: int = 10, **where: object) -> Array:
    """Mean energy window, ``(..., k)``, of units with the same entries at random positions.

    ``rng`` is one generator, or one for each entry of the leading axes; ``n_draws`` is 1 or
    larger; ``grid``, ``radius`` and ``cyclic`` are as for
    :func:`~winnow.metrics.locality.energy_window`.
    """
    check_count("n_draws", n_draws)
    x, total = finite(fields, "fields", axes=2), 0
    for _ in range(n_draws):
        total = total + energy_window(x.gather(-1, _keys(rng, x).argsort(-1)), **where)
    return like(total / n_draws, fields)


def distance_from_centre(fields: Array, *, grid: Sequence[int], radius: int, cyclic: bool) -> Array:
    """Distance of each site from its unit's centre along the longer axis, ``(..., k, d)``.

    The centre is the middle of the unit's best window, of equal ones the first, see
    :func:`~winnow.metrics.locality.energy_window`. Around the ring or torus where cyclic; NaN for
    an all-zero unit.

    Examples
    --------
    >>> import numpy as np
    >>> field = np.array([[9.0, 1.0, 0.0, 0.0, 1.0]])
    >>> distance_from_centre(field, grid=(5,), radius=1, cyclic=True).tolist()
    [[0.0, 1.0, 2.0, 2.0, 1.0]]
    """
    energy = _energy(fields)
    centre = _windows(energy, grid, radius, cyclic).argmax(-1, keepdim=True)
    sites = torch.arange(math.prod(grid), device=centre.device)
    distance = torch.where(energy.isnan(), math.nan, 0.0).double()
    for size, step in zip(grid, (math.prod(grid[1:]), 1), strict=False):
        gap = (sites // step % size - centre // step % size).abs()
        distance = torch.maximum(distance, torch.minimum(gap, size - gap) if cyclic else gap)
    return like(distance, fields)


def _keys(rng: Rng, x: torch.Tensor) -> torch.Tensor:
    """A random number for each entry of ``(..., k, d)``."""
    keys = uniform(rng, math.prod(x.shape[:-2]), tuple(x.shape[-2:]))
    return torch.from_numpy(keys.reshape(x.shape)).to(x.device)


def _energy(fields: Array) -> torch.Tensor:
    """Squares, at most 1 in each unit so that none overflow; NaN in all-zero units."""
    x = finite(fields, "fields", axes=2).double()
    return (x / x.abs().amax(-1, keepdim=True)) ** 2


# --- grids --------------------------------------------------------------------------------------


def _on_grid(x: torch.Tensor, grid: Sequence[int], cyclic: bool) -> torch.Tensor:
    """Entries on their grid, ``(..., k, *grid)``."""
    if not isinstance(cyclic, bool):
        raise TypeError(f"cyclic must be True or False, got {cyclic!r}")
    if len(grid) not in (1, 2) or x.ndim < 2 or math.prod(grid) != x.shape[-1]:
        raise ValueError(
            f"grid must have one or two sides that hold the sites of {tuple(x.shape)}, got {grid}"
        )
    return x.reshape(*x.shape[:-1], *grid)


def _locality(masks: Array, grid: Sequence[int], radius: int, cyclic: bool, *, pool: bool) -> Array:
    """Share of pairs within the radius, over the same share for a full mask."""
    near = _near(masks, grid, radius, cyclic, pool=pool)
    full = torch.ones(1, math.prod(grid))
    return like(near / _near(full, grid, radius, cyclic, pool=True), masks)


def _near(masks: Array, grid: Sequence[int], radius: int, cyclic: bool, pool: bool) -> torch.Tensor:
    """Share of pairs within the radius, of all units together or of each."""
    kept, axes = _on_grid(as_mask(masks), grid, cyclic).double(), tuple(range(-len(grid), 0))
    check_count("radius", radius, 1, (min(grid) - 1) // 2)
    sizes = [p if cyclic else 2 * p - 1 for p in grid]  # pairs beyond an edge need room
    power = torch.fft.rfftn(kept, sizes, axes).abs() ** 2
    power = power.sum(axes[0] - 1) if pool else power
    pairs = torch.fft.irfftn(power.to(torch.complex128), sizes, axes).round()
    # How far apart the pairs at each displacement are, in the order of the transform.
    gaps = [torch.arange(n).minimum(n - torch.arange(n)) for n in sizes]
    reach = torch.stack(torch.meshgrid(*gaps, indexing="ij")).amax(0).to(pairs.device)
    near, apart = (reach > 0) & (reach <= radius), reach > 0
    return pairs[..., near].sum(-1) / pairs[..., apart].sum(-1)


def _windows(energy: torch.Tensor, grid: Sequence[int], radius: int, cyclic: bool) -> torch.Tensor:
    """Sum over the window around each site; added in order of position, so that ties are exact."""
    x = _on_grid(energy, grid, cyclic)
    check_count("radius", radius, 0, (min(grid) - 1) // 2)
    for axis in range(-len(grid), 0):
        p = x.shape[axis]
        before, after = x.narrow(axis, p - radius, radius), x.narrow(axis, 0, radius)
        wide = torch.cat([before * cyclic, x, after * cyclic], axis)
        x = sum(wide.narrow(axis, start, p) for start in range(2 * radius + 1))
    return x.reshape(energy.shape)
