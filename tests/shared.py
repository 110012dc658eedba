"""What several test modules draw, read, or start and watch."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest

from winnow import stats
from winnow.models import rate_networks

ROOT = Path(__file__).resolve().parent.parent
#: Seconds that a test waits for what must come, however busy the machine is; only then it fails.
PATIENCE = 300
REFERENCE = Path(os.environ.get("WINNOW_REFERENCE_DATA", ROOT.parent / "shared" / "data"))


def zambra(name):
    """A reference file of the motifs paper; where it is absent the test skips, naming it."""
    path = REFERENCE / "zambra" / name
    if not path.is_file():
        pytest.skip(f"{path.name} is not in {path.parent}: set WINNOW_REFERENCE_DATA")
    return path


def layered_edges(layers=(8, 7, 6, 4), density=0.4, n_colours=3, seed=0):
    """Independent edges between consecutive layers, as of an untrained network."""
    g, first = np.random.default_rng([seed, len(layers)]), np.cumsum([0, *layers])
    places = [
        (a, b)
        for k in range(len(layers) - 1)
        for a in range(first[k], first[k + 1])
        for b in range(first[k + 1], first[k + 2])
    ]
    pairs = np.array(places)[g.random(len(places)) < density]
    return np.column_stack([pairs, g.integers(1, n_colours + 1, len(pairs))])


# --- commands and their processes ---------------------------------------------------------------


def start(book, *words, **environment):
    """A run of its own, which takes Ctrl-C even where the tests were told to ignore it."""
    return subprocess.Popen(
        [sys.executable, "-m", "winnow", *words],
        env={**os.environ, "WINNOW_ROOT": str(book), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(pid):
    """Whether a process runs; one that has ended and that nobody collected does not."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return os.path.isdir("/proc/self") is False


def descendants(pid):
    """Numbers of all processes that a process has started, directly or through others."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def one_line(err):
    """The last line, which is the program's own, and the only one that is not progress."""
    lines = [line for line in err.splitlines() if line.strip() and not line.endswith(" cells")]
    assert len(lines) == 1, err
    assert lines[0].startswith("winnow: ")
    return lines[0]


class Command:
    """``winnow WORDS`` in a process of its own, forked from one that has the imports already."""

    _context = None

    def __init__(self, book, folder, *words):
        if Command._context is None:
            Command._context = multiprocessing.get_context("forkserver")
            names = ("cli", "execute", "sweep.cluster", "sweep.table")
            Command._context.set_forkserver_preload([f"winnow.running.{name}" for name in names])
        self._out, self._err = folder / "command.out", folder / "command.err"
        arguments = (str(book), self._out, self._err, [*map(str, words)])
        self._process = Command._context.Process(target=_command, args=arguments)
        self._process.start()
        self.pid = self._process.pid

    @property
    def err(self):
        return self._err.read_text(encoding="utf-8") if self._err.exists() else ""

    def send_signal(self, signum):
        os.kill(self.pid, signum)

    def wait(self):
        """Exit code, output, errors."""
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, f"still at work: {self.err}"
        return self._process.exitcode, self._out.read_text(encoding="utf-8"), self.err

    def end(self):
        self._process.kill()
        self._process.join()


def _command(book, out, err, words):
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ |= {"WINNOW_ROOT": book, "COLUMNS": "200"}
    sys.argv = ["winnow", *words]
    from winnow.running import cli

    cli.main()


def write_chapter(book, name, *cells):
    """Add a chapter to a checkout and its contents; its first cell holds its parameters."""
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in cells]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    for k, cell in enumerate(cells):
        cell["id"] = f"cell-{k}"
    nbformat.write(notebook, book / "notebooks" / f"{name}.ipynb")
    contents = book / "_toc.yml"
    contents.write_text(contents.read_text() + f"  - file: notebooks/{name}\n")


