"""Motifs of directed graphs: small subgraphs counted, and counted in random graphs alike."""

from winnow.metrics.motifs.census import (
    MIN_EXPECTED,
    Ensemble,
    census,
    check_edges,
    check_resolution,
    ensemble,
    most_significant,
    score,
    significance,
)
from winnow.metrics.motifs.nulls import NothingToChangeError

__all__ = [
    "MIN_EXPECTED",
    "Ensemble",
    "NothingToChangeError",
    "census",
    "check_edges",
    "check_resolution",
    "ensemble",
    "most_significant",
    "score",
    "significance",
]
