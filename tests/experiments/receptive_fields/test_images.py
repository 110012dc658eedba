"""The deep network on a set of images, each measure against one network's own computation."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from winnow.data import images as sets
from winnow.experiments.receptive_fields import images
from winnow.metrics import locality
from winnow.training import rounds

SEEDS, ARMS = (0, 5), ("imp", "one-shot", "random")


def tiny(n=90, n_test=110, n_classes=3):
    """Coloured noise, brighter in one corner for each class."""
    rng = np.random.default_rng(0)

    def draw(n):
        labels = rng.integers(n_classes, size=n)
        pixels = rng.integers(150, size=(n, 3, 32, 32))
        for i, c in enumerate(labels):
            pixels[i, c, :10, 10 * c : 10 * c + 10] += 100
        return pixels.astype(np.uint8), labels

    (train, labels), (test, test_labels) = draw(n), draw(n_test)
    mean = train.reshape(n, -1).mean(0, dtype=float).astype(np.float32)
    return sets.Images(train, labels, test, test_labels, n_classes, mean)


@pytest.fixture(scope="module")
def photos():
    return tiny()


@pytest.fixture(scope="module")
def pruned(photos):
    return images.prune(photos, seeds=SEEDS, hidden=(6, 5), n_steps=2, n_rounds=2)


@pytest.fixture(scope="module")
def table(pruned, photos):
    return images.measure(pruned, photos, seeds=SEEDS)


def test_pixels_are_rows_less_the_training_mean(photos):
    rows = images.prepared(photos, photos.test)
    assert rows.shape == (110, 3072)
    assert rows.dtype == torch.float32
    mean = photos.train.astype(float).mean(0)
    expected = (photos.test[3, 1, 4, 7] - mean[1, 4, 7]) / 255
    assert float(rows[3, 1024 + 4 * 32 + 7]) == pytest.approx(expected, abs=1e-6)
    train = images.prepared(photos, photos.train)
    assert float(train.mean(0).abs().max()) < 1e-5
    assert photos.test.dtype == np.uint8


def test_the_setting_is_the_stated_one(photos, monkeypatch, tmp_path):
    calls = {}

    def prune(network, source, **options):
        calls.update(options, network=network, source=source)

    monkeypatch.setattr(rounds, "prune", prune)
    images.prune(photos, seeds=SEEDS, n_steps=1234, folder=tmp_path, report=print)
    assert calls["network"].sizes == (3072, 1024, 1024, 1024, 3)
    assert calls["training"] == rounds.Training(1234, 1000, lr=0.1, momentum=0.0)
    assert calls["rewind_step"] == 12
    assert calls["least_connected"] == 0.2
    assert calls["densities"] == rounds.geometric(0.3, 15)
    assert calls["arms"] == ARMS
    assert (calls["folder"], calls["report"]) == (tmp_path, print)
    assert calls["source"].seeds == SEEDS
    assert torch.equal(calls["source"].labels, torch.from_numpy(photos.train_labels))
    assert torch.equal(calls["source"].inputs, images.prepared(photos, photos.train))


def test_every_arm_round_and_seed_has_a_row(table, pruned):
    assert list(table.columns) == [
        "seed", "arm", "round", "density", "accuracy", "alive", "locality", "columns", "kappa",
    ]  # fmt: skip
    assert len(table) == 3 * 3 * 2
    assert table.groupby("round").density.first().tolist() == list(pruned.densities)
    assert pruned.network.sizes == (3072, 6, 5, 3)
    assert not table.isna().any().any()


@pytest.mark.parametrize("r", [0, 2])
@pytest.mark.parametrize("arm", ARMS)
def test_measures_are_those_of_one_network(table, pruned, photos, arm, r):
    x = images.prepared(photos, photos.test).double()
    labels = photos.test_labels
    for s in range(2):
        rows = table[(table.seed == SEEDS[s]) & (table.arm == arm) & (table["round"] == r)]
        [row] = rows.to_dict("records")
        p = {n: v[s, 0].double() for n, v in pruned.params(arm, r).items()}
        a = x
        for i in range(3):
            a = (a - p[f"mean.{i}"]) / (p[f"var.{i}"] + 1e-5).sqrt() * p[f"gamma.{i}"] + p[
                f"beta.{i}"
            ]
            if i == 0:
                first = a
            a = a @ p[f"weights.{i}"].T + p[f"biases.{i}"]
            a = a.relu() if i < 2 else a
        right = a.argmax(-1).numpy() == labels
        assert row["accuracy"] == pytest.approx(right.mean())
        pre = (first @ p["weights.0"].T).numpy()
        found = [scipy.stats.kurtosis(pre[labels == c]) for c in range(3)]
        assert row["kappa"] == pytest.approx(np.mean(found), abs=1e-4)
        kept = pruned.kept(arm, "weights.0")[r, s]
        assert row["alive"] == float(kept.any(-1).double().mean())
        colours = torch.cat([kept[:, c * 1024 : (c + 1) * 1024] for c in range(3)])
        expected = locality.pair_locality(colours, grid=(32, 32), radius=2, cyclic=False)
        assert row["locality"] == pytest.approx(float(expected))
        assert row["columns"] == pytest.approx(1, abs=0.2)


def test_classes_with_few_images_have_no_kurtosis(pruned, photos):
    """Of two samples it is -2, whatever they are."""
    counts = np.bincount(photos.test_labels)
    assert counts.min() >= images.LEAST

    def first(n):
        rows = np.argsort(photos.test_labels, kind="stable")[:n]
        test = {"test": photos.test[rows], "test_labels": photos.test_labels[rows]}
        return dataclasses.replace(photos, **test)

    few = images.measure(pruned, first(19), seeds=SEEDS)
    assert few.kappa.isna().all()
    one = images.measure(pruned, first(counts[0] + 3), seeds=SEEDS)
    x = images.prepared(photos, photos.test)[photos.test_labels == 0].double()
    p = pruned.params("random", 2)
    gain = p["gamma.0"][0, 0] / (p["var.0"][0, 0] + 1e-5).sqrt()
    pre = (x * gain) @ p["weights.0"][0, 0].double().T
    expected = scipy.stats.kurtosis(pre).mean()
    [row] = one.query("arm == 'random' and round == 2 and seed == 0").to_dict("records")
    assert row["kappa"] == pytest.approx(expected, abs=1e-4)


def test_inputs_that_never_vary_are_no_division_by_zero(pruned, photos):
    p = {n: v.clone() for n, v in pruned.params("imp", 0).items()}
    p["var.0"][..., :5] = 0
    x = images.prepared(photos, photos.test)
    x[:, :5] = 0
    found = images._kurtosis(p, x, torch.from_numpy(photos.test_labels))
    assert np.isfinite(found).all()


def test_a_trial_goes_from_a_folder_to_a_table(photos, pruned, table, monkeypatch):
    calls = []
    monkeypatch.setattr(images, "load", lambda path, among: {"here": photos}[path])
    monkeypatch.setattr(
        images, "prune", lambda *given, **options: calls.append((given, options)) or pruned
    )
    found = images.trial("here", seeds=SEEDS, n_steps=2, n_rounds=2)
    assert calls == [((photos,), {"seeds": SEEDS, "n_steps": 2, "n_rounds": 2})]
    pd.testing.assert_frame_equal(found, table)


def test_a_seed_does_not_depend_on_others(photos, pruned):
    alone = images.prune(photos, seeds=(5,), hidden=(6, 5), n_steps=2, n_rounds=1, arms=("random",))
    found, expected = (x.fields("random", "weights.0")[:2] for x in (alone, pruned))
    torch.testing.assert_close(found[:, 0], expected[:, 1], rtol=1e-3, atol=1e-4)
