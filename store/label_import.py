"""Labels from a file into the history: all of them or none, and none twice.

The same annotator, subject and moment are the same label, so a file may be read again, and files
that overlap may be read one after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, text

from store.engine import writing
from store.errors import LabelsRefused, StoreError
from store.evidence_records import CandidateLabelRecord
from store.labels import annotator_id, validate
from store.records import LabelRecord
from store.tables import label, model
from store.tables_access import label_withdrawal
from store.types import clean_text

#: Faults that are named; of more their number is said.
_NAMED = 5


@dataclass(frozen=True)
class Numbered:
    """A label with the line (or row) of the file that it stands in."""

    line: int
    label: LabelRecord | CandidateLabelRecord


@dataclass(frozen=True)
class Imported:
    """How many labels were new, how many were here already, and how many of those that were here
    are withdrawn only now."""

    new: int
    known: int
    withdrawn: int


def add_all(engine: Engine, labels: Sequence[Numbered]) -> Imported:
    """Append those that are new, in the order of their moments.

    Raises `LabelsRefused`, with the lines, for labels that cannot be; nothing is kept then.
    """
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":  # two imports at once would both find none
            connection.execute(text("LOCK TABLE label IN SHARE ROW EXCLUSIVE MODE"))
        models = _models(connection, labels)
        faults = [
            (one.line, fault)
            for one in labels
            if (fault := _fault(one.label, models.get(one.label.weights_sha256))) is not None
        ]
        if faults:
            raise refused(faults)
        annotators: dict[str, int] = {}
        new = known = withdrawn = 0
        for one in sorted(labels, key=lambda each: str(each.label.created_at)):
            record = one.label
            name = clean_text(record.annotator.strip())
            if name not in annotators:
                annotators[name] = annotator_id(connection, name)
            place = _place(record, models[record.weights_sha256].id, annotators[name])
            found = connection.execute(
                select(label.c.id).where(*(label.c[key] == value for key, value in place.items()))
            ).first()
            if found is None:
                new += 1
                label_id = _append(connection, record, place)
            else:
                known += 1
                label_id = int(found[0])
            if record.withdrawn_at is not None and _withdraw(connection, label_id, record):
                withdrawn += found is not None
    return Imported(new, known, withdrawn)


def refused(faults: Sequence[tuple[int, str]]) -> LabelsRefused:
    """The error that names the first lines that are wrong."""
    named = "; ".join(f"line {line}: {fault.rstrip('.')}" for line, fault in faults[:_NAMED])
    more = len(faults) - _NAMED
    return LabelsRefused(
        f"{named}{f'; and {more} more lines' if more > 0 else ''}. Nothing was imported."
    )


def _models(connection: Connection, labels: Sequence[Numbered]) -> dict[str, Any]:
    weights = sorted({one.label.weights_sha256 for one in labels})
    found = connection.execute(select(model).where(model.c.weights_sha256.in_(weights)))
    return {row.weights_sha256: row for row in found}


def _fault(record: LabelRecord | CandidateLabelRecord, known: Any) -> str | None:
    """What is wrong with a label; None for nothing."""
    try:
        validate(record)
    except StoreError as error:
        return error.message
    if known is None:
        return (
            f"no run here has a model with weights {record.weights_sha256[:10]} "
            "(import or compute the run first)"
        )
    if not 0 <= record.layer < known.n_layers:
        return f"{known.name} has layers 0–{known.n_layers - 1}, not {record.layer}"
    if isinstance(record, LabelRecord) and not 0 <= record.neuron < known.d_mlp:
        return f"{known.name} has neurons 0–{known.d_mlp - 1}, not {record.neuron}"
    return None


def _place(record: LabelRecord | CandidateLabelRecord, model_id: int, by: int) -> dict[str, Any]:
    """What makes two labels the same."""
    on = (
        {"neuron": record.neuron}
        if isinstance(record, LabelRecord)
        else {"candidate": record.fingerprint}
    )
    return {
        "model_id": model_id,
        "layer": record.layer,
        **on,
        "annotator_id": by,
        "created_at": record.created_at,
    }


def _append(
    connection: Connection, record: LabelRecord | CandidateLabelRecord, place: dict[str, Any]
) -> int:
    made = connection.execute(
        insert(label).values(
            **place,
            verdict=record.verdict,
            description=clean_text(record.description),
            confidence=record.confidence,
            run_id=record.run_id,
        )
    )
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def _withdraw(
    connection: Connection, label_id: int, record: LabelRecord | CandidateLabelRecord
) -> bool:
    """Whether the label had not been withdrawn before."""
    known = select(label_withdrawal.c.label_id).where(label_withdrawal.c.label_id == label_id)
    if connection.execute(known).first() is not None:
        return False
    connection.execute(
        insert(label_withdrawal).values(label_id=label_id, withdrawn_at=record.withdrawn_at)
    )
    return True
