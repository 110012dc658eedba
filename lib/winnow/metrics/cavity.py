r"""What removing weights does to the non-Gaussianity of units.

Non-Gaussianity is the absolute excess kurtosis :math:`|\kappa|` of a pre-activation
:cite:p:`redman2024`. What a round of pruning removes is compared with nulls that remove as many
weights or as much energy, and the fate of single weights with that of others of their size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from winnow.arrays import Array, as_numpy, as_tensor, like
from winnow.metrics.locality import cavity_kurtosis, unit_kurtosis
from winnow.seeds import Rng, uniform


def gain_without(weights: Array, inputs: Array) -> Array:
    r"""How much more non-Gaussian each unit is without each weight, :math:`|\kappa'| - |\kappa|`.

    Above 0 where removing the weight makes its unit more non-Gaussian.

    Parameters
    ----------
    weights, inputs
        ``(..., k, d)`` and ``(..., n, d)``, samples of one class, as for
        :func:`~winnow.metrics.locality.cavity_kurtosis`, whose errors and costs apply.

    Returns
    -------
    Array
        ``(..., k, d)``, NaN where the weight is 0 or nothing remains without it.

    Examples
    --------
    The sum of two coins has kurtosis −1, and each coin alone −2:

    >>> coins = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> gain_without(np.array([[3.0, 3.0]]), coins).round(9).tolist()
    [[1.0, 1.0]]
    """
    w, x = as_tensor(weights), as_tensor(inputs)
    gain = cavity_kurtosis(w, x).abs() - unit_kurtosis(w, x).abs()[..., None]
    return like(torch.where(w != 0, gain, math.nan), weights)


def cut_effect(weights: Array, before: Array, after: Array, inputs: Array) -> Array:
    r"""Change of non-Gaussianity by a cut alone, :math:`|\kappa(w m')| - |\kappa(w m)|`.

    Parameters
    ----------
    weights
        ``(..., k, d)``, held fixed.
    before, after
        Masks m and m' like the weights; what is kept after was kept before.
    inputs
        ``(..., n, d)``, samples of one class.

    Returns
    -------
    Array
        ``(..., k)``: above 0 where the cut made a unit more non-Gaussian, 0 where it cut nothing,
        NaN for units with no weight left.

    Raises
    ------
    ValueError
        If ``after`` keeps what ``before`` does not, or as for
        :func:`~winnow.metrics.locality.unit_kurtosis`.

    Examples
    --------
    >>> coins = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> cut_effect(np.ones((1, 2)), np.array([[1, 1]]), np.array([[0, 1]]), coins).tolist()
    [1.0]
    """
    m, less = _nested(before, after)
    w, x = as_tensor(weights), as_tensor(inputs)
    return like(unit_kurtosis(w * less, x).abs() - unit_kurtosis(w * m, x).abs(), weights)


def equal_count_cut(before: Array, after: Array, *, rng: Rng) -> Array:
    """Masks in which each unit lost as many weights as in the cut, at random.

    Parameters
    ----------
    before, after
        Masks ``(..., k, d)``; what is kept after was kept before.
    rng
        One generator, or one for each entry of the leading axes.

    Returns
    -------
    Array
        Boolean ``(..., k, d)``, a subset of ``before`` with the counts of ``after`` in each
        unit.

    Raises
    ------
    ValueError
        If ``after`` keeps what ``before`` does not, or there are too many or few generators.

    Examples
    --------
    >>> before, after = np.array([[1, 1, 1, 0]]), np.array([[0, 0, 1, 0]])
    >>> equal_count_cut(before, after, rng=np.random.default_rng(0)).sum(-1).tolist()
    [1]
    """
    m, less = _nested(before, after)
    rank = _random_order(m, rng).argsort(-1)
    return like(rank < less.sum(-1, keepdim=True), before)


def equal_energy_cut(weights: Array, before: Array, after: Array, *, rng: Rng) -> Array:
    r"""Masks in which each unit lost at most as much :math:`\sum_i w_i^2` as in the cut.

    Greedy in random order: all weights of a unit that ``before`` keeps are visited once, in
    random order. Each is removed if the energy removed so far and its own are together no more
    than what the cut took from this unit; otherwise it is kept, and the visit goes on to the next.
    So a large weight that does not fit does not end it, and small ones are removed more often.

    Parameters
    ----------
    weights
        ``(..., k, d)``.
    before, after, rng
        As for :func:`~winnow.metrics.cavity.equal_count_cut`; axes broadcast with the weights.

    Returns
    -------
    Array
        Boolean ``(..., k, d)``, a subset of ``before``. Units that lost nothing stay as they are,
        units that lost all lose all.

    Raises
    ------
    ValueError
        As for :func:`~winnow.metrics.cavity.equal_count_cut`.

    Notes
    -----
    A loop over d visits, each for all units at once.

    Examples
    --------
    The cut took an energy of 4: the 3 never fits, and of the two 2 whichever comes first.

    >>> w, before, after = np.array([[3.0, 2.0, 2.0]]), np.ones((1, 3)), np.array([[1, 0, 1]])
    >>> kept = equal_energy_cut(w, before, after, rng=np.random.default_rng(0))
    >>> bool(kept[0, 0]), int(kept.sum())
    (True, 2)
    """
    m, less = _nested(before, after)
    w, m, less = torch.broadcast_tensors(as_tensor(weights).detach().double(), m, less)
    energy = w**2 * m
    # A hair's breadth lets a sum equal but for its order count as equal.
    limit = (energy * ~less).sum(-1) * (1 + 1e-12)
    order = _random_order(m, rng)
    visits, spent, gone = energy.gather(-1, order), torch.zeros_like(limit), []
    for cost in visits.unbind(-1):
        fits = (spent + cost <= limit) & (limit > 0)
        spent = spent + cost * fits
        gone.append(fits)
    removed = torch.zeros_like(m).scatter(-1, order, torch.stack(gone, -1))
    return like(m & ~removed, before)


def auc(scores: Array, survived: Array, eligible: Array) -> Array:
    """Probability that a survivor has a larger score than a removed weight, ``(...)``.

    As :func:`~winnow.metrics.cavity.stratified_auc` with a single stratum.
    """
    return stratified_auc(scores, survived, eligible, scores, n_strata=1)


def stratified_auc(
    scores: Array, survived: Array, eligible: Array, size: Array, n_strata: int = 20
) -> Array:
    r"""Probability that a survivor has a larger score than a removed weight of similar size.

    .. math:: \mathrm{AUC} = \frac{\sum_s a_s b_s \mathrm{AUC}_s}{\sum_s a_s b_s}, \qquad
       \mathrm{AUC}_s = P(x > y) + \tfrac12 P(x = y)

    with scores x of the :math:`a_s` survivors and y of the :math:`b_s` removed in stratum s.

    Parameters
    ----------
    scores, size
        ``(..., k, d)`` each. Entries whose score or size is NaN are left out.
    survived, eligible
        Masks like the scores: what survived, among the entries that count.
    n_strata
        Quantile strata of ``size`` among the eligible entries of a replica, 1 or larger. They
        hold equally many but for one; equal sizes are told apart by position.

    Returns
    -------
    Array
        ``(...)`` in [0, 1]; 1/2 if survival has nothing to do with the score within strata. NaN
        where no stratum has both survivors and removed.

    Raises
    ------
    ValueError
        If shapes do not fit, or ``n_strata`` is below 1.

    Notes
    -----
    Two sorts for all replicas together, :math:`O(k d \log k d)`.

    Examples
    --------
    Two strata of two, by size: a survivor above the removed one, then below.

    >>> score, size = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[1, 2, 8, 9]])
    >>> kept = np.array([[False, True, True, False]])
    >>> float(stratified_auc(score, kept, np.ones((1, 4)), size, n_strata=2))
    0.5
    """
    if n_strata < 1:
        raise ValueError(f"n_strata must be 1 or larger, got {n_strata}")
    x, kept, counts, size = _flat(scores, survived, eligible, size)
    counts = (counts != 0) & ~x.isnan() & ~size.isnan()
    stratum = _strata(size, counts, n_strata)
    order = x.argsort(dim=-1, stable=True)
    order = order.gather(-1, stratum.gather(-1, order).argsort(dim=-1, stable=True))
    x, stratum, counts = (t.gather(-1, order) for t in (x, stratum, counts))
    kept = counts & (kept.gather(-1, order) != 0)
    return like(_wins(x, stratum, kept, counts & ~kept), scores)


def profile_by_distance(
    values: Array, distance: Array, edges: Sequence[float] | np.ndarray
) -> Array:
    """Mean of values in bins of distance, over all units of a replica.

    Parameters
    ----------
    values, distance
        ``(..., k, d)`` each; entries with a NaN in either are left out.
    edges
        ``(n_bins + 1,)``, increasing. A bin holds its lower edge, the last one both.

    Returns
    -------
    Array
        ``(..., n_bins)``, NaN for empty bins.

    Raises
    ------
    ValueError
        If shapes do not fit, or there are fewer than 2 edges or they do not increase.

    Examples
    --------
    >>> profile_by_distance(np.array([[1.0, 3.0, 8.0]]), np.array([[0, 1, 2]]), [0, 2, 3]).tolist()
    [2.0, 8.0]
    """
    bar = as_numpy(edges)
    if bar.ndim != 1 or len(bar) < 2 or not (np.diff(bar) > 0).all():
        raise ValueError(f"edges must be 2 or more numbers that increase, got {bar.tolist()}")
    v, at = _flat(values, distance)
    n_bins, bar = len(bar) - 1, torch.from_numpy(bar).to(at.device)
    bins = torch.bucketize(at.double(), bar, right=True) - 1
    bins = torch.where(at == bar[-1], n_bins - 1, bins)
    valid = (bins >= 0) & (bins < n_bins) & ~v.isnan()
    bins, v = torch.where(valid, bins, n_bins), torch.where(valid, v, 0.0)
    total, count = (
        torch.zeros((*v.shape[:-1], n_bins + 1), dtype=torch.float64, device=v.device)
        .scatter_add(-1, bins, t.double())[..., :-1]
        for t in (v, valid)
    )  # fmt: skip
    return like(total / count, values)


def _nested(before: Array, after: Array) -> tuple[torch.Tensor, torch.Tensor]:
    m, less = as_tensor(before) != 0, as_tensor(after) != 0
    if m.shape != less.shape or m.ndim < 2:
        raise ValueError(
            f"masks before and after must be (..., k, d) alike, got {tuple(m.shape)} "
            f"and {tuple(less.shape)}"
        )
    if extra := int((less & ~m).sum()):
        raise ValueError(f"after must keep only what before keeps, got {extra} entries more")
    return m, less


def _random_order(m: torch.Tensor, rng: Rng) -> torch.Tensor:
    """Each unit's entries in random order, the kept ones first."""
    keys = uniform(rng, math.prod(m.shape[:-2]), tuple(m.shape[-2:])).reshape(m.shape)
    return (torch.from_numpy(keys).to(m.device) + 2 * ~m).argsort(dim=-1)


