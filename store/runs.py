"""Published runs and the pairs that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    Row,
    Select,
    bindparam,
    case,
    func,
    select,
)

from store import tables
from store.engine import known, reading, writing
from store.errors import AmbiguousRun, RunNotFound
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
    """What queries need of a run: its key, its models' ids, the size of its vocabulary, and whether
    its evidence is published."""

    key: int
    left_model_id: int
    right_model_id: int | None
    vocabulary_id: int
    n_vocabulary: int
    has_evidence: bool

    def model_id(self, side: str) -> int | None:
        """The id of the model on this side."""
        return self.left_model_id if side == "left" else self.right_model_id


def published(connection: Connection, run_id: str) -> PublishedRun:
    """The keys of a published run with this very id; `RunNotFound` if there is none."""

    def find() -> PublishedRun:
        row = connection.execute(_published(), {"run_id": run_id}).one_or_none()
        if row is None:
            raise _not_found(run_id, None)
        return PublishedRun(*row)

    return known(connection, ("published", run_id), find)


@cache
def _published() -> Select[Any]:
    """Built once: every page asks it several times."""
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
        )
        .join(vocabulary, vocabulary.c.id == run.c.vocabulary_id)
        .where(run.c.id == bindparam("run_id"), run.c.status == "published")
    )


def list_runs(engine: Engine, pair: str | None = None) -> list[RunRecord]:
    """Published runs, newest first; with `pair`, those of this slug."""
    with reading(engine) as connection:
        return _records(connection, _selection(pair))


def get_run(engine: Engine, name: str, pair: str | None = None) -> RunRecord:
    """The published run that `name` means: an id, a unique prefix of one, or `latest`.

    With `pair` only this pair's runs are looked at. Errors: `RunNotFound`, `AmbiguousRun`.
    """
    name = name.strip().lower()
    values: dict[str, object] = {}
    if name == LATEST:
        query = _selection(pair).limit(1)
    else:
        query = _named(pair is None)
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
        found = _records(connection, _newest(), {"slug": pair})
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


@cache
def _named(any_pair: bool) -> Select[tuple[object, ...]]:
    """Runs whose id begins like this, built once."""
    start = func.substr(tables.run.c.identity_sha256, 1, bindparam("length", type_=Integer))
    query = _selection().where(start == bindparam("name"))
    return query if any_pair else query.where(tables.pair.c.slug == bindparam("slug"))


def _selection(pair: str | None = None) -> Select[tuple[object, ...]]:
    run = tables.run
    query = (
        select(run, tables.pair, tables.corpus, _left, _right)
        .join(tables.pair, tables.pair.c.id == run.c.pair_id)
        .join(tables.corpus, tables.corpus.c.id == run.c.corpus_id)
        .join(_left, _left.c.id == run.c.left_model_id)
        .outerjoin(_right, _right.c.id == run.c.right_model_id)
        .where(run.c.status == "published")
        .order_by(run.c.published_at.desc(), run.c.key.desc())
    )
    return query if pair is None else query.where(tables.pair.c.slug == pair)


@cache
def _newest() -> Select[tuple[object, ...]]:
    """The newest run of a pair, built once."""
    return _selection().where(tables.pair.c.slug == bindparam("slug")).limit(1)


@cache
def _stages() -> Select[Any]:
    stage = tables.run_stage
    return (
        select(stage.c.run_key, stage.c.stage)
        .where(stage.c.run_key.in_(bindparam("keys", expanding=True)))
        .order_by(stage.c.published_at, stage.c.stage)
    )


def _records(
    connection: Connection,
    query: Select[tuple[object, ...]],
    values: Mapping[str, object] | None = None,
) -> list[RunRecord]:
    found = connection.execute(query, dict(values or {})).all()
    stages: dict[int, list[str]] = {}
    keys = [row._mapping[tables.run.c.key] for row in found]
    for key, name in connection.execute(_stages(), {"keys": keys}):
        stages.setdefault(key, []).append(name)
    return [_record(row, tuple(stages.get(key, ()))) for key, row in zip(keys, found, strict=True)]


def _record(row: Row[tuple[object, ...]], stages: tuple[str, ...]) -> RunRecord:
    values, run, pair = row._mapping, tables.run.c, tables.pair.c
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
            left=_model(row, "left"),
            right=None if values[run.right_model_id] is None else _model(row, "right"),
        ),
        corpus=CorpusRecord(
            fingerprint=values[tables.corpus.c.fingerprint], spec=values[tables.corpus.c.spec]
        ),
        stages=stages,
        **{name: values[run[name]] for name in as_run},
    )


def _model(row: Row[tuple[object, ...]], side: str) -> ModelRecord:
    model = _left if side == "left" else _right
    columns = [column for column in model.c if column.name != "id"]
    return ModelRecord(**{column.name: row._mapping[column] for column in columns})


def _not_found(name: str, pair: str | None) -> RunNotFound:
    of_pair = f" of {pair}" if pair else ""
    if name == LATEST:
        return RunNotFound(f"No run{of_pair} is published yet.", "Run `twinscope precompute`.")
    return RunNotFound(
        f"No published run{of_pair} is called {name}.", "`twinscope runs` lists them."
    )
