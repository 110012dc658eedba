r"""Noise pruning: keep a synapse with a probability that its own noise tells.

The rule of :cite:t:`moore2020` looks at a synapse's weight and at the covariance C of its two
neurons under noise,

.. math:: p_{ij} = \min\bigl(1, K\,|w_{ij}|\,
   (C_{ii} + C_{jj} - 2 \operatorname{sgn}(w_{ij})\, C_{ij})\bigr),

keeps the synapse with that probability and divides its weight by it. A rule is a *score* for each
synapse; :func:`~winnow.pruners.keep_probability` turns scores into probabilities,
:func:`~winnow.pruners.sample_and_rescale` throws the coins. Networks are dense ``(..., n, n)``
arrays or one sparse ``(n, n)`` array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import sparse

from winnow.arrays import Array, as_tensor, is_symmetric, like
from winnow.pruners.masks import n_kept, top_k
from winnow.pruners.scores import (
    Network,
    noise_score,
    off,
    off_diagonal,
    on_stored,
    weight_score,
    with_diagonal,
)
from winnow.pruners.table import Seen, named
from winnow.seeds import Rng, generators, uniform

#: Constant of the empirical law, eps = 1.1 sqrt((1 - f) ln n / kappa) for kept share f.
_EMPIRICAL = 1.1**2


def noise_keep_probability(
    A: Network,
    covariance: Array | None = None,
    *,
    samples: Array | None = None,
    density: float | None = None,
    K: float | None = None,
    eps: float | None = None,
    law: str = "theorem",
    sigma: float = 1.0,
) -> Network:
    r"""Keep-probabilities of noise pruning :cite:p:`moore2020`.

    Parameters
    ----------
    A
        Networks ``(..., n, n)``, or one sparse ``(n, n)``; the diagonal (the leak) is ignored.
    covariance
        Of the activity under noise, same shape, exact or measured.
    samples
        Instead of it, draws of the activity ``(..., k, n)``; their covariance is used without being
        formed, at least 2 of them. The only choice for a sparse network.
    density
        Expected share kept of the non-zero off-diagonal entries, in (0, 1], hit exactly after
        capping at 1.
    K
        The rule's factor instead; only :math:`K \sigma^2` matters.
    eps
        The spectral error wanted instead, in (0, 1); K follows from ``law``.
    law
        ``"theorem"``: :func:`~winnow.pruners.theorem_factor`, guaranteed with probability 0.95;
        ``"empirical"``: :math:`\kappa = 1.21\,(1 - f) \ln n / \varepsilon^2` with the kept share
        f itself, what clustered networks need in practice.
    sigma
        Standard deviation of the noise behind the covariance; matters for ``eps`` only.

    Returns
    -------
    array
        Probabilities in [0, 1], of A's shape and kind, 0 on the diagonal and where A is 0.

    Raises
    ------
    ValueError
        If A is not square or not finite; the covariance has another shape, is not symmetric, not
        positive semidefinite or without variance somewhere; not exactly one of density, K and eps
        is given, or one is out of range.

    Examples
    --------
    A triangle of unit weights and one neuron that hangs on it: leverages 2/3 and 1, which are the
    probabilities at density 3/4.

    >>> W = np.array([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]])
    >>> A = W - np.diag([3.0, 2.0, 3.0, 1.0])
    >>> noise_keep_probability(A, -np.linalg.inv(A) / 2, density=0.75).round(3)
    array([[0.   , 0.667, 0.667, 0.   ],
           [0.667, 0.   , 0.667, 0.   ],
           [0.667, 0.667, 0.   , 1.   ],
           [0.   , 0.   , 1.   , 0.   ]])
    """
    given = {"density": density, "K": K, "eps": eps}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        raise ValueError(f"give one of density, K and eps, got {' and '.join(chosen) or 'none'}")
    _check_amount(chosen[0], given[chosen[0]])
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0, got {sigma}")
    if law not in ("theorem", "empirical"):
        raise ValueError(f"law must be theorem or empirical, got {law!r}")
    score = noise_score(A, covariance, samples=samples)
    if eps is None:
        return keep_probability(score, density=density, K=K)
    n = A.shape[-1]
    if law == "theorem":
        return keep_probability(score, K=theorem_factor(n, eps, sigma=sigma))
    return _on_entries(score, lambda s: _empirical(s, n, eps, sigma))


def theorem_factor(n: int, eps: float, *, delta: float = 0.05, sigma: float = 1.0) -> float:
    r"""The factor K that guarantees a spectral error.

    .. math:: K = \frac{6 \ln(2 n / \delta)}{\sigma^2 \varepsilon^2}

    With it, and with the matched diagonal, the quadratic form of a symmetric, diagonally dominant
    network changes by at most a factor :math:`1 \pm \varepsilon` with probability
    :math:`1 - \delta`, by the matrix Chernoff bound :cite:p:`tropp2012` as in graph
    sparsification :cite:p:`spielman2011`. Our constant; the paper's is not known to us.
    """
    _check_amount("eps", eps)
    if not 0 < delta < 1:
        raise ValueError(f"delta must be in (0, 1), got {delta}")
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0, got {sigma}")
    return 6 * math.log(2 * n / delta) / (sigma * eps) ** 2


def keep_probability(
    score: Network, *, density: float | None = None, K: float | None = None
) -> Network:
    r"""Probabilities :math:`\min(1, K s)` for a wanted density or a given factor.

    Parameters
    ----------
    score
        ``(..., n, n)`` or sparse; not negative, 0 where there is no synapse.
    density
        Expected share kept of the synapses with a positive score, in (0, 1]; K is solved for by
        rounds of capping, in each network by itself, and exact.
    K
        The factor instead, above 0.

    Examples
    --------
    >>> keep_probability(np.array([[0.0, 8.0], [1.0, 0.0]]), density=0.75)
    array([[0. , 1. ],
           [0.5, 0. ]])
    """
    if (density is None) == (K is None):
        raise ValueError("give density or K, one of the two")
    if density is None:
        _check_amount("K", K)
        return _on_entries(score, lambda s: (s * K).clamp(max=1))
    _check_amount("density", density)
    return _on_entries(score, lambda s: _capped(s, density))


def strongest(A: Network, *, density: float) -> Network:
    """Probability 1 for the largest absolute weights and 0 for all others: magnitude pruning.

    The whole number of synapses below ``density`` times all is kept. In a symmetric network that
    number may split a pair; then one synapse more or less is kept.
    """
    size = weight_score(A)
    if sparse.issparse(size):
        return _strongest_sparse(size, density)
    w = as_tensor(size)
    paired = (w == w.mT).all(-1).all(-1)[..., None, None]
    ranked = torch.where(paired, w.triu(), w)
    many = (ranked != 0).sum((-2, -1)).cpu().numpy()
    kept = as_tensor(top_k(ranked, np.where(many > 0, n_kept(density, many), 0)))
    return like((kept | (kept.mT & paired)).to(w), A)


def _strongest_sparse(size: sparse.csr_array, density: float) -> sparse.csr_array:
    paired = abs(size - size.T).max() == 0
    edges = sparse.coo_array(sparse.triu(size) if paired else size)
    first = np.argsort(-edges.data, kind="stable")[: n_kept(density, edges.nnz)]
    i, j = (ends[first] for ends in edges.coords)
    kept = sparse.csr_array((np.ones(len(first)), (i, j)), shape=size.shape)
    return sparse.csr_array(kept + kept.T) if paired else kept


def sample_and_rescale(
    A: Network,
    probability: Network,
    *,
    rng: Rng,
    diagonal: str = "matched",
    symmetric: bool = True,
    rescale: bool = True,
) -> Network:
    r"""Keep each synapse with its probability and divide its weight by it.

    The pruned network equals A on average wherever the probability is not 0. Each off-diagonal
    entry has its own coin, each *pair* when symmetric.

    Parameters
    ----------
    A, probability
        Networks and keep-probabilities of one shape, dense or sparse.
    rng
        One generator, or one per network.
    diagonal
        ``"matched"``: the leak follows the sum of absolute weights,
        :math:`A_{ii} - \sum_j (|A^s_{ij}| - |A_{ij}|)`, as the theorem needs;
        ``"original"``: as it was.
    symmetric
        One coin for both directions; A and the probabilities must be symmetric.
    rescale
        ``False`` leaves kept weights as they are: pruning without strengthening.

    Returns
    -------
    array
        The pruned A, of A's kind; sparse networks come back as ``csr_array``.

    Raises
    ------
    ValueError
        If shapes differ, a probability is outside [0, 1], the diagonal is neither name, or
        ``symmetric`` is asked of a network or probabilities that are not.
    """
    if diagonal not in ("matched", "original"):
        raise ValueError(f"diagonal must be matched or original, got {diagonal!r}")
    if A.shape != probability.shape:
        raise ValueError(f"A is {tuple(A.shape)} and the probabilities {tuple(probability.shape)}")
    if sparse.issparse(A):
        return _sample_sparse(A, probability, rng, diagonal, symmetric, rescale)
    a, p = as_tensor(A), as_tensor(probability)
    w = off_diagonal(a)
    _check_probability(p)
    if symmetric:
        for name, x in {"A": a, "the probabilities": p}.items():
            if not torch.equal(x, x.mT):
                _check_symmetric(name, float((x - x.mT).abs().amax()), float(x.abs().amax()))
    if not a.numel():
        return like(w, A)
    coins = uniform(rng, math.prod(a.shape[:-2]), tuple(a.shape[-2:])).reshape(a.shape)
    kept = torch.as_tensor(coins, device=a.device) < p
    if symmetric:  # the upper triangle's coins decide for both directions
        kept = kept.triu()
        kept = kept | kept.mT
    pruned = torch.where(kept, w / p if rescale else w, 0.0)
    leak = a.diagonal(dim1=-2, dim2=-1)
    if diagonal == "matched":
        leak = leak - (pruned.abs().sum(-1) - w.abs().sum(-1))
    return like(with_diagonal(pruned, leak), A)


def noise_prune(A: Network, covariance: Array, *, density: float, rng: Rng) -> Network:
    """Networks pruned by noise: keep-probabilities, coins, and kept weights divided by them.

    :func:`noise_keep_probability`, then :func:`sample_and_rescale`, whose other choices are left
    as they are.

    Parameters
    ----------
    A, covariance
        Networks ``(..., n, n)`` and the covariance of their activity under noise.
    density
        Expected share kept of the non-zero off-diagonal entries, in (0, 1].
    rng
        One generator, or one per network.
    """
    probability = noise_keep_probability(A, covariance, density=density)
    return sample_and_rescale(A, probability, rng=rng)


def prune(
    A: Network,
    name: str,
    *,
    density: float,
    seeds: Sequence[int],
    activity: Array | None = None,
    draw: int = 0,
) -> Network:
    """Rate networks pruned once.

    Parameters
    ----------
    A
        ``(S, n, n)``, one for each seed, or one sparse ``(n, n)``.
    name
        In :data:`~winnow.pruners.PRUNERS`, of those that prune once.
    density
        Share of the synapses to keep, in expectation.
    seeds
        Of the networks; coins depend on seed and draw, and are the same for every pruner.
    activity
        Covariance ``(S, n, n)`` or samples ``(S, k, n)``, for the pruners that look at noise.
    draw
        Which of several prunings.
    """
    probability = probabilities(A, name, density=density, activity=activity)
    return sample(A, probability, name, seeds=seeds, draw=draw)


def probabilities(
    A: Network, name: str, *, density: float, activity: Array | None = None
) -> Network:
    """The first half of :func:`~winnow.pruners.prune`: with what probability a synapse is kept."""
    pruner = named(name, "once")
    if pruner.select == "top-k":
        return strongest(A, density=density)
    return keep_probability(pruner.score(Seen(A, activity=activity)), density=density)


def sample(
    A: Network, probability: Network, name: str, *, seeds: Sequence[int], draw: int = 0
) -> Network:
    """The second half of :func:`~winnow.pruners.prune`: coins, and what becomes of the rest."""
    pruner = named(name, "once")
    paired = abs(A - A.T).max() == 0 if sparse.issparse(A) else is_symmetric(A)
    pruned = sample_and_rescale(
        A,
        probability,
        rng=generators(seeds, f"coins {draw}"),
        diagonal=pruner.diagonal,
        symmetric=paired,
        rescale=pruner.rescale,
    )
    if not pruner.gain:
        return pruned
    old, new = (abs(off(x)).sum((-2, -1)) for x in (A, pruned))
    gain = np.asarray(old / np.where(new > 0, new, 1))
    scaled = pruned * (gain if sparse.issparse(pruned) else gain[..., None, None])
    return match_diagonal(scaled, A)


def match_diagonal(pruned: Network, A: Network) -> Network:
    r"""``pruned`` with the leak of A changed by as much as the sums of absolute weights.

    A diagonally dominant A stays so, and no faster.
    """
    if sparse.issparse(A):
        change = np.asarray(abs(off(pruned)).sum(1) - abs(off(A)).sum(1)).ravel()
        leak = sparse.diags_array(np.asarray(A.diagonal()) - change)
        return sparse.csr_array(off(pruned) + leak)
    new, old = off_diagonal(pruned), off_diagonal(A)
    leak = as_tensor(A).diagonal(dim1=-2, dim2=-1) - (new.abs().sum(-1) - old.abs().sum(-1))
    return like(with_diagonal(new, leak), A)


def _check_amount(name: str, value: float) -> None:
    top = {"density": 1.0, "eps": 1.0, "K": math.inf}[name]
    closed = "]" if name == "density" else ")"
    if not (0 < value < top or (name == "density" and value == 1)):
        raise ValueError(f"{name} must be in (0, {top:g}{closed}, got {value}")


def _on_entries(score: Network, change: Callable[[torch.Tensor], torch.Tensor]) -> Network:
    """As ``on_stored``, with the entries of each network in one row ``(..., m)``, checked."""
    s = torch.from_numpy(score.data) if sparse.issparse(score) else as_tensor(score)
    if bool((s < 0).any()) or not bool(s.sum().isfinite()):
        raise ValueError(f"scores must be 0 or larger and finite, got {float(s.min()):.3g}")
    if not s.is_floating_point():
        return _on_entries(score.astype(float) if hasattr(score, "astype") else s.double(), change)
    if sparse.issparse(score):
        return on_stored(score, change)
    return like(change(s.flatten(-2)).reshape(s.shape), score)


def _capped(scores: torch.Tensor, density: float) -> torch.Tensor:
    """Probabilities min(1, K s) of each row ``(..., m)`` with the wanted mean.

    Capping some at 1 lowers the mean, so K must rise, which caps more: each round solves for K
    with the capped ones held, their set only grows, and when it stands still K is exact.
    """
    if density == 1:
        return (scores > 0).to(scores)
    wanted = density * (scores > 0).sum(-1, keepdim=True).to(scores)
    capped = torch.zeros_like(scores, dtype=torch.bool)
    while True:
        rest = scores.masked_fill(capped, 0.0).sum(-1, keepdim=True)
        K = torch.where(rest > 0, (wanted - capped.sum(-1, keepdim=True)) / rest, 0.0)
        more = scores * K > 1
        if bool((more <= capped).all()):
            return torch.where(capped, 1.0, scores * K)
        capped = capped | more


def _empirical(scores: torch.Tensor, n: int, eps: float, sigma: float) -> torch.Tensor:
    """Probabilities under the empirical law, whose K depends on the share that it keeps."""
    bar = math.log(2 * _EMPIRICAL * math.log(max(n, 2)) / (sigma * eps) ** 2)
    many = (scores > 0).sum(-1, keepdim=True)
    # With nothing kept ln K is bar, and it falls as more is kept.
    low, high = (torch.full_like(scores[..., :1], edge) for edge in (bar - 40, bar))
    for _ in range(60):  # bisection on ln K: both sides are monotonic
        middle = (low + high) / 2
        kept = (scores * middle.exp()).clamp(max=1).sum(-1, keepdim=True) / many
        enough = middle >= bar + (1 - kept).log()
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return (scores * high.exp()).clamp(max=1)


def _sample_sparse(
    A: sparse.sparray,
    probability: sparse.sparray,
    rng: Rng,
    diagonal: str,
    symmetric: bool,
    rescale: bool,
) -> sparse.csr_array:
    [rng] = [rng] if isinstance(rng, np.random.Generator) else rng
    A = A if A.dtype.kind == "f" else A.astype(float)
    W, p = off(A), sparse.csr_array(probability)
    _check_probability(torch.from_numpy(p.data))
    if symmetric:
        for name, x in {"A": W, "the probabilities": p}.items():
            _check_symmetric(name, abs(x - x.T).max(), abs(x).max())
        W = sparse.triu(W, 1)
    edges = sparse.coo_array(W)
    i, j = edges.coords
    chance = np.asarray(p[i, j], float).ravel() if len(i) else np.zeros(0)
    kept = rng.random(len(i)) < chance
    w = edges.data[kept] / (chance[kept] if rescale else 1)
    pruned = sparse.csr_array((w, (i[kept], j[kept])), shape=A.shape)
    pruned = pruned + pruned.T if symmetric else pruned
    pruned = sparse.csr_array(pruned + sparse.diags_array(A.diagonal()))
    return match_diagonal(pruned, A) if diagonal == "matched" else pruned


def _check_probability(p: torch.Tensor) -> None:
    if not bool(((p >= 0) & (p <= 1)).all()):
        worst = float(p[~((p >= 0) & (p <= 1))][0])
        raise ValueError(f"probabilities must be in [0, 1], got {worst:g}")


def _check_symmetric(name: str, gap: float, scale: float) -> None:
    if gap > 1e-6 * scale:
        raise ValueError(
            f"{name} must be symmetric, entries differ by {gap:.3g}: pass symmetric=False"
        )
