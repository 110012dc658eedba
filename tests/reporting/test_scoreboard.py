"""The scoreboard is computed from the committed results, and shows them as they are."""

import ast
import functools
import io
import json
import math
import re
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from winnow import stats
from winnow.reporting import claims, effects, excerpts, results, scoreboard
from winnow.reporting.claims import Claim, above, below, non_inferior, within
from winnow.stats import Interval

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "notebooks" / "scoreboard.ipynb"
LISTED = re.findall(r"notebooks/(\w+)", (ROOT / "_toc.yml").read_text())
CHAPTERS = [name for name in LISTED if (ROOT / "results" / name).is_dir()]

WORDS = {"source": "paper", "statistic": "share", "null": "chance"}


def claim(id="A", verdict="reproduced", values=(0.5, 0.25, 0.75, 8), **fields):
    """A claim whose other fields are words."""
    estimate, low, high, n = values
    known = dict.fromkeys(("claim", "statistic", "null"), "some") | {"source": "paper"}
    known |= {"estimate": estimate, "low": low, "high": high, "n": n}
    known |= {"id": id, "verdict": verdict, "criterion": "interval above 0"}
    return Claim(**known | fields)


FOUND = {
    ("second", "book"): [claim("B", "not reproduced", (-1.0, -2.0, 0.0, 8))],
    ("first", "paper"): [claim("A", values=(0.6, 0.5, 0.7, 32)), claim("C", source="beyond")],
    ("first", "smoke"): [claim("A", "not tested")],
    ("first", "book"): [claim("A", "partly reproduced"), claim("C", "not reproduced")],
    ("second", "paper"): [claim("B", "partly reproduced", (1.0, 0.0, 2.0, 9))],
}


@pytest.fixture
def frame():
    return scoreboard.tidy(FOUND, ["second", "first"])


@pytest.fixture(scope="module")
def notebooks():
    return excerpts.read_notebooks(ROOT / "notebooks", CHAPTERS)


@pytest.fixture(scope="module")
def committed(notebooks):
    return effects.table(scoreboard.collect(ROOT / "results", CHAPTERS), notebooks)


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(PAGE, as_version=4)


def text_of(notebook, id):
    return next(cell.source for cell in notebook.cells if cell.id == id)


# --- claims as a table ---------------------------------------------------------------------------


def test_claims_follow_the_book_the_default_preset_first_and_no_smoke(frame):
    places = frame[["chapter", "preset", "id"]].to_numpy().tolist()
    assert places[:2] == [["second", "book", "B"], ["second", "paper", "B"]]
    assert places[2:4] == [["first", "book", "A"], ["first", "book", "C"]]
    assert len(places) == 6


def test_a_chapter_that_the_book_does_not_list_comes_last():
    assert list(scoreboard.tidy(FOUND, ["first"]).chapter.unique()) == ["first", "second"]


def test_the_part_that_is_shown_is_read_from_the_statistic():
    good, bad = Interval(1, 0.5, 2, 9), Interval(-1, -2, 0, 9)
    judge = functools.partial(claims.judge, criterion=above(0), **WORDS)
    many = judge("M", "It is so", {"d": good, "a; b: c": bad})
    one, none = judge("O", "It is so", {"d": bad}), judge("N", "It is so", {})
    rows = scoreboard.tidy({("x", "book"): [many, one, none]}, ["x"])
    assert rows.part.to_list() == ["a; b: c", "", ""]
    assert rows.parts.to_list() == [2, 1, 0]
    assert rows.hold.to_list() == [1, 0, 0]
    assert set(rows.measured) == {"share"}


def test_both_presets_stand_side_by_side(frame):
    wide = scoreboard.board(frame)
    assert list(wide.index) == [("second", "B"), ("first", "A"), ("first", "C")]
    assert wide["verdict"]["book"].to_list()[1:] == ["partly reproduced", "not reproduced"]
    assert wide["n"]["paper"].to_list() == [9, 32, 8]


def test_a_cell_has_verdict_interval_and_n():
    assert scoreboard.cell(claim()) == "reproduced: 0.500 [0.250, 0.750], n = 8"
    assert scoreboard.cell(claim(values=(2e-16, 2e-16, 2e-16, 4))) == "reproduced: 2e-16, n = 4"
    nothing = (math.nan, math.nan, math.nan, 0)
    assert scoreboard.cell(claim(verdict="not tested", values=nothing)) == "not tested"


