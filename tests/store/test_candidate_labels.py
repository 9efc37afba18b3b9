"""Labels on candidates: the rules of labels on neurons, and neither in the other's way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from store import candidate_labels, evidence, labels, neurons, runs, tables
from store.engine import Engine, writing
from store.errors import StoreError, UnknownModel
from store.evidence_records import CandidateLabelRecord
from store.records import LabelCounts, LabelRecord
from store.types import now
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import publish_synthetic


@pytest.fixture
def labelled(engine: Engine) -> CandidateLabelRecord:
    """A label that may be added: on the first candidate of the left model."""
    run = publish_synthetic(engine, n_top=1, n_band=1)
    publish_synthetic_evidence(engine, run)
    first = evidence.candidates(engine, run.id, 0)[0]
    return CandidateLabelRecord(
        run.pair.left.weights_sha256, 0, first.fingerprint, "ann", "unclear", run_id=run.id
    )


def test_history_is_kept_and_the_latest_counts(
    engine: Engine, labelled: CandidateLabelRecord
) -> None:
    first = candidate_labels.add(engine, labelled)
    candidate_labels.add(engine, replace(labelled, annotator="bob", verdict="dead"))
    candidate_labels.add(
        engine, replace(labelled, verdict="monosemantic", description=" a\x00b ", confidence=3)
    )
    place = (labelled.weights_sha256, 0, labelled.fingerprint)
    history = candidate_labels.history(engine, *place)
    assert [(each.annotator, each.verdict, each.latest) for each in history] == [
        ("ann", "monosemantic", True),
        ("bob", "dead", True),
        ("ann", "unclear", False),
    ]
    assert history[0].description == "a␀b"
    assert history[2] == replace(first, latest=False)
    assert candidate_labels.counts(engine, *place) == LabelCounts(monosemantic=1, dead=1)
    assert candidate_labels.counts(engine, *place[:2], "f" * 16) == LabelCounts()
    assert candidate_labels.counts(engine, "0" * 64, *place[1:]) == LabelCounts()


def test_labels_on_neurons_and_on_candidates_do_not_mix(
    engine: Engine, labelled: CandidateLabelRecord
) -> None:
    weights = labelled.weights_sha256
    labels.add(engine, LabelRecord(weights, 0, 3, "ann", "dead"))
    candidate_labels.add(engine, labelled)
    labels.add(engine, LabelRecord(weights, 0, 3, "ann", "polysemantic"))
    candidate_labels.add(engine, replace(labelled, verdict="monosemantic"))
    assert labels.counts_of_layer(engine, weights, 0) == {3: LabelCounts(polysemantic=1)}
    assert candidate_labels.counts_of_layer(engine, weights, 0) == {
        labelled.fingerprint: LabelCounts(monosemantic=1)
    }
    assert len(labels.history(engine, weights, 0, 3)) == 2
    rows, _ = neurons.page(engine, str(labelled.run_id), {"labels__gte": "1"})
    assert [(row.layer, row.neuron, row.labels.total) for row in rows] == [(0, 3, 1)]


def test_labels_outlive_the_run_but_need_it_to_begin(
    engine: Engine, labelled: CandidateLabelRecord
) -> None:
    candidate_labels.add(engine, labelled)
    runs.delete_run(engine, str(labelled.run_id))
    place = (labelled.weights_sha256, 0, labelled.fingerprint)
    assert candidate_labels.counts(engine, *place).unclear == 1
    with pytest.raises(StoreError, match="No run here has a candidate"):
        candidate_labels.add(engine, labelled)


def test_labels_that_make_no_sense_are_refused(
    engine: Engine, labelled: CandidateLabelRecord
) -> None:
    for changes in (
        {"layer": 1},
        {"fingerprint": "f" * 16},
        {"verdict": "interesting"},
        {"confidence": 6},
        {"annotator": " "},
        {"description": "x" * 501},
    ):
        with pytest.raises(StoreError):
            candidate_labels.add(engine, replace(labelled, **changes))  # type: ignore[arg-type]
    with pytest.raises(UnknownModel):
        candidate_labels.add(engine, replace(labelled, weights_sha256="f" * 64))
    place = (labelled.weights_sha256, 0, labelled.fingerprint)
    assert candidate_labels.history(engine, *place) == []


def test_a_candidate_is_of_one_side(engine: Engine, labelled: CandidateLabelRecord) -> None:
    right = runs.get_run(engine, "latest").pair.right
    assert right is not None
    with pytest.raises(StoreError, match="No run here has a candidate"):
        candidate_labels.add(engine, replace(labelled, weights_sha256=right.weights_sha256))


@pytest.mark.parametrize("subject", [{}, {"neuron": 1, "candidate": "f" * 16}])
def test_a_label_is_on_one_thing(
    engine: Engine, labelled: CandidateLabelRecord, subject: dict[str, object]
) -> None:
    stored = candidate_labels.add(engine, labelled)
    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.execute(
            insert(tables.label).values(
                model_id=1,
                layer=0,
                annotator_id=1,
                verdict="dead",
                description="",
                created_at=now(),
                id=int(stored.id or 0) + 1,
                **subject,
            )
        )
