"""What a command shows while it works: a bar on a terminal, lines anywhere else."""

import contextlib
import sys


class Display(contextlib.ExitStack):
    """How far things are, by name; appears with the first of them, so that bad input shows none."""

    def __init__(self) -> None:
        super().__init__()
        self._bar, self._tasks, self._told = None, {}, {}

    def show(self, name: str, done: int, total: int, words: str = "cells") -> None:
        """Say that so many of a name's parts are done."""
        if sys.stderr.isatty():
            self._draw(name, done, total, words)
        elif (step := done * 10 // max(total, 1)) != self._told.get(name):
            self._told[name] = step  # a line for each tenth
            self.say(f"{name}: {done} of {total} {words}")

    def _draw(self, name: str, done: int, total: int, words: str) -> None:
        from rich import progress
        from rich.console import Console

        if self._bar is None:
            counts = ("{task.description}", progress.BarColumn(), progress.MofNCompleteColumn())
            times = ("{task.fields[words]}", progress.TimeRemainingColumn(False, True))
            bar = progress.Progress(*counts, *times, console=Console(stderr=True))
            self._bar = self.enter_context(bar)
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name, total=total, words=words)
        self._bar.update(self._tasks[name], completed=done, words=words)

    def say(self, line: str) -> None:
        """Print a line; rich puts it above the bar if there is one."""
        print(line, file=sys.stderr, flush=True)
