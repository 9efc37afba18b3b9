"""Opening the database: SQLite by default, Postgres by `TWINSCOPE_DATABASE_URL`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_data_path
from sqlalchemy import Connection, create_engine, event
from sqlalchemy import Engine as Engine  # the server names the type without importing SQLAlchemy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from store.errors import DatabaseUnreachable, SchemaMismatch, StoreError, UnstorableValue

__all__ = [
    "Engine",
    "data_dir",
    "database_url",
    "known",
    "one_snapshot",
    "open_engine",
    "reading",
    "shown_url",
    "writing",
]

Value = TypeVar("Value")

FILE_NAME = "twinscope.sqlite3"
SQLITE_BUSY_MS = 30_000
POSTGRES_CONNECT_S = 10
_POSTGRES_NAMES = ("postgres", "postgresql", "postgresql+psycopg")
_SCHEMES_HINT = "Use sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME."


def data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """`TWINSCOPE_DATA_DIR`, else the user's data directory as the system has it."""
    environ = os.environ if environ is None else environ
    named = environ.get("TWINSCOPE_DATA_DIR", "")
    return Path(named).expanduser() if named else user_data_path("twinscope", appauthor=False)


def database_url(environ: Mapping[str, str] | None = None) -> str:
    """`TWINSCOPE_DATABASE_URL`, else `sqlite:///<data_dir>/twinscope.sqlite3`.

    `environ` defaults to the process's environment.
    """
    environ = os.environ if environ is None else environ
    return environ.get("TWINSCOPE_DATABASE_URL") or f"sqlite:///{data_dir(environ) / FILE_NAME}"


