"""What the tests share: the project's paths, tasks.py as a module, and the built site, served."""

import functools
import http.server
import importlib.util
import os
import threading
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
import yaml

from shared import PATIENCE, Patient, write_chapter

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def same_numbers_every_time():
    """A test that forgot to seed its draws would pass or fail by chance."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_figure_left_open():
    """Pyplot keeps them all, and warns of more than 20, whichever test comes then."""
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def root():
    """Folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def tasks():
    """The task runner, imported and not run."""
    spec = importlib.util.spec_from_file_location("tasks", ROOT / "tasks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages():
    """Every page of the table of contents, in order, without extension."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    entries = [entry for part in contents["parts"] for entry in part["chapters"]]
    below = [[entry, *entry.get("sections", [])] for entry in entries]
    return [contents["root"], *(page["file"] for some in below for page in some)]


def pytest_generate_tests(metafunc):
    """Run a test that asks for a `page` once for each page."""
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", pages(), scope="module")


@pytest.fixture(scope="session")
def toc():
    """Every page of the book."""
    return pages()


def lacking(what, remedy):
    """Skip and say how to mend it; in CI, where nobody reads skips, fail."""
    message = f"{what}: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def site():
    """Folder of the built book."""
    folder = ROOT / "_build" / "html"
    if not (folder / "index.html").is_file():
        lacking("the book is not built", "run `python3 tasks.py html`")
    return folder


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and does not report each of them."""

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture(scope="session")
def address(site):
    """Address of the built book, served on this machine only."""
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser(tasks):
    """A headless Chromium of the system."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = os.environ.get("CHROMIUM") or tasks.on_path()
    if not path:
        lacking("no Chromium", "install chromium, or set CHROMIUM to its path")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, timeout=1000 * PATIENCE)
        yield chromium
        chromium.close()


TINY = (
    """
n: int = 3  # how many, in [1, 9]
share: float = 0.5  # which part, in (0, 1]
names: list[str] = ["a", "b"]  # who, one of a, b or c
loud: bool = False  # whether to shout
action: str = "none"  # what goes wrong, one of none, fail, sleep, die or silent
""",
    """
import os, time
from pathlib import Path

Path("kernel.pid").write_text(str(os.getpid()))
if loud:
    print(n, "to go")
if action == "fail":
    raise RuntimeError("no luck\\nat all")
if action == "sleep":
    time.sleep(60)
if action == "die":
    os._exit(3)
""",
    """
part = {"name": "n", "estimate": n, "low": n - 0.5, "high": n + 0.5, "p": None, "n": n}
part |= {"bar": "above 2", "status": "holds" if n > 2 else "refuted"}
claim = {"id": "T1", "says": "It is more than two", "kind": "paper", "shown": "n"}
claim |= {"verdict": "reproduced" if n > 2 else "not reproduced", "parts": [part], "controls": []}
""",
    """
record = {"claims": [claim], "tables": {"counts": f"n,share\\n{n},{share}\\n"}}
if action != "silent":  # what a Sheet shows, without the seconds its import takes
    display({"application/vnd.winnow.record+json": record, "text/plain": "-"}, raw=True)
""",
)


@pytest.fixture(scope="session")
def write_book():
    """Writes a checkout of its own with one chapter, `tiny`, and a preset, `smoke`."""

    def write(folder):
        (folder / "notebooks" / "params").mkdir(parents=True)
        (folder / "_toc.yml").write_text("root: index\nchapters:\n")
        (folder / "notebooks" / "params" / "tiny.smoke.yaml").write_text("n: 2\nnames: [c]\n")
        write_chapter(folder, "tiny", *TINY)
        return folder

    return write


@pytest.fixture(scope="module")
def patient(write_book, tmp_path_factory):
    """A checkout with a second chapter, `patient`, whose runs can be held."""
    return Patient(write_book(tmp_path_factory.mktemp("book")))
