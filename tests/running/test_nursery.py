"""Warm kernels: what they give is what cold ones give, and no run leaves anything to the next."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import types

import nbformat
import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop

from shared import PATIENCE, alive, wait_for
from winnow.running import execute, nursery

pytestmark = pytest.mark.skipif(not nursery.POSSIBLE, reason="kernels are forked on Linux only")

PLAIN = ("json", "os", "random")


@pytest.fixture(autouse=True, scope="module")
def nothing_stays():
    yield
    nursery.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture
def execute(folder):
    """Execute code cells in a kernel; the text of the last output, or the whole notebook."""

    def executed(*cells, warm=PLAIN, whole=False, **options):
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "P", "language": "python"}},
        )
        path = folder / "code.ipynb"
        nbformat.write(notebook, path)
        done = execute.execute(path, {}, folder / "done.ipynb", warm=warm, **options)
        return done if whole else done.cells[-1].outputs[-1]["text"].strip()

    return executed


def nurseries():
    """Processes of this process's nurseries."""
    found = psutil.Process().children()
    return [process for process in found if "winnow.running.nursery" in " ".join(process.cmdline())]


# --- the same as cold ---------------------------------------------------------------------------

STUDY = (
    "import matplotlib.pyplot as plt\nimport numpy as np\nimport pandas as pd\nimport torch",
    "g = np.random.default_rng(3)\n"
    "frame = pd.DataFrame({'x': g.random(4), 'y': g.integers(9, size=4)})\nframe",
    "torch.manual_seed(5)\ntorch.randn(3, dtype=torch.float64) @ torch.randn(3, 3).double()",
    "fig, ax = plt.subplots(figsize=(2, 2))\nax.plot(frame.x, frame.y)\nplt.show()",
    "import os, sys\n[torch.get_num_threads(), os.environ['MPLBACKEND'], sys.argv[1], __name__]",
    "from pathlib import Path\nPath.cwd().name, sys.flags.safe_path, '' in sys.path",
)


def test_warm_kernels_give_the_outputs_of_cold_ones_pictures_included(execute):
    warm = execute(*STUDY, warm=("matplotlib.pyplot", "pandas", "torch"), whole=True)
    assert nurseries()
    cold = execute(*STUDY, warm=None, whole=True)
    for number, (a, b) in enumerate(zip(warm.cells, cold.cells, strict=True)):
        assert a.outputs == b.outputs, number
    [picture] = warm.cells[3].outputs
    assert len(picture.data["image/png"]) > 1000


# --- nothing is shared --------------------------------------------------------------------------

SPOIL = """
import numpy, os, random, sys, json
numpy.spoilt = json.spoilt = True
numpy.mean = None
os.environ["SPOILT"] = "yes"
os.chdir("/")
sys.path.insert(0, "/spoilt")
random.seed(1)
numpy.random.seed(1)
spoilt = True
print(random.random(), numpy.random.random())
"""

LOOK = """
import numpy, os, random, sys, json
print(json.dumps({
    "modules": hasattr(numpy, "spoilt") or hasattr(json, "spoilt"),
    "mean": numpy.mean is None,
    "environment": "SPOILT" in os.environ,
    "path": "/spoilt" in sys.path,
    "names": "spoilt" in globals(),
    "folder": os.getcwd(),
    "draws": [random.random(), numpy.random.random()],
    "pid": os.getpid(),
    "parent": os.getppid(),
}))
"""


def test_nothing_leaks_from_one_run_to_the_next(execute, folder):
    modules = ("numpy.random", *PLAIN)
    before = json.loads(execute(LOOK, warm=modules))
    seeded = execute(SPOIL, warm=modules)
    after = json.loads(execute(LOOK, warm=modules))
    for name in ("modules", "mean", "environment", "path", "names"):
        assert after[name] is False
    assert after["folder"] == str(folder)
    assert after["pid"] != before["pid"]
    assert after["parent"] == before["parent"] == nursery._nurseries[modules]._process.pid
    assert before["draws"][0] != after["draws"][0]  # unseeded draws differ, as in cold kernels
    assert before["draws"][1] != after["draws"][1]
    assert execute(SPOIL, warm=modules) == seeded  # and seeded ones do not


