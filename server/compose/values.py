"""Values as page objects hold them: no NaN, and half-precision numbers as their short decimals."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from server.pages.evidence import SiteName
from store.records import SITES, HalfArray, Site


def finite(value: float | None) -> float | None:
    """None for a value that is undefined, however it was said."""
    return None if value is None or not math.isfinite(value) else float(value)


@lru_cache(maxsize=1)
def _half_decimals() -> npt.NDArray[np.float64]:
    """For each of the 65,536 half-precision numbers the shortest decimal that reads back as it.

    JSON knows no infinity: the two stand at the largest finite value, and the codes that are no
    number, which no run holds, at 0.
    """
    numbers = np.arange(65536, dtype=np.uint16).view(np.float16)
    limited = np.nan_to_num(numbers, nan=0.0)
    return np.array([float(str(number)) for number in limited])


def decimals(values: dict[Site, HalfArray]) -> dict[SiteName, tuple[float, ...]]:
    """Half-precision values per site as short decimals, in the order pre, mid, post."""
    table = _half_decimals()
    return {
        site: tuple(table[np.ascontiguousarray(values[site], np.float16).view(np.uint16)].tolist())
        for site in SITES
        if site in values
    }
