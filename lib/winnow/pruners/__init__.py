"""Pruners: what a weight is worth, who stays, and when.

:data:`~winnow.pruners.PRUNERS` is the table of all. ``during_training`` holds masks from weights
and what acts while a network trains; ``sampling`` prunes the synapses of a rate network by the
``scores`` these get; :mod:`winnow.training.rounds` trains and prunes in turns.
"""

from winnow.pruners.during_training import Knob, Prune, anneal, check, magnitude, schedule
from winnow.pruners.sampling import (
    keep_probability,
    noise_keep_probability,
    noise_prune,
    probabilities,
    prune,
    sample,
    sample_and_rescale,
)
from winnow.pruners.scores import Network, leverage, noise_score, weight_score
from winnow.pruners.table import PRUNERS, Pruner, Seen, named, names
