"""The inverted index of a synthetic run, by plain loops over all of its tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from store.records import Side, Site, WindowRecord
from store.token_records import TokenCountsRecord, TokenNeuronsRecord, TokenSpreadRecord, spread_of

KEPT = 3


@dataclass(frozen=True)
class SyntheticIndex:
    """What `Loader.token_index` takes."""

    counts: TokenCountsRecord
    neurons: tuple[TokenNeuronsRecord, ...]

    @property
    def spreads(self) -> list[TokenSpreadRecord]:
        """As the worker gives them with the records."""
        places = sorted({(one.side, one.layer) for one in self.neurons})
        return [
            spread_of(
                side,
                layer,
                1 + max(int(one.neurons.max(initial=0)) for one in self.neurons),
                (
                    entry
                    for one in self.neurons
                    if (one.side, one.layer) == (side, layer)
                    for entry in (
                        (one.neurons, one.mean, one.mean_sd),
                        (one.neurons, one.max, one.max_sd),
                    )
                ),
            )
            for side, layer in places
        ]


def token_index(
    windows: list[WindowRecord], activations: dict[Side, dict[Site, np.ndarray]]
) -> SyntheticIndex:
    """Of activations [layer, neuron, window, position] by side and site; BOS does not count."""
    ids = np.concatenate([window.tokens[1:] for window in windows])
    tokens, counts = np.unique(ids, return_counts=True)
    blocks: dict[tuple[Side, int], np.ndarray] = {}
    for side, sites in activations.items():
        display = sites["mid" if "mid" in sites else "post"]
        for layer in range(len(display)):
            rows = [
                display[layer, :, i, 1 : len(window.tokens)].T for i, window in enumerate(windows)
            ]
            blocks[side, layer] = np.concatenate(rows).astype(np.float16).astype(np.float64)
    made = []
    for token in tokens:
        for (side, layer), block in blocks.items():
            mean, std = block.mean(0), block.std(0)
            alive = np.flatnonzero(np.ptp(block, axis=0) > 0)
            mine = block[ids == token]
            means, maxima = mine.mean(0), mine.max(0)
            mean_sd = ((means - mean)[alive] / std[alive]).astype(np.float32)
            max_sd = ((maxima - mean)[alive] / std[alive]).astype(np.float32)
            by_mean, by_max = np.lexsort((alive, -mean_sd)), np.lexsort((alive, -max_sd))
            kept = {*by_mean[:KEPT].tolist(), *by_max[:KEPT].tolist()}
            order = np.array([i for i in by_mean.tolist() if i in kept])
            made.append(
                TokenNeuronsRecord(
                    int(token),
                    side,
                    layer,
                    alive[order].astype(np.int32),
                    means[alive][order].astype(np.float32),
                    mean_sd[order],
                    maxima[alive][order].astype(np.float16),
                    max_sd[order],
                )
            )
    record = TokenCountsRecord(KEPT, tokens.astype(np.int32), counts.astype(np.int64))
    return SyntheticIndex(record, tuple(made))
