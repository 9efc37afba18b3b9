"""From a finished pass to the store: the records of a run, loaded and published as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store.engine import Engine as Database
from store.publish import loading
from store.records import SIDES, LayerRecord, LossRecord, RunRecord
from worker.contexts import Contexts
from worker.correspondence import Correspondence
from worker.engine import Engine
from worker.examples import ExamplePart, ScaleRows, quantile_shares
from worker.gather import Gathered, Requests
from worker.in_order import in_order
from worker.layer_job import LayerResults
from worker.layout import Layout, SideLayout
from worker.neuron_parts import NeuronPart
from worker.packing_job import (
    NEURONS,
    TOKENS,
    VERSIONS,
    WINDOWS,
    PackingJob,
    Part,
    TokenPart,
    WindowPart,
)
from worker.quantiles import Quantiles
from worker.reporter import Reporter
from worker.statistics import Statistics
from worker.token_neuron import TokenIndex


@dataclass(frozen=True)
class Findings:
    """All that a run has found."""

    layout: Layout
    statistics: Statistics
    results: LayerResults
    requests: Requests
    gathered: Gathered
    contexts: Contexts
    losses: list[LossRecord]
    vocabulary: list[bytes]
    tokens: TokenIndex


def publish(
    database: Database, run: RunRecord, findings: Findings, engine: Engine, reporter: Reporter
) -> RunRecord:
    """Load the run's records and publish its statistics; raises `AlreadyPublished`.

    The engine's workers pack the rows. They go in by this process alone, in one order, so that what
    is stored is the same for any number of workers.
    """
    contexts = findings.contexts
    shown = np.unique(findings.requests["window"])
    total = findings.layout.versions + len(findings.requests) + len(shown)
    written: dict[str, int] = {}

    def progress(what: str, rows: int) -> None:
        if what in ("windows", "neurons", "examples"):
            written[what] = rows
            reporter.advance(sum(written.values()))

    reporter.step("publish", total, "rows")
    parts = Parts(findings, shown)
    with loading(database, run, progress) as loader:
        loader.vocabulary(findings.vocabulary)
        loader.documents(contexts.document_records(shown))
        loader.token_index(findings.tokens.counts(), spreads=parts.job.spreads.values())
        for part in in_order(engine, parts.job, parts.tasks(), parts.cut_out):
            loader.packed(part)
        loader.layers(_layers(findings.results))
        loader.losses(findings.losses)
        return loader.publish("statistics")


@dataclass(frozen=True)
class _Span:
    """What a task is of: its kind, a side and layer or none, and from where to where."""

    kind: str
    place: tuple[SideLayout, int] | None
    first: int
    end: int

    def __str__(self) -> str:
        where = "" if self.place is None else f" of {self.place[0].side}, layer {self.place[1]}"
        return f"{self.kind} {self.first} to {self.end - 1}{where}"


class Parts:
    """The findings in parts, a task each, in the order in which their rows go in."""

    def __init__(self, findings: Findings, shown: npt.NDArray[np.int64]) -> None:
        self._of = findings
        self._shown = shown
        self._distributions = {
            (one.side, layer): findings.statistics.distribution(one.side, layer).compute()
            for one, layer in findings.layout.layers()
        }
        self._quantiles = {
            (one.side, layer): Quantiles(self._distributions[one.side, layer][one.display_site])
            for one, layer in findings.layout.layers()
        }
        self._scales = ScaleRows(findings.requests)
        self._focus = findings.gathered.focus()
        self.job = PackingJob(
            findings.layout,
            findings.gathered,
            findings.tokens,
            {(one.side, one.layer): one for one in findings.tokens.spreads()},
            len(findings.vocabulary),
        )

    def tasks(self) -> Iterator[_Span]:
        """All tasks, which `cut_out` fills."""
        layers = list(self._of.layout.layers())
        for first, end in _spans(len(self._shown), WINDOWS):
            yield _Span("windows", None, first, end)
        for layer in layers:
            for first, end in _spans(layer[0].n_neurons, NEURONS):
                yield _Span("neurons", layer, first, end)
        requests = self._of.requests
        for one, number in layers:
            here = (requests["side"] == SIDES.index(one.side)) & (requests["layer"] == number)
            rows = np.flatnonzero(here)  # one after the other
            begins = np.flatnonzero(np.diff(requests["neuron"][rows], prepend=-1))
            ends = [*begins[VERSIONS::VERSIONS].tolist(), len(rows)] if len(rows) else []
            for first, end in zip([0, *ends], ends, strict=False):
                last = int(rows[end - 1]) + 1
                yield _Span("examples", (one, number), int(rows[first]), last)
        for first, end in _spans(len(self._of.tokens), TOKENS):
            yield _Span("tokens", None, first, end)

    def cut_out(self, span: _Span) -> Part:
        """What a worker needs for a task."""
        kind, place, first, end = span.kind, span.place, span.first, span.end
        if kind == "windows":
            return self._windows(first, end)
        if kind == "tokens":
            return TokenPart(first, end)
        assert place is not None
        one, layer = place
        if kind == "neurons":
            distribution = self._distributions[one.side, layer]
            return NeuronPart.of(one, layer, first, end, distribution, self._of.results)
        other = self._of.layout.other(one.side)
        quantiles = None if other is None else self._quantiles[other.side, layer]
        wanted, focus = self._of.requests[first:end], np.array(self._focus[first:end])
        keys = self._of.contexts.keys[wanted["window"]]
        shares = quantile_shares(wanted, focus, quantiles)
        return ExamplePart(one.side, layer, first, wanted, keys, focus[:, 0], shares)

    def _windows(self, first: int, end: int) -> WindowPart:
        indices = self._shown[first:end]
        records = list(self._of.contexts.window_records(indices.tolist()))
        scaled = self._of.gathered.scaled
        return WindowPart(records, self._scales.of(indices) if scaled else None)


def _spans(n: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, n, size):
        yield first, min(first + size, n)


def _layers(results: LayerResults) -> Iterator[LayerRecord]:
    for layer, both in sorted(results.correspondence.items()):
        yield LayerRecord(layer, both.cka if isinstance(both, Correspondence) else None)
