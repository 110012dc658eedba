"""ImageNet at 32 x 32 and CIFAR-10 from a folder on this machine, in the formats they come in.

Nothing is downloaded. Pickles can hold commands; these are read by a reader that knows nothing but
numbers, texts and arrays, so that a forged file is refused and not obeyed.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from winnow import memory
from winnow.data.formats import CIFAR_HOME, IMAGENET_HOME, N_PIXELS, Batch, Format, formats


@dataclass(frozen=True, eq=False)
class Images:
    """Colour images for training and testing."""

    train: np.ndarray  #: (N, 3, 32, 32) in uint8; red, green and blue, each row by row
    train_labels: np.ndarray  #: (N,) in int64, from 0 on
    test: np.ndarray  #: (M, 3, 32, 32) in uint8
    test_labels: np.ndarray  #: (M,) in int64, from 0 on
    names: tuple[str, ...]  #: of the classes; for ImageNet the numbers in its files, from 1 on
    mean: np.ndarray  #: (3072,) in float32, from 0 to 255; the mean training image
    source: str  #: data set and format, without the folder


def load(path: str | Path, *, n_batches: int | None = None) -> Images:
    """Images from a folder with ImageNet32 or CIFAR-10, recognised by the names of its files.

    ImageNet at 32 x 32 :cite:p:`chrabaszcz2017` may come as npz files or as pickles, CIFAR-10
    :cite:p:`krizhevsky2009` as pickles or binary.

    Parameters
    ----------
    path
        The folder, or the one above: files may lie in folders one level down, training and test
        set in different ones.
    n_batches
        How many training batches to read, from the first on; when not given, all 10 of ImageNet or
        5 of CIFAR-10.

    Returns
    -------
    Images
        Rows in the order of the batches. The mean image is the file's if all batches agree on
        one, else it is computed.

    Raises
    ------
    ValueError
        If the folder or a file is missing or not what it should be, with where to get it, or
        memory does not suffice.
    """
    path = Path(path).expanduser()
    found = _find(path)
    form = _recognise(path, found)
    if n_batches is not None and not 1 <= n_batches <= form.n_batches:
        raise ValueError(f"n_batches must be in [1, {form.n_batches}], got {n_batches}")
    wanted = form.files(n_batches)
    _check_complete(path, found, wanted, form)
    sizes = [_n_bytes(found[name], form) for name in wanted]
    _check_even(wanted, sizes, found, form)
    memory.require(sum(sizes) + 2 * max(sizes), f"reading {form.title}")
    train, train_labels, means = _stack([found[name] for name in wanted[:-1]], sum(sizes), form)
    test, test_labels, _ = _read(found[form.test], form)
    return Images(
        *(train.reshape(-1, 3, 32, 32), train_labels),
        *(test.reshape(-1, 3, 32, 32), test_labels),
        names=_names(found, form),
        mean=_mean(train, means),
        source=f"{form.title}, {len(wanted) - 1} of {form.n_batches} training batches",
    )


def _find(path: Path) -> dict[str, Path]:
    """Files with a name that some format knows, here or one level down."""
    known = {name for form in formats() for name in (*form.files(), form.meta) if name}
    places = f"ImageNet32 ({IMAGENET_HOME}) or CIFAR-10 ({CIFAR_HOME})"
    if path.is_file():
        raise ValueError(f"{path} is a file: give the folder that holds {places}")
    try:
        folders = [path, *sorted(p for p in path.iterdir() if p.is_dir())]
        hits = [
            folder / name
            for folder in folders
            for name in sorted(known)
            if (folder / name).is_file()
        ]
    except OSError as error:
        why = error.strerror or error
        raise ValueError(f"cannot read folder {path} ({why}): give one with {places}") from None
    found: dict[str, Path] = {}
    for hit in hits:
        if hit.name in found:
            raise ValueError(f"{found[hit.name]} and {hit} are two of a kind: give one folder")
        found[hit.name] = hit
    if not found:
        raise ValueError(
            f"{path} holds no images that are known: expected the unpacked files of {places}, "
            "such as train_data_batch_1.npz or data_batch_1"
        )
    return found


def _recognise(path: Path, found: dict[str, Path]) -> Format:
    forms = [form for form in formats() if any(name in found for name in form.files())]
    if len(forms) == 1:
        return forms[0]
    titles = " and ".join(form.title for form in forms) or f"only {', '.join(found)}"
    raise ValueError(f"{path} holds {titles}: give a folder with the batches of one data set")


def _check_complete(path: Path, found: dict[str, Path], wanted: list[str], form: Format) -> None:
    missing = [name for name in wanted if name not in found]
    if not missing:
        return
    at_hand = wanted.index(missing[0])
    hint = f", or read the first {at_hand} training batches by n_batches={at_hand}"
    raise ValueError(
        f"{path} lacks {', '.join(missing)} of {form.title}: get what is missing from {form.home}"
        + (hint if at_hand and form.test in found else "")
    )


def _n_bytes(path: Path, form: Format) -> int:
    """Bytes in memory, at least those of the images: archives say so, others are no larger."""
    if path.suffix != ".npz":
        return path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except Exception as error:
        raise _wrong(path, form, _unreadable(error)) from None


def _check_even(names: list[str], sizes: list[int], found: dict[str, Path], form: Format) -> None:
    """Refuse a binary file that was cut between two records, which nothing else would tell."""
    if form.even and len(set(sizes)) > 1:
        short = found[names[sizes.index(min(sizes))]]
        raise _wrong(short, form, f"found {min(sizes)} bytes, expected {max(sizes)} as of others")


def _stack(
    paths: list[Path], n_bytes: int, form: Format
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray | None]]:
    """All batches in one array, made once at its full size: two of ImageNet's might not fit."""
    images = np.empty((n_bytes // N_PIXELS + 1, N_PIXELS), np.uint8)
    labels, means, n = [], [], 0
    for path in paths:
        data, these, mean = _read(path, form)
        images[n : n + len(data)] = data
        n += len(data)
        labels.append(these)
        means.append(mean)
    return images[:n], np.concatenate(labels), means


def _read(path: Path, form: Format) -> Batch:
    """Images ``(N, 3072)``, labels from 0 on and the mean, if any, of one checked file."""
    try:
        data, labels, mean = form.read(path)
    except Exception as error:  # a broken or forged file can raise anything at all
        raise _wrong(path, form, _unreadable(error)) from None
    if not (isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 2):
        kind = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise _wrong(path, form, f"found data of {kind}, expected uint8 (N, {N_PIXELS})")
    if data.shape[1] != N_PIXELS or not len(data):
        raise _wrong(path, form, f"found data {data.shape}, expected (N, {N_PIXELS}) with N > 0")
    if labels.shape != (len(data),) or labels.dtype.kind not in "iu":
        got = f"{labels.dtype} {labels.shape}"
        raise _wrong(path, form, f"found labels of {got}, expected {len(data)} whole numbers")
    last = form.first + form.n_classes - 1
    bad = np.flatnonzero((labels < form.first) | (labels > last))
    if len(bad):
        where = f"label {labels[bad[0]]} in row {bad[0]}"
        raise _wrong(path, form, f"found {where}, expected {form.first} to {last}")
    if mean is not None:
        mean = _check_mean(mean, path, form)
    return data, labels.astype(np.int64) - form.first, mean


def _check_mean(mean: Any, path: Path, form: Format) -> np.ndarray:
    flat = mean.ravel() if isinstance(mean, np.ndarray) and mean.dtype.kind in "iuf" else None
    if flat is None or len(flat) != N_PIXELS or not ((flat >= 0) & (flat <= 255)).all():
        got = getattr(mean, "shape", type(mean).__name__)
        raise _wrong(path, form, f"found mean {got}, expected {N_PIXELS} numbers from 0 to 255")
    return flat.astype(np.float32)


def _mean(train: np.ndarray, means: list[np.ndarray | None]) -> np.ndarray:
    if all(mean is not None and np.array_equal(mean, means[0]) for mean in means):
        return means[0]
    return train.mean(0, dtype=np.float64).astype(np.float32)


def _names(found: dict[str, Path], form: Format) -> tuple[str, ...]:
    """Names of the classes, by the file beside the batches where there is one."""
    meta = found.get(form.meta)
    if meta is None:
        return form.names
    try:
        names = form.read_names(meta)
    except Exception as error:
        raise _wrong(meta, form, _unreadable(error)) from None
    if len(names) != form.n_classes:
        raise _wrong(meta, form, f"found {len(names)} names, expected {form.n_classes}")
    return names


def _unreadable(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"found it unreadable ({type(error).__name__}: {words[:200]})"


def _wrong(path: Path, form: Format, what: str) -> ValueError:
    return ValueError(f"{path} is not a file of {form.title}: {what}; get it from {form.home}")
