"""Networks whose replicas (seeds) are one tensor: leading axis S, trained by one product."""

from winnow.models.committee import Committee
from winnow.models.complete_layer import CompleteLayer, embed_perceptron, run_as_rnn
from winnow.models.network import Lesson, Network, Parameters, by_autograd
from winnow.models.normed_mlp import NormedMLP
from winnow.models.perceptron import Perceptron, layers
