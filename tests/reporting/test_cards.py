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


SURE = "2.000 [1.484, 2.516], above 0 as asked (n = 25)"
FAR = "-2.000 [-2.516, -1.484], where above 0 was asked (n = 25)"
FURTHER = "-3.000 [-3.516, -2.484], where above 0 was asked (n = 25)"
OPEN = "0.100 [-0.416, 0.616], where above 0 was asked (n = 25)"
#: Above 0 by itself, and no longer when it is one of two.
LIFTED = "0.550 [0.034, 1.066], above 0 as asked, but p = 0.069 after Holm's correction (n = 25)"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        # one case
        ({"rise": HIGH}, f"Holds: {SURE}."),
        ({"rise": LOW}, f"Refuted: {FAR}."),
        ({"rise": ACROSS}, f"Undecided: {OPEN}."),
        ({"rise": NOTHING}, "Undecided: no numbers (n = 0)."),
        ({}, "Not tested."),
        # all alike: the number nearest to changing that
        ({"a_b": HIGH, "c": around(3)}, f"Holds in both cases; the less clear is a b: {SURE}."),
        (
            {"a": around(3), "sine, top_k": HIGH, "c": around(3)},
            f"Holds in all 3 cases; the least clear is sine, top k: {SURE}.",
        ),
        ({"a": around(-3), "b": LOW}, f"Refuted in both cases; the less clear is b: {FAR}."),
        (
            dict.fromkeys("abc", around(-3)) | {"d": LOW},
            f"Refuted in all 4 cases; the least clear is d: {FAR}.",
        ),
        (
            {"a": around(0), "b": ACROSS},
            f"Undecided in both cases; nearer to holding is b: {OPEN}.",
        ),
        (
            {"a": around(0), "b": NOTHING, "c": ACROSS},
            f"Undecided in all 3 cases; nearest to holding is c: {OPEN}.",
        ),
        (
            {"a": around(0.55), "b": around(0.56)},
            f"Undecided in both cases; nearer to holding is a: {LIFTED}.",
        ),
        # one exception, or several of one kind
        ({"a": HIGH, "b": LOW}, f"Holds in 1 of 2 cases (a); the other is refuted (b): {FAR}."),
        (
            dict.fromkeys("abcd", HIGH) | {"xor, damp": ACROSS},
            f"Holds in 4 of 5 cases; the other is undecided (xor, damp): {OPEN}.",
        ),
        (
            dict.fromkeys("abcd", HIGH) | {"e": around(-3), "f": LOW},
            "Holds in 4 of 6 cases; the other 2 are refuted (e; f). "
            f"Most clearly refuted is e: {FURTHER}.",
        ),
        (
            {"a": HIGH, "b": ACROSS} | dict.fromkeys("cdef", around(0)),
            "Holds in 1 of 6 cases (a); the other 5 are undecided. "
            f"Nearest to holding is b: {OPEN}.",
        ),
        (
            {"a": around(4), "b": around(0.55), "c": around(0.56)},
            "Holds in 1 of 3 cases (a); the other 2 are undecided (b; c). "
            f"Nearest to holding is b: {LIFTED}.",
        ),
        # of each kind
        (
            {"a": HIGH, "b": ACROSS, "c": LOW},
            f"Holds in 1 of 3 cases (a); 1 is undecided and 1 refuted (c): {FAR}.",
        ),
        (
            {"a": HIGH, "b": ACROSS, "c": ACROSS, "d": LOW, "e": around(-3)},
            "Holds in 1 of 5 cases (a); 2 are undecided and 2 refuted (d; e). "
            f"Most clearly refuted is e: {FURTHER}.",
        ),
        # in none
        (
            {"a": ACROSS, "b": LOW},
            f"Holds in neither case; 1 is undecided and 1 refuted (b): {FAR}.",
        ),
        (
            {"a": ACROSS, "b": NOTHING, "c": LOW, "d": around(-3)},
            "Holds in none of 4 cases; 2 are undecided and 2 refuted (c; d). "
            f"Most clearly refuted is d: {FURTHER}.",
        ),
    ],
)
def test_the_sentence_says_what_was_found(parts, words):
    assert cards.sentence(*judged(parts)) == words


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"rise": HIGH}, f"Holds, but only as a trace: {SURE}."),
        ({"rise": LOW}, f"Refuted: {FAR}."),
        (
            {"a": HIGH, "b": around(2.5), "c": around(5)},
            f"Holds in all 3 cases, in 2 only as a trace; the least clear is a: {SURE}.",
        ),
        (
            {"a": HIGH, "b": around(2.5)},
            f"Holds in both cases, but only as traces; the less clear is a: {SURE}.",
        ),
        (
            {"a": HIGH, "b": around(5), "c": LOW},
            f"Holds in 2 of 3 cases (a; b), in 1 only as a trace; the other is refuted (c): {FAR}.",
        ),
        (
            {"a": HIGH, "b": LOW},
            f"Holds in 1 of 2 cases (a), but only as a trace; the other is refuted (b): {FAR}.",
        ),
    ],
)
def test_the_sentence_says_what_is_a_trace(parts, words):
    stated, claim = judged(parts, matters_from=3)
    assert cards.sentence(stated, claim) == words
    assert claim == judged(parts)[1]  # the verdict is the same


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            {"a": HIGH, "seen": LOW},
            f"Undecided, because the control seen failed: {FAR}. "
            "The case itself holds, which decides nothing without the control.",
        ),
        (
            {"a": HIGH, "b": HIGH, "c": LOW, "d": ACROSS, "e": ACROSS, "seen": ACROSS},
            f"Undecided, because the control seen failed: {OPEN}. Of the 5 cases 2 hold, "
            "2 are undecided, 1 is refuted, which decides nothing without the control.",
        ),
        (
            {"a": HIGH, "b": LOW, "seen": LOW, "seen too": LOW},
            "Undecided, because the controls seen and seen too failed. "
            "Of the 2 cases 1 holds, 1 is refuted, which decides nothing without them.",
        ),
        ({"a": HIGH, "seen": HIGH}, f"Holds: {SURE}."),
        (
            {"must": LOW, "b": ACROSS, "c": around(-3)},
            "Holds in none of 3 cases; 1 is undecided and 2 refuted (must; c). "
            f"Most clearly refuted is c: {FURTHER}.",
        ),
        (
            {"must": LOW, "b": HIGH, "c": around(-3)},
            "Holds in 1 of 3 cases (b), but is refuted in one that must hold (must): " + FAR + ".",
        ),
    ],
)
def test_the_sentence_says_why_cases_that_hold_are_not_enough(parts, words):
    more = {"controls": {"seen*": "above 0"}, "primary": ("must",)}
    assert cards.sentence(*judged(parts, **more)) == words


