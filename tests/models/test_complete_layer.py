"""Complete layers against loops, and against the perceptrons that they contain."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from winnow import models
from winnow.metrics import orderedness
from winnow.training import fits

DOUBLE = torch.float64


def inputs(n_rows=7, n_inputs=2):
    return torch.randn(n_rows, n_inputs, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))


def by_hand(layer, replica, row):
    """One sample through one replica, unit by unit, in plain Python."""
    weights, state = layer.weights[replica].tolist(), layer.initial[replica].tolist()
    for _ in range(layer.n_iterations):
        sources = [*state, *row.tolist()]
        sums = [sum(w * v for w, v in zip(line, sources, strict=True)) for line in weights]
        state = [float(1 / (1 + np.exp(-z))) for z in sums]
    return state[: layer.n_outputs]


@pytest.mark.parametrize(("n_hidden", "n_outputs", "steps"), [(5, 1, 3), (0, 2, 1), (3, 2, 10)])
def test_forward_is_a_loop_over_samples_and_units(n_hidden, n_outputs, steps):
    options = {"n_iterations": steps, "seeds": (4, 9), "dtype": DOUBLE}
    layer, x = models.CompleteLayer(2, n_hidden, n_outputs, **options), inputs()
    expected = [[by_hand(layer, k, row) for row in x] for k in range(2)]
    torch.testing.assert_close(layer(x), torch.tensor(expected, dtype=DOUBLE), rtol=0, atol=1e-12)


def test_replicas_may_each_have_their_own_rows():
    layer = models.CompleteLayer(2, 4, 1, seeds=2, dtype=DOUBLE)
    x = torch.stack([inputs(), -inputs()])
    expected = torch.stack([layer(x[0])[0], layer(x[1])[1]])
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_the_layer_is_a_recurrent_cell_with_tied_weights(steps):
    options = {"n_iterations": steps, "seeds": 3, "dtype": DOUBLE}
    layer, x = models.CompleteLayer(2, 5, 2, **options), inputs()
    torch.testing.assert_close(models.run_as_rnn(layer, x), layer(x), rtol=0, atol=1e-12)


# --- perceptrons inside -------------------------------------------------------------------------


class Inside(NamedTuple):
    """A perceptron with first values."""

    network: models.Perceptron
    p: models.Parameters

    def __call__(self, x):
        return self.network.outputs(self.p, x)[:, 0]


def inside(sizes, seeds=(1, 5)):
    network = models.Perceptron(sizes, "logistic", "logistic", "uniform")
    return Inside(network, network.initial(seeds, dtype=DOUBLE))


@pytest.fixture(params=[(2, 1), (2, 3, 1), (3, 2, 4, 2), (2, 3, 4, 2, 1)], ids=str)
def mlp(request):
    return inside(request.param)


@pytest.mark.parametrize("extra", [0, 1, 4])
def test_a_complete_layer_computes_what_a_perceptron_does(mlp, extra):
    x = inputs(n_inputs=mlp.network.sizes[0])
    layer = models.embed_perceptron(mlp.p, n_iterations=len(mlp.network.sizes) - 1 + extra)
    torch.testing.assert_close(layer(x), mlp(x), rtol=0, atol=1e-12)


def scrambled(layer, *, keep=None):
    """The layer with every unit's initial state replaced, one kept where named."""
    with torch.no_grad():
        kept = layer.initial.clone()
        drawn = torch.randn(
            layer.initial.shape, generator=torch.Generator().manual_seed(5), dtype=DOUBLE
        )
        layer.initial.copy_(3 * drawn + 5)
        if keep is not None:
            layer.initial[:, keep] = kept[:, keep]
    return layer


def test_with_one_update_a_layer_only_the_bias_unit_must_start_right(mlp):
    x = inputs(n_inputs=mlp.network.sizes[0])
    bias_unit = sum(mlp.network.sizes[1:])
    right = scrambled(models.embed_perceptron(mlp.p), keep=bias_unit)
    torch.testing.assert_close(right(x), mlp(x), rtol=0, atol=1e-12)
    wrong = scrambled(models.embed_perceptron(mlp.p))
    assert (wrong(x) - mlp(x)).abs().max() > 1e-3


