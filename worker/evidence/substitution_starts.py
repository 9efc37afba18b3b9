"""Which windows substitution begins from, and for which versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from store.evidence_records import PolysemanticityRecord
from store.records import BANDS, Side
from worker.contexts import Contexts, window_keys
from worker.evidence.shown import Shown
from worker.evidence.substitution import Goal, Start

Version = tuple[Side, int, int]  # (side, layer, neuron)

#: Band whose first example each goal starts from.
FROM: tuple[tuple[Goal, str], ...] = (("focus", "top"), ("silence", "top"), ("raise", "q90-99"))


def most_monosemantic(records: Iterable[PolysemanticityRecord], count: int) -> list[Version]:
    """The `count` versions of each layer and side with the lowest score, the lowest first."""
    by_place: dict[tuple[Side, int], list[tuple[float, int]]] = {}
    for one in records:
        if one.score is not None:
            by_place.setdefault((one.side, one.layer), []).append((one.score, one.neuron))
    return [
        (*place, neuron)
        for place, scored in by_place.items()
        for _, neuron in sorted(scored)[:count]
    ]


def starts(versions: Iterable[Version], shown: Shown, contexts: Contexts) -> Iterator[Start]:
    """Up to three starts a version: its first top example, twice, and a weak one."""
    for side, layer, neuron in versions:
        examples = shown[side, layer]
        mine = examples[examples["neuron"] == neuron]
        window = contexts.find(window_keys(mine["document"], mine["window"]))
        token = contexts.tokens[contexts.offsets[window] + mine["position"]].astype(np.int64)
        top = mine["band"] == BANDS.index("top")
        excluded = tuple(np.unique(token[top]).tolist())
        for rank, (goal, band) in enumerate(FROM):
            first = np.flatnonzero((mine["band"] == BANDS.index(band)) & (mine["rank"] == 0))
            if not len(first):
                continue
            example = mine[first[0]]
            yield Start(
                side=side,
                layer=layer,
                neuron=neuron,
                rank=rank,
                goal=goal,
                document=int(example["document"]),
                window=int(example["window"]),
                position=int(example["position"]),
                tokens=contexts.row(int(window[first[0]])),
                excluded=excluded,
            )
