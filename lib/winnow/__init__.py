"""What pruning leaves behind in a neural network: models, pruners, metrics and claims.

The names below are what most users need. Their modules load when a name is first used:
``winnow.orderedness(weights)`` is ``winnow.metrics.orderedness.orderedness(weights)``.
"""

import importlib
import itertools
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "data": ["task"],
    "metrics.locality": ["ipr", "pair_locality"],
    "metrics.motifs": ["census", "significance"],
    "metrics.non_gaussianity": ["cavity_kurtosis", "excess_kurtosis"],
    "metrics.orderedness": ["flip_null", "orderedness"],
    "metrics.spectrum": ["approximation_bounds"],
    "models": ["CompleteLayer", "Perceptron"],
    "models.rate_covariance": ["exact_covariance"],
    "models.rate_networks": ["clustered"],
    "pruners": ["PRUNERS", "noise_keep_probability", "noise_prune", "sample_and_rescale"],
    "pruners.masks": ["top_k"],
    "reporting.claims": ["Stated", "judge"],
    "seeds": ["generator", "generators"],
    "stats": ["bootstrap_ci", "holm", "t_interval"],
}

#: Names that say here what their module says there.
_THERE = {"exact_covariance": "exact"}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"winnow.{module}"), _THERE.get(name, name))
    raise AttributeError(f"module 'winnow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *itertools.chain(*_PLACES.values())])
