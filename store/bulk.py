"""Rows in bulk, and loads in chunks: the one place for dialect code.

Rows go in by binary COPY on Postgres and by executemany on SQLite. Each chunk is a transaction of
its own, so that readers and other writers wait briefly at most, and begins by a claim: a load that
another process took over or swept stops at its next chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Double,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
)
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from store.errors import StoreError, UnstorableValue

#: Called as progress(what, rows): what is "windows", "neurons", "examples" …, rows so far of it.
Progress = Callable[[str, int], None]

#: Values of a table's columns, in their order.
Row = tuple[Any, ...]
RowsByTable = dict[Table, list[Row]]

#: Opens a transaction in which a load is still its process's own.
Claim = Callable[[], AbstractContextManager[Connection]]

CHUNK = 2_000  # rows in a transaction

_POSTGRES_TYPES: tuple[tuple[type, str, int], ...] = (  # subclasses first: type, COPY's name, bytes
    (SmallInteger, "int2", 2),
    (BigInteger, "int8", 8),
    (Integer, "int4", 4),
    (Double, "float8", 8),
    (Boolean, "bool", 1),
    (LargeBinary, "bytea", 0),
    (String, "text", 0),
)

_Record = TypeVar("_Record")


class ChunkedLoad:
    """Records in, rows out, a claimed transaction a chunk; counts what it wrote.

    A record that the tables refuse (twice the same, one on no window …) is a `StoreError`.
    """

    def __init__(self, claim: Claim, progress: Progress | None) -> None:
        self.size = 0  # bytes of the values written
        self._claim = claim
        self._progress = progress or (lambda what, rows: None)
        self._written: dict[str, int] = {}

    def load(
        self,
        what: str,
        records: Iterable[_Record],
        split: Callable[[_Record], RowsByTable],
        chunk: int = CHUNK,
        unless_known: Callable[[Connection, list[_Record]], list[_Record]] | None = None,
    ) -> int:
        """Write records in chunks; `split` gives a record's rows by table, parents first.

        `unless_known` leaves out of a chunk what is there already. Returns the records written.
        """
        iterator, written = iter(records), 0
        while part := list(islice(iterator, chunk)):
            with refused(what):
                # Packed before the transaction, which others wait for; not so what may be known.
                gathered = _gathered(part, split) if unless_known is None else {}
                with self._claim() as connection:
                    if unless_known is not None:
                        part = unless_known(connection, part)
                        gathered = _gathered(part, split)
                    for table, its_rows in gathered.items():
                        self.insert(connection, table, its_rows)
            written += len(part)
            self.count(what, len(part))
        return written

    def write(self, what: str, gathered: RowsByTable, records: int) -> None:
        """Write rows of so many records in a claimed transaction, parents first."""
        with refused(what), self._claim() as connection:
            for table, its_rows in gathered.items():
                self.insert(connection, table, its_rows)
        self.count(what, records)

    def insert(self, connection: Connection, table: Table, its_rows: Sequence[Row]) -> None:
        """Write rows in a transaction that the caller has claimed."""
        if its_rows:
            insert_rows(connection, table, its_rows)
            self.size += stored_bytes(table, its_rows)

    def count(self, what: str, added: int) -> None:
        """Tell how many there are by now."""
        self._written[what] = self._written.get(what, 0) + added
        self._progress(what, self._written[what])


@contextmanager
def refused(what: str) -> Iterator[None]:
    """Records that cannot be stored, or that the tables refuse, come out as a `StoreError`."""
    try:
        yield
    except (IntegrityError, DataError) as error:
        said = str(error.orig).strip().splitlines()[0]
        raise StoreError(f"The database refused some {what}: {said}") from error
    except UnstorableValue as error:
        raise StoreError(f"The database refused some {what}: {error.message}") from error
    except ValueError as error:
        raise StoreError(f"Some {what} cannot be stored: {error}") from error


def _gathered(records: Iterable[_Record], split: Callable[[_Record], RowsByTable]) -> RowsByTable:
    gathered: RowsByTable = {}
    for record in records:
        for table, its_rows in split(record).items():
            gathered.setdefault(table, []).extend(its_rows)
    return gathered


def insert_rows(connection: Connection, table: Table, its_rows: Sequence[Row]) -> None:
    """Rows with a value for each of the table's columns, in their order.

    Values are plain Python ones: text has been through `clean_text`, moments are not among them.
    """
    preparer = connection.dialect.identifier_preparer
    columns = ", ".join(preparer.quote(column.name) for column in table.columns)
    target = f"{preparer.format_table(table)} ({columns})"
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        statement = f"COPY {target} FROM STDIN (FORMAT BINARY)"
        fault: Any = connection.dialect.loaded_dbapi.Error
        try:
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types([_postgres_type(column.type)[0] for column in table.columns])
                for row in its_rows:
                    copy.write_row(row)
        except fault as error:  # SQLAlchemy does not see this cursor: give its error the usual form
            raise DBAPIError.instance(statement, None, error, fault) from error
    else:
        marks = ", ".join("?" for _ in table.columns)
        connection.exec_driver_sql(f"INSERT INTO {target} VALUES ({marks})", list(its_rows))


def refresh_statistics(connection: Connection, tables: Iterable[Table]) -> None:
    """Tell the planner how tables look now: without, it guesses and takes a wrong index."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA analysis_limit = 1000")
    for table in tables:
        connection.exec_driver_sql(
            f"ANALYZE {connection.dialect.identifier_preparer.format_table(table)}"
        )


def stored_bytes(table: Table, its_rows: Sequence[Row]) -> int:
    """Bytes of the rows' values, without what a database adds."""
    fixed = sum(_postgres_type(column.type)[1] for column in table.columns)
    return sum(
        fixed + sum(len(value) for value in row if isinstance(value, bytes | str))
        for row in its_rows
    )


def _postgres_type(type_: object) -> tuple[str, int]:
    implementation = getattr(type_, "impl_instance", type_)
    for kind, name, width in _POSTGRES_TYPES:
        if isinstance(implementation, kind):
            return name, width
    raise TypeError(f"no bulk load for columns of type {type_!r}")
