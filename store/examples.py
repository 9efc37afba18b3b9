"""Examples of a version, with what is needed to show them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select, and_, bindparam, select

from store import packing, runs, tables
from store.engine import reading
from store.example_packing import unpack, unpack_places
from store.prepared import Prepared
from store.records import ShownExample, Side, WindowRecord
from store.token_scales import ScaleCodes, Snippets
from store.version_query import any_of, at, here
from store.version_query import places as places_of

#: Windows that are asked for with one statement; fewer are filled up to one of the sizes.
_SIZES = (1, 20, 60)

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
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        found = _examples.one(connection, at(run, side, layer, neuron))
        if found is None or found["places"] is None:
            return []
        where = unpack_places(found["places"])
        documents, numbers = where["document"].tolist(), where["window"].tolist()
        windows = windows_of(connection, run, sorted(set(zip(documents, numbers, strict=True))))
    shown = [windows[place] for place in zip(documents, numbers, strict=True)]
    starts, lengths = where.start.tolist(), where["length"].tolist()

    def scales_at(model: Side) -> ScaleCodes:
        packed = [window.scales for window in shown]
        return Snippets(list(zip(packed, starts, lengths, strict=True))).codes(model, layer)

    records = unpack(side, layer, neuron, where, found["snippets"], scales_at)
    spans = []
    for window, start, length in zip(shown, starts, lengths, strict=True):
        first = max(min(1, start), start - _TEXT_BEFORE)  # position 0 is BOS, which is no text
        last = min(start + length + _TEXT_AFTER, packing.window_length(window.tokens))
        spans.append((window.tokens, first, last - first))
    texts = packing.unpack_snippets(spans, run.n_vocabulary)
    made = []
    for record, window, (_, first, _), length, ids in zip(
        records, shown, spans, lengths, texts, strict=True
    ):
        own = record.start - first
        parts = ids[own : own + length], ids[:own], ids[own + length :]
        made.append(ShownExample(record, window.name, window.source, *parts))
    return made


class StoredWindow(NamedTuple):
    """A window with the name of its document; tokens and scales as they are packed."""

    tokens: bytes
    scales: bytes | None
    name: str
    source: str


def windows_of(
    connection: Connection, run: runs.PublishedRun, places: list[tuple[int, int]]
) -> dict[tuple[int, int], StoredWindow]:
    """Windows by (document, window), with statements of a few sizes only: each is made once."""
    found = {}
    for start in range(0, len(places), _SIZES[-1]):
        part = places[start : start + _SIZES[-1]]
        number = next(size for size in _SIZES if size >= len(part))
        values = {"run": run.key, **places_of(part, number)}
        for row in _windows_at[number].tuples(connection, values):
            document, window, packed, scales, name, source = row
            found[document, window] = StoredWindow(packed, scales, name, source)
    return found


def _windows(number: int) -> Select[Any]:
    window, document = tables.window, tables.document
    same_document = and_(
        document.c.run_key == window.c.run_key, document.c.document == window.c.document
    )
    return (
        select(
            window.c.document,
            window.c.window,
            window.c.tokens,
            window.c.scales,
            document.c.name,
            document.c.source,
        )
        .join(document, same_document)
        .where(
            window.c.run_key == bindparam("run"),
            any_of((window.c.document, window.c.window), number),
        )
    )


@Prepared
def _examples() -> Select[Any]:
    """A version's examples without what stands beside them."""
    example = tables.example
    return select(example.c.places, example.c.snippets).where(*here(example))


_windows_at = {size: Prepared(partial(_windows, size)) for size in _SIZES}


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
