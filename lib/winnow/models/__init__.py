"""Networks whose replicas (seeds) are one tensor: leading axis S, trained by one product."""

from winnow.models.committee import Committee, Parameters, TwoLayer
from winnow.models.complete_layer import MLP, CompleteLayer, as_rnn_cell, embed_mlp, run_as_rnn
from winnow.models.normed_mlp import NormedMLP
from winnow.models.perceptron import Perceptron, layers

__all__ = [
    "MLP",
    "Committee",
    "CompleteLayer",
    "NormedMLP",
    "Parameters",
    "Perceptron",
    "TwoLayer",
    "as_rnn_cell",
    "embed_mlp",
    "layers",
    "run_as_rnn",
]
