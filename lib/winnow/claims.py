"""Claims and verdicts: a claim is judged from its samples by a criterion stated beforehand."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from winnow.stats import Interval, holm

VERDICTS = ("reproduced", "partly reproduced", "not reproduced", "not tested")
SOURCES = ("paper", "beyond")

#: Carries the results of a chapter inside its notebook's outputs.
RECORD_TYPE = "application/vnd.winnow.record+json"

_ALPHA = 0.05


@dataclass(frozen=True)
class Criterion:
    """A rule that an interval meets or does not, and how far it is from the line."""

    text: str
    holds: Callable[[Interval], bool]
    slack: Callable[[Interval], float]  #: positive when met; the smallest names the weakest part


def above(threshold: float) -> Criterion:
    """The whole interval lies above a number."""
    return Criterion(
        f"interval above {threshold:g}",
        lambda i: i.low > threshold,
        lambda i: i.low - threshold,
    )


def below(threshold: float) -> Criterion:
    """The whole interval lies below a number."""
    return Criterion(
        f"interval below {threshold:g}",
        lambda i: i.high < threshold,
        lambda i: threshold - i.high,
    )


def within(low: float, high: float) -> Criterion:
    """The whole interval lies between two numbers: equivalence by a margin."""
    return Criterion(
        f"interval within ({low:g}, {high:g})",
        lambda i: low < i.low and i.high < high,
        lambda i: min(i.low - low, high - i.high),
    )


@dataclass(frozen=True)
class Claim:
    """One line of the scoreboard."""

    id: str
    claim: str
    source: str
    statistic: str
    estimate: float
    low: float
    high: float
    n: int
    null: str
    criterion: str
    verdict: str


def judge(
    id: str,
    claim: str,
    parts: Mapping[str, Interval],
    criterion: Criterion | Mapping[str, Criterion],
    *,
    source: str,
    statistic: str,
    null: str,
) -> Claim:
    """The verdict on a claim that may have several parts.

    A part holds when its interval meets the criterion and, where it has a p-value, that is at
    most 0.05 after Holm's correction over the claim's parts. All parts: *reproduced*; some:
    *partly reproduced*; none: *not reproduced*; no parts at all: *not tested*.

    Parameters
    ----------
    id, claim, statistic, null
        Words for the table. The part whose numbers stand for the claim, the one nearest to
        failing or furthest from holding, is named behind the statistic.
    parts
        Name to interval, such as ``{"xor, random": interval}``.
    criterion
        One rule for all parts, or a rule for each.
    source
        ``"paper"`` or ``"beyond"``.

    Returns
    -------
    Claim
        With the weakest part's estimate, interval and n.

    Raises
    ------
    ValueError
        If the source is unknown, or a criterion has no part.
    """
    if source not in SOURCES:
        raise ValueError(f"source must be one of {', '.join(SOURCES)}, got {source!r}")
    rules = criterion if isinstance(criterion, Mapping) else dict.fromkeys(parts, criterion)
    if set(rules) != set(parts):
        raise ValueError(f"criteria and parts differ in {sorted(set(rules) ^ set(parts))}")
    words = " · ".join(dict.fromkeys(r.text for r in rules.values()))
    if isinstance(criterion, Criterion):
        words = criterion.text
    if not parts:
        nan = float("nan")
        return Claim(id, claim, source, statistic, nan, nan, nan, 0, null, words, "not tested")
    held = holding(parts, criterion)
    weakest = min(parts, key=lambda name: (held[name], rules[name].slack(parts[name])))
    shown = parts[weakest]
    count = f"; weakest of {len(parts)}, {sum(held.values())} hold: {weakest}"
    return Claim(
        id=id,
        claim=claim,
        source=source,
        statistic=statistic + (count if len(parts) > 1 else ""),
        estimate=shown.estimate,
        low=shown.low,
        high=shown.high,
        n=shown.n,
        null=null,
        criterion=words,
        verdict=_verdict(list(held.values())),
    )


def holding(
    parts: Mapping[str, Interval], criterion: Criterion | Mapping[str, Criterion]
) -> dict[str, bool]:
    """Which parts hold, after Holm's correction over those that have a p-value."""
    rules = criterion if isinstance(criterion, Mapping) else dict.fromkeys(parts, criterion)
    tested = [name for name, interval in parts.items() if not math.isnan(interval.p)]
    adjusted = dict(zip(tested, holm([parts[name].p for name in tested]), strict=True))
    return {
        name: bool(rules[name].holds(interval) and adjusted.get(name, 0) <= _ALPHA)
        for name, interval in parts.items()
    }


