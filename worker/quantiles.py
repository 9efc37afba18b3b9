"""Shares of tokens below a value, read from histograms to within a bin.

Within a bin, values count as spread evenly between its edges (the minimum and maximum where the
distribution ends inside the bin).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from store.histogram_edges import bin_index, inner_edges
from worker.accumulators.distribution import SiteDistribution

Doubles = npt.NDArray[np.float64]


class Quantiles:
    """Shares for the neurons of one layer at one site."""

    def __init__(self, distribution: SiteDistribution) -> None:
        self._of = distribution
        below = np.zeros((len(distribution.counts), distribution.counts.shape[1] + 1), np.int64)
        np.cumsum(distribution.counts, axis=1, out=below[:, 1:])
        self._below = below
        edges = inner_edges().astype(np.float64)
        self._lower = np.concatenate([[-np.inf], edges])
        self._upper = np.concatenate([edges, [np.inf]])

    def share_below(
        self, neurons: npt.NDArray[np.int64], values: npt.NDArray[np.float32]
    ) -> Doubles:
        """Share of all tokens at which `neurons[i]` lies below `values[i]`; [N]."""
        b = bin_index(values)
        low = np.maximum(self._lower[b], self._of.min[neurons])
        high = np.minimum(self._upper[b], self._of.max[neurons])
        with np.errstate(divide="ignore", invalid="ignore"):
            within = np.where(high > low, (values - low) / (high - low), 0.0)
        count = self._below[neurons, b + 1] - self._below[neurons, b]
        below = self._below[neurons, b] + np.clip(within, 0, 1) * count
        # At least one token is as high as the highest.
        below = np.where(values <= self._of.max[neurons], np.minimum(below, self._of.n - 1), below)
        return np.asarray(np.maximum(below, 0) / max(1, self._of.n), dtype=np.float64)
