"""Numbers as whole numbers on a logarithmic scale: the error is relative, whatever the size.

    codes = encode(values)            int64, 0 for 0, negative for negative values
    decode(codes)                     float32, within PRECISION of the values

A value's code is its sign times 1 + OF_OCTAVE · (log2 |value| + 30), rounded; what is below 2⁻³⁰ in
size is 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Codes an octave, and where the scale begins.
OF_OCTAVE = 70
_LOWEST = -30
#: |value as stored − value| ≤ PRECISION · |value|: half a code, 2^(1/140) − 1.
PRECISION = 0.005


def encode(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Codes of finite values."""
    exact = np.asarray(values, np.float64)
    size = np.abs(exact)
    tiny = size < 2.0**_LOWEST
    codes = np.rint((np.log2(np.where(tiny, 1, size)) - _LOWEST) * OF_OCTAVE).astype(np.int64) + 1
    return np.where(tiny, 0, np.where(exact < 0, -codes, codes))


def decode(codes: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """The values of codes, single precision."""
    size = np.exp2((np.abs(codes) - 1) / OF_OCTAVE + _LOWEST)
    return np.where(codes == 0, 0, np.where(codes < 0, -size, size)).astype(np.float32)