def _verdict(held: Sequence[bool]) -> str:
    if all(held):
        return "reproduced"
    return "partly reproduced" if any(held) else "not reproduced"


def table(claims: Sequence[Claim]) -> str:
    """Verdicts as a Markdown table, with no number that another machine could change."""
    rows = [
        {"id": c.id, "claim": c.claim, "source": c.source, "n": c.n, "verdict": f"**{c.verdict}**"}
        for c in claims
    ]
    return pd.DataFrame(rows).to_markdown(index=False)


def evidence(claims: Sequence[Claim]) -> str:
    """Statistics, estimates and intervals as a Markdown table."""
    rows = [
        {
            "id": c.id,
            "statistic": c.statistic,
            "estimate [95 % interval]": f"{number(c.estimate)} [{number(c.low)}, {number(c.high)}]",
            "null model": c.null,
            "criterion": c.criterion,
        }
        for c in claims
    ]
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def number(x: float) -> str:
    """Three decimals, or one digit and an exponent where that would show only zeros.

    Examples
    --------
    >>> number(0.12345), number(0.0), number(-5.6e-17)
    ('0.123', '0', '-6e-17')
    """
    if x == 0 or math.isnan(x):
        return "0" if x == 0 else "–"
    return f"{x:.3f}" if abs(x) >= 5e-4 else f"{x:.0e}"


def tally(claims: Sequence[Claim]) -> str:
    """How many claims got each verdict, in words."""
    counts = {v: sum(c.verdict == v for c in claims) for v in VERDICTS}
    return ", ".join(f"{k} {v}" for v, k in counts.items() if k)


class record:  # noqa: N801 - used as a function: the last expression of a cell
    """Leaves a chapter's claims and tables in the notebook, for the runner to take out.

    Parameters
    ----------
    claims
        The chapter's claims.
    tables
        Data frames by file name, kept as CSV beside the claims.
    """

    def __init__(
        self, claims: Sequence[Claim], tables: Mapping[str, pd.DataFrame] | None = None
    ) -> None:
        ids = [c.id for c in claims]
        if len(set(ids)) < len(ids):
            raise ValueError(f"claim ids must be unique, got {ids}")
        self.claims, self.tables = list(claims), dict(tables or {})

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        tables = {name: frame.to_csv(index=False) for name, frame in self.tables.items()}
        return {
            RECORD_TYPE: {"claims": to_json(self.claims), "tables": tables},
            "text/plain": f"{len(self.claims)} claims and {len(tables)} tables recorded",
        }


def to_json(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Plain values, six significant digits, ``None`` where there is no number."""
    return [{k: _plain(v) for k, v in dataclasses.asdict(c).items()} for c in claims]


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def from_json(text: str) -> list[Claim]:
    """Claims as :func:`~winnow.claims.to_json` wrote them.

    Raises
    ------
    ValueError
        If the text is no such list, or a verdict is unknown.
    """
    try:
        claims = [
            Claim(**{k: float("nan") if v is None else v for k, v in row.items()})
            for row in json.loads(text)
        ]
    except (json.JSONDecodeError, TypeError, AttributeError) as error:
        raise ValueError(f"not a list of claims: {error}") from error
    for c in claims:
        if c.verdict not in VERDICTS:
            raise ValueError(f"claim {c.id} has verdict {c.verdict!r}, not one of {VERDICTS}")
    return claims
