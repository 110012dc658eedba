"""What several test modules draw or read."""

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(os.environ.get("WINNOW_REFERENCE_DATA", ROOT.parent / "shared" / "data"))


def zambra(name):
    """A reference file of the motifs paper; where it is absent the test skips, naming it."""
    path = REFERENCE / "zambra" / name
    if not path.is_file():
        pytest.skip(f"{path.name} is not in {path.parent}: set WINNOW_REFERENCE_DATA")
    return path


def layered_edges(layers=(8, 7, 6, 4), density=0.4, n_colours=3, seed=0):
    """Independent edges between consecutive layers, as of an untrained network."""
    g, first = np.random.default_rng([seed, len(layers)]), np.cumsum([0, *layers])
    places = [
        (a, b)
        for k in range(len(layers) - 1)
        for a in range(first[k], first[k + 1])
        for b in range(first[k + 1], first[k + 2])
    ]
    pairs = np.array(places)[g.random(len(places)) < density]
    return np.column_stack([pairs, g.integers(1, n_colours + 1, len(pairs))])
