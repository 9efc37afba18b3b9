"""Two columns of all rows that filters let through, as arrays: what a scatter draws.

    found = points(engine, run_id, "version", {"layer": "0"}, "kurtosis", "hidden_share")
    found.x[i], found.y[i] are of (found.side[i], found.layer[i], found.neuron[i])

Beyond `limit` rows those of the lowest hash of their place are taken: the same ones each time, and
no part of the run more than another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sqlalchemy import BigInteger, ColumnElement, Engine, cast, func, literal, select

from store import runs, selections
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS
from store.engine import reading
from store.errors import InvalidFilter, UnknownColumn
from store.records import SIDES
from store.selections import asked

Rows = Literal["version", "pair"]

MOST_POINTS = 100_000
_PRIME = 2**31 - 1


@dataclass(frozen=True)
class Points:
    """`side` holds 0 (left) or 1 (right), and is empty for rows that are pairs.

    `matching` counts the rows that the filters let through, `defined` those of them in which both
    columns are; the arrays hold as many, or a subset.
    """

    matching: int
    defined: int
    side: npt.NDArray[np.int8]
    layer: npt.NDArray[np.int32]
    neuron: npt.NDArray[np.int32]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]

    @property
    def size_bytes(self) -> int:
        """What the arrays take in memory."""
        return sum(part.nbytes for part in (self.side, self.layer, self.neuron, self.x, self.y))


def points(
    engine: Engine,
    run_id: str,
    rows: Rows,
    filters: Mapping[str, str],
    x: str,
    y: str,
    limit: int = MOST_POINTS,
) -> Points:
    """Points in the order of their places. Errors: `RunNotFound`, `UnknownColumn`,
    `InvalidFilter` for a column of no numbers."""
    columns = PAIR_COLUMNS if rows == "pair" else VERSION_COLUMNS
    for key in (x, y):
        if key not in columns:
            raise UnknownColumn(f"The explorer has no column {key!r}.")
        if columns[key].type not in ("number", "integer"):
            raise InvalidFilter(f"{key} is no number.")
    select_from = selections.of_pairs if rows == "pair" else selections.of_versions
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        selection = select_from(run, asked(filters) | {x, y})
        where = selection.where(filters)
        across, up = selection.resolve(x), selection.resolve(y)
        defined = [*where, across.is_not(None), up.is_not(None)]
        query = select(*selection.place, across, up).select_from(selection.source).where(*defined)
        found: Any = connection.execute(query.limit(limit + 1)).all()
        n_defined = len(found)
        if n_defined > limit:
            n_defined = _count(connection, selection.source, defined)
            drawn = query.order_by(_hash(selection.place), *selection.place).limit(limit)
            found = connection.execute(drawn).all()
        counted = select_from(run, asked(filters))
        matching = _count(connection, counted.source, counted.where(filters))
    return _arrays(matching, n_defined, found, rows)


def _count(connection: Any, source: Any, where: list[ColumnElement[bool]]) -> int:
    return connection.scalar(select(func.count()).select_from(source).where(*where)) or 0


def _hash(place: tuple[Any, ...]) -> ColumnElement[int]:
    """A number that scatters places evenly, in integers of 63 bits, which both databases have."""
    layer, neuron = place[-2], place[-1]
    mixed = cast(neuron, BigInteger) * 1_000_003 + cast(layer, BigInteger) * 69_621 + 12_345
    if len(place) == 3:
        mixed = mixed + (func.length(place[0]) - literal(4)) * 777_767_777  # left: 0, right: 1
    for _ in range(2):  # squares: a line stays a line under all that is linear
        rest = mixed % _PRIME
        mixed = rest * rest % _PRIME * 630_360 + 1
    return mixed % _PRIME


def _arrays(matching: int, defined: int, found: Any, rows: Rows) -> Points:
    columns = list(zip(*found, strict=True)) if found else [()] * (4 if rows == "pair" else 5)
    *place, x, y = columns
    side = np.array([SIDES.index(one) for one in place[0]] if rows == "version" else [], np.int8)
    layer, neuron = np.array(place[-2], np.int32), np.array(place[-1], np.int32)
    order = np.lexsort((neuron, layer, side) if side.size else (neuron, layer))
    return Points(
        matching=matching,
        defined=defined,
        side=side[order] if side.size else side,
        layer=layer[order],
        neuron=neuron[order],
        x=np.array(x, np.float64)[order],
        y=np.array(y, np.float64)[order],
    )
