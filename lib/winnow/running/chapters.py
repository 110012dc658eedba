"""Chapters, their parameters and presets, and what a run of them leaves."""

import datetime
import hashlib
import json
import os
import re
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import yaml

from winnow.reporting import results
from winnow.running import freshness, parameters
from winnow.running.errors import RunError
from winnow.running.parameters import Parameter, choose

DEFAULT = "book"

#: Values of parameters, by name, that a user gives.
Given = Mapping[str, object] | None

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


def notebooks() -> list[str]:
    """Names of all executable notebooks, in the book's order."""
    files = re.findall(r"notebooks/(\w+)", json.dumps(_read_yaml(root() / "_toc.yml")))
    return [name for name in dict.fromkeys(files) if notebook_path(name).is_file()]


def chapters() -> list[str]:
    """Names of the chapters, in the book's order: all notebooks but :data:`SUMMARIES`."""
    return [name for name in notebooks() if name not in SUMMARIES]


def notebook_path(chapter: str) -> Path:
    """Where a chapter's notebook is, or would be."""
    return root() / "notebooks" / f"{chapter}.ipynb"


def find_chapter(name: str) -> str:
    """The name, if it is a chapter's; else :class:`ValueError` suggests the nearest."""
    return choose(name, chapters(), "chapter")


def known_parameters(chapter: str) -> dict[str, Parameter]:
    """The parameters in the chapter's parameters cell."""
    return parameters.read(notebook_path(find_chapter(chapter)))


def presets(chapter: str) -> dict[str, dict[str, object]]:
    """Parameters set by each preset; ``book`` sets none."""
    paths = sorted((root() / "notebooks" / "params").glob(f"{chapter}.*.yaml"))
    return {DEFAULT: {}} | {path.name.split(".")[1]: _read_yaml(path) or {} for path in paths}


def _read_yaml(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def resolve(chapter: str, preset: str = DEFAULT, values: Given = None) -> dict[str, object]:
    """All parameters of a run: the notebook's own, under the preset's, under the given ones.

    Raises
    ------
    ValueError
        Unknown chapter, preset or parameter; wrong type; out of range; values that do not fit
        together; a folder that a run would fill inside ``notebooks/``.
    """
    known, found = known_parameters(chapter), presets(chapter)
    preset = choose(preset, list(found), "preset")
    settled = parameters.settle(known, {**found[preset], **(values or {})})
    sources = (root() / "notebooks").resolve()
    for name in (name for name in known if known[name].told(r"(folder for)\b")):
        if settled[name] and Path(settled[name]).resolve().is_relative_to(sources):
            raise ValueError(f"{name} must be outside of notebooks/, got {settled[name]}")
    return settled


def output_folder(chapter: str, preset: str, changed: Mapping[str, object]) -> Path:
    """Where a run goes by default: a preset to ``results``, changed parameters to ``runs``."""
    if not changed:
        return root() / "results" / chapter / preset
    text = json.dumps(dict(sorted(changed.items())))
    return root() / "runs" / chapter / f"{preset}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def run(
    chapter: str, preset: str = DEFAULT, values: Given = None, output: Path | None = None, **options
) -> Path:
    """Execute a chapter and write notebook, claims, samples, tables and ``run.json``.

    Parameters
    ----------
    chapter, preset, values
        See :func:`~winnow.running.chapters.resolve`.
    output
        Folder for the results; by default :func:`~winnow.running.chapters.output_folder`.
    **options
        See :func:`winnow.running.execute.execute`.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        Bad input, or a folder that cannot be written; nothing has been started.
    RunError
        The notebook raised; earlier results are untouched. Or the results found no room in the
        folder; says where they are instead.
    """
    settled = resolve(chapter, preset, values)
    changed = {name: settled[name] for name in values or {}}
    folder = output or output_folder(chapter, preset, changed)
    _fill(folder, {"chapter": chapter, "preset": preset, "parameters": settled}, **options)
    return folder


