"""Claims as data: what was stated before looking, the parts it is judged by, and the verdict.

What a chapter claims stands in ``notebooks/claims/CHAPTER.yaml``. A chapter hands an interval for
each part of a claim to its :class:`~winnow.reporting.sheet.Sheet`; bars, controls and words come
from the file.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import json
import math
import os
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from winnow import stats
from winnow.stats import Interval

VERDICTS = ("reproduced", "partly reproduced", "undecided", "not reproduced", "not tested")
KINDS = ("paper", "inferred", "beyond")

_ALPHA = 0.05
_NUMBER = r"(-?[\d.]+(?:e[-+]?\d+)?)"


# --- bars -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """Where an interval must lie: above ``low``, below ``high``, or between the two."""

    text: str
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def parse(cls, text: str) -> Bar:
        """From words: ``above 0``, ``below 1.5`` or ``within -0.1 to 0.1``.

        Raises
        ------
        ValueError
            If it reads otherwise, or nothing lies within.

        Examples
        --------
        >>> Bar.parse("within 0.8 to 1.25")
        Bar(text='within 0.8 to 1.25', low=0.8, high=1.25)
        """
        words = re.fullmatch(f"(above|below) {_NUMBER}|(within) {_NUMBER} to {_NUMBER}", str(text))
        if words is None:
            raise ValueError(f"a bar reads 'above 0', 'below 1' or 'within 0 to 1', got {text!r}")
        side, at, _, low, high = words.groups()
        if side:
            return cls(text, **{"low" if side == "above" else "high": float(at)})
        if not float(low) < float(high):
            raise ValueError(f"a bar must leave room between its numbers, got {text!r}")
        return cls(text, float(low), float(high))

    def p_value(self, x: Interval) -> float:
        """Two-sided p-value of lying where the bar asks; of two margins the larger one."""
        return max(x.p_above(self.low), x.p_below(self.high))

    def status(self, x: Interval, p: float) -> str:
        """``holds``, ``refuted`` or ``undecided``, given the p-value after correction.

        An interval that touches the bar, or that has no numbers, is undecided.
        """
        if self.low < x.low and x.high < self.high:
            return "undecided" if p > _ALPHA else "holds"
        return "refuted" if x.high < self.low or x.low > self.high else "undecided"

    def distance(self, x: Interval | Part) -> Interval:
        """Estimate and interval as distances from the bar, positive on the side asked for.

        Of two margins the one that counts is the one that the interval comes nearest to, or
        passes furthest.
        """
        if x.low - self.low <= self.high - x.high:
            return Interval(x.estimate - self.low, x.low - self.low, x.high - self.low, x.n)
        return Interval(self.high - x.estimate, self.high - x.high, self.high - x.low, x.n)


# --- what is stated, and what is found ------------------------------------------------------------


@dataclass(frozen=True)
class Stated:
    """A claim as it was written down before its results."""

    id: str
    says: str
    kind: str
    statistic: str
    null: str
    bar: str | dict[str, str]  #: one for all parts, or by name or pattern of a part
    bar_from: str = ""
    quote: str = ""
    where: str = ""
    matters_from: float | None = None  #: smallest effect of interest
    primary: tuple[str, ...] = ()  #: patterns of parts that must hold
    controls: dict[str, str] = field(default_factory=dict)  #: pattern of a part to its bar

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.id}: kind must be one of {', '.join(KINDS)}, got {self.kind}")
        bars = self.bar.values() if isinstance(self.bar, dict) else [self.bar]
        for text in (*bars, *self.controls.values()):
            Bar.parse(text)

    def bar_of(self, part: str) -> Bar:
        """The bar that a part or a control has to clear."""
        by_pattern = self.bar if isinstance(self.bar, dict) else {"*": self.bar}
        for pattern, text in {**self.controls, **by_pattern}.items():
            if fnmatch.fnmatchcase(part, pattern):
                return Bar.parse(text)
        raise ValueError(f"{self.id} states no bar for its part {part!r}")

    def bars(self) -> str:
        """All bars in words, each behind the parts that it is for."""
        if not isinstance(self.bar, dict):
            return self.bar
        return "; ".join(f"{part}: {text}" for part, text in self.bar.items())


@dataclass(frozen=True)
class Part:
    """One interval of a claim or of a control, beside its bar."""

    name: str
    estimate: float
    low: float
    high: float
    p: float  #: two-sided, of clearing the bar, before correction
    n: int
    bar: str
    status: str  #: holds, refuted, undecided; of a control passed, failed


@dataclass(frozen=True)
class Claim:
    """A judged claim."""

    id: str
    says: str
    kind: str
    verdict: str
    shown: str  #: name of the part that stands for the claim; empty where nothing was tested
    parts: list[Part]
    controls: list[Part]
    why: str = ""  #: why nothing was tested, or which control failed

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"claim {self.id} has verdict {self.verdict!r}, not one of {VERDICTS}")

    @property
    def part(self) -> Part | None:
        """The part that stands for the claim."""
        return next((part for part in self.parts if part.name == self.shown), None)

    def count(self, status: str) -> int:
        """How many parts have a status."""
        return sum(part.status == status for part in self.parts)

    def counts(self) -> str:
        """How many parts hold, are undecided and are refuted, in words; empty for one part."""
        if len(self.parts) < 2:
            return ""
        found = {"hold": "holds", "undecided": "undecided", "refuted": "refuted"}
        words = [f"{k} {word}" for word, s in found.items() if (k := self.count(s)) or s == "holds"]
        return f"of {len(self.parts)} parts {', '.join(words)}"


def _stated(id: str, about: Mapping[str | None, Any]) -> Stated:
    # YAML reads the key ``null`` as nothing.
    words = {"null" if key is None else key: value for key, value in about.items()}
    return Stated(**{**words, "id": id, "primary": tuple(words.get("primary", ()))})


@functools.cache
def _read(path: Path, changed: int) -> dict[str, Stated]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        prefix, claims = found["prefix"], found["claims"]
        return {f"{prefix}/{k}": _stated(f"{prefix}/{k}", about) for k, about in claims.items()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        words = " ".join(str(error).split())
        raise ValueError(f"{path}: no claims as data: {words}") from error


def stated(chapter: str) -> dict[str, Stated]:
    """The claims of a chapter by id, from ``notebooks/claims/CHAPTER.yaml``.

    Looked for beside the running notebook, then in the checkout.

    Raises
    ------
    ValueError
        If there is no such file, or it is not as it should be; what is wrong is named.
    """
    home = Path(os.environ.get("WINNOW_ROOT", Path(__file__).parents[3])) / "notebooks"
    for folder in (Path(), home):
        path = (folder / "claims" / f"{chapter}.yaml").resolve()
        if path.is_file():
            return _read(path, path.stat().st_mtime_ns)
    raise ValueError(f"no claims of {chapter}: expected {home / 'claims' / chapter}.yaml")


# --- judging --------------------------------------------------------------------------------------


def judge(claim: Stated, parts: Mapping[str, Interval], *, why: str = "") -> Claim:
    """The verdict on a claim from an interval for each of its parts.

    A part *holds* when its whole interval is where its bar asks and its p-value, after Holm's
    correction over the claim's parts, is at most 0.05; it is *refuted* when the whole interval
    is on the other side, else *undecided*. A control *passes* when it holds by itself.

    *Reproduced*: all parts hold. *Partly reproduced*: some do. *Not reproduced*: none does and
    one is refuted, or a primary part is refuted. *Undecided*: none holds and none is refuted,
    or a control failed. *Not tested*: no parts.

    Parameters
    ----------
    claim
        What was stated.
    parts
        Name to interval, those of controls among them.
    why
        Why there are no parts.

    Returns
    -------
    Claim

    Raises
    ------
    ValueError
        If a part has no bar, or there are controls and nothing else.
    """
    scored = [name for name in parts if not _is_among(name, claim.controls)]
    if parts and not scored:
        raise ValueError(f"{claim.id} has controls and no other part")
    p = {name: claim.bar_of(name).p_value(x) for name, x in parts.items()}
    corrected = p | adjusted({name: p[name] for name in scored})
    of_claim, controls = [], []
    for name, x in parts.items():
        bar = claim.bar_of(name)
        status, kind = bar.status(x, corrected[name]), of_claim
        if name not in scored:
            status, kind = "passed" if status == "holds" else "failed", controls
        kind.append(Part(name, x.estimate, x.low, x.high, p[name], x.n, bar.text, status))
    failed = [control.name for control in controls if control.status == "failed"]
    verdict = _verdict(claim, of_claim, failed)
    why = f"control failed: {', '.join(failed)}" if failed else why
    shown = _nearest(of_claim, verdict)
    return Claim(claim.id, claim.says, claim.kind, verdict, shown, of_claim, controls, why)


def _is_among(part: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(part, pattern) for pattern in patterns)


def adjusted(p: Mapping[str, float]) -> dict[str, float]:
    """p-values by name after Holm's correction; what has none does not count and is left out."""
    tested = {name: x for name, x in p.items() if not math.isnan(x)}
    return dict(zip(tested, stats.holm([*tested.values()]).tolist(), strict=True))


