"""What a reader sees of claims follows from their numbers."""

import re

from winnow.reporting import cards


def test_a_claim_is_shown_with_its_name_verdict_parts_and_controls(sheet):
    text = cards.card(sheet["toy/it-rises"])
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
    alone = cards.card(sheet["toy/it-was-not-looked-at"])
    assert alone.endswith("**It was not looked at**: *not tested* (no images at hand)")


def test_the_table_of_verdicts_has_no_number_that_moves(sheet):
    text = cards.table(sheet.claims)
    assert re.findall(r"\d+(?:\.\d+)?", text) == ["25", "0"]  # how many units, nothing measured
