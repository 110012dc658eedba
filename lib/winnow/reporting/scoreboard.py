"""The scoreboard: all claims of all chapters at both presets, from the committed results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats as _scipy

from winnow.reporting import cards, claims, figures, results
from winnow.reporting.cards import markdown
from winnow.reporting.claims import VERDICTS, Bar, Claim
from winnow.stats import Interval

#: Signs for verdicts where words are too long.
SIGNS = dict(zip(VERDICTS, "●◐?○–", strict=True))

#: How the mark of a verdict looks.
LOOKS = {
    "reproduced": {"marker": "o", "color": figures.COLOURS[0]},
    "partly reproduced": {"marker": "D", "fillstyle": "left", "color": figures.COLOURS[1]},
    "undecided": {"marker": "^", "fillstyle": "none", "color": "#666666"},
    "not reproduced": {"marker": "s", "fillstyle": "none", "color": "#a11d1d"},
}

#: Whose claims they are, in words.
TITLES = {
    "paper": "What the papers say",
    "inferred": "What we read into them",
    "beyond": "Beyond the papers",
}

_EDGE = 45.0  # of the picture, in standard deviations
_SIZE = {"width": 5.0, "dpi": 150, "sharex": True}  # small letters, seen enlarged


# --- claims as a table ----------------------------------------------------------------------------


def collect(
    folder: Path, chapters: Sequence[str], presets: Sequence[str] = ("book", "paper")
) -> pd.DataFrame:
    """A row for each claim, at each preset that all chapters have results of; see :func:`tidy`."""
    found = claims.read_all(Path(folder))
    whole = [preset for preset in presets if all((c, preset) in found for c in chapters)]
    return tidy({(c, preset): found[c, preset] for c in chapters for preset in whole})


def tidy(found: Mapping[tuple[str, str], Sequence[Claim]]) -> pd.DataFrame:
    """A row for each claim and preset.

    Parameters
    ----------
    found
        Claims by (chapter, preset), in the book's order, the default preset first.

    Returns
    -------
    pandas.DataFrame
        ``chapter``, ``preset``, ``id``, ``says``, ``kind``, ``verdict``, ``why``; how many
        ``parts`` there are and how many of them are ``holds``, ``undecided`` and ``refuted``;
        of the part that is shown its name ``part``, ``estimate``, ``low``, ``high``, ``n`` and
        ``bar``; and ``effect``, ``effect_low`` and ``effect_high``, its distance from the bar in
        standard deviations (:func:`standardised`), positive where it holds.
    """
    return pd.DataFrame(
        {"chapter": chapter, "preset": preset, **_row(claim)}
        for (chapter, preset), judged in found.items()
        for claim in judged
    )


def _row(claim: Claim) -> dict[str, Any]:
    row = {name: getattr(claim, name) for name in ("id", "says", "kind", "verdict", "why")}
    row |= {s: claim.count(s) for s in ("holds", "undecided", "refuted")}
    row |= {"parts": len(claim.parts), "part": claim.shown}
    part = claim.part
    if part is None:
        unknown = ("estimate", "low", "high", "effect", "effect_low", "effect_high")
        return row | {"n": 0, "bar": ""} | dict.fromkeys(unknown, math.nan)
    row |= {name: getattr(part, name) for name in ("estimate", "low", "high", "n", "bar")}
    effect = standardised(Bar.parse(part.bar).distance(part))
    ends = {"effect": effect.estimate, "effect_low": effect.low, "effect_high": effect.high}
    return row | ends


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


def board(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each claim; columns are (field, preset), so ``board(x)["verdict"]["paper"]``."""
    rows = frame[["chapter", "id"]].drop_duplicates()
    wide = frame.set_index(["chapter", "id", "preset"]).unstack("preset")
    return wide.reindex(pd.MultiIndex.from_frame(rows))


# --- in words -------------------------------------------------------------------------------------


def cell(row: Any) -> str:
    """Verdict, how many parts hold, and interval, n and name of the part that is shown."""
    first = f"{SIGNS[row.verdict]} {row.verdict}"
    if row.verdict == "not tested":
        return f"{first}<br>{row.why}" if row.why else first
    counts = f"{row.holds} of {row.parts} hold, {row.refuted} refuted"
    more = f"<br>{_unbroken(counts)}" if row.parts > 1 else ""
    more += f"<br>{row.why}" if row.why else ""
    shown = f"; {row.part}" if row.parts > 1 else ""
    return f"{first}{more}<br>{_unbroken(claims.interval(row))}<br>n = {row.n}{shown}"


def _unbroken(text: str) -> str:
    return text.replace(" ", "\u00a0")


def headline(frame: pd.DataFrame) -> str:
    """How many claims got each verdict at the last preset, by kind."""
    last = frame[frame.preset == frame.preset.iloc[-1]]
    lines = []
    for kind, title in TITLES.items():
        rows = last[last.kind == kind]
        counts = claims.tally(list(rows.itertuples()))
        lines.append(f"**{title}, {len(rows)} claims: {counts}.**")
    return "\n\n".join(lines)


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
    return markdown(_side_by_side(frame[frame.chapter == chapter]))


