r"""Covariance of noise-driven activity, by algebra or from the noise itself.

Under white noise of unit strength the activity of :math:`\dot x = A x + \xi` has the stationary
covariance C with :math:`A C + C A^\top = -I`; for symmetric A that is
:math:`C = -\tfrac12 A^{-1}`. Noise of strength :math:`\sigma` multiplies it by :math:`\sigma^2`.
"""

import math

import numpy as np
import torch
from scipy import linalg, sparse
from scipy.sparse import csgraph

from winnow import memory
from winnow.arrays import Array, check_count, finite, is_symmetric, like, square_matrices
from winnow.seeds import Rng, normal, streams

#: Steps whose states are multiplied out together; larger products, more memory.
_BLOCK = 256


def exact(A: Array) -> Array:
    r"""Stationary covariance by algebra.

    Symmetric A by a Cholesky inverse, :math:`O(n^3)`; any other by the Bartels–Stewart
    algorithm, which costs some tens of times more.

    Parameters
    ----------
    A
        ``(..., n, n)``, stable: all eigenvalues have negative real parts.

    Returns
    -------
    Array
        ``(..., n, n)``, symmetric positive definite.

    Raises
    ------
    ValueError
        If A is not square, not finite or not stable, or memory does not suffice.

    Examples
    --------
    >>> exact(np.array([[-1.0, 0.0], [0.0, -4.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.125]]
    """
    a = square_matrices(A, "A")
    memory.require(4 * a.nbytes, f"the covariance of {a.shape[-1]} neurons")
    if is_symmetric(a):
        return like(torch.cholesky_inverse(_factor(a)) / 2, A)
    memory.require(2 * a.nbytes + 96 * a.shape[-1] ** 2, f"{a.shape[-1]} neurons, asymmetric,")
    _require_stable(a)
    noise = -np.eye(a.shape[-1])
    flat = a.double().cpu().numpy().reshape(-1, *noise.shape)
    solved = np.stack([linalg.solve_continuous_lyapunov(m, noise) for m in flat])
    return like(torch.from_numpy((solved + solved.swapaxes(-1, -2)) / 2).reshape(a.shape).to(a), A)


def samples(A: Array | sparse.sparray, k: int, *, rng: Rng, tolerance: float = 1e-6) -> Array:
    r"""Independent draws of the stationary activity of a symmetric network.

    Their second moment estimates the covariance, each difference of two neurons with a relative
    standard error of :math:`\sqrt{2/k}` whatever n is: a Johnson–Lindenstrauss sketch of the
    effective resistances :cite:p:`spielman2011`. A dense network takes one Cholesky factor; a
    sparse one is solved for all draws at once by preconditioned conjugate gradients from
    right-hand sides with covariance −A, and needs no ``(n, n)`` memory at all.

    Parameters
    ----------
    A
        ``(..., n, n)`` symmetric and stable; or sparse ``(n, n)`` and diagonally dominant too.
    k
        Draws, 1 or more.
    rng
        One generator, or one per network.
    tolerance
        Relative residual at which the sparse solution stops; slow modes need a small one.

    Returns
    -------
    Array
        ``(..., k, n)``.

    Raises
    ------
    ValueError
        As for :func:`~winnow.models.rate_covariance.exact`; if A is not symmetric; if a sparse
        A is not diagonally dominant.
    """
    check_count("k", k)
    if sparse.issparse(A):
        if A.shape[0] != A.shape[1]:
            raise ValueError(f"A must be square, (n, n), got {A.shape}")
        if not np.isfinite(A.data).all():
            raise ValueError("A must be finite, got NaN or infinity")
        real = A if A.dtype.kind == "f" else A.astype(float)
        return 1 / math.sqrt(2) * _solve_sketch(sparse.csr_array(real), k, rng, tolerance)
    a = square_matrices(A, "A")
    if not is_symmetric(a):
        raise ValueError("samples are drawn for symmetric networks: A is not symmetric")
    memory.require(2 * a.nbytes, f"the Cholesky factor of {a.shape[-1]} neurons")
    noise = normal(rng, math.prod(a.shape[:-2]), (k, a.shape[-1]))
    g = torch.from_numpy(noise.reshape(*a.shape[:-2], k, a.shape[-1])).to(a)
    # M = L Lᵀ and x = L⁻ᵀ g; with draws as rows, that is X L = G.
    drawn = torch.linalg.solve_triangular(_factor(a), g, upper=False, left=False)
    return like(1 / math.sqrt(2) * drawn, A)


