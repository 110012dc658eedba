"""The scoreboard: all claims of all chapters at both presets, from the committed results."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from winnow.reporting import claims, excerpts, results
from winnow.reporting.claims import VERDICTS, Claim

#: Signs for verdicts where words are too long, from full to empty and nothing.
SIGNS = dict(zip(VERDICTS, "●◐○–", strict=True))

_SHOWN = re.compile(r"; weakest of (\d+), (\d+) hold: (.+)$")


# --- claims as a table ---------------------------------------------------------------------------


def collect(
    folder: Path, chapters: Sequence[str], presets: Sequence[str] = ("book", "paper")
) -> pd.DataFrame:
    """A row for each claim and preset that a results folder holds; see ``tidy``."""
    found = results.read_claims(Path(folder))
    wanted = {key: found[key] for key in found if key[0] in chapters and key[1] in presets}
    return tidy(wanted, chapters)


def tidy(found: Mapping[tuple[str, str], Sequence[Claim]], chapters: Sequence[str]) -> pd.DataFrame:
    """A row for each claim and preset, in the book's order, the default preset first.

    Parameters
    ----------
    found
        Claims by (chapter, preset); the preset ``smoke``, whose few networks carry no verdict, is
        left out.
    chapters
        Their order; others follow by name.

    Returns
    -------
    pandas.DataFrame
        ``chapter``, ``preset``, the fields of a claim; and what stands in words at the end of
        its statistic: ``part``, the name of the part that is shown (empty where there is one
        part only), ``parts``, how many there are, and ``hold``, how many of them hold.
        ``measured`` is the statistic without these words.
    """
    place = {chapter: k for k, chapter in enumerate(chapters)}
    keys = [key for key in found if key[1] != "smoke"]
    keys.sort(key=lambda key: (place.get(key[0], len(place)), key[0], key[1] != "book", key[1]))
    return pd.DataFrame(
        {"chapter": key[0], "preset": key[1], **dataclasses.asdict(c), **_shown_part(c)}
        for key in keys
        for c in found[key]
    )


def _shown_part(c: Claim) -> dict[str, Any]:
    if words := _SHOWN.search(c.statistic):
        told = {"part": words[3], "parts": int(words[1]), "hold": int(words[2])}
    else:
        tested = c.verdict != "not tested"
        told = {"part": "", "parts": int(tested), "hold": int(c.verdict == "reproduced")}
    return {**told, "measured": _SHOWN.sub("", c.statistic)}


def board(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each claim; columns are (field, preset), so ``board(x)["verdict"]["paper"]``."""
    rows = frame[["chapter", "id"]].drop_duplicates()
    wide = frame.set_index(["chapter", "id", "preset"]).unstack("preset")
    return wide.reindex(pd.MultiIndex.from_frame(rows))


def cell(c: Any) -> str:
    """Verdict, estimate, interval and n of a claim or of a row, in words.

    Examples
    --------
    >>> cell(Claim("A", "", "paper", "", 0.5, 0.25, 0.75, 8, "", "", "reproduced"))
    'reproduced: 0.500 [0.250, 0.750], n = 8'
    """
    if c.verdict == "not tested":
        return c.verdict
    return f"{c.verdict}: {claims.interval(c)}, n = {c.n}"


def full_cell(row: Any) -> str:
    """A row's ``cell`` on lines of their own, with how many parts hold and which is shown."""
    first = f"{SIGNS[row.verdict]} {row.verdict}"
    if row.verdict == "not tested":
        return first
    count = " " + _unbroken(f"({row.hold} of {row.parts})") if row.parts > 1 else ""
    name = f"; {row.part}" if row.part else ""
    return f"{first}{count}<br>{_unbroken(claims.interval(row))}<br>n = {row.n}{name}"


def _unbroken(text: str) -> str:
    return text.replace(" ", "\u00a0")


