"""A stage is published whole or not at all, once, and leftovers go; the run stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from store import evidence, neurons, runs, stages, tables
from store.engine import Engine, open_engine, reading, writing
from store.errors import AlreadyPublished, LoadInterrupted, RunNotFound, StoreError
from store.evidence_records import CounterexampleRecord, SubstitutionSearchRecord
from store.publish_evidence import EvidenceLoader, loading_stage, publish_search
from store.records import RunRecord, WindowRecord
from store.tables_all import metadata
from store.types import now
from tests.synthetic_evidence import (
    KINDS,
    SEARCHED,
    SyntheticEvidence,
    load_evidence,
    publish_synthetic_evidence,
    synthetic_evidence,
)
from tests.synthetic_run import publish_synthetic, synthetic

Rows = dict[str, int]


def rows_of_run(engine: Engine, run: RunRecord) -> Rows:
    """How many rows each table has of a run."""
    with reading(engine) as connection:
        key = connection.scalar(select(tables.run.c.key).where(tables.run.c.id == run.id))
        return {
            table.name: connection.scalar(
                select(func.count()).select_from(table).where(table.c.run_key == key)
            )
            or 0
            for table in metadata.sorted_tables
            if "run_key" in table.c
        }


@pytest.fixture
def run(engine: Engine) -> RunRecord:
    """A run without evidence yet."""
    return publish_synthetic(engine, n_top=1, n_band=1)


def fill(loader: EvidenceLoader, made: SyntheticEvidence) -> None:
    for kind in KINDS:
        getattr(loader, kind)(getattr(made, kind))


def killed_load(engine: Engine, run: RunRecord, silent_for: timedelta = timedelta(0)) -> None:
    """A load whose process was killed after its last chunk, so long ago."""
    claim = stages.claim(engine, run.id, "evidence")
    fill(EvidenceLoader(engine, claim, {}, {}, None), synthetic_evidence(run))
    with writing(engine) as connection:
        connection.execute(update(tables.stage_load).values(loaded_at=now() - silent_for))


def test_a_reader_sees_nothing_until_the_stage_is_published(
    engine: Engine, database_url: str, run: RunRecord
) -> None:
    made, seen = synthetic_evidence(run), []
    reader = open_engine(database_url)

    def look(what: str, rows: int) -> None:
        seen.append(what)
        assert evidence.stage(reader, run.id, "evidence") is None
        assert evidence.of_neuron(reader, run.id, "left", 0, SEARCHED) is None
        assert evidence.candidates(reader, run.id) == []
        assert evidence.candidate(reader, run.id, 0, 0) is None
        assert evidence.layers(reader, run.id) == []
        assert evidence.loss_differences(reader, run.id) == []
        assert runs.get_run(reader, run.id) == run
        _, found = neurons.page(reader, run.id, {"effect__gte": "0"})
        assert found == 0

    with loading_stage(engine, run.id, progress=look) as loader:
        fill(loader, made)
        look("before", 0)
        loader.publish()
    assert len(set(seen)) == len(KINDS) + 1
    assert evidence.of_neuron(reader, run.id, "left", 0, SEARCHED) is not None
    stored = runs.get_run(reader, run.id)
    assert stored.stages == ("statistics", "evidence")
    assert (stored.size_bytes or 0) > (run.size_bytes or 0)
    reader.dispose()


def test_a_stage_is_published_once(engine: Engine, run: RunRecord) -> None:
    made = publish_synthetic_evidence(engine, run)
    before = rows_of_run(engine, run)
    with pytest.raises(AlreadyPublished, match=f"The evidence of run {run.id}") as caught:
        load_evidence(engine, run, made)
    assert caught.value.run == runs.get_run(engine, run.id)
    assert rows_of_run(engine, run) == before


@pytest.mark.parametrize("fails", [True, False])
def test_a_load_without_publish_leaves_nothing(engine: Engine, run: RunRecord, fails: bool) -> None:
    before = rows_of_run(engine, run)
    try:
        with loading_stage(engine, run.id) as loader:
            fill(loader, synthetic_evidence(run))
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    assert rows_of_run(engine, run) == before
    assert runs.get_run(engine, run.id) == run


def test_leftovers_of_a_killed_load_are_taken_over(engine: Engine, run: RunRecord) -> None:
    killed_load(engine, run)
    made = synthetic_evidence(run, seed=1)
    load_evidence(engine, run, made)
    found = evidence.of_neuron(engine, run.id, "left", 0, 1)
    assert found is not None
    assert found.hidden is not None
    assert found.hidden.effect == made.hidden_shares[1].effect
    assert rows_of_run(engine, run)["stage_load"] == 0


def test_leftovers_of_another_run_are_swept_when_they_are_old(
    engine: Engine, run: RunRecord
) -> None:
    other = publish_synthetic(engine, slug="other", seed=1, n_top=1, n_band=1)
    before = rows_of_run(engine, other)
    killed_load(engine, other, timedelta(minutes=5))
    load_evidence(engine, run, synthetic_evidence(run))
    assert rows_of_run(engine, other) != before  # it may still be at work
    with writing(engine) as connection:
        connection.execute(update(tables.stage_load).values(loaded_at=now() - timedelta(hours=1)))
    assert stages.sweep(engine) == [(other.id, "evidence")]
    assert rows_of_run(engine, other) == before
    assert stages.sweep(engine) == []


def test_a_load_that_was_taken_over_stops(engine: Engine, run: RunRecord) -> None:
    made = synthetic_evidence(run)
    with loading_stage(engine, run.id) as first:
        first.hidden_shares(made.hidden_shares)
        load_evidence(engine, run, made)
        after = rows_of_run(engine, run)
        for step in (lambda: first.layers(made.layers), first.publish):
            with pytest.raises(LoadInterrupted):
                step()
    assert rows_of_run(engine, run) == after


def test_a_load_of_a_run_that_is_removed_stops(engine: Engine, run: RunRecord) -> None:
    made = synthetic_evidence(run)
    with loading_stage(engine, run.id) as loader:
        loader.hidden_shares(made.hidden_shares)
        runs.delete_run(engine, run.id)
        with pytest.raises(LoadInterrupted):
            loader.layers(made.layers)
    with reading(engine) as connection:
        for table in metadata.sorted_tables:
            if "run_key" in table.c:
                assert connection.scalar(select(func.count()).select_from(table)) == 0
    with pytest.raises(RunNotFound), loading_stage(engine, run.id):
        pass


def test_a_removed_run_takes_its_evidence_along(engine: Engine, run: RunRecord) -> None:
    publish_synthetic_evidence(engine, run)
    kept = rows_of_run(engine, run)
    other = publish_synthetic(engine, slug="other", seed=1, n_top=1, n_band=1)
    publish_synthetic_evidence(engine, other)
    runs.delete_run(engine, other.id)
    assert rows_of_run(engine, run) == kept
    with reading(engine) as connection:
        for table in metadata.sorted_tables:
            if "run_key" in table.c:
                total = connection.scalar(select(func.count()).select_from(table))
                assert total == kept[table.name], table.name


def test_windows_that_the_run_has_are_left_as_they_are(engine: Engine, run: RunRecord) -> None:
    own = synthetic(n_top=1, n_band=1)
    before = rows_of_run(engine, run)
    changed = [replace(one, name="changed.py") for one in own.documents]
    with loading_stage(engine, run.id) as loader:
        assert loader.documents(changed) == 0
        assert loader.windows(own.windows * 2) == 0
        added = WindowRecord(own.documents[0].document, 99, own.windows[0].tokens)
        assert loader.windows([own.windows[0], added, added]) == 1
        assert rows_of_run(engine, run)["window"] == before["window"] + 1
    assert rows_of_run(engine, run) == before
    with reading(engine) as connection:
        assert "changed.py" not in connection.scalars(select(tables.document.c.name)).all()


def test_windows_that_a_search_shows_outlive_a_failed_load(engine: Engine, run: RunRecord) -> None:
    made = synthetic_evidence(run)
    search, found = made.searches[0]
    with loading_stage(engine, run.id) as loader:
        fill(loader, made)
        publish_search(engine, run.id, search, found)  # on windows that the load brought
    assert rows_of_run(engine, run)["counterexample"] == len(found)
    load_evidence(engine, run, made)
    shown = evidence.of_neuron(engine, run.id, "left", 0, SEARCHED)
    assert shown is not None
    assert [one.record.kind for one in shown.counterexamples].count("substitution") == len(found)


def test_each_version_is_searched_once(engine: Engine, run: RunRecord) -> None:
    made = synthetic_evidence(run)
    search, found = made.searches[0]
    stored = publish_search(engine, run.id, search, found, made.windows, made.documents)
    assert stored.created_at is not None
    after = rows_of_run(engine, run)
    assert after["window"] > len(made.windows)
    with pytest.raises(AlreadyPublished, match="The search for left L0N3 of run"):
        publish_search(engine, run.id, search, [])
    assert rows_of_run(engine, run) == after
    other = replace(search, neuron=SEARCHED + 1)
    publish_search(engine, run.id, other, [])
    with pytest.raises(RunNotFound):
        publish_search(engine, "0123456789", search, found)


def test_a_search_that_fails_leaves_nothing(engine: Engine, run: RunRecord) -> None:
    made = synthetic_evidence(run)
    search, found = made.searches[0]
    before = rows_of_run(engine, run)
    attempts: list[tuple[SubstitutionSearchRecord, list[CounterexampleRecord], str]] = [
        (search, [*found, found[0]], "refused"),
        (search, [replace(found[0], neuron=0)], "another version"),
        (search, made.counterexamples[:1], "was mined"),
        (search, [replace(found[0], tokens=None)], "refused"),
        (search, [replace(found[0], changed=99)], "outside the window"),
        (replace(search, neuron=99), [], "has no left L0N99"),
        (replace(search, parameters={"from": "/home/me"}), found, "path"),
    ]
    for record, some, message in attempts:
        with pytest.raises(StoreError, match=message):
            publish_search(engine, run.id, record, some, made.windows, made.documents)
        assert rows_of_run(engine, run) == before, message


SPOILT: list[tuple[str, Callable[[Any], Any], str]] = [
    ("hidden_shares", lambda r: r, "refused"),  # twice
    ("hidden_shares", lambda r: replace(r, neuron=99), "refused"),
    ("hidden_shares", lambda r: replace(r, curve=r.curve[1:]), "quantiles"),
    ("hidden_shares", lambda r: replace(r, mass=-1 - r.mass), "negative"),
    ("joint_densities", lambda r: replace(r, counts=r.counts[1:]), "shape"),
    ("joint_densities", lambda r: replace(r, mid_edges=r.mid_edges * 2), "edges of densities"),
    ("polysemanticities", lambda r: r, "two scores"),
    ("polysemanticities", lambda r: replace(r, neuron=99, senses=()), "does not have"),
    ("polysemanticities", lambda r: replace(r, neuron=99, bands={"middle": 0.5}), "tuple"),
    ("layers", lambda r: replace(r, side="control"), "refused"),
    ("candidates", lambda r: replace(r, rank=r.rank + 1, carriers=((99, 0.5),)), "refused"),
    ("counterexamples", lambda r: replace(r, kind="substitution"), "mined"),
    ("counterexamples", lambda r: replace(r, rank=9, window=99), "not loaded"),
    ("counterexamples", lambda r: replace(r, rank=9, position=r.start + 64), "focus"),
    ("windows", lambda r: replace(r, window=99, tokens=r.tokens + 10_000), "vocabulary"),
    ("windows", lambda r: replace(r, document=99), "refused"),
]


def test_records_that_make_no_sense_are_refused(engine: Engine, run: RunRecord) -> None:
    made, before = synthetic_evidence(run), rows_of_run(engine, run)
    for kind, spoil, message in SPOILT:
        records = getattr(made, kind)
        with pytest.raises(StoreError, match=message):
            load_evidence(engine, run, replace(made, **{kind: [*records, spoil(records[-1])]}))
        assert rows_of_run(engine, run) == before, (kind, message)


def test_what_is_published_names_no_path_of_this_machine(engine: Engine, run: RunRecord) -> None:
    before = rows_of_run(engine, run)
    for parameters, provenance in (
        ({}, {"steps": [{"directory": "/var/lib/work"}]}),
        ({"cache": "C:\\work"}, {}),
    ):
        with (
            pytest.raises(StoreError, match=r"names a path|path of this machine"),
            loading_stage(engine, run.id, "evidence", parameters, provenance),
        ):
            pass
    late: dict[str, Any] = {"unit": "tokens/s"}
    with loading_stage(engine, run.id, provenance=late) as loader:
        fill(loader, synthetic_evidence(run))
        late["log"] = "/var/log/work"
        with pytest.raises(StoreError, match="path of this machine"):
            loader.publish()
    assert rows_of_run(engine, run) == before


def test_an_empty_stage_and_an_unknown_one_are_refused(engine: Engine, run: RunRecord) -> None:
    with pytest.raises(StoreError, match="without evidence"), loading_stage(engine, run.id) as one:
        one.publish()
    with pytest.raises(StoreError, match="no stage"), loading_stage(engine, run.id, "studies"):
        pass
