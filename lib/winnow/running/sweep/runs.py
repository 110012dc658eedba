"""Sweeps: many runs of a chapter, each kept whole under a name that says what it is.

Nothing here knows where runs are executed: see :mod:`winnow.running.sweep.cluster`.
"""

import contextlib
import hashlib
import itertools
import json
import math
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import click

from winnow.reporting import results
from winnow.running import chapters, freshness
from winnow.running.errors import OutOfTimeError, RunError
from winnow.running.parameters import Parameter, check_together, choose

#: What ``--seeds`` sets, in every chapter.
SEED = "base_seed"

#: More runs than this are a slip of the finger.
MOST = 1_000_000

_OUTSIDE_BRACKETS = re.compile(r",(?![^\[]*\])")
_WHOLE = re.compile(r"\[[^\[\]]*\]|[^\[\]]*")


# --- plans --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One point of a grid: its name, its replicate, all its parameters, its place in words."""

    key: str
    seed: int | None
    parameters: dict[str, object]
    place: str


@dataclass(frozen=True)
class Plan:
    """All runs of a sweep, in the grid's order, and the folder that they go to."""

    chapter: str
    preset: str
    folder: Path
    identity: dict[str, object]  #: digest of the code that runs
    runs: list[Run]

    def path(self, run: Run, outcome: str = "runs") -> Path:
        """Where a finished run is kept, or else a ``failed`` one."""
        return self.folder / outcome / run.key

    def done(self, run: Run) -> bool:
        """Whether the run is there, whole."""
        return results.verify(self.path(run))

    def failure(self, run: Run) -> dict[str, object] | None:
        """What is known of a failed run; ``None`` where it has not failed."""
        return results.read_run(self.path(run, "failed"))

    def to_do(self, *, retry: bool = False) -> list[Run]:
        """Runs that are neither done nor, unless they are to be retried, failed."""
        return [r for r in self.runs if not self.done(r) and (retry or not self.failure(r))]

    def about(self, run: Run) -> dict[str, object]:
        """What the run's ``run.json`` begins with, however it ends."""
        of_plan = {"chapter": self.chapter, "preset": self.preset}
        return {**of_plan, "parameters": run.parameters, "seed": run.seed}


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
        Unknown chapter, preset or parameter, a bad value or range, or an empty grid.
    """
    fixed, known = chapters.resolve(chapter, preset), chapters.known_parameters(chapter)
    axes = {choose(name, list(known), "parameter"): text for name, text in axes.items()}
    found = {name: values(text, known[name]) for name, text in axes.items()}
    replicates = [None]
    if seeds is not None:
        if SEED in axes or SEED not in known:
            raise ValueError(f"--seeds sets {SEED}: {chapter} must have it, and -p leave it out")
        replicates = values(seeds, Parameter("--seeds", "int", 0, "in [0, inf)"))
    elif not axes:
        raise ValueError("the grid is empty: give it -p NAME=V1,V2 or --seeds 0:8")
    count = math.prod(map(len, (*found.values(), replicates)))
    if count > MOST:
        raise ValueError(f"the grid has {count} runs: at most {MOST} can be run")
    stride = _stride(known, {name: [value] for name, value in fixed.items()} | found)
    identity, made = freshness.digest(chapters.notebook_path(chapter)), []
    for *point, seed in itertools.product(*found.values(), replicates):
        place = dict(zip(found, point, strict=True))
        parameters = fixed | place
        if seed is not None:
            parameters[SEED], place["seed"] = known[SEED].check(seed * stride), seed
        check_together(known, parameters)
        about = {"of": chapter, "code": identity, "parameters": parameters}
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
        words = ", ".join(f"{name}={value}" for name, value in place.items())
        made.append(Run(key, seed, parameters, words))
    folder = (output or chapters.root() / "runs" / chapter / "sweep").resolve()
    return Plan(chapter, preset, folder, identity, made)


def _stride(known: Mapping[str, Parameter], used: Mapping[str, Sequence[object]]) -> int:
    """Twice the largest number of networks: some parts of a chapter double a parameter."""
    counts = [n for n, p in known.items() if p.type == "int" and "networks" in p.help]
    return 2 * max((max(used[name]) for name in counts), default=0) or 1


# --- values as they are written on a command line -----------------------------------------------


def values(text: str, parameter: Parameter) -> list[object]:
    """Values of a parameter, from ``V1,V2,…``, ``start:stop:step``, or both mixed.

    A range leaves its stop out and steps by 1 where nothing else is said. Each value of a list
    parameter is a list: ``[30,20],[10]``, or a single element without brackets. What is said twice
    counts once.

    Raises
    ------
    ValueError
        No value, a bad range, or a value that the parameter does not take.

    Examples
    --------
    >>> share = Parameter("share", "float", 0.5, "kept, in (0, 1]")
    >>> values("0.1:0.4:0.1,0.8", share)
    [0.1, 0.2, 0.3, 0.8]
    >>> values("[20,10],5", Parameter("hidden", "list[int]", [3], "units, in [1, 99]"))
    [[20, 10], [5]]
    """
    found: dict[str, object] = {}
    for item in filter(None, map(str.strip, _OUTSIDE_BRACKETS.split(text))):
        if not _WHOLE.fullmatch(item):
            raise ValueError(f"{parameter.name} has a bracket without its other half in {text}")
        ranged = ":" in item and re.search("int|float", parameter.type)
        for value in _spread(item, parameter.name) if ranged else [item]:
            checked = parameter.check(value)
            found[repr(checked)] = checked
    if not found:
        raise ValueError(f"{parameter.name} has no value: write {parameter.name}=V1,V2")
    return list(found.values())


def _spread(text: str, name: str) -> list[str]:
    """The values of a range as text, exact in decimals."""
    try:
        start, stop, *more = map(Decimal, text.split(":"))
        (step,) = more or [Decimal(1)]
        count = (stop - start) / step
        fits = 0 < count <= MOST
    except (ArithmeticError, ValueError):
        raise ValueError(f"{name} takes a range as start:stop:step, got {text}") from None
    if not fits:
        words = "no value" if count <= 0 else f"more than {MOST} values"
        raise ValueError(f"{name} has {words} in {text}: the stop is left out")
    return [format(start + i * step, "f") for i in range(math.ceil(count))]


# --- before a sweep -----------------------------------------------------------------------------


def preview(plan: Plan, places: int | None, *, retry: bool) -> str:
    """What a sweep has to do, and how long that takes where so many runs go at a time.

    A run takes the median over finished runs of this sweep, or what the preset's committed one
    took.
    """
    left = len(plan.to_do(retry=retry))
    words = f"{plan.chapter}, preset {plan.preset}: {len(plan.runs)} runs, {left} to do"
    ended = [about for run in plan.runs if (about := results.read_run(plan.path(run)))]
    ended = ended or [results.read_run(chapters.output_folder(plan.chapter, plan.preset, {}))]
    if ended[0] is None:
        return f"{words}; none has been timed yet"
    each = statistics.median(about["seconds"] for about in ended)
    words += f", about {each / 60:.1f} min for each"
    return f"{words}, {each * -(-left // places) / 60:.1f} min in all" if places else words


# --- where a run is executed --------------------------------------------------------------------


def check(plan: Plan) -> None:
    """Refuse to run where the code or the folder is not the sweep's, with :class:`RunError`."""
    now = freshness.digest(chapters.notebook_path(plan.chapter))
    if files := " and ".join(freshness.differences(plan.identity, now)):
        raise RunError(f"{files} changed, or was another one from the start")
    if not results.beside(plan.folder, "new").exists():
        raise RunError(f"it does not see {plan.folder}: choose a shared --output")


