"""Frozen records of the inverted index: which versions are highest on which token."""

from __future__ import annotations

from dataclasses import dataclass

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
