"""Results depend on the code that they reach, definition by definition, and on nothing else."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from winnow.running import freshness

CODE = 'def f(x):\n    """Old."""\n    return x + 1\n'


def digest(tmp_path, *sources, library=None, parameters=None):
    """Of a chapter with these cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    if parameters is not None:
        tags = {"tags": ["parameters"]}
        cells.insert(0, nbformat.v4.new_code_cell(parameters, metadata=tags))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "chapter.ipynb")
    return freshness.digest(tmp_path / "chapter.ipynb", library=library)


# --- the chapter --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        CODE.replace("return", "# why\n    return"),
        CODE.replace("Old.", "New, and longer."),
        CODE.replace('    """Old."""\n', ""),
        CODE.replace("x + 1", "(x   + 1)"),
        "\n\n" + CODE,
    ],
    ids=["comment", "docstring", "no docstring", "format", "blank lines"],
)
def test_words_do_not_count(tmp_path, same):
    assert digest(tmp_path, CODE) == digest(tmp_path, same)


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("x + 1", "x + 2"),
        CODE.replace("def f", "def g"),
        CODE + "f(1)\n",
        CODE + "2\n",
        "import numpy\n" + CODE + "f(numpy.pi)",
        "from winnow import plots\n" + CODE + "plots.forest",
    ],
    ids=["number", "name", "call", "value", "import", "plots"],
)
def test_code_counts(tmp_path, other):
    before, after = digest(tmp_path, CODE), digest(tmp_path, other)
    assert before["chapter"] != after["chapter"]
    assert before["library"] == after["library"]


def test_every_python_finds_the_same_digest(tmp_path):
    """Later ones have more fields in a syntax tree."""
    assert digest(tmp_path, CODE + "class A:\n    x = f(1)\n") == {
        "chapter": "83faeb059707806da84cc9b5d01238e18275f5a0162ec169997ab72c83be8aeb",
        "library": "5719842f316c2e2aabe1c5c754b7c7eed56c2485a6af1cdc08e974e4fc69518d",
    }


def test_cells_and_prose_do_not_count(tmp_path):
    whole = digest(tmp_path, "a = 1\nb = 2")
    cells = [nbformat.v4.new_code_cell("a = 1"), nbformat.v4.new_markdown_cell("Words.")]
    cells.append(nbformat.v4.new_code_cell("b = 2"))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "other.ipynb")
    assert freshness.digest(tmp_path / "other.ipynb") == whole


def test_parameters_are_left_to_the_run(tmp_path):
    before = digest(tmp_path, CODE)
    assert digest(tmp_path, CODE, parameters="n: int = 3") == before
    assert digest(tmp_path, "n: int = 3", CODE) != before


def test_notebook_commands_are_taken(tmp_path):
    command = "if False:\n    %pip install winnow-book\n!ls\nx = 1"
    first, second = digest(tmp_path, command), digest(tmp_path, command.replace("x = 1", "x = 2"))
    assert first["chapter"] != second["chapter"]


# --- the library --------------------------------------------------------------------------------

