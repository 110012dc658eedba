"""A verdict follows from intervals, criteria and Holm's correction, and nothing else."""

import dataclasses
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from winnow.reporting import claims
from winnow.stats import Interval

NAN = math.nan
WORDS = {"source": "paper", "statistic": "difference", "null": "none"}
HIGH, LOW, ACROSS = Interval(2, 1, 3, 9), Interval(-2, -3, -1, 9), Interval(0.5, -1, 2, 9)


def judged(parts, criterion=None, **changes):
    criterion = claims.above(0) if criterion is None else criterion
    return claims.judge("C1", "It rises", parts, criterion, **{**WORDS, **changes})


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ({"a": HIGH}, "reproduced"),
        ({"a": HIGH, "b": HIGH}, "reproduced"),
        ({"a": HIGH, "b": ACROSS}, "partly reproduced"),
        ({"a": ACROSS}, "not reproduced"),
        ({"a": ACROSS, "b": LOW}, "not reproduced"),
        ({}, "not tested"),
    ],
)
def test_all_some_none_and_no_parts(parts, verdict):
    assert judged(parts).verdict == verdict
    assert verdict in claims.VERDICTS


def test_an_undefined_interval_holds_nothing():
    nothing = Interval(NAN, NAN, NAN, 2)
    for rule in (claims.above(0), claims.below(0), claims.within(-1, 1), claims.non_inferior(1)):
        assert judged({"a": nothing}, rule).verdict == "not reproduced"


@pytest.mark.parametrize(
    ("rule", "interval", "holds", "slack"),
    [
        (claims.above(0), Interval(1, 0.25, 2, 9), True, 0.25),
        (claims.above(0), Interval(1, 0, 2, 9), False, 0),
        (claims.below(1.5), Interval(1, 0.5, 1.25, 9), True, 0.25),
        (claims.below(1.5), Interval(1, 0.5, 1.5, 9), False, 0),
        (claims.within(-1, 1), Interval(0, -0.5, 0.75, 9), True, 0.25),
        (claims.within(-1, 1), Interval(0, -1.5, 0.75, 9), False, -0.5),
        (claims.within(-1, 1), Interval(0, -0.5, 1, 9), False, 0),
        (claims.non_inferior(0.5), Interval(0, -0.25, 1, 9), True, 0.25),
        (claims.non_inferior(0.5), Interval(0, -0.5, 1, 9), False, 0),
    ],
)
def test_criteria_are_strict_and_know_their_slack(rule, interval, holds, slack):
    assert bool(rule.holds(interval)) is holds
    assert rule.slack(interval) == pytest.approx(slack)


@pytest.mark.parametrize(
    ("p_values", "holding"),
    [
        ([0.01, 0.04], [True, True]),  # 0.02 and 0.04
        ([0.03, 0.03], [False, False]),  # 0.06 twice
        ([0.001, 0.03, 0.04], [True, False, False]),  # 0.003, 0.06, 0.06
        ([0.05], [True]),
        ([0.051], [False]),
        ([NAN, 0.03, NAN], [True, True, True]),  # one test among three parts
    ],
)
def test_p_values_are_corrected_over_the_parts_of_a_claim(p_values, holding):
    parts = {f"part {k}": HIGH._replace(p=p) for k, p in enumerate(p_values)}
    assert list(claims.holding(parts, claims.above(0)).values()) == holding
    some = "partly reproduced" if any(holding) else "not reproduced"
    assert judged(parts).verdict == ("reproduced" if all(holding) else some)


def test_a_small_p_value_does_not_save_an_interval():
    assert judged({"a": ACROSS._replace(p=1e-4)}).verdict == "not reproduced"


@pytest.mark.parametrize(
    ("parts", "weakest"),
    [
        ({"far": Interval(5, 4, 6, 9), "near": Interval(1, 0.1, 2, 7)}, "near"),
        ({"fails": Interval(0, -0.1, 1, 7), "far": Interval(5, 4, 6, 9)}, "fails"),
        ({"fails": ACROSS, "fails worse": LOW, "holds": HIGH}, "fails worse"),
        # what fails by its p-value alone is weaker than what holds by a hair
        ({"p": HIGH._replace(p=0.5, n=3), "hair": Interval(1, 1e-6, 2, 9)}, "p"),
    ],
)
def test_the_weakest_part_stands_for_the_claim(parts, weakest):
    c = judged(parts)
    assert (c.estimate, c.low, c.high, c.n) == parts[weakest][:4]
    held = sum(claims.holding(parts, claims.above(0)).values())
    assert c.statistic == f"difference; weakest of {len(parts)}, {held} hold: {weakest}"


