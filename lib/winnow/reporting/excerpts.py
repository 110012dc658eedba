"""What chapters say in their own words: claims, sections and bars, read from their notebooks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import nbformat

_TABLE = "## Claims under test"


def read_notebooks(folder: Path, chapters: Sequence[str]) -> dict[str, nbformat.NotebookNode]:
    """Each chapter's committed notebook."""
    return {c: nbformat.read(Path(folder) / f"{c}.ipynb", as_version=4) for c in chapters}


def statements(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """What is claimed, by claim, as the chapter's table *Claims under test* words it."""
    text = next(c.source for c in notebook.cells if _TABLE in c.source)
    ids, said, *_ = zip(*(row.values() for row in tables(text.split(_TABLE)[1])[0]), strict=True)
    return {id: words for cell, words in zip(ids, said, strict=True) for id in cell.split(", ")}


def sections(notebook: nbformat.NotebookNode) -> dict[str, tuple[str, str]]:
    """Where each claim is judged: the heading of the section, and its anchor in the book.

    It is the last heading above the first code cell that names the claim.
    """
    ids, found, heading = statements(notebook), {}, ""
    for c in notebook.cells:
        if c.cell_type == "markdown":
            heading = [heading, *re.findall(r"^##+ (.+)$", c.source, re.M)][-1]
            continue
        for id in ids:
            if f'"{id}"' in c.source:
                found.setdefault(id, (heading, _anchor(heading)))
    return found


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def printed_bars(notebook: nbformat.NotebookNode, id: str, criterion: str) -> dict[str, str]:
    """Part to criterion as a claim's table shows them; empty where all parts have the same."""
    for c in notebook.cells:
        if c.cell_type != "code" or f'"{id}"' not in c.source:
            continue
        for output in c.outputs:
            for table in tables(output.get("data", {}).get("text/markdown", "")):
                bars = {row["part"]: row["criterion"] for row in table if "criterion" in row}
                if set(bars.values()) == set(criterion.split(" · ")):
                    return bars
    return {}


def tables(text: str) -> list[list[dict[str, str]]]:
    """Every Markdown table of a text, a row as column to cell."""
    found = []
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.M):
        lines = [line.strip()[1:-1] for line in block.splitlines()]
        head, _, *body = ([x.strip() for x in re.split(r"(?<!\\)\|", line)] for line in lines)
        found.append([dict(zip(head, row, strict=True)) for row in body])
    return found
