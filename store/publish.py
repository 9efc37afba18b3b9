"""Loading a run: in chunks, unseen by readers, then published in one small transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby, islice
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError

from store import rows, rows_tokens, run_tables, runs, tables, tables_tokens
from store.bulk import ChunkedLoad, Progress, Row, RowsByTable, refresh_statistics
from store.engine import writing
from store.errors import AlreadyPublished, LoadInterrupted, StoreError
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
from store.token_scales import Scales
from store.types import now

__all__ = ["Loader", "Progress", "loading", "sweep"]

CHUNK_OF_EXAMPLES = 40  # versions, each with about fifty
CHUNK_OF_NEURONS = 250  # versions, each with about a dozen rows in five tables


class Loader:
    """What `loading` gives: a method a kind of record, each of which may be called repeatedly.

    Order: vocabulary, documents, windows, neurons, examples; layers, losses and the token index
    (after the vocabulary, once or not at all) at any time; publish last. Iterables may be
    generators: rows go out in chunks.
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
        self._windows: set[tuple[int, int]] = set()

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
        scales_of: Callable[[WindowRecord], Scales | None] = lambda record: None,
    ) -> int:
        """Token windows that examples show, each once; `scales_of` gives the scales of a window's
        tokens that its examples will have."""
        n = self._tokens_known()

        def split(record: WindowRecord) -> RowsByTable:
            self._windows.add((record.document, record.window))
            scales = scales_of(record)
            return {tables.window: [rows.of_window(self._key, record, n, scales=scales)]}

        return self._chunks.load("windows", records, split)

    def neurons(self, records: Iterable[NeuronRecord]) -> int:
        """Versions with their histograms, partners and logit effects."""
        n = self._tokens_known()

        def split(record: NeuronRecord) -> RowsByTable:
            hook_points = []
            for *place, name in rows.of_hook_points(self._key, record):
                known = self._hook_points.get(tuple(place))
                if known is None:
                    self._hook_points[tuple(place)] = name
                    hook_points.append((*place, name))
                elif known != name:
                    raise StoreError(f"Two hook points for one site: {known} and {name}.")
            return {
                tables.hook_point: hook_points,
                tables.neuron: [rows.of_neuron(self._key, record)],
                tables.histogram: [rows.of_histogram(self._key, record)],
                tables.partner: [rows.of_partners(self._key, record)],
                tables.logit_effect: rows.of_logit_effects(self._key, record, n),
            }

        iterator = iter(records)
        first = islice(iterator, CHUNK_OF_NEURONS)
        written = self._chunks.load("neurons", first, split, CHUNK_OF_NEURONS)
        if written:
            # Each partner, histogram … is checked against `neuron`. Postgres plans that once, and
            # without statistics by an index that passes over all neurons of the run.
            with writing(self._engine) as connection:
                refresh_statistics(connection, (tables.neuron,))
        return written + self._chunks.load("neurons", iterator, split, CHUNK_OF_NEURONS)

    def examples(self, records: Iterable[ExampleRecord]) -> int:
        """Examples of versions that were loaded, on windows that were loaded, together by version.

        Returns the examples written."""

        def split(some: list[ExampleRecord]) -> RowsByTable:
            record = sorted(some, key=lambda one: (BANDS.index(one.band), one.rank))
            for one in record:
                if (one.document, one.window) not in self._windows:
                    raise ValueError(
                        f"{one.side} L{one.layer}N{one.neuron}: window {one.window} of document "
                        f"{one.document} is not loaded"
                    )
            return {tables.example: [rows.of_examples(self._key, record)]}

        versions = groupby(records, lambda one: (one.side, one.layer, one.neuron))
        return self._chunks.load(
            "examples", (list(some) for _, some in versions), split, CHUNK_OF_EXAMPLES, weight=len
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
        neurons: Iterable[TokenNeuronsRecord],
        spreads: Iterable[TokenSpreadRecord] = (),
    ) -> int:
        """The inverted index; rows by token, then side and layer, go in fastest. It takes less with
        the layers' spreads."""
        n, key = self._tokens_known(), self._key
        count, neuron = tables_tokens.token_count, tables_tokens.token_neuron
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

        def split(record: TokenNeuronsRecord) -> RowsByTable:
            spread = of_layer.get((record.side, record.layer))
            return {neuron: [rows_tokens.of_token_neurons(key, record, n, spread)]}

        return self._chunks.load("token neurons", neurons, split)

    def publish(self, stage: str = "statistics") -> RunRecord:
        """Flip the run to published in one small transaction; the run as stored."""
        moment = now()
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
