"""Joint density of `mid` and `post`: what a LayerNorm after the activation makes of its values.

Counts over coarse edges, the same for all neurons: powers of two on either side of zero for `mid`,
two edges to a power for `post`. What lies beyond the outermost edges counts in the outermost bins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from store.evidence_records import JointDensityRecord
from store.records import Side
from worker.activations import Models
from worker.evidence.batches import Batch, OfBatch, Totals
from worker.evidence.effect_mass import Place
from worker.evidence.passes import run
from worker.layout import Layout

Counts = npt.NDArray[np.int64]


def _mirrored(positive: list[float]) -> npt.NDArray[np.float32]:
    return np.array([*(-x for x in reversed(positive)), *positive], np.float32)


MID_EDGES = _mirrored([2.0**k for k in range(-12, 5)])  # ±1/4096 … ±16
POST_EDGES = _mirrored([f * 2.0**k for k in range(-3, 5) for f in (1.0, 1.5)] + [32.0])


@dataclass(frozen=True)
class DensityTotals(Totals):
    """Counts [n, mid bins, post bins] of one worker, by (side, layer)."""

    counts: dict[Place, Counts]


@dataclass(frozen=True)
class JointDensityJob:
    """Of every layer with a LayerNorm after its activation."""

    remembers: ClassVar[bool] = True  # what it folded comes with `finish`

    layout: Layout

    def open(self, models: Models) -> JointDensityWork:
        return JointDensityWork(self, models)


class JointDensityWork:
    """One worker's part."""

    def __init__(self, job: JointDensityJob, models: Models) -> None:
        self._job = job
        self._models = models
        shape = (len(MID_EDGES) - 1, len(POST_EDGES) - 1)
        self._counts: dict[Place, Counts] = {
            (one.side, layer): np.zeros((one.n_neurons, *shape), np.int64)
            for one, layer in job.layout.layers()
            if one.has_layer_norm
        }

    def handle(self, batch: Batch) -> OfBatch:
        """Count a batch."""
        device = self._models.device
        rows = batch.places(device)
        sides: set[Side] = {side for side, _ in self._counts}
        with torch.inference_mode():
            for side in sides:
                trace = run(self._models.lean[side], batch.tokens(device))
                for place, counts in self._counts.items():
                    if place[0] == side:
                        mid = trace.activated[place[1]].flatten(0, 1)[rows]
                        counts += joint_counts(mid, trace.post[place[1]].flatten(0, 1)[rows])
        return OfBatch(batch.start, batch.count)

    def finish(self) -> DensityTotals:
        return DensityTotals(self._counts)


def joint_counts(mid: torch.Tensor, post: torch.Tensor) -> Counts:
    """mid, post: [R, n]; counts [n, mid bins, post bins]. An edge belongs to the bin above it."""
    n = mid.shape[1]
    m, p = len(MID_EDGES) - 1, len(POST_EDGES) - 1
    i = torch.bucketize(mid.contiguous(), _inner(MID_EDGES, mid.device), right=True)
    j = torch.bucketize(post.contiguous(), _inner(POST_EDGES, post.device), right=True)
    flat = (torch.arange(n, device=mid.device) * m + i) * p + j
    counts = torch.bincount(flat.reshape(-1), minlength=n * m * p)
    found: Counts = counts.reshape(n, m, p).cpu().numpy()
    return found


def _inner(edges: npt.NDArray[np.float32], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(edges[1:-1]).to(device)


def records(totals: list[DensityTotals]) -> Iterator[JointDensityRecord]:
    """One record a version, of all workers' counts."""
    for side, layer in totals[0].counts if totals else ():
        counts = sum((one.counts[side, layer] for one in totals), start=np.int64(0))
        for neuron, one in enumerate(np.asarray(counts, np.int64)):
            yield JointDensityRecord(side, layer, neuron, MID_EDGES, POST_EDGES, one)
