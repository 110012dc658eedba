"""Images on disk are read in each format as they were written, and anything else is refused."""

import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from winnow import memory
from winnow.data import images

N = 6
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FORMATS = {
    "imagenet npz": (10, 1),
    "imagenet pickle": (10, 1),
    "cifar pickle": (5, 0),
    "cifar binary": (5, 0),
}
HOME = {"imagenet": "https://image-net.org/download-images", "cifar": "www.cs.toronto.edu/~kriz"}


def rows(batch):
    """Six rows, each with one saturated channel, and a pixel that tells the batch and the row."""
    pixels = np.zeros((N, 3, 32, 32), np.uint8)
    for row in range(N):
        pixels[row, (row + batch) % 3] = 255
        pixels[row, :, 1, 2] = batch, row, 7
    return pixels


def labels(batch, base, n_classes=10):
    return [(batch + 3 * row) % n_classes + base for row in range(N)]


def name_of(kind, batch):
    """Batch 0 is the test set."""
    stem = f"data_batch_{batch}" if batch else ("val_data" if "net" in kind else "test_batch")
    stem = f"train_{stem}" if batch and "net" in kind else stem
    return stem + {"npz": ".npz", "binary": ".bin"}.get(kind.split()[1], "")


def content(kind, batch, **changes):
    base = FORMATS[kind][1]
    flat = rows(batch).reshape(N, -1)
    fields = {"data": flat, "labels": labels(batch, base)}
    if "imagenet" in kind and batch:
        fields["mean"] = np.full(3072, 33.5)
    return fields | changes


def write(folder, kind, batch, protocol=4, **changes):
    path, fields = folder / name_of(kind, batch), content(kind, batch, **changes)
    folder.mkdir(exist_ok=True)
    if kind.endswith("npz"):
        np.savez_compressed(path, **fields)
    elif kind.endswith("pickle"):
        encoded = {k.encode() if "cifar" in kind else k: v for k, v in fields.items()}
        path.write_bytes(pickle.dumps(encoded, protocol))
    else:
        records = np.column_stack([np.uint8(fields["labels"]), fields["data"]])
        path.write_bytes(records.tobytes())
    return path


@pytest.fixture(params=FORMATS)
def kind(request):
    return request.param


@pytest.fixture(params=[kind for kind in FORMATS if "binary" not in kind])
def fielded(request):
    """A format whose files name what they hold."""
    return request.param


@pytest.fixture(params=[kind for kind in FORMATS if "pickle" in kind])
def pickled(request):
    return request.param


def whole(folder, kind):
    for batch in range(FORMATS[kind][0] + 1):
        write(folder, kind, batch)
    return folder


def refused(path, *words, n_batches=None):
    with pytest.raises(ValueError, match=r"\w") as caught:
        images.load(path, n_batches=n_batches)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message
    return message


# --- what is read -------------------------------------------------------------------------------


def test_images_and_labels_are_read_in_the_order_of_the_batches(tmp_path, kind):
    n_batches, base = FORMATS[kind]
    found = images.load(whole(tmp_path, kind))
    expected = np.concatenate([rows(batch) for batch in range(1, n_batches + 1)])
    assert found.train.shape == (n_batches * N, 3, 32, 32)
    assert found.test.shape == (N, 3, 32, 32)
    assert found.train.dtype == found.test.dtype == np.uint8
    assert (found.train == expected).all()
    assert (found.test == rows(0)).all()
    in_order = [label for batch in range(1, n_batches + 1) for label in labels(batch, 0)]
    assert found.train_labels.tolist() == in_order
    assert found.test_labels.tolist() == labels(0, 0)
    assert found.train_labels.dtype == found.test_labels.dtype == np.int64
    if "imagenet" in kind:
        assert len(found.names) == 1000
        assert found.names[found.train_labels[0]] == str(labels(1, base)[0])
    else:
        assert found.names == NAMES
    assert str(tmp_path) not in found.source
    assert ("ImageNet32" if "imagenet" in kind else "CIFAR-10") in found.source


