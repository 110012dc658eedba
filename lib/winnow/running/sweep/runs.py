"""Sweeps: many runs of a chapter, each kept whole under a name that says what it is.

Nothing here knows where runs are executed: see :mod:`winnow.running.sweep.cluster`.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import gc
import hashlib
import importlib.util
import itertools
import json
import math
import os
import re
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from winnow import __version__
from winnow.reporting import results
from winnow.running import chapters, freshness
from winnow.running.errors import OutOfSpaceError, OutOfTimeError, RunError, in_words
from winnow.running.parameters import Parameter, check_together, choose
from winnow.running.progress import duration

#: What ``--seeds`` sets, in every chapter.
SEED = "base_seed"

#: More runs than this are a slip of the finger.
MOST = 1_000_000

_ABOUT, _RUNS, _FAILED = "sweep.json", "runs", "failed"
_OUTSIDE_BRACKETS = re.compile(r",(?![^\[]*\])")
_WHOLE = re.compile(r"\[[^\[\]]*\]|[^\[\]]*")
_NUMBERS = ("int", "float", "list[int]", "list[float]")


def require_packages() -> None:
    """Refuse where the packages for sweeps are not installed.

    Raises
    ------
    ValueError
        Saying how to get them.
    """
    if not all(map(importlib.util.find_spec, ("distributed", "fastparquet"))):
        raise ValueError("sweeps need dask and fastparquet: pip install 'winnow-book[sweep]'")


# --- plans --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One point of a grid: its name, its replicate, all its parameters."""

    key: str
    seed: int | None
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """All runs of a sweep, in the grid's order, and the folder that they go to."""

    chapter: str
    preset: str
    folder: Path
    identity: dict[str, Any]  #: of the code that runs, see :func:`identify`
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
        return _read_json(self.failure_path(run) / "error.json")

    def place(self, run: Run) -> str:
        """A run's place in the grid, in words."""
        shown = {name: run.parameters[name] for name in self.varied}
        shown |= {} if run.seed is None else {"seed": run.seed}
        return ", ".join(f"{name}={value}" for name, value in shown.items())


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
        Values by parameter, as :func:`winnow.running.sweep.runs.values` reads them.
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
    known = chapters.known_parameters(chapter)
    found = {
        name: values(text, known[choose(name, list(known), "parameter")])
        for name, text in axes.items()
    }
    if seeds is not None and SEED in axes:
        raise ValueError(f"--seeds sets {SEED}: leave out -p {SEED}")
    if seeds is not None and SEED not in known:
        raise ValueError(f"{chapter} has no {SEED} for --seeds to set")
    if not axes and seeds is None:
        raise ValueError("the grid is empty: give it -p NAME=V1,V2 or --seeds 0:8")
    replicates = [None]
    if seeds is not None:
        replicates = values(seeds, Parameter("--seeds", "int", 0, "in [0, inf)"))
    count = math.prod(map(len, (*found.values(), replicates)))
    if count > MOST:
        raise ValueError(f"the grid has {count} runs: at most {MOST} can be run")
    stride = _stride(known, {name: [value] for name, value in fixed.items()} | found)
    identity, made = identify(chapter), []
    for *point, seed in itertools.product(*found.values(), replicates):
        parameters = fixed | dict(zip(found, point, strict=True))
        if seed is not None:
            parameters[SEED] = known[SEED].check(seed * stride)
        check_together(known, parameters)
        chapters.check_folders(known, parameters)
        made.append(Run(_key(chapter, identity, parameters), seed, parameters))
    varied = [name for name, options in found.items() if len(options) > 1]
    return Plan(chapter, preset, _folder(chapter, output), identity, made, varied)


def find(chapter: str, output: Path | None = None) -> Plan:
    """All runs that a sweep's folder holds, finished or failed, of whatever grids.

    Raises
    ------
    ValueError
        If there are none, or the folder holds results of something else.
    """
    folder = _folder(chapters.find_chapter(chapter), output)
    found: dict[str, Run] = {}
    for path in sorted(folder.glob(f"{_RUNS}/*/run.json")) + sorted(
        folder.glob(f"{_FAILED}/*/error.json")
    ):
        if (about := _read_json(path)) and not path.parent.name.startswith(results.STAGE_PREFIX):
            key = path.parent.name
            found.setdefault(key, Run(key, about.get("seed"), about["parameters"]))
    if not found:
        raise ValueError(f"no run has ended in {folder}: there is nothing to collect")
    return Plan(chapter, "", folder, {}, list(found.values()))


def _stride(known: Mapping[str, Parameter], used: Mapping[str, Sequence[Any]]) -> int:
    """Twice the largest number of networks: some parts of a chapter double a parameter."""
    counts = [
        value
        for name, p in known.items()
        if p.type == "int" and "networks" in p.help
        for value in used[name]
    ]
    return 2 * max(counts) if counts else 1


