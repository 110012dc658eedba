"""A chapter's parameters: their types and ranges, and values checked against them."""

from __future__ import annotations

import ast
import difflib
import io
import json
import math
import re
import tokenize
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """One line of a chapter's parameters cell: ``name: type = default  # help, in [low, high]``.

    The help says what is allowed: a range at its end or ``one of a, b or c``; ``each once`` for
    lists without repetition, ``at least 2 values`` for their length; ``as many as NAME`` for
    lists that belong together; ``at most NAME`` for numbers that another one bounds; ``folder
    with …`` for a folder that must be there, and ``folder for …`` for one that is written.
    """

    name: str
    type: str
    default: Any
    help: str

    def check(self, value: Any) -> Any:
        """The value as this parameter's type.

        Raises
        ------
        ValueError
            Wrong type or out of range; names the value and what is allowed.
        """
        if not self.type.startswith("list["):
            return self._check_one(value, self.type)
        if isinstance(value, str):
            value = [v.strip() for v in value.strip("[]").split(",") if v.strip()]
        if not isinstance(value, list) or not value:
            raise ValueError(f"{self.name} takes a list such as {self.default}, got {value!r}")
        checked = [self._check_one(v, self.type[5:-1]) for v in value]
        if "each once" in self.help and len({*checked}) < len(checked):
            raise ValueError(f"{self.name} takes each value once, got {checked}")
        least = self._told(_LEAST)
        if least and len(checked) < int(least):
            raise ValueError(f"{self.name} takes at least {least} values, got {checked}")
        return checked

    def _check_one(self, value: Any, kind: str) -> Any:
        try:
            converted = _CONVERT[kind](value)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name} takes {_WORDS[kind]}, got {value!r}") from None
        if not self._allows(converted):
            raise ValueError(f"{self.name} must be {self.allowed}, got {value}")
        if converted and _FOLDER.match(self.help):
            return self._check_folder(Path(converted).expanduser().absolute())
        return converted

    def _check_folder(self, folder: Path) -> str:
        """A folder's full path, since a chapter runs in a folder of its own."""
        if self.help.startswith("folder with") and not folder.is_dir():
            raise ValueError(f"{self.name} takes a folder that is there, got {folder}")
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{self.name} takes a folder, and {folder} is a file")
        return str(folder)

    @property
    def allowed(self) -> str:
        """The range as the help states it, such as ``in (0, 1]``; empty where any value goes."""
        found = _RANGE.search(self.help) or _CHOICE.search(self.help)
        return found.group(0) if found else ""

    @property
    def as_many_as(self) -> str | None:
        """The list parameter that must be as long, from ``as many as NAME`` in the help."""
        return self._told(_LENGTH)

    @property
    def at_most(self) -> str | None:
        """The parameter that bounds this one, from ``at most NAME`` in the help."""
        return self._told(_BOUND)

    def _told(self, pattern: re.Pattern) -> str | None:
        found = pattern.search(self.help)
        return found.group(1) if found else None

    def _allows(self, value: Any) -> bool:
        if found := _RANGE.search(self.help):
            left, low, high, right = found.groups()
            low, high = float(low), float(high)
            return (low < value or (left == "[" and value == low)) and (
                value < high or (right == "]" and value == high)
            )
        if found := _CHOICE.search(self.help):
            return str(value) in re.split(r", | or ", found.group(1))
        return True


def read(notebook: Path) -> dict[str, Parameter]:
    """The parameters of a notebook, from its cell with the tag ``parameters``.

    Raises
    ------
    ValueError
        If there is no such notebook, or its cell cannot be read.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
        text = "".join("".join(cell["source"]) + "\n" for cell in tagged[:1])
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        helps = {t.start[0]: t.string[1:].strip() for t in tokens if t.type == tokenize.COMMENT}
        lines = [node for node in ast.parse(text).body if isinstance(node, ast.AnnAssign)]
        found = [
            (line.target.id, ast.unparse(line.annotation), ast.literal_eval(line.value), line)
            for line in lines
        ]
    except (OSError, ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError) as error:
        words = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot read the parameters of {notebook}: {words}") from error
    for name, kind, _, _ in found:
        if kind.removeprefix("list[").removesuffix("]") not in _CONVERT:
            raise ValueError(f"{notebook}: {name} must be one of {', '.join(_CONVERT)}, got {kind}")
    return {
        name: Parameter(name, kind, default, helps.get(line.end_lineno, ""))
        for name, kind, default, line in found
    }


def settle(known: Mapping[str, Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a run: the notebook's own, under those that are given.

    Raises
    ------
    ValueError
        Unknown parameter; wrong type; out of range; values that do not fit together.
    """
    chosen = {
        name: known[choose(name, list(known), "parameter")].check(value)
        for name, value in values.items()
    }
    settled = {name: p.default for name, p in known.items()} | chosen
    check_together(known, settled)
    return settled


def check_together(known: Mapping[str, Parameter], settled: Mapping[str, Any]) -> None:
    """Refuse lists that belong together and differ in length, and numbers above their bound.

    Raises
    ------
    ValueError
        Naming both parameters.
    """
    for name, parameter in known.items():
        value = settled[name]
        if (other := parameter.as_many_as) and len(value) != len(settled[other]):
            raise ValueError(
                f"{name} takes as many values as {other}, got {value} for {settled[other]}"
            )
        if (other := parameter.at_most) in known and value > settled[other]:
            raise ValueError(f"{name} must be at most {other}, got {value} for {settled[other]}")


def choose(name: str, names: Sequence[str], kind: str) -> str:
    """The name, if it is among the names.

    Raises
    ------
    ValueError
        If it is not; the nearest is suggested.
    """
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"unknown {kind} {name!r}: {hint}choose from {', '.join(names)}")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _real(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError(value)
    return number


def _truth(value: Any) -> bool:
    word = str(value).lower()
    if word not in (*_TRUE, *_FALSE):
        raise ValueError(value)
    return word in _TRUE


_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
_CONVERT = {"int": _whole, "float": _real, "bool": _truth, "str": str}
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a word"}
_RANGE = re.compile(r"in ([\[(])(-?[\d.]+(?:e-?\d+)?), (-?[\d.]+(?:e-?\d+)?|inf)([\])])$")
_LENGTH = re.compile(r"as many as (\w+)")
_BOUND = re.compile(r"at most (\w+)")
_LEAST = re.compile(r"at least (\d+) values")
_CHOICE = re.compile(r"one of ([\w, ]+)$")
_FOLDER = re.compile(r"folder (with|for)\b")
