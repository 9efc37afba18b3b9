"""Migrations up, down and up again, on both databases, and databases that do not fit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import inspect, text

from store import runs, schema, tables
from store.engine import open_engine, reading, writing
from store.errors import SchemaMismatch, StoreError
from tests.synthetic_run import publish_synthetic


def table_names(engine: object) -> set[str]:
    return set(inspect(engine).get_table_names())  # type: ignore[call-overload]


def test_up_down_up(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url, must_be_current=False)
    assert schema.upgrade(engine) == (None, schema.describe(engine).head)
    assert schema.check(engine) == []
    assert table_names(engine) == {*tables.metadata.tables, schema.VERSION_TABLE}
    publish_synthetic(engine)
    schema.downgrade(engine)
    assert table_names(engine) == {schema.VERSION_TABLE}
    schema.upgrade(engine)
    assert schema.check(engine) == []
    publish_synthetic(engine)
    engine.dispose()


def test_upgrading_again_changes_nothing(database_url: str) -> None:
    engine = open_engine(database_url)
    run = publish_synthetic(engine)
    before, after = schema.upgrade(engine)
    assert before == after is not None
    assert runs.list_runs(engine) == [run]
    engine.dispose()


def test_a_table_that_no_migration_made_is_told(database_url: str) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        connection.execute(text("ALTER TABLE corpus ADD COLUMN extra integer"))
        connection.execute(text("DROP TABLE progress"))
    differences = "\n".join(schema.check(engine))
    assert "extra" in differences
    assert "progress" in differences
    engine.dispose()


def test_several_processes_may_upgrade_at_once(empty_database_url: str) -> None:
    engines = [open_engine(empty_database_url, must_be_current=False) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(schema.upgrade, engines))
    assert sorted(before or "" for before, _ in results).count("") == 1
    assert len({after for _, after in results}) == 1
    for engine in engines:
        engine.dispose()


def test_an_empty_database_wants_an_upgrade(empty_database_url: str) -> None:
    with pytest.raises(SchemaMismatch, match="empty") as caught:
        open_engine(empty_database_url)
    assert caught.value.hint == "Run `twinscope db upgrade`."


def test_a_database_ahead_is_left_alone(database_url: str) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(SchemaMismatch, match="version 9999, ahead of this program's") as caught:
        open_engine(database_url)
    assert caught.value.hint == "Update Twinscope."
    engine = open_engine(database_url, must_be_current=False)
    with pytest.raises(SchemaMismatch, match="ahead"):
        schema.upgrade(engine)
    assert schema.describe(engine).revision == "9999"
    engine.dispose()


def test_a_database_behind_wants_an_upgrade(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "head", lambda: "9999")
    with pytest.raises(SchemaMismatch, match="behind this program's 9999") as caught:
        open_engine(database_url)
    assert caught.value.hint == "Run `twinscope db upgrade`."


def test_another_programs_database_is_left_alone(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url, must_be_current=False)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE customers (id integer)"))
    with pytest.raises(SchemaMismatch, match=r"not a Twinscope database: it holds .*customers"):
        schema.upgrade(engine)
    with pytest.raises(StoreError, match="not a Twinscope database"):
        open_engine(empty_database_url)
    assert table_names(engine) == {"customers"}
    engine.dispose()


def test_describe(database_url: str) -> None:
    engine = open_engine(database_url)
    run = publish_synthetic(engine)
    state = schema.describe(engine)
    assert state.revision == state.head
    assert state.rows["neuron"] == 32
    assert state.rows["run"] == 1
    assert state.runs == (run,)
    assert state.size_bytes is not None
    assert state.size_bytes > 100_000
    assert state.dialect in ("sqlite", "postgresql")
    assert state.version[0].isdigit()
    engine.dispose()


def test_an_empty_database_can_be_described(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url, must_be_current=False)
    state = schema.describe(engine)
    assert (state.revision, state.rows, state.runs) == (None, {}, ())
    with reading(engine) as connection:
        assert inspect(connection).get_table_names() == []
    engine.dispose()