FILES = {
    "__init__": """
        '''A small library.'''
        from winnow.stats import mean as average
        from winnow import lazy
        """,
    "stats": """
        '''Means.'''
        import numpy as np
        from winnow import arrays
        from winnow.arrays import like as _like
        LEVEL: float = 0.95
        LOW, HIGH = 0, 1
        Pair = tuple[int, int]
        class Interval:
            def width(self): return self.high - self.low
        def mean(x):
            '''The mean.'''
            return _total(x) * LEVEL
        def _total(x): return arrays.flat(_like(x)).sum()
        def spread(x: Pair): return np.ptp(x) * HIGH
        @np.vectorize
        def unused(x): return x
        async def later(x): return -x
        """,
    "arrays": """
        SHAPE = (-1,)
        def like(x): return x
        def flat(x): return x.reshape(SHAPE)
        def other(x): return x.T
        """,
    "lazy": """
        def late():
            from winnow.arrays import flat
            import math
            return flat
        def early(): return 1
        """,
    "order/__init__": "from .exact import value as best",
    "order/exact": """
        import winnow.arrays
        def value(x): return winnow.arrays.other(x)
        def draw():
            from winnow.reporting import figures
            return figures.draw
        """,
    "order/bare": "def alone(): return 1",
    "plots": """
        from winnow.stats import unused
        def draw(): return unused
        """,
    "passing": """
        from winnow import arrays
        def named(name): return getattr(arrays, name)
        def blind(name): return globals()[name]
        """,
    "bounds": """
        import os.path
        from winnow.stats import LOW as bound
        def limit(): return os.path.join(bound)
        """,
    "starred": """
        from winnow.arrays import *
        def turn(x): return other(x)
        """,
    "data": """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from winnow import stats
        TASKS = {}
        def register(f):
            TASKS[f.__name__] = f
            return f
        @register
        def xor(): return 1
        def sine(): return 2
        def _moons(): return 3
        def _hidden(): return 4
        class Base:
            def __init_subclass__(cls): TASKS[cls.__name__] = cls
        class Kind(type): pass
        class Parity(Base): size = 6
        class Circles(metaclass=Kind): size = 7
        TASKS["sine"] = sine
        moons = register(_moons)
        if len(TASKS) > 2:
            EXTRA = 3
        def task(name): return TASKS[name]
        """,
    "ties": """
        from winnow.one import rule as first
        from winnow.two import rule as second
        def both(): return first(), second()
        """,
    "one": "def rule(): return 1",
    "two": "def rule(): return 2",
}


def dedent(text):
    return "\n".join(line.removeprefix(" " * 8) for line in text.splitlines())


@pytest.fixture
def library(tmp_path):
    """A small package in place of ours."""
    for name, text in FILES.items():
        path = tmp_path / "winnow" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return tmp_path / "winnow"


def edit(library, name, old, new):
    """Change a file, in one place."""
    path = library / f"{name}.py"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))


MEAN = "from winnow.stats import mean\nmean(x)"
SPREAD = "from winnow import stats\nstats.spread(x)"
TASK = "from winnow import data\ndata.task('xor')"
BOTH = "from winnow.ties import both\nboth()"


@pytest.mark.parametrize(
    ("code", "file", "old", "new"),
    [
        (MEAN, "stats", "_total(x) *", "_total(x) +"),
        (MEAN, "stats", "_like(x)).sum", "_like(x)).max"),
        (MEAN, "arrays", "x.reshape", "x[0].reshape"),
        (MEAN, "arrays", "(-1,)", "(1, -1)"),
        (MEAN, "arrays", "like(x): return x", "like(x): return 2 * x"),
        (MEAN, "stats", "0.95", "0.99"),
        (MEAN, "stats", "import like as", "import other as"),
        (SPREAD, "stats", "LOW, HIGH = 0, 1", "LOW, HIGH = 0, 2"),
        (SPREAD, "stats", "import numpy as np", "import torch as np"),
        ("from winnow.bounds import limit\nlimit()", "bounds", "import LOW", "import HIGH"),
        ("import winnow.stats\nwinnow.lazy.early()", "lazy", "return 1", "return 2"),
        (SPREAD, "stats", "[int, int]", "[int, str]"),
        ("import winnow\nwinnow.stats.mean(x)", "arrays", "(-1,)", "(1, -1)"),
        ("import winnow.stats\nwinnow.stats.mean(x)", "arrays", "(-1,)", "(1, -1)"),
        ("import winnow.stats as s\ns.mean(x)", "arrays", "(-1,)", "(1, -1)"),
        ("def g():\n    from winnow import stats\n    stats.mean", "arrays", "(-1,)", "(1, -1)"),
        ("from winnow import stats\nstats.Interval.make()", "stats", "self.high -", "self.high +"),
        ("from winnow import average\naverage(x)", "arrays", "(-1,)", "(1, -1)"),
        ("from winnow import lazy\nlazy.late()", "arrays", "(-1,)", "(1, -1)"),
        ("import winnow\nwinnow.lazy.late()", "arrays", "(-1,)", "(1, -1)"),
        ("from winnow.lazy import late\nlate()", "lazy", "import math", "import cmath"),
        ("from winnow import order\norder.best(x)", "arrays", "x.T", "x"),
        ("from winnow.order import exact\nexact.value(x)", "arrays", "x.T", "x"),
        ("from winnow.stats import arrays\narrays.other(x)", "arrays", "x.T", "x"),
    ],
)
def test_what_is_reached_counts(tmp_path, library, code, file, old, new):
    before = digest(tmp_path, code, library=library)
    edit(library, file, old, new)
    after = digest(tmp_path, code, library=library)
    assert before["library"] != after["library"]
    assert before["chapter"] == after["chapter"]


