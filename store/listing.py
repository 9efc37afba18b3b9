"""All rows that filters let through, in order, in chunks: what a download is made of.

    for chunk in rows(engine, run_id, "version", {"layer": "0"}, "-kurtosis"):
        ...                                    # a list of {column: value}, at most CHUNK of them

The places are read at once (a few bytes each), the values chunk by chunk, each in a transaction of
its own: a reader who is slow, or stops, holds no connection and little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sqlalchemy import Engine, select

from store import neurons, runs, selections
from store.engine import reading
from store.points import Rows
from store.records import SIDES
from store.selections import asked

CHUNK = 1_000

Values = dict[str, float | int | str | bool | None]


def rows(
    engine: Engine,
    run_id: str,
    kind: Rows,
    filters: Mapping[str, str] | None = None,
    sort: str | None = None,
    chunk: int = CHUNK,
) -> Iterator[list[Values]]:
    """Chunks of rows, each with every column. Errors, at the first chunk: `RunNotFound`,
    `UnknownColumn`, `InvalidFilter`."""
    places = _places(engine, run_id, kind, filters or {}, sort)
    for start in range(0, len(places), chunk):
        part = places[start : start + chunk].tolist()
        with reading(engine) as connection:
            run = runs.published(connection, run_id)
            if kind == "pair":
                found = neurons.indices_at(connection, run, [tuple(place) for place in part])
                yield [row.values for row in found]
            else:
                chosen = [(SIDES[side], layer, neuron) for side, layer, neuron in part]
                yield [row.values for row in neurons.versions_at(connection, run, chosen)]


def _places(
    engine: Engine, run_id: str, kind: Rows, filters: Mapping[str, str], sort: str | None
) -> Any:
    """[row, 3 or 2] int32: side as 0 or 1, layer, neuron."""
    select_from = selections.of_pairs if kind == "pair" else selections.of_versions
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        selection = select_from(run, asked(filters, sort))
        found = connection.execute(
            select(*selection.place)
            .select_from(selection.source)
            .where(*selection.where(filters))
            .order_by(*selection.order(sort))
        )
        width = len(selection.place)
        numbers = np.fromiter(
            (SIDES.index(part) if isinstance(part, str) else part for row in found for part in row),
            np.int32,
        )
    return numbers.reshape(-1, width)
