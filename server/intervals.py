"""95 % intervals that need nothing but counts and order: of a share, and of a median.

wilson(7, 10)                → (0.397, 0.892)
median_interval([…sorted…])  → two of the values, None for fewer than six
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def wilson(hits: float, n: float) -> tuple[float, float] | None:
    """Wilson's score interval of a share of `hits` among `n`; None of nothing. [Wilson 1927]

    Effective numbers, which are not whole, will do.
    """
    if n == 0:
        return None
    share, z2 = hits / n, Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile of ascending values, between two of them by proportion."""
    place = q * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """An interval of ascending values that covers the median with 95 % or more.

    The j-th from below and from above, j as large as the binomial distribution allows: whatever
    the values' distribution, the median lies outside with twice P(B(n, ½) < j) at most.
    """
    n = len(values)
    below, term, rank = 0.0, math.exp(-n * math.log(2)) if n < 1000 else 0.0, 0
    if n >= 1000:
        rank = math.floor(n / 2 - Z95 / 2 * math.sqrt(n))
    else:
        while below + term <= 0.025:
            below += term
            rank += 1
            term *= (n - rank + 1) / rank
    return (values[rank - 1], values[n - rank]) if rank else None


def overlap(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool | None:
    """Whether two intervals have a value in common; None where one of them is not there."""
    if one is None or other is None:
        return None
    return one[0] <= other[1] and other[0] <= one[1]