def _side_by_side(frame: pd.DataFrame) -> pd.DataFrame:
    wide = board(_in_words(frame))
    claim, whose = (wide[name].bfill(axis=1).iloc[:, 0] for name in ("claim", "whose"))
    return pd.DataFrame({"claim": claim, "whose": whose, **wide["found"]}).fillna("–")


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
    differ = board(frame)["verdict"].nunique(axis=1) > 1
    return _side_by_side(frame)[differ].droplevel("id").reset_index()


def costs(folder: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """What each chapter and preset took, in words, and on which hardware, from ``run.json``."""
    pairs = frame[["chapter", "preset"]].drop_duplicates()
    runs = [results.read_run(Path(folder) / c / preset) for c, preset in pairs.to_numpy()]
    took = [f"{r['seconds'] / 60:.1f} min, {r['memory_mb'] / 1024:.1f} GB" for r in runs]
    machine = "{processor}, {cores} cores, {memory_gb} GB"
    return pairs.assign(took=took, hardware=[machine.format(**r["hardware"]) for r in runs])


# --- pictures -------------------------------------------------------------------------------------


def forest(frame: pd.DataFrame) -> Figure:
    """Every claim's effect at every preset in standard deviations, a panel for each chapter.

    Parameters
    ----------
    frame
        Of :func:`tidy`. The last preset is drawn full, others pale above it. What has no width,
        and so no unit, lies as a triangle on the frame's edge.
    """
    groups = dict(iter(frame.groupby("chapter", sort=False)))
    sizes = [rows.id.nunique() + 1.5 for rows in groups.values()]
    height = 0.165 * sum(sizes) / len(sizes)
    figure, axes = figures.stack(len(sizes), height=height, height_ratios=sizes, **_SIZE)
    for ax, (chapter, rows) in zip(axes, groups.items(), strict=True):
        ids, presets = list(dict.fromkeys(rows.id)), list(dict.fromkeys(rows.preset))
        for row in rows.itertuples():
            last = row.preset == presets[-1]
            _draw(ax, row, ids.index(row.id) + (0.17 if last else -0.2), 1 if last else 0.45)
        won = (rows[rows.preset == presets[-1]].verdict == "reproduced").sum()
        names = [id.partition("/")[2].replace("-", " ") for id in ids]
        _frame(ax, names, f"{chapter}: {won} of {len(ids)} reproduced")
    axes[-1].set_xlabel("misses its bar ← standard deviations → meets it", fontsize=9)
    figure.legend(handles=_legend(presets), loc="outside upper center", ncols=2, fontsize=9)
    return figure


def _draw(ax: Axes, row: Any, y: float, alpha: float) -> None:
    if math.isnan(row.effect):
        about = {"backgroundcolor": "white", "fontsize": 7.5, "zorder": 3}
        ax.text(0, round(y), row.verdict, color="#555555", ha="center", va="center", **about)
        return
    look = LOOKS[row.verdict] | {"alpha": alpha, "zorder": 2 + alpha, "clip_on": False}
    if math.isinf(row.effect):
        edge = math.copysign(_EDGE, row.effect)
        ax.plot(edge, y, markersize=5, **look | {"marker": ">" if edge > 0 else "<"})
    else:
        ends = [row.effect_low, row.effect_high]
        ax.plot(ends, [y, y], linewidth=1.4, **look | {"marker": "", "clip_on": True})
        ax.plot(row.effect, y, markersize=4.2, markerfacecoloralt="white", **look)


def _frame(ax: Axes, names: Sequence[str], title: str) -> None:
    ax.axvspan(0, _EDGE, color=figures.COLOURS[0], alpha=0.07, linewidth=0)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_xscale("symlog", linthresh=1, linscale=0.8)
    ax.set(xlim=(-_EDGE, _EDGE), ylim=(len(names) - 0.3, -1.5))
    ax.set_xticks([-10, -1, 0, 1, 10], ["−10", "−1", "bar", "1", "10"])
    ax.tick_params(labelsize=8, labelbottom=True)
    ax.set_yticks(range(len(names)), names)
    ax.minorticks_off()
    ax.set_title(title, loc="left", fontsize=10, weight="bold")


def _legend(presets: Sequence[str]) -> list[Line2D]:
    """Verdicts by marker, presets by strength."""
    keys = [
        Line2D([], [], linestyle="", label=verdict, markerfacecoloralt="white", **look)
        for verdict, look in LOOKS.items()
    ]
    for preset, alpha in zip(presets, (0.4, 1), strict=False):
        line = {"color": "black", "alpha": alpha, "linewidth": 2}
        keys.append(Line2D([], [], label=f"preset {preset}", **line))
    return keys
