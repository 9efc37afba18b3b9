"""Labels on candidates: a history per (weights SHA-256, layer, direction's fingerprint).

The same rules as for neurons, see `store.labels`. Labels stay when the run that found the candidate
is removed, and count again where another run finds the same direction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, or_, select

from store import labels
from store.engine import reading
from store.errors import StoreError
from store.evidence_records import CandidateLabelRecord
from store.records import LabelCounts
from store.tables import label, model, run, run_stage
from store.tables_evidence import candidate


def add(engine: Engine, record: CandidateLabelRecord) -> CandidateLabelRecord:
    """Append a label; the label as stored, with `id` and `created_at` (now when None).

    Errors: `UnknownModel`; `StoreError` for a candidate that no published run of the model has, and
    whatever `labels.add` refuses.
    """

    def must_exist(connection: Connection, found: Row[Any]) -> None:
        known = (
            select(candidate.c.rank)
            .join(run, run.c.key == candidate.c.run_key)
            .join(run_stage, run_stage.c.run_key == run.c.key)
            .where(
                candidate.c.layer == record.layer,
                candidate.c.fingerprint == record.fingerprint,
                run.c.status == "published",
                run_stage.c.stage == "evidence",
                or_(
                    (run.c.left_model_id == found.id) & (candidate.c.side == "left"),
                    (run.c.right_model_id == found.id) & (candidate.c.side == "right"),
                ),
            )
        )
        if connection.execute(known).first() is None:
            raise StoreError(
                f"No run here has a candidate {record.fingerprint} in layer {record.layer} of "
                f"{found.name}."
            )

    return labels.append(engine, record, "candidate", record.fingerprint, must_exist)


def history(
    engine: Engine, weights_sha256: str, layer: int, fingerprint: str
) -> list[CandidateLabelRecord]:
    """All labels of a candidate, newest first; `latest` marks each annotator's newest."""
    condition = label.c.candidate == fingerprint
    return [
        CandidateLabelRecord(weights_sha256, layer, fingerprint, **values)
        for values in labels.histories(engine, weights_sha256, layer, condition)
    ]


def counts(engine: Engine, weights_sha256: str, layer: int, fingerprint: str) -> LabelCounts:
    """Each annotator's latest verdict on a candidate, counted."""
    return counts_of_layer(engine, weights_sha256, layer).get(fingerprint, LabelCounts())


def counts_of_layer(engine: Engine, weights_sha256: str, layer: int) -> dict[str, LabelCounts]:
    """Fingerprint → counts, for those candidates of a layer that have labels."""
    with reading(engine) as connection:
        model_id = connection.scalar(
            select(model.c.id).where(model.c.weights_sha256 == weights_sha256)
        )
        if model_id is None:
            return {}
        found = labels.counted(connection, [model_id], label.c.layer == layer, "candidate")
    return {fingerprint: counted for (_, _, fingerprint), counted in found.items()}
