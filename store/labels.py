"""Labels: an append-only history per (weights SHA-256, layer, neuron).

Nothing is ever changed, so which label is an annotator's latest is asked, not kept: the newest that
was not withdrawn (of two at one moment the one with the higher id: labels of an import come later
than younger ones of here). Concurrent additions need no lock. What is not of neurons alone
(`append`, `histories`, `counted`, `is_latest`) serves labels on candidates, too:
`store.candidate_labels`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, Literal, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Row,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.exc import IntegrityError

from store.engine import reading, writing
from store.errors import KeyTaken, StoreError, UnknownModel
from store.evidence_records import CandidateLabelRecord
from store.prepared import Prepared
from store.records import VERDICTS, LabelCounts, LabelRecord
from store.tables import annotator, label, model
from store.tables_access import label_claim, label_skip, label_withdrawal
from store.types import clean_text, now
from store.version_query import any_of, places

LONGEST_DESCRIPTION = 500
LONGEST_ANNOTATOR = 100
LONGEST_KEY = 64


#: Versions whose labels are counted with one statement; fewer are filled up to one of the sizes.
_SIZES = (1, 10, 50, 100)
_AT_ONCE = _SIZES[-1]

#: The column of `label` that says what a label is on.
Subject = Literal["neuron", "candidate"]

#: What labels on neurons and on candidates have in common, as columns and as fields.
SHARED = (
    *("annotator", "verdict", "description", "confidence", "run_id", "created_at", "id", "key"),
    "withdrawn_at",
)

_Labelled = TypeVar("_Labelled", LabelRecord, CandidateLabelRecord)


def add(engine: Engine, record: LabelRecord) -> LabelRecord:
    """Append a label; the label as stored, with `id` and `created_at` (now when None).

    A label whose `key` the annotator has used on this version before is not appended again: it is
    the one that was kept then. Errors: `UnknownModel`; `StoreError` for a neuron that the model
    does not have, an unknown verdict, a description over 500 characters or a confidence outside
    1–5.
    """

    def must_exist(connection: Connection, found: Row[Any]) -> None:
        if not (0 <= record.layer < found.n_layers and 0 <= record.neuron < found.d_mlp):
            raise StoreError(
                f"{found.name} has layers 0–{found.n_layers - 1} of {found.d_mlp} neurons; "
                f"L{record.layer}N{record.neuron} does not exist."
            )

    return append(engine, record, "neuron", record.neuron, must_exist)


def append(
    engine: Engine,
    record: _Labelled,
    subject: Subject,
    name: int | str,
    must_exist: Callable[[Connection, Row[Any]], None],
) -> _Labelled:
    """Append a label on a subject of this name, which `must_exist` in the model's row or refuse."""
    validate(record)
    stored = replace(
        record,
        annotator=clean_text(record.annotator.strip()),
        description=clean_text(record.description.strip()),
        created_at=record.created_at or now(),
        latest=True,
    )
    with writing(engine) as connection:
        found = connection.execute(
            select(model).where(model.c.weights_sha256 == record.weights_sha256)
        ).one_or_none()
        if found is None:
            raise UnknownModel(
                f"No run here has a model with weights {record.weights_sha256[:10]}."
            )
        must_exist(connection, found)
        by = annotator_id(connection, stored.annotator)
        place = {"model_id": found.id, "layer": record.layer, subject: name}
        sent = {
            "annotator_id": by,
            "verdict": stored.verdict,
            "description": stored.description,
            "confidence": stored.confidence,
            "run_id": stored.run_id,
            "created_at": stored.created_at,
            "key": stored.key,
        }
        kept = _kept(connection, by, stored.key, place)
        if kept is None:
            try:
                with connection.begin_nested():
                    result = connection.execute(insert(label).values(**place, **sent))
            except IntegrityError:  # the same label, sent twice, came twice at once
                kept = _kept(connection, by, stored.key, place)
                if kept is None:
                    raise
            else:
                assert result.inserted_primary_key is not None
                _let_go(connection, by, place)
                return replace(stored, id=int(result.inserted_primary_key[0]))
        return replace(stored, **kept)