def test_with_one_update_more_no_initial_state_matters(mlp):
    x = inputs(n_inputs=mlp.network.sizes[0])
    layer = scrambled(models.embed_perceptron(mlp.p, n_iterations=len(mlp.network.sizes) - 1 + 1))
    torch.testing.assert_close(layer(x), mlp(x), rtol=0, atol=1e-12)


def test_with_one_update_less_the_input_does_not_arrive():
    mlp = inside((2, 3, 4, 1))
    out = models.embed_perceptron(mlp.p, n_iterations=2)(inputs())
    assert (out - out[:, :1]).abs().max() == 0
    assert (out - mlp(inputs())).abs().max() > 1e-3


def test_an_embedded_perceptron_is_strictly_triangular(mlp):
    block = fits.square(models.embed_perceptron(mlp.p).weights.detach())
    assert (block.tril() == 0).all()
    ordered = orderedness.value(block, n_fixed=mlp.network.sizes[-1])
    connected = block.abs().sum((1, 2)) > 0
    assert (ordered[connected] == 1).all()
    n_weights = sum(w[0, 0].numel() for w in models.layers(mlp.p))
    n_biases = sum(mlp.network.sizes[1:])
    assert (models.embed_perceptron(mlp.p).weights != 0).sum((1, 2)).tolist() == [
        n_weights + n_biases
    ] * 2


# --- what the initial state reaches -------------------------------------------------------------


def triangular_layer(n_iterations):
    layer = models.CompleteLayer(2, 4, 1, n_iterations=n_iterations, seeds=3, dtype=DOUBLE)
    with torch.no_grad():
        layer.weights[:, :, :5] = layer.weights[:, :, :5].triu(1)
    return layer


@pytest.mark.parametrize(("n_iterations", "reaches"), [(4, True), (5, False), (6, False)])
def test_a_triangular_layer_forgets_its_start_after_n_updates(n_iterations, reaches):
    before = triangular_layer(n_iterations)(inputs())
    after = scrambled(triangular_layer(n_iterations))(inputs())
    assert bool((before != after).any()) is reaches


@pytest.mark.parametrize(("horizon", "reaches"), [(1, False), (3, False), (4, True), (9, True)])
def test_gradients_stop_at_the_horizon(horizon, reaches):
    layer = models.CompleteLayer(2, 5, 1, n_iterations=4, seeds=2, dtype=DOUBLE)
    (layer(inputs(), horizon=horizon) ** 2).sum().backward()
    reached = layer.initial.grad is not None and bool((layer.initial.grad != 0).any())
    assert reached is reaches
    assert (layer.weights.grad != 0).any()


def gradients(horizon):
    layer = models.CompleteLayer(2, 5, 1, n_iterations=4, seeds=2, dtype=DOUBLE)
    out = layer(inputs(), horizon=horizon)
    (out**2).sum().backward()
    return out.detach(), layer.weights.grad, layer.initial.grad


def test_the_whole_horizon_is_none():
    for whole, none in zip(gradients(4), gradients(None), strict=True):
        assert torch.equal(whole, none)


def test_the_horizon_changes_gradients_and_no_output():
    short, none = gradients(2), gradients(None)
    assert torch.equal(short[0], none[0])
    assert not torch.allclose(short[1], none[1])


