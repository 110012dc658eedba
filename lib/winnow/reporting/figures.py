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

from winnow.reporting.claims import Part
from winnow.stats import Interval, t_interval

#: Colours that stay apart for colour-blind readers, in the order chapters use them.
COLOURS = sns.color_palette("colorblind")
FORWARD, BACKWARD, MUTED = COLOURS[0], COLOURS[3], "#888888"

#: The colour of a network that was pruned in a certain way, the same in every chapter.
PRUNERS = dict(
    zip(
        ("dynamic_top_k", "random", "top_k", "damp", "threshold", "dynamic_damp"),
        COLOURS.as_hex(),
        strict=False,
    ),
    triangular=COLOURS.as_hex()[9],
    none=MUTED,
)


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
    columns = [column[np.isfinite(column)] for column in np.asarray(samples, float).T]
    drawn = [t_interval(column) for column in columns]
    (curve,) = ax.plot(x, [i.estimate for i in drawn], label=label, **line)
    low, high = [i.low for i in drawn], [i.high for i in drawn]
    ax.fill_between(x, low, high, color=curve.get_color(), alpha=0.25, linewidth=0)


def forest(
    ax: Axes,
    parts: Mapping[str, Interval] | Sequence[Part],
    *,
    line: float | None = 0.0,
    colour: object = FORWARD,
    shift: float = 0.0,
    label: str | None = None,
) -> None:
    """Estimates with intervals, one row a part; hollow where a claim's part does not hold.

    Parameters
    ----------
    ax, colour, label
        Where and how to draw.
    parts
        Name to interval, or the parts of a claim, drawn from the top.
    line
        Where the criterion or the null is, drawn as a vertical line; ``None`` for no line.
    shift
        Vertical offset, to draw several sets beside each other.
    """
    if line is not None:
        ax.axvline(line, color="black", linewidth=1, zorder=1)
    if not isinstance(parts, Mapping):
        parts = {part.name: part for part in parts}
    rows = np.arange(len(parts))
    for row, i in zip(rows, parts.values(), strict=True):
        face = colour if getattr(i, "status", "holds") == "holds" else "white"
        ax.plot([i.low, i.high], [row + shift] * 2, color=colour, linewidth=2, zorder=2)
        ax.plot(
            i.estimate, row + shift, "o", color=colour, markerfacecolor=face, zorder=3,
            label=label if row == 0 else None,
        )  # fmt: skip
    ax.set_yticks(rows, list(parts))
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.set_ylim(len(parts) - 0.4, -0.6)


def forests(
    ax: Axes, sets: Mapping[str, Mapping[str, Interval]], colours: Sequence[object], **options
) -> None:
    """Several sets of the same parts in one frame, a colour each; see ``forest``."""
    shifts = np.linspace(-0.24, 0.24, len(sets))
    for (label, parts), colour, shift in zip(sets.items(), colours, shifts, strict=False):
        forest(ax, parts, colour=colour, shift=shift, label=label, **options)


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