def _let_go(connection: Connection, by: int, place: dict[str, Any]) -> None:
    """End what the queue remembers of a version that its annotator has now labelled."""
    if "neuron" not in place:
        return
    for table in (label_claim, label_skip):
        mine = [table.c[name] == value for name, value in place.items()]
        connection.execute(delete(table).where(table.c.annotator_id == by, *mine))


def _kept(
    connection: Connection, by: int, key: str | None, place: dict[str, Any]
) -> dict[str, Any] | None:
    """What an annotator's label of this key holds. Raises KeyTaken if it is on something else."""
    if key is None:
        return None
    found = connection.execute(
        select(label).where(label.c.annotator_id == by, label.c.key == key)
    ).one_or_none()
    if found is None:
        return None
    row = found._mapping
    if any(row[name] != value for name, value in place.items()):
        raise KeyTaken(
            "A label with this key was kept before, on something else.",
            "Send each label with a key of its own.",
        )
    shared = ("verdict", "description", "confidence", "run_id", "created_at", "id")
    return {name: row[name] for name in shared}


def history(engine: Engine, weights_sha256: str, layer: int, neuron: int) -> list[LabelRecord]:
    """All labels of a version, newest first; `latest` marks each annotator's newest."""
    return [
        LabelRecord(weights_sha256, layer, neuron, **values)
        for values in histories(engine, weights_sha256, layer, label.c.neuron == neuron)
    ]


def histories(
    engine: Engine, weights_sha256: str, layer: int, condition: ColumnElement[bool]
) -> list[dict[str, Any]]:
    """What the records of one subject's labels share, newest first."""
    query = (
        select(label, annotator.c.name.label("annotator"), label_withdrawal.c.withdrawn_at)
        .join(annotator, annotator.c.id == label.c.annotator_id)
        .outerjoin(label_withdrawal, label_withdrawal.c.label_id == label.c.id)
        .join(model, model.c.id == label.c.model_id)
        .where(model.c.weights_sha256 == weights_sha256, label.c.layer == layer, condition)
        .order_by(label.c.created_at.desc(), label.c.id.desc())
    )
    with reading(engine) as connection:
        found = connection.execute(query).mappings().all()
    seen: set[int] = set()
    records = []
    for row in found:
        latest = row["annotator_id"] not in seen and row["withdrawn_at"] is None
        records.append({name: row[name] for name in SHARED} | {"latest": latest})
        if latest:
            seen.add(row["annotator_id"])
    return records


def counts(engine: Engine, weights_sha256: str, layer: int, neuron: int) -> LabelCounts:
    """Each annotator's latest verdict on a version, counted."""
    return _counts(engine, weights_sha256, layer, label.c.neuron == neuron).get(
        neuron, LabelCounts()
    )


def counts_of_layer(engine: Engine, weights_sha256: str, layer: int) -> dict[int, LabelCounts]:
    """Neuron → counts, for those neurons of a layer that have labels."""
    return _counts(engine, weights_sha256, layer)


def _counts(
    engine: Engine, weights_sha256: str, layer: int, *conditions: ColumnElement[bool]
) -> dict[int, LabelCounts]:
    with reading(engine) as connection:
        model_id = connection.scalar(
            select(model.c.id).where(model.c.weights_sha256 == weights_sha256)
        )
        if model_id is None:
            return {}
        condition = and_(label.c.layer == layer, *conditions)
        found = counted(connection, [model_id], condition, "neuron")
    return {neuron: counted for (_, _, neuron), counted in found.items()}


def counts_at(
    connection: Connection, versions: Sequence[tuple[int, int, int]]
) -> dict[tuple[int, int, int], LabelCounts]:
    """(model id, layer, neuron) → counts, of those of these versions that have any."""
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(versions), _AT_ONCE):
        part = versions[start : start + _AT_ONCE]
        number = next(size for size in _SIZES if size >= len(part))
        found += _counted_at[number].tuples(connection, places(part, number))
    return _by_subject(found)


