"""A run in the tables of before, one row an example, is there after, and the other way round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, text

from store import evidence, examples, neurons, runs, schema, search, tables, value_codes
from store.engine import Engine, open_engine, reading
from store.records import BANDS, ExampleRecord
from store.section_ways import stated_bounds
from tests.store.test_round_trip import assert_as_stored, assert_same, example_place
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import publish_synthetic, synthetic

VERSIONS = [("left", 0, 0), ("left", 1, 2), ("right", 1, 2), ("right", 0, 7)]


def what_is_there(engine: Engine, run_id: str, place: tuple[Any, int, int]) -> Any:
    """All that is read of a version, whole."""
    found = examples.of_neuron(engine, run_id, *place)
    for shown in found:
        one = shown.example
        for values in (one, one.same_index, one.match):
            if values is not None:
                values.values = {site: np.array(values.values[site]) for site in values.values}
    return neurons.get(engine, run_id, *place), found


@pytest.mark.parametrize("single_sided", [False, True])
def test_a_run_goes_down_and_comes_up_again(database_url: str, single_sided: bool) -> None:
    engine = open_engine(database_url)
    run = publish_synthetic(engine, single_sided=single_sided)
    here = [place for place in VERSIONS if place[0] == "left" or not single_sided]
    before = [what_is_there(engine, run.id, place) for place in here]
    windows = [examples.windows(engine, run.id, [(d, 0), (d, 1)]) for d in range(4)]
    token = synthetic().index.counts.tokens[3]  # type: ignore[union-attr]
    index = search.neurons_of_token(engine, run.id, int(token))
    assert schema.downgrade(engine, "0006") == ("0007", "0006")
    n_examples = sum(
        (one.side, one.layer, one.neuron) == ("left", 1, 2) for one in synthetic().examples
    )
    with reading(engine) as connection:
        row = "run_key = 1 AND side = 'left' AND layer = 1 AND neuron = 2"
        counted = connection.scalar(text(f"SELECT count(*) FROM example WHERE {row}"))
        assert counted == n_examples
        sites = connection.scalars(text(f"SELECT site FROM histogram WHERE {row} ORDER BY site"))
        assert sites.all() == ["mid", "post", "pre"]
    assert schema.upgrade(engine) == ("0006", "0007")
    assert schema.check(engine) == []
    (run_again,) = runs.list_runs(engine)
    assert run_again.size_bytes is None, "a run that was moved has another size"
    assert run_again == replace(run, size_bytes=None)
    for place, (record, shown) in zip(here, before, strict=True):
        again, shown_again = what_is_there(engine, run.id, place)
        assert_same(again, record)
        assert [one.document_name for one in shown_again] == [one.document_name for one in shown]
        for one, other in zip(shown_again, shown, strict=True):
            assert_same(one.tokens, other.tokens)
            assert_as_stored(one.example, other.example)
    for d, expected in enumerate(windows):
        assert_same(examples.windows(engine, run.id, [(d, 0), (d, 1)]), expected)
    for one, other in zip(search.neurons_of_token(engine, run.id, int(token)), index, strict=True):
        assert_same(one.neurons, other.neurons)
        np.testing.assert_allclose(one.max_sd, other.max_sd, rtol=0.005)
        np.testing.assert_allclose(one.mean, other.mean, rtol=0.005, atol=0.02)
    engine.dispose()


def test_what_was_there_is_as_near_as_what_is_new(database_url: str) -> None:
    """A run of before, whose windows have no scales: its examples keep all their values."""
    engine = open_engine(database_url)
    made = synthetic()
    run = publish_synthetic(engine)
    schema.downgrade(engine, "0006")
    schema.upgrade(engine)
    with reading(engine) as connection:
        assert not any(connection.scalars(select(tables.window.c.scales)))
    for place in VERSIONS:
        expected = [one for one in made.examples if example_place(one) == place]
        expected.sort(key=lambda one: (BANDS.index(one.band), one.rank))
        assert expected
        shown = examples.of_neuron(engine, run.id, *place)
        for one, given in zip(shown, expected, strict=True):
            assert_twice_rounded(one.example, given)
    engine.dispose()


def assert_twice_rounded(found: ExampleRecord, given: ExampleRecord) -> None:
    """Rounded as a new run, and once more from half precision."""
    assert (found.position, found.band, found.rank) == (given.position, given.band, given.rank)
    for role in ("own", "same_index", "match"):
        mine, theirs = (one if role == "own" else getattr(one, role) for one in (found, given))
        assert (mine is None) == (theirs is None), role
        if theirs is None:
            continue
        assert set(mine.values) == set(theirs.values), role
        terms = 1 + np.abs(theirs.values["post"].astype(np.float64))  # LayerNorm's weights are 1
        bounds = stated_bounds(theirs.values, terms)
        for site, exact in theirs.values.items():
            size = np.abs(exact.astype(np.float64))
            off = np.abs(mine.values[site].astype(np.float64) - exact.astype(np.float64))
            bound = bounds[site] + value_codes.allowed(size + bounds[site])
            assert (off <= bound).all(), (role, site)
    site = "mid" if "mid" in given.values else "post"
    assert found.values[site][found.position - found.start] == np.float16(given.activation)


def test_evidence_survives(database_url: str) -> None:
    engine = open_engine(database_url)
    run = publish_synthetic(engine)
    mined = publish_synthetic_evidence(engine, run).counterexamples[0]
    place = (mined.side, mined.layer, mined.neuron)
    before = evidence.of_neuron(engine, run.id, *place)
    schema.downgrade(engine, "0006")
    schema.upgrade(engine)
    after = evidence.of_neuron(engine, run.id, *place)
    assert before is not None and after is not None  # noqa: PT018
    np.testing.assert_allclose(
        after.hidden.mass, before.hidden.mass, rtol=6e-3, atol=before.hidden.mass.max() * 1e-6
    )
    assert len(after.counterexamples) == len(before.counterexamples) > 0
    for one, other in zip(after.counterexamples, before.counterexamples, strict=True):
        assert_same(one.tokens, other.tokens)
    engine.dispose()
