"""What a reader sees of claims: cards with forest plots, sentences and tables.

Drawn from :class:`~winnow.reporting.claims.Claim` and :class:`~winnow.reporting.claims.Stated`, so
that no result is typed by hand. Nothing here can change a verdict. Cards are HTML inside Markdown,
from the templates beside this file; their colours come from the page, light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from winnow.reporting.claims import Bar, Claim, Part, Stated, adjusted, anchor, interval

_VERBS = {"holds": "holds", "undecided": "is undecided", "refuted": "is refuted"}
_NAMED = 3  # parts that a sentence names; of more it says how many
_BESIDE = 24  # letters of a name that stand beside its line, also on a phone

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def link(claim: Claim | Stated) -> str:
    """A claim's title as a link to its card."""
    return f"[{claim.says}](#{anchor(claim.id)})"


def badge(verdict: str) -> str:
    """A verdict as a coloured word."""
    return Markup(f'<span class="verdict {verdict.replace(" ", "-")}">{verdict}</span>')


def _rendered(template: str, **words: Any) -> Markup:
    """A template's HTML without empty lines, at which Markdown would end it."""
    helpers = {"badge": badge, "interval": interval, "p_value": _p_value}
    text = _TEMPLATES.get_template(template).render(**helpers, **words)
    return Markup("\n".join(filter(str.strip, text.splitlines())))


def _p_value(p: float) -> str:
    return "–" if math.isnan(p) else "< 0.001" if p < 1e-3 else f"{p:.3f}"


# --- cards ----------------------------------------------------------------------------------------


def card(stated: Stated, claim: Claim) -> str:
    """A claim: its verdict, what the paper says, what was asked, its parts, and what was found.

    Parameters
    ----------
    stated, claim
        As it was written down, and as it was judged.

    Returns
    -------
    str
        Markdown, below the label that links lead to.
    """
    by_bar: dict[str, list[Part]] = {}
    for part in (*claim.parts, *claim.controls):
        by_bar.setdefault(part.bar, []).append(part)
    label = anchor(claim.id)
    words = {"label": label, "stated": stated, "claim": claim, "sentence": sentence(claim)}
    words["corrected"] = dict.fromkeys((part.name for part in claim.parts), math.nan)
    words["corrected"] |= adjusted({part.name: part.p for part in claim.parts})
    words["plots"] = map(forest, by_bar.values())
    return f"({label})=\n{_rendered('card.html', **words)}"


def sentence(claim: Claim) -> str:
    """What was found, in words that follow from the numbers."""
    part, why = claim.part, f" No verdict: {claim.why}." if claim.why else ""
    if part is None:
        return f"Not tested: {claim.why}." if claim.why else "Not tested."
    found = f"{part.name}: {interval(part)} (n = {part.n:,}); asked: {part.bar}."
    if len(claim.parts) == 1:
        return f"It {_VERBS[part.status]}. {found[0].upper()}{found[1:]}{why}"
    counts = ", ".join(_count(claim, status) for status in _VERBS if claim.count(status))
    return f"It {counts}. Nearest to changing that is {found}{why}"


def _count(claim: Claim, status: str) -> str:
    names = [f"“{part.name}”" for part in claim.parts if part.status == status]
    n, total = len(names), len(claim.parts)
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    where = f"for {listed}" if n <= _NAMED else f"in {n} of {total} parts"
    return f"{_VERBS[status]} {where if n < total else f'in all {total} parts'}"


def forest(parts: Sequence[Part], scale: Callable[[float], float] | None = None) -> str:
    """Estimates and intervals on one axis with their bar, as SVG.

    The side that the bar asks for is shaded. Filled dots hold, hollow ones are undecided, those of
    another colour are refuted. A screen reader hears every part with its status.

    Parameters
    ----------
    parts
        With one bar.
    scale
        Of the axis; logarithmic where values need it, else linear, if none is given.
    """
    bar = Bar.parse(parts[0].bar)
    marks = [x for x in (bar.low, bar.high) if math.isfinite(x)]
    ends = [x for part in parts for x in (part.low, part.high) if math.isfinite(x)]
    low, high = min(marks + ends), max(marks + ends)
    scale = scale or (math.log if low > 0 and high > 50 * low else float)
    beside = max(len(part.name) for part in parts) <= _BESIDE
    left, step = (45, 22) if beside else (0, 36)

    def place(x: float) -> float:  # in per cent
        room = (scale(high) - scale(low)) or 1.0
        inside = 0.04 + 0.92 * (scale(x) - scale(low)) / room if low <= x <= high else float(x > 0)
        return round(left + (100 - left) * inside, 1)

    size = {"beside": beside, "step": step, "height": step * len(parts)}
    return _rendered("forest.html", bar=bar, marks=marks, parts=parts, place=place, **size)


# --- tables ---------------------------------------------------------------------------------------


def strip(claims: Iterable[Claim]) -> str:
    """One line a claim: verdict, title and the number that stands for it, as a Markdown table."""
    rows = [(badge(c.verdict), link(c), interval(c.part) if c.part else "–") for c in claims]
    rows = [(*words, number.replace(" ", "\u00a0")) for *words, number in rows]
    return markdown(pd.DataFrame(rows, columns=["verdict", "claim", "nearest part"]))


def note(claims: Iterable[Claim], written_for: Mapping[str, str]) -> str:
    """Which verdicts are not those that words were written for, as a warning; empty where none."""
    then = [(c, written_for.get(c.id, c.verdict)) for c in claims]
    changed = [(link(c), badge(c.verdict), badge(v)) for c, v in then if v != c.verdict]
    lines = ["- {}: now {}, then {}".format(*words) for words in changed]
    head = "This run's verdicts differ from those that the words on this page were written for:"
    return "\n".join(["```{warning}", head, "", *lines, "```"]) if lines else ""


def table(claims: Iterable[Claim]) -> str:
    """Verdicts as a Markdown table, with no number that another machine could change."""
    rows = [(link(c), c.kind, c.part.n if c.part else 0, f"**{c.verdict}**") for c in claims]
    return markdown(pd.DataFrame(rows, columns=["claim", "whose", "n", "verdict"]))


def stated_table(stated: Iterable[Stated]) -> str:
    """What is claimed, where, and where its bar lies, as a Markdown table."""
    rows = [
        (link(c), f"{c.kind}, {c.where}".rstrip(", "), c.statistic, c.null, c.bars())
        for c in stated
    ]
    columns = ["claim", "whose", "measured by", "against", "bar"]
    return markdown(pd.DataFrame(rows, columns=columns))


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown; texts as they are, but for bars inside them."""
    escaped = table.map(lambda x: str(x).replace("|", r"\|"))
    return escaped.to_markdown(index=False, disable_numparse=True)
