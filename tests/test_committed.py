"""What is committed is true: results, outputs, README and the floors of the library."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import nbformat
import pytest

from winnow.reporting import claims, results
from winnow.running import chapters, freshness

ROOT = Path(__file__).parents[1]
COMMITTED = [p.parent for p in sorted((ROOT / "results").glob("*/*/run.json"))]
COMMITTED = [folder for folder in COMMITTED if folder.name != "smoke"]  # not under git

FLOORS = [
    {"arrays", "seeds", "masks", "stats", "memory", "shelf", "nursery"},
    {"models", "networks", "graphs", "covariance", "rates", "pruners", "metrics", "data"},
    {"train", "rules", "sgd", "imp", "epochs"},
    {"claims", "plots", "provenance", "field_problems", "excerpts"},
    {"study", "noise_study", "field_study", "photo_study", "image_study"}
    | {"motif_study", "motif_profiles"}
    | {"results", "fingerprint", "parameters", "scoreboard", "effects"},
    {"execution", "grid"},
    {"runs"},
    {"sweeps"},
    {"cluster", "tables"},
    {"cli", "sweeping"},
    {"__main__"},
]
WITHIN = {("masks", "arrays"), ("stats", "arrays"), ("imp", "sgd")}
WITHIN |= {("cli", "sweeping"), ("scoreboard", "results")}
WITHIN |= {(package, package) for package in ("data", "metrics", "models", "pruners")}


def test_every_chapter_has_committed_results():
    found = {folder.parent.name for folder in COMMITTED if folder.name == chapters.DEFAULT}
    assert found == set(chapters.chapters())


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda f: f"{f.parent.name}-{f.name}")
def test_results_are_complete_and_as_new_as_what_made_them(folder: Path):
    chapter = folder.parent.name
    again = f"winnow run {chapter} --preset {folder.name}"
    assert results.verify(folder), f"{folder} is incomplete or edited by hand: {again}"
    defaults = {name: p.default for name, p in chapters.parameters(chapter).items()}
    now = freshness.digest(chapters.notebook_path(chapter))
    now["parameters"] = defaults | chapters.resolve(chapter, folder.name)
    run = results.read_run(folder)
    was = run["digest"] | {"parameters": run["parameters"]}
    stale = [part for part in now if was[part] != now[part]]
    assert not stale, f"results of {chapter} are older than its {' and '.join(stale)}: {again}"


@pytest.mark.parametrize("chapter", chapters.chapters())
def test_notebook_and_results_tell_the_same(chapter: str):
    notebook = nbformat.read(chapters.notebook_path(chapter), as_version=4)
    shown = results.find_record(notebook)["claims"]
    folder = ROOT / "results" / chapter / chapters.DEFAULT
    kept = claims.to_json(claims.from_json((folder / "claims.json").read_text()))
    assert shown == kept


@pytest.mark.parametrize("chapter", chapters.chapters())
def test_the_outcome_comes_first_in_bold(chapter: str):
    first = nbformat.read(chapters.notebook_path(chapter), as_version=4).cells[0].source
    assert re.match(r"# [^\n]+\n\n\*\*[^*]+\*\*", first)


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda f: f"{f.parent.name}-{f.name}")
def test_the_fact_box_holds_the_tally(folder: Path):
    first = nbformat.read(chapters.notebook_path(folder.parent.name), as_version=4).cells[0].source
    verdicts = claims.from_json((folder / "claims.json").read_text())
    assert f"| {claims.tally(verdicts)} (" in first


def outcome_and_verdicts(chapter: str) -> tuple[str, dict[str, str]]:
    """What a chapter says first, on one line, and its verdicts by claim."""
    first = nbformat.read(chapters.notebook_path(chapter), as_version=4).cells[0].source
    found = (ROOT / "results" / chapter / chapters.DEFAULT / "claims.json").read_text()
    outcome = " ".join(re.search(r"\*\*(.+?)\*\*", first, re.S)[1].split())
    return outcome, {c.id: c.verdict for c in claims.from_json(found)}


def test_orderedness_says_first_that_sparsity_explains_it():
    outcome, verdicts = outcome_and_verdicts("orderedness")
    assert ("sparsity" in outcome.lower()) == (verdicts["C4"] != "reproduced")


def test_noise_pruning_says_first_that_sums_of_weights_do_as_well():
    outcome, verdicts = outcome_and_verdicts("noise_pruning")
    tie = "so does a rule that only adds up weights" in outcome
    assert tie == (verdicts["T8"] == "reproduced")


def test_receptive_fields_says_first_what_is_not_needed():
    outcome, verdicts = outcome_and_verdicts("receptive_fields")
    enough = "Gaussian inputs of the same covariance are enough" in outcome
    assert enough == (verdicts["C1x"] == "not reproduced")
    retraining = "most of the growth in non-Gaussianity comes from retraining" in outcome
    assert retraining == (verdicts["C3g"] == "not reproduced")


def test_motifs_says_first_what_the_scores_are_made_of():
    outcome, verdicts = outcome_and_verdicts("motifs")
    assert ("those of untrained ones, too" in outcome) == (verdicts["C3u"] != "not reproduced")
    assert ("no rise through training is shown" in outcome) == (verdicts["C4d"] == "not reproduced")
    assert ("come mostly from layers" in outcome) == (verdicts["C4"] != "reproduced")


@pytest.mark.parametrize("path", sorted((ROOT / "lib").rglob("*.py")), ids=lambda p: p.stem)
def test_modules_import_from_lower_floors_only(path: Path):
    name = path.relative_to(ROOT / "lib" / "winnow").parts[0].removesuffix(".py")
    if name == "__init__":
        return
    floor = next(i for i, names in enumerate(FLOORS) if name in names)
    lower = set(itertools.chain(*FLOORS[:floor]))
    for module in imported(ast.parse(path.read_text())):
        assert module in lower or (name, module) in WITHIN, f"{name} imports {module}"


def imported(tree: ast.AST) -> set[str]:
    """Modules of the library that code imports, by their first name."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "winnow":
            names |= {alias.name for alias in node.names if not alias.name.startswith("__")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("winnow."):
            names.add(node.module.split(".")[1])
    return names
