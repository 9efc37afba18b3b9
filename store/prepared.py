"""Statements asked so often that what SQLAlchemy does around them would cost most of their time.

    _histograms = Prepared(lambda: of_version(tables.histogram))
    for row in _histograms.rows(connection, at(run, "left", 0, 17)): row["counts"]

A neuron page asks thirty small questions, each answered in a few microseconds; compiling, executing
and wrapping them took SQLAlchemy ten times that. A prepared statement is compiled once for each
database and handed to the driver itself, within the connection's own transaction. It returns what
SQLAlchemy would, and faults have the form that SQLAlchemy gives them.

Values are plain numbers and strings that every driver takes as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

_Process = Callable[[Any], Any]


@dataclass(eq=False)
class Compiled:
    """A statement as a driver takes it: `order` are its parameters by place, None: by name;
    `fixed` are those whose values stand in it.

    Called with a row of the driver's it gives what the columns' types make of it, as far as they
    make anything (`processed`, known with a first answer).
    """

    text: str
    order: tuple[str, ...] | None
    fixed: Mapping[str, Any]
    columns: tuple[ColumnElement[Any], ...]
    keys: tuple[str, ...]
    processed: tuple[tuple[int, _Process], ...] | None = None

    def __call__(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self.processed:
            return row
        values = list(row)
        for place, process in self.processed:
            values[place] = process(values[place])
        return tuple(values)


class Prepared:
    """A SELECT whose values are bound by name; `build` is called when it is first asked."""

    def __init__(self, build: Callable[[], Select[Any]]) -> None:
        self._build = build
        self._compiled: dict[str, Compiled] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All rows by the names of their columns."""
        keys = self.on(connection).keys
        return [dict(zip(keys, row, strict=True)) for row in self.tuples(connection, values)]

    def one(self, connection: Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The only row, None where there is none. ValueError where there are more."""
        found = self.rows(connection, values)
        if len(found) > 1:
            raise ValueError(f"one row was asked for, {len(found)} found")
        return found[0] if found else None

    def tuples(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows as tuples in the order of the columns."""
        compiled = self.on(connection)
        found = _ask(connection, compiled, values)
        if found is None:
            return [tuple(row) for row in connection.execute(self._build(), dict(values))]
        return list(map(compiled, found)) if compiled.processed else found

    def raw(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows as the driver gives them, hashable: `on` makes of one what `tuples` gives."""
        compiled = self.on(connection)
        found = _ask(connection, compiled, values)
        if found is None:  # raises what the driver's fault means
            connection.execute(self._build(), dict(values)).close()
            found = _ask(connection, compiled, values) or []
        return found

    def on(self, connection: Connection) -> Compiled:
        """The statement as this connection's database takes it."""
        found = self._compiled.get(connection.dialect.name)
        if found is None:
            found = self._compiled[connection.dialect.name] = _compile(self._build(), connection)
        return found


def _compile(query: Select[Any], connection: Connection) -> Compiled:
    compiled = query.compile(dialect=connection.dialect)
    order = compiled.positiontup if compiled.positional else None
    columns = tuple(query.selected_columns)
    return Compiled(
        text=compiled.string,
        order=None if order is None else tuple(order),
        fixed={name: value for name, value in compiled.params.items() if value is not None},
        columns=columns,
        keys=tuple(column.key or "" for column in columns),
    )


def _processed(
    dialect: Dialect, columns: Sequence[ColumnElement[Any]], description: Sequence[Sequence[Any]]
) -> tuple[tuple[int, _Process], ...]:
    """(place, function) of the columns whose values are made of the driver's."""
    found = []
    for place, (column, told) in enumerate(zip(columns, description, strict=True)):
        process = column.type.dialect_impl(dialect).result_processor(dialect, told[1])
        if process is not None:
            found.append((place, process))
    return tuple(found)


def _ask(
    connection: Connection, compiled: Compiled, values: Mapping[str, Any]
) -> list[tuple[Any, ...]] | None:
    """The driver's own rows; None where its connection is lost, which SQLAlchemy finds out as it
    asks again. Errors: any other fault of the driver's, as SQLAlchemy raises it."""
    if not connection.in_transaction():
        connection.begin()  # as SQLAlchemy does before a first statement
    given = {**compiled.fixed, **values} if compiled.fixed else values
    parameters = given if compiled.order is None else [given[name] for name in compiled.order]
    driver = connection.dialect.loaded_dbapi
    try:
        cursor = connection.connection.cursor()
        try:
            cursor.execute(compiled.text, parameters)
            if compiled.processed is None:
                compiled.processed = _processed(
                    connection.dialect, compiled.columns, cursor.description
                )
            return list(cursor.fetchall())
        finally:
            cursor.close()
    except driver.Error as fault:
        if connection.dialect.is_disconnect(fault, None, None):
            return None
        raised = DBAPIError.instance(
            compiled.text, dict(values), fault, driver.Error, dialect=connection.dialect
        )
        raise raised from fault
