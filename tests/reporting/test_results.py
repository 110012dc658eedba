"""What a run leaves is whole or not there."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from winnow.reporting import results

RECORD = "application/vnd.winnow.record+json"


def record_of(n=3, tables=None, **more):
    """What a chapter with one claim records."""
    return {"claims": [{"id": "T1", "estimate": n}], "tables": tables or {}, **more}


def write(folder, n=3, tables=None, record=None, **about):
    """A finished run, published."""
    with results.staging(folder) as stage:
        about = {"chapter": "tiny", "parameters": {"n": n}, **about}
        results.write(stage, results.as_files(record or record_of(n, tables), about))
        return results.publish(stage, folder)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    """A folder for results, not there yet."""
    return tmp_path / "results"


# --- staging ------------------------------------------------------------------------------------


def test_a_stage_is_gone_afterwards(tmp_path):
    with results.staging(tmp_path / "a" / "b") as stage:
        assert stage.parent == tmp_path / "a"
        (stage / "half").write_text("written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_stage_is_gone_after_a_failure_and_nothing_else_is(tmp_path, error):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kept").write_text("before")

    def work():
        with results.staging(tmp_path / "a") as stage:
            (stage / "half").write_text("written")
            raise error

    with pytest.raises(error):
        work()
    assert contents(tmp_path / "a") == {"kept": b"before"}


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ValueError, match=r"cannot write to .*file/x: .*choose another --output"),
        results.staging(tmp_path / "file" / "x"),
    ):
        pytest.fail("the work was started")


# --- publishing ---------------------------------------------------------------------------------


def test_a_run_leaves_claims_tables_and_what_they_depend_on(tmp_path):
    assert write(tmp_path, tables={"means": "x\n1\n"})
    assert set(contents(tmp_path)) == {"claims.json", "means.csv", "run.json"}
    assert (tmp_path / "means.csv").read_text() == "x\n1\n"
    run = results.read_run(tmp_path)
    assert run["parameters"] == {"n": 3}
    assert set(run["files"]) == {"claims.json", "means.csv"}
    assert results.verify(tmp_path)
    assert json.loads((tmp_path / "claims.json").read_text()) == record_of()["claims"]


def test_samples_are_the_bytes_that_were_recorded(tmp_path):
    data = bytes(range(256)) * 9
    write(tmp_path, record=record_of(samples=base64.b64encode(data).decode()))
    assert (tmp_path / "samples.parquet").read_bytes() == data
    assert set(results.read_run(tmp_path)["files"]) == {"claims.json", "samples.parquet"}
    write(tmp_path)
    assert set(contents(tmp_path)) == {"claims.json", "run.json"}


@pytest.mark.parametrize("words", ["größer – ∑", "a\nb\r\nc", "日本語"])
def test_files_are_utf_8_with_the_ends_of_lines_that_were_recorded(tmp_path, words):
    write(tmp_path, tables={"means": words})
    assert (tmp_path / "means.csv").read_bytes() == words.encode()
    assert results.verify(tmp_path)


def test_an_identical_run_touches_nothing(tmp_path):
    write(tmp_path, seconds=1, finished="then", commit="a", hardware={"cores": 1}, memory_mb=1)
    before = contents(tmp_path), {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    volatile = {"seconds": 2, "finished": "now", "commit": "b", "hardware": {}, "memory_mb": 2}
    assert not write(tmp_path, **volatile)
    assert (contents(tmp_path), {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}) == before


@pytest.mark.parametrize("change", [{"n": 4}, {"versions": {"torch": "3"}}, {"digest": {"a": "b"}}])
def test_another_outcome_or_cause_is_written(tmp_path, change):
    write(tmp_path)
    assert write(tmp_path, **change)
    assert results.verify(tmp_path)


@pytest.mark.parametrize("damage", ["edit", "delete", "unreadable"])
def test_damaged_results_are_mended(tmp_path, damage):
    write(tmp_path, tables={"means": "x\n1\n"})
    whole = contents(tmp_path)
    if damage == "edit":
        (tmp_path / "means.csv").write_text("x\n2\n")
    elif damage == "delete":
        (tmp_path / "claims.json").unlink()
    else:
        (tmp_path / "run.json").write_text("{")
    assert not results.verify(tmp_path)
    assert write(tmp_path, tables={"means": "x\n1\n"})
    assert contents(tmp_path) == whole


def test_tables_no_longer_made_are_removed_and_strangers_stay(tmp_path):
    write(tmp_path, tables={"means": "x\n", "old": "y\n"})
    (tmp_path / "notes.txt").write_text("mine")
    write(tmp_path, tables={"means": "x\n"})
    assert set(contents(tmp_path)) == {"claims.json", "means.csv", "run.json", "notes.txt"}


def test_an_identical_run_puts_back_a_notebook_that_is_gone(tmp_path):
    """A fresh clone holds results without their executed notebooks, which git ignores."""

    def run():
        with results.staging(tmp_path) as stage:
            (stage / "tiny.ipynb").write_text("{}")
            results.write(stage, results.as_files(record_of(), {"chapter": "tiny"}))
            results.publish(stage, tmp_path)

    run()
    (tmp_path / "tiny.ipynb").unlink()
    run()
    assert (tmp_path / "tiny.ipynb").is_file()


@pytest.mark.parametrize("cells", [[], [{"cell_type": "markdown"}], [{"outputs": [{"data": {}}]}]])
def test_a_notebook_without_a_record_is_refused(cells):
    with pytest.raises(LookupError, match="the chapter recorded no claims"):
        results.find_record({"cells": cells})


def test_a_record_is_found_wherever_it_stands():
    output = {"data": {RECORD: record_of(), "text/plain": "-"}}
    cells = [{"outputs": [{"name": "stdout"}]}, {"outputs": [{"data": {}}, output]}, {}]
    assert results.find_record({"cells": cells}) == record_of()


# --- what goes wrong while results are put in place ---------------------------------------------


@pytest.mark.parametrize("nth", range(3))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_results_are_replaced_all_or_none(folder, monkeypatch, nth, error):
    write(folder, tables={"means": "x\n1\n", "old": "y\n"})
    (folder / "notes.txt").write_text("mine")
    before, calls, rename = contents(folder), [], Path.rename

    def fail_once(*paths):
        calls.append(paths)
        if len(calls) == nth + 1:
            raise error
        return rename(*paths)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(type(error)):
        write(folder, n=4, tables={"means": "x\n2\n", "new": "z\n"})
    assert len(calls) > nth
    if nth < 2:
        assert contents(folder) == before
    write(folder, n=4, tables={"means": "x\n2\n", "new": "z\n"})
    names = {"claims.json", "means.csv", "new.csv", "run.json", "notes.txt"}
    assert set(contents(folder)) == names


KILLED = """
import os, sys
from pathlib import Path
from winnow.reporting import results

