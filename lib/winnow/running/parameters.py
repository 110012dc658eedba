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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """One line of a chapter's parameters cell: ``name: type = default  # help, in [low, high]``.

    The help says what is allowed: a range at its end or ``one of a, b or c``; ``each once`` for
    lists without repetition; ``as many as NAME`` for lists that belong together; ``at most NAME``
    for numbers that another one bounds; ``folder with …`` for a folder that must be there, and
    ``folder for …`` for one that is written.
    """

    name: str
    type: str
    default: Any
    help: str
    notebooks: Path | None = field(default=None, compare=False)  #: where no run keeps anything

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
        return checked

    def _check_one(self, value: Any, kind: str) -> Any:
        try:
            converted = _CONVERT[kind](value)
        except (TypeError, ValueError, KeyError):
            raise ValueError(f"{self.name} takes {_WORDS[kind]}, got {value!r}") from None
        if not self._allows(converted):
            allowed = self.told(f"({_RANGE})") or self.told(f"({_CHOICE})")
            raise ValueError(f"{self.name} must be {allowed}, got {value}")
        if converted and (use := self.told(r"folder (with|for)\b")):
            return self._check_folder(Path(converted).expanduser().absolute(), use)
        return converted

    def _check_folder(self, folder: Path, use: str) -> str:
        """A folder's full path, since a chapter runs in a folder of its own."""
        if use == "with" and not folder.is_dir():
            raise ValueError(f"{self.name} takes a folder that is there, got {folder}")
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{self.name} takes a folder, and {folder} is a file")
        if use == "for" and self.notebooks and folder.resolve().is_relative_to(self.notebooks):
            raise ValueError(f"{self.name} must be outside of notebooks/, got {folder}")
        return str(folder)

    def told(self, pattern: str) -> str | None:
        """What the help says at the brackets of a pattern, if anything."""
        found = re.search(pattern, self.help)
        return found and found[1]

    def _allows(self, value: Any) -> bool:
        if found := re.search(_RANGE, self.help):
            left, low, high, right = found.groups()
            above = value >= float(low) if left == "[" else value > float(low)
            return above and (value <= float(high) if right == "]" else value < float(high))
        choices = self.told(_CHOICE)
        return choices is None or str(value) in re.split(r", | or ", choices)


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
        found = {}
        for line in ast.parse(text).body:
            if isinstance(line, ast.AnnAssign):
                name, kind = line.target.id, ast.unparse(line.annotation)
                default, words = ast.literal_eval(line.value), helps.get(line.end_lineno, "")
                found[name] = Parameter(name, kind, default, words, notebook.parent.resolve())
    except (OSError, ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError) as error:
        words = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot read the parameters of {notebook}: {words}") from error
    for name, parameter in found.items():
        if re.sub(r"^list\[(\w+)\]$", r"\1", parameter.type) not in _CONVERT:
            kinds = ", ".join(_CONVERT)
            raise ValueError(f"{notebook}: {name} must be one of {kinds}, got {parameter.type}")
    return found


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
        other = parameter.told(r"as many as (\w+)")
        if other and len(value) != len(settled[other]):
            raise ValueError(
                f"{name} takes as many values as {other}, got {value} for {settled[other]}"
            )
        other = parameter.told(r"at most (\w+)")
        if other in known and value > settled[other]:
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


def _real(value: Any) -> float:
    if not math.isfinite(number := float(str(value))):
        raise ValueError(value)
    return number


_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CONVERT = {
    "int": lambda value: int(str(value)),  # by way of its text, so that neither 2.5 nor True is one
    "float": _real,
    "bool": lambda value: _TRUTHS[str(value).lower()],
    "str": str,
}
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a word"}
_RANGE = r"in ([\[(])(-?[\d.]+(?:e-?\d+)?), (-?[\d.]+(?:e-?\d+)?|inf)([\])])$"
_CHOICE = r"one of ([\w, ]+)$"