def test_a_single_part_needs_no_name():
    assert judged({"only": HIGH}).statistic == "difference"


def test_each_part_may_have_its_own_criterion():
    parts = {"rate": Interval(0, -0.01, 0.02, 9), "error": Interval(1.2, 1.1, 1.4, 9)}
    rules = {"rate": claims.non_inferior(0.05), "error": claims.below(1.5)}
    c = judged(parts, rules)
    assert c.verdict == "reproduced"
    assert c.criterion == "a loss of 0.05 excluded · interval below 1.5"
    swapped = {"rate": claims.below(-1), "error": claims.above(2)}
    assert judged(parts, swapped).verdict == "not reproduced"
    assert judged({}, claims.above(0)).criterion == "interval above 0"


@pytest.mark.parametrize("rules", [{"a": claims.above(0)}, dict.fromkeys("abc", claims.above(0))])
def test_parts_and_criteria_must_match(rules):
    with pytest.raises(ValueError, match=r"criteria and parts differ in \['[bc]'\]"):
        judged({"a": HIGH, "b": HIGH}, rules)


def test_an_unknown_source_is_named():
    with pytest.raises(ValueError, match="one of paper, beyond, got 'hearsay'"):
        judged({"a": HIGH}, source="hearsay")


# --- files --------------------------------------------------------------------------------------


def a_few():
    parts = {"a": Interval(1 / 3, 0.1, 0.9, 64, 0.01), "b": Interval(5.6e-17, -1e-18, 1.0, 64, 0.2)}
    return [
        judged(parts),
        judged({}, source="beyond"),
        judged({"a": Interval(NAN, NAN, NAN, 0)}),
        judged({"a": Interval(np.inf, 1.0, np.inf, 3)}),
    ]


def test_claims_survive_their_file():
    written = json.dumps(claims.to_json(a_few()), allow_nan=False)
    back = claims.from_json(written)
    assert json.dumps(claims.to_json(back)) == written
    for c, d in zip(a_few(), back, strict=True):
        for name, value in dataclasses.asdict(c).items():
            found = getattr(d, name)
            if not isinstance(value, float):
                assert found == value
            elif math.isfinite(value):
                assert found == pytest.approx(value, rel=1e-5, abs=1e-300)
            else:
                assert math.isnan(found)


def test_the_file_holds_the_agreed_fields():
    [row] = claims.to_json([judged({"a": HIGH})])
    assert list(row) == [
        *("id", "claim", "source", "statistic", "estimate", "low", "high"),
        *("n", "null", "criterion", "verdict"),
    ]


def test_numpy_numbers_become_plain_ones():
    part = Interval(np.float64(1), np.float32(0.5), np.float64(2), np.int64(9))
    [row] = claims.to_json([judged({"a": part})])
    assert [type(row[k]) for k in ("estimate", "low", "high", "n")] == [float, float, float, int]


GOOD = claims.to_json([judged({"a": HIGH})])[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a list of claims"),
        ("[1]", "not a list of claims"),
        ("3", "not a list of claims"),
        (json.dumps([{"id": "C1"}]), "not a list of claims"),
        (json.dumps([{**GOOD, "more": 1}]), "not a list of claims"),
        (json.dumps([{**GOOD, "verdict": "proved"}]), "claim C1 has verdict 'proved', not one of"),
    ],
)
def test_what_is_no_list_of_claims_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        claims.from_json(text)


# --- what a chapter shows -----------------------------------------------------------------------


def test_the_table_of_verdicts_has_no_number_that_moves():
    text = claims.table(a_few())
    assert text.count("C1") == 4
    numbers = re.findall(r"\d+(?:\.\d+)?", text.replace("C1", ""))
    assert numbers == ["64", "0", "0", "3"]  # how many seeds, and nothing measured
    moved = [dataclasses.replace(c, estimate=0.1, low=0.2, high=0.3) for c in a_few()]
    assert claims.table(moved) == text


