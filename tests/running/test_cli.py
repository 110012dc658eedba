"""The command line: results or one line on standard error, and an exit code that tells which."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import winnow
from conftest import TINY
from shared import PATIENCE, alive, files, one_line, start, wait_for, write_chapter
from winnow import stats
from winnow.reporting import claims, results
from winnow.reporting.sheet import Sheet
from winnow.running import cli, execute


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


@pytest.mark.slow
def test_a_run_writes_results_and_shows_verdicts(first):
    folder, out, err = first
    assert set(files(folder)) == {"claims.json", "counts.csv", "run.json", "tiny.ipynb"}
    assert results.verify(folder)
    assert claims.read(folder / "claims.json")[0].verdict == "reproduced"
    for word in ("T1", "reproduced", "It is more than two"):
        assert word in out
    assert f"written to {folder.resolve()}" in err.replace("\n", "")
    assert "Traceback" not in err


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("debug", [False, True])
def test_a_failing_chapter_is_one_line_and_leaves_results_alone(first, call, debug):
    folder, *_ = first
    before = files(folder)
    words = ["--debug"] if debug else []
    code, out, err = call(*words, "run", "tiny", "-p", "action=fail", "--output", folder)
    assert code == 1
    assert out == ""
    assert files(folder) == before
    assert [*folder.parent.glob(results.STAGE_PREFIX + "*")] == []
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
    (("run", "tiny", "-p", "n=3", "-p", "n=4"), "-p n is given twice: 3 and 4"),
    (("run",), "Missing argument 'CHAPTER'"),
    (("run", "tiny", "--speed"), "No such option"),
    (("list", "tinny"), "did you mean 'tiny'?"),
    (("refresh", "tinny"), "did you mean 'tiny'?"),
    (("refresh", "--jobs", "0"), "Invalid value for '--jobs'"),
    (("claims", "--results", "nowhere"), "run a chapter first"),
    (("claims", "tinny"), "did you mean 'tiny'?"),
    (("claims", "tiny", "--preset", "none"), "run a chapter first"),
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
    assert call() == (0, out, "")


HEAVY = "torch pandas scipy numpy papermill nbformat nbclient IPython rich distributed matplotlib"

LIGHT = [
    ("--help",),
    ("--version",),
    ("run", "--help"),
    ("run", "tinny"),
    ("run", "tiny", "--preset", "smok"),
    ("run", "tiny", "-p", "m=3"),
    ("run", "tiny", "-p", "n=lots"),
    ("run", "tiny", "-p", "names=d"),
    ("run", "tiny", "--output", "/proc/winnow/x"),
    ("sweep", "tinny", "-p", "n=1"),
    ("sweep", "tiny", "-p", "n=1,99"),
    ("sweep", "tiny", "-p", "m=1"),
    ("sweep", "tiny"),
    ("sweep", "tiny", "-p", "n=1,2", "--dry-run"),
    ("list", "tinny"),
    ("refresh", "tinny"),
    ("claims", "tinny"),
]


@pytest.mark.slow
@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_refusals_and_help_load_no_heavy_library(book, words):
    """By what is loaded, since times depend on the machine."""
    code = "import sys, atexit; from winnow.running import cli\n"
    code += "atexit.register(lambda: print('LOADED', *sys.modules))\ncli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "WINNOW_ROOT": str(book)},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    loaded = done.stdout.split("LOADED ")[1].split()
    assert {*HEAVY.split()} & {*loaded} == set()


# --- whatever stands around a command -----------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1"])
def test_a_run_works_in_every_locale(write_book, tmp_path, locale):
    """Without UTF-8 mode, which some of them would turn on by themselves."""
    folder = write_book(tmp_path / "größe")
    first = "n: int = 3  # ∑, in [1, 9]\nshare: str = '日本'  # größe"
    second = "action = '∑'\nprint('∑ 日本 –')\nopen('ü', 'w').write('∑')"
    write_chapter(folder, "words", first, second, *TINY[2:])
    place = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words in (("run", "words"), ("sweep", "words", "-p", "n=3,4")):
        process = start(folder, *words, **place)
        _, err = process.communicate()
        assert process.returncode == 0, err
    made = folder / "results" / "words" / "book"
    assert results.verify(made)
    assert "∑" in (made / "words.ipynb").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x{k}y", "{", "a b", "[red]b[/red]", "100%", "größe"])
def test_paths_are_taken_as_they_are(write_book, tmp_path, name):
    """Those of the results and that of the checkout."""
    folder = write_book(tmp_path / name)
    process = start(folder, "run", "tiny", "--output", str(tmp_path / name / name))
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert results.verify(folder / name)
    assert str(folder / name) in err
    assert "T1" in out


SPEC = {"argv": ["/bin/false"], "display_name": "Other", "language": "python"}


@pytest.mark.slow
def test_a_chapter_runs_in_this_interpreter_whatever_kernels_are_installed(
    write_book, tmp_path, monkeypatch
):
    path = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(SPEC))
    folder = write_book(tmp_path / "book")
    write_chapter(folder, "who", "n: int = 3  # how many", WHO, *(TINY[2], "share = 0", TINY[3]))
    process = start(folder, "run", "who", JUPYTER_PATH=str(tmp_path / "jupyter"))
    _, err = process.communicate()
    assert process.returncode == 0, err
    executable, library = (folder / "notebooks" / "who").read_text().split("\n")
    assert executable == sys.executable
    assert library == winnow.__file__


WHO = """
import sys, winnow
from pathlib import Path
Path("who").write_text(f"{sys.executable}\\n{winnow.__file__}")
action = ""
"""


def test_two_runs_into_one_folder_do_not_both_succeed(first, book, call):
    folder, *_ = first
    with results.staging(folder):
        code, out, err = call("run", "tiny", "-p", "n=4", "--output", folder)
        assert (code, out) == (2, "")
        assert "another run is at work in" in one_line(err)
    assert call("run", "tiny", "--output", folder)[0] == 0


def test_a_full_disk_does_not_cost_a_finished_run(first, call, monkeypatch, tmp_path):
    folder, *_ = first
    before = files(folder)

    def full(stage, files):
        if stage.parent == folder.parent:
            raise OSError(28, "No space left on device")
        write(stage, files)

    write = results.write
    monkeypatch.setattr(results, "write", full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, _, err = call("run", "tiny", "-p", "n=5", "--output", folder)
    assert code == 1
    line = one_line(err)
    assert f"cannot write to {folder}: No space left on device; the run's results are in" in line
    [kept] = tmp_path.glob("winnow-*")
    assert str(kept) in line
    assert results.verify(kept)
    assert {path.name for path in kept.iterdir()} == {*before}
    assert files(folder) == before


@pytest.mark.parametrize(
    "error", [OSError(13, "Permission denied"), ValueError("odd"), KeyError(1)]
)
def test_an_error_that_nobody_expected_is_not_taken_for_another(call, monkeypatch, error):
    """What happens once a chapter is started is no bad input, nor a full disk."""

    def fail(*words, **options):
        raise error

    monkeypatch.setattr(execute, "execute", fail)
    code, _, err = call("run", "tiny", "-p", "n=6")
    assert code == 1
    assert "cannot write" not in err
    assert str(error) in one_line(err)


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


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_leaves_nothing_behind(sleeping, signum):
    process, kernel, before, folder = sleeping
    process.send_signal(signum)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert out == ""
    wait_for(lambda: not alive(kernel))
    assert files(folder) == before
    assert [*folder.parent.glob(results.STAGE_PREFIX + "*")] == []
    assert one_line(err) == "winnow: interrupted; earlier results are untouched"


@pytest.mark.slow
def test_a_killed_run_leaves_results_whole_and_the_next_run_works(sleeping, call):
    process, kernel, before, folder = sleeping
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(kernel))
    assert files(folder) == before
    assert results.verify(folder)
    code, _, err = call("run", "tiny", "-p", "n=4", "--output", folder)
    assert code == 0, err
    assert results.read_run(folder)["parameters"]["n"] == 4
    assert results.verify(folder)


# --- list, claims, refresh ----------------------------------------------------------------------


def test_list_shows_presets_and_parameters(call):
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
    assert call("list", "tiny") == (code, out, err)


STATED = """
prefix: tiny
paper: song2025
claims:
  t1: {says: It is | so, kind: paper, statistic: mean, null: none, bar: above 0}
  t2: {says: And this, kind: paper, statistic: mean, null: none, bar: above 1}
