"""Finished stages of a long run in a folder, from which a run that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Shelf:
    """Finished stages in a folder, each written whole or not at all; nothing without a folder.

    Parameters
    ----------
    folder
        Made if it is not there.
    about
        What the run is, as numbers, texts, lists and dictionaries. Stages of a run that differs
        in any entry are refused.
    """

    def __init__(self, folder: Path | str | None, about: Mapping[str, Any]) -> None:
        self.folder = None if folder is None else Path(folder).expanduser()
        if self.folder is not None:
            self.about = json.loads(json.dumps(about, default=float))  # NumPy's numbers too
            self.folder.mkdir(parents=True, exist_ok=True)

    def read(self, stage: int, device: torch.device | str | None = None) -> dict[str, Any] | None:
        """What :meth:`write` was given for a stage, on a device, or nothing.

        Raises
        ------
        ValueError
            If the file cannot be read, or belongs to another run.
        """
        if self.folder is None or not (path := self._path(stage)).exists():
            return None
        try:
            kept = torch.load(path, weights_only=True, map_location=device or "cpu")
            was = dict(json.loads(kept.pop("about")))
        except (OSError, MemoryError):
            raise
        except Exception as error:  # a broken or foreign file can raise anything at all
            why = type(error).__name__
            raise ValueError(f"{path} is not a finished round ({why}): remove it") from None
        other = [name for name, now in self.about.items() if was.get(name) != now]
        if other:
            raise ValueError(
                f"{path} belongs to a run with other {' and '.join(other)}: choose another folder"
            )
        return kept

    def write(self, stage: int, kept: Mapping[str, Any]) -> None:
        """Keep dictionaries of tensors; a crash on the way leaves what was there before."""
        if self.folder is None:
            return
        path = self._path(stage)
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        try:
            torch.save({**kept, "about": json.dumps(self.about)}, unfinished)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _path(self, stage: int) -> Path:
        return self.folder / f"round-{stage:02d}.pt"


def digest(tensors: Sequence[torch.Tensor | None]) -> str:
    """A hash of values, types and shapes."""
    found = hashlib.sha256()
    for tensor in tensors:
        if tensor is not None:
            found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return found.hexdigest()
