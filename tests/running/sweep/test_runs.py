"""Plans of sweeps, the names of their runs, and the folder that keeps each run whole."""

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest

from shared import files
from winnow.reporting import results
from winnow.running import chapters, execute, freshness
from winnow.running.errors import RunError
from winnow.running.sweep import runs


@pytest.fixture(autouse=True)
def at_book(patient, monkeypatch):
    monkeypatch.setenv("WINNOW_ROOT", str(patient.book))


def keys(plan):
    return [run.key for run in plan.runs]


# --- plans --------------------------------------------------------------------------------------


def test_a_plan_has_a_run_for_each_point_with_all_its_parameters(patient):
    plan = runs.plan("patient", {"n": "1:3", "action": "none,fail"})
    assert [(run.parameters["n"], run.parameters["action"]) for run in plan.runs] == [
        (1, "none"), (1, "fail"), (2, "none"), (2, "fail"),
    ]  # fmt: skip
    assert plan.runs[1].parameters == {
        "n": 1, "n_networks": 4, "base_seed": 0, "action": "fail",
    }  # fmt: skip
    assert len(set(keys(plan))) == 4
    assert [run.place for run in plan.runs[:2]] == ["n=1, action=none", "n=1, action=fail"]
    assert plan.folder == patient.book.resolve() / "runs" / "patient" / "sweep"
    assert not plan.folder.exists()


def test_a_preset_lies_under_the_grid():
    plan = runs.plan("tiny", {"n": "4,5"}, preset="smoke")
    assert [run.parameters["names"] for run in plan.runs] == [["c"], ["c"]]
    assert [run.parameters["n"] for run in plan.runs] == [4, 5]
    [run] = runs.plan("tiny", {"share": "0.5"}, preset="smoke").runs
    assert run.parameters["n"] == 2


def test_replicates_cross_the_grid_and_have_the_same_seeds_at_every_point():
    plan = runs.plan("patient", {"n": "1,2"}, seeds="0:3")
    assert [(run.parameters["n"], run.seed) for run in plan.runs] == [
        (n, k) for n in (1, 2) for k in (0, 1, 2)
    ]
    assert [run.parameters["base_seed"] for run in plan.runs] == [0, 8, 16] * 2


def test_replicates_alone_are_a_grid():
    plan = runs.plan("patient", {}, seeds="5,7")
    assert [run.parameters["base_seed"] for run in plan.runs] == [40, 56]


def test_replicates_share_no_network_however_many_a_run_has():
    plan = runs.plan("patient", {"n_networks": "2,9,5"}, seeds="0:4")
    used = {}
    for run in plan.runs:
        first, many = run.parameters["base_seed"], run.parameters["n_networks"]
        used.setdefault(run.seed, set()).update(range(first, first + 2 * many))
    counted = [seed for seeds in used.values() for seed in seeds]
    assert len(counted) == len({*counted}) == 4 * 18


@pytest.mark.slow
def test_replicates_of_the_real_chapters_share_no_network(root, monkeypatch):
    """Every chapter draws from `base_seed` on, at most twice as many as a parameter says."""
    monkeypatch.setenv("WINNOW_ROOT", str(root))
    for chapter in chapters.chapters():
        known = chapters.known_parameters(chapter)
        counts = [n for n, p in known.items() if p.type == "int" and "networks" in p.help]
        assert counts
        for preset in chapters.presets(chapter):
            first, second = runs.plan(chapter, {}, preset=preset, seeds="0,1").runs
            step = second.parameters["base_seed"] - first.parameters["base_seed"]
            most = max(second.parameters[name] for name in counts)
            assert step >= 2 * most
        code = "".join(
            cell.source for cell in nbformat.read(chapters.notebook_path(chapter), 4).cells
        )
        factors = {1}
        for text in code.split("base_seed + ")[1:]:
            first = text.split(")")[0].split(" * ")
            factors.add(int(first[0]) if len(first) > 1 else 1)
            assert first[-1] in [*counts, "count"]  # of orderedness: n_sweep, then n_wide
        assert max(factors) <= 2


