r"""Rate dynamics, linear and rectified, of many networks and many initial states at once.

.. math:: \dot x = -D x + W x + b + \sigma \xi \qquad\text{or}\qquad
   \dot x = -D x + [W x + b]_+ + \sigma \xi

with :math:`A = W - D`. States have neurons last, ``(..., c, n)`` for c initial states or inputs;
as rows they are multiplied several times faster than as columns. Noise stands outside the
rectifier, where white noise is well defined.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from winnow.arrays import Array, check_range, finite, like, square_matrices
from winnow.seeds import Rng, normal


def trajectory(
    A: Array,
    start: Array,
    *,
    n_steps: int,
    dt: float,
    current: Array | float = 0.0,
    rectified: bool = False,
    sigma: float = 0.0,
    rng: Rng | None = None,
) -> Iterator[Array]:
    """States after each Euler(–Maruyama) step, one after the other.

    Parameters
    ----------
    A
        Networks ``(..., n, n)``.
    start
        Initial states, ``(..., c, n)``; axes broadcast, so one start serves pruned copies.
    n_steps, dt
        How many steps, and their length.
    current
        Input b, ``(..., c, n)`` or a number.
    rectified
        Whether what a neuron receives is cut at 0.
    sigma, rng
        Noise. Its last three axes are drawn, ``(S, c, n)`` with a generator for each of S
        networks or one for all; further leading axes, such as pruned copies, share it.

    Returns
    -------
    iterator
        States ``(..., c, n)``, ``n_steps`` of them, of A's precision.

    Raises
    ------
    ValueError
        If dt is not positive, a start does not fit, or there is noise without a generator.
    """
    check_range("dt", dt, "(0, inf)")
    if sigma and rng is None:
        raise ValueError(f"noise of {sigma} needs a generator: pass rng")
    a = square_matrices(A, "A")
    first, b = finite(start, "start").to(a), finite(current, "current").to(a)
    if first.ndim < 2 or first.shape[-1] != a.shape[-1]:
        wanted = f"(..., c, {a.shape[-1]})"
        raise ValueError(f"start must be {wanted}, neurons last, got {tuple(first.shape)}")

    def states() -> Iterator[Array]:
        x = first
        for _ in range(n_steps):
            x = x + dt * _slope(a, x, b, rectified)
            if sigma:
                shape = (1, *x.shape)[-3:]
                kick = torch.as_tensor(normal(rng, shape[0], shape[1:])).to(x)
                x = x + sigma * dt**0.5 * kick.reshape(x.shape[-3:])
            yield like(x, A)

    return states()


def _slope(a: torch.Tensor, x: torch.Tensor, b: torch.Tensor, rectified: bool) -> torch.Tensor:
    if not rectified:
        return x @ a.mT + b
    leak = a.diagonal(dim1=-2, dim2=-1)[..., None, :]
    return leak * x + (x @ a.mT - leak * x + b).clamp(min=0)
