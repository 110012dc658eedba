"""What a sweep costs beside its runs, and what a second worker saves, as ratios.

Run with ``python3 tasks.py bench sweeps``. Every ratio compares ways to execute the same notebook
with the same parameters in the same run. The ways take turns and run equally often; times are
medians over turns, *least* and *most* are ratios within single turns. The claims are checked to be
the same, number by number.

The chapter is receptive fields at its smoke preset, the shortest of all runs, which start-up hits
hardest. *Start* is that chapter cut down to its imports and a record of its claims: kernel start,
imports, and keeping the results.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd

from winnow.reporting import results
from winnow.running import chapters, execute
from winnow.running.sweep import cluster, runs

CHAPTER, TURNS, N_RUNS = "receptive_fields", 5, 6
LOOP, OURS = "papermill command", "winnow sweep"


def cut_down(folder: Path) -> Path:
    """A checkout whose chapter ends behind its imports, with the claims of the whole one."""
    source = nbformat.read(chapters.notebook_path(CHAPTER), as_version=4)
    code = [cell for cell in source.cells if cell.cell_type == "code"]
    record = json.dumps(results.find_record(source))
    kept = f"display({{'application/vnd.winnow.record+json': json.loads({record!r})}}, raw=True)"
    source.cells = [*code[:2], nbformat.v4.new_code_cell(f"import json\n{kept}")]
    (folder / "notebooks").mkdir()
    nbformat.write(source, folder / "notebooks" / f"{CHAPTER}.ipynb")
    (folder / "_toc.yml").write_text(f"- notebooks/{CHAPTER}\n")
    return folder / "notebooks" / f"{CHAPTER}.ipynb"


def ways(notebook: Path, values: dict, folder: Path) -> dict:
    """Ways to execute one notebook; each returns what it recorded."""
    out = folder / "out.ipynb"

    def loop() -> nbformat.NotebookNode:
        text = json.dumps(values)
        words = [sys.executable, "-m", "papermill", str(notebook), str(out), "-y", text]
        subprocess.run(
            [*words, "--no-progress-bar", "--cwd", str(notebook.parent)],
            check=True, capture_output=True,
        )  # fmt: skip
        return nbformat.read(out, as_version=4)

    def ours() -> nbformat.NotebookNode:
        return execute.execute(notebook, values)[0]

    return {LOOP: loop, OURS: ours}


def in_turns(ways: dict, turns: int) -> pd.DataFrame:
    """Seconds of each way in each turn, after one round to warm up; the records must agree."""
    records = [results.find_record(way())["claims"] for way in ways.values()]
    assert all(record == records[0] for record in records), "the ways differ"
    return pd.DataFrame([{name: seconds(way) for name, way in ways.items()} for _ in range(turns)])


def seconds(way) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def compare(label: str, times: pd.DataFrame, base: str) -> pd.DataFrame:
    """A row for each way: its median, and how many times the base's."""
    rows = []
    for name in times:
        ratio = times[name] / times[base]
        rows.append({"what": label, "way": name, "s": times[name].median(),
                     f"way / {base}": times[name].median() / times[base].median(),
                     "least": ratio.min(), "most": ratio.max()})  # fmt: skip
    return pd.DataFrame(rows)


def scaling(folder: Path) -> pd.DataFrame:
    """Sweeps of the same runs on one worker, then on two."""
    rows = []
    for workers in (1, 2):
        output = folder / f"sweep-{workers}"
        plan = runs.plan(CHAPTER, {}, preset="smoke", seeds=f"0:{N_RUNS}", output=output)
        took = seconds(lambda plan=plan, n=workers: cluster.sweep(plan, workers=n))
        own = [results.read_run(plan.path(run))["seconds"] for run in plan.runs]
        rows.append({"workers": workers, "s": took, "s / run": took / N_RUNS,
                     "share in runs": sum(own) / workers / took})  # fmt: skip
    return pd.DataFrame(rows)


def main() -> None:
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        values = chapters.resolve(CHAPTER, "smoke")
        notebook = cut_down(folder)
        start = in_turns(ways(notebook, values, folder), TURNS)
        whole = in_turns(ways(chapters.notebook_path(CHAPTER), values, folder), 2)
        scaled = scaling(folder)
    print(results.run_card(threads=1, chapter=f"{CHAPTER}, smoke"))
    print("\n### Start: kernel, imports, results\n")
    print(compare("start", start, OURS).to_markdown(index=False, floatfmt=".3g"))
    print("\n### A whole run\n")
    print(compare("run", whole, OURS).to_markdown(index=False, floatfmt=".3g"))
    share = {name: start[name].median() / whole[name].median() for name in start}
    print("\n### Share of a run that is start\n")
    print(pd.DataFrame([share]).to_markdown(index=False, floatfmt=".2f"))
    print(f"\n### {N_RUNS} runs on one and two workers\n")
    print(scaled.to_markdown(index=False, floatfmt=".3g"))
    one, two = scaled.s
    print(f"\nTwo workers are {one / two:.2f} times as fast as one.")
    print(f"One by one, the papermill command would take {np.median(whole[LOOP]) * N_RUNS:.0f} s.")


if __name__ == "__main__":
    main()
