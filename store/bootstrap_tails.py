"""Which percentiles of a bootstrap's draws make an interval, when few units are drawn.

low, high = np.quantile(draws, bootstrap_tails(len(documents)))
"""

from __future__ import annotations

import math
from statistics import NormalDist


def bootstrap_tails(n: int, level: float = 0.95) -> tuple[float, float]:
    """The two percentiles for a bootstrap over `n` units, as shares.

    Φ(∓√(n/(n−1))·t), wider than (0.025, 0.975) as t is wider than the normal: without this,
    intervals of few units are too short. [Hesterberg 2015, The American Statistician 69, 371–386]
    (0, 1) for fewer than two units, whose draws are all alike.
    """
    if n < 2:
        return 0.0, 1.0
    from scipy.stats import t  # heavy

    reach = math.sqrt(n / (n - 1)) * float(t.ppf((1 + level) / 2, n - 1))
    tail = NormalDist().cdf(-reach)
    return tail, 1 - tail
