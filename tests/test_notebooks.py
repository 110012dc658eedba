"""Every committed chapter is whole, executed, described, small and free of traces of a machine."""

import ast
import io
import json
import re
import tokenize
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

MOST_BYTES = 1_000_000
MACHINE = re.compile(r"(?<![\w.~-])/(?:root|home|work|tmp|Users|mnt|opt|usr)/\w|[A-Z]:\\\\?Users")
TRACES = {"papermill", "execution", "ExecuteTime", "collapsed", "scrolled"}


@pytest.fixture(params=NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture
def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture
def trees(code):
    """Syntax tree of each code cell; a line with % or ! is turned into Python first."""
    return [ast.parse(TransformerManager().transform_cell(cell.source)) for cell in code]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_the_contents_list_every_chapter_and_no_other(toc):
    listed = [page for page in toc if page.startswith("notebooks/")]
    assert listed
    assert sorted(listed) == [f"notebooks/{path.stem}" for path in NOTEBOOKS]


def test_valid_and_meant_for_any_python_3(notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


def test_executed_from_first_to_last_without_error(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output for output in outputs if output.get("name") == "stderr"] == []


def test_no_traces_of_a_run(notebook):
    assert TRACES.isdisjoint(notebook.metadata)
    for cell in notebook.cells:
        assert "injected-parameters" not in tags(cell)
        assert TRACES.isdisjoint(cell.metadata)


def test_parameters_are_annotated_literals_with_a_line_of_help(code):
    [cell] = [cell for cell in code if "parameters" in tags(cell)]
    statements = ast.parse(cell.source).body
    assert statements
    lines = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(cell.source).readline)
        if token.type == tokenize.COMMENT
    }
    for statement in statements:
        text = ast.unparse(statement)
        assert isinstance(statement, ast.AnnAssign), f"{text}: give it a type"
        ast.literal_eval(statement.value)  # papermill would not compute it anew
        assert statement.lineno == statement.end_lineno, f"{text}: papermill reads one line"
        assert statement.lineno in lines, f"{text}: say what it is, behind a #"


def test_the_verdict_is_compared(code):
    assert any("nbval-check-output" in tags(cell) for cell in code)


def test_figures_have_alt_text_a_caption_and_a_name(code):
    names = []
    for cell in code:
        if any(
            key.startswith("image/") for output in cell.outputs for key in output.get("data", {})
        ):
            about = cell.metadata.get("mystnb", {})
            assert about.get("image", {}).get("alt", "").strip(), cell.source
            assert about.get("figure", {}).get("caption", "").strip(), cell.source
            names.append(about["figure"].get("name", ""))
    assert all(names)
    assert len(set(names)) == len(names)


def test_small(path):
    assert path.stat().st_size <= MOST_BYTES


def test_no_path_of_a_machine(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):  # the letters of a picture can spell anything
            for key in [key for key in output.get("data", {}) if key.startswith("image/")]:
                del output["data"][key]
        text = json.dumps(cell)
        assert not MACHINE.search(text), text
        assert str(Path.home()) + "/" not in text


def test_the_library_holds_the_functions(trees):
    nodes = [node for tree in trees for node in ast.walk(tree)]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert len(functions) <= 1
    assert not any(isinstance(node, ast.ClassDef) for node in nodes)
