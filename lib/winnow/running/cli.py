"""The command line: ``winnow list``, ``run``, ``sweep``, ``plot``, ``refresh``, ``claims``."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from winnow import __version__
from winnow.reporting import results
from winnow.running import chapters

if TYPE_CHECKING:  # claims bring torch and scipy; bad input is answered without that wait
    from winnow.reporting import claims

_COLOURS = {
    "reproduced": "green",
    "partly reproduced": "yellow",
    "not reproduced": "red",
    "not tested": "dim",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="winnow %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def app(debug: bool) -> None:
    """Run the chapters of the book and see their verdicts."""


@app.command("list")
@click.argument("chapter", required=False)
def list_chapters(chapter: str | None) -> None:
    """Show chapters, their parameters, presets and last verdicts."""
    from winnow.reporting import claims

    console = Console()
    shown = [chapters.find_chapter(chapter)] if chapter else chapters.chapters()
    found = results.read_claims(chapters.root() / "results")
    for name in shown:
        console.print(f"[bold]{name}[/bold]")
        for preset, values in chapters.presets(name).items():
            verdicts = found.get((name, preset))
            last = claims.tally(verdicts) if verdicts else "no results yet"
            sets = ", ".join(f"{k}={v}" for k, v in values.items()) or "the defaults below"
            console.print(f"  preset [bold]{preset}[/bold]: {escape(sets)}", highlight=False)
            console.print(f"    {last}", highlight=False)
        table = Table("parameter", "type", "default", "help", box=None, padding=(0, 2))
        for p in chapters.parameters(name).values():
            table.add_row(p.name, escape(p.type), escape(str(p.default)), escape(p.help))
        console.print(table)


@app.command("run")
@click.argument("chapter")
@click.option("--preset", default=chapters.DEFAULT, show_default=True, help="See `winnow list`.")
@click.option(
    "-p", "--parameter", multiple=True, metavar="NAME=VALUE", help="Set a parameter; repeatable."
)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder for the results."
)
def run_chapter(chapter: str, preset: str, parameter: tuple[str, ...], output: Path | None) -> None:
    """Execute CHAPTER and write its notebook, claims, tables and run.json.

    A preset's results go to results/CHAPTER/PRESET, anything else to runs/CHAPTER.
    """
    values = dict(_split(text) for text in parameter)
    chapters.resolve(chapter, preset, values)
    # What the end of the run needs loads while the kernel works.
    threading.Thread(target=_preload, daemon=True).start()
    started = time.monotonic()
    with _progress() as progress:
        folder = chapters.run(
            chapter,
            preset=preset,
            values=values,
            output=output.resolve() if output else None,
            on_cell=_follow(progress, chapter),
            on_line=lambda line: progress.console.print(line, highlight=False, markup=False),
        )
    from winnow.reporting import claims

    found = claims.from_json((folder / "claims.json").read_text())
    _scoreboard({(chapter, preset): found}, {})
    Console(stderr=True).print(
        f"{chapter}: {time.monotonic() - started:.0f} s, written to {folder}", highlight=False
    )


@app.command("sweep")
@click.argument("chapter")
@click.option(
    "-p", "--parameter", multiple=True, metavar="NAME=V1,V2,…",
    help="Values of a parameter, or start:stop:step without the stop; repeatable.",
)  # fmt: skip
@click.option("--seeds", metavar="0:64", help="Replicates, each with networks of its own.")
@click.option("--preset", default=chapters.DEFAULT, show_default=True, help="See `winnow list`.")
@click.option("--workers", type=click.IntRange(1, 1024), help="Runs at a time, here.  [cores]")
@click.option("--scheduler", metavar="ADDRESS", help="A dask scheduler, such as tcp://host:8786.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds for a run.")
@click.option("--retry", is_flag=True, help="Try runs again that failed before.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and how long it would take.")
def sweep_chapter(
    chapter: str,
    parameter: tuple[str, ...],
    seeds: str | None,
    preset: str,
    workers: int | None,
    scheduler: str | None,
    output: Path | None,
    timeout: float | None,
    retry: bool,
    dry_run: bool,
) -> None:
    """Execute CHAPTER over a grid of parameters; repeat the command to go on where it stopped.

    Runs are kept in runs/CHAPTER/sweep, with one table of all claims: table.csv, table.parquet.
    """
    from winnow.running.sweep import sweeping

    axes: dict[str, str] = {}
    for name, text in map(_split, parameter):
        if name in axes:
            raise ValueError(f"-p {name} is given twice: write {name}={axes[name]},{text}")
        axes[name] = text
    if workers and scheduler:
        raise ValueError("--workers counts cores of this machine: leave it out with --scheduler")
    sweeping.sweep(
        chapter, axes, preset=preset, seeds=seeds, output=output, workers=workers,
        scheduler=scheduler, timeout=timeout, retry=retry, dry_run=dry_run,
    )  # fmt: skip


@app.command("plot")
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--x", required=True, metavar="COLUMN", help="Column along the horizontal axis.")
@click.option("--y", default="estimate", show_default=True, metavar="COLUMN", help="Numbers.")
@click.option("--hue", metavar="COLUMN", help="A line for each value of this column.")
@click.option("--panel", metavar="COLUMN", help="A panel for each value, with its own scale.")
@click.option("--where", multiple=True, metavar="NAME=V1,V2,…", help="Only such rows; repeatable.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="The picture.")
def plot_table(
    table: Path,
    x: str,
    y: str,
    hue: str | None,
    panel: str | None,
    where: tuple[str, ...],
    output: Path | None,
) -> None:
    """Draw a column of a sweep's TABLE against another: means and 95 % intervals over runs."""
    from winnow.running.sweep import table

    wanted = {name: text.split(",") for name, text in (_split(w, "--where") for w in where)}
    chosen = table.select(table.read(table), wanted)
    path = (output or table.with_name(f"{y}-{x}.png")).resolve()
    table.save(table.plot(chosen, x=x, y=y, hue=hue, panel=panel), path)
    Console(stderr=True).print(f"drawn in {path}", highlight=False)


