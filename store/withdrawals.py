"""Labels taken back by whoever gave them: an entry beside the label, which stays as it was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from store.engine import writing
from store.errors import LabelNotFound, NotTheirs
from store.records import Verdict
from store.tables import annotator, label, model
from store.tables_access import label_withdrawal
from store.types import LARGEST_INTEGER, now


@dataclass(frozen=True)
class WithdrawnLabel:
    """What a label said before it was taken back; on a `neuron`, else on a `candidate`."""

    id: int
    weights_sha256: str
    layer: int
    neuron: int | None
    candidate: str | None
    verdict: Verdict
    description: str
    confidence: int | None
    run_id: str | None
    withdrawn_at: datetime


def withdraw(engine: Engine, label_id: int, annotator_name: str) -> WithdrawnLabel:
    """Take a label back: it stays in the history, and the annotator's one before it counts again.

    Taking it back again changes nothing. Errors: `LabelNotFound`, `NotTheirs`.
    """
    query = (
        select(label, annotator.c.name, model.c.weights_sha256, label_withdrawal.c.withdrawn_at)
        .join(annotator, annotator.c.id == label.c.annotator_id)
        .join(model, model.c.id == label.c.model_id)
        .outerjoin(label_withdrawal, label_withdrawal.c.label_id == label.c.id)
        .where(label.c.id == label_id)
    )
    if label_id > LARGEST_INTEGER:
        raise LabelNotFound(f"There is no label {label_id}.")
    with writing(engine) as connection:
        found = connection.execute(query).mappings().one_or_none()
        if found is None:
            raise LabelNotFound(f"There is no label {label_id}.")
        if found["name"] != annotator_name:
            raise NotTheirs(
                f"Label {label_id} is {found['name']}'s.", "One takes back one's own labels only."
            )
        at = found["withdrawn_at"]
        if at is None:
            at = now()
            try:
                with connection.begin_nested():
                    connection.execute(
                        insert(label_withdrawal).values(label_id=label_id, withdrawn_at=at)
                    )
            except IntegrityError:
                pass  # taken back twice at once
    return WithdrawnLabel(
        id=label_id,
        weights_sha256=found["weights_sha256"],
        layer=found["layer"],
        neuron=found["neuron"],
        candidate=found["candidate"],
        verdict=found["verdict"],
        description=found["description"],
        confidence=found["confidence"],
        run_id=found["run_id"],
        withdrawn_at=at,
    )