def _at(number: int) -> Select[Any]:
    place = (label.c.model_id, label.c.layer, label.c.neuron)
    return (
        select(*place, label.c.verdict, func.count())
        .where(any_of(place, number), is_latest())
        .group_by(*place, label.c.verdict)
    )


_counted_at = {size: Prepared(partial(_at, size)) for size in _SIZES}


def counted(
    connection: Connection,
    model_ids: Sequence[int],
    condition: ColumnElement[bool],
    subject: Subject,
) -> dict[tuple[int, int, Any], LabelCounts]:
    """(model id, layer, subject) → counts, for labels on such subjects of these models."""
    place = (label.c.model_id, label.c.layer, label.c[subject])
    found = connection.execute(
        select(*place, label.c.verdict, func.count())
        .where(
            label.c.model_id.in_(model_ids),
            label.c[subject].is_not(None),
            condition,
            is_latest(subject),
        )
        .group_by(*place, label.c.verdict)
    )
    return _by_subject(found)


def _by_subject(rows: Iterable[Any]) -> dict[tuple[int, int, Any], LabelCounts]:
    """(model id, layer, subject) → counts, from rows of these three, a verdict and its number."""
    by_verdict: dict[tuple[int, int, Any], dict[str, int]] = {}
    for model_id, layer, name, verdict, number in rows:
        by_verdict.setdefault((model_id, layer, name), {})[verdict] = number
    return {place: LabelCounts(**verdicts) for place, verdicts in by_verdict.items()}


@cache
def is_latest(subject: Subject = "neuron") -> ColumnElement[bool]:
    """The condition that a row of `label` counts: its annotator's newest on its subject, of those
    that were not withdrawn."""
    newer = label.alias("newer")
    same = [newer.c[name] == label.c[name] for name in ("model_id", "layer", subject)]
    superseded = (
        select(newer.c.id)
        .where(
            *same,
            newer.c.annotator_id == label.c.annotator_id,
            or_(
                newer.c.created_at > label.c.created_at,
                and_(newer.c.created_at == label.c.created_at, newer.c.id > label.c.id),
            ),
            ~is_withdrawn(newer),
        )
        .correlate(label)
        .exists()
    )
    return and_(~superseded, ~is_withdrawn(label))


@cache
def is_withdrawn(of: FromClause = label) -> ColumnElement[bool]:
    """The condition that a row of `label` was taken back by its annotator."""
    withdrawal = label_withdrawal
    return (
        select(withdrawal.c.label_id).where(withdrawal.c.label_id == of.c.id).correlate(of).exists()
    )


def annotator_id(connection: Connection, name: str) -> int:
    """The id of the annotator of this name, made if there is none."""
    found = select(annotator.c.id).where(annotator.c.name == name)
    known = connection.scalar(found)
    if known is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(annotator).values(name=name, created_at=now()))
        except IntegrityError:
            pass  # their first two labels came at once
        known = connection.execute(found).scalar_one()
    return int(known)


def validate(record: LabelRecord | CandidateLabelRecord) -> None:
    """Raise `StoreError` for a label that cannot be, whatever it is on."""
    if record.verdict not in VERDICTS:
        raise StoreError(f"A verdict is one of {', '.join(VERDICTS)}, not {record.verdict!r}.")
    if not 0 < len(record.annotator.strip()) <= LONGEST_ANNOTATOR:
        raise StoreError(f"An annotator's name has 1–{LONGEST_ANNOTATOR} characters.")
    if len(record.description) > LONGEST_DESCRIPTION:
        raise StoreError(
            f"A description has up to {LONGEST_DESCRIPTION} characters; "
            f"this one has {len(record.description)}."
        )
    if record.key is not None and not 0 < len(record.key) <= LONGEST_KEY:
        raise StoreError(f"A label's key has 1–{LONGEST_KEY} characters.")
    if record.confidence is not None and not 1 <= record.confidence <= 5:
        raise StoreError(f"A confidence is 1–5, not {record.confidence}.")