BAD = [
    ({"m": "1"}, {}, "unknown parameter 'm'"),
    ({}, {}, "the grid is empty: give it -p NAME=V1,V2 or --seeds 0:8"),
    ({"n": "1:9"}, {"seeds": "0:0"}, "--seeds has no value in 0:0"),
    ({"n": "1:9"}, {"seeds": "-2:2"}, "--seeds must be in [0, inf), got -2"),
    ({"n": "1:9"}, {"seeds": "few"}, "--seeds takes a whole number, got 'few'"),
    (
        {"base_seed": "1:9"},
        {"seeds": "0:2"},
        "--seeds sets base_seed: patient must have it, and -p leave it out",
    ),
    ({"n": "1"}, {"seeds": "999999"}, "base_seed must be in [0, 1000000], got 7999992"),
    ({"n": "1:99", "base_seed": "0:20000"}, {}, "the grid has 1960000 runs: at most 1000000"),
    ({"n": "1"}, {"preset": "smok"}, "unknown preset 'smok'"),
]


@pytest.mark.parametrize(("axes", "options", "words"), BAD, ids=str)
def test_a_plan_that_cannot_be_is_refused(axes, options, words):
    with pytest.raises(ValueError, match=r".+") as caught:
        runs.plan("patient", axes, **options)
    assert str(caught.value).startswith(words)


def test_a_chapter_without_seeds_takes_no_replicates():
    with pytest.raises(ValueError, match="--seeds sets base_seed: tiny must have it"):
        runs.plan("tiny", {"n": "1,2"}, seeds="0:2")


def test_lists_that_belong_together_are_checked_at_every_point(root, monkeypatch):
    monkeypatch.setenv("WINNOW_ROOT", str(root))
    lists = {"n_hidden": "[5],[8,7]", "wide_hidden": "18", "wide_epochs": "9"}
    with pytest.raises(ValueError, match="n_hidden takes as many values as tasks"):
        runs.plan("orderedness", {"tasks": "[xor],[sine]", **lists})


# --- names of runs ------------------------------------------------------------------------------


@pytest.fixture
def checkout(patient, tmp_path, monkeypatch):
    """A copy of the book, whose chapter can be edited; gives the keys of a small grid."""
    folder = tmp_path / "checkout"
    shutil.copytree(patient.book, folder)
    monkeypatch.setenv("WINNOW_ROOT", str(folder))
    path = folder / "notebooks" / "patient.ipynb"

    def grid_keys(edit=None, **axes):
        if edit:
            notebook = nbformat.read(path, 4)
            edit(notebook.cells)
            nbformat.write(notebook, path)
        return keys(runs.plan("patient", axes or {"n": "1:3"}))

    return grid_keys


def test_the_same_run_has_the_same_name_wherever_it_stands(checkout, tmp_path):
    two = checkout(n="1:3")
    assert checkout(n="2,1,5")[:2] == two[::-1]
    assert checkout(n="1:3", action="none") == checkout(action="none", n="1:3") == two
    assert checkout(n="1:3", n_networks="4") == two  # the default, said or not
    plan = runs.plan("patient", {"n": "1:3"}, output=tmp_path / "elsewhere")
    assert keys(plan) == two


def test_every_parameter_counts(checkout):
    names = checkout(n="1:3", action="none,fail", n_networks="4,5", base_seed="0,1")
    assert len({*names}) == 16


def set_source(index, old, new):
    def edit(cells):
        assert old in cells[index].source
        cells[index].source = cells[index].source.replace(old, new)

    return edit


def test_code_counts_and_words_do_not(checkout):
    before = checkout()
    assert (
        checkout(lambda cells: cells.insert(1, nbformat.v4.new_markdown_cell("Words."))) == before
    )
    assert checkout(set_source(2, "import os", "# a comment\nimport os")) == before
    assert checkout(set_source(2, "sleep(0.02)", "sleep(0.03)")) != before


