"""The loop against torch's own optimisers, network by network, and against rules written out."""

from functools import partial

import pytest
import torch

from winnow import models
from winnow.training.loop import DecayingSGD, train

DOUBLE = {"dtype": torch.float64}
SEEDS, N, D = (3, 8), 6, 5
PERCEPTRON = {"activation": "logistic", "output": "logistic"}
NETWORKS = {
    "committee": models.Committee(D, 4),
    "perceptron": models.Perceptron((D, 4, 2)),
    "readout": models.Perceptron((D, 4, 2), scheme="small", readout=True),
    "logistic": models.Perceptron((D, 4, 2), **PERCEPTRON),
    "normed": models.NormedMLP((D, 4, 2)),
}
networks = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
OPTIMISERS = {
    "adam": partial(torch.optim.Adam, lr=0.02),
    "fused adam": partial(torch.optim.Adam, lr=0.02, fused=True),
    "momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9, fused=True),
    "decaying": partial(DecayingSGD, lr=0.1, momentum=0.6, decay=0.3),
}


class ByAutograd:
    """A network without its closed form."""

    def __init__(self, network):
        self.loss = network.loss


def batches(network, n=7):
    source = torch.Generator().manual_seed(0)
    for _ in range(n):
        x = torch.randn(len(SEEDS), N, D, generator=source, **DOUBLE)
        y = torch.randint(2, (len(SEEDS), N), generator=source)
        values = getattr(network, "output", "") == "logistic"
        yield x, torch.stack([y, 1 - y], -1).double() if values else y


def close(found, expected, **bars):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **{"rtol": 1e-9, "atol": 1e-11} | bars)


@pytest.mark.parametrize("optimiser", OPTIMISERS.values(), ids=OPTIMISERS)
@pytest.mark.parametrize("name", ["perceptron", "readout", "logistic"])
def test_closed_forms_train_as_autograd_does(name, optimiser):
    network = NETWORKS[name]
    start = network.initial(SEEDS, **DOUBLE)
    found = train(network, start, batches(network), optimiser)
    close(found, train(ByAutograd(network), start, batches(network), optimiser))


@networks
def test_gradients_of_any_layout_are_followed(network):
    """Fused optimisers walk through memory; torch's plain ones do not."""
    start = network.initial(SEEDS, **DOUBLE)
    turned = {n: v.mT.contiguous().mT if v.ndim > 3 else v for n, v in start.items()}
    plain, fused = (
        partial(torch.optim.SGD, lr=0.1, momentum=0.9, fused=how, foreach=False)
        for how in (False, True)
    )
    expected = train(network, start, batches(network), plain)
    close(train(network, start, batches(network), fused), expected)
    close(train(network, turned, batches(network), fused), expected)


@networks
def test_a_replica_does_not_depend_on_those_beside_it(network):
    start = network.initial(SEEDS, **DOUBLE)
    both = train(network, start, batches(network), OPTIMISERS["adam"])
    one = ((x[1:], y[1:]) for x, y in batches(network))
    alone = train(network, {n: v[1:] for n, v in start.items()}, one, OPTIMISERS["adam"])
    close(alone, {n: v[1:] for n, v in both.items()})


@networks
def test_what_is_passed_in_is_left_untouched(network):
    start = network.initial(SEEDS, **DOUBLE)
    was = {n: v.clone() for n, v in start.items()}
    found = train(network, start, batches(network), OPTIMISERS["momentum"])
    assert all(torch.equal(v, was[n]) for n, v in start.items())
    assert not any(
        v.requires_grad or v.grad is not None for v in (*found.values(), *start.values())
    )
    assert any(not torch.equal(v, was[n]) for n, v in found.items())


def test_running_means_follow_their_batches():
    network, start = NETWORKS["normed"], NETWORKS["normed"].initial(SEEDS, **DOUBLE)
    [batch] = batches(network, 1)
    found = train(network, start, [batch], OPTIMISERS["adam"])
    mean = batch[0].mean(1)
    torch.testing.assert_close(found["mean.0"][:, 0], 0.01 * mean)


def test_pruning_comes_before_what_is_observed():
    network, seen = NETWORKS["perceptron"], []
    start = network.initial(SEEDS, **DOUBLE)

    def cut(p, step):
        p["weights.0"][..., :2] = 0

    def observe(step, p, lesson):
        seen.append((step, bool(p["weights.0"][..., :2].any()), lesson.loss.shape))

    found = train(network, start, batches(network, 3), OPTIMISERS["adam"],
                  after_step=cut, observe=observe)  # fmt: skip
    assert seen == [(step, False, (2, 1)) for step in (1, 2, 3)]
    assert not found["weights.0"][..., :2].any()


def test_a_lesson_is_about_the_batch_before_its_step():
    network, lessons = NETWORKS["perceptron"], []
    start = network.initial(SEEDS, **DOUBLE)
    [batch] = batches(network, 1)
    train(network, start, [batch], OPTIMISERS["adam"], observe=lambda *at: lessons.append(at[2]))
    torch.testing.assert_close(lessons[0].loss, network.loss(start, *batch))
    assert torch.equal(lessons[0].right, network.right(start, *batch))


def test_no_batches_change_nothing():
    network = NETWORKS["committee"]
    start = network.initial(SEEDS)
    close(train(network, start, [], OPTIMISERS["adam"]), start)


@pytest.mark.parametrize("name", NETWORKS)
def test_divergence_is_named(name):
    network, wild = NETWORKS[name], partial(torch.optim.SGD, lr=float("inf"))
    with pytest.raises(ValueError, match=r"training diverged in .*: lower lr, which is inf"):
        train(network, network.initial(SEEDS, **DOUBLE), batches(network), wild)


class OneNumber:
    """Its gradient is the number itself."""

    def loss(self, p, x, y):
        return p["w"] ** 2 / 2


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_a_decaying_rate_is_coupled_to_its_momentum_as_in_keras(decay):
    momentum = 0.5
    how = {"lr": 0.2, "momentum": momentum, "decay": decay}
    found = train(OneNumber(), {"w": torch.ones(1, **DOUBLE)}, [(None, None)] * 5,
                  partial(DecayingSGD, **how))  # fmt: skip
    w, v = 1.0, 0.0
    for t in range(5):
        rate = 0.2 / (1 + decay * t)
        g = w
        v = momentum * v - rate * g
        w += momentum * v - rate * g
    assert float(found["w"]) == pytest.approx(w, rel=1e-12)


def test_a_constant_rate_is_torchs_own():
    network = NETWORKS["perceptron"]
    start, how = network.initial(SEEDS, **DOUBLE), {"lr": 0.1, "momentum": 0.6}
    ours = train(network, start, batches(network), partial(DecayingSGD, **how))
    theirs = partial(torch.optim.SGD, **how, nesterov=True)
    close(ours, train(network, start, batches(network), theirs))