#: Its runs wait as long as the folder has a file `hold-N`, and say so with a file `kernel-N.pid`.
PATIENT = (
    """
n: int = 3  # how many, in [1, 99]
n_networks: int = 4  # networks of each, in [1, 99]
base_seed: int = 0  # the first seed, in [0, 1000000]
action: str = "none"  # what goes wrong, one of none, fail, die or endless
""",
    """
import os, time
from pathlib import Path
from winnow import seeds

note = Path(f"kernel-{n}.new")
note.write_text(str(os.getpid()))
note.rename(f"kernel-{n}.pid")
while Path(f"hold-{n}").exists() or action == "endless":
    time.sleep(0.02)
if action == "fail":
    raise RuntimeError(f"no luck\\nwith {n}")
if action == "die":
    os._exit(3)
""",
    """
noise = seeds.generator(base_seed, "noise").random()
part = {"name": "n", "estimate": n + noise, "low": n - 0.5, "high": n + 0.5, "p": 0.01, "n": n}
part |= {"bar": "above 2", "status": "holds" if n > 2 else "refuted"}
claim = {"id": "T1", "says": "It is more than two", "kind": "paper", "shown": "n"}
claim |= {"verdict": "reproduced" if n > 2 else "not reproduced", "parts": [part], "controls": []}
other = {**claim, "id": "T2", "parts": [{**part, "estimate": -n}]}
record = {"claims": [claim, other], "tables": {"counts": f"n\\n{n}\\n"}}
display({"application/vnd.winnow.record+json": record, "text/plain": "-"}, raw=True)
""",
)


class Patient:
    """A book with a chapter `patient`, whose runs can be held, seen and let go."""

    def __init__(self, book):
        self.book, self.notebooks = book, book / "notebooks"
        write_chapter(book, "patient", *PATIENT)

    def hold(self, *numbers):
        for n in numbers:
            (self.notebooks / f"hold-{n}").touch()

    def let_go(self):
        for path in self.notebooks.glob("hold-*"):
            path.unlink()

    def forget(self):
        for path in self.notebooks.glob("kernel-*.pid"):
            path.unlink()

    def kernel(self, n):
        """The process of run n, as soon as it is at work."""
        path = self.notebooks / f"kernel-{n}.pid"
        wait_for(path.exists)
        return int(path.read_text())


def around(estimate, error=0.25, n=25):
    """Student's interval of a mean, with samples."""
    x = np.linspace(-1, 1, n)
    return stats.t_interval(estimate + x / x.std(ddof=1) * error * np.sqrt(n))


SIZES = (14, 10)  # of the clusters of a small rate network
N = sum(SIZES)


def rng(seed=0):
    return np.random.default_rng(seed)


def network(seed=0, leak=1.0, symmetric=True, sizes=SIZES):
    return rate_networks.clustered(sizes, rng=rng(seed), leak=leak, symmetric=symmetric)


def batch(count=3):
    return np.stack([network(seed=k) for k in range(count)])


def excitatory(n=12, seed=0, slack=0.2):
    w = np.triu(rng(seed).random((n, n)) * (rng(seed + 1).random((n, n)) < 0.5), 1)
    w = w + w.T
    return w - np.diag(w.sum(1) + slack)


def off(A):
    return A * (1 - np.eye(A.shape[-1]))


def synapses(A):
    return off(A) != 0


def backward_share(weights, sequence):
    """Share of absolute weight that runs backward in a given order."""
    a = np.abs(weights)[np.ix_(sequence, sequence)]
    return np.tril(a, -1).sum() / a.sum()


def matrices(n, *, seed=0, n_matrices=3, density=1.0, levels=None):
    """Signed random matrices: sparse, or with tied magnitudes where levels are given."""
    rng = np.random.default_rng([seed, n])
    shape = (n_matrices, n, n)
    values = rng.normal(size=shape) if levels is None else rng.integers(-levels, levels + 1, shape)
    return values * (rng.random(shape) < density)
