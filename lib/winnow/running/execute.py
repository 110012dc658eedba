"""Notebooks executed by papermill: progress, prints, a time limit, one line for what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from winnow.running import nursery

#: Called with (cells done, cells in all) while a chapter runs.
OnCell = Callable[[int, int], None]

#: Called with each line that a chapter prints, as it prints it.
OnLine = Callable[[str], None]

_FULL = {errno.ENOSPC, errno.EDQUOT}
_STARTUP = 300  # seconds for a kernel to answer, on a machine that is busy
_OUTPUTS = 300  # seconds for the rest of a cell's outputs, which would be lost without a word


class RunError(RuntimeError):
    """A chapter was started and did not finish.

    ``details`` holds the kernel's traceback, ``cell`` the number of the cell from 1, or nothing
    where no cell raised.
    """

    def __init__(self, message: str, details: str = "", cell: int | None = None) -> None:
        super().__init__(message)
        self.details, self.cell = details, cell


class OutOfTimeError(RunError):
    """A chapter ran longer than it was given."""


class OutOfSpaceError(RunError):
    """A chapter's results could not be written: no fault of the chapter's."""


def execute(
    notebook: Path,
    parameters: Mapping[str, Any],
    path: Path,
    *,
    on_cell: OnCell | None = None,
    on_line: OnLine | None = None,
    on_memory: Callable[[int], None] | None = None,
    timeout: float | None = None,
    warm: Sequence[str] | None = None,
    owner: str = "",
) -> nbformat.NotebookNode:
    """Execute a notebook with papermill, in its own folder, into ``path``.

    Parameters
    ----------
    notebook, parameters, path
        What to execute, values for its parameters cell, and where the executed one goes.
    on_cell, on_line
        Told of the progress, and of what the notebook prints.
    on_memory
        Told at the end of the kernel's largest memory, in MB, where the system says it.
    timeout
        Seconds for all cells together, from the first one's start; no limit without. What a
        busy machine takes to start a kernel is not the chapter's.
    warm
        Modules that the kernel is to have imported: it comes from :mod:`winnow.running.nursery`, where
        that is possible, and has no time to say goodbye.
    owner
        On whose behalf, for :func:`~winnow.running.execute.kill_kernels`.

    Raises
    ------
    RunError
        A cell raised, or the kernel died.
    OutOfTimeError
        The time was up.
    OutOfSpaceError
        The notebook, or a file of its own, could not be written.
    """
    for name, value in nursery.ONE_THREAD.items():
        os.environ.setdefault(name, value)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    chapter = notebook.stem
    limit = {"timeout_func": _Clock(timeout).left} if timeout else {}
    about = {"warm": warm, "owner": owner, "on_memory": staticmethod(on_memory or (lambda mb: 0))}
    about["cwd"] = str(notebook.parent)  # papermill's own would move this process, all threads too
    try:
        return papermill.execute_notebook(
            str(notebook),
            str(path),
            parameters=dict(parameters),
            engine_name=_Engine.NAME,
            kernel_name="python3",
            progress_bar=False,
            kernel_manager_class=type("KernelManager", (_KernelManager,), about),
            shutdown_kernel="graceful" if warm is None else "immediate",
            start_timeout=_STARTUP,
            iopub_timeout=_OUTPUTS,
            stdout_file=_Lines(on_line) if on_line else None,
            on_cell=on_cell or (lambda done, total: None),
            **limit,
        )
    except PapermillExecutionError as error:
        cell, trace = error.cell_index + 1, "\n".join(error.traceback)
        message = f"{chapter} failed in cell {cell}: {error.ename}: {error.evalue}"
        full = error.ename == "OSError" and any(f"[Errno {n}]" in error.evalue for n in _FULL)
        raise (OutOfSpaceError if full else RunError)(message, trace, cell) from error
    except CellTimeoutError as error:
        raise OutOfTimeError(f"{chapter} was not done after {timeout:g} s") from error
    except OSError as error:
        raise OutOfSpaceError(f"{chapter}: cannot write {path}: {error.strerror}") from error
    except RuntimeError as error:  # nbclient's DeadKernelError is one
        raise RunError(f"{chapter}: {str(error).splitlines()[0]}") from error


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
    """Starts a kernel, warm or cold, keeps its words to itself, and takes its size at the end.

    What a chapter's code prints or raises comes through the kernel's messages all the same; on
    standard error it would only add its own words, such as on Ctrl-C.
    """

    warm: Sequence[str] | None
    owner: str
    cwd: str
    on_memory: Callable[[int], None]

    async def start_kernel(self, **options: Any) -> None:
        self._not_ours = asyncio.all_tasks()
        if sys.platform == "linux":  # sockets by name: another kernel may take a port meanwhile
            self.transport, self.ip = "ipc", f"@winnow-{uuid.uuid4().hex}"
        if self.warm is not None:
            about = {"kernel_id": "", "kernel_spec": self.kernel_spec, "parent": self}
            self.provisioner = nursery.Provisioner(self.warm, **about)
        place = {"stderr": subprocess.DEVNULL, "cwd": self.cwd}
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
            lines = Path(f"/proc/{self.provisioner.pid}/status").read_text().splitlines()
            peak = next(line for line in lines if line.startswith("VmHWM"))
            self.on_memory(int(peak.split()[1]) // 1024)
        await super().shutdown_kernel(**options)


class _Engine(NBClientEngine):
    """Papermill's own engine, which also tells how far it is."""

    NAME = "winnow"

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, on_cell: OnCell, **options: Any
    ) -> None:
        total, complete = len(nb_man.nb.cells), nb_man.cell_complete

        def completed(cell: Any, cell_index: int | None = None, **words: Any) -> None:
            complete(cell, cell_index=cell_index, **words)
            on_cell((cell_index or 0) + 1, total)

        nb_man.cell_complete = completed
        # Papermill writes the notebook twice a cell; here it is published whole or not at all.
        nb_man.save = lambda **words: None
        on_cell(0, total)
        super().execute_managed_notebook(nb_man, kernel_name, **options)


papermill_engines.register(_Engine.NAME, _Engine)
