"""Image sets from a folder on this machine: CIFAR-10, ImageNet at 32 x 32, MNIST.

Nothing is downloaded and nothing is unpickled: a pickle can hold commands, so CIFAR-10 is read in
its binary version and ImageNet as npz.
"""

import gzip
import math
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from winnow import memory


@dataclass(frozen=True, eq=False)
class Images:
    """Images for training and testing, of 3 x 32 x 32 values each, or 28 x 28 for MNIST."""

    train: np.ndarray  #: (N, 3, 32, 32) or (N, 28, 28) in uint8; red, green, blue, each row by row
    train_labels: np.ndarray  #: (N,) in int64, from 0 on
    test: np.ndarray  #: (M, 3, 32, 32) or (M, 28, 28) in uint8
    test_labels: np.ndarray  #: (M,) in int64, from 0 on
    n_classes: int
    mean: np.ndarray  #: (3072,) or (784,) in float32, from 0 to 255; the mean training image


@dataclass(frozen=True)
class _Kind:
    """A set of images: its files, what they hold, and where they come from."""

    title: str
    home: str  #: what to get, and where
    #: of each batch the file of images and that of labels, or one; the last batch is for testing
    batches: list[tuple[str, ...]]
    read: Callable[[Path], dict[str, np.ndarray]]
    shape: tuple[int, ...] = (3, 32, 32)  #: of an image
    labels: range = range(10)  #: in the files

    @property
    def files(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


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
    kinds = [kind for kind in _KINDS if kind.title in among]
    kind, found = _find(Path(os.path.expanduser(path)), kinds)
    sizes = {name: found[name].stat().st_size for name in kind.files}
    short, most = min(sizes, key=sizes.get), max(sizes.values())
    if kind.title == "CIFAR-10" and sizes[short] < most:  # else a cut between records goes unseen
        raise _unfit(kind, found[short], f"found {sizes[short]} bytes, expected {most} as others")
    memory.require(3 * sum(sizes.values()), f"reading {kind.title}")  # npz packs little of photos
    *batches, test = (_read(kind, [found[name] for name in batch]) for batch in kind.batches)
    train, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    mean = train.mean(0, dtype=np.float64).ravel().astype(np.float32)
    return Images(train, labels, *test, len(kind.labels), mean)


def _find(folder: Path, kinds: Sequence[_Kind]) -> tuple[_Kind, dict[str, Path]]:
    """Which set a folder holds, and its files by name, here or one level down."""
    places = " or ".join(f"{kind.title} ({kind.home})" for kind in kinds)
    try:
        paths = [*sorted(folder.iterdir()), *sorted(folder.glob("*/*"))]
    except OSError as error:
        why = error.strerror or error
        raise ValueError(f"cannot read folder {folder} ({why}): give one with {places}") from None
    known = {name for kind in kinds for name in kind.files}
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
        pickled = {Path(name).stem: kind for kind in kinds for name in kind.files if "." in name}
        if pickles := sorted(pickled.keys() & {path.name for path in paths}):
            kind = pickled[pickles[0]]
            what = f"{pickles[0]} of {kind.title}, a pickle, which can hold commands"
            raise ValueError(f"{folder} holds {what} and is not read: get {kind.home}")
        raise ValueError(f"{folder} holds no images that are known: give one with {places}")
    [kind] = at_hand
    if missing := [name for name in kind.files if name not in found]:
        raise ValueError(f"{folder} lacks {', '.join(missing)} of {kind.title}: get {kind.home}")
    return kind, found


def _read(kind: _Kind, paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Images ``(N, *shape)`` and labels from 0 on of a batch, checked."""
    content = {}
    for path in paths:
        try:
            content |= kind.read(path)
            _check(kind, **content)
        except Exception as error:  # a damaged file can raise anything at all
            if isinstance(error, OSError) and error.strerror:  # the machine's fault, not the file's
                raise ValueError(f"cannot read {path}: {error.strerror}") from None
            words = " ".join(str(error).split())[:200]
            if type(error) is not ValueError:
                words = f"found it unreadable ({type(error).__name__}: {words})"
            raise _unfit(kind, path, words) from None
    labels = content["labels"].astype(np.int64) - kind.labels.start
    return content["data"].reshape(-1, *kind.shape), labels


def _check(kind: _Kind, data: np.ndarray, labels: np.ndarray | None = None) -> None:
    fits = data.dtype == np.uint8 and data.shape[1:] in (kind.shape, (math.prod(kind.shape),))
    wanted = f"uint8 of {' x '.join(map(str, kind.shape))} each, one or more"
    _expect(fits and len(data), f"images of {data.dtype} {data.shape}", wanted)
    if labels is not None:
        fits = labels.dtype.kind in "iu" and labels.shape == (len(data),)
        _expect(fits, f"labels of {labels.dtype} {labels.shape}", f"{len(data)} whole numbers")
        known = np.isin(labels, kind.labels)
        row, wanted = known.argmin(), f"{kind.labels[0]} to {kind.labels[-1]}"
        _expect(known[row], f"label {labels[row]} in row {row}", wanted)


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


def _expect(fine: object, found: str, expected: object) -> None:
    if not fine:
        raise ValueError(f"found {found}, expected {expected}")


def _unfit(kind: _Kind, path: Path, words: str) -> ValueError:
    return ValueError(f"{path} is not a file of {kind.title}: {words}; get {kind.home}")


_KINDS = (
    _Kind(
        "CIFAR-10",
        "cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html",
        [*((f"data_batch_{i}.bin",) for i in range(1, 6)), ("test_batch.bin",)],
        _read_binary,
    ),
    _Kind(
        "ImageNet32",
        "its npz files from https://image-net.org/download-images, after login",
        [*((f"train_data_batch_{i}.npz",) for i in range(1, 11)), ("val_data.npz",)],
        _read_npz,
        labels=range(1, 1001),
    ),
    _Kind(
        "MNIST",
        "its four idx files from https://ossci-datasets.s3.amazonaws.com/mnist",
        [(f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte") for part in ("train", "t10k")],
        _read_idx,
        shape=(28, 28),
    ),
)
