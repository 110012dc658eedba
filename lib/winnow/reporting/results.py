"""The results folder: what a run leaves, written whole or not at all."""

import base64
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

STAGE_PREFIX = ".winnow-"

#: Carries the results of a chapter inside its notebook's outputs.
RECORD_TYPE = "application/vnd.winnow.record+json"

_VOLATILE = {"seconds", "memory_mb", "finished", "commit", "hardware"}
_PACKAGES = ("winnow-book", "torch", "numpy", "scipy", "pandas", "matplotlib", "papermill")


# --- writing --------------------------------------------------------------------------------------


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """An empty folder beside ``folder``, which is made and held against other runs.

    What a killed run left half done is put right first. The stage is gone at the end, and so is
    ``folder``, if it was made here and holds nothing.

    Raises
    ------
    ValueError
        If the folder cannot be written to or replaced, or another run holds it; said before any
        long work.
    """
    if folder.is_mount() or Path.cwd().is_relative_to(folder):
        raise ValueError(f"{folder} cannot be replaced as a whole: name a folder inside it")
    stage = beside(folder, "new")
    with contextlib.ExitStack() as stack:
        try:
            stack.callback(_remove_empty, [p for p in (folder, *folder.parents) if not p.exists()])
            folder.mkdir(parents=True, exist_ok=True)
            _lock(folder, stack)
            _settle(folder)
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir()
            stack.callback(shutil.rmtree, stage, ignore_errors=True)
        except OSError as error:
            words = f"cannot write to {folder}: {error.strerror}; choose another --output"
            raise ValueError(words) from error
        yield stage


def _lock(folder: Path, stack: contextlib.ExitStack) -> None:
    """Hold a folder against other processes, until the end or their death."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
        stack.callback(os.close, handle)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        words = f"another run is at work in {folder}: wait, or choose another --output"
        raise ValueError(words) from error
    except (ImportError, OSError):
        """Windows has no such locks, nor have some file systems."""


def beside(folder: Path, kind: str) -> Path:
    """Where results wait that are to go to a folder (``new``), or are to leave it (``old``)."""
    return folder.with_name(f"{STAGE_PREFIX}{kind}-{folder.name}")


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def publish(stage: Path, folder: Path) -> bool:
    """Put a finished run's folder in place of an earlier one's; what was not the run's stays.

    Where the new run only repeats what the folder holds, nothing is touched. If this is killed
    half-way, the next run's :func:`staging` finishes it.

    Returns
    -------
    bool
        Whether files were replaced.
    """
    whole = all((folder / path.name).exists() for path in stage.iterdir()) and verify(folder)
    if whole and _lasting(folder) == _lasting(stage):
        return False
    try:
        if folder.exists():
            folder.rename(beside(folder, "old"))
        stage.rename(folder)
    finally:
        _settle(folder)
    return True


def _settle(folder: Path) -> None:
    """Bring home what was set aside: all of it, or beside a new run what was not the old one's."""
    aside = beside(folder, "old")
    run = read_run(aside) if (folder / "run.json").exists() else None
    theirs = {"run.json", *run["files"]} if run else ()
    for path in aside.glob("*"):
        if path.name not in theirs and not (folder / path.name).exists():
            folder.mkdir(exist_ok=True)
            path.rename(folder / path.name)
    shutil.rmtree(aside, ignore_errors=True)


def as_files(record: Mapping[str, object], about: Mapping[str, object]) -> dict[str, bytes]:
    """What a chapter recorded, by name of file, with ``run.json`` and their checksums in it."""
    files = {"claims.json": as_json(record["claims"])}
    files |= {f"{name}.csv": as_bytes(text) for name, text in record.get("tables", {}).items()}
    if "samples" in record:
        files["samples.parquet"] = base64.b64decode(record["samples"])
    return {**files, "run.json": as_json({**about, "files": _checksums(files)})}


def _checksums(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder."""
    for name, data in files.items():
        (folder / name).write_bytes(data)


def write_whole(path: Path, data: bytes) -> bool:
    """Write a file, or leave what was there before; whether it changed."""
    if path.is_file() and path.read_bytes() == data:
        return False
    fresh = path.with_name(f"{STAGE_PREFIX}{os.getpid()}-{path.name}")
    try:
        fresh.write_bytes(data)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return True


def as_json(value: object) -> bytes:
    """JSON as results are written."""
    return as_bytes(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def as_bytes(text: str) -> bytes:
    """UTF-8; names of files that are none become escapes, instead of ending a finished run."""
    return text.encode(errors="backslashreplace")


# --- reading --------------------------------------------------------------------------------------


def verify(folder: Path) -> bool:
    """Whether the folder holds every file its ``run.json`` names, unchanged."""
    with contextlib.suppress(OSError):
        if run := read_run(folder):
            said = run.get("files", {})
            return _checksums({name: (folder / name).read_bytes() for name in said}) == said
    return False


def read_run(folder: Path) -> dict[str, object] | None:
    """The folder's ``run.json``; ``None`` where there is none to read."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return None


def _lasting(folder: Path) -> dict[str, object]:
    return {k: v for k, v in (read_run(folder) or {}).items() if k not in _VOLATILE}


def find_record(notebook: Mapping[str, object]) -> dict[str, object]:
    """What :meth:`~winnow.reporting.sheet.Sheet.record` left in the outputs of a notebook.

    Raises
    ------
    LookupError
        If the notebook recorded nothing.
    """
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if RECORD_TYPE in output.get("data", {}):
                return output["data"][RECORD_TYPE]
    raise LookupError("the chapter recorded no claims: end it with record() of its Sheet")


# --- how results are made -------------------------------------------------------------------------


def about_run(root: Path) -> dict[str, object]:
    """Interpreter, versions, commit and hardware, for ``run.json`` and the run card."""
    import psutil
    import torch

    commit, processor = None, platform.processor() or platform.machine()
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    where = (f"--git-dir={root / '.git'}", "-c", f"safe.directory={root}")  # whoever owns it
    asked = ["git", *where, "rev-parse", "HEAD", "HEAD:_toc.yml"]  # of a book, not of another
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        told = subprocess.run(asked, env=ours, cwd=root, capture_output=True, check=True)
        commit = told.stdout.decode().split()[0]
    with contextlib.suppress(OSError, TypeError):  # not on Linux, or of no known model
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        processor = re.search(r"model name\s*: (.+)", lines)[1]
    versions = {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    memory = round(psutil.virtual_memory().total / 2**30)
    hardware = {"processor": processor, "cores": cores(), "memory_gb": memory, "gpu": gpu}
    return {"versions": versions, "commit": commit, "hardware": hardware}


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def run_card(**more: object) -> str:
    """Versions, hardware and whatever else is given, as a Markdown table for a chapter."""
    about = about_run(Path.cwd())
    versions = ", ".join(map(" ".join, about["versions"].items()))
    hardware = "{processor}, {cores} cores, {memory_gb} GB".format(**about["hardware"])
    accelerator = about["hardware"]["gpu"] or "none"
    rows = {**more, "versions": versions, "hardware": hardware, "accelerator": accelerator}
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| run card | |", "| --- | --- |", *lines])
