"""Networks with one hidden layer against torch.nn and autograd."""

import pytest
import torch

from winnow import models

DOUBLE = {"dtype": torch.float64}
SEEDS, ARMS, N, D, K, C = (3, 8), 3, 11, 6, 4, 3
NETWORKS = {
    "committee": models.Committee(D, K, scale=1.0),
    "two layers": models.TwoLayer(D, K, C, scale=1.0),
}
networks = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


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


class PlainTwoLayer(torch.nn.Module):
    """One replica and arm, the usual way."""

    def __init__(self, p):
        super().__init__()
        self.weights, self.biases, self.readout = map(
            torch.nn.Parameter, (p["weights"], p["biases"], p["readout"])
        )

    def forward(self, x):
        return torch.relu(x @ self.weights.T + self.biases) @ self.readout.T

    def loss(self, x, y):
        return torch.nn.functional.cross_entropy(self(x), y)

    def right(self, x, y):
        return self(x).argmax(-1) == y


PLAIN = {models.Committee: PlainCommittee, models.TwoLayer: PlainTwoLayer}


def parameters(network, seeds=SEEDS, n_arms=ARMS):
    """First values, and something else in each arm and where they start at 0."""
    source = torch.Generator().manual_seed(1)
    return {
        name: torch.cat([v] * n_arms, 1)
        + torch.randn((len(seeds), n_arms, *v.shape[2:]), generator=source, **DOUBLE) / 2
        for name, v in network.initial(seeds, **DOUBLE).items()
    }


def batch(n_classes=2):
    source = torch.Generator().manual_seed(2)
    x = torch.randn(len(SEEDS), N, D, generator=source, **DOUBLE)
    return x, torch.randint(n_classes, (len(SEEDS), N), generator=source)


def batch_of(network):
    return batch(n_classes=getattr(network, "n_classes", 2))


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


@networks
def test_each_replica_and_arm_is_a_plain_network(network):
    p, (x, y) = parameters(network), batch_of(network)
    outputs, loss, right = (f(p, x, *more) for f, more in (
        (network.outputs, ()), (network.loss, (y,)), (network.right, (y,)),
    ))  # fmt: skip
    assert loss.shape == (len(SEEDS), ARMS)
    assert right.shape == (len(SEEDS), ARMS, N)
    assert 0 < right.double().mean() < 1
    for s in range(len(SEEDS)):
        for a in range(ARMS):
            plain = PLAIN[type(network)]({name: v[s, a] for name, v in p.items()})
            close(outputs[s, a], plain(x[s]).detach())
            close(loss[s, a], plain.loss(x[s], y[s]).detach())
            assert torch.equal(right[s, a], plain.right(x[s], y[s]))


@networks
def test_gradients_are_those_of_autograd(network):
    """Those of the committee's weights and biases are K times as large."""
    p, (x, y) = parameters(network), batch_of(network)
    found = network.gradients(p, x, y)
    assert found.keys() == p.keys()
    scaled = {"weights": K, "biases": K} if isinstance(network, models.Committee) else {}
    for s in range(len(SEEDS)):
        for a in range(ARMS):
            plain = PLAIN[type(network)]({name: v[s, a] for name, v in p.items()})
            plain.loss(x[s], y[s]).backward()
            for name, value in plain.named_parameters():
                close(found[name][s, a], scaled.get(name, 1) * value.grad)


@networks
def test_gradients_are_those_of_the_loss(network):
    p, (x, y) = parameters(network), batch_of(network)
    for value in p.values():
        value.requires_grad_()
    network.loss(p, x, y).sum().backward()
    plain = {name: value.detach() for name, value in p.items()}
    factor = K if isinstance(network, models.Committee) else 1
    for name, value in network.gradients(plain, x, y).items():
        close(value, (1 if name in ("offset", "readout") else factor) * p[name].grad)


@networks
def test_parameters_and_data_are_left_untouched(network):
    p, (x, y) = parameters(network), batch_of(network)
    was = [v.clone() for v in (*p.values(), x, y)]
    network.gradients(p, x, y)
    network.loss(p, x, y)
    network.right(p, x, y)
    assert all(torch.equal(a, b) for a, b in zip(was, (*p.values(), x, y), strict=True))


@networks
def test_a_replica_and_an_arm_do_not_depend_on_others(network):
    alone, many = network.initial([8]), network.initial(SEEDS)
    assert all(torch.equal(alone[name][0], many[name][1]) for name in many)
    assert not torch.equal(many["weights"][0], many["weights"][1])
    p, (x, y) = parameters(network), batch_of(network)
    found = network.gradients(p, x, y)
    only = network.gradients({n: v[1:, 2:] for n, v in p.items()}, x[1:], y[1:])
    for name in found:
        close(only[name][0, 0], found[name][1, 2])


@networks
def test_batches_may_be_views_of_more(network):
    p, (x, y) = parameters(network), batch_of(network)
    found, copy = network.gradients(p, x[:, 2:7], y[:, 2:7]), (x[:, 2:7].clone(), y[:, 2:7].clone())
    for name, value in network.gradients(p, *copy).items():
        assert torch.equal(found[name], value)


def test_first_values_have_the_stated_scale():
    committee = models.Committee(40, 500, scale=0.3).initial(range(4))
    assert committee["weights"].dtype == torch.float32
    assert committee["weights"].shape == (4, 1, 500, 40)
    assert float(committee["weights"].std()) == pytest.approx(0.3 / 40**0.5, rel=0.02)
    assert float(committee["weights"].mean()) == pytest.approx(0, abs=1e-3)
    assert not committee["biases"].any()
    assert not committee["offset"].any()
    two = models.TwoLayer(40, 500, 5).initial(range(4))
    assert float(two["weights"].std()) == pytest.approx((0.02 / 40) ** 0.5, rel=0.02)
    assert two["readout"].shape == (4, 1, 5, 500)
    assert float(two["readout"].std()) == pytest.approx(500**-0.5, rel=0.03)
    assert not two["biases"].any()
    one = (two["weights"][0].flatten()[:2500], two["readout"][0].flatten())
    assert abs(float(torch.corrcoef(torch.stack(one))[0, 1])) < 0.1


def test_the_pace_of_a_committee_does_not_depend_on_its_size():
    """Copies of all units have the same outputs, and so do they after a step."""
    small, large = models.Committee(D, K), models.Committee(D, 3 * K)
    p, (x, y) = parameters(small), batch()
    copies = {n: v if n == "offset" else torch.cat([v] * 3, 2) for n, v in p.items()}
    close(large.outputs(copies, x), small.outputs(p, x))
    found, few = large.gradients(copies, x, y), small.gradients(p, x, y)
    close(found["weights"], torch.cat([few["weights"]] * 3, 2))
    close(found["offset"], few["offset"])


WRONG = {
    "inputs": (lambda: models.Committee(0, 3), "n_inputs must be 1 or larger, got 0"),
    "hidden": (lambda: models.Committee(3, -1), "n_hidden must be 1 or larger, got -1"),
    "two hidden": (lambda: models.TwoLayer(3, 0), "n_hidden must be 1 or larger, got 0"),
    "classes": (lambda: models.TwoLayer(3, 3, 1), "n_classes must be 2 or larger, got 1"),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_sizes_out_of_range_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
