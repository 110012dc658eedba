"""How far each claim is from its bar, in one unit for all, and the pictures of the scoreboard."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import nbformat
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from scipy import stats as _scipy

from winnow.reporting import excerpts, figures
from winnow.stats import Interval

#: Marker of a verdict, which part of it is filled, and colour.
LOOKS = {
    "reproduced": ("o", "full", figures.COLOURS[0]),
    "partly reproduced": ("D", "left", figures.COLOURS[1]),
    "not reproduced": ("s", "none", "#a11d1d"),
    "not tested": ("x", "full", figures.MUTED),
}

#: Whose claims they are, in words.
TITLES = {"paper": "the papers' own claims", "beyond": "beyond the papers"}

_EDGE = 45.0  # of the picture, in standard deviations
_SIZE = {"width": 5.0, "dpi": 150, "sharex": True}  # small letters, seen enlarged
_NUMBER = r"(-?[\d.]+(?:e[-+]?\d+)?)"
_BARS = {  # a criterion's text to its bars, each a direction that is good and a place
    f"interval above {_NUMBER}": lambda x: [(1, x)],
    f"interval below {_NUMBER}": lambda x: [(-1, x)],
    rf"interval within \({_NUMBER}, {_NUMBER}\)": lambda low, high: [(1, low), (-1, high)],
    f"a loss of {_NUMBER} excluded": lambda margin: [(1, -margin)],
}


def signed(x: Any, criterion: str) -> Interval:
    """Distance of an estimate and its interval from a bar, positive on the good side.

    Parameters
    ----------
    x
        A claim, a row or an interval.
    criterion
        The text of one criterion. Of the two margins of *within* that one counts which the
        interval comes nearest to, or passes furthest; so the lower end is positive if and only
        if the criterion is met.

    Raises
    ------
    ValueError
        If no criterion of :mod:`winnow.reporting.claims` reads like that.

    Examples
    --------
    >>> signed(Interval(1.0, 0.5, 1.5, 8), "interval below 2")
    Interval(estimate=1.0, low=0.5, high=1.5, n=8, p=nan)
    """
    for pattern, bars in _BARS.items():
        if words := re.fullmatch(pattern, criterion):
            sides = [_seen_from(x, *bar) for bar in bars(*map(float, words.groups()))]
            return min(sides, key=lambda side: side.low)
    raise ValueError(f"criterion must be one that winnow.reporting.claims words, got {criterion!r}")


def _seen_from(x: Any, good: int, bar: float) -> Interval:
    low, high = sorted((good * (x.low - bar), good * (x.high - bar)))
    return Interval(good * (x.estimate - bar), low, high, int(x.n))


def bar(row: Any, printed: Mapping[str, str]) -> str:
    """The criterion of the part that stands for a claim.

    Where parts have criteria of their own, it is that of the part of this name, or of those of
    the same name but for numbers if they share one. Else it is the nearest of the criteria that
    fit what is known of the part: that it holds, or not.

    Parameters
    ----------
    row
        Of :func:`~winnow.reporting.scoreboard.tidy`.
    printed
        Part to criterion, see :func:`~winnow.reporting.excerpts.printed_bars`.
    """
    texts = row.criterion.split(" · ")
    alike = {text for part, text in printed.items() if _like(part) == _like(row.part)}
    named = {printed[row.part]} if row.part in printed else alike
    if len(named) == 1:
        return named.pop()
    ends = {text: signed(row, text).low for text in texts}
    fit = [text for text in texts if (ends[text] > 0) == (row.hold == row.parts)]
    return min(fit or texts, key=lambda text: abs(ends[text]))


def _like(part: str) -> str:
    return re.sub(r"[\d.]+", "#", part)


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
    sd = half * math.sqrt(x.n) / float(_scipy.t.ppf(0.975, x.n - 1))
    return Interval(x.estimate / sd, x.low / sd, x.high / sd, x.n)


def table(frame: pd.DataFrame, notebooks: Mapping[str, nbformat.NotebookNode]) -> pd.DataFrame:
    """The rows with ``bar``, and ``effect``, ``effect_low`` and ``effect_high`` beside it.

    Distances from the bar in standard deviations between networks, positive where the part that
    is shown holds; NaN where nothing was tested.
    """
    out = []
    for row in frame.itertuples():
        at = bar(row, excerpts.printed_bars(notebooks[row.chapter], row.id, row.criterion))
        tested = row.verdict != "not tested"
        found = standardised(signed(row, at))[:3] if tested else [math.nan] * 3
        out.append((at, *found))
    names = ["bar", "effect", "effect_low", "effect_high"]
    return frame.join(pd.DataFrame(out, index=frame.index, columns=names))


def forest(frame: pd.DataFrame) -> Figure:
    """Every claim's effect at every preset in standard deviations, a panel for each chapter.

    Parameters
    ----------
    frame
        Of :func:`~winnow.reporting.effects.table`. The last preset is drawn full, others pale above
        it. What has no width, and so no unit, lies as a triangle on the frame's edge.
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
        _frame(ax, ids, f"{chapter}: {won} of {len(ids)} reproduced")
    axes[-1].set_xlabel("distance from the bar, in standard deviations", fontsize=9)
    figure.legend(handles=_legend(presets), loc="outside upper center", ncols=2, fontsize=9)
    return figure


