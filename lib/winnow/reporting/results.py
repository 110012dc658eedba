"""The results folder: what a run leaves, written whole or not at all."""

from __future__ import annotations

import base64
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
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

STAGE_PREFIX = ".winnow-"

_EARLIER = "earlier"  # in a stage, while it is published: what it replaces
_VOLATILE = ("seconds", "memory_mb", "finished", "commit", "hardware")
_PACKAGES = ("winnow-book", "torch", "numpy", "scipy", "pandas", "matplotlib", "papermill")


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """A folder held against other runs, also of other processes, until the end or their death.

    Yields
    ------
    bool
        Whether it is: some file systems have no locks, nor has Windows.

    Raises
    ------
    ValueError
        If another run holds it.
    """
    if fcntl is None:
        yield False
        return
    handle, locked = os.open(folder, os.O_RDONLY), True
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"another run is at work in {folder}: wait, or choose another --output"
            ) from error
        except OSError:
            locked = False
        yield locked
    finally:
        os.close(handle)


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """An empty folder inside ``folder``, which is held; gone at the end whatever happens.

    Raises
    ------
    ValueError
        If the folder cannot be made or written to, or another run holds it; said before any
        long work.
    """
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            alone = stack.enter_context(held(folder))
            for left in folder.glob(f"{STAGE_PREFIX}*") if alone else ():  # by killed runs
                _put_back(left / _EARLIER, folder)
                shutil.rmtree(left, ignore_errors=True)
            stage = Path(tempfile.mkdtemp(prefix=STAGE_PREFIX, dir=folder))
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


def publish(stage: Path, folder: Path) -> bool:
    """Put a finished run's files in place of an earlier run's: all of them, or none.

    What is not a run's stays. Where the new run only repeats what the folder holds, nothing is
    touched. If this is killed half-way, the next run finds the earlier files in the stage and
    puts them back first.

    Returns
    -------
    bool
        Whether files were replaced.
    """
    run, earlier = read_run(stage), read_run(folder)
    names = {path.name for path in stage.iterdir()}
    whole = all((folder / name).exists() for name in names) and verify(folder)
    if whole and _lasting(earlier) == _lasting(run):
        return False
    aside = stage / _EARLIER
    aside.mkdir()
    try:
        for name in names | set((earlier or {}).get("files", {})):
            if (folder / name).exists():
                os.replace(folder / name, aside / name)
        for name in names:
            os.replace(stage / name, folder / name)
    except BaseException:
        for name in names - {path.name for path in stage.iterdir()}:
            os.replace(folder / name, stage / name)
        _put_back(aside, folder)
        raise
    return True


def _put_back(aside: Path, folder: Path) -> None:
    """Give a folder the files again that were to be replaced."""
    for path in aside.glob("*"):
        os.replace(path, folder / path.name)


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
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return run if isinstance(run, dict) else None


def write(stage: Path, record: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write what a chapter recorded, and ``run.json`` with the checksums of these files."""
    files = {"claims.json": as_json(record["claims"])}
    files |= {f"{name}.csv": as_bytes(text) for name, text in record["tables"].items()}
    if "samples" in record:
        files["samples.parquet"] = base64.b64decode(record["samples"])
    checksums = {name: _sha256(data) for name, data in sorted(files.items())}
    files["run.json"] = as_json({**about, "files": checksums})
    for name, data in files.items():
        (stage / name).write_bytes(data)


def find_record(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """What :meth:`~winnow.reporting.claims.Sheet.record` left in the outputs of a notebook.

    Raises
    ------
    LookupError
        If the notebook recorded nothing.
    """
    from winnow.reporting.claims import RECORD_TYPE

    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if RECORD_TYPE in output.get("data", {}):
                return output["data"][RECORD_TYPE]
    raise LookupError(
        "the chapter recorded no claims: call record() on its claims.Sheet at the end"
    )


def committed_claims(root: Path) -> dict[tuple[str, str], str]:
    """Texts of each ``claims.json`` that the last commit of the checkout at ``root`` holds.

    Raises
    ------
    LookupError
        If there is nothing to compare with; says why.
    """
    names = _git(root, "ls-tree", "-r", "--name-only", "HEAD", "results").splitlines()
    paths = [name for name in names if name.endswith("/claims.json")]
    if not paths:
        raise LookupError(f"the last commit of {root} holds no claims")
    return {tuple(p.split("/")[-3:-1]): _git(root, "show", f"HEAD:{p}") for p in paths}


def about_run(root: Path) -> dict[str, Any]:
    """Interpreter, versions, commit and hardware, for ``run.json`` and the run card."""
    commit = None
    with contextlib.suppress(LookupError):
        _git(root, "cat-file", "-e", "HEAD:_toc.yml")  # the repository of a book, not another
        commit = _git(root, "rev-parse", "HEAD").strip()
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "commit": commit,
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
    import psutil
    import torch

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _lasting(run: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in run.items() if k not in _VOLATILE}


def as_json(value: Any) -> bytes:
    """JSON as results are written."""
    return as_bytes(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def as_bytes(text: str) -> bytes:
    """UTF-8; names of files that are none become escapes, instead of ending a finished run."""
    return text.encode(errors="backslashreplace")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git(root: Path, *words: str) -> str:
    """What git says of the repository at ``root`` itself, whoever owns it and whoever calls."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    where = (f"--git-dir={root / '.git'}", f"--work-tree={root}", "-c", f"safe.directory={root}")
    try:
        done = subprocess.run(
            ["git", *where, *words], env=ours, cwd=root, capture_output=True, encoding="utf-8"
        )
    except OSError as error:
        raise LookupError(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        reason = done.stderr.strip().splitlines() or ["git failed"]
        raise LookupError(reason[0].removeprefix("fatal: "))
    return done.stdout
