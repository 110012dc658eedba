"""The complete layer, its kin among recurrent cells, and the perceptrons that lie in it."""

from collections.abc import Sequence

import torch
from torch import nn

from winnow.arrays import check_count
from winnow.models.network import Parameters, copied, stacked
from winnow.models.perceptron import layers
from winnow.seeds import generators


class CompleteLayer(nn.Module):
    r"""Weight-tied all-to-all perceptron, S replicas at once :cite:p:`song2025`.

    Every unit hears every unit, itself included, and every input; nothing is layered:

    .. math:: v_{t+1} = \sigma\bigl(v_t W_\mathrm{rec}^\top + x W_\mathrm{in}^\top\bigr),
       \quad W = [W_\mathrm{rec} \mid W_\mathrm{in}], \quad
       \hat y = (v_T)_{1 \dots O}

    with the logistic :math:`\sigma` and no bias. Unit order is outputs, hidden, inputs;
    row = target, column = source. The initial state :math:`v_0` is learnt and shared by all
    samples. Weights and state start as independent standard normals.

    Parameters
    ----------
    n_inputs, n_hidden, n_outputs
        I, H and O, at least 1 (H may be 0); n = H + O free units, U = n + I nodes.
    n_iterations
        Updates T before the output is read, at least 1.
    seeds
        One per replica, or how many (then 0, 1, …).
    dtype, device
        Of the parameters.

    Raises
    ------
    ValueError
        If a size is below its minimum.

    Examples
    --------
    >>> layer = CompleteLayer(2, 5, 1, seeds=3)
    >>> tuple(layer.weights.shape), tuple(layer(torch.zeros(4, 2)).shape)
    ((3, 6, 8), (3, 4, 1))
    """

    def __init__(
        self,
        n_inputs: int,
        n_hidden: int,
        n_outputs: int,
        *,
        n_iterations: int = 3,
        seeds: int | Sequence[int] = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        check_count("n_inputs", n_inputs)
        check_count("n_hidden", n_hidden, 0)
        check_count("n_outputs", n_outputs)
        check_count("n_iterations", n_iterations)
        self.seeds = list(range(seeds)) if isinstance(seeds, int) else [int(k) for k in seeds]
        if not self.seeds:
            raise ValueError(f"seeds must name at least one replica, got {seeds}")
        self.n_inputs, self.n_hidden, self.n_outputs = n_inputs, n_hidden, n_outputs
        self.n_iterations = n_iterations
        n, options = n_hidden + n_outputs, {"dtype": dtype, "device": device}
        rngs = generators(self.seeds, "weights")
        drawn = [(rng.normal(size=n), rng.normal(size=(n, n + n_inputs))) for rng in rngs]
        state, weights = (stacked(arrays, options) for arrays in zip(*drawn, strict=True))
        self.initial, self.weights = nn.Parameter(state), nn.Parameter(weights)

    def forward(self, x: torch.Tensor, *, horizon: int | None = None) -> torch.Tensor:
        """Outputs after T updates, ``(S, B, O)``.

        Parameters
        ----------
        x
            Inputs, ``(B, I)`` for all replicas or ``(S, B, I)``; clamped throughout.
        horizon
            Gradients flow through the last ``horizon`` updates only, 1 or more; all when absent.
        """
        return self.outputs(dict(self.named_parameters()), x, horizon=horizon)

    def values(self) -> Parameters:
        """Copies of the parameters as they are, ``initial`` and ``weights``, to train from."""
        return copied(dict(self.named_parameters()))

    def outputs(
        self, p: Parameters, x: torch.Tensor, *, horizon: int | None = None
    ) -> torch.Tensor:
        """What :meth:`forward` gives, for other parameters than the layer's own."""
        if horizon is not None:
            check_count("horizon", horizon)
        n = self.n_hidden + self.n_outputs
        recurrent = p["weights"][:, :, :n].mT
        drive = x @ p["weights"][:, :, n:].mT  # (S, B, n)
        v = p["initial"][:, None].expand_as(drive)
        for t in range(self.n_iterations):
            if horizon is not None and 0 < t == self.n_iterations - horizon:
                v = v.detach()
            v = torch.sigmoid(torch.baddbmm(drive, v, recurrent))
        return v[..., : self.n_outputs]

    def loss(
        self, p: Parameters, x: torch.Tensor, y: torch.Tensor, *, horizon: int | None = None
    ) -> torch.Tensor:
        """Mean squared error of each replica on targets ``(B, O)`` or ``(S, B, O)``, ``(S,)``."""
        return ((self.outputs(p, x, horizon=horizon) - y) ** 2).mean((1, 2))


def embed_perceptron(p: Parameters, *, n_iterations: int | None = None) -> CompleteLayer:
    r"""The complete layer that computes what a logistic perceptron computes, replica by replica.

    Layers become blocks above the diagonal, the one nearest the output first. One more hidden
    unit hears nothing, so it rests at :math:`\sigma(0) = 1/2`; a weight 2b from it is a bias b.

    Parameters
    ----------
    p
        Parameters of a :class:`~winnow.models.Perceptron` whose units are all logistic, L layers,
        one arm.
    n_iterations
        Updates T; L when absent. With T of L + 1 or more the learnt initial state drops out;
        with T = L it matters only that the bias unit starts at 1/2, which it does here.

    Returns
    -------
    CompleteLayer
        Strictly upper triangular square block, so its orderedness is 1.
    """
    weights = [w[:, 0] for w in layers(p)]
    biases = [p[f"biases.{i}"][:, 0] for i in range(len(weights))]
    first, n_hidden = weights[0], sum(w.shape[1] for w in weights[:-1])
    layer = CompleteLayer(
        first.shape[2],
        n_hidden + 1,
        weights[-1].shape[1],
        n_iterations=len(weights) if n_iterations is None else n_iterations,
        seeds=len(first),
        dtype=first.dtype,
        device=first.device,
    )
    bias_unit, row = n_hidden + weights[-1].shape[1], 0
    with torch.no_grad():
        layer.weights.zero_()
        for w, b in zip(reversed(weights), reversed(biases), strict=True):
            n_rows, n_columns = w.shape[1:]
            # The first layer's sources are the inputs, one past the bias unit.
            column = row + n_rows + (row + n_rows == bias_unit)
            layer.weights[:, row : row + n_rows, column : column + n_columns] = w
            layer.weights[:, row : row + n_rows, bias_unit] = 2 * b
            row += n_rows
        layer.initial[:, bias_unit] = 0.5
    return layer


def run_as_rnn(layer: CompleteLayer, x: torch.Tensor) -> torch.Tensor:
    r"""Outputs of PyTorch's own recurrent cells with the same weights, ``(S, B, O)``.

    Weights are tied over time. A cell knows :math:`\tanh` only, so its state is
    :math:`u = 2v - 1`, by :math:`\sigma(z) = (1 + \tanh(z/2))/2`: recurrent weights
    :math:`W_\mathrm{rec}/4`, input weights :math:`W_\mathrm{in}/2` and a bias that moves the
    origin.

    Parameters
    ----------
    layer
        S replicas.
    x
        Inputs ``(B, I)``, given at every one of the layer's T updates.
    """
    outputs = []
    with torch.no_grad():
        for initial, weights in zip(layer.initial, layer.weights, strict=True):
            n, options = len(initial), {"dtype": weights.dtype, "device": weights.device}
            cell = nn.RNNCell(layer.n_inputs, n, **options)
            cell.weight_hh.copy_(weights[:, :n] / 4)
            cell.weight_ih.copy_(weights[:, n:] / 2)
            cell.bias_hh.copy_(weights[:, :n].sum(1) / 4)
            cell.bias_ih.zero_()
            u = (2 * initial - 1).expand(len(x), -1)
            for _ in range(layer.n_iterations):
                u = cell(x, u)
            outputs.append((u[:, : layer.n_outputs] + 1) / 2)
    return torch.stack(outputs)
