"""A few columns of whole numbers, each in as many bits as its range takes.

    packed = pack([ids, codes])         columns of one length
    ids, codes = unpack(packed, 2)

Made for rows of some forty entries, too short for zlib's own tables to pay. Packed: the length
(`store.sevens`); for each column its least number (`store.sevens`, signed), a byte that is its
width in bits, and then its numbers less the least, the lowest bit first, filled up to a whole byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from store import sevens


def pack(columns: Sequence[npt.ArrayLike]) -> bytes:
    """Columns of the same length, of numbers below 2³¹ in size and with ranges below 2³¹."""
    arrays = [np.asarray(column, np.int64) for column in columns]
    length = len(arrays[0])
    if any(array.shape != (length,) for array in arrays) or length >= 1 << 16:
        raise ValueError("columns of one frame differ in length, or are too long")
    made = [sevens.write(length)]
    for array in arrays:
        least = int(array.min()) if length else 0
        width = (int(array.max()) - least).bit_length() if length else 0
        if not -(1 << 31) <= least < 1 << 31 or width > 31:
            raise ValueError("a number is too large to be packed")
        made.append(sevens.write_signed(least) + bytes([width]))
        whole = (array - least).astype("<u4").view(np.uint8).reshape(length, 4)
        bits = np.unpackbits(whole, axis=1, bitorder="little")[:, :width]
        made.append(np.packbits(bits).tobytes())
    return b"".join(made)


def unpack(packed: bytes, n_columns: int) -> list[npt.NDArray[np.int64]]:
    """The columns of `pack`."""
    return unpack_at(packed, 0, n_columns)[0]


def unpack_at(packed: bytes, at: int, n_columns: int) -> tuple[list[npt.NDArray[np.int64]], int]:
    """The columns of `pack` from place `at` on, and where what follows begins."""
    length, at = sevens.read(packed, at)
    columns = []
    for _ in range(n_columns):
        least, at = sevens.read_signed(packed, at)
        width, at = packed[at], at + 1
        n_bytes = -(-length * width // 8)
        bits = np.unpackbits(np.frombuffer(packed, np.uint8, n_bytes, at))[: length * width]
        columns.append(
            bits.reshape(length, width) @ (1 << np.arange(width, dtype=np.int64)) + least
        )
        at += n_bytes
    return columns, at
