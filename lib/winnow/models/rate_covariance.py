r"""Covariance of noise-driven activity, by algebra or from the noise itself.

Under white noise of unit strength the activity of :math:`\dot x = A x + \xi` has the stationary
covariance C with :math:`A C + C A^\top = -I`; for symmetric A that is
:math:`C = -\tfrac12 A^{-1}`. Noise of strength :math:`\sigma` multiplies it by :math:`\sigma^2`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import linalg, sparse
from scipy.sparse import csgraph

from winnow import memory
from winnow.arrays import Array, check_count, check_range, is_symmetric, like, square_matrices
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


def simulated(A: Array, durations: float | Sequence[float], *, rng: Rng, dt: float = 0.1) -> Array:
    r"""Covariance that a trajectory shows: Euler–Maruyama steps from rest, streaming moments.

    .. math:: x_{t+1} = x_t + \Delta t\, A x_t + \sqrt{\Delta t}\, z_t

    The step alone biases scores up by about :math:`\Delta t\, D_i / 2`, and slow modes are seen
    before they are filled. The mean over the trajectory is not subtracted,
    because the input has none.

    Parameters
    ----------
    A
        ``(..., n, n)``, stable.
    durations
        Time T watched; several increasing ones share one trajectory. In the
        networks of :mod:`winnow.models.rate_networks` leaks are near 1, and times count leak times.
    rng
        One generator, or one per network.
    dt
        Step, positive and below the stability limit :math:`-2 / \lambda_\min`.

    Returns
    -------
    Array
        ``(..., n, n)``, or ``(len(durations), ..., n, n)`` for several.

    Raises
    ------
    ValueError
        As for :func:`~winnow.models.rate_covariance.exact`; if a step or a duration is out of
        range.
    """
    a = square_matrices(A, "A")
    ends = _steps(durations, dt)
    memory.require((3 + len(ends)) * a.nbytes, f"simulating {a.shape[-1]} neurons")
    _require_small_step(a, dt)
    x = torch.zeros(*a.shape[:-1], dtype=a.dtype, device=a.device)
    total = torch.zeros_like(a)
    found = []
    for start, stop in itertools.pairwise(sorted({*range(0, ends[-1], _BLOCK), *ends})):
        z = normal(rng, math.prod(a.shape[:-2]), (stop - start, a.shape[-1])).swapaxes(0, 1)
        z = torch.as_tensor(z, dtype=a.dtype, device=a.device) * math.sqrt(dt)
        states = []
        for kick in z:
            x = x + dt * (x[..., None, :] @ a.mT)[..., 0, :] + kick.reshape(x.shape)
            states.append(x)
        block = torch.stack(states, -2)
        total = total + block.mT @ block
        if stop in ends:
            found.append(total / stop)
    return like(torch.stack(found) if np.ndim(durations) else found[0], A)


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


def _steps(durations: float | Sequence[float], dt: float) -> list[int]:
    check_range("dt", dt, "(0, inf)")
    asked = np.atleast_1d(np.asarray(durations, float))
    ends = [round(d / dt) for d in asked] if np.isfinite(asked).all() else []
    if not ends or ends[0] < 1 or any(b <= a for a, b in itertools.pairwise(ends)):
        raise ValueError(f"durations must increase from {dt} or more, got {durations}")
    return ends


def _require_small_step(a: torch.Tensor, dt: float) -> None:
    """Euler's method is stable where every 1 + dt λ lies inside the unit circle."""
    if dt * float(a.abs().sum(-1).amax()) < 2 and is_symmetric(a):
        _factor(a)
        return  # the row sum bounds the spectrum
    growth = float((1 + dt * torch.linalg.eigvals(a)).abs().amax())
    if growth >= 1:
        _require_stable(a)
        raise ValueError(f"dt must be smaller: with {dt} a step multiplies by {growth:.3g}")


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
