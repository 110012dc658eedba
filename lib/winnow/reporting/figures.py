"""One figure style, and the few kinds of picture the chapters share."""

import html
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython import get_ipython
from IPython.core.pylabtools import print_figure
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from winnow.stats import Interval, t_interval

#: Colours that stay apart for colour-blind readers, in the order chapters use them.
COLOURS = sns.color_palette("colorblind")
FORWARD, BACKWARD, MUTED = COLOURS[0], COLOURS[3], "#888888"

_IN_ORDER = ("dynamic_top_k", "random", "top_k", "damp", "threshold", "dynamic_damp")
#: The colour of a network that was pruned in a certain way, the same in every chapter.
PRUNERS = dict(zip(_IN_ORDER, COLOURS.as_hex(), strict=False), none=MUTED)
PRUNERS["triangular"] = COLOURS.as_hex()[9]


def use_style() -> None:
    """Set the book's style: opaque white, readable on a phone, colour-blind-safe.

    A notebook shows each figure as SVG or as PNG, whichever is smaller, the same at every run.
    """
    open_frame = dict.fromkeys(("axes.spines.top", "axes.spines.right"), False)
    rc = {"figure.dpi": 90, "figure.constrained_layout.use": True, "grid.alpha": 0.5} | open_frame
    rc |= {"svg.fonttype": "none", "svg.hashsalt": "winnow", "font.sans-serif": ["DejaVu Sans"]}
    sns.set_theme(style="whitegrid", palette="colorblind", rc=rc)
    if shell := get_ipython():
        plt.switch_backend(plt.get_backend())  # at its first figure it would ask for PNG again
        shell.display_formatter.formatters["image/png"].pop(Figure, None)
        shell.display_formatter.mimebundle_formatter.for_type(Figure, _smaller)


def _smaller(figure: Figure, **asked: object) -> dict[str, str]:
    png = print_figure(figure, "png", base64=True)
    svg = shorter(print_figure(figure, "svg", metadata={"Date": None}))
    as_svg = len(svg) + svg.count('"') < len(png)  # each quotation mark takes two letters in JSON
    return {"image/svg+xml": svg} if as_svg else {"image/png": png}


def as_html(figure: Figure, *, alt: str, caption: str) -> str:
    """A figure as HTML, to be pasted where no cell stands; see ``winnow.reporting.sheet.paste``."""
    svg = shorter(print_figure(figure, "svg", metadata={"Date": None}))
    plt.close(figure)
    picture = f'<img alt="{html.escape(alt)}" src="data:image/svg+xml,{quote(svg)}">'
    return f'<figure class="hero">{picture}<figcaption>{caption}</figcaption></figure>'


def shorter(svg: str) -> str:
    """An SVG picture in one line, its coordinates to five digits; its words stay as they are."""
    needless = r'<[?!].*?>\s*|<metadata>.*?</metadata>|(?<=<g) id="[^"]*"'
    svg = re.sub(needless, "", svg, flags=re.DOTALL)
    short = lambda tag: re.sub(r"\d+\.\d{3,}", lambda x: f"{float(x[0]):.5g}", tag[0])  # noqa: E731
    return re.sub(r"\s*\n\s*", " ", re.sub("<[^>]*>", short, svg)).strip()


def panels(n: int, *, height: float = 3.5, width: float = 4.0, **options) -> tuple[Figure, list]:
    """A figure with a row of ``n`` panels."""
    figure, axes = plt.subplots(1, n, figsize=(width * n, height), squeeze=False, **options)
    return figure, list(axes[0])


def stack(n: int, *, height: float = 2.5, width: float = 6.2, **options) -> tuple[Figure, list]:
    """A figure with ``n`` panels one below the other, which a phone can show."""
    figure, axes = plt.subplots(n, 1, figsize=(width, height * n), squeeze=False, **options)
    return figure, list(axes[:, 0])


def band(
    ax: Axes, x: Sequence[float], samples: np.ndarray, *, label: str | None = None, **line: object
) -> None:
    """Mean over seeds, with Student's 95 % interval of the mean as a band.

    Parameters
    ----------
    ax, label, **line
        Where and how to draw.
    x
        Positions, (C,).
    samples
        One row per seed, (S, C); seeds that are not finite at a position are left out there.
    """
    columns = np.asarray(samples, float).T
    drawn = [t_interval(column[np.isfinite(column)]) for column in columns]
    (curve,) = ax.plot(x, [i.estimate for i in drawn], label=label, **line)
    low, high = [i.low for i in drawn], [i.high for i in drawn]
    ax.fill_between(x, low, high, color=curve.get_color(), alpha=0.25, linewidth=0)


def forest(ax: Axes, parts: Mapping[str, Interval], **options) -> None:
    """Estimates with intervals, one row a part, drawn from the top; see ``forests``."""
    forests(ax, {None: parts}, [FORWARD], **options)


def forests(
    ax: Axes, sets: Mapping[str, Mapping[str, Interval]], colours: Sequence, line: float | None = 0
) -> None:
    """Estimates with intervals of several sets of the same parts, a colour each.

    Parameters
    ----------
    ax, colours
        Where and how to draw.
    sets
        For each label of the legend, name of part to interval.
    line
        Where the criterion or the null is, drawn as a vertical line; ``None`` for no line.
    """
    if line is not None:
        ax.axvline(line, color="black", linewidth=1, zorder=1)
    shifts = np.linspace(-0.24, 0.24, len(sets)) if len(sets) > 1 else [0.0]
    for (label, parts), colour, shift in zip(sets.items(), colours, shifts, strict=False):
        for row, i in enumerate(parts.values()):
            ax.plot([i.low, i.high], [row + shift] * 2, color=colour, linewidth=2, zorder=2)
            dot = {"color": colour, "zorder": 3, "label": None if row else label}
            ax.plot(i.estimate, row + shift, "o", **dot)
    ax.set_yticks(range(len(parts)), list(parts))
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.set_ylim(len(parts) - 0.4, -0.6)


def log_axis(ax: Axes, values: Sequence[float], *, axis: str = "x") -> None:
    """A logarithmic axis with labels at the given values and nowhere else."""
    getattr(ax, f"set_{axis}scale")("log")
    getattr(ax, f"set_{axis}ticks")(values, [f"{v:g}" for v in values])
    getattr(ax, f"{axis}axis").set_minor_locator(NullLocator())


def falling(ax: Axes, values: Sequence[float], label: str) -> None:
    """A logarithmic axis from large on the left to small on the right, see ``log_axis``."""
    log_axis(ax, values)
    ax.set_xlabel(label)
    ax.invert_xaxis()
