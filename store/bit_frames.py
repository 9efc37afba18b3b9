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
from store.bit_words import packed_bits

Longs = npt.NDArray[np.int64]


def pack(columns: Sequence[npt.ArrayLike]) -> bytes:
    """Columns of the same length, of numbers below 2³¹ in size and with ranges below 2³¹."""
    arrays = [np.asarray(column, np.int64) for column in columns]
    length = len(arrays[0])
    if any(array.shape != (length,) for array in arrays):
        raise ValueError("columns of one frame differ in length")
    (packed,) = pack_all(np.array(arrays), [length])
    return packed


def pack_all(columns: Longs, lengths: Sequence[int]) -> list[bytes]:
    """Frames of such lengths, which stand one after the other in columns [k, sum of lengths]."""
    n = len(lengths)
    sizes = np.tile(np.array(lengths, np.int64), len(columns))  # of each frame's first column, ...
    if sizes.max(initial=0) >= 1 << 16:
        raise ValueError("a frame is too long")
    flat = columns.ravel()
    least, most = np.zeros((2, len(sizes)), np.int64)
    some = np.flatnonzero(sizes)
    if len(some):
        starts = (np.cumsum(sizes) - sizes)[some]
        least[some] = np.minimum.reduceat(flat, starts)
        most[some] = np.maximum.reduceat(flat, starts)
    widths = np.frexp((most - least).astype(np.float64))[1].astype(np.int64)
    if (least < -(1 << 31)).any() or (least >= 1 << 31).any() or (widths > 31).any():
        raise ValueError("a number is too large to be packed")
    bits = packed_bits(flat - np.repeat(least, sizes), widths, sizes, "big")
    parts = [
        sevens.write_signed(first) + bytes([width]) + packed
        for first, width, packed in zip(least.tolist(), widths.tolist(), bits, strict=True)
    ]
    return [sevens.write(length) + b"".join(parts[i::n]) for i, length in enumerate(lengths)]


def unpack(packed: bytes, n_columns: int) -> list[Longs]:
    """The columns of `pack`."""
    return unpack_at(packed, 0, n_columns)[0]


def unpack_at(packed: bytes, at: int, n_columns: int) -> tuple[list[Longs], int]:
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
