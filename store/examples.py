"""Examples of a version, with what is needed to show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, bindparam, select

from store import packing, runs, tables
from store.engine import reading
from store.example_packing import unpack, unpack_places
from store.records import SIDES, FloatArray, ShownExample, Side, TokenArray, WindowRecord
from store.token_scales import unpack_scales
from store.version_query import any_of, at, of_version
from store.version_query import places as places_of

#: Windows that are asked for with one statement; fewer are filled up to one of the sizes.
_SIZES = (1, 20, 60)

#: What `places` gives of an example, beside its version and its activation.
_PLACE = ("band", "rank", "document", "window", "position")


def of_neuron(
    engine: Engine, run_id: str, side: Side, layer: int, neuron: int
) -> list[ShownExample]:
    """All examples of a version, by band in the order of `records.BANDS`, then rank.

    Empty for a neuron without examples; `RunNotFound` for an unknown run.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        found = connection.execute(
            of_version(tables.example), at(run, side, layer, neuron)
        ).one_or_none()
        if found is None:
            return []
        columns = unpack_places(found.places)
        shown_on = sorted(
            set(zip(columns["document"].tolist(), columns["window"].tolist(), strict=True))
        )
        windows = _texts(connection, run, shown_on)
        scales = _scales(connection, run, layer, shown_on)
    records = unpack(
        side, layer, neuron, found.places, found.snippets, lambda *place: scales.get(place)
    )
    made = []
    for record in records:
        tokens, name, source = windows[record.document, record.window]
        length = len(next(iter(record.values.values())))
        made.append(
            ShownExample(
                example=record,
                document_name=name,
                source=source,
                tokens=tokens[record.start : record.start + length],
            )
        )
    return made


def _texts(
    connection: Connection, run: runs.PublishedRun, places: list[tuple[int, int]]
) -> dict[tuple[int, int], tuple[TokenArray, str, str]]:
    """Tokens of windows, with the names and sources of their documents."""
    return {
        (row.document, row.window): (
            packing.unpack_tokens(row.tokens, run.n_vocabulary),
            row.name,
            row.source,
        )
        for row in _at_places(connection, _windows_at, run, places)
    }


def _scales(
    connection: Connection, run: runs.PublishedRun, layer: int, places: list[tuple[int, int]]
) -> dict[tuple[Side, int, int], FloatArray]:
    """Scales of windows' tokens by side, document, window, where the run has them."""
    return {
        (row.side, row.document, row.window): unpack_scales(row.scales)
        for row in _at_places(connection, _scales_at, run, places, layer=layer)
    }


def _at_places(
    connection: Connection,
    query: Callable[[int], Select[Any]],
    run: runs.PublishedRun,
    chosen: list[tuple[int, int]],
    **values: int,
) -> Iterator[Any]:
    """Rows of windows, with statements of a few sizes only, so that each is made once."""
    for start in range(0, len(chosen), _SIZES[-1]):
        part = chosen[start : start + _SIZES[-1]]
        number = next(size for size in _SIZES if size >= len(part))
        yield from connection.execute(
            query(number), {"run": run.key, **values, **places_of(part, number)}
        )


@cache
def _windows_at(number: int) -> Select[Any]:
    window, document = tables.window, tables.document
    same_document = and_(
        document.c.run_key == window.c.run_key, document.c.document == window.c.document
    )
    return (
        select(
            window.c.document,
            window.c.window,
            window.c.tokens,
            document.c.name,
            document.c.source,
        )
        .join(document, same_document)
        .where(
            window.c.run_key == bindparam("run"),
            any_of((window.c.document, window.c.window), number),
        )
    )


@cache
def _scales_at(number: int) -> Select[Any]:
    scale = tables.token_scale.c
    return select(scale.side, scale.document, scale.window, scale.scales).where(
        scale.run_key == bindparam("run"),
        scale.side.in_(SIDES),
        scale.layer == bindparam("layer"),
        any_of((scale.document, scale.window), number),
    )


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
                tokens = packing.unpack_tokens(packed, run.n_vocabulary)
                found.append(WindowRecord(document, place, tokens))
    return found