def perform(run: Run, plan: Plan, *, timeout: float | None, stop: Callable[[], bool]) -> bool:
    """Execute a run and keep it: finished or failed, it appears whole, in one move.

    Returns
    -------
    bool
        Whether it has finished.

    Raises
    ------
    RunError
        What stops the whole sweep: the code has changed, nobody waits any more, or the folder
        cannot be written.
    """
    check(plan)
    started = time.monotonic()
    try:
        files = chapters.execute(plan.about(run), timeout=timeout, stop=stop)
    except RunError as error:
        if stop():
            raise
        record_failure(plan, run, error, time.monotonic() - started)
        return False
    _keep(plan, plan.path(run), files)
    shutil.rmtree(plan.path(run, "failed"), ignore_errors=True)
    return True


def record_failure(plan: Plan, run: Run, error: RunError, seconds: float = 0.0) -> None:
    """Keep what is known of a failed run, with its notebook as far as it came."""
    status = "timed out" if isinstance(error, OutOfTimeError) else "failed"
    ended = {"status": status, "cell": error.cell, "seconds": round(seconds, 1)}
    said = {"error": " ".join(str(error).split()), "traceback": click.unstyle(error.details)}
    files = {"run.json": results.as_json(plan.about(run) | ended | said)}
    if error.notebook:
        files[f"{plan.chapter}.ipynb"] = chapters.as_bytes(error.notebook)
    _keep(plan, plan.path(run, "failed"), files)


def _keep(plan: Plan, target: Path, files: Mapping[str, bytes]) -> None:
    with writing(plan.folder):
        stage = Path(tempfile.mkdtemp(dir=results.beside(plan.folder, "new")))
        results.write(stage, files)
        target.parent.mkdir(exist_ok=True)
        results.publish(stage, target)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What the system says against writing to a sweep's folder, in words."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}") from error