def test_the_sentence_says_why_nothing_was_tested():
    assert cards.sentence(*judged({}, why="no images")) == "Not tested: no images."


def test_the_sentence_says_between_which_numbers_a_result_should_lie():
    parts = {"a": around(1), "b": around(3)}
    assert cards.sentence(*judged(parts, "within 0 to 2")) == (
        "Holds in 1 of 2 cases (a); the other is refuted (b): "
        "3.000 [2.484, 3.516], where 0 to 2 was asked (n = 25)."
    )
    assert cards.sentence(*judged({"a": around(1)}, "within 0 to 2")) == (
        "Holds: 1.000 [0.484, 1.516], within 0 to 2 as asked (n = 25)."
    )


# --- the forest plot ----------------------------------------------------------------------------


def drawn(parts, bar="above 0", **more):
    text = cards.card(*judged(parts, bar, **more))
    return ElementTree.fromstring(text.partition("\n")[2]).findall("svg")


def percent(shape, name):
    return float(shape.get(name).removesuffix("%"))


def span(shape):
    return percent(shape, "x"), percent(shape, "x") + percent(shape, "width")


def named(svg):
    return [" ".join(row.find("text").itertext()) for row in svg.findall("g")]


def test_each_part_has_a_row_with_its_status_and_its_interval():
    (svg,) = drawn({"a": HIGH, "b": ACROSS, "c": LOW})
    rows = svg.findall("g")
    assert [row.get("class") for row in rows] == ["holds", "undecided", "refuted"]
    assert [row[-1].tag for row in rows] == ["circle", "circle", "rect"]  # not by colour alone
    for row, part, at in zip(rows, (HIGH, ACROSS, LOW), ("cx", "cx", "x"), strict=True):
        low, high = (percent(row.find("line"), x) for x in ("x1", "x2"))
        assert 45 <= low < percent(row[-1], at) < high <= 100
        assert claims.interval(part) in row.find("title").text
    bar = percent(svg.find("line"), "x1")
    assert percent(rows[0].find("line"), "x1") > bar > percent(rows[2].find("line"), "x2")


@pytest.mark.parametrize(
    ("bar", "inside"), [("above 0", "a"), ("below 0", "c"), ("within -1 to 1", "b")]
)
def test_the_side_asked_for_is_shaded(bar, inside):
    (svg,) = drawn({"a": HIGH, "b": ACROSS, "c": LOW}, bar)
    left, right = span(svg.find("rect"))
    lines = [row.find("line") for row in svg.findall("g")]
    found = [left <= percent(x, "x1") <= percent(x, "x2") <= right for x in lines]
    assert [name for name, shaded in zip("abc", found, strict=True) if shaded] == [inside]


