"""Removing runs: what a reader must not see first, then the rows, children before parents."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from sqlalchemy import Engine, Update, delete, or_, select, update
from sqlalchemy.exc import IntegrityError

from store import tables
from store.engine import writing
from store.tables_all import metadata
from store.types import now

#: A load that wrote nothing for so long was killed.
IDLE = timedelta(minutes=15)


def disown(key: int) -> Update:
    """The statement that hides a run and stops whoever loads it: their next claim fails."""
    return (
        update(tables.run)
        .where(tables.run.c.key == key)
        .values(status="loading", loader=None, loaded_at=None)
    )


def abandon(engine: Engine, key: int, loader: str) -> None:
    """Remove the load that this loader owns; nothing, if it was taken over."""
    with writing(engine) as connection:
        ours = connection.execute(disown(key).where(tables.run.c.loader == loader)).rowcount
    if ours:
        remove(engine, key)


def sweep(engine: Engine, idle: timedelta = IDLE) -> list[str]:
    """Remove what loads left behind that wrote nothing for `idle`; the ids of those runs."""
    silent = or_(tables.run.c.loaded_at.is_(None), tables.run.c.loaded_at <= now() - idle)
    leftovers = select(tables.run.c.key, tables.run.c.id).where(
        tables.run.c.status == "loading", silent
    )
    with writing(engine) as connection:
        found = connection.execute(leftovers.with_for_update()).all()
        for key, _ in found:
            connection.execute(disown(key))
    for key, _ in found:
        remove(engine, key)
    return [run_id for _, run_id in found]


def remove(engine: Engine, key: int) -> None:
    """Delete a disowned run, a table a transaction, and vocabularies that no run uses any more."""
    for table in reversed(metadata.sorted_tables):
        if "run_key" in table.c:
            with writing(engine) as connection:
                connection.execute(delete(table).where(table.c.run_key == key))
    with writing(engine) as connection:
        connection.execute(delete(tables.run).where(tables.run.c.key == key))
    used = select(tables.run.c.key).where(tables.run.c.vocabulary_id == tables.vocabulary.c.id)
    # A load that has just found its vocabulary keeps it: the foreign key refuses.
    with suppress(IntegrityError), writing(engine) as connection:
        connection.execute(delete(tables.vocabulary).where(~used.exists()))
