"""Sweeps: many runs of a chapter, each kept whole under a name that says what it is.

Nothing here knows where runs are executed: see :mod:`winnow.running.sweep.cluster`.
"""

from __future__ import annotations

import ast
import contextlib
import datetime
import functools
import gc
import hashlib
import json
import os
import re
import shutil
import statistics
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import nbformat

from winnow import __version__
from winnow.reporting import results
from winnow.running import chapters, execute, freshness
from winnow.running.execute import OutOfSpaceError, OutOfTimeError, RunError
from winnow.running.parameters import Parameter
from winnow.running.sweep import grid

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

#: What ``--seeds`` sets, in every chapter.
SEED = "base_seed"

_ABOUT, _LOCK, _RUNS, _FAILED = "sweep.json", ".lock", "runs", "failed"


@dataclass(frozen=True)
class Run:
    """One point of a grid: its name, its replicate, what it sets, all its parameters."""

    key: str
    seed: int | None
    values: dict[str, Any]
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """All runs of a sweep, in the grid's order, and the folder that they go to."""

    chapter: str
    preset: str
    folder: Path
    identity: dict[str, str]  #: of the code that runs, see :func:`identify`
    runs: list[Run]
    varied: list[str] = field(default_factory=list)  #: parameters with more than one value

    def path(self, run: Run) -> Path:
        """Where a finished run is kept."""
        return self.folder / _RUNS / run.key

    def failure_path(self, run: Run) -> Path:
        """Where a failed run is kept."""
        return self.folder / _FAILED / run.key

    def done(self, run: Run) -> bool:
        """Whether the run is there, whole."""
        return results.verify(self.path(run))

    def failure(self, run: Run) -> dict[str, Any] | None:
        """What is known of a failed run; ``None`` where it has not failed."""
        with contextlib.suppress(OSError, json.JSONDecodeError):
            return json.loads((self.failure_path(run) / "error.json").read_text())
        return None


def plan(
    chapter: str,
    axes: Mapping[str, str],
    *,
    preset: str = chapters.DEFAULT,
    seeds: str | None = None,
    output: Path | None = None,
) -> Plan:
    """Every run of a grid, checked before anything starts.

    Replicate k of ``seeds`` sets :data:`SEED` to k times a stride that no run's networks exceed,
    so that replicates share no network; the same replicate has the same seeds at every point of
    the grid, so that points can be compared in pairs.

    Parameters
    ----------
    chapter, preset
        See :func:`winnow.running.chapters.resolve`.
    axes
        Values by parameter, as :func:`winnow.running.sweep.grid.values` reads them.
    seeds
        Numbers of replicates, written alike.
    output
        Folder for the sweep; by default one for each chapter below ``runs``.

    Raises
    ------
    ValueError
        Unknown chapter, preset or parameter, a bad value or range, an empty grid, a folder with
        results of something else.
    """
    fixed = chapters.resolve(chapter, preset)
    known = chapters.parameters(chapter)
    found = {
        name: grid.values(text, chapters.find_parameter(name, known)) for name, text in axes.items()
    }
    replicates = [None] if seeds is None else grid.whole_numbers(seeds, "--seeds")
    if seeds is not None and (SEED in axes or SEED not in known):
        raise ValueError(
            f"--seeds sets {SEED}: leave out -p {SEED}"
            if SEED in axes
            else f"{chapter} has no {SEED} for --seeds to set"
        )
    if not axes and seeds is None:
        raise ValueError("the grid is empty: give it -p NAME=V1,V2 or --seeds 0:8")
    grid.size({**found, "seeds": replicates})
    stride = _stride(known, {name: [value] for name, value in fixed.items()} | found)
    identity, made = identify(chapter), []
    for point in grid.combinations({**found, "seeds": replicates}):
        seed = point.pop("seeds")
        sown = {} if seed is None else {SEED: known[SEED].check(seed * stride)}
        values = fixed | point | sown
        chapters.check_lengths(known, values)
        parameters = {name: p.default for name, p in known.items()} | values
        made.append(Run(_key(chapter, identity, parameters), seed, values, parameters))
    folder = output or chapters.root() / "runs" / chapter / "sweep"
    _check_folder(folder, chapter)
    varied = [name for name, options in found.items() if len(options) > 1]
    return Plan(chapter, preset, folder.resolve(), identity, made, varied)


def _stride(known: Mapping[str, Parameter], used: Mapping[str, Sequence[Any]]) -> int:
    """Twice the largest number of networks: some parts of a chapter double a parameter."""
    counts = [
        value
        for name, p in known.items()
        if p.type == "int" and "networks" in p.help
        for value in used.get(name, [p.default])
    ]
    return 2 * max(counts) if counts else 1


