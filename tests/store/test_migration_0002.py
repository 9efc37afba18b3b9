"""What a database held before evidence had tables is there after, and the other way round."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from store import candidate_labels, evidence, examples, labels, neurons, runs, schema, tables
from store.engine import open_engine, reading, writing
from store.evidence_records import CandidateLabelRecord
from store.records import LabelCounts, LabelRecord
from tests.store.test_migration_0007 import assert_twice_rounded
from tests.store.test_round_trip import assert_same
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import publish_synthetic

AT_0001 = {
    "model": "1, '{weights}', 'm', 'gelu', 2, 8, 8, 32, 100, '{{}}'",
    "annotator": "1, 'ann', '2026-01-02 03:04:05'",
    "label": "{id}, 1, 1, 3, 1, 'dead', 'said <b>before</b>', 4, '0123456789', "
    "'2026-01-02 03:04:05.678'",
}


def test_labels_survive_and_are_refused_as_before(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url, must_be_current=False)
    schema.upgrade(engine, "0001")
    weights = "a" * 64
    with writing(engine) as connection:
        for table, values in AT_0001.items():
            for number in (1, 2) if table == "label" else (1,):
                row = values.format(weights=weights, id=number)
                connection.execute(text(f"INSERT INTO {table} VALUES ({row})"))
    assert schema.upgrade(engine) == ("0001", schema.describe(engine).head)
    assert schema.check(engine) == []
    history = labels.history(engine, weights, 1, 3)
    assert [(each.id, each.latest, each.verdict) for each in history] == [
        (2, True, "dead"),
        (1, False, "dead"),
    ]
    assert history[0].description == "said <b>before</b>"
    assert history[0].created_at is not None
    assert history[0].created_at.isoformat().startswith("2026-01-02T03:04:05.678")
    assert labels.counts(engine, weights, 1, 3) == LabelCounts(dead=1)
    if engine.dialect.name == "sqlite":  # Postgres counts what it numbered itself
        assert labels.add(engine, LabelRecord(weights, 1, 3, "ann", "unclear")).id == 3
    for changes in ({"verdict": "no"}, {"confidence": 6}, {"annotator_id": 9}, {"model_id": 9}):
        row = {"model_id": 1, "layer": 0, "neuron": 0, "annotator_id": 1, "verdict": "dead"}
        row |= {"description": "", "created_at": history[0].created_at, "id": 99}
        with pytest.raises(IntegrityError), writing(engine) as connection:
            connection.execute(insert(tables.label).values(row | changes))
    engine.dispose()


def test_down_and_up_again_keeps_the_run_and_forgets_its_evidence(database_url: str) -> None:
    engine = open_engine(database_url)
    run = publish_synthetic(engine)
    before = neurons.get(engine, run.id, "left", 1, 3)
    shown = examples.of_neuron(engine, run.id, "left", 1, 3)
    with reading(engine) as connection:
        windows = connection.execute(select(tables.window.c.document)).all()
    publish_synthetic_evidence(engine, run)
    weights = run.pair.left.weights_sha256
    kept = labels.add(engine, LabelRecord(weights, 1, 3, "ann", "unclear"))
    first = evidence.candidates(engine, run.id)[0]
    candidate_labels.add(engine, CandidateLabelRecord(weights, 0, first.fingerprint, "ann", "dead"))
    schema.downgrade(engine, "0001")
    assert "neuron_evidence" not in inspect(engine).get_table_names()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT id, neuron FROM label")).all() == [(kept.id, 3)]
    schema.upgrade(engine)
    assert schema.check(engine) == []
    assert runs.get_run(engine, run.id) == replace(
        run, size_bytes=runs.get_run(engine, run.id).size_bytes
    )
    assert evidence.of_neuron(engine, run.id, "left", 1, 3) is None
    assert_same(neurons.get(engine, run.id, "left", 1, 3), before)
    again = examples.of_neuron(engine, run.id, "left", 1, 3)
    for one, other in zip(again, shown, strict=True):
        assert_twice_rounded(one.example, other.example)
    with reading(engine) as connection:
        assert len(connection.execute(select(tables.window.c.document)).all()) == len(windows)
    assert labels.history(engine, weights, 1, 3) == [kept]
    publish_synthetic_evidence(engine, run)
    assert evidence.of_neuron(engine, run.id, "left", 1, 3) is not None
    engine.dispose()
