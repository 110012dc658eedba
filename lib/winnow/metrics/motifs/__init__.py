"""Motifs of directed graphs: small subgraphs counted, and counted in random graphs alike."""

from winnow.metrics.motifs.census import (
    Ensemble,
    census,
    ensemble,
    most_significant,
    score,
    significance,
)

__all__ = ["Ensemble", "census", "ensemble", "most_significant", "score", "significance"]
