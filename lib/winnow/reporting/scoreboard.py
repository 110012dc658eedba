"""The scoreboard: all claims of all chapters at both presets, from the committed results."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from scipy import stats as _scipy

from winnow.reporting import cards, claims, results
from winnow.reporting.cards import markdown
from winnow.reporting.claims import VERDICTS, Bar, Claim, Part
from winnow.stats import Interval

_DRAWN = {"reproduced": "holds", "not reproduced": "refuted"}  # others as undecided


# --- claims as a table ----------------------------------------------------------------------------


def collect(
    folder: Path, chapters: Sequence[str], presets: Sequence[str] = ("book", "paper")
) -> pd.DataFrame:
    """A row for each claim, at each preset that all chapters have results of; see :func:`tidy`."""
    found = claims.read_all(Path(folder))
    whole = [preset for preset in presets if all((c, preset) in found for c in chapters)]
    first = list(map(chapter_of, chapters)).index
    together = sorted(chapters, key=lambda name: first(chapter_of(name)))
    return tidy({(c, preset): found[c, preset] for c in together for preset in whole})


def tidy(found: Mapping[tuple[str, str], Sequence[Claim]]) -> pd.DataFrame:
    """A row for each claim and preset.

    Parameters
    ----------
    found
        Claims by (notebook, preset), in the book's order, the default preset first.

    Returns
    -------
    pandas.DataFrame
        ``chapter``, ``notebook`` (the chapter's own or its supplement, whose claims count under
        the chapter), ``preset``, ``id``, ``says``, ``kind``, ``verdict``, ``why``; how many
        ``parts`` there are and how many of them are ``holds``, ``undecided`` and ``refuted``;
        of the part that is shown its name ``part``, ``estimate``, ``low``, ``high``, ``n`` and
        ``bar``; and ``effect``, ``effect_low`` and ``effect_high``, its distance from the bar in
        standard deviations (:func:`standardised`), positive where it holds.
    """
    return pd.DataFrame(
        {"chapter": chapter_of(name), "notebook": name, "preset": preset, **_row(claim)}
        for (name, preset), judged in found.items()
        for claim in judged
    )


def chapter_of(notebook: str) -> str:
    """The chapter that a notebook belongs to: ``orderedness_supplement`` to ``orderedness``."""
    return notebook.removesuffix("_supplement")


def _row(claim: Claim) -> dict[str, Any]:
    row = {name: getattr(claim, name) for name in ("id", "says", "kind", "verdict", "why")}
    row |= {s: claim.count(s) for s in ("holds", "undecided", "refuted")}
    part, nothing = claim.part, Interval(math.nan, math.nan, math.nan, 0)
    effect = standardised(Bar.parse(part.bar).distance(part)) if part else nothing
    row |= {"parts": len(claim.parts), "part": claim.shown, "bar": part.bar if part else ""}
    row |= {name: getattr(part or nothing, name) for name in ("estimate", "low", "high", "n")}
    return row | {"effect": effect.estimate, "effect_low": effect.low, "effect_high": effect.high}


def standardised(x: Interval) -> Interval:
    r"""An interval in standard deviations between independent networks.

    The standard deviation is worked out backwards from the interval, as meta-analyses do where
    a report gives no other :cite:p:`higgins2019`: with the half-width :math:`h` and Student's
    quantile :math:`t`,

    .. math:: s = \frac{h \sqrt{n}}{t_{0.975,\,n-1}}.

    For Student's intervals of a mean that is exact. For bootstrap, Wilson's and skewed
    intervals, and for ratios, it is approximate. An interval without width has no such unit: it
    comes out as infinite, with its sign.

    Examples
    --------
    >>> format(standardised(Interval(2.0, 2.0 - 4.303, 2.0 + 4.303, 3)), ".2f")
    '1.15 [-1.33, 3.64]'
    >>> standardised(Interval(1.0, 1.0, 1.0, 3)).low
    inf
    """
    half = (x.high - x.low) / 2
    if half == 0:
        return Interval(*[math.inf if x.low > 0 else -math.inf] * 3, x.n)
    if not math.isfinite(half):
        return Interval(math.nan, math.nan, math.nan, x.n)
    sd = half * math.sqrt(x.n) / float(_scipy.t.ppf(0.975, x.n - 1))
    return Interval(x.estimate / sd, x.low / sd, x.high / sd, x.n)


# --- in words -------------------------------------------------------------------------------------


def cell(row: Any) -> str:
    """Verdict, and interval and n of the part that is shown, or why nothing was tested."""
    found = f"{claims.interval(row)}, n = {row.n}" if row.parts else row.why
    if row.parts > 1:
        found += f"; {row.holds} of {row.parts} parts hold"
    return f"{cards.badge(row.verdict)}<br>{found}"


def listed(frame: pd.DataFrame, verdict: str) -> str:
    """The claims with a verdict at the last preset, linked, as a Markdown table or a word."""
    rows = frame[(frame.preset == frame.preset.iloc[-1]) & (frame.verdict == verdict)]
    if rows.empty:
        return f"No claim is {verdict}."
    return markdown(_in_words(rows)[["chapter", "claim", "whose", "found"]])


def _in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """With three columns more, as tables show them: ``claim``, a link, ``whose`` and ``found``."""
    rows = list(frame.itertuples())
    linked, cells = map(cards.link, rows), map(cell, rows)
    return frame.assign(claim=[*linked], whose=frame.kind, found=[*cells])


def chapter_table(frame: pd.DataFrame, chapter: str) -> str:
    """A chapter's claims, linked to where they are judged, with what is found at each preset."""
    return markdown(_side_by_side(frame[frame.chapter == chapter]).drop(columns="chapter"))


