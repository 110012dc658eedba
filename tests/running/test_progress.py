"""What a command shows while it works, on a terminal and elsewhere."""

import io
import re
import sys

import pytest
import rich.console

from winnow.running import progress


def at_terminal(monkeypatch):
    """Stand at a terminal of 80 columns; what is on it."""
    screen, console = io.StringIO(), rich.console.Console
    shown = {"file": screen, "width": 80, "force_terminal": True}
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(rich.console, "Console", lambda **options: console(**shown))
    monkeypatch.setenv("TERM", "xterm")
    return screen


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (0, "runs, 0 failed, 64 at a time"),
        (121, "runs, 99 failed, 64 at a time"),
        (1000, "runs"),
    ],
)
def test_a_bar_fits_into_eighty_columns(monkeypatch, done, words):
    terminal = at_terminal(monkeypatch)
    with progress.Display() as display:
        display.show("sweep", done, 1000, words)
    last = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", terminal.getvalue()).strip().splitlines()[-1]
    assert len(last) <= 80
    assert f"{done}/1000" in last
    assert words in last


def test_lines_are_few_however_much_there_is_to_do(capsys):
    with progress.Display() as display:
        for done in range(10_001):
            display.show("a", done, 10_000, "runs")
        display.show("a", 10_000, 10_000, "runs")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "a: 0 of 10000 runs"
    assert lines[-1] == "a: 10000 of 10000 runs"
    assert len(lines) == 11


def test_lines_are_taken_as_they_are(monkeypatch):
    terminal = at_terminal(monkeypatch)
    with progress.Display() as display:
        display.show("a", 0, 1, "cells")
        display.say("[blue]b[/blue]")
    assert "[blue]b[/blue]" in terminal.getvalue()
