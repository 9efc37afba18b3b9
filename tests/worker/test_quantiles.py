"""The share of tokens below a value, from a histogram: exact at bins' edges and at the extremes."""

from __future__ import annotations

import numpy as np

from store.histogram_edges import N_BINS, bin_index
from worker.accumulators.distribution import SiteDistribution
from worker.quantiles import Quantiles


def test_shares_below() -> None:
    values = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    values[:, 2] = 0.5  # constant
    counts = np.stack([np.bincount(bin_index(v), minlength=N_BINS) for v in values.T])
    empty = np.zeros(3)
    of = SiteDistribution(
        1000, empty, empty, empty, empty, values.min(0), values.max(0), counts.astype(np.int64)
    )
    quantiles = Quantiles(of)

    def below(neuron: int, value: float) -> float:
        (found,) = quantiles.share_below(np.array([neuron]), np.array([value], np.float32))
        return float(found)

    for neuron in (0, 1):
        largest = float(values[:, neuron].max())
        assert below(neuron, largest) == 0.999  # at least one token is as high
        assert below(neuron, largest * 1.5) == 1.0
        assert below(neuron, float(values[:, neuron].min())) == 0.0
        for value in (-1.0, -0.2, 0.0, 0.3, 1.7):
            assert abs(below(neuron, value) - (values[:, neuron] < value).mean()) < 0.02
    assert below(2, 0.4) == 0.0
    assert below(2, 0.6) == 1.0
