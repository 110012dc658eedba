"""The table of a sweep: a row for each claim, alike in both files; and pictures of it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from shared import Patient, write_chapter
from winnow import stats
from winnow.reporting import results
from winnow.running.errors import RunError
from winnow.running.sweep import cluster, runs, table

CHAPTER = (
    """
units: list[int] = [3]  # units of each layer, in [1, 99]
words: list[str] = ["a", "b"]  # some words
rate: float = 0.1  # any rate, in (0, 1]
kind: str = "NA"  # a word, one of NA, none or null
loud: bool = False  # whether to shout
error: int = 1  # a name that the table has already, in [0, 9]
estimate: int = 2  # another one, in [0, 9]
n: int = 3  # and another, in [0, 9]
""",
    """
part = {"name": "one", "low": 0.1, "high": 0.3, "p": 0.01, "n": 7, "bar": "above 0"}
control = {**part, "name": "two", "estimate": 1, "status": "passed"}
claim = {"says": "It is so, or not", "kind": "paper", "verdict": "reproduced", "shown": "one"}
claim |= {"controls": [control] if error == 2 else [], "why": ""}
judged = [
    {**claim, "id": f"T{k}", "parts": [{**part, "estimate": rate / (3 + k), "status": "holds"}]}
    for k in range(n)
]
record = {"claims": judged, "tables": {}}
display({"application/vnd.winnow.record+json": record, "text/plain": "-"}, raw=True)
""",
)


@pytest.fixture(scope="module")
def book(write_book, tmp_path_factory):
    book = Patient(write_book(tmp_path_factory.mktemp("book"))).book
    write_chapter(book, "odd", *CHAPTER)
    return book


@pytest.fixture(autouse=True)
def at_book(book, monkeypatch):
    monkeypatch.setenv("WINNOW_ROOT", str(book))


AXES = {"units": "[3],[20,10]", "rate": "0.1,0.7", "kind": "NA,none"}


@pytest.fixture(scope="module")
def odd(book, tmp_path_factory):
    """A sweep of eight runs: six done, one failed, one not run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_ROOT", str(book))
        plan = runs.plan("odd", AXES, output=tmp_path_factory.mktemp("odd") / "sweep")
        cluster.sweep(plan, workers=2)
        shutil.rmtree(plan.path(plan.runs[2]))
        with results.staging(plan.folder):
            runs.record_failure(plan, plan.runs[2], RunError('odd: its worker, "a", died'))
        shutil.rmtree(plan.path(plan.runs[5]))
        table.write(plan)
    return plan


@pytest.mark.slow
def test_rows_stand_in_the_order_of_the_grid_a_row_for_each_claim(odd):
    frame = table.collect(odd)
    assert [*frame.run.drop_duplicates()] == [run.key for run in odd.runs]
    assert [*frame.groupby("run", sort=False).size()] == [3, 3, 1, 3, 3, 1, 3, 3]
    assert [*frame[frame.run == odd.runs[0].key].claim] == ["T0", "T1", "T2"]
    assert [*frame.status.value_counts().items()] == [("done", 18), ("failed", 1), ("not run", 1)]


def test_columns_hold_what_they_say_and_names_do_not_collide(odd):
    frame = table.collect(odd)
    assert [*frame] == [
        *("run", "status", "seed", "units", "words", "rate", "parameter_kind", "loud"),
        *("parameter_error", "parameter_estimate", "parameter_n"),
        *("claim", "says"),
        *("kind", "verdict", "why", "part", "role", "estimate", "low", "high", "p", "n"),
        *("bar", "outcome", "seconds", "error"),
    ]
    first = frame.iloc[0]
    assert (first.units, first.words, first.parameter_kind) == ("3", "a,b", "NA")
    assert not first.loud
    assert (first.parameter_error, first.parameter_estimate, first.parameter_n) == (1, 2, 3)
    assert (first.estimate, first.n, first.says) == (0.1 / 3, 7, "It is so, or not")
    assert first.seconds > 0
    assert pd.isna(first.seed)
    assert pd.isna(first.error)
    assert {*frame.units} == {"3", "20,10"}


