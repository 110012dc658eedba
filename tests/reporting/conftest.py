"""A chapter of two claims, and intervals that fall on either side of a bar."""

import numpy as np
import pytest

from shared import around
from winnow import stats
from winnow.reporting.sheet import Sheet

TOY = """
prefix: toy
paper: song2025
claims:
  it-rises:
    says: It rises
    kind: paper
    where: abstract
    statistic: difference
    null: none
    bar: {"ratio*": above 1, "*": above 0}
    controls: {chance: within -1 to 1}
    primary: [a]
  it-was-not-looked-at:
    says: It was not looked at
    kind: beyond
    statistic: difference
    null: chance
    bar: below 1
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the claims of a chapter ``toy``, in which the test runs."""
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "toy.yaml").write_text(TOY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sheet(here):
    """The chapter's claims, judged: of one two parts hold, one is undecided, one is refuted."""
    sheet = Sheet("toy")
    sheet.judge("toy/it-was-not-looked-at", {}, why="no images at hand")
    parts = {"a": around(2), "ratio b": around(3), "chance": around(0), "c": around(-2)}
    sheet.judge("toy/it-rises", {**parts, "d": stats.t_interval([np.nan] * 3)})
    return sheet
