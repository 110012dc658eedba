"""The tidy table of a sweep, a row for each claim of each run, and a picture of it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from winnow import claims, plots, results, runs, stats, sweeps
from winnow.sweeps import Plan, Run

_ABOUT = ["run", "status", "seed", "seconds", "error"]
_CLAIM = {"id": "claim", "claim": "statement"}  # the id is what one groups by
_FIELDS = [_CLAIM.get(f.name, f.name) for f in dataclasses.fields(claims.Claim)]


def collect(plan: Plan) -> pd.DataFrame:
    """All runs of a plan in its order, a row for each claim.

    Columns: ``run`` (the name of its folder), ``status`` (``done``, ``failed``, ``timed out``,
    ``not run``), ``seed`` (the replicate), every parameter (lists as texts, ``20,10``), the
    claim's ``claim`` (its id), ``statement``, ``source``, ``statistic``, ``estimate``, ``low``,
    ``high``, ``n``, ``null``, ``criterion`` and ``verdict``, then ``seconds`` and ``error``.
    A parameter with the name of another column is called ``parameter_NAME``. A run that is not
    done has one row, without a claim.
    """
    rows = [row for run in plan.runs for row in _rows(plan, run)]
    used = plan.runs[0].parameters
    order = ["run", "status", "seed", *map(_column, used), *_FIELDS, "seconds", "error"]
    frame = pd.DataFrame(rows, columns=order)
    whole = {"seed": "Int64", "n": "Int64"}  # may be missing
    numbers = dict.fromkeys(("estimate", "low", "high", "seconds"), float)
    return frame.astype(whole | numbers)


def _rows(plan: Plan, run: Run) -> list[dict[str, Any]]:
    about = {"run": run.key, "seed": run.seed}
    about |= {_column(k): _plain(v) for k, v in run.parameters.items()}
    if plan.done(run):
        folder = plan.path(run)
        about |= {"status": "done", "seconds": results.read_run(folder)["seconds"]}
        judged = claims.from_json((folder / "claims.json").read_text())
        return [
            about | {_CLAIM.get(k, k): v for k, v in dataclasses.asdict(c).items()} for c in judged
        ]
    failure = plan.failure(run)
    keys = ("status", "error", "seconds")
    return [about | ({k: failure[k] for k in keys} if failure else {"status": "not run"})]


def _column(parameter: str) -> str:
    return f"parameter_{parameter}" if parameter in (*_ABOUT, *_FIELDS) else parameter


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
    frame.to_parquet(binary, engine="fastparquet", index=False)
    paths = [plan.folder / "table.csv", plan.folder / "table.parquet"]
    for path, data in zip(paths, (frame.to_csv(index=False), binary.getvalue()), strict=True):
        sweeps.write_whole(path, data)
    return paths


def read(path: Path) -> pd.DataFrame:
    """A table that :func:`~winnow.tables.write` wrote, from either file.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except Exception as error:  # a foreign file can raise anything at all
        raise ValueError(f"cannot read {path} as a table: {error}") from error
    return frame


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


def plot(frame: pd.DataFrame, *, x: str, y: str, hue: str | None = None) -> plots.Figure:
    """A column against another, a line for each value of a third.

    Where a point has several runs it is their mean, with Student's 95 % interval over runs; these
    are independent where they differ in their replicate only. A single run shows its claim's own
    interval, if ``y`` is ``estimate``.

    Parameters
    ----------
    frame
        Of :func:`~winnow.tables.collect`; rows without a number in ``y`` are left out.
    x, y, hue
        Names of columns; ``y`` holds numbers.

    Raises
    ------
    ValueError
        Unknown column, or no number in ``y``.
    """
    for name in filter(None, (x, y, hue)):
        _known(frame, name)
    if not pd.api.types.is_numeric_dtype(frame[y]):
        raise ValueError(f"{y} holds no numbers: choose one that does for --y")
    frame = frame[frame[y].notna() & frame[x].notna()]
    if frame.empty:
        raise ValueError(f"no row has a number in {y}: has any run finished?")
    plots.use_style()
    lines = list(frame.groupby(hue, sort=False)) if hue else [("", frame)]
    figure, axes = plots.panels(1, width=7, height=4.5)
    places = _places(frame[x])
    for k, (name, rows) in enumerate(lines):
        points = [_point(group, y) for _, group in rows.groupby(x, sort=False)]
        at = [places[value] for value in rows[x].drop_duplicates()]
        middle, low, high = np.array(points)[np.argsort(at)].T
        around = np.clip([middle - low, high - middle], 0, None)
        colour = plots.COLOURS[k % len(plots.COLOURS)]
        marker = "o^sDvP*X"[k // len(plots.COLOURS) % 8]
        axes[0].errorbar(
            np.sort(at), middle, around, label=str(name), marker=marker, capsize=3, color=colour
        )
    _label(axes[0], frame[x], places, x, y, hue)
    return figure


def _known(frame: pd.DataFrame, name: str) -> str:
    return runs.choose(name, list(frame.columns), "column")


def _places(values: pd.Series) -> dict[Any, float]:
    """Where each value stands on the axis: numbers where they are, words side by side."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return {value: float(value) for value in values.unique()}
    return {value: float(k) for k, value in enumerate(values.unique())}


def _point(rows: pd.DataFrame, y: str) -> tuple[float, float, float]:
    values = rows[y].to_numpy(float)
    if len(values) > 1:
        return stats.t_interval(values)[:3]
    if y == "estimate" and rows["low"].notna().all():
        return values[0], float(rows["low"].iloc[0]), float(rows["high"].iloc[0])
    return values[0], values[0], values[0]


def _label(
    ax: plots.Axes, values: pd.Series, places: dict[Any, float], x: str, y: str, hue: str | None
) -> None:
    runs_at = values.value_counts()
    ax.set(xlabel=x, ylabel=f"{y}, mean and 95 % interval" if runs_at.max() > 1 else y)
    if len(places) <= 12:
        ax.set_xticks(
            list(places.values()), [f"{v:g}" if isinstance(v, float) else v for v in places]
        )
    if hue:
        ax.legend(title=hue, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def save(figure: plots.Figure, path: Path) -> None:
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
        sweeps.write_whole(path, data.getvalue())
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error
