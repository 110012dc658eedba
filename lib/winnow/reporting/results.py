"""The results folder: what a run leaves, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

if TYPE_CHECKING:  # claims bring torch and scipy; bad input is answered without that wait
    from winnow.reporting import claims

STAGE_PREFIX = ".winnow-"

_VOLATILE = ("seconds", "memory_mb", "finished", "commit", "hardware")
_PACKAGES = ("winnow-book", "torch", "numpy", "scipy", "pandas", "matplotlib", "papermill")


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """An empty folder inside ``folder``, gone at the end whatever happens.

    Raises
    ------
    ValueError
        If the folder cannot be made or written to; said before any long work.
    """
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        stage = Path(tempfile.mkdtemp(prefix=f"{STAGE_PREFIX}{os.getpid()}-", dir=folder))
    except OSError as error:
        raise ValueError(
            f"cannot write to {folder}: {error.strerror}; choose another --output"
        ) from error
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for empty in made:  # a run that failed leaves no empty folders either
            with contextlib.suppress(OSError):
                empty.rmdir()


def _sweep(folder: Path) -> None:
    """Remove what runs that were killed have left."""
    for left in folder.glob(f"{STAGE_PREFIX}*-*"):
        try:
            os.kill(int(left.name.removeprefix(STAGE_PREFIX).split("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except (PermissionError, ValueError):
            continue  # somebody else's run, or not ours to judge


def publish(stage: Path, folder: Path) -> bool:
    """Move a finished run's files into place, each atomically, ``run.json`` last.

    ``run.json`` holds the others' digests, so a reader can tell a complete set. Where the new
    run only repeats what the folder holds, nothing is touched. Tables of an earlier run that
    the new one no longer makes are removed.

    Returns
    -------
    bool
        Whether files were replaced.
    """
    run = json.loads((stage / "run.json").read_text())
    missing = [path.name for path in stage.iterdir() if not (folder / path.name).exists()]
    earlier = read_run(folder)
    if earlier and not missing and _lasting(earlier) == _lasting(run) and verify(folder):
        return False
    for path in sorted(stage.iterdir()):
        if path.name != "run.json":
            os.replace(path, folder / path.name)
    for name in set((earlier or {}).get("files", {})) - set(run["files"]):
        (folder / name).unlink(missing_ok=True)
    os.replace(stage / "run.json", folder / "run.json")
    return True


def verify(folder: Path) -> bool:
    """Whether the folder holds every file its ``run.json`` names, unchanged."""
    run = read_run(folder)
    return run is not None and all(
        (folder / name).is_file() and _sha256((folder / name).read_bytes()) == digest
        for name, digest in run.get("files", {}).items()
    )


def read_run(folder: Path) -> dict[str, Any] | None:
    """The folder's ``run.json``; ``None`` where there is none to read."""
    try:
        return json.loads((folder / "run.json").read_text())
    except (OSError, json.JSONDecodeError):
        return None


def write(stage: Path, notebook: nbformat.NotebookNode, about: Mapping[str, Any]) -> None:
    """Take a chapter's record out of its executed notebook and write claims, tables, run.

    Raises
    ------
    RuntimeError
        If the notebook recorded nothing.
    """
    record = find_record(notebook)
    texts = {"claims.json": json.dumps(record["claims"], indent=1, ensure_ascii=False) + "\n"}
    texts |= {f"{name}.csv": text for name, text in record["tables"].items()}
    for name, text in texts.items():
        (stage / name).write_text(text)
    files = {name: _sha256(text.encode()) for name, text in sorted(texts.items())}
    run = {**about, "files": files}
    (stage / "run.json").write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n")


def find_record(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """What :meth:`~winnow.reporting.claims.Sheet.record` left in the outputs of a notebook."""
    from winnow.reporting import claims

    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if claims.RECORD_TYPE in output.get("data", {}):
                return output["data"][claims.RECORD_TYPE]
    raise RuntimeError(
        "the chapter recorded no claims: call record() on its claims.Sheet at the end"
    )


def read_claims(root: Path) -> dict[tuple[str, str], list[claims.Claim]]:
    """All claims by (chapter, preset), from ``<root>/<chapter>/<preset>/claims.json``."""
    from winnow.reporting import claims

    found = {}
    for path in sorted(root.glob("*/*/claims.json")):
        try:
            found[path.parts[-3], path.parts[-2]] = claims.from_json(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return found


def committed_claims(root: Path, results: Path) -> dict[tuple[str, str], list[claims.Claim]]:
    """The same, as the last commit of the checkout at ``root`` holds them; empty without git."""
    from winnow.reporting import claims

    inside = results.relative_to(root).as_posix()
    names = _git(root, "ls-tree", "-r", "--name-only", "HEAD", inside) or ""
    found = {}
    for name in names.splitlines():
        if name.endswith("/claims.json"):
            chapter, preset = name.split("/")[-3:-1]
            found[chapter, preset] = claims.from_json(_git(root, "show", f"HEAD:{name}") or "")
    return found


def about_run(root: Path) -> dict[str, Any]:
    """Versions, commit and hardware, for ``run.json`` and the run card."""
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "commit": (_git(root, "rev-parse", "HEAD") or "").strip() or None,
        "hardware": hardware(),
    }


def run_card(**more: Any) -> str:
    """Versions, hardware and whatever else is given, as a Markdown table for a chapter."""
    about = about_run(Path.cwd())
    rows = {
        **{name: str(value) for name, value in more.items()},
        "versions": ", ".join(f"{name} {v}" for name, v in about["versions"].items()),
        "hardware": "{processor}, {cores} cores, {memory_gb} GB".format(**about["hardware"]),
        "accelerator": about["hardware"]["gpu"] or "none",
    }
    lines = ["| run card | |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in rows.items())]
    return "\n".join(lines)


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and accelerator."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "cores": cores,
        "memory_gb": round(pages / 2**30),
        "gpu": gpu,
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _lasting(run: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in run.items() if k not in _VOLATILE}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git(root: Path, *words: str) -> str | None:
    with contextlib.suppress(OSError):
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None
    return None
