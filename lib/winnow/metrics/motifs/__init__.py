"""Motifs of directed graphs: small subgraphs counted, and counted in random graphs alike."""

from winnow.metrics.motifs.census import (
    Ensemble,
    census,
    ensemble,
    most_significant,
    score,
    significance,
)
from winnow.metrics.motifs.nulls import NothingToChangeError

__all__ = [
    "Ensemble",
    "NothingToChangeError",
    "census",
    "ensemble",
    "most_significant",
    "score",
    "significance",
]
