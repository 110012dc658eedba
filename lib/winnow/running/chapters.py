"""Chapters, their parameters and presets, and their execution through papermill."""

from __future__ import annotations

import ast
import datetime
import difflib
import hashlib
import json
import logging
import multiprocessing
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill
import yaml

from winnow.reporting import results
from winnow.running import execute, freshness
from winnow.running.execute import OnCell, OnLine, OutOfSpaceError, RunError
from winnow.running.parameters import Parameter

DEFAULT = "book"

#: Notebooks that sum up the results of the chapters, executed last and with no claims of their own.
SUMMARIES = ("scoreboard",)


def root() -> Path:
    """The checkout: the folder that holds ``notebooks/`` and ``results/``.

    Raises
    ------
    ValueError
        If the library was installed without the book.
    """
    folder = Path(os.environ.get("WINNOW_ROOT", Path(__file__).parents[3])).resolve()
    if not (folder / "notebooks").is_dir():
        raise ValueError(f"no notebooks in {folder}: set WINNOW_ROOT to a checkout of the book")
    return folder


def chapters() -> list[str]:
    """Names of the executable chapters, in the book's order; without :data:`SUMMARIES`."""
    return [name for name in _notebooks() if name not in SUMMARIES]


def summaries() -> list[str]:
    """Names of the notebooks that sum up chapters, in the book's order."""
    return [name for name in _notebooks() if name in SUMMARIES]


def _notebooks() -> list[str]:
    toc = _read_yaml(root() / "_toc.yml")
    files = re.findall(r"notebooks/(\w+)", json.dumps(toc))
    return [name for name in dict.fromkeys(files) if notebook_path(name).is_file()]


def notebook_path(chapter: str) -> Path:
    """Where a chapter's notebook is, or would be."""
    return root() / "notebooks" / f"{chapter}.ipynb"


def find_chapter(name: str) -> str:
    """The name, if it is a chapter's.

    Raises
    ------
    ValueError
        If it is not; the nearest name is suggested.
    """
    return choose(name, chapters(), "chapter")


def find_notebook(name: str) -> str:
    """The name, if it is a chapter's or a summary's; errors as :func:`find_chapter`."""
    return choose(name, [*chapters(), *summaries()], "chapter")


def parameters(chapter: str) -> dict[str, Parameter]:
    """The chapter's parameters, as papermill reads them from its parameters cell."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    found = papermill.inspect_notebook(str(notebook_path(chapter)))
    return {
        name: Parameter(name, p["inferred_type_name"], ast.literal_eval(p["default"]), p["help"])
        for name, p in found.items()
    }


def presets(chapter: str) -> dict[str, dict[str, Any]]:
    """Parameters set by each preset; ``book`` sets none."""
    found: dict[str, dict[str, Any]] = {DEFAULT: {}}
    for path in sorted((root() / "notebooks" / "params").glob(f"{chapter}.*.yaml")):
        found[path.name.split(".")[1]] = _read_yaml(path) or {}
    return found


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        words = getattr(error, "strerror", None) or getattr(error, "problem", None) or error
        raise ValueError(f"cannot read {path}: {words}") from error


def resolve(
    chapter: str, preset: str = DEFAULT, values: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Parameters that differ from the notebook's own: the preset's, then the given ones.

    Raises
    ------
    ValueError
        Unknown chapter, preset or parameter; wrong type; out of range.
    """
    known = parameters(find_chapter(chapter))
    preset_values = presets(chapter)[choose(preset, list(presets(chapter)), "preset")]
    chosen = {
        name: find_parameter(name, known).check(value)
        for name, value in {**preset_values, **(values or {})}.items()
    }
    check_lengths(known, chosen)
    return chosen


def find_parameter(name: str, known: Mapping[str, Parameter]) -> Parameter:
    """The parameter of that name.

    Raises
    ------
    ValueError
        If there is none; the nearest name is suggested.
    """
    return known[choose(name, list(known), "parameter")]


def check_lengths(known: Mapping[str, Parameter], chosen: Mapping[str, Any]) -> None:
    """Refuse lists that belong together and differ in length.

    Raises
    ------
    ValueError
        Naming both lists.
    """
    used = {name: p.default for name, p in known.items()} | dict(chosen)
    for name, parameter in known.items():
        other = parameter.as_many_as
        if other and len(used[name]) != len(used[other]):
            raise ValueError(
                f"{name} takes as many values as {other}, got {used[name]} for {used[other]}"
            )


def output_folder(chapter: str, preset: str, values: Mapping[str, Any]) -> Path:
    """Where a run goes by default: a preset to ``results``, anything else to ``runs``."""
    if not values:
        return root() / "results" / chapter / preset
    text = json.dumps(dict(sorted(values.items())), default=str)
    return root() / "runs" / chapter / f"{preset}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def run(
    chapter: str,
    *,
    preset: str = DEFAULT,
    values: Mapping[str, Any] | None = None,
    output: Path | None = None,
    on_cell: OnCell | None = None,
    on_line: OnLine | None = None,
) -> Path:
    """Execute a chapter and write notebook, claims, tables and ``run.json``.

    Parameters
    ----------
    chapter, preset, values
        See :func:`~winnow.running.chapters.resolve`.
    output
        Folder for the results; by default :func:`~winnow.running.chapters.output_folder`.
    on_cell, on_line
        Told of the progress, and what the chapter prints.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        Bad input, or a folder that cannot be written; nothing has been started.
    RunError
        The notebook raised; earlier results are untouched.
    """
    chosen = resolve(chapter, preset, values)
    folder = output or output_folder(chapter, preset, values or {})
    with results.staging(folder) as stage:
        run_into(stage, chapter, preset, chosen, on_cell=on_cell, on_line=on_line)
        _publish(stage, folder)
    return folder


