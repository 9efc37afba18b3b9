"""Meanings of all versions of one layer as a task: scores, senses and mined counterexamples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store.evidence_records import SCORED_BANDS, PolysemanticityRecord
from store.records import BANDS, SIDES, HalfArray, Side
from worker.activations import Models
from worker.bands import edge_ranks
from worker.evidence.embeddings import Embeddings
from worker.evidence.mined import SILENT, STRONG, Mined, silent, unlike
from worker.evidence.polysemanticity import Doubles, contexts_of, scores
from worker.evidence.senses import OF_A_BAND, cluster, sense_records
from worker.evidence.shown import Shown, ShownArray, highest, top_rows
from worker.evidence.token_purity import entropy_and_largest, variance_explained
from worker.evidence.whitening import Whitening
from worker.layout import Layout
from worker.sample import open_sample

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

#: Bands whose contexts make the senses: those scored that a page shows.
CLUSTERED = ("top", "q99.9-100", "q99-99.9")


@dataclass(frozen=True)
class MeaningsOfLayer:
    """Records of all neurons, and mined counterexamples as (neuron, rank, what)."""

    place: tuple[Side, int]
    records: list[PolysemanticityRecord]
    mined: list[tuple[int, int, Mined]]


@dataclass(frozen=True)
class MeaningsJob:
    """What a worker needs to know. `codes` [K] are the sample's tokens, by embeddings.codes_of;
    `shown_codes` those of each layer's shown examples; tokens are [T, 2]: before, at."""

    layout: Layout
    sample: Path
    embeddings: Embeddings
    tokens: npt.NDArray[np.int32]
    codes: Longs
    shown: Shown
    shown_codes: dict[tuple[Side, int], Longs]
    seed: int

    def open(self, models: Models) -> MeaningsWork:
        return MeaningsWork(self)


class MeaningsWork:
    """`handle` takes a (side, layer)."""

    def __init__(self, job: MeaningsJob) -> None:
        self._job = job

    def handle(self, task: tuple[Side, int]) -> MeaningsOfLayer:
        return _Layer(self._job, *task).meanings()

    def finish(self) -> None:
        return None


class _Layer:
    """One layer's arrays while it is worked on."""

    def __init__(self, job: MeaningsJob, side: Side, layer: int) -> None:
        sample = open_sample(job.sample)
        one = job.layout[side]
        self.side, self.layer, self.seed = side, layer, _seed(job.seed, side, layer)
        self.display: HalfArray = np.asarray(sample.block(side, layer, one.display_site))
        self.hashes = sample.keys["hash"]
        places = job.embeddings.places
        self.rows = places.rows(job.codes)
        self.shown: ShownArray = job.shown[side, layer]
        self.shown_rows = places.rows(job.shown_codes[side, layer])
        self.tokens = job.tokens.astype(np.int64)
        embedded = np.asarray(job.embeddings.block(side, layer))
        self.vectors = Whitening.fit(embedded[self.rows])(embedded)
        self.n = self.display.shape[1]
        self.top = top_rows(self.shown, self.shown_rows, self.n)
        self.highest = highest(self.shown, self.n)

    def meanings(self) -> MeaningsOfLayer:
        bands = contexts_of(self.display, self.hashes, self.highest, self.top, self.rows)
        found = scores(self.vectors, bands, self.seed)
        return MeaningsOfLayer((self.side, self.layer), self._records(bands, found), self._mined())

    def _records(
        self, bands: dict[str, Longs], found: dict[str, Doubles]
    ) -> list[PolysemanticityRecord]:
        clustered, names = to_cluster(bands)
        senses = cluster(self.vectors, clustered, self.seed)
        focus = np.where(self.top >= 0, self.tokens[np.maximum(self.top, 0), 1], -1)
        entropy, largest = entropy_and_largest(focus)
        explained = variance_explained(self.display, self.tokens[self.rows, 1])
        first = np.searchsorted(self.shown["neuron"], np.arange(self.n + 1))
        records = []
        for i in range(self.n):
            mine = slice(first[i], first[i + 1])
            same = self.shown_rows[mine][:, None] == clustered[i]
            sense = np.where(same.any(axis=1), senses.labels[i][same.argmax(axis=1)], -1)
            places = zip(self.shown["band"][mine], self.shown["rank"][mine], strict=True)
            records.append(
                PolysemanticityRecord(
                    side=self.side,
                    layer=self.layer,
                    neuron=i,
                    score=_defined(found["score"][i]),
                    bands={band: _defined(found[band][i]) for band in SCORED_BANDS},
                    token_entropy=_defined(entropy[i]),
                    max_token_share=_defined(largest[i]),
                    token_variance_explained=_defined(explained[i]),
                    senses=sense_records(
                        int(senses.count[i]),
                        senses.labels[i],
                        names,
                        self.tokens[np.maximum(clustered[i], 0), 1],
                        [(BANDS[band], int(rank)) for band, rank in places],
                        sense,
                    ),
                )
            )
        return records

    def _mined(self) -> list[tuple[int, int, Mined]]:
        of_sample = self.tokens[self.rows]
        high = min(int(edge_ranks(len(self.rows))[1]), len(self.rows) - 1)
        found = []
        for i in np.flatnonzero(self.highest > 0):
            best = float(self.highest[i])
            mine = self.top[i][self.top[i] >= 0]
            values = self.display[:, i].astype(np.float32)
            strong = np.flatnonzero(values >= STRONG * best)
            limit = min(SILENT * best, float(np.partition(values, high)[high]))
            both = unlike(self.vectors, mine, strong, self.rows[strong])
            both += silent(
                self.vectors, mine, self.tokens[mine], values, limit, of_sample, self.rows
            )
            rank = {"unlike": 0, "silent": 0}
            for one in both:
                found.append((int(i), rank[one.kind], one))
                rank[one.kind] += 1
        return found


def to_cluster(bands: dict[str, Longs]) -> tuple[Longs, list[str]]:
    """The contexts that senses are made of [n, m], and the band of each column.

    One that is drawn in a band and stands among the top examples counts as the latter.
    """
    some = {band: bands[band][:, :OF_A_BAND] for band in CLUSTERED}
    names = np.repeat(CLUSTERED, [rows.shape[1] for rows in some.values()]).tolist()
    top = some["top"]
    for band in CLUSTERED[1:]:
        again = (some[band][:, :, None] == top[:, None]).any(axis=2)
        some[band] = np.where(again, -1, some[band])
    return np.concatenate(list(some.values()), axis=1), names


def _seed(seed: int, side: Side, layer: int) -> int:
    return int(np.random.SeedSequence([seed, layer, SIDES.index(side)]).generate_state(1)[0])


def _defined(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
