"""What the help of a parameter allows is all that is taken, and said where it is not."""

import json
import re

import pytest

from shared import write_chapter
from winnow.running import chapters, parameters
from winnow.running.parameters import Parameter


def cell(folder, text, tags=("parameters",)):
    """A notebook with one cell."""
    made = {"cell_type": "code", "metadata": {"tags": [*tags]}, "source": text.splitlines(True)}
    path = folder / "chapter.ipynb"
    path.write_text(json.dumps({"cells": [made], "nbformat": 4}), encoding="utf-8")
    return path


def test_names_types_defaults_and_helps_are_read(tmp_path):
    text = """
# not a parameter
n: int = -3  # how many, in [-9, 9]
words: list[str] = [
    "# no help",
]  # größe – ∑
plain: float = 1e-3
import os
"""
    assert [*parameters.read(cell(tmp_path, text)).values()] == [
        Parameter("n", "int", -3, "how many, in [-9, 9]"),
        Parameter("words", "list[str]", ["# no help"], "größe – ∑"),
        Parameter("plain", "float", 1e-3, ""),
    ]
    assert parameters.read(cell(tmp_path, text, tags=())) == {}


@pytest.mark.parametrize(
    "text",
    ["n: int = f(3)", "n: int = ", "n: int", "n: dict = {}", "n: list[dict] = []", "n: int = '"],
)
def test_a_cell_that_cannot_be_read_is_named(tmp_path, text):
    path = cell(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        parameters.read(path)


@pytest.mark.parametrize(
    ("help", "value", "allowed"),
    [
        ("size, in [0, inf)", 1e300, True),
        ("size, in (-1.5, 2]", -1.5, False),
        ("size, in (-1.5, 2]", 2, True),
        ("size, in [1e-3, 1)", 0.0005, False),
        ("size, in [1e-3, 1)", 1, False),
        ("in [1, 2] and more", 7, True),  # no range at the end, no limit
    ],
)
def test_ranges_are_read_from_the_help(help, value, allowed):
    parameter = Parameter("x", "float", 1.0, help)
    if allowed:
        assert parameter.check(value) == value
    else:
        with pytest.raises(ValueError, match="x must be in"):
            parameter.check(value)


@pytest.mark.parametrize(
    ("type", "help", "value", "words"),
    [
        (
            "list[int]",
            "sizes, each once, in [1, 9]",
            "1,2,1",
            "x takes each value once, got [1, 2, 1]",
        ),
        ("list[float]", "each once", [0.1, 0.10], "x takes each value once"),
        ("list[str]", "each once, one of a or b", "a,b,a", "x takes each value once"),
        ("str", "folder with images", "nowhere", "x takes a folder that is there, got /"),
        ("str", "folder with images; or empty", "file", "x takes a folder that is there, got /"),
        ("str", "folder for rounds; or empty", "file", "x takes a folder that is there, got /"),
    ],
)
def test_what_would_fail_later_is_refused_at_once(tmp_path, monkeypatch, type, help, value, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        Parameter("x", type, None, help).check(value)


@pytest.mark.parametrize("help", ["folder with images", "folder for rounds"])
def test_folders_are_those_seen_from_where_the_command_is_given(tmp_path, monkeypatch, help):
    """A chapter runs in ``notebooks/``, where a relative path would mean another one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = Parameter("x", "str", "", help)
    assert folder.check("here") == folder.check("./here") == str(tmp_path / "here")
    assert folder.check("") == ""


@pytest.mark.parametrize("place", ["notebooks", "notebooks/rounds", "./notebooks/../notebooks/a"])
def test_no_run_keeps_anything_inside_notebooks(write_book, tmp_path, monkeypatch, place):
    book = write_book(tmp_path / "book")
    first = 'keep: str = ""  # folder for finished rounds; or empty\nn: int = 3  # how many'
    write_chapter(book, "rounds", first, "pass")
    monkeypatch.setenv("WINNOW_ROOT", str(book))
    with pytest.raises(ValueError, match="keep must be outside of notebooks/, got"):
        chapters.resolve("rounds", values={"keep": str(book / place)})
    monkeypatch.chdir(book)
    with pytest.raises(ValueError, match="keep must be outside of notebooks/, got"):
        chapters.resolve("rounds", values={"keep": place})
    assert chapters.resolve("rounds", values={"keep": "kept"})["keep"] == str(book / "kept")


KNOWN = {
    "n": Parameter("n", "int", 8, "networks, in [1, 99]"),
    "few": Parameter("few", "int", 4, "of them, at most n, in [1, 99]"),
    "sizes": Parameter("sizes", "list[int]", [1, 2], "each once"),
    "shares": Parameter("shares", "list[float]", [0.1, 0.2], "as many as sizes"),
}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"few": 9}, "few must be at most n, got 9 for 8"),
        ({"n": 3}, "few must be at most n, got 4 for 3"),
        ({"sizes": [1]}, "shares takes as many values as sizes, got [0.1, 0.2] for [1]"),
        ({"shares": [1]}, "shares takes as many values as sizes, got [1.0] for [1, 2]"),
        ({"m": 1}, "unknown parameter 'm'"),
    ],
)
def test_values_that_do_not_fit_together_are_refused(values, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        parameters.settle(KNOWN, values)


def test_all_parameters_are_settled():
    assert parameters.settle(KNOWN, {"n": "4", "sizes": "3,4"}) == {
        "n": 4, "few": 4, "sizes": [3, 4], "shares": [0.1, 0.2],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sweep": "0.5"}, r"sweep takes two values or more, got \[0.5\]"),
        (
            {"n_hidden": "13,8"},
            r"must be at least 2 more than n_hidden, got \[14, 14\] ",
        ),
        ({"wide_hidden": "14,9"}, "wide_hidden must be at least 2 more than n_hidden"),
    ],
)
def test_what_a_chapter_could_not_use_is_refused_before_it_starts(root, monkeypatch, values, words):
    monkeypatch.setenv("WINNOW_ROOT", str(root))
    with pytest.raises(ValueError, match=words):
        chapters.resolve("orderedness", values=values)
