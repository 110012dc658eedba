"""A chapter's parameters: their types and ranges, and values checked against them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """One line of a chapter's parameters cell: ``name: type = default  # help, in [low, high]``."""

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
        return [self._check_one(v, self.type[5:-1]) for v in value]

    def _check_one(self, value: Any, kind: str) -> Any:
        try:
            converted = _CONVERT[kind](value)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name} takes {_WORDS[kind]}, got {value!r}") from None
        if not self._allows(converted):
            raise ValueError(f"{self.name} must be {self.allowed}, got {value}")
        return converted

    @property
    def allowed(self) -> str:
        """The range as the help states it, such as ``in (0, 1]``; empty where any value goes."""
        found = _RANGE.search(self.help) or _CHOICE.search(self.help)
        return found.group(0) if found else ""

    @property
    def as_many_as(self) -> str | None:
        """The list parameter that must be as long, from ``as many as NAME`` in the help."""
        found = _LENGTH.search(self.help)
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


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _real(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError(value)
    return number


def _truth(value: Any) -> bool:
    truths = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return truths[str(value).lower()] if str(value).lower() in truths else int("not a truth value")


_CONVERT = {"int": _whole, "float": _real, "bool": _truth, "str": str}
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a word"}
_RANGE = re.compile(r"in ([\[(])(-?[\d.]+(?:e-?\d+)?), (-?[\d.]+(?:e-?\d+)?|inf)([\])])$")
_LENGTH = re.compile(r"as many as (\w+)")
_CHOICE = re.compile(r"one of ([\w, ]+)$")
