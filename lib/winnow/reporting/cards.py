"""What a reader sees of claims: their parts, verdicts and bars as Markdown.

Drawn from :class:`~winnow.reporting.claims.Claim` and :class:`~winnow.reporting.claims.Stated`, so
that no result is typed by hand. Nothing here can change a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from winnow.reporting.claims import Claim, Stated, adjusted, anchor, interval


def link(claim: Claim | Stated) -> str:
    """A claim's title as a link to where it is judged."""
    return f"[{claim.says}](#{anchor(claim.id)})"


def card(claim: Claim) -> str:
    """A claim with its verdict and all its parts and controls, below the label links lead to."""
    words = [word for word in (claim.counts(), claim.why) if word]
    head = f"({anchor(claim.id)})=\n**{claim.says}**: *{claim.verdict}*"
    head += f" ({'; '.join(words)})" if words else ""
    corrected = adjusted({part.name: part.p for part in claim.parts})
    named = {part.name: part for part in claim.parts}
    named |= {f"control: {part.name}": part for part in claim.controls}
    rows = [
        (name, interval(x), x.n, _p_value(corrected.get(name, x.p)), x.bar, x.status)
        for name, x in named.items()
    ]
    columns = ("part", "estimate [95 % interval]", "n", "p (Holm)", "bar", "status")
    return f"{head}\n\n{markdown(pd.DataFrame(rows, columns=columns))}" if rows else head


def _p_value(p: float) -> str:
    return "–" if math.isnan(p) else "< 0.001" if p < 1e-3 else f"{p:.3f}"


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
