"""Networks whose replicas (seeds) are one tensor: leading axis S, trained by one product."""

from winnow.models.complete import MLP, CompleteLayer, as_rnn_cell, embed_mlp, run_as_rnn
from winnow.models.deep import NormedMLP
from winnow.models.perceptron import Perceptron, layers
from winnow.models.shallow import Committee, Parameters, TwoLayer

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
