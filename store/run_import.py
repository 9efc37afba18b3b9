"""Taking in a run that another database exported; see `store.run_file`.

    import_run(engine, Path("run.twinscope"), step)

The file is checked (checksums, format, identity) before anything is written, then loaded as any
run is: unseen by readers, published in one small transaction. A load that was killed leaves
nothing that a reader sees, and the next import of the same run begins anew.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, func, inspect, select, table

from store import (
    mined_packing,
    run_file,
    run_tables,
    runs,
    schema,
    tables,
    tables_evidence,
)
from store.bulk import Row
from store.engine import open_engine, reading
from store.errors import SchemaMismatch
from store.example_packing import unpack_places
from store.publish import loading
from store.records import RunRecord
from store.run_export import Step
from store.run_file import Manifest, RunFileError

_DAMAGED = "Copy or export it again."

#: Tables that others refer to: their statistics decide how foreign keys are checked.
_PARENTS = frozenset({"neuron", "window", "document", "candidate"})


def import_run(engine: Engine, path: Path, step: Step, scratch: Path | None = None) -> RunRecord:
    """Publish the file's run here, with the same id; the run as stored.

    `scratch` is where the database is unpacked (as large as the run), a temporary directory if
    left out. Errors: `RunFileError`, `AlreadyPublished` (it is here, and was left as it is),
    `LoadInterrupted`.
    """
    with tempfile.TemporaryDirectory(prefix="twinscope-import-", dir=scratch) as directory:
        database = Path(directory) / run_file.DATABASE
        manifest = run_file.unpack(path, database, step("unpack", "bytes"))
        source = _opened(path, manifest, database)
        try:
            run = _checked(path, manifest, source)
            return _load(engine, source, run, _vocabulary(path, source, run), step)
        finally:
            source.dispose()


def _opened(path: Path, manifest: Manifest, database: Path) -> Engine:
    """The unpacked database at this program's schema."""
    try:
        source = open_engine(f"sqlite:///{database}", must_be_current=False)
        try:
            # Nothing of a file may run by itself: no trigger, no view in a table's place.
            with reading(source) as connection:
                odd = connection.exec_driver_sql(
                    "SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index')"
                ).scalar()
                missing = set(manifest.rows) - set(inspect(connection).get_table_names())
                if odd is not None or missing:
                    raise RunFileError(f"{path} is no export of Twinscope: its tables are others.")
                for name, rows in manifest.rows.items():
                    counted = select(func.count()).select_from(table(name))
                    if (here := connection.scalar(counted)) != rows:
                        raise RunFileError(
                            f"{path} is damaged: {here} rows of {name}, not {rows}.", _DAMAGED
                        )
            schema.upgrade(source)
        except BaseException:
            source.dispose()
            raise
    except RunFileError:
        raise
    except SchemaMismatch as error:
        if schema.is_known(manifest.schema):
            raise RunFileError(f"{path} is damaged: {error.message}", _DAMAGED) from None
        raise RunFileError(
            f"{path} has the schema {manifest.schema}, which this program does not know: it was "
            f"written by a newer Twinscope ({manifest.program}).",
            "Update Twinscope.",
        ) from None
    return source