def watched(
    A: Array,
    duration: Array | float,
    *,
    rng: Rng,
    moments: int = 2048,
    centred: bool = False,
) -> Array:
    r"""Covariance that the noise of a symmetric network shows to who watches it for a while.

    The network has been running for long when the watch begins, and is read at evenly spaced
    moments. In the eigenvectors of A each mode is a process of its own,

    .. math:: y_{t+1} = e^{-m \Delta} y_t + \sqrt{\tfrac{1 - e^{-2 m \Delta}}{2 m}}\, z_t,

    with decay m and time :math:`\Delta` between moments. What is read has exactly the law of the
    activity, however long :math:`\Delta` is.

    Parameters
    ----------
    A
        ``(..., n, n)``, symmetric and stable.
    duration
        Time T watched, above 0, one for all networks or ``(...)``. In the networks of
        :mod:`winnow.models.rate_networks` leaks are near 1, and times count leak times.
    rng
        One generator, or one per network.
    moments
        How often the activity is read, 1 or more.
    centred
        Whether each neuron's mean over the watch is subtracted, as where its input is not known.

    Returns
    -------
    Array
        ``(..., n, n)``.

    Raises
    ------
    ValueError
        As for :func:`~winnow.models.rate_covariance.exact`; if A is not symmetric, or a duration or
        the moments are out of range.
    """
    a = square_matrices(A, "A")
    if not is_symmetric(a):
        raise ValueError("noise is watched in symmetric networks: A is not symmetric")
    check_count("moments", moments)
    T = finite(duration, "duration").to(a)
    if bool((T <= 0).any()):
        raise ValueError(f"duration must be above 0, got {float(T.min()):g}")
    memory.require(4 * a.nbytes, f"watching {a.shape[-1]} neurons")
    _factor(a)
    decay, modes = torch.linalg.eigh(-a)
    passed = decay * T[..., None] / moments
    spread = (2 * decay).rsqrt()
    stays, fresh = (-passed).exp(), spread * (-torch.expm1(-2 * passed)).sqrt()
    y, total, sums = None, torch.zeros_like(a), torch.zeros_like(decay)
    for start in range(0, moments, _BLOCK):
        steps = min(_BLOCK, moments - start)
        z = normal(rng, math.prod(a.shape[:-2]), (steps, a.shape[-1])).swapaxes(0, 1)
        z = torch.as_tensor(z, dtype=a.dtype, device=a.device).reshape(steps, *decay.shape)
        states = torch.empty_like(z)
        for t in range(steps):
            y = spread * z[t] if y is None else stays * y + fresh * z[t]
            states[t] = y
        block = states.movedim(0, -2)
        total, sums = total + block.mT @ block, sums + block.sum(-2)
    C, mean = total / moments, sums / moments
    if centred:
        C = C - mean[..., :, None] * mean[..., None, :]
    return like(modes @ C @ modes.mT, A)


def _factor(a: torch.Tensor) -> torch.Tensor:
    """Cholesky factor of −A, which exists only for stable symmetric A.

    A mode without any decay passes or fails by rounding alone: its pivot gives it away.
    """
    factor, failed = torch.linalg.cholesky_ex(-a)
    pivots = factor.diagonal(dim1=-2, dim2=-1) ** 2
    bar = 1e-12 if a.dtype == torch.float64 else 1e-6
    lost = pivots.amin(-1) <= bar * a.abs().amax((-2, -1)) if a.numel() else failed
    if bool((failed > 0).any()) or bool((lost > 0).any()):
        edge = float(torch.linalg.eigvalsh(a).amax())
        raise ValueError(f"A must be stable, but its largest eigenvalue is {edge:.3g}")
    return factor


def _require_stable(a: torch.Tensor) -> None:
    edge = float(torch.linalg.eigvals(a).real.amax())
    if edge >= 0:
        raise ValueError(f"A must be stable, but its largest real part is {edge:.3g}")