def open_engine(url: str | None = None, *, must_be_current: bool = True) -> Engine:
    """An engine whose database answers; with `must_be_current`, one at this program's version.

    `postgres://` and `postgresql://` mean psycopg 3. A SQLite file and its directory are made when
    absent, its schema is not: call `store.schema.upgrade`. Errors: `DatabaseUnreachable` (host and
    port are named, never a password), `SchemaMismatch` (empty, behind, ahead, or not Twinscope's),
    `StoreError` (a URL that names neither).
    """
    engine = _engine(_parsed(url if url is not None else database_url()))
    try:
        with reading(engine):
            pass
        if must_be_current:
            from store import schema  # schema needs this module's transactions

            schema.must_be_current(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@dataclass(frozen=True)
class _Snapshot:
    """A connection that several queries share, and what is known of its state of the database.

    It is itself what `reading` gives to each of them: a page asks for it twenty times."""

    engine: Engine
    connection: Connection
    known: dict[Hashable, Any]

    def __enter__(self) -> Connection:
        return self.connection

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        if isinstance(fault, PoolTimeout | DBAPIError):
            with _named_faults(self.engine):
                raise fault


_shared: ContextVar[_Snapshot | None] = ContextVar("shared snapshot", default=None)


def reading(engine: Engine) -> AbstractContextManager[Connection]:
    """A connection with one snapshot for all queries inside; faults come as `StoreError`."""
    shared = _shared.get()
    if shared is not None and shared.engine is engine:
        return shared
    return _connected(engine)


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    """Nothing was written, yet it is committed: psycopg drops its prepared statements with a
    rollback, and to plan them again takes Postgres ten times as long as to run them."""
    with _named_faults(engine), engine.connect() as connection:
        yield connection
        connection.commit()


@contextmanager
def one_snapshot(engine: Engine) -> Iterator[None]:
    """All that is read inside, by whatever functions, sees one state of the database, on one
    connection: a page asks a dozen of them, and each would fetch, begin and end one of its own."""
    if _shared.get() is not None:
        yield
        return
    with reading(engine) as connection:
        token = _shared.set(_Snapshot(engine, connection, {}))
        try:
            yield
        finally:
            _shared.reset(token)


def known(connection: Connection, key: Hashable, find: Callable[[], Value]) -> Value:
    """What `find` gives, asked once in each shared snapshot: `key` names it."""
    shared = _shared.get()
    if shared is None or shared.connection is not connection:
        return find()
    if key not in shared.known:
        shared.known[key] = find()
    return shared.known[key]  # type: ignore[no-any-return]


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back on an exception.

    On SQLite it takes the write lock at once: a transaction that begins by reading and then writes
    fails without waiting when another wrote in between.
    """
    options: dict[str, Any] = (
        {"twinscope_writes": True}
        if engine.dialect.name == "sqlite"
        else {"isolation_level": "READ COMMITTED"}
    )
    with _named_faults(engine), engine.execution_options(**options).begin() as connection:
        yield connection


def shown_url(engine: Engine) -> str:
    """The engine's URL without its password."""
    return engine.url.render_as_string(hide_password=True)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("The database's URL cannot be read.", _SCHEMES_HINT) from None
    if parsed.drivername in _POSTGRES_NAMES:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return parsed
    raise StoreError(
        f"Twinscope does not run on a database with the scheme {parsed.drivername}://.",
        _SCHEMES_HINT,
    )


def _engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "sqlite":
            return _sqlite_engine(url)
        timeout = url.query.get("connect_timeout", str(POSTGRES_CONNECT_S))
        return create_engine(
            url,
            pool_pre_ping=True,
            # A snapshot per transaction: a page's queries see one state of the database.
            isolation_level="REPEATABLE READ",
            connect_args={"connect_timeout": int(str(timeout)), "application_name": "twinscope"},
        )
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise StoreError("The database's URL cannot be read.", _SCHEMES_HINT) from None


def _sqlite_engine(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise StoreError("A database in memory cannot be shared by processes.", _SCHEMES_HINT)
    path = Path(str(url.database)).expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnreachable(
            f"The directory {path.parent} cannot be made: {error.strerror}.",
            "Choose another with TWINSCOPE_DATA_DIR.",
        ) from None
    engine = create_engine(
        url.set(database=str(path)),
        connect_args={"timeout": SQLITE_BUSY_MS / 1000, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Per connection: WAL, foreign keys, and transactions begun by us, not by the driver."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("twinscope_writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:  # by the driver itself: it cannot fail, and what SQLAlchemy does around it is not needed
        connection.connection.cursor().execute("BEGIN").close()


@contextmanager
def _named_faults(engine: Engine) -> Iterator[None]:
    try:
        yield
    except PoolTimeout:
        raise DatabaseUnreachable("Every connection to the database is in use.") from None
    except DBAPIError as error:
        fault = _fault(engine, error)
        if fault is None:
            raise
        raise fault from error


#: Of Postgres: none (the driver itself refuses a NUL), a number out of range, a text that is too
#: long, a character that is none.
_UNSTORABLE = (None, "22003", "22001", "22021", "22P05")


def _fault(engine: Engine, error: DBAPIError) -> StoreError | None:
    """The domain error that a driver's error means; None for a fault of the program's own."""
    said = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else ""
    if engine.dialect.name == "sqlite":
        path = engine.url.database
        code = getattr(error.orig, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if primary == sqlite3.SQLITE_NOTADB:
            return SchemaMismatch(f"{path} is not a Twinscope database: it is no SQLite file.")
        if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            return DatabaseUnreachable(
                f"The database {path} cannot be opened for writing.",
                "Make it and its directory writable, or choose another with TWINSCOPE_DATA_DIR.",
            )
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return DatabaseUnreachable(f"The database {path} is held by another process.")
        if primary == sqlite3.SQLITE_FULL:
            return DatabaseUnreachable(f"There is no space left for the database {path}.")
        return None
    sqlstate = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated or (isinstance(error, OperationalError) and sqlstate is None):
        return DatabaseUnreachable(
            f"The database at {_place(engine.url)} cannot be reached: {_reason(engine.url, said)}",
            "Is it running, and is TWINSCOPE_DATABASE_URL right?",
        )
    if isinstance(error, DataError) and sqlstate in _UNSTORABLE:
        return UnstorableValue(f"{engine.dialect.name} does not take a value: {said}.")
    return None


def _place(url: URL) -> str:
    host = url.host or str(url.query.get("host", "the local socket"))
    return f"{host}:{url.port or url.query.get('port', 5432)}"


def _reason(url: URL, said: str) -> str:
    """The driver's own words, shortened, and without the password should they hold it."""
    reason = said.rsplit("failed: ", 1)[-1].removeprefix("FATAL:").strip().rstrip(".")
    if url.password:
        reason = reason.replace(str(url.password), "***")
    return f"{reason}."
