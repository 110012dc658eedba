"""Parameters are checked before anything runs, and papermill runs what was asked for."""

import os
import re
import subprocess
import sys

import nbformat
import pytest

from shared import PATIENCE
from winnow.reporting import claims, results
from winnow.running import chapters, freshness
from winnow.running.errors import RunError


@pytest.fixture(scope="module")
def book(write_book, tmp_path_factory):
    return write_book(tmp_path_factory.mktemp("book"))


@pytest.fixture(autouse=True)
def at_book(book, monkeypatch):
    monkeypatch.setenv("WINNOW_ROOT", str(book))


def test_the_checkout_is_found_or_named(book, tmp_path, monkeypatch):
    assert chapters.root() == book.resolve()
    monkeypatch.setenv("WINNOW_ROOT", str(tmp_path))
    with pytest.raises(ValueError, match=r"no notebooks in .*: set WINNOW_ROOT to a checkout"):
        chapters.root()


def test_chapters_stand_in_the_order_of_the_contents(book, tmp_path, write_book, monkeypatch):
    assert chapters.chapters() == ["tiny"]
    folder = write_book(tmp_path / "other")
    tiny = (folder / "notebooks" / "tiny.ipynb").read_text()
    (folder / "notebooks" / "zebra.ipynb").write_text(tiny)
    contents = "root: index\nchapters:\n" + "".join(
        f"  - file: {name}\n" for name in ("notebooks/zebra", "book/tiny", "notebooks/planned")
    )
    (folder / "_toc.yml").write_text(contents + "  - file: notebooks/tiny\n")
    monkeypatch.setenv("WINNOW_ROOT", str(folder))
    assert chapters.chapters() == ["zebra", "tiny"]


def test_parameters_are_those_of_the_notebook():
    found = chapters.known_parameters("tiny")
    assert {k: (p.type, p.default) for k, p in found.items()} == {
        "n": ("int", 3),
        "share": ("float", 0.5),
        "names": ("list[str]", ["a", "b"]),
        "loud": ("bool", False),
        "action": ("str", "none"),
    }
    assert found["n"].help == "how many, in [1, 9]"


def test_presets_are_read_and_the_default_sets_nothing():
    assert chapters.presets("tiny") == {"book": {}, "smoke": {"n": 2, "names": ["c"]}}


DEFAULTS = {"n": 3, "share": 0.5, "names": ["a", "b"], "loud": False, "action": "none"}