def test_channels_are_red_green_blue_each_row_by_row(tmp_path):
    flat = np.zeros((N, 3072), np.uint8)
    flat[0, 0], flat[0, 1], flat[0, 32], flat[0, 1024], flat[0, 2048] = 1, 2, 3, 4, 5
    whole(tmp_path, "cifar binary")
    write(tmp_path, "cifar binary", 1, data=flat)
    first = images.load(tmp_path).train[0]
    assert (first[0, 0, 0], first[0, 0, 1]) == (1, 2)
    assert (first[0, 1, 0], first[1, 0, 0], first[2, 0, 0]) == (3, 4, 5)


def test_the_mean_is_the_files_where_the_batches_agree(tmp_path, kind):
    found = images.load(whole(tmp_path, kind))
    assert found.mean.shape == (3072,)
    assert found.mean.dtype == np.float32
    if "imagenet" in kind:
        assert (found.mean == 33.5).all()
        write(tmp_path, kind, 3, mean=np.zeros(3072))
        found = images.load(tmp_path)
    computed = found.train.reshape(-1, 3072).mean(0)
    assert found.mean == pytest.approx(computed, rel=1e-6)
    assert not (found.mean == 33.5).all()


def test_files_may_lie_one_level_down_in_folders_of_their_own(tmp_path, kind):
    whole(tmp_path / "train", kind)
    test = name_of(kind, 0)
    (tmp_path / "val").mkdir()
    (tmp_path / "train" / test).rename(tmp_path / "val" / test)
    assert len(images.load(str(tmp_path)).test) == N


def test_the_first_batches_alone_may_be_read(tmp_path, kind):
    for batch in (0, 1, 2):
        write(tmp_path, kind, batch)
    found = images.load(tmp_path, n_batches=2)
    assert (found.train == np.concatenate([rows(1), rows(2)])).all()
    assert f"2 of {FORMATS[kind][0]}" in found.source
    assert len(images.load(tmp_path, n_batches=1).train) == N


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol_are_read(tmp_path, pickled, protocol):
    for batch in (0, 1):
        fields = content(pickled, batch) | {"batch_label": f"batch {batch}", "empty": b""}
        (tmp_path / name_of(pickled, batch)).write_bytes(pickle.dumps(fields, protocol))
    found = images.load(tmp_path, n_batches=1)
    assert (found.train == rows(1)).all()
    assert found.mean.dtype == np.float32


def python_2(fields):
    """A pickle as NumPy 1 wrote it under Python 2: texts are bytes, flags are integers."""

    def text(b):
        return b"T" + struct.pack("<i", len(b)) + b

    def number(i):
        return b"J" + struct.pack("<i", i)

    out = b"\x80\x02}("
    for key, value in fields.items():
        out += text(key.encode())
        if isinstance(value, np.ndarray):
            kind = value.dtype.str[1:].encode()
            out += b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
            out += number(0) + b"\x85" + text(b"b") + b"\x87R("
            out += number(1) + b"(" + b"".join(map(number, value.shape)) + b"t"
            out += b"cnumpy\ndtype\n" + text(kind) + number(0) + number(1) + b"\x87R("
            out += number(3) + text(b"|") + b"NNN" + number(-1) * 2 + number(0) + b"tb"
            out += b"\x89" + text(value.tobytes()) + b"tb"
        else:
            out += b"](" + b"".join(map(number, value)) + b"e"
    return out + b"u."


def test_pickles_of_python_2_are_read_without_a_warning(tmp_path):
    for batch in (0, 1):
        path = tmp_path / name_of("cifar pickle", batch)
        path.write_bytes(python_2(content("cifar pickle", batch)))
    found = images.load(tmp_path, n_batches=1)
    assert (found.train == rows(1)).all()
    assert found.test_labels.tolist() == labels(0, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">i4", np.int64, "list"])
