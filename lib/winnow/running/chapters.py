"""Chapters, their parameters and presets, and what a run of them leaves."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import os
import re
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from winnow.reporting import results
from winnow.running import freshness, parameters
from winnow.running.errors import OutOfSpaceError, RunError, in_words
from winnow.running.parameters import Parameter, choose

if TYPE_CHECKING:  # papermill takes a second; bad input is answered without that wait
    from nbformat import NotebookNode

    from winnow.running.execute import OnCell, OnLine

DEFAULT = "book"

#: Notebooks that sum up the results of the chapters, executed last and with no claims of their own.
SUMMARIES = ("scoreboard",)

_REFRESH = "refresh"  # on whose behalf kernels run, see :func:`winnow.running.execute.execute`


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


def known_parameters(chapter: str) -> dict[str, Parameter]:
    """The parameters in the chapter's parameters cell."""
    return parameters.read(notebook_path(find_chapter(chapter)))


def presets(chapter: str) -> dict[str, dict[str, Any]]:
    """Parameters set by each preset; ``book`` sets none."""
    found: dict[str, dict[str, Any]] = {DEFAULT: {}}
    for path in sorted((root() / "notebooks" / "params").glob(f"{chapter}.*.yaml")):
        found[path.name.split(".")[1]] = _read_yaml(path) or {}
    return found


def find_preset(chapter: str, preset: str) -> dict[str, Any]:
    """Parameters that a preset sets.

    Raises
    ------
    ValueError
        If there is no such preset; the nearest name is suggested.
    """
    found = presets(chapter)
    return found[choose(preset, list(found), "preset")]


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        words = getattr(error, "strerror", None) or getattr(error, "problem", None) or error
        raise ValueError(f"cannot read {path}: {words}") from error


def resolve(
    chapter: str, preset: str = DEFAULT, values: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All parameters of a run: the notebook's own, under the preset's, under the given ones.

    Raises
    ------
    ValueError
        Unknown chapter, preset or parameter; wrong type; out of range; values that do not fit
        together; a folder that a run would fill inside ``notebooks/``.
    """
    known = known_parameters(chapter)
    settled = parameters.settle(known, {**find_preset(chapter, preset), **(values or {})})
    check_folders(known, settled)
    return settled


def check_folders(known: Mapping[str, Parameter], settled: Mapping[str, Any]) -> None:
    """Refuse a folder for what a run keeps where git and the book look for notebooks.

    Raises
    ------
    ValueError
        Naming the parameter and the folder.
    """
    for name, parameter in known.items():
        if parameter.help.startswith("folder for") and settled[name]:
            folder = Path(settled[name]).resolve()
            if folder.is_relative_to(root() / "notebooks"):
                raise ValueError(f"{name} must be outside of notebooks/, got {folder}")


def output_folder(chapter: str, preset: str, changed: Mapping[str, Any]) -> Path:
    """Where a run goes by default: a preset to ``results``, changed parameters to ``runs``."""
    if not changed:
        return root() / "results" / chapter / preset
    text = json.dumps(dict(sorted(changed.items())))
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
    """Execute a chapter and write notebook, claims, samples, tables and ``run.json``.

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
    OutOfSpaceError
        The results found no room in the folder; says where they are instead.
    """
    settled = resolve(chapter, preset, values)
    folder = output or output_folder(
        chapter, preset, {name: settled[name] for name in values or {}}
    )
    with results.staging(folder) as stage:
        finished = execute(chapter, preset, settled, on_cell=on_cell, on_line=on_line)
        _publish(stage, folder, finished)
    return folder


def refresh(chapter: str, **options: Any) -> bool:
    """Execute a chapter at its own parameters; renew its outputs and its committed results.

    A notebook of :data:`SUMMARIES` has outputs only. Options are those of
    :func:`winnow.running.execute.execute`.

    Returns
    -------
    bool
        Whether any output changed.
    """
    if chapter in summaries():
        from winnow.running import execute as notebooks

        return _renew(chapter, notebooks.execute(notebook_path(chapter), {}, **options))
    folder = root() / "results" / chapter / DEFAULT
    settled = resolve(chapter)
    with results.staging(folder) as stage:
        finished = execute(chapter, DEFAULT, settled, injected={}, **options)
        return _publish(stage, folder, finished, renew=True)


def _renew(chapter: str, notebook: NotebookNode) -> bool:
    """Put an executed notebook in its source's place, if it differs."""
    import nbformat

    path, text = notebook_path(chapter), nbformat.writes(_clean(notebook)) + "\n"
    if text == path.read_text(encoding="utf-8"):
        return False
    write_whole(path, text)
    return True


def _clean(notebook: NotebookNode) -> NotebookNode:
    """Outputs without times, papermill's notes or what depends on the interpreter's build."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
    return notebook


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file, or leave what was there before."""
    fresh = path.with_name(f"{results.STAGE_PREFIX}{os.getpid()}-{path.name}")
    try:
        fresh.write_bytes(results.as_bytes(data) if isinstance(data, str) else data)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def refresh_all(
    names: Sequence[str], *, jobs: int, on_cell: Callable[[str, int, int], None]
) -> Iterator[tuple[str, float, bool | RunError]]:
    """Refresh chapters side by side.

    Yields
    ------
    tuple
        As each ends: its name, seconds, and whether outputs changed, or what went wrong. An
        interrupt ends all that are running; those leave everything as it was.
    """
    from winnow.running import execute as notebooks

    def work(name: str) -> tuple[str, float, bool | RunError]:
        started = time.monotonic()
        try:
            outcome = refresh(name, owner=_REFRESH, on_cell=functools.partial(on_cell, name))
        except (RunError, ValueError, OSError) as error:
            outcome = RunError(str(error), getattr(error, "details", ""))
        return name, time.monotonic() - started, outcome

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(notebooks.apart, work, name) for name in names]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):  # a kernel may be about to start
                notebooks.kill_kernels(_REFRESH)
                time.sleep(0.1)


