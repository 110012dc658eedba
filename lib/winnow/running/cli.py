"""The command line: ``winnow list``, ``run``, ``sweep``, ``plot``, ``refresh``, ``claims``."""

import contextlib
import functools
import io
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from winnow import __version__
from winnow.reporting import results
from winnow.running import chapters
from winnow.running.errors import RunError
from winnow.running.parameters import choose
from winnow.running.progress import Display

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


_preset = click.option("--preset", default=chapters.DEFAULT, help="See `winnow list`.  [book]")
_parameters = click.option(
    "-p", "--parameter", "values", multiple=True, callback=_pairs, metavar="NAME=VALUE",
    help="Set a parameter, in a sweep to each of V1,V2,… or start:stop:step; repeatable.",
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="winnow %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def app(debug: bool) -> None:
    """Run the chapters of the book and see their verdicts."""


@app.command("list")
@click.argument("chapter", required=False)
def list_chapters(chapter: str | None) -> None:
    """Show chapters, their parameters and presets."""
    names = [chapters.find_chapter(chapter)] if chapter else chapters.chapters()
    known = {name: chapters.known_parameters(name) for name in names}
    for name in names:
        click.secho(name, bold=True)
        for preset, values in chapters.presets(name).items():
            sets = ", ".join(f"{k}={v}" for k, v in values.items()) or "the defaults below"
            click.echo(f"  preset {click.style(preset, bold=True)}: {sets}")
        rows = [(p.name, p.type, str(p.default), p.help) for p in known[name].values()]
        _print_table(("parameter", "type", "default", "help"), rows)


@app.command("run")
@click.argument("chapter")
@_preset
@_parameters
@click.option("--output", type=_FOLDER, metavar="DIR", help="Folder for the results.")
def run_chapter(chapter: str, preset: str, **options) -> None:
    """Execute CHAPTER and write its notebook, claims, samples, tables and run.json.

    A preset's results go to results/CHAPTER/PRESET, anything else to runs/CHAPTER.
    """
    with Display() as display:
        folder = chapters.run(chapter, preset, on_cell=display.show, **options)
    from winnow.reporting import claims

    _print_verdicts(chapter, preset, claims.read(folder / "claims.json"))
    click.echo(f"{chapter}: written to {folder}", err=True)


@app.command("sweep")
@click.argument("chapter")
@_parameters
@click.option("--seeds", metavar="0:64", help="Replicates, each with networks of its own.")
@_preset
@click.option("--workers", type=click.IntRange(1, 1024), help="Runs at a time, here.  [cores]")
@click.option("--scheduler", metavar="ADDRESS", help="A dask scheduler, such as tcp://host:8786.")
@click.option("--output", type=_FOLDER, metavar="DIR", help="Folder.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds for a run.")
@click.option("--retry", is_flag=True, help="Try runs again that failed before.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and how long it would take.")
@click.option("--collect", is_flag=True, help="Only make the table of what is finished.")
def sweep_chapter(chapter: str, dry_run: bool, collect: bool, **options) -> None:
    """Execute CHAPTER over a grid of parameters; repeat the command to go on where it stopped.

    Runs are kept in runs/CHAPTER/sweep, with one table of all claims: table.csv, table.parquet.
    """
    from winnow.running.sweep import runs

    if options["workers"] and options["scheduler"]:
        raise ValueError("--workers counts cores of this machine: leave it out with --scheduler")
    grid = {name: options.pop(name) for name in ("seeds", "preset", "output")}
    plan = runs.plan(chapter, options.pop("values"), **grid)
    if dry_run:
        places = None if options["scheduler"] else options["workers"] or results.cores()
        click.echo(runs.preview(plan, places, retry=options["retry"]))
    elif collect:
        _write_table(plan)
    else:
        _sweep(plan, **options)


def _sweep(plan: object, **options) -> None:
    """Execute what is left of a sweep, and sum it up, however it ends."""
    try:
        from winnow.running.sweep import cluster
    except ImportError as error:
        raise ValueError(f"{error}: pip install 'winnow-book[sweep]'") from error
    try:
        with Display() as display:
            cluster.sweep(plan, on_progress=functools.partial(display.show, "sweep"), **options)
    except (RunError, KeyboardInterrupt):
        with contextlib.suppress(RunError):  # it must not hide why the sweep ended
            _sum_up(plan)
        raise
    _sum_up(plan)


def _sum_up(plan: object) -> None:
    """Say what has failed and how much is done, and write the table."""
    missing, total = plan.to_do(retry=True), len(plan.runs)
    failures = [(run, about) for run in missing if (about := plan.failure(run))]
    for run, about in failures[:5]:  # the table has all
        click.echo(f"failed {run.key} ({run.place}): {about['error']}", err=True)
    more = "; repeat the command to go on" if len(missing) > len(failures) else ""
    click.echo(f"{plan.chapter}: {total - len(missing)} of {total} runs done{more}", err=True)
    _write_table(plan)
    if failures:
        where = f"see {plan.folder}/failed, and repeat the command with --retry"
        raise RunError(f"{len(failures)} of {total} runs failed; {where} to try them again")


def _write_table(plan: object) -> None:
    from winnow.running.sweep import table

    if plan.folder.exists():  # something came of the sweep
        table.write(plan)
        click.echo(f"table: table.csv and table.parquet in {plan.folder}", err=True)


@app.command("plot")
@click.argument("table", type=_FOLDER)
@click.option("--x", required=True, metavar="COLUMN", help="Column along the horizontal axis.")
@click.option("--y", default="estimate", show_default=True, metavar="COLUMN", help="Numbers.")
@click.option("--hue", metavar="COLUMN", help="A line for each value of this column.")
@click.option("--panel", metavar="COLUMN", help="A panel for each value, with its own scale.")
@click.option("--where", multiple=True, callback=_pairs, metavar="NAME=V1,V2", help="Such rows.")
@click.option("--output", type=_FOLDER, metavar="FILE", help="The picture.")
def plot_table(table: Path, where: dict[str, str], output: Path | None, **columns: object) -> None:
    """Draw a column of a sweep's TABLE against another: means and 95 % intervals over replicates.

    Claims, their parts and parameters with several values are to be named by one of the options.
    """
    from winnow.running.sweep import table as tables

    wanted = {name: text.split(",") for name, text in where.items()}
    chosen = tables.select(tables.read(table), wanted)
    path = output or table.with_name("{y}-{x}.png".format(**columns))
    picture = io.BytesIO()
    figure = tables.plot(chosen, **columns)
    figure.savefig(picture, format=path.suffix[1:], dpi=150, bbox_inches="tight")
    path.parent.mkdir(parents=True, exist_ok=True)
    results.write_whole(path, picture.getvalue())
    click.echo(f"drawn in {path}", err=True)


@app.command("refresh")
@click.argument("chapter", nargs=-1)
@click.option("--jobs", type=click.IntRange(1, 64), default=2, help="Chapters at a time.  [2]")
def refresh_chapters(chapter: tuple[str, ...], jobs: int) -> None:
    """Execute chapters (all by default) as they stand and renew their committed outputs."""
    known, failed = chapters.notebooks(), []
    names = [choose(name, known, "chapter") for name in chapter or known]
    with Display() as display:
        for name, done in chapters.refresh_all(names, jobs=jobs, on_cell=display.show):
            if error := done.exception():
                failed.append(error)
            else:
                display.say(f"{name}: outputs {'renewed' if done.result() else 'as committed'}")
    if failed:
        details = "\n".join(getattr(error, "details", "") for error in failed)
        raise RunError("; ".join(map(str, failed)), details)


@app.command("claims")
@click.argument("chapter", nargs=-1)
@click.option("--preset", help="Only this preset's.")
@click.option("--results", "folder", type=_FOLDER, metavar="DIR", help="Judge these instead.")
@click.option("--recompute", is_flag=True, expose_value=False, help="What happens in any case.")
@click.option("--markdown", is_flag=True, help="Print the tally that README.md holds.")
def show_claims(
    chapter: tuple[str, ...], preset: str | None, folder: Path | None, markdown: bool
) -> None:
    """Derive all verdicts, or those of CHAPTER, from samples.parquet again, and show them.

    Exit 1 where claims.json, or written_for.yaml for the preset book, says something else, and
    where there are no samples. DIR holds one run, or is laid out as results/ is.
    """
    place = folder or chapters.root() / "results"
    names = [chapters.find_chapter(name) for name in chapter]
    folders = {path.parts[-3:-1]: path.parent for path in sorted(place.glob("*/*/claims.json"))}
    if (place / "claims.json").is_file():
        run = results.read_run(place) or {}
        folders = {(run.get("chapter", place.name), run.get("preset", "")): place}
    asked_for = [k for k in folders if (not names or k[0] in names) and preset in (None, k[1])]
    if not asked_for:
        raise ValueError(f"no claims.json of that kind in {place}: run a chapter first")
    if markdown:
        from winnow.reporting import scoreboard

        click.echo(scoreboard.tally_table(scoreboard.collect(place, chapters.chapters())))
    elif wrong := [words for key in asked_for for words in _judge_again(*key, folders[key])]:
        raise RunError("; ".join(wrong))


def _judge_again(chapter: str, preset: str, folder: Path) -> Iterator[str]:
    """Show what follows from a folder's samples; what it says otherwise, or words are written for.

    Numbers may move in the digits that depend on the machine.
    """
    import numpy as np

    from winnow.reporting import claims, sheet

    kept = again = claims.read(folder / "claims.json")
    try:
        again = claims.recompute(chapter, folder)
    except ValueError as error:
        yield f"nothing was compared: {error}"
    _print_verdicts(chapter, preset, again)
    words = sheet.written_for() if preset == chapters.DEFAULT else {}
    before = {claim.id: claim for claim in kept}
    for claim in again:
        was, sides = before[claim.id], (claim, before[claim.id])
        told, said = ([(x.name, x.status, x.n) for x in (*c.parts, *c.controls)] for c in sides)
        found, then = ([(x.estimate, x.low, x.high) for x in c.parts] for c in sides)
        name = f"{chapter} ({preset}) {claim.id} is {claim.verdict} by its samples"
        if claim.verdict != was.verdict:
            yield f"{name}, {was.verdict} in claims.json"
        elif told != said or not np.allclose(found, then, 1e-4, equal_nan=True):
            yield f"{name} and in claims.json, but its parts differ"
        if claim.verdict != (said := words.get(claim.id, claim.verdict)):
            yield f"{name}, {said} in written_for.yaml"


def _print_verdicts(chapter: str, preset: str, judged: Sequence[object]) -> None:
    """A table of claims."""
    from winnow.reporting import claims

    colours = dict(zip(claims.VERDICTS, ("green", "yellow", "magenta", "red", None), strict=True))
    rows = []
    for c in judged:
        n, shown = (c.part.n, claims.interval(c.part)) if c.part else ("–", "–")
        says = "; ".join(filter(None, (c.says, c.counts(), c.why)))
        rows.append((c.id, click.style(c.verdict, colours[c.verdict]), n, shown, says))
    click.echo(f"{chapter}, preset {preset}: {claims.tally(judged)}")
    _print_table(("id", "verdict", "n", "estimate [95 % interval]", "claim"), rows)


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table whose last column wraps."""
    from tabulate import tabulate

    width = max(30, shutil.get_terminal_size((160, 0)).columns - 90)
    widths = [*[None] * (len(headings) - 1), width]
    click.echo(tabulate(rows, headings, "plain", maxcolwidths=widths, disable_numparse=True) + "\n")


def main() -> None:
    """Entry point: one line on standard error for every error, and its exit code.

    2 for bad input; 1 for a run that failed or was interrupted, for verdicts that do not follow,
    and for whatever else goes wrong.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(errors="replace")  # a word must not end a command that cannot print it
    debug, words = "--debug" in sys.argv, [word for word in sys.argv[1:] if word != "--debug"]
    try:
        sys.exit(app(words or ["--help"], standalone_mode=False) or 0)
    except click.ClickException as error:
        code, message = 2, error.format_message()
    except (KeyboardInterrupt, click.exceptions.Abort):
        code, message = 1, "interrupted; earlier results are untouched"
    except Exception as error:
        code, message = 2 if isinstance(error, ValueError) else 1, str(error)
        details = getattr(error, "details", "")
        if not isinstance(error, ValueError | RunError):
            message, details = f"{type(error).__name__}: {error}", traceback.format_exc()
        if debug:
            print(details or traceback.format_exc(), file=sys.stderr)
        elif details:
            message += " (--debug shows where)"
    print(f"winnow: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
