r"""How far from Gaussian units are, and what removing weights does to it.

A unit is a row of weights over inputs, ``(..., k, d)`` holds k of them. Non-Gaussianity is the
absolute excess kurtosis :math:`|\kappa|` of a pre-activation :cite:p:`redman2024`. What a round of
pruning removes is compared with nulls that remove as many weights or as much energy, and the fate
of single weights with that of others of their size.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy import stats as scipy_stats

from winnow.arrays import Array, as_mask, as_numpy, as_tensor, check_count, finite, like, unit_scale
from winnow.seeds import Rng, uniform

#: Bytes that a block of samples fills while moments are summed: fits a cache.
_BLOCK = 2**22

#: Standard deviations below this share of the values themselves are rounding.
_ROUNDING = float(np.finfo(np.float64).resolution)

#: Cancellation up to which a moment without one weight is taken from the formula.
_CANCELLATION = 1e3


def excess_kurtosis(samples: Array) -> Array:
    r"""Excess kurtosis :math:`m_4 / m_2^2 - 3` about the sample mean, in float64.

    **Never pool classes**: a mixture of two Gaussians that differ in variance has a positive
    kurtosis, though neither has any.

    Parameters
    ----------
    samples
        ``(..., n, k)``: n samples, 2 or more, of k variables.

    Returns
    -------
    Array
        ``(..., k)``, −2 or larger; 0 for a Gaussian. NaN for a column that is constant, but for
        rounding.

    Raises
    ------
    ValueError
        If there are fewer than 2 samples, or one is not finite.

    Examples
    --------
    >>> excess_kurtosis(np.array([[0.0, 5.0], [1.0, 5.0], [0.0, 5.0], [1.0, 5.0]])).tolist()
    [-2.0, nan]
    """
    x = finite(samples, "samples", axes=2).double()
    if x.shape[-2] < 2:
        raise ValueError(f"samples must be 2 or more, got {x.shape[-2]}")
    y = x - x.mean(-2, keepdim=True)
    peak = y.abs().amax(-2, keepdim=True)
    y /= torch.where(peak > _ROUNDING * x.abs().amax(-2, keepdim=True), peak, math.nan)
    square = y * y
    return like((square * square).mean(-2) / square.mean(-2) ** 2 - 3, samples)


def unit_kurtosis(weights: Array, inputs: Array) -> Array:
    r"""Excess kurtosis of the pre-activations :math:`\lambda_k = \sum_i w_{ki} x_i`.

    Weights ``(..., k, d)`` and inputs ``(..., n, d)`` of one class to ``(..., k)``; batch axes
    broadcast. NaN for a unit without weights, or all of whose inputs are constant. See
    :func:`~winnow.metrics.non_gaussianity.excess_kurtosis`. Biases do not matter.
    """
    w, x = _layer(weights, inputs)
    m2, m4 = 0.0, 0.0
    for c in _centred(x, w):  # so that pre-activations are centred too
        square = (c @ w.mT).square_()
        m2, m4 = m2 + square.sum(-2), m4 + square.square_().sum(-2)
    return like(x.shape[-2] * m4 / m2**2 - 3, weights)


def cavity_kurtosis(weights: Array, inputs: Array) -> Array:
    r"""Excess kurtosis of each pre-activation without one of its weights, for all at once.

    With centred inputs x, :math:`\lambda_k = \sum_i w_{ki} x_i` and
    :math:`M_{ab} = \langle \lambda_k^a x_i^b \rangle`, what remains without weight i has

    .. math:: m_2' &= M_{20} - 2 w M_{11} + w^2 M_{02} \\
       m_4' &= M_{40} - 4 w M_{31} + 6 w^2 M_{22} - 4 w^3 M_{13} + w^4 M_{04}

    and kurtosis :math:`m_4' / m_2'^2 - 3`: four matrix products, and exact. A cavity in the sense
    of :cite:p:`redman2024`. Pass samples of one class, as for
    :func:`~winnow.metrics.non_gaussianity.excess_kurtosis`.

    Parameters
    ----------
    weights
        ``(..., k, d)``; a zero is a weight that is not there.
    inputs
        ``(..., n, d)``, n of 2 or more. Batch axes broadcast with those of the weights.

    Returns
    -------
    Array
        ``(..., k, d)``. Where the weight is 0, the unit's own kurtosis; NaN where no weight
        remains, or only such whose inputs are constant.

    Raises
    ------
    ValueError
        If shapes do not fit, samples are fewer than 2, or a number is not finite.

    Notes
    -----
    Time :math:`O(n k d)`, against :math:`O(n k d^2)` for deleting one by one; memory
    :math:`O(k d)` and one block of samples. Where a weight carries nearly all of its unit, the
    formula is a small difference of large numbers: such weights, seldom more than one a unit,
    are really deleted.

    Examples
    --------
    >>> x = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 0.0], [-1.0, 0.0]])
    >>> cavity_kurtosis(np.array([[2.0, 5.0]]), x).round(9).tolist()  # 2 0's and ±1; 2 ±1's
    [[-1.0, -2.0]]
    """
    w, x = _layer(weights, inputs)
    m2, m4, bound = _moments_without(w, x)
    doubtful = (w != 0) & ~(bound < _CANCELLATION * m4)
    return like(_delete(w, x, doubtful, m4 / m2**2 - 3), weights)


def gain_without(weights: Array, inputs: Array) -> Array:
    r"""How much more non-Gaussian each unit is without each weight, :math:`|\kappa'| - |\kappa|`.

    Above 0 where removing the weight makes its unit more non-Gaussian.

    Parameters
    ----------
    weights, inputs
        ``(..., k, d)`` and ``(..., n, d)``, samples of one class, as for
        :func:`~winnow.metrics.non_gaussianity.cavity_kurtosis`, whose errors and costs apply.

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
        As for :func:`~winnow.metrics.non_gaussianity.equal_count_cut`; axes broadcast with the
        weights.

    Returns
    -------
    Array
        Boolean ``(..., k, d)``, a subset of ``before``. Units that lost nothing stay as they are,
        units that lost all lose all.

    Raises
    ------
    ValueError
        As for :func:`~winnow.metrics.non_gaussianity.equal_count_cut`.

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
    w, m, less = torch.broadcast_tensors(finite(weights, "weights", axes=2).double(), m, less)
    energy = (w / unit_scale(w, -1)) ** 2 * m
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

    As :func:`~winnow.metrics.non_gaussianity.stratified_auc` with a single stratum.
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
    Three sorts for all replicas together, :math:`O(k d \log k d)`.

    Examples
    --------
    Two strata of two, by size: a survivor above the removed one, then below.

    >>> score, size = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[1, 2, 8, 9]])
    >>> kept = np.array([[False, True, True, False]])
    >>> float(stratified_auc(score, kept, np.ones((1, 4)), size, n_strata=2))
    0.5
    """
    check_count("n_strata", n_strata)
    masks = as_mask(survived, "survived"), as_mask(eligible, "eligible")
    x, kept, counts, size = _flat(scores, *masks, size)
    counts = counts & ~np.isnan(x) & ~np.isnan(size)
    kept, total = kept & counts, counts.sum(-1, keepdims=True)
    # What does not count comes last even where a size is infinite.
    by_size = np.lexsort((size, ~counts), axis=-1).argsort(-1)
    stratum = np.where(counts, by_size * n_strata // np.maximum(total, 1), n_strata)
    # Ranks of survivors tell how many they beat, once those below their stratum and each
    # other are taken away.
    by_score = scipy_stats.rankdata(np.where(counts, x, 0), "dense", axis=-1)
    rank = scipy_stats.rankdata(stratum * (x.shape[-1] + 1) + by_score, axis=-1)
    a, n = (_binned(mask, stratum, n_strata) for mask in (kept, counts))
    wins = (rank * kept).sum(-1) - (a * (n.cumsum(-1) - n + (a + 1) / 2)).sum(-1)
    pairs = (a * (n - a)).sum(-1)
    return like(wins / np.where(pairs > 0, pairs, math.nan), scores)


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
    n_bins = len(bar) - 1
    bins = np.where(at == bar[-1], n_bins - 1, np.digitize(at, bar) - 1)
    valid = (bins >= 0) & (bins < n_bins) & ~np.isnan(v)
    bins, v = np.where(valid, bins, n_bins), np.where(valid, v, 0.0)
    total, count = (_binned(x, bins, n_bins) for x in (v, valid))
    return like(total / np.where(count > 0, count, math.nan), values)


# --- moments --------------------------------------------------------------------------------------


def _layer(weights: Array, inputs: Array) -> tuple[torch.Tensor, torch.Tensor]:
    w, x = finite(weights, "weights", axes=2).double(), finite(inputs, "inputs", axes=2)
    if w.shape[-1] != x.shape[-1] or x.shape[-2] < 2:
        raise ValueError(
            f"inputs must be (..., n, {w.shape[-1]}) as weights are {tuple(w.shape)}, "
            f"with n of 2 or more, got {tuple(x.shape)}"
        )
    pairs = zip(reversed(w.shape[:-2]), reversed(x.shape[:-2]), strict=False)
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        raise ValueError(f"batch axes must broadcast, got {tuple(w.shape)} and {tuple(x.shape)}")
    # Kurtosis knows no units: powers of two change no digit, and fourth powers stay in range.
    return w / unit_scale(w, -1), x if x.is_floating_point() else x.double()


def _centred(x: torch.Tensor, w: torch.Tensor) -> Iterator[torch.Tensor]:
    """Blocks of samples less their mean, in units near the largest sample.

    Zeros for a constant input.
    """
    n_replicas = max(1, math.prod(torch.broadcast_shapes(w.shape[:-2], x.shape[:-2])))
    row = 8 * n_replicas * 3 * (w.shape[-1] + w.shape[-2])
    scale, n_rows = unit_scale(x, (-2, -1)), max(1, _BLOCK // row)
    first = (x[..., :1, :] / scale).double()

    def blocks() -> Iterator[torch.Tensor]:
        return ((b / scale).double().sub_(first) for b in x.split(n_rows, -2))

    mean = sum(b.sum(-2, keepdim=True) for b in blocks()) / x.shape[-2]
    return (b.sub_(mean) for b in blocks())


def _moments_without(w: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Second and fourth moments without each weight, and a size that shows cancellation."""
    total = [0.0] * 8
    for c in _centred(x, w):
        y, c2 = c @ w.mT, c * c
        y2 = y * y
        parts = (
            y2.sum(-2)[..., None], (y2 * y2).sum(-2)[..., None],
            c2.sum(-2)[..., None, :], (c2 * c2).sum(-2)[..., None, :],
            y.mT @ c, (y2 * y).mT @ c, y2.mT @ c2, y.mT @ (c2 * c),
        )  # fmt: skip
        total = [t + p for t, p in zip(total, parts, strict=True)]
    m20, m40, m02, m04, m11, m31, m22, m13 = (t / x.shape[-2] for t in total)
    m2 = m20 + w * (w * m02 - 2 * m11)
    m4 = m40 + w * (w * (6 * m22 + w * (w * m04 - 4 * m13)) - 4 * m31)
    return m2, m4, (m40**0.25 + w.abs() * m04**0.25) ** 4


