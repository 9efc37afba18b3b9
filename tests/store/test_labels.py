"""Labels: a history that only grows, of which each annotator's latest counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from store import labels, runs
from store.engine import Engine
from store.errors import StoreError, UnknownModel
from store.records import LabelCounts, LabelRecord
from tests.synthetic_run import publish_synthetic


@pytest.fixture
def weights(engine: Engine) -> str:
    """The weights of a model in the database, with two layers of eight neurons."""
    return publish_synthetic(engine, n_top=1, n_band=1).pair.left.weights_sha256


def test_history_is_kept_and_the_latest_counts(engine: Engine, weights: str) -> None:
    first = labels.add(engine, LabelRecord(weights, 0, 3, "ann", "unclear", "hm", 2, "0123456789"))
    labels.add(engine, LabelRecord(weights, 0, 3, "bob", "monosemantic"))
    labels.add(
        engine, LabelRecord(weights, 0, 3, "ann", "polysemantic", " two <b>things</b>\x00 ", 5)
    )
    labels.add(engine, LabelRecord(weights, 1, 3, "ann", "dead"))
    history = labels.history(engine, weights, 0, 3)
    assert [(each.annotator, each.verdict, each.latest) for each in history] == [
        ("ann", "polysemantic", True),
        ("bob", "monosemantic", True),
        ("ann", "unclear", False),
    ]
    assert history[0].description == "two <b>things</b>␀"
    assert history[2] == replace(first, latest=False)
    assert first.created_at is not None
    assert labels.counts(engine, weights, 0, 3) == LabelCounts(monosemantic=1, polysemantic=1)
    assert labels.counts_of_layer(engine, weights, 0) == {
        3: LabelCounts(monosemantic=1, polysemantic=1)
    }
    assert labels.counts(engine, weights, 0, 4) == LabelCounts()
    assert labels.counts(engine, "0" * 64, 0, 3) == LabelCounts()


def test_labels_outlive_the_run(engine: Engine, weights: str) -> None:
    run = runs.get_run(engine, "latest")
    labels.add(engine, LabelRecord(weights, 0, 3, "ann", "dead", run_id=run.id))
    runs.delete_run(engine, run.id)
    assert labels.counts(engine, weights, 0, 3).dead == 1


def test_labels_added_at_once_are_all_kept(engine: Engine, weights: str) -> None:
    def add(i: int) -> int | None:
        verdict = ("monosemantic", "dead")[i % 2]
        return labels.add(engine, LabelRecord(weights, 0, 0, f"annotator {i % 4}", verdict)).id  # type: ignore[arg-type]

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(add, range(40)))
    assert len(set(ids)) == 40
    history = labels.history(engine, weights, 0, 0)
    assert len(history) == 40
    assert sum(each.latest for each in history) == 4
    assert labels.counts(engine, weights, 0, 0).total == 4


def test_labels_that_make_no_sense_are_refused(engine: Engine, weights: str) -> None:
    for changes in (
        {"verdict": "interesting"},
        {"layer": 2},
        {"layer": -1},
        {"neuron": 8},
        {"description": "x" * 501},
        {"confidence": 0},
        {"confidence": 6},
        {"annotator": "  "},
        {"annotator": "x" * 101},
    ):
        with pytest.raises(StoreError) as caught:
            labels.add(engine, replace(LabelRecord(weights, 0, 0, "ann", "dead"), **changes))  # type: ignore[arg-type]
        assert "\n" not in caught.value.message
    assert labels.history(engine, weights, 0, 0) == []


def test_a_model_that_is_not_here_has_no_labels(engine: Engine, weights: str) -> None:
    with pytest.raises(UnknownModel):
        labels.add(engine, LabelRecord("f" * 64, 0, 0, "ann", "dead"))
