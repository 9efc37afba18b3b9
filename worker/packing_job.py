"""The rows of a run are packed by its workers: several times the work of inserting them.

A task is some windows, versions or tokens, in the order in which their rows go in; its result is
`store.packed_rows.PackedRows`. Workers read what the gather pass and the search index left on disk;
what else they need goes with the task, cut out of the findings just before it is handed out.
"""

from __future__ import annotations

from dataclasses import dataclass

from store import packed_rows
from store.packed_rows import PackedRows
from store.records import Side, WindowRecord
from store.token_records import TokenSpreadRecord
from worker.activations import Models
from worker.examples import ExamplePart, GatheredRows, ScalePart
from worker.gather import Gathered
from worker.layout import Layout
from worker.neuron_parts import NeuronPart
from worker.token_neuron import TokenIndex

#: How much is packed at once, and inserted in one transaction.
WINDOWS = 250
NEURONS = 125
VERSIONS = 40  # of which all examples, some fifty each
TOKENS = 250  # each with a row a side and layer


@dataclass(frozen=True)
class WindowPart:
    """Some windows, and what is needed to find the scales of their tokens; None without any."""

    windows: list[WindowRecord]
    scales: ScalePart | None

    def __str__(self) -> str:
        return f"packing windows from document {self.windows[0].document} on"


@dataclass(frozen=True)
class TokenPart:
    """Tokens [first, end) of the search index."""

    first: int
    end: int

    def __str__(self) -> str:
        return f"packing the search index from token {self.first} on"


Part = WindowPart | NeuronPart | ExamplePart | TokenPart


@dataclass(frozen=True)
class PackingJob:
    """What a worker needs to know."""

    layout: Layout
    gathered: Gathered
    tokens: TokenIndex
    spreads: dict[tuple[Side, int], TokenSpreadRecord]
    n_vocabulary: int

    def open(self, models: Models) -> PackingWork:
        return PackingWork(self)


class PackingWork:
    """`handle` gives the rows of a part."""

    def __init__(self, job: PackingJob) -> None:
        self._job = job
        self._gathered = GatheredRows(job.gathered, job.layout)

    def handle(self, part: Part) -> PackedRows:
        n_vocabulary = self._job.n_vocabulary
        if isinstance(part, WindowPart):
            made = self._gathered.window_scales(part.windows, part.scales)
            return packed_rows.pack_windows(part.windows, n_vocabulary, made)
        if isinstance(part, NeuronPart):
            return packed_rows.pack_neurons(list(part.records()), n_vocabulary)
        if isinstance(part, ExamplePart):
            return packed_rows.pack_examples(list(self._gathered.versions(part)))
        records = list(self._job.tokens.records(part.first, part.end))
        return packed_rows.pack_token_neurons(records, n_vocabulary, self._job.spreads)

    def finish(self) -> None:
        return None
