"""A chapter's sheet: its claims as they are judged and shown, and their record."""

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import yaml
from IPython.display import display

from winnow.reporting import cards, claims
from winnow.reporting.claims import Claim
from winnow.reporting.results import RECORD_TYPE
from winnow.stats import Interval


class Shown:
    """Markdown that a notebook renders, with data a reader does not see."""

    def __init__(self, text: str, record: dict[str, object] | None = None) -> None:
        self.text, self.data = re.sub("(?<= ) +|(?<=--)-+", "", text), record  # no padding

    def __add__(self, other: "Shown") -> "Shown":
        return Shown(f"{self.text}\n\n{other.text}")

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, object]:
        bundle = {"text/markdown": self.text, "text/plain": re.sub("<[^>]*>", "", self.text)}
        return bundle if self.data is None else {**bundle, RECORD_TYPE: self.data}


class Sheet:
    """A chapter's claims as they are judged, one after the other.

    Parameters
    ----------
    chapter
        Whose file of claims is read, see :func:`~winnow.reporting.claims.stated`.
    """

    def __init__(self, chapter: str) -> None:
        self._stated = claims.stated(chapter)
        self._judged: dict[str, Claim] = {}
        self._samples: list[pd.DataFrame] = []

    def __getitem__(self, id: str) -> Claim:
        """A claim that was judged."""
        return self._judged[id]

    def sentence(self, id: str) -> str:
        """What was found of a claim that was judged, as its card says it; to be pasted."""
        return cards.sentence(self._stated[id], self._judged[id])

    @property
    def claims(self) -> list[Claim]:
        """All that were judged, in the order of the file."""
        return [self._judged[id] for id in self._stated if id in self._judged]

    def judge(self, id: str, parts: Mapping[str, Interval], *, why: str = "") -> Shown:
        """Judge a claim, keep it with its samples, and show its parts.

        Parameters
        ----------
        id
            As in the file of claims, such as ``order/beyond-sparsity``.
        parts, why
            As for :func:`~winnow.reporting.claims.judge`.

        Raises
        ------
        ValueError
            If the id is unknown or judged already, or an interval has no samples.
        """
        if id not in self._stated:
            raise ValueError(f"no claim {id}: there are {', '.join(self._stated)}")
        if id in self._judged:
            raise ValueError(f"{id} is judged already")
        claim = claims.judge(self._stated[id], parts, why=why)
        self._samples += [claims.samples_of(id, name, x) for name, x in parts.items()]
        self._judged[id] = claim
        return Shown(cards.card(self._stated[id], claim))

    def stated(self) -> Shown:
        """What is claimed, where, and where its bar lies, as a table."""
        return Shown(cards.stated_table(self._stated.values()))

    def verdicts(self) -> Shown:
        """The table of verdicts, without any number that another machine could change."""
        return Shown(cards.table(self.claims))

    def record(self, tables: Mapping[str, pd.DataFrame] | None = None) -> Shown:
        """All claims, their samples and other tables as data inside the output.

        The last call of a chapter: what the runner writes to ``claims.json``,
        ``samples.parquet`` and, for each of ``tables``, a CSV file, it takes from here. The
        verdicts are pasted for the chapter's head, see :func:`paste`, below a note where they are
        not those in ``notebooks/written_for.yaml``, which the chapter's words were written for. In
        how many cases each claim holds is pasted as ``order-no-cost-held`` and so on.

        Raises
        ------
        ValueError
            If a claim of the file was never judged.
        """
        if missing := [id for id in self._stated if id not in self._judged]:
            raise ValueError(f"never judged: {', '.join(missing)}")
        coded = base64.b64encode(pd.concat(self._samples).to_parquet(None, index=False)).decode()
        texts = {name: frame.to_csv(index=False) for name, frame in (tables or {}).items()}
        data = {"claims": claims.to_json(self.claims), "samples": coded, "tables": texts}
        note = cards.note(self.claims, written_for())
        paste("verdicts", "\n\n".join(filter(None, [note, cards.strip(self.claims)])))
        for claim in self.claims:
            paste(f"{claims.anchor(claim.id)}-held", cards.held(claim))
        return Shown(f"Recorded: {claims.tally(self.claims)}.", data)


def written_for() -> dict[str, str]:
    """The verdicts that the chapters' words were written for, by id; none where no file says so."""
    home = Path(os.environ.get("WINNOW_ROOT", Path(__file__).parents[3])) / "notebooks"
    places = (Path("written_for.yaml"), home / "written_for.yaml")
    found = next(filter(Path.is_file, places), None)
    return (yaml.safe_load(found.read_text(encoding="utf-8")) if found else None) or {}


def paste(name: str, text: str) -> None:
    """Keep Markdown in the notebook for the page's ``glue:md`` of that name, wherever it stands.

    The directive takes any Markdown, the role, inside a sentence or a table, a line of it.
    """
    prefix = "application/papermill.record/"
    data = {f"{prefix}text/{kind}": text for kind in ("markdown", "plain")}
    display(data, raw=True, metadata={"scrapbook": {"name": name, "mime_prefix": prefix}})
