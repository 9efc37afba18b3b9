"""A run's work directory: partial results, the gathered values, and the sample that stays.

    with RunDirectory.locked(base / run_id) as directory:
        ...

One process at a time works in it, or several on a share of the shards each (`shared`); another one
is told so at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.errors import WorkerError
from worker.share import Share


class WorkDirectoryError(WorkerError):
    """A work directory that cannot be used."""


@dataclass(frozen=True)
class RunDirectory:
    """Paths below one run's directory."""

    path: Path

    @classmethod
    @contextmanager
    def locked(cls, path: Path) -> Iterator[RunDirectory]:
        """Make the directory and hold its lock; `WorkDirectoryError` where that cannot be."""
        with _opened(path, "lock") as descriptor:
            _lock(descriptor, path)
            yield cls(path)

    @classmethod
    @contextmanager
    def shared(cls, path: Path, share: Share) -> Iterator[RunDirectory]:
        """The directory for one share of the shards; other shares may be at work beside it."""
        with _opened(path, "lock") as descriptor, _opened(path, share_lock(share)) as own:
            _lock(descriptor, path, alone=False)
            _lock(own, path)
            yield cls(path)

    @property
    def has_shares(self) -> bool:
        """Whether shares of the shards were computed here."""
        return any(self.path.glob("lock-*-of-*"))

    @property
    def partials(self) -> Path:
        return self.path / "partials"

    @property
    def sample(self) -> Path:
        """The token sample; stays, for what is computed on it later."""
        return self.path / "sample"

    @property
    def inputs(self) -> Path:
        """What the MLPs read, kept for the gather pass."""
        return self.path / "inputs"

    @property
    def gathered(self) -> Path:
        return self.path / "gathered"

    @property
    def token_index(self) -> Path:
        """The inverted index by layer, until it is published."""
        return self.path / "token-index"

    @property
    def evidence(self) -> Path:
        """Finished parts of the evidence stage, until it is published."""
        return self.path / "evidence"

    def clear_passing(self) -> None:
        """Remove what is of no use once the run is published."""
        for path in (self.partials, self.inputs, self.gathered, self.token_index):
            shutil.rmtree(path, ignore_errors=True)
        for lock in self.path.glob("lock-*-of-*"):
            lock.unlink(missing_ok=True)


def share_lock(share: Share) -> str:
    """The file that the process at work on a share locks."""
    return f"lock-{share.number}-of-{share.of}"


@contextmanager
def _opened(path: Path, name: str) -> Iterator[int]:
    """A file of the directory, which is made if need be; a lock on it goes when it is closed."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / name, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WorkDirectoryError(
            f"work directory {path} cannot be written: {error.strerror}",
            "name another with --work-dir",
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, *, alone: bool = True) -> None:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        raise WorkDirectoryError(
            f"another process is computing this run in {path}", "wait for it to end"
        ) from error
