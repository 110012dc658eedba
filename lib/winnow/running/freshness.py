"""What results depend on: a chapter's code, and each definition of the library it reaches."""

from __future__ import annotations

import ast
import hashlib
import itertools
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

#: Modules that draw, run or print cannot change a verdict, so results outlive their edits.
NOT_NUMBERS = {f"winnow.{n}" for n in ("reporting.figures", "running", "reporting.results")}

# Through these, code reaches what it does not name: it then depends on the whole library.
_BLIND = ("eval", "exec", "globals", "__import__", "importlib", "import_module")

_CHAPTER = ""  # in place of a module's name
_WHOLE, _EFFECTS = "<whole>", "<effects>"  # in place of a definition's name

_Place = tuple[str, str]  # a module and a part of it
_Names = tuple[str, ...]  # a name and its attributes: a.b.c
_Origin = tuple[str, _Names]  # a module, and a name there; none for the module itself


def digest(notebook: Path, *, library: Path | None = None) -> dict[str, str]:
    """What a chapter's results depend on: its code, and the definitions that it reaches.

    Reached is what reached code names: directly, through imports, or as an attribute of a
    module. A module put to any other use, or asked for what it does not define, is reached
    whole. What modules do on import beside defining, such as registering, always counts.

    Comments, docstrings and formatting do not count, nor in which module a definition stands
    and in what order, nor modules that only draw or run, nor the parameters cell: the values a
    run used stand in its ``run.json``.

    Parameters
    ----------
    notebook
        The chapter.
    library
        Folder of the package ``winnow``, by default the one that runs.

    Returns
    -------
    dict
        ``{"chapter": …, "library": …}``, hexadecimal.
    """
    chapter = ast.parse(_code(notebook))
    code = _Code(chapter, library or Path(__file__).parents[1])
    entries = {code.entry(place) for place in code.reached()}
    return {"chapter": _hash(_plain(chapter)), "library": _hash(sorted(entries))}


def _code(notebook: Path) -> str:
    plain = TransformerManager().transform_cell  # %pip and the like are not Python
    return "\n".join(
        plain(cell.source)
        for cell in nbformat.read(notebook, as_version=4).cells
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])
    )


class _Code:
    """A chapter and the library's modules."""

    def __init__(self, chapter: ast.Module, library: Path) -> None:
        every = ast.If(ast.Constant(True), chapter.body, [])  # all of it counts, whatever it is
        self.modules = {_CHAPTER: _Module([every], "")}
        for path in sorted(library.rglob("*.py")):
            *folders, stem = path.relative_to(library.parent).with_suffix("").parts
            package = ".".join(folders)
            name = package if stem == "__init__" else f"{package}.{stem}"
            if NOT_NUMBERS.isdisjoint(_prefixes(name)):
                self.modules.setdefault(package, _Module([], package))  # may lack __init__.py
                self.modules[name] = _Module(ast.parse(path.read_text()).body, package)

    def reached(self) -> set[_Place]:
        """All places whose code the chapter may run."""
        reached, waiting = set(), {(_CHAPTER, _EFFECTS)}
        while waiting:
            place = waiting.pop()
            reached.add(place)
            waiting |= self.unnamed(place).union(*self.uses(place).values()) - reached
        return reached

    def unnamed(self, place: _Place) -> set[_Place]:
        """Effects of what a place's module imports, and with a whole package all inside."""
        module, part = place
        loaded = {module, *self.modules[module].loads()} & self.modules.keys()
        inside = {m for m in self.modules if part == _WHOLE and m.startswith(f"{module}.")}
        return {*((m, _EFFECTS) for m in loaded), *((m, _WHOLE) for m in inside)}

    def uses(self, place: _Place) -> dict[_Names, set[_Place]]:
        """Where the names in a place's code lead."""
        module, part = place
        here = self.modules[module]
        known = here.imports.keys() | (() if module == _CHAPTER else here.parts.keys())
        used = {names for node in here.parts[part] for names in _names(node)}
        return {names: self.find(module, names) for names in used if names[0] in known}

    def find(self, module: str, names: _Names, *seen: _Origin) -> set[_Place]:
        """Where names lead from a module, through imports of others; nowhere if outside."""
        if module not in self.modules:
            return set()
        here, (first, *rest) = self.modules[module], names or (_WHOLE,)
        found = {(module, first)} if first in here.parts else set()
        # Seen before: a package may import its own module, `from winnow import stats` in winnow.
        origins = () if (module, names) in seen else here.imports.get(first, ())
        for source, start in origins:
            found |= self.find(source, (*start, *rest), (module, names), *seen)
        if found or origins:
            return found
        inside = f"{module}.{first}"
        known = inside in self.modules or inside in NOT_NUMBERS
        return self.find(inside, tuple(rest), *seen) if known else {(module, _WHOLE)}

    def entry(self, place: _Place) -> str:
        """A place's code and what its names mean, the same in whichever module it stands."""
        uses = self.uses(place).items()
        means = sorted((".".join(names), self.mark(p)) for names, to in uses for p in to)
        return _hash((place[0] != _CHAPTER and self.mark(place), means))

    def mark(self, place: _Place) -> tuple[str, str]:
        """A place's name and its code by itself."""
        module, part = place
        return part, _hash(_plain(self.modules[module].parts[part]))