@pytest.mark.parametrize(
    ("code", "file", "old", "new"),
    [
        (MEAN, "stats", "return x\n", "return -x\n"),
        (MEAN, "stats", "def unused", "def unusual"),
        (MEAN, "stats", "LOW, HIGH = 0, 1", "LOW, HIGH = 0, 2"),
        (MEAN, "stats", "self.high -", "self.high +"),
        (MEAN, "stats", "import numpy as np", "import torch as np"),
        (MEAN, "stats", "def unused", "def added(x): return np.sum(x)\ndef unused"),
        (
            SPREAD,
            "stats",
            "unused(x): return x",
            "unused(x):\n    import numpy as np\n    return np",
        ),
        (MEAN, "stats", "import arrays\n", "import arrays, lazy\n"),
        (MEAN, "arrays", "x.T", "x"),
        (MEAN, "stats", "The mean.", "Their mean."),
        (MEAN, "stats", "Means.", "Means and more."),
        (MEAN, "stats", "= 0.95", "=   0.95  # why"),
        (SPREAD, "stats", "0.95", "0.99"),
        ("from winnow.stats import mean", "stats", "0.95", "0.99"),
        ("import winnow\nwinnow.lazy.early()", "lazy", "import flat", "import other"),
        ("from winnow import order\norder.best(x)", "order/bare", "1", "2"),
        ("from winnow import plots\nplots.draw()", "plots", "return unused", "return 1"),
        ("from winnow import plots\nplots.draw()", "stats", "return x\n", "return -x\n"),
        ("from winnow import plots\nshow(plots)", "plots", "return unused", "return 1"),
        ("from winnow.order import exact\nexact.draw()", "plots", "return unused", "return 1"),
        ("from winnow.order import exact\nexact.draw()", "arrays", "x.T", "x"),
        (MEAN, "stats", "return -x", "return x"),
        ("import math\nmath.pi", "arrays", "(-1,)", "(1, -1)"),
        (TASK, "data", "import stats", "import arrays"),
    ],
)
def test_nothing_else_counts(tmp_path, library, code, file, old, new):
    before = digest(tmp_path, code, library=library)
    edit(library, file, old, new)
    assert digest(tmp_path, code, library=library) == before


@pytest.mark.parametrize(
    ("code", "file", "old", "new"),
    [
        ("from winnow import arrays\nuse(arrays)", "arrays", "x.T", "x"),
        ("from winnow import arrays\ngetattr(arrays, name)(x)", "arrays", "x.T", "x"),
        ("from winnow.arrays import *", "arrays", "x.T", "x"),
        ("from winnow import arrays\narrays.nothing", "arrays", "x.T", "x"),
        ("from winnow.arrays import nothing\nnothing", "arrays", "x.T", "x"),
        ("from winnow import order\nuse(order)", "order/bare", "1", "2"),
        ("import winnow\nuse(winnow)", "order/bare", "1", "2"),
        ("from winnow import passing\npassing.named('other')", "arrays", "x.T", "x"),
        ("from winnow import passing\npassing.blind('named')", "passing", "getattr", "hasattr"),
        ("from winnow import starred\nstarred.turn(x)", "arrays", "x.T", "x"),
        ("import winnow.stats\nwinnow.stats.mean(x)", "stats", "return x\n", "return -x\n"),
        ("eval('winnow.arrays.other(x)')", "arrays", "x.T", "x"),
    ],
)
def test_a_module_put_to_other_use_counts_whole(tmp_path, library, code, file, old, new):
    test_what_is_reached_counts(tmp_path, library, code, file, old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("xor(): return 1", "xor(): return 5"),
        ("sine(): return 2", "sine(): return 5"),
        ("_moons(): return 3", "_moons(): return 5"),
        ("> 2", "> 3"),
        ("EXTRA = 3", "EXTRA = 5"),
        ("size = 6", "size = 5"),
        ("size = 7", "size = 5"),
    ],
)
@pytest.mark.parametrize("code", [TASK, "import winnow.data", "import winnow\nwinnow.data.task"])
def test_what_modules_do_on_import_counts(tmp_path, library, code, old, new):
    test_what_is_reached_counts(tmp_path, library, code, "data", old, new)