def _solve_sketch(A: sparse.csr_array, k: int, rng: Rng, tolerance: float) -> np.ndarray:
    r"""``k`` draws with covariance :math:`(-A)^{-1}` by conjugate gradients, ``(k, n)``."""
    [rng] = streams(rng, 1)
    memory.require(8 * 6 * k * A.shape[0] + 4 * A.data.nbytes, f"a sketch of {k} draws")
    M = sparse.csr_array(-A)
    rhs = _edge_noise(M, k, rng)
    inverse_diagonal = 1 / M.diagonal()[:, None]
    x, r = np.zeros_like(rhs), rhs
    d = z = inverse_diagonal * r
    rz, bar = (r * z).sum(0), tolerance * np.linalg.norm(rhs, axis=0)
    for _ in range(10 * A.shape[0]):
        Md = M @ d
        step = rz / (d * Md).sum(0)
        x, r = x + step * d, r - step * Md
        if (np.linalg.norm(r, axis=0) <= bar).all():
            return x.T
        z = inverse_diagonal * r
        rz, last = (r * z).sum(0), rz
        d = z + rz / last * d
    raise ValueError("A must be stable and well conditioned: conjugate gradients do not settle")


def _edge_noise(M: sparse.csr_array, k: int, rng: np.random.Generator) -> np.ndarray:
    r"""Right-hand sides with covariance M, ``(n, k)``.

    .. math:: \textstyle\sum_e \sqrt{|w_e|}\, u_e g_e + \sum_i \sqrt{s_i}\, e_i g_i

    with normal g: a diagonally dominant M is the sum of the squares of these vectors.
    """
    pairs = sparse.coo_array(sparse.triu(M, 1))
    i, j = pairs.coords
    root = np.sqrt(np.abs(pairs.data))
    slack = M.diagonal() - np.asarray(abs(M - sparse.diags_array(M.diagonal())).sum(1)).ravel()
    if slack.min() < -1e-9 * M.diagonal().max() or M.diagonal().min() <= 0:
        raise ValueError(f"a sparse A must be diagonally dominant: a row lacks {-slack.min():.3g}")
    if abs(M - M.T).max() > 1e-10 * M.diagonal().max():
        raise ValueError("samples are drawn for symmetric networks: A is not symmetric")
    _require_decay(pairs, slack / M.diagonal().max())
    m, n = len(i), M.shape[0]
    ends = np.concatenate([i, j])
    # M_ij = -w_ij: u = e_i − sgn(w) e_j
    signed = np.concatenate([root, root * np.sign(pairs.data)])
    incidence = sparse.csr_array((signed, (ends, np.tile(np.arange(m), 2))), shape=(n, m))
    rhs = np.sqrt(slack.clip(min=0))[:, None] * rng.standard_normal((n, k))
    for column in range(k):  # a column at a time: m k numbers at once would be the largest array
        rhs[:, column] += incidence @ rng.standard_normal(m)
    return rhs


def _require_decay(pairs: sparse.coo_array, slack: np.ndarray) -> None:
    """Refuse a group of neurons that has a mode without decay.

    Such a mode exists where no neuron leaks more than its weights sum to and no loop of weights is
    frustrated. In a graph with two copies of each neuron, where excitation joins like copies and
    inhibition unlike ones, the copies of a frustrated group hang together; others stay apart.
    """
    n, (i, j), like_copy = pairs.shape[0], pairs.coords, pairs.data < 0  # M_ij = -w_ij
    other = np.where(like_copy, j, j + n)
    ends = np.concatenate([i, i + n]), np.concatenate([other, (other + n) % (2 * n)])
    double = sparse.coo_array((np.ones(2 * len(i)), ends), shape=(2 * n, 2 * n))
    _, group = csgraph.connected_components(double, directed=False)
    most = np.zeros(group.max() + 1)
    np.maximum.at(most, group, np.tile(slack, 2))
    stuck = (group[:n] != group[n:]) & (most[group[:n]] <= 1e-12)
    if stuck.any():
        raise ValueError(
            f"A must be stable: {stuck.sum()} neurons share a mode without decay, "
            "give one of them more leak"
        )
