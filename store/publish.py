"""Loading a run: in chunks, unseen by readers, then published in one small transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby, islice
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError

from store import packed_rows, rows, rows_tokens, run_tables, runs, tables, tables_tokens
from store.bulk import CHUNK, ChunkedLoad, Progress, Row, refresh_statistics, refused
from store.engine import writing
from store.errors import AlreadyPublished, LoadInterrupted, StoreError
from store.example_columns import ExampleColumns, of_records
from store.example_packing import unpack_places
from store.packed_rows import PackedRows, ScalesOf
from store.records import (
    BANDS,
    DocumentRecord,
    ExampleRecord,
    LayerRecord,
    LossRecord,
    ModelRecord,
    NeuronRecord,
    RunRecord,
    WindowRecord,
)
from store.removal import abandon, disown, remove, sweep
from store.token_records import TokenCountsRecord, TokenNeuronsRecord, TokenSpreadRecord
from store.types import now

__all__ = ["Loader", "Progress", "loading", "sweep"]

_Record = TypeVar("_Record")

CHUNK_OF_EXAMPLES = 40  # versions, each with about fifty
CHUNK_OF_NEURONS = 250  # versions


class Loader:
    """What `loading` gives: a method a kind of record, each of which may be called repeatedly.

    Order: vocabulary, documents, windows, neurons, examples; layers, losses and the token index
    (after the vocabulary, once or not at all) at any time; publish last. Iterables may be
    generators: rows go out in chunks. `packed` takes chunks that were packed elsewhere.
    """

    def __init__(
        self, engine: Engine, run: RunRecord, key: int, name: str, progress: Progress | None
    ) -> None:
        self.published = False
        self._engine = engine
        self._run = run
        self._key = key
        self._name = name
        self._chunks = ChunkedLoad(self._claimed, progress)
        self._n_vocabulary: int | None = None
        self._hook_points: dict[Row, str] = {}
        self._windows: set[tuple[int, ...]] = set()
        self._has_neurons = False
        #: What stands beside the examples of a version, until these come.
        self._beside: dict[Row, Row] = {}

    def vocabulary(self, tokens: list[bytes]) -> None:
        """The bytes of each token id (index = id). Needed before windows, neurons, examples."""
        digest = hashlib.sha256()
        for token in tokens:
            digest.update(len(token).to_bytes(4, "little") + token)
        with self._claimed() as connection:
            known = connection.scalar(
                select(tables.vocabulary.c.id)
                .where(tables.vocabulary.c.sha256 == digest.hexdigest())
                .with_for_update(read=True, key_share=True)  # a removal leaves it to us
            )
            vocabulary_id = known or _found_or_inserted(
                connection, tables.vocabulary, {"sha256": digest.hexdigest()}, {"size": len(tokens)}
            )
            if known is None and not connection.scalar(
                select(func.count()).where(tables.token.c.vocabulary_id == vocabulary_id)
            ):
                packed = [(vocabulary_id, i, bytes(token)) for i, token in enumerate(tokens)]
                self._chunks.insert(connection, tables.token, packed)
            connection.execute(
                update(tables.run)
                .where(tables.run.c.key == self._key)
                .values(vocabulary_id=vocabulary_id)
            )
        self._n_vocabulary = len(tokens)
        self._chunks.count("tokens", len(tokens))

    def documents(self, records: Iterable[DocumentRecord]) -> int:
        """Documents that examples name; returns the rows written."""
        return self._chunks.load(
            "documents", records, lambda r: {tables.document: [rows.of_document(self._key, r)]}
        )

    def windows(
        self,
        records: Iterable[WindowRecord],
        scales_of: ScalesOf = lambda record: None,
    ) -> int:
        """Token windows that examples show, each once; `scales_of` gives the scales of a window's
        tokens that its examples will have."""
        n = self._tokens_known()
        parts = _batches(records, CHUNK)
        return self._all_packed(packed_rows.pack_windows(part, n, scales_of) for part in parts)

    def neurons(self, records: Iterable[NeuronRecord]) -> int:
        """Versions with their histograms, partners and logit effects."""
        n = self._tokens_known()
        parts = _batches(records, CHUNK_OF_NEURONS)
        return self._all_packed(packed_rows.pack_neurons(part, n) for part in parts)

    def examples(self, records: Iterable[ExampleRecord]) -> int:
        """Examples of versions that were loaded, on windows that were loaded, together by version.

        Returns the examples written."""

        def columns(some: Iterable[ExampleRecord]) -> ExampleColumns:
            with refused("examples"):
                return of_records(sorted(some, key=lambda o: (BANDS.index(o.band), o.rank)))

        grouped = groupby(records, lambda one: (one.side, one.layer, one.neuron))
        parts = _batches((columns(some) for _, some in grouped), CHUNK_OF_EXAMPLES)
        return self._all_packed(map(packed_rows.pack_examples, parts))

    def packed(self, part: PackedRows) -> int:
        """Rows that `store.packed_rows` made of records, in one transaction: the same as their
        records. Returns how many these are."""
        self._tokens_known()
        its_rows = part.rows
        if part.kind == "examples":
            self._require_windows(part)
            its_rows = {tables.example.name: self._with_beside(part)}
        if part.kind == "neurons":
            unseen = self._new_hook_points(part)
            its_rows = {**its_rows, tables.hook_point.name: unseen}
        gathered = {
            tables.metadata.tables[name]: [(self._key, *row) for row in some]
            for name, some in its_rows.items()
        }
        self._chunks.write(part.kind, gathered, part.records)
        self._beside.update(part.beside)
        if part.kind == "windows":
            self._windows.update(map(tuple, part.windows.tolist()))
        if part.kind == "neurons" and not self._has_neurons:
            # Each histogram, example … is checked against `neuron`. Postgres plans that once, and
            # without statistics by an index that passes over all neurons of the run.
            self._has_neurons = True
            self.refresh(tables.neuron)
        return part.records

    def _all_packed(self, parts: Iterable[PackedRows]) -> int:
        return sum(map(self.packed, parts))

    def _with_beside(self, part: PackedRows) -> list[Row]:
        """Rows of examples with what came with the statistics of their versions."""
        made = []
        for row in part.rows[tables.example.name]:
            beside = self._beside.pop(row[:3], None)
            if beside is None:
                side, layer, neuron = row[:3]
                raise StoreError(
                    f"The database refused some examples: {side} L{layer}N{neuron} is not loaded, "
                    "or has its examples already"
                )
            made.append((*row, *beside))
        return made

    def _write_without_examples(self) -> None:
        """Rows of versions that have none, or whose examples did not come."""
        left = sorted(self._beside.items())
        for part in _batches(left, CHUNK):
            its_rows = [(self._key, *place, None, None, *beside) for place, beside in part]
            self._chunks.write("versions without examples", {tables.example: its_rows}, len(part))
        self._beside.clear()

    def _new_hook_points(self, part: PackedRows) -> list[Row]:
        """Rows of the hook points that were not written before."""
        unseen = []
        for *place, name in part.rows[tables.hook_point.name]:
            known = self._hook_points.get(tuple(place))
            if known is None:
                self._hook_points[tuple(place)] = name
                unseen.append((*place, name))
            elif known != name:
                raise StoreError(f"Two hook points for one site: {known} and {name}.")
        return unseen

    def _require_windows(self, part: PackedRows) -> None:
        """`StoreError` where an example stands on a window that is not loaded."""
        if self._windows.issuperset(map(tuple, part.windows.tolist())):
            return
        for side, layer, neuron, places, _ in part.rows[tables.example.name]:
            where = unpack_places(places)
            for place in zip(where["document"].tolist(), where["window"].tolist(), strict=True):
                if place not in self._windows:
                    raise StoreError(
                        f"Some examples cannot be stored: {side} L{layer}N{neuron}: window "
                        f"{place[1]} of document {place[0]} is not loaded"
                    )

    def layers(self, records: Iterable[LayerRecord]) -> int:
        """What has one value per layer of the pair."""
        return self._chunks.load(
            "layers", records, lambda r: {tables.layer: [rows.of_layer(self._key, r)]}
        )

    def losses(self, records: Iterable[LossRecord]) -> int:
        """Losses on held-out documents, a row a side and source."""
        return self._chunks.load(
            "losses", records, lambda r: {tables.run_loss: [rows.of_loss(self._key, r)]}
        )

    def token_index(
        self,
        counts: TokenCountsRecord,
        neurons: Iterable[TokenNeuronsRecord] = (),
        spreads: Iterable[TokenSpreadRecord] = (),
    ) -> int:
        """The inverted index; rows by token, then side and layer, go in fastest. It takes less with
        the layers' spreads. Rows may come later, `packed`."""
        n, key = self._tokens_known(), self._key
        count = tables_tokens.token_count
        of_layer = {(one.side, one.layer): one for one in spreads}
        self._chunks.load(
            "token counts",
            [counts],
            lambda r: {count: [rows_tokens.of_token_counts(key, r, n)]},
        )
        self._chunks.load(
            "token spreads",
            of_layer.values(),
            lambda r: {tables_tokens.token_spread: [rows_tokens.of_token_spread(key, r)]},
        )

        parts = _batches(neurons, CHUNK)
        return self._all_packed(packed_rows.pack_token_neurons(part, n, of_layer) for part in parts)

    def publish(self, stage: str = "statistics") -> RunRecord:
        """Flip the run to published in one small transaction; the run as stored."""
        moment = now()
        self._write_without_examples()
        with self._claimed() as connection:
            neurons = select(tables.neuron.c.neuron).where(tables.neuron.c.run_key == self._key)
            if self._n_vocabulary is None or connection.scalar(neurons.limit(1)) is None:
                raise StoreError("A run without a vocabulary or without neurons is not published.")
            connection.execute(
                insert(tables.run_stage).values(run_key=self._key, stage=stage, published_at=moment)
            )
            connection.execute(
                update(tables.pair)
                .where(tables.pair.c.slug == self._run.pair.slug)
                .values(name=self._run.pair.name, description=self._run.pair.description)
            )
            connection.execute(
                update(tables.run)
                .where(tables.run.c.key == self._key)
                .values(
                    status="published",
                    published_at=moment,
                    size_bytes=self._chunks.size,
                    loader=None,
                    loaded_at=None,
                )
            )
        self.published = True
        with writing(self._engine) as connection:
            refresh_statistics(connection, (tables.neuron, tables.window))
        return runs.get_run(self._engine, self._run.id)

    def copied(self, table: Table, its_rows: list[Row]) -> None:
        """Rows of this run as another database has them, without `run_key`; see `run_tables`."""
        try:
            with self._claimed() as connection:
                run_tables.write(connection, table, self._key, its_rows)
        except (IntegrityError, DataError) as error:
            said = str(error.orig).strip().splitlines()[0]
            raise StoreError(f"The database refused some rows of {table.name}: {said}") from error

    def refresh(self, table: Table) -> None:
        """Tell the planner how a table looks before others that refer to it are loaded."""
        with writing(self._engine) as connection:
            refresh_statistics(connection, (table,))

    def publish_copied(
        self, stages: list[Row], progress: list[dict[str, Any]], joined: Iterable[Table]
    ) -> RunRecord:
        """Publish a run that was copied, with its stages and the moments that it had."""
        with self._claimed() as connection:
            run_tables.write(connection, tables.run_stage, self._key, stages)
            for row in progress:
                known = tables.progress.c.run_id == row["run_id"]
                connection.execute(delete(tables.progress).where(known))
                connection.execute(insert(tables.progress).values(row))
            connection.execute(
                update(tables.run)
                .where(tables.run.c.key == self._key)
                .values(
                    status="published",
                    published_at=self._run.published_at,
                    size_bytes=self._run.size_bytes,
                    loader=None,
                    loaded_at=None,
                )
            )
        self.published = True
        with writing(self._engine) as connection:
            refresh_statistics(connection, (tables.neuron, tables.window, *joined))
        return runs.get_run(self._engine, self._run.id)

    def _tokens_known(self) -> int:
        if self._n_vocabulary is None:
            raise StoreError("The vocabulary is loaded first.")
        return self._n_vocabulary

    @contextmanager
    def _claimed(self) -> Iterator[Connection]:
        """A transaction in which this load is still ours; locks the run's row until its end."""
        claim = (
            update(tables.run)
            .where(tables.run.c.key == self._key, tables.run.c.loader == self._name)
            .values(loaded_at=now())
        )
        with writing(self._engine) as connection:
            if connection.execute(claim).rowcount != 1:
                raise LoadInterrupted(
                    f"Another process took over the load of run {self._run.id}.",
                    "Let that one finish.",
                )
            yield connection