@app.command("refresh")
@click.argument("chapter", nargs=-1)
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Chapters at a time."
)
def refresh_chapters(chapter: tuple[str, ...], jobs: int) -> None:
    """Execute chapters (all by default) as they stand and renew their committed outputs."""
    names = [
        chapters.find_notebook(name)
        for name in chapter or chapters.chapters() + chapters.summaries()
    ]
    last = [name for name in names if name in chapters.summaries()]  # they read what others write
    rounds = [[name for name in names if name not in last], last]
    failed: list[chapters.RunError] = []
    with _progress() as progress:
        show = {name: _follow(progress, name) for name in names}
        refreshed = (
            chapters.refresh_all(some, jobs=jobs, on_cell=lambda n, *x: show[n](*x))
            for some in rounds
        )
        for name, done in itertools.chain.from_iterable(refreshed):
            if isinstance(done, chapters.RunError):
                failed.append(done)
                continue
            seconds, changed = done
            word = "outputs renewed" if changed else "outputs as committed"
            progress.console.print(f"{name}: {seconds:.0f} s, {word}", highlight=False)
    if failed:
        details = "\n".join(error.details for error in failed)
        raise chapters.RunError("; ".join(map(str, failed)), details)


@app.command("claims")
@click.option(
    "--results",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Judge these results, laid out as results/ is, instead of results/ itself.",
)
@click.option("--markdown", is_flag=True, help="Print the table that README.md holds.")
def show_claims(folder: Path | None, markdown: bool) -> None:
    """Show the scoreboard; exit 1 where a verdict differs from the committed one."""
    home = chapters.root()
    committed_at = home / "results"
    found = results.read_claims((folder or committed_at).resolve())
    if not found:
        raise ValueError(f"no claims.json below {folder or committed_at}: run a chapter first")
    if markdown:
        from winnow.reporting import scoreboard

        click.echo(scoreboard.readme_table(found, chapters.chapters()))
        return
    committed = results.committed_claims(home, committed_at)
    if folder is None:  # what is committed and gone has changed too
        found = {key: [] for key in committed} | found
    changed = _scoreboard(found, committed)
    if changed:
        raise chapters.RunError(f"verdicts changed: {', '.join(changed)}")


def _scoreboard(
    found: dict[tuple[str, str], list[claims.Claim]],
    committed: dict[tuple[str, str], list[claims.Claim]],
) -> list[str]:
    """Print the verdicts; give the claims whose verdict is not the committed one."""
    from winnow.reporting import claims

    console, changed = Console(), []
    for (chapter, preset), verdicts in found.items():
        before = {c.id: c.verdict for c in committed.get((chapter, preset), [])}
        now = {c.id: c.verdict for c in verdicts}
        table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
        table.title = f"{chapter}, preset {preset}: {claims.tally(verdicts)}"
        for heading in ("id", "verdict", "n"):
            table.add_column(heading, no_wrap=True)
        table.add_column("estimate [95 % interval]")
        table.add_column("claim")
        for c in verdicts:
            was = before.get(c.id, c.verdict)
            note = "" if was == c.verdict else f" (was {was})"
            shown = f"[{_COLOURS[c.verdict]}]{c.verdict}[/]{note}"
            table.add_row(c.id, shown, str(c.n), escape(claims.interval(c)), escape(c.claim))
        console.print(table)
        changed += [
            f"{chapter} ({preset}) {id} is now {now.get(id, 'missing')}, was {verdict}"
            for id, verdict in before.items()
            if now.get(id) != verdict
        ]
    return changed


def _split(text: str, option: str = "-p") -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{option} takes NAME=VALUE, got {text!r}")
    return name, value


def _preload() -> None:
    # Torch first and whole: scipy fails where it meets a torch that another thread half imported.
    for name in ("torch", "winnow.reporting.claims"):
        importlib.import_module(name)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """A progress display that appears with its first task, so that bad input shows none."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("cells"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    try:
        yield progress
    finally:
        if progress.live.is_started:  # stopping what never started prints an empty line
            progress.stop()


def _follow(progress: Progress, name: str) -> chapters.OnCell:
    tasks: list[TaskID] = []

    def on_cell(done: int, total: int) -> None:
        if not tasks:
            progress.start()
            tasks.append(progress.add_task(name, total=total))
        progress.update(tasks[0], completed=done)

    return on_cell


def _terminate(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point: one line on standard error for every error, and its exit code.

    2 for bad input, 1 for a run that failed or was interrupted and for changed verdicts.
    """
    signal.signal(signal.SIGTERM, _terminate)
    debug = "--debug" in sys.argv
    words = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        code = app(words, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = 2
    except click.ClickException as error:
        code = _say(error.format_message(), 2)
    except (KeyboardInterrupt, click.exceptions.Abort):
        code = _say("interrupted; earlier results are untouched", 1)
    except ValueError as error:
        if debug:
            raise
        code = _say(str(error), 2)
    except chapters.RunError as error:
        if debug:
            print(error.details, file=sys.stderr)
        hint = " (--debug shows where)" if error.details and not debug else ""
        code = _say(f"{error}{hint}", 1)
    sys.exit(code or 0)


def _say(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"winnow: {line}", file=sys.stderr)
    return code
