"""Pruners: what a weight is worth, who stays, and when.

:data:`~winnow.pruners.PRUNERS` is the table of all. ``during_training`` holds masks from weights
and what acts while a network trains; ``sampling`` prunes the synapses of a rate network by the
``scores`` these get; :mod:`winnow.training.rounds` trains and prunes in turns.
"""

from winnow.pruners.during_training import (
    Knob,
    Prune,
    anneal,
    check,
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
    probabilities,
    prune,
    sample,
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
from winnow.pruners.table import PRUNERS, Pruner, Seen, named, names

__all__ = [
    "PRUNERS",
    "Knob",
    "Network",
    "Prune",
    "Pruner",
    "Seen",
    "anneal",
    "check",
    "damp",
    "degree_score",
    "half_threshold",
    "keep_probability",
    "leverage",
    "magnitude",
    "match_diagonal",
    "named",
    "names",
    "noise_keep_probability",
    "noise_prune",
    "noise_score",
    "probabilities",
    "prune",
    "random",
    "sample",
    "sample_and_rescale",
    "schedule",
    "strongest",
    "theorem_factor",
    "threshold",
    "triangular",
    "uniform_score",
    "weight_score",
]
