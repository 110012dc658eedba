"""The committee against torch.nn and autograd."""

import pytest
import torch

from winnow import models

DOUBLE = {"dtype": torch.float64}
SEEDS, ARMS, N, D, K = (3, 8), 3, 11, 6, 4
NETWORK = models.Committee(D, K, scale=1.0)


class PlainCommittee(torch.nn.Module):
    """One replica and arm, the usual way."""

    def __init__(self, p):
        super().__init__()
        self.weights, self.biases, self.offset = map(
            torch.nn.Parameter, (p["weights"], p["biases"], p["offset"])
        )

    def forward(self, x):
        return torch.relu(x @ self.weights.T + self.biases).sum(-1) / K + self.offset

    def loss(self, x, y):
        return torch.nn.functional.mse_loss(self(x), y.double()) / 2

    def right(self, x, y):
        return (self(x) > 0.5) == (y > 0.5)


def parameters(network=NETWORK, seeds=SEEDS, n_arms=ARMS):
    """First values, and something else in each arm and where they start at 0."""
    source = torch.Generator().manual_seed(1)
    return {
        name: torch.cat([v] * n_arms, 1)
        + torch.randn((len(seeds), n_arms, *v.shape[2:]), generator=source, **DOUBLE) / 2
        for name, v in network.initial(seeds, **DOUBLE).items()
    }


def batch():
    source = torch.Generator().manual_seed(2)
    x = torch.randn(len(SEEDS), N, D, generator=source, **DOUBLE)
    return x, torch.randint(2, (len(SEEDS), N), generator=source)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_each_replica_and_arm_is_a_plain_network():
    p, (x, y) = parameters(), batch()
    outputs, loss, right = (f(p, x, *more) for f, more in (
        (NETWORK.outputs, ()), (NETWORK.loss, (y,)), (NETWORK.right, (y,)),
    ))  # fmt: skip
    assert loss.shape == (len(SEEDS), ARMS)
    assert right.shape == (len(SEEDS), ARMS, N)
    assert 0 < right.double().mean() < 1
    for s in range(len(SEEDS)):
        for a in range(ARMS):
            plain = PlainCommittee({name: v[s, a] for name, v in p.items()})
            close(outputs[s, a], plain(x[s]).detach())
            close(loss[s, a], plain.loss(x[s], y[s]).detach())
            assert torch.equal(right[s, a], plain.right(x[s], y[s]))


def test_gradients_are_those_of_autograd():
    """Those of the committee's weights and biases are K times as large."""
    p, (x, y) = parameters(), batch()
    found = NETWORK.lesson(p, x, y).gradients
    assert found.keys() == p.keys()
    scaled = {"weights": K, "biases": K}
    for s in range(len(SEEDS)):
        for a in range(ARMS):
            plain = PlainCommittee({name: v[s, a] for name, v in p.items()})
            plain.loss(x[s], y[s]).backward()
            for name, value in plain.named_parameters():
                close(found[name][s, a], scaled.get(name, 1) * value.grad)


def test_gradients_are_those_of_the_loss():
    p, (x, y) = parameters(), batch()
    for value in p.values():
        value.requires_grad_()
    NETWORK.loss(p, x, y).sum().backward()
    plain = {name: value.detach() for name, value in p.items()}
    for name, value in NETWORK.lesson(plain, x, y).gradients.items():
        close(value, (1 if name == "offset" else K) * p[name].grad)


def test_parameters_and_data_are_left_untouched():
    p, (x, y) = parameters(), batch()
    was = [v.clone() for v in (*p.values(), x, y)]
    NETWORK.lesson(p, x, y)
    NETWORK.loss(p, x, y)
    NETWORK.right(p, x, y)
    assert all(torch.equal(a, b) for a, b in zip(was, (*p.values(), x, y), strict=True))


def test_a_replica_and_an_arm_do_not_depend_on_others():
    alone, many = NETWORK.initial([8]), NETWORK.initial(SEEDS)
    assert all(torch.equal(alone[name][0], many[name][1]) for name in many)
    assert not torch.equal(many["weights"][0], many["weights"][1])
    p, (x, y) = parameters(), batch()
    found = NETWORK.lesson(p, x, y).gradients
    only = NETWORK.lesson({n: v[1:, 2:] for n, v in p.items()}, x[1:], y[1:]).gradients
    for name in found:
        close(only[name][0, 0], found[name][1, 2])


def test_batches_may_be_views_of_more():
    p, (x, y) = parameters(), batch()
    found, copy = (
        NETWORK.lesson(p, x[:, 2:7], y[:, 2:7]).gradients,
        (x[:, 2:7].clone(), y[:, 2:7].clone()),
    )
    for name, value in NETWORK.lesson(p, *copy).gradients.items():
        assert torch.equal(found[name], value)


def test_first_values_have_the_stated_scale():
    committee = models.Committee(40, 500, scale=0.3).initial(range(4))
    assert committee["weights"].dtype == torch.float32
    assert committee["weights"].shape == (4, 1, 500, 40)
    assert float(committee["weights"].std()) == pytest.approx(0.3 / 40**0.5, rel=0.02)
    assert float(committee["weights"].mean()) == pytest.approx(0, abs=1e-3)
    assert not committee["biases"].any()
    assert not committee["offset"].any()


def test_the_pace_of_a_committee_does_not_depend_on_its_size():
    """Copies of all units have the same outputs, and so do they after a step."""
    small, large = models.Committee(D, K), models.Committee(D, 3 * K)
    p, (x, y) = parameters(small), batch()
    copies = {n: v if n == "offset" else torch.cat([v] * 3, 2) for n, v in p.items()}
    close(large.outputs(copies, x), small.outputs(p, x))
    found, few = large.lesson(copies, x, y).gradients, small.lesson(p, x, y).gradients
    close(found["weights"], torch.cat([few["weights"]] * 3, 2))
    close(found["offset"], few["offset"])


WRONG = {
    "inputs": (lambda: models.Committee(0, 3), "n_inputs must be 1 or larger, got 0"),
    "hidden": (lambda: models.Committee(3, -1), "n_hidden must be 1 or larger, got -1"),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_sizes_out_of_range_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
