"""A run is published whole or not at all, once, and leftovers go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from store import neurons, publish, runs, tables
from store.engine import Engine, open_engine, reading, writing
from store.errors import AlreadyPublished, LoadInterrupted, RunNotFound, StoreError
from store.publish import loading, sweep
from store.types import now
from tests.synthetic_run import load, publish_synthetic, synthetic

OF_A_RUN = [table for table in tables.metadata.sorted_tables if "run_key" in table.c]


def rows_of_runs(engine: Engine) -> int:
    """Rows in all tables that belong to runs, and of runs themselves."""
    with reading(engine) as connection:
        return sum(
            connection.scalar(select(func.count()).select_from(table)) or 0
            for table in [*OF_A_RUN, tables.run]
        )


def test_a_reader_sees_nothing_until_the_run_is_published(
    engine: Engine, database_url: str
) -> None:
    made = synthetic()
    reader = open_engine(database_url)
    seen = []

    def look(what: str, rows: int) -> None:
        seen.append(what)
        assert runs.list_runs(reader) == []
        assert runs.latest_run(reader, made.run.pair.slug) is None
        with pytest.raises(RunNotFound):
            neurons.page(reader, made.run.id)

    with loading(engine, made.run, look) as loader:
        loader.vocabulary(made.vocabulary)
        loader.documents(made.documents)
        loader.windows(made.windows)
        loader.neurons(made.neurons)
        loader.examples(made.examples)
        look("before", 0)
        loader.publish()
    assert set(seen) == {"tokens", "documents", "windows", "neurons", "examples", "before"}
    assert [run.id for run in runs.list_runs(reader)] == [made.run.id]
    reader.dispose()


def test_progress_counts_rows(engine: Engine) -> None:
    made, told = synthetic(), []
    with loading(engine, made.run, lambda what, rows: told.append((what, rows))) as loader:
        loader.vocabulary(made.vocabulary)
        assert loader.neurons(made.neurons[:10]) == 10
        assert loader.neurons(iter(made.neurons[10:])) == len(made.neurons) - 10
    assert told == [("tokens", 286), ("neurons", 10), ("neurons", len(made.neurons))]


def test_publishing_an_identity_again_changes_nothing(engine: Engine) -> None:
    made = synthetic()
    stored = load(engine, made)
    before = rows_of_runs(engine)
    with pytest.raises(AlreadyPublished) as caught:
        load(engine, replace(made, run=replace(made.run, provenance={"other": True})))
    assert caught.value.run == stored
    assert rows_of_runs(engine) == before
    assert runs.get_run(engine, stored.id) == stored


def test_a_load_that_fails_leaves_nothing(engine: Engine) -> None:
    made = synthetic()
    with pytest.raises(KeyboardInterrupt):  # noqa: SIM117, PT012
        with loading(engine, made.run) as loader:
            loader.vocabulary(made.vocabulary)
            loader.neurons(made.neurons)
            raise KeyboardInterrupt
    assert rows_of_runs(engine) == 0


def test_a_load_that_is_not_published_leaves_nothing(engine: Engine) -> None:
    made = synthetic()
    with loading(engine, made.run) as loader:
        loader.vocabulary(made.vocabulary)
        loader.neurons(made.neurons)
    assert rows_of_runs(engine) == 0
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(tables.token)) == 0


def killed_load(engine: Engine) -> None:
    """A load whose process was killed: its rows are there, and it says nothing more."""
    made = synthetic(slug="killed")
    key = publish._begin(engine, made.run, "killed")
    loader = publish.Loader(engine, made.run, key, "killed", lambda what, rows: None)
    loader.vocabulary(made.vocabulary)
    loader.documents(made.documents)
    loader.windows(made.windows)
    loader.neurons(made.neurons)
    loader.examples(made.examples)


def test_leftovers_of_a_killed_load_are_swept(engine: Engine) -> None:
    killed_load(engine)
    assert sweep(engine) == []  # it may still be at work
    with writing(engine) as connection:
        connection.execute(update(tables.run).values(loaded_at=now() - timedelta(hours=1)))
    published = publish_synthetic(engine)  # the next load sweeps
    assert [run.id for run in runs.list_runs(engine)] == [published.id]
    with reading(engine) as connection:
        assert connection.scalars(select(tables.run.c.id)).all() == [published.id]
        for table in OF_A_RUN:
            keys = connection.scalars(select(table.c.run_key).distinct()).all()
            assert len(keys) <= 1, table.name


def test_a_killed_load_of_the_same_run_is_taken_over_at_once(engine: Engine) -> None:
    killed_load(engine)
    run = publish_synthetic(engine, slug="killed")
    assert runs.list_runs(engine) == [run]


def test_a_load_that_was_taken_over_stops(engine: Engine) -> None:
    made = synthetic()
    with loading(engine, made.run) as first:
        first.vocabulary(made.vocabulary)
        second = load(engine, made)
        with pytest.raises(LoadInterrupted):
            first.neurons(made.neurons)
    assert runs.list_runs(engine) == [second]
    assert neurons.page(engine, second.id)[1] == len(made.neurons)


def test_a_removed_run_leaves_nothing_but_its_models(engine: Engine) -> None:
    kept = publish_synthetic(engine, slug="kept")
    before = rows_of_runs(engine)
    removed = publish_synthetic(engine, slug="removed", seed=1)
    runs.delete_run(engine, removed.id)
    assert rows_of_runs(engine) == before
    assert runs.list_runs(engine) == [kept]
    with pytest.raises(RunNotFound):
        runs.delete_run(engine, removed.id)
    assert publish_synthetic(engine, slug="removed", seed=1).id == removed.id


SPOILT: list[tuple[str, Callable[[Any], Any], str]] = [
    ("windows", lambda r: replace(r, tokens=r.tokens + 10_000), "vocabulary"),
    ("windows", lambda r: replace(r, document=99), "refused"),
    ("neurons", lambda r: replace(r, display_site="none"), "display site"),
    ("neurons", lambda r: replace(r, density=1.5), "refused"),
    (
        "neurons",
        lambda r: replace(r, sites={s: replace(v, n=v.n + 1) for s, v in r.sites.items()}),
        "sum to",
    ),
    ("neurons", lambda r: r, "refused"),  # twice
    ("examples", lambda r: replace(r, band="middle"), "not in tuple"),
    ("examples", lambda r: replace(r, rank=99, window=99), "window 99 of document"),
    ("examples", lambda r: replace(r, position=r.start + 64), "focus"),
]


def test_records_that_make_no_sense_are_refused(engine: Engine) -> None:
    made = synthetic(layers=1, d_mlp=3, n_top=1, n_band=1)
    for kind, spoil, message in SPOILT:
        records = getattr(made, kind)
        with pytest.raises(StoreError, match=message):
            load(engine, replace(made, **{kind: [*records, spoil(records[-1])]}))
        assert rows_of_runs(engine) == 0, kind


def test_an_id_begins_its_identity(engine: Engine) -> None:
    made = synthetic()
    with pytest.raises(StoreError, match="does not begin"):
        load(engine, replace(made, run=replace(made.run, id="0123456789")))


def test_runs_share_a_vocabulary(engine: Engine) -> None:
    publish_synthetic(engine, slug="one")
    publish_synthetic(engine, slug="two", seed=1)
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(tables.vocabulary)) == 1
