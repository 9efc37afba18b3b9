"""The schema's version: upgrade, check, describe. The migrations are Alembic's, `migrations/`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, inspect, select, text

from store import runs
from store.engine import reading, shown_url, writing
from store.errors import SchemaMismatch
from store.records import RunRecord
from store.tables_all import metadata

#: The migrations' own version table, so that another program's Alembic may share the server.
VERSION_TABLE = "twinscope_version"

UPGRADE_HINT = "Run `twinscope db upgrade`."
_MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
_POSTGRES_LOCK = 0x7477696E  # "twin": any number that is the same in every process
_in_process = threading.Lock()  # Alembic's context is global to a process


@dataclass(frozen=True)
class DatabaseState:
    """What `twinscope db info` shows. `url` has no password; `revision` is None when empty."""

    url: str
    dialect: str
    version: str
    revision: str | None
    head: str
    size_bytes: int | None
    rows: dict[str, int] = field(default_factory=dict)
    runs: tuple[RunRecord, ...] = ()


def upgrade(engine: Engine, revision: str = "head") -> tuple[str | None, str | None]:
    """Bring the schema to this program's version; (revision before, revision after).

    Safe to call from several processes at once and on a database that is current. Refuses a
    database that holds other tables but not Twinscope's, and one of a newer version.
    """
    with _locked(engine) as connection:
        before = _revision(connection)
        _refuse_foreign(connection, engine, before)
        command.upgrade(_config(connection), revision)
        return before, _revision(connection)


def downgrade(engine: Engine, revision: str = "base") -> tuple[str | None, str | None]:
    """Bring the schema back to `revision`; data that it has no table for is lost."""
    with _locked(engine) as connection:
        before = _revision(connection)
        _refuse_foreign(connection, engine, before)
        command.downgrade(_config(connection), revision)
        return before, _revision(connection)


def must_be_current(engine: Engine) -> None:
    """Raise `SchemaMismatch` unless the database is at this program's version."""
    with reading(engine) as connection:
        revision = _revision(connection)
        _refuse_foreign(connection, engine, revision)
    if revision is None:
        raise SchemaMismatch(f"The database {shown_url(engine)} is empty.", UPGRADE_HINT)
    if revision != head():
        raise SchemaMismatch(
            f"The database {shown_url(engine)} is at schema version {revision}, behind this "
            f"program's {head()}.",
            UPGRADE_HINT,
        )


def check(engine: Engine) -> list[str]:
    """Differences between the tables and the migrated database, a line each; empty when none."""
    with reading(engine) as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        return [_sentence(change) for change in compare_metadata(context, metadata)]


def describe(engine: Engine) -> DatabaseState:
    """What is in the database; works on an empty or outdated one, too."""
    with reading(engine) as connection:
        revision = _revision(connection)
        present = set(inspect(connection).get_table_names())
        rows = {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in metadata.sorted_tables
            if table.name in present
        }
        version = connection.dialect.server_version_info or ()
        if connection.dialect.name == "sqlite":
            size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        else:
            size = "SELECT pg_database_size(current_database())"
        size_bytes = connection.scalar(text(size))
    return DatabaseState(
        url=shown_url(engine),
        dialect=engine.dialect.name,
        version=".".join(map(str, version)),
        revision=revision,
        head=head(),
        size_bytes=size_bytes,
        rows=rows,
        runs=tuple(runs.list_runs(engine)) if revision == head() else (),
    )


@contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    """A transaction that one process at a time holds: all of a migration, or none of it."""
    with _in_process, writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_POSTGRES_LOCK)))
        yield connection


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest migration that this program knows."""
    return _revisions()[0]


def is_known(revision: str) -> bool:
    """Whether this program has this migration."""
    return revision in _revisions()


@cache
def _revisions() -> tuple[str, ...]:
    """This program's migrations, the newest first: a question about health reads no files."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return tuple(script.revision for script in scripts)


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _refuse_foreign(connection: Connection, engine: Engine, revision: str | None) -> None:
    if revision is None:
        others = set(inspect(connection).get_table_names()) - {VERSION_TABLE}
        if others:
            named = ", ".join(sorted(others)[:3])
            raise SchemaMismatch(
                f"{shown_url(engine)} is not a Twinscope database: it holds the tables {named} "
                "but no version of ours.",
                "Name an empty database in TWINSCOPE_DATABASE_URL.",
            )
    elif not is_known(revision):
        raise SchemaMismatch(
            f"The database {shown_url(engine)} is at schema version {revision}, ahead of this "
            f"program's {head()}.",
            "Update Twinscope.",
        )


def _sentence(change: object) -> str:
    if isinstance(change, list):
        return "; ".join(_sentence(part) for part in change)
    assert isinstance(change, tuple)
    return " ".join(str(getattr(part, "name", part)) for part in change if part is not None)