def _key(chapter: str, identity: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    about = {"of": chapter, "code": identity, "parameters": parameters}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def _folder(chapter: str, output: Path | None) -> Path:
    """The sweep's folder, which holds nothing of anything else."""
    folder = (output or chapters.root() / "runs" / chapter / "sweep").resolve()
    for name in (_ABOUT, "run.json"):
        path = folder / name
        about = _read_json(path)
        if path.exists() and not (isinstance(about, dict) and "chapter" in about):
            raise ValueError(f"cannot read {path}: choose another --output")
        if about and about["chapter"] != chapter:
            raise ValueError(
                f"{folder} holds results of {about['chapter']}: choose another --output"
            )
        if about and name == "run.json":
            raise ValueError(f"{folder} holds a single run: choose another --output")
    return folder


def _read_json(path: Path) -> Any:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None


# --- values as they are written on a command line -----------------------------------------------


def values(text: str, parameter: Parameter) -> list[Any]:
    """Values of a parameter, from ``V1,V2,…``, ``start:stop:step``, or both mixed.

    A range leaves its stop out and steps by 1 where nothing else is said. Each value of a list
    parameter is a list: ``[30,20],[10]``, or a single element without brackets.

    Raises
    ------
    ValueError
        No value, a bad range, a value twice, or one that the parameter does not take.

    Examples
    --------
    >>> share = Parameter("share", "float", 0.5, "kept, in (0, 1]")
    >>> values("0.1:0.4:0.1,0.8", share)
    [0.1, 0.2, 0.3, 0.8]
    >>> values("[20,10],5", Parameter("hidden", "list[int]", [3], "units, in [1, 99]"))
    [[20, 10], [5]]
    """
    found: list[Any] = []
    known: set[str] = set()
    for item in filter(None, map(str.strip, _OUTSIDE_BRACKETS.split(text))):
        if not _WHOLE.fullmatch(item):
            raise ValueError(f"{parameter.name} has a bracket without its other half in {text}")
        ranged = ":" in item and parameter.type in _NUMBERS
        for value in _spread(item, parameter.name) if ranged else [item]:
            if value.startswith("[") and not parameter.type.startswith("list["):
                raise ValueError(
                    f"{parameter.name} takes one value in each run, got {value}: "
                    f"without brackets each value is a run"
                )
            checked = parameter.check(value)
            found.append(checked)
            known.add(repr(checked))
            if len(known) < len(found):
                raise ValueError(f"{parameter.name} has the value {value} twice")
    if not found:
        raise ValueError(f"{parameter.name} has no value: write {parameter.name}=V1,V2")
    return found


def _spread(text: str, name: str) -> list[str]:
    """The values of a range as text, exact in decimals."""
    try:
        start, stop, step = [*map(Decimal, text.split(":"))] + [Decimal(1)] * (text.count(":") == 1)
        count = (stop - start) / step
        none, many = count <= 0, count > MOST
    except (InvalidOperation, ValueError, ArithmeticError):
        raise ValueError(f"{name} takes a range as start:stop:step, got {text}") from None
    if none:
        raise ValueError(f"{name} has no value in {text}: the stop is left out")
    if many:
        raise ValueError(f"{name} has more than {MOST} values in {text}: more cannot be run")
    return [format(start + i * step, "f") for i in range(math.ceil(count))]


# --- the folder ---------------------------------------------------------------------------------


@contextlib.contextmanager
def held(plan: Plan) -> Iterator[None]:
    """The sweep's folder, made, held against other runs, and rid of what killed ones left.

    Where nothing comes of the sweep, what was made for it is gone at the end.

    Raises
    ------
    ValueError
        If it cannot be written, or another run holds it.
    """
    folder, inside = plan.folder, [plan.folder / name for name in (_RUNS, _FAILED)]
    made = [path for path in (*inside, folder, *folder.parents) if not path.exists()]
    note = folder / _ABOUT
    made = made if note.exists() else [note, *made]
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.callback(_remove_if_empty, inside, made)
            alone = stack.enter_context(results.held(folder))
            for path in inside:
                path.mkdir(exist_ok=True)
            about = {"chapter": plan.chapter, "mark": uuid.uuid4().hex}
            chapters.write_whole(note, json.dumps(about) + "\n")
        except OSError as error:
            raise ValueError(
                f"cannot write to {folder}: {in_words(error)}; choose another --output"
            ) from error
        if alone:
            for left in folder.glob(f"*/{results.STAGE_PREFIX}*"):
                shutil.rmtree(left, ignore_errors=True)
            for left in folder.glob(f"{results.STAGE_PREFIX}*"):
                left.unlink(missing_ok=True)
        yield


def _remove_if_empty(inside: Sequence[Path], made: Sequence[Path]) -> None:
    if not any(path.is_dir() and any(path.iterdir()) for path in inside):
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()


def read_mark(folder: Path) -> str | None:
    """What a sweep at work has written into its folder; another machine's folder lacks it."""
    return (_read_json(folder / _ABOUT) or {}).get("mark")


def to_do(plan: Plan, *, retry: bool = False) -> list[Run]:
    """Runs that are neither done nor, unless they are to be retried, failed."""
    return [run for run in plan.runs if not plan.done(run) and (retry or plan.failure(run) is None)]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def seconds_each(plan: Plan) -> tuple[float, str] | None:
    """Seconds that a run takes, and where that is known from; ``None`` where it is not.

    The median over finished runs of this sweep, or what the committed run of the preset took.
    """
    took = [results.read_run(plan.path(run)) for run in plan.runs]
    if found := [run["seconds"] for run in took if run]:
        return statistics.median(found), f"median of {len(found)} finished runs"
    committed = results.read_run(chapters.root() / "results" / plan.chapter / plan.preset)
    return committed and (committed["seconds"], f"what preset {plan.preset} took")


def preview(plan: Plan, places: int | None, *, retry: bool) -> Iterator[str]:
    """What a sweep would do, in lines, with so many runs at a time if that is known."""
    left = len(to_do(plan, retry=retry))
    yield f"{plan.chapter}, preset {plan.preset}: {len(plan.runs)} runs, {left} to do"
    for name in plan.varied:
        shown = dict.fromkeys(str(run.parameters[name]) for run in plan.runs)
        yield f"  {name}: {', '.join(shown)}"
    found = {run.seed: run.parameters.get(SEED) for run in plan.runs}
    if None not in found:
        first, *rest = found.values()
        step = f", each {rest[0] - first} after the last" if rest else ""
        yield f"  replicates: {len(found)}, {SEED} from {first}{step}"
    if each := seconds_each(plan):
        seconds, source = each
        yield f"  a run takes about {duration(seconds)} ({source})"
        if places:
            yield f"  about {duration(seconds * -(-left // places))} in all, {places} at a time"
    else:
        yield f"  no run of preset {plan.preset} has been timed yet"
    yield f"  into {plan.folder}"


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
        with _stage(plan.folder / _RUNS) as stage:
            try:
                digest = {k: v for k, v in plan.identity.items() if k != "version"}
                options = {"timeout": task.timeout, "owner": task.sweep, "digest": digest}
                options["path"] = stage / f"{plan.chapter}.ipynb"
                about = (plan.chapter, plan.preset, run.parameters)
                finished = chapters.execute(*about, **options)
                finished.about["seed"] = run.seed
                finished.write(stage, notebook=False)  # papermill wrote it
                _move(stage, plan.path(run))
            except OutOfSpaceError as error:
                return Outcome("no space", str(error))
            except RunError as error:
                if task.sweep in _abandoned:
                    return _ABANDONED
                return _keep_failure(plan, run, error, time.monotonic() - started, stage)
        shutil.rmtree(plan.failure_path(run), ignore_errors=True)
        return Outcome("done")
    except OSError as error:
        return Outcome("no space", f"cannot write to {plan.folder}: {in_words(error)}")
    finally:
        gc.collect()  # each run leaves an event loop and sockets behind, in cycles


@contextlib.contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """An empty folder for a run, gone at the end unless it was given a name."""
    stage = Path(tempfile.mkdtemp(prefix=results.STAGE_PREFIX, dir=folder))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


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


def _keep_failure(plan: Plan, run: Run, error: RunError, seconds: float, stage: Path) -> Outcome:
    status = "timed out" if isinstance(error, OutOfTimeError) else "failed"
    about = {
        "chapter": plan.chapter,
        "preset": plan.preset,
        "parameters": run.parameters,
        "seed": run.seed,
        "status": status,
        "cell": error.cell,
        "error": " ".join(str(error).split()),
        "traceback": _COLOURS.sub("", error.details),
        "seconds": round(seconds, 1),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    (stage / "error.json").write_bytes(results.as_json(about))
    target = plan.failure_path(run)
    shutil.rmtree(target, ignore_errors=True)
    stage.rename(target)
    return Outcome(status, about["error"])


def record_loss(plan: Plan, run: Run, message: str) -> Outcome:
    """Keep the failure of a run whose worker cannot speak for itself any more."""
    try:
        with _stage(plan.folder / _FAILED) as stage:
            return _keep_failure(plan, run, RunError(f"{plan.chapter}: {message}"), 0.0, stage)
    except OSError as error:
        return Outcome("no space", f"cannot write to {plan.folder}: {in_words(error)}")


def abandon(sweep: str) -> None:
    """End what this process executes for a sweep, and start nothing more of it."""
    from winnow.running import execute

    _abandoned.add(sweep)
    execute.kill_kernels(sweep)


def inspect(chapter: str, folder: Path) -> dict[str, Any]:
    """What a worker is: its code's identity, and the mark that it finds in the sweep's folder."""
    return {"identity": identify(chapter), "mark": read_mark(folder)}


def identify(chapter: str) -> dict[str, Any]:
    """The library's version, and the digest of a chapter's code and of what it imports."""
    path = chapters.notebook_path(chapter)
    files = [path, *path.parent.glob("claims/*"), *sorted(Path(__file__).parents[2].rglob("*.py"))]
    about = tuple((stat.st_mtime_ns, stat.st_size) for stat in map(os.stat, files))
    return {"version": __version__, **_digest(path, about)}


@functools.lru_cache(maxsize=8)
def _digest(path: Path, about: tuple) -> dict[str, Any]:
    return freshness.digest(path)  # takes most of a second, and files seldom change