def test_a_kernel_has_the_environment_of_its_moment(execute, monkeypatch):
    monkeypatch.setenv("SAID", "first")
    assert execute("import os\nprint(os.environ.get('SAID'))") == "first"
    monkeypatch.setenv("SAID", "second")
    assert execute("import os\nprint(os.environ.get('SAID'))") == "second"
    monkeypatch.delenv("SAID")
    assert execute("import os\nprint(os.environ.get('SAID'))") == "None"


def test_kernels_use_one_thread_each(execute):
    code = "import os\nprint(*[os.environ[n] for n in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS')])"
    assert execute(code) == "1 1"


LISTEN = """
from ipykernel.connect import get_connection_info
info = get_connection_info(unpack=True)
print(info["transport"], info["ip"][:8])
"""


@pytest.mark.parametrize("warm", [PLAIN, None], ids=["warm", "cold"])
def test_kernels_take_no_ports(execute, warm):
    """Two that start at once can pick the same one, of which the second then dies."""
    assert execute(LISTEN, warm=warm) == "ipc @winnow-"


def test_the_folder_of_the_command_is_not_imported_from(execute, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "colorsys.py").write_text("raise RuntimeError('mine')")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert execute("import colorsys\nprint(colorsys.__name__)", warm=("colorsys",)) == "colorsys"


