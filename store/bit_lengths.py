"""Whole numbers of very different sizes, each in as many bits as it has: counts of a histogram.

    packed = pack(numbers)            int64, of either sign
    numbers = unpack(packed)

Packed: how many there are "<u2"; the length "<u2" of, and zlib of, each one's number of bits, a
byte each; then the bits of each below its highest, the lowest first. Signs are the lowest bit
(zigzag).
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from store.bit_words import words_at

Numbers = npt.NDArray[np.int64]


def pack(numbers: npt.ArrayLike) -> bytes:
    """Numbers [n] below 2⁵⁰ in size, n below 2¹⁶."""
    exact = np.asarray(numbers, np.int64)
    if len(exact) >= 1 << 16 or np.abs(exact).max(initial=0) >= 1 << 50:
        raise ValueError("numbers are too many or too large to be packed")
    zigzag = (exact << 1) ^ (exact >> 63)
    widths = np.frexp(zigzag.astype(np.float64))[1].astype(np.int64)  # exact below 2⁵³
    squeezed = _deflate(widths.astype(np.uint8).tobytes())
    place = np.arange(int(widths.max(initial=0)))
    bits = (zigzag[:, None] >> place) & 1
    below = place < widths[:, None] - 1
    head = len(exact).to_bytes(2, "little") + len(squeezed).to_bytes(2, "little")
    return head + squeezed + np.packbits(bits[below].astype(bool), bitorder="little").tobytes()


def unpack(packed: bytes) -> Numbers:
    """The numbers of `pack`."""
    n, length = (int.from_bytes(packed[at : at + 2], "little") for at in (0, 2))
    widths = np.frombuffer(zlib.decompress(packed[4 : 4 + length], -15), np.uint8)
    if len(widths) != n:
        raise ValueError(f"{len(widths)} numbers of {n}")
    highest = _HIGHEST_BITS[widths]
    below = _BELOW[widths]
    first = np.cumsum(below) - below
    # A number has fewer bits than a word less the seven that may stand before it.
    words = words_at([packed[4 + length :]], first >> 3).view(np.int64)
    zigzag = ((words >> (first & 7)) & (highest - (highest > 0))) | highest
    found: Numbers = (zigzag >> 1) ^ -(zigzag & 1)
    return found


#: By the bits that a number has: its highest one (0: it has none), and how many are stored.
_HIGHEST_BITS = np.array([0, *(1 << n for n in range(63))], np.int64)
_BELOW = np.array([0, *range(63)], np.int64)


def _deflate(plain: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(plain) + deflater.flush()
