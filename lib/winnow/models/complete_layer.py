"""Networks whose replicas (seeds) are one tensor: leading axis S, trained by one product."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

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
        _check_sizes(
            n_inputs=(n_inputs, 1),
            n_hidden=(n_hidden, 0),
            n_outputs=(n_outputs, 1),
            n_iterations=(n_iterations, 1),
        )
        self.seeds = _seed_list(seeds)
        self.n_inputs, self.n_hidden, self.n_outputs = n_inputs, n_hidden, n_outputs
        self.n_iterations = n_iterations
        n = n_hidden + n_outputs
        state, weights = _per_seed(
            self.seeds, lambda rng: (rng.normal(size=n), rng.normal(size=(n, n + n_inputs)))
        )
        self.initial = nn.Parameter(torch.as_tensor(state, dtype=dtype, device=device))
        self.weights = nn.Parameter(torch.as_tensor(weights, dtype=dtype, device=device))

    def extra_repr(self) -> str:
        """Sizes, for printing."""
        return (
            f"n_inputs={self.n_inputs}, n_hidden={self.n_hidden}, n_outputs={self.n_outputs}, "
            f"n_iterations={self.n_iterations}, n_replicas={len(self.seeds)}"
        )

    def forward(self, x: torch.Tensor, *, horizon: int | None = None) -> torch.Tensor:
        """Outputs after T updates, ``(S, B, O)``.

        Parameters
        ----------
        x
            Inputs, ``(B, I)`` for all replicas or ``(S, B, I)``; clamped throughout.
        horizon
            Gradients flow through the last ``horizon`` updates only, 1 or more; all when absent.
        """
        if horizon is not None and horizon < 1:
            raise ValueError(f"horizon must be 1 or larger, got {horizon}")
        n = self.n_hidden + self.n_outputs
        recurrent = self.weights[:, :, :n].mT
        drive = x @ self.weights[:, :, n:].mT  # (S, B, n)
        v = self.initial[:, None].expand_as(drive)
        for t in range(self.n_iterations):
            if horizon is not None and 0 < t == self.n_iterations - horizon:
                v = v.detach()
            v = torch.sigmoid(torch.baddbmm(drive, v, recurrent))
        return v[..., : self.n_outputs]


class MLP(nn.Module):
    r"""Multilayer perceptron with biases, S replicas at once.

    .. math:: a_{l+1} = \sigma(a_l W_l^\top + b_l)

    with the logistic :math:`\sigma` after every layer, the last included. Weights and biases
    start uniform in :math:`\pm 1/\sqrt{\text{fan-in}}`, as PyTorch's linear layers do.

    Parameters
    ----------
    sizes
        Units per layer from inputs to outputs, at least two, each at least 1.
    seeds, dtype, device
        As in :class:`~winnow.models.CompleteLayer`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        seeds: int | Sequence[int] = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"sizes must be two or more layers of 1 or more units, got {sizes}")
        self.seeds, self.sizes = _seed_list(seeds), tuple(sizes)
        pairs = list(itertools.pairwise(sizes))

        def draw(rng: np.random.Generator) -> list[np.ndarray]:
            return [
                rng.uniform(-1, 1, shape) / np.sqrt(fan_in)
                for fan_in, out in pairs
                for shape in ((out, fan_in), (out,))
            ]

        arrays = _per_seed(self.seeds, draw)
        drawn = [torch.as_tensor(a, dtype=dtype, device=device) for a in arrays]
        self.weights = nn.ParameterList(drawn[0::2])  # (S, out, in) each
        self.biases = nn.ParameterList(drawn[1::2])  # (S, out) each

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs ``(S, B, O)`` for inputs ``(B, I)`` or ``(S, B, I)``."""
        for weights, bias in zip(self.weights, self.biases, strict=True):
            x = torch.sigmoid(x @ weights.mT + bias[:, None])
        return x


def embed_mlp(mlp: MLP, *, n_iterations: int | None = None) -> CompleteLayer:
    r"""The complete layer that computes what a perceptron computes, replica by replica.

    Layers become blocks above the diagonal, the one nearest the output first. One more hidden
    unit hears nothing, so it rests at :math:`\sigma(0) = 1/2`; a weight 2b from it is a bias b.

    Parameters
    ----------
    mlp
        The perceptron, L layers of weights.
    n_iterations
        Updates T; L when absent. With T of L + 1 or more the learnt initial state drops out;
        with T = L it matters only that the bias unit starts at 1/2, which it does here.

    Returns
    -------
    CompleteLayer
        Strictly upper triangular square block, so its orderedness is 1.
    """
    *hidden, n_out = mlp.sizes[1:]
    layer = CompleteLayer(
        mlp.sizes[0],
        sum(hidden) + 1,
        n_out,
        n_iterations=len(mlp.weights) if n_iterations is None else n_iterations,
        seeds=mlp.seeds,
        dtype=mlp.weights[0].dtype,
        device=mlp.weights[0].device,
    )
    with torch.no_grad():
        weights = torch.zeros_like(layer.weights)
        bias_unit = sum(hidden) + n_out
        row = 0
        for w, b in zip(reversed(mlp.weights), reversed(mlp.biases), strict=True):
            n_rows, n_columns = w.shape[1:]
            # The first layer's sources are the inputs, one past the bias unit.
            column = row + n_rows + (row + n_rows == bias_unit)
            weights[:, row : row + n_rows, column : column + n_columns] = w
            weights[:, row : row + n_rows, bias_unit] = 2 * b
            row += n_rows
        layer.weights.copy_(weights)
        layer.initial[:, bias_unit] = 0.5
    return layer


def as_rnn_cell(layer: CompleteLayer, replica: int = 0) -> nn.RNNCell:
    r"""One replica as PyTorch's own recurrent cell, weights tied over time.

    The cell knows :math:`\tanh` only, so its state is :math:`u = 2v - 1`, by
    :math:`\sigma(z) = (1 + \tanh(z/2))/2`: recurrent weights :math:`W_\mathrm{rec}/4`, input
    weights :math:`W_\mathrm{in}/2` and a bias that moves the origin.

    Returns
    -------
    torch.nn.RNNCell
        n units; ``(u + 1) / 2`` after T calls is :math:`v_T`.
    """
    n = layer.initial.shape[1]
    weights = layer.weights[replica].detach()
    cell = nn.RNNCell(layer.n_inputs, n, dtype=weights.dtype, device=weights.device)
    with torch.no_grad():
        cell.weight_hh.copy_(weights[:, :n] / 4)
        cell.weight_ih.copy_(weights[:, n:] / 2)
        cell.bias_hh.copy_(weights[:, :n].sum(1) / 4)
        cell.bias_ih.zero_()
    return cell


def run_as_rnn(layer: CompleteLayer, x: torch.Tensor) -> torch.Tensor:
    """Outputs of PyTorch's own recurrent cells with the same weights, ``(S, B, O)``.

    Parameters
    ----------
    layer
        S replicas.
    x
        Inputs ``(B, I)``, given at every one of the layer's T updates.
    """
    with torch.no_grad():
        u = (2 * layer.initial - 1)[:, None].expand(-1, len(x), -1)
        cells = [as_rnn_cell(layer, k) for k in range(len(u))]
        for _ in range(layer.n_iterations):
            u = torch.stack([cell(x, state) for cell, state in zip(cells, u, strict=True)])
        return (u[..., : layer.n_outputs] + 1) / 2


def _seed_list(seeds: int | Sequence[int]) -> list[int]:
    chosen = list(range(seeds)) if isinstance(seeds, int) else [int(seed) for seed in seeds]
    if not chosen:
        raise ValueError(f"seeds must name at least one replica, got {seeds}")
    return chosen


def _per_seed(seeds: Sequence[int], draw) -> list[np.ndarray]:
    """Each seed's draws from its own stream, stacked: a list of ``(S, ...)``."""
    drawn = [draw(rng) for rng in generators(seeds, "weights")]
    return [np.stack(arrays) for arrays in zip(*drawn, strict=True)]


def _check_sizes(**sizes: tuple[int, int]) -> None:
    for name, (value, least) in sizes.items():
        if value < least:
            raise ValueError(f"{name} must be {least} or larger, got {value}")