def _verdict(claim: Stated, parts: Sequence[Part], failed: Sequence[str]) -> str:
    statuses = [part.status for part in parts]
    if not parts:
        return "not tested"
    if failed:
        return "undecided"
    if all(status == "holds" for status in statuses):
        return "reproduced"
    if any(part.status == "refuted" and _is_among(part.name, claim.primary) for part in parts):
        return "not reproduced"
    if "holds" in statuses:
        return "partly reproduced"
    return "not reproduced" if "refuted" in statuses else "undecided"


def _nearest(parts: Sequence[Part], verdict: str) -> str:
    """The part nearest to changing the verdict, in units of its own standard error.

    Of a reproduced claim the one nearest to failing, else the one nearest to holding.
    """
    if not parts:
        return ""
    wanted = [p for p in parts if (p.status == "holds") == (verdict == "reproduced")]

    def gap(part: Part) -> tuple[float, float]:  # of exact results, which have no error: the bar
        away, width = abs(Bar.parse(part.bar).distance(part).low), part.high - part.low
        away = away if math.isfinite(away) else math.inf
        return away / width if width > 0 else math.inf, away

    return min(wanted or parts, key=gap).name


# --- in words -------------------------------------------------------------------------------------


def anchor(id: str) -> str:
    """The label in the book of the place where a claim is judged."""
    return id.replace("/", "-")