@pytest.mark.parametrize(
    ("bar", "traces", "label"),
    [
        ("above 0", "b", "matters from 1"),
        ("below 4", "a", "matters from 3"),
        ("within 0 to 4", "b", "matters from 1 to 3"),
        ("above 1e-9", "b", "matters from 1"),
    ],
)
def test_effects_that_are_too_small_to_matter_are_drawn_as_traces(bar, traces, label):
    parts = {"a": around(3.02, 0.001), "b": around(0.5, 0.001), "c": around(2, 0.001)}
    (svg,) = drawn(parts, bar, matters_from=1)
    rows = dict(zip("abc", svg.findall("g"), strict=True))
    found = [name for name, row in rows.items() if row.get("class") == "holds trace"]
    if bar == "within 0 to 4":
        assert found == ["a", "b"]
    else:
        assert found == [traces]
    assert float(rows[traces].find("circle").get("r")) < float(rows["c"].find("circle").get("r"))
    assert "holds, a trace" in rows[traces].find("title").text
    assert label in [text.text for text in svg.findall("text")]
    assert label in svg.get("aria-label")
    asked, matters = map(span, svg.findall("rect"))
    dashed = [percent(x, "x1") for x in svg.findall("line") if x.get("class") == "matters"]
    assert {*matters} - {*asked} == {*dashed}
    for name, row in rows.items():
        inside = matters[0] <= percent(row.find("circle"), "cx") <= matters[1]
        assert inside == (name not in found)


def test_a_plot_says_to_a_screen_reader_what_it_shows():
    (svg,) = drawn({"a_1": HIGH, "b <&": LOW}, matters_from=3)
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == (
        "Asked: above 0; matters from 3. a 1 2.000 [1.484, 2.516] holds, a trace; "
        "b <& -2.000 [-2.516, -1.484] refuted."
    )


def test_parts_with_other_bars_and_failed_controls_have_a_plot_of_their_own():
    bars = {"a": "above 0", "b*": "below 1.5"}
    parts = {"a": HIGH, "b, x": LOW, "seen": HIGH, "seen too": LOW}
    plots = drawn(parts, bars, controls={"seen*": "above 0"}, matters_from=3)
    assert [*map(named, plots)] == [["a"], ["b, x"], ["control: seen too"]]  # the one that failed
    assert [g.get("class") for g in plots[2].findall("g")] == ["failed"]
    assert "matters" not in plots[2].get("aria-label")


def test_a_part_without_numbers_is_named_and_not_drawn():
    (svg,) = drawn({"a": NOTHING, "b": NOTHING})
    assert named(svg) == ["a", "b"]
    assert svg.find("g/circle") is None
    assert svg.findall("g/text")[1].text == "no numbers"


@pytest.mark.parametrize("n", [1, 24])
def test_long_names_take_lines_of_their_own_and_no_row_meets_another(n):
    name = "glorot, clusters, bi-parallel, and a word that none can break"
    (svg,) = drawn({f"{name} {i}" if i % 2 else f"{i}": HIGH for i in range(n)})
    lines = svg.findall("g/text/tspan")
    assert max(len(line.text) for line in lines) <= 24
    heights = [float(line.get("y")) for line in lines]
    assert min(np.diff([0, *heights, float(svg.get("height")) - 15])) >= 12


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
    page = "\n".join(lines).replace("\u00a0", " ")
    assert ElementTree.fromstring(page).get("id") == "toy-it-rises"  # raw HTML takes no label
    for words in (
        "It rises",
        "“it &lt;rises&gt;” (abstract)",
        "Asked: mean rise, above 0; against",
    ):
        assert words in page
    assert '<span class="verdict reproduced">reproduced</span>' in page
    assert cards.sentence(*judged({"a": HIGH})) in page


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"kind": "beyond"}, "Beyond the paper."),
        ({"kind": "inferred", "where": "title"}, " (title)"),
        ({"kind": "paper", "quote": "it rises"}, "“it rises”"),
    ],
)
def test_a_card_says_whose_claim_it_is(more, words):
    page = ElementTree.fromstring(cards.card(*judged({}, **more)).partition("\n")[2])
    assert page.find("p[@class='source']").text == words


def test_a_card_names_the_parts_of_each_bar_and_explains_marks_and_traces():
    bars = {"sine*": "below 3", "*": "above -1"}
    parts = {"sine, a": LOW, "b": HIGH, "c": around(-1), "d": around(5)}
    page = cards.card(*judged(parts, bars, matters_from=4))
    assert "Asked: mean rise, below 3 (sine…), above -1 (all others); against no rise." in page
    assert "Less than 4 beyond the bar is a trace, too little to matter." in page
    legend = ElementTree.fromstring(page.partition("\n")[2]).find("p[@aria-hidden='true']")
    assert " ".join("".join(legend.itertext()).split()) == (
        "● holds • holds, a trace ○ undecided lines: 95 % intervals"
    )


def test_the_numbers_of_a_card_are_all_parts_and_controls(sheet, here):
    stated = claims.stated("toy")
    page = cards.card(stated["toy/it-rises"], sheet["toy/it-rises"]).partition("\n")[2]
    rows = [[cell.text for cell in row] for row in ElementTree.fromstring(page).findall(".//tr")]
    assert rows[0] == ["case", "estimate [95 % interval]", "n", "p (Holm)", "bar", "status"]
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
    assert "| 2 of 4 |" in " ".join(rows[0].split())
    assert re.search(r"\| [^|]+: -?[\d.]+ \[.+\], asked [^|]+$", rows[0])
    assert rows[1].endswith("–")


def test_the_table_of_verdicts_has_no_number_that_moves(sheet):
    text = cards.table(sheet.claims)
    assert re.findall(r"\d+(?:\.\d+)?", text) == ["25", "0"]  # how many units, nothing measured
