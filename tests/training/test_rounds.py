"""Counts are exact, masks nest, weights rewind, and a run that was killed goes on."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import joblib
import numpy as np
import pytest
import torch

from winnow import models, pruners, seeds
from winnow.metrics import non_gaussianity
from winnow.training import rounds
from winnow.training.batches import Draws, Windows

D, K, N = 7, 5, 120
SEEDS, SHARES = (3, 11), (1, 0.7, 0.43, 0.2, 0.06)
NETWORK = models.Perceptron((D, K, 2), scheme="small", readout=True)
TRAINING = rounds.Training(12, batch_size=16, lr=0.1, momentum=0.5)
EVERY = pruners.names("rounds")


def samples(some_seeds=SEEDS):
    """Inputs of two classes, a stream for each seed."""
    streams = seeds.generators(some_seeds, "samples")
    y = np.stack([g.integers(2, size=N) for g in streams])
    x = np.stack([g.laplace(size=(N, D)) for g in streams]) + y[..., None] * np.arange(D) / 4
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def prune(arms=EVERY, densities=SHARES, some_seeds=SEEDS, network=NETWORK, **options):
    x, y = samples(some_seeds)
    options = {"training": TRAINING, "probe": x[:, :50]} | options
    source = options.pop("source", Windows(x, y))
    return rounds.prune(
        network, source, seeds=some_seeds, densities=densities, arms=arms, **options
    )


@pytest.fixture(scope="module")
def pruned():
    return prune()


def same(a, b):
    """Whether two runs left the same, to the last bit."""
    return a.densities == b.densities and all(
        len(left) == len(right)
        and all(torch.equal(p[n], q[n]) for p, q in zip(left, right, strict=True) for n in p)
        for left, right in [(a.masks, b.masks), (a.trained, b.trained), ([a.start], [b.start])]
    )


# --- counts and zeros ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("arm", EVERY)
def test_counts_are_exact_and_masks_nest(pruned, arm):
    kept = pruned.kept(arm)
    assert kept.shape == (len(SHARES), len(SEEDS), K, D)
    expected = [round(share * K * D) for share in SHARES]
    assert expected == [35, 24, 15, 7, 2]  # 24.5, 15.05, 7, 2.1
    for r, n in enumerate(expected):
        assert (kept[r].sum((-2, -1)) == n).all()
    assert not (kept[1:] & ~kept[:-1]).any()


@pytest.mark.parametrize("arm", EVERY)
def test_pruned_weights_are_zero_and_kept_ones_are_not(pruned, arm):
    assert torch.equal(pruned.fields(arm) != 0, pruned.kept(arm))


def test_pruned_weights_are_zero_at_every_step():
    seen = []

    class Watched(models.Perceptron):
        def lesson(self, p, x, y):
            seen.append((p["weights.0"] != 0).clone())
            return super().lesson(p, x, y)

    pruned = prune(network=Watched((D, K, 2), scheme="small", readout=True))
    assert len(seen) == len(SHARES) * TRAINING.n_steps
    for step, kept in enumerate(seen):
        mask = pruned.masks[step // TRAINING.n_steps]["weights.0"]
        assert torch.equal(kept, mask)


def test_names_that_are_not_pruned_have_no_masks(pruned):
    assert all(m.keys() == {"weights.0"} for m in pruned.masks)
    assert pruned.masks[0]["weights.0"].shape == (2, 1, K, D)
    assert pruned.masks[1]["weights.0"].shape == (2, len(EVERY), K, D)
    assert pruned.fields("random", "biases.0").shape == (len(SHARES), 2, K)


def test_momentum_steps_are_those_of_torch():
    x, y = samples()
    start = {n: v.double() for n, v in NETWORK.initial(SEEDS).items()}
    mask = torch.rand(2, 1, K, D, generator=torch.Generator().manual_seed(0)) < 0.5
    batches = [*Windows(x.double(), y).batches(2, 12, 16)]
    found, early = rounds.train_masked(
        NETWORK, start, {"weights.0": mask}, iter(batches), TRAINING, keep_at=5
    )
    leaves = {n: v.clone().requires_grad_() for n, v in start.items()}
    with torch.no_grad():
        leaves["weights.0"] *= mask
    sgd = torch.optim.SGD(leaves.values(), lr=0.1, momentum=0.5)
    for step, (a, b) in enumerate(batches):
        if step == 5:
            torch.testing.assert_close(early, {n: v.detach() for n, v in leaves.items()})
        sgd.zero_grad()
        NETWORK.loss(leaves, a, b).sum().backward()
        leaves["weights.0"].grad *= mask
        sgd.step()
    torch.testing.assert_close(found, {n: v.detach() for n, v in leaves.items()})
    assert torch.equal(start["weights.0"], NETWORK.initial(SEEDS)["weights.0"].double())
    assert not rounds.train_masked(NETWORK, start, {"weights.0": mask}, batches, TRAINING)[1]


# --- where a round starts -----------------------------------------------------------------------


def retrain(start, mask, stage, **options):
    x, y = samples()
    batches = Windows(x, y).batches(stage, TRAINING.n_steps, TRAINING.batch_size)
    return rounds.train_masked(NETWORK, start, mask, batches, TRAINING, **options)


def wide(p, n_arms=None):
    return {n: torch.cat([v] * (n_arms or len(EVERY)), 1) for n, v in p.items()}


@pytest.mark.parametrize("step", [0, 1, 5, 12])
def test_rounds_start_from_the_values_of_the_rewind_step(step):
    arms = ("imp", "one-shot", "random")
    pruned = prune(arms, SHARES[:3], rewind_step=step)
    drawn = NETWORK.initial(SEEDS)
    dense, early = retrain(drawn, pruned.masks[0], 0, keep_at=step)
    assert all(torch.equal(v, pruned.start[n]) for n, v in early.items())
    assert all(torch.equal(v, pruned.trained[0][n]) for n, v in dense.items())
    assert torch.equal(pruned.start["weights.0"], drawn["weights.0"]) == (step == 0)
    assert torch.equal(pruned.start["weights.0"], dense["weights.0"]) == (step == 12)
    for r in (1, 2):
        again, _ = retrain(wide(pruned.start, 3), pruned.masks[r], r)
        assert all(torch.equal(v, pruned.trained[r][n]) for n, v in again.items())


def test_without_rewinding_a_round_starts_where_the_last_one_ended(pruned):
    for r in (1, 2, 3):
        last = wide(pruned.params("no rewind", r - 1))  # in its place among others, to the bit
        again, _ = retrain(last, pruned.masks[r], r)
        a = EVERY.index("no rewind")
        assert all(torch.equal(v[:, a], pruned.trained[r][n][:, a]) for n, v in again.items())


# --- which weights go ---------------------------------------------------------------------------


def best(score, allowed, n):
    """The n best of those allowed, by a stable sort."""
    out = np.zeros(allowed.shape, bool)
    for s in np.ndindex(len(allowed)):
        flat = np.where(allowed[s], score[s], -np.inf).ravel()
        out[s].reshape(-1)[np.argsort(-flat, kind="stable")[:n]] = True
    return out


def gains(pruned, arm, r):
    x, _ = samples()
    gain = non_gaussianity.gain_without(pruned.fields(arm)[r], x[:, :50])
    return np.nan_to_num(gain.numpy())


RULES = {
    "imp": lambda pruned, r: abs(pruned.fields("imp")[r].numpy()),
    "one-shot": lambda pruned, r: abs(pruned.fields("one-shot")[0].numpy()),
    "no rewind": lambda pruned, r: abs(pruned.fields("no rewind")[r].numpy()),
    "cavity": lambda pruned, r: -gains(pruned, "cavity", r),
    "neutral": lambda pruned, r: abs(gains(pruned, "neutral", r)),
    "reversed": lambda pruned, r: gains(pruned, "reversed", r),
}


@pytest.mark.parametrize("arm", RULES)
def test_each_arm_cuts_the_right_end(pruned, arm):
    kept = pruned.kept(arm).numpy()
    for r in range(1, len(SHARES)):
        expected = best(RULES[arm](pruned, r - 1), kept[r - 1], kept[r][0].sum())
        assert (kept[r] == expected).all()


def test_arms_do_differ(pruned):
    kept = [pruned.kept(arm)[2] for arm in EVERY]
    for a in range(len(kept)):
        assert not any(torch.equal(kept[a], other) for other in kept[:a])


def test_one_shot_is_a_cut_in_one_step(pruned):
    once = prune(("imp",), (1, SHARES[3]))
    assert torch.equal(once.kept("imp")[1], pruned.kept("one-shot")[3])


def test_random_masks_are_those_of_the_seed_alone(pruned):
    x, y = samples()
    other = prune(("random",), SHARES, (11,), source=Windows(x[1:] + 1, y[1:]))
    assert torch.equal(other.kept("random")[:, 0], pruned.kept("random")[:, 1])
    assert not torch.equal(pruned.kept("random")[1, 0], pruned.kept("random")[1, 1])
    counts = np.mean([prune(("random",), (1, 0.4), range(k, k + 4)).kept("random")[1].numpy()
                      for k in range(0, 40, 4)], (0, 1))  # fmt: skip
    assert abs(counts - 0.4).max() < 5 * (0.4 * 0.6 / 40) ** 0.5


@pytest.mark.parametrize("arm", EVERY)
def test_neither_seeds_nor_arms_beside_matter(pruned, arm):
    alone = prune((arm,), some_seeds=(11,))
    assert torch.equal(alone.kept(arm)[:, 0], pruned.kept(arm)[:, 1])
    torch.testing.assert_close(alone.fields(arm)[:, 0], pruned.fields(arm)[:, 1])
    for found, expected in zip(
        alone.trained, (pruned.params(arm, r) for r in range(5)), strict=True
    ):
        torch.testing.assert_close(found, {n: v[1:] for n, v in expected.items()})


def test_equal_scores_are_cut_from_the_back():
    masks = {"weights.0": torch.ones(2, 1, 3, 4, dtype=torch.bool)}
    masks["weights.0"][1, 0, 0] = False
    kept = rounds.cut(NETWORK, masks, {"weights.0": torch.zeros(2, 1, 3, 4)}, 0.5)["weights.0"]
    assert kept.flatten(1).tolist() == [
        [True] * 6 + [False] * 6,
        [False] * 4 + [True] * 6 + [False] * 2,
    ]
    assert masks["weights.0"].sum() == 20


def test_what_was_cut_never_comes_back():
    masks = {"weights.0": torch.eye(3, 4, dtype=torch.bool)[None, None]}
    scores = {"weights.0": -masks["weights.0"].float()}
    kept = rounds.cut(NETWORK, masks, scores, 0.5)["weights.0"]
    assert torch.equal(kept, masks["weights.0"])


def test_connected_units_are_counted():
    masks = torch.tensor([[[True, False], [False, False]], [[True, True], [False, True]]])
    assert rounds.connected(masks).tolist() == [0.5, 1]


def test_shares_are_rounded_to_the_nearest_number():
    for share, n in {0.5: 18, 0.49: 17, 0.015: 1, 0.9999: 35, 0.987: 35, 0.98: 34}.items():
        kept = prune(("imp",), (1, share)).kept("imp")[1]
        assert (kept.sum((-2, -1)) == n).all()


# --- results ------------------------------------------------------------------------------------


def test_accuracy_is_the_share_of_right_answers(pruned):
    x, y = samples()
    found = pruned.accuracy(x[:, 60:], y[:, 60:])
    assert found.keys() == set(EVERY)
    for arm in EVERY:
        assert found[arm].shape == (len(SHARES), 2)
        for r in range(len(SHARES)):
            p = pruned.params(arm, r)
            right = NETWORK.outputs(p, x[:, 60:])[:, 0].argmax(-1) == y[:, 60:]
            np.testing.assert_allclose(found[arm][r], right.double().mean(-1))
    assert found["imp"][0].mean() > 0.7
    assert (found["imp"][0] == found["random"][0]).all()
    assert (found["imp"][-1] != found["random"][-1]).any()


def test_parameters_of_an_arm_are_a_network(pruned):
    p = pruned.params("random", 2)
    assert p["weights.0"].shape == (2, 1, K, D)
    assert torch.equal(p["weights.0"][:, 0], pruned.fields("random")[2])
    assert torch.equal(p["weights.1"][:, 0], pruned.fields("random", "weights.1")[2])
    assert "tensor" not in repr(pruned)


def test_the_given_is_left_untouched():
    x, y = samples()
    was, before = (x.clone(), y.clone()), prune(("imp",))
    densities, dense = list(SHARES), before.trained[0]["weights.0"].clone()
    prune(EVERY, densities, source=Windows(x, y), probe=x)
    assert torch.equal(x, was[0])
    assert torch.equal(y, was[1])
    assert len(before.masks) == len(SHARES)
    assert torch.equal(before.trained[0]["weights.0"], dense)
    assert densities == list(SHARES)


def test_a_report_comes_after_every_round():
    lines = []
    prune(("imp",), SHARES[:3], report=lines.append)
    assert lines == [
        "round 0 of 2: 100.0% of weights kept",
        "round 1 of 2: 70.0% of weights kept",
        "round 2 of 2: 43.0% of weights kept",
    ]


def test_rounds_end_where_units_are_cut_off():
    full = prune(("imp", "random"))
    shares = [float(rounds.connected(m["weights.0"]).min()) for m in full.masks]
    assert shares[2] > shares[3]
    found = prune(("imp", "random"), least_connected=shares[3])
    assert found.densities == SHARES[:3]
    assert len(found.masks) == len(found.trained) == 3
    assert same(prune(("imp", "random"), SHARES[:3]), found)


# --- a folder -----------------------------------------------------------------------------------


def spied(monkeypatch):
    """Stages that are trained from now on."""
    stages, inner = [], Windows.batches

    def batches(self, stage, n_steps, size):
        stages.append(stage)
        return inner(self, stage, n_steps, size)

    monkeypatch.setattr(Windows, "batches", batches)
    return stages


class StoppedError(Exception):
    """What ends a run in the middle."""


def stop_after(r):
    def report(line):
        if line.startswith(f"round {r} "):
            raise StoppedError

    return report


@pytest.mark.slow
@pytest.mark.parametrize("r", [0, 2, 4])
@pytest.mark.parametrize("step", [0, 3])
def test_a_run_that_was_stopped_goes_on(tmp_path, monkeypatch, r, step):
    expected = prune(rewind_step=step)
    with pytest.raises(StoppedError):
        prune(rewind_step=step, folder=tmp_path / "new" / "runs", report=stop_after(r))
    files = sorted(p.name for p in (tmp_path / "new" / "runs").iterdir())
    assert files == [f"round-0{k}.joblib" for k in range(r + 1)]
    stages, lines = spied(monkeypatch), []
    found = prune(rewind_step=step, folder=str(tmp_path / "new" / "runs"), report=lines.append)
    assert stages == list(range(r + 1, 5))
    assert len(lines) == 5
    assert same(found, expected)


def test_nothing_is_written_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(joblib, "dump", None)
    prune(("imp",))
    assert not [*tmp_path.iterdir()]


SCRIPT = """
import os, sys, time
from pathlib import Path