folder, nth, calls, rename = Path(sys.argv[1]), int(sys.argv[2]), [], Path.rename

def die(*paths):
    calls.append(paths)
    if len(calls) > nth:
        os._exit(9)
    return rename(*paths)

Path.rename = die
with results.staging(folder) as stage:
    files = results.as_files({"claims": [], "tables": {"new": ""}}, {"chapter": "tiny"})
    results.write(stage, files)
    results.publish(stage, folder)
"""


@pytest.mark.slow
@pytest.mark.parametrize("nth", range(3))
def test_a_kill_while_results_are_replaced_is_mended_by_the_next_run(folder, nth):
    write(folder, tables={"means": "x\n1\n"})
    (folder / "notes.txt").write_text("mine")
    before = contents(folder)
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(nth)])
    assert done.returncode == 9
    with results.staging(folder):
        mended = contents(folder)
    if nth < 2:
        assert mended == before
    assert {*mended} >= {"claims.json", "run.json", "notes.txt"}
    assert results.verify(folder)
    assert [*folder.parent.iterdir()] == [folder]


@pytest.mark.parametrize("place", [".", ".."])
def test_a_folder_that_one_stands_in_is_refused(folder, monkeypatch, place):
    (folder / "inside").mkdir(parents=True)
    monkeypatch.chdir(folder / "inside")
    with (
        pytest.raises(ValueError, match="cannot be replaced as a whole: name a folder inside it"),
        results.staging((folder / "inside" / place).resolve()),
    ):
        pytest.fail("the work was started")


def test_two_runs_do_not_share_a_folder(tmp_path):
    with (
        results.staging(tmp_path),
        pytest.raises(ValueError, match=r"another run is at work in .*: wait, or choose"),
        results.staging(tmp_path),
    ):
        pytest.fail("both are in")
    with results.staging(tmp_path):
        pass


def test_a_folder_is_free_again_when_its_run_was_killed(folder):
    code = "import sys, os; from pathlib import Path; from winnow.reporting import results\n"
    code += "s = results.staging(Path(sys.argv[1])); s.__enter__(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(folder)])
    assert len([*folder.parent.iterdir()]) == 2
    with results.staging(folder) as stage:
        assert {*folder.parent.iterdir()} == {folder, stage}


@pytest.mark.parametrize("name", ["{k}", "a b", "[0-9]", "größe", "%s", "x{", "*"])
def test_names_of_folders_are_taken_as_they_are(tmp_path, name):
    write(tmp_path / name)
    write(tmp_path / name, n=4)
    assert results.verify(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]


# --- the last commit ----------------------------------------------------------------------------


def git(folder, *words):
    name = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a commit."""
    folder = tmp_path / "check out {b}"
    write(folder / "results" / "tiny" / "book")
    (folder / "_toc.yml").write_text("root: index\n")
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "results")
    return folder


