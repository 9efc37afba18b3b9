"""Meanings of all versions of one layer as a task: scores, senses and mined counterexamples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store.evidence_records import PolysemanticityRecord
from store.records import BANDS, SIDES, HalfArray, Side
from worker.activations import Models
from worker.bands import DRAWN_BANDS, Draws, draw
from worker.evidence.embeddings import Embeddings
from worker.evidence.mined import SILENT, STRONG, Mined, silent, unlike
from worker.evidence.polysemanticity import MOST, separation
from worker.evidence.senses import cluster, sense_records
from worker.evidence.shown import Shown, ShownArray, top_rows
from worker.evidence.token_purity import entropy_and_largest, variance_explained
from worker.evidence.whitening import Whitening
from worker.layout import Layout
from worker.sample import open_sample

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

#: Bands that are scored, from the strongest on, and those whose contexts make the senses.
SCORED = ("top", "q99.9-100", "q99-99.9", "q90-99")
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

    def meanings(self) -> MeaningsOfLayer:
        draws = draw(self.display, self.hashes, MOST)
        assert draws is not None
        bands = self._bands(draws)
        scores = {name: separation(self.vectors, bands[name], self.seed) for name in SCORED}
        records = self._records(bands, scores)
        return MeaningsOfLayer((self.side, self.layer), records, self._mined(draws))

    def _bands(self, draws: Draws) -> dict[str, Longs]:
        """Rows of each scored band's contexts [n, m]."""
        found = {"top": self.top}
        for name in SCORED[1:]:
            drawn = draws.drawn[:, DRAWN_BANDS.index(name)]
            found[name] = np.where(drawn >= 0, self.rows[np.maximum(drawn, 0)], -1)
        return found

    def _records(
        self, bands: dict[str, Longs], scores: dict[str, npt.NDArray[np.float64]]
    ) -> list[PolysemanticityRecord]:
        clustered = np.concatenate([bands[name] for name in CLUSTERED], axis=1)
        names = np.repeat(CLUSTERED, [bands[name].shape[1] for name in CLUSTERED]).tolist()
        senses = cluster(self.vectors, clustered, self.seed)
        focus = np.where(self.top >= 0, self.tokens[np.maximum(self.top, 0), 1], -1)
        entropy, largest = entropy_and_largest(focus)
        explained = variance_explained(self.display, self.tokens[self.rows, 1])
        first = np.searchsorted(self.shown["neuron"], np.arange(self.n + 1))
        records = []
        for i in range(self.n):
            mine = slice(first[i], first[i + 1])
            rows = self.shown_rows[mine]
            nearest = np.full(len(rows), -1, np.int64)
            if senses.count[i] and len(rows):
                centroids = senses.centroids[i, : senses.count[i]]
                nearest = (self.vectors[rows] @ centroids.T).argmax(axis=1)
            by_band = {name: _defined(scores[name][i]) for name in SCORED}
            known = [value for value in by_band.values() if value is not None]
            records.append(
                PolysemanticityRecord(
                    side=self.side,
                    layer=self.layer,
                    neuron=i,
                    score=max(known, default=None),
                    bands=by_band,
                    token_entropy=_defined(entropy[i]),
                    max_token_share=_defined(largest[i]),
                    token_variance_explained=_defined(explained[i]),
                    senses=sense_records(
                        int(senses.count[i]),
                        senses.labels[i],
                        names,
                        self.tokens[np.maximum(clustered[i], 0), 1],
                        [
                            (BANDS[band], int(rank))
                            for band, rank in zip(
                                self.shown["band"][mine], self.shown["rank"][mine], strict=True
                            )
                        ],
                        nearest,
                    ),
                )
            )
        return records

    def _mined(self, draws: Draws) -> list[tuple[int, int, Mined]]:
        of_sample = self.tokens[self.rows]
        best = np.zeros(self.n, np.float32)
        top = (self.shown["band"] == BANDS.index("top")) & (self.shown["rank"] == 0)
        best[self.shown["neuron"][top]] = self.shown["activation"][top]
        found = []
        for i in np.flatnonzero(best > 0):
            mine = self.top[i][self.top[i] >= 0]
            values = self.display[:, i].astype(np.float32)
            strong = np.flatnonzero(values >= STRONG * best[i])
            limit = min(SILENT * float(best[i]), float(draws.edges[i, 1]))
            both = unlike(self.vectors, mine, strong, self.rows[strong])
            both += silent(
                self.vectors, mine, self.tokens[mine], values, limit, of_sample, self.rows
            )
            rank = {"unlike": 0, "silent": 0}
            for one in both:
                found.append((int(i), rank[one.kind], one))
                rank[one.kind] += 1
        return found


def _seed(seed: int, side: Side, layer: int) -> int:
    return int(np.random.SeedSequence([seed, layer, SIDES.index(side)]).generate_state(1)[0])


def _defined(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
