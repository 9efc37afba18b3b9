"""Words of bits that begin anywhere in packed bytes, many at once: how packed numbers are read.

    words_at(packed, [0, 3, 4])    → three "<u8": the eight bytes from each of these on

As one look-up in a view whose words overlap, it takes a quarter of gathering eight bytes each.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def words_at(parts: Iterable[bytes], places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """The eight bytes from each place on of all parts together, the lowest first, as a number;
    beyond their end stands nothing. `places` are within them."""
    packed = b"".join([*parts, bytes(8)])
    overlapping = np.ndarray((len(packed) - 7,), "<u8", packed, 0, (1,))
    found: npt.NDArray[np.uint64] = overlapping[places].astype(np.uint64, copy=False)
    return found
