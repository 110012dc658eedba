"""Grids of parameters, as they are written on a command line."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from winnow.running.parameters import Parameter

#: More runs than this are a slip of the finger.
MOST = 1_000_000

_OUTSIDE_BRACKETS = re.compile(r",(?![^\[]*\])")
_WHOLE = re.compile(r"\[[^\[\]]*\]|[^\[\]]*")
_NUMBERS = ("int", "float", "list[int]", "list[float]")


def values(text: str, parameter: Parameter) -> list[Any]:
    """Values of a parameter, from ``V1,V2,…``, ``start:stop:step``, or both mixed.

    A range leaves its stop out and steps by 1 where nothing else is said. Each value of a list
    parameter is a list: ``[30,20],[10]``, or a single element without brackets.

    Raises
    ------
    ValueError
        No value, a bad range, a value twice, or one that the parameter does not take.

    Examples
    --------
    >>> share = Parameter("share", "float", 0.5, "kept, in (0, 1]")
    >>> values("0.1:0.4:0.1,0.8", share)
    [0.1, 0.2, 0.3, 0.8]
    >>> values("[20,10],5", Parameter("hidden", "list[int]", [3], "units, in [1, 99]"))
    [[20, 10], [5]]
    """
    found: list[Any] = []
    known: set[str] = set()
    for item in filter(None, map(str.strip, _OUTSIDE_BRACKETS.split(text))):
        if not _WHOLE.fullmatch(item):
            raise ValueError(f"{parameter.name} has a bracket without its other half in {text}")
        ranged = ":" in item and parameter.type in _NUMBERS
        for value in _spread(item, parameter.name) if ranged else [item]:
            if value.startswith("[") and not parameter.type.startswith("list["):
                raise ValueError(
                    f"{parameter.name} takes one value in each run, got {value}: "
                    f"without brackets each value is a run"
                )
            checked = parameter.check(value)
            found.append(checked)
            known.add(repr(checked))
            if len(known) < len(found):
                raise ValueError(f"{parameter.name} has the value {value} twice")
    if not found:
        raise ValueError(f"{parameter.name} has no value: write {parameter.name}=V1,V2")
    return found


def whole_numbers(text: str, name: str) -> list[int]:
    """Whole numbers from 0 on, written as for :func:`values`, for what is no parameter."""
    return values(text, Parameter(name, "int", 0, "in [0, inf)"))


def _spread(text: str, name: str) -> list[str]:
    """The values of a range as text, exact in decimals."""
    try:
        start, stop, step = [Decimal(part) for part in text.split(":")] + [Decimal(1)] * (
            text.count(":") == 1
        )
        count = (stop - start) / step
        none, many = count <= 0, count > MOST
    except (InvalidOperation, ValueError, ArithmeticError):
        raise ValueError(f"{name} takes a range as start:stop:step, got {text}") from None
    if none:
        raise ValueError(f"{name} has no value in {text}: the stop is left out")
    if many:
        raise ValueError(f"{name} has more than {MOST} values in {text}: more cannot be run")
    return [format(start + i * step, "f") for i in range(math.ceil(count))]


def size(axes: Mapping[str, Sequence[Any]]) -> int:
    """Combinations in a grid.

    Raises
    ------
    ValueError
        If there are more than :data:`MOST`.
    """
    count = math.prod(map(len, axes.values()))
    if count > MOST:
        raise ValueError(f"the grid has {count} runs: at most {MOST} can be run")
    return count


def combinations(axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Each combination, the last axis running fastest."""
    for chosen in itertools.product(*axes.values()):
        yield dict(zip(axes, chosen, strict=True))