def test_labels_may_be_an_array_or_a_list_of_its_numbers(tmp_path, dtype):
    for batch in (0, 1):
        values = labels(batch, 0)
        values = [np.int64(v) for v in values] if dtype == "list" else np.array(values, dtype)
        write(tmp_path, "cifar pickle", batch, labels=values)
    found = images.load(tmp_path, n_batches=1)
    assert found.train_labels.tolist() == labels(1, 0)


def test_arrays_by_column_are_read(tmp_path, pickled):
    for batch in (0, 1):
        write(tmp_path, pickled, batch, data=np.asfortranarray(rows(batch).reshape(N, -1)))
    assert (images.load(tmp_path, n_batches=1).train == rows(1)).all()


def test_names_are_those_of_the_folder(tmp_path):
    names = [f"kind{i}" for i in range(10)]
    for kind in ("cifar pickle", "cifar binary"):
        folder = whole(tmp_path / kind.split()[1], kind)
        (folder / "batches.meta.txt").write_text("\n".join(names[::-1]) + "\n\n")
        meta = {b"label_names": [n.encode() for n in names], b"num_vis": 3072}
        (folder / "batches.meta").write_bytes(pickle.dumps(meta, 2))
    assert images.load(tmp_path / "pickle").names == tuple(names)
    assert images.load(tmp_path / "binary").names == tuple(names[::-1])
    (tmp_path / "binary" / "batches.meta.txt").write_text("cat dog")
    refused(tmp_path / "binary", "batches.meta.txt", "found 2 names, expected 10")
    (tmp_path / "pickle" / "batches.meta").write_bytes(b"")
    refused(tmp_path / "pickle", "batches.meta", "EOFError")


def test_images_are_frozen_and_input_files_untouched(tmp_path, kind):
    whole(tmp_path, kind)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    found = images.load(tmp_path)
    with pytest.raises(AttributeError):
        found.train = None
    assert before == {p: p.read_bytes() for p in tmp_path.iterdir()}


def test_memory_is_asked_for_before_the_images_are_read(tmp_path, kind, monkeypatch):
    whole(tmp_path, kind)
    monkeypatch.setattr(memory, "free_gb", lambda: 1e-6)
    monkeypatch.setattr(pickle, "Unpickler", None)
    monkeypatch.setattr(np, "load", None)
    monkeypatch.setattr(np, "fromfile", None)
    refused(tmp_path, "reading", "GB are free")
    monkeypatch.undo()
    asked = []
    monkeypatch.setattr(memory, "require", lambda n_bytes, what: asked.append(n_bytes))
    found = images.load(tmp_path)
    assert asked[0] >= found.train.nbytes + found.test.nbytes


