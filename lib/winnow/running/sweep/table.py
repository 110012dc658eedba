"""The tidy table of a sweep, a row for each part of each claim of each run, and a picture of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from winnow import stats
from winnow.reporting import figures, results
from winnow.running import chapters
from winnow.running.errors import in_words
from winnow.running.parameters import choose
from winnow.running.sweep import runs
from winnow.running.sweep.runs import Plan, Run

_MARKERS = "o^sDvP*X"
_MOST = len(figures.COLOURS) * len(_MARKERS)  # lines that can be told apart
_RUN, _END = ["run", "status", "seed"], ["seconds", "error"]
_CLAIM = ["claim", "says", "kind", "verdict", "why"]
_PART = ["part", "role", "estimate", "low", "high", "p", "n", "bar", "outcome"]
_WHOLE = dict.fromkeys(("seed", "n"), "Int64")  # whole numbers, not in every row
_NUMBERS = ("estimate", "low", "high", "p", "seconds")
#: What a point's runs may differ in without being named; all else is a claim, part or parameter.
_REPLICATES = {*_RUN, *_CLAIM, *_PART, *_END, runs.SEED} - {"claim", "part"}


def collect(plan: Plan) -> pd.DataFrame:
    """All runs of a plan in its order, a row for each part of each claim.

    Columns: ``run`` (the name of its folder), ``status`` (``done``, ``failed``, ``timed out``,
    ``not run``), ``seed`` (the replicate), every parameter (lists as texts, ``20,10``; as their
    element where each has one only), the claim's ``claim`` (its id), ``says``, ``kind``,
    ``verdict`` and ``why``, the part's ``part`` (its name), ``role`` (``part`` or ``control``),
    ``estimate``, ``low``, ``high``, ``p``, ``n``, ``bar`` and ``outcome`` (``holds``, …),
    then ``seconds`` and ``error``.
    A parameter with the name of another column is called ``parameter_NAME``. A claim that was not
    tested has one row, without a part; a run that is not done, or that judged nothing, has one
    without a claim.
    """
    used = plan.runs[0].parameters
    lists = [name for name, value in used.items() if isinstance(value, list)]
    short = {name for name in lists if all(len(run.parameters[name]) == 1 for run in plan.runs)}
    rows = [row for run in plan.runs for row in _rows(plan, run, short)]
    order = [*_RUN, *map(_column, used), *_CLAIM, *_PART, *_END]
    frame = pd.DataFrame(rows, columns=order)
    return frame.astype(_WHOLE | dict.fromkeys(_NUMBERS, float))


def _rows(plan: Plan, run: Run, short: set[str]) -> Iterator[dict[str, Any]]:
    about = {"run": run.key, "seed": run.seed, "status": "not run"}
    about |= {_column(k): v[0] if k in short else _plain(v) for k, v in run.parameters.items()}
    if plan.done(run):
        folder = plan.path(run)
        about |= {"status": "done", "seconds": results.read_run(folder)["seconds"]}
        judged = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
        for claim in judged or [{}]:
            said = {"claim": claim.get("id"), **{k: claim.get(k) or None for k in _CLAIM[1:]}}
            for part in _parts(claim) or [{}]:
                yield about | said | part
    elif failure := plan.failure(run):
        yield about | {key: failure[key] for key in ("status", "error", "seconds")}
    else:
        yield about


def _parts(claim: Mapping[str, Any]) -> list[dict[str, Any]]:
    words = {"name": "part", "status": "outcome"}
    return [
        {"role": role, **{words.get(k, k): v for k, v in part.items()}}
        for role in ("part", "control")
        for part in claim.get(f"{role}s", [])
    ]


def _column(parameter: str) -> str:
    taken = parameter in (*_RUN, *_CLAIM, *_PART, *_END)
    return f"parameter_{parameter}" if taken else parameter


def _plain(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, list) else value


def write(plan: Plan) -> list[Path]:
    """Write the table as ``table.csv`` and ``table.parquet``, each whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written; earlier tables stay as they were.
    """
    frame, binary = collect(plan), io.BytesIO()
    binary.close = lambda: None  # fastparquet closes what it is given
    frame.to_parquet(binary, index=False)
    paths = [plan.folder / "table.csv", plan.folder / "table.parquet"]
    for path, data in zip(paths, (frame.to_csv(index=False), binary.getvalue()), strict=True):
        chapters.write_whole(path, data)
    return paths


def read(path: Path) -> pd.DataFrame:
    """A table that :func:`~winnow.running.sweep.table.write` wrote, from either file.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""])  # a word may be NA
        return frame.astype({k: v for k, v in _WHOLE.items() if k in frame})
    except Exception as error:  # a foreign file can raise anything at all
        raise ValueError(f"cannot read {path} as a table: {error}") from error


