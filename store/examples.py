"""Examples of a version, with what is needed to show them."""

from __future__ import annotations

from sqlalchemy import Engine, and_, select

from store import packing, rows, runs, tables
from store.engine import reading
from store.records import ShownExample, Side


def of_neuron(
    engine: Engine, run_id: str, side: Side, layer: int, neuron: int
) -> list[ShownExample]:
    """All examples of a version, by band in the order of `records.BANDS`, then rank.

    Empty for a neuron without examples; `RunNotFound` for an unknown run.
    """
    example, window, document = tables.example, tables.window, tables.document
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        found = connection.execute(
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
            .where(
                example.c.run_key == run.key,
                example.c.side == side,
                example.c.layer == layer,
                example.c.neuron == neuron,
            )
            .order_by(example.c.band, example.c.rank)
        )
        return [_shown(row, run.n_vocabulary) for row in found.mappings()]


def _shown(row: rows.Read, n_vocabulary: int) -> ShownExample:
    record = rows.to_example(row)
    length = len(next(iter(record.values.values())))
    tokens = packing.unpack_tokens(row["tokens"], n_vocabulary)
    return ShownExample(
        example=record,
        document_name=row["name"],
        source=row["source"],
        tokens=tokens[record.start : record.start + length],
    )
