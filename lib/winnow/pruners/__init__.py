"""Pruning rules: pure functions of weights.

``schemes`` holds rules that act while a network trains, ``noise`` those that sample the synapses
of a rate network.
"""

from winnow.pruners.noise import (
    Network,
    degree_score,
    keep_probability,
    leverage,
    match_diagonal,
    noise_keep_probability,
    noise_score,
    sample_and_rescale,
    strongest,
    theorem_K,
    uniform_score,
    weight_score,
)
from winnow.pruners.schemes import (
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
    "noise_score",
    "random",
    "sample_and_rescale",
    "schedule",
    "strongest",
    "theorem_K",
    "threshold",
    "triangular",
    "uniform_score",
    "weight_score",
]
