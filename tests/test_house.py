"""The project's own files agree with each other and name nobody's machine."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MACHINE = re.compile(r"(?<![\w.~-])/(?:root|work|home|Users)/\w")
REGISTRY = re.compile(
    r"https?://(?:pypi\.org/simple|files\.pythonhosted\.org|download\.pytorch\.org\S*"
    r"|registry\.\S+|\S+/simple/?\b)|file:/{2,}\w"
)
MAY_NAME_IT = {"tasks.py", "environment.yml"}


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pins(root):
    lines = (root / "constraints.txt").read_text(encoding="utf-8").split()
    return {canonicalize_name(name): version for name, version in (x.split("==") for x in lines)}


def files_of(root):
    """Text files that are in git, or would be by `git add .`."""
    if not (root / ".git").exists():
        pytest.skip("not a git checkout: there is no list of files to look through")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        try:
            yield name, (root / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue


def test_constraints_pin_what_the_project_asks_for(project, pins):
    wanted = [
        *project["dependencies"],
        *itertools.chain(*project["optional-dependencies"].values()),
    ]
    assert wanted
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_constraints_hold_plain_versions(pins):
    assert [pin for pin in pins.items() if not re.fullmatch(r"[\w.]+", pin[1])] == []


def test_conda_and_binder_take_the_same_packages(root):
    environment = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    [pip] = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    assert "-c constraints.txt" in pip
    assert "-e .[book,test,sweep]" in pip


def test_citation_and_project_have_one_version(root, project):
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"]
    papers = {
        yaml.safe_load(path.read_text(encoding="utf-8"))["paper"]
        for path in (root / "notebooks" / "claims").glob("*.yaml")
    }
    assert len(citation["references"]) == len(papers)


def test_tasks_know_which_pythons_the_project_takes(tasks, project):
    (_, oldest), (_, too_new) = tasks.OLDEST, tasks.TOO_NEW
    assert project["requires-python"] == f">=3.{oldest},<3.{too_new}"


def test_tasks_need_nothing_but_python(root):
    tree = ast.parse((root / "tasks.py").read_text(encoding="utf-8"))
    names = [alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names]
    names += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert names
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("html", "surplus")])
def test_tasks_show_their_usage(root, tmp_path, arguments):
    command = [sys.executable, str(root / "tasks.py"), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "python3 tasks.py test" in done.stderr
    assert done.stdout == ""


def test_lines_of_code_leave_out_words(tasks):
    code = '''"""What this is."""

import os  # a comment


def f():
    """What comes out.

    More of it.
    """
    text = """two
lines"""
    # a comment
    return os, text
'''
    assert tasks.lines_of_code(code) == 5


def test_no_file_names_a_machine_or_a_registry(root, tasks):
    found, looked_at = [], 0
    for name, text in files_of(root):
        looked_at += 1
        hits = [match[0] for match in MACHINE.finditer(text)]
        hits += [match[0] for match in REGISTRY.finditer(text)]
        if name in MAY_NAME_IT:
            hits = [hit for hit in hits if not hit.startswith(tasks.TORCH_CPU)]
        found += [f"{name}: {hit}" for hit in hits]
    assert looked_at > 10
    assert found == []


def test_the_library_is_not_ignored(root):
    if not (root / ".git").exists():
        pytest.skip("not a git checkout: nothing is ignored")
    done = subprocess.run(["git", "check-ignore", "-q", "lib/winnow/stats.py"], cwd=root)
    assert done.returncode == 1
