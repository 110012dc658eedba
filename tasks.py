"""The one door to Winnow; it needs nothing but Python.

python3 tasks.py setup              make .venv with every package at its frozen version
python3 tasks.py book               execute every chapter, then build the book
python3 tasks.py html               build the book from the committed outputs (seconds)
python3 tasks.py test [ARGS ...]    build, then run every test; ARGS go to pytest
python3 tasks.py lint               check style and formatting
python3 tasks.py bench [NAME ...]   run the benchmarks, or those named
python3 tasks.py clean              remove everything these commands made
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
SITE = ROOT / "_build" / "html"
STAMP = VENV / "winnow-stamp"  # what was installed; written last
UNFINISHED = VENV / "winnow-unfinished"  # there while pip works, so left behind by a kill

OLDEST, TOO_NEW = (3, 11), (3, 14)
TORCH_CPU = "https://download.pytorch.org/whl/cpu"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# Kernels and test workers run side by side: one thread each, or they fight over the cores.
ENVIRONMENT = os.environ | dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)


# --- running things ---------------------------------------------------------------------------


def say(text):
    print(text, flush=True)


def show(*command):
    """Run a command whose output the user wants to see; return its exit code."""
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=ENVIRONMENT).returncode


def step(label, *command, required=True):
    """Run a command quietly; say how long it took, or show what it printed when it fails."""
    say(f"{label} ...")
    start = time.monotonic()
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode == 0:
        say(f"{label}: done in {time.monotonic() - start:.0f} s")
    elif required:
        say("\n".join(done.stdout.splitlines()[-60:]))
        stop(f"{label}: failed (see above). Repeat with: python3 tasks.py {' '.join(sys.argv[1:])}")
    return done.returncode == 0


def stop(message):
    sys.exit(f"tasks.py: {message}")


# --- the environment --------------------------------------------------------------------------


def setup():
    """Make or mend .venv; nothing is done when it already holds what is asked for."""
    wanted = fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    if not usable():
        make_venv()
    STAMP.unlink(missing_ok=True)
    UNFINISHED.touch()
    install()
    UNFINISHED.unlink()
    partial = STAMP.with_suffix(".new")
    partial.write_text(wanted)
    partial.replace(STAMP)  # in one move: a stamp is whole or not there


def fingerprint():
    """Everything that decides what is in .venv; its path too, because scripts hold it."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256(b"\0".join([*parts, str(VENV).encode()])).hexdigest()


def usable():
    """Is there a finished .venv with a pip of its own (not of the folder it was copied from)?"""
    pip = BIN / "pip"
    if UNFINISHED.exists() or not pip.exists():
        return False
    try:
        done = subprocess.run([str(pip), "--version"], capture_output=True, text=True)
    except OSError:  # its Python is gone
        return False
    return done.returncode == 0 and str(VENV) in done.stdout


def make_venv():
    version = sys.version_info[:2]
    if not OLDEST <= version < TOO_NEW:
        found = ".".join(map(str, version))
        stop(f"Winnow needs Python 3.{OLDEST[1]} to 3.{TOO_NEW[1] - 1}; this one is {found}.")
    if not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        stop("Python lacks venv. Repeat after: apt-get install python3-venv")
    if VENV.exists():
        shutil.rmtree(VENV)
    # The base interpreter, because sys.executable may be the .venv that was just removed.
    step("Making .venv", getattr(sys, "_base_executable", sys.executable), "-m", "venv", VENV)


def install():
    """Install torch without CUDA where PyTorch's own index answers, then everything else."""
    pip = (BIN / "python", "-m", "pip", "install")
    pin = re.search(r"^torch==.+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[0]
    # No retries: where this index is out of reach, it is known at once.
    quick = ("--no-deps", "--retries", "0", "--timeout", "10", "--index-url", TORCH_CPU)
    if not step("Installing torch for CPU", *pip, *quick, pin, required=False):
        say(f"PyTorch's CPU index gave nothing: {pin} comes from the default index (larger)")
    step("Installing packages", *pip, "-c", "constraints.txt", "-e", ".[book,test,sweep]")


# --- commands ---------------------------------------------------------------------------------


def book():
    setup()
    say("Executing the chapters, two at a time ...")
    if show(BIN / "winnow", "refresh", "--jobs", "2"):
        stop("a chapter failed (see above). Repeat with: python3 tasks.py book")
    build()


def html():
    setup()
    build()


def build():
    """Build strictly from nothing: an incremental build can keep numbers that are gone."""
    shutil.rmtree(ROOT / "_build", ignore_errors=True)
    step("Building the book", BIN / "jupyter-book", "build", ".", "-W", "--keep-going", "-q")
    say(f"Open {(SITE / 'index.html').as_uri()}")


def test(*arguments):
    setup()
    ENVIRONMENT["CHROMIUM"] = chromium()
    build()
    # loadscope keeps the cells of a notebook in one worker, in order.
    pytest = (BIN / "python", "-m", "pytest", "-n", "2", "--dist", "loadscope")
    nbval = ("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "300")
    return show(*pytest, *nbval, *arguments)


def chromium():
    """Path of a Chromium for the browser tests, or nothing (the tests then skip, or fail in CI)."""
    path = os.environ.get("CHROMIUM") or on_path()
    if not path and os.environ.get("CI") and shutil.which("apt-get") and os.geteuid() == 0:
        step("Updating the package lists", "apt-get", "update", required=False)
        step("Installing Chromium", "apt-get", "install", "-y", "chromium", required=False)
        path = on_path()
    if not path:
        say("No Chromium: the browser tests cannot run. Install chromium, or set CHROMIUM.")
    return path


def on_path():
    return next(filter(None, map(shutil.which, BROWSERS)), "")


def lint():
    setup()
    ruff = (BIN / "ruff",)
    return max(show(*ruff, "check", "."), show(*ruff, "format", "--check", "."))


def bench(*names):
    setup()
    scripts = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("*.py"))}
    unknown = [name for name in names if name not in scripts]
    if not scripts:
        stop("benchmarks/ is empty")
    if unknown:
        stop(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(scripts)}")
    for name in names or scripts:
        say(f"== {name}")
        if show(BIN / "python", scripts[name]):
            stop(f"benchmark {name} failed (see above)")


def clean():
    """Remove what the commands made; needs no environment."""
    for name in ("_build", ".venv"):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for pattern in ("__pycache__", "*.egg-info", ".pytest_cache", ".ruff_cache"):
        for folder in [path for path in ROOT.rglob(pattern) if path.is_dir()]:
            shutil.rmtree(folder, ignore_errors=True)


COMMANDS = {f.__name__: f for f in (setup, book, html, test, lint, bench, clean)}
TAKES_ARGUMENTS = ("test", "bench")


def main(command="", *arguments):
    if command not in COMMANDS or (arguments and command not in TAKES_ARGUMENTS):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return COMMANDS[command](*arguments)
    except KeyboardInterrupt:
        print(f"\ntasks.py: {command} interrupted; repeat it to go on", file=sys.stderr)
        return 130
    except OSError as error:
        stop(f"{command}: {error}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