def test_no_more_memory_is_used_than_was_asked_for(tmp_path, kind, monkeypatch):
    many = {"data": np.tile(rows(1).reshape(N, -1), (100, 1)), "labels": [3] * 100 * N}
    for batch in range(5):
        write(tmp_path, kind, batch, **many)
    images.load(tmp_path, n_batches=4)  # imports and caches
    asked = []
    monkeypatch.setattr(memory, "require", lambda n_bytes, what: asked.append(n_bytes))
    tracemalloc.start()
    images.load(tmp_path, n_batches=4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * asked[-1] + 1e5


# --- what is refused ----------------------------------------------------------------------------


def test_a_folder_that_is_none_is_refused(tmp_path):
    refused(tmp_path / "gone", "gone", "No such file", *HOME.values())
    refused(tmp_path, str(tmp_path), "data_batch_1", *HOME.values())
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(b"")
    refused(path, "data_batch_1.bin is a file", "give the folder")


@pytest.mark.parametrize("gone", [0, 1, 4])
def test_missing_batches_are_named(tmp_path, kind, gone):
    whole(tmp_path, kind)
    (tmp_path / name_of(kind, gone)).unlink()
    message = refused(tmp_path, f"lacks {name_of(kind, gone)} of", HOME[kind.split()[0]])
    assert ("n_batches=3" in message) == (gone == 4)
    if gone == 4:
        assert len(images.load(tmp_path, n_batches=3).train) == 3 * N
        refused(tmp_path, f"lacks {name_of(kind, 4)} of", n_batches=4)
    else:
        assert "n_batches" not in message


def test_a_number_of_batches_out_of_range_is_named(tmp_path, kind):
    whole(tmp_path, kind)
    most = FORMATS[kind][0]
    for n_batches in (0, -1, most + 1):
        refused(tmp_path, f"n_batches must be in [1, {most}], got {n_batches}", n_batches=n_batches)


def test_two_data_sets_in_one_place_are_refused(tmp_path):
    whole(tmp_path / "a", "cifar pickle")
    whole(tmp_path / "b", "cifar binary")
    refused(tmp_path, "CIFAR-10 (pickles) and CIFAR-10 (binary)", "one data set")
    whole(tmp_path / "c", "cifar pickle")
    refused(tmp_path, "a/data_batch_1 and ", "c/data_batch_1", "one folder")
    only = tmp_path / "d"
    only.mkdir()
    (only / "batches.meta").write_bytes(b"")
    refused(only, "only batches.meta")


WRONG = {
    "too low": ({"labels": [-1] + [3] * 5}, "label {low} in row 0, expected {first} to"),
    "too high": ({"labels": [3, 3, 1001, 3, 3, 3]}, "label 1001 in row 2, expected {first} to"),
    "few labels": ({"labels": [3] * 5}, "found labels of int64 (5,), expected 6 whole numbers"),
    "floats": ({"labels": np.ones(6)}, "labels of float64"),
    "columns": ({"data": np.zeros((6, 12288), np.uint8)}, "(6, 12288), expected (N, 3072)"),
    "floating": ({"data": np.zeros((6, 3072), np.float32)}, "data of float32 (6, 3072)"),
    "deep": ({"data": np.zeros((6, 3, 32, 32), np.uint8)}, "expected uint8 (N, 3072)"),
    "empty": ({"data": np.zeros((0, 3072), np.uint8)}, "with N > 0"),
    "mean": ({"mean": np.zeros(7)}, "found mean (7,), expected 3072 numbers from 0 to 255"),
    "dark": ({"mean": np.full(3072, -1.0)}, "expected 3072 numbers from 0 to 255"),
    "nan": ({"mean": np.full(3072, np.nan)}, "expected 3072 numbers from 0 to 255"),
}


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize(("changes", "words"), WRONG.values(), ids=WRONG)
def test_content_out_of_range_is_named(tmp_path, fielded, batch, changes, words):
    whole(tmp_path, fielded)
    path = write(tmp_path, fielded, batch, **changes)
    first = FORMATS[fielded][1]
    refused(tmp_path, path, words.format(low=-1, first=first), HOME[fielded.split()[0]])


@pytest.mark.parametrize("kind", ["imagenet npz", "imagenet pickle"])
def test_the_label_0_is_none_of_imagenet(tmp_path, kind):
    whole(tmp_path, kind)
    path = write(tmp_path, kind, 2, labels=[5, 0, 1, 1, 1, 1])
    refused(tmp_path, path, "label 0 in row 1, expected 1 to 1000")
    write(tmp_path, kind, 2, labels=[1000, 1, 1, 1, 1, 1])
    assert images.load(tmp_path).train_labels[N] == 999


@pytest.mark.parametrize("kind", ["cifar pickle", "cifar binary"])
def test_the_label_10_is_none_of_cifar(tmp_path, kind):
    whole(tmp_path, kind)
    path = write(tmp_path, kind, 2, labels=[5, 9, 0, 10, 1, 1])
    refused(tmp_path, path, "label 10 in row 3, expected 0 to 9")


@pytest.mark.parametrize("field", ["data", "labels"])
def test_a_field_that_is_missing_is_named(tmp_path, fielded, field):
    whole(tmp_path, fielded)
    path, fields = tmp_path / name_of(fielded, 1), content(fielded, 1)
    del fields[field]
    if fielded.endswith("npz"):
        np.savez(path, **fields)
    else:
        path.write_bytes(pickle.dumps(fields))
    refused(tmp_path, path, f"it has no {field}")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_refused(tmp_path, kind, share):
    whole(tmp_path, kind)
    for batch in (0, 1):
        path = write(tmp_path, kind, batch)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        refused(tmp_path, path, "found", HOME[kind.split()[0]])
        write(tmp_path, kind, batch)


@pytest.mark.parametrize(
    "junk",
    [b"\x00" * 4000, b"<html>not found</html>", b"\x80\x04]."],
    ids=["zeros", "page", "list"],
)
def test_a_file_of_another_kind_is_refused(tmp_path, kind, junk):
    whole(tmp_path, kind)
    path = tmp_path / name_of(kind, 2)
    path.write_bytes(junk)
    refused(tmp_path, path, "is not a file of", HOME[kind.split()[0]])


def test_an_archive_whose_data_were_damaged_is_refused(tmp_path):
    whole(tmp_path, "imagenet npz")
    path = tmp_path / name_of("imagenet npz", 1)
    np.savez(path, **content("imagenet npz", 1))
    raw = bytearray(path.read_bytes())
    raw[3000] ^= 255
    path.write_bytes(raw)
    refused(tmp_path, path, "unreadable")
    np.savez(path, **content("imagenet npz", 1, labels=np.array([None] * N)))
    refused(tmp_path, path, "allow_pickle=False")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.npy", "nothing")
    refused(tmp_path, path, "it has no labels")


class Command:
    """Unpickles by a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("where", ["data", "labels", "mean", "other", "whole"])
def test_a_pickle_with_a_command_is_refused_and_not_obeyed(tmp_path, pickled, where, protocol):
    whole(tmp_path, pickled)
    mark = tmp_path / "harmed"
    for command in (
        Command(os.mkdir, str(mark)),
        Command(eval, f"__import__('os').mkdir({str(mark)!r})"),
        Command(getattr, "x", "join"),
        Command(np.fromfile, str(mark)),
    ):
        fields = content(pickled, 1) | {where: command}
        path = tmp_path / name_of(pickled, 1)
        path.write_bytes(pickle.dumps(command if where == "whole" else fields, protocol))
        refused(tmp_path, path, "it calls ", "have no use for")
        assert not mark.exists()


FORGED = {
    "ndarray": b"cnumpy\nndarray\nI8\n\x85R.",
    "method": b"cnumpy\ndtype\n}X\x01\x00\x00\x00aK\x01sb.",
    "attribute": b"cnumpy\ndtype\nN}X\x04\x00\x00\x00selfK\x01s\x86b.",
    "objects": b"cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R.",
    "dotted": b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.",
    "private": b"cwinnow.data.pickles\n_Reader\n.",
    "many bytes": b"cbuiltins\nbytes\nI99999999999\n\x85R.",
    "persistent": b"Pid\n.",
    "no array": b"cnumpy.core.multiarray\n_reconstruct\n)R.",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_pickle_is_refused(tmp_path, pickled, forged):
    whole(tmp_path, pickled)
    path = tmp_path / name_of(pickled, 1)
    path.write_bytes(forged)
    refused(tmp_path, path, "unreadable")


def test_what_is_wrong_with_a_pickle_is_said(tmp_path, pickled):
    whole(tmp_path, pickled)
    path = write(tmp_path, pickled, 1, labels=np.array([None] * N))
    refused(tmp_path, path, "an array of 'O8' and not of numbers")
    path.write_bytes(pickle.dumps([1, 2]))
    refused(tmp_path, path, "it holds a list and no dictionary")


def test_binary_files_hold_whole_records_and_as_many_each(tmp_path):
    whole(tmp_path, "cifar binary")
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    refused(tmp_path, "18437 bytes are not a multiple of 3073")
    whole(tmp_path, "cifar binary")
    path = tmp_path / name_of("cifar binary", 3)
    path.write_bytes(path.read_bytes()[:-3073])  # cut between two records
    refused(tmp_path, path, "found 15365 bytes, expected 18438")
