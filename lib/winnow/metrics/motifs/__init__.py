"""Motifs of directed graphs: small subgraphs counted, and counted in random graphs alike."""

from winnow.metrics.motifs.census import census, ensemble, most_significant, score, significance
from winnow.metrics.motifs.nulls import NothingToChangeError
