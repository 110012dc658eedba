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

from winnow.reporting import claims

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


def test_pictures_of_values_keep_their_colours_in_the_dark(code):
    """Curves are inverted; a map would then mean the opposite, and a photograph be negative."""
    for cell in code:
        if re.search(r"\b(imshow|matshow|heatmap|pcolormesh|contourf)\(", cell.source):
            image = cell.metadata.get("mystnb", {}).get("image", {})
            assert image.get("classes") == "own-colours", cell.source


@pytest.mark.parametrize("story", ["orderedness", "noise_pruning"])  # of the second edition
def test_a_story_is_short(story):
    assert len(nbformat.read(FOLDER / f"{story}.ipynb", as_version=4).cells) <= 30
    assert 0 < len(claims.stated(story)) <= 12


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


def bound(tree):
    """Names that the cell of a syntax tree keeps, and names that it gives to a loop or a figure."""
    kept, passing = set(), {"_"}
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef):
            kept.add(node.name)
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.comprehension):
            continue  # what these bind is their own
        if isinstance(node, ast.alias):
            kept.add((node.asname or node.name).partition(".")[0])
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            kept.add(node.id)
        if isinstance(node, ast.For):
            passing |= stored(node.target)
            nodes += [*node.body, *node.orelse]
        elif isinstance(node, ast.Assign) and "fig" in stored(*node.targets):
            passing |= stored(*node.targets)
        else:
            nodes += ast.iter_child_nodes(node)
    return kept - {"_"}, passing


def stored(*targets):
    nodes = [node for target in targets for node in ast.walk(target)]
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def rebound(trees):
    """Names that one cell keeps and another binds too, in whatever way."""
    cells = [bound(tree) for tree in trees]
    return {
        name
        for i, (kept, _) in enumerate(cells)
        for name in kept
        for j, (others, passing) in enumerate(cells)
        if i != j and name in others | passing
    }


def test_no_cell_binds_a_name_that_another_keeps(trees):
    assert rebound(trees) == set()


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("a = 1", "a = 2", {"a"}),
        ("import a.b", "for a in x:\n    pass", {"a"}),
        ("if x:\n    a, b = c", "def a(b):\n    c = b", {"a"}),
        ("for a in x:\n    b = a", "b += 1", {"b"}),
        ("for a in x:\n    pass", "for a, _ in y:\n    pass", set()),
        ("fig, (left, right) = x", "fig, (left, right) = y", set()),
        ("left = 1", "fig, left = y", {"left"}),
        ("a, _ = x", "_, b = [a for a in x]", set()),
    ],
)
def test_names_bound_again_are_found(first, second, names):
    assert rebound([ast.parse(first), ast.parse(second)]) == names
