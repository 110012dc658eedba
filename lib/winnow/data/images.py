"""Image sets from a folder on this machine: CIFAR-10, ImageNet at 32 x 32, MNIST.

Nothing is downloaded and nothing is unpickled: a pickle can hold commands, so CIFAR-10 is read in
its binary version and ImageNet as npz.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from winnow import memory

#: What CIFAR-10 calls the file with the names of its classes.
META = "batches.meta.txt"


@dataclass(frozen=True, eq=False)
class Images:
    """Images for training and testing, of 3 x 32 x 32 values each, or 28 x 28 for MNIST."""

    train: np.ndarray  #: (N, 3, 32, 32) or (N, 28, 28) in uint8; red, green, blue, each row by row
    train_labels: np.ndarray  #: (N,) in int64, from 0 on
    test: np.ndarray  #: (M, 3, 32, 32) or (M, 28, 28) in uint8
    test_labels: np.ndarray  #: (M,) in int64, from 0 on
    names: tuple[str, ...]  #: of the classes; labels as in the files where these tell no names
    mean: np.ndarray  #: (3072,) or (784,) in float32, from 0 to 255; the mean training image
    source: str  #: which set, without the folder


@dataclass(frozen=True)
class _Kind:
    """A set of images: its files, what they hold, and where they come from."""

    title: str
    home: str  #: what to get, and where
    train: list[tuple[str, ...]]  #: of each batch the file of images and that of labels, or one
    test: tuple[str, ...]
    read: Callable[[Path], dict[str, np.ndarray]]
    shape: tuple[int, ...]  #: of an image
    n_classes: int
    first: int = 0  #: lowest label in the files

    @property
    def files(self) -> list[str]:
        return [name for part in (*self.train, self.test) for name in part]


def load(path: str | Path, *, among: Sequence[str] = ("CIFAR-10", "ImageNet32", "MNIST")) -> Images:
    """Images from a folder with one set, recognised by the names of its files.

    CIFAR-10 :cite:p:`krizhevsky2009` in its binary version, ImageNet at 32 x 32
    :cite:p:`chrabaszcz2017` as npz, MNIST :cite:p:`lecun1998` as IDX files, packed or not.

    Parameters
    ----------
    path
        The folder, or the one above: files may lie in folders one level down, training and test
        set in different ones.
    among
        The sets that will do.

    Returns
    -------
    Images
        Rows in the order of the batches.

    Raises
    ------
    ValueError
        If the folder or a file is missing or not what it should be, with what to get and where, or
        memory does not suffice.
    """
    if not among or not _KINDS.keys() >= set(among):
        raise ValueError(f"among must name sets in {', '.join(_KINDS)}, got {among}")
    kind, found = _find(Path(os.path.expanduser(path)), [_KINDS[title] for title in among])
    sizes = {name: found[name].stat().st_size for name in kind.files}
    if kind.title == "CIFAR-10":  # nothing else tells of a cut between two records
        short, size = min(sizes.items(), key=lambda item: item[1])
        with _reading(kind, found[short]):
            _expect(
                size == max(sizes.values()), f"{size} bytes", f"{max(sizes.values())} as others"
            )
    memory.require(3 * sum(sizes.values()), f"reading {kind.title}")  # npz packs little of photos
    names = _names(kind, found.get(META))
    *batches, test = (_read(kind, [found[f] for f in part]) for part in (*kind.train, kind.test))
    train, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    mean = train.mean(0, dtype=np.float64).ravel().astype(np.float32)
    return Images(train, labels, *test, names, mean, kind.title)


def _find(folder: Path, kinds: Sequence[_Kind]) -> tuple[_Kind, dict[str, Path]]:
    """Which set a folder holds, and its files by name, here or one level down."""
    known = {META, *(name for kind in kinds for name in kind.files)}
    places = " or ".join(f"{kind.title} ({kind.home})" for kind in kinds)
    try:
        paths = [*sorted(folder.iterdir()), *sorted(folder.glob("*/*"))]
    except OSError as error:
        why = error.strerror or error
        raise ValueError(f"cannot read folder {folder} ({why}): give one with {places}") from None
    found: dict[str, Path] = {}
    for path in paths:
        name = re.sub(r"[-.](idx\d-ubyte)(\.gz)?$", r"-\1", path.name)
        if name in known and path.is_file():
            other = found.setdefault(name, path)
            if other.parent not in (path.parent, folder):
                raise ValueError(f"{other} and {path} are two of a kind: give one folder")
    at_hand = [kind for kind in kinds if not found.keys().isdisjoint(kind.files)]
    if len(at_hand) > 1:
        titles = " and ".join(kind.title for kind in at_hand)
        raise ValueError(f"{folder} holds {titles}: give a folder with the files of one set")
    if not at_hand:
        _refuse_pickles(folder, {path.name for path in paths}, kinds)
        raise ValueError(f"{folder} holds no images that are known: give one with {places}")
    [kind] = at_hand
    if missing := [name for name in kind.files if name not in found]:
        raise ValueError(f"{folder} lacks {', '.join(missing)} of {kind.title}: get {kind.home}")
    return kind, found


def _refuse_pickles(folder: Path, names: set[str], kinds: Sequence[_Kind]) -> None:
    for kind in kinds:
        if pickles := names & {Path(name).stem for name in kind.files if "." in name}:
            what = f"{min(pickles)} of {kind.title}, a pickle, which can hold commands"
            raise ValueError(f"{folder} holds {what} and is not read: get {kind.home}")


def _names(kind: _Kind, path: Path | None) -> tuple[str, ...]:
    if path is None:
        return tuple(str(kind.first + label) for label in range(kind.n_classes))
    with _reading(kind, path):
        names = tuple(path.read_text(encoding="utf-8").split())
        _expect(len(names) == kind.n_classes, f"{len(names)} names", kind.n_classes)
        return names


def _read(kind: _Kind, paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Images ``(N, *shape)`` and labels from 0 on of a batch, checked."""
    content = {}
    for path in paths:
        with _reading(kind, path):
            content |= kind.read(path)
    data, labels = content["data"], content["labels"]
    with _reading(kind, paths[0]):
        fits = data.dtype == np.uint8 and data.shape[1:] in (kind.shape, (math.prod(kind.shape),))
        wanted = f"uint8 of {' x '.join(map(str, kind.shape))} each, one or more"
        _expect(fits and len(data), f"images of {data.dtype} {data.shape}", wanted)
    with _reading(kind, paths[-1]):
        fits = labels.dtype.kind in "iu" and labels.shape == (len(data),)
        _expect(fits, f"labels of {labels.dtype} {labels.shape}", f"{len(data)} whole numbers")
        last = kind.first + kind.n_classes - 1
        if (bad := np.flatnonzero((labels < kind.first) | (labels > last))).size:
            got = f"label {labels[bad[0]]} in row {bad[0]}"
            raise ValueError(f"found {got}, expected {kind.first} to {last}")
    return data.reshape(-1, *kind.shape), labels.astype(np.int64) - kind.first


