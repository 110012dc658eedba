"""`winnow sweep` and `winnow plot`: what they say, what they refuse, and their exit codes."""

import contextlib
import re
import shutil
import signal
import socket
import sys
from pathlib import Path

import pandas as pd
import psutil
import pytest

from shared import files, one_line
from winnow.reporting import results
from winnow.running import cli
from winnow.running.errors import RunError
from winnow.running.sweep import cluster, runs

pytestmark = pytest.mark.slow

GRID = ("sweep", "patient", "-p", "n=2:4", "-p", "action=none,fail", "--workers", "2")


@contextlib.contextmanager
def at_book(patient):
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_ROOT", str(patient.book))
        patch.setenv("COLUMNS", "200")
        yield patch
    signal.signal(signal.SIGTERM, handler)


def call_with(patch, capsys, *words):
    patch.setattr(sys, "argv", ["winnow", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    said = capsys.readouterr()
    return caught.value.code, said.out, said.err


@pytest.fixture
def call(patient, capsys):
    """Call the entry point as a shell would; exit code, output, errors."""
    with at_book(patient) as patch:
        yield lambda *words: call_with(patch, capsys, *words)


@pytest.fixture(scope="module")
def swept(patient, tmp_path_factory):
    """A folder with two finished and two failed runs."""
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    with at_book(patient):
        axes = {"n": "2:4", "action": "none,fail"}
        cluster.sweep(runs.plan("patient", axes, output=folder), workers=2)
    return folder


@pytest.fixture
def sweep(swept, tmp_path):
    """A copy of that folder."""
    shutil.copytree(swept, tmp_path / "sweep")
    return tmp_path / "sweep"


# --- what is said -------------------------------------------------------------------------------


def test_a_sweep_tells_failures_and_its_table_and_does_nothing_twice(call, sweep):
    before = files(sweep)
    code, out, err = call(*GRID, "--output", sweep)
    assert (code, out) == (1, "")
    lines = err.splitlines()
    failed = [line for line in lines if line.startswith("failed ")]
    assert [re.sub(r"failed \w{16} ", "", line) for line in failed] == [
        f"(n={n}, action=fail): patient failed in cell 3: RuntimeError: no luck with {n}"
        for n in (2, 3)
    ]
    assert "patient: 2 of 4 runs done" in lines
    assert f"table: table.csv and table.parquet in {sweep}" in lines
    assert lines[-1] == (
        f"winnow: 2 of 4 runs failed; see {sweep}/failed, "
        "and repeat the command with --retry to try them again"
    )
    after = files(sweep)
    assert {*after} - {*before} == {"table.csv", "table.parquet"}
    assert before.items() <= after.items()


def test_failed_runs_are_tried_again_on_request_only(call, sweep, patient):
    """What they had to do has changed: the file that made them fail is gone."""
    code, _, err = call(*GRID, "--output", sweep, "--retry")
    assert code == 1
    assert "sweep: 4 of 4 runs, 2 failed" in err.splitlines()
    keys = [p.name for p in (sweep / "failed").iterdir()]
    assert len(keys) == 2


def test_many_failures_are_counted(call, patient, tmp_path):
    plan = runs.plan("patient", {"n": "1:8"}, output=tmp_path / "sweep")
    with results.staging(plan.folder):
        for run in plan.runs:
            runs.record_failure(plan, run, RunError("its worker died"))
    code, _, err = call("sweep", "patient", "-p", "n=1:8", "--output", plan.folder)
    assert code == 1
    assert err.count("its worker died") == 5
    assert err.splitlines()[-1].startswith("winnow: 7 of 7 runs failed; see ")
    assert "patient: 0 of 7 runs done" in err.splitlines()


def test_a_sweep_that_is_complete_says_so(call, sweep):
    code, out, err = call(*GRID[:4], "--output", sweep)
    assert (code, out) == (0, "")
    assert err.splitlines()[0] == "patient: 2 of 2 runs done"


def test_what_is_finished_is_collected_without_running_anything(call, sweep, monkeypatch):
    """After a kill nothing else makes the table."""
    monkeypatch.setattr(cluster, "sweep", lambda *words, **options: pytest.fail("started"))
    code, out, err = call(*GRID, "--output", sweep, "--collect")
    assert (code, out) == (0, "")
    assert err.splitlines() == [f"table: table.csv and table.parquet in {sweep}"]
    whole = pd.read_csv(sweep / "table.csv")
    assert sorted(whole.drop_duplicates("run").status) == ["done", "done", "failed", "failed"]
    assert {*whole.parameter_n} == {2, 3}


def test_where_no_sweep_has_been_nothing_is_collected(call, tmp_path):
    assert call(*GRID, "--output", tmp_path / "a", "--collect") == (0, "", "")
    assert not (tmp_path / "a").exists()


def test_a_sweep_off_a_terminal_tells_its_progress_in_lines(call, patient, tmp_path):
    code, _, err = call("sweep", "patient", "-p", "n=3,4", "--output", tmp_path / "a")
    assert code == 0
    lines = err.splitlines()
    assert lines[0].startswith("sweep: 0 of 2 runs, 0 failed, ")
    assert any(line.startswith("sweep: 1 of 2 runs, 0 failed") for line in lines)
    assert "sweep: 2 of 2 runs, 0 failed" in lines


# --- a dry run ----------------------------------------------------------------------------------


def children():
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_dry_run_starts_and_writes_nothing(call, patient, sweep, monkeypatch):
    monkeypatch.setattr(cluster, "sweep", lambda *words, **options: pytest.fail("started"))
    for run in (sweep / "runs").iterdir():
        path = run / "run.json"
        path.write_text(re.sub(r'"seconds": [\d.]+', '"seconds": 90.0', path.read_text()))
    before, running = files(sweep), children()
    words = ("sweep", "patient", "-p", "n=2:7", "-p", "action=none,fail", "--output", sweep)
    code, out, err = call(*words, "--workers", "3", "--dry-run")
    assert (code, err) == (0, "")
    time = "about 1.5 min for each, 3.0 min in all"
    assert out == f"patient, preset book: 10 runs, 6 to do, {time}\n"
    assert (files(sweep), children()) == (before, running)
    _, out, _ = call(*words, "--workers", "3", "--dry-run", "--retry")
    assert "10 runs, 8 to do" in out


def test_a_dry_run_of_what_was_never_timed_says_so_and_makes_no_folder(call, tmp_path):
    words = ("sweep", "patient", "--seeds", "1:4", "--output", tmp_path / "a", "--dry-run")
    said = "patient, preset book: 3 runs, 3 to do; none has been timed yet\n"
    assert call(*words) == (0, said, "")
    assert not (tmp_path / "a").exists()


# --- bad input ----------------------------------------------------------------------------------

N = ("-p", "n=1:3")

BAD = [
    (("tinny", *N), "unknown chapter 'tinny': did you mean 'tiny'?"),
    (("patient", "-p", "m=1,2"), "unknown parameter 'm'"),
    (("patient", "-p", "base_sed=1,2"), "did you mean 'base_seed'?"),
    (("patient", "-p", "n"), "-p takes NAME=VALUE, got 'n'"),
    (("patient", "-p", "=1,2"), "-p takes NAME=VALUE, got '=1,2'"),
    (("patient", "-p", "n="), "n has no value: write n=V1,V2"),
    (("patient", "-p", "n=1:5:0"), "n takes a range as start:stop:step, got 1:5:0"),
    (("patient", "-p", "n=5:1"), "n has no value in 5:1: the stop is left out"),
    (("patient", "-p", "n=5:5"), "n has no value in 5:5: the stop is left out"),
    (("patient", "-p", "n=1:x"), "n takes a range as start:stop:step, got 1:x"),
    (("patient", "-p", "n=98:102"), "n must be in [1, 99], got 100"),
    (("patient", "-p", "n=few"), "n takes a whole number, got 'few'"),
    (("patient", "-p", "n=1:9999999"), "n has more than 1000000 values"),
    (("patient", "-p", "n=1:99", "--seeds", "0:99999"), "the grid has 9799902 runs: at most"),
    (("patient", "-p", "n=[1,2]"), "n takes a whole number, got '[1,2]'"),
    (("patient", "-p", "n=1", "-p", "n=2"), "-p n is given twice: 1 and 2"),
    (("patient",), "the grid is empty: give it -p NAME=V1,V2 or --seeds 0:8"),
    (("patient", "-p", "base_seed=1", "--seeds", "0:2"), "and -p leave it out"),
    (("tiny", "--seeds", "0:2"), "--seeds sets base_seed: tiny must have it"),
    (("patient", "--seeds", "-1:2"), "--seeds must be in [0, inf), got -1"),
    (("patient", *N, "--preset", "smok"), "unknown preset 'smok'"),
    (("patient", *N, "--workers", "0"), "Invalid value for '--workers'"),
    (("patient", *N, "--workers", "many"), "Invalid value for '--workers'"),
    (("patient", *N, "--timeout", "0"), "Invalid value for '--timeout'"),
    (("patient", *N, "--timeout", "-3"), "Invalid value for '--timeout'"),
    (("patient", *N, "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"), "leave it out with"),
    (("patient", *N, "--scheduler", ""), "no dask scheduler answers at"),
    (("patient", *N, "--scheduler", "nonsense"), "no dask scheduler answers at nonsense"),
    (("patient", *N, "--scheduler", "tcp://127.0.0.1"), "no dask scheduler answers at tcp://127"),
    (("patient", *N, "--scheduler", "tcp://127.0.0.1:x"), "no dask scheduler answers at tcp://"),
    (("patient", *N, "--scheduler", "http://127.0.0.1:1"), "no dask scheduler answers at http:"),
    (("patient", *N, "--scheduler", "tls://127.0.0.1:1"), "no dask scheduler answers at tls://"),
    (("patient", *N, "--scheduler", "tcp://127.0.0.1:1"), "no dask scheduler answers at tcp://"),
    (("patient", *N, "--fast"), "No such option"),
    ((), "Missing argument 'CHAPTER'"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=str)
def test_bad_input_is_one_line_and_starts_nothing(call, tmp_path, monkeypatch, words, said):
    monkeypatch.setattr(cluster, "_PATIENCE", 0.3)
    running = children()
    code, out, err = call("sweep", *words, "--output", tmp_path / "a" / "sweep")
    assert (code, out) == (2, "")
    assert said in one_line(err)
    assert [*tmp_path.iterdir()] == []
    assert children() == running


def test_a_port_where_something_else_listens_is_no_scheduler(call, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        code, _, err = call("sweep", "patient", *N, "--scheduler", address, "--output", tmp_path)
    assert code == 2
    assert one_line(err) == f"winnow: no dask scheduler answers at {address}: is it running?"
    assert [*tmp_path.iterdir()] == []


def test_refused_sweeps_leave_a_folder_as_it_was(call, sweep, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 0.3)
    before = files(sweep)
    words = ("sweep", "patient", "-p", "n=7", "--scheduler", "tcp://127.0.0.1:1")
    assert call(*words, "--output", sweep)[0] == 2
    assert files(sweep) == before


def test_folders_that_cannot_take_a_sweep_are_refused(call, sweep, tmp_path):
    (tmp_path / "file").write_text("mine")
    before = files(tmp_path)
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        code, out, err = call("sweep", "patient", *N, "--output", place)
        assert (code, out) == (2, "")
        assert "cannot write to" in one_line(err)
    assert files(tmp_path) == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root may write")
def test_a_folder_that_may_not_be_written_is_refused(call):
    code, out, err = call("sweep", "patient", *N, "--output", "/proc/winnow/sweep")
    assert (code, out) == (2, "")
    assert one_line(err).startswith("winnow: cannot write to /proc/winnow/sweep: ")


def test_a_folder_at_work_is_refused_and_its_table_left_alone(call, sweep, patient):
    with at_book(patient):
        plan = runs.plan("patient", {"n": "2:4"}, output=sweep)
        with results.staging(plan.folder):
            before = files(sweep)
            code, out, err = call("sweep", "patient", "-p", "n=9", "--output", sweep)
            assert (code, out) == (2, "")
            assert one_line(err) == (
                f"winnow: another run is at work in {sweep}: wait, or choose another --output"
            )
            assert files(sweep) == before


def test_missing_packages_are_named(call, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "winnow.running.sweep.cluster", None)
    monkeypatch.delattr("winnow.running.sweep.cluster")
    code, _, err = call("sweep", "patient", *N, "--output", tmp_path / "a")
    assert code == 2
    assert "pip install 'winnow-book[sweep]'" in one_line(err)
    assert not (tmp_path / "a").exists()


# --- plot ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    rows = [
        {"claim": c, "parameter_n": n, "word": word, "seed": k, "estimate": n + k / 10}
        for c in ("T1", "T2") for n in (1, 2, 3) for word in "ab" for k in range(4)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    frame.to_csv(folder / "table.csv", index=False)
    frame.to_parquet(folder / "table.parquet", index=False)
    return folder / "table.csv"


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_table_is_drawn_into_the_kind_of_file_that_is_asked_for(call, table, tmp_path, suffix):
    path = tmp_path / "deep" / f"figure{suffix}"
    words = ("--x", "parameter_n", "--hue", "word", "--where", "claim=T1", "--output", path)
    code, out, err = call("plot", table.with_suffix(".parquet"), *words)
    assert (code, out) == (0, "")
    assert f"drawn in {path}" in err
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(start)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_picture_stands_beside_its_table_by_default(call, table):
    code, _, _ = call("plot", table, "--x", "parameter_n", "--panel", "claim", "--hue", "word")
    picture = table.with_name("estimate-parameter_n.png")
    assert code == 0
    assert picture.is_file()
    picture.unlink()


ONE = ("--where", "word=a", "--where", "parameter_n=1")

BAD_PLOTS = [
    (("--x", "parameter_m"), "unknown column 'parameter_m': did you mean 'parameter_n'?"),
    (("--x", "word", "--y", "wor"), "unknown column 'wor': did you mean 'word'?"),
    (("--x", "parameter_n", "--hue", "colour"), "unknown column 'colour'"),
    (("--x", "parameter_n", "--panel", "clam"), "unknown column 'clam': did you mean 'claim'?"),
    (("--x", "parameter_n", "--where", "klaim=T1"), "unknown column 'klaim'"),
    (("--x", "parameter_n", "--y", "word"), "word holds no numbers: choose one that does for --y"),
    (("--x", "parameter_n", "--where", "claim=T9"), "no row has claim T9: there are T1, T2"),
    (("--x", "parameter_n", "--where", "claim"), "takes NAME=VALUE, got 'claim'"),
    (
        ("--x", "seed", "--where", "claim=T1", *ONE, "--output", "figure.doc"),
        "Format 'doc' is not supported (supported formats: ",
    ),
    (
        ("--x", "seed", "--where", "claim=T1", *ONE, "--output", "figure"),
        "Format '' is not supported (supported formats: ",
    ),
    (("--y", "estimate"), "Missing option '--x'"),
    (("--x", "parameter_n"), "a point would mix 2 values of claim: name it with --hue, --panel or"),
    (("--x", "parameter_n", "--hue", "claim"), "a point would mix 2 values of word"),
    (("--x", "parameter_n", "--hue", "word"), "a point would mix 2 values of claim"),
    (("--x", "word", "--panel", "claim"), "a point would mix 3 values of parameter_n"),
    (
        ("--x", "word", "--hue", "claim", "--where", "parameter_n=1,2"),
        "mix 2 values of parameter_n",
    ),
]


@pytest.mark.parametrize(("words", "said"), BAD_PLOTS, ids=str)
def test_a_bad_plot_is_one_line_and_draws_nothing(call, table, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    before = files(table.parent)
    code, out, err = call("plot", table, *words)
    assert (code, out) == (2, "")
    assert said in one_line(err)
    assert files(table.parent) == before
    assert [*tmp_path.iterdir()] == []


def test_what_is_no_table_is_one_line(call, tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "words.parquet").write_text("no table")
    for name in ("absent.csv", "absent.parquet", "empty.csv", "words.parquet"):
        code, out, err = call("plot", tmp_path / name, "--x", "n")
        assert (code, out) == (2, "")
        assert f"cannot read {tmp_path / name} as a table" in one_line(err)


def test_a_picture_that_cannot_be_written_is_one_line(call, table, tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file" / "figure.png", Path("/proc/winnow/figure.png")):
        words = ("--x", "parameter_n", "--panel", "claim", "--hue", "word", "--output", path)
        code, _, err = call("plot", table, *words)
        assert code == 1
        assert str(path.parent) in one_line(err)


def test_a_table_of_failures_only_has_nothing_to_draw(call, patient, tmp_path):
    with at_book(patient):
        plan = runs.plan("patient", {"n": "5,6"}, output=tmp_path)
        with results.staging(plan.folder):
            for run in plan.runs:
                runs.record_failure(plan, run, RunError("its worker died"))
            code, *_ = call("plot", tmp_path / "table.csv", "--x", "parameter_n")
            assert code == 2
    code, _, _ = call("sweep", "patient", "-p", "n=5,6", "--output", tmp_path)
    assert code == 1
    code, _, err = call("plot", tmp_path / "table.csv", "--x", "parameter_n")
    assert code == 2
    assert "no row has a number in estimate: has any run finished?" in one_line(err)
    assert results.STAGE_PREFIX not in "".join(files(tmp_path))
