"""Image sets on disk are read in each format as they were written, and anything else is refused."""

import gzip
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from shared import REFERENCE
from winnow import memory
from winnow.data import images

N = 6
SETS = {"CIFAR-10": (5, (3, 32, 32)), "ImageNet32": (10, (3, 32, 32)), "MNIST": (1, (28, 28))}
HOME = {
    "CIFAR-10": "get cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html",
    "ImageNet32": "get its npz files from https://image-net.org/download-images",
    "MNIST": "get its four idx files from https://",
}
PIXELS, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
MNIST_NAMES = {
    "dash": "{}-{}-{}-ubyte",
    "dot": "{}-{}.{}-ubyte",
    "dash, packed": "{}-{}-{}-ubyte.gz",
    "dot, packed": "{}-{}.{}-ubyte.gz",
}


@pytest.fixture(params=SETS)
def title(request):
    return request.param


@pytest.fixture(params=["CIFAR-10", "ImageNet32"])
def coloured(request):
    return request.param


def pixels(title, batch):
    """Rows that tell their channel, batch and place."""
    out = np.random.default_rng(batch).integers(256, size=(N, *SETS[title][1])).astype(np.uint8)
    out[:, ..., 1, 2] = batch
    return out


def labels(batch):
    return (batch + 3 * np.arange(N)) % 10


def name_of(title, batch):
    """Batch 0 is the test set."""
    if title == "MNIST":
        return f"{'train' if batch else 't10k'}-images-idx3-ubyte"
    stem, end = ("train_", ".npz") if title == "ImageNet32" else ("", ".bin")
    if batch:
        return f"{stem}data_batch_{batch}{end}"
    return ("val_data" if stem else "test_batch") + end


def idx(content, header=None):
    content = np.asarray(content, np.uint8)
    header = header or (2048 + content.ndim, *content.shape)
    return struct.pack(f">{len(header)}I", *header) + content.tobytes()


def write(folder, title, batch, form="dash", **changes):
    """A batch; returns the file with its images."""
    path = folder / name_of(title, batch)
    folder.mkdir(exist_ok=True)
    flat = pixels(title, batch).reshape(N, -1)
    if title == "ImageNet32":
        fields = {"data": flat, "labels": labels(batch) + 1, "mean": np.full(3072, 33.5)}
        np.savez(path, **fields | changes)
    elif title == "CIFAR-10":
        fields = {"data": flat, "labels": labels(batch)} | changes
        path.write_bytes(np.column_stack([np.uint8(fields["labels"]), fields["data"]]).tobytes())
    else:
        stem = "train" if batch else "t10k"
        for kind, content in (
            (("images", "idx3"), changes.get("data", pixels(title, batch))),
            (("labels", "idx1"), changes.get("labels", labels(batch))),
        ):
            path = folder / MNIST_NAMES[form].format(stem, *kind)
            raw = idx(content)
            path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
        path = folder / MNIST_NAMES[form].format(stem, "images", "idx3")
    return path


def whole(folder, title, **more):
    for batch in range(SETS[title][0] + 1):
        write(folder, title, batch, **more)
    return folder