def _draw(ax: Axes, row: Any, y: float, alpha: float) -> None:
    marker, fill, colour = LOOKS[row.verdict]
    look = {"color": colour, "alpha": alpha, "zorder": 2 + alpha}
    if row.verdict == "not tested":
        about = {"backgroundcolor": "white", "fontsize": 7.5, "zorder": 3}
        ax.text(0, round(y), "not tested", color="#555555", ha="center", va="center", **about)
    elif math.isinf(row.effect):
        edge = math.copysign(_EDGE, row.effect)
        ax.plot(edge, y, ">" if edge > 0 else "<", markersize=5, clip_on=False, **look)
    else:
        ax.plot([row.effect_low, row.effect_high], [y, y], linewidth=1.4, **look)
        filled = {"fillstyle": fill, "markerfacecoloralt": "white", "markeredgewidth": 0.9}
        ax.plot(row.effect, y, marker, markersize=4.2, **filled, **look)


def _frame(ax: Axes, ids: Sequence[str], title: str) -> None:
    ax.axvspan(0, _EDGE, color=figures.COLOURS[0], alpha=0.07, linewidth=0)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_xscale("symlog", linthresh=1, linscale=0.8)
    ax.set(xlim=(-_EDGE, _EDGE), ylim=(len(ids) - 0.3, -1.5))
    ax.set_xticks([-10, -1, 0, 1, 10], ["−10", "−1", "bar", "1", "10"])
    ax.tick_params(labelsize=8, labelbottom=True)
    ax.set_yticks(range(len(ids)), ids)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_title(title, loc="left", fontsize=10, weight="bold")
    words = {"xycoords": "axes fraction", "va": "top", "fontsize": 8, "color": "#555555"}
    ax.annotate("misses its bar", (0.02, 0.995), **words)
    ax.annotate("meets it", (0.98, 0.995), ha="right", **words)


def _legend(presets: Sequence[str]) -> list[Line2D]:
    """Verdicts by marker, presets by strength."""
    keys = []
    for verdict, (marker, fill, colour) in list(LOOKS.items())[:-1]:
        look = {"color": colour, "fillstyle": fill, "markerfacecoloralt": "white"}
        keys.append(Line2D([], [], marker=marker, linestyle="", label=verdict, **look))
    for preset in presets:
        alpha = 1 if preset == presets[-1] else 0.4
        line = {"color": "black", "alpha": alpha, "linewidth": 2}
        keys.append(Line2D([], [], label=f"preset {preset}", **line))
    look = {"color": figures.COLOURS[0], "marker": ">", "linestyle": ""}
    return [*keys, Line2D([], [], label="no width", **look)]


def tallies(counts: pd.DataFrame) -> Figure:
    """How many claims got each verdict, a bar for each chapter and preset, by source.

    Parameters
    ----------
    counts
        Of :func:`~winnow.reporting.scoreboard.tally`.
    """
    figure, axes = figures.stack(len(TITLES), height=2.7, **_SIZE)
    for ax, (source, title) in zip(axes, TITLES.items(), strict=True):
        _stacked(ax, counts.xs(source, level="source").drop(index="all").stack("preset"))
        ax.set_title(title, loc="left", fontsize=10, weight="bold")
    ax.set_xlabel("claims", fontsize=9)
    handles = ax.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, fontsize=9)
    return figure


def _stacked(ax: Axes, rows: pd.DataFrame) -> None:
    left, names = np.zeros(len(rows)), [": ".join(pair) for pair in rows.index]
    for verdict, (*_, colour) in LOOKS.items():
        bars = ax.barh(names, rows[verdict], left=left, color=colour, label=verdict)
        shade = "black" if verdict == "partly reproduced" else "white"
        shown = {"label_type": "center", "color": shade, "fontsize": 9}
        ax.bar_label(bars, [n or "" for n in rows[verdict]], **shown)
        left += rows[verdict].to_numpy()
    ax.invert_yaxis()
    ax.tick_params(labelsize=8)