def _delete(
    w: torch.Tensor, x: torch.Tensor, chosen: torch.Tensor, kurtosis: torch.Tensor
) -> torch.Tensor:
    """``kurtosis`` with the chosen entries replaced by what deleting the weight gives."""
    d, marked = w.shape[-1], chosen.expand(kurtosis.shape).flatten(-2)
    most = int(marked.sum(-1).amax()) if marked.numel() else 0
    if most == 0:
        return kurtosis
    # As many entries in each replica as in the one that needs most, the chosen ones first.
    at = marked.byte().argsort(dim=-1, descending=True, stable=True)[..., :most]
    rows = w.expand(*kurtosis.shape).gather(-2, (at // d)[..., None].expand(*at.shape, d))
    rows = rows.scatter(-1, (at % d)[..., None], 0.0)
    flat = kurtosis.flatten(-2)
    new = torch.where(marked.gather(-1, at), unit_kurtosis(rows, x), flat.gather(-1, at))
    return flat.scatter(-1, at, new).view(kurtosis.shape)


# --- cuts and ranks -------------------------------------------------------------------------------


def _nested(before: Array, after: Array) -> tuple[torch.Tensor, torch.Tensor]:
    m, less = as_mask(before, "before"), as_mask(after, "after")
    if m.shape != less.shape or m.ndim < 2:
        got = f"{tuple(m.shape)} and {tuple(less.shape)}"
        raise ValueError(f"masks before and after must be (..., k, d) alike, got {got}")
    if extra := int((less & ~m).sum()):
        raise ValueError(f"after must keep only what before keeps, got {extra} entries more")
    return m, less


def _random_order(m: torch.Tensor, rng: Rng) -> torch.Tensor:
    """Each unit's entries in random order, the kept ones first."""
    keys = uniform(rng, math.prod(m.shape[:-2]), tuple(m.shape[-2:])).reshape(m.shape)
    return (torch.from_numpy(keys).to(m.device) + 2 * ~m).argsort(dim=-1)


def _flat(first: Array, *others: Array) -> list[np.ndarray]:
    """All units of a replica in one axis."""
    arrays = [as_numpy(a, None) for a in (first, *others)]
    shapes = [a.shape for a in arrays]
    if len(shapes[0]) < 2 or len(set(shapes)) > 1:
        raise ValueError(f"arrays must be (..., k, d), of one shape, got {shapes}")
    return [a.reshape(*a.shape[:-2], -1) for a in arrays]


def _binned(values: np.ndarray, bins: np.ndarray, n: int) -> np.ndarray:
    """Sums of values in each of n bins, ``(..., N)`` to ``(..., n)``; what is in bin n is not."""
    lead = bins.shape[:-1]
    apart = bins + (n + 1) * np.arange(math.prod(lead)).reshape(*lead, 1)
    sums = np.bincount(apart.ravel(), values.ravel(), minlength=math.prod(lead) * (n + 1))
    return sums.reshape(*lead, n + 1)[..., :-1]