def test_a_full_cell_adds_how_many_parts_hold_and_which_is_shown(frame):
    row = frame.iloc[0].copy()
    row[["part", "parts", "hold"]] = "xor: all", 3, 2
    text = scoreboard.full_cell(row).replace("\u00a0", " ")
    assert text == "○ not reproduced (2 of 3)<br>-1.000 [-2.000, 0]<br>n = 8; xor: all"


def test_the_readme_has_a_row_for_each_claim_and_a_column_for_each_preset():
    header, rule, *rows = scoreboard.readme_table(FOUND, ["first", "second"]).splitlines()
    assert header == "| chapter | claim | from | book | paper |"
    assert set(rule) == set("| -")
    assert rows[0] == (
        "| [first](notebooks/first.ipynb) | A: some | paper "
        "| ◐ partly reproduced: 0.500 [0.250, 0.750], n = 8 "
        "| ● reproduced: 0.600 [0.500, 0.700], n = 32 |"
    )
    assert len(rows) == 3


def test_the_readme_takes_one_preset_a_lacking_claim_and_a_bar_in_a_text():
    one = {("x", "book"): [claim(claim="either | or")]}
    *_, row = scoreboard.readme_table(one, []).splitlines()
    assert row.count(" | ") == 3
    assert r"A: either \| or" in row
    two = one | {("x", "paper"): [claim("B")]}
    *_, first, second = scoreboard.readme_table(two, ["x"]).splitlines()
    assert first.endswith("| – |")
    assert "| – | ● reproduced" in second


# --- what chapters say ---------------------------------------------------------------------------

TABLE = """# Title

| | |
| --- | --- |
| paper | one |

## Claims under test

| | what is claimed | refuted if |
| --- | --- | --- |
| A | $\\lvert a\\rvert$ and a \\| b | reaches 0 |
| B, B' | *beyond:* the same | reaches 1 |
"""
PARTS = """| part   | n   | criterion        | holds   |
|:-------|:----|:-----------------|:--------|
| x      | 3   | interval above {} | yes     |
| y 1    | 3   | interval below {} | no      |

Words in between.

| part   | holds   |
|:-------|:--------|
| x      | yes     |
"""


@pytest.fixture
def chapter():
    """A notebook with three claims, two of them judged in one cell."""
    shown = PARTS.format(1, 2) + "\n" + PARTS.format(3, 4)
    output = new_output("execute_result", {"text/markdown": shown})
    cells = [
        new_markdown_cell(TABLE),
        new_code_cell("A = 1"),
        new_markdown_cell("## A: it's so, isn't it?\n\nText.\n\n### Deeper"),
        new_code_cell('judge("A")\njudge("B")', outputs=[output]),
        new_markdown_cell("Only text."),
        new_code_cell('for id in ["B\'"]:\n    judge(id)'),
        new_markdown_cell("## Verdict"),
        new_code_cell('parts["A"]'),
    ]
    return new_notebook(cells=cells)


def test_statements_are_those_of_the_chapters_table(chapter):
    said = excerpts.statements(chapter)
    assert said == {"A": "$\\lvert a\\rvert$ and a \\| b"} | dict.fromkeys(
        ["B", "B'"], "*beyond:* the same"
    )


def test_a_section_is_the_last_heading_above_the_first_mention(chapter):
    assert excerpts.sections(chapter) == dict.fromkeys(["A", "B", "B'"], ("Deeper", "deeper"))
    chapter.cells[2].source = "## A: it's so, isn't it?"
    assert excerpts.sections(chapter)["A"][1] == "a-its-so-isnt-it"


def test_bars_are_those_of_the_claims_own_table(chapter):
    first = excerpts.printed_bars(chapter, "A", "interval above 1 · interval below 2")
    assert first == {"x": "interval above 1", "y 1": "interval below 2"}
    second = excerpts.printed_bars(chapter, "B", "interval below 4 · interval above 3")
    assert second == {"x": "interval above 3", "y 1": "interval below 4"}
    assert excerpts.printed_bars(chapter, "B", "interval above 9") == {}
    assert excerpts.printed_bars(chapter, "B'", "interval above 3") == {}


