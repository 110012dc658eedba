"""Whatever ends a sweep, what has finished stays, nothing lives on, and the rerun is complete."""

import asyncio
import contextlib
import gc
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import distributed
import numpy as np
import pandas as pd
import psutil
import pytest

from shared import PATIENCE, Command, alive, descendants, files, start, wait_for
from winnow.reporting import results
from winnow.running.errors import RunError
from winnow.running.sweep import cluster, runs, table

pytestmark = pytest.mark.slow

GRID = {"n": "1:6"}
WORDS = ("sweep", "patient", "-p", "n=1:6", "--workers", "2")


@pytest.fixture(autouse=True)
def at_book(patient, monkeypatch):
    monkeypatch.setenv("WINNOW_ROOT", str(patient.book))
    yield
    for command in multiprocessing.active_children():  # of a test that failed on its way
        command.kill()
        command.join()
    patient.let_go()
    patient.forget()


@pytest.fixture(scope="module")
def undisturbed(patient, tmp_path_factory):
    """The table of the grid from a sweep that nothing happened to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_ROOT", str(patient.book))
        plan = runs.plan("patient", GRID, output=tmp_path_factory.mktemp("calm") / "sweep")
        cluster.sweep(plan, workers=2)
    patient.forget()
    return rows(plan)


def rows(plan):
    """A sweep's table without what differs from time to time."""
    return table.collect(plan).drop(columns="seconds")


def plan_in(folder, grid=GRID):
    return runs.plan("patient", grid, output=folder / "sweep")


