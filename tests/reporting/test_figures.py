"""What a figure shows is what was measured."""

import base64
import types
import xml.etree.ElementTree as ET

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.colors import to_rgba

from winnow.reporting import figures
from winnow.stats import Interval, t_interval


@pytest.fixture
def ax():
    backend = mpl.get_backend()
    plt.switch_backend("agg")
    with mpl.rc_context():
        figure, [axes] = figures.panels(1)
        yield axes
        figure.canvas.draw()  # warnings at drawing time are errors too
    plt.switch_backend(backend)


def test_the_style_is_opaque():
    with mpl.rc_context():
        figures.use_style()
        for key in ("figure.facecolor", "axes.facecolor"):
            assert to_rgba(mpl.rcParams[key]) == (1, 1, 1, 1)
        assert mpl.rcParams["savefig.facecolor"] == "auto"  # as the figure's


@pytest.fixture
def shown(ax, monkeypatch):
    """What a notebook shows of a figure, as data by their type."""
    shell = types.SimpleNamespace(display_formatter=DisplayFormatter())
    monkeypatch.setattr(figures, "get_ipython", lambda: shell)
    figures.use_style()
    return lambda figure: shell.display_formatter.format(figure)[0]


def test_curves_are_shown_as_svg_the_same_every_time(shown):
    def drawn():
        figure, [axes] = figures.panels(1)
        axes.plot(range(3), label="0.12345 <kept>")
        axes.legend()
        return shown(figure)

    first = drawn()
    assert first == drawn()
    assert first.keys() == {"image/svg+xml", "text/plain"}
    svg = first["image/svg+xml"]
    texts = [e.text for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert "0.12345 <kept>" in texts
    assert "\n" not in svg
    assert "date" not in svg


def test_what_is_smaller_as_png_is_shown_as_png(shown):
    figure, [axes] = figures.panels(1)
    axes.plot(*np.random.default_rng(0).random((2, 5000)), ".")
    data = shown(figure)
    assert data.keys() == {"image/png", "text/plain"}
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")


def test_an_svg_is_shortened_where_no_word_stands():
    svg = """<?xml version="1.0"?>
<!DOCTYPE svg>
<svg><metadata><date>now</date></metadata><!-- note --><g id="axes_1">
  <path id="m1" d="M 1.23456789 0.000123456789
L 1234.5678 2.5"/>
 <text>0.123456789 &lt;</text></g></svg>
"""
    path = '<path id="m1" d="M 1.2346 0.00012346 L 1234.6 2.5"/>'
    assert figures.shorter(svg) == f"<svg><g> {path} <text>0.123456789 &lt;</text></g></svg>"


def test_colours_are_apart():
    assert len(set(figures.COLOURS)) == len(figures.COLOURS) >= 8
    assert figures.FORWARD != figures.BACKWARD


@pytest.mark.parametrize("n", [1, 3])
def test_panels_stand_in_one_row(n, ax):
    figure, axes = figures.panels(n, height=2, width=3)
    assert len(axes) == n
    assert figure.get_size_inches().tolist() == [3 * n, 2]


def test_a_stack_has_panels_below_each_other(ax):
    figure, axes = figures.stack(3, height=2, width=5, sharex=True)
    assert figure.get_size_inches().tolist() == [5, 6]
    lows = [one.get_position().y0 for one in axes]
    assert lows == sorted(lows, reverse=True)
    assert len(set(lows)) == 3
    assert len({one.get_position().x0 for one in axes}) == 1


def test_a_band_is_the_mean_and_students_interval(ax):
    samples = np.random.default_rng(0).normal(size=(30, 3))
    samples[4, 1] = np.nan
    figures.band(ax, [1, 2, 3], samples, label="runs")
    [line] = ax.lines
    np.testing.assert_allclose(line.get_ydata(), np.nanmean(samples, 0))
    columns = [t_interval(c[np.isfinite(c)]) for c in samples.T]
    bounds = [(i.low, i.high) for i in columns]
    [band] = ax.collections
    drawn = band.get_paths()[0].vertices
    for x, (low, high) in zip([1, 2, 3], bounds, strict=True):
        ys = drawn[drawn[:, 0] == x, 1]
        assert [ys.min(), ys.max()] == pytest.approx([low, high])


def test_a_forest_has_a_row_for_each_part(ax):
    parts = {"a": Interval(1, 0.5, 2, 9), "b": Interval(0, -1, 1, 9)}
    figures.forest(ax, parts, line=0.25)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top
    threshold, *rows = ax.lines
    assert set(threshold.get_xdata()) == {0.25}
    bars, points = rows[::2], rows[1::2]
    assert [list(bar.get_xdata()) for bar in bars] == [[0.5, 2], [-1, 1]]
    assert [point.get_xdata()[0] for point in points] == [1, 0]
    assert [point.get_ydata()[0] for point in points] == [0, 1]
    assert ax.get_legend_handles_labels()[1] == []


def test_forests_set_several_beside_each_other(ax):
    parts = {"a": Interval(1, 0.5, 2, 9)}
    figures.forests(ax, {"first": parts, "second": parts}, figures.COLOURS, line=None)
    heights = [line.get_ydata()[0] for line in ax.lines[::2]]
    assert heights == pytest.approx([-0.24, 0.24])
    assert ax.get_legend_handles_labels()[1] == ["first", "second"]


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_logarithmic_axis_is_labelled_where_asked(ax, axis):
    ax.plot([3, 250], [3, 250])
    figures.log_axis(ax, [3, 12, 250], axis=axis)
    ax.figure.canvas.draw()
    drawn = getattr(ax, f"{axis}axis")
    assert drawn.get_scale() == "log"
    assert [label.get_text() for label in drawn.get_ticklabels()] == ["3", "12", "250"]
    assert drawn.get_minorticklocs().size == 0
    other = ax.yaxis if axis == "x" else ax.xaxis
    assert other.get_scale() == "linear"


def test_a_falling_axis_has_large_values_on_the_left(ax):
    figures.falling(ax, [1, 0.5, 0.1], "share")
    left, right = ax.get_xlim()
    assert left > right
    assert ax.get_xlabel() == "share"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "0.5", "0.1"]
