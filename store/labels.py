"""Labels: an append-only history per (weights SHA-256, layer, neuron).

Nothing is ever changed, so which label is an annotator's latest is asked, not kept: the one with
the highest id. Concurrent additions need no lock. What is not of neurons alone (`append`,
`histories`, `counted`, `is_latest`) serves labels on candidates, too: `store.candidate_labels`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, func, insert, select

from store.annotators import annotator_id
from store.engine import reading, writing
from store.errors import StoreError, UnknownModel
from store.evidence_records import CandidateLabelRecord
from store.records import VERDICTS, LabelCounts, LabelRecord
from store.tables import annotator, label, model
from store.types import clean_text, now

LONGEST_DESCRIPTION = 500
LONGEST_ANNOTATOR = 100


#: The column of `label` that says what a label is on.
Subject = Literal["neuron", "candidate"]

_Labelled = TypeVar("_Labelled", LabelRecord, CandidateLabelRecord)


def add(engine: Engine, record: LabelRecord) -> LabelRecord:
    """Append a label; the label as stored, with `id` and `created_at` (now when None).

    Errors: `UnknownModel`; `StoreError` for a neuron that the model does not have, an unknown
    verdict, a description over 500 characters or a confidence outside 1–5.
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
    _validate(record)
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
        result = connection.execute(
            insert(label).values(
                model_id=found.id,
                layer=record.layer,
                annotator_id=annotator_id(connection, stored.annotator),
                verdict=stored.verdict,
                description=stored.description,
                confidence=stored.confidence,
                run_id=stored.run_id,
                created_at=stored.created_at,
                **{subject: name},
            )
        )
        assert result.inserted_primary_key is not None
        return replace(stored, id=int(result.inserted_primary_key[0]))


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
        select(label, annotator.c.name.label("annotator"))
        .join(annotator, annotator.c.id == label.c.annotator_id)
        .join(model, model.c.id == label.c.model_id)
        .where(model.c.weights_sha256 == weights_sha256, label.c.layer == layer, condition)
        .order_by(label.c.id.desc())
    )
    with reading(engine) as connection:
        found = connection.execute(query).mappings().all()
    seen: set[int] = set()
    records = []
    for row in found:
        shared = ("annotator", "verdict", "description", "confidence", "run_id", "created_at", "id")
        latest = row["annotator_id"] not in seen
        records.append({name: row[name] for name in shared} | {"latest": latest})
        seen.add(row["annotator_id"])
    return records


def counts(engine: Engine, weights_sha256: str, layer: int, neuron: int) -> LabelCounts:
    """Each annotator's latest verdict on a version, counted."""
    return counts_of_layer(engine, weights_sha256, layer).get(neuron, LabelCounts())


def counts_of_layer(engine: Engine, weights_sha256: str, layer: int) -> dict[int, LabelCounts]:
    """Neuron → counts, for those neurons of a layer that have labels."""
    with reading(engine) as connection:
        model_id = connection.scalar(
            select(model.c.id).where(model.c.weights_sha256 == weights_sha256)
        )
        if model_id is None:
            return {}
        found = counts_by_version(connection, [model_id], label.c.layer == layer)
    return {neuron: counted for (_, _, neuron), counted in found.items()}


def counts_by_version(
    connection: Connection, model_ids: Sequence[int], condition: ColumnElement[bool]
) -> dict[tuple[int, int, int], LabelCounts]:
    """(model id, layer, neuron) → counts, for labels of these models that fit the condition."""
    return counted(connection, model_ids, condition, "neuron")


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
    by_verdict: dict[tuple[int, int, Any], dict[str, int]] = {}
    for model_id, layer, name, verdict, number in found:
        by_verdict.setdefault((model_id, layer, name), {})[verdict] = number
    return {place: LabelCounts(**verdicts) for place, verdicts in by_verdict.items()}


def is_latest(subject: Subject = "neuron") -> ColumnElement[bool]:
    """The condition that a row of `label` is its annotator's newest on its subject."""
    newer = label.alias("newer")
    same = [newer.c[name] == label.c[name] for name in ("model_id", "layer", subject)]
    return ~(
        select(newer.c.id)
        .where(and_(*same, newer.c.annotator_id == label.c.annotator_id, newer.c.id > label.c.id))
        .correlate(label)
        .exists()
    )


def _validate(record: LabelRecord | CandidateLabelRecord) -> None:
    if record.verdict not in VERDICTS:
        raise StoreError(f"A verdict is one of {', '.join(VERDICTS)}, not {record.verdict!r}.")
    if not 0 < len(record.annotator.strip()) <= LONGEST_ANNOTATOR:
        raise StoreError(f"An annotator's name has 1–{LONGEST_ANNOTATOR} characters.")
    if len(record.description) > LONGEST_DESCRIPTION:
        raise StoreError(
            f"A description has up to {LONGEST_DESCRIPTION} characters; "
            f"this one has {len(record.description)}."
        )
    if record.confidence is not None and not 1 <= record.confidence <= 5:
        raise StoreError(f"A confidence is 1–5, not {record.confidence}.")
