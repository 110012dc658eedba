"""What ``winnow sweep`` shows: a preview, the progress, a summary."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from winnow.running.execute import OutOfSpaceError, RunError
from winnow.running.sweep import runs
from winnow.running.sweep.runs import Plan

_SHOWN = 5  # failures told on the screen; the table has all

_MISSING = "sweeps need dask and fastparquet: pip install 'winnow-book[sweep]'"


def sweep(
    chapter: str,
    axes: Mapping[str, str],
    *,
    preset: str,
    seeds: str | None,
    output: Path | None,
    workers: int | None,
    dry_run: bool,
    **options: Any,
) -> None:
    """Plan a sweep, execute what is left of it with a progress bar, write its table, sum it up.

    Parameters
    ----------
    chapter, axes, preset, seeds, output
        See :func:`winnow.running.sweep.runs.plan`.
    workers, **options
        See :func:`winnow.running.sweep.cluster.sweep`.
    dry_run
        Say what would be done, and stop.

    Raises
    ------
    ValueError
        As these, or the packages for sweeps are not installed.
    RunError
        As these, or runs failed.
    """
    if not all(map(importlib.util.find_spec, ("distributed", "fastparquet"))):
        raise ValueError(_MISSING)
    plan = runs.plan(chapter, axes, preset=preset, seeds=seeds, output=output)
    from winnow.running.sweep import cluster  # takes a second, which bad input need not wait for

    console = Console(stderr=True, highlight=False)
    places = None if options.get("scheduler") else workers or cluster.cores()
    if dry_run:
        _preview(Console(highlight=False), plan, places, retry=options["retry"])
        return
    started = time.monotonic()
    bar = _Bar(console)
    try:
        progress = cluster.sweep(plan, workers=workers, on_progress=bar.show, **options)
    except (RunError, KeyboardInterrupt):
        with contextlib.suppress(OutOfSpaceError):  # it must not hide why the sweep ended
            _write_table(plan)
        bar.stop()
        kept = sum(map(plan.done, plan.runs))
        console.print(
            f"{chapter}: {kept} of {len(plan.runs)} runs are kept; repeat the command to go on"
        )
        raise
    finally:
        bar.stop()
    for run, error in progress.failures[:_SHOWN]:
        console.print(f"[red]failed[/] {run.key} ({escape(_point(plan, run))}): {escape(error)}")
    if len(progress.failures) > _SHOWN:
        console.print(f"and {len(progress.failures) - _SHOWN} more")
    done = f"{chapter}: {progress.done} of {progress.total} runs done"
    if progress.finished:
        done += f", {progress.finished} of them now in {_time(time.monotonic() - started)}"
    console.print(done)
    paths = _write_table(plan)
    console.print(f"table: {' and '.join(path.name for path in paths)} in {plan.folder}")
    if progress.failures:
        raise RunError(
            f"{len(progress.failures)} of {progress.total} runs failed; see {plan.folder}/failed, "
            f"and repeat the command with --retry to try them again"
        )


def _write_table(plan: Plan) -> list[Path]:
    from winnow.running.sweep import table

    try:
        return table.write(plan)
    except OSError as error:
        raise OutOfSpaceError(f"cannot write to {plan.folder}: {error.strerror}") from error


def _preview(console: Console, plan: Plan, places: int | None, *, retry: bool) -> None:
    left = len(runs.to_do(plan, retry=retry))
    console.print(f"{plan.chapter}, preset {plan.preset}: {len(plan.runs)} runs, {left} to do")
    for name in plan.varied:
        shown = list(dict.fromkeys(str(run.parameters[name]) for run in plan.runs))
        console.print(f"  {name}: {escape(', '.join(shown))}")
    found = {run.seed: run.parameters.get(runs.SEED) for run in plan.runs}
    if None not in found:
        first, *rest = found.values()
        step = f", each {rest[0] - first} after the last" if rest else ""
        console.print(f"  replicates: {len(found)}, {runs.SEED} from {first}{step}")
    if each := runs.seconds_each(plan):
        seconds, source = each
        console.print(f"  a run takes about {_time(seconds)} ({source})")
        if places:
            total = seconds * -(-left // places)
            console.print(f"  about {_time(total)} in all, {places} at a time")
    else:
        console.print(f"  no run of preset {plan.preset} has been timed yet")
    console.print(f"  into {plan.folder}")


def _point(plan: Plan, run: runs.Run) -> str:
    """A run's place in the grid, in words."""
    shown = {name: run.parameters[name] for name in plan.varied}
    shown |= {} if run.seed is None else {"seed": run.seed}
    return ", ".join(f"{name}={value}" for name, value in shown.items())


def _time(seconds: float) -> str:
    """Seconds as hours, minutes and seconds, without what is small beside the rest."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s" if rest > 1 else f"{seconds:.1f} s"


class _Bar:
    """Runs done, failed, running and time left, on 80 columns; appears with the first run."""

    def __init__(self, console: Console) -> None:
        words = TextColumn("runs, {task.fields[failed]} failed, {task.fields[now]}")
        left = TextColumn("{task.fields[left]}")
        count = (BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*count, words, TimeElapsedColumn(), left, console=console)
        self._task = None

    def show(self, progress: Any) -> None:
        """Draw how far it is."""
        now = f"{progress.running} running" if progress.places else "no workers"
        left = f"{_time(progress.left)} left" if progress.left else ""
        fields = {"failed": progress.failed, "now": now, "left": left}
        if self._task is None:
            if progress.done + progress.failed == progress.total:
                return
            self._progress.start()
            self._task = self._progress.add_task("", total=progress.total, **fields)
        self._progress.update(self._task, completed=progress.done + progress.failed, **fields)

    def stop(self) -> None:
        """Leave the last state on the screen."""
        if self._task is not None:
            self._progress.stop()