def refresh(chapter: str, *, on_cell: OnCell | None = None) -> bool:
    """Execute a chapter at its own parameters; renew its outputs and its committed results.

    A notebook of :data:`SUMMARIES` has outputs only.

    Returns
    -------
    bool
        Whether any output changed.
    """
    if chapter in summaries():
        with tempfile.TemporaryDirectory() as stage:
            path = Path(stage) / "executed.ipynb"
            notebook = execute.execute(notebook_path(chapter), {}, path, on_cell=on_cell)
        return _renew(chapter, notebook)
    folder = root() / "results" / find_chapter(chapter) / DEFAULT
    with results.staging(folder) as stage:
        notebook = run_into(stage, chapter, DEFAULT, {}, on_cell=on_cell)
        (stage / f"{chapter}.ipynb").unlink()  # the committed notebook holds the same outputs
        changed = _renew(chapter, notebook)
        return _publish(stage, folder) or changed


def _renew(chapter: str, notebook: nbformat.NotebookNode) -> bool:
    """Put an executed notebook in its source's place, if it differs."""
    path, text = notebook_path(chapter), nbformat.writes(_clean(notebook)) + "\n"
    if text == path.read_text():
        return False
    fresh = path.with_suffix(f".ipynb{results.STAGE_PREFIX}new")
    try:
        fresh.write_text(text)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return True


def refresh_all(
    names: Sequence[str], *, jobs: int, on_cell: Callable[[str, int, int], None]
) -> Iterator[tuple[str, tuple[float, bool] | RunError]]:
    """Refresh chapters side by side, each in a process of its own.

    Yields
    ------
    tuple
        As each ends: its name, and seconds and whether outputs changed, or what went wrong. An
        interrupt ends all that are running; those leave everything as it was.
    """
    context = multiprocessing.get_context("spawn")
    messages, waiting, running = context.SimpleQueue(), list(names), {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                running[name] = context.Process(target=_refresh_apart, args=(name, messages))
                running[name].start()
            while messages.empty() and all(p.is_alive() for p in running.values()):
                time.sleep(0.05)
            if messages.empty():  # a process that ended without a word was killed
                name = next(n for n, p in running.items() if not p.is_alive())
                running.pop(name)
                yield name, RunError(f"{name}: its process was killed")
                continue
            name, message = messages.get()
            if isinstance(message, list):
                on_cell(name, *message)
            else:
                running.pop(name).join()
                yield name, message
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()


def _refresh_apart(name: str, messages: Any) -> None:
    """Refresh a chapter and send progress, then the outcome, through the queue."""

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    started = time.monotonic()
    try:
        changed = refresh(name, on_cell=lambda done, total: messages.put((name, [done, total])))
        messages.put((name, (time.monotonic() - started, changed)))
    except (RunError, ValueError) as error:
        messages.put((name, RunError(str(error), getattr(error, "details", ""))))
    except KeyboardInterrupt:
        os._exit(1)  # the parent says so; staged files are gone by now


def _publish(stage: Path, folder: Path) -> bool:
    try:
        return results.publish(stage, folder)
    except OSError as error:
        raise OutOfSpaceError(f"cannot write to {folder}: {error.strerror}") from error


def run_into(
    stage: Path,
    chapter: str,
    preset: str,
    chosen: Mapping[str, Any],
    *,
    digest: Mapping[str, str] | None = None,
    used: Mapping[str, Any] | None = None,
    **options: Any,
) -> nbformat.NotebookNode:
    """Execute a chapter and write all that a run leaves into an empty folder.

    Parameters
    ----------
    stage
        The folder.
    chapter, preset, chosen
        Which chapter, for the record which preset, and parameters as
        :func:`~winnow.running.chapters.resolve` gives them.
    digest
        Of :func:`winnow.running.freshness.digest`, where it is known already.
    used
        All parameters, where they are known already.
    **options
        See :func:`winnow.running.execute.execute`.

    Returns
    -------
    nbformat.NotebookNode
        The executed notebook.

    Raises
    ------
    RunError
        As :func:`winnow.running.execute.execute`, or the notebook recorded no claims.
    """
    started, memory = time.monotonic(), []
    path = notebook_path(chapter)
    digest = digest or freshness.digest(path)
    notebook = execute.execute(path, chosen, stage / path.name, on_memory=memory.append, **options)
    defaults = used or {name: p.default for name, p in parameters(chapter).items()}
    about = {
        "chapter": chapter,
        "preset": preset,
        "parameters": {**defaults, **chosen},
        "seconds": round(time.monotonic() - started, 1),
        "memory_mb": max(memory, default=None),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **results.about_run(root()),
        "digest": dict(digest),
    }
    try:
        results.write(stage, notebook, about)
    except OSError as error:
        raise OutOfSpaceError(f"{chapter}: cannot write {stage}: {error.strerror}") from error
    except RuntimeError as error:
        raise RunError(f"{chapter}: {error}") from error
    return notebook


def _clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Outputs without times, papermill's notes or what depends on the interpreter's build."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
    return notebook


def choose(name: str, names: Sequence[str], kind: str) -> str:
    """The name, if it is among the names.

    Raises
    ------
    ValueError
        If it is not; the nearest is suggested.
    """
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"unknown {kind} {name!r}: {hint}choose from {', '.join(names)}")