def finished(folder):
    """Each finished run's files, and when they were written."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for run in (folder / "sweep" / "runs").glob("[!.]*")
        for path in run.iterdir()
    }


def ended(plan):
    """How many runs are done, and how many have failed."""
    return sum(map(plan.done, plan.runs)), len(failures(plan))


def failures(plan):
    """Failed runs, with what is known of each."""
    return [(run, plan.failure(run)) for run in plan.runs if plan.failure(run)]


def leftovers(folder):
    return [*folder.rglob(f"{results.STAGE_PREFIX}*")]


def assert_completes(folder, undisturbed, before=None, **options):
    """A repeated sweep keeps what had finished and does the rest."""
    before = finished(folder) if before is None else before
    plan = plan_in(folder)
    cluster.sweep(plan, workers=2, **options)
    assert ended(plan) == (5, 0)
    assert before.items() <= finished(folder).items()
    pd.testing.assert_frame_equal(rows(plan), undisturbed)
    assert leftovers(folder) == []


# --- the coordinator ----------------------------------------------------------------------------


def begin(patient, folder, *words, starter=Command):
    """The sweep when two runs are done and two are at work: command, its processes, kernels."""
    patient.hold(3, 4)
    where = () if starter is start else (folder,)
    command = starter(patient.book, *where, *WORDS, "--output", str(folder / "sweep"), *words)
    kernels = [patient.kernel(3), patient.kernel(4)]
    wait_for(lambda: len([*(folder / "sweep" / "runs").glob("[!.]*")]) == 2)
    return command, descendants(command.pid), kernels


def test_a_killed_sweep_leaves_no_process_and_goes_on_where_it_stopped(
    patient, undisturbed, tmp_path
):
    command, processes, kernels = begin(patient, tmp_path)
    assert {*kernels} == {*processes}
    before = files(tmp_path / "sweep")
    with pytest.raises(ValueError, match=r"another run is at work in .*sweep: wait, or choose"):
        cluster.sweep(plan_in(tmp_path), workers=2)
    assert files(tmp_path / "sweep") == before
    command.end()
    wait_for(lambda: not any(map(alive, processes)))
    assert len(leftovers(tmp_path)) == 1
    patient.let_go()
    assert_completes(tmp_path, undisturbed)


def test_an_interrupted_sweep_says_so_leaves_nothing_and_goes_on_where_it_stopped(
    patient, undisturbed, tmp_path
):
    command, processes, _ = begin(patient, tmp_path, starter=start)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=PATIENCE)
    assert (command.returncode, out) == (1, "")
    assert err.splitlines()[-1] == "winnow: interrupted; earlier results are untouched"
    assert "Traceback" not in err
    wait_for(lambda: not any(map(alive, processes)))
    assert leftovers(tmp_path) == []
    assert not [*(tmp_path / "sweep" / "failed").glob("*")]
    written = pd.read_csv(tmp_path / "sweep" / "table.csv")
    assert [*written.drop_duplicates("run").status] == ["done"] * 2 + ["not run"] * 3
    patient.let_go()
    assert_completes(tmp_path, undisturbed)


def test_a_termination_before_anything_is_done_leaves_no_folder(patient, tmp_path):
    patient.hold(1, 2)
    command = Command(patient.book, tmp_path, *WORDS, "--output", tmp_path / "a" / "sweep")
    processes = [patient.kernel(1), patient.kernel(2), *descendants(command.pid)]
    command.send_signal(signal.SIGTERM)
    code, out, err = command.wait()
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "winnow: interrupted; earlier results are untouched"
    wait_for(lambda: not any(map(alive, processes)))
    assert not (tmp_path / "a").exists()


# --- runs that end badly ------------------------------------------------------------------------


def sweep_apart(plan, **options):
    """A sweep in a thread of this process, and where its result or its error will be."""
    result = []

    def work():
        try:
            result.append(cluster.sweep(plan, **options))
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, result


def test_a_sweep_on_this_machine_can_be_seen_from_no_other(patient, tmp_path):
    seen = set()

    def look(*told):
        found = psutil.Process().net_connections("tcp")
        seen.update(c.laddr.ip for c in found if c.status == "LISTEN")

    cluster.sweep(plan_in(tmp_path, {"n": "1"}), workers=1, on_progress=look)
    assert seen == {"127.0.0.1"}


def test_a_killed_kernel_fails_its_run_only_and_is_retried_on_request(
    patient, undisturbed, tmp_path
):
    patient.hold(3)
    plan = plan_in(tmp_path)
    thread, result = sweep_apart(plan, workers=2)
    os.kill(patient.kernel(3), signal.SIGKILL)
    thread.join(PATIENCE)
    assert result == [5]
    assert ended(plan) == (4, 1)
    [(run, about)] = failures(plan)
    assert run.parameters["n"] == 3
    assert "died" in about["error"].lower()
    before = finished(tmp_path)
    assert cluster.sweep(plan, workers=2) == 0
    assert failures(plan) == [(run, about)]
    patient.let_go()
    assert_completes(tmp_path, undisturbed, before, retry=True)
    assert [*(tmp_path / "sweep" / "failed").glob("*")] == []


def test_failures_are_recorded_and_stop_nothing(patient, tmp_path):
    plan = plan_in(tmp_path, {"n": "1:3", "action": "fail,none,die"})
    told = []
    cluster.sweep(plan, workers=2, on_progress=lambda *step: told.append(step))
    assert ended(plan) == (2, 4)
    assert told[0] == (0, 6, "runs, 0 failed, 2 at a time")
    assert told[-1] == (6, 6, "runs, 4 failed")
    failed = {(run.parameters["n"], run.parameters["action"]): run for run, _ in failures(plan)}
    about = plan.failure(failed[2, "fail"])
    assert about["cell"] == 3
    assert about["error"] == "patient failed in cell 3: RuntimeError: no luck with 2"
    assert "raise RuntimeError" in about["traceback"]
    assert about["status"] == "failed"
    assert about["parameters"]["n"] == 2
    assert "died" in plan.failure(failed[1, "die"])["error"].lower()
    assert plan.failure(failed[1, "die"])["cell"] is None
    assert (plan.path(failed[1, "fail"], "failed") / "patient.ipynb").is_file()
    assert leftovers(tmp_path) == []


def test_a_run_that_never_ends_is_given_up_after_its_time(patient, tmp_path):
    plan = plan_in(tmp_path, {"n": "1:4", "action": "endless"})
    cluster.sweep(plan, workers=2, timeout=1)
    assert ended(plan) == (0, 3)
    for _, about in failures(plan):
        assert about["error"] == "patient was not done after 1 s"
        assert about["status"] == "timed out"
        assert about["seconds"] >= 1
    notes = patient.notebooks.glob("kernel-*.pid")  # of those that came so far
    assert not any(alive(int(note.read_text())) for note in notes)
    plan = plan_in(tmp_path, {"n": "1:4", "action": "endless,none"})
    cluster.sweep(plan, workers=2)  # none that a busy machine could hold up too long
    assert ended(plan) == (3, 3)
    assert [*table.collect(plan).status] == ["timed out", "done", "done"] * 3


def test_dozens_of_runs_leave_no_files_threads_or_memory(patient, tmp_path):
    this, used = psutil.Process(), []

    def look(*told):
        gc.collect()
        used.append((this.num_fds(), threading.active_count(), this.memory_info().rss >> 20))

    cluster.sweep(plan_in(tmp_path, {"n": "1:25"}), workers=2, on_progress=look)
    # A busy machine is slow to let go, so the least of each stretch counts: a leak raises it, too.
    early, late = (np.min(some, axis=0) for some in (used[3:9], used[-6:]))
    assert (late - early <= (12, 6, 20)).all()


# --- the disk -----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    if sys.platform != "linux" or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("mounting a small disk takes more rights than these")
    yield folder
    subprocess.run(("umount", "--lazy", str(folder)), check=True)


def fill(folder):
    """Leave no room at all in a file system."""
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_is_named_and_the_rerun_completes(patient, undisturbed, small_disk):
    patient.hold(3, 4)
    folder = small_disk / "sweep"
    command = Command(patient.book, small_disk.parent, *WORDS, "--output", folder)
    kernels = patient.kernel(3), patient.kernel(4)
    wait_for(lambda: len([*(folder / "runs").glob("[!.]*")]) == 2)
    before = finished(small_disk)
    fill(small_disk)
    patient.let_go()
    code, out, err = command.wait()
    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith("winnow: ")
    assert str(folder) in last
    assert "No space left on device" in last
    assert "Traceback" not in err
    wait_for(lambda: not any(map(alive, kernels)))
    assert leftovers(small_disk) == []
    assert [*(folder / "failed").glob("*")] == []
    assert before.items() <= finished(small_disk).items()

    (small_disk / "filler").unlink()
    assert_completes(small_disk, undisturbed, before)


def test_a_table_that_finds_no_space_is_said(patient, small_disk):
    folder = small_disk / "sweep"
    plan = runs.plan("patient", {"n": "1"}, output=folder)
    cluster.sweep(plan, workers=1)
    (folder / "spare").write_bytes(bytes(4096))
    fill(small_disk)
    (folder / "spare").unlink()  # room for a folder
    words = ("sweep", "patient", "-p", "n=1", "--output", folder)
    code, out, err = Command(patient.book, small_disk.parent, *words).wait()
    assert (code, out) == (1, "")
    assert "1 of 1 runs done" in err
    assert err.splitlines()[-1] == f"winnow: cannot write to {folder}: No space left on device"
    assert leftovers(small_disk) == []


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
def test_a_limit_on_files_stops_a_sweep_as_a_full_disk_does(patient, tmp_path):
    """Needs no rights: what a run writes is larger than what the system allows."""
    import resource

    patient.hold(1, 2)
    command = Command(patient.book, tmp_path, *WORDS, "--output", tmp_path / "sweep")
    patient.kernel(1)
    resource.prlimit(command.pid, resource.RLIMIT_FSIZE, (1500, 1500))
    patient.let_go()
    code, _, err = command.wait()
    assert code == 1
    assert "File too large" in err.splitlines()[-1]
    assert str(tmp_path / "sweep") in err.splitlines()[-1]
    assert not (tmp_path / "sweep").exists()


# --- a scheduler, and workers apart -------------------------------------------------------------


class Dask:
    """A dask scheduler on this machine, and workers, each in processes of their own."""

    def __init__(self, folder, book):
        self.folder, self.book, self.processes = folder, book, []
        self.plain = self.nanny = None
        note = folder / "scheduler.json"
        words = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(note))
        self.scheduler = self.start("scheduler", *words)
        wait_for(note.exists)
        wait_for(lambda: note.read_text().endswith("}"))
        self.address = json.loads(note.read_text())["address"]

    def start(self, kind, *words, before=(), **environment):
        dask = str(Path(sys.executable).with_name("dask"))
        with (self.folder / "dask.log").open("a") as log:
            process = subprocess.Popen(
                [*before, dask, kind, "--no-dashboard", *words],
                env={**os.environ, "WINNOW_ROOT": str(self.book), **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def worker(self, *words, **options):
        words = (self.address, "--nthreads", "1", "--local-directory", str(self.folder), *words)
        return self.start("worker", *words, **options)

    def replace_dead_workers(self):
        if self.plain is None or self.plain.poll() is not None:
            self.plain = self.worker("--no-nanny")
        if self.nanny is None or self.nanny.poll() is not None:
            self.nanny = self.worker("--nanny")
        self.wait_for_workers(2)

    def end_workers(self):
        for process in (self.plain, self.nanny):
            if process is not None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.wait_for_workers(0)

    def wait_for_workers(self, n):
        with distributed.Client(self.address) as client:
            wait_for(lambda: len(client.nthreads()) == n)

    def sweep(self, plan, **options):
        return cluster.sweep(plan, scheduler=self.address, **options)

    def end(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def clusters(patient, tmp_path_factory):
    """Makes a dask, or gives the last one again if its scheduler is alive; ends all."""
    made = []

    def give():
        if not made or made[-1].scheduler.poll() is not None:
            made.append(Dask(tmp_path_factory.mktemp("dask"), patient.book))
        return made[-1]

    yield give
    for each in made:
        each.end()


@pytest.fixture
def two_workers(clusters):
    """A dask whose second worker has a nanny."""
    dask = clusters()
    dask.replace_dead_workers()
    return dask


@pytest.fixture
def no_workers(patient, tmp_path):
    dask = Dask(tmp_path, patient.book)
    yield dask
    dask.end()


def test_a_sweep_waits_for_its_first_worker(clusters, undisturbed, tmp_path):
    dask = clusters()
    dask.end_workers()
    plan, told = plan_in(tmp_path), []
    thread, result = sweep_apart(
        plan, scheduler=dask.address, on_progress=lambda *step: told.append(step)
    )
    wait_for(lambda: told)
    assert told[0] == (0, 5, "runs, no workers")
    dask.plain = dask.worker("--no-nanny")
    thread.join(PATIENCE)
    assert result == [5]
    assert ended(plan) == (5, 0)
    pd.testing.assert_frame_equal(rows(plan), undisturbed)


def test_a_sweep_can_be_started_from_a_notebook(two_workers, undisturbed, tmp_path):
    """There an event loop runs already, in the thread that executes the cells."""

    async def in_a_cell(plan, **where):
        return cluster.sweep(plan, **where)

    for name, where in (("apart", {"scheduler": two_workers.address}), ("here", {"workers": 2})):
        plan = plan_in(tmp_path / name)
        with ThreadPoolExecutor(1) as apart:  # in this one a browser's loop may run
            apart.submit(asyncio.run, in_a_cell(plan, **where)).result()
        assert ended(plan) == (5, 0)
        pd.testing.assert_frame_equal(rows(plan), undisturbed)


def refused(two_workers, folder, *words, **options):
    """What is said of a third worker, which stays out."""
    worker = two_workers.worker("--no-nanny", *words, **options)
    try:
        two_workers.wait_for_workers(3)
        with pytest.raises(ValueError, match="worker ") as caught:
            two_workers.sweep(plan_in(folder))
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        two_workers.wait_for_workers(2)
    assert not (folder / "sweep").exists()
    return str(caught.value)


def test_workers_with_another_library_are_refused(two_workers, root, tmp_path):
    shutil.copytree(root / "lib", tmp_path / "lib")
    path = tmp_path / "lib" / "winnow" / "seeds.py"
    path.write_text(path.read_text() + "\nX = 1\n")
    words = "cannot run patient: winnow/seeds.py changed, or was another one from the start"
    assert words in refused(two_workers, tmp_path, PYTHONPATH=str(tmp_path / "lib"))


def test_workers_without_the_library_are_refused(two_workers, tmp_path):
    (tmp_path / "lib" / "winnow").mkdir(parents=True)
    (tmp_path / "lib" / "winnow" / "__init__.py").write_text("")
    said = refused(two_workers, tmp_path, PYTHONPATH=str(tmp_path / "lib"))
    assert "cannot run patient: " in said
    assert "winnow" in said.split("cannot run patient: ")[1]


def test_workers_that_do_not_see_the_folder_are_refused(two_workers, tmp_path):
    """Even where they have one of that name."""
    inside = 'mount -t tmpfs none "$0" && mkdir "$0/sweep" && "$@"'
    before = ("unshare", "--mount", "sh", "-c", inside, str(tmp_path))
    if subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("a worker with other folders takes more rights than these")
    said = refused(two_workers, tmp_path, before=before)
    assert f"does not see {tmp_path}/sweep: choose a shared --output" in said


REMOTE = ("sweep", "patient", "-p", "n=1:6")


def test_a_killed_worker_costs_only_time(two_workers, patient, undisturbed, tmp_path):
    """The run goes to another worker; where that is killed, too, its nanny starts a new one."""
    patient.hold(3, 4)
    words = (*REMOTE, "--scheduler", two_workers.address, "--output", tmp_path / "sweep")
    command = Command(patient.book, tmp_path, *words)
    kernels = {n: patient.kernel(n) for n in (3, 4)}
    parents = {n: psutil.Process(pid).parents() for n, pid in kernels.items()}
    [plain] = [n for n in kernels if two_workers.plain.pid in {p.pid for p in parents[n]}]
    [other] = {3, 4} - {plain}
    assert two_workers.nanny.pid in {p.pid for p in parents[other]}
    patient.forget()

    two_workers.plain.kill()
    two_workers.plain.wait()
    wait_for(lambda: not alive(kernels[plain]))
    [worker] = [p for p in parents[other] if p.ppid() == two_workers.nanny.pid]
    worker.kill()
    wait_for(lambda: not alive(kernels[other]))

    notes = [patient.notebooks / f"kernel-{n}.pid" for n in (3, 4)]  # run 5 comes and goes
    wait_for(lambda: any(note.exists() for note in notes))
    [again] = filter(Path.exists, notes)
    ancestors = psutil.Process(int(again.read_text())).parents()
    assert two_workers.nanny.pid in {p.pid for p in ancestors}
    patient.let_go()
    code, _, err = command.wait()
    assert code == 0, err
    pd.testing.assert_frame_equal(rows(plan_in(tmp_path)), undisturbed)
    assert_completes(tmp_path, undisturbed)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_workers_let_go_of_the_runs_of_a_sweep_that_is_gone(
    two_workers, patient, undisturbed, tmp_path, signum
):
    patient.hold(3, 4)
    words = (*REMOTE, "--scheduler", two_workers.address, "--output", tmp_path / "sweep")
    command = Command(patient.book, tmp_path, *words)
    kernels = patient.kernel(3), patient.kernel(4)
    command.send_signal(signum)
    if signum == signal.SIGINT:
        assert command.wait()[0] == 1
    wait_for(lambda: not any(map(alive, kernels)))
    patient.let_go()
    plan = plan_in(tmp_path)
    before = finished(tmp_path)
    two_workers.sweep(plan)
    assert ended(plan) == (5, 0)
    assert before.items() <= finished(tmp_path).items()
    pd.testing.assert_frame_equal(rows(plan), undisturbed)
    assert leftovers(tmp_path / "sweep") == []


def test_a_scheduler_that_goes_away_is_said_and_ends_all_runs(
    two_workers, patient, undisturbed, tmp_path
):
    patient.hold(3, 4)
    thread, result = sweep_apart(plan_in(tmp_path), scheduler=two_workers.address)
    kernels = patient.kernel(3), patient.kernel(4)
    two_workers.scheduler.kill()
    two_workers.scheduler.wait()
    thread.join(PATIENCE)
    assert isinstance(result[0], RunError)
    assert str(result[0]) == "the scheduler went away"
    wait_for(lambda: not any(map(alive, kernels)))
    patient.let_go()
    assert_completes(tmp_path, undisturbed)


def test_a_scheduler_that_goes_away_before_there_are_workers_is_said(no_workers, tmp_path):
    plan = plan_in(tmp_path)

    def go_away(*told):
        no_workers.scheduler.kill()
        no_workers.scheduler.wait()

    with pytest.raises(RunError, match="the scheduler went away"):
        no_workers.sweep(plan, on_progress=go_away)
    assert not plan.folder.exists()
