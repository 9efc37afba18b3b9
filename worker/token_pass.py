"""The pass over the tokens: shards through the models into partials, merged as they come."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from worker.engine import Engine
from worker.errors import CorpusError
from worker.mlp_inputs import InputFiles
from worker.partials import PartialStore
from worker.plan import Plan
from worker.reporter import Reporter
from worker.run_directory import RunDirectory
from worker.sample import Threshold
from worker.shards import Shard, ShardStream
from worker.share import Share
from worker.statistics_job import StatisticsJob

#: So many partials are merged into one while the pass goes on.
PARTIALS_AT_ONCE = 8


@dataclass
class Tally:
    """Where the workers' processor time went, in seconds of all workers together."""

    forward: float = 0.0
    statistics: float = 0.0


class TokenPass:
    """The pass over the tokens: all shards, or a share of them, that no whole partial has yet."""

    def __init__(
        self, plan: Plan, directory: RunDirectory, reporter: Reporter, share: Share | None = None
    ) -> None:
        self.plan, self.share = plan, share
        self.store = PartialStore(
            directory.partials,
            # A shard's number means something only with the shards' size.
            f"{plan.sha256}, shards of {plan.shard_windows} windows",
            plan.layout,
            plan.settings,
        )
        self.stream = ShardStream(
            plan.corpus.documents(plan.order_seed),
            plan.tokenizer,
            plan.n_ctx,
            size=plan.shard_windows,
            max_tokens=plan.tokens,
            seed=plan.seed,
            threshold=Threshold(plan.settings.sample_size),
        )
        self._inputs = input_files(plan, directory)
        self.partials = self.store.complete(share, reporter.note)
        self.wanted: set[int] = set()
        self.tally = Tally()
        self._reporter = reporter
        self._finished = 0

    def run(self, engine: Engine, flush_seconds: float) -> None:
        """Until every wanted shard stands in a partial on disk."""
        reporter, plan = self._reporter, self.plan
        of = None if plan.tokens is None else plan.tokens // (self.share.of if self.share else 1)
        reporter.step("statistics", of, "tokens")
        job = StatisticsJob(self.store, plan.seed, plan.batch_windows, flush_seconds, self._inputs)
        for result in engine.run(job, self._missing(), self._newest_threshold):
            self._finished += result.n_tokens
            self.tally.forward += result.forward_seconds
            self.tally.statistics += result.statistics_seconds
            reporter.advance(self._finished)
            if result.partial is not None:
                self.partials[result.partial] = result.shards
                if len(self.partials) >= PARTIALS_AT_ONCE:
                    together: frozenset[int] = frozenset().union(*self.partials.values())
                    self.partials = {self.store.replace(self.partials): together}
        if not self.stream.n_tokens:
            raise CorpusError(
                f"corpus {plan.corpus_record.spec!r} holds no token", "give text that is not empty"
            )
        whole = self._finished if self.share else self.stream.n_tokens
        reporter.advance(whole, total=whole)

    def _missing(self) -> Iterator[Shard]:
        done: frozenset[int] = frozenset().union(*self.partials.values())
        for shard in self.stream:
            if self.share is not None and not self.share.has(shard.number):
                continue
            self.wanted.add(shard.number)
            if shard.number in done:
                self._finished += shard.windows.unmasked
                self._reporter.advance(self._finished)
            else:
                yield shard

    def _newest_threshold(self, shard: Shard) -> Shard:
        return dataclasses.replace(shard, threshold=self.stream.threshold.value)


def input_files(plan: Plan, directory: RunDirectory) -> InputFiles | None:
    """Where the MLPs' inputs are kept between the passes; None in half precision, whose activations
    do not follow from them bit by bit."""
    if plan.identity["dtype"] != "float32":
        return None
    return InputFiles.of(
        directory.inputs,
        plan.layout,
        {side: version.config for side, version in plan.versions.items()},
        batch_windows=plan.batch_windows,
        shard_windows=plan.shard_windows,
    )
