"""Writing a published run into a file; see `store.run_file`.

    export_run(engine, run.id, Path("run.twinscope"), program="0.1.0")

All stages that are published go with it, searches and verifications too. Labels do not: they
belong to models, not to a run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from store import run_file, run_tables, runs, schema, tables
from store.bulk import insert_rows
from store.engine import open_engine, reading, writing
from store.records import RunRecord
from store.run_file import Advance, Manifest
from store.types import now

#: Called as step(name, unit) when a part of the work begins, then its `Advance` as it goes on.
Step = Callable[[str, str], Advance]


def export_run(engine: Engine, run_id: str, path: Path, program: str, step: Step) -> Manifest:
    """Write the run to `path`, which the caller renames when it is whole; what was written.

    The run is read in one snapshot. Beside `path` the database is built, about as large as the run
    in a database. Errors: `RunNotFound`, OSError.
    """
    run = runs.get_run(engine, run_id)
    with tempfile.TemporaryDirectory(prefix=".twinscope-export-", dir=path.parent) as directory:
        database = Path(directory) / run_file.DATABASE
        rows = _copied(engine, run, database, step("read", "rows"))
        manifest = Manifest(
            run=run.id,
            identity_sha256=run.identity_sha256,
            pair=run.pair.slug,
            stages=run.stages,
            schema=schema.head(),
            rows=rows,
            bytes=database.stat().st_size,
            sha256=run_file.sha256_of(database),
            exported_at=now().isoformat(timespec="seconds"),
            program=program,
        )
        run_file.pack(manifest, database, path, step("pack", "bytes"))
    return manifest


def _copied(engine: Engine, run: RunRecord, database: Path, advance: Advance) -> dict[str, int]:
    """Fill a new database with the run; the rows of each table."""
    copy = open_engine(f"sqlite:///{database}", must_be_current=False)
    try:
        schema.upgrade(copy)
        with reading(engine) as source:
            key = runs.published(source, run.id).key
            counts = {
                table.name: run_tables.count(source, table, key) for table in run_tables.of_run()
            }
            total, done = sum(counts.values()), 0
            new_key = _begun(source, copy, key)
            for table in run_tables.of_run():
                for part in run_tables.rows(source, table, key):
                    with writing(copy) as target:
                        run_tables.write(target, table, new_key, part)
                    done += len(part)
                    advance(done, total)
        with writing(copy) as target:
            # Those of studies, which do not travel; whoever takes a file in refuses any trigger.
            named = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for name in target.exec_driver_sql(named).scalars().all():
                target.exec_driver_sql(f'DROP TRIGGER "{name}"')
            finished = {"status": "published", "loader": None, "loaded_at": None}
            target.execute(tables.run.update().values(finished))
        with copy.connect() as connection:  # one file, without a log beside it
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
    finally:
        copy.dispose()
    return counts


def _begun(source: Connection, copy: Engine, key: int) -> int:
    """What the run refers to, and its own row; its key in the copy."""
    row = dict(source.execute(select(tables.run).where(tables.run.c.key == key)).mappings().one())
    del row["key"]
    with writing(copy) as target:
        for table, column in (
            (tables.pair, "pair_id"),
            (tables.model, "left_model_id"),
            (tables.model, "right_model_id"),
            (tables.corpus, "corpus_id"),
            (tables.vocabulary, "vocabulary_id"),
        ):
            if row[column] is not None:
                row[column] = _referred(source, target, table, row[column])
        inserted = target.execute(insert(tables.run).values(row)).inserted_primary_key
        shown = select(tables.progress).where(
            tables.progress.c.run_id == row["id"], tables.progress.c.state == "done"
        )
        for one in source.execute(shown).mappings():
            target.execute(insert(tables.progress).values(dict(one)))
        assert inserted is not None
        return int(inserted[0])


def _referred(source: Connection, target: Connection, table: Any, row_id: int) -> int:
    """The row of `pair`, `model` … in the copy."""
    values = dict(source.execute(select(table).where(table.c.id == row_id)).mappings().one())
    if target.scalar(select(table.c.id).where(table.c.id == row_id)) is None:
        target.execute(insert(table).values(values))
        if table is tables.vocabulary:
            for part in run_tables.tokens(source, row_id):
                insert_rows(target, tables.token, [(row_id, *row) for row in part])
    return row_id
