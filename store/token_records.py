"""Frozen records of the inverted index: which versions are highest on which token."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store.records import CountArray, FloatArray, HalfArray, Side, TokenArray


@dataclass(frozen=True)
class TokenCountsRecord:
    """The token ids in a run's token sample, ascending, and how many tokens of it have each.

    `kept` is how many versions of a side and layer the index keeps by each of its two orders.
    """

    kept: int
    tokens: TokenArray
    counts: CountArray

    @property
    def n(self) -> int:
        """Tokens of the sample."""
        return int(self.counts.sum())


@dataclass(frozen=True)
class TokenNeuronsRecord:
    """Versions of one side and layer that are highest on one token id, over the token sample.

    The `kept` highest by mean and the `kept` highest by maximum, each version once, [m] arrays by
    descending `mean_sd` (the lower neuron first among equals). `mean` and `max` are of the display
    site over the sample's tokens with this id; `…_sd` are these less the version's mean over the
    whole sample, in its standard deviations over the sample.
    """

    token: int
    side: Side
    layer: int
    neurons: TokenArray
    mean: FloatArray
    mean_sd: FloatArray
    max: HalfArray
    max_sd: FloatArray


@dataclass(frozen=True)
class TokenSpreadRecord:
    """Mean and standard deviation over the token sample of a layer's versions, [n] each: with them
    `mean` and `max` of a `TokenNeuronsRecord` follow from `…_sd`."""

    side: Side
    layer: int
    mean: FloatArray
    std: FloatArray


def spread_of(
    side: Side,
    layer: int,
    n: int,
    entries: Iterable[tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]],
) -> TokenSpreadRecord:
    """The spread of n versions as the index itself says it: (neurons, values, values in SD), each
    neuron's by a line through all of them. Zero for a neuron that the index does not have."""
    sums = np.zeros((5, n))
    for neurons, values, in_sd in entries:
        y, x = np.asarray(values, np.float64), np.asarray(in_sd, np.float64)
        for row, part in zip(sums, (np.ones_like(x), x, y, x * x, x * y), strict=True):
            row += np.bincount(np.asarray(neurons, np.int64), part, n)
    count = np.maximum(sums[0], 1)
    x, y = sums[1] / count, sums[2] / count
    spread = sums[3] / count - x * x
    slope = (sums[4] / count - x * y) / np.where(spread > 1e-9, spread, np.inf)
    slope = np.where(spread > 1e-9, slope, 1.0)  # of one value, or equal ones, any slope is right
    mean = np.where(sums[0] > 0, y - slope * x, 0.0)
    return TokenSpreadRecord(
        side, layer, mean.astype(np.float32), np.where(sums[0] > 0, slope, 0).astype(np.float32)
    )
