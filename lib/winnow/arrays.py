"""NumPy in, NumPy out; torch in, torch out. What comes in is checked and made regular here."""

import numpy as np
import torch

Array = np.ndarray | torch.Tensor


def as_numpy(array: Array, dtype: type | None = np.float64) -> np.ndarray:
    """The values as a NumPy array on the CPU, cut from any gradient graph."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()
    return np.asarray(array, dtype=dtype)


def as_tensor(array: Array) -> torch.Tensor:
    """The values as a tensor; a tensor is handed back as it is.

    What torch cannot wrap is copied: negative strides, read-only memory (as pandas hands it out)
    and foreign byte order.

    Raises
    ------
    TypeError
        If the array holds anything but numbers.
    """
    if isinstance(array, torch.Tensor):
        return array
    array = np.asarray(array)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"arrays must hold numbers, got {array.dtype}")
    strange = min(array.strides, default=0) < 0 or not array.dtype.isnative
    if strange or not array.flags.writeable:
        array = array.astype(array.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(array)


def finite(array: Array, name: str, *, axes: int = 0) -> torch.Tensor:
    """The values as a tensor cut from any gradient graph, refused under ``name`` if unfit.

    Raises
    ------
    ValueError
        If there are fewer than ``axes`` axes, or an entry is NaN, infinite or complex.
    """
    x = as_tensor(array).detach()
    if x.ndim < axes:
        raise ValueError(f"{name} must have {axes} axes or more, got shape {tuple(x.shape)}")
    if x.is_complex():
        raise ValueError(f"{name} must be real numbers, got {x.dtype}")
    # The extremes tell of NaN and infinity without a copy of a large array.
    if x.is_floating_point() and x.numel() and not torch.stack(x.aminmax()).isfinite().all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return x


def square_matrices(array: Array, name: str) -> torch.Tensor:
    """Finite matrices ``(..., n, n)`` as floating-point numbers, otherwise refused."""
    x = finite(array, name)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"{name} must be square, (..., n, n), got {tuple(x.shape)}")
    return x if x.is_floating_point() else x.double()


def as_mask(array: Array, name: str = "masks") -> torch.Tensor:
    """A mask in bool, from bool or from numbers that are all 0 or 1.

    Raises
    ------
    ValueError
        If an entry is anything else: what a weight says of being kept is for the caller to say.
    """
    x = as_tensor(array).detach()
    kept = x != 0
    if x.dtype != torch.bool and bool((bad := kept & (x != 1)).any()):
        raise ValueError(f"{name} must hold 0 and 1 only, got {x[bad][0].item():g}")
    return kept


def check_count(name: str, value: int, least: int = 1, most: int | None = None) -> None:
    """Raise ``ValueError`` where a number is not a whole one from ``least`` to ``most``."""
    if not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if value < least or (most is not None and value > most):
        allowed = f"{least} or larger" if most is None else f"in [{least}, {most}]"
        raise ValueError(f"{name} must be {allowed}, got {value}")


def check_range(name: str, value: float | Array, allowed: str) -> None:
    """Raise ``ValueError`` where a number is not in an interval, written as ``"(0, 1]"``.

    Of an array the first that is outside is named. NaN is in no interval, and infinity in none
    with an open end.
    """
    low, high = map(float, allowed[1:-1].split(","))
    v = as_numpy(value)
    above = v >= low if allowed[0] == "[" else v > low
    below = v <= high if allowed[-1] == "]" else v < high
    if not (within := above & below).all():
        raise ValueError(f"{name} must be in {allowed}, got {v[~within][0] if v.ndim else value}")


def unit_scale(x: torch.Tensor, axes: int | tuple[int, ...]) -> torch.Tensor:
    """Power of two next to the largest size along some axes, which are kept with length 1.

    Dividing by it rounds nothing, and sums and powers of what is left neither over- nor underflow,
    so that results do not hang on units.
    """
    peak = x.abs().amax(axes, keepdim=True) if x.numel() else x.sum(axes, keepdim=True)
    regular = (peak > 0) & peak.isfinite()
    return torch.where(regular, peak / (2 * torch.frexp(peak).mantissa), 1.0)


def like(result: Array, template: Array) -> Array:
    """``result`` as the kind (and, for tensors, on the device) of ``template``."""
    if isinstance(template, torch.Tensor):
        return as_tensor(result).to(template.device)
    return result if isinstance(result, np.generic) else as_numpy(result, dtype=None)


def is_symmetric(array: Array) -> bool:
    """Whether all matrices ``(..., n, n)`` equal their transposes, but for rounding."""
    a = square_matrices(array, "matrices")
    if torch.equal(a, a.mT):
        return True
    bar = 1e-5 if a.dtype in (torch.float32, torch.float16, torch.bfloat16) else 1e-10
    gap, size = (x.abs().amax((-2, -1)) for x in (a - a.mT, a))
    return bool((gap <= bar * size).all())


def eigvalsh(array: Array) -> Array:
    """Eigenvalues of symmetric matrices in ascending order, ``(..., n, n)`` to ``(..., n)``.

    On the CPU by NumPy, whose LAPACK is twice as fast here as torch's.
    """
    a = as_tensor(array)
    if a.device.type == "cpu":
        return like(np.linalg.eigvalsh(as_numpy(a, None)), array)
    return torch.linalg.eigvalsh(a)