def test_the_evidence_shows_what_was_measured():
    text = claims.evidence(a_few()[:1])
    for word in ("6e-17", "-1e-18", "1.000", "interval above 0", "weakest of 2, 1 hold: b"):
        assert word in text


def test_the_parts_table_shows_adjusted_p_values_and_what_holds():
    parts = {"a": HIGH._replace(p=0.01), "b": HIGH._replace(p=0.04), "c": LOW._replace(p=1e-5)}
    head, _, *lines = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in claims.parts_table(parts, claims.above(0)).splitlines()
        if line.startswith("|")
    )
    rows = [dict(zip(head, line, strict=True)) for line in lines]
    assert [(row["part"], row["p (Holm)"], row["holds"]) for row in rows] == [
        ("a", "0.020", "yes"),
        ("b", "0.040", "yes"),
        ("c", "< 0.001", "no"),
    ]
    assert rows[0]["estimate [95 % interval]"] == "2.000 [1.000, 3.000]"
    assert rows[0]["n"] == "9"
    exact = claims.parts_table({"a": Interval(1.0, 1.0, 1.0, 9)}, claims.above(0))
    assert "1.000 [" not in exact
    assert "p (Holm)" not in exact


@pytest.mark.parametrize(
    ("x", "shown"),
    [(0.5, "0.500"), (-0.0005, "-0.001"), (0.00049, "5e-04"), (-3e-9, "-3e-09"), (0, "0")],
)
def test_numbers_never_round_to_nothing(x, shown):
    assert claims.number(x) == shown


def test_the_tally_counts_verdicts_in_their_order():
    words = "1 reproduced, 1 partly reproduced, 1 not reproduced, 1 not tested"
    assert claims.tally(a_few()) == words
    assert claims.tally(a_few()[1:2] * 3) == "3 not tested"
    assert claims.tally([]) == ""


@pytest.fixture
def sheet():
    sheet = claims.Sheet()
    sheet.judge("C1", "It rises", {"a": HIGH, "b": LOW}, claims.above(0), **WORDS)
    sheet.judge("C2", "It falls", {"a": LOW}, claims.below(0), **WORDS)
    return sheet


def test_a_sheet_keeps_what_it_judged(sheet):
    assert [(c.id, c.verdict) for c in sheet.claims] == [
        ("C1", "partly reproduced"),
        ("C2", "reproduced"),
    ]
    shown = sheet.judge("C3", "It stays", {"a": ACROSS}, claims.within(-5, 5), **WORDS)
    assert shown.text == claims.parts_table({"a": ACROSS}, claims.within(-5, 5))
    assert sheet.verdicts().text == claims.table(sheet.claims)


def test_a_sheet_refuses_an_id_twice(sheet):
    with pytest.raises(ValueError, match="claim C1 is judged already"):
        sheet.judge("C1", "It rises again", {"a": HIGH}, claims.above(0), **WORDS)
    assert len(sheet.claims) == 2


def bundle(shown):
    """What a notebook would store."""
    formatter = DisplayFormatter()
    formatter.active_types = [*formatter.format_types, claims.RECORD_TYPE]
    return formatter.format(shown)[0]


def test_the_record_carries_claims_and_tables_beside_what_is_read(sheet):
    frame = pd.DataFrame({"x": [1, 2], "y": [0.5, 1 / 3]})
    data = bundle(sheet.record({"means": frame}))
    record = json.loads(json.dumps(data[claims.RECORD_TYPE]))
    assert claims.from_json(json.dumps(record["claims"])) == claims.from_json(
        json.dumps(claims.to_json(sheet.claims))
    )
    assert record["tables"] == {"means": frame.to_csv(index=False)}
    assert data["text/markdown"] == claims.evidence(sheet.claims)


def test_what_is_only_shown_carries_no_record(sheet):
    data = bundle(sheet.verdicts())
    assert claims.RECORD_TYPE not in data
    assert "**partly reproduced**" in data["text/markdown"]
    assert bundle(sheet.record())[claims.RECORD_TYPE]["tables"] == {}


def test_each_part_gets_its_criterion_in_order():
    parts = dict.fromkeys(["a", "b"], Interval(1.0, 0.5, 1.5, 4))
    rules = claims.each(parts, claims.above(0), claims.below(1))
    assert claims.holding(parts, rules) == {"a": True, "b": False}
    with pytest.raises(ValueError, match="shorter"):
        claims.each(parts, claims.above(0))
