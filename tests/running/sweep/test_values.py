"""Grids: what is written on the command line, and everything that is refused."""

import itertools
import re

import pytest

from winnow.running.parameters import Parameter
from winnow.running.sweep import runs

WHOLE = Parameter("n", "int", 3, "how many, in [1, 99]")
REAL = Parameter("share", "float", 0.5, "kept, in (0, 1]")
WORD = Parameter("kind", "str", "a", "which, one of a, b or c")
TRUTH = Parameter("loud", "bool", False, "whether to shout")
WHOLES = Parameter("hidden", "list[int]", [3], "units, in [1, 99]")
WORDS = Parameter("names", "list[str]", ["a"], "who, one of a, b or c")
ANY = Parameter("x", "float", 0.0, "anything")


@pytest.mark.parametrize(
    ("text", "parameter", "expected"),
    [
        ("4", WHOLE, [4]),
        ("4,2, 9", WHOLE, [4, 2, 9]),
        ("1:4", WHOLE, [1, 2, 3]),
        ("1:10:4", WHOLE, [1, 5, 9]),
        ("9:1:-4", WHOLE, [9, 5]),
        ("1:3,7,9:11", WHOLE, [1, 2, 7, 9, 10]),
        ("0.1:0.5:0.1", REAL, [0.1, 0.2, 0.3, 0.4]),
        ("0.7:0.1:-0.3", REAL, [0.7, 0.4]),
        ("1e-3:4e-3:1e-3", REAL, [0.001, 0.002, 0.003]),
        ("-1:1:0.5", ANY, [-1, -0.5, 0, 0.5]),
        ("a,c", WORD, ["a", "c"]),
        ("yes,no", TRUTH, [True, False]),
        ("[20,10],[5]", WHOLES, [[20, 10], [5]]),
        ("20,10", WHOLES, [[20], [10]]),
        ("1:4", WHOLES, [[1], [2], [3]]),
        ("[a, b],c", WORDS, [["a", "b"], ["c"]]),
        ("1,2,1", WHOLE, [1, 2]),
        ("1:4,3", WHOLE, [1, 2, 3]),
        ("0.1,0.10", REAL, [0.1]),
        ("yes,true", TRUTH, [True]),
        ("[a,b],[a, b]", WORDS, [["a", "b"]]),
    ],
    ids=str,
)
def test_values_are_those_written_with_the_type_of_the_parameter(text, parameter, expected):
    found = runs.values(text, parameter)
    assert found == expected
    kind = {"int": int, "float": float, "str": str, "bool": bool}.get(parameter.type, list)
    assert {type(value) for value in found} == {kind}


def test_a_range_of_decimals_is_exact_where_adding_floats_is_not():
    found = runs.values("0.1:1:0.1", REAL)
    assert found == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert list(itertools.accumulate([0.1] * 9)) != found


@pytest.mark.parametrize(
    ("text", "parameter", "words"),
    [
        ("", WHOLE, "n has no value: write n=V1,V2"),
        (" , ", WHOLE, "n has no value"),
        ("1:5:0", WHOLE, "n takes a range as start:stop:step, got 1:5:0"),
        ("5:5:0", WHOLE, "n takes a range as start:stop:step, got 5:5:0"),
        ("5:5", WHOLE, "n has no value in 5:5: the stop is left out"),
        ("5:1", WHOLE, "n has no value in 5:1"),
        ("1:5:-1", WHOLE, "n has no value in 1:5:-1"),
        ("1:2:3:4", WHOLE, "n takes a range as start:stop:step, got 1:2:3:4"),
        ("1:", WHOLE, "n takes a range as start:stop:step, got 1:"),
        (":", WHOLE, "n takes a range"),
        ("a:b", WHOLE, "n takes a range as start:stop:step, got a:b"),
        ("nan:1", REAL, "share takes a range"),
        ("0:inf", ANY, "x has more than 1000000 values in 0:inf"),
        ("0:1:nan", ANY, "x takes a range"),
        ("1:5:0.5", WHOLE, "n takes a whole number, got '1.0'"),
        ("97:101", WHOLE, "n must be in [1, 99], got 100"),
        ("0:3", WHOLE, "n must be in [1, 99], got 0"),
        ("0:1:0.5", REAL, "share must be in (0, 1], got 0"),
        ("0:1e7", ANY, "x has more than 1000000 values in 0:1e7: the stop is left out"),
        ("0:1:1e-999999", ANY, "x has more than 1000000 values in 0:1:1e-999999"),
        ("1e999999:0", ANY, "x has no value in 1e999999:0"),
        ("0:1e999999", ANY, "x has more than 1000000 values in 0:1e999999"),
        ("[1,2]", WHOLE, "n takes a whole number, got '[1,2]'"),
        ("[1,2", WHOLES, "hidden has a bracket without its other half in [1,2"),
        ("1]", WHOLES, "hidden has a bracket without its other half"),
        ("]1,2[", WHOLES, "hidden has a bracket without its other half"),
        ("[[1],[2]]", WHOLES, "hidden has a bracket without its other half"),
        ("[]", WHOLES, "hidden takes a list such as [3]"),
        ("[1:3]", WHOLES, "hidden takes a range as start:stop:step, got [1:3]"),
        ("a:c", WORD, "kind must be one of a, b or c, got a:c"),
        ("many", WHOLE, "n takes a whole number, got 'many'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_at_once(text, parameter, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        runs.values(text, parameter)


def test_many_values_are_checked_in_no_time():
    seeds = Parameter("seed", "int", 0, "in [0, inf)")
    assert runs.values("0:200000", seeds) == [*range(200_000)]
