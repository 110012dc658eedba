"""The command line: ``winnow list``, ``run``, ``sweep``, ``plot``, ``refresh``, ``claims``."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from winnow import __version__
from winnow.reporting import results
from winnow.running import chapters
from winnow.running.errors import OutOfSpaceError, RunError, in_words
from winnow.running.parameters import choose
from winnow.running.progress import Display, duration

if TYPE_CHECKING:  # claims bring pandas and scipy; bad input is answered without that wait
    from winnow.reporting.claims import Claim

    Found = dict[tuple[str, str], list[Claim]]  # by chapter and preset

_COLOURS = {
    "reproduced": "green",
    "partly reproduced": "yellow",
    "not reproduced": "red",
    "undecided": "magenta",
    "not tested": "dim",
}
_FOLDER = click.Path(path_type=Path, resolve_path=True)


def _pairs(context: click.Context, option: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    """Names and values of an option that is given several times."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ValueError(f"{option.opts[0]} takes NAME=VALUE, got {text!r}")
        if name in found:
            raise ValueError(f"{option.opts[0]} {name} is given twice: {found[name]} and {value}")
        found[name] = value
    return found


_preset = click.option(
    "--preset", default=chapters.DEFAULT, show_default=True, help="See `winnow list`."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="winnow %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def app(debug: bool) -> None:
    """Run the chapters of the book and see their verdicts."""


@app.command("list")
@click.argument("chapter", required=False)
def list_chapters(chapter: str | None) -> None:
    """Show chapters, their parameters, presets and last verdicts."""
    names = [chapters.find_chapter(chapter)] if chapter else chapters.chapters()
    known = {name: chapters.known_parameters(name) for name in names}
    from winnow.reporting import claims

    found = claims.read_all(chapters.root() / "results")
    for name in names:
        click.secho(name, bold=True)
        for preset, values in chapters.presets(name).items():
            sets = ", ".join(f"{k}={v}" for k, v in values.items()) or "the defaults below"
            click.echo(f"  preset {click.style(preset, bold=True)}: {sets}")
            judged = found.get((name, preset))
            click.echo(f"    {claims.tally(judged) if judged else 'no results yet'}")
        rows = [(p.name, p.type, str(p.default), p.help) for p in known[name].values()]
        _print_table(("parameter", "type", "default", "help"), rows)


@app.command("run")
@click.argument("chapter")
@_preset
@click.option(
    "-p", "--parameter", "values", multiple=True, callback=_pairs, metavar="NAME=VALUE",
    help="Set a parameter; repeatable.",
)  # fmt: skip
@click.option("--output", type=_FOLDER, metavar="DIR", help="Folder for the results.")
def run_chapter(chapter: str, preset: str, **options: Any) -> None:
    """Execute CHAPTER and write its notebook, claims, samples, tables and run.json.

    A preset's results go to results/CHAPTER/PRESET, anything else to runs/CHAPTER.
    """
    started = time.monotonic()
    with Display() as display:
        options["on_cell"] = lambda done, total: display.show(chapter, done, total, "cells")
        folder = chapters.run(chapter, preset=preset, on_line=display.say, **options)
    from winnow.reporting import claims

    _print_verdicts({(chapter, preset): claims.read(folder / "claims.json")}, {})
    click.echo(f"{chapter}: {time.monotonic() - started:.0f} s, written to {folder}", err=True)


@app.command("sweep")
@click.argument("chapter")
@click.option(
    "-p", "--parameter", "axes", multiple=True, callback=_pairs, metavar="NAME=V1,V2,…",
    help="Values of a parameter, or start:stop:step without the stop; repeatable.",
)  # fmt: skip
@click.option("--seeds", metavar="0:64", help="Replicates, each with networks of its own.")
@_preset
@click.option("--workers", type=click.IntRange(1, 1024), help="Runs at a time, here.  [cores]")
@click.option("--scheduler", metavar="ADDRESS", help="A dask scheduler, such as tcp://host:8786.")
@click.option("--output", type=_FOLDER, metavar="DIR", help="Folder.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds for a run.")
@click.option("--retry", is_flag=True, help="Try runs again that failed before.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and how long it would take.")
@click.option("--collect", is_flag=True, help="Only make the table of what is finished.")
def sweep_chapter(chapter: str, dry_run: bool, collect: bool, **options: Any) -> None:
    """Execute CHAPTER over a grid of parameters; repeat the command to go on where it stopped.

    Runs are kept in runs/CHAPTER/sweep, with one table of all claims: table.csv, table.parquet.
    """
    from winnow.running.sweep import runs

    if options["workers"] and options["scheduler"]:
        raise ValueError("--workers counts cores of this machine: leave it out with --scheduler")
    runs.require_packages()
    grid = {name: options.pop(name) for name in ("axes", "seeds", "preset", "output")}
    if collect and not grid["axes"] and grid["seeds"] is None:
        plan = runs.find(chapter, grid["output"])
    else:
        plan = runs.plan(chapter, **grid)
    if dry_run:
        places = None if options["scheduler"] else options["workers"] or results.cores()
        click.echo("\n".join(runs.preview(plan, places, retry=options["retry"])))
    elif collect:
        _write_table(plan)
    else:
        _sweep(plan, **options)


def _sweep(plan: Any, **options: Any) -> None:
    """Execute what is left of a sweep, write its table, sum it up."""
    from winnow.running.sweep import cluster

    started, total = time.monotonic(), len(plan.runs)
    try:
        with Display() as display:
            now = cluster.sweep(
                plan, on_progress=lambda *step: display.show("sweep", *step), **options
            )
    except (RunError, KeyboardInterrupt):
        with contextlib.suppress(RunError):  # it must not hide why the sweep ended
            _write_table(plan)
        kept = sum(map(plan.done, plan.runs))
        click.echo(
            f"{plan.chapter}: {kept} of {total} runs are kept; repeat the command to go on",
            err=True,
        )
        raise
    failures = [(run, plan.failure(run)) for run in plan.to_do(retry=True)]
    for run, about in failures[:5]:  # the table has all
        click.echo(f"failed {run.key} ({plan.place(run)}): {about['error']}", err=True)
    if len(failures) > 5:
        click.echo(f"and {len(failures) - 5} more", err=True)
    took = f", {now} of them now in {duration(time.monotonic() - started)}" if now else ""
    click.echo(f"{plan.chapter}: {total - len(failures)} of {total} runs done{took}", err=True)
    _write_table(plan)
    if failures:
        raise RunError(
            f"{len(failures)} of {total} runs failed; see {plan.folder}/failed, "
            "and repeat the command with --retry to try them again"
        )


def _write_table(plan: Any) -> None:
    from winnow.running.sweep import table

    if not plan.folder.exists():  # nothing came of the sweep
        return
    try:
        table.write(plan)
    except OSError as error:
        raise OutOfSpaceError(f"cannot write to {plan.folder}: {in_words(error)}") from error
    click.echo(f"table: table.csv and table.parquet in {plan.folder}", err=True)


@app.command("plot")
@click.argument("table", type=_FOLDER)
@click.option("--x", required=True, metavar="COLUMN", help="Column along the horizontal axis.")
@click.option("--y", default="estimate", show_default=True, metavar="COLUMN", help="Numbers.")
@click.option("--hue", metavar="COLUMN", help="A line for each value of this column.")
@click.option("--panel", metavar="COLUMN", help="A panel for each value, with its own scale.")
@click.option(
    "--where", multiple=True, callback=_pairs, metavar="NAME=V1,V2,…",
    help="Only such rows; repeatable.",
)  # fmt: skip
@click.option("--output", type=_FOLDER, metavar="FILE", help="The picture.")
def plot_table(table: Path, where: dict[str, str], output: Path | None, **columns: Any) -> None:
    """Draw a column of a sweep's TABLE against another: means and 95 % intervals over replicates.

    Claims, their parts and parameters with several values are to be named by one of the options.
    """
    from winnow.running.sweep import table as tables

    wanted = {name: text.split(",") for name, text in where.items()}
    chosen = tables.select(tables.read(table), wanted)
    path = output or table.with_name("{y}-{x}.png".format(**columns))
    tables.save(tables.plot(chosen, **columns), path)
    click.echo(f"drawn in {path}", err=True)


@app.command("refresh")
@click.argument("chapter", nargs=-1)
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Chapters at a time."
)
def refresh_chapters(chapter: tuple[str, ...], jobs: int) -> None:
    """Execute chapters (all by default) as they stand and renew their committed outputs."""
    known, failed = chapters.notebooks(), []
    names = [choose(name, known, "chapter") for name in chapter or known]
    with Display() as display:
        steps = {"on_cell": lambda *step: display.show(*step, "cells")}
        for name, seconds, outcome in chapters.refresh_all(names, jobs=jobs, **steps):
            if isinstance(outcome, Exception):
                failed.append(outcome)
            else:
                word = "outputs renewed" if outcome else "outputs as committed"
                display.say(f"{name}: {seconds:.0f} s, {word}")
    if failed:
        details = "\n".join(getattr(error, "details", "") for error in failed)
        raise RunError("; ".join(map(str, failed)), details)


