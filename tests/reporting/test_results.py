"""What a run leaves is whole or not there."""

import json
import subprocess

import nbformat
import pytest

from winnow.reporting import claims, results
from winnow.stats import Interval


def notebook_of(*sources, outputs=()):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[-1].outputs = list(outputs)
    return nbformat.v4.new_notebook(cells=cells)


def recorded(n=3, tables=None):
    """A notebook that recorded one claim."""
    sheet = claims.Sheet()
    part = {"a": Interval(n, n - 1, n + 1, n)}
    sheet.judge("T1", "-", part, claims.above(0), source="paper", statistic="-", null="-")
    bundle = sheet.record()._repr_mimebundle_()
    bundle[claims.RECORD_TYPE]["tables"] = tables or {}
    return notebook_of("1", outputs=[nbformat.v4.new_output("display_data", bundle)])


def write(folder, n=3, tables=None, **about):
    """A finished run, published."""
    with results.staging(folder) as stage:
        results.write(stage, recorded(n, tables), {"parameters": {"n": n}, **about})
        return results.publish(stage, folder)


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


# --- staging ------------------------------------------------------------------------------------


def test_a_stage_is_gone_afterwards(tmp_path):
    with results.staging(tmp_path / "a" / "b") as stage:
        assert stage.parent == tmp_path / "a" / "b"
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
    assert contents(tmp_path / "a") == {"kept": "before"}


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
    [claim] = claims.from_json((tmp_path / "claims.json").read_text())
    assert (claim.id, claim.estimate) == ("T1", 3)


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
            results.write(stage, recorded(), {})
            results.publish(stage, tmp_path)

    run()
    (tmp_path / "tiny.ipynb").unlink()
    run()
    assert (tmp_path / "tiny.ipynb").is_file()


def test_a_notebook_without_a_record_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="the chapter recorded no claims"):
        results.write(tmp_path, notebook_of("1"), {})
    assert list(tmp_path.iterdir()) == []


# --- reading ------------------------------------------------------------------------------------


def test_claims_are_read_by_chapter_and_preset(tmp_path):
    write(tmp_path / "one" / "book")
    write(tmp_path / "two" / "paper", n=5)
    found = results.read_claims(tmp_path)
    assert list(found) == [("one", "book"), ("two", "paper")]
    assert found["two", "paper"][0].estimate == 5
    assert results.read_claims(tmp_path / "none") == {}


def test_a_bad_file_of_claims_is_named(tmp_path):
    write(tmp_path / "one" / "book")
    (tmp_path / "one" / "book" / "claims.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"book/claims\.json: not a list of claims"):
        results.read_claims(tmp_path)


def git(folder, *words):
    name = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


def test_committed_claims_are_those_of_the_last_commit(tmp_path):
    assert results.committed_claims(tmp_path, tmp_path / "results") == {}
    git(tmp_path, "init")
    assert results.committed_claims(tmp_path, tmp_path / "results") == {}
    write(tmp_path / "results" / "tiny" / "book")
    assert results.committed_claims(tmp_path, tmp_path / "results") == {}
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "results")
    write(tmp_path / "results" / "tiny" / "book", n=7)
    committed = results.committed_claims(tmp_path, tmp_path / "results")
    assert committed["tiny", "book"][0].estimate == 3
    assert results.about_run(tmp_path)["commit"]


def test_a_run_says_with_what_it_was_made(tmp_path):
    about = results.about_run(tmp_path)
    assert about["commit"] is None
    assert about["versions"]["torch"].startswith("2.13")
    assert about["hardware"]["cores"] >= 1
    card = results.run_card(seeds=128).splitlines()
    assert card[:3] == ["| run card | |", "| --- | --- |", "| seeds | 128 |"]
    assert json.loads(json.dumps(about)) == about
