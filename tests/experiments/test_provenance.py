"""The numbers stored in the author's notebooks of May 2025, met by training ourselves."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from winnow import data
from winnow.experiments import provenance
from winnow.metrics import orderedness

NAMES = {
    "RandomPrune": "random",
    "TopKPrune": "top_k",
    "DynamicTopK": "dynamic_top_k",
    "TrilDamp": "damp",
    "DynamicTrilDamp": "dynamic_damp",
}
ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(os.environ.get("WINNOW_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
TABLE = REFERENCE / "song" / "published_sweeps.csv"


def published():
    if not TABLE.is_file():
        missing = f"{TABLE.name} is not in {TABLE.parent}: set WINNOW_REFERENCE_DATA"
        return [pytest.param(None, marks=pytest.mark.skip(reason=missing))]
    rows = csv.DictReader(TABLE.read_text().splitlines())
    return [
        pytest.param(row, id="-".join((row["task"], row["pruner"], row["parameter"])))
        for row in rows
    ]


@pytest.mark.parametrize("row", published())
def test_published_means_and_deviations_are_met(row):
    fit = provenance.author_trials(
        row["task"],
        NAMES[row["pruner"]],
        float(row["parameter"]),
        n_hidden=int(row["hidden"]),
        n_iterations=int(row["iterations"]),
    )
    trials = orderedness.value(fit.square, n_fixed=2).numpy()  # two units pinned, as in May
    assert trials.shape == (5,)
    assert trials.mean() == pytest.approx(float(row["orderedness_mean"]), abs=0.0015)
    assert trials.std() == pytest.approx(float(row["orderedness_std"]), abs=0.0015)


def one_after_the_other(n_trials, n_epochs):
    """Exclusive or under constant top-k, as a notebook would write it: no replica axis at all."""
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    y = torch.tensor([[0.0], [1], [1], [0]])
    rows = DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)
    torch.manual_seed(20)
    trials = []
    for _ in range(n_trials):
        initial = torch.nn.Parameter(torch.normal(0.0, 1.0, (1, 6)))
        weights = torch.nn.Parameter(torch.normal(0.0, 1.0, (6, 8)))
        optimiser = torch.optim.Adam([weights, initial], lr=0.01)
        for _ in range(n_epochs):
            for bx, by in rows:
                v = initial.expand(len(bx), 6)
                for _ in range(3):
                    v = torch.sigmoid(torch.cat([v, bx], 1) @ weights.T)
                optimiser.zero_grad()
                torch.nn.functional.mse_loss(v[:, :1], by).backward()
                optimiser.step()
                with torch.no_grad():
                    smallest = weights.abs().flatten().argsort()[:24]
                    weights.view(-1)[smallest] = 0
        trials.append(weights.detach())
    return torch.stack(trials)


def test_trials_at_once_are_trials_in_a_loop():
    with torch.random.fork_rng(devices=[]):
        expected = one_after_the_other(n_trials=2, n_epochs=data.xor().n_epochs)
    fit = provenance.author_trials("xor", "top_k", 0.5, n_trials=2)
    assert torch.equal(fit.weights != 0, expected != 0)
    torch.testing.assert_close(fit.weights, expected, rtol=1e-3, atol=2e-3)


def starts(scheme, value, monkeypatch):
    """Initial weights and first masks, without the training."""
    monkeypatch.setitem(data.TASKS, "xor", lambda: SHORT)
    return provenance.author_trials("xor", scheme, value)


SHORT = data.task("xor", n_epochs=3)


def test_trials_share_one_random_mask_and_nested_ones_over_the_knob(monkeypatch):
    few, many = (starts("random", f, monkeypatch).weights != 0 for f in (0.6, 0.2))
    assert (few == few[0]).all()
    assert (few <= many).all()
    assert 0 < few.sum() < many.sum()


def test_trials_start_apart_and_leave_the_global_generator_alone(monkeypatch):
    state = torch.get_rng_state()
    fit = starts("top_k", 0.5, monkeypatch)
    assert torch.equal(torch.get_rng_state(), state)
    assert len({w.item() for w in fit.before[:, 0, 0]}) == 5


def test_threshold_trials_are_refused():
    with pytest.raises(ValueError, match="threshold trials share one frozen threshold"):
        provenance.author_trials("xor", "threshold", None)


def test_the_comparison_pins_two_units_and_one(monkeypatch):
    block = starts("top_k", 0.5, monkeypatch).square
    table = provenance.compare({("xor", "top_k", 0.5): 0.7})
    [row] = table.to_dict("records")
    expected = [float(np.mean(orderedness.value(block, n_fixed=m).numpy())) for m in (2, 1)]
    assert [row["task"], row["scheme"], row["value"], row["published"]] == [
        "xor",
        "top_k",
        0.5,
        0.7,
    ]
    assert [row["two pinned"], row["output pinned"]] == pytest.approx(expected)
    assert expected[0] != expected[1]