@app.command("claims")
@click.argument("chapter", nargs=-1)
@click.option("--preset", help="Only this preset's.")
@click.option(
    "--results",
    "folder",
    type=_FOLDER,
    metavar="DIR",
    help="Judge these results, of one run or laid out as results/ is, instead of results/ itself.",
)
@click.option("--recompute", is_flag=True, help="Derive verdicts from samples.parquet first.")
@click.option("--markdown", is_flag=True, help="Print the tally that README.md holds.")
def show_claims(
    chapter: tuple[str, ...], preset: str | None, folder: Path | None, **how: bool
) -> None:
    """Show the scoreboard, or CHAPTER's part of it; exit 1 where a verdict differs from the commit.

    Also where nothing could be compared.
    """
    place = folder or chapters.root() / "results"
    names = [chapters.find_chapter(name) for name in chapter]
    from winnow.reporting import claims

    def chosen(found: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
        keys = [key for key in found if not names or key[0] in names]
        return {key: found[key] for key in keys if preset in (None, key[1])}

    files = sorted(place.glob("*/*/claims.json"))
    folders = {path.parts[-3:-1]: path.parent for path in files}
    if (place / "claims.json").is_file():
        run = results.read_run(place) or {}
        folders = {(run.get("chapter", place.name), run.get("preset", "")): place}
    folders = chosen(folders)
    if not folders:
        raise ValueError(f"no claims.json of that kind in {place}: run a chapter first")
    found = {
        key: claims.recompute(key[0], of_run) if how["recompute"]
        else claims.read(of_run / "claims.json")
        for key, of_run in folders.items()
    }  # fmt: skip
    if how["markdown"]:
        from winnow.reporting import scoreboard

        click.echo(scoreboard.tally_table(scoreboard.tidy(found, chapters.chapters())))
        return
    try:
        texts = chosen(results.committed_claims(chapters.root()))
        committed = {key: claims.from_json(text) for key, text in texts.items()}
    except (LookupError, ValueError) as error:
        _print_verdicts(found, {})
        raise RunError(f"nothing was compared with the last commit: {error}") from error
    if folder is None:  # what is committed and gone has changed too
        found = {key: [] for key in committed} | found
    _print_verdicts(found, committed)
    if not found.keys() & committed.keys():
        raise RunError("nothing was compared: the last commit holds no claims of these results")
    if changed := _changed(found, committed):
        raise RunError(f"verdicts changed: {', '.join(changed)}")


def _changed(found: Found, committed: Found) -> list[str]:
    """Claims whose verdict is not the committed one, in words."""
    changed = []
    for (chapter, preset), before in committed.items():
        now = {c.id: c.verdict for c in found.get((chapter, preset), before)}
        for c in before:
            if (verdict := now.get(c.id, "missing")) != c.verdict:
                changed.append(f"{chapter} ({preset}) {c.id} is now {verdict}, was {c.verdict}")
    return changed


def _print_verdicts(found: Found, committed: Found) -> None:
    from rich.text import Text

    from winnow.reporting import claims

    for (chapter, preset), judged in found.items():
        before = {c.id: c.verdict for c in committed.get((chapter, preset), [])}
        rows = []
        for c in judged:
            was = before.get(c.id, c.verdict)
            verdict = Text(c.verdict, _COLOURS[c.verdict])
            verdict += Text("" if was == c.verdict else f" (was {was})")
            n, shown = (str(c.part.n), claims.interval(c.part)) if c.part else ("–", "–")
            says = "; ".join(filter(None, (c.says, c.counts(), c.why)))
            rows.append((c.id, verdict, n, shown, says))
        click.echo(f"{chapter}, preset {preset}: {claims.tally(judged)}")
        _print_table(("id", "verdict", "n", "estimate [95 % interval]", "claim"), rows)


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table that fits into the terminal; its last column wraps first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=heading in ("id", "verdict", "n", "parameter"))
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    Console().print(table)


def _terminate(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point: one line on standard error for every error, and its exit code.

    2 for bad input; 1 for a run that failed or was interrupted, for changed verdicts, and for
    whatever else goes wrong.
    """
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a word must not end a command that cannot print it
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
    except Exception as error:
        expected = isinstance(error, ValueError | RunError)
        message = str(error) if expected else f"{type(error).__name__}: {error}"
        details = getattr(error, "details", "") or ("" if expected else traceback.format_exc())
        if debug:
            print(details or traceback.format_exc(), file=sys.stderr)
        elif details:
            message += " (--debug shows where)"
        code = _say(message, 2 if isinstance(error, ValueError) else 1)
    sys.exit(code or 0)


def _say(message: str, code: int) -> int:
    print(f"winnow: {' '.join(message.split())}", file=sys.stderr)
    return code
