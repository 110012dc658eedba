r"""Rate dynamics, linear and rectified, of many networks and many initial states at once.

.. math:: \dot x = -D x + W x + b + \sigma \xi \qquad\text{or}\qquad
   \dot x = -D x + [W x + b]_+ + \sigma \xi

with :math:`A = W - D` and an input b that may change. States have neurons last, ``(..., c, n)`` for
c initial states or inputs; as rows they are multiplied several times faster than as columns. Noise
stands outside the rectifier, where white noise is well defined.
"""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy import sparse

from winnow.arrays import Array, as_tensor, check_range, finite, like, square_matrices
from winnow.seeds import Rng, normal


def trajectory(
    A: Array | sparse.sparray,
    start: Array,
    *,
    n_steps: int,
    dt: float,
    current: Array | float | Callable[[float], Array] = 0.0,
    rectified: bool = False,
    sigma: float = 0.0,
    rng: Rng | None = None,
) -> Iterator[Array]:
    """States after each Euler(–Maruyama) step, one after the other.

    Parameters
    ----------
    A
        Networks ``(..., n, n)``, or one sparse ``(n, n)``.
    start
        Initial states, ``(..., c, n)``; axes broadcast, so one start serves pruned copies.
    n_steps, dt
        How many steps, and their length.
    current
        Input b, ``(..., c, n)`` or a number; or what gives it at a time, which is that of the
        beginning of a step and 0 at the start.
    rectified
        Whether what a neuron receives is cut at 0.
    sigma, rng
        Noise. Its last three axes are drawn, ``(S, c, n)`` with a generator for each of S
        networks or one for all; further leading axes, such as pruned copies, share it.

    Returns
    -------
    iterator
        States ``(..., c, n)``, ``n_steps`` of them, of A's precision; arrays where A is sparse.

    Raises
    ------
    ValueError
        If A is not square, an entry is not finite, dt is not positive, a start does not fit, or
        there is noise without a generator.
    """
    check_range("dt", dt, "(0, inf)")
    if sigma and rng is None:
        raise ValueError(f"noise of {sigma} needs a generator: pass rng")
    a, leak = _networks(A)
    first = finite(start, "start").to(leak)
    if first.ndim < 2 or first.shape[-1] != a.shape[-1]:
        wanted = f"(..., c, {a.shape[-1]})"
        raise ValueError(f"start must be {wanted}, neurons last, got {tuple(first.shape)}")
    changing = callable(current)
    b = finite(current(0.0) if changing else current, "current").to(leak)

    def states() -> Iterator[Array]:
        x, now = first, b
        for k in range(n_steps):
            if changing:
                now = as_tensor(current(k * dt)).to(leak)
            change = (x @ a.mT if a.layout == torch.strided else (a @ x.mT).mT) + now
            if rectified:
                change = leak * x + (change - leak * x).clamp(min=0)
            x = x + dt * change
            if sigma:
                shape = (1, *x.shape)[-3:]
                kick = torch.as_tensor(normal(rng, shape[0], shape[1:])).to(x)
                x = x + sigma * dt**0.5 * kick.reshape(x.shape[-3:])
            yield like(x, A)

    return states()


def _networks(A: Array | sparse.sparray) -> tuple[torch.Tensor, torch.Tensor]:
    """Networks of floating-point numbers, and their diagonals for states to be multiplied with."""
    if not sparse.issparse(A):
        a = square_matrices(A, "A")
        return a, a.diagonal(dim1=-2, dim2=-1)[..., None, :]
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"A must be square, (n, n), got {A.shape}")
    rows = sparse.csr_array(A, dtype=np.result_type(A.dtype, np.float32))
    finite(rows.data, "A")
    parts = map(as_tensor, (rows.indptr, rows.indices, rows.data))
    with warnings.catch_warnings():
        # Sparse tensors are "in beta", and twice as fast as SciPy's.
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(*parts, rows.shape), as_tensor(rows.diagonal())
