"""A verdict follows from what was stated, intervals and Holm's correction, and nothing else."""

import base64
import json
import math
import os
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from winnow import stats
from winnow.reporting import claims
from winnow.reporting.claims import Bar, Stated
from winnow.stats import Interval

NAN = math.nan
WORDS = {"says": "It rises", "kind": "paper", "statistic": "difference", "null": "none"}


def around(estimate, error=0.25, n=25):
    """Student's interval of a mean, with samples."""
    x = np.linspace(-1, 1, n)
    return stats.t_interval(estimate + x / x.std(ddof=1) * error * np.sqrt(n))


HIGH, LOW, ACROSS, NOTHING = around(2), around(-2), around(0.1), stats.t_interval([NAN] * 3)


def state(bar="above 0", **more):
    return Stated(**{"id": "toy/it-rises", "bar": bar, **WORDS, **more})


def judged(parts, bar="above 0", **more):
    return claims.judge(state(bar, **more), parts)


# --- verdicts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ({"a": HIGH}, "reproduced"),
        ({"a": HIGH, "b": HIGH}, "reproduced"),
        ({"a": HIGH, "b": ACROSS}, "partly reproduced"),
        ({"a": HIGH, "b": LOW}, "partly reproduced"),
        ({"a": ACROSS}, "undecided"),
        ({"a": ACROSS, "b": NOTHING}, "undecided"),
        ({"a": NOTHING}, "undecided"),
        ({"a": LOW}, "not reproduced"),
        ({"a": ACROSS, "b": LOW}, "not reproduced"),
        ({}, "not tested"),
    ],
)
def test_the_verdict_counts_what_holds_what_is_open_and_what_is_refuted(parts, verdict):
    claim = judged(parts)
    assert claim.verdict == verdict
    assert verdict in claims.VERDICTS
    assert sum(map(claim.count, ("holds", "undecided", "refuted"))) == len(parts)


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ({"a": HIGH, "main": LOW}, "not reproduced"),
        ({"a": LOW, "main": HIGH}, "partly reproduced"),
        ({"a": HIGH, "main": ACROSS}, "partly reproduced"),
    ],
)
def test_a_claim_falls_with_a_primary_part(parts, verdict):
    assert judged(parts, primary=("main*",)).verdict == verdict


@pytest.mark.parametrize(
    ("control", "status", "verdict"),
    [
        (around(0, 0.1), "passed", "reproduced"),
        (around(0, 3), "failed", "undecided"),
        (HIGH, "failed", "undecided"),
        (NOTHING, "failed", "undecided"),
    ],
)
def test_controls_are_gates_and_never_score(control, status, verdict):
    claim = judged({"a": HIGH, "chance": control}, controls={"chance": "within -1 to 1"})
    assert [part.name for part in claim.parts] == ["a"]
    assert [(part.name, part.status) for part in claim.controls] == [("chance", status)]
    assert claim.verdict == verdict
    assert claim.shown == "a"
    assert claim.why == ("" if status == "passed" else "control failed: chance")


def test_a_control_takes_nothing_from_the_level_of_the_parts():
    edge = around(0.25 * 2.2)  # holds by itself, not beside another test
    assert 0.025 < edge.p_above(0) < 0.05
    assert judged({"a": edge, "c": HIGH}, controls={"c": "above 0"}).verdict == "reproduced"
    assert judged({"a": edge, "b": edge}).verdict == "undecided"


def test_p_values_are_corrected_over_the_parts_of_a_claim():
    p = [0.001, 0.015, 0.03, 0.04]
    errors = [replace(HIGH, ends=lambda level, p=x: (1 - level - p, 9.0)) for x in p]
    found = judged({str(x): i for x, i in zip(p, errors, strict=True)}).parts
    assert [part.p for part in found] == pytest.approx(p, rel=1e-3)
    assert [part.status for part in found] == ["holds", "holds", "undecided", "undecided"]


