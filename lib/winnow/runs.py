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
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill
import yaml
from jupyter_client.manager import AsyncKernelManager
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from winnow import fingerprint, results
from winnow.parameters import Parameter

DEFAULT = "book"

#: Called with (cells done, cells in all) while a chapter runs.
OnCell = Callable[[int, int], None]

#: Called with each line that a chapter prints, as it prints it.
OnLine = Callable[[str], None]


class RunError(RuntimeError):
    """A chapter was started and did not finish; ``details`` holds the kernel's traceback."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


def root() -> Path:
    """The checkout: the folder that holds ``notebooks/`` and ``results/``.

    Raises
    ------
    ValueError
        If the library was installed without the book.
    """
    folder = Path(os.environ.get("WINNOW_ROOT", Path(__file__).parents[2])).resolve()
    if not (folder / "notebooks").is_dir():
        raise ValueError(f"no notebooks in {folder}: set WINNOW_ROOT to a checkout of the book")
    return folder


def chapters() -> list[str]:
    """Names of the executable chapters, in the book's order."""
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
    return _known(name, chapters(), "chapter")


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
    preset_values = presets(chapter)[_known(preset, list(presets(chapter)), "preset")]
    chosen = {
        name: known[_known(name, list(known), "parameter")].check(value)
        for name, value in {**preset_values, **(values or {})}.items()
    }
    used = {name: p.default for name, p in known.items()} | chosen
    for name, parameter in known.items():
        other = parameter.as_many_as
        if other and len(used[name]) != len(used[other]):
            raise ValueError(
                f"{name} takes as many values as {other}, got {used[name]} for {used[other]}"
            )
    return chosen


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
        See :func:`~winnow.runs.resolve`.
    output
        Folder for the results; by default :func:`~winnow.runs.output_folder`.
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
        _run_into(stage, chapter, preset, chosen, on_cell, on_line)
        _publish(stage, folder)
    return folder


def refresh(chapter: str, *, on_cell: OnCell | None = None) -> bool:
    """Execute a chapter at its own parameters; renew its outputs and its committed results.

    Returns
    -------
    bool
        Whether any output changed.
    """
    folder = root() / "results" / find_chapter(chapter) / DEFAULT
    with results.staging(folder) as stage:
        notebook = _run_into(stage, chapter, DEFAULT, {}, on_cell)
        text = nbformat.writes(_clean(notebook)) + "\n"
        (stage / f"{chapter}.ipynb").unlink()  # the committed notebook holds the same outputs
        changed = text != notebook_path(chapter).read_text()
        if changed:
            fresh = notebook_path(chapter).with_suffix(f".ipynb{results.STAGE_PREFIX}new")
            try:
                fresh.write_text(text)
                os.replace(fresh, notebook_path(chapter))
            finally:
                fresh.unlink(missing_ok=True)
        return _publish(stage, folder) or changed


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
        raise RunError(f"cannot write to {folder}: {error.strerror}") from error


def _run_into(
    stage: Path,
    chapter: str,
    preset: str,
    chosen: Mapping[str, Any],
    on_cell: OnCell | None,
    on_line: OnLine | None = None,
) -> nbformat.NotebookNode:
    started = time.monotonic()
    digest = fingerprint.digest(notebook_path(chapter))
    notebook = execute(chapter, chosen, stage / f"{chapter}.ipynb", on_cell, on_line)
    used = {name: p.default for name, p in parameters(chapter).items()} | dict(chosen)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    about = {
        "chapter": chapter,
        "preset": preset,
        "parameters": used,
        "seconds": round(time.monotonic() - started, 1),
        "memory_mb": round(peak / 1024),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **results.about_run(root()),
        "digest": digest,
    }
    try:
        results.write(stage, notebook, about)
    except (OSError, RuntimeError) as error:
        raise RunError(f"{chapter}: {error}") from error
    return notebook


def execute(
    chapter: str,
    chosen: Mapping[str, Any],
    path: Path,
    on_cell: OnCell | None = None,
    on_line: OnLine | None = None,
) -> nbformat.NotebookNode:
    """Execute a chapter's notebook with papermill into ``path``.

    Raises
    ------
    RunError
        A cell raised, the kernel died, or the notebook could not be written.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two chapters at once must not fight
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        return papermill.execute_notebook(
            str(notebook_path(chapter)),
            str(path),
            parameters=dict(chosen),
            engine_name=_Engine.NAME,
            kernel_name="python3",
            progress_bar=False,
            cwd=str(notebook_path(chapter).parent),
            kernel_manager_class=_QuietKernelManager,
            stdout_file=_Lines(on_line) if on_line else None,
            on_cell=on_cell or (lambda done, total: None),
        )
    except PapermillExecutionError as error:
        message = f"{chapter} failed in cell {error.cell_index + 1}: {error.ename}: {error.evalue}"
        raise RunError(message, "\n".join(error.traceback)) from error
    except OSError as error:
        raise RunError(f"{chapter}: cannot write {path}: {error.strerror}") from error
    except RuntimeError as error:  # nbclient's DeadKernelError is one
        raise RunError(f"{chapter}: {str(error).splitlines()[0]}") from error


class _Lines:
    """A file for papermill to write a chapter's prints to, which passes on whole lines."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line, self._rest = on_line, ""

    def write(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._on_line(line)

    def flush(self) -> None:
        """Lines are passed on as they end."""


class _QuietKernelManager(AsyncKernelManager):
    """A kernel's own words on standard error, such as on Ctrl-C, stay out of the terminal.

    What a chapter's code prints or raises comes through the kernel's messages all the same.
    """

    async def start_kernel(self, **options: Any) -> None:
        await super().start_kernel(**{"stderr": subprocess.DEVNULL, **options})


class _Engine(NBClientEngine):
    """Papermill's own engine, which also tells how far it is."""

    NAME = "winnow"

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, on_cell: OnCell, **options: Any
    ) -> None:
        total, complete = len(nb_man.nb.cells), nb_man.cell_complete

        def completed(cell: Any, cell_index: int | None = None, **words: Any) -> None:
            complete(cell, cell_index=cell_index, **words)
            on_cell((cell_index or 0) + 1, total)

        nb_man.cell_complete = completed
        # Papermill writes the notebook twice a cell; here it is published whole or not at all.
        nb_man.save = lambda **words: None
        on_cell(0, total)
        super().execute_managed_notebook(nb_man, kernel_name, **options)


papermill_engines.register(_Engine.NAME, _Engine)


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


def _known(name: str, names: Sequence[str], kind: str) -> str:
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"unknown {kind} {name!r}: {hint}choose from {', '.join(names)}")