def test_a_default_counts_where_nothing_else_is_said(checkout):
    before = checkout()
    assert checkout(set_source(0, "n_networks: int = 4", "n_networks: int = 5")) != before
    assert checkout(n="1:3", n_networks="4") == before


def test_imported_files_are_part_of_the_name(patient, monkeypatch):
    plan = runs.plan("patient", {"n": "1:3"})
    assert "winnow/seeds.py" in plan.identity["files"]
    other = {**plan.identity, "files": {**plan.identity["files"], "winnow/seeds.py": "other"}}
    monkeypatch.setattr(freshness, "digest", lambda notebook: other)
    assert not {*keys(plan)} & {*keys(runs.plan("patient", {"n": "1:3"}))}


# --- one run ------------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path):
    plan = runs.plan("patient", {"n": "1:4"}, output=tmp_path / "sweep")
    with results.staging(plan.folder):
        yield plan


def perform(plan, place=0, timeout=None):
    runs.perform(plan.runs[place], plan, timeout=timeout, stop=lambda: False)


@pytest.fixture(scope="module")
def made(patient, tmp_path_factory):
    """A finished run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_ROOT", str(patient.book))
        plan = runs.plan("patient", {"n": "1:4"}, output=tmp_path_factory.mktemp("made") / "s")
        with results.staging(plan.folder):
            perform(plan)
    return plan


@pytest.fixture
def with_one(plan, made):
    shutil.copytree(made.path(made.runs[0]), plan.path(plan.runs[0]))
    return plan


@pytest.mark.slow
def test_a_finished_run_is_whole_and_says_what_it_is(made):
    folder = made.path(made.runs[0])
    assert {p.name for p in folder.iterdir()} == {
        *("claims.json", "counts.csv", "patient.ipynb", "run.json"),
    }
    about = results.read_run(folder)
    assert about["parameters"] == made.runs[0].parameters
    assert about["digest"] == made.identity
    assert made.done(made.runs[0])
    assert not any(map(made.done, made.runs[1:]))
    assert made.failure(made.runs[0]) is None


def test_what_another_has_done_meanwhile_stays(with_one):
    before = files(with_one.folder)
    perform(with_one)
    assert files(with_one.folder) == before
    assert [run.parameters["n"] for run in with_one.to_do()] == [2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "missing", "no run.json", "half a run.json"])
def test_a_damaged_run_does_not_pass_for_a_result_and_is_replaced(with_one, damage):
    folder = with_one.path(with_one.runs[0])
    whole = {k: v for k, v in files(folder).items() if k in ("claims.json", "counts.csv")}
    {
        "truncated": lambda: os.truncate(folder / "claims.json", 20),
        "missing": lambda: (folder / "counts.csv").unlink(),
        "no run.json": lambda: (folder / "run.json").unlink(),
        "half a run.json": lambda: os.truncate(folder / "run.json", 100),
    }[damage]()
    assert not with_one.done(with_one.runs[0])
    assert len(with_one.to_do()) == 3
    perform(with_one)
    assert with_one.done(with_one.runs[0])
    assert whole.items() <= files(folder).items()


def test_a_failed_run_is_left_alone_until_it_is_to_be_retried(tmp_path):
    plan = runs.plan("patient", {"n": "1:3", "action": "fail"}, output=tmp_path)
    with results.staging(plan.folder):
        perform(plan)
        assert plan.to_do() == plan.runs[1:]
        assert plan.to_do(retry=True) == plan.runs
        about = plan.failure(plan.runs[0])
        assert about["error"] == "patient failed in cell 3: RuntimeError: no luck with 1"
        assert about["cell"] == 3
        assert "raise RuntimeError" in about["traceback"]
        assert "\x1b" not in about["traceback"]


@pytest.mark.slow
def test_a_failure_that_is_overcome_is_forgotten(with_one):
    runs.record_failure(with_one, with_one.runs[1], RunError("its worker died"))
    assert with_one.failure(with_one.runs[1])["error"] == "its worker died"
    perform(with_one, 1)
    assert with_one.failure(with_one.runs[1]) is None
    assert [*(with_one.folder / "failed").iterdir()] == []


def test_code_that_changed_meanwhile_stops_the_sweep(checkout, tmp_path):
    plan = runs.plan("patient", {"n": "1"}, output=tmp_path / "sweep")
    checkout(set_source(1, "sleep(0.02)", "sleep(0.03)"))
    with pytest.raises(RunError, match=r"^notebook changed, or was another one from the start"):
        perform(plan)
    assert not plan.folder.exists()


def test_errors_that_are_not_the_chapters_are_recorded_with_their_traceback(plan, monkeypatch):
    monkeypatch.setattr(execute, "execute", lambda *words, **options: 1 / 0)
    perform(plan)
    about = plan.failure(plan.runs[0])
    assert about["error"] == "patient: ZeroDivisionError: division by zero"
    assert "1 / 0" in about["traceback"]


@pytest.mark.parametrize("where", [(runs.tempfile, "mkdtemp"), (Path, "rename")])
def test_a_full_disk_says_nothing_of_the_run(plan, monkeypatch, where):
    def full(*words, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chapters, "execute", lambda *words, **options: {"run.json": b"{}"})
    monkeypatch.setattr(*where, full)
    words = f"cannot write to {plan.folder}: No space left on device"
    with pytest.raises(RunError, match=re.escape(words)):
        perform(plan)
    assert [*plan.folder.glob("*/*")] == []


def test_a_run_that_nobody_waits_for_is_no_failure(plan):
    with pytest.raises(RunError):
        runs.perform(plan.runs[0], plan, timeout=None, stop=lambda: True)
    assert [*plan.folder.glob("*/*")] == []


@pytest.mark.slow
def test_a_time_limit_is_part_of_the_error(tmp_path):
    plan = runs.plan("patient", {"n": "1", "action": "endless"}, output=tmp_path)
    with results.staging(plan.folder):
        perform(plan, timeout=0.5)
    about = plan.failure(plan.runs[0])
    assert (about["status"], about["error"]) == ("timed out", "patient was not done after 0.5 s")


# --- the folder ---------------------------------------------------------------------------------


def test_a_folder_is_free_again_after_a_sweep(tmp_path):
    plan = runs.plan("patient", {"n": "1"}, output=tmp_path / "a" / "b")
    for _ in range(2):
        with results.staging(plan.folder):
            assert plan.folder.is_dir()
        assert not (tmp_path / "a").exists()  # nothing came of it


# --- how long it takes --------------------------------------------------------------------------


def test_time_is_that_of_finished_runs_else_of_the_committed_preset(with_one, patient, tmp_path):
    path = with_one.path(with_one.runs[0]) / "run.json"
    path.write_text(re.sub(r'"seconds": [\d.]+', '"seconds": 90.0', path.read_text()))
    about = "patient, preset book: 3 runs, 2 to do, about 1.5 min for each"
    assert runs.preview(with_one, None, retry=False) == about
    assert runs.preview(with_one, 1, retry=False) == f"{about}, 3.0 min in all"
    other = runs.plan("patient", {"n": "9"}, output=tmp_path / "other")
    words = "patient, preset book: 1 runs, 1 to do"
    assert runs.preview(other, 2, retry=False) == f"{words}; none has been timed yet"
    committed = patient.book / "results" / "patient" / "book"
    committed.mkdir(parents=True)
    (committed / "run.json").write_text('{"seconds": 123.5}')
    try:
        said = runs.preview(other, 2, retry=False)
        assert said == f"{words}, about 2.1 min for each, 2.1 min in all"
    finally:
        shutil.rmtree(patient.book / "results")
