"""A chapter's sheet keeps what it judged, shows it, and records it with its samples."""

import json

import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from shared import around
from winnow.reporting import cards, claims
from winnow.reporting import sheet as sheets
from winnow.reporting.sheet import RECORD_TYPE, Sheet, Shown
from winnow.stats import Interval


def test_a_sheet_keeps_what_it_judged_in_the_order_of_the_file(sheet):
    assert [(c.id, c.verdict) for c in sheet.claims] == [
        ("toy/it-rises", "partly reproduced"),
        ("toy/it-was-not-looked-at", "not tested"),
    ]
    assert sheet["toy/it-was-not-looked-at"].why == "no images at hand"
    assert sheet.sentence("toy/it-was-not-looked-at") == "Not tested: no images at hand."
    assert sheet.verdicts().text == Shown(cards.table(sheet.claims)).text
    assert "  " not in sheet.stated().text + sheet.verdicts().text


def test_a_sheet_knows_its_claims(here):
    sheet = Sheet("toy")
    with pytest.raises(ValueError, match="no claim toy/it-falls: there are toy/it-rises, toy/it-w"):
        sheet.judge("toy/it-falls", {"a": around(2)})
    with pytest.raises(ValueError, match="part 'a' has no samples"):
        sheet.judge("toy/it-rises", {"a": Interval(1.0, 0.5, 2.0, 9)})
    sheet.judge("toy/it-rises", {"a": around(2)})
    with pytest.raises(ValueError, match="toy/it-rises is judged already"):
        sheet.judge("toy/it-rises", {"a": around(2)})
    with pytest.raises(ValueError, match="never judged: toy/it-was-not-looked-at"):
        sheet.record()


def test_what_is_stated_is_shown_before_it_is_judged(here):
    text = Sheet("toy").stated().text
    for words in ("[It rises](#toy-it-rises)", "paper, abstract", "ratio*: above 1; *: above 0"):
        assert words in text


def bundle(shown):
    """What a notebook would store."""
    formatter = DisplayFormatter()
    formatter.active_types = [*formatter.format_types, RECORD_TYPE]
    return formatter.format(shown)[0]


def test_the_record_carries_claims_samples_and_tables_beside_what_is_read(sheet):
    frame = pd.DataFrame({"x": [1, 2], "y": [0.5, 1 / 3]})
    data = bundle(sheet.record({"means": frame}))
    record = json.loads(json.dumps(data[RECORD_TYPE], allow_nan=False))
    assert claims.from_json(json.dumps(record["claims"])) == claims.from_json(
        json.dumps(claims.to_json(sheet.claims))
    )
    assert record["tables"] == {"means": frame.to_csv(index=False)}
    assert "1 partly reproduced, 1 not tested" in data["text/markdown"]
    assert RECORD_TYPE not in bundle(sheet.verdicts())


@pytest.fixture
def pasted(monkeypatch):
    """What is pasted, by name."""
    found = {}

    def display(data, *, raw, metadata):
        about = metadata["scrapbook"]
        found[about["name"]] = data[about["mime_prefix"] + "text/markdown"]

    monkeypatch.setattr(sheets, "display", display)
    return found


def test_the_verdicts_are_pasted_for_the_head_of_the_page(sheet, pasted):
    sheet.record()
    assert pasted.pop("verdicts") == cards.strip(sheet.claims)
    assert pasted == {"toy-it-rises-held": "2 of 4", "toy-it-was-not-looked-at-held": "0 of 0"}


def test_a_note_says_which_verdicts_are_not_those_that_the_words_were_written_for(
    sheet, pasted, here
):
    (here / "written_for.yaml").write_text("toy/it-rises: reproduced\n", encoding="utf-8")
    sheet.record()
    note, strip = pasted["verdicts"].split("\n\n|")
    assert f"|{strip}" == cards.strip(sheet.claims)
    now, then = cards.badge("partly reproduced"), cards.badge("reproduced")
    assert note.splitlines() == [
        "```{warning}",
        "This run's verdicts differ from those that the words on this page were written for:",
        "",
        f"- [It rises](#toy-it-rises): now {now}, then {then}",
        "```",
    ]


@pytest.mark.parametrize("words", ["", "toy/it-rises: partly reproduced\n", "other/a: undecided\n"])
def test_no_note_where_verdicts_are_the_same_or_nothing_was_written(sheet, pasted, here, words):
    (here / "written_for.yaml").write_text(words, encoding="utf-8")
    sheet.record()
    assert pasted["verdicts"] == cards.strip(sheet.claims)
