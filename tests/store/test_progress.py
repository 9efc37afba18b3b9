"""Progress: one row a run, and a silent one was interrupted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from store import progress
from store.engine import Engine
from store.records import ProgressRecord
from store.types import now

RUNNING = ProgressRecord(
    run_id="0123456789",
    pair_slug="tiny-pair",
    corpus_spec="stdlib \x00",
    stage="statistics",
    step="pass",
    done=10,
    total=None,
    unit="tokens",
    rate=3.5,
    state="running",
)


def test_progress_is_overwritten_and_keeps_its_beginning(engine: Engine) -> None:
    progress.report(engine, RUNNING)
    first = progress.get(engine, RUNNING.run_id)
    assert first is not None
    assert first == replace(
        RUNNING, corpus_spec="stdlib ␀", started_at=first.started_at, updated_at=first.updated_at
    )
    progress.report(engine, replace(RUNNING, done=3_000_000_000, total=4_000_000_000))
    progress.report(engine, replace(RUNNING, state="failed", message="disk full"))
    [last] = progress.current(engine)
    assert (last.state, last.message, last.started_at) == ("failed", "disk full", first.started_at)
    assert last.updated_at is not None
    assert first.updated_at is not None
    assert last.updated_at >= first.updated_at
    progress.report(engine, RUNNING)  # begun again
    again = progress.get(engine, RUNNING.run_id)
    assert again is not None
    assert again.started_at == again.updated_at
    progress.forget(engine, RUNNING.run_id)
    assert progress.current(engine) == []
    assert progress.get(engine, RUNNING.run_id) is None


def test_what_is_silent_was_interrupted(engine: Engine) -> None:
    long_ago = now() - timedelta(hours=1)
    progress.report(engine, replace(RUNNING, updated_at=long_ago))
    progress.report(engine, replace(RUNNING, run_id="1", state="done", updated_at=long_ago))
    progress.report(engine, replace(RUNNING, run_id="2"))
    states = {record.run_id: record.state for record in progress.current(engine)}
    assert states == {"0123456789": "interrupted", "1": "done", "2": "running"}
    assert progress.current(engine)[0].run_id == "2"