def select(frame: pd.DataFrame, where: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Rows whose columns have one of the given values, compared as text.

    Raises
    ------
    ValueError
        Unknown column, or no row left.
    """
    for name, wanted in where.items():
        values = frame[_known(frame, name)].astype(str)
        if not values.isin(wanted).any():
            shown = ", ".join(dict.fromkeys(values))
            raise ValueError(f"no row has {name} {' or '.join(wanted)}: there are {shown}")
        frame = frame[values.isin(wanted)]
    return frame


def plot(
    frame: pd.DataFrame, *, x: str, y: str, hue: str | None = None, panel: str | None = None
) -> figures.Figure:
    """A column against another, a line for each value of a third, a panel for each of a fourth.

    Where a point has several replicates it is their mean, with Student's 95 % interval over them.
    A single run shows its part's own interval, if ``y`` is ``estimate``.

    Parameters
    ----------
    frame
        Of :func:`~winnow.running.sweep.table.collect`; rows without a number in ``y`` are left out.
    x, y, hue, panel
        Names of columns; ``y`` holds numbers, and each panel has a scale of its own for them.

    Raises
    ------
    ValueError
        Unknown column, no number in ``y``, more than 80 lines or panels, or points that mix
        claims, parts of them, or values of a parameter.
    """
    columns = [*filter(None, (x, y, hue, panel))]
    for name in columns:
        _known(frame, name)
    if not pd.api.types.is_numeric_dtype(frame[y]):
        raise ValueError(f"{y} holds no numbers: choose one that does for --y")
    frame = frame.dropna(subset=columns)
    if frame.empty:
        raise ValueError(f"no row has a number in {y}: has any run finished?")
    for option, name in (("--hue", hue), ("--panel", panel)):
        if name and (n := frame[name].nunique()) > _MOST:
            raise ValueError(f"{name} has {n} values, {option} takes {_MOST}: choose with --where")
    _check_points(frame, [*filter(None, (x, hue, panel))], y)
    figures.use_style()
    lines = list(frame[hue].unique()) if hue else [""]
    parts = list(frame.groupby(panel, sort=False)) if panel else [("", frame)]
    size = {} if panel else {"width": 7, "height": 4.5}
    figure, axes = figures.rows(len(parts), **size)
    places, words = _places(frame[x])
    gap = min(np.diff(sorted(places.values())), default=1.0)
    apart = gap * (0.15 if words else 0.05)  # so that intervals do not hide each other
    shifts = np.linspace(-apart, apart, len(lines)) if len(lines) > 1 else [0.0]
    drawn = {}
    for (title, part), ax in zip(parts, axes, strict=True):
        ax.set_title(str(title))
        for k, (line, shift) in enumerate(zip(lines, shifts, strict=True)):
            group = part[part[hue] == line] if hue else part
            if len(group):
                style = _style(k, joined=not words)
                drawn[line] = _draw(ax, group, x, y, places, shift, label=str(line), **style)
        if len(places) <= 12:
            shown = [f"{value:g}" if isinstance(value, float) else value for value in places]
            ax.set_xticks(list(places.values()), shown)
    figure.supxlabel(x, fontsize="medium")
    counts = frame.groupby([*filter(None, (x, hue, panel))]).size()
    name = f"{y}\n{_what(counts, y)}"
    figure.supylabel(name, fontsize="medium", multialignment="center")
    if hue:
        # in their order, whatever the panels hold
        _explain(figure, hue, {str(line): drawn[line] for line in lines})
    return figure


def _check_points(frame: pd.DataFrame, named: Sequence[str], y: str) -> None:
    """Refuse points whose rows differ in more than their replicate."""
    others = [name for name in frame if name not in (*named, y, *_REPLICATES)]
    for name in others:
        counts = frame.groupby(named, dropna=False)[name].nunique(dropna=False)
        if (many := counts.max()) > 1:
            raise ValueError(
                f"a point would mix {many} values of {name}: name it with --hue, --panel or --where"
            )


def _explain(figure: figures.Figure, title: str, lines: Mapping[str, Any]) -> None:
    """A legend on the right, in as many columns as it needs, for which the figure grows."""
    fits = int(figure.get_figheight() / 0.25) - 1  # inches of a line; one is the title's
    legend = figure.legend(
        lines.values(), lines.keys(), title=title, ncols=-(-len(lines) // fits),
        loc="outside right center", frameon=False,
    )  # fmt: skip
    taken = legend.get_window_extent().width / figure.dpi
    figure.set_figwidth(figure.get_figwidth() + taken)


def _draw(
    ax: Any, rows: pd.DataFrame, x: str, y: str, places: Mapping, shift: float, **style: Any
) -> Any:
    """A line with its intervals, each point a little beside its place."""
    groups = sorted(rows.groupby(x), key=lambda group: places[group[0]])
    middle, low, high = np.array([_point(group, y) for _, group in groups]).T
    ends = np.clip([middle - low, high - middle], 0, None)
    return ax.errorbar([places[at] + shift for at, _ in groups], middle, ends, capsize=3, **style)


def _style(k: int, *, joined: bool) -> dict[str, str]:
    """How line ``k`` looks: its colour, and where these are used up, its marker."""
    row, column = divmod(k, len(figures.COLOURS))
    look = {"color": figures.COLOURS[column], "marker": _MARKERS[row]}
    return {**look, "linestyle": "-" if joined else "none"}


def _known(frame: pd.DataFrame, name: str) -> str:
    return choose(name, list(frame.columns), "column")


def _places(values: pd.Series) -> tuple[dict[Any, float], bool]:
    """Where each value stands, and whether they are words: side by side, numbers where they are."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return {value: float(value) for value in sorted(values.unique())}, False
    return {value: float(k) for k, value in enumerate(values.unique())}, True


def _what(counts: pd.Series, y: str) -> str:
    """What a point is, given how many runs there are at each."""
    if counts.max() == 1:
        return "95 % interval" if y == "estimate" else "single runs"
    number = counts.min() if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    return f"mean of {number} runs, 95 % interval"


def _point(rows: pd.DataFrame, y: str) -> tuple[float, float, float]:
    values = rows[y].to_numpy(float)
    if len(values) > 1:
        mean = stats.t_interval(values)
        return mean.estimate, mean.low, mean.high
    if (
        y == "estimate"
        and {"low", "high"} <= {*rows}
        and rows[["low", "high"]].notna().all(axis=None)
    ):
        return values[0], float(rows["low"].iloc[0]), float(rows["high"].iloc[0])
    return values[0], values[0], values[0]


def save(figure: figures.Figure, path: Path) -> None:
    """Write a figure, in the kind that the file's name ends in, whole or not at all.

    Raises
    ------
    ValueError
        If no such kind is known, or the file cannot be written.
    """
    data = io.BytesIO()
    kind = path.suffix.removeprefix(".")
    if kind not in figure.canvas.get_supported_filetypes():
        raise ValueError(f"cannot draw a {path.suffix or 'file without a suffix'}: use .png, .svg")
    figure.savefig(data, format=kind, dpi=150)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        chapters.write_whole(path, data.getvalue())
    except OSError as error:
        raise ValueError(f"cannot write {path}: {in_words(error)}") from error