def test_effects_of_modules_imported_by_others_count(tmp_path, library):
    before = digest(tmp_path, MEAN, library=library)
    edit(library, "__init__", "import lazy", "import lazy, passing")
    assert digest(tmp_path, MEAN, library=library) == before
    edit(library, "passing", "import arrays\n", "import arrays, data\n")
    assert digest(tmp_path, MEAN, library=library) != before


def test_definitions_beside_effects_do_not_count(tmp_path, library):
    before = digest(tmp_path, TASK, library=library)
    edit(library, "data", "_hidden(): return 4", "_hidden(): return 5")
    assert digest(tmp_path, TASK, library=library) == before


def test_a_definition_may_move(tmp_path, library):
    before = digest(tmp_path, MEAN, library=library)
    edit(library, "arrays", "SHAPE = (-1,)\n", "")
    edit(
        library,
        "arrays",
        "def flat(x): return x.reshape(SHAPE)\n",
        "from winnow.flat import flat\n",
    )
    (library / "flat.py").write_text("def flat(x): return x.reshape(SHAPE)\n\n\nSHAPE = (-1,)\n")
    assert digest(tmp_path, MEAN, library=library) == before
    edit(library, "flat", "(-1,)", "(1, -1)")
    assert digest(tmp_path, MEAN, library=library) != before


@pytest.mark.parametrize("code", [BOTH, "from winnow.ties import first, second\nfirst(), second()"])
def test_names_that_change_places_count(tmp_path, library, code):
    """The same definitions are reached, by each other's names."""
    before = digest(tmp_path, code, library=library)
    edit(library, "ties", "winnow.one", "winnow.three")
    edit(library, "ties", "winnow.two", "winnow.one")
    edit(library, "ties", "winnow.three", "winnow.two")
    assert digest(tmp_path, code, library=library)["library"] != before["library"]


def test_a_folder_without_init_counts(tmp_path, library):
    (library / "order" / "__init__.py").unlink()
    code = "from winnow.order import bare\nbare.alone()"
    test_what_is_reached_counts(tmp_path, library, code, "order/bare", "1", "2")


def test_the_order_of_sets_does_not_count(tmp_path, library):
    code = "import winnow\nuse(winnow)"
    script = "import pathlib, sys; from winnow import fingerprint; notebook, library = "
    script += "map(pathlib.Path, sys.argv[1:]); print(freshness.digest(notebook, library=library))"
    command = [sys.executable, "-c", script, str(tmp_path / "chapter.ipynb"), str(library)]
    expected = digest(tmp_path, code, library=library)
    for seed in "123":
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(expected)


# --- the real library ---------------------------------------------------------------------------


def test_every_real_chapter_has_a_digest(root):
    chapters = sorted((root / "notebooks").glob("*.ipynb"))
    assert chapters
    for path in chapters:
        assert {len(value) for value in freshness.digest(path).values()} == {64}


@pytest.mark.parametrize(
    ("file", "name", "seen"),
    [
        ("metrics/order", "orderedness", True),
        ("metrics/ordering", "_layers", True),
        ("train", "fit", True),
        ("data/tasks", "parity", True),
        ("arrays", "as_numpy", True),
        ("claims", "from_json", False),
        ("claims", "tally", False),
        ("parameters", "_real", False),
        ("plots", "forest", False),
        ("results", "hardware", False),
    ],
)
def test_orderedness_reaches_what_it_uses(tmp_path, root, file, name, seen):
    library = tmp_path / "winnow"
    package = Path(freshness.__file__).parent
    shutil.copytree(package, library, ignore=shutil.ignore_patterns("__pycache__"))
    path = root / "notebooks" / "orderedness.ipynb"
    before = freshness.digest(path, library=library)
    tree = ast.parse((library / f"{file}.py").read_text())
    [found] = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    found.body.append(ast.Pass())
    (library / f"{file}.py").write_text(ast.unparse(tree))
    assert (freshness.digest(path, library=library) != before) is seen
