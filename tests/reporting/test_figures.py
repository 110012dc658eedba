"""What a figure shows is what was measured."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyArrowPatch

from winnow.experiments.motifs import profiles
from winnow.metrics.motifs.classes import NAMES
from winnow.reporting import figures
from winnow.reporting.claims import Part
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
        for key in ("figure.facecolor", "savefig.facecolor", "axes.facecolor"):
            assert to_rgba(mpl.rcParams[key]) == (1, 1, 1, 1)


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


def test_a_forest_has_a_row_for_each_part_and_hollow_points_for_what_fails(ax):
    holds = Part("a", 1, 0.5, 2, 0.001, 9, "above 0", "holds")
    open_ = Part("b", 0, -1, 1, 0.9, 9, "above 0", "undecided")
    figures.forest(ax, [holds, open_], line=0.25, label="set")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top
    threshold, *rows = ax.lines
    assert set(threshold.get_xdata()) == {0.25}
    bars, points = rows[::2], rows[1::2]
    assert [list(bar.get_xdata()) for bar in bars] == [[0.5, 2], [-1, 1]]
    assert [point.get_xdata()[0] for point in points] == [1, 0]
    assert [to_rgba(p.get_markerfacecolor()) == (1, 1, 1, 1) for p in points] == [False, True]
    assert len(ax.get_legend_handles_labels()[1]) == 1


def test_forests_set_several_beside_each_other(ax):
    parts = {"a": Interval(1, 0.5, 2, 9)}
    figures.forests(ax, {"first": parts, "second": parts}, figures.COLOURS, line=None)
    heights = [line.get_ydata()[0] for line in ax.lines[::2]]
    assert heights == pytest.approx([-0.24, 0.24])
    assert ax.get_legend_handles_labels()[1] == ["first", "second"]


def arrows(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def test_arcs_run_from_source_to_target_and_forward_is_towards_the_output(ax):
    weights = np.array([[5.0, 2, 0], [0, 0, -4], [1, 0, 0]])  # 1 to 0, 2 to 1, and 0 back to 2
    figures.arcs(ax, weights, [0, 1, 2], ["out", "a", "b"])
    place = {text.get_text(): text.xy[0] for text in ax.texts}
    assert place["out"] > place["a"] > place["b"]
    ends = {tuple(x for x, _ in arrow._posA_posB): arrow for arrow in arrows(ax)}
    assert set(ends) == {
        (place["a"], place["out"]),
        (place["b"], place["a"]),
        (place["out"], place["b"]),
    }
    back = ends.pop((place["out"], place["b"]))
    assert back.get_edgecolor()[:3] == figures.BACKWARD
    assert {arrow.get_edgecolor()[:3] for arrow in ends.values()} == {figures.FORWARD}
    widths = {span: arrow.get_linewidth() for span, arrow in ends.items()}
    assert widths[place["b"], place["a"]] > widths[place["a"], place["out"]] > back.get_linewidth()


def test_a_ring_has_an_arrow_for_each_weight_but_self_loops(ax):
    figures.ring(ax, np.array([[5.0, 2, 0], [0, 0, -4], [1, 0, 0]]), ["out", "a", "b"])
    assert len(arrows(ax)) == 3
    assert {text.get_text() for text in ax.texts} == {"out", "a", "b"}


def test_an_ordered_matrix_is_permuted_on_both_axes(ax):
    weights = np.arange(9.0).reshape(3, 3)
    figures.ordered_matrix(ax, weights, [2, 0, 1], limit=8)
    [image] = ax.images
    assert image.get_array().tolist() == [[8, 6, 7], [2, 0, 1], [5, 3, 4]]
    assert image.get_clim() == (-8, 8)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2", "0", "1"]


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


def test_tiles_stand_side_by_side_each_on_its_own_scale(ax):
    fields = np.zeros((5, 2, 3))
    fields[:, 0, 0] = [1.0, -2.0, 50.0, 0.0, 3.0]
    figures.tiles(ax, fields, columns=3)
    [image] = ax.images
    shown = image.get_array()
    assert shown.shape == (2 * 3 + 1, 3 * 4 + 1)
    corners = [shown[1, 1], shown[1, 5], shown[1, 9], shown[4, 1], shown[4, 5]]
    assert [float(c) for c in corners] == [1, -1, 1, 0, 1]
    assert np.ma.getmaskarray(np.ma.masked_invalid(shown))[0].all()  # lines between the tiles
    assert np.ma.getmaskarray(np.ma.masked_invalid(shown))[4, 9]  # no sixth unit


def test_a_film_shows_every_figure_in_turn_and_closes_it():
    before = plt.get_fignums()

    def draw(i):
        figure = plt.figure(figsize=(1, 1), facecolor=["red", "lime", "blue"][i])
        return figure

    shown = figures.film(draw, 3, milliseconds=100)
    film = PIL.Image.open(io.BytesIO(shown.data))
    assert (film.format, film.n_frames, film.info["loop"]) == ("GIF", 3, 0)
    seen = []
    for i in range(3):
        film.seek(i)
        seen.append((film.convert("RGB").getpixel((5, 5)), film.info["duration"]))
    assert seen == [((255, 0, 0), 100), ((0, 255, 0), 100), ((0, 0, 255), 200)]
    assert plt.get_fignums() == before
    assert shown.data == figures.film(draw, 3, milliseconds=100).data


MOTIFS = [(number, 4) for number in NAMES[4]] + [(number, 5) for number in profiles.FIVE]


@pytest.mark.parametrize(("number", "size"), MOTIFS, ids=[str(number) for number, _ in MOTIFS])
def test_a_motif_has_its_nodes_and_its_arrows_lead_one_layer_down(ax, number, size):
    figures.motif(ax, number, size, title="some name")
    digits = [int(b) for b in bin(number)[2:].zfill(size * size)]
    edges = {(k // size, k % size) for k, b in enumerate(digits) if b}
    [nodes] = ax.collections
    place = [tuple(xy) for xy in np.asarray(nodes.get_offsets()).tolist()]
    assert len(place) == len(set(place)) == size
    ends = [arrow._posA_posB for arrow in arrows(ax)]
    found = {tuple(place.index(tuple(map(float, xy))) for xy in pair) for pair in ends}
    assert len(ends) == len(edges)
    assert found == edges
    assert {place[a][1] - place[b][1] for a, b in edges} == {1}
    assert ax.get_title() == "some name"
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert all(left < x < right and low < y < high for x, y in place)
    assert (right - left, high - low) == pytest.approx((3, 3.8))  # all on one scale


@pytest.mark.parametrize(
    ("number", "size", "layers"),
    [
        (14, 4, [1, 3]),
        (28, 4, [1, 1, 2]),
        (140, 4, [2, 2]),
        (204, 4, [2, 2]),
        (536, 4, [1, 1, 1, 1]),
        (2182, 4, [1, 2, 1]),
        (2184, 4, [3, 1]),
        (541198, 5, [1, 3, 1]),
        (541068, 5, [2, 2, 1]),
        (3864, 5, [1, 2, 2]),
        (25368, 5, [3, 2]),
    ],
    ids=str,
)
def test_a_motifs_layers_from_the_top(ax, number, size, layers):
    figures.motif(ax, number, size)
    [nodes] = ax.collections
    xy = np.asarray(nodes.get_offsets())
    rows = [xy[xy[:, 1] == y, 0] for y in sorted(set(xy[:, 1]), reverse=True)]
    assert [len(row) for row in rows] == layers
    assert all(abs(row.mean()) < 1e-12 for row in rows)  # each about the middle
    assert ax.get_title() == ""