def test_a_run_names_the_commit_of_its_checkout(checkout, tmp_path):
    commit = results.about_run(checkout)["commit"]
    assert len(commit) == 40
    git(checkout, "worktree", "add", str(tmp_path / "tree"))
    assert results.about_run(tmp_path / "tree")["commit"] == commit


NOBODY = 12345


def foreign_owner(checkout, monkeypatch):
    if os.geteuid():
        pytest.skip("giving a folder away takes more rights than these")
    for path in [checkout, *checkout.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)


def called_by_a_hook(checkout, monkeypatch):
    other = checkout.with_name("other")
    other.mkdir()
    git(other, "init")
    for name, value in {"DIR": other / ".git", "WORK_TREE": other, "INDEX_FILE": "x"}.items():
        monkeypatch.setenv(f"GIT_{name}", str(value))


@pytest.mark.parametrize("state", [foreign_owner, called_by_a_hook])
def test_git_is_asked_of_this_checkout_whatever_stands_around_it(checkout, monkeypatch, state):
    before = results.about_run(checkout)["commit"]
    state(checkout, monkeypatch)
    assert results.about_run(checkout)["commit"] == before


def without_git(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))


def without_repository(checkout, monkeypatch):
    shutil.rmtree(checkout / ".git")


def inside_another(checkout, monkeypatch):
    shutil.rmtree(checkout / ".git")
    git(checkout.parent, "init")
    git(checkout.parent, "add", ".")
    git(checkout.parent, "commit", "-m", "all")


def without_commit(checkout, monkeypatch):
    shutil.rmtree(checkout / ".git")
    git(checkout, "init")


def with_the_repository_of_something_else(checkout, monkeypatch):
    shutil.rmtree(checkout / ".git")
    git(checkout, "init")
    (checkout / "other").write_text("-")
    git(checkout, "add", "other")
    git(checkout, "commit", "-m", "other")


WITHOUT = [without_git, without_repository, inside_another, without_commit]


@pytest.mark.parametrize("state", [*WITHOUT, with_the_repository_of_something_else])
def test_where_no_book_is_committed_no_commit_is_named(checkout, monkeypatch, state):
    state(checkout, monkeypatch)
    assert results.about_run(checkout)["commit"] is None


def test_a_run_says_with_what_it_was_made(tmp_path):
    about = results.about_run(tmp_path)
    assert about["commit"] is None
    assert about["versions"]["torch"].startswith("2.13")
    assert about["hardware"]["cores"] >= 1
    card = results.run_card(seeds=128).splitlines()
    assert card[:3] == ["| run card | |", "| --- | --- |", "| seeds | 128 |"]
    assert json.loads(json.dumps(about)) == about