def _key(chapter: str, identity: Mapping[str, str], parameters: Mapping[str, Any]) -> str:
    about = {"of": chapter, "code": identity, "parameters": parameters}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _check_folder(folder: Path, chapter: str) -> None:
    for name in (_ABOUT, "run.json"):
        path = folder / name
        try:
            other = json.loads(path.read_text())["chapter"] if path.exists() else chapter
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"cannot read {path}: choose another --output") from error
        if other != chapter:
            raise ValueError(f"{folder} holds results of {other}: choose another --output")
        if name == "run.json" and path.exists():
            raise ValueError(f"{folder} holds a single run: choose another --output")


@contextlib.contextmanager
def held(plan: Plan) -> Iterator[None]:
    """The sweep's folder, made, held against other sweeps, and rid of what killed ones left.

    Where nothing comes of the sweep, what was made for it is gone at the end.

    Raises
    ------
    ValueError
        If it cannot be written, or another sweep holds it.
    """
    folder, inside = plan.folder, [plan.folder / name for name in (_RUNS, _FAILED)]
    made = [path for path in (*inside, folder, *folder.parents) if not path.exists()]
    notes = [path for path in (folder / _ABOUT, folder / _LOCK) if not path.exists()]
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_if_empty, inside, made)
        try:
            for path in inside:
                path.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / _LOCK).open("a"))
            if not _take(lock):
                raise ValueError(
                    f"another sweep is at work in {folder}: wait, or choose another --output"
                )
            stack.callback(_remove_if_empty, inside, notes)
            about = {"chapter": plan.chapter, "mark": uuid.uuid4().hex}
            write_whole(folder / _ABOUT, json.dumps(about) + "\n")
        except OSError as error:
            raise ValueError(
                f"cannot write to {folder}: {error.strerror}; choose another --output"
            ) from error
        for left in folder.glob(f"*/{results.STAGE_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        for left in folder.glob(f"{results.STAGE_PREFIX}*"):
            left.unlink(missing_ok=True)
        yield


def _take(lock: IO[str]) -> bool:
    """Whether nobody else has the lock; the system lets go of it when its holder ends."""
    if fcntl:
        with contextlib.suppress(OSError):  # some file systems have no locks
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
    return True


def _remove_if_empty(inside: Sequence[Path], made: Sequence[Path]) -> None:
    if not any(path.is_dir() and any(path.iterdir()) for path in inside):
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()


def to_do(plan: Plan, *, retry: bool = False) -> list[Run]:
    """Runs that are neither done nor, unless they are to be retried, failed."""
    return [run for run in plan.runs if not plan.done(run) and (retry or plan.failure(run) is None)]


def seconds_each(plan: Plan) -> tuple[float, str] | None:
    """Seconds that a run takes, and where that is known from; ``None`` where it is not.

    The median over finished runs of this sweep, or what the committed run of the preset took.
    """
    took = [results.read_run(plan.path(run)) for run in plan.runs]
    if found := [run["seconds"] for run in took if run]:
        return statistics.median(found), f"median of {len(found)} finished runs"
    committed = results.read_run(chapters.root() / "results" / plan.chapter / plan.preset)
    return committed and (committed["seconds"], f"what preset {plan.preset} took")


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file, or leave what was there before."""
    fresh = path.with_name(f"{results.STAGE_PREFIX}{os.getpid()}-{path.name}")
    try:
        fresh.write_bytes(data.encode() if isinstance(data, str) else data)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


# --- where a run is executed --------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """What a worker is told."""

    plan: Plan  #: without its other runs
    run: Run
    sweep: str  #: this sweep's own word, see :func:`abandon`
    timeout: float | None


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    ``done``, ``failed`` or ``timed out``; or ``no space``, ``other version`` or ``abandoned``,
    which say nothing of the run.
    """

    status: str
    error: str = ""


_COLOURS = re.compile(r"\x1b\[[\d;]*m")  # of a terminal

_abandoned: set[str] = set()
_ABANDONED = Outcome("abandoned", "a worker was told that nobody waits for its runs")


def perform(task: Task) -> Outcome:
    """Execute a run and keep it: finished or failed, it appears whole, in one move."""
    plan, run = task.plan, task.run
    if task.sweep in _abandoned:
        return _ABANDONED
    if identify(plan.chapter) != plan.identity:
        return Outcome("other version", "the chapter or the library changed while the sweep ran")
    if plan.done(run):
        return Outcome("done")
    started = time.monotonic()
    try:
        stage = Path(tempfile.mkdtemp(prefix=results.STAGE_PREFIX, dir=plan.folder / _RUNS))
    except OSError as error:
        return _no_space(plan, error)
    try:
        options = {"timeout": task.timeout, "warm": modules(plan.chapter), "owner": task.sweep}
        options["digest"] = {k: v for k, v in plan.identity.items() if k != "version"}
        options["used"] = run.parameters
        chapters.run_into(stage, plan.chapter, plan.preset, run.values, **options)
        _move(stage, plan.path(run))
        shutil.rmtree(plan.failure_path(run), ignore_errors=True)
        return Outcome("done")
    except OutOfSpaceError as error:
        return Outcome("no space", str(error))
    except OSError as error:
        return _no_space(plan, error)
    except Exception as error:
        if task.sweep in _abandoned:
            return _ABANDONED
        return _keep_failure(plan, run, error, time.monotonic() - started, stage)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        gc.collect()  # each run leaves an event loop and sockets behind, in cycles


def _no_space(plan: Plan, error: OSError) -> Outcome:
    return Outcome("no space", f"cannot write to {plan.folder}: {error.strerror}")


def _move(stage: Path, target: Path) -> None:
    """Give a folder its name; what stands there already is whole, or is replaced."""
    try:
        stage.rename(target)
    except OSError:
        if not target.exists():
            raise
        if results.verify(target):  # the same run, done twice
            return
        shutil.rmtree(target)
        stage.rename(target)


def _keep_failure(plan: Plan, run: Run, error: Exception, seconds: float, stage: Path) -> Outcome:
    status = "timed out" if isinstance(error, OutOfTimeError) else "failed"
    known = isinstance(error, RunError)
    words = str(error) if known else f"{plan.chapter}: {type(error).__name__}: {error}"
    details = error.details if known else traceback.format_exc()
    about = {
        "chapter": plan.chapter,
        "preset": plan.preset,
        "parameters": run.parameters,
        "status": status,
        "cell": error.cell if known else None,
        "error": " ".join(words.split()),
        "traceback": _COLOURS.sub("", details),
        "seconds": round(seconds, 1),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    try:
        (stage / "error.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
        target = plan.failure_path(run)
        shutil.rmtree(target, ignore_errors=True)
        stage.rename(target)
    except OSError as problem:
        return _no_space(plan, problem)
    return Outcome(status, about["error"])


def record_loss(plan: Plan, run: Run, message: str) -> Outcome:
    """Keep the failure of a run whose worker cannot speak for itself any more."""
    try:
        stage = Path(tempfile.mkdtemp(prefix=results.STAGE_PREFIX, dir=plan.folder / _FAILED))
    except OSError as error:
        return _no_space(plan, error)
    try:
        return _keep_failure(plan, run, RunError(f"{plan.chapter}: {message}"), 0.0, stage)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def abandon(sweep: str) -> None:
    """End what this process executes for a sweep, and start nothing more of it."""
    _abandoned.add(sweep)
    execute.kill_kernels(sweep)


def inspect(chapter: str, folder: Path) -> dict[str, Any]:
    """What a worker is: its code's identity, and the mark that it finds in the sweep's folder."""
    return {"identity": identify(chapter), "mark": read_mark(folder)}


def read_mark(folder: Path) -> str | None:
    """What a sweep at work has written into its folder; another machine's folder lacks it."""
    with contextlib.suppress(OSError, json.JSONDecodeError):
        return json.loads((folder / _ABOUT).read_text()).get("mark")
    return None


def identify(chapter: str) -> dict[str, str]:
    """The library's version, and the digests of a chapter's code and of what it reaches."""
    path = chapters.notebook_path(chapter)
    files = [path, *sorted(Path(__file__).parents[2].rglob("*.py"))]
    about = tuple((stat.st_mtime_ns, stat.st_size) for stat in map(os.stat, files))
    with _parsing:
        return {"version": __version__, **_fingerprint(path, about)}


_parsing = threading.Lock()  # Python 3.11 cannot build syntax trees in two threads at once


@functools.lru_cache(maxsize=8)
def _fingerprint(path: Path, about: tuple) -> dict[str, str]:
    return freshness.digest(path)  # takes most of a second, and files seldom change


def modules(chapter: str) -> tuple[str, ...]:
    """Names of the modules that a chapter imports."""
    with _parsing:
        return _modules(chapter)


@functools.lru_cache(maxsize=8)
def _modules(chapter: str) -> tuple[str, ...]:
    cells = nbformat.read(chapters.notebook_path(chapter), as_version=4).cells
    found: dict[str, None] = {}
    for cell in cells:
        with contextlib.suppress(SyntaxError):  # a line of %magic imports nothing
            nodes = list(ast.walk(ast.parse(cell.source if cell.cell_type == "code" else "")))
            names = [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
            for node in (n for n in nodes if isinstance(n, ast.ImportFrom)):
                names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= dict.fromkeys(names)
    return tuple(found)