@dataclass(frozen=True)
class Finished:
    """An executed chapter: its notebook, what it recorded, and what ``run.json`` says of it."""

    notebook: NotebookNode
    record: dict[str, Any]
    about: dict[str, Any]

    def write(self, folder: Path, *, notebook: bool = True) -> None:
        """Write all results into a folder, with or without the executed notebook."""
        import nbformat

        results.write(folder, self.record, self.about)
        if notebook:
            text = nbformat.writes(self.notebook) + "\n"
            (folder / f"{self.about['chapter']}.ipynb").write_bytes(results.as_bytes(text))


def execute(
    chapter: str,
    preset: str,
    settled: Mapping[str, Any],
    *,
    path: Path | None = None,
    digest: Mapping[str, Any] | None = None,
    injected: Mapping[str, Any] | None = None,
    **options: Any,
) -> Finished:
    """Execute a chapter.

    Parameters
    ----------
    chapter, preset, settled
        Which chapter, for the record which preset, and its parameters as
        :func:`~winnow.running.chapters.resolve` gives them.
    path
        Where papermill writes the executed notebook, also that of a run that fails.
    digest
        Of :func:`winnow.running.freshness.digest`, where it is known already.
    injected
        Parameters that the executed notebook is to show, by default all.
    **options
        See :func:`winnow.running.execute.execute`.

    Raises
    ------
    RunError
        As :func:`winnow.running.execute.execute`, or the notebook recorded nothing; whatever
        else goes wrong is one, too.
    """
    from winnow.running import execute as notebooks

    started, memory, source = time.monotonic(), [], notebook_path(chapter)
    try:
        digest = digest or freshness.digest(source)
        injected = settled if injected is None else injected
        options["on_memory"] = memory.append
        notebook = notebooks.execute(source, injected, path, **options)
        about = {
            "chapter": chapter,
            "preset": preset,
            "parameters": dict(settled),
            "seconds": round(time.monotonic() - started, 1),
            "memory_mb": max(memory, default=None),
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            **results.about_run(root()),
            "digest": dict(digest),
        }
    except RunError:
        raise
    except Exception as error:
        words = f"{chapter}: {type(error).__name__}: {error}"
        raise RunError(words, traceback.format_exc()) from error
    try:
        return Finished(notebook, results.find_record(notebook), about)
    except LookupError as error:
        raise RunError(f"{chapter}: {error}") from error


def _publish(stage: Path, folder: Path, finished: Finished, *, renew: bool = False) -> bool:
    """Put a finished run's results into place, beside its notebook or the renewed chapter.

    Returns
    -------
    bool
        Whether files changed.

    Raises
    ------
    OutOfSpaceError
        They cannot be written there; says where they are instead.
    """
    try:
        finished.write(stage, notebook=not renew)
        renewed = renew and _renew(finished.about["chapter"], finished.notebook)
        return results.publish(stage, folder) or renewed
    except (OSError, ValueError) as error:
        words = f"cannot write to {folder}: {in_words(error)}"
        raise OutOfSpaceError(f"{words}; {_rescue(finished)}") from error


def _rescue(finished: Finished) -> str:
    """Put results that found no room where there is some; says where."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"winnow-{finished.about['chapter']}-"))
        finished.write(folder)
    except (OSError, ValueError):
        return "there is no room elsewhere either"
    return f"the run's results are in {folder}"
