"""The deep network with batch normalisation against torch.nn, and pruned through one function."""

import itertools

import pytest
import torch

from winnow.models import NormedMLP
from winnow.training import rounds
from winnow.training.batches import Draws

DOUBLE = {"dtype": torch.float64}
SIZES, SEEDS, N = (5, 7, 6, 3), (2, 9), 40
NETWORK = NormedMLP(SIZES, memory=0.9)


def parameters(n_arms=1, seeds=SEEDS):
    """First values moved away from zeros and ones, arms that differ."""
    source = torch.Generator().manual_seed(1)
    out = {}
    for name, v in NETWORK.initial(seeds, **DOUBLE).items():
        noise = torch.randn((len(seeds), n_arms, *v.shape[2:]), generator=source, **DOUBLE)
        out[name] = v + 0.3 * (noise.abs() if name.startswith("var") else noise)
    return out


def batch(n=N):
    source = torch.Generator().manual_seed(2)
    x = 2 + 3 * torch.randn(len(SEEDS), n, SIZES[0], generator=source, **DOUBLE)
    return x, torch.randint(SIZES[-1], (len(SEEDS), n), generator=source)


def reference(p, s=0, a=0):
    """BatchNorm1d and Linear in turn, with one replica's and arm's values."""
    parts = []
    for i, (d, k) in enumerate(itertools.pairwise(SIZES)):
        norm, linear = torch.nn.BatchNorm1d(d, **DOUBLE), torch.nn.Linear(d, k, **DOUBLE)
        values = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "var"}
        state = {theirs: p[f"{ours}.{i}"][s, a] for theirs, ours in values.items()}
        norm.load_state_dict(norm.state_dict() | state)
        linear.load_state_dict({"weight": p[f"weights.{i}"][s, a], "bias": p[f"biases.{i}"][s, a]})
        parts += [norm, linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


def close(found, expected, **bars):
    torch.testing.assert_close(found, expected, **({"rtol": 1e-10, "atol": 1e-12} | bars))


PAIRS = [(s, a) for s in range(2) for a in range(2)]


def test_a_training_step_is_that_of_torch():
    p, (x, y) = parameters(n_arms=2), batch()
    loss, was = NETWORK.loss(p, x, y), {n: v.clone() for n, v in p.items()}
    assert all(torch.equal(p[n], was[n]) for n in p)  # a loss moves nothing
    found = NETWORK.lesson(p, x, y).gradients
    for s, a in PAIRS:
        net = reference(was, s, a).train()
        net.zero_grad()
        expected = torch.nn.functional.cross_entropy(net(x[s]), y[s])
        close(loss[s, a], expected.detach())
        expected.backward()
        for i in range(len(SIZES) - 1):
            norm, linear = net[3 * i], net[3 * i + 1]
            theirs = {"gamma": norm.weight, "beta": norm.bias}
            theirs |= {"weights": linear.weight, "biases": linear.bias}
            for name, value in theirs.items():
                close(found[f"{name}.{i}"][s, a], value.grad)
    assert {name.split(".")[0] for name in found} == {"weights", "biases", "gamma", "beta"}


def test_running_means_move_by_a_step_of_the_batch():
    """torch's variance in training is the unbiased one, ours is what the batch was divided by."""
    p, (x, y) = parameters(n_arms=2), batch()
    was = {n: v.clone() for n, v in p.items()}
    moved = NETWORK.lesson(p, x, y).moved
    assert all(torch.equal(p[n], was[n]) for n in p)  # the loop moves them, not the lesson
    for s, a in PAIRS:
        net = reference(was, s, a).train()
        for norm in net[::3]:
            norm.momentum = 1.0
        net(x[s])
        for i in range(len(SIZES) - 1):
            mean, var = net[3 * i].running_mean, net[3 * i].running_var * (N - 1) / N
            close(moved[f"mean.{i}"][s, a], 0.9 * was[f"mean.{i}"][s, a] + 0.1 * mean)
            close(moved[f"var.{i}"][s, a], 0.9 * was[f"var.{i}"][s, a] + 0.1 * var)
    assert {n.split(".")[0] for n in moved} == {"mean", "var"}


def test_evaluation_is_normalised_by_the_running_means():
    p, (x, y) = parameters(n_arms=2), batch()
    found, right = NETWORK.outputs(p, x), NETWORK.right(p, x, y)
    assert found.shape == (2, 2, N, 3)
    for s, a in PAIRS:
        expected = reference(p, s, a).eval()(x[s]).detach()
        close(found[s, a], expected)
        assert torch.equal(right[s, a], expected.argmax(-1) == y[s])
    first = NETWORK.outputs(p, x[:, :1])
    close(first, found[:, :, :1])  # a sample does not depend on those beside it


def test_replicas_and_arms_do_not_depend_on_others():
    many, alone = NETWORK.initial(SEEDS), NETWORK.initial([9])
    assert all(torch.equal(alone[n][0], many[n][1]) for n in many)
    assert not torch.equal(many["weights.0"][0], many["weights.0"][1])
    assert not torch.equal(many["weights.0"][0, 0, :6, :5], many["weights.1"][0, 0, :6, :5])
    p, (x, y) = parameters(n_arms=3), batch()
    only = {n: v[1:, 2:].clone() for n, v in p.items()}
    found, one = NETWORK.lesson(p, x, y), NETWORK.lesson(only, x[1:], y[1:])
    for name in found.gradients:
        close(one.gradients[name][0, 0], found.gradients[name][1, 2])
    for name in found.moved:
        close(one.moved[name][0, 0], found.moved[name][1, 2])


def test_first_values_are_glorots():
    p = NormedMLP((300, 200, 2)).initial(range(3))
    assert p["weights.0"].shape == (3, 1, 200, 300)
    assert float(p["weights.0"].std()) == pytest.approx((2 / 500) ** 0.5, rel=0.02)
    for name, value in {"gamma": 1, "beta": 0, "mean": 0, "var": 1, "biases": 0}.items():
        assert (p[f"{name}.0"] == value).all()


def test_a_constant_input_is_no_division_by_zero():
    p, (x, y) = parameters(), batch()
    x[..., 2] = 4.0
    assert all(v.isfinite().all() for v in NETWORK.lesson(p, x, y).gradients.values())


# --- pruned -------------------------------------------------------------------------------------

TRAINING = rounds.Training(6, batch_size=20, lr=0.02)


def pruned(densities=(1, 0.5, 0.3), arms=("imp", "random"), seeds=SEEDS, **options):
    source = torch.Generator().manual_seed(5)
    x, y = torch.randn(200, 5, generator=source), torch.randint(3, (200,), generator=source)
    draws = Draws(x, y, seeds)
    return rounds.prune(
        NETWORK, draws, seeds=seeds, densities=densities, training=TRAINING, arms=arms, **options
    )


def test_weights_and_biases_are_ranked_together_layer_by_layer():
    found = pruned()
    assert NETWORK.pruned == (("weights.0", "biases.0"), ("weights.1", "biases.1"))
    for r, share in enumerate(found.densities):
        for i, (d, k) in enumerate(((5, 7), (7, 6))):
            w, b = (found.kept("imp", f"{name}.{i}")[r] for name in ("weights", "biases"))
            n = w.flatten(1).sum(1) + b.sum(1)
            assert (n == round(share * (d * k + k))).all()
    before, m = found.trained[0], found.masks[1]
    for i in range(2):
        size = [torch.cat([before[f"{n}.{i}"][s, 0].flatten() for n in ("weights", "biases")])
                for s in range(2)]  # fmt: skip
        kept = [torch.cat([m[f"{n}.{i}"][s, 0].flatten() for n in ("weights", "biases")])
                for s in range(2)]  # fmt: skip
        for v, k in zip(size, kept, strict=True):
            assert v[k].abs().min() >= v[~k].abs().max()
        assert any(not m[f"biases.{i}"][s, 0].all() for s in range(2))
    assert "weights.2" not in m
    for p, masks in zip(found.trained, found.masks, strict=True):
        assert all(not p[name][~mask].any() for name, mask in masks.items())


def test_random_scores_of_weights_and_biases_have_nothing_in_common():
    found = pruned(arms=("random",))
    w, b = (found.kept("random", f"{name}.0")[1:] for name in ("weights", "biases"))
    assert not torch.equal(w.flatten(2)[..., :7], b)


def test_arms_together_are_arms_alone():
    both = pruned()
    for arm in both.arms:
        alone = pruned(arms=(arm,))
        for name in both.masks[0]:
            assert torch.equal(alone.kept(arm, name), both.kept(arm, name))
        for name, value in both.params(arm, 2).items():
            torch.testing.assert_close(alone.params(arm, 2)[name], value, rtol=1e-4, atol=1e-5)


def test_rewinding_takes_the_running_means_along():
    found = pruned(rewind_step=2)
    first = pruned()
    assert not torch.equal(found.start["mean.0"], first.start["mean.0"])
    masks = found.masks[1]
    again, _ = rounds.train_masked(
        NETWORK,
        {n: torch.cat([v, v], 1) for n, v in found.start.items()},
        masks,
        Draws(*data_of(), SEEDS).batches(1, 6, 20),
        TRAINING,
    )
    assert all(torch.equal(again[n], v) for n, v in found.trained[1].items())


def data_of():
    source = torch.Generator().manual_seed(5)
    return torch.randn(200, 5, generator=source), torch.randint(3, (200,), generator=source)


def test_rounds_end_before_a_layer_loses_its_units():
    densities = rounds.geometric(0.5, 5)
    everything = pruned(densities, arms=("imp",))
    shares = [
        min(float(rounds.connected(m[f"weights.{i}"]).min()) for i in range(2))
        for m in everything.masks
    ]
    assert shares[0] == 1
    bar = 0.6
    n = next(r for r, share in enumerate(shares) if share <= bar)
    found = pruned(densities, arms=("imp",), least_connected=bar)
    assert 1 < n < len(everything.masks)
    assert found.densities == densities[:n]
    assert len(found.masks) == len(found.trained) == n
    assert found.fields("imp", "weights.0").shape == (n, 2, 7, 5)
    assert all(len(v) == n for v in found.accuracy(*batch_32()).values())


def batch_32():
    x, y = batch()
    return x.float(), y


WRONG = {
    "few": (lambda: NormedMLP((3, 2)), r"3 or more layers .* got \(3, 2\)"),
    "empty": (lambda: NormedMLP((3, 0, 2)), r"1 or more units, got \(3, 0, 2\)"),
    "memory": (lambda: NormedMLP((3, 2, 2), memory=1.0), r"memory must be in \[0, 1\), got 1.0"),
    "negative": (lambda: NormedMLP((3, 2, 2), memory=-0.1), "memory must be"),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_sizes_out_of_range_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
