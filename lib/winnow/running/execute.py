"""Notebooks executed by papermill: progress, prints, a time limit, one line for what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from winnow.reporting import results
from winnow.running.errors import NO_SPACE, OutOfSpaceError, OutOfTimeError, RunError, in_words

#: Called with (cells done, cells in all) while a chapter runs.
OnCell = Callable[[int, int], None]

#: Called with each line that a chapter prints, as it prints it.
OnLine = Callable[[str], None]

_STARTUP = 300  # seconds for a kernel to answer, on a machine that is busy
_OUTPUTS = 300  # seconds for the rest of a cell's outputs, which would be lost without a word
_FULL = re.compile(rf"\[Errno ({'|'.join(map(str, NO_SPACE))})\]")
_LIBRARY = Path(__file__).parents[2]


def execute(
    notebook: Path,
    parameters: Mapping[str, Any],
    path: Path | None = None,
    *,
    on_cell: OnCell | None = None,
    on_line: OnLine | None = None,
    on_memory: Callable[[int], None] | None = None,
    timeout: float | None = None,
    owner: str = "",
) -> nbformat.NotebookNode:
    """Execute a notebook with papermill, in its own folder, into ``path``.

    The kernel is this process's own interpreter, whatever kernels are installed, and has the same
    library.

    Parameters
    ----------
    notebook, parameters, path
        What to execute, values for its parameters cell, and where the executed one goes, if
        anywhere.
    on_cell, on_line
        Told of the progress, and of what the notebook prints.
    on_memory
        Told at the end of the kernel's largest memory, in MB, where the system says it.
    timeout
        Seconds for all cells together, from the first one's start; no limit without. What a
        busy machine takes to start a kernel is not the chapter's.
    owner
        On whose behalf, for :func:`~winnow.running.execute.kill_kernels`.

    Raises
    ------
    RunError
        A cell raised, or the kernel died.
    OutOfTimeError
        The time was up.
    OutOfSpaceError
        The disk is full, for the notebook or for a file of its own.
    """
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what concerns the user we say
    chapter = notebook.stem
    limit = {"timeout_func": _Clock(timeout).left} if timeout else {}
    about = {"owner": owner, "on_memory": staticmethod(on_memory or (lambda mb: 0))}
    about["cwd"] = str(notebook.parent)  # papermill's own would move this process, all threads too
    seen: list[nbformat.NotebookNode] = []
    try:
        try:
            return papermill.execute_notebook(
                _literal(notebook),
                None,
                parameters=dict(parameters),
                engine_name=_Engine.NAME,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                kernel_manager_class=type("KernelManager", (_KernelManager,), about),
                start_timeout=_STARTUP,
                iopub_timeout=_OUTPUTS,
                stdout_file=_Lines(on_line) if on_line else None,
                on_cell=on_cell or (lambda done, total: None),
                on_start=seen.append,
                **limit,
            )
        finally:
            if path and seen:  # papermill would write it twice a cell
                path.write_bytes(results.as_bytes(nbformat.writes(seen[0]) + "\n"))
    except PapermillExecutionError as error:
        cell, trace = error.cell_index + 1, "\n".join(error.traceback)
        message = f"{chapter} failed in cell {cell}: {error.ename}: {error.evalue}"
        full = error.ename == "OSError" and _FULL.search(error.evalue)
        raise (OutOfSpaceError if full else RunError)(message, trace, cell) from error
    except CellTimeoutError as error:
        raise OutOfTimeError(f"{chapter} was not done after {timeout:g} s") from error
    except OSError as error:
        if error.errno in NO_SPACE:
            raise OutOfSpaceError(f"{chapter}: cannot write {path}: {in_words(error)}") from error
        raise RunError(f"{chapter}: {error}") from error
    except RuntimeError as error:  # nbclient's DeadKernelError is one
        raise RunError(f"{chapter}: {str(error).splitlines()[0]}") from error


def _literal(path: Path) -> str:
    """A path for papermill, which would put parameters in place of ``{name}``."""
    return str(path).replace("{", "{{").replace("}", "}}")


def apart(work: Callable[..., Any], *words: Any) -> Any:
    """Call what executes notebooks, in a thread, so that it leaves no event loop behind.

    Papermill makes one for each context, or takes what is there; it closes none.
    """

    def with_own_loop() -> Any:
        try:
            return work(*words)
        finally:
            ensure_event_loop().close()

    return contextvars.Context().run(with_own_loop)


class _Clock:
    """Counts down from the first time it is asked, which is as the first cell starts."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, None

    def left(self, cell: nbformat.NotebookNode) -> float:
        if self._end is None:
            self._end = time.monotonic() + self._seconds
        return max(self._end - time.monotonic(), 0.01)  # nbclient takes 0 for no limit


