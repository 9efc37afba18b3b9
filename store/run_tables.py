"""A run's rows as plain values, table by table: what an export writes and an import takes in.

Generic over the schema: every table with a `run_key` is a run's own, whatever its columns are. So a
change of the schema needs nothing here, and an older export is brought up to date by the same
migrations as a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    TypeDecorator,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
)

from store import tables
from store.bulk import Row, insert_rows
from store.runs import EVIDENCE
from store.tables_all import metadata
from store.tables_evidence import OF_STAGE
from store.types import CleanText

#: Tables with a `run_key` that are not carried along: a load in progress is nobody else's, and no
#: more are the rows that it has brought so far (`_published`).
_LEFT = frozenset({"stage_load"})

#: Rows read, and written in one transaction: the widest are some kilobytes.
CHUNK = 1_000


def of_run() -> list[Table]:
    """A run's own tables, parents before children."""
    return [
        table
        for table in metadata.sorted_tables
        if "run_key" in table.c and table.name not in _LEFT
    ]


def rows(connection: Connection, table: Table, key: int) -> Iterator[list[Row]]:
    """A run's rows in the order of their key, in chunks, as columns have them but for `run_key`."""
    columns = [column for column in table.c if column.name != "run_key"]
    yield from _chunks(
        connection,
        select(*columns).where(_published(table, key)).order_by(*table.primary_key.columns),
    )


def count(connection: Connection, table: Table, key: int) -> int:
    """How many rows a run has in a table."""
    counted = select(func.count()).select_from(table).where(_published(table, key))
    return connection.scalar(counted) or 0


def _published(table: Table, key: int) -> ColumnElement[bool]:
    """A run's rows in a table, without those of a stage that is not published."""
    of_run = table.c.run_key == key
    stages = select(tables.run_stage.c.stage).where(tables.run_stage.c.run_key == key)
    if table in OF_STAGE:
        return and_(of_run, literal(EVIDENCE).in_(stages))
    if table in (tables.document, tables.window):
        return and_(of_run, or_(table.c.stage.is_(None), table.c.stage.in_(stages)))
    return of_run


def tokens(connection: Connection, vocabulary_id: int) -> Iterator[list[Row]]:
    """(token id, its bytes) of a vocabulary, in chunks."""
    token = tables.token.c
    yield from _chunks(
        connection,
        select(token.token, token.bytes)
        .where(token.vocabulary_id == vocabulary_id)
        .order_by(token.token),
    )


def write(connection: Connection, table: Table, key: int, its_rows: list[Row]) -> None:
    """Rows of `rows`, as those of the run with this key; in bulk where the columns allow it."""
    place = next(i for i, column in enumerate(table.c) if column.name == "run_key")
    whole = [(*row[:place], key, *row[place:]) for row in its_rows]
    if any(_is_decorated(column.type) for column in table.c):
        names = [column.name for column in table.c]
        values = [dict(zip(names, row, strict=True)) for row in whole]
        if values:
            connection.execute(insert(table), values)
    elif whole:
        insert_rows(connection, table, whole)


def _is_decorated(type_: object) -> bool:
    """Whether values are changed on their way in: JSON, moments. Text read is clean already."""
    return isinstance(type_, TypeDecorator) and not isinstance(type_, CleanText)


def _chunks(connection: Connection, query: Select[Any]) -> Iterator[list[Row]]:
    found: Iterable[Any] = connection.execution_options(yield_per=CHUNK).execute(query)
    iterator = iter(found)
    while part := [tuple(row) for row in islice(iterator, CHUNK)]:
        yield part