def _side_by_side(frame: pd.DataFrame) -> pd.DataFrame:
    rows = ["chapter", "claim", "whose"]
    wide = _in_words(frame).pivot_table("found", rows, "preset", "first", sort=False)
    return wide.fillna("–").reset_index()


# --- tallies, and what moved ----------------------------------------------------------------------


def tally(frame: pd.DataFrame) -> pd.DataFrame:
    """How many claims got each verdict, by chapter and kind; columns (verdict, preset).

    The last rows, ``all``, add chapters up, by kind and altogether.
    """
    whole = frame.assign(chapter="all")
    rows = pd.concat([frame, whole, whole.assign(kind="all")])
    counts = pd.crosstab([rows.chapter, rows.kind], [rows.verdict, rows.preset])
    columns = pd.MultiIndex.from_product([VERDICTS, frame.preset.unique()])
    order = pd.MultiIndex.from_frame(rows[["chapter", "kind"]].drop_duplicates())
    return counts.reindex(order, columns=columns.rename(counts.columns.names), fill_value=0)


def tally_table(frame: pd.DataFrame) -> str:
    """The :func:`tally` as the README holds it: numbers of the presets side by side."""
    counts = tally(frame)
    table = counts.index.to_frame(index=False).rename(columns={"kind": "whose"})
    for verdict in VERDICTS:
        table[verdict] = [" / ".join(map(str, pair)) for pair in counts[verdict].to_numpy()]
    last = counts.xs(frame.preset.iloc[-1], level="preset", axis=1)
    return markdown(table.assign(claims=last.sum(axis=1).to_list()))


def moved(frame: pd.DataFrame) -> pd.DataFrame:
    """The claims whose verdicts differ between presets, a row each, with both cells in words."""
    return _side_by_side(frame[frame.groupby("id").verdict.transform("nunique") > 1])


def costs(folder: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """What each notebook and preset took, in words, and on which hardware, from ``run.json``."""
    pairs = frame[["notebook", "preset"]].drop_duplicates().set_axis(["chapter", "preset"], axis=1)
    runs = [results.read_run(Path(folder) / c / preset) for c, preset in pairs.to_numpy()]
    took = [f"{r['seconds'] / 60:.1f} min, {r['memory_mb'] / 1024:.1f} GB" for r in runs]
    machine = "{processor}, {cores} cores, {memory_gb} GB"
    return pairs.assign(took=took, hardware=[machine.format(**r["hardware"]) for r in runs])


# --- a picture ------------------------------------------------------------------------------------


def forest(frame: pd.DataFrame) -> str:
    """Every claim's effect at the last preset in standard deviations, a plot for each chapter.

    Markdown around SVG. The axis is linear up to one standard deviation and logarithmic beyond.
    What has no width, and so no unit, lies on the axis' end.
    """
    last, plots = frame[frame.preset == frame.preset.iloc[-1]], []
    for chapter, rows in last.groupby("chapter", sort=False):
        names = rows.id.str.partition("/")[2].str.replace("-", " ")
        statuses = rows.verdict.map(_DRAWN).fillna("undecided")
        parts = [
            Part(name, r.effect, r.effect_low, r.effect_high, math.nan, r.n, "above 0", status)
            for name, status, r in zip(names, statuses, rows.itertuples(), strict=True)
        ]
        won = (rows.verdict == "reproduced").sum()
        plots.append(f"**{chapter}**: {won} of {len(rows)} reproduced")
        plots.append(f'<div class="claim">\n{cards.forest(parts, math.asinh)}\n</div>')
    return "\n\n".join(plots)