class _Lines:
    """A file for papermill to write a chapter's prints to, which passes on whole lines."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line, self._rest = on_line, ""

    def write(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._on_line(line)

    def flush(self) -> None:
        """Lines are passed on as they end."""


_running: dict[int, str] = {}  # kernels of this process, and who wanted them


def kill_kernels(owner: str) -> None:
    """End every kernel that this process has started for an owner, whatever it is doing."""
    for pid, wanted_by in tuple(_running.items()):
        if wanted_by == owner:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


class _KernelManager(AsyncKernelManager):
    """Starts a kernel, keeps its words to itself, and takes its size at the end.

    What a chapter's code prints or raises comes through the kernel's messages all the same; on
    standard error it would only add its own words, such as on Ctrl-C.
    """

    owner: str
    cwd: str
    on_memory: Callable[[int], None]

    async def start_kernel(self, **options: Any) -> None:
        self._not_ours = asyncio.all_tasks()
        if sys.platform == "linux":  # sockets by name: another kernel may take a port meanwhile
            self.transport, self.ip = "ipc", f"@winnow-{uuid.uuid4().hex}"
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self._kernel_spec = KernelSpec(argv=command, display_name="Winnow", language="python")
        place = {"stderr": subprocess.DEVNULL, "cwd": self.cwd, "env": _environment()}
        await super().start_kernel(**options | place)
        _running[self.provisioner.pid] = self.owner

    async def shutdown_kernel(self, **options: Any) -> None:
        # After Ctrl-C nbclient's tasks still wait for the cell, and would report a dead kernel.
        tasks = asyncio.all_tasks() - self._not_ours - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        _running.pop(self.provisioner.pid, None)
        with contextlib.suppress(OSError, ValueError, StopIteration):  # gone, or not on Linux
            lines = (
                Path(f"/proc/{self.provisioner.pid}/status")
                .read_text(encoding="ascii")
                .splitlines()
            )
            peak = next(line for line in lines if line.startswith("VmHWM"))
            self.on_memory(int(peak.split()[1]) // 1024)
        await super().shutdown_kernel(**options)


def _environment() -> dict[str, str]:
    """A kernel's: threads must not fight for cores, files are UTF-8, and the library is ours."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**dict.fromkeys(names, "1"), **os.environ, "PYTHONUTF8": "1"}
    if _LIBRARY.name != "site-packages":
        paths = (str(_LIBRARY), os.environ.get("PYTHONPATH"))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


class _Engine(NBClientEngine):
    """Papermill's own engine, which also tells how far it is."""

    NAME = "winnow"

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, on_cell: OnCell, on_start: Any, **options: Any
    ) -> None:
        total, complete = len(nb_man.nb.cells), nb_man.cell_complete

        def completed(cell: Any, cell_index: int | None = None, **words: Any) -> None:
            complete(cell, cell_index=cell_index, **words)
            on_cell((cell_index or 0) + 1, total)

        nb_man.cell_complete = completed
        # Paths say nothing to others, and may not even be text.
        nb_man.nb.metadata.papermill.update(input_path=None, output_path=None)
        on_start(nb_man.nb)
        on_cell(0, total)
        super().execute_managed_notebook(nb_man, kernel_name, **options)


papermill_engines.register(_Engine.NAME, _Engine)
