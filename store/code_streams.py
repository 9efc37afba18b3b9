"""Some thousand codes of activations (`store.value_codes`) in as few bytes as zlib's Huffman codes
give: what is common in few bits, what lies far out apart.

    packed = pack(codes)
    codes, at = unpack(packed, n, at)           from place `at` on; where what follows begins

stream      a byte: how many low bits stand apart; "<i2": the least high part; the outliers; three
            bytes: the length of the high parts, and these as zlib's raw Huffman codes (a byte each,
            255 for an outlier); low bits, the lowest first, filled up to a whole byte
outliers    how many, then their places, "<u2" where there are below 65,536 codes in all, else
            "<u4"; then their codes "<i2"
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from store.value_codes import Codes

_LOW_BITS = (3, 7)  # at least and at most
_OUTLIER = 255


def pack(codes: Codes) -> bytes:
    """Codes [n]."""
    n = len(codes)
    least, middle, most = (
        np.sort(codes)[[n // 50, n // 2, n - 1 - n // 50]].tolist() if n else [0] * 3
    )
    # High parts of nearly all codes should take half of a byte, or a quarter.
    first = min(max((most - least).bit_length() - 7, _LOW_BITS[0]), _LOW_BITS[1] - 1)
    best: tuple[float, int, int] | None = None
    for low in (first, first + 1):
        base = (middle >> low) - _OUTLIER // 2
        high = (codes >> low) - base
        inside = (high >= 0) & (high < _OUTLIER)
        counts = np.bincount(np.where(inside, high, _OUTLIER), minlength=_OUTLIER + 1)
        seen = counts[counts > 0]
        # Bits: of Huffman codes and their table, of low bits, of outliers.
        bits = float((seen * np.log2(n / seen)).sum()) + 5 * len(seen)
        bits += low * n + 32 * int(counts[_OUTLIER])
        if best is None or bits < best[0]:
            best = bits, low, base
    assert best is not None
    _, low, base = best
    high = (codes >> low) - base
    outside = np.flatnonzero((high < 0) | (high >= _OUTLIER))
    high[outside] = _OUTLIER
    # What zlib clears first grows with its memory, and a block of so many bytes is all it holds.
    memory = min(max((n + 1).bit_length() - 6, 1), 9)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -9, memory, zlib.Z_HUFFMAN_ONLY)
    squeezed = deflater.compress(high.astype(np.uint8).tobytes()) + deflater.flush()
    low_bits = np.unpackbits(codes.astype(np.uint8), bitorder="little").reshape(n, 8)[:, :low]
    return b"".join(
        [
            bytes([low]) + np.array(base, "<i2").tobytes() + pack_some(outside, codes[outside], n),
            len(squeezed).to_bytes(3, "little") + squeezed,
            np.packbits(low_bits, bitorder="little").tobytes(),
        ]
    )


def unpack(packed: bytes, n: int, at: int) -> tuple[Codes, int]:
    """The n codes of `pack`, and where what follows begins."""
    low, base = packed[at], int.from_bytes(packed[at + 1 : at + 3], "little", signed=True)
    outside, outliers, at = unpack_some(packed, n, at + 3)
    length = int.from_bytes(packed[at : at + 3], "little")
    squeezed = zlib.decompress(packed[at + 3 : at + 3 + length], -15)
    at += 3 + length
    high = np.frombuffer(squeezed, np.uint8).astype(np.int32)
    n_bytes = -(-n * low // 8)
    codes = ((high + base) << low) | _low_bits(packed[at : at + n_bytes], n, low)
    codes[outside] = outliers
    return codes, at + n_bytes


def _low_bits(packed: bytes, n: int, low: int) -> Codes:
    """n numbers of `low` ≤ 8 bits each: eight of them begin with a byte and fit into a word."""
    rows = -(-n // 8)
    padded = packed.ljust(rows * low + 8, b"\0")
    words = np.ndarray((rows, 1), "<u8", padded, 0, (low, 0))
    shifts = np.arange(0, 8 * low, low, dtype=np.uint64)
    numbers: Codes = ((words >> shifts) & np.uint64((1 << low) - 1)).astype(np.int32)
    return numbers.ravel()[:n]


def pack_some(places: npt.NDArray[np.integer], codes: Codes, n: int) -> bytes:
    """Codes that stand at some places only of n."""
    dtype = _place_dtype(n)
    head = len(places).to_bytes(dtype.itemsize, "little")
    return head + places.astype(dtype).tobytes() + codes.astype("<i2").tobytes()


def unpack_some(
    packed: bytes, n: int, at: int
) -> tuple[npt.NDArray[np.unsignedinteger], Codes, int]:
    """Places and codes of `pack_some`, and where what follows begins."""
    dtype = _place_dtype(n)
    end = at + dtype.itemsize
    some = int.from_bytes(packed[at:end], "little")
    if not some:
        return _NOWHERE, _NONE, end
    places = np.frombuffer(packed, dtype, some, end)
    end += places.nbytes
    codes = np.frombuffer(packed, "<i2", some, end).astype(np.int32)
    return places, codes, end + 2 * some


def _place_dtype(n: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype("<u2") if n < 1 << 16 else np.dtype("<u4")


_NOWHERE = np.zeros(0, np.uint16)
_NONE = np.zeros(0, np.int32)
