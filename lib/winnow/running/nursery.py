"""Kernels born warm: each is forked from a process that has imported what chapters import.

A sweep starts a kernel for every run, and most of what a short run takes is imports. Kernels that
are kept and used again would save them, but carry over whatever an earlier run left behind.
Here one process, the nursery, imports and then only forks. Every run gets a process of its own,
with nothing in it but imports.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import psutil
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

#: Forking after imports is safe on Linux; macOS has libraries that object, Windows has no fork.
POSSIBLE = sys.platform == "linux"

#: Set for kernels, which must not fight for cores with threads of their libraries; and a process
#: with threads cannot be forked.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

# Without -P, which kernels would inherit: they do import from their own folder.
_START = (
    "import sys; sys.path[:] = filter(None, sys.path); "
    "import winnow.nursery; winnow.running.nursery.main(sys.argv[1:])"
)
_INLINE = "module://matplotlib_inline.backend_inline"
_CHANNEL = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}


class Provisioner(LocalProvisioner):
    """Jupyter's own way to hold a kernel, which asks a nursery first for one.

    Parameters
    ----------
    modules
        What the kernel is to have imported.
    **options
        As Jupyter's own.
    """

    def __init__(self, modules: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self._modules = tuple(modules)

    async def launch_kernel(self, cmd: list[str], **options: Any) -> dict[str, Any]:
        """As of a subprocess, ``[python, -m, ipykernel_launcher, argument, ...]``."""
        born = None
        if POSSIBLE and "ipykernel_launcher" in cmd[:3]:
            place = {"env": options.get("env") or os.environ, "cwd": options.get("cwd") or "."}
            born = _fork(self._modules, cmd[3:], **place)
        if born is None:
            return await super().launch_kernel(cmd, **options)
        self.process, self.pid, self.pgid = born, born.pid, born.pid  # a group of its own
        return self.connection_info


class Kernel:
    """A forked kernel, with what Jupyter needs of a :class:`subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._process = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None

    def poll(self) -> int | None:
        """Nothing while it runs, 0 afterwards: how it ended only the nursery knows."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if self._process and self._process.is_running():  # not another of that number
                return None if self._process.status() != psutil.STATUS_ZOMBIE else 0
        return 0

    def wait(self) -> int:
        """Jupyter waits by asking :meth:`poll`, so there is nothing left to wait for."""
        return 0

    def send_signal(self, signum: int) -> None:
        if self._process:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process.send_signal(signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class Nursery:
    """A process that imports modules, once, and forks kernels.

    Parameters
    ----------
    modules
        What to import; what cannot be is left to fail in the notebook that needs it.

    Raises
    ------
    RuntimeError
        If a module started a thread, of which a fork would carry over half.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        # Neither Ctrl-C nor the folder it is started in concerns it.
        command = [sys.executable, "-c", _START, *modules]
        environment = {**os.environ, **ONE_THREAD, "MPLBACKEND": _INLINE}  # read on import
        self._process = subprocess.Popen(
            command, env=environment, text=True, start_new_session=True, **_CHANNEL
        )
        self._lock = threading.Lock()
        if "ready" not in (said := self._hear()):
            self.close()
            raise RuntimeError(said.get("refused", "the nursery died"))

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    def fork(self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: str) -> Kernel:
        """A new kernel, with ipykernel's arguments, in an environment and a folder.

        Raises
        ------
        RuntimeError
            If the nursery is gone.
        """
        request = {"arguments": list(arguments), "env": {**env, **ONE_THREAD}, "cwd": cwd}
        with self._lock:
            try:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
            except OSError as error:
                raise RuntimeError("the nursery died") from error
            said = self._hear()
        if "born" not in said:
            raise RuntimeError("the nursery died")
        return Kernel(said["born"])

    def close(self) -> None:
        """End it and all kernels that it forked."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # at which it kills its kernels, and ends
        self._process.wait()
        self._process.stdout.close()

    def _hear(self) -> dict[str, Any]:
        return json.loads(self._process.stdout.readline() or "{}")


_lock = threading.Lock()
_nurseries: dict[tuple[str, ...], Nursery] = {}


def close() -> None:
    """End this process's nurseries and all their kernels."""
    with _lock:
        while _nurseries:
            _nurseries.popitem()[1].close()


def _fork(modules: tuple[str, ...], arguments: Sequence[str], **options: Any) -> Kernel | None:
    """A kernel of this process's nursery for these modules, or nothing if there can be none."""
    with _lock:
        for _ in range(2):  # a nursery that somebody killed is replaced
            try:
                if modules not in _nurseries:
                    _nurseries[modules] = Nursery(modules)
                return _nurseries[modules].fork(arguments, **options)
            except RuntimeError:
                if dead := _nurseries.pop(modules, None):
                    dead.close()
    return None


# --- inside the nursery -------------------------------------------------------------------------


def main(modules: Sequence[str]) -> None:
    """Import, say so, then fork a kernel for each line on standard input until it ends."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what modules print must not mix with the answers
    for name in ("ipykernel.kernelapp", *modules):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        _say(channel, refused=f"imports have started {threads - 1} threads")
        return
    gc.collect()
    gc.freeze()  # what is imported is garbage in no kernel: its pages stay shared
    _say(channel, ready=os.getpid())
    kernels: set[int] = set()
    for line in _lines(kernels):
        pid = os.fork()
        if pid == 0:
            os.close(channel.fileno())
            _live(json.loads(line))
        with contextlib.suppress(OSError):  # the kernel does the same; whoever comes first
            os.setpgid(pid, pid)
        kernels.add(pid)
        _say(channel, born=pid)
    for pid in kernels:  # not collected yet, so no other process can have the number
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _lines(kernels: set[int]) -> Any:
    """Requests as they come; meanwhile kernels that have ended are collected."""
    rest = b""
    while True:
        if select.select([0], [], [], 1.0)[0]:
            heard = os.read(0, 1 << 16)
            if not heard:
                return
            *lines, rest = (rest + heard).split(b"\n")
            yield from lines
        while kernels:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            kernels.discard(pid)


def _live(request: Mapping[str, Any]) -> None:
    """Become a kernel; what is left of the nursery here are its imports."""
    code = 1
    try:
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        sys.argv[:] = ["ipykernel_launcher", *request["arguments"]]
        if draws := sys.modules.get("numpy.random"):
            draws.seed()  # code that seeds nothing differs from run to run, as ever
        from ipykernel.kernelapp import IPKernelApp

        parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # ends when that ends
        IPKernelApp.launch_instance(argv=[*request["arguments"], parent])
        code = 0
    finally:
        os._exit(code)


def _say(channel: Any, **words: Any) -> None:
    channel.write(json.dumps(words) + "\n")
    channel.flush()
