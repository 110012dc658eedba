"""The formats of ImageNet at 32 x 32 and of CIFAR-10: names of files, and how one is read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from winnow.data.pickles import unpickle

N_PIXELS = 3072
IMAGENET_HOME = "https://image-net.org/download-images, after login"
CIFAR_HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"
CIFAR_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

Batch = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # images, labels and mean image


@dataclass(frozen=True)
class Format:
    """What the files of a data set are called, how one is read, and where they come from."""

    title: str
    train: str  #: name of a batch, with its number from 1 on
    n_batches: int
    test: str
    read: Callable[[Path], Batch]
    meta: str  #: name of the file with the names of the classes; empty where there is none
    read_names: Callable[[Path], tuple[str, ...]]
    first: int  #: lowest label in the files
    n_classes: int
    names: tuple[str, ...]  #: of the classes, where no file tells them
    home: str
    even: bool = False  #: whether all files are of one size

    def files(self, n_batches: int | None = None) -> list[str]:
        """Names of the batches in order, the test set last."""
        many = range(1, (n_batches or self.n_batches) + 1)
        return [*(self.train.format(i) for i in many), self.test]


def _read_npz(path: Path) -> Batch:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return _entries(archive)


def _read_binary(path: Path) -> Batch:
    raw = np.fromfile(path, np.uint8)
    if len(raw) % (N_PIXELS + 1):
        raise ValueError(f"{len(raw)} bytes are not a multiple of {N_PIXELS + 1}")
    records = raw.reshape(-1, N_PIXELS + 1)
    return records[:, 1:], records[:, 0], None


def _read_pickle(path: Path) -> Batch:
    return _entries(unpickle(path))


def _entries(batch: Mapping[str, Any]) -> Batch:
    lacking = [name for name in ("data", "labels") if name not in batch]
    if lacking:
        raise ValueError(f"it has no {' and no '.join(lacking)}")
    return batch["data"], np.asarray(batch["labels"]), batch.get("mean")


def _pickled_names(path: Path) -> tuple[str, ...]:
    names = unpickle(path)["label_names"]
    return tuple(n.decode() if isinstance(n, bytes) else str(n) for n in names)


def _printed_names(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8").split())


def _imagenet(kind: str, end: str, read: Callable[[Path], Batch]) -> Format:
    return Format(
        title=f"ImageNet32 ({kind})",
        train="train_data_batch_{}" + end,
        n_batches=10,
        test="val_data" + end,
        read=read,
        meta="",
        read_names=_printed_names,
        first=1,
        n_classes=1000,
        names=tuple(str(label) for label in range(1, 1001)),
        home=IMAGENET_HOME,
    )


def _cifar(kind: str, end: str, read: Callable[[Path], Batch], **more: Any) -> Format:
    return Format(
        title=f"CIFAR-10 ({kind})",
        train="data_batch_{}" + end,
        n_batches=5,
        test="test_batch" + end,
        read=read,
        first=0,
        n_classes=10,
        names=CIFAR_NAMES,
        home=CIFAR_HOME,
        **more,
    )


@functools.cache
def formats() -> tuple[Format, ...]:
    """The four formats that are recognised."""
    pickled = {"meta": "batches.meta", "read_names": _pickled_names}
    printed = {"meta": "batches.meta.txt", "read_names": _printed_names, "even": True}
    return (
        _imagenet("npz", ".npz", _read_npz),
        _imagenet("pickles", "", _read_pickle),
        _cifar("pickles", "", _read_pickle, **pickled),
        _cifar("binary", ".bin", _read_binary, **printed),
    )
