"""What a reader sees of claims follows from their numbers, in words and in lines."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from shared import around
from winnow import stats
from winnow.reporting import cards, claims
from winnow.reporting.claims import Stated

WORDS = {"says": "It rises", "kind": "paper", "statistic": "mean rise", "null": "no rise"}
HIGH, LOW, ACROSS, NOTHING = around(2), around(-2), around(0.1), stats.t_interval([np.nan] * 3)


def judged(parts, bar="above 0", why="", **more):
    stated = Stated(**{"id": "toy/it-rises", "bar": bar, **WORDS, **more})
    return stated, claims.judge(stated, parts, why=why)


# --- the sentence -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"rise": HIGH}, "It holds. Rise: 2.000 [1.484, 2.516] (n = 25); asked: above 0."),
        ({"rise": LOW}, "It is refuted. Rise: -2.000 [-2.516, -1.484] (n = 25); asked: above 0."),
        (
            {"rise": ACROSS},
            "It is undecided. Rise: 0.100 [-0.416, 0.616] (n = 25); asked: above 0.",
        ),
        ({"rise": NOTHING}, "It is undecided. Rise: – [–, –] (n = 0); asked: above 0."),
        ({"a": HIGH, "b": around(3)}, "It holds in all 2 parts. Nearest to changing that is a: "),
        ({"a": LOW, "b": LOW, "c": LOW}, "It is refuted in all 3 parts. Nearest"),
        (
            {"a": HIGH, "b": ACROSS, "c": LOW},
            "It holds for “a”, is undecided for “b”, is refuted for “c”. Nearest to changing",
        ),
        (
            {"a, x": HIGH, "b, x": around(3), "c, x": around(4), "d": LOW},
            "It holds for “a, x”, “b, x” and “c, x”, is refuted for “d”.",
        ),
        (dict.fromkeys("abcd", HIGH) | {"e": LOW}, "It holds in 4 of 5 parts, is refuted for “e”."),
        ({}, "Not tested."),
    ],
)
def test_the_sentence_says_what_was_found(parts, words):
    assert cards.sentence(judged(parts)[1]).startswith(words)


def test_the_sentence_says_why_there_is_no_verdict():
    assert cards.sentence(judged({}, why="no images")[1]) == "Not tested: no images."
    failed = judged({"a": HIGH, "seen": LOW}, controls={"seen": "above 0"})[1]
    assert cards.sentence(failed).endswith("No verdict: control failed: seen.")


# --- the forest plot ----------------------------------------------------------------------------


def drawn(parts, bar="above 0", **more):
    text = cards.card(*judged(parts, bar, **more))
    return ElementTree.fromstring(text.partition("\n")[2]).findall("svg")


def percent(shape, name):
    return float(shape.get(name).removesuffix("%"))


def test_each_part_has_a_row_with_its_status_and_its_interval():
    (svg,) = drawn({"a": HIGH, "b": ACROSS, "c": LOW})
    rows = svg.findall("g")
    assert [row.get("class") for row in rows] == ["holds", "undecided", "refuted"]
    for row, part in zip(rows, (HIGH, ACROSS, LOW), strict=True):
        low, high = (percent(row.find("line"), x) for x in ("x1", "x2"))
        assert 45 <= low < percent(row.find("circle"), "cx") < high <= 100
        assert claims.interval(part) in row.find("title").text
    bar = percent(svg.find("line"), "x1")
    assert percent(rows[0].find("line"), "x1") > bar > percent(rows[2].find("line"), "x2")


@pytest.mark.parametrize(
    ("bar", "inside"), [("above 0", "a"), ("below 0", "c"), ("within -1 to 1", "b")]
)
def test_the_side_asked_for_is_shaded(bar, inside):
    (svg,) = drawn({"a": HIGH, "b": ACROSS, "c": LOW}, bar)
    left, width = percent(svg.find("rect"), "x"), percent(svg.find("rect"), "width")
    found = [
        row.find("text").text
        for row in svg.findall("g")
        if left
        <= percent(row.find("line"), "x1")
        <= percent(row.find("line"), "x2")
        <= left + width
    ]
    assert found == [inside]


def test_a_plot_says_to_a_screen_reader_what_it_shows():
    (svg,) = drawn({"a": HIGH, "b <&": LOW})
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == (
        "Asked: above 0. a 2.000 [1.484, 2.516] holds; b <& -2.000 [-2.516, -1.484] refuted."
    )


def test_parts_with_other_bars_and_controls_have_a_plot_of_their_own():
    bars = {"a": "above 0", "b*": "below 1.5"}
    plots = drawn({"a": HIGH, "b, x": LOW, "seen": HIGH}, bars, controls={"seen": "above 1"})
    assert [[g.find("text").text for g in plot.findall("g")] for plot in plots] == [
        ["a"],
        ["b, x"],
        ["seen"],
    ]


def test_a_part_without_numbers_is_named_and_not_drawn():
    (svg,) = drawn({"a": NOTHING, "b": NOTHING})
    assert [row.find("text").text for row in svg.findall("g")] == ["a", "b"]
    assert svg.find("g/circle") is None


@pytest.mark.parametrize("scale", [1e-12, 1, 1e6])
@pytest.mark.parametrize("name", ["short", "a name that is too long for a phone"])
def test_no_mark_leaves_the_axis(scale, name):
    values = {f"{name} {x}": np.array([1, 1.1, 1.2]) * scale * x for x in (1, 30, 4000)}
    (svg,) = drawn(stats.each(stats.t_interval, values), f"above {2 * scale:g}")
    places = re.findall(r'x\d?="([\d.-]+)%"', ElementTree.tostring(svg, "unicode"))
    assert places
    assert all(0 <= float(x) <= 100 for x in places)


# --- card and tables ----------------------------------------------------------------------------


def test_a_card_says_what_the_paper_says_what_was_asked_and_what_was_found():
    text = cards.card(*judged({"a": HIGH}, quote="it <rises>", where="abstract"))
    label, *lines = text.splitlines()
    assert label == "(toy-it-rises)="
    assert "" not in lines  # an empty line would end the block of HTML
    page = "\n".join(lines)
    assert ElementTree.fromstring(page).get("id") == "toy-it-rises"  # raw HTML takes no label
    for words in (
        "It rises",
        "“it &lt;rises&gt;” (abstract)",
        "Asked: mean rise, above 0; against",
    ):
        assert words in page
    assert '<span class="verdict reproduced">reproduced</span>' in page
    assert cards.sentence(judged({"a": HIGH})[1]) in page


def test_the_numbers_of_a_card_are_all_parts_and_controls(sheet, here):
    stated = claims.stated("toy")
    page = cards.card(stated["toy/it-rises"], sheet["toy/it-rises"]).partition("\n")[2]
    rows = [[cell.text for cell in row] for row in ElementTree.fromstring(page).findall(".//tr")]
    assert rows[0] == ["part", "estimate [95 % interval]", "n", "p (Holm)", "bar", "status"]
    assert [(row[0], row[-2], row[-1]) for row in rows[1:]] == [
        ("a", "above 0", "holds"),
        ("ratio b", "above 1", "holds"),
        ("c", "above 0", "refuted"),
        ("d", "above 0", "undecided"),
        ("control: chance", "within -1 to 1", "passed"),
    ]
    assert rows[1][1:4] == ["2.000 [1.484, 2.516]", "25", "< 0.001"]
    assert rows[4][1:4] == ["– [–, –]", "0", "–"]
    untested = cards.card(stated["toy/it-was-not-looked-at"], sheet["toy/it-was-not-looked-at"])
    assert "Not tested: no images at hand." in untested
    assert "svg" not in untested
    assert "details" not in untested


def test_a_strip_has_a_line_a_claim_with_its_verdict_first(sheet):
    rows = [line.strip("| ") for line in cards.strip(sheet.claims).splitlines()[2:]]
    assert rows[0].startswith('<span class="verdict partly-reproduced">partly reproduced</span>')
    assert "[It rises](#toy-it-rises)" in rows[0]
    assert rows[1].endswith("–")


def test_the_table_of_verdicts_has_no_number_that_moves(sheet):
    text = cards.table(sheet.claims)
    assert re.findall(r"\d+(?:\.\d+)?", text) == ["25", "0"]  # how many units, nothing measured