def _flat(first: Array, *others: Array) -> list[torch.Tensor]:
    """All units of a replica in one axis."""
    tensors = [as_tensor(a).detach() for a in (first, *others)]
    shapes = [tuple(t.shape) for t in tensors]
    if len(shapes[0]) < 2 or len(set(shapes)) > 1:
        raise ValueError(f"arrays must be (..., k, d), of one shape, got {shapes}")
    return [t.flatten(-2) for t in tensors]


def _strata(size: torch.Tensor, counts: torch.Tensor, n_strata: int) -> torch.Tensor:
    """Stratum of each entry by its rank; those that do not count form one of their own."""
    keyed = torch.where(counts, size.double(), math.inf)
    # Two stable sorts: what does not count comes last even where a size is infinite.
    order = keyed.argsort(dim=-1, stable=True)
    order = order.gather(-1, (~counts).byte().gather(-1, order).argsort(dim=-1, stable=True))
    rank, n = order.argsort(dim=-1), counts.sum(-1, keepdim=True)
    return torch.where(counts, rank * n_strata // n.clamp(min=1), n_strata)


def _wins(
    x: torch.Tensor, stratum: torch.Tensor, kept: torch.Tensor, gone: torch.Tensor
) -> torch.Tensor:
    """Share of pairs that survivors win, of entries sorted by stratum and then by score."""
    places = torch.arange(x.shape[-1], device=x.device).expand(x.shape)
    new_stratum = _differs(stratum)
    new_tie = new_stratum | _differs(x)
    below = gone.cumsum(-1)  # removed up to and with this place
    before = below - gone.long()
    first = torch.where(new_tie, places, 0).cummax(-1).values
    start = torch.where(new_stratum, places, 0).cummax(-1).values
    ends = new_tie.roll(-1, -1) | (places == x.shape[-1] - 1)
    last = torch.where(ends, places, x.shape[-1]).flip(-1).cummin(-1).values.flip(-1)
    less, upto, base = before.gather(-1, first), below.gather(-1, last), before.gather(-1, start)
    wins = ((less + upto).double() / 2 - base) * kept
    pairs = _count_in_stratum(stratum, gone, kept)
    return wins.sum(-1) / pairs


def _differs(x: torch.Tensor) -> torch.Tensor:
    """Whether an entry differs from the one before it; the first does."""
    return torch.cat([torch.ones_like(x[..., :1], dtype=torch.bool), x[..., 1:] != x[..., :-1]], -1)


def _count_in_stratum(
    stratum: torch.Tensor, gone: torch.Tensor, kept: torch.Tensor
) -> torch.Tensor:
    """Pairs of a survivor and a removed entry within one stratum, ``(...)``."""
    n = torch.zeros((*stratum.shape[:-1], stratum.shape[-1] + 1), dtype=torch.float64)
    n = n.to(stratum.device)
    rank = _differs(stratum).cumsum(-1) - 1
    a, b = (n.scatter_add(-1, rank, t.double()) for t in (kept, gone))
    return (a * b).sum(-1)
