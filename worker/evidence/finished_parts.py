"""Parts of a stage that are finished, kept on disk so that an interrupted stage goes on from them.

    parts = FinishedParts(directory, key, resume=True)
    records = parts.get("effects", lambda: list(effects(...)))

A part is used again only under the same key (whatever decides its numbers); one that is not what
was written, or was by another version of this program, is named and computed anew. A file is the
SHA-256 of the rest, the key's length in four bytes, the key, and the pickle.
"""

from __future__ import annotations

import hashlib
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_DIGEST = hashlib.sha256().digest_size


class FinishedParts:
    """A directory of pickles: this program's own, never anybody else's."""

    def __init__(
        self,
        directory: Path,
        key: str,
        *,
        resume: bool,
        note: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._directory, self._note = directory, note
        self._key = len(key.encode()).to_bytes(4, "little") + key.encode()
        if not resume:
            self.clear()

    def get(self, name: str, compute: Callable[[], T]) -> T:
        """The part as it was finished, or computed now and kept."""
        path = self._directory / f"{name}.pickle"
        packed = self._found(path)
        if packed is not None:
            try:
                found: T = pickle.loads(packed)
                return found
            except (AttributeError, ImportError, TypeError):  # classes that are not here any more
                self._note(f"{path.name} is of another version: it is computed again.")
        part = compute()
        rest = self._key + pickle.dumps(part, protocol=pickle.HIGHEST_PROTOCOL)
        self._directory.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            file.write(hashlib.sha256(rest).digest())
            file.write(rest)
        unfinished.replace(path)
        return part

    def _found(self, path: Path) -> bytes | None:
        """The pickle of a part that is whole and of this key."""
        try:
            whole = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._note(f"{path.name} cannot be read ({error.strerror}): it is computed again.")
            return None
        digest, rest = whole[:_DIGEST], whole[_DIGEST:]
        if hashlib.sha256(rest).digest() != digest:
            self._note(f"{path.name} is damaged: it is computed again.")
            return None
        return rest[len(self._key) :] if rest.startswith(self._key) else None

    def clear(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self._directory, ignore_errors=True)
