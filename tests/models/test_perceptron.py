"""The perceptron against torch.nn and autograd; its first values against what they should be."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from winnow.models import Perceptron, layers
from winnow.models.perceptron import SCHEMES

DOUBLE = {"dtype": torch.float64}
SEEDS, ARMS, N = (3, 8), 3, 11
NETWORKS = [
    *(Perceptron(sizes) for sizes in [(6, 4), (6, 5, 3), (6, 5, 4, 3), (6, 1, 7, 4, 2)]),
    *(Perceptron(sizes, readout=True) for sizes in [(6, 4), (6, 5, 3), (6, 5, 4, 3)]),
    *(Perceptron((6, 5, 4, 3), "logistic", output) for output in ("softmax", "logistic")),
    *(Perceptron((6, 5, 3), "relu", "logistic", readout=free) for free in (False, True)),
]
depths = pytest.mark.parametrize("network", NETWORKS, ids=str)
PAIRS = list(itertools.product(range(len(SEEDS)), range(ARMS)))


def parameters(network, **options):
    """Arms that differ in everything, their biases too."""
    schemes = tuple(SCHEMES)[:ARMS]
    p = network.initial(SEEDS, schemes=schemes, **(DOUBLE | options))
    source = torch.Generator().manual_seed(1)
    return {n: v + 0.3 * torch.randn(v.shape, generator=source, dtype=v.dtype)
            for n, v in p.items()}  # fmt: skip


def batch(network, n=N):
    source = torch.Generator().manual_seed(2)
    x = 2 * torch.randn(len(SEEDS), n, network.sizes[0], generator=source, **DOUBLE)
    if network.output == "logistic":
        return x, torch.rand(len(SEEDS), n, network.sizes[-1], generator=source, **DOUBLE).round()
    return x, torch.randint(network.sizes[-1], (len(SEEDS), n), generator=source)


def plain(network, p, s, a):
    """One replica and arm, the usual way."""
    parts, between = [], {"relu": torch.nn.ReLU, "logistic": torch.nn.Sigmoid}[network.activation]
    for i, (d, k) in enumerate(itertools.pairwise(network.sizes)):
        linear = torch.nn.Linear(d, k, bias=f"biases.{i}" in p, **DOUBLE)
        state = {"weight": p[f"weights.{i}"][s, a]}
        if linear.bias is not None:
            state["bias"] = p[f"biases.{i}"][s, a]
        linear.load_state_dict(state)
        parts += [linear, between()]
    parts[-1] = torch.nn.Sigmoid() if network.output == "logistic" else torch.nn.Identity()
    return torch.nn.Sequential(*parts)


def plain_loss(network, outputs, y):
    if network.output == "logistic":
        return torch.nn.functional.mse_loss(outputs, y)
    return torch.nn.functional.cross_entropy(outputs, y)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.slow
@depths
def test_each_replica_and_arm_is_a_plain_network(network):
    p, (x, y) = parameters(network), batch(network)
    outputs, loss, right = network.outputs(p, x), network.loss(p, x, y), network.right(p, x, y)
    assert outputs.shape == (len(SEEDS), ARMS, N, network.sizes[-1])
    assert 0 < right.double().mean() < 1
    for s, a in PAIRS:
        expected = plain(network, p, s, a)(x[s]).detach()
        close(outputs[s, a], expected)
        close(loss[s, a], plain_loss(network, expected, y[s]))
        if network.output == "logistic":
            expected_right = ((expected > 0.5) == (y[s] > 0.5)).all(-1)
        else:
            expected_right = expected.argmax(-1) == y[s]
        assert torch.equal(right[s, a], expected_right)


@depths
def test_gradients_are_those_of_autograd(network):
    p, (x, y) = parameters(network), batch(network)
    found = network.lesson(p, x, y).gradients
    assert list(found) == list(p)
    for s, a in PAIRS:
        net = plain(network, p, s, a)
        plain_loss(network, net(x[s]), y[s]).backward()
        for i, linear in enumerate(net[::2]):
            close(found[f"weights.{i}"][s, a], linear.weight.grad)
            if linear.bias is not None:
                close(found[f"biases.{i}"][s, a], linear.bias.grad)


@depths
def test_a_lesson_is_gradients_loss_and_right_answers(network):
    p, (x, y) = parameters(network), batch(network)
    lesson, leaves = network.lesson(p, x, y), {n: v.clone().requires_grad_() for n, v in p.items()}
    close(lesson.loss, network.loss(p, x, y))
    assert torch.equal(lesson.right, network.right(p, x, y))
    network.loss(leaves, x, y).sum().backward()
    for name, value in lesson.gradients.items():
        assert value.shape == p[name].shape
        close(value, leaves[name].grad)


@depths
def test_parameters_and_data_are_left_untouched(network):
    p, (x, y) = parameters(network), batch(network)
    was = [v.clone() for v in (*p.values(), x, y)]
    network.lesson(p, x, y)
    network.loss(p, x, y)
    network.right(p, x, y)
    assert all(torch.equal(a, b) for a, b in zip(was, (*p.values(), x, y), strict=True))


@depths
def test_a_replica_and_an_arm_do_not_depend_on_others(network):
    p, (x, y) = parameters(network), batch(network)
    found = network.lesson(p, x, y).gradients
    some = {n: v[:, 1:] for n, v in p.items()}  # a view that does not lie in one piece
    only = network.lesson({n: v[1:, 2:] for n, v in p.items()}, x[1:], y[1:]).gradients
    for name, value in network.lesson(some, x, y).gradients.items():
        close(value, found[name][:, 1:])
        close(only[name][0, 0], found[name][1, 2])


@depths
def test_batches_may_be_views_of_more(network):
    p, (x, y) = parameters(network), batch(network)
    found = network.lesson(p, x[:, 2:7], y[:, 2:7])
    again = network.lesson(p, x[:, 2:7].clone(), y[:, 2:7].clone())
    assert torch.equal(found.loss, again.loss)
    for name, value in again.gradients.items():
        close(found.gradients[name], value)


def test_large_logits_are_no_overflow():
    network = Perceptron((1, 2))
    p = {"weights.0": torch.tensor([[[[-500.0], [500.0]]]]), "biases.0": torch.zeros(1, 1, 2)}
    x, y = torch.tensor([[[1.0], [1.0]]]), torch.tensor([[0, 1]])
    lesson = network.lesson(p, x, y)
    assert lesson.loss.tolist() == [[500.0]]  # 1000 and 0
    assert lesson.gradients["biases.0"].tolist() == [[[-0.5, 0.5]]]


def test_of_equal_logits_the_first_is_on_top():
    network = Perceptron((2, 3, 4))
    p = {n: 0 * v for n, v in network.initial([0]).items()}
    y = torch.tensor([[0, 1, 2, 3]])
    x = torch.ones(1, 4, 2)
    for found in (network.right(p, x, y), network.lesson(p, x, y).right):
        assert found.tolist() == [[[True, False, False, False]]]


@pytest.mark.slow
def test_nothing_is_made_on_another_device():
    """Tensors on the device without storage refuse to meet any on the processor."""
    network = Perceptron((6, 5, 3))
    p = network.initial(SEEDS, schemes=("normal", "glorot"), device="meta")
    x = torch.empty(2, N, 6, device="meta")
    y = torch.empty(2, N, dtype=torch.long, device="meta")
    lesson = network.lesson(p, x, y)
    assert {v.device.type for v in (*p.values(), *lesson.gradients.values())} == {"meta"}
    assert lesson.loss.shape == (2, 2)


# --- first values -------------------------------------------------------------------------------

SHAPE = (60, 140)


def drawn(scheme, sizes=(SHAPE[1], SHAPE[0], SHAPE[1], 4), seeds=range(20)):
    """Weights of all layers in double precision, ``(S, K, D)`` each."""
    p = Perceptron(sizes).initial(seeds, schemes=(scheme,), **DOUBLE)
    return [w[:, 0].numpy() for w in layers(p)]


def expected_sd(scheme, k, d, i):
    glorot = (2 / (k + d)) ** 0.5
    sds = {"normal": 0.1, "orthogonal": max(k, d) ** -0.5, "uniform": (1 / 3 / d) ** 0.5}
    sds["small"] = ((0.02 if i == 0 else 1) / d) ** 0.5
    return sds.get(scheme, glorot)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_layer_has_the_schemes_spread(scheme):
    """168000 weights: the standard error of their sd is 0.17 %."""
    for i, w in enumerate(drawn(scheme)[:2]):
        sd = expected_sd(scheme, *w.shape[1:], i)
        assert w.std() == pytest.approx(sd, rel=0.008)
        assert abs(w.mean()) < 4.5 * sd / w.size**0.5


@pytest.mark.parametrize("scheme", ["normal", "matched"])
def test_normal_schemes_are_normal(scheme):
    w = drawn(scheme)[0]
    assert stats.kstest(w.ravel() / w.std(), "norm").pvalue > 0.001
    assert np.abs(w).max() > 4 * w.std()


def test_glorots_normal_is_cut_at_two_sd():
    w = drawn("glorot")[0]
    sd = (2 / sum(SHAPE)) ** 0.5
    before = sd / stats.truncnorm(-2, 2).std()
    assert 1.999 * before < np.abs(w).max() <= 2 * before
    assert stats.kstest(w.ravel() / before, stats.truncnorm(-2, 2).cdf).pvalue > 0.001
    assert sd / before == pytest.approx(0.87962566103423978)  # the constant in Keras


def test_orthogonal_layers_are_orthonormal():
    wide, tall, last = drawn("orthogonal")
    for rows in (wide, tall.mT, last):
        products = rows @ rows.mT
        expected = np.broadcast_to(np.eye(rows.shape[1]), products.shape)
        np.testing.assert_allclose(products, expected, atol=1e-12)


def test_orthogonal_layers_have_no_preferred_direction():
    """Uniform ones have traces of mean 0 and variance 1; of 3 x 3, each entry is uniform.

    Without the signs of the decomposition the diagonal of a square one leans to one side.
    """
    w = np.concatenate(drawn("orthogonal", sizes=(3, 3, 3, 3), seeds=range(500)))
    trace = np.trace(w, axis1=1, axis2=2)
    assert abs(trace.mean()) < 4 / len(w) ** 0.5
    assert trace.var() == pytest.approx(1, abs=0.15)
    for i, j in itertools.product(range(3), range(3)):
        assert stats.kstest(w[:, i, j], stats.uniform(-1, 2).cdf).pvalue > 1e-4
    assert abs((np.linalg.det(w) > 0).mean() - 0.5) < 2.5 / len(w) ** 0.5


@pytest.mark.slow
def test_biases_are_normal_and_shared_by_the_arms():
    p = Perceptron((2, 500, 400)).initial(range(20), schemes=tuple(SCHEMES)[:4], **DOUBLE)
    for i in range(2):
        b = p[f"biases.{i}"]
        assert b.shape == (20, 4, (500, 400)[i])
        assert (b == b[:, :1]).all()
        assert float(b[:, 0].std()) == pytest.approx(0.1, rel=0.04)
        assert stats.kstest(b[:, 0].ravel() / 0.1, "norm").pvalue > 0.001
    alone = Perceptron((2, 500, 400)).initial(range(20), schemes=("glorot",), **DOUBLE)
    assert torch.equal(alone["biases.1"][:, 0], p["biases.1"][:, 2])


def test_arms_do_not_depend_on_those_beside_them():
    network, names = Perceptron((6, 5, 4, 3)), tuple(SCHEMES)
    every, turned = (network.initial(SEEDS, schemes=s) for s in (names, names[::-1]))
    for name, value in every.items():
        assert torch.equal(turned[name].flip(1), value)
        for a, scheme in enumerate(names):
            alone = network.initial([SEEDS[1]], schemes=[scheme])[name]
            assert torch.equal(alone[0, 0], value[1, a])
    twice = network.initial(SEEDS, schemes=("normal", "normal"))
    assert all(torch.equal(v[:, 0], v[:, 1]) for v in twice.values())
    default = network.initial(SEEDS)
    assert torch.equal(default["weights.0"][:, 0], every["weights.0"][:, names.index("glorot")])


def test_layers_seeds_and_schemes_share_no_numbers():
    """In the paper's code equal seeds made the layers start with the same numbers."""
    p = Perceptron((30, 30, 30)).initial((0, 1), schemes=tuple(SCHEMES)[:4], **DOUBLE)
    rows = torch.cat([w.flatten(2).flatten(0, 1) for w in layers(p)])  # 16 of 900
    assert len(rows) == 16
    r = torch.corrcoef(rows) - torch.eye(16, **DOUBLE)
    assert float(r.abs().max()) < 4.5 / 900**0.5
    assert not torch.equal(p["biases.0"], p["biases.1"])
    assert not torch.equal(p["biases.0"][0], p["biases.0"][1])