@pytest.mark.parametrize(
    ("preset", "values", "expected"),
    [
        ("book", {}, {}),
        ("smoke", {}, {"n": 2, "names": ["c"]}),
        ("smoke", {"n": "5"}, {"n": 5, "names": ["c"]}),
        ("book", {"share": "1e-3"}, {"share": 0.001}),
        ("book", {"share": "1"}, {"share": 1.0}),
        ("book", {"loud": "yes"}, {"loud": True}),
        ("book", {"loud": "False"}, {"loud": False}),
        ("book", {"names": "a, c"}, {"names": ["a", "c"]}),
        ("book", {"names": "[b]"}, {"names": ["b"]}),
        ("book", {"n": "1"}, {"n": 1}),
        ("book", {"n": "9"}, {"n": 9}),
    ],
)
def test_values_become_the_type_of_their_parameter(preset, values, expected):
    found = chapters.resolve("tiny", preset, values)
    assert found == DEFAULTS | expected
    assert [type(found[name]) for name in expected] == [type(v) for v in expected.values()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tinny",), "unknown chapter 'tinny': did you mean 'tiny'? choose from tiny"),
        (
            ("tiny", "smoky"),
            "unknown preset 'smoky': did you mean 'smoke'? choose from book, smoke",
        ),
        (("tiny", "book", {"shore": 1}), "unknown parameter 'shore': did you mean 'share'? choose"),
        (("tiny", "book", {"zzz": 1}), "unknown parameter 'zzz': choose from n, share, names"),
        (("tiny", "book", {"n": "many"}), "n takes a whole number, got 'many'"),
        (("tiny", "book", {"n": "2.5"}), "n takes a whole number, got '2.5'"),
        (("tiny", "book", {"n": 2.5}), "n takes a whole number, got 2.5"),
        (("tiny", "book", {"n": True}), "n takes a whole number, got True"),
        (("tiny", "book", {"n": ""}), "n takes a whole number, got ''"),
        (("tiny", "book", {"n": "10"}), "n must be in [1, 9], got 10"),
        (("tiny", "book", {"n": "0"}), "n must be in [1, 9], got 0"),
        (("tiny", "book", {"share": "0"}), "share must be in (0, 1], got 0"),
        (("tiny", "book", {"share": "nan"}), "share takes a number, got 'nan'"),
        (("tiny", "book", {"share": "half"}), "share takes a number, got 'half'"),
        (("tiny", "book", {"loud": "maybe"}), "loud takes true or false, got 'maybe'"),
        (("tiny", "book", {"names": "a,d"}), "names must be one of a, b or c, got d"),
        (("tiny", "book", {"names": ""}), "names takes a list such as ['a', 'b'], got []"),
        (("tiny", "book", {"names": 3}), "names takes a list such as ['a', 'b'], got 3"),
        (("tiny", "book", {"action": "dance"}), "action must be one of none, fail, sleep, die or"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_with_what_is_allowed(words, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        chapters.resolve(*words)


def test_a_bad_preset_file_is_named_as_bad_input(tmp_path, write_book, monkeypatch):
    folder = write_book(tmp_path / "other")
    (folder / "notebooks" / "params" / "tiny.smoke.yaml").write_text("n: [1\n")
    monkeypatch.setenv("WINNOW_ROOT", str(folder))
    with pytest.raises(ValueError, match=r"tiny\.smoke\.yaml"):
        chapters.resolve("tiny", "smoke")


def test_presets_go_to_results_and_anything_else_to_runs(book):
    assert (
        chapters.output_folder("tiny", "smoke", {}) == book.resolve() / "results" / "tiny" / "smoke"
    )
    folders = [chapters.output_folder("tiny", "book", {"n": n}) for n in (4, 5, 4)]
    assert folders[0] == folders[2] != folders[1]
    assert folders[0].parent == book.resolve() / "runs" / "tiny"
    two, turned = ({"n": 4, "share": 1}, {"share": 1, "n": 4})
    assert chapters.output_folder("tiny", "book", two) == chapters.output_folder(
        "tiny", "book", turned
    )


def test_the_real_presets_fit_their_chapters(root, monkeypatch):
    monkeypatch.setenv("WINNOW_ROOT", str(root))
    for chapter in chapters.chapters():
        defaults = {name: p.default for name, p in chapters.known_parameters(chapter).items()}
        assert chapters.resolve(chapter) == defaults
        assert chapters.resolve(chapter, values=defaults) == defaults
        for preset in chapters.presets(chapter):
            chapters.resolve(chapter, preset)


# --- running ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(book):
    """The preset run once: its folder and the progress that was told."""
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_ROOT", str(book))
        folder = chapters.run("tiny", preset="smoke", on_cell=lambda *step: told.append(step))
    return folder, told


def test_a_chapter_runs_in_its_folder_and_this_process_stays_where_it_is(
    book, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (book / "notebooks" / "kernel.pid").unlink(missing_ok=True)
    seen = set()
    chapters.run("tiny", values={"n": 4}, on_cell=lambda *step: seen.add(os.getcwd()))
    assert seen == {str(tmp_path)}
    assert (book / "notebooks" / "kernel.pid").exists()


def test_a_run_injects_the_preset(smoke, book):
    folder, _ = smoke
    assert folder == book.resolve() / "results" / "tiny" / "smoke"
    assert {p.name for p in folder.iterdir()} == {
        *("claims.json", "counts.csv", "run.json", "tiny.ipynb"),
    }
    [claim] = claims.read(folder / "claims.json")
    assert (claim.part.n, claim.verdict) == (2, "not reproduced")
    assert (folder / "counts.csv").read_text() == "n,share\n2,0.5\n"


def test_a_run_says_all_its_parameters_and_what_it_took(smoke, book):
    run = results.read_run(smoke[0])
    assert run["parameters"] == {
        "n": 2, "share": 0.5, "names": ["c"], "loud": False, "action": "none",
    }  # fmt: skip
    assert (run["chapter"], run["preset"]) == ("tiny", "smoke")
    assert run["digest"] == freshness.digest(book / "notebooks" / "tiny.ipynb")
    assert 0 < run["seconds"] < PATIENCE
    assert run["memory_mb"] > 10


def test_a_run_tells_its_progress_to_the_last_cell(smoke):
    names, done, total = zip(*smoke[1], strict=True)
    assert set(names) == {"tiny"}
    assert set(total) == {5}  # four, and the injected parameters
    assert list(done) == sorted(done)
    assert (done[0], done[-1]) == (0, 5)


@pytest.mark.slow
def test_refreshing_changes_the_notebook_once(write_book, tmp_path, monkeypatch):
    folder = write_book(tmp_path / "book")
    monkeypatch.setenv("WINNOW_ROOT", str(folder))
    path = folder / "notebooks" / "tiny.ipynb"
    cells = [cell.source for cell in nbformat.read(path, 4).cells]
    assert chapters.refresh("tiny")
    notebook, first = nbformat.read(path, 4), path.read_bytes()
    assert [cell.source for cell in notebook.cells] == cells
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3, 4]
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert set(results.find_record(notebook)) == {"claims"}  # the tables are in results
    assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells)
    committed = folder / "results" / "tiny" / "book"
    assert {p.name for p in committed.iterdir()} == {"claims.json", "counts.csv", "run.json"}
    assert not chapters.refresh("tiny")
    assert path.read_bytes() == first
    assert {p.name for p in (folder / "notebooks").iterdir()} == {
        *("params", "tiny.ipynb", "kernel.pid"),
    }


@pytest.mark.slow
def test_plain_papermill_runs_a_chapter_from_anywhere(book, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    source = book / "notebooks" / "tiny.ipynb"
    words = [sys.executable, "-m", "papermill", str(source), "out.ipynb"]
    words += ["-p", "n", "7", "--no-progress-bar"]
    done = subprocess.run(words, cwd=tmp_path / "elsewhere", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = results.find_record(nbformat.read(tmp_path / "elsewhere" / "out.ipynb", 4))
    assert (record["claims"][0]["verdict"], record["claims"][0]["parts"][0]["n"]) == (
        "reproduced",
        7,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("fail", "tiny failed in cell 3: RuntimeError: no luck"),
        ("silent", "tiny: the chapter recorded no claims"),
        ("die", "tiny: "),
    ],
)
def test_a_failure_leaves_earlier_results_as_they_were(smoke, action, words):
    folder, _ = smoke
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(RunError, match=words) as caught:
        chapters.run("tiny", preset="smoke", values={"action": action}, output=folder)
    assert "\n" not in str(caught.value).strip() or action == "fail"
    assert ("RuntimeError" in caught.value.details) == (action == "fail")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_nothing_is_started_for_a_folder_that_cannot_be_written(book, tmp_path):
    (tmp_path / "file").write_text("")
    (book / "notebooks" / "kernel.pid").unlink(missing_ok=True)
    with pytest.raises(ValueError, match="cannot write to"):
        chapters.run("tiny", output=tmp_path / "file" / "x")
    assert not os.path.exists(book / "notebooks" / "kernel.pid")


@pytest.mark.parametrize("values", [{"tasks": "xor"}, {"n_hidden": "5,8,7"}])
def test_lists_that_belong_together_have_one_length(values, root, monkeypatch):
    monkeypatch.setenv("WINNOW_ROOT", str(root))
    with pytest.raises(ValueError, match="n_hidden takes as many values as tasks"):
        chapters.resolve("orderedness", values=values)
    lists = ("n_hidden", "wide_hidden", "wide_epochs")
    settled = chapters.resolve(
        "orderedness", values={"tasks": "xor", **dict(zip(lists, "357", strict=True))}
    )
    assert [settled[name] for name in lists] == [[3], [5], [7]]
