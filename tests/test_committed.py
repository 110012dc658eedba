"""What is committed is true: results, outputs and what the chapters say first."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import yaml

from winnow.reporting import claims, results
from winnow.running import chapters, freshness

ROOT = Path(__file__).parents[1]
COMMITTED = [p.parent for p in sorted((ROOT / "results").glob("*/*/run.json"))]
COMMITTED = [folder for folder in COMMITTED if folder.name != "smoke"]  # not under git

ALL = {"reproduced", "partly reproduced", "not reproduced", "undecided", "not tested"}

#: What a chapter says first, and the verdicts with which it is true.
OUTCOMES = [
    (
        "receptive_fields",
        "Gaussian inputs of the same covariance are enough",
        "fields/clones-are-not-local",
        {"not reproduced"},
    ),
    (
        "receptive_fields",
        "most of the growth in non-Gaussianity comes from retraining",
        "fields/cuts-bring-most-growth",
        {"not reproduced"},
    ),
    (
        "motifs",
        "those of untrained ones, too",
        "motifs/leaders-before-training",
        {"reproduced", "partly reproduced"},
    ),
    (
        "motifs",
        "no rise through training is shown",
        "motifs/rise-beyond-degrees",
        {"not reproduced", "undecided"},
    ),
    ("motifs", "come mostly from layers", "motifs/msm-beyond-replaced", ALL - {"reproduced"}),
]


def test_every_chapter_has_committed_results():
    found = {folder.parent.name for folder in COMMITTED if folder.name == chapters.DEFAULT}
    assert found == set(chapters.chapters())


def test_every_claim_has_an_id_of_its_own_in_the_book():
    ids = [id for chapter in chapters.chapters() for id in claims.stated(chapter)]
    assert len({*ids}) == len(ids)


def test_the_words_of_every_chapter_were_written_for_the_committed_verdicts():
    now = {
        claim.id: claim.verdict
        for folder in COMMITTED
        if folder.name == chapters.DEFAULT
        for claim in claims.read(folder / "claims.json")
    }
    text = (ROOT / "notebooks" / "written_for.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == now, "read the chapters' words again, then renew the file"
    for name in chapters.chapters():
        page = chapters.notebook_path(name).read_text(encoding="utf-8")
        assert "This run's verdicts differ" not in page, f"winnow refresh {name}"


@pytest.mark.slow
@pytest.mark.parametrize("folder", COMMITTED, ids=lambda f: f"{f.parent.name}-{f.name}")
def test_results_are_complete_and_as_new_as_what_made_them(folder: Path):
    chapter = folder.parent.name
    again = f"winnow run {chapter} --preset {folder.name}"
    if folder.name == chapters.DEFAULT:
        again = f"winnow refresh {chapter}"
    assert results.verify(folder), f"{folder} is incomplete or edited by hand: {again}"
    run = results.read_run(folder)
    stale = freshness.differences(run["digest"], freshness.digest(chapters.notebook_path(chapter)))
    if run["parameters"] != chapters.resolve(chapter, folder.name):
        stale.append("parameters")
    assert not stale, f"results of {chapter} are older than its {' and '.join(stale)}: {again}"


@pytest.mark.parametrize("chapter", chapters.chapters())
def test_notebook_and_results_tell_the_same(chapter: str):
    notebook = nbformat.read(chapters.notebook_path(chapter), as_version=4)
    shown = results.find_record(notebook)["claims"]
    kept = claims.read(ROOT / "results" / chapter / chapters.DEFAULT / "claims.json")
    assert shown == claims.to_json(kept)


@pytest.mark.parametrize("chapter", chapters.chapters())
def test_the_outcome_comes_first_in_bold(chapter: str):
    first = nbformat.read(chapters.notebook_path(chapter), as_version=4).cells[0].source
    anew = all(f"**{word}.**" in first for word in ("Claimed", "Found"))
    assert anew or re.match(r"# [^\n]+\n\n\*\*[^*]+\*\*", first)


@pytest.mark.parametrize(
    ("chapter", "words", "claim", "verdicts"), OUTCOMES, ids=[row[2] for row in OUTCOMES]
)
def test_what_is_said_first_follows_from_the_verdict(chapter, words, claim, verdicts):
    first = nbformat.read(chapters.notebook_path(chapter), as_version=4).cells[0].source
    outcome = " ".join(re.search(r"\*\*(.+?)\*\*", first, re.S)[1].split())
    found = claims.read(ROOT / "results" / chapter / chapters.DEFAULT / "claims.json")
    assert (words in outcome) == ({c.id: c.verdict for c in found}[claim] in verdicts)
