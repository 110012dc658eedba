"""The names that `winnow` itself offers: each leads somewhere, is shown, and costs nothing."""

import doctest
import itertools
import pkgutil
import re
import subprocess
import sys

import pytest

import winnow

NAMES = sorted(itertools.chain(*winnow._PLACES.values()))


@pytest.mark.parametrize("name", NAMES)
def test_names_lead_somewhere(name):
    assert name in dir(winnow)
    assert callable(getattr(winnow, name)) or getattr(winnow, name)


def test_a_name_that_is_not_there_is_said():
    with pytest.raises(AttributeError, match="'nonsense'"):
        _ = winnow.nonsense


def test_the_api_page_shows_each_name_and_what_comes_out(root):
    page = root / "book" / "api.md"
    text = page.read_text(encoding="utf-8")
    assert set(NAMES) <= set(re.findall(r"winnow\.(\w+)\(?", text))
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert found.attempted > len(NAMES)
    assert found.failed == 0


def test_the_api_pages_list_every_room_once(root):
    pages = (root / "book" / "api").glob("*.md")
    lines = [
        re.search(r"<!-- library: (.+) -->", page.read_text(encoding="utf-8")) for page in pages
    ]
    listed = [name for line in lines for name in line[1].split()]
    rooms = [module.name for module in pkgutil.iter_modules(winnow.__path__, "winnow.")]
    assert sorted(listed) == sorted(set(rooms) - {"winnow.__main__"})


def test_importing_it_loads_no_library():
    heavy = {"torch", "numpy", "pandas", "scipy"}
    code = f"import sys, winnow; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
