"""Labels of all versions and candidates: a page of them, or the whole history for a file.

A label belongs to a model's weights; which pair and side it is shown at is asked of the newest
published run that has the model, or of the run that was looked at when it was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, func, or_, select

from store import tables
from store.engine import reading
from store.labels import is_latest
from store.records import Side, Verdict
from store.tables import annotator, label, model, run
from store.tables_access import label_withdrawal
from store.tables_evidence import candidate
from store.types import clean_text

CHUNK = 2_000


@dataclass(frozen=True)
class Wanted:
    """Which labels: of the models of a pair, or of a run, of an annotator, of a verdict, with all
    `words` in the description; without `history` only those that count."""

    pair: str | None = None
    run: str | None = None
    annotator: str | None = None
    verdict: Verdict | None = None
    words: tuple[str, ...] = ()
    history: bool = False


@dataclass(frozen=True)
class ListedLabel:
    """A label on a `neuron`, or on a `candidate` by its fingerprint; see `LabelRecord`.

    `pair`, `side` and `shown_run` say where it can be seen now (None: nowhere); `k` is the
    candidate's number there.
    """

    id: int
    weights_sha256: str
    model: str
    act_fn: str
    layer: int
    neuron: int | None
    candidate: str | None
    annotator: str
    verdict: Verdict
    description: str
    confidence: int | None
    run_id: str | None
    created_at: datetime
    withdrawn_at: datetime | None
    latest: bool
    pair: str | None = None
    side: Side | None = None
    shown_run: str | None = None
    k: int | None = None


def page(
    engine: Engine, wanted: Wanted, number: int = 1, size: int = 50
) -> tuple[list[ListedLabel], int]:
    """Labels of one page (1-based), the newest first, and how many there are on all."""
    with reading(engine) as connection:
        where = _where(connection, wanted)
        total = connection.scalar(
            select(func.count())
            .select_from(label.join(annotator, annotator.c.id == label.c.annotator_id))
            .where(*where)
        )
        query = _query().where(*where).order_by(label.c.created_at.desc(), label.c.id.desc())
        rows = connection.execute(query.limit(size).offset((number - 1) * size)).mappings().all()
        return _listed(connection, rows), total or 0


def chunks(engine: Engine, wanted: Wanted, size: int = CHUNK) -> Iterator[list[ListedLabel]]:
    """All of them, the oldest first, `size` at a time, each chunk in a transaction of its own."""
    after = 0
    while True:
        with reading(engine) as connection:
            query = _query().where(*_where(connection, wanted), label.c.id > after)
            rows = connection.execute(query.order_by(label.c.id).limit(size)).mappings().all()
            found = _listed(connection, rows)
        if not found:
            return
        yield found
        after = found[-1].id


def annotators(engine: Engine) -> list[tuple[str, int]]:
    """Those who have labelled, by name, and how many labels each has in the history."""
    query = (
        select(annotator.c.name, func.count())
        .join(label, label.c.annotator_id == annotator.c.id)
        .group_by(annotator.c.name)
        .order_by(annotator.c.name)
    )
    with reading(engine) as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]


def _query() -> Select[Any]:
    return (
        select(
            label,
            annotator.c.name.label("annotator"),
            model.c.weights_sha256,
            model.c.name.label("model"),
            model.c.act_fn,
            label_withdrawal.c.withdrawn_at,
            and_(is_latest("neuron"), is_latest("candidate")).label("latest"),
        )
        .join(annotator, annotator.c.id == label.c.annotator_id)
        .join(model, model.c.id == label.c.model_id)
        .outerjoin(label_withdrawal, label_withdrawal.c.label_id == label.c.id)
    )


def _where(connection: Connection, wanted: Wanted) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if wanted.pair is not None:
        where.append(
            label.c.model_id.in_(_models(connection, tables.pair.c.slug == clean_text(wanted.pair)))
        )
    if wanted.run is not None:
        where.append(label.c.model_id.in_(_models(connection, run.c.id == clean_text(wanted.run))))
    if wanted.annotator is not None:
        where.append(annotator.c.name == wanted.annotator)
    if wanted.verdict is not None:
        where.append(label.c.verdict == wanted.verdict)
    where += [label.c.folded.contains(word, autoescape=True) for word in wanted.words]
    if not wanted.history:
        where += [is_latest("neuron"), is_latest("candidate")]
    return where


def _models(connection: Connection, condition: ColumnElement[bool]) -> list[int]:
    """Models of the published runs that fit."""
    query = (
        select(run.c.left_model_id, run.c.right_model_id)
        .join(tables.pair, tables.pair.c.id == run.c.pair_id)
        .where(condition, run.c.status == "published")
    )
    return sorted({one for row in connection.execute(query) for one in row if one is not None})


def _listed(connection: Connection, rows: Sequence[Any]) -> list[ListedLabel]:
    places = _places(connection, {row["model_id"] for row in rows})
    numbers = _numbers(connection, [row for row in rows if row["candidate"] is not None], places)
    listed = []
    for row in rows:
        shown = _shown(places.get(row["model_id"], []), row["run_id"])
        run_key, run_id, slug, side = shown or (None, None, None, None)
        listed.append(
            ListedLabel(
                id=row["id"],
                weights_sha256=row["weights_sha256"],
                model=row["model"],
                act_fn=row["act_fn"],
                layer=row["layer"],
                neuron=row["neuron"],
                candidate=row["candidate"],
                annotator=row["annotator"],
                verdict=row["verdict"],
                description=row["description"],
                confidence=row["confidence"],
                run_id=row["run_id"],
                created_at=row["created_at"],
                withdrawn_at=row["withdrawn_at"],
                latest=bool(row["latest"]),
                pair=slug,
                side=side,
                shown_run=run_id,
                k=numbers.get((run_key, side, row["layer"], row["candidate"])),
            )
        )
    return listed


#: A published run that has a model: (key, id, pair's slug, side), the newest first.
_Place = tuple[int, str, str, Side]


def _places(connection: Connection, models: set[int]) -> dict[int, list[_Place]]:
    query = (
        select(run.c.key, run.c.id, tables.pair.c.slug, run.c.left_model_id, run.c.right_model_id)
        .join(tables.pair, tables.pair.c.id == run.c.pair_id)
        .where(
            run.c.status == "published",
            or_(run.c.left_model_id.in_(models), run.c.right_model_id.in_(models)),
        )
        .order_by(run.c.published_at.desc(), run.c.key.desc())
    )
    found: dict[int, list[_Place]] = {}
    for key, run_id, slug, left, right in connection.execute(query):
        found.setdefault(left, []).append((key, run_id, slug, "left"))
        if right is not None:
            found.setdefault(right, []).append((key, run_id, slug, "right"))
    return found


def _shown(places: list[_Place], run_id: str | None) -> _Place | None:
    """The run that was looked at, if it is still there, else the newest."""
    return next((one for one in places if one[1] == run_id), places[0] if places else None)


def _numbers(
    connection: Connection, rows: Sequence[Any], places: dict[int, list[_Place]]
) -> dict[tuple[Any, ...], int]:
    """(run, side, layer, fingerprint) → the candidate's number in its layer."""
    shown = [_shown(places.get(row["model_id"], []), row["run_id"]) for row in rows]
    keys = {place[0] for place in shown if place is not None}
    if not keys:
        return {}
    number = (
        func.row_number().over(
            partition_by=(candidate.c.run_key, candidate.c.layer),
            order_by=(candidate.c.side, candidate.c.rank),
        )
        - 1
    )
    query = select(
        candidate.c.run_key, candidate.c.side, candidate.c.layer, candidate.c.fingerprint, number
    ).where(candidate.c.run_key.in_(keys))
    return {tuple(row[:4]): row[4] for row in connection.execute(query)}
