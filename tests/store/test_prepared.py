"""Prepared statements give what SQLAlchemy gives, in its transaction, with its faults."""

from __future__ import annotations

import pytest
from sqlalchemy import Select, bindparam, literal_column, select, text
from sqlalchemy.exc import DBAPIError

from store import tables
from store.engine import Engine, one_snapshot, reading, writing
from store.prepared import Prepared
from store.runs import published
from store.version_query import at, of_version
from tests.synthetic_run import publish_synthetic

INSERT = text("INSERT INTO pair (slug, name, description) VALUES (:slug, '', '')")


@Prepared
def _slugs() -> Select[tuple[str]]:
    slug = tables.pair.c.slug
    return select(slug).where(slug != "hidden").order_by(slug).limit(10)


def test_rows_are_those_of_sqlalchemy(engine: Engine) -> None:
    run_id = publish_synthetic(engine, n_top=2, n_band=1).id
    asked = {
        "neuron": of_version(tables.neuron),
        "neurons": select(tables.neuron)
        .where(tables.neuron.c.run_key == bindparam("at_run_key"))
        .order_by(tables.neuron.c.side, tables.neuron.c.layer, tables.neuron.c.neuron),
        "histogram": of_version(tables.histogram),
        "run": select(tables.run).where(tables.run.c.id == bindparam("run_id")),
    }
    with reading(engine) as connection:
        values = at(published(connection, run_id), "left", 0, 4) | {"run_id": run_id}
        for query in asked.values():
            prepared = Prepared(lambda query=query: query)
            wanted = connection.execute(query, values).mappings().all()
            assert wanted
            assert prepared.rows(connection, values) == [dict(row) for row in wanted]
            raw = prepared.raw(connection, values)
            assert len({*raw}) == len(raw)  # hashable
            assert [*map(prepared.on(connection), raw)] == [tuple(row.values()) for row in wanted]


def test_values_that_stand_in_a_statement_are_part_of_it(engine: Engine) -> None:
    with writing(engine) as connection:
        for slug in ("b", "a", "hidden"):
            connection.execute(INSERT, {"slug": slug})
    with reading(engine) as connection:
        assert _slugs.tuples(connection, {}) == [("a",), ("b",)]
        with pytest.raises(ValueError, match="2 found"):
            _slugs.one(connection, {})


def test_a_first_statement_begins_the_snapshot(engine: Engine) -> None:
    with one_snapshot(engine), reading(engine) as reader:
        assert _slugs.tuples(reader, {}) == []
        with writing(engine) as writer:
            writer.execute(INSERT, {"slug": "a"})
        assert _slugs.tuples(reader, {}) == []
    with reading(engine) as reader:
        assert _slugs.tuples(reader, {}) == [("a",)]


def test_a_statement_asked_often_stays_prepared(engine: Engine) -> None:
    """From one snapshot to the next: Postgres plans a page's statements once a connection."""
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite's driver keeps them by itself")
    prepared = text(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT pair%'"
    )
    counted = []
    for _ in range(8):
        with reading(engine) as connection:
            _slugs.tuples(connection, {})
        with reading(engine) as connection:
            counted.append(connection.scalar(prepared))
    assert counted[0] == 0
    assert counted[-1] == 1


def test_a_fault_is_raised_as_sqlalchemy_raises_it(engine: Engine) -> None:

    broken = Prepared(lambda: select(literal_column("no_such_column")).select_from(tables.pair))
    for ask in (broken.tuples, broken.raw):
        with pytest.raises(DBAPIError) as caught, reading(engine) as connection:
            ask(connection, {})
        assert "no_such_column" in str(caught.value.orig)
    with reading(engine) as connection:
        assert _slugs.tuples(connection, {}) == []
