"""The schema's version: upgrade, check, describe."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Engine

from store.records import RunRecord


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
    raise NotImplementedError


def downgrade(engine: Engine, revision: str = "base") -> tuple[str | None, str | None]:
    """Bring the schema back to `revision` (for tests and operators); data of newer tables goes."""
    raise NotImplementedError


def must_be_current(engine: Engine) -> None:
    """Raise `SchemaMismatch` unless the database is at this program's version."""
    raise NotImplementedError


def check(engine: Engine) -> list[str]:
    """Differences between the tables and the migrated database, a line each; empty when none."""
    raise NotImplementedError


def describe(engine: Engine) -> DatabaseState:
    """What is in the database; works on an empty or outdated one, too."""
    raise NotImplementedError
