"""Pruning rules: pure functions of weights.

``schemes`` holds rules that act while a network trains, ``noise`` those that sample the synapses
of a rate network by the ``scores`` these get.
"""

from winnow.pruners.during_training import (
    SCHEMES,
    Knob,
    Prune,
    anneal,
    check_scheme,
    damp,
    half_threshold,
    magnitude,
    random,
    schedule,
    threshold,
    triangular,
)
from winnow.pruners.sampling import (
    keep_probability,
    match_diagonal,
    noise_keep_probability,
    noise_prune,
    sample_and_rescale,
    strongest,
    theorem_factor,
)
from winnow.pruners.scores import (
    Network,
    degree_score,
    leverage,
    noise_score,
    uniform_score,
    weight_score,
)

__all__ = [
    "SCHEMES",
    "Knob",
    "Network",
    "Prune",
    "anneal",
    "check_scheme",
    "damp",
    "degree_score",
    "half_threshold",
    "keep_probability",
    "leverage",
    "magnitude",
    "match_diagonal",
    "noise_keep_probability",
    "noise_prune",
    "noise_score",
    "random",
    "sample_and_rescale",
    "schedule",
    "strongest",
    "theorem_factor",
    "threshold",
    "triangular",
    "uniform_score",
    "weight_score",
]