def test_runs_that_are_not_done_have_one_row_with_their_error(odd):
    frame = table.collect(odd)
    [failed], [missing] = (
        frame[frame.status == s].to_dict("records") for s in ("failed", "not run")
    )
    assert failed["error"] == 'odd: its worker, "a", died'
    assert failed["rate"] == 0.7
    for row in (failed, missing):
        assert all(
            pd.isna(row[k]) for k in ("claim", "part", "estimate", "low", "high", "n", "verdict")
        )
    assert pd.isna(missing["error"])
    assert pd.isna(missing["seconds"])


def plain(frame):
    return frame.astype(object).where(frame.notna(), None)


def test_both_files_hold_the_same_to_the_last_digit(odd):
    frame = table.collect(odd)
    read = [table.read(odd.folder / f"table.{kind}") for kind in ("csv", "parquet")]
    for other in read:
        pd.testing.assert_frame_equal(plain(other), plain(frame), check_exact=True)
    for name in ("seed", "n", "rate", "estimate", "loud", "parameter_n"):
        assert read[0][name].dtype == read[1][name].dtype == frame[name].dtype


def test_lists_of_one_number_are_numbers_in_both_files(tmp_path):
    plan = runs.plan("odd", {"units": "5,10,20"}, output=tmp_path)
    table.write(plan)
    for kind in ("csv", "parquet"):
        assert [*table.read(tmp_path / f"table.{kind}").units] == [5, 10, 20]
    assert [*table.collect(plan).words] == ["a,b"] * 3


def test_a_run_that_judged_nothing_is_not_lost(odd, tmp_path):
    plan = runs.plan("odd", {"n": "0"}, output=tmp_path)
    [run] = plan.runs
    shutil.copytree(odd.path(odd.runs[0]), plan.path(run))
    (plan.path(run) / "claims.json").write_text("[]")
    about = json.loads((plan.path(run) / "run.json").read_text())
    (plan.path(run) / "run.json").write_text(json.dumps({**about, "files": {}}))
    [row] = table.collect(plan).to_dict("records")
    assert row["status"] == "done"
    assert pd.isna(row["claim"])
    assert row["seconds"] == about["seconds"]


def test_replicates_are_numbered():
    plan = runs.plan("patient", {"n": "1,2"}, seeds="3,5")
    frame = table.collect(plan)
    assert [*frame.seed] == [3, 5, 3, 5]
    assert [*frame.base_seed] == [24, 40, 24, 40]
    assert {*frame.status} == {"not run"}


