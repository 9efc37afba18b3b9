"""CRC-32 of what lies in the work directory: tells that a disk or a fallen machine damaged it.

    crc32(data, crc32(before))      of bytes that come one after another
    crc32_of(path)                  of a file, read in pieces

What is foreign, too, is told by SHA-256 (`worker.partials`); this is for what is too large for it:
`isal` computes it at the speed of memory, and where it is not installed zlib at a quarter of that.
"""

from __future__ import annotations

from pathlib import Path

try:
    from isal.isal_zlib import crc32
except ImportError:
    from zlib import crc32

__all__ = ["crc32", "crc32_of"]

_PIECE = 1 << 20


def crc32_of(path: Path) -> int:
    """Of a file's bytes. Errors: `OSError`."""
    found = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found = crc32(piece, found)
    return found
