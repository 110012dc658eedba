"""Sweeps on dask.distributed: on cores of this machine, or on any scheduler by its address."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import dask
import distributed
from distributed import Client, Future, LocalCluster
from distributed.comm import CommClosedError

from winnow.running import execute, freshness
from winnow.running.errors import OutOfSpaceError, RunError
from winnow.running.progress import duration
from winnow.running.sweep import runs
from winnow.running.sweep.runs import Outcome, Plan, Run, Task


@dataclass
class Progress:
    """How far a sweep is."""

    total: int  #: runs of the grid
    done: int = 0
    failed: int = 0
    places: int = 0  #: runs that the cluster's workers take at a time
    seconds: float = 0.0  #: since the first run was handed over
    finished: int = 0  #: of those, in this time
    failures: list[tuple[Run, str]] = field(default_factory=list)

    @property
    def at_work(self) -> str:
        """Runs at work now, as far as one can tell from here, in words."""
        running = min(self.total - self.done - self.failed, self.places)
        return f"{running} running" if self.places else "no workers"

    @property
    def left(self) -> str:
        """The time to the end at the pace so far, in words; empty before a run is through."""
        left = self.total - self.done - self.failed
        if not (left and self.finished):
            return ""
        return f"{duration(left * self.seconds / self.finished)} left"

    @property
    def summary(self) -> str:
        """What has been done, in words."""
        now = f", {self.finished} of them now in {duration(self.seconds)}" if self.finished else ""
        return f"{self.done} of {self.total} runs done{now}"


_PATIENCE, _LOOK = 10, 5  # seconds for a scheduler to answer, and between looks at the workers
_BATCH = 10_000  # runs that a scheduler is told of at once
_GONE = "the scheduler went away"
_AT_WORK = (distributed.Status.running, distributed.Status.paused)

#: Called whenever a run ended or workers came or went.
OnProgress = Callable[[Progress], None]


def sweep(
    plan: Plan,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    timeout: float | None = None,
    retry: bool = False,
    on_progress: OnProgress = lambda progress: None,
) -> Progress:
    """Execute what is left of a sweep.

    Parameters
    ----------
    plan
        Its runs and its folder, see :func:`winnow.running.sweep.runs.plan`.
    workers
        Runs at a time on this machine; by default one for each of its cores.
    scheduler
        Address of a dask scheduler, which takes the place of this machine's cores. Its workers
        must see the plan's folder and have the same library and chapter.
    timeout
        Seconds from its first cell after which a run is given up.
    retry
        Whether runs that failed before are tried again.
    on_progress
        Told whenever something changes.

    Returns
    -------
    Progress
        At the end, with the runs that failed now or before.

    Raises
    ------
    ValueError
        Unreachable scheduler, workers with other code, a folder that cannot be written.
    OutOfSpaceError
        The folder's disk is full. What has finished stays, as on any interruption.
    RunError
        The scheduler went away, or a worker's code changed.
    """
    with runs.held(plan):
        waiting = runs.to_do(plan, retry=retry)
        keys = {run.key for run in waiting}
        before = [run for run in plan.runs if run.key not in keys and not plan.done(run)]
        failures = [(run, plan.failure(run)["error"]) for run in before]
        done = len(plan.runs) - len(waiting) - len(before)
        progress = Progress(len(plan.runs), done, len(before), failures=failures)
        if waiting:
            with _connect(workers, scheduler) as client:
                _await_workers(client, plan, progress, on_progress)
                _work(client, plan, waiting, timeout, progress, on_progress)
        return progress


@contextlib.contextmanager
def _connect(workers: int | None, scheduler: str | None) -> Iterator[Client]:
    for name in ("distributed", "tornado", "asyncio"):  # what concerns the user is said by us
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler is None:
        # A run's work is done in its kernel's process; here threads that wait for it will do.
        places = workers or runs.cores()
        options = {"n_workers": 1, "threads_per_worker": places, "processes": False}
        quiet = {"memory_limit": 0, "silence_logs": logging.CRITICAL}
        names = ("dashboard_address", "worker_dashboard_address")
        here = dict.fromkeys(names, "127.0.0.1:0")  # not for other machines to see
        plain = dask.config.set({"distributed.worker.profile.enabled": False})  # it only grows
        with plain, LocalCluster(**options, **quiet, **here) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        with ThreadPoolExecutor(1) as apart:  # here a loop may run already, as in a notebook
            if apart.submit(asyncio.run, _ask_kind(scheduler)).result() != "Scheduler":
                raise ValueError("something else answers")
        client = Client(scheduler, timeout=_PATIENCE)
    except Exception as error:  # an address can be wrong in many ways
        raise ValueError(f"no dask scheduler answers at {scheduler}: is it running?") from error
    with client:
        yield client


async def _ask_kind(address: str) -> str:
    """What kind of a server dask has there; a client would wait for ever for a foreign one."""
    async with asyncio.timeout(_PATIENCE), distributed.rpc(address) as server:
        return (await server.identity())["type"]


def _await_workers(client: Client, plan: Plan, progress: Progress, on_progress: OnProgress) -> None:
    """Wait for a first worker, which a queue may take its time to grant; refuse unfit ones."""
    while not _places(client):
        on_progress(progress)
        time.sleep(0.5)
    mark = runs.read_mark(plan.folder)
    found = client.run(runs.inspect, plan.chapter, plan.folder, on_error="return")
    for address, said in found.items():
        if isinstance(said, Exception):
            raise ValueError(f"worker {address} cannot run {plan.chapter}: {said}")
        if names := _differences(said["identity"], plan.identity):
            raise ValueError(f"worker {address} has another {names}: install the same there")
        if said["mark"] != mark:
            raise ValueError(
                f"worker {address} does not see {plan.folder}: choose a shared --output"
            )


def _differences(other: dict, ours: dict) -> str:
    """What a worker has in another version, in words; empty where all is the same."""
    names = ["version of the library"] if other["version"] != ours["version"] else []
    files = freshness.differences(other, ours)
    return " and ".join(names + ["text of the chapter" if f == "notebook" else f for f in files])


def _work(
    client: Client,
    plan: Plan,
    waiting: list[Run],
    timeout: float | None,
    progress: Progress,
    on_progress: OnProgress,
) -> None:
    """Hand out runs until none is left."""
    name, alone, over = uuid.uuid4().hex, replace(plan, runs=[]), threading.Event()
    started, lock, futures = time.monotonic(), threading.Lock(), {}

    def tell() -> None:
        with lock, contextlib.suppress(RunError):  # whoever waits for runs hears of it, too
            progress.places = _places(client)
            on_progress(progress)

    def look() -> None:
        while not over.wait(_LOOK):
            tell()

    watch = threading.Thread(target=look, daemon=True)
    try:
        tell()
        watch.start()
        for first in range(0, len(waiting), _BATCH):
            batch = waiting[first : first + _BATCH]
            tasks = [Task(alone, run, name, timeout) for run in batch]
            keys = [_dask_key(task) for task in tasks]
            handed = client.map(_perform, tasks, key=keys, pure=False)
            futures = dict(zip(handed, batch, strict=True))
            for future in distributed.as_completed(futures):
                run = futures.pop(future)
                outcome = _outcome(future, plan, run)
                progress.seconds = time.monotonic() - started
                progress.finished += 1
                if outcome.status == "done":
                    progress.done += 1
                else:
                    progress.failed += 1
                    progress.failures.append((run, outcome.error))
                tell()
    except BaseException:
        with contextlib.suppress(Exception):  # the cluster may be gone, too
            client.cancel(list(futures))
            client.run(runs.abandon, name)
        raise
    finally:
        over.set()


def _dask_key(task: Task) -> tuple[str, str]:
    """A run's name at the scheduler, which keeps notes for each first word: one for a sweep."""
    return f"sweep-{task.sweep}", task.run.key


