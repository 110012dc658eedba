"""The tidy table of a sweep, a row for each part of each claim of each run, and a picture of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from winnow import stats
from winnow.reporting import figures, results
from winnow.running.parameters import choose
from winnow.running.sweep import runs
from winnow.running.sweep.runs import Plan, Run

_RUN, _END = ["run", "status", "seed"], ["seconds", "error"]
_CLAIM = ["claim", "says", "kind", "verdict", "why"]
_PART = ["part", "role", "estimate", "low", "high", "p", "n", "bar", "outcome"]
_TAKEN = {*_RUN, *_CLAIM, *_PART, *_END}
_WHOLE = dict.fromkeys(("seed", "n"), "Int64")  # whole numbers, not in every row
_NUMBERS = ("estimate", "low", "high", "p", "seconds")
#: What a point's runs may differ in without being named; all else is a claim, part or parameter.
_REPLICATES = {*_TAKEN, runs.SEED} - {"claim", "part"}


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
    columns = [*_RUN, *map(_column, used), *_CLAIM, *_PART, *_END]
    return pd.DataFrame(rows, columns=columns).astype(_WHOLE | dict.fromkeys(_NUMBERS, float))


def _rows(plan: Plan, run: Run, short: set[str]) -> Iterator[dict[str, object]]:
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
            parts = [{"role": "part", **part} for part in claim.get("parts", [])]
            parts += [{"role": "control", **part} for part in claim.get("controls", [])]
            for part in parts or [{}]:
                named = {"part": part.get("name"), "outcome": part.get("status")}
                yield about | said | {k: v for k, v in part.items() if k in _PART} | named
    elif failure := plan.failure(run):
        yield about | {key: failure[key] for key in ("status", "error", "seconds")}
    else:
        yield about


def _column(parameter: str) -> str:
    return f"parameter_{parameter}" if parameter in _TAKEN else parameter


def write(plan: Plan) -> None:
    """Write the table as ``table.csv`` and ``table.parquet``, each whole or not at all.

    Raises
    ------
    RunError
        If it cannot be written; earlier tables stay as they were.
    """
    frame = collect(plan)
    with runs.writing(plan.folder):
        results.write_whole(plan.folder / "table.csv", results.as_bytes(frame.to_csv(index=False)))
        results.write_whole(plan.folder / "table.parquet", frame.to_parquet(index=False))


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

    Parameters
    ----------
    frame
        Of :func:`~winnow.running.sweep.table.collect`; rows without a number in ``y`` are left out.
    x, y, hue, panel
        Names of columns; ``y`` holds numbers, and each panel has a scale of its own for them.

    Raises
    ------
    ValueError
        Unknown column, no number in ``y``, or points that mix claims, parts of them, or values of a
        parameter.
    """
    named = [choose(name, list(frame), "column") for name in (panel, hue, x) if name]
    if not pd.api.types.is_numeric_dtype(frame[choose(y, list(frame), "column")]):
        raise ValueError(f"{y} holds no numbers: choose one that does for --y")
    frame = frame.dropna(subset=[*named, y])
    if frame.empty:
        raise ValueError(f"no row has a number in {y}: has any run finished?")
    others = [name for name in frame if name not in (*named, y, *_REPLICATES)]
    for name, n in frame.groupby(named)[others].nunique(dropna=False).max().items():
        if n > 1:
            words = f"a point would mix {n} values of {name}: name it with"
            raise ValueError(f"{words} --hue, --panel or --where")
    n, look = frame[hue].nunique() if hue else 1, {"legend": False}
    if hue:
        look = {"hue": frame[hue].astype(str), "palette": "colorblind", "dodge": 0.2 * (n > 1)}
        look |= {"markers": [*"o^sDvP*X"] * n}
    look |= {"col": panel, "col_wrap": panel and min(3, frame[panel].nunique()), "sharey": False}
    number = pd.api.types.is_numeric_dtype(frame[x]) and frame[x].dtype != bool
    look |= {"linestyle": "-" if number else "none", "native_scale": number, "linewidth": 1.5}
    look |= {"height": max(3.5, n / 4), "aspect": 1.3, "capsize": 0.1, "errorbar": _student}
    figures.use_style()
    plt.rc("figure.constrained_layout", use=False)  # a grid of panels has its own
    grid = sns.catplot(frame, x=x, y=y, kind="point", **look)
    grid.set_titles("{col_name}").set_axis_labels(x, f"{y}\nmean, 95 % interval over runs")
    return grid.figure


def _student(values: pd.Series) -> tuple[float, float]:
    mean = stats.t_interval(values.to_numpy(float))
    return mean.low, mean.high