def _read_binary(path: Path) -> dict[str, np.ndarray]:
    raw = np.fromfile(path, np.uint8)
    _expect(len(raw) % 3073 == 0, f"{len(raw)} bytes", "a multiple of 3073")
    records = raw.reshape(-1, 3073)
    return {"data": records[:, 1:], "labels": records[:, 0]}


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    _expect(zipfile.is_zipfile(path), "no archive", "npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: np.asarray(archive[name]) for name in ("data", "labels")}


def _read_idx(path: Path) -> dict[str, np.ndarray]:
    name, n_axes = ("data", 3) if "images" in path.name else ("labels", 1)
    start = 4 * (1 + n_axes)
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        raw = file.read(start + 60_000 * 784 + 1)  # no more than MNIST has, whatever is packed
    _expect(len(raw) >= start, f"{len(raw)} bytes", f"a header of {start}")
    magic, *shape = np.frombuffer(raw, ">u4", 1 + n_axes).tolist()
    _expect(magic == 2048 + n_axes, f"magic number {magic}", 2048 + n_axes)
    body = np.frombuffer(raw, np.uint8, offset=start)
    _expect(len(body) == math.prod(shape), f"{len(body)} bytes of content", math.prod(shape))
    return {name: body.reshape(shape).copy()}  # bytes could not be written to


@contextmanager
def _reading(kind: _Kind, path: Path) -> Iterator[None]:
    """Name the file where what is read of it is wrong; a damaged one can raise anything at all."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:  # the machine's fault, not the file's
            raise ValueError(f"cannot read {path}: {error.strerror}") from None
        words = " ".join(str(error).split())[:200]
        if type(error) is not ValueError:
            words = f"found it unreadable ({type(error).__name__}: {words})"
        raise ValueError(
            f"{path} is not a file of {kind.title}: {words}; get {kind.home}"
        ) from None


def _expect(fine: object, found: str, expected: object) -> None:
    if not fine:
        raise ValueError(f"found {found}, expected {expected}")


_KINDS = {
    kind.title: kind
    for kind in (
        _Kind(
            title="CIFAR-10",
            home="cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html",
            train=[(f"data_batch_{i}.bin",) for i in range(1, 6)],
            test=("test_batch.bin",),
            read=_read_binary,
            shape=(3, 32, 32),
            n_classes=10,
        ),
        _Kind(
            title="ImageNet32",
            home="its npz files from https://image-net.org/download-images, after login",
            train=[(f"train_data_batch_{i}.npz",) for i in range(1, 11)],
            test=("val_data.npz",),
            read=_read_npz,
            shape=(3, 32, 32),
            n_classes=1000,
            first=1,
        ),
        _Kind(
            title="MNIST",
            home="its four idx files from https://ossci-datasets.s3.amazonaws.com/mnist",
            train=[("train-images-idx3-ubyte", "train-labels-idx1-ubyte")],
            test=("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
            read=_read_idx,
            shape=(28, 28),
            n_classes=10,
        ),
    )
}
