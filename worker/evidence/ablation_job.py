"""Exact ablations as a job: batches of evidence windows in, effects by window out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from store.records import Side
from worker.activations import Models
from worker.evidence.ablation import WindowEffects, early_layer_effects, last_layer_effects
from worker.evidence.baselines import Baselines
from worker.evidence.batches import Batch, OfBatch, Totals
from worker.evidence.effect_mass import Place
from worker.evidence.folding import Doubles, Fold
from worker.evidence.passes import run
from worker.layout import Layout

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AblationOfBatch(OfBatch):
    """`last[side]`: [2, windows, n] KL below and from the headline quantile on; the low part is 0
    in windows where it was not measured. `early[side, layer]`: of the job's neurons."""

    n_tokens: Longs
    last: dict[Side, Doubles]
    early: dict[Place, WindowEffects]


@dataclass(frozen=True)
class AblationTotals(Totals):
    """What one worker has folded of the last layers, by side."""

    folds: dict[Side, Fold]


@dataclass(frozen=True)
class AblationJob:
    """Window counts: the first so many evidence windows are measured for each part.

    `neurons[side, layer]` are those of earlier layers that are measured.
    """

    remembers: ClassVar[bool] = True  # what it folded comes with `finish`

    layout: Layout
    baselines: Baselines
    last_low: int
    early_low: int
    early_high: int
    neurons: dict[Place, Longs]

    def work(self, count: int) -> Longs:
        """How much there is to do for each of the first `count` windows, for progress: about the
        number of windows that are run anew. A last layer's ablation costs a twentieth of that,
        and the high part of an earlier layer is met in a tenth of the windows."""
        rank = np.arange(count)
        early = sum(len(chosen) for chosen in self.neurons.values())
        last = sum(one.n_neurons for one in self.layout.sides)
        parts = (
            (rank < self.last_low) * (last / 20),
            (rank < self.early_low) * float(early),
            (rank < self.early_high) * (early / 10),
        )
        found: Longs = np.ceil(1 + np.sum(parts, axis=0)).astype(np.int64)
        return found

    def open(self, models: Models) -> AblationWork:
        return AblationWork(self, models)


class AblationWork:
    """One worker's part."""

    def __init__(self, job: AblationJob, models: Models) -> None:
        self._job = job
        self._models = models
        self._folds = {one.side: Fold.empty(one.n_neurons) for one in job.layout.sides}

    def handle(self, batch: Batch) -> AblationOfBatch:
        """All that is to be measured on a batch, both sides."""
        job, device = self._job, self._models.device
        rows, window = batch.places(device), torch.from_numpy(batch.window_of_row).to(device)
        everywhere = (batch.start + batch.window_of_row) < job.last_low
        low, high = batch.ranks < job.early_low, batch.ranks < job.early_high
        last: dict[Side, Doubles] = {}
        early: dict[Place, WindowEffects] = {}
        with torch.inference_mode():
            for one in job.layout.sides:
                lean = self._models.lean[one.side]
                trace = run(lean, batch.tokens(device))
                top = one.n_layers - 1
                baseline = job.baselines[one.side, top]
                last[one.side] = self._folds[one.side].add(
                    last_layer_effects(lean, trace, batch, baseline, everywhere),
                    trace.activated[top].flatten(0, 1)[rows],
                    baseline.thresholds,
                    window,
                    batch.count,
                )
                if not (low.any() or high.any()):
                    continue
                for layer in range(top):
                    place = (one.side, layer)
                    early[place] = early_layer_effects(
                        lean,
                        trace,
                        batch,
                        layer,
                        job.baselines[place],
                        job.neurons[place],
                        low,
                        high,
                    )
        counts = batch.windows.mask[: batch.count].sum(axis=1, dtype=np.int64)
        return AblationOfBatch(batch.start, batch.count, counts, last, early)

    def finish(self) -> AblationTotals:
        """All that was folded."""
        return AblationTotals(self._folds)
