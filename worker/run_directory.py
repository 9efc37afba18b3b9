"""A run's work directory: partial results, the gathered values, and the sample that stays.

    with RunDirectory.locked(base / run_id) as directory:
        ...

One process at a time works in it; another one is told so at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.errors import WorkerError


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
        try:
            path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise WorkDirectoryError(
                f"work directory {path} cannot be written: {error.strerror}",
                "name another with --work-dir",
            ) from error
        try:
            _lock(descriptor, path)
            yield cls(path)
        finally:
            os.close(descriptor)  # the lock goes with it

    @property
    def partials(self) -> Path:
        return self.path / "partials"

    @property
    def sample(self) -> Path:
        """The token sample; stays, for what is computed on it later."""
        return self.path / "sample"

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
        for path in (self.partials, self.gathered, self.token_index):
            shutil.rmtree(path, ignore_errors=True)


def _lock(descriptor: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise WorkDirectoryError(
            f"another process is computing this run in {path}", "wait for it to end"
        ) from error