def test_the_time_a_kernel_takes_to_start_is_not_the_chapters(execute, monkeypatch):
    """Else a chapter on a busy machine is out of time before its first cell."""
    now = [0.0]
    begin = execute._KernelManager.start_kernel

    async def slowly(self, **options):
        await begin(self, **options)
        now[0] += 1e4

    monkeypatch.setattr(execute, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(execute._KernelManager, "start_kernel", slowly)
    code = "import time\ntime.sleep(0.5)\nprint('in time')"
    assert execute(code, timeout=1e3) == "in time"
    assert now == [1e4]


# --- processes ----------------------------------------------------------------------------------

WHO = "import os\nprint(os.getppid(), os.getpid(), os.getpgid(0))"
IDLE = ["ipykernel_launcher"]


@pytest.fixture
def nest():
    """A nursery of its own, and a way to fork kernels that wait for messages in vain."""
    nest = nursery.Nursery(PLAIN)
    made = []

    def fork(folder):
        file = folder / f"connection-{len(made)}.json"
        made.append(nest.fork(["-f", str(file)], env=dict(os.environ), cwd=str(folder)))
        wait_for(file.exists)  # it is up
        return made[-1]

    yield nest, fork
    nest.close()


def test_a_kernel_is_the_leader_of_a_group_of_its_own(nest, tmp_path):
    _, fork = nest
    first, second = fork(tmp_path), fork(tmp_path)
    assert os.getpgid(first.pid) == first.pid != os.getpgid(second.pid)
    os.killpg(first.pid, signal.SIGKILL)
    wait_for(lambda: first.poll() is not None)
    assert second.poll() is None
    assert nest[0].alive


def test_kernels_end_with_their_nursery_killed_or_closed(nest, tmp_path):
    nest, fork = nest
    kernels = [fork(tmp_path), fork(tmp_path)]
    os.kill(nest._process.pid, signal.SIGKILL)
    wait_for(lambda: not any(alive(kernel.pid) for kernel in kernels))
    assert not nest.alive
    with pytest.raises(RuntimeError, match="the nursery died"):
        nest.fork([], env={}, cwd=".")
    other = nursery.Nursery(PLAIN)
    kernel = other.fork(["-f", str(tmp_path / "c.json")], env=dict(os.environ), cwd=str(tmp_path))
    wait_for((tmp_path / "c.json").exists)
    other.close()
    wait_for(lambda: not alive(kernel.pid))
    assert kernel.poll() == 0


def test_kernels_that_end_are_collected(nest, tmp_path):
    nest, fork = nest
    kernel = fork(tmp_path)
    kernel.kill()
    wait_for(lambda: not psutil.pid_exists(kernel.pid))
    assert nest.alive
    kernel.terminate()  # of one that is gone: nothing
    assert (kernel.poll(), kernel.wait()) == (0, 0)


OWNER = """
import os, sys, time
from winnow.running import nursery
nest = nursery.Nursery(("json",))
kernel = nest.fork(["-f", sys.argv[1]], env=dict(os.environ), cwd=".")
print(nest._process.pid, kernel.pid, flush=True)
time.sleep(600)
"""


def test_nursery_and_kernels_end_with_their_owner(tmp_path):
    words = [sys.executable, "-c", OWNER, str(tmp_path / "c.json")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as owner:
        nest, kernel = map(int, owner.stdout.readline().split())
        assert alive(nest)
        assert alive(kernel)
        owner.kill()
    wait_for(lambda: not alive(nest) and not alive(kernel))


def test_a_killed_nursery_is_replaced(execute):
    first, *_ = execute(WHO).split()
    os.kill(int(first), signal.SIGKILL)
    second, *_ = execute(WHO).split()
    assert first != second
    assert second in {str(process.pid) for process in nurseries()}
    assert execute(WHO).split()[0] == second


def test_a_nursery_whose_imports_start_threads_refuses_and_kernels_start_cold(
    execute, tmp_path, monkeypatch
):
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = {process.pid for process in nurseries()}
    with pytest.raises(RuntimeError, match="imports have started 1 threads"):
        nursery.Nursery(("threaded",))
    assert execute(WHO, warm=("threaded",)).split()[0] == str(os.getpid())
    assert {process.pid for process in nurseries()} == before


def test_a_module_that_cannot_be_imported_fails_where_the_notebook_needs_it(execute):
    assert execute("print('well')", warm=("no_such_module",)) == "well"
    with pytest.raises(execute.RunError, match="failed in cell 1: ModuleNotFoundError"):
        execute("import no_such_module", warm=("no_such_module",))


def test_what_modules_print_is_not_taken_for_an_answer(execute, tmp_path, monkeypatch):
    (tmp_path / "loud.py").write_text("import os\nprint('{}')\nos.write(1, b'words')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert execute("print('well')", warm=("loud",)) == "well"


def test_kernels_of_an_owner_are_ended_and_others_are_not(execute, folder):
    """Two runs at a time; the one whose owner is named ends."""
    ended = []

    def run(owner, note):
        try:
            execute(
                f"import time, pathlib\npathlib.Path('{note}').touch()\n"
                f"while not pathlib.Path('enough').exists(): time.sleep(0.02)\nprint('{owner}')",
                owner=owner,
            )
            ended.append((owner, "done"))
        except execute.RunError as error:
            ended.append((owner, str(error)))
        finally:
            ensure_event_loop().close()

    threads = [threading.Thread(target=run, args=(o, f"{o}.note")) for o in ("mine", "yours")]
    first, second = threads
    first.start()
    wait_for((folder / "mine.note").exists)
    second.start()
    wait_for((folder / "yours.note").exists)
    execute.kill_kernels("mine")
    first.join(PATIENCE)
    [(owner, words)] = ended
    assert owner == "mine"
    assert "died" in words.lower()
    (folder / "enough").touch()
    second.join(PATIENCE)
    assert ended[1:] == [("yours", "done")]


@pytest.mark.parametrize("warm", [None, PLAIN], ids=["cold", "warm"])
def test_after_an_interruption_nothing_waits_for_the_cell(execute, monkeypatch, caplog, warm):
    """What waits looks for the kernel each second, and would say to the user that it died."""
    whole = AsyncKernelManager.cleanup_resources

    async def slowly(self, restart=False):
        await asyncio.sleep(1.5)
        await whole(self, restart)

    def interrupt(line):
        raise KeyboardInterrupt

    monkeypatch.setattr(AsyncKernelManager, "cleanup_resources", slowly)
    cell = "import time; print('at work', flush=True); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        execute(cell, warm=warm, on_line=interrupt)
    gc.collect()  # asyncio tells of forgotten exceptions as their tasks are freed
    assert [record.getMessage() for record in caplog.records] == []