def refresh(chapter: str, **options) -> bool:
    """Execute a chapter at its own parameters; renew its outputs and its committed results.

    A notebook of :data:`SUMMARIES` has outputs only. Options are those of
    :func:`winnow.running.execute.execute`.

    Returns
    -------
    bool
        Whether any output changed.
    """
    if chapter in SUMMARIES:
        from winnow.running import execute as notebooks

        path = notebook_path(chapter)
        return results.write_whole(path, as_bytes(notebooks.execute(path, {}, **options)[0]))
    about = {"chapter": chapter, "preset": DEFAULT, "parameters": resolve(chapter)}
    return _fill(output_folder(chapter, DEFAULT, {}), about, renew=True, **options)


def _fill(folder: Path, about: Mapping[str, object], *, renew: bool = False, **options) -> bool:
    """Execute a chapter and put its results into place, and maybe its notebook into its source's.

    Returns
    -------
    bool
        Whether anything changed.

    Raises
    ------
    RunError
        The results cannot be written there; says where they are instead.
    """
    with results.staging(folder) as stage:
        files, source = execute(about, renew=renew, **options), notebook_path(about["chapter"])
        apart = [source.name] if renew else []
        try:
            results.write(stage, {k: data for k, data in files.items() if k not in apart})
            renewed = renew and results.write_whole(source, files[source.name])
            return results.publish(stage, folder) or renewed
        except OSError as error:
            spare = Path(tempfile.mkdtemp(prefix=f"winnow-{folder.name}-"))
            results.write(spare, files)
            words = f"cannot write to {folder}: {error.strerror}; the run's results are in {spare}"
            raise RunError(words) from error


def refresh_all(names: Sequence[str], jobs: int, on_cell: Callable) -> Iterator[tuple[str, Future]]:
    """Refresh chapters side by side, then what sums them up.

    Yields
    ------
    tuple
        As each ends: its name, and a future of what :func:`refresh` returned or raised. An
        interrupt ends all that are running; those leave everything as it was.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for last in (False, True):
                some = [name for name in names if (name in SUMMARIES) == last]
                work = {pool.submit(refresh, k, stop=stop.is_set, on_cell=on_cell): k for k in some}
                for future in as_completed(work):
                    yield work[future], future
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def execute(about: Mapping[str, object], *, renew: bool = False, **options) -> dict[str, bytes]:
    """Execute a chapter.

    Parameters
    ----------
    about
        What ``run.json`` is to begin with: its ``chapter``, for the record the ``preset``, and its
        ``parameters`` as :func:`~winnow.running.chapters.resolve` gives them.
    renew
        Whether the executed notebook is to take its source's place: it shows no parameters then,
        and of its record the claims only, since a committed notebook must be small.
    **options
        See :func:`winnow.running.execute.execute`.

    Returns
    -------
    dict
        Its results by name of file, with the executed notebook.

    Raises
    ------
    RunError
        As :func:`winnow.running.execute.execute`, or the notebook recorded nothing; whatever
        else goes wrong is one, too.
    """
    from winnow.running import execute as notebooks

    started, source = time.monotonic(), notebook_path(about["chapter"])
    try:
        digest, values = freshness.digest(source), {} if renew else about["parameters"]
        notebook, memory = notebooks.execute(source, values, **options)
        took = {"seconds": round(time.monotonic() - started, 1), "memory_mb": memory}
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        made = {"finished": now, **results.about_run(root()), "digest": digest}
        record = results.find_record(notebook)
        files = results.as_files(record, {**about, **took, **made})
        for bulky in ("samples", "tables") if renew else ():
            record.pop(bulky, None)
        return {**files, source.name: as_bytes(notebook)}
    except RunError:
        raise
    except Exception as error:
        kind = "" if type(error) is LookupError else f"{type(error).__name__}: "
        raise RunError(f"{source.stem}: {kind}{error}", traceback.format_exc()) from error


def as_bytes(notebook: object) -> bytes:
    """A notebook as it is kept."""
    import nbformat

    return results.as_bytes(nbformat.writes(notebook) + "\n")
