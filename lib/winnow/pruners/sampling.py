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

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse

from winnow.arrays import Array, as_numpy, as_tensor, check_range, is_symmetric, like
from winnow.pruners import scores
from winnow.pruners.masks import n_kept
from winnow.pruners.scores import Network, off, off_diagonal, with_diagonal
from winnow.pruners.table import Seen, named
from winnow.seeds import Rng, generators, streams, uniform


def noise_keep_probability(
    A: Network,
    covariance: Array | None = None,
    *,
    samples: Array | None = None,
    density: float | None = None,
    K: float | None = None,
    eps: float | None = None,
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
        The rule's factor instead; under noise of standard deviation :math:`\sigma` only
        :math:`K \sigma^2` matters.
    eps
        The spectral error wanted instead, in (0, 1), guaranteed with probability 0.95 where the
        covariance is that under noise of unit strength: K is
        :func:`~winnow.pruners.sampling.theorem_factor`.

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
    _check_amount(density=density, K=K, eps=eps)
    score = scores.noise_score(A, covariance, samples=samples)
    K = theorem_factor(A.shape[-1], eps) if eps is not None else K
    return keep_probability(score, density=density, K=K)


def theorem_factor(n: int, eps: float) -> float:
    r"""The factor K that guarantees a spectral error under noise of unit strength.

    .. math:: K = \frac{6 \ln(2 n / 0.05)}{\varepsilon^2}

    With it, and with the matched diagonal, the quadratic form of a symmetric, diagonally dominant
    network changes by at most a factor :math:`1 \pm \varepsilon` with probability 0.95, by the
    matrix Chernoff bound :cite:p:`tropp2012` as in graph sparsification :cite:p:`spielman2011`. Our
    constant; the paper's is not known to us.
    """
    return 6 * math.log(2 * n / 0.05) / eps**2


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
    _check_amount(density=density, K=K)

    def chances(s: torch.Tensor) -> torch.Tensor:
        if bool((s < 0).any()) or not bool(s.sum().isfinite()):
            raise ValueError(f"scores must be 0 or larger and finite, got {float(s.min()):.3g}")
        each = s.flatten(-2) if s.ndim > 1 else s  # the entries of each network in a row
        p = (each * K).clamp(max=1) if density is None else _capped(each, density)
        return p.reshape(s.shape)

    return scores.on_stored(score, chances)


def strongest(worth: Network, *, density: float) -> Network:
    """Probability 1 for the largest scores and 0 for all others, such as magnitude pruning.

    Scores are not 0 where there is a synapse. The whole number of synapses below ``density``
    times all is kept. Where scores are symmetric that number may split a pair; then one synapse
    more or less is kept.
    """
    if not sparse.issparse(worth):
        alone = map(sparse.csr_array, as_numpy(worth, None).reshape(-1, *worth.shape[-2:]))
        kept = np.array([strongest(a, density=density).toarray() for a in alone])
        return like(as_tensor(kept.reshape(worth.shape)).to(as_tensor(worth)), worth)
    paired = abs(worth - worth.T).max() == 0
    edges = sparse.coo_array(sparse.triu(worth) if paired else worth)
    first = np.argsort(-edges.data, kind="stable")[: n_kept(density, edges.nnz)]
    i, j = (ends[first] for ends in edges.coords)
    kept = sparse.csr_array((np.ones(len(first)), (i, j)), shape=worth.shape)
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
    thin = sparse.issparse(A)
    w, p = off(A), probability if thin else as_tensor(probability)
    if not math.prod(A.shape):
        return w
    check_range("probabilities", p.data if thin else p, "[0, 1]")
    if symmetric:
        _check_symmetric("A", A)
        _check_symmetric("the probabilities", probability)
    if thin:
        edges = sparse.coo_array(sparse.triu(w) if symmetric else w)
        i, j = edges.coords
        chance = np.asarray(sparse.csr_array(p)[i, j], float).ravel() if len(i) else np.zeros(0)
        [stream] = streams(rng, 1)
        kept = stream.random(len(i)) < chance
        weights = edges.data[kept] / (chance[kept] if rescale else 1)
        pruned = sparse.csr_array((weights, (i[kept], j[kept])), shape=A.shape)
        pruned = pruned + pruned.T if symmetric else pruned
    else:
        w = as_tensor(w)
        coins = uniform(rng, math.prod(A.shape[:-2]), tuple(A.shape[-2:])).reshape(A.shape)
        kept = torch.as_tensor(coins, device=w.device) < p
        if symmetric:  # the upper triangle's coins decide for both directions
            kept = kept.triu()
            kept = kept | kept.mT
        pruned = like(torch.where(kept, w / p if rescale else w, 0.0), A)
    return with_leak(pruned, A, diagonal=diagonal)


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
    worth = pruner.score(Seen(A, activity=activity))
    choose = strongest if pruner.select == "top-k" else keep_probability
    return choose(worth, density=density)


def sample(
    A: Network, probability: Network, name: str, *, seeds: Sequence[int], draw: int = 0
) -> Network:
    """The second half of :func:`~winnow.pruners.prune`: coins, and what becomes of the rest."""
    pruner = named(name, "once")
    paired = abs(A - A.T).max() == 0 if sparse.issparse(A) else is_symmetric(A)
    how = {"symmetric": paired, "diagonal": pruner.diagonal, "rescale": pruner.rescale}
    pruned = sample_and_rescale(A, probability, rng=generators(seeds, f"coins {draw}"), **how)
    if not pruner.gain:
        return pruned
    old, new = (abs(off(x)).sum((-2, -1)) for x in (A, pruned))
    gain = np.asarray(old / np.where(new > 0, new, 1))
    return with_leak(pruned * (gain if sparse.issparse(pruned) else gain[..., None, None]), A)


def with_leak(w: Network, A: Network, *, diagonal: str = "matched") -> Network:
    r"""The synapses of a network with the leak of another.

    Parameters
    ----------
    w, A
        Networks of one shape; of the first the diagonal does not matter.
    diagonal
        ``"matched"``: the leak of A changed by as much as the sums of absolute weights, so that a
        diagonally dominant A stays so, and no faster; ``"original"``: as it is.
    """
    matched = diagonal == "matched"
    if sparse.issparse(A):
        change = abs(off(w)).sum(1) - abs(off(A)).sum(1)
        leak = sparse.diags_array(A.diagonal() - matched * change)
        return sparse.csr_array(off(w) + leak)
    new, old = off_diagonal(w), off_diagonal(A)
    change = new.abs().sum(-1) - old.abs().sum(-1)
    leak = as_tensor(A).diagonal(dim1=-2, dim2=-1) - matched * change
    return like(with_diagonal(new, leak), A)


def _check_amount(**given: float | None) -> None:
    """Raise ``ValueError`` unless one amount is given, in its range."""
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        raise ValueError(f"give one of {', '.join(given)}, got {' and '.join(chosen) or 'none'}")
    allowed = {"density": "(0, 1]", "K": "(0, inf)", "eps": "(0, 1)"}
    check_range(chosen[0], given[chosen[0]], allowed[chosen[0]])


def _check_symmetric(name: str, x: Network) -> None:
    x = x if sparse.issparse(x) else as_tensor(x).detach()
    turned = x.T if sparse.issparse(x) else x.mT
    gap, scale = (float(abs(values).max()) for values in (x - turned, x))
    if gap > 1e-6 * scale:
        raise ValueError(
            f"{name} must be symmetric, entries differ by {gap:.3g}: "
            "average both directions, or pass symmetric=False"
        )


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