@contextmanager
def loading(engine: Engine, run: RunRecord, progress: Progress | None = None) -> Iterator[Loader]:
    """Load a run; a reader sees nothing of it until `Loader.publish`.

        with loading(engine, run) as loader:
            loader.vocabulary(tokens)
            loader.documents(documents)
            ...
            loader.publish()

    Leaving without `publish`, or by an exception, removes what was loaded. An unfinished load of
    the same run is taken over. Errors: `AlreadyPublished` (nothing to do), `LoadInterrupted`
    (another process took this load over).
    """
    if run.id != run.identity_sha256[:10]:
        raise StoreError(f"The id {run.id} does not begin its identity {run.identity_sha256}.")
    sweep(engine)
    name = uuid4().hex
    key = _begin(engine, run, name)
    loader = Loader(engine, run, key, name, progress)
    try:
        yield loader
    except BaseException:
        with suppress(StoreError):
            abandon(engine, key, name)
        raise
    if not loader.published:
        abandon(engine, key, name)


def _batches(records: Iterable[_Record], size: int) -> Iterator[list[_Record]]:
    iterator = iter(records)
    while part := list(islice(iterator, size)):
        yield part


def _begin(engine: Engine, run: RunRecord, name: str) -> int:
    """Make the run's row, unpublished; its key."""
    known = select(tables.run.c.key, tables.run.c.status).where(
        tables.run.c.identity_sha256 == run.identity_sha256
    )
    with writing(engine) as connection:
        existing = connection.execute(known.with_for_update()).one_or_none()
        if existing is not None and existing.status == "loading":
            connection.execute(disown(existing.key))
    if existing is not None:
        if existing.status == "published":
            raise AlreadyPublished(runs.get_run(engine, run.id))
        remove(engine, existing.key)
    right = run.pair.right
    with writing(engine) as connection:
        values = {
            "id": run.id,
            "identity_sha256": run.identity_sha256,
            "identity": run.identity,
            "pair_id": _found_or_inserted(
                connection,
                tables.pair,
                {"slug": run.pair.slug},
                {"name": run.pair.name, "description": run.pair.description},
            ),
            "left_model_id": _model_id(connection, run.pair.left),
            "right_model_id": None if right is None else _model_id(connection, right),
            "corpus_id": _found_or_inserted(
                connection,
                tables.corpus,
                {"fingerprint": run.corpus.fingerprint, "spec": run.corpus.spec},
            ),
            "parameters": run.parameters,
            "provenance": run.provenance,
            "n_documents": run.n_documents,
            "n_windows": run.n_windows,
            "n_tokens": run.n_tokens,
            "status": "loading",
            "loader": name,
            "loaded_at": now(),
            "created_at": run.created_at or now(),
        }
        try:
            result = connection.execute(insert(tables.run).values(values))
        except IntegrityError as error:
            raise LoadInterrupted(
                f"Another process began to load run {run.id} at the same moment.",
                "Let that one finish.",
            ) from error
        key = result.inserted_primary_key
        assert key is not None
        return int(key[0])


def _model_id(connection: Connection, model: ModelRecord) -> int:
    values = {
        name: getattr(model, name)
        for name in ("name", "act_fn", "n_layers", "d_model", "d_mlp", "n_ctx", "d_vocab", "config")
    }
    return _found_or_inserted(
        connection, tables.model, {"weights_sha256": model.weights_sha256}, values
    )


def _found_or_inserted(
    connection: Connection,
    table: Table,
    key: dict[str, Any],
    values: dict[str, Any] | None = None,
) -> int:
    """The id of the row with this unique key, inserted if there is none; races end in one row."""
    found = select(table.c.id).where(*(table.c[name] == value for name, value in key.items()))
    row_id = connection.scalar(found)
    if row_id is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(table).values({**key, **(values or {})}))
        except IntegrityError:
            pass  # another process was faster
        row_id = connection.execute(found).scalar_one()
    return int(row_id)