def _places(client: Client) -> int:
    """Runs that the cluster's workers take at a time."""
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise RunError(_GONE) from error


def _outcome(future: Future, plan: Plan, run: Run) -> Outcome:
    """How a run ended; what concerns the whole sweep is raised."""
    try:
        outcome = future.result()
    except distributed.KilledWorker:
        outcome = runs.record_loss(plan, run, "its worker died each time it was tried")
    except (CancelledError, CommClosedError) as error:
        raise RunError(_GONE) from error
    except Exception as error:  # of a worker that came late, and was not looked at
        raise RunError(f"a worker cannot run {plan.chapter}: {error}") from error
    if outcome.status == "no space":
        raise OutOfSpaceError(outcome.error)
    if outcome.status in ("other version", "abandoned"):
        raise RunError(outcome.error)
    return outcome


# --- on a worker --------------------------------------------------------------------------------


def _perform(task: Task) -> Outcome:
    """Execute a run; when nobody waits for it any more, however that came about, end it."""
    worker, over = distributed.get_worker(), threading.Event()
    key = worker.get_current_task()

    def watch() -> None:
        while not over.wait(1.0):
            wanted = worker.state.tasks.get(key)
            lost = not (wanted and wanted.state == "executing" and worker.status in _AT_WORK)
            if lost and not over.is_set():  # set before the state changes, so looked at after it
                runs.abandon(task.sweep)  # again and again: a kernel may be about to start

    threading.Thread(target=watch, daemon=True).start()
    try:
        return execute.apart(runs.perform, task)
    finally:
        over.set()