def test_a_horizon_of_one_update_sees_the_last_state_as_given():
    """The gradient of one product, with the state before the last update held constant."""
    layer = models.CompleteLayer(2, 3, 1, n_iterations=3, dtype=DOUBLE)
    x = inputs()
    layer(x, horizon=1).sum().backward()
    shorter = models.CompleteLayer(2, 3, 4, n_iterations=2, dtype=DOUBLE)  # all four units read out
    with torch.no_grad():
        full = torch.zeros(1, 7, 9, dtype=DOUBLE)
        full[:, :4, :4], full[:, :4, 7:] = layer.weights[:, :, :4], layer.weights[:, :, 4:]
        shorter.weights.copy_(full)
        shorter.initial[:, :4] = layer.initial
        state = shorter(x)[0]
    sources = torch.cat([state, x], 1)
    y = torch.sigmoid(sources @ layer.weights[0, 0].detach())
    expected = ((y * (1 - y))[:, None] * sources).sum(0)
    torch.testing.assert_close(layer.weights.grad[0, 0], expected, rtol=0, atol=1e-12)
    assert (layer.weights.grad[0, 1:] == 0).all()


@pytest.mark.parametrize("horizon", [0, -1])
def test_an_empty_horizon_is_named(horizon):
    layer = models.CompleteLayer(2, 3, 1)
    with pytest.raises(ValueError, match=f"horizon.*got {horizon}"):
        layer(torch.zeros(4, 2), horizon=horizon)


# --- seeds and sizes ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_a_seed_starts_alike_alone_and_among_others(dtype):
    alone, among = (
        models.CompleteLayer(2, 5, 1, seeds=[7], dtype=dtype),
        models.CompleteLayer(2, 5, 1, seeds=(3, 7, 11), dtype=dtype),
    )
    for a, b in zip(alone.parameters(), among.parameters(), strict=True):
        assert a.dtype == dtype
        assert torch.equal(a[0], b[1])
        assert not torch.equal(b[0], b[1])
        assert not torch.equal(b[2], b[1])


@pytest.mark.parametrize("seeds", [0, [], -2])
def test_no_replicas_are_refused(seeds):
    with pytest.raises(ValueError, match="at least one replica"):
        models.CompleteLayer(2, 5, 1, seeds=seeds)


def test_a_number_of_seeds_counts_from_zero():
    counted, named = (
        models.CompleteLayer(2, 5, 1, seeds=3),
        models.CompleteLayer(2, 5, 1, seeds=[0, 1, 2]),
    )
    assert counted.seeds == [0, 1, 2]
    for a, b in zip(counted.parameters(), named.parameters(), strict=True):
        assert torch.equal(a, b)


def test_layers_start_standard_normal():
    layer = models.CompleteLayer(2, 9, 1, seeds=300)
    for start in (layer.weights, layer.initial):
        values = start.detach().double()
        assert abs(values.mean()) < 4 / values.numel() ** 0.5
        assert abs(values.var() - 1) < 4 * (2 / values.numel()) ** 0.5


@pytest.mark.parametrize(
    ("sizes", "iterations", "words"),
    [
        ((0, 5, 1), 3, "n_inputs must be 1 or larger, got 0"),
        ((2, -1, 1), 3, "n_hidden must be 0 or larger, got -1"),
        ((2, 5, 0), 3, "n_outputs must be 1 or larger, got 0"),
        ((2, 5, -3), 3, "n_outputs must be 1 or larger, got -3"),
        ((2, 5, 1), 0, "n_iterations must be 1 or larger, got 0"),
        ((2, 5, 1), -1, "n_iterations must be 1 or larger, got -1"),
    ],
)
def test_a_size_below_its_minimum_is_named(sizes, iterations, words):
    with pytest.raises(ValueError, match=words):
        models.CompleteLayer(*sizes, n_iterations=iterations)


def test_the_layer_serves_parameters_from_outside():
    layer, other = (models.CompleteLayer(2, 5, 1, seeds=k, dtype=DOUBLE) for k in ([1], [2]))
    p, y = other.values(), torch.rand(7, 1, dtype=DOUBLE)
    assert torch.equal(layer.outputs(p, inputs()), other(inputs()))
    expected = torch.nn.functional.mse_loss(other(inputs())[0], y)
    torch.testing.assert_close(layer.loss(p, inputs(), y), expected[None])
    p["weights"].zero_()  # a copy
    assert other.weights.any()
    assert not p["weights"].requires_grad
