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


def write_signed(number: int) -> bytes:
    """A number of either sign; the sign is the lowest bit."""
    return write(number << 1 if number >= 0 else -number << 1 | 1)


def read_signed(packed: bytes, at: int) -> tuple[int, int]:
    """The number of `write_signed`, and where what follows begins."""
    number, at = read(packed, at)
    return -(number >> 1) if number & 1 else number >> 1, at
