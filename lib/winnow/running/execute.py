"""Notebooks executed in a kernel of our own: progress, prints, time limit, one line for errors."""

import asyncio
import contextlib
import logging
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient.client import CellExecutionError, DeadKernelError, NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from winnow.running.errors import OutOfTimeError, RunError

_PATIENCE = 300  # seconds for a busy machine's kernel to answer, or to send a cell's last outputs
_SILENT = logging.Logger("silent", logging.CRITICAL + 1)  # what concerns the user is said by us


def execute(
    notebook: Path,
    parameters: Mapping[str, object],
    *,
    on_cell: Callable[[str, int, int], None] = lambda chapter, done, total: None,
    timeout: float | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[nbformat.NotebookNode, int | None]:
    """Execute a notebook in its own folder.

    The kernel is this process's own interpreter, whatever kernels are installed, and has the same
    library.

    Parameters
    ----------
    notebook, parameters
        What to execute, and values for its parameters cell, which papermill puts below it.
    on_cell
        Called with (name of the chapter, cells done, cells in all).
    timeout
        Seconds for all cells together, from the first one's start; no limit without. What a
        busy machine takes to start a kernel is not the chapter's.
    stop
        Asked all the time; the kernel is ended as soon as it says yes.

    Returns
    -------
    tuple
        The executed notebook, and the kernel's largest memory in MB, where the system says it.

    Raises
    ------
    RunError
        A cell raised, or the kernel died.
    OutOfTimeError
        The time was up.
    """
    chapter, node = notebook.stem, nbformat.read(notebook, 4)
    if parameters:
        source = load_notebook_node(str(notebook))
        node = parameterize_notebook(source, dict(parameters), kernel_name="python3")
    client = _Client(node, chapter, on_cell)
    with ThreadPoolExecutor(1) as apart:  # on Ctrl-C nbclient would do things of its own
        try:
            apart.submit(asyncio.run, client.work(notebook, timeout, stop)).result()
        except CellExecutionError as error:
            message = f"{chapter} failed in cell {client.at}: {error.ename}: {error.evalue}"
            raise RunError(message, error.traceback, client.at, node) from error
        except DeadKernelError as error:
            raise RunError(f"{chapter}: {str(error).splitlines()[0]}", notebook=node) from error
        finally:
            client.over = True  # on Ctrl-C the kernel is still at work
            node.metadata["language_info"] = {"name": "python"}  # without the interpreter's build
    on_cell(chapter, len(node.cells), len(node.cells))
    return node, client.memory


class _Client(NotebookClient):
    """Knows in which cell it is (from 1), since when, and how large its kernel was."""

    at, started, memory, over = 0, None, None, False

    def __init__(self, node: nbformat.NotebookNode, chapter: str, on_cell: Callable) -> None:
        none = KernelSpecManager(kernel_dirs=[])  # so that python3 is this interpreter
        kernel = AsyncKernelManager(kernel_spec_manager=none)
        if sys.platform == "linux":  # by name: another kernel may take a port before its use
            kernel.transport, kernel.ip = "ipc", f"@winnow-{uuid.uuid4().hex}"
        waits = {"startup_timeout": _PATIENCE, "iopub_timeout": _PATIENCE}
        ends = {"record_timing": False, "shutdown_kernel": "immediate", "log": _SILENT}
        super().__init__(node, kernel, **waits, **ends)
        self.on_cell_start, self.on_cell_executed = self._begin, self._measure
        self.chapter, self.on_cell = chapter, on_cell

    async def work(self, path: Path, timeout: float | None, stop: Callable[[], bool]) -> None:
        """Execute all cells; what is to end early has its kernel killed, whatever it is doing."""
        where = {"cwd": str(path.parent), "env": _environment(), "stderr": subprocess.DEVNULL}
        kernel, late = self.km, False
        cells = asyncio.ensure_future(self.async_execute(cleanup_kc=True, **where))
        while not cells.done():
            await asyncio.wait({cells}, timeout=0.1)
            late = timeout and self.started and time.monotonic() > self.started + timeout
            if (late or self.over or stop()) and kernel.has_kernel:
                await kernel.provisioner.kill()
        if late and cells.exception():
            message = f"{path.stem} was not done after {timeout:g} s"
            raise OutOfTimeError(message, notebook=self.nb) from cells.exception()
        cells.result()

    def _begin(self, cell: nbformat.NotebookNode, cell_index: int) -> None:
        self.at, self.started = cell_index + 1, self.started or time.monotonic()
        self.on_cell(self.chapter, cell_index, len(self.nb.cells))

    def _measure(self, **words: object) -> None:
        status = Path(f"/proc/{self.km.provisioner.pid}/status")
        with contextlib.suppress(OSError, TypeError):  # not on Linux
            peak = re.search(r"VmHWM:\s*(\d+)", status.read_text(encoding="ascii"))
            self.memory = int(peak[1]) // 1024

    def _cleanup_kernel(self) -> None:
        """When this process ends, there is nothing left to do: kernels go with it."""


def _environment() -> dict[str, str]:
    """A kernel's: threads must not fight for cores, files are UTF-8, and the library is ours."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    ours = {"PYTHONUTF8": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return {**dict.fromkeys(names, "1"), **os.environ, **ours}