def refused(path, *words, **options):
    with pytest.raises(ValueError, match=r"\w") as caught:
        images.load(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert "allow_pickle=`" not in message  # no advice to trust a file
    for word in words:
        assert str(word) in message
    return message


# --- what is read -------------------------------------------------------------------------------


def test_images_and_labels_are_read_in_the_order_of_the_batches(tmp_path, title):
    n_batches, shape = SETS[title]
    before = {p: p.read_bytes() for p in whole(tmp_path, title).iterdir()}
    found = images.load(str(tmp_path))
    batches = range(1, n_batches + 1)
    assert found.train.shape == (n_batches * N, *shape)
    assert found.train.dtype == found.test.dtype == np.uint8
    assert (found.train == np.concatenate([pixels(title, b) for b in batches])).all()
    assert (found.test == pixels(title, 0)).all()
    assert (found.train_labels == np.concatenate([labels(b) for b in batches])).all()
    assert (found.test_labels == labels(0)).all()
    assert found.train_labels.dtype == found.test_labels.dtype == np.int64
    assert found.mean.dtype == np.float32
    assert found.mean == pytest.approx(found.train.reshape(len(found.train), -1).mean(0), rel=1e-6)
    assert before == {p: p.read_bytes() for p in tmp_path.iterdir()}
    found.test[0] = 0  # not read-only


def test_classes_are_counted(tmp_path):
    found = {title: images.load(whole(tmp_path / title, title)).n_classes for title in SETS}
    assert found == {"CIFAR-10": 10, "ImageNet32": 1000, "MNIST": 10}


def test_channels_are_red_green_blue_each_row_by_row(tmp_path, coloured):
    flat = np.zeros((N, 3072), np.uint8)
    flat[0, [0, 1, 32, 1024, 2048]] = 1, 2, 3, 4, 5
    whole(tmp_path, coloured)
    write(tmp_path, coloured, 1, data=flat)
    first = images.load(tmp_path).train[0]
    assert (first[0, 0, 0], first[0, 0, 1]) == (1, 2)
    assert (first[0, 1, 0], first[1, 0, 0], first[2, 0, 0]) == (3, 4, 5)


def test_files_may_lie_one_level_down_in_folders_of_their_own(tmp_path, title):
    whole(tmp_path / "train {b} {}", title)
    (tmp_path / "prüf").mkdir()
    for path in (tmp_path / "train {b} {}").iterdir():
        if path.name.startswith(("t10k", "val", "test")):
            path.rename(tmp_path / "prüf" / path.name)
    assert len(images.load(tmp_path).test) == N


@pytest.mark.parametrize("form", MNIST_NAMES)
def test_mnist_goes_by_several_names_packed_or_not(tmp_path, form):
    found = images.load(whole(tmp_path, "MNIST", form=form))
    assert (found.train == pixels("MNIST", 1)).all()
    assert (found.test_labels == labels(0)).all()


def test_a_file_beside_its_packed_self_is_one_and_may_lie_in_a_folder_of_its_name(tmp_path):
    whole(tmp_path, "MNIST")
    whole(tmp_path, "MNIST", form="dash, packed")
    assert len(images.load(tmp_path).train) == N
    for path in tmp_path.glob("*ubyte"):  # as some archives are unpacked
        raw = path.read_bytes()
        path.unlink()
        path.mkdir()
        (path / path.name).write_bytes(raw)
    assert len(images.load(tmp_path).train) == N


def test_labels_may_be_of_any_whole_kind(tmp_path):
    for dtype in (np.uint16, ">i4", np.int64):
        whole(tmp_path, "ImageNet32")
        write(tmp_path, "ImageNet32", 1, labels=np.array([1000, 1, 2, 3, 4, 5], dtype))
        assert images.load(tmp_path).train_labels[:3].tolist() == [999, 0, 1]


def test_a_caller_says_which_sets_will_do(tmp_path):
    for title in SETS:
        whole(tmp_path, title)
    for title in SETS:
        found = images.load(tmp_path, among=[title])
        assert (found.test == pixels(title, 0)).all()
    refused(tmp_path, "CIFAR-10 and ImageNet32 and MNIST", "one set")
    only = whole(tmp_path / "only", "MNIST")
    message = refused(only, "no images that are known", among=["CIFAR-10"])
    assert "MNIST" not in message


def test_memory_is_asked_for_before_anything_is_read(tmp_path, title, monkeypatch):
    whole(tmp_path, title)
    monkeypatch.setattr(memory, "free_gb", lambda: 1e-6)
    monkeypatch.setattr(images, "_read", None)
    refused(tmp_path, f"reading {title} needs", "GB are free")


# --- what is refused ----------------------------------------------------------------------------


def test_a_folder_that_is_none_is_refused(tmp_path):
    places = [words.removeprefix("get ") for words in HOME.values()]
    refused(tmp_path / "gone", "gone", "No such file", *places)
    refused("~nobody-has-this-name/x", "No such file")
    refused(tmp_path, str(tmp_path), "no images that are known", *places)
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(b"")
    refused(path, "data_batch_1.bin (Not a directory)")


def test_missing_files_are_named(tmp_path, title):
    for name in [path.name for path in whole(tmp_path, title).iterdir()]:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
        refused(tmp_path, f"lacks {name} of {title}", HOME[title])
        (tmp_path / name).rmdir()
        (tmp_path / name).write_bytes(content)


def test_files_of_a_kind_in_two_folders_are_refused(tmp_path, title):
    whole(tmp_path / "a", title)
    whole(tmp_path / "b", title)
    refused(tmp_path, "/a/", "/b/", "two of a kind: give one folder")


@pytest.mark.parametrize("where", ["", "cifar-10-batches-py"])
@pytest.mark.parametrize(
    ("names", "title"),
    [
        (["data_batch_1", "data_batch_2", "test_batch", "batches.meta"], "CIFAR-10"),
        (["test_batch"], "CIFAR-10"),
        (["train_data_batch_1", "val_data"], "ImageNet32"),
    ],
)
def test_pickles_are_named_and_never_read(tmp_path, names, title, where, monkeypatch):
    (tmp_path / where).mkdir(exist_ok=True)
    for name in names:
        (tmp_path / where / name).write_bytes(pickle.dumps({"data": 1}))
    monkeypatch.setattr(pickle, "load", None)
    monkeypatch.setattr(pickle, "Unpickler", None)
    refused(tmp_path, f"{tmp_path} holds ", f" of {title}, a pickle", "is not read", HOME[title])


def test_pickles_beside_what_can_be_read_do_not_matter(tmp_path):
    whole(tmp_path / "cifar-10-batches-bin", "CIFAR-10")
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"\x80\x04]")
    assert len(images.load(tmp_path).train) == 5 * N


