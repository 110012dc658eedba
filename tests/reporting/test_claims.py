"""A verdict follows from what was stated, intervals and Holm's correction, and nothing else."""

import base64
import json
import math
import os
from dataclasses import replace

import pandas as pd
import pytest

from shared import around
from winnow import stats
from winnow.reporting import claims
from winnow.reporting.claims import Bar, Stated
from winnow.stats import Interval

NAN = math.nan
WORDS = {"says": "It rises", "kind": "paper", "statistic": "difference", "null": "none"}


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
        ({"far": stats.largest([3.0]), "near": stats.largest([1.0])}, "near"),
    ],
)
def test_the_part_nearest_to_changing_the_verdict_stands_for_the_claim(parts, shown):
    claim = judged(parts)
    assert claim.shown == shown
    assert claim.part.name == shown


# --- what is stated -----------------------------------------------------------------------------


def rewrite(here, old, new):
    path = here / "claims" / "toy.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


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
    rewrite(here, old, new)
    with pytest.raises(ValueError, match=words) as caught:
        claims.stated("toy")
    assert "\n" not in str(caught.value)


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
    rewrite(here, "above", "below")
    assert claims.recompute("toy", results)[0].count("holds") == 2


def test_results_of_other_claims_are_named(results, here):
    rewrite(here, "it-was-not-looked-at", "it-is-new")
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
