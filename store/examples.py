"""Examples of a version, with what is needed to show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, overload

from sqlalchemy import Engine, Select, bindparam, select

from store import packing, runs, tables
from store.engine import reading
from store.example_packing import Unpacked, unpack_places
from store.prepared import Prepared
from store.records import (
    BANDS,
    HalfArray,
    ShownExample,
    Side,
    Site,
    WindowRecord,
)
from store.stored_windows import StoredWindow, windows_of
from store.token_scales import ScaleCodes, Snippets
from store.version_query import at, here

#: Tokens of the window that are shown before and after a snippet: a reader needs more of a text
#: than values are kept of.
_TEXT_BEFORE, _TEXT_AFTER = 28, 16

#: What `places` gives of an example, beside its version and its activation.
_PLACE = ("band", "rank", "document", "window", "position")


def of_neuron(
    engine: Engine, run_id: str, side: Side, layer: int, neuron: int
) -> list[ShownExample]:
    """All examples of a version, by band in the order of `records.BANDS`, then rank.

    Empty for a neuron without examples; `RunNotFound` for an unknown run. Values are unpacked when
    they are asked for.
    """
    return list(shown(engine, run_id, side, layer, neuron))


def shown(engine: Engine, run_id: str, side: Side, layer: int, neuron: int) -> ShownExamples:
    """As `of_neuron`, each made when it is asked for: a page draws a third of them."""
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        found = _examples.one(connection, at(run, side, layer, neuron))
        if found is None or found["places"] is None:
            return ShownExamples(None, [], run.n_vocabulary)
        where = unpack_places(found["places"])
        places = list(zip(where["document"].tolist(), where["window"].tolist(), strict=True))
        windows = windows_of(connection, run, places)
    beside = [windows[place] for place in places]
    starts, lengths = where.start.tolist(), where["length"].tolist()

    def scales_at(model: Side) -> ScaleCodes:
        scales = [window.scales for window in beside]
        return Snippets(list(zip(scales, starts, lengths, strict=True))).codes(model, layer)

    records = Unpacked(side, layer, neuron, where, found["snippets"], scales_at)
    return ShownExamples(records, beside, run.n_vocabulary)


class ShownExamples(Sequence[ShownExample]):
    """A version's examples with what is needed to show them, made when they are asked for.

    What is asked of all of them stands in columns, an entry an example: `bands`, `ranks`,
    `activations`, `focus_tokens` (ids), and `at_focus`.
    """

    def __init__(
        self,
        records: Unpacked | None,
        windows: list[StoredWindow],
        n_vocabulary: int,
    ) -> None:
        self._records, self._windows, self._n_vocabulary = records, windows, n_vocabulary
        columns: dict[str, list[int]] = {} if records is None else records.columns
        self.bands: list[str] = [BANDS[band] for band in columns.get("band", ())]
        self.ranks: list[int] = columns.get("rank", [])
        self.activations: list[float] = [] if records is None else records.activations
        foci = zip(windows, columns.get("position", ()), strict=True)
        self.focus_tokens: list[int] = packing.unpack_spans(
            [(window.tokens, position, 1) for window, position in foci], n_vocabulary
        ).tolist()

    def at_focus(self, site: Site) -> HalfArray | None:
        """The version's own values at all foci; None for a site that it does not have."""
        return None if self._records is None else self._records.at_focus(site)

    def __len__(self) -> int:
        return len(self._windows)

    @overload
    def __getitem__(self, place: int) -> ShownExample: ...
    @overload
    def __getitem__(self, place: slice) -> list[ShownExample]: ...
    def __getitem__(self, place: int | slice) -> ShownExample | list[ShownExample]:
        numbers = range(len(self))[place]
        return self.some([numbers])[0] if isinstance(numbers, int) else self.some(numbers)

    def some(self, places: Sequence[int]) -> list[ShownExample]:
        """Those at these places, made together."""
        if self._records is None or not places:
            return []
        lengths = self._records.columns["length"]
        windows, spans, cuts = [], [], []
        records = self._records.some(places)
        for i, record in zip(places, records, strict=True):
            window, start, end = self._windows[i], record.start, record.start + lengths[i]
            first = max(min(1, start), start - _TEXT_BEFORE)  # position 0 is BOS, which is no text
            last = min(end + _TEXT_AFTER, packing.window_length(window.tokens))
            windows.append(window)
            spans.append((window.tokens, first, last - first))
            cuts.append((start - first, end - first))
        texts = packing.unpack_snippets(spans, self._n_vocabulary)
        return [
            ShownExample(record, window.name, window.source, ids[own:end], ids[:own], ids[end:])
            for record, window, ids, (own, end) in zip(records, windows, texts, cuts, strict=True)
        ]


@Prepared
def _examples() -> Select[Any]:
    """A version's examples without what stands beside them."""
    example = tables.example
    return select(example.c.places, example.c.snippets).where(*here(example))


def places(engine: Engine, run_id: str, side: Side, layer: int) -> list[tuple[Any, ...]]:
    """Where the examples of a layer stand, without their values: rows of (neuron, band as its
    index in `records.BANDS`, rank, document, window, position, activation)."""
    example = tables.example.c
    found: list[tuple[Any, ...]] = []
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        rows = connection.execute(
            select(example.neuron, example.places)
            .where(example.run_key == run.key, example.side == side, example.layer == layer)
            .where(example.places.is_not(None))
            .order_by(example.neuron)
        )
        for neuron, packed in rows:
            columns = unpack_places(packed)
            of_each = (columns[name].tolist() for name in _PLACE)
            activations = columns.activation.tolist()
            found += zip([neuron] * len(columns), *of_each, activations, strict=True)
    return found


def windows(engine: Engine, run_id: str, places: Iterable[tuple[int, int]]) -> list[WindowRecord]:
    """Whole token windows of a run by (document, window); what is not stored is left out."""
    window = tables.window.c
    found = []
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        query = select(window.tokens).where(
            window.run_key == run.key,
            window.document == bindparam("document"),
            window.window == bindparam("place"),
        )
        for document, place in sorted(set(places)):
            packed = connection.scalar(query, {"document": document, "place": place})
            if packed is not None:
                tokens = packing.unpack_window(packed, run.n_vocabulary)
                found.append(WindowRecord(document, place, tokens))
    return found