def test_single_precision_is_double_precision_rounded():
    network, names = Perceptron((6, 5, 3)), tuple(SCHEMES)
    single, double = (network.initial(SEEDS, schemes=names, **o) for o in ({}, DOUBLE))
    for name, value in single.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, double[name].float())


def test_layers_stand_in_order():
    network = Perceptron((2,) * 13)  # where words would be sorted, 10 comes before 2
    p = network.initial([0])
    assert len(layers(p)) == 12
    assert all(w is p[f"weights.{i}"] for i, w in enumerate(layers(p)))
    assert network.pruned == (tuple(f"weights.{i}" for i in range(12)),)


def test_a_readout_has_no_biases_and_is_not_pruned():
    network = Perceptron((6, 5, 4, 3), scheme="small", readout=True)
    p = network.initial(SEEDS)
    assert list(p) == ["weights.0", "biases.0", "weights.1", "biases.1", "weights.2"]
    assert network.pruned == (("weights.0", "weights.1"),)
    assert not p["biases.0"].any()
    assert not p["biases.1"].any()


def test_uniform_values_stay_within_their_bounds():
    p = Perceptron((40, 30, 20), scheme="uniform").initial(range(20), **DOUBLE)
    for i, n in enumerate((40, 30)):
        for name in (f"weights.{i}", f"biases.{i}"):
            values = p[name].flatten() * n**0.5
            assert values.abs().max() < 1
            assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > 1e-4


