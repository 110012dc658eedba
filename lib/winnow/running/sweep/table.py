"""The tidy table of a sweep, a row for each part of each claim of each run, and a picture of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import cycler

from winnow import stats
from winnow.reporting import figures, results
from winnow.running.errors import in_words
from winnow.running.parameters import choose
from winnow.running.sweep import runs
from winnow.running.sweep.runs import Plan, Run

_LOOKS = [*cycler(marker=[*"o^sDvP*X"]) * cycler(color=figures.COLOURS)]  #: of lines
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
    for name, value in run.parameters.items():
        plain = ",".join(map(str, value)) if isinstance(value, list) else value
        about[_column(name)] = value[0] if name in short else plain
    if plan.done(run):
        folder = plan.path(run)
        about |= {"status": "done", "seconds": results.read_run(folder)["seconds"]}
        judged = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
        for claim in judged or [{}]:
            said = {"claim": claim.get("id"), **{k: claim.get(k) or None for k in _CLAIM[1:]}}
            parts = [("part", part) for part in claim.get("parts", [])]
            parts += [("control", part) for part in claim.get("controls", [])]
            for role, part in parts or [(None, {})]:
                named = {"part": part.get("name"), "outcome": part.get("status"), "role": role}
                yield about | said | {k: v for k, v in part.items() if k in _PART} | named
    elif failure := plan.failure(run):
        yield about | {key: failure[key] for key in ("status", "error", "seconds")}
    else:
        yield about


def _column(parameter: str) -> str:
    taken = parameter in (*_RUN, *_CLAIM, *_PART, *_END)
    return f"parameter_{parameter}" if taken else parameter


def write(plan: Plan) -> None:
    """Write the table as ``table.csv`` and ``table.parquet``, each whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written; earlier tables stay as they were.
    """
    frame, binary = collect(plan), io.BytesIO()
    binary.close = lambda: None  # fastparquet closes what it is given
    frame.to_parquet(binary, index=False)
    text = results.as_bytes(frame.to_csv(index=False))
    for name, data in (("table.csv", text), ("table.parquet", binary.getvalue())):
        results.write_whole(plan.folder / name, data)


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
        values = frame[choose(name, list(frame), "column")].astype(str)
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
    columns = [choose(name, list(frame), "column") for name in (x, y, hue, panel) if name]
    if not pd.api.types.is_numeric_dtype(frame[y]):
        raise ValueError(f"{y} holds no numbers: choose one that does for --y")
    frame = frame.dropna(subset=columns)
    if frame.empty:
        raise ValueError(f"no row has a number in {y}: has any run finished?")
    for option, name in (("--hue", hue), ("--panel", panel)):
        if name and (n := frame[name].nunique()) > (most := len(_LOOKS)):
            raise ValueError(f"{name} has {n} values, {option} takes {most}: choose with --where")
    points = [*filter(None, (x, hue, panel))]
    _check_points(frame, points, y)
    figures.use_style()
    panels = list(frame.groupby(panel, sort=False)) if panel else [("", frame)]
    figure, axes = figures.rows(len(panels), **({} if panel else {"width": 7, "height": 4.5}))
    lines = list(frame[hue].unique()) if hue else [""]
    number = pd.api.types.is_numeric_dtype(frame[x]) and frame[x].dtype != bool
    places = {v: float(v) if number else k for k, v in enumerate(frame[x].unique())}
    width = 0.01 * np.ptp([*places.values()])
    shifts = width * (np.arange(len(lines)) - (len(lines) - 1) / 2)  # or intervals hide each other
    drawn = {}
    for (title, part), ax in zip(panels, axes, strict=True):
        ax.set_title(str(title))
        for line, look, shift in zip(lines, _LOOKS, shifts, strict=False):
            rows = part[part[hue] == line] if hue else part
            if len(rows):
                groups = list(rows.groupby(x, sort=bool(number)))
                middle, low, high = np.array([_point(group, y) for _, group in groups]).T
                at = [places[value] + shift for value, _ in groups]
                ends = np.clip([middle - low, high - middle], 0, None)
                style = {**look, "linestyle": "-" if number else "none", "label": line}
                drawn[str(line)] = ax.errorbar(at, middle, ends, capsize=3, **style)
        if not number:
            ax.set_xticks([*places.values()], map(str, places))
    figure.supxlabel(x, fontsize="medium")
    counts = frame.groupby(points).size()
    figure.supylabel(f"{y}\n{_what(counts, y)}", fontsize="medium", multialignment="center")
    if hue:
        _explain(figure, hue, drawn)
    return figure


def _check_points(frame: pd.DataFrame, named: Sequence[str], y: str) -> None:
    """Refuse points whose rows differ in more than their replicate."""
    others = [name for name in frame if name not in (*named, y, *_REPLICATES)]
    counts = frame.groupby(named, dropna=False)[others].nunique(dropna=False).max()
    for name, many in counts.items():
        if many > 1:
            raise ValueError(
                f"a point would mix {many} values of {name}: name it with --hue, --panel or --where"
            )


def _explain(figure: figures.Figure, title: str, lines: Mapping[str, Any]) -> None:
    """A legend on the right, in as many columns as it needs, for which the figure grows."""
    fits = int(figure.get_figheight() / 0.25) - 1  # inches of a line; one is the title's
    place = {"loc": "outside right center", "ncols": -(-len(lines) // fits), "frameon": False}
    legend = figure.legend(lines.values(), lines.keys(), title=title, **place)
    taken = legend.get_window_extent().width / figure.dpi
    figure.set_figwidth(figure.get_figwidth() + taken)


def _what(counts: pd.Series, y: str) -> str:
    """What a point is, given how many runs there are at each."""
    if counts.max() == 1:
        return "95 % interval" if y == "estimate" else "single runs"
    number = counts.min() if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    return f"mean of {number} runs, 95 % interval"


def _point(rows: pd.DataFrame, y: str) -> tuple[float, float, float]:
    """A mean with its interval; of a single run its own, if it has one."""
    if len(rows) > 1:
        mean = stats.t_interval(rows[y].to_numpy(float))
        return mean.estimate, mean.low, mean.high
    columns = ["low", "high"] if y == "estimate" and {"low", "high"} <= {*rows} else [y, y]
    value, ends = float(rows[y].iloc[0]), rows[columns].iloc[0].astype(float)
    return value, *ends.fillna(value)


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
        results.write_whole(path, data.getvalue())
    except OSError as error:
        raise ValueError(f"cannot write {path}: {in_words(error)}") from error
