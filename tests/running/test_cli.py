"""The command line: results or one line on standard error, and an exit code that tells which."""

import json
import signal
import subprocess
import sys
import time

import pytest

from shared import PATIENCE, alive, files, one_line, start, wait_for
from winnow.reporting import claims, results
from winnow.running import cli


@pytest.fixture(scope="module")
def book(write_book, tmp_path_factory):
    return write_book(tmp_path_factory.mktemp("book"))


@pytest.fixture
def call(book, monkeypatch, capsys):
    """Call the entry point as a shell would; exit code, output, errors."""
    monkeypatch.setenv("WINNOW_ROOT", str(book))
    monkeypatch.setenv("COLUMNS", "160")
    handler = signal.getsignal(signal.SIGTERM)

    def called(*words):
        monkeypatch.setattr(sys, "argv", ["winnow", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        said = capsys.readouterr()
        return caught.value.code, said.out, said.err

    yield called
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="module")
def first(book):
    """`winnow run tiny` in a process of its own: folder and what was said."""
    process = start(book, "run", "tiny")
    out, err = process.communicate()
    assert process.returncode == 0, err
    return book / "results" / "tiny" / "book", out, err


# --- run ----------------------------------------------------------------------------------------


def test_a_run_writes_results_and_shows_verdicts(first):
    folder, out, err = first
    assert set(files(folder)) == {"claims.json", "counts.csv", "run.json", "tiny.ipynb"}
    assert results.verify(folder)
    assert claims.from_json((folder / "claims.json").read_text())[0].verdict == "reproduced"
    for word in ("T1", "reproduced", "It is more than two"):
        assert word in out
    assert f"written to {folder.resolve()}" in err.replace("\n", "")
    assert "Traceback" not in err


def test_torch_is_whole_before_scipy_looks_at_it(monkeypatch):
    """Loaded in two threads at once, scipy fails on a torch that has no Tensor yet."""
    loaded = []
    monkeypatch.setattr(cli.importlib, "import_module", loaded.append)
    cli._preload()
    assert loaded == ["torch", "winnow.reporting.claims"]


def test_the_same_run_again_touches_nothing(first, call):
    folder, *_ = first
    before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    content = files(folder)
    assert call("run", "tiny")[0] == 0
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before
    assert files(folder) == content


def test_values_and_output_are_taken_from_the_command(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = call("run", "tiny", "-p", "n=1", "-p", "share=0.25", "--output", "here")
    assert code == 0
    assert "not reproduced" in out
    assert (tmp_path / "here" / "counts.csv").read_text() == "n,share\n1,0.25\n"


@pytest.mark.parametrize("debug", [False, True])
def test_a_failing_chapter_is_one_line_and_leaves_results_alone(first, call, debug):
    folder, *_ = first
    before = files(folder)
    words = ["--debug"] if debug else []
    code, out, err = call(*words, "run", "tiny", "-p", "action=fail", "--output", folder)
    assert code == 1
    assert out == ""
    assert files(folder) == before
    assert list(folder.parent.rglob(results.STAGE_PREFIX + "*")) == []
    if debug:
        assert "Traceback (most recent call last)" in err
        assert "RuntimeError" in err.split("Traceback", 1)[1]
    else:
        line = one_line(err)
        assert line.startswith("winnow: tiny failed in cell 3: RuntimeError: no luck at all")
        assert line.endswith("(--debug shows where)")


def test_an_output_that_cannot_be_written_is_said_before_anything_runs(call, book, tmp_path):
    (tmp_path / "file").write_text("")
    (book / "notebooks" / "kernel.pid").unlink(missing_ok=True)
    code, out, err = call("run", "tiny", "--output", tmp_path / "file" / "x")
    assert (code, out) == (2, "")
    assert "cannot write to" in one_line(err)
    assert not (book / "notebooks" / "kernel.pid").exists()


BAD = [
    (("run", "tinny"), "unknown chapter 'tinny': did you mean 'tiny'?"),
    (("run", "tiny", "--preset", "smok"), "did you mean 'smoke'?"),
    (("run", "tiny", "-p", "m=3"), "unknown parameter 'm'"),
    (("run", "tiny", "-p", "n=lots"), "n takes a whole number, got 'lots'"),
    (("run", "tiny", "-p", "n=99"), "n must be in [1, 9], got 99"),
    (("run", "tiny", "-p", "n"), "-p takes NAME=VALUE, got 'n'"),
    (("run", "tiny", "-p", "=3"), "-p takes NAME=VALUE, got '=3'"),
    (("run",), "Missing argument 'CHAPTER'"),
    (("run", "tiny", "--speed"), "No such option"),
    (("list", "tinny"), "did you mean 'tiny'?"),
    (("refresh", "tinny"), "did you mean 'tiny'?"),
    (("refresh", "--jobs", "0"), "Invalid value for '--jobs'"),
    (("claims", "--results", "nowhere"), "run a chapter first"),
    (("dance",), "No such command 'dance'"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=str)
def test_bad_input_is_one_line_and_exit_code_two(call, words, said):
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert said in one_line(err)


def test_a_misspelt_parameter_of_the_real_chapter_is_corrected(call, root, monkeypatch):
    monkeypatch.setenv("WINNOW_ROOT", str(root))
    code, out, err = call("run", "orderedness", "-p", "n_seed=5")
    assert (code, out) == (2, "")
    assert "unknown parameter 'n_seed': did you mean 'n_seeds'?" in one_line(err)


def test_no_checkout_is_one_line(call, tmp_path, monkeypatch):
    monkeypatch.setenv("WINNOW_ROOT", str(tmp_path))
    code, _, err = call("list")
    assert code == 2
    assert "set WINNOW_ROOT" in one_line(err)


@pytest.mark.parametrize("file", ["_toc.yml", "notebooks/tiny.ipynb"])
def test_a_broken_checkout_is_one_line(call, write_book, tmp_path, monkeypatch, file):
    folder = write_book(tmp_path / "broken")
    monkeypatch.setenv("WINNOW_ROOT", str(folder))
    (folder / file).write_text("{")
    code, _, err = call("list")
    assert code == 2
    one_line(err)


def test_help_and_version(call):
    code, out, err = call("--version")
    assert (code, out.split()[0], err) == (0, "winnow", "")
    code, out, err = call("--help")
    assert (code, err) == (0, "")
    for word in ("list", "run", "refresh", "claims"):
        assert word in out
    assert call()[0] == 2
    assert "Usage" in call()[2]


# --- interruptions ------------------------------------------------------------------------------


@pytest.fixture
def sleeping(first, book):
    """A run in the middle of a cell that sleeps, its kernel's process, and the results before."""
    folder, *_ = first
    note = book / "notebooks" / "kernel.pid"
    note.unlink(missing_ok=True)
    before = files(folder)
    process = start(book, "run", "tiny", "-p", "action=sleep", "--output", str(folder))
    wait_for(lambda: note.is_file() and note.read_text())
    time.sleep(0.3)
    yield process, int(note.read_text()), before, folder
    process.kill()
    process.communicate()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_leaves_nothing_behind(sleeping, signum):
    process, kernel, before, folder = sleeping
    process.send_signal(signum)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert out == ""
    wait_for(lambda: not alive(kernel))
    assert files(folder) == before
    assert list(folder.glob(results.STAGE_PREFIX + "*")) == []
    assert one_line(err) == "winnow: interrupted; earlier results are untouched"


def test_a_killed_run_leaves_results_whole_and_the_next_run_works(sleeping, call):
    process, kernel, before, folder = sleeping
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(kernel))
    assert {k: v for k, v in files(folder).items() if results.STAGE_PREFIX not in k} == before
    assert results.verify(folder)
    code, _, err = call("run", "tiny", "-p", "n=4", "--output", folder)
    assert code == 0, err
    assert results.read_run(folder)["parameters"]["n"] == 4
    assert results.verify(folder)


# --- list, claims, refresh ----------------------------------------------------------------------


def test_list_shows_presets_parameters_and_verdicts(first, call):
    code, out, err = call("list")
    assert (code, err) == (0, "")
    for word in (
        "tiny",
        "preset book",
        "preset smoke",
        "n=2",
        "names=['c']",
        "how many, in [1, 9]",
    ):
        assert word in out
    assert "list[str]" in out
    assert "no results yet" in out
    assert call("list", "tiny") == (code, out, err)


def committed_book(write_book, folder):
    """A checkout under git whose committed results hold one claim."""
    write_book(folder)
    sheet = claims.Sheet()
    part = {"a": claims.Interval(3, 2, 4, 9)}
    words = {"source": "paper", "statistic": "-", "null": "-"}
    sheet.judge("T1", "It is | so", part, claims.above(0), **words)
    results_of(folder, sheet.claims)
    name = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    for words in (("init",), ("add", "."), ("commit", "-m", "all")):
        subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)
    return sheet.claims


def results_of(folder, judged, preset="book"):
    path = folder / "results" / "tiny" / preset / "claims.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(claims.to_json(judged)))


def test_claims_compare_verdicts_with_the_commit(call, write_book, tmp_path, monkeypatch):
    folder = tmp_path / "book"
    [claim] = committed_book(write_book, folder)
    monkeypatch.setenv("WINNOW_ROOT", str(folder))
    code, out, err = call("claims")
    assert (code, err) == (0, "")
    assert "T1" in out

    def changed(**fields):
        values = {name: getattr(claim, name) for name in claim.__dataclass_fields__}
        results_of(folder, [claims.Claim(**{**values, **fields})])
        return call("claims")

    assert changed(estimate=3.5)[0] == 0  # numbers may move, verdicts may not
    code, out, err = changed(verdict="not reproduced")
    assert code == 1
    words = "tiny (book) T1 is now not reproduced, was reproduced"
    assert one_line(err) == f"winnow: verdicts changed: {words}"
    assert "was reproduced" in out
    code, _, err = changed(id="T2")
    assert code == 1
    assert "tiny (book) T1 is now missing, was reproduced" in one_line(err)


def test_claims_notice_a_chapter_whose_results_are_gone(call, write_book, tmp_path, monkeypatch):
    folder = tmp_path / "book"
    judged = committed_book(write_book, folder)
    monkeypatch.setenv("WINNOW_ROOT", str(folder))
    (folder / "results" / "tiny" / "book" / "claims.json").unlink()
    results_of(folder, judged, preset="paper")
    code, _, err = call("claims")
    assert code == 1
    assert "T1" in one_line(err)


def test_claims_of_another_folder_are_compared_with_the_commit(
    call, write_book, tmp_path, monkeypatch
):
    folder = tmp_path / "book"
    [claim] = committed_book(write_book, folder)
    monkeypatch.setenv("WINNOW_ROOT", str(folder))
    values = {name: getattr(claim, name) for name in claim.__dataclass_fields__}
    elsewhere = tmp_path / "elsewhere"
    results_of(elsewhere, [claims.Claim(**{**values, "verdict": "not tested"})])
    assert call("claims", "--results", elsewhere / "results")[0] == 1
    results_of(elsewhere, [claim])
    assert call("claims", "--results", elsewhere / "results")[0] == 0


def test_the_scoreboard_is_a_markdown_table(call, write_book, tmp_path, monkeypatch):
    folder = tmp_path / "book"
    judged = committed_book(write_book, folder)
    results_of(folder, judged, preset="paper")
    monkeypatch.setenv("WINNOW_ROOT", str(folder))
    code, out, err = call("claims", "--markdown")
    assert (code, err) == (0, "")
    header, rule, row = out.splitlines()
    assert header == "| chapter | claim | from | book | paper |"
    assert set(rule) == set("| -")
    assert row.count("reproduced: 3.000 [2.000, 4.000], n = 9") == 2
    cells = row.replace("\\|", "").strip("|").split("|")
    assert len(cells) == 5  # a bar inside a claim does not make a column


def test_refresh_renews_every_chapter_side_by_side(write_book, tmp_path):
    folder = write_book(tmp_path / "book")
    tiny = folder / "notebooks" / "tiny.ipynb"
    (folder / "notebooks" / "second.ipynb").write_bytes(tiny.read_bytes())
    (folder / "_toc.yml").write_text("- notebooks/tiny\n- notebooks/second\n")
    process = start(folder, "refresh", "--jobs", "2")
    out, err = process.communicate()
    assert (process.returncode, out) == (0, ""), err
    for chapter in ("tiny", "second"):
        assert f"{chapter}: " in err
        assert results.verify(folder / "results" / chapter / "book")
    assert err.count("outputs renewed") == 2


def test_an_interrupted_refresh_stops_at_once_and_renews_nothing(write_book, tmp_path):
    folder = write_book(tmp_path / "book")
    tiny, note = (folder / "notebooks" / name for name in ("tiny.ipynb", "kernel.pid"))
    tiny.write_text(
        tiny.read_text().replace('= \\"none\\"', '= \\"sleep\\"').replace("sleep(60)", "sleep(8)")
    )
    before = tiny.read_bytes()
    process = start(folder, "refresh")
    wait_for(lambda: note.is_file() and note.read_text())
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert tiny.read_bytes() == before
    assert not (folder / "results").exists()
    assert one_line(err) == "winnow: interrupted; earlier results are untouched"
    wait_for(lambda: not alive(int(note.read_text())))


def test_refresh_of_a_failing_chapter_leaves_it_alone_and_does_the_others(write_book, tmp_path):
    folder = write_book(tmp_path / "book")
    tiny = folder / "notebooks" / "tiny.ipynb"
    failing = tiny.read_text().replace('= \\"none\\"', '= \\"fail\\"')
    assert failing != tiny.read_text()
    (folder / "notebooks" / "failing.ipynb").write_text(failing)
    (folder / "_toc.yml").write_text("- notebooks/failing\n- notebooks/tiny\n")
    process = start(folder, "refresh", "--jobs", "1")
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    line = one_line("\n".join(x for x in err.splitlines() if "outputs renewed" not in x))
    assert line.startswith("winnow: failing failed in cell 2: RuntimeError: no luck at all")
    assert (folder / "notebooks" / "failing.ipynb").read_text() == failing
    assert [p.name for p in (folder / "results").iterdir()] == ["tiny"]
