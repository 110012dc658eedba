"""What pruning leaves behind in a neural network: models, pruners, metrics and claims.

The names below are what most users need. Their modules load when a name is first used:
``winnow.orderedness(weights)`` is ``winnow.metrics.orderedness.orderedness(weights)``.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "CompleteLayer": "models.CompleteLayer",
    "PRUNERS": "pruners.PRUNERS",
    "Perceptron": "models.Perceptron",
    "Stated": "reporting.claims.Stated",
    "approximation_bounds": "metrics.spectrum.approximation_bounds",
    "bootstrap_ci": "stats.bootstrap_ci",
    "cavity_kurtosis": "metrics.non_gaussianity.cavity_kurtosis",
    "census": "metrics.motifs.census",
    "clustered": "models.rate_networks.clustered",
    "exact_covariance": "models.rate_covariance.exact",
    "excess_kurtosis": "metrics.non_gaussianity.excess_kurtosis",
    "flip_null": "metrics.orderedness.flip_null",
    "generator": "seeds.generator",
    "generators": "seeds.generators",
    "holm": "stats.holm",
    "ipr": "metrics.locality.ipr",
    "judge": "reporting.claims.judge",
    "noise_keep_probability": "pruners.noise_keep_probability",
    "noise_prune": "pruners.noise_prune",
    "orderedness": "metrics.orderedness.orderedness",
    "pair_locality": "metrics.locality.pair_locality",
    "sample_and_rescale": "pruners.sample_and_rescale",
    "significance": "metrics.motifs.significance",
    "t_interval": "stats.t_interval",
    "task": "data.task",
    "top_k": "pruners.masks.top_k",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'winnow' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].rpartition(".")
    return getattr(importlib.import_module(f"winnow.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
