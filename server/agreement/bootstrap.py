"""Bootstrap over neurons: intervals of whatever is made from sums over them.

weights = resampled(n_neurons)                    # [draws, n] how often each neuron is in a draw
percentile_interval(weights @ hits / (weights @ totals), n_neurons)

A neuron is drawn with all its answers, by all raters and under all conditions (and of both
versions, where a statistic is of both), so these may be correlated in any way. Raters are not
drawn: intervals are of other neurons judged by the same raters. Draws are seeded: the same answers
give the same interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from server.agreement.proportions import Interval
from store.bootstrap_tails import bootstrap_tails

Floats = npt.NDArray[np.float64]

DRAWS = 2000
SEED = 0
MOST_UNDEFINED = 0.05
"""Share of draws in which a statistic may be undefined; beyond, so is its interval."""


@lru_cache(maxsize=8)
def resampled(n: int, draws: int = DRAWS, seed: int = SEED) -> Floats:
    """How often each of `n` neurons is drawn; [draws, n], each row sums to n; not to be written to.

    A page asks for the same draws again and again.
    """
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    weights = counts.astype(np.float64)
    weights.flags.writeable = False
    return weights


def percentile_interval(values: Floats, n: int, level: float = 0.95) -> Interval | None:
    """The middle `level` of a statistic's draws, widened as t is wider than the normal.

    See `store.bootstrap_tails`. None for fewer than two neurons, where a statistic is undefined
    (NaN) in many draws, and where all draws are alike: neurons that do not differ say nothing about
    others.
    """
    defined = values[np.isfinite(values)]
    if n < 2 or defined.size < (1 - MOST_UNDEFINED) * values.size or not defined.size:
        return None
    if float(np.ptp(defined)) < 1e-12:
        return None
    low, high = np.quantile(defined, bootstrap_tails(n, level))
    return float(low), float(high)


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Interval of the mean of one value a neuron."""
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        return None
    return percentile_interval(resampled(array.size) @ array / array.size, array.size)


def ratio_interval(sums: Sequence[float], totals: Sequence[float]) -> Interval | None:
    """Interval of Σ sums / Σ totals, one of each a neuron."""
    above, below = np.asarray(sums, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    if above.size < 2:
        return None
    weights = resampled(above.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        return percentile_interval((weights @ above) / (weights @ below), above.size)
