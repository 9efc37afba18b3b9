"""Pages of the explorer: filters, sorts, totals, and nothing of a URL that becomes SQL."""

from __future__ import annotations

import math

import pytest

from store import labels, neurons
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS
from store.engine import Engine
from store.errors import InvalidFilter, RunNotFound, UnknownColumn
from store.records import LabelCounts, LabelRecord
from tests.synthetic_run import DEAD, publish_synthetic

ALL = 1000


def test_a_row_has_every_column(engine: Engine) -> None:
    run = publish_synthetic(engine)
    rows, total = neurons.page(engine, run.id, size=ALL)
    assert total == len(rows) == 2 * 2 * 8
    assert [(row.side, row.layer, row.neuron) for row in rows] == [
        (side, layer, neuron)
        for side in ("left", "right")
        for layer in range(2)
        for neuron in range(8)
    ]
    for row in rows:
        assert list(row.values) == list(VERSION_COLUMNS)
        record = neurons.get(engine, run.id, row.side, row.layer, row.neuron)
        assert record is not None
        shown = record.sites[record.display_site]
        assert row.values["kurtosis"] == shown.kurtosis
        assert row.values["max"] == shown.max
        assert row.values["pre_mean"] == record.sites["pre"].mean
        assert row.values["excess"] == record.correspondence.excess
        assert row.values["null"] == record.correspondence.null
        assert row.values["mutual"] is record.correspondence.mutual


def test_every_column_sorts_both_ways_with_the_undefined_last(engine: Engine) -> None:
    run = publish_synthetic(engine, layers=1, n_top=1, n_band=1)
    for key in VERSION_COLUMNS:
        for sort, reverse in ((key, False), (f"-{key}", True)):
            rows, _ = neurons.page(engine, run.id, sort=sort, size=ALL)
            values = [row.values[key] for row in rows]
            defined = sorted((v for v in values if v is not None), reverse=reverse)  # type: ignore[type-var]
            assert values == defined + [None] * (len(values) - len(defined)), sort


def test_pages_follow_each_other(engine: Engine) -> None:
    run = publish_synthetic(engine)
    whole, total = neurons.page(engine, run.id, sort="-density", size=ALL)
    parts = [neurons.page(engine, run.id, sort="-density", page=i, size=7) for i in range(1, 7)]
    assert [row for rows, _ in parts for row in rows] == whole
    assert {counted for _, counted in parts} == {total}


def test_filters_narrow(engine: Engine) -> None:
    run = publish_synthetic(engine)
    whole, _ = neurons.page(engine, run.id, size=ALL)
    cases = [
        ({"side": "left"}, lambda v: v["side"] == "left"),
        ({"layer__eq": "1", "side": "right"}, lambda v: (v["layer"], v["side"]) == (1, "right")),
        ({"kurtosis__gte": "5"}, lambda v: v["kurtosis"] is not None and v["kurtosis"] >= 5),
        ({"max__lte": "0"}, lambda v: v["max"] <= 0),
        ({"mutual": "false"}, lambda v: v["mutual"] is False),
        ({"best_neuron": "3.0"}, lambda v: v["best_neuron"] == 3),
        ({"excess__gte": "0.3"}, lambda v: v["excess"] is not None and v["excess"] >= 0.3),
        ({"kurtosis__gte": "", "side": " "}, lambda v: True),
    ]
    for filters, keeps in cases:
        rows, total = neurons.page(engine, run.id, filters, size=ALL)
        expected = [row for row in whole if keeps(row.values)]
        assert expected, filters
        assert rows == expected, filters
        assert total == len(expected)


def test_a_row_a_pair(engine: Engine) -> None:
    run = publish_synthetic(engine)
    rows, total = neurons.pair_page(engine, run.id, sort="-diff_kurtosis", size=ALL)
    assert total == len(rows) == 16
    differences = []
    for row in rows:
        assert set(row.values) == set(PAIR_COLUMNS)
        left = neurons.get(engine, run.id, "left", row.layer, row.neuron)
        right = neurons.get(engine, run.id, "right", row.layer, row.neuron)
        assert left is not None
        assert right is not None
        assert row.values["left_kurtosis"] == left.sites["mid"].kurtosis
        assert row.values["right_kurtosis"] == right.sites["post"].kurtosis
        difference = row.values["diff_kurtosis"]
        if row.neuron == DEAD:
            assert difference is None
        else:
            assert isinstance(difference, float)
            assert math.isclose(
                difference,
                row.values["left_kurtosis"] - row.values["right_kurtosis"],  # type: ignore[operator]
            )
            differences.append(difference)
    assert differences == sorted(differences, reverse=True)
    narrowed, _ = neurons.pair_page(
        engine, run.id, {"diff_kurtosis__gte": "0", "layer": "1"}, size=ALL
    )
    assert narrowed == sorted(
        (row for row in rows if row.layer == 1 and (row.values["diff_kurtosis"] or -1) >= 0),  # type: ignore[operator]
        key=lambda row: row.neuron,
    )