"""


def keep(folder, preset="book", mean=3.0):
    """Results as a chapter leaves them: one claim that holds, and one that was not tested."""
    here = folder / "results" / "tiny" / preset
    here.mkdir(parents=True, exist_ok=True)
    sheet = Sheet("tiny")
    sheet.judge("tiny/t1", {"a": stats.t_interval(mean + np.linspace(-1, 1, 10))})
    sheet.judge("tiny/t2", {}, why="no images at hand")
    results.write(
        here, results.as_files(sheet.record().data, {"chapter": "tiny", "preset": preset})
    )
    return here


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def kept(call, write_book, tmp_path, monkeypatch):
    """A checkout with results of one chapter; no git."""
    folder = write_book(tmp_path / "checkout")
    monkeypatch.setenv("WINNOW_ROOT", str(folder))
    notebooks = folder / "notebooks"
    (notebooks / "claims").mkdir()
    (notebooks / "claims" / "tiny.yaml").write_text(STATED)
    (notebooks / "written_for.yaml").write_text("tiny/t1: reproduced\ntiny/t2: not tested\n")
    keep(folder)
    return folder


@pytest.mark.parametrize("words", [(), ("--recompute",)])
def test_claims_that_follow_from_their_samples_are_shown(call, kept, words):
    code, out, err = call("claims", *words)
    assert (code, err) == (0, "")
    for word in ("tiny, preset book: 1 reproduced, 1 not tested", "tiny/t1", "It is | so", "3.00"):
        assert word in out
    assert "no images at hand" in out


def test_a_verdict_that_does_not_follow_from_its_samples_is_named(call, kept):
    path = kept / "results" / "tiny" / "book" / "claims.json"
    edit(path, '"reproduced"', '"not reproduced"')
    code, out, err = call("claims")
    assert code == 1
    words = "tiny (book) tiny/t1 is reproduced by its samples, not reproduced in claims.json"
    assert one_line(err) == f"winnow: {words}"
    assert "1 reproduced, 1 not tested" in out


@pytest.mark.parametrize(
    ("old", "new"), [('"a"', '"b"'), ('"estimate": 3.0', '"estimate": 3.1'), ('"n": 10', '"n": 9')]
)
def test_numbers_that_do_not_follow_are_named(call, kept, old, new):
    edit(kept / "results" / "tiny" / "book" / "claims.json", old, new)
    code, _, err = call("claims")
    assert code == 1
    words = "tiny (book) tiny/t1 is reproduced by its samples and in claims.json"
    assert one_line(err) == f"winnow: {words}, but its parts differ"


def test_last_digits_may_depend_on_the_machine(call, kept):
    edit(
        kept / "results" / "tiny" / "book" / "claims.json", '"estimate": 3.0', '"estimate": 3.00001'
    )
    assert call("claims")[0] == 0


def test_verdicts_that_the_words_were_not_written_for_are_named_at_the_book_preset(call, kept):
    keep(kept, "paper", -3.0)
    assert call("claims")[0] == 0
    keep(kept, "book", -3.0)
    code, _, err = call("claims", "tiny", "--preset", "book")
    assert code == 1
    words = "tiny (book) tiny/t1 is not reproduced by its samples, reproduced in written_for.yaml"
    assert one_line(err) == f"winnow: {words}"


@pytest.mark.parametrize("own", [False, True])
def test_claims_of_another_folder_are_judged(call, kept, tmp_path, own):
    """Of one laid out as ``results/`` is, and of a single run's."""
    elsewhere = tmp_path / "elsewhere {k}"
    folder = elsewhere / "results" / ("tiny/book" if own else "")
    keep(elsewhere, mean=-3.0)
    code, _, err = call("claims", "--results", folder)
    assert code == 1
    assert "tiny/t1 is not reproduced by its samples, reproduced in written_for" in one_line(err)
    keep(elsewhere)
    assert call("claims", "--results", folder)[0] == 0


def test_claims_can_be_chosen(call, kept):
    keep(kept, "paper")
    shutil.copytree(kept / "results" / "tiny", kept / "results" / "else")
    code, out, _ = call("claims", "tiny")
    assert code == 0
    assert "else" not in out
    assert out.count("tiny/t1") == 2
    code, out, _ = call("claims", "tiny", "--preset", "book")
    assert code == 0
    assert out.count("tiny/t1") == 1


@pytest.mark.parametrize(
    "name", ["results/tiny/book/samples.parquet", "notebooks/claims/tiny.yaml"]
)
def test_where_nothing_can_be_compared_it_is_said(call, kept, name):
    (kept / name).unlink()
    code, out, err = call("claims")
    assert code == 1
    assert "tiny/t1" in out  # shown all the same
    assert one_line(err).startswith("winnow: nothing was compared: ")
    assert Path(name).name in err


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
