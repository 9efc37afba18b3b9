"""Files that are there whole or not at all.

    with whole_file(Path("neurons.csv")) as path:
        path.write_text(...)                    # under another name, renamed at the end

Whatever ends the block early (a full disk, Ctrl-C) leaves nothing under the name that was asked
for. What is there already is kept unless `force` is given, and then it is there until the new one
takes its place.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinscope.faults import Fault, UsageFault
from worker.errors import NO_SPACE


@contextmanager
def whole_file(out: Path, *, force: bool = False) -> Iterator[Path]:
    """A path beside `out` to write to; it becomes `out` when the block ends well."""
    refuse_existing(out, force)
    if not out.parent.is_dir():
        raise UsageFault(
            f"There is no directory {out.parent}; make it, or name another with --out."
        )
    unfinished = out.with_name(f".{out.name}.{secrets.token_hex(4)}.unfinished")
    try:
        yield unfinished
        refuse_existing(out, force)  # made by somebody else meanwhile
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, out)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise Fault(
                f"There is no space left to write {out}; nothing was left there. Make room, or "
                "name another place with --out."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Fault(
                f"{out} cannot be written: {error.strerror}. Name another with --out."
            ) from error
        raise
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def refuse_existing(out: Path, force: bool) -> None:
    """`UsageFault` where something is in the way."""
    if out.is_dir():
        raise UsageFault(f"{out} is a directory; name a file with --out.")
    if out.exists() and not force:
        raise UsageFault(f"{out} is there already; give --force to write over it.")