def _checked(path: Path, manifest: Manifest, source: Engine) -> RunRecord:
    """The one run of the file, if it is what it says."""
    found = runs.list_runs(source)
    if len(found) != 1:
        raise RunFileError(f"{path} is damaged: it holds {len(found)} runs.", _DAMAGED)
    run = found[0]
    canonical = json.dumps(run.identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    claimed = {run.identity_sha256, manifest.identity_sha256, digest}
    if len(claimed) != 1 or {run.id, manifest.run} != {digest[:10]}:
        raise RunFileError(
            f"{path} says that it is run {manifest.run}, but its identity is that of "
            f"{digest[:10]}.",
            "Do not trust it; ask for the run again where it was computed.",
        )
    _check_identity(path, run)
    if not re.fullmatch(r"[a-z0-9-]{1,100}", run.pair.slug):
        raise RunFileError(f"{path} has a pair that cannot be called so: {run.pair.slug!r}.")
    _check_windows(path, source)
    return run


def _check_windows(path: Path, source: Engine) -> None:
    """Examples and mined counterexamples must stand on windows of the file: no foreign key says
    so."""
    with reading(source) as connection:
        known = set(connection.execute(select(tables.window.c.document, tables.window.c.window)))
        try:
            missing = next((p for p in _shown_windows(connection) if p not in known), None)
        except (ValueError, IndexError, struct.error, zlib.error) as error:
            raise RunFileError(
                f"{path} is damaged: some examples or counterexamples cannot be read.", _DAMAGED
            ) from error
    if missing is not None:
        raise RunFileError(
            f"{path} is damaged: it lacks window {missing[1]} of document {missing[0]}, on which "
            "an example or a counterexample stands.",
            _DAMAGED,
        )


def _shown_windows(connection: Connection) -> Iterator[tuple[int, int]]:
    """(document, window) of what is packed with the version that it is of."""
    places = tables.example.c.places
    for packed in connection.scalars(select(places).where(places.is_not(None))):
        where = unpack_places(packed)
        yield from zip(where["document"].tolist(), where["window"].tolist(), strict=True)
    for row in connection.execute(select(tables_evidence.mined_counterexample)):
        for one in mined_packing.unpack(row.side, row.layer, row.neuron, row.mined):
            yield one.document, one.window


def _check_identity(path: Path, run: RunRecord) -> None:
    """What stands in columns must be what the identity says, where it says it."""
    models = run.identity.get("models")
    sides = {"left": run.pair.left, "right": run.pair.right}
    wrong = []
    if isinstance(models, dict):
        for side, model in sides.items():
            said = models.get(side)
            weights = said.get("weights") if isinstance(said, dict) else None
            if weights != (None if model is None else model.weights_sha256):
                wrong.append(f"the {side} weights")
    if run.identity.get("corpus", run.corpus.fingerprint) != run.corpus.fingerprint:
        wrong.append("the corpus")
    if run.identity.get("pair", run.pair.slug) != run.pair.slug:
        wrong.append("the pair")
    if run.identity.get("parameters", run.parameters) != run.parameters:
        wrong.append("the parameters")
    if wrong:
        raise RunFileError(
            f"{path} is not what it claims to be: {', '.join(wrong)} differ from the identity of "
            f"run {run.id}.",
            "Do not trust it; ask for the run again where it was computed.",
        )


def _load(
    engine: Engine, source: Engine, run: RunRecord, vocabulary: list[bytes], step: Step
) -> RunRecord:
    advance, done = step("publish", "rows"), 0
    with reading(source) as connection, loading(engine, run) as loader:
        of_source = runs.published(connection, run.id)
        total = sum(run_tables.count(connection, one, of_source.key) for one in run_tables.of_run())
        loader.vocabulary(vocabulary)
        stages: list[Row] = []
        for one in run_tables.of_run():
            for part in run_tables.rows(connection, one, of_source.key):
                if one is tables.run_stage:  # with the publication, in the same transaction
                    stages += part
                else:
                    loader.copied(one, part)
                done += len(part)
                advance(done, total)
            if one.name in _PARENTS:
                loader.refresh(one)
        progress = select(tables.progress).where(tables.progress.c.run_id == run.id)
        shown = [dict(row) for row in connection.execute(progress).mappings()]
        return loader.publish_copied(stages, shown, tables_evidence.JOINED)


def _vocabulary(path: Path, source: Engine, run: RunRecord) -> list[bytes]:
    """The bytes of each token id, if they are those that the vocabulary's name says."""
    with reading(source) as connection:
        vocabulary_id = runs.published(connection, run.id).vocabulary_id
        tokens = [
            bytes(row[1]) for part in run_tables.tokens(connection, vocabulary_id) for row in part
        ]
        stored = connection.scalar(
            select(tables.vocabulary.c.sha256).where(tables.vocabulary.c.id == vocabulary_id)
        )
    digest = hashlib.sha256()
    for token in tokens:
        digest.update(len(token).to_bytes(4, "little") + token)
    if digest.hexdigest() != stored:
        raise RunFileError(f"{path} is damaged: its vocabulary is another.", _DAMAGED)
    return tokens
