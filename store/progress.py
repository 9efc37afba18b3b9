"""How far runs have come: one row a run, overwritten as it goes."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta

from sqlalchemy import Connection, Engine, Select, delete, insert, select, update

from store.engine import reading, writing
from store.records import ProgressRecord
from store.tables import progress
from store.types import now

#: A running run that said nothing for so long was killed.
SILENT = timedelta(minutes=2)


def report(engine: Engine, record: ProgressRecord) -> None:
    """Write a run's progress over what stood there.

    `updated_at` None means now. `started_at` None keeps what stood there, or means now when the
    run was not running.
    """
    moment = record.updated_at or now()
    with writing(engine) as connection:
        before = _records(connection, select(progress).where(progress.c.run_id == record.run_id))
        started = record.started_at
        if started is None:
            resumed = bool(before) and before[0].state == "running"
            started = (
                before[0].started_at
                if before and (resumed or record.state != "running")
                else moment
            )
        values = asdict(replace(record, started_at=started, updated_at=moment))
        if before:
            connection.execute(
                update(progress).where(progress.c.run_id == record.run_id).values(values)
            )
        else:
            connection.execute(insert(progress).values(values))


def current(engine: Engine, silent: timedelta = SILENT) -> list[ProgressRecord]:
    """Progress of all runs, the last updated first.

    A running one that said nothing for `silent` is given as "interrupted": its process was killed.
    """
    with reading(engine) as connection:
        found = _records(
            connection, select(progress).order_by(progress.c.updated_at.desc(), progress.c.run_id)
        )
    return [_unless_silent(record, silent) for record in found]


def get(engine: Engine, run_id: str, silent: timedelta = SILENT) -> ProgressRecord | None:
    """Progress of one run, by the same rule."""
    with reading(engine) as connection:
        found = _records(connection, select(progress).where(progress.c.run_id == run_id))
    return _unless_silent(found[0], silent) if found else None


def forget(engine: Engine, run_id: str) -> None:
    """Remove a run's progress."""
    with writing(engine) as connection:
        connection.execute(delete(progress).where(progress.c.run_id == run_id))


def _records(connection: Connection, query: Select[tuple[object, ...]]) -> list[ProgressRecord]:
    return [ProgressRecord(**row) for row in connection.execute(query).mappings()]


def _unless_silent(record: ProgressRecord, silent: timedelta) -> ProgressRecord:
    assert record.updated_at is not None
    if record.state == "running" and record.updated_at < now() - silent:
        return replace(record, state="interrupted")
    return record
