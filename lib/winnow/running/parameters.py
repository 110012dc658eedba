"""A chapter's parameters: their types and ranges, and values checked against them."""

import ast
import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Parameter:
    """One line of a chapter's parameters cell: ``name: type = default  # help, in [low, high]``.

    The help says what is allowed: a range at its end or ``one of a, b or c``; ``each once`` for
    lists without repetition, ``two or more`` for such a number of values; ``as many as NAME`` for
    lists that belong together, ``2 more than NAME`` where each value exceeds its other by that too;
    ``at most NAME`` for numbers that another one bounds; ``folder with …`` for a folder that must
    be there, and ``folder for …`` for one that is written.
    """

    name: str
    type: str
    default: object
    help: str

    def check(self, value: object) -> object:
        """The value as this parameter's type.

        Raises
        ------
        ValueError
            Wrong type or out of range; names the value and what is allowed.
        """
        kind = _kind(self.type)
        if kind == self.type:
            return self._check_one(value, kind)
        if isinstance(value, str):
            value = [v.strip() for v in value.strip("[]").split(",") if v.strip()]
        if not isinstance(value, list) or not value:
            raise ValueError(f"{self.name} takes a list such as {self.default}, got {value!r}")
        checked = [self._check_one(v, kind) for v in value]
        if "each once" in self.help and len({*checked}) < len(checked):
            raise ValueError(f"{self.name} takes each value once, got {checked}")
        if "two or more" in self.help and len(checked) < 2:
            raise ValueError(f"{self.name} takes two values or more, got {checked}")
        return checked

    def _check_one(self, value: object, kind: str) -> object:
        words, convert = _KINDS[kind]
        try:
            converted = convert(value)
        except (TypeError, ValueError, KeyError):
            raise ValueError(f"{self.name} takes {words}, got {value!r}") from None
        for pattern, allows in _ALLOWED.items():
            found = re.search(pattern, self.help)
            if found and not allows(converted, *found.groups()):
                raise ValueError(f"{self.name} must be {found[0]}, got {value}")
        if converted and (use := self.told(r"folder (with|for)\b")):
            folder = Path(converted).expanduser().absolute()  # a chapter runs in one of its own
            if not folder.is_dir() and (use == "with" or folder.exists()):
                raise ValueError(f"{self.name} takes a folder that is there, got {folder}")
            return str(folder)
        return converted

    def told(self, pattern: str) -> str | None:
        """What the help says at the brackets of a pattern, if anything."""
        found = re.search(pattern, self.help)
        return found and found[1]


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
        lines, found = text.encode().splitlines(), {}
        for line in ast.parse(text).body:
            if isinstance(line, ast.AnnAssign):
                name, kind = line.target.id, ast.unparse(line.annotation)
                if _kind(kind) not in _KINDS:
                    raise ValueError(f"{name} must be one of {', '.join(_KINDS)}, got {kind}")
                rest = lines[line.end_lineno - 1][line.end_col_offset :].decode()
                words, default = rest.partition("#")[2].strip(), ast.literal_eval(line.value)
                found[name] = Parameter(name, kind, default, words)
        return found
    except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:
        raise ValueError(f"cannot read the parameters of {notebook}: {error}") from error


def settle(known: Mapping[str, Parameter], values: Mapping[str, object]) -> dict[str, object]:
    """All parameters of a run: the notebook's own, under those that are given.

    Raises
    ------
    ValueError
        Unknown parameter; wrong type; out of range; values that do not fit together.
    """
    settled = {name: p.default for name, p in known.items()}
    for name, value in values.items():
        settled[name] = known[choose(name, list(known), "parameter")].check(value)
    check_together(known, settled)
    return settled


def check_together(known: Mapping[str, Parameter], settled: Mapping[str, object]) -> None:
    """Refuse lists that belong together and differ in length, and numbers above their bound.

    Raises
    ------
    ValueError
        Naming both parameters.
    """
    for name, parameter in known.items():
        for pattern, (words, fits) in _TOGETHER.items():
            other, value = parameter.told(pattern), settled[name]
            if other in known and not fits(value, settled[other]):
                raise ValueError(f"{name} {words} {other}, got {value} for {settled[other]}")


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


def _kind(type: str) -> str:
    """The type of a parameter's single values."""
    return re.sub(r"^list\[(\w+)\]$", r"\1", type)


def _real(value: object) -> float:
    if not math.isfinite(number := float(str(value))):
        raise ValueError(value)
    return number


def _within(value: float, left: str, low: str, high: str, right: str) -> bool:
    inside = float(low) < value < float(high)
    return inside or (left, float(low)) == ("[", value) or (right, float(high)) == ("]", value)


def _exceed(values: Sequence[int], others: Sequence[int]) -> bool:
    return all(x >= y + 2 for x, y in zip(values, others, strict=True))


_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

#: What a value of each type is called, and how it is made.
_KINDS = {
    "int": ("a whole number", lambda value: int(str(value))),  # by its text: neither 2.5 nor True
    "float": ("a number", _real),
    "bool": ("true or false", lambda value: _TRUTHS[str(value).lower()]),
    "str": ("a word", str),
}

#: What a help may say of two parameters, in words for who breaks it, and whether they fit.
_TOGETHER = {
    r"(?:as many as|2 more than) (\w+)": ("takes as many values as", lambda x, y: len(x) == len(y)),
    r"2 more than (\w+)": ("must be at least 2 more than", _exceed),
    r"at most (\w+)": ("must be at most", lambda x, y: x <= y),
}

#: What a help may say of single values, and whether it allows one.
_ALLOWED = {
    r"in ([\[(])(-?[\d.]+(?:e-?\d+)?), (-?[\d.]+(?:e-?\d+)?|inf)([\])])$": _within,
    r"one of ([\w, ]+)$": lambda value, words: str(value) in re.split(r", | or ", words),
}