def test_a_table_made_here_is_read_here():
    table = pd.DataFrame({"a": ["1 | 2", ""], "b": ["", "x"]})
    [rows] = excerpts.tables(scoreboard.markdown(table))
    assert rows == [{"a": r"1 \| 2", "b": ""}, {"a": "", "b": "x"}]


# --- the effect ----------------------------------------------------------------------------------

CRITERIA = [
    above(1 / 3), above(-2.5), below(1e-12), below(3), within(-0.005, 0.005), within(0.8, 1.25),
    non_inferior(0.05),
]  # fmt: skip


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda c: c.text)
def test_the_lower_end_is_positive_where_the_criterion_is_met(criterion):
    g = np.random.default_rng(0)
    met = set()
    for scale in (1e-3, 0.1, 1, 10):
        for _ in range(200):
            low, estimate, high = np.sort(g.normal(g.choice([0, 1, 3]), scale, 3))
            x = Interval(estimate, low, high, 9)
            found = effects.signed(x, criterion.text)
            assert (found.low > 0) == criterion.holds(x)
            assert found.low <= found.estimate <= found.high
            assert found.low == pytest.approx(criterion.slack(x), abs=1e-6)  # {:g} rounds a third
            met.add(criterion.holds(x))
    assert False in met


def test_of_two_margins_the_one_counts_that_is_nearest_or_passed_furthest():
    near = effects.signed(Interval(1.1, 1.0, 1.2, 9), "interval within (0.8, 1.25)")
    assert near[:3] == pytest.approx((0.15, 0.05, 0.25))
    across = effects.signed(Interval(1.0, 0.7, 1.6, 9), "interval within (0.8, 1.25)")
    assert across[:3] == pytest.approx((0.25, -0.35, 0.55))


def test_an_unknown_criterion_is_refused():
    with pytest.raises(ValueError, match=r"winnow\.claims words, got 'p < 0\.05'"):
        effects.signed(Interval(1, 0, 2, 3), "p < 0.05")


def test_a_students_interval_gives_back_mean_over_standard_deviation():
    values = np.random.default_rng(1).normal(2, 3, 12)
    found = effects.standardised(stats.t_interval(values))
    assert found.estimate == pytest.approx(values.mean() / values.std(ddof=1))
    assert found.n == 12


@pytest.mark.parametrize(("value", "sign"), [(2.0, 1), (-2.0, -1), (0.0, -1)])
def test_without_width_the_effect_is_infinite_and_keeps_its_side(value, sign):
    assert effects.standardised(Interval(value, value, value, 5))[:3] == (sign * math.inf,) * 3


def shown(values, part, *, holds, criterion="interval above 1 · interval below 2"):
    fields = {"criterion": criterion, "statistic": f"s; weakest of 2, {1 + holds} hold: {part}"}
    [row] = scoreboard.tidy({("x", "book"): [claim(values=values, **fields)]}, []).itertuples()
    return row


def test_the_bar_is_that_of_the_part_or_of_its_like_or_the_nearest_that_fits():
    printed = {"x": "interval above 1", "y 1": "interval below 2", "y 2.5": "interval below 2"}
    assert effects.bar(shown((5, 4, 6, 9), "x", holds=True), printed) == "interval above 1"
    assert effects.bar(shown((5, 4, 6, 9), "y 2.5", holds=False), printed) == "interval below 2"
    assert effects.bar(shown((5, 4, 6, 9), "y 40", holds=False), printed) == "interval below 2"
    assert effects.bar(shown((5, 4, 6, 9), "z", holds=True), printed) == "interval above 1"
    assert effects.bar(shown((5, 4, 6, 9), "z", holds=False), printed) == "interval below 2"
    assert effects.bar(shown((1.7, 1.6, 1.9, 9), "z", holds=True), {}) == "interval below 2"
    one = shown((5, 4, 6, 9), "z", holds=False, criterion="interval above 1")
    assert effects.bar(one, {}) == "interval above 1"