def number(x: float) -> str:
    """Three decimals, or one digit and an exponent where that would show only zeros.

    Examples
    --------
    >>> number(0.12345), number(0.0), number(-5.6e-17)
    ('0.123', '0', '-6e-17')
    """
    if x == 0 or math.isnan(x):
        return "0" if x == 0 else "–"
    return f"{x:.3f}" if abs(x) >= 5e-4 else f"{x:.0e}"


def interval(x: Interval | Part) -> str:
    """Estimate and interval as text; an exact result by itself."""
    if x.low == x.high:  # an exact result
        return number(x.estimate)
    return f"{number(x.estimate)} [{number(x.low)}, {number(x.high)}]"


def tally(claims: Sequence[Claim]) -> str:
    """How many claims got each verdict, in words."""
    counts = {v: sum(c.verdict == v for c in claims) for v in VERDICTS}
    return ", ".join(f"{k} {v}" for v, k in counts.items() if k)


# --- files ----------------------------------------------------------------------------------------


def samples_of(id: str, part: str, x: Interval) -> pd.DataFrame:
    """What a part was computed from: a row per unit, its arrays as columns ``a``, ``b``, …"""
    if x.samples is None:
        raise ValueError(f"{id}: part {part!r} has no samples: make it by a function of stats")
    values = x.samples if x.n else np.full((len(x.samples), 1), math.nan)  # a row says it is there
    arrays = pd.DataFrame(dict(zip(string.ascii_lowercase, values, strict=False)))
    about = {"claim": id, "part": part, "interval": x.kind, "unit": arrays.index}
    return arrays.assign(**about)[[*about, *arrays.columns]]


def from_samples(samples: pd.DataFrame) -> dict[str, dict[str, Interval]]:
    """Every interval again from the rows of :func:`samples_of`, by claim and part."""
    found: dict[str, dict[str, Interval]] = {}
    for (id, part), rows in samples.groupby(["claim", "part"], sort=False):
        arrays = rows.drop(columns=["claim", "part", "interval", "unit"])
        values = [*arrays.dropna(axis=1, how="all").to_numpy().T] or [[]]
        found.setdefault(id, {})[part] = stats.INTERVALS[rows.interval.iloc[0]](*values)
    return found


def recompute(chapter: str, folder: Path) -> list[Claim]:
    """The verdicts that follow from committed samples and stated bars, without any training.

    Parameters
    ----------
    chapter
        Whose stated claims are read.
    folder
        Results of one preset, with ``claims.json`` and ``samples.parquet``.

    Raises
    ------
    ValueError
        If the folder lacks them, or they do not belong to the stated claims.
    """
    known = stated(chapter)
    before = {c.id: c for c in read(folder / "claims.json")}
    try:
        samples = pd.read_parquet(folder / "samples.parquet")
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {folder / 'samples.parquet'}: {error}") from error
    found = from_samples(samples)
    if unknown := sorted((before.keys() | found.keys()) ^ known.keys()):
        raise ValueError(f"{folder}: results and stated claims differ in {', '.join(unknown)}")
    return [judge(c, found.get(id, {}), why=before[id].why) for id, c in known.items()]


def to_json(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Plain values, six significant digits, ``None`` where there is no number."""
    return [dataclasses.asdict(c, dict_factory=_plain) for c in claims]


def _plain(fields: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    numbers = {name: x for name, x in fields if isinstance(x, float)}
    rounded = {k: float(f"{x:.6g}") if math.isfinite(x) else None for k, x in numbers.items()}
    return dict(fields) | rounded


def from_json(text: str) -> list[Claim]:
    """Claims as :func:`to_json` wrote them.

    Raises
    ------
    ValueError
        If the text is no such list, or a verdict is unknown.
    """
    try:
        return [
            Claim(**{**row, "parts": _parts(row["parts"]), "controls": _parts(row["controls"])})
            for row in json.loads(text)
        ]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a list of claims: {error}") from error


def _parts(rows: Sequence[Mapping[str, Any]]) -> list[Part]:
    return [Part(**{k: math.nan if v is None else v for k, v in row.items()}) for row in rows]


def read(path: Path) -> list[Claim]:
    """The claims of one ``claims.json``.

    Raises
    ------
    ValueError
        If it cannot be read, or holds something else.
    """
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def read_all(root: Path) -> dict[tuple[str, str], list[Claim]]:
    """All claims by (chapter, preset), from ``<root>/<chapter>/<preset>/claims.json``."""
    paths = sorted(root.glob("*/*/claims.json"))
    return {(path.parts[-3], path.parts[-2]): read(path) for path in paths}
