"""Whether results are older than what made them: a chapter's code, and the files it imports."""

import ast
import functools
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from importlib.util import resolve_name
from pathlib import Path

#: Files that draw, show or write cannot change a verdict, so results outlive their edits. What they
#: import counts all the same.
NOT_NUMBERS = ("cards", "explorable", "figures", "results", "sheet")

_parsing = threading.Lock()  # Python 3.11 cannot build syntax trees in two threads at once


def digest(notebook: Path, *, library: Path | None = None) -> dict[str, object]:
    """What a chapter's results depend on: its code, its claims, and the library's files it imports.

    Imports are followed from file to file, also those inside functions. ``from package import
    name`` leads to the module of that name if there is one, else to the package's own file. Text
    files beside a module count as well. Comments, docstrings and formatting do not count, nor the
    parameters cell: the values that a run used stand in its ``run.json``.

    Parameters
    ----------
    notebook
        The chapter; its claims are in ``claims/CHAPTER.yaml`` beside it, if anywhere.
    library
        Folder of the package ``winnow``, by default the one that runs.

    Returns
    -------
    dict
        ``{"notebook": …, "files": {"winnow/stats.py": …}}``, hexadecimal.
    """
    library = library or Path(__file__).parents[1]
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    claims = notebook.parent / "claims" / f"{notebook.stem}.yaml"
    words = claims.read_text(encoding="utf-8") if claims.is_file() else ""
    files: dict[str, str] = {}
    with _parsing:
        code = [
            ast.parse("".join(cell["source"]))
            for cell in cells
            if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", [])
        ]
        waiting = [path for tree in code for path in _imports(tree, "", library)]
        while waiting:
            path = waiting.pop()
            name = path.relative_to(library.parent).as_posix()
            if name not in files:
                files[name], imports = _read(path, library, path.stat().st_mtime_ns)
                waiting += imports
                for data in path.parent.glob("*.txt"):
                    text = data.read_text(encoding="utf-8")
                    files[data.relative_to(library.parent).as_posix()] = _hash(text)
    for name in NOT_NUMBERS:
        files.pop(f"winnow/reporting/{name}.py", None)
    statements = [statement for tree in code for statement in _plain(tree.body)]
    return {"notebook": _hash((statements, words)), "files": dict(sorted(files.items()))}


@functools.cache
def _read(path: Path, library: Path, changed: int) -> tuple[str, list[Path]]:
    """A file's digest, and what it imports; a sweep asks often, and files seldom change."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ".".join(path.relative_to(library.parent).parts[:-1])
    return _hash(_plain(tree)), list(_imports(tree, package, library))


def differences(was: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """What two digests disagree in: ``notebook``, and names of files changed, new or gone.

    Results whose ``run.json`` holds another digest than what made them has now are stale.
    """
    old, new = was.get("files", {}), now["files"]
    parts = ["notebook"] if was.get("notebook") != now["notebook"] else []
    return parts + sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _imports(tree: ast.AST, package: str, library: Path) -> Iterator[Path]:
    """Files of the library that code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from filter(None, (_file(alias.name, library) for alias in node.names))
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                if found := _file(f"{source}.{alias.name}", library) or _file(source, library):
                    yield found


def _file(module: str, library: Path) -> Path | None:
    """A module's file, if it is the library's."""
    base = library.parent.joinpath(*module.split("."))
    places = (base.with_suffix(".py"), base / "__init__.py") if base.is_relative_to(library) else ()
    return next(filter(Path.is_file, places), None)


def _plain(node: object) -> object:
    """A syntax tree as lists, without docstrings, and without what only some Pythons fill in."""
    if isinstance(node, list):
        return [_plain(n) for n in node if not _is_words(n)]
    if not isinstance(node, ast.AST):
        return node
    fields = [(name, _plain(value)) for name, value in ast.iter_fields(node)]
    return [type(node).__name__, *(f for f in fields if f[1] is not None and f[1] != [])]


def _is_words(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
