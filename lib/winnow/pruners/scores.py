"""Scores: what a synapse is worth to a pruning rule.

Each takes networks, dense ``(..., n, n)`` or one sparse ``(n, n)``, and returns scores of the same
shape and kind: 0 or larger, 0 on the diagonal and where there is no synapse.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy import sparse

from winnow.arrays import Array, as_tensor, eigvalsh, finite, is_symmetric, like, square_matrices

Network = Array | sparse.sparray

#: Edges of a sparse network scored together; what they need stays in the cache.
_CHUNK = 2**13

#: A difference of variances is never negative; what rounding makes of it is kept above 0, so that
#: no synapse is lost for good.
_ROUNDING = 1e-15


def noise_score(
    A: Network, covariance: Array | None = None, *, samples: Array | None = None, sign: float = 1.0
) -> Network:
    r"""Score of noise pruning :cite:p:`moore2020`.

    .. math:: |w_{ij}| \, (C_{ii} + C_{jj} - 2 \operatorname{sgn}(w_{ij})\, C_{ij})

    Parameters
    ----------
    A, covariance, samples
        As for :func:`~winnow.pruners.noise_keep_probability`.
    sign
        Ablations: −1 turns the sign rule around, 0 leaves the term with :math:`C_{ij}` out.

    Returns
    -------
    array
        Not negative; 0 on the diagonal and where A is 0.
    """
    if (covariance is None) == (samples is None):
        raise ValueError("give the covariance or samples of the activity, one of the two")
    if sparse.issparse(A):
        if samples is None:
            raise ValueError("a sparse network takes samples: its covariance would be dense")
        return _sparse_score(off(A), _centred(samples, A).double().numpy(), sign)
    w = off_diagonal(A)
    c = _checked_covariance(covariance, w) if samples is None else _covariance(samples, w)
    own = c.diagonal(dim1=-2, dim2=-1)
    return like(_worth(w, own[..., :, None], own[..., None, :], sign * c), A)


def known_noise_score(A: Network, activity: Array | None, *, sign: float = 1.0) -> Network:
    """The noise score from a covariance or from samples, whichever the activity is.

    As many samples as neurons are told from a covariance by not being symmetric.
    """
    if activity is None:
        raise ValueError("noise pruning needs the activity: pass a covariance or samples")
    known = not sparse.issparse(A) and activity.shape == A.shape and is_symmetric(activity)
    return noise_score(A, **{"covariance" if known else "samples": activity}, sign=sign)


def leverage(A: Array, covariance: Array) -> Array:
    r"""Leverage :math:`\ell_{ij} = |w_{ij}| R_{ij}` of each synapse, ``(..., n, n)``.

    Twice the noise score under noise of unit strength: with the exact covariance of a symmetric,
    diagonally dominant network, weight times effective resistance. Over pairs the leverages sum
    to :math:`n - \sum_i s_i (M^{-1})_{ii}`, with the slack :math:`s_i` of each row.
    """
    return 2 * noise_score(A, covariance)


def weight_score(A: Network) -> Network:
    """Score ``|w|``: the control of :cite:t:`moore2020`."""
    return abs(off(A))


def uniform_score(A: Network) -> Network:
    """Score 1 for every synapse."""
    return on_stored(off(A), lambda w: (w != 0).to(w))


def degree_score(A: Network) -> Network:
    r"""Score :math:`|w_{ij}| (1/D_i + 1/D_j)` with :math:`D_i = \sum_j |w_{ij}|`: no noise needed.

    What the effective resistance becomes in a dense cluster. A neuron's outgoing weights count
    for it as much as the incoming ones when the network is not symmetric.
    """
    w = abs(off(A))
    size = w if sparse.issparse(w) else as_tensor(w)
    total = as_tensor(size.sum(-1) + size.sum(-2))
    rate = torch.where(total > 0, 2 / total, 0.0)  # 0 for a neuron without synapses
    if sparse.issparse(w):
        a, b = (rate[end] for end in w.tocoo().coords)
    else:
        a, b = rate[..., :, None], rate[..., None, :]
    return on_stored(w, lambda size: size * (a + b))


def off_diagonal(A: Array) -> torch.Tensor:
    """A dense network without its diagonal, checked."""
    return with_diagonal(square_matrices(A, "A"), 0.0)


def with_diagonal(a: torch.Tensor, diagonal: torch.Tensor | float) -> torch.Tensor:
    """A copy with another diagonal."""
    a = a.clone()
    a.diagonal(dim1=-2, dim2=-1).copy_(torch.as_tensor(diagonal))
    return a


def off(A: Network) -> Network:
    """The network without its diagonal, of the same kind."""
    if not sparse.issparse(A):
        return like(off_diagonal(A), A)
    if A.shape[0] != A.shape[1] or not np.isfinite(A.data).all():
        raise ValueError(f"A must be square and finite, got shape {A.shape}")
    A = A if A.dtype.kind == "f" else A.astype(float)
    return sparse.csr_array(sparse.triu(A, 1) + sparse.tril(A, -1))


def on_stored(A: Network, change: Callable[[torch.Tensor], torch.Tensor]) -> Network:
    """Every entry of a dense network, or every stored one of a sparse network, changed.

    Whole numbers are changed as real ones.
    """
    if sparse.issparse(A):
        changed = sparse.csr_array(A, copy=True)
        changed.data = on_stored(changed.data, change)
        return changed
    x = as_tensor(A)
    return like(change(x if x.is_floating_point() else x.double()), A)


def _checked_covariance(covariance: Array, w: torch.Tensor) -> torch.Tensor:
    c = finite(covariance, "the covariance")
    bar = 1e-4 if c.dtype in (torch.float32, torch.float16, torch.bfloat16) else 1e-9
    c = c.to(w)
    if c.shape != w.shape:
        raise ValueError(f"the covariance is {tuple(c.shape)}, but A is {tuple(w.shape)}")
    own = c.diagonal(dim1=-2, dim2=-1)
    if bool((own <= 0).any()):
        raise ValueError(
            "the covariance must be positive semidefinite with every variance above 0, "
            f"got {float(own.min()):.3g}"
        )
    hair = bar * own.amax(-1, keepdim=True)
    if bool(((c - c.mT).abs().amax(-1) > hair).any()):
        raise ValueError("the covariance must be symmetric")
    # A short simulation gives a covariance of low rank; a hair on the diagonal lets it pass.
    if bool((torch.linalg.cholesky_ex(with_diagonal(c, own + hair)).info > 0).any()):
        edge = float(eigvalsh(c).amin())
        raise ValueError(
            f"the covariance must be positive semidefinite, but has eigenvalue {edge:.3g}"
        )
    return c


def _covariance(samples: Array, w: torch.Tensor) -> torch.Tensor:
    x = _centred(samples, w).to(w)
    return x.mT @ x / (x.shape[-2] - 1)


def _centred(samples: Array, A: Network) -> torch.Tensor:
    """Samples less their mean, checked."""
    x = finite(samples, "samples")
    wanted = (*A.shape[:-2], x.shape[-2] if x.ndim > 1 else 1, A.shape[-1])
    if tuple(x.shape) != wanted:
        raise ValueError(f"samples are {tuple(x.shape)}, not {wanted} as A asks")
    if x.shape[-2] < 2:
        raise ValueError(f"samples must be 2 or more to have a covariance, got {x.shape[-2]}")
    x = x if x.is_floating_point() else x.double()
    return x - x.mean(-2, keepdim=True)


def _worth(
    w: torch.Tensor, own: torch.Tensor, other: torch.Tensor, between: torch.Tensor
) -> torch.Tensor:
    """Scores from weights, the variances of both neurons, and their signed covariance."""
    spread = own + other - 2 * w.sign() * between
    return w.abs() * torch.maximum(spread, _ROUNDING * own.abs())


def _sparse_score(w: sparse.csr_array, samples: np.ndarray, sign: float) -> sparse.csr_array:
    """Scores of the stored entries, a chunk of edges at a time."""
    i, j = w.tocoo().coords
    x = np.ascontiguousarray(samples.T)
    own = np.einsum("nk,nk->n", x, x) / (x.shape[1] - 1)
    score = np.empty_like(w.data)
    for start in range(0, len(i), _CHUNK):
        part = slice(start, start + _CHUNK)
        a, b = i[part], j[part]
        between = sign * np.einsum("ek,ek->e", x[a], x[b]) / (x.shape[1] - 1)
        found = _worth(*map(torch.from_numpy, (w.data[part], own[a], own[b], between)))
        score[part] = found.numpy()
    return sparse.csr_array((score, (i, j)), shape=w.shape)
