"""Pickled batches of images, read without running what a pickle may command.

A pickle names functions and has them called. Here every name stands for one of a few harmless
methods, written for this purpose, that put numbers into arrays. Any other name is an error.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

_NUMPY = ("numpy.core", "numpy._core")  # before and since NumPy 2

#: Which method answers to a module and name. Python 2 called ``builtins`` by another name.
_ANSWERS = {
    ("numpy", "ndarray"): "_nothing",  # only ever named as the kind of array to make
    ("numpy", "dtype"): "_dtype",
    **{(f"{core}.multiarray", "_reconstruct"): "_array" for core in _NUMPY},
    **{(f"{core}.multiarray", "scalar"): "_scalar" for core in _NUMPY},
    **{(f"{core}.numeric", "_frombuffer"): "_buffer" for core in _NUMPY},
    ("_codecs", "encode"): "_encode",
    ("builtins", "bytes"): "_bytes",
    ("__builtin__", "bytes"): "_bytes",
}


def unpickle(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle of Python 2 or 3: numbers, texts, lists and arrays by name.

    Parameters
    ----------
    path
        A file with a dictionary whose keys are texts or bytes. Texts of Python 2 come as bytes.

    Returns
    -------
    dict
        Arrays are read-only. Arrays within lists are not resolved.

    Raises
    ------
    pickle.UnpicklingError
        If the pickle names anything but arrays of numbers, or holds no dictionary.
    Exception
        Of any kind if it is cut short or broken.
    """
    with path.open("rb") as file:
        content = _Reader(file, encoding="bytes").load()
    if not isinstance(content, dict):
        raise pickle.UnpicklingError(f"it holds a {type(content).__name__} and no dictionary")
    return {
        _text(key): value.array if isinstance(value, _Pending) else value
        for key, value in content.items()
    }


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ANSWERS:
            raise pickle.UnpicklingError(f"it calls {module}.{name}, which images have no use for")
        return getattr(_Answers(), _ANSWERS[module, name])


class _Answers:
    """What a pickle may call, as bound methods, whose attributes it cannot set.

    They are not the reader's own: it remembers them, and would hold itself and its batch for good.
    """

    def _nothing(self, *_: Any) -> None:
        raise pickle.UnpicklingError("it makes an array in a way that no batch of images does")

    def _dtype(self, code: str | bytes, *_: Any) -> _Dtype:
        return _Dtype(_text(code))

    def _array(self, *_: Any) -> _Pending:
        return _Pending()

    def _scalar(self, dtype: _Dtype, raw: bytes) -> int | float:
        return np.frombuffer(raw, dtype.resolve())[0].item()

    def _buffer(self, raw: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
        return _decode(raw, dtype, shape, order)

    def _encode(self, text: str, _: str) -> bytes:
        return text.encode("latin-1")  # how Python 3 writes bytes for Python 2

    def _bytes(self) -> bytes:
        return b""


class _Dtype:
    """A kind of number; its byte order follows later."""

    def __init__(self, code: str):
        if not re.fullmatch(r"[uif][1248]", code):
            raise pickle.UnpicklingError(f"it holds an array of {code!r} and not of numbers")
        self.code, self.order = code, "|"

    def __setstate__(self, state: tuple) -> None:
        self.order = _text(state[1])

    def resolve(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.order)


class _Pending:
    """An array whose shape and content follow later."""

    array: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, by_column, raw = state
        self.array = _decode(raw, dtype, shape, "F" if by_column else "C")


def _decode(raw: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    flat = np.frombuffer(raw, dtype.resolve())
    flat.setflags(write=False)
    return flat.reshape(shape, order=order)


def _text(key: str | bytes) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)
