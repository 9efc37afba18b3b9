"""Half precision and back, through torch: numpy does it number by number, torch by the processor's
own instructions, at a third to a tenth of the time.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
import torch

from store.records import HalfArray

Singles = npt.NDArray[np.float32]

#: The largest number of half precision.
HALF_MAX = float(np.finfo(np.float16).max)

_ROWS = 64  # of a transposition's blocks: what is written stays in a core's cache


def to_half(values: Singles) -> HalfArray:
    """float16 of the same shape, with what lies outside its range at its ends."""
    made: HalfArray = torch.from_numpy(np.clip(values, -HALF_MAX, HALF_MAX)).half().numpy()
    return made


def to_half_into(values: Singles, into: HalfArray) -> None:
    """`to_half` into an array of the same shape, or a part of one."""
    clipped = np.clip(values, -HALF_MAX, HALF_MAX)
    torch.from_numpy(into).copy_(torch.from_numpy(clipped))


def to_single(values: HalfArray) -> Singles:
    """float32 of the same shape."""
    made: Singles = torch.from_numpy(np.array(values)).float().numpy()
    return made


def columns(values: HalfArray) -> Singles:
    """[K, n] as float32 [n, K], each column's values one after the other."""
    made = np.empty(values.shape[::-1], np.float32)
    _transpose(to_single(values), made)
    return made


@numba.njit(cache=True, nogil=True)
def _transpose(values, made):  # type: ignore[no-untyped-def]
    rows, n = values.shape
    for start in range(0, rows, _ROWS):
        for j in range(n):
            for i in range(start, min(start + _ROWS, rows)):
                made[j, i] = values[i, j]