import numpy as np, torch

from winnow import models
from winnow.training import rounds
from winnow.training.batches import Windows

torch.set_num_threads(1)
x, y = torch.tensor(np.load("x.npy")), torch.tensor(np.load("y.npy"))

def report(line):
    print(line, flush=True)
    if line.startswith("round 1 "):
        Path(f"kept/round-02.{os.getpid()}.part").write_bytes(b"half a fi")
        time.sleep(60)

rounds.prune(
    models.Perceptron((7, 5, 2), scheme="small", readout=True), Windows(x, y), seeds=(3, 11),
    arms=("imp", "random"),
    densities=(1, 0.7, 0.43, 0.2, 0.06), training=rounds.Training(12, 16, 0.1, 0.5),
    folder="kept", report=report,
)
"""


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(tmp_path, monkeypatch):
    for name, values in zip("xy", samples(), strict=True):
        np.save(tmp_path / f"{name}.npy", values.numpy())
    run = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    with run:
        lines = [run.stdout.readline(), run.stdout.readline()]
        while not [*(tmp_path / "kept").glob("*.part")] and run.poll() is None:
            time.sleep(0.01)
        os.kill(run.pid, signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert [line.split(":")[0] for line in lines] == ["round 0 of 4", "round 1 of 4"]
    [half] = (tmp_path / "kept").glob("*.part")
    stages = spied(monkeypatch)
    found = prune(("imp", "random"), probe=None, folder=tmp_path / "kept")
    assert stages == [2, 3, 4]
    assert half.read_bytes() == b"half a fi"
    expected = prune(("imp", "random"), probe=None)
    for arm in found.arms:
        assert torch.equal(found.kept(arm), expected.kept(arm))
        torch.testing.assert_close(found.fields(arm), expected.fields(arm))


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    prune(("imp",), folder=tmp_path, densities=SHARES[:2])
    whole = (tmp_path / "round-01.joblib").read_bytes()

    def full(values, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(joblib, "dump", full)
    (tmp_path / "round-01.joblib").unlink()
    with pytest.raises(OSError, match="No space left"):
        prune(("imp",), folder=tmp_path, densities=SHARES[:2])
    assert [p.name for p in tmp_path.iterdir()] == ["round-00.joblib"]
    monkeypatch.undo()
    prune(("imp",), folder=tmp_path, densities=SHARES[:2])
    assert len((tmp_path / "round-01.joblib").read_bytes()) == len(whole)


FOREIGN = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a round\n"),
    "other arrays": lambda path: joblib.dump({"weights": np.ones(3)}, path),
    "an array": lambda path: joblib.dump(np.ones(3), path),
    "a list": lambda path: joblib.dump([1, 2], path),
    "of torch": lambda path: torch.save({"weights": torch.ones(3)}, path),
}


@pytest.mark.parametrize("spoil", FOREIGN.values(), ids=FOREIGN)
def test_a_spoilt_round_is_named(tmp_path, spoil):
    prune(("imp",), folder=tmp_path, densities=SHARES[:3])
    path = tmp_path / "round-01.joblib"
    spoil(path)
    with pytest.raises(ValueError, match="is not a finished round") as error:
        prune(("imp",), folder=tmp_path, densities=SHARES[:3])
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_round_that_cannot_be_read_for_want_of_memory_is_not_called_spoilt(tmp_path, monkeypatch):
    prune(("imp",), folder=tmp_path)

    def load(*args, **options):
        raise MemoryError

    monkeypatch.setattr(joblib, "load", load)
    with pytest.raises(MemoryError):
        prune(("imp",), folder=tmp_path)


def other_data():
    x, y = samples()
    x[0, 0, 0] += 1
    return Windows(x, y)


OTHER = {
    "network": {"network": models.Perceptron((D, K, 2), scheme="uniform", readout=True)},
    "seeds": {
        "some_seeds": (3, 12),
        "source": Windows(*samples()),
        "probe": samples()[0][:, :50],
    },
    "densities": {"densities": (1, 0.7, 0.4)},
    "training": {"training": dataclasses.replace(TRAINING, lr=0.2)},
    "arms": {"arms": ("imp", "random")},
    "rewind_step": {"rewind_step": 1},
    "least_connected": {"least_connected": 0.1},
    "data": {"source": other_data()},
}


@pytest.mark.parametrize("what", [*OTHER, "probe"])
def test_a_folder_of_another_run_is_refused(tmp_path, what):
    prune(("imp",), folder=tmp_path, densities=SHARES[:3])
    options = OTHER.get(what, {"probe": samples()[0]})
    said = "data" if what == "probe" else what
    with pytest.raises(ValueError, match=f"belongs to a run with other {said}: choose") as error:
        prune(**{"arms": ("imp",), "folder": tmp_path, "densities": SHARES[:3]} | options)
    assert str(error.value).startswith(str(tmp_path / "round-00.joblib"))


def test_seeds_and_numbers_may_be_numpys(tmp_path, monkeypatch):
    training = rounds.Training(np.int64(12), np.int64(16), np.float64(0.1), np.float32(0.5))
    options = {"densities": np.array(SHARES), "some_seeds": np.array(SEEDS), "training": training}
    found = prune(("imp",), folder=tmp_path, rewind_step=np.int64(2), **options)
    stages = spied(monkeypatch)
    assert same(prune(("imp",), folder=tmp_path, rewind_step=2), found)
    assert stages == []


# --- what is refused ----------------------------------------------------------------------------


def test_training_that_diverges_is_named(tmp_path):
    wild = rounds.Training(60, batch_size=16, lr=1e6)
    with pytest.raises(ValueError, match=r".*: lower lr, which is 1000000\.0"):
        prune(("imp",), training=wild, folder=tmp_path)
    assert not [*tmp_path.iterdir()]


X, Y = samples()
LATER = rounds.Training(10**9, batch_size=16)  # must be refused before any training
WRONG = {
    "fraction": (lambda: rounds.geometric(1.0, 3), r"fraction must be in \(0, 1\), got 1.0"),
    "no fraction": (lambda: rounds.geometric(0.0, 3), r"fraction must be in \(0, 1\), got 0.0"),
    "rounds": (lambda: rounds.geometric(0.3, 0), "n_rounds must be 1 or larger, got 0"),
    "steps": (lambda: rounds.Training(0), "n_steps must be 1 or larger, got 0"),
    "batch": (lambda: rounds.Training(5, 0), "batch_size must be 1 or larger, got 0"),
    "rate": (lambda: rounds.Training(5, lr=0.0), r"lr must be in \(0, inf\), got 0.0"),
    "no rate": (lambda: rounds.Training(5, lr=float("nan")), r"lr must be in \(0, inf\), got nan"),
    "momentum": (
        lambda: rounds.Training(5, momentum=1.0),
        r"momentum must be in \[0, 1\), got 1.0",
    ),
    "window": (
        lambda: prune(("imp",), training=rounds.Training(5, N + 1)),
        r"batch_size must be in \[1, 120\], got 121",
    ),
    "arm": (
        lambda: prune(("imp", "slow"), training=LATER),
        "unknown pruner 'slow': choose from random, imp",
    ),
    "no arm": (lambda: prune((), training=LATER), "arms must name at least one of random, imp"),
    "start": (lambda: prune(densities=(0.9, 0.5), training=LATER), r"got \[0\.9, 0\.5\]"),
    "one": (lambda: prune(densities=(1,), training=LATER), r"must fall from 1 .* got \[1\.0\]"),
    "rise": (lambda: prune(densities=(1, 0.5, 0.5), training=LATER), r"got \[1\.0, 0\.5, 0\.5\]"),
    "zero": (
        lambda: prune(densities=(1, 0.0), training=LATER),
        r"stay above 0, got \[1\.0, 0\.0\]",
    ),
    "nothing": (
        lambda: prune(densities=(1, 0.014, 0.01), training=LATER),
        "density must leave a weight of 35, got 0.01",
    ),
    "rewind": (lambda: prune(rewind_step=13), r"rewind_step must be in \[0, 12\], got 13"),
    "rewind back": (lambda: prune(rewind_step=-1), r"rewind_step must be in \[0, 12\], got -1"),
    "probe": (lambda: prune(probe=None, training=LATER), r"probe: pass inputs \(S, n, D\)"),
    "replicas": (
        lambda: prune(("imp",), source=Windows(X[:1], Y[:1]), training=LATER),
        "seeds must be one for each of 1 replicas, got 2",
    ),
    "seeds": (
        lambda: prune(("imp",), some_seeds=(1,), source=Draws(X[0], Y[0], (1, 2))),
        "one for each of 2 replicas, got 1",
    ),
    "cut": (
        lambda: rounds.cut(
            NETWORK,
            {"weights.0": torch.ones(1, 1, 2, 2, dtype=torch.bool)},
            {"weights.0": torch.ones(1, 1, 2, 2)},
            0.1,
        ),
        "density must leave a weight of 4, got 0.1",
    ),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_unknown_arms_of_rounds_are_named(pruned):
    for call in (pruned.fields, pruned.kept, lambda arm: pruned.params(arm, 0)):
        with pytest.raises(ValueError, match="unknown arm 'slow': choose from random, imp"):
            call("slow")


def test_arms_may_be_ones_own():
    mine = dataclasses.replace(pruners.PRUNERS["random"], rewind=False)
    found = prune({"mine": mine, "imp": pruners.PRUNERS["imp"]}, SHARES[:3])
    assert found.arms == ("mine", "imp")
    assert torch.equal(found.kept("mine"), prune(("random",), SHARES[:3]).kept("random"))


# --- networks of one's own ----------------------------------------------------------------------


class Linear:
    """A network as a user may write it: no closed form, a plain ``repr``, names of its own."""

    def __init__(self, names=("filters",), ranked=None, lr=1.0):
        self.names, self.pruned, self.lr = names, ranked or (names,), lr
        self.activation = lambda v: v  # nothing that can be pickled

    def initial(self, some_seeds, **options):
        drawn = [torch.tensor(g.normal(size=(1, 2, D))) for g in seeds.generators(some_seeds, "a")]
        return {name: torch.stack(drawn).float() for name in self.names}

    def outputs(self, p, x):
        return self.activation(x[:, None] @ sum(p.values()).mT)

    def loss(self, p, x, y):
        return ((self.outputs(p, x)[..., 0] - y[:, None]) ** 2).mean(-1) * self.lr

    def right(self, p, x, y):
        return (self.outputs(p, x)[..., 0] > 0.5) == (y[:, None] > 0.5)


def test_ones_own_network_resumes_from_another_object_of_its_kind(tmp_path, monkeypatch):
    assert " at 0x" in repr(Linear())
    options = {"folder": tmp_path, "training": dataclasses.replace(TRAINING, lr=0.01)}
    with pytest.raises(StoppedError):
        prune(network=Linear(), report=stop_after(2), **options)
    stages = spied(monkeypatch)
    found = prune(network=Linear(), **options)
    assert stages == [3, 4]
    assert same(found, prune(network=Linear(), **options | {"folder": None}))
    with pytest.raises(ValueError, match="belongs to a run with other network: choose"):
        prune(network=Linear(lr=0.5), **options)


@pytest.mark.parametrize("arm", EVERY)
def test_ones_own_network_has_fields_whatever_they_are_called(arm):
    found = prune((arm,), network=Linear(), training=dataclasses.replace(TRAINING, lr=0.01))
    assert found.fields(arm).shape == found.kept(arm).shape == (len(SHARES), 2, 2, D)
    assert torch.equal(found.fields(arm), found.fields(arm, "filters"))
    with pytest.raises(ValueError, match="unknown parameter 'weights': choose from filters"):
        found.fields(arm, "weights")


@pytest.mark.parametrize("ranked", [(("a", "b"),), (("a",), ("b",))])
def test_a_cavity_score_of_deeper_layers_is_refused_before_training(ranked):
    network = Linear(("a", "b"), ranked)
    with pytest.raises(ValueError, match="first layer only, but this network prunes b too"):
        prune(("imp", "reversed"), network=network, training=LATER)
    assert prune(("imp",), network=network).fields("imp").shape == (len(SHARES), 2, 2, D)