def test_names_alike_but_for_numbers_count_only_if_they_share_a_bar():
    printed = {"y 1": "interval above 1", "y 2": "interval below 2"}
    assert effects.bar(shown((5, 4, 6, 9), "y 3", holds=True), printed) == "interval above 1"
    assert effects.bar(shown((5, 4, 6, 9), "y 3", holds=False), printed) == "interval below 2"


def test_a_part_that_only_its_p_value_fails_lies_on_the_good_side(chapter):
    part = Interval(1.0, 0.5, 1.5, 9, p=0.2)
    judged = claims.judge("A", "It is so", {"x": part}, above(0), **WORDS)
    row = effects.table(scoreboard.tidy({("c", "book"): [judged]}, ["c"]), {"c": chapter}).iloc[0]
    assert judged.verdict == "not reproduced"
    assert row.effect_low > 0


# --- tallies and moves ---------------------------------------------------------------------------


def test_tallies_count_claims_by_chapter_source_and_preset(frame):
    frame.loc[frame.id == "C", "source"] = "beyond"
    counts = scoreboard.tally(frame)
    assert counts.loc[("first", "paper"), ("partly reproduced", "book")] == 1
    assert counts.loc[("first", "beyond"), ("reproduced", "paper")] == 1
    assert counts.loc[("all", "both")].to_list() == [0, 2, 1, 1, 2, 0, 0, 0]
    assert counts.loc[["first", "second"]].to_numpy().sum() == len(frame)


def test_moves_are_counted_towards_reproduced_and_away(frame):
    found = scoreboard.moves(frame)
    assert found.loc["first", ["same", "towards", "away"]].to_list() == [0, 2, 0]
    assert found.loc["second", ["same", "towards", "away"]].to_list() == [0, 1, 0]
    swapped = frame.assign(preset=frame.preset.map({"book": "paper", "paper": "book"}))
    assert scoreboard.moves(swapped).loc["all", ["same", "towards", "away"]].to_list() == [0, 0, 3]


def test_estimates_are_compared_where_the_same_part_is_shown(frame):
    found = scoreboard.moves(frame)
    # A: 0.6 in [0.25, 0.75], widths 0.5 and 0.2; B: 1 not in [-2, 0], widths 2 and 2; C: the same
    assert found.loc["all", ["alike", "inside"]].to_list() == [3, 2]
    assert found.loc["first", "width"] == pytest.approx((0.4 + 1) / 2)
    assert found.loc["second", "width"] == 1
    frame.loc[(frame.id == "A") & (frame.preset == "paper"), "part"] = "another"
    assert scoreboard.moves(frame).loc["all", ["alike", "inside"]].to_list() == [2, 1]
    frame.loc[(frame.id == "C") & (frame.preset == "book"), "high"] = 0.25  # no width
    assert scoreboard.moves(frame).loc["all", "alike"] == 1


def test_what_moved_is_listed_with_both_verdicts(frame):
    frame.loc[frame.id == "C", "verdict"] = "reproduced"
    rows = scoreboard.moved(frame)
    assert rows[["chapter", "id"]].to_numpy().tolist() == [["second", "B"], ["first", "A"]]
    assert rows.book[1].startswith("◐ partly reproduced<br>0.500")
    assert rows.paper[1].startswith("● reproduced<br>0.600")


def test_costs_are_those_of_the_runs():
    found = scoreboard.collect(ROOT / "results", CHAPTERS)
    rows = scoreboard.costs(ROOT / "results", found).set_index(["chapter", "preset"])
    run = results.read_run(ROOT / "results" / CHAPTERS[0] / "paper")
    assert rows.minutes[CHAPTERS[0], "paper"] == run["seconds"] / 60
    assert str(run["hardware"]["memory_gb"]) in rows.hardware[CHAPTERS[0], "paper"]
    assert len(rows) == 2 * len(CHAPTERS)


# --- pictures ------------------------------------------------------------------------------------


@pytest.fixture
def drawn(frame, chapter):
    table = effects.table(frame, {"first": chapter, "second": chapter})
    return table, effects.forest(table)


