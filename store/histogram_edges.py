"""The one set of histogram bins of Twinscope: log-linear edges, the same for every neuron.

Eight bins to each power of two from 2⁻¹⁶ to 2⁸ on either side of zero, one bin between −2⁻¹⁶ and
2⁻¹⁶, and two open bins outside ±2⁸: 387 bins, 386 inner edges. All edges are exact in float32.
A bin holds its lower edge when it lies above zero and its upper edge (the one further from zero
is excluded, too) when it lies below: bins mirror each other, so that the bin of a value is an
integer shift of its bits, and −x falls into the mirror of the bin of x.

    |x| < 2⁻¹⁶              bin 193 (the middle one)
    2⁻¹⁶ ≤ x < 2⁸           bins 194 … 385, [lower, upper)
    x ≥ 2⁸                  bin 386
    negative values         bin 386 − bin(−x)
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

LOWEST_POWER = -16
HIGHEST_POWER = 8
BINS_PER_POWER = 8
N_SIDE = (HIGHEST_POWER - LOWEST_POWER) * BINS_PER_POWER  # bins on one side of zero, closed ones
N_BINS = 2 * N_SIDE + 3
MIDDLE = N_SIDE + 1

_FLOAT32_EXPONENT_BIAS = 127
_BITS_DROPPED = 23 - 3  # keep three bits of the mantissa: eight bins to a power of two
_FIRST_CODE = (LOWEST_POWER + _FLOAT32_EXPONENT_BIAS) << 3


def inner_edges() -> npt.NDArray[np.float32]:
    """The 386 finite edges between the 387 bins, ascending; [386] float32, exact."""
    powers = np.arange(LOWEST_POWER, HIGHEST_POWER)
    fractions = 1 + np.arange(BINS_PER_POWER) / BINS_PER_POWER
    positive = np.append((2.0 ** powers[:, None] * fractions[None, :]).ravel(), 2.0**HIGHEST_POWER)
    return np.concatenate([-positive[::-1], positive]).astype(np.float32)


def bin_of(value: float) -> int:
    """`bin_index` of one value, which is within what float32 holds."""
    bits: int
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    code = ((bits & 0x7FFFFFFF) >> _BITS_DROPPED) - _FIRST_CODE + 1
    magnitude = min(max(code, 0), N_SIDE + 1)
    return MIDDLE - magnitude if bits >> 31 else MIDDLE + magnitude


def bin_index(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The bin of each value by a shift of its float32 bits; same shape, NaN is not allowed."""
    x = np.ascontiguousarray(values, dtype=np.float32)
    bits = x.view(np.uint32)
    code = ((bits & np.uint32(0x7FFFFFFF)) >> _BITS_DROPPED).astype(np.int64) - _FIRST_CODE + 1
    magnitude = np.clip(code, 0, N_SIDE + 1)
    negative = (bits >> 31).astype(bool)
    return np.where(negative, MIDDLE - magnitude, MIDDLE + magnitude)