def test_a_row_a_pair_of_one_side(engine: Engine) -> None:
    run = publish_synthetic(engine, single_sided=True)
    rows, total = neurons.pair_page(engine, run.id, size=ALL)
    assert total == 16
    assert {row.values["right_kurtosis"] for row in rows} == {None}
    assert rows[3].values["left_kurtosis"] is not None


def test_an_unknown_column_is_named_with_the_known_ones(engine: Engine) -> None:
    run = publish_synthetic(engine, layers=1, d_mlp=3, n_top=1, n_band=1)
    for key in ("kurtosis; DROP TABLE neuron", "run_key", "", "__gte", "'", "kurtosis "):
        for pages in (neurons.page, neurons.pair_page):
            with pytest.raises(UnknownColumn) as caught:
                pages(engine, run.id, {key: "1"})
            assert caught.value.hint is not None
            assert "best_correlation" in caught.value.hint
            with pytest.raises(UnknownColumn):
                pages(engine, run.id, sort=f"-{key}")


def test_a_filter_that_does_not_fit_is_refused(engine: Engine) -> None:
    run = publish_synthetic(engine, layers=1, d_mlp=3, n_top=1, n_band=1)
    for key, value in (
        ("kurtosis__gte", "1 OR 1=1"),
        ("kurtosis__like", "1"),
        ("kurtosis__gte__lte", "1"),
        ("kurtosis", "nan"),
        ("kurtosis", "inf"),
        ("side", "middle' --"),
        ("side__gte", "left"),
        ("mutual", "maybe"),
    ):
        with pytest.raises(InvalidFilter):
            neurons.page(engine, run.id, {key: value})
        with pytest.raises(InvalidFilter):
            neurons.random_neuron(engine, run.id, {key: value})


def test_random_neurons_obey_filters_and_seeds(engine: Engine) -> None:
    run = publish_synthetic(engine)
    chosen = {neurons.random_neuron(engine, run.id, {"layer": "1"}, seed=i) for i in range(60)}
    assert chosen == {(1, neuron) for neuron in range(8)}
    assert neurons.random_neuron(engine, run.id, seed=3) == neurons.random_neuron(
        engine, run.id, seed=3
    )
    assert neurons.random_neuron(engine, run.id, {"layer": "9"}) is None


def test_labels_are_counted_sorted_and_filtered(engine: Engine) -> None:
    run = publish_synthetic(engine)
    assert run.pair.right is not None
    for annotator, verdict in (("ann", "dead"), ("bob", "dead"), ("ann", "unclear")):
        labels.add(
            engine,
            LabelRecord(run.pair.right.weights_sha256, 1, 4, annotator, verdict),  # type: ignore[arg-type]
        )
    labels.add(engine, LabelRecord(run.pair.left.weights_sha256, 0, 5, "ann", "monosemantic"))
    rows, _ = neurons.page(engine, run.id, sort="-labels", size=3)
    assert [(row.side, row.layer, row.neuron) for row in rows[:2]] == [
        ("right", 1, 4),
        ("left", 0, 5),
    ]
    assert rows[0].labels == LabelCounts(unclear=1, dead=1)
    assert rows[0].values["labels"] == 2
    assert rows[0].values["labels_dead"] == 1
    assert rows[1].labels == LabelCounts(monosemantic=1)
    assert rows[2].labels == LabelCounts()
    rows, total = neurons.page(engine, run.id, {"labels_dead__gte": "1"})
    assert (total, rows[0].neuron) == (1, 4)
    pairs, total = neurons.pair_page(engine, run.id, {"right_labels": "2"})
    assert (total, pairs[0].neuron) == (1, 4)
    assert pairs[0].right_labels == LabelCounts(unclear=1, dead=1)
    assert pairs[0].left_labels == LabelCounts()
    assert pairs[0].values["right_labels"] == 2


def test_no_such_run(engine: Engine) -> None:
    with pytest.raises(RunNotFound):
        neurons.page(engine, "0123456789")
    with pytest.raises(RunNotFound):
        neurons.get(engine, "0123456789", "left", 0, 0)
