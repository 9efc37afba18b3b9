"""The faults a user can cause and mend: each says in one line what was wrong and what to do.

`WorkerError` and its kinds are raised where the fault is found and translated once, by the
command line, into a line on stderr and an exit code. A bug is any other exception.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

#: What the system calls a disk, a quota or a file that is full.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WorkerError(Exception):
    """A fault with its remedy.

    `str(error)` is one line, "what was wrong; what to do"; `message` and `hint` are its halves.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = _one_line(message).rstrip(".")
        self.hint = _one_line(hint).rstrip(".")
        super().__init__(f"{self.message}; {self.hint}." if self.hint else f"{self.message}.")

    def __reduce__(self) -> tuple[type[WorkerError], tuple[str, str]]:
        return type(self), (self.message, self.hint)


class UsageError(WorkerError):
    """What was asked for cannot be meant: an unknown name, a setting out of range."""

    exit_code = 2


class CorpusError(WorkerError):
    """A corpus that does not exist, holds no document, or does not fit the pair."""


class PairError(WorkerError):
    """A pair that does not exist or whose parts do not fit one another."""


class DeviceError(WorkerError):
    """A device that this machine does not have."""


class TrainError(WorkerError):
    """A training run that cannot start or cannot go on."""


class DiskError(WorkerError):
    """A file of the work directory that could not be written or read: a full disk, a lost mount."""

    @classmethod
    def of(cls, error: OSError, where: str) -> DiskError:
        """From what the system said, at `where` ("a worker process", "the coordinator")."""
        file = f" ({error.filename})" if error.filename else ""
        hint = (
            "free some space, or name another place with --work-dir"
            if error.errno in NO_SPACE
            else "see that the work directory can be read and written"
        )
        return cls(
            f"the work directory failed in {where}: {error.strerror or error}{file}",
            f"{hint}; what is complete is kept: run the same command again with --resume",
        )


@contextmanager
def named_disk_faults(where: str) -> Iterator[None]:
    """An `OSError` of the block comes out as a `DiskError`."""
    try:
        yield
    except OSError as error:
        raise DiskError.of(error, where) from error


def _one_line(text: str) -> str:
    return " ".join(text.split())
