"""Whole numbers of seven bits a byte, the lowest first; the eighth says that more follow.

packed = write(300)
number, at = read(packed, at)               from place `at` on; where what follows begins
"""

from __future__ import annotations


def write(number: int) -> bytes:
    """A number ≥ 0."""
    made = bytearray()
    while number > 127:
        made.append(128 | number & 127)
        number >>= 7
    made.append(number)
    return bytes(made)


def read(packed: bytes, at: int) -> tuple[int, int]:
    """The number of `write`, and where what follows begins."""
    number, shift = 0, 0
    while packed[at] > 127:
        number |= (packed[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return number | packed[at] << shift, at + 1
