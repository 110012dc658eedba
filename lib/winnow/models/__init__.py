"""Networks whose replicas (seeds) are one tensor: leading axis S, trained by one product."""

from winnow.models.complete import MLP, CompleteLayer, as_rnn_cell, embed_mlp, run_as_rnn

__all__ = ["MLP", "CompleteLayer", "as_rnn_cell", "embed_mlp", "run_as_rnn"]
