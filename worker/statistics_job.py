"""The statistics pass as a job: shards in, partials on disk out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from store.records import Side
from worker.accumulators import LayerBatch
from worker.accumulators.accumulator import Rows
from worker.activations import Models, padded, stream
from worker.contexts import Contexts
from worker.hashing import token_hashes
from worker.mlp_inputs import InputFiles
from worker.neuron_values import numbers_of
from worker.partials import PartialStore
from worker.sample import EVERY_HASH, Spool
from worker.shards import Shard
from worker.statistics import Statistics
from worker.windows import TokenWindows

#: A worker writes what it has at least so often: what a kill can cost.
FLUSH_SECONDS = 60.0


@dataclass(frozen=True)
class ShardDone:
    """A shard was taken in; `partial` is set when the worker also wrote what it has.

    Seconds are of the processor, so that a busy machine does not count.
    """

    n_tokens: int
    forward_seconds: float
    statistics_seconds: float
    partial: Path | None = None
    shards: frozenset[int] = frozenset()

    @property
    def kept(self) -> bool:
        """Whether all that the worker took in so far is on disk."""
        return self.partial is not None


@dataclass(frozen=True)
class StatisticsJob:
    """What a worker needs to know."""

    remembers: ClassVar[bool] = True

    store: PartialStore
    seed: int
    batch_windows: int
    flush_seconds: float = FLUSH_SECONDS
    inputs: InputFiles | None = None

    def open(self, models: Models) -> StatisticsWork:
        return StatisticsWork(self, models)


class StatisticsWork:
    """One worker's part of the pass: takes shards in until it is time to write a partial."""

    def __init__(self, job: StatisticsJob, models: Models) -> None:
        self._job = job
        self._models = models
        self._sides: tuple[Side, ...] = tuple(one.side for one in job.store.layout.sides)
        self._part: _Part | None = None

    def handle(self, shard: Shard) -> ShardDone:
        """Both models on a shard's windows."""
        began = time.process_time()
        part = self._part = self._part or _Part.begin(self._job.store)
        part.threshold = min(part.threshold, shard.threshold)
        spool = part.spool
        kept = None if self._job.inputs is None else self._job.inputs.begin(shard)
        taken = 0.0

        def take(side: Side, layer: int, batch: LayerBatch) -> None:
            nonlocal taken
            start = time.process_time()
            part.statistics.update(side, layer, batch)
            spool.take(side, layer, batch)
            if kept is not None:
                kept.take(*numbers_of(self._models.lean[side], layer, batch))
            taken += time.process_time() - start

        for windows in batches(shard.windows, self._job.batch_windows):
            rows = Rows.of(windows)
            hashes = token_hashes(self._job.seed, windows.document, windows.window, rows.n_ctx)
            spool.begin(rows, hashes, part.threshold)
            stream(self._models, self._sides, rows, take)
            spool.end()
        if kept is not None:
            kept.end()
        part.shards.append(shard)
        due = time.monotonic() - part.since > self._job.flush_seconds
        partial, shards = None, frozenset[int]()
        if due or len(spool) > self._job.store.settings.sample_size:
            partial, shards = self._write(part)
        total = time.process_time() - began
        return ShardDone(shard.windows.unmasked, total - taken, taken, partial, shards)

    def finish(self) -> ShardDone | None:
        """Write what is not yet written."""
        if self._part is None or not self._part.shards:
            return None
        partial, shards = self._write(self._part)
        return ShardDone(0, 0.0, 0.0, partial, shards)

    def _write(self, part: _Part) -> tuple[Path, frozenset[int]]:
        self._part = None
        keys = part.spool.close()
        kept = keys[keys["hash"] <= np.uint64(part.threshold)]
        wanted = self._job.store.wanted(part.statistics, kept)
        contexts = Contexts.of_windows(
            (shard.windows for shard in part.shards),
            (document for shard in part.shards for document in shard.documents),
            wanted,
        )
        shards = frozenset(shard.number for shard in part.shards)
        path = self._job.store.finish(part.path, shards, part.statistics, contexts, keys)
        return path, shards


@dataclass
class _Part:
    """What was taken in since the last partial was written."""

    path: Path
    spool: Spool
    statistics: Statistics
    since: float
    threshold: int = EVERY_HASH
    shards: list[Shard] = field(default_factory=list)

    @classmethod
    def begin(cls, store: PartialStore) -> _Part:
        path = store.begin()
        spool = Spool(path, store.layout)
        return cls(path, spool, Statistics.empty(store.layout, store.settings), time.monotonic())


def batches(windows: TokenWindows, size: int) -> list[TokenWindows]:
    """`windows` in batches of exactly `size`, the last one padded with masked rows."""
    return [padded(part, size) for part in windows.parts(size)]
