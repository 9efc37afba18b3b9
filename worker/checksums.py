"""CRC-32 of what lies in the work directory: tells that a disk or a fallen machine damaged it.

    crc32(data, crc32(before))      of bytes that come one after another
    crc32_of(path)                  of a file, read in pieces
    seal(directory)                 a directory is finished: the checksums of its files go into it
    is_sealed(directory)            it is what was sealed

What is foreign, too, is told by SHA-256 (`worker.partials`); this is for what is too large for it:
`isal` computes it at the speed of memory, and where it is not installed zlib at a quarter of that.
"""

from __future__ import annotations

import json
from pathlib import Path

try:
    from isal.isal_zlib import crc32
except ImportError:
    from zlib import crc32

__all__ = ["crc32", "crc32_of", "is_sealed", "seal"]

_PIECE = 1 << 20
_SEAL = "checksums.json"


def crc32_of(path: Path) -> int:
    """Of a file's bytes. Errors: `OSError`."""
    found = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found = crc32(piece, found)
    return found


def seal(directory: Path) -> None:
    """Write down the checksums of a directory's files. Errors: `OSError`."""
    sums = {path.name: crc32_of(path) for path in sorted(directory.iterdir())}
    (directory / _SEAL).write_text(json.dumps(sums), "utf-8")


def is_sealed(directory: Path) -> bool:
    """Whether all files are as they were when the directory was sealed; False where it was not."""
    try:
        sums = dict(json.loads((directory / _SEAL).read_text("utf-8")))
        return all(crc32_of(directory / name) == known for name, known in sums.items())
    except (OSError, ValueError, TypeError):
        return False
