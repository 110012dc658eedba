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

from winnow import stats
from winnow.stats import Interval

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


def each(parts: Mapping[str, Interval], *criteria: Criterion) -> dict[str, Criterion]:
    """A criterion for each part of a claim, in their order."""
    return dict(zip(parts, criteria, strict=True))


#: One criterion for all parts of a claim, or one for each by name.
Rule = Criterion | Mapping[str, Criterion]


def non_inferior(margin: float) -> Criterion:
    """A loss as large as the margin is excluded, see :func:`~winnow.stats.non_inferior`."""
    return Criterion(
        f"a loss of {margin:g} excluded",
        lambda i: stats.non_inferior(i, margin=margin),
        lambda i: i.low + margin,
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
    criterion: Rule,
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
    rules = _rules(parts, criterion)
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


def holding(parts: Mapping[str, Interval], criterion: Rule) -> dict[str, bool]:
    """Which parts hold, after Holm's correction over those that have a p-value."""
    rules, adjusted = _rules(parts, criterion), _adjusted(parts)
    return {
        name: bool(rules[name].holds(part) and adjusted.get(name, 0) <= _ALPHA)
        for name, part in parts.items()
    }


def parts_table(parts: Mapping[str, Interval], criterion: Rule) -> str:
    """A claim's parts with intervals, adjusted p-values and whether they hold, as Markdown."""
    rules, adjusted, held = _rules(parts, criterion), _adjusted(parts), holding(parts, criterion)
    texts = {rule.text for rule in rules.values()}
    rows = [
        {
            "part": name,
            "estimate [95 % interval]": interval(part),
            "n": part.n,
            **({"p (Holm)": _p_value(adjusted[name])} if name in adjusted else {}),
            **({} if len(texts) == 1 else {"criterion": rules[name].text}),
            "holds": "yes" if held[name] else "no",
        }
        for name, part in parts.items()
    ]
    shown = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    return f"{shown}\n\nA part holds with its {texts.pop()}." if len(texts) == 1 else shown


def _rules(parts: Mapping[str, Interval], criterion: Rule) -> Mapping[str, Criterion]:
    rules = criterion if isinstance(criterion, Mapping) else dict.fromkeys(parts, criterion)
    if set(rules) != set(parts):
        raise ValueError(f"criteria and parts differ in {sorted(set(rules) ^ set(parts))}")
    return rules


def _adjusted(parts: Mapping[str, Interval]) -> dict[str, float]:
    tested = [name for name, part in parts.items() if not math.isnan(part.p)]
    return dict(zip(tested, stats.holm([parts[name].p for name in tested]), strict=True))


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


def interval(x: Interval | Claim) -> str:
    """Estimate and interval as text; an exact result by itself."""
    if x.low == x.high:  # an exact result
        return number(x.estimate)
    return f"{number(x.estimate)} [{number(x.low)}, {number(x.high)}]"


def _p_value(p: float) -> str:
    return "< 0.001" if p < 1e-3 else f"{p:.3f}"


def tally(claims: Sequence[Claim]) -> str:
    """How many claims got each verdict, in words."""
    counts = {v: sum(c.verdict == v for c in claims) for v in VERDICTS}
    return ", ".join(f"{k} {v}" for v, k in counts.items() if k)


class Sheet:
    """A chapter's claims as they are judged, one after the other."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []

    def judge(
        self, id: str, claim: str, parts: Mapping[str, Interval], criterion: Rule, **words
    ) -> Shown:
        """Judge a claim, keep it, and show its parts.

        Parameters and errors as for :func:`~winnow.reporting.claims.judge`; an id must be new.

        Returns
        -------
        Shown
            Displays the parts as a table in a notebook.
        """
        if id in {c.id for c in self.claims}:
            raise ValueError(f"claim {id} is judged already: give each its own id")
        self.claims.append(judge(id, claim, parts, criterion, **words))
        return Shown(parts_table(parts, criterion))

    def verdicts(self) -> Shown:
        """The table of verdicts, without any number another machine could change."""
        return Shown(table(self.claims))

    def record(self, tables: Mapping[str, pd.DataFrame] | None = None) -> Shown:
        """The evidence as a table, and all claims and tables as data inside the output.

        The last call of a chapter: what the runner writes to ``claims.json`` and, for each of
        ``tables``, to a CSV file of that name, it takes from here.
        """
        kept = {name: frame.to_csv(index=False) for name, frame in (tables or {}).items()}
        return Shown(evidence(self.claims), {"claims": to_json(self.claims), "tables": kept})


class Shown:
    """Markdown that a notebook renders, with data a reader does not see."""

    def __init__(self, text: str, record: dict[str, Any] | None = None) -> None:
        self.text, self.data = text, record

    def __add__(self, other: Shown) -> Shown:
        return Shown(f"{self.text}\n\n{other.text}")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = {"text/markdown": self.text, "text/plain": self.text}
        return bundle if self.data is None else {**bundle, RECORD_TYPE: self.data}


def to_json(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Plain values, six significant digits, ``None`` where there is no number."""
    return [{k: _plain(v) for k, v in dataclasses.asdict(c).items()} for c in claims]


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def from_json(text: str) -> list[Claim]:
    """Claims as :func:`~winnow.reporting.claims.to_json` wrote them.

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
