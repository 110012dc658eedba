"""The scoreboard is computed from the committed results, and shows them as they are."""

import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from shared import ROOT, around
from winnow import stats
from winnow.reporting import cards, claims, scoreboard
from winnow.reporting.claims import Stated
from winnow.stats import Interval

LISTED = re.findall(r"notebooks/(\w+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [name for name in LISTED if (ROOT / "results" / name).is_dir()]
HARDWARE = {"processor": "any", "cores": 1, "memory_gb": 8}


def judged(id, parts, kind="paper", bar="above 0"):
    stated = Stated(id, f"{id} rises | falls", kind, "a mean", "none", bar)
    return claims.judge(stated, parts, why="" if parts else "no images")


@pytest.fixture
def frame():
    """Of ``a``, ``b``, ``c`` one stays, one moves to reproduced, one away; ``d`` never ran."""
    book = [
        judged("one/a", {"x": around(1), "y": around(3)}),
        judged("one/b", {"x": around(0)}),
        judged("one/c", {"x": around(2)}, "beyond"),
    ]
    paper = [
        judged("one/a", {"x": around(1.1, 0.1), "y": around(3, 0.1)}),
        judged("one/b", {"x": around(1, 0.1)}),
        judged("one/c", {"x": around(-1, 0.1)}, "beyond"),
    ]
    two = [judged("two/d", {}, "inferred"), judged("two/e", {"exact": stats.largest([1.0, 2.0])})]
    found = {("one", "book"): book, ("one", "paper"): paper}
    return scoreboard.tidy(found | {("two", "book"): two, ("two", "paper"): two})


def test_claims_follow_the_book_and_a_preset_counts_only_when_all_chapters_have_it(tmp_path):
    for chapter, preset in [("two", "book"), ("one", "book"), ("one", "paper"), ("one", "smoke")]:
        folder = tmp_path / chapter / preset
        folder.mkdir(parents=True)
        found = claims.to_json([judged(f"{chapter}/a", {"x": around(1)})])
        (folder / "claims.json").write_text(json.dumps(found), encoding="utf-8")
    found = scoreboard.collect(tmp_path, ["one", "two"])
    assert list(zip(found.chapter, found.preset, strict=True)) == [("one", "book"), ("two", "book")]


def test_claims_of_a_supplement_count_under_their_chapter_after_its_own(tmp_path):
    own, more = judged("one/z", {"x": around(1)}), judged("one/a", {"x": around(-1)}, "beyond")
    names = {"one": [own], "two": [judged("two/b", {})], "one_supplement": [more]}
    for name, found in names.items():
        for preset in ("book", "paper"):
            folder = tmp_path / name / preset
            folder.mkdir(parents=True)
            text = json.dumps(claims.to_json(found))
            (folder / "claims.json").write_text(text, encoding="utf-8")
            run = {"seconds": 60 * len(name), "memory_mb": 1024, "hardware": HARDWARE}
            (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    found = scoreboard.collect(tmp_path, ["one", "two", "one_supplement"])
    table = scoreboard.chapter_table(found, "one")
    assert re.findall(r"\(#(one-.)\)", table) == ["one-z", "one-a"]
    assert "**one**: 1 of 2 reproduced" in scoreboard.forest(found)
    heads = [*scoreboard.tally(found).index.droplevel("kind").unique()]
    assert heads == ["one", "two", "all"]
    rows = re.findall(r"^\| (\w+) ", scoreboard.tally_table(found), re.M)
    assert rows == ["chapter", "one", "one", "two", "all", "all", "all"]
    costs = scoreboard.costs(tmp_path, found)
    assert [*costs.chapter.unique()] == ["one", "one_supplement", "two"]
    assert [*costs.took.unique()] == ["3.0 min, 1.0 GB", "14.0 min, 1.0 GB"]


def test_a_row_has_the_part_that_is_shown_and_counts_all(frame):
    row = frame.iloc[0]
    assert (row.part, row.n, row.bar) == ("x", 25, "above 0")
    assert (row.parts, row.holds, row.undecided, row.refuted) == (2, 2, 0, 0)
    untested = frame[frame.id == "two/d"].iloc[0]
    assert (untested.part, untested.parts, untested.n, untested.why) == ("", 0, 0, "no images")
    assert math.isnan(untested.effect)


@pytest.mark.parametrize(
    ("bar", "estimate", "effect"),
    [
        ("above 1", 2, 1),
        ("below 1", 2, -1),
        ("within -1 to 1.5", 1, 0.5),
        ("within 0 to 9", -1, -1),
    ],
)
def test_effects_are_distances_from_the_bar_in_standard_deviations(bar, estimate, effect):
    claim = judged("one/a", {"x": around(estimate)}, bar=bar)
    row = scoreboard.tidy({("one", "book"): [claim]}).iloc[0]
    sd = 0.25 * np.sqrt(25)
    assert row.effect == pytest.approx(effect / sd)
    assert row.effect_low == pytest.approx((effect - around(0).high) / sd)
    assert (row.effect_low > 0) == (claim.verdict == "reproduced")


def test_a_students_interval_gives_back_mean_over_standard_deviation():
    x = np.random.default_rng(0).normal(3, 2, 7)
    found = scoreboard.standardised(stats.t_interval(x))
    assert found.estimate == pytest.approx(x.mean() / x.std(ddof=1))


@pytest.mark.parametrize(("value", "sign"), [(1.0, 1), (-1e-9, -1), (0.0, -1)])
def test_without_width_the_effect_is_infinite_and_keeps_its_side(value, sign):
    assert scoreboard.standardised(Interval(value, value, value, 3)).low == sign * math.inf


def test_cells_say_verdict_interval_n_and_how_many_parts_hold(frame):
    rows = {(row.preset, row.id): row for row in frame.itertuples()}
    full = scoreboard.cell(rows["book", "one/a"])
    assert full.startswith(f"{cards.badge('reproduced')}<br>1.000 [")
    assert full.endswith("], n = 25; 2 of 2 parts hold")
    lost = scoreboard.cell(rows["paper", "one/c"])
    assert lost == f"{cards.badge('not reproduced')}<br>-1.000 [-1.206, -0.794], n = 25"
    assert scoreboard.cell(rows["book", "two/d"]) == f"{cards.badge('not tested')}<br>no images"


def test_claims_with_a_verdict_are_listed_with_links(frame):
    text = scoreboard.listed(frame, "not reproduced")
    assert "[one/c rises \\| falls](#one-c)" in text
    assert text.count("\n") == 2
    assert scoreboard.listed(frame, "undecided") == "No claim is undecided."


def test_tallies_count_claims_by_chapter_kind_and_preset(frame):
    counts = scoreboard.tally(frame)
    assert counts.loc[("one", "paper"), ("undecided", "book")] == 1
    assert counts.loc[("one", "paper"), ("reproduced", "paper")] == 2
    assert counts.loc[("all", "all")].xs("paper", level="preset").sum() == 5
    head, _, first, *rows = scoreboard.tally_table(frame).splitlines()
    assert [x.strip() for x in head.strip("|").split("|")][2:-1] == [*claims.VERDICTS]
    assert "| one       | paper    | 1 / 2" in first
    assert len(rows) == len(counts) - 1


def test_what_moved_is_listed_with_both_cells(frame):
    listed = scoreboard.moved(frame)
    assert [text.partition(" ")[0] for text in listed.claim] == ["[one/b", "[one/c"]
    assert listed.columns.tolist() == ["chapter", "claim", "whose", "book", "paper"]
    assert listed.book[1].startswith(cards.badge("reproduced"))
    assert listed.paper[1].startswith(cards.badge("not reproduced"))
    assert scoreboard.moved(frame[frame.preset == "book"]).empty


def test_the_forest_has_a_row_for_each_claim_at_the_last_preset(frame):
    text = scoreboard.forest(frame)
    assert "**one**: 2 of 3 reproduced" in text
    first, second = (ElementTree.fromstring(svg) for svg in re.findall("<svg.*?</svg>", text, re.S))
    assert [g.find("text/tspan").text for g in first.findall("g")] == ["a", "b", "c"]
    assert [g.get("class") for g in first.findall("g")] == ["holds", "holds", "refuted"]
    untested, exact = second.findall("g")
    assert untested.find("circle") is None
    assert exact.find("circle").get("cx") == "100.0%"


# --- the committed results ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def committed():
    return scoreboard.collect(ROOT / "results", CHAPTERS)


JUDGED = sorted(path.parent for path in (ROOT / "results").glob("*/*/claims.json"))


@pytest.mark.parametrize("folder", JUDGED, ids=lambda f: f"{f.parent.name}-{f.name}")
def test_every_committed_verdict_follows_from_its_samples(folder):
    chapter = folder.parent.name
    kept, again = claims.read(folder / "claims.json"), claims.recompute(chapter, folder)
    assert [(c.id, c.verdict, c.shown) for c in again] == [(c.id, c.verdict, c.shown) for c in kept]
    for old, new in zip(kept, again, strict=True):
        for part, found in zip(
            (*old.parts, *old.controls), (*new.parts, *new.controls), strict=True
        ):
            assert (found.name, found.status, found.n) == (part.name, part.status, part.n)
            numbers = [found.estimate, found.low, found.high]
            assert numbers == pytest.approx([part.estimate, part.low, part.high], 1e-4, nan_ok=True)


def test_ids_are_unique_in_the_book_and_both_presets_hold_the_same(committed):
    assert not committed.duplicated(["preset", "id"]).any()
    assert committed.groupby("preset").id.agg(tuple).nunique() == 1


def test_effects_lie_on_the_side_that_the_verdict_says(committed):
    tested = committed[committed.effect.notna()]
    assert (tested.effect_low[tested.verdict == "reproduced"] > 0).all()
    alone = tested[tested.parts == 1]  # of several parts correction can leave such a one undecided
    assert not ((alone.effect_low > 0) & (alone.verdict == "not reproduced")).any()


def test_costs_are_those_of_the_runs(committed):
    rows = scoreboard.costs(ROOT / "results", committed).set_index(["chapter", "preset"])
    path = ROOT / "results" / CHAPTERS[0] / "book" / "run.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    assert rows.loc[(CHAPTERS[0], "book"), "took"].startswith(f"{run['seconds'] / 60:.1f} min")


def test_the_readme_holds_the_scoreboard(committed):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert scoreboard.tally_table(committed) in text


def test_every_chapter_has_its_table_on_the_page(committed):
    page = json.loads((ROOT / "notebooks" / "scoreboard.ipynb").read_text(encoding="utf-8"))
    source = "".join("".join(cell["source"]) for cell in page["cells"])
    for chapter in committed.chapter.unique():
        assert f'chapter_table(frame, "{chapter}")' in source
        table = scoreboard.chapter_table(committed, chapter)
        ids = committed[committed.chapter == chapter].id.unique()
        assert all(f"](#{claims.anchor(id)})" in table for id in ids)