def test_the_forest_has_a_row_for_each_claim_and_a_marker_for_each_preset(drawn):
    table, figure = drawn
    labels = [[t.get_text() for t in ax.get_yticklabels()] for ax in figure.axes]
    assert labels == [["B"], ["A", "C"]]
    at = [
        line.get_xdata()[0] for ax in figure.axes for line in ax.lines if line.get_marker() in "oDs"
    ]
    assert sorted(at) == pytest.approx(sorted(table.effect))
    assert figure.axes[1].get_title(loc="left") == "first: 2 of 2 reproduced"


def test_the_forest_shows_what_has_no_width_and_what_was_not_tested(frame, chapter):
    frame.loc[0, ["estimate", "low", "high"]] = -1.0
    frame.loc[1, "verdict"] = "not tested"
    figure = effects.forest(effects.table(frame, {"first": chapter, "second": chapter}))
    ax = figure.axes[0]
    assert [line.get_marker() for line in ax.lines if line.get_marker() in "<>"] == ["<"]
    assert [t.get_text() for t in ax.texts if "tested" in t.get_text()] == ["not tested"]


def test_the_bars_are_as_long_as_the_tallies(frame):
    frame.loc[frame.id == "C", "source"] = "beyond"
    figure = effects.tallies(scoreboard.tally(frame))
    lengths = [sum(p.get_width() for p in ax.patches) for ax in figure.axes]
    assert lengths == [4, 2]


# --- the committed results -----------------------------------------------------------------------


def test_every_claim_has_a_statement_and_a_section_with_an_anchor_of_its_own(committed, notebooks):
    for name, rows in committed.groupby("chapter"):
        ids = set(rows.id)
        assert set(excerpts.statements(notebooks[name])) == ids
        found = excerpts.sections(notebooks[name])
        assert set(found) == ids
        anchors = dict(found.values())
        assert len(set(anchors.values())) == len(anchors), "two headings with one anchor"


def test_both_presets_hold_the_same_claims(committed):
    wide = scoreboard.board(committed)
    assert wide["verdict"].notna().all(axis=None)
    assert (wide["claim"].book == wide["claim"].paper).all()


def test_effects_lie_on_the_side_that_the_verdict_says(committed, notebooks):
    """Except where Holm's correction decides, which only a part that has a p-value can lose by."""
    tested = committed[committed.verdict != "not tested"]
    other = tested[(tested.effect_low > 0) != (tested.verdict == "reproduced")]
    for row in other.itertuples():
        cells = [c for c in notebooks[row.chapter].cells if f'"{row.id}"' in c.source]
        shown = " ".join(str(cell.get("outputs")) for cell in cells)
        assert row.effect_low > 0, f"{row.chapter} {row.id} ({row.preset})"
        assert "p (Holm)" in shown, f"{row.chapter} {row.id} ({row.preset})"


def test_a_part_that_both_presets_show_has_one_bar(committed):
    wide = scoreboard.board(committed)
    same = wide["part"].book == wide["part"].paper
    assert same.sum() > 50
    assert (wide["bar"].book[same] == wide["bar"].paper[same]).all()


def test_the_readme_holds_the_scoreboard():
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"<!-- scoreboard[^>]*-->\n(.*?)\n?<!-- end of scoreboard -->", readme, re.S)
    table = scoreboard.readme_table(results.read_claims(ROOT / "results"), CHAPTERS)
    assert block[1] == table, "renew it with `winnow claims --markdown`"


# --- the page ------------------------------------------------------------------------------------


def shown_now(notebook, monkeypatch, folder="../results"):
    """What each cell without a picture would show now, beside what is stored: (id, now, stored)."""
    monkeypatch.chdir(ROOT / "notebooks")
    space, told = {}, []
    for cell in notebook.cells:
        stored = [output.get("data", {}) for output in cell.get("outputs", [])]
        if cell.cell_type != "code" or any("image/png" in data for data in stored):
            continue
        source = cell.source
        if "parameters" in cell.metadata.get("tags", []):
            source = source.replace('"../results"', repr(str(folder)))
        *body, last = ast.parse(source).body
        if not isinstance(last, ast.Expr):
            body.append(last)
        with redirect_stdout(io.StringIO()), plt.rc_context():
            exec(compile(ast.Module(body, []), cell.id, "exec"), space)
            value = (
                eval(compile(ast.Expression(last.value), cell.id, "eval"), space)
                if (isinstance(last, ast.Expr))
                else None
            )
        if value is not None:
            now = getattr(value, "text", None) or value.data
            told.append((cell.id, now, stored[0]["text/markdown"]))
    return told


