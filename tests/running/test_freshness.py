"""What makes results stale: code that a chapter runs or imports, and nothing else."""

import json
import subprocess
import sys

import nbformat
import pytest

from winnow.running import chapters, freshness

FILES = {
    "__init__.py": "def __getattr__(name):\n    raise AttributeError(name)\n",
    "stats.py": '"""Words."""\nLEVEL = 0.95\ndef mean(x):\n    """Words."""\n    return sum(x)\n',
    "seeds.py": "def draw():\n    from winnow import stats\n    return stats\n",
    "alone.py": "ALONE = 1\n",
    "data/__init__.py": "from winnow.data.tasks import xor\n",
    "data/tasks.py": "from .. import seeds\nxor = seeds\n",
    "data/fields.py": "from winnow.data import images\n",
    "data/images.py": "IMAGES = 1\n",
    "reporting/__init__.py": "",
    "reporting/figures.py": "from winnow import alone\n",
    "reporting/claims.py": "BAR = 0\n",
}


@pytest.fixture
def library(tmp_path):
    """A small library whose files import each other."""
    for name, text in FILES.items():
        path = tmp_path / "lib" / "winnow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "lib" / "winnow"


@pytest.fixture
def digest(tmp_path, library):
    """The digest of a chapter with these code cells."""

    def made(*sources, parameters="n: int = 1  # how many", prose="# Title", name="chapter"):
        cells = [nbformat.v4.new_markdown_cell(prose), nbformat.v4.new_code_cell(parameters)]
        cells[1].metadata["tags"] = ["parameters"]
        cells += [nbformat.v4.new_code_cell(source) for source in sources]
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return freshness.digest(path, library=library)

    return made


# --- the notebook -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        "x = 1  # why",
        "x = (1)",
        '"""Words."""\nx = 1',
        "x  =  1\n",
    ],
)
def test_words_and_layout_of_cells_do_not_count(digest, same):
    assert digest(same) == digest("x = 1")


@pytest.mark.parametrize("other", ["x = 2", "y = 1", "x = 1.0", "x = 1; x"])
def test_code_of_cells_counts(digest, other):
    assert digest(other)["notebook"] != digest("x = 1")["notebook"]


def test_prose_parameters_and_borders_of_cells_do_not_count(digest):
    first = digest("x = 1", "y = 2")
    assert digest("x = 1\ny = 2", prose="# Other", parameters="n: int = 9  # few") == first


def test_stated_claims_count(digest, tmp_path):
    first = digest("x = 1")
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "other.yaml").write_text("bar: above 0\n")
    assert digest("x = 1") == first
    (tmp_path / "claims" / "chapter.yaml").write_text("bar: above 0\n")
    second = digest("x = 1")
    assert second["notebook"] != first["notebook"]
    (tmp_path / "claims" / "chapter.yaml").write_bytes(b"bar: above 0\r\n")
    assert digest("x = 1") == second  # whatever ends its lines


# --- the library --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("from winnow import stats", ["stats.py"]),
        ("import winnow.stats", ["stats.py"]),
        ("import winnow.stats as s, json", ["stats.py"]),
        ("from winnow.stats import mean", ["stats.py"]),
        ("def f():\n    from winnow import stats", ["stats.py"]),
        ("if n:\n    import winnow.alone", ["alone.py"]),
        ("from winnow import seeds", ["seeds.py", "stats.py"]),
        (
            "from winnow.data import xor",
            ["data/__init__.py", "data/tasks.py", "seeds.py", "stats.py"],
        ),
        ("from winnow.data import fields", ["data/fields.py", "data/images.py"]),
        ("from winnow.data.fields import images", ["data/fields.py", "data/images.py"]),
        (
            "from winnow.data import *",
            ["data/__init__.py", "data/tasks.py", "seeds.py", "stats.py"],
        ),
        ("from winnow.reporting import claims", ["reporting/claims.py"]),
        ("from winnow.reporting.figures import save", ["alone.py"]),
        ("import numpy, winnowing", []),
        ("from winnow import nothing", ["__init__.py"]),
    ],
)
def test_files_are_those_reached_by_imports(digest, code, files):
    assert [*digest(code)["files"]] == [f"winnow/{name}" for name in files]


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("0.95", "0.9", True),
        ("sum(x)", "max(x)", True),
        ("def mean", "def means", True),
        ('"""Words."""', '"""Other words."""', False),
        ("LEVEL = 0.95", "LEVEL = 0.95  # why", False),
        ("LEVEL = 0.95", "LEVEL   =   0.95", False),
    ],
)
@pytest.mark.parametrize("code", ["from winnow import stats", "from winnow.data import xor"])
def test_code_of_files_counts_and_words_do_not(digest, library, tmp_path, code, old, new, counts):
    before = digest(code)
    path = library / "stats.py"
    assert old in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    now = freshness.digest(tmp_path / "chapter.ipynb", library=library)
    assert freshness.differences(before, now) == (["winnow/stats.py"] if counts else [])


def test_text_files_beside_a_module_count(digest, library, tmp_path):
    (library / "data" / "ids.txt").write_text("1 2\n")
    before, notebook = digest("from winnow.data import images"), tmp_path / "chapter.ipynb"
    assert [*before["files"]] == ["winnow/data/ids.txt", "winnow/data/images.py"]
    (library / "data" / "ids.txt").write_bytes(b"1 2\r\n")  # whatever ends its lines
    assert freshness.digest(notebook, library=library) == before
    (library / "data" / "ids.txt").write_text("1 3\n")
    now = freshness.digest(notebook, library=library)
    assert freshness.differences(before, now) == ["winnow/data/ids.txt"]


def test_everything_that_differs_is_named(digest, library, tmp_path):
    before = digest("from winnow import seeds")
    digest("from winnow import seeds, alone\nx = 1")
    (library / "seeds.py").write_text("SEED = 1\n")
    now = freshness.digest(tmp_path / "chapter.ipynb", library=library)
    assert freshness.differences(before, now) == [
        "notebook",
        "winnow/alone.py",
        "winnow/seeds.py",
        "winnow/stats.py",
    ]
    assert freshness.differences({}, now)[0] == "notebook"


LOCALE = """
import json, sys
from pathlib import Path
from winnow.running import freshness
print(json.dumps(freshness.digest(Path(sys.argv[1]), library=Path(sys.argv[2]))))
"""


@pytest.mark.parametrize("locale", ["C.UTF-8", "C", "POSIX"])
def test_every_locale_finds_the_same_digest(digest, library, tmp_path, locale):
    (library / "stats.py").write_text("LEVEL = 'größer – ∑'\n", encoding="utf-8")
    here = digest("from winnow import stats\nx = 'ä∑'")
    words = [sys.executable, "-X", "utf8=0", "-c", LOCALE, tmp_path / "chapter.ipynb", library]
    environment = {"LC_ALL": locale, "PYTHONPATH": str(chapters.__file__).split("/winnow/")[0]}
    environment |= {"PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == here


@pytest.mark.slow
def test_every_real_chapter_has_a_digest(root, monkeypatch):
    monkeypatch.setenv("WINNOW_ROOT", str(root))
    for chapter in chapters.chapters():
        found = freshness.digest(chapters.notebook_path(chapter))
        assert "winnow/reporting/claims.py" in found["files"]
        assert not any("running" in name or "figures" in name for name in found["files"])
        for name in found["files"]:
            assert (root / "lib" / name).is_file()
