"""Opening the database: SQLite by default, Postgres by `TWINSCOPE_DATABASE_URL`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine


def data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """`TWINSCOPE_DATA_DIR`, else the user's data directory as the system has it."""
    raise NotImplementedError


def database_url(environ: Mapping[str, str] | None = None) -> str:
    """`TWINSCOPE_DATABASE_URL`, else `sqlite:///<data_dir>/twinscope.sqlite3`.

    `environ` defaults to the process's environment. `postgres://` and `postgresql://` are read as
    `postgresql+psycopg://`.
    """
    raise NotImplementedError


def open_engine(url: str | None = None, *, must_be_current: bool = True) -> Engine:
    """An engine whose database answers; with `must_be_current`, one at this program's version.

    Errors: `DatabaseUnreachable` (host and port are named, never a password),
    `SchemaMismatch` (empty, behind, ahead, or not Twinscope's), `StoreError` (the URL's scheme).
    A SQLite file and its directory are made when absent, its schema is not: call
    `store.schema.upgrade`.
    """
    raise NotImplementedError


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection with one snapshot for all queries inside; faults come as `StoreError`."""
    raise NotImplementedError


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back on an exception."""
    raise NotImplementedError