def test_a_table_is_replaced_whole_or_stays(odd, monkeypatch):
    path = odd.folder / "table.csv"
    before = path.read_bytes()
    path.write_bytes(b"old")  # what would stay the same is not written again
    with monkeypatch.context() as patch:
        patch.setattr(results.os, "replace", lambda *paths: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            table.write(odd)
    assert path.read_bytes() == b"old"
    path.write_bytes(before)
    assert [*odd.folder.glob(".winnow-*")] == []


# --- selection ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_are_selected_by_what_one_reads_in_the_file(odd, kind):
    frame = table.read(odd.folder / f"table.{kind}")
    assert len(table.select(frame, {"claim": ["T1"]})) == 6
    assert len(table.select(frame, {"claim": ["T1", "T2"], "rate": ["0.7"]})) == 6
    assert len(table.select(frame, {"n": ["7"]})) == 18
    assert len(table.select(frame, {"parameter_kind": ["NA"], "loud": ["False"]})) == 10
    assert {*table.select(frame, {"units": ["20,10"]}).units} == {"20,10"}
    assert len(table.select(frame, {})) == len(frame)
    with pytest.raises(ValueError, match=r"no row has rate 0\.5: there are 0\.1, 0\.7"):
        table.select(frame, {"rate": ["0.5"]})


# --- pictures -----------------------------------------------------------------------------------


@pytest.fixture
def frame():
    rows = [
        (x, hue, x + k + (hue == "b"), k)
        for hue in "ab" for x in (4, 1, 2) for k in range(5)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["x", "hue", "y", "seed"])


def points(ax):
    """Lines with marks, and without the legend's."""
    return [x for x in ax.lines if x.get_marker() != "None" and np.size(x.get_xdata())]


def drawn(figure, ax=None):
    """For each line: where its points stand, and the ends of their intervals."""
    ax, found = ax or figure.axes[0], []
    for line in points(ax):
        others = [x for x in ax.lines if x.get_color() == line.get_color()]
        bars = [x.get_ydata() for x in others if x.get_marker() == "None"]  # through both caps
        ends = [f(bar) for bar in bars for f in (np.fmin.reduce, np.fmax.reduce)]
        at = np.round(np.asarray(line.get_xdata(), float))  # lines stand a little apart
        found.append((at, np.asarray(line.get_ydata(), float), ends[::2], ends[1::2]))
    return found


def test_points_are_means_with_students_intervals(frame):
    found = drawn(table.plot(frame, x="x", y="y", hue="hue"))
    assert len(found) == 2
    x, middle, low, high = found[1]
    assert [*x] == [1, 2, 4]
    np.testing.assert_allclose(middle, [4, 5, 7])
    expected = stats.t_interval(np.arange(5) + 1.0)
    np.testing.assert_allclose(low, [1 + expected.low, 2 + expected.low, 4 + expected.low])
    np.testing.assert_allclose(high, [1 + expected.high, 2 + expected.high, 4 + expected.high])


def test_a_single_run_is_a_point():
    frame = pd.DataFrame({"x": [1, 2], "estimate": [3.0, 4.0], "low": [2.5, 3], "high": [5, 6.0]})
    [(_, middle, low, high)] = drawn(table.plot(frame, x="x", y="estimate"))
    assert [*middle] == [3, 4]
    assert np.isnan([*low, *high]).all()


@pytest.mark.parametrize("x", ["seed", "loud", "run"])
def test_columns_of_every_type_can_be_drawn(odd, x):
    frame = table.read(odd.folder / "table.parquet").assign(seed=pd.array([*range(20)], "Int64"))
    rows = table.select(frame, {"claim": ["T1"], "rate": ["0.1"], "parameter_kind": ["NA"]})
    [(_, middle, *_)] = drawn(table.plot(rows.assign(units=0), x=x, y="n"))
    assert [*np.unique(middle)] == [7]


def test_words_stand_side_by_side_in_their_order(frame):
    frame = frame[frame.hue == "a"].assign(word=frame.x.map({1: "one", 2: "two", 4: "four"}))
    figure = table.plot(frame, x="word", y="y")
    [ax] = figure.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["four", "one", "two"]
    [(x, middle, *_)] = drawn(figure)
    assert [*x] == [0, 1, 2]
    np.testing.assert_allclose(middle, [6, 3, 4])


def test_lines_stand_at_the_same_words_even_where_some_lack_them():
    frame = pd.DataFrame(
        {"word": ["p", "q", "r", "q", "r"], "hue": [*"aaabb"], "y": [1.0, 2, 3, 4, 5]}
    )
    found = drawn(table.plot(frame, x="word", y="y", hue="hue"))
    assert [*found[0][1]] == [1, 2, 3]
    assert [*found[1][0]] == [0, 1, 2]
    np.testing.assert_array_equal(found[1][1], [np.nan, 4, 5])


def test_rows_without_a_number_are_left_out(frame):
    frame.loc[frame.x == 2, "y"] = np.nan
    frame.loc[frame.x == 4, "hue"] = None
    found = drawn(table.plot(frame, x="x", y="y", hue="hue"))
    assert [*found[0][0]] == [1]
    with pytest.raises(ValueError, match="no row has a number in y: has any run finished"):
        table.plot(frame.assign(y=np.nan), x="x", y="y")
    with pytest.raises(ValueError, match="no row has"):
        table.plot(frame.assign(hue=None), x="x", y="y", hue="hue")


def test_labels_say_what_is_drawn(frame):
    figure = table.plot(frame, x="x", y="y", hue="hue")
    assert figure.axes[0].get_xlabel() == "x"
    assert figure.axes[0].get_ylabel() == "y\nmean, 95 % interval over runs"
    [legend] = figure.legends
    assert legend.get_title().get_text() == "hue"
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    figure = table.plot(frame[(frame.seed == 0) & (frame.hue == "a")], x="x", y="y")
    assert figure.legends == []


def test_each_panel_holds_its_own_rows_on_its_own_scale(frame):
    frame = frame.assign(claim="small")
    large = frame[frame.hue == "b"].assign(claim="large", y=lambda rows: 100 * rows.y)
    rows = pd.concat([frame, large, *(frame.assign(claim=c) for c in ("T3", "T4"))])
    figure = table.plot(rows, x="x", y="y", hue="hue", panel="claim")
    assert [ax.get_title() for ax in figure.axes] == ["small", "large", "T3", "T4"]
    small, large, *_ = axes = figure.axes
    assert small.get_ylim()[1] < 20 < 300 < large.get_ylim()[1]
    np.testing.assert_allclose(drawn(figure, large)[0][1], [400, 500, 700])
    colours = [[line.get_color() for line in points(ax)] for ax in axes]
    assert colours[1] == colours[0][1:]  # of b
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    assert figure.axes[0].get_ylabel() == "y\nmean, 95 % interval over runs"


def test_points_never_mix_what_is_not_named(frame):
    """Claims, parts, parameters: whatever differs beside the replicate."""
    other = frame.assign(y=frame.y * 1e6)
    for name in ("claim", "part", "n_networks", "parameter_kind"):
        both = pd.concat([frame.assign(**{name: 1}), other.assign(**{name: 2})])
        with pytest.raises(ValueError, match=f"a point would mix 2 values of {name}: name it with"):
            table.plot(both, x="x", y="y", hue="hue")
        table.plot(both, x="x", y="y", hue="hue", panel=name)
        table.plot(table.select(both, {name: ["1"]}), x="x", y="y", hue="hue")
    with pytest.raises(ValueError, match="a point would mix 2 values of hue"):
        table.plot(frame, x="x", y="y")
    many = frame.assign(base_seed=8 * frame.seed, run=range(len(frame)), seconds=0.5, p=0.1)
    assert len(drawn(table.plot(many, x="x", y="y", hue="hue"))) == 2


def test_controls_and_claims_without_parts_have_rows_of_their_own(odd, tmp_path):
    plan = runs.plan("odd", {"n": "1", "error": "2"}, output=tmp_path)
    cluster.sweep(plan, workers=1)
    frame = table.collect(plan)
    assert [*frame.part] == ["one", "two"]
    assert [*frame.role] == ["part", "control"]
    assert [*frame.outcome] == ["holds", "passed"]


def test_lines_stand_apart_where_their_intervals_would_hide_each_other(frame):
    [ax] = table.plot(frame, x="x", y="y", hue="hue").axes
    a, b = (line.get_xdata() for line in points(ax))
    assert (b - a > 0).all()
    assert (b - a < 0.5).all()


@pytest.mark.parametrize("panel", [None, "part"])
def test_many_lines_are_told_apart(panel):
    rows = [(x, f"line {k}", k + x, "all") for k in range(40) for x in (0, 1)]
    frame = pd.DataFrame(rows, columns=["x", "hue", "y", "part"])
    figure = table.plot(frame, x="x", y="y", hue="hue", panel=panel)
    [ax] = figure.axes
    assert len({(line.get_color(), line.get_marker()) for line in points(ax)}) == 40
    figure.draw_without_rendering()
    [legend] = figure.legends
    (left, bottom), (right, top) = legend.get_window_extent().get_points()
    assert ax.get_window_extent().x1 < left < right < figure.bbox.x1
    assert figure.bbox.y0 < bottom < top < figure.bbox.y1
    assert ax.get_window_extent().width > 2 * figure.dpi