@pytest.mark.parametrize(
    ("bar", "x", "status", "gap"),
    [
        ("above 0", around(1), "holds", 1),
        ("above 1e-3", around(-1), "refuted", -1.001),
        ("above -0.05", around(0), "undecided", 0.05),
        ("below 1.5", around(0), "holds", 1.5),
        ("below 1.5", around(3), "refuted", -1.5),
        ("within -1 to 2", around(0.25), "holds", 1.25),
        ("within -1 to 2", around(2), "undecided", 0),
        ("within -1 to 2", around(4), "refuted", -2),
        ("within -1 to 2", around(-3), "refuted", -2),
    ],
)
def test_bars_have_two_sides_and_an_edge(bar, x, status, gap):
    bar = Bar.parse(bar)
    assert bar.status(x, bar.p_value(x)) == status
    assert bar.distance(x).estimate == pytest.approx(gap)
    assert (bar.p_value(x) <= 0.05) == (status == "holds")
    edge = Interval(bar.low, bar.low, bar.high, 9)
    assert bar.status(edge, 0.001) == "undecided"


@pytest.mark.parametrize("text", ["over 0", "above", "above x", "within 1 to 0", "within 0", 0, ""])
def test_what_is_no_bar_is_named(text):
    with pytest.raises(ValueError, match=r"a bar .*got"):
        Bar.parse(text)
    with pytest.raises(ValueError, match=r"a bar .*got"):
        state(text)


def test_each_part_has_the_bar_of_the_first_pattern_that_fits():
    stated = state({"sine, *": "below 1.5", "*": "above -0.05"}, controls={"*chance": "above 3"})
    names = {"sine, random": "below 1.5", "xor, sine": "above -0.05", "sine, chance": "above 3"}
    assert {name: stated.bar_of(name).text for name in names} == names
    with pytest.raises(ValueError, match="toy/it-rises states no bar for its part 'b'"):
        judged({"b": HIGH}, {"a": "above 0"})
    with pytest.raises(ValueError, match="controls and no other part"):
        judged({"c": HIGH}, controls={"c": "above 0"})


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="one of paper, inferred, beyond, got hearsay"):
        state(kind="hearsay")


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ({"far": around(5), "near": around(1)}, "near"),
        (
            {"near in units, sure": around(1, 0.01), "open to doubt": around(2, 0.5)},
            "open to doubt",
        ),
        ({"holds by a hair": around(0.8), "refuted": around(-5), "open": ACROSS}, "open"),
        ({"refuted": around(-5), "refuted by less": around(-2)}, "refuted by less"),
        ({"nothing known": NOTHING, "open": ACROSS}, "open"),
        ({"nothing known": NOTHING}, "nothing known"),
        ({"exact": stats.largest([1.0]), "holds": around(50)}, "holds"),
    ],
)
def test_the_part_nearest_to_changing_the_verdict_stands_for_the_claim(parts, shown):
    claim = judged(parts)
    assert claim.shown == shown
    assert claim.part.name == shown


# --- what is stated -----------------------------------------------------------------------------

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


