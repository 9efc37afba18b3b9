"""Searches for counterexamples by substitution: one a version, each published once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, bindparam, func, insert, select
from sqlalchemy.exc import IntegrityError

from store import rows, rows_candidates, runs, stages, tables, tables_evidence
from store.bulk import ChunkedLoad
from store.engine import reading, writing
from store.errors import AlreadyPublished, RunNotFound, StoreError
from store.evidence_records import CounterexampleRecord, SubstitutionSearchRecord
from store.prepared import Prepared
from store.records import DocumentRecord, WindowRecord
from store.types import now
from store.windows import unknown_documents, unknown_windows

#: What windows that a search brings are marked with.
STAGE = "counterexamples"


def publish_search(
    engine: Engine,
    run_id: str,
    record: SubstitutionSearchRecord,
    counterexamples: Iterable[CounterexampleRecord],
    windows: Iterable[WindowRecord] = (),
    documents: Iterable[DocumentRecord] = (),
) -> SubstitutionSearchRecord:
    """Publish one version's search in one transaction; the search as stored.

    Windows and documents that the run has already are left as they are. Errors: `RunNotFound`,
    `AlreadyPublished` (each version is searched once), `StoreError` for counterexamples of another
    version or another kind.
    """
    name = f"{record.side} L{record.layer}N{record.neuron}"
    found = list(counterexamples)
    for one in found:
        if (one.side, one.layer, one.neuron) != (record.side, record.layer, record.neuron):
            raise StoreError(f"The search for {name} has a counterexample of another version.")
        if one.kind != "substitution":
            raise StoreError(f"The search for {name} has a counterexample that was mined.")
    stages.refuse_paths(record.parameters, "parameters")
    with writing(engine) as connection:
        run = runs.published(connection, run_id)
        if not stages.hold_run(connection, run.key):
            raise RunNotFound(f"Run {run_id} was removed.")
        known = _is_published(connection, run.key, record)
        if not known:
            stored = _write(connection, run, record, found, windows, documents)
    if known:
        raise AlreadyPublished(runs.get_run(engine, run_id), f"The search for {name}")
    return stored


def count(engine: Engine, run_id: str) -> int:
    """How many versions of a run were searched for: it grows, and nothing else of a search
    changes. `RunNotFound` for an unknown run."""
    with reading(engine) as connection:
        key = runs.published(connection, run_id).key
        return int(_counted.tuples(connection, {"run_key": key})[0][0])


@Prepared
def _counted() -> Select[Any]:
    search = tables_evidence.substitution_search
    of_run = search.c.run_key == bindparam("run_key")
    return select(func.count()).select_from(search).where(of_run)


def _is_published(connection: Connection, key: int, record: SubstitutionSearchRecord) -> bool:
    search = tables_evidence.substitution_search.c
    same = and_(
        search.run_key == key,
        search.side == record.side,
        search.layer == record.layer,
        search.neuron == record.neuron,
    )
    return connection.scalar(select(search.tried).where(same)) is not None


def _write(
    connection: Connection,
    run: runs.PublishedRun,
    record: SubstitutionSearchRecord,
    found: list[CounterexampleRecord],
    windows: Iterable[WindowRecord],
    documents: Iterable[DocumentRecord],
) -> SubstitutionSearchRecord:
    key, n_tokens = run.key, run.n_vocabulary

    @contextmanager
    def held() -> Iterator[Connection]:
        yield connection

    load = ChunkedLoad(held, None).load
    load(
        "documents",
        documents,
        lambda r: {tables.document: [rows.of_document(key, r, STAGE)]},
        unless_known=lambda _, part: unknown_documents(connection, key, part),
    )
    load(
        "windows",
        windows,
        lambda r: {tables.window: [rows.of_window(key, r, n_tokens, STAGE)]},
        unless_known=lambda _, part: unknown_windows(connection, key, part),
    )
    load(
        "counterexamples",
        found,
        lambda r: {
            tables_evidence.counterexample: [rows_candidates.of_counterexample(key, r, n_tokens)]
        },
    )
    stored = replace(record, created_at=now())
    try:
        connection.execute(
            insert(tables_evidence.substitution_search).values(run_key=key, **asdict(stored))
        )
    except IntegrityError as error:
        raise StoreError(
            f"The run has no {record.side} L{record.layer}N{record.neuron}."
        ) from error
    return stored
