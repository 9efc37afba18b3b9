"""Parts of a stage that are finished, kept on disk so that an interrupted stage goes on from them.

    parts = FinishedParts(directory, key, resume=True)
    records = parts.get("effects", lambda: list(effects(...)))

A part is used again only under the same key (whatever decides its numbers); one that cannot be
read is computed anew.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class FinishedParts:
    """A directory of pickles: this program's own, never anybody else's."""

    def __init__(self, directory: Path, key: str, *, resume: bool) -> None:
        self._directory, self._key = directory, key
        if not resume:
            self.clear()

    def get(self, name: str, compute: Callable[[], T]) -> T:
        """The part as it was finished, or computed now and kept."""
        path = self._directory / f"{name}.pickle"
        try:
            with path.open("rb") as file:
                key, part = pickle.load(file)
            if key == self._key:
                found: T = part
                return found
        except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ValueError, TypeError):
            pass
        part = compute()
        self._directory.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            pickle.dump((self._key, part), file, protocol=pickle.HIGHEST_PROTOCOL)
        unfinished.replace(path)
        return part

    def clear(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self._directory, ignore_errors=True)