def write(folder, text):
    (folder / "claims").mkdir(exist_ok=True)
    (folder / "claims" / "toy.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def here(tmp_path, monkeypatch):
    write(tmp_path, TOY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_claims_are_read_beside_the_notebook_and_from_the_checkout(here, tmp_path, monkeypatch):
    known = claims.stated("toy")
    assert [*known] == ["toy/it-rises", "toy/it-was-not-looked-at"]
    first = known["toy/it-rises"]
    assert (first.null, first.primary, first.matters_from) == ("none", ("a",), None)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "claims").rename(tmp_path / "notebooks" / "claims")
    monkeypatch.setenv("WINNOW_ROOT", str(tmp_path))
    assert claims.stated("toy") == known
    monkeypatch.setenv("WINNOW_ROOT", os.devnull)
    with pytest.raises(ValueError, match=r"no claims of toy: expected .*toy\.yaml"):
        claims.stated("toy")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("prefix: toy", "", "prefix"),
        ("kind: paper", "kind: hearsay", "one of paper, inferred, beyond"),
        ("    says: It rises\n", "", "says"),
        ("where: abstract", "wehre: abstract", "wehre"),
        ("above 1", "over 1", "a bar reads"),
        ("claims:", "claims: [", "no claims as data"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_named(here, old, new, words):
    write(here, TOY.replace(old, new))
    with pytest.raises(ValueError, match=words) as caught:
        claims.stated("toy")
    assert "\n" not in str(caught.value)


# --- a chapter's sheet --------------------------------------------------------------------------

PARTS = {"a": HIGH, "ratio b": around(3), "chance": around(0), "c": LOW, "d": NOTHING}


@pytest.fixture
def sheet(here):
    sheet = claims.Sheet("toy")
    sheet.judge("toy/it-was-not-looked-at", {}, why="no images at hand")
    sheet.judge("toy/it-rises", PARTS)
    return sheet


def test_a_sheet_keeps_what_it_judged_in_the_order_of_the_file(sheet):
    assert [(c.id, c.verdict) for c in sheet.claims] == [
        ("toy/it-rises", "partly reproduced"),
        ("toy/it-was-not-looked-at", "not tested"),
    ]
    assert sheet["toy/it-was-not-looked-at"].why == "no images at hand"
    assert sheet.verdicts().text == claims.table(sheet.claims)


def test_a_sheet_knows_its_claims(here):
    sheet = claims.Sheet("toy")
    with pytest.raises(ValueError, match="no claim toy/it-falls: there are toy/it-rises, toy/it-w"):
        sheet.judge("toy/it-falls", {"a": HIGH})
    with pytest.raises(ValueError, match="part 'a' has no samples"):
        sheet.judge("toy/it-rises", {"a": Interval(1.0, 0.5, 2.0, 9)})
    sheet.judge("toy/it-rises", {"a": HIGH})
    with pytest.raises(ValueError, match="toy/it-rises is judged already"):
        sheet.judge("toy/it-rises", {"a": HIGH})
    with pytest.raises(ValueError, match="never judged: toy/it-was-not-looked-at"):
        sheet.record()


def test_what_is_stated_is_shown_before_it_is_judged(here):
    text = claims.Sheet("toy").stated().text
    for words in ("[It rises](#toy-it-rises)", "paper, abstract", "ratio*: above 1; *: above 0"):
        assert words in text


def test_a_claim_is_shown_with_its_name_verdict_parts_and_controls(sheet):
    text = claims.show(sheet["toy/it-rises"])
    assert text.startswith("(toy-it-rises)=\n**It rises**: *partly reproduced*")
    assert "(of 4 parts 2 hold, 1 undecided, 1 refuted)" in text
    rows = [[x.strip() for x in line.strip("|").split("|")] for line in text.splitlines()[5:]]
    assert [(row[0], row[-2], row[-1]) for row in rows] == [
        ("a", "above 0", "holds"),
        ("ratio b", "above 1", "holds"),
        ("c", "above 0", "refuted"),
        ("d", "above 0", "undecided"),
        ("control: chance", "within -1 to 1", "passed"),
    ]
    assert rows[0][1:4] == ["2.000 [1.484, 2.516]", "25", "< 0.001"]
    alone = claims.show(sheet["toy/it-was-not-looked-at"])
    assert alone.endswith("**It was not looked at**: *not tested* (no images at hand)")


def test_the_table_of_verdicts_has_no_number_that_moves(sheet):
    text = claims.table(sheet.claims)
    assert re.findall(r"\d+(?:\.\d+)?", text) == ["25", "0"]  # how many units, nothing measured


def bundle(shown):
    """What a notebook would store."""
    formatter = DisplayFormatter()
    formatter.active_types = [*formatter.format_types, claims.RECORD_TYPE]
    return formatter.format(shown)[0]


def test_the_record_carries_claims_samples_and_tables_beside_what_is_read(sheet):
    frame = pd.DataFrame({"x": [1, 2], "y": [0.5, 1 / 3]})
    data = bundle(sheet.record({"means": frame}))
    record = json.loads(json.dumps(data[claims.RECORD_TYPE], allow_nan=False))
    assert claims.from_json(json.dumps(record["claims"])) == claims.from_json(
        json.dumps(claims.to_json(sheet.claims))
    )
    assert record["tables"] == {"means": frame.to_csv(index=False)}
    assert "1 partly reproduced, 1 not tested" in data["text/markdown"]
    assert claims.RECORD_TYPE not in bundle(sheet.verdicts())


# --- files --------------------------------------------------------------------------------------


@pytest.fixture
def results(sheet, tmp_path):
    folder = tmp_path / "results" / "toy" / "book"
    folder.mkdir(parents=True)
    record = sheet.record().data
    (folder / "claims.json").write_text(json.dumps(record["claims"]), encoding="utf-8")
    (folder / "samples.parquet").write_bytes(base64.b64decode(record["samples"]))
    return folder


def test_every_verdict_follows_from_the_committed_samples(results, sheet):
    again = claims.recompute("toy", results)
    assert claims.to_json(again) == claims.to_json(sheet.claims)
    assert claims.read_all(results.parents[1]) == {
        ("toy", "book"): claims.read(results / "claims.json")
    }


def test_other_samples_and_other_bars_give_other_verdicts(results, here):
    samples = pd.read_parquet(results / "samples.parquet")
    samples.loc[samples.part == "a", "a"] -= 9
    samples.to_parquet(results / "samples.parquet", index=False)
    assert claims.recompute("toy", results)[0].verdict == "not reproduced"  # a is primary
    write(here, TOY.replace("above", "below"))
    assert claims.recompute("toy", results)[0].count("holds") == 2


def test_results_of_other_claims_are_named(results, here):
    write(here, TOY.replace("it-was-not-looked-at", "it-is-new"))
    with pytest.raises(ValueError, match="differ in toy/it-is-new, toy/it-was-not-looked-at"):
        claims.recompute("toy", results)
    (results / "samples.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match=r"cannot read .*samples\.parquet"):
        claims.recompute("toy", results)


def test_the_file_holds_the_agreed_fields():
    [row] = claims.to_json([judged({"a": HIGH, "c": LOW}, controls={"c": "below 0"})])
    assert list(row) == ["id", "says", "kind", "verdict", "shown", "parts", "controls", "why"]
    fields = ["name", "estimate", "low", "high", "p", "n", "bar", "status"]
    assert list(row["parts"][0]) == fields == list(row["controls"][0])
    types = [type(value) for value in row["parts"][0].values()]
    assert types == [str, float, float, float, float, int, str, str]


GOOD = claims.to_json([judged({"a": HIGH})])[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a list of claims"),
        ("[1]", "not a list of claims"),
        ("3", "not a list of claims"),
        (json.dumps([{"id": "C1"}]), "not a list of claims"),
        (json.dumps([{**GOOD, "more": 1}]), "not a list of claims"),
        (json.dumps([{**GOOD, "parts": [{"name": "a"}]}]), "not a list of claims"),
        (json.dumps([{**GOOD, "verdict": "proved"}]), "toy/it-rises has verdict 'proved', not one"),
    ],
)
def test_what_is_no_list_of_claims_is_refused(text, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        claims.from_json(text)
    path = tmp_path / "claims.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"claims\.json: .*{words}"):
        claims.read(path)


@pytest.mark.parametrize(
    ("x", "shown"),
    [(0.5, "0.500"), (-0.0005, "-0.001"), (0.00049, "5e-04"), (-3e-9, "-3e-09"), (0, "0")],
)
def test_numbers_never_round_to_nothing(x, shown):
    assert claims.number(x) == shown


def test_the_tally_counts_verdicts_in_their_order():
    found = [judged(parts) for parts in ({"a": HIGH}, {}, {"a": ACROSS}, {"a": LOW}, {"a": HIGH})]
    words = "2 reproduced, 1 undecided, 1 not reproduced, 1 not tested"
    assert claims.tally(found) == words
    assert claims.tally([]) == ""
