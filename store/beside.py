"""A row with those of other tables that belong to it, by one statement.

    _version = Beside((tables.neuron, VERSION), (tables.histogram, VERSION))
    neuron, histogram = _version.one(connection, at(run, "left", 0, 17))     # dicts; None: no row

Each table has one such row at most. What a statement costs on its way to the database and back is
more than what the database does for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, FromClause, Select, Table, and_, select

from store.prepared import Prepared
from store.version_query import here

_Row = dict[str, Any]


class Beside:
    """`first` with `others`, each a table (of the others, or some columns of one) with the names of
    the columns by which its row is found: those of the first by the values of `at`, those of
    another by the first's columns of the same names."""

    def __init__(
        self, first: tuple[Table, Sequence[str]], *others: tuple[FromClause, Sequence[str]]
    ) -> None:
        self._first, self._others = first, others
        self._tables: list[FromClause] = [first[0], *(table for table, _ in others)]
        ends = [0]
        for table in self._tables:
            ends.append(ends[-1] + len(table.c))
        names = [table.c.keys() for table in self._tables]
        self._parts = [(keys, *part) for keys, part in zip(names, pairwise(ends), strict=True)]
        self._query = Prepared(self._select)

    def _select(self) -> Select[Any]:
        table, names = self._first
        source: FromClause = table
        for other, shared in self._others:
            same = and_(*(other.c[name] == table.c[name] for name in shared))
            source = source.outerjoin(other, same)
        columns = [column for one in self._tables for column in one.c]
        return select(*columns).select_from(source).where(*here(table, *names))

    def one(self, connection: Connection, values: Mapping[str, Any]) -> list[_Row | None]:
        """The row of each table, None where it has none; of all where the first has none.
        ValueError where there are more."""
        found = self._query.tuples(connection, values)
        if not found:
            return [None] * len(self._tables)
        if len(found) > 1:
            raise ValueError(f"one row was asked for, {len(found)} found")
        rows: list[_Row | None] = []
        for names, start, end in self._parts:
            row = dict(zip(names, found[0][start:end], strict=True))
            rows.append(row if row["run_key"] is not None else None)
        return rows
