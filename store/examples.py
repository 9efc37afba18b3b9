"""Examples of a version, with what is needed to show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Engine, Select, and_, bindparam, select

from store import packing, rows, runs, tables
from store.engine import reading
from store.records import ShownExample, Side, WindowRecord
from store.version_query import at, here


def of_neuron(
    engine: Engine, run_id: str, side: Side, layer: int, neuron: int
) -> list[ShownExample]:
    """All examples of a version, by band in the order of `records.BANDS`, then rank.

    Empty for a neuron without examples; `RunNotFound` for an unknown run.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        found = connection.execute(_with_text(), at(run, side, layer, neuron))
        return [_shown(row, run.n_vocabulary) for row in found]


@cache
def _with_text() -> Select[Any]:
    """A version's examples with their windows' tokens and documents' names."""
    example, window, document = tables.example, tables.window, tables.document
    return (
        select(example, window.c.tokens, document.c.name, document.c.source)
        .join(
            window,
            and_(
                window.c.run_key == example.c.run_key,
                window.c.document == example.c.document,
                window.c.window == example.c.window,
            ),
        )
        .join(
            document,
            and_(
                document.c.run_key == example.c.run_key,
                document.c.document == example.c.document,
            ),
        )
        .where(*here(example))
        .order_by(example.c.band, example.c.rank)
    )


def places(engine: Engine, run_id: str, side: Side, layer: int) -> list[tuple[Any, ...]]:
    """Where the examples of a layer stand, without their values: rows of (neuron, band as its
    index in `records.BANDS`, rank, document, window, position, activation)."""
    example = tables.example.c
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        found = connection.execute(
            select(
                example.neuron,
                example.band,
                example.rank,
                example.document,
                example.window,
                example.position,
                example.activation,
            )
            .where(example.run_key == run.key, example.side == side, example.layer == layer)
            .order_by(example.neuron, example.band, example.rank)
        )
        return [tuple(row) for row in found]


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


def _shown(row: Sequence[Any], n_vocabulary: int) -> ShownExample:
    *columns, tokens, name, source = row
    record = rows.to_example(columns)
    values = record.values
    assert isinstance(values, packing.PackedValues)
    return ShownExample(
        example=record,
        document_name=name,
        source=source,
        tokens=packing.unpack_tokens(tokens, n_vocabulary, record.start, values.length),
    )
