"""NumPy in, NumPy out; torch in, torch out."""

from __future__ import annotations

import numpy as np
import torch

Array = np.ndarray | torch.Tensor


def as_numpy(array: Array, dtype: type | None = np.float64) -> np.ndarray:
    """The values as a NumPy array on the CPU, cut from any gradient graph."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    return np.asarray(array, dtype=dtype)


def as_tensor(array: Array) -> torch.Tensor:
    """The values as a tensor; a tensor is handed back as it is."""
    return array if isinstance(array, torch.Tensor) else torch.as_tensor(np.asarray(array))


def like(result: Array, template: Array) -> Array:
    """``result`` as the kind (and, for tensors, on the device) of ``template``."""
    if isinstance(template, torch.Tensor):
        return as_tensor(result).to(template.device)
    return result if isinstance(result, np.generic) else as_numpy(result, dtype=None)


def is_symmetric(array: Array) -> bool:
    """Whether all matrices ``(..., n, n)`` equal their transposes, but for rounding."""
    a = as_tensor(array)
    if torch.equal(a, a.mT):
        return True
    bar = 1e-5 if a.dtype in (torch.float32, torch.float16, torch.bfloat16) else 1e-10
    gap, size = ((x).abs().amax((-2, -1)) for x in (a - a.mT, a))
    return bool((gap <= bar * size).all())


def eigvalsh(array: Array) -> Array:
    """Eigenvalues of symmetric matrices in ascending order, ``(..., n, n)`` to ``(..., n)``.

    On the CPU by NumPy, whose LAPACK is twice as fast here as torch's.
    """
    a = as_tensor(array)
    if a.device.type == "cpu":
        return like(np.linalg.eigvalsh(as_numpy(a, None)), array)
    return torch.linalg.eigvalsh(a)
