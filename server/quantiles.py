"""The quantile of an activation among all tokens of the run, read from a version's histogram.

Within a bin, values count as spread evenly between its edges (the minimum and maximum where the
distribution ends inside the bin), as they do for the quantiles of a run's examples.
"""

from __future__ import annotations

import numpy as np

from store.histogram_edges import N_BINS, bin_index, inner_edges
from store.records import SiteStatistics

_EDGES = inner_edges().astype(np.float64)


def quantile(statistics: SiteStatistics, value: float) -> float | None:
    """The share of all tokens that lie below `value`; None where the run has no such histogram."""
    counts = statistics.counts
    if len(counts) != N_BINS or statistics.n == 0:
        return None
    if statistics.min is None or statistics.max is None:
        return None
    b = int(bin_index([value])[0])
    low = max(float(_EDGES[b - 1]) if b else -np.inf, statistics.min)
    high = min(float(_EDGES[b]) if b < N_BINS - 1 else np.inf, statistics.max)
    within = (value - low) / (high - low) if high > low else 0.0
    below = float(counts[:b].sum()) + min(max(within, 0.0), 1.0) * float(counts[b])
    if value <= statistics.max:  # at least one token is as high as the highest
        below = min(below, statistics.n - 1)
    return below / statistics.n