class _Module:
    """A module's code by the names that it defines, and what it imports of the library."""

    def __init__(self, body: list[ast.stmt], package: str) -> None:
        self.parts: dict[str, list[ast.AST]] = {_WHOLE: [*body], _EFFECTS: []}
        for statement in body:
            for name in _defines(statement):
                self.parts.setdefault(name, []).append(statement)
        self.imports: dict[str, set[_Origin]] = {name: {("winnow", ())} for name in _BLIND}
        outside: dict[str, set[_Origin]] = {}
        for name, origin in _imports(body, package):
            known = self.imports if _prefixes(origin[0])[0] == "winnow" else outside
            known.setdefault(name, set()).add(origin)
        ours = {*self.parts, *self.imports}
        for statement in body:  # what calls us on import may register something
            if any(names[0] in ours for names in _calls(statement)):
                self.parts[_EFFECTS].append(statement)
        for name, origins in outside.items():  # their code is not ours, but which they are is
            self.parts.setdefault(name, []).append(ast.Constant(sorted(origins)))
        if "*" in {*self.imports, *outside}:  # which names it binds, nobody can tell
            self.parts[_EFFECTS].append(ast.Name("*", ast.Load()))

    def loads(self) -> set[str]:
        """Modules that its imports run, and some names that are none."""
        origins = set().union(*self.imports.values())
        return {m for source, start in origins for m in _prefixes(".".join((source, *start)))}


def _imports(body: list[ast.stmt], package: str) -> Iterator[tuple[str, _Origin]]:
    """Each name that code imports, also inside functions, and where it is from."""
    for node in itertools.chain.from_iterable(map(ast.walk, body)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                yield alias.asname or first, (alias.name, ())
                if not alias.asname:  # `import a.b` binds a, and is mostly used as a.b
                    yield first, (first, ())
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                yield alias.asname or alias.name, (source, (alias.name,) * (alias.name != "*"))


def _defines(statement: ast.stmt) -> set[str]:
    """Names that a statement at the top of a module defines, or that it has effects."""
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.If(ast.Name("TYPE_CHECKING"), orelse=[]):
            return set()
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
            return {name}
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            nodes = [n for n in ast.walk(statement) if isinstance(getattr(n, "ctx", 0), ast.Store)]
            into = [n for n in nodes if isinstance(n, ast.Name | ast.Attribute | ast.Subscript)]
            return {n.id if isinstance(n, ast.Name) else _EFFECTS for n in into}
    return {_EFFECTS}


def _calls(statement: ast.stmt) -> Iterator[_Names]:
    """What a definition calls on import: in the value assigned, as decorator or as base."""
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        nodes = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
    else:
        fields = ("decorator_list", "bases", "keywords")
        nodes = [node for field in fields for node in getattr(statement, field, ())]
    return itertools.chain.from_iterable(map(_names, nodes))


def _names(node: ast.AST) -> Iterator[_Names]:
    """Every name in code, with the attributes behind it."""
    attributes, inner = [], node
    while isinstance(inner, ast.Attribute):
        attributes.insert(0, inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield inner.id, *attributes
    else:
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


def _prefixes(module: str) -> list[str]:
    return [*itertools.accumulate(module.split("."), "{}.{}".format)]


def _plain(node: Any) -> Any:
    """A syntax tree as lists, without docstrings, and without what only some Pythons fill in."""
    if isinstance(node, list):
        return [_plain(n) for n in node if not _is_words(n)]
    if not isinstance(node, ast.AST):
        return node
    fields = [(name, _plain(value)) for name, value in ast.iter_fields(node)]
    return [type(node).__name__, *(f for f in fields if f[1] is not None and f[1] != [])]


def _is_words(node: Any) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _hash(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
