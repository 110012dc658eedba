"""The one door to Winnow; it needs nothing but Python.

python3 tasks.py setup              make .venv with every package at its frozen version
python3 tasks.py book               execute every chapter, build the book from that (all in _build)
python3 tasks.py html               build the book from the committed outputs (seconds)
python3 tasks.py test [ARGS ...]    build, then run every test; ARGS go to pytest
python3 tasks.py test --quick ...   no notebook, no browser, no slow test: for every change
python3 tasks.py lint               check style, imports and the size of the library
python3 tasks.py bench [NAME ...]   run the benchmarks, or those named
python3 tasks.py clean              remove everything these commands made
"""

import ast
import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import time
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
BUILD = ROOT / "_build"
SITE = BUILD / "html"
EXECUTED = BUILD / "source"  # a copy of what the book is made of; `book` executes that
STAMP = VENV / "winnow-stamp"  # what was installed; written last
UNFINISHED = VENV / "winnow-unfinished"  # there during an installation, so left behind by a kill

OLDEST, TOO_NEW = (3, 11), (3, 14)
TORCH_CPU = "https://download.pytorch.org/whl/cpu"
QUICK = "--quick"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

BOOK = ("_config.yml", "_toc.yml", "book", "notebooks", "results", "CHANGELOG.md")
LIBRARY = ROOT / "lib" / "winnow"
FOUNDATION = "foundation"  # the modules at the library's root
CORE = (FOUNDATION, "models", "pruners", "metrics", "data", "training")
MOST_LINES = {"core": 4500, "all": 7100}  # of code

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
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == wanted:
        return
    if not usable():
        make_venv()
    STAMP.unlink(missing_ok=True)
    UNFINISHED.touch()
    install()
    UNFINISHED.unlink()
    partial = STAMP.with_suffix(".new")
    partial.write_text(wanted, encoding="utf-8")
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
    """Torch by pip, without CUDA where PyTorch's own index answers; the rest by uv where it can."""
    pip = (BIN / "python", "-m", "pip", "install", "--no-compile", "-c", "constraints.txt")
    # No retries: where an index is out of reach, it is known at once.
    quick = ("--retries", "0", "--timeout", "10")
    cpu = (*pip, *quick, "--no-deps", "--index-url", TORCH_CPU, "torch")
    if not step("Installing torch for CPU", *cpu, required=False):
        say("PyTorch's CPU index gave nothing: torch comes from the default index (larger)")
        step("Installing torch", *pip, "torch")
    rest = ("-c", "constraints.txt", "-e", ".[book,test,sweep]")
    uv = (BIN / "python", "-m", "uv", "pip", "install", "--python", BIN / "python")
    with_uv = step("Installing uv", *pip, *quick, "uv", required=False) and step(
        "Installing packages with uv", *uv, *rest, required=False
    )
    if not with_uv:
        say("uv gave nothing: pip installs the packages (slower)")
        step("Installing packages with pip", *pip, *rest)
    # On all cores, and without the packages' own tests, which are a quarter of the work.
    compileall = (BIN / "python", "-m", "compileall", "-qq", "-j0")
    compileall += ("-x", r"[/\\](tests|testing)[/\\]")
    step("Compiling packages", *compileall, VENV, required=False)


# --- commands ---------------------------------------------------------------------------------


def book():
    """Execute all notebooks in a copy, so that no file of the checkout changes."""
    setup()
    shutil.rmtree(BUILD, ignore_errors=True)
    EXECUTED.mkdir(parents=True)
    for name in BOOK:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, EXECUTED / name)
    ENVIRONMENT["WINNOW_ROOT"] = str(EXECUTED)
    say("Executing the chapters, two at a time ...")
    if show(BIN / "winnow", "refresh", "--jobs", "2"):
        stop("a chapter failed (see above). Repeat with: python3 tasks.py book")
    build(EXECUTED)


def html():
    setup()
    build_committed()


def build_committed():
    """From nothing: an incremental build can keep numbers that are gone."""
    shutil.rmtree(BUILD, ignore_errors=True)
    build(ROOT)


def build(source):
    options = ("--path-output", ROOT, "-W", "--keep-going", "-q")
    step("Building the book", BIN / "jupyter-book", "build", source, *options)
    say(f"Open {(SITE / 'index.html').as_uri()}")


def test(*arguments):
    setup()
    # loadscope keeps the cells of a notebook in one worker, in order.
    pytest = (BIN / "python", "-m", "pytest", "-n", "2", "--dist", "loadscope")
    if QUICK in arguments:
        rest = [argument for argument in arguments if argument != QUICK]
        return show(*pytest, "-m", "not slow", *rest)
    ENVIRONMENT["CHROMIUM"] = chromium()
    build_committed()
    nbval = ("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "1800")
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
    return max(
        show(*ruff, "check", "."),
        show(*ruff, "format", "--check", "."),
        show(BIN / "lint-imports", "--no-cache"),
        size(),
    )


def size():
    """Print the lines of code of each package; 1 where there are more than MOST_LINES."""
    files, lines = Counter(), Counter()
    for path in LIBRARY.rglob("*.py"):
        package, *inner = path.relative_to(LIBRARY).parts
        files[package if inner else FOUNDATION] += 1
        lines[package if inner else FOUNDATION] += lines_of_code(path.read_text(encoding="utf-8"))
    say(f"{'package':<16}files  lines of code")
    for package in sorted(lines, key=lambda name: (name not in CORE, name)):
        say(f"{package:<16}{files[package]:>5}{lines[package]:>15,}")
    found = {"core": sum(lines[package] for package in CORE), "all": lines.total()}
    say(f"{', '.join(CORE)}: {found['core']:,} of at most {MOST_LINES['core']:,}")
    say(f"all of {files.total()} files: {found['all']:,} of at most {MOST_LINES['all']:,}")
    return int(any(found[name] > most for name, most in MOST_LINES.items()))


def lines_of_code(source):
    """Number of lines that hold code: no docstring, no comment, not blank."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    code, words = set(), set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in (*silent, tokenize.ENDMARKER):
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            words.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(code - words)


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
