"""Stages of a published run: claimed by who loads one, published once, leftovers swept.

Rows of a stage stand in tables of their own, where no reader looks before `run_stage` names the
stage. Whoever loads holds a row of `stage_load`; every chunk begins by a claim on it, so that a
load that was taken over, or whose run was removed, stops. Claims hold the run's row, so that
nothing else adds windows to the run or removes them at the same moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from store import runs, tables, tables_evidence
from store.engine import reading, writing
from store.errors import AlreadyPublished, LoadInterrupted, RunNotFound, StoreError
from store.evidence_records import StageRecord
from store.prepared import Prepared
from store.removal import IDLE
from store.runs import EVIDENCE, PublishedRun
from store.types import now

__all__ = [
    "EVIDENCE",
    "StageClaim",
    "claim",
    "hold_run",
    "is_published",
    "refuse_paths",
    "stage",
    "sweep",
]


def stage(engine: Engine, run_id: str, name: str) -> StageRecord | None:
    """A published stage of a run; None before it is. `RunNotFound` for an unknown run."""
    with reading(engine) as connection:
        return _stage(connection, runs.published(connection, run_id).key, name)


def is_published(connection: Connection, key: int, name: str) -> bool:
    """Whether readers may look at a stage's rows of this run."""
    return _stage(connection, key, name) is not None


def _stage(connection: Connection, key: int, name: str) -> StageRecord | None:
    rows = _of_run.tuples(connection, {"run_key": key, "stage": name})
    return StageRecord(*rows[0]) if rows else None


@Prepared
def _of_run() -> Select[Any]:
    columns = tables.run_stage.c
    return select(
        columns.stage, columns.published_at, columns.parameters, columns.provenance
    ).where(columns.run_key == bindparam("run_key"), columns.stage == bindparam("stage"))


class StageClaim:
    """The right to load a stage of a run; `with claim() as connection:` opens a transaction."""

    def __init__(self, engine: Engine, run: PublishedRun, run_id: str, stage: str, name: str):
        self.run = run
        self.run_id = run_id
        self.stage = stage
        self._engine = engine
        self._name = name

    @contextmanager
    def __call__(self) -> Iterator[Connection]:
        """A transaction in which the claim holds. `LoadInterrupted` if it does not any more."""
        with writing(self._engine) as connection:
            held = (
                hold_run(connection, self.run.key)
                and connection.execute(
                    update(tables.stage_load).where(self._mine()).values(loaded_at=now())
                ).rowcount
            )
            if not held:
                raise LoadInterrupted(
                    f"Another process took over the {self.stage} of run {self.run_id}.",
                    "Let that one finish.",
                )
            yield connection

    def publish(self, parameters: dict[str, Any], provenance: dict[str, Any], size: int) -> None:
        """Name the stage as published, in one small transaction."""
        run = tables.run.c
        with self() as connection:
            connection.execute(
                insert(tables.run_stage).values(
                    run_key=self.run.key,
                    stage=self.stage,
                    published_at=now(),
                    parameters=parameters,
                    provenance=provenance,
                )
            )
            connection.execute(
                update(tables.run)
                .where(run.key == self.run.key)
                .values(size_bytes=run.size_bytes + size)
            )
            connection.execute(delete(tables.stage_load).where(self._mine()))

    def clear(self) -> None:
        """Remove what was loaded, a table a transaction."""
        for table in tables_evidence.OF_STAGE:
            with self() as connection:
                connection.execute(delete(table).where(table.c.run_key == self.run.key))
        with self() as connection:
            self._clear_windows(connection)

    def abandon(self) -> None:
        """Remove what was loaded, and the claim; nothing, if another process took it over."""
        with suppress(LoadInterrupted):
            self.clear()
            with self() as connection:
                connection.execute(delete(tables.stage_load).where(self._mine()))

    def _clear_windows(self, connection: Connection) -> None:
        """Windows and documents that the stage brought, unless a search came to show them."""
        window, document, shown = tables.window, tables.document, tables_evidence.counterexample
        for table, child, names in (
            (window, shown, ("run_key", "document", "window")),
            (document, window, ("run_key", "document")),
        ):
            same = and_(*(child.c[name] == table.c[name] for name in names))
            connection.execute(
                delete(table).where(
                    table.c.run_key == self.run.key,
                    table.c.stage == self.stage,
                    ~select(child.c.run_key).where(same).exists(),
                )
            )

    def _mine(self) -> ColumnElement[bool]:
        load = tables.stage_load.c
        return and_(
            load.run_key == self.run.key, load.stage == self.stage, load.loader == self._name
        )


def claim(engine: Engine, run_id: str, stage: str) -> StageClaim:
    """The claim to load a stage, what an earlier load left behind being removed.

    An unfinished load of the stage is taken over. Errors: `RunNotFound`, `AlreadyPublished`.
    """
    sweep(engine)
    name = uuid4().hex
    load = tables.stage_load
    with writing(engine) as connection:
        run = runs.published(connection, run_id)
        if not hold_run(connection, run.key):
            raise RunNotFound(f"Run {run_id} was removed.")
        known = _stage(connection, run.key, stage)
        if known is None:
            of_stage = and_(load.c.run_key == run.key, load.c.stage == stage)
            left = connection.execute(delete(load).where(of_stage)).rowcount
            connection.execute(
                insert(load).values(run_key=run.key, stage=stage, loader=name, loaded_at=now())
            )
    if known is not None:
        raise AlreadyPublished(runs.get_run(engine, run_id), f"The {stage}")
    made = StageClaim(engine, run, run_id, stage, name)
    if left:
        made.clear()
    return made


def sweep(engine: Engine, idle: timedelta = IDLE) -> list[tuple[str, str]]:
    """Remove what loads of stages left behind that wrote nothing for `idle`; (run id, stage)."""
    load, run = tables.stage_load, tables.run
    silent = (
        select(load.c.run_key, load.c.stage, run.c.id)
        .join(run, run.c.key == load.c.run_key)
        .where(load.c.loaded_at <= now() - idle, run.c.status == "published")
    )
    with reading(engine) as connection:
        found = connection.execute(silent).all()
    swept = []
    for key, stage, run_id in found:
        name = uuid4().hex
        with writing(engine) as connection:
            # Taken over, not just removed: from here on whoever loads it is refused.
            taken = connection.execute(
                update(load)
                .where(
                    load.c.run_key == key,
                    load.c.stage == stage,
                    load.c.loaded_at <= now() - idle,
                )
                .values(loader=name, loaded_at=now())
            ).rowcount
            of_run = runs.published(connection, run_id) if taken else None
        if of_run is not None:
            StageClaim(engine, of_run, run_id, stage, name).abandon()
            swept.append((run_id, stage))
    return swept


def hold_run(connection: Connection, key: int) -> bool:
    """Lock a published run's row until the transaction ends; False if it was removed."""
    run = tables.run.c
    held = select(run.key).where(run.key == key, run.status == "published")
    return connection.scalar(held.with_for_update(key_share=True)) is not None


def refuse_paths(values: Any, where: str) -> None:
    """`StoreError` for an absolute path among values that anyone may come to read."""
    if isinstance(values, dict):
        for key, value in values.items():
            refuse_paths(value, f"{where}.{key}")
    elif isinstance(values, list | tuple):
        for value in values:
            refuse_paths(value, where)
    elif isinstance(values, str | PurePath) and (
        PurePosixPath(values).is_absolute() or PureWindowsPath(values).is_absolute()
    ):
        raise StoreError(f"{where} names a path of this machine: {values}")