def test_the_page_shows_the_committed_results(notebook, monkeypatch):
    told = shown_now(notebook, monkeypatch)
    assert len(told) == 3 + len(CHAPTERS)
    for id, now, stored in told:
        assert now == stored, f"{id}: renew it with `winnow refresh scoreboard`"


def test_a_changed_result_shows_on_the_page_and_in_the_readme(notebook, monkeypatch, tmp_path):
    folder = tmp_path / "results"
    for path in [*ROOT.glob("results/*/book/*.json"), *ROOT.glob("results/*/paper/*.json")]:
        target = folder / path.relative_to(ROOT / "results")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    changed = folder / CHAPTERS[0] / "paper" / "claims.json"
    rows = json.loads(changed.read_text())
    before = scoreboard.readme_table(results.read_claims(folder), CHAPTERS)
    rows[1] |= {"verdict": "not reproduced"}
    changed.write_text(json.dumps(rows))
    after = scoreboard.readme_table(results.read_claims(folder), CHAPTERS)
    assert sum(a != b for a, b in zip(before.splitlines(), after.splitlines(), strict=True)) == 1
    differing = {
        id for id, now, stored in shown_now(notebook, monkeypatch, folder) if now != stored
    }
    assert {"code-tally", "code-moves", "code-moved"} <= differing
    assert len(differing) == 4  # and the chapter's own table, no other's


def judged(rows):
    return claims.tally([claim(verdict=verdict) for verdict in rows.verdict])


def test_the_outcome_has_the_tallies_of_the_paper_preset(notebook, committed):
    first = notebook.cells[0].source
    outcome = " ".join(re.match(r"# [^\n]+\n\n\*\*([^*]+)\*\*", first)[1].split())
    large = committed[committed.preset == "paper"]
    own, ours = large[large.source == "paper"], large[large.source == "beyond"]
    assert f"their {len(own)} claims" in outcome
    assert f"{len(ours)} claims of our own" in outcome
    assert f": {judged(own)}." in outcome
    assert f": {judged(ours)}." in outcome


def test_what_did_not_reproduce_is_said_in_words(notebook, committed):
    text = text_of(notebook, "md-failed")
    large = committed[committed.preset == "paper"]
    failed = large[large.verdict == "not reproduced"]
    told = re.findall(r"^- \*\*(\w+), ([\w']+): ", text, re.M)
    assert sorted(told) == sorted(zip(failed.chapter, failed.id, strict=True))
    undecided = failed[failed.effect_high > 0]
    assert f"no part of {in_words(failed)} claims" in text
    assert f"{in_words(failed[failed.effect_high <= 0]).capitalize()} of them" in text
    assert f"{in_words(undecided)} intervals" in text
    assert all(f"{id} " in text or f"{id}:" in text for id in undecided.id)
    partly = large[(large.source == "paper") & (large.verdict == "partly reproduced")]
    assert f"{in_words(partly).capitalize()} of the papers' own claims hold in part" in text
    [paragraph] = [p for p in text.split("\n\n") if "hold in part only" in p]
    assert set(partly.id) <= set(re.findall(r"\b[A-Z]\d\w*", paragraph))


NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def in_words(rows):
    return NUMBERS[len(rows)]


def test_what_moved_is_said_in_words(notebook, committed):
    text = text_of(notebook, "md-moved-read")
    rows = scoreboard.moved(committed)
    assert rows[rows["from"] == "paper"].id.to_list() == ["L1"]
    assert "L1" in text
    found = scoreboard.moves(committed)
    assert found.away["all"] == 1
    out = found.alike - found.inside
    assert f"{NUMBERS[out['all']]} of {found.alike['all']}" in text
    assert out["orderedness"] == out["noise_pruning"] == 0  # "none does"


def test_every_chapter_has_its_table_and_its_paper_on_the_page(notebook):
    shown = [
        re.search(r"\]\((\w+)\.ipynb#", output["data"]["text/markdown"])[1]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "chapter_table" in cell.source
    ]
    assert shown == CHAPTERS
