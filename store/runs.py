"""Published runs and the pairs that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    Select,
    bindparam,
    case,
    func,
    select,
)

from store import tables
from store.engine import known, reading, writing
from store.errors import AmbiguousRun, RunNotFound
from store.prepared import Compiled, Prepared
from store.records import (
    CorpusRecord,
    LayerRecord,
    LossRecord,
    ModelRecord,
    PairRecord,
    RunRecord,
)
from store.removal import disown, remove

LATEST = "latest"

#: The stage after a run's statistics, see `store.stages`.
EVIDENCE = "evidence"

_left = tables.model.alias("left_model")
_right = tables.model.alias("right_model")


@dataclass(frozen=True)
class PublishedRun:
    """What queries need of a run: its key, its models' ids, the size of its vocabulary, whether
    its evidence is published, and since when the run is."""

    key: int
    left_model_id: int
    right_model_id: int | None
    vocabulary_id: int
    n_vocabulary: int
    has_evidence: bool
    published_at: datetime

    def model_id(self, side: str) -> int | None:
        """The id of the model on this side."""
        return self.left_model_id if side == "left" else self.right_model_id


def published(connection: Connection, run_id: str) -> PublishedRun:
    """The keys of a published run with this very id; `RunNotFound` if there is none."""

    def find() -> PublishedRun:
        rows = _published.tuples(connection, {"run_id": run_id})
        if not rows:
            raise _not_found(run_id, None)
        return PublishedRun(*rows[0])

    return known(connection, ("published", run_id), find)


@Prepared
def _published() -> Select[Any]:
    run, vocabulary, stage = tables.run, tables.vocabulary, tables.run_stage
    evidence = select(stage.c.stage).where(stage.c.run_key == run.c.key, stage.c.stage == EVIDENCE)
    return (
        select(
            run.c.key,
            run.c.left_model_id,
            run.c.right_model_id,
            run.c.vocabulary_id,
            vocabulary.c.size,
            evidence.exists(),
            run.c.published_at,
        )
        .join(vocabulary, vocabulary.c.id == run.c.vocabulary_id)
        .where(run.c.id == bindparam("run_id"), run.c.status == "published")
    )


def list_runs(engine: Engine, pair: str | None = None) -> list[RunRecord]:
    """Published runs, newest first; with `pair`, those of this slug."""
    with reading(engine) as connection:
        if pair is None:
            return _records(connection, _listed_of_all)
        return _records(connection, _listed, {"slug": pair})


def get_run(engine: Engine, name: str, pair: str | None = None) -> RunRecord:
    """The published run that `name` means: an id, a unique prefix of one, or `latest`.

    With `pair` only this pair's runs are looked at. Errors: `RunNotFound`, `AmbiguousRun`.
    """
    name = name.strip().lower()
    values: dict[str, object] = {}
    if name == LATEST:
        query = _newest_of_all if pair is None else _newest
    else:
        query = _named_of_all if pair is None else _named
        values = {"name": name, "length": len(name)}
    if pair is not None:
        values["slug"] = pair
    with reading(engine) as connection:
        found = _records(connection, query, values) if name else []
    if not found:
        raise _not_found(name, pair)
    if len(found) > 1:
        raise AmbiguousRun(
            f"The prefix {name} fits {len(found)} runs: "
            f"{', '.join(sorted(run.id for run in found)[:5])}.",
            "Give more digits.",
        )
    return found[0]


def latest_run(engine: Engine, pair: str) -> RunRecord | None:
    """The newest published run of a pair, None where there is none."""
    with reading(engine) as connection:
        found = _records(connection, _newest, {"slug": pair})
    return found[0] if found else None


def list_pairs(engine: Engine) -> list[PairRecord]:
    """Pairs that have a published run, by slug, with the models of their newest run."""
    pairs: dict[str, PairRecord] = {}
    for run in list_runs(engine):
        pairs.setdefault(run.pair.slug, run.pair)
    return [pairs[slug] for slug in sorted(pairs)]


def losses(engine: Engine, run_id: str) -> list[LossRecord]:
    """Losses of a run by side (left, right, control), then source."""
    loss = tables.run_loss
    order = case({"left": 0, "right": 1}, value=loss.c.side, else_=2)
    with reading(engine) as connection:
        key = published(connection, run_id).key
        found = connection.execute(
            select(*[column for column in loss.c if column.name != "run_key"])
            .where(loss.c.run_key == key)
            .order_by(order, loss.c.source)
        )
        return [LossRecord(**row) for row in found.mappings()]


def layers(engine: Engine, run_id: str) -> list[LayerRecord]:
    """What a run has per layer, ascending."""
    layer = tables.layer
    with reading(engine) as connection:
        key = published(connection, run_id).key
        found = connection.execute(
            select(layer.c.layer, layer.c.cka).where(layer.c.run_key == key).order_by(layer.c.layer)
        )
        return [LayerRecord(*row) for row in found]


def delete_run(engine: Engine, run_id: str) -> None:
    """Remove a run and all that belongs to it; labels stay. `RunNotFound` if there is none."""
    with writing(engine) as connection:
        key = published(connection, run_id).key
        connection.execute(disown(key))
    remove(engine, key)


@Prepared
def _named_of_all() -> Select[Any]:
    """Runs whose id begins like this."""
    start = func.substr(tables.run.c.identity_sha256, 1, bindparam("length", type_=Integer))
    return _selection().where(start == bindparam("name"))


@Prepared
def _named() -> Select[Any]:
    """Those of a pair."""
    start = func.substr(tables.run.c.identity_sha256, 1, bindparam("length", type_=Integer))
    return _of_pair().where(start == bindparam("name"))


@Prepared
def _listed_of_all() -> Select[Any]:
    return _selection()


@Prepared
def _listed() -> Select[Any]:
    return _of_pair()


def _selection() -> Select[Any]:
    run = tables.run
    return (
        select(run, tables.pair, tables.corpus, _left, _right)
        .join(tables.pair, tables.pair.c.id == run.c.pair_id)
        .join(tables.corpus, tables.corpus.c.id == run.c.corpus_id)
        .join(_left, _left.c.id == run.c.left_model_id)
        .outerjoin(_right, _right.c.id == run.c.right_model_id)
        .where(run.c.status == "published")
        .order_by(run.c.published_at.desc(), run.c.key.desc())
    )


def _of_pair() -> Select[Any]:
    return _selection().where(tables.pair.c.slug == bindparam("slug"))


@Prepared
def _newest() -> Select[Any]:
    """The newest run of a pair."""
    return _of_pair().limit(1)


@Prepared
def _newest_of_all() -> Select[Any]:
    return _selection().limit(1)


@Prepared
def _stages() -> Select[Any]:
    stage = tables.run_stage
    return (
        select(stage.c.stage)
        .where(stage.c.run_key == bindparam("run_key"))
        .order_by(stage.c.published_at, stage.c.stage)
    )


@cache
def _columns() -> dict[object, int]:
    """The columns of `_selection` → their places."""
    return {column: place for place, column in enumerate(_selection().selected_columns)}


def _records(
    connection: Connection, query: Prepared, values: Mapping[str, object] | None = None
) -> list[RunRecord]:
    found = query.raw(connection, values or {})
    made, key = query.on(connection), _columns()[tables.run.c.key]
    return [
        _record(
            made,
            row,
            tuple(name for (name,) in _stages.tuples(connection, {"run_key": row[key]})),
        )
        for row in found
    ]


@lru_cache(maxsize=64)
def _record(made: Compiled, row: tuple[Any, ...], stages: tuple[str, ...]) -> RunRecord:
    """The record of a row as the driver gave it; every page asks for one, and it is the same as
    long as the row is."""
    processed = made(row)
    values = {column: processed[place] for column, place in _columns().items()}
    run, pair = tables.run.c, tables.pair.c
    as_run = (
        "id",
        "identity_sha256",
        "identity",
        "parameters",
        "provenance",
        "n_documents",
        "n_windows",
        "n_tokens",
        "status",
        "created_at",
        "published_at",
        "size_bytes",
    )
    return RunRecord(
        pair=PairRecord(
            slug=values[pair.slug],
            name=values[pair.name],
            description=values[pair.description],
            left=_model(values, "left"),
            right=None if values[run.right_model_id] is None else _model(values, "right"),
        ),
        corpus=CorpusRecord(
            fingerprint=values[tables.corpus.c.fingerprint], spec=values[tables.corpus.c.spec]
        ),
        stages=stages,
        **{name: values[run[name]] for name in as_run},
    )


def _model(values: Mapping[object, Any], side: str) -> ModelRecord:
    model = _left if side == "left" else _right
    columns = [column for column in model.c if column.name != "id"]
    return ModelRecord(**{column.name: values[column] for column in columns})


def _not_found(name: str, pair: str | None) -> RunNotFound:
    of_pair = f" of {pair}" if pair else ""
    if name == LATEST:
        return RunNotFound(f"No run{of_pair} is published yet.", "Run `twinscope precompute`.")
    return RunNotFound(
        f"No published run{of_pair} is called {name}.", "`twinscope runs` lists them."
    )
