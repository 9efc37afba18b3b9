"""Numbers of so many bits each in packed bytes, many at once.

    words_at(packed, [0, 3, 4])            → three "<u8": the eight bytes from each of these on
    packed_bits(numbers, widths, sizes)    → bytes for each run of numbers of one width

Reading as one look-up in a view whose words overlap takes a quarter of gathering eight bytes each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt


def words_at(parts: Iterable[bytes], places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """The eight bytes from each place on of all parts together, the lowest first, as a number;
    beyond their end stands nothing. `places` are within them."""
    packed = b"".join([*parts, bytes(8)])
    overlapping = np.ndarray((len(packed) - 7,), "<u8", packed, 0, (1,))
    found: npt.NDArray[np.uint64] = overlapping[places].astype(np.uint64, copy=False)
    return found


def packed_bits(
    numbers: npt.NDArray[np.int64],
    widths: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    bitorder: Literal["little", "big"] = "little",
) -> list[bytes]:
    """Of each run, which has so many numbers ≥ 0 of so many bits each: the lowest bit first, one
    number after the other, filled up to a whole byte. `bitorder`: that of a byte's bits."""
    n_bits = sizes * widths
    n_bytes = -(-n_bits // 8)
    ends = np.cumsum(n_bytes)
    filled = 8 * (ends - n_bytes) - (np.cumsum(n_bits) - n_bits)  # bits before that fill up bytes
    width = np.repeat(widths, sizes)
    place = np.arange(int(n_bits.sum()))
    bit = place - np.repeat(np.cumsum(width) - width, width)
    bits = np.zeros(8 * int(n_bytes.sum()), np.uint8)
    bits[place + np.repeat(filled, n_bits)] = (np.repeat(numbers, width) >> bit) & 1
    packed = np.packbits(bits, bitorder=bitorder).tobytes()
    return [packed[end - n : end] for n, end in zip(n_bytes.tolist(), ends.tolist(), strict=True)]
