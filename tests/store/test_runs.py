"""Runs by id, prefix and pair."""

from __future__ import annotations

from dataclasses import replace

import pytest

from store import runs
from store.engine import Engine
from store.errors import AmbiguousRun, RunNotFound
from tests.synthetic_run import load, publish_synthetic, synthetic


def test_a_run_is_found_by_id_by_prefix_and_as_the_latest(engine: Engine) -> None:
    first = publish_synthetic(engine, slug="one")
    second = publish_synthetic(engine, slug="two", seed=1)
    assert runs.get_run(engine, first.id) == first
    assert runs.get_run(engine, first.id[:6].upper()) == first
    assert runs.get_run(engine, first.identity_sha256) == first
    assert runs.get_run(engine, "latest") == second
    assert runs.get_run(engine, "latest", pair="one") == first
    assert runs.latest_run(engine, "one") == first
    assert runs.latest_run(engine, "three") is None
    assert runs.list_runs(engine) == [second, first]
    assert runs.list_runs(engine, "one") == [first]
    assert [pair.slug for pair in runs.list_pairs(engine)] == ["one", "two"]


def test_a_prefix_that_fits_several_runs_is_refused_with_their_ids(engine: Engine) -> None:
    made = synthetic(layers=1, d_mlp=3, n_top=1, n_band=1)
    for digest in ("ab0" + "0" * 61, "ab1" + "0" * 61, "c" * 64):
        load(engine, replace(made, run=replace(made.run, id=digest[:10], identity_sha256=digest)))
    with pytest.raises(AmbiguousRun) as caught:
        runs.get_run(engine, "ab")
    assert "ab00000000, ab10000000" in caught.value.message
    assert runs.get_run(engine, "ab1").id == "ab10000000"
    assert runs.get_run(engine, "c").id == "cccccccccc"


def test_no_such_run(engine: Engine) -> None:
    with pytest.raises(RunNotFound, match="No run is published yet"):
        runs.get_run(engine, "latest")
    publish_synthetic(engine, n_top=1, n_band=1)
    for name in ("", "   ", "zzz", "%", "_", "' OR 1=1 --"):
        with pytest.raises(RunNotFound) as caught:
            runs.get_run(engine, name)
        assert caught.value.hint


def test_a_run_of_another_pair_is_not_found(engine: Engine) -> None:
    run = publish_synthetic(engine, slug="one")
    with pytest.raises(RunNotFound, match="of two"):
        runs.get_run(engine, run.id, pair="two")
