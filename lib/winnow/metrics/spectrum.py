r"""How well a pruned rate network keeps the spectrum and the dynamics of the original.

Networks are :math:`\dot x = A x`, stable, ``(..., n, n)`` or sparse ``(n, n)``; M = −A (its
symmetric part). Errors compare a pruned :math:`A_s` with A.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import linalg
from scipy.sparse.linalg import LinearOperator

from winnow import memory
from winnow.arrays import (
    Array,
    as_numpy,
    as_tensor,
    check_count,
    eigvalsh,
    finite,
    is_symmetric,
    like,
    square_matrices,
    unit_scale,
)

Network = Array | sparse.sparray

#: Neurons up to which all generalised eigenvalues are computed to get the two extreme ones.
_DENSE = 500

#: Below this Lanczos has no room to work, and all eigenvalues cost nothing.
_FEWEST = 50

#: Relative accuracy of the extreme eigenvalues by Lanczos.
_TOLERANCE = 1e-4

#: Multiples of M added to a pruned form so that it can be solved though neurons were cut off or are
#: unstable. Conjugate gradients start with a larger one.
_SHIFTS = (1e-9, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6, 1e8)
_SPARSE_SHIFTS = _SHIFTS[2:]
_FAR = 1e4

#: Steps of conjugate gradients after which a form counts as singular.
_MOST_STEPS = 10_000


class Bounds(NamedTuple):
    r"""Extreme ratios of two quadratic forms, ``lo <= (x' A_s x) / (x' A x) <= hi``."""

    lo: Array | float
    hi: Array | float

    @property
    def eps(self) -> Array | float:
        """Spectral error max(1 − lo, hi − 1). Saturates at 1 for a network that only shrank."""
        lo, hi = map(as_tensor, self)
        return like(torch.maximum(1 - lo, hi - 1), self.lo)[()]


def approximation_bounds(A: Network, A_sparse: Network) -> Bounds:
    r"""Smallest and largest ratio of the pruned quadratic form to the original one.

    The extreme eigenvalues of :math:`L^{-1} M_s L^{-\top}` with :math:`M = L L^\top`; for
    networks that are not symmetric, of their symmetric parts. Within
    :math:`[1 - \varepsilon, 1 + \varepsilon]`, every ordered eigenvalue, every response to an
    input and, for symmetric networks, the dynamics at all times are kept to that order.

    Parameters
    ----------
    A, A_sparse
        Original and pruned networks, ``(..., n, n)`` with axes that broadcast; or both sparse;
        or only the pruned one sparse.

    Returns
    -------
    Bounds
        ``lo`` and ``hi``, ``(...)`` each, or numbers for one network. lo is 0 where pruning cut a
        neuron or a group off, and negative where the symmetric part became unstable.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or the symmetric part of A has an
        eigenvalue of 0 or above.

    Notes
    -----
    Up to 500 neurons all eigenvalues, :math:`O(n^3)`; beyond, the two extreme ones to a relative
    accuracy of 1e-4 by Lanczos, with a Cholesky factor of a dense A, or by conjugate gradients
    alone for a sparse one.

    Examples
    --------
    >>> approximation_bounds(np.diag([-1.0, -4.0]), np.diag([-0.5, -6.0]))
    Bounds(lo=0.5, hi=1.5)
    """
    if sparse.issparse(A):
        return _sparse_bounds(A, A_sparse)
    M, most = _form(A), _DENSE
    if sparse.issparse(A_sparse):
        A_sparse, most = as_tensor(A_sparse.toarray()).to(M.device), _FEWEST
    Ms = _form(A_sparse)
    if M.shape[-1] != Ms.shape[-1]:
        raise ValueError(f"A has {M.shape[-1]} neurons and the pruned network {Ms.shape[-1]}")
    dtype = torch.promote_types(M.dtype, Ms.dtype)
    M, Ms = M.to(dtype), Ms.to(dtype)
    unit = _unit(M.diagonal(dim1=-2, dim2=-1))[..., None]
    M, Ms = M.div_(unit), Ms / unit
    if M.shape[-1] > most:
        batch = torch.broadcast_shapes(M.shape[:-2], Ms.shape[:-2])
        flat = [x.expand(*batch, *x.shape[-2:]).reshape(-1, *x.shape[-2:]) for x in (M, Ms, unit)]
        ends = [_lanczos(*one) for one in zip(*flat, strict=True)]
        lo, hi = torch.tensor(ends, dtype=dtype).reshape(*batch, 2).unbind(-1)
    else:
        L = _cholesky(M, unit)
        half = torch.linalg.solve_triangular(L, Ms, upper=False)
        ratio = eigvalsh(torch.linalg.solve_triangular(L, half.mT, upper=False))
        lo, hi = ratio[..., 0], ratio[..., -1]
    if not lo.ndim:
        return Bounds(float(lo), float(hi))
    return Bounds(like(lo, A), like(hi, A))


def eigenvalues(A: Array) -> Array:
    """Real parts of the eigenvalues, slowest (largest) first, ``(..., n)``."""
    a = square_matrices(A, "A")
    values = eigvalsh(a) if is_symmetric(a) else torch.linalg.eigvals(a).real
    return like(values.sort(-1, descending=True).values, A)


def slowest_eigenvalues(A: Network, k: int) -> np.ndarray:
    """The k slowest eigenvalues of one large symmetric network, ``(k,)``, slowest first.

    By inverse Lanczos from one Cholesky factor instead of all eigenvalues; dense inside. Modes
    that pruning left without decay come out as 0, but for rounding.

    Raises
    ------
    ValueError
        If A is not symmetric or not stable, or k is not in [1, n).
    """
    dense = square_matrices(A.toarray() if sparse.issparse(A) else A, "A")
    if not is_symmetric(dense):
        raise ValueError("the slowest eigenvalues are of symmetric networks: A is not symmetric")
    check_count("k", k, 1, dense.shape[-1] - 1)
    M = _form(dense)
    unit = _unit(M.diagonal())
    # A hair of leak, so that a factor exists where modes have no decay left.
    M.div_(unit).diagonal().add_(1e-9 * M.diagonal().max())
    L = _cholesky(M, unit)

    def solve(x: np.ndarray) -> np.ndarray:
        column = torch.from_numpy(np.ascontiguousarray(x.reshape(-1, 1))).to(L)
        return as_numpy(torch.cholesky_solve(column, L), None).ravel()

    operator = LinearOperator(M.shape, matvec=solve, dtype=np.float64)
    options = {"v0": _start(operator), "tol": _TOLERANCE, "return_eigenvectors": False}
    return -float(unit) * np.sort(1 / linalg.eigsh(operator, k, which="LA", **options))


def trajectory_error(states: Array, pruned: Array) -> Array:
    r"""Relative distance :math:`\lVert x_s - x \rVert / \lVert x \rVert` of two states.

    ``states`` and ``pruned`` hold neurons along the last axis, ``(..., n)`` to ``(...)``; 0 where
    both are 0, infinite where only the original is.
    """
    x, xs = as_tensor(states), as_tensor(pruned)
    unit = torch.maximum(unit_scale(x, -1), unit_scale(xs, -1))  # squares of faint states stay
    gap, size = ((xs - x) / unit).norm(dim=-1), (x / unit).norm(dim=-1)
    return like(torch.where(gap == 0, 0.0, gap / size), states)


def predicted_edge(A: Array, probability: Array) -> Array:
    r"""Rightmost real part that pruning with its strengthening gives a random network.

    .. math:: -\bar d + \sqrt{\tfrac1n \textstyle\sum_{ij} w_{ij}^2 / p_{ij}}

    Independent entries of variance :math:`w_{ij}^2 / p_{ij}` have the circular law's radius; the
    leak :math:`\bar d` is the mean of the diagonal. Meant for networks without structure and with
    the original diagonal, ``(..., n, n)`` to ``(...)``.
    """
    a, p = square_matrices(A, "A"), square_matrices(probability, "probability")
    leak = -a.diagonal(dim1=-2, dim2=-1)
    w = a + torch.diag_embed(leak)
    unit = unit_scale(w, (-2, -1))
    inflated = torch.where(p > 0, (w / unit) ** 2 / p, 0.0).sum((-2, -1)) / a.shape[-1]
    return like(inflated.sqrt() * unit[..., 0, 0] - leak.mean(-1), A)


def _form(A: Array) -> torch.Tensor:
    """Symmetric part of −A."""
    a = square_matrices(A, "networks")
    # In place: at 10,000 neurons each copy is 0.8 GB. Halved first, since a sum can overflow.
    return a.mul(-0.5).add_(a.mT, alpha=-0.5)


def _unit(diagonal: torch.Tensor) -> torch.Tensor:
    """An even power of two next to the largest entry: square roots, too, keep their digits."""
    return unit_scale(diagonal.abs().sqrt(), -1) ** 2


def _cholesky(M: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    memory.require(2 * M.nbytes, f"the Cholesky factor of {M.shape[-1]} neurons")
    factor, failed = torch.linalg.cholesky_ex(M)
    if bool(failed.any()):
        edge = -float((eigvalsh(M)[..., :1] * unit.reshape(*M.shape[:-2], 1)).amin())
        raise ValueError(
            f"the symmetric part of A must be stable, but its largest eigenvalue is {edge:.3g}"
        )
    return factor


def _lanczos(M: torch.Tensor, Ms: torch.Tensor, unit: torch.Tensor) -> tuple[float, float]:
    """Both ends of the spectrum of M⁻¹ Ms, each as the largest eigenvalue of a product.

    The small end comes from the inverse: Lanczos finds large eigenvalues reliably, and passes
    over small ones that belong to a single neuron, which is what pruning makes. A shift by a
    multiple of M lets the inverse exist where neurons were cut off.
    """
    L = _cholesky(M, unit)
    hi = _largest(_product(L, lambda y: Ms @ y))
    for shift in _SHIFTS:
        factor, failed = torch.linalg.cholesky_ex(torch.add(Ms, M, alpha=shift))
        if not bool(failed):
            break
    else:
        raise ValueError("the pruned network is further from stable than any bound is good for")
    lo = 1 / _largest(_product(factor, lambda y: M @ y)) - shift
    if shift > _FAR:  # so far from zero the plain end is more accurate; both are never too low
        lo = min(lo, -_largest(_product(L, lambda y: -(Ms @ y))))
    return lo, hi


def _product(L: torch.Tensor, middle: Callable[[torch.Tensor], torch.Tensor]) -> LinearOperator:
    """The symmetric operator L⁻¹ B L⁻ᵀ."""

    def multiply(x: np.ndarray) -> np.ndarray:
        column = torch.from_numpy(np.ascontiguousarray(x.reshape(-1, 1))).to(L)
        inner = middle(torch.linalg.solve_triangular(L.mT, column, upper=True))
        return as_numpy(torch.linalg.solve_triangular(L, inner, upper=False), None).ravel()

    return LinearOperator(L.shape, matvec=multiply, dtype=as_numpy(L[:1], None).dtype)


def _largest(operator: LinearOperator, **pencil: object) -> float:
    # ARPACK's own start is random, and then so are the last digits. Two eigenvalues are asked
    # for, because one alone can settle on the second.
    start = _start(operator)
    found = linalg.eigsh(
        operator, 2, which="LA", tol=_TOLERANCE, v0=start, ncv=min(30, operator.shape[0]),
        maxiter=operator.shape[0] * 10, return_eigenvectors=False, **pencil,
    )  # fmt: skip
    return float(found.max())


def _start(operator: LinearOperator | sparse.csr_array) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(operator.shape[0]).astype(operator.dtype)


def _sparse_bounds(A: Network, A_sparse: Network) -> Bounds:
    if not sparse.issparse(A_sparse):
        raise ValueError("a sparse network takes a sparse pruned one: got a dense array")
    if A.shape != A_sparse.shape or A.shape[0] != A.shape[1]:
        raise ValueError(
            f"A is {A.shape} and the pruned network {A_sparse.shape}: both must be square and alike"
        )
    for network in (A, A_sparse):
        finite(sparse.coo_array(network).data, "networks")
    if A.shape[0] <= _DENSE:
        return approximation_bounds(A.toarray(), A_sparse.toarray())
    unit = float(_unit(torch.from_numpy(A.diagonal().astype(float))))
    M, Ms = (sparse.csr_array((x + x.T) / (-2 * unit)) for x in (A, A_sparse))
    solve = _inverse(M)
    hi = _largest(linalg.aslinearoperator(Ms), M=M, Minv=solve)
    for shift in _SPARSE_SHIFTS:
        shifted = sparse.csr_array(Ms + shift * M)
        try:
            lo = 1 / _largest(linalg.aslinearoperator(M), M=shifted, Minv=_inverse(shifted)) - shift
            if shift > _SPARSE_SHIFTS[0]:  # the plain end is more accurate; both are never too low
                lo = min(lo, -_largest(linalg.aslinearoperator(-Ms), M=M, Minv=solve))
            # Nothing may lie below: a solution that meets no negative direction is the proof.
            _inverse(sparse.csr_array(Ms - (lo - 1e-3 * (1 + abs(lo))) * M)).matvec(_start(M))
        except _UnstableError:
            continue
        return Bounds(lo, hi)
    raise ValueError("the pruned network is further from stable than any bound is good for")


class _UnstableError(ValueError):
    """A form takes a value of 0 or below: that of A, or of a pruned network to be shifted."""


def _inverse(M: sparse.csr_array) -> LinearOperator:
    """Solutions by conjugate gradients, accurate enough for Lanczos steps around them."""

    def product(x: np.ndarray) -> np.ndarray:
        y = M @ x
        if x.any() and x @ y <= 0:
            raise _UnstableError(
                "the symmetric part of A must be stable, but a direction has no decay"
            )
        return y

    def solve(x: np.ndarray) -> np.ndarray:
        y, failed = linalg.cg(
            watched, x, rtol=_TOLERANCE / 100, M=precondition, maxiter=_MOST_STEPS
        )
        if failed:
            raise _UnstableError(
                "the symmetric part of A must be stable, but conjugate gradients do not settle"
            )
        return y

    if M.diagonal().min() <= 0:
        raise _UnstableError("the symmetric part of A must be stable, but a neuron has no decay")
    precondition = sparse.diags_array(1 / M.diagonal())
    watched = LinearOperator(M.shape, matvec=product, dtype=M.dtype)
    return LinearOperator(M.shape, matvec=solve, dtype=M.dtype)
