"""What a candidate invisible feature is described by: contexts, carriers, logit effects.

A carrier's part is c = E[post − mean]·(W_out · direction), the mean taken over the candidate's
tokens with their weights: the parts of all neurons add up to the output's mean projection. In the
other version the direction is that of its own mean output on the same tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from store.evidence_records import CandidateRecord, ContextRecord
from worker.bands import edge_ranks
from worker.evidence.baselines import Baselines
from worker.evidence.candidate_jobs import OutputsOfBatch
from worker.evidence.candidates import Doubles, Floats, Found, LayerOutputs, participation
from worker.evidence.effect_mass import Place
from worker.evidence.windows import EvidenceWindows
from worker.halves import to_half
from worker.layout import Layout
from worker.lean import LeanModel
from worker.logit_effects import _fold

Longs = npt.NDArray[np.int64]

#: Bands of the projection, from the highest, and the rank edges (of `bands.EDGES`) they begin at.
RANGES = (("q99.9-100", 3), ("q99-99.9", 2), ("q90-99", 1), ("q50-90", 0))


@dataclass(frozen=True)
class CandidateSettings:
    """Sizes: tokens on which directions are found and tested, and what a record lists."""

    find_tokens: int = 49_152
    test_tokens: int = 3_072
    carriers: int = 12
    logit_tokens: int = 10
    top: int = 8
    drawn: int = 4
    before: int = 40
    after: int = 23


@dataclass(frozen=True)
class Tested:
    """A candidate that does more than random directions: KL in nats a token."""

    found: Found
    effect: float
    random_quantile: float
    random_median: float


@dataclass(frozen=True)
class Rows:
    """Where each of the R finding tokens stands, and the batches they came in."""

    windows: EvidenceWindows
    window: Longs  # [R] rank of the evidence window
    position: Longs  # [R]
    starts: dict[int, tuple[int, int]]  # rank of a batch's first window → its rows

    @classmethod
    def of(cls, windows: EvidenceWindows, parts: list[OutputsOfBatch]) -> Rows:
        """parts: in the windows' order."""
        n_ctx = windows.windows.mask.shape[1]
        ends = np.cumsum([0, *(len(part.row) for part in parts)]).tolist()
        return cls(
            windows,
            np.concatenate([part.start + part.row // n_ctx for part in parts]),
            np.concatenate([part.row % n_ctx for part in parts]),
            {part.start: (ends[i], ends[i + 1]) for i, part in enumerate(parts)},
        )


@dataclass(frozen=True)
class Description:
    """Describes the candidates of one layer of one side."""

    layout: Layout
    lean: Mapping[str, LeanModel]
    baselines: Baselines
    means: Mapping[Place, Floats]
    settings: CandidateSettings
    rows: Rows
    place: Place

    def record(
        self, tested: Tested, rank: int, outputs: LayerOutputs, posts: Mapping[str, Doubles]
    ) -> CandidateRecord:
        """posts: weighted mean of `post` over the candidate's tokens, by side [n]."""
        side, layer = self.place
        direction = tested.found.direction
        carriers = self._parts(side, direction, posts[side])
        other = self.layout.other(side)
        promoted, suppressed = self._logits(direction)
        output = outputs.output.astype(np.float32)
        projection = np.asarray((output - self.means[self.place]) @ direction, dtype=np.float32)
        return CandidateRecord(
            side=side,
            layer=layer,
            rank=rank,
            direction=direction,
            token_share=tested.found.token_share,
            effect=tested.effect,
            random_quantile=tested.random_quantile,
            random_median=tested.random_median,
            participation=participation(carriers),
            carriers=self._largest(carriers),
            other_carriers=()
            if other is None
            else self._largest(self._parts(other.side, None, posts[other.side])),
            promoted=promoted,
            suppressed=suppressed,
            contexts=self._contexts(projection, outputs),
        )

    def _parts(self, side: Any, direction: Floats | None, post: Doubles) -> Doubles:
        """Each neuron's part [n]; without a direction, that of the mean output itself."""
        block: Any = self.lean[side].model.layers[self.place[1]]
        out = block.mlp.fc_out.weight.detach().T.double().cpu().numpy()  # [n, d]
        delta = post - self.baselines[side, self.place[1]].mean
        if direction is None:
            mean = delta @ out
            direction = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
        return np.asarray(delta * (out @ direction.astype(np.float64)))

    def _largest(self, parts: Doubles) -> tuple[tuple[int, float], ...]:
        total = float(parts.sum())
        if total == 0:
            return ()
        order = np.argsort(-np.abs(parts), kind="stable")[: self.settings.carriers]
        return tuple((int(i), float(parts[i] / total)) for i in order)

    def _logits(
        self, direction: Floats
    ) -> tuple[tuple[tuple[int, float], ...], tuple[tuple[int, float], ...]]:
        """Tokens that the direction promotes and suppresses most."""
        model = self.lean[self.place[0]].model
        with torch.inference_mode():
            row, unembed = _fold(
                model.ln_out, torch.from_numpy(direction)[None], model.head.weight.float().cpu()
            )
            effects = (row @ unembed.T)[0]
            effects = effects - effects.mean()
        count = min(self.settings.logit_tokens, len(effects))
        high, low = effects.topk(count), effects.topk(count, largest=False)
        return (
            tuple(zip(high.indices.tolist(), high.values.tolist(), strict=True)),
            tuple(zip(low.indices.tolist(), low.values.tolist(), strict=True)),
        )

    def _contexts(
        self, projection: Floats, outputs: LayerOutputs
    ) -> dict[str, tuple[ContextRecord, ...]]:
        """Tokens over the range of the projection: the highest, one a document, then by band the
        first of the finding tokens, whose windows stand in the order of their hash."""
        order = np.argsort(-projection, kind="stable")
        top: list[int] = []
        seen: set[int] = set()
        for row in order.tolist():
            document = int(outputs.document[row])
            if document not in seen:
                seen.add(document)
                top.append(row)
            if len(top) == self.settings.top:
                break
        found = {"top": tuple(self._context(row, projection) for row in top)}
        ascending = order[::-1]
        ranks = [*edge_ranks(len(projection)).tolist(), len(projection)]
        for name, edge in RANGES:
            here = ascending[ranks[edge] : ranks[edge + 1]]
            chosen = self._first_of_documents(np.sort(here), outputs)
            found[name] = tuple(self._context(row, projection) for row in chosen)
        return found

    def _first_of_documents(self, rows: Longs, outputs: LayerOutputs) -> list[int]:
        _, first = np.unique(outputs.document[rows], return_index=True)
        return [int(row) for row in rows[np.sort(first)][: self.settings.drawn]]

    def _context(self, row: int, projection: Floats) -> ContextRecord:
        """A token with the projection at every token of its snippet (BOS has none: 0)."""
        window, position = int(self.rows.window[row]), int(self.rows.position[row])
        windows = self.rows.windows.windows
        length = 1 + int(windows.mask[window].sum())
        start = max(0, position - self.settings.before)
        end = min(length, position + self.settings.after + 1)
        values = np.zeros(length, np.float32)
        first = row - (position - 1)  # a window's tokens follow one another from position 1 on
        values[1:] = projection[first : first + length - 1]
        return ContextRecord(
            document=int(windows.document[window]),
            window=int(windows.window[window]),
            position=position,
            start=start,
            value=float(projection[row]),
            values=to_half(values[start:end]),
        )
