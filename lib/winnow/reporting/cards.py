"""What a reader sees of claims: cards with forest plots, sentences and tables.

Drawn from :class:`~winnow.reporting.claims.Claim` and :class:`~winnow.reporting.claims.Stated`, so
that no result is typed by hand. Nothing here can change a verdict. Cards are HTML inside Markdown,
from the templates beside this file; their colours come from the page, light or dark.
"""

import dataclasses
import fnmatch
import functools
import itertools
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from winnow.reporting.claims import Bar, Claim, Part, Stated, adjusted, anchor, interval
from winnow.stats import Interval

_LETTERS = 24  # of a name in one line beside its plot, also on a phone

_SETTINGS = dict.fromkeys(("autoescape", "trim_blocks", "lstrip_blocks"), True)
_TEMPLATES = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), **_SETTINGS)


def link(claim: Claim | Stated) -> str:
    """A claim's title as a link to its card."""
    return f"[{claim.says}](#{anchor(claim.id)})"


def badge(verdict: str) -> str:
    """A verdict as a coloured word."""
    return Markup(f'<span class="verdict {verdict.replace(" ", "-")}">{verdict}</span>')


def _rendered(template: str, **words: object) -> Markup:
    """A template's HTML without empty lines, at which Markdown would end it."""
    helpers = {"badge": badge, "interval": interval, "named": _named, "p_value": _p_value}
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
    label, status = anchor(claim.id), functools.partial(_status, stated.matters_from)
    controls = [dataclasses.replace(x, name=f"control: {x.name}") for x in claim.controls]
    words = {"label": label, "stated": stated, "claim": claim, "controls": controls}
    failed = [x for x in controls if x.status == "failed"]
    words |= {"status": status, "seen": {status(part) for part in (*claim.parts, *failed)}}
    words |= {"corrected": _corrected(claim), "sentence": sentence(stated, claim)}
    plots = [forest(parts, None, stated.matters_from) for parts in _by_bar(claim.parts)]
    plots += map(forest, _by_bar(failed))
    return f"({label})=\n{_rendered('card.html', bars=_bars(stated), plots=plots, **words)}"


def _by_bar(parts: Sequence[Part]) -> list[list[Part]]:
    bars = dict.fromkeys(part.bar for part in parts)
    return [[part for part in parts if part.bar == bar] for bar in bars]


def sentence(stated: Stated, claim: Claim) -> str:
    """What was found, in one or two sentences that follow from the numbers.

    In how many cases the claim holds and in which it does not, and the numbers of one case: of the
    one nearest to changing the verdict or, where some but not all are refuted, of the most clearly
    refuted one.
    """
    by = {s: [x for x in claim.parts if x.status == s] for s in ("holds", "undecided", "refuted")}
    held, lost = by["holds"], by["refuted"]
    must = [x for x in lost if any(fnmatch.fnmatchcase(x.name, name) for name in stated.primary)]
    must = must if held else []
    part = claim.part if len(lost) in (0, len(claim.parts)) else max(must or lost, key=_clearness)
    words = {"claim": claim, "part": part, "must": must, **by}
    words["traces"] = sum(_status(stated.matters_from, x) != "holds" for x in held)
    words["failed"] = [control for control in claim.controls if control.status == "failed"]
    words["clear"] = lambda part: _distance(part).low > 0
    text = _rendered("sentence.html", corrected=_corrected(claim), **words).unescape()
    return re.sub(r"\s+(?=[,.;])", "", " ".join(text.split()))


def _corrected(claim: Claim) -> dict[str, float]:
    p = {part.name: part.p for part in claim.parts}
    return dict.fromkeys(p, math.nan) | adjusted(p)


def _named(part: Part) -> str:
    return part.name.replace("_", " ")


def _status(matters_from: float | None, part: Part) -> str:
    """A part that holds by less than what matters is a trace, which changes no verdict."""
    trace = part.status == "holds" and _distance(part).estimate < (matters_from or 0)
    return "holds, a trace" if trace else part.status


def _distance(part: Part) -> Interval:
    return Bar.parse(part.bar).distance(part)


def _clearness(refuted: Part) -> float:
    """How far beyond its bar, in units of its own error."""
    away = _distance(refuted)
    return -away.high / (away.high - away.low) if away.high > away.low else math.inf


def _bars(stated: Stated) -> str:
    if not isinstance(stated.bar, dict):
        return stated.bar
    names = {name: name.replace("*", "…") for name in stated.bar} | {"*": "all others"}
    return ", ".join(f"{text} ({names[name]})" for name, text in stated.bar.items())


def forest(
    parts: Sequence[Part], scale: Callable | None = None, matters_from: float | None = None
) -> str:
    """Estimates and intervals on one axis with their bar, as SVG.

    The side that the bar asks for is shaded, less so up to where an effect matters. Filled dots
    hold, small ones as a trace, hollow ones are undecided, squares are refuted. A screen reader
    hears every part with its status.

    Parameters
    ----------
    parts
        With one bar.
    scale
        Of the axis; logarithmic where values need it, else linear, if none is given.
    matters_from
        Distance from the bar, on the side asked for, below which an effect is a trace.
    """
    bar, step = Bar.parse(parts[0].bar), matters_from or 0.0
    marks = [x for x in (bar.low, bar.high) if math.isfinite(x)]
    matters = [x for x in (bar.low + step, bar.high - step) if step and math.isfinite(x)]
    ends = [x for part in parts for x in (part.low, part.high) if math.isfinite(x)]
    low, high = (f(marks + matters + ends) for f in (min, max))
    scale = scale or (math.log if low > 0 and high > 50 * low else float)

    def place(x: float) -> float:  # in per cent
        if not low <= x <= high:
            return 100.0 if x > low else 45.0
        room = (scale(high) - scale(low)) or 1.0
        return round(47.2 + 50.6 * (scale(x) - scale(low)) / room, 1)

    lines = [textwrap.wrap(_named(part), _LETTERS) for part in parts]
    below = [*itertools.accumulate(5 + 14 * len(some) for some in lines)]
    rows = [*zip(parts, lines, [0, *below], strict=False)]
    words = {"bar": bar, "marks": marks, "matters": matters, "place": place, "height": below[-1]}
    words["ends"] = [x for x in (low, high) if all(abs(place(x) - place(m)) > 14 for m in marks)]
    status = functools.partial(_status, matters_from)
    return _rendered("forest.html", rows=rows, step=step, status=status, **words)


# --- tables ---------------------------------------------------------------------------------------


def strip(claims: Iterable[Claim]) -> str:
    """One line a claim: verdict, title, in how many cases it holds, and the numbers of one."""
    rows = [(badge(c.verdict), link(c), held(c), _nearest(c.part)) for c in claims]
    columns = ["verdict", "claim", "holds in", "case nearest to changing the verdict"]
    return markdown(pd.DataFrame(rows, columns=columns))


def held(claim: Claim) -> str:
    """In how many of its cases a claim holds, such as ``2 of 8``."""
    return f"{claim.count('holds')} of {len(claim.parts)}"


def _nearest(part: Part | None) -> str:
    return f"{_named(part)}: {interval(part)}, asked {part.bar}" if part else "–"


def note(claims: Iterable[Claim], written_for: Mapping[str, str]) -> str:
    """Which verdicts are not those that words were written for, as a warning; empty where none."""
    changed = [(c, v) for c in claims if (v := written_for.get(c.id, c.verdict)) != c.verdict]
    lines = [f"- {link(c)}: now {badge(c.verdict)}, then {badge(v)}" for c, v in changed]
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