def readme_table(found: Mapping[tuple[str, str], Sequence[Claim]], chapters: Sequence[str]) -> str:
    """Every claim with its verdict and interval at each preset, as the README holds it.

    Parameters
    ----------
    found, chapters
        As for :func:`~winnow.reporting.scoreboard.tidy`.
    """
    rows = tidy(found, chapters)
    rows["shown"] = [f"{SIGNS[c.verdict]} {cell(c)}" for c in rows.itertuples()]
    presets = list(dict.fromkeys(rows.preset))
    wide = board(rows)
    known = rows.drop_duplicates(["chapter", "id"]).set_index(["chapter", "id"])
    table = pd.DataFrame(
        {
            "chapter": [f"[{name}](notebooks/{name}.ipynb)" for name, _ in wide.index],
            "claim": [f"{id}: {c}" for (_, id), c in known.claim.items()],
            "from": known.source.to_list(),
            **{preset: wide["shown"][preset].fillna("–").to_list() for preset in presets},
        }
    )
    lines = [table.columns, ["---"] * table.shape[1], *_escaped(table).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def chapter_table(frame: pd.DataFrame, chapter: str, notebook: nbformat.NotebookNode) -> str:
    """A chapter's claims, linked to their sections, with what is claimed, measured and found.

    Markdown for a page in the folder of the chapters. What is claimed is in the words of the
    chapter's own table; what is measured, in those of the first preset.
    """
    rows = frame[frame.chapter == chapter]
    cells = board(rows.assign(shown=[full_cell(row) for row in rows.itertuples()]))["shown"]
    said, linked = excerpts.statements(notebook), links(chapter, notebook)
    signs = rows.groupby("id").verdict.agg(lambda column: " ".join(map(SIGNS.get, column)))
    words = [
        f"{linked[row.id]} {signs[row.id]} **{row.claim}**"
        f"<br>*{row.source}:* {said[row.id].removeprefix('*beyond:* ')}"
        f"<br>*measured:* {row.measured}; {row.criterion}"
        for row in rows.drop_duplicates("id").itertuples()
    ]
    return markdown(cells.fillna("–").reset_index(drop=True).assign(claim=words), first="claim")


def links(chapter: str, notebook: nbformat.NotebookNode) -> dict[str, str]:
    """A Markdown link to the section of each claim, for a page in the folder of the chapters."""
    found = excerpts.sections(notebook).items()
    return {id: f"[{id}]({chapter}.ipynb#{anchor})" for id, (_, anchor) in found}


def markdown(table: pd.DataFrame, *, first: str | None = None) -> str:
    """A table as Markdown, a column first; texts as they are, but for bars inside them."""
    if first:
        table = table[[first, *table.columns.drop(first)]]
    return _escaped(table).to_markdown(index=False, disable_numparse=True)


def _escaped(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(lambda x: re.sub(r"(?<!\\)\|", r"\\|", str(x)))


# --- tallies, and what moved ---------------------------------------------------------------------


def tally(frame: pd.DataFrame) -> pd.DataFrame:
    """How many claims got each verdict, by chapter and source; columns (verdict, preset).

    The last rows, ``all``, add chapters up, by source and altogether.
    """
    both = [frame, frame.assign(chapter="all")]
    both.append(both[-1].assign(source="both"))
    rows = pd.concat(both)
    order = rows[["chapter", "source"]].drop_duplicates()
    keys = ["chapter", "source", "verdict", "preset"]
    counts = rows.groupby(keys).size().unstack(keys[2:])
    columns = pd.MultiIndex.from_product([VERDICTS, dict.fromkeys(frame.preset)], names=keys[2:])
    counts = counts.reindex(pd.MultiIndex.from_frame(order), columns=columns)
    return counts.fillna(0).astype(int)


def moves(frame: pd.DataFrame) -> pd.DataFrame:
    """How verdicts and estimates moved from the default preset to the paper preset, by chapter.

    Returns
    -------
    pandas.DataFrame
        A row for each chapter and one for all. How many verdicts are the ``same``, moved
        ``towards`` *reproduced* or ``away`` from it; for how many claims both presets show the
        same part, with an interval (``alike``); and of these, how many estimates of the paper
        preset lie in the default preset's interval (``inside``), and the median ratio of widths
        (``width``).
    """
    pairs = _pairs(frame)
    rows = pd.concat([pairs, pairs.assign(chapter="all")]).groupby("chapter", sort=False)
    return pd.DataFrame(
        {
            "same": rows.step.agg(lambda x: (x == 0).sum()),
            "towards": rows.step.agg(lambda x: (x > 0).sum()),
            "away": rows.step.agg(lambda x: (x < 0).sum()),
            "alike": rows.alike.sum(),
            "inside": rows.inside.sum(),
            "width": rows.width.median(),
        }
    )


def _pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each claim at both presets: how its verdict and its interval moved."""
    wide = board(frame).dropna(subset=[("verdict", "book"), ("verdict", "paper")])
    rank = wide["verdict"].apply(lambda column: column.map(VERDICTS.index))
    low, high, estimate = wide["low"], wide["high"], wide["estimate"]
    span = high.astype(float) - low.astype(float)
    alike = (wide["part"].book == wide["part"].paper) & (span.book > 0)
    alike &= wide["measured"].book == wide["measured"].paper
    inside = (low.book <= estimate.paper) & (estimate.paper <= high.book)
    pairs = {"step": rank.book - rank.paper, "alike": alike, "inside": inside & alike}
    pairs["width"] = (span.paper / span.book).where(alike)
    return pd.DataFrame(pairs).reset_index()


def moved(frame: pd.DataFrame) -> pd.DataFrame:
    """The claims whose verdict moved, a row each, with both cells in words (``full_cell``)."""
    pairs = _pairs(frame).set_index(["chapter", "id"])
    wide = board(frame.assign(shown=[full_cell(row) for row in frame.itertuples()]))
    wide = wide.loc[pairs.index[pairs.step != 0]]
    shown = {"claim": wide["claim"].book, "from": wide["source"].book, **wide["shown"]}
    return pd.DataFrame(shown).reset_index()


def costs(folder: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """Minutes, peak memory and hardware of each chapter and preset, from their ``run.json``."""
    keys = frame[["chapter", "preset"]].drop_duplicates()
    rows = []
    for chapter, preset in keys.itertuples(index=False):
        run = results.read_run(Path(folder) / chapter / preset)
        machine = "{processor}, {cores} cores, {memory_gb} GB".format(**run["hardware"])
        about = {"hardware": machine, "accelerator": run["hardware"]["gpu"] or "none"}
        rows.append({"minutes": run["seconds"] / 60, "gb": run["memory_mb"] / 1024, **about})
    return keys.reset_index(drop=True).join(pd.DataFrame(rows))
