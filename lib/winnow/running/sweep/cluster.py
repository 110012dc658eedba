"""Sweeps on dask.distributed: on cores of this machine, or on any scheduler by its address."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace

import dask
import distributed
from distributed import Client

from winnow.reporting import results
from winnow.running.errors import RunError
from winnow.running.sweep import runs
from winnow.running.sweep.runs import Plan, Run

_PATIENCE = 10  # seconds for a scheduler to answer


def sweep(
    plan: Plan,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    timeout: float | None = None,
    retry: bool = False,
    on_progress: Callable[[int, int, str], None] = lambda ended, total, words: None,
) -> int:
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
        Called with runs that have ended, runs in all, and what else there is to say.

    Returns
    -------
    int
        How many runs ended now; what has become of each, the plan says.

    Raises
    ------
    ValueError
        Unreachable scheduler, workers with other code, a folder that cannot be written.
    RunError
        The scheduler went away, a worker's code changed, or the folder's disk is full. What has
        finished stays, as on any interruption.
    """
    with results.staging(plan.folder):
        waiting = plan.to_do(retry=retry)
        if not waiting:
            return 0
        plain = dask.config.set({"distributed.worker.profile.enabled": False})  # it only grows
        try:
            with plain, _connect(workers, scheduler) as client:
                while not client.nthreads():  # a queue may take its time to grant a worker
                    on_progress(0, len(plan.runs), "runs, no workers")
                    time.sleep(0.5)
                told = client.run(runs.check, replace(plan, runs=[]), on_error="return")
                for address, error in told.items():
                    if error:
                        raise ValueError(f"worker {address} cannot run {plan.chapter}: {error}")
                _work(client, plan, waiting, timeout, on_progress)
        except (CancelledError, OSError) as error:
            raise RunError("the scheduler went away") from error
    return len(waiting)


def _connect(workers: int | None, scheduler: str | None) -> Client:
    """A client of the scheduler, else of threads here: a run's work is its kernel's process's."""
    for name in ("distributed", "tornado", "asyncio"):  # what concerns the user is said by us
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler is None:
        pages = ("dashboard_address", "worker_dashboard_address")
        here = dict.fromkeys(pages, "127.0.0.1:0")  # not for other machines to see
        here |= {"n_workers": 1, "threads_per_worker": workers or results.cores()}
        return Client(**here, processes=False, memory_limit=0, silence_logs=logging.CRITICAL)
    try:
        with ThreadPoolExecutor(1) as apart:  # here a loop may run already, as in a notebook
            apart.submit(asyncio.run, _check_scheduler(scheduler)).result()
    except Exception as error:  # an address can be wrong in many ways
        raise ValueError(f"no dask scheduler answers at {scheduler}: is it running?") from error
    return Client(scheduler, timeout=_PATIENCE)


async def _check_scheduler(address: str) -> None:
    """Refuse what else dask may have there; a client would wait for ever for a foreign one."""
    async with asyncio.timeout(_PATIENCE), distributed.rpc(address) as server:
        if (await server.identity())["type"] != "Scheduler":
            raise ValueError("something else answers")


def _work(client: Client, plan: Plan, waiting: list[Run], timeout, on_progress: Callable) -> None:
    """Hand out runs until none is left."""
    total, before = len(plan.runs), len(plan.runs) - len(waiting)
    failed, places = len(plan.to_do(retry=True)) - len(waiting), sum(client.nthreads().values())
    on_progress(before, total, f"runs, {failed} failed, {places} at a time")
    options = {"plan": replace(plan, runs=[]), "timeout": timeout, "pure": False}
    futures = dict(zip(client.map(_perform, waiting, **options), waiting, strict=True))
    for ended, future in enumerate(distributed.as_completed(futures), 1):
        run = futures.pop(future)
        try:
            failed += not future.result()  # what concerns the whole sweep is raised
        except distributed.KilledWorker:
            died = RunError(f"{plan.chapter}: its worker died each time it was tried")
            runs.record_failure(plan, run, died)
            failed += 1
        on_progress(before + ended, total, f"runs, {failed} failed")


# --- on a worker --------------------------------------------------------------------------------


def _perform(run: Run, plan: Plan, timeout: float | None) -> bool:
    """Execute a run; when nobody waits for it any more, however that came about, end it."""
    worker = distributed.get_worker()
    key = worker.get_current_task()

    def unwanted() -> bool:
        task = worker.state.tasks.get(key)
        at_work = worker.status.name in ("running", "paused")
        return not task or task.state != "executing" or not at_work

    return runs.perform(run, plan, timeout=timeout, stop=unwanted)