@depths
def test_inputs_that_all_replicas_share_are_inputs_of_each(network):
    p, (x, y) = parameters(network), batch(network)
    x, y = x[0], y[0]
    if network.output == "softmax":
        y = y.expand(len(SEEDS), -1)
        close(network.outputs(p, x), network.outputs(p, x.expand(len(SEEDS), -1, -1)))
        return
    found = network.lesson(p, x, y)
    each = network.lesson(p, *(v.expand(len(SEEDS), -1, -1) for v in (x, y)))
    close(found.loss, each.loss)
    assert torch.equal(found.right, each.right)
    for name, value in each.gradients.items():
        close(found.gradients[name], value)


WRONG = {
    "few": (lambda: Perceptron((3,)), r"2 or more layers of 1 or more units, got \(3,\)"),
    "activation": (
        lambda: Perceptron((3, 2), "tanh"),
        "unknown activation 'tanh': choose from relu",
    ),
    "output": (
        lambda: Perceptron((3, 2), output="mse"),
        "unknown output 'mse': choose from softmax",
    ),
    "own scheme": (
        lambda: Perceptron((3, 2), scheme="he"),
        "unknown scheme 'he': choose from normal",
    ),
    "empty": (lambda: Perceptron((3, 0, 2)), r"1 or more units, got \(3, 0, 2\)"),
    "scheme": (
        lambda: Perceptron((3, 2)).initial([0], schemes=("glorot", "he")),
        "unknown scheme 'he': choose from normal, matched, orthogonal, glorot",
    ),
    "none": (lambda: Perceptron((3, 2)).initial([0], schemes=()), "at least one of .*, got none"),
}


@pytest.mark.parametrize(("call", "words"), WRONG.values(), ids=WRONG)
def test_what_is_out_of_range_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