WRONG = {
    "low": ({"labels": [0] + [3] * 5}, "label 0 in row 0, expected 1 to 1000"),
    "negative": ({"labels": [-1] + [3] * 5}, "label -1 in row 0, expected 1 to"),
    "high": ({"labels": [3, 3, 1001, 3, 3, 3]}, "label 1001 in row 2, expected 1 to"),
    "few labels": ({"labels": [3] * 5}, "found labels of int64 (5,), expected 6 whole numbers"),
    "floats": ({"labels": np.ones(6)}, "labels of float64"),
    "nan labels": ({"labels": np.full(6, np.nan)}, "labels of float64"),
    "flags": ({"labels": np.ones(6, bool)}, "labels of bool"),
    "texts": ({"labels": list("abcdef")}, "labels of <U1"),
    "objects": ({"labels": np.array([None] * 6)}, "allow_pickle=False"),
    "object images": ({"data": np.array([None] * 6)}, "allow_pickle=False"),
    "columns": ({"data": np.zeros((6, 12288), np.uint8)}, "(6, 12288), expected uint8 of 3 x 32"),
    "turned": ({"data": np.zeros((6, 32, 32, 3), np.uint8)}, "(6, 32, 32, 3), expected uint8"),
    "floating": ({"data": np.zeros((6, 3072), "f")}, "images of float32 (6, 3072)"),
    "nan": ({"data": np.full((6, 3072), np.nan)}, "images of float64 (6, 3072)"),
    "signed": ({"data": np.zeros((6, 3072), np.int8)}, "images of int8 (6, 3072)"),
    "empty": ({"data": np.zeros((0, 3072), np.uint8)}, "one or more"),
    "number": ({"data": np.uint8(3)}, "images of uint8 ()"),
}


@pytest.mark.parametrize("batch", [0, 1, 10])
@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_content_of_an_archive_out_of_range_is_named(tmp_path, batch, changes, words):
    whole(tmp_path, "ImageNet32")
    path = write(tmp_path, "ImageNet32", batch, **changes)
    refused(tmp_path, path, words, HOME["ImageNet32"])


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_a_label_of_10_is_none_of_cifar(tmp_path, batch):
    whole(tmp_path, "CIFAR-10")
    path = write(tmp_path, "CIFAR-10", batch, labels=[5, 9, 0, 10, 255, 1])
    refused(tmp_path, path, "label 10 in row 3, expected 0 to 9", HOME["CIFAR-10"])


def test_an_archive_that_lacks_a_field_or_was_damaged_is_named(tmp_path):
    path = whole(tmp_path, "ImageNet32") / name_of("ImageNet32", 1)
    np.savez(path, labels=labels(1) + 1)
    refused(tmp_path, path, "data is not a file in the archive")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.npy", "nothing")
    refused(tmp_path, path, "is not a file of ImageNet32")
    for save in (np.savez, np.savez_compressed):
        save(path, data=pixels("ImageNet32", 1).reshape(N, -1), labels=labels(1) + 1)
        assert (images.load(tmp_path).train[:N] == pixels("ImageNet32", 1)).all()
        raw = bytearray(path.read_bytes())
        raw[3000] ^= 255
        path.write_bytes(raw)
        refused(tmp_path, path, "unreadable")
    plain = io.BytesIO()
    np.save(plain, pixels("ImageNet32", 1))
    path.write_bytes(plain.getvalue())
    refused(tmp_path, path, "found no archive, expected npz")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_refused(tmp_path, title, share):
    for path in sorted(whole(tmp_path, title).iterdir()):
        raw = path.read_bytes()
        path.write_bytes(raw[: int(share * len(raw))])
        refused(tmp_path, path, "found", HOME[title])
        path.write_bytes(raw)


@pytest.mark.parametrize("junk", [b"\x00" * 4000, b"<html>not found</html>", b"\x80\x04]."])
def test_a_file_of_another_kind_is_refused(tmp_path, title, junk):
    for path in sorted(whole(tmp_path, title).iterdir()):
        raw = path.read_bytes()
        path.write_bytes(junk)
        refused(tmp_path, "is not a file of", HOME[title])
        path.write_bytes(raw)


def test_binary_files_hold_whole_records_and_as_many_each(tmp_path):
    whole(tmp_path, "CIFAR-10")
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    refused(tmp_path, "18437 bytes, expected a multiple of 3073")
    for path in whole(tmp_path, "CIFAR-10").iterdir():
        path.write_bytes(path.read_bytes()[:-3073])  # cut between two records
        refused(tmp_path, path, "found 15365 bytes, expected 18438")
        whole(tmp_path, "CIFAR-10")


SPOILT = {
    "labels for images": (PIXELS, idx([1] * 30), "magic number 2049, expected 2051"),
    "images for labels": (LABELS, idx(pixels("MNIST", 1)), "magic number 2051, expected 2049"),
    "signed": (LABELS, b"\x00\x00\x09\x01" + idx([1] * N)[4:], "magic number 2305, expected 2049"),
    "turned": (LABELS, idx([1] * N, (0x01080000, N)), "magic number 17301504, expected 2049"),
    "small": (PIXELS, idx(np.ones((N, 9, 27))), "uint8 (6, 9, 27), expected uint8 of 28 x 28"),
    "no header": (LABELS, b"\x00" * 7, "found 7 bytes, expected a header of 8"),
    "long": (LABELS, idx([1] * N, (2049, 3)), "found 6 bytes of content, expected 3;"),
    "none": (PIXELS, idx(np.ones((0, 28, 28))), "one or more"),
    "no label": (LABELS, idx([]), "labels of uint8 (0,), expected 6 whole numbers"),
    "many": (PIXELS, idx(pixels("MNIST", 1), (2051, 2**32 - 1, 28, 28)), "expected 3367254359280"),
    "few": (LABELS, idx([1] * 4), "labels of uint8 (4,), expected 6 whole numbers"),
    "label": (LABELS, idx([1, 2, 12, 0, 0, 0]), "label 12 in row 2, expected 0 to 9"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("stem", ["train", "t10k"])
@pytest.mark.parametrize(("name", "raw", "words"), SPOILT.values(), ids=SPOILT)
def test_an_idx_file_that_is_not_what_it_should_be_is_named(
    tmp_path, name, raw, words, stem, packed
):
    whole(tmp_path, "MNIST", form="dash, packed" if packed else "dash")
    path = tmp_path / (name.replace("train", stem) + ".gz" * packed)
    path.write_bytes(gzip.compress(raw) if packed else raw)
    refused(tmp_path, f"{path} is not a file of MNIST: found", words, HOME["MNIST"])


def test_a_packed_file_that_is_not_packed_or_broken_is_named(tmp_path):
    path = whole(tmp_path, "MNIST", form="dash, packed") / f"{PIXELS}.gz"
    packed = path.read_bytes()
    for place, words in ((10, "unreadable (error: Error -3"), (2000, "BadGzipFile: CRC check")):
        raw = bytearray(packed)
        raw[place] = 255 - raw[place]
        path.write_bytes(raw)
        refused(tmp_path, path, words, HOME["MNIST"])
    path.write_bytes(gzip.decompress(packed))
    refused(tmp_path, path, "unreadable (BadGzipFile: Not a gzipped file", HOME["MNIST"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, title):
    for path in sorted(whole(tmp_path, title).iterdir()):
        path.chmod(0)
        message = refused(tmp_path, f"cannot read {path}: Permission denied")
        assert "is not a file of" not in message
        path.chmod(0o600)


# --- the original -------------------------------------------------------------------------------


def test_the_original_mnist():
    if not (folder := REFERENCE / "mnist").is_dir():
        pytest.skip(f"{folder} is missing")
    found = images.load(folder)
    assert found.train.shape == (60_000, 28, 28)
    assert found.test.shape == (10_000, 28, 28)
    assert found.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert found.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(found.train_labels)[[0, 9]].tolist() == [5923, 5949]
    assert found.mean.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
