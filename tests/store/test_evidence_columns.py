"""The explorer's columns of the evidence: filtered, sorted and compared, empty before the stage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from store import neurons
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS
from store.engine import Engine
from store.records import RunRecord
from tests.synthetic_evidence import (
    SyntheticEvidence,
    load_evidence,
    publish_synthetic_evidence,
    synthetic_evidence,
)
from tests.synthetic_run import DEAD, publish_synthetic

OF_EVIDENCE = [key for key, column in VERSION_COLUMNS.items() if column.of_evidence]


@pytest.fixture
def run(engine: Engine) -> RunRecord:
    """A run without evidence yet."""
    return publish_synthetic(engine, n_top=1, n_band=1)


@pytest.fixture
def made(engine: Engine, run: RunRecord) -> SyntheticEvidence:
    """The run's evidence, published."""
    return publish_synthetic_evidence(engine, run)


def test_every_column_has_the_records_value(
    engine: Engine, run: RunRecord, made: SyntheticEvidence
) -> None:
    rows, total = neurons.page(engine, run.id, size=100)
    assert total == len(made.hidden_shares)
    by_place = {(row.side, row.layer, row.neuron): row.values for row in rows}
    for hidden, meaning in zip(made.hidden_shares, made.polysemanticities, strict=True):
        place = (hidden.side, hidden.layer, hidden.neuron)
        taking_part = sum(
            place[2] in [neuron for neuron, _ in carriers]
            for candidate in made.candidates
            if candidate.layer == place[1]
            for carriers in [
                candidate.carriers if candidate.side == place[0] else candidate.other_carriers
            ]
        )
        expected = {
            "hidden_share": hidden.share,
            "hidden_method": hidden.method,
            "hidden_error": hidden.error,
            "effect": hidden.effect,
            "estimated_hidden_share": hidden.estimated_share,
            "polysemanticity": meaning.score,
            "polysemanticity_top": meaning.bands["top"],
            "senses": len(meaning.senses),
            "token_entropy": meaning.token_entropy,
            "max_token_share": meaning.max_token_share,
            "token_variance_explained": meaning.token_variance_explained,
            "candidates": taking_part,
            "counterexamples": sum(
                (one.side, one.layer, one.neuron) == place for one in made.counterexamples
            ),
        }
        assert set(expected) == set(OF_EVIDENCE)
        assert {key: by_place[place][key] for key in OF_EVIDENCE} == expected


def test_sorted_both_ways_with_the_undefined_last(
    engine: Engine, run: RunRecord, made: SyntheticEvidence
) -> None:
    for sort in [*OF_EVIDENCE, *(f"-{key}" for key in OF_EVIDENCE)]:
        key = sort.removeprefix("-")
        rows, _ = neurons.page(engine, run.id, sort=sort, size=100)
        values = [row.values[key] for row in rows]
        defined = [value for value in values if value is not None]
        assert values[: len(defined)] == sorted(defined, reverse=sort.startswith("-"))  # type: ignore[type-var]


def test_filters_combine_with_other_columns(
    engine: Engine, run: RunRecord, made: SyntheticEvidence
) -> None:
    filters = {"layer": "0", "hidden_method": "exact", "hidden_share__gte": "0.9"}
    rows, total = neurons.page(engine, run.id, filters, "-kurtosis")
    assert total == len(rows) == 2
    assert {(row.side, row.neuron) for row in rows} == {("left", 1), ("right", 1)}
    assert neurons.random_neuron(engine, run.id, filters, seed=1) == (0, 1)


def test_a_difference_is_of_exact_values_alone(
    engine: Engine, run: RunRecord, made: SyntheticEvidence
) -> None:
    rows, total = neurons.pair_page(engine, run.id, sort="-diff_hidden_share", size=100)
    assert total == len(made.hidden_shares) // 2
    compared = 0
    for row in rows:
        for key in ("hidden_share", "effect"):
            left, right = row.values[f"left_{key}"], row.values[f"right_{key}"]
            exact = row.values["left_hidden_method"] == row.values["right_hidden_method"] == "exact"
            if exact and left is not None and right is not None:
                compared += 1
                assert row.values[f"diff_{key}"] == pytest.approx(left - right)  # type: ignore[operator]
            else:
                assert row.values[f"diff_{key}"] is None
    # Layer 0 is exact but for neuron 2; the dead ones have an effect, 0, and no share.
    assert compared == 6 + 8
    differences = [row.values["diff_hidden_share"] for row in rows]
    assert differences[6:] == [None] * (len(rows) - 6)
    assert "diff_estimated_hidden_share" not in PAIR_COLUMNS
    assert "diff_polysemanticity" in PAIR_COLUMNS


def test_one_side_exact_gives_no_difference(engine: Engine, run: RunRecord) -> None:
    made = synthetic_evidence(run)
    mixed = [
        replace(record, method="estimate", error=0.1) if record.side == "left" else record
        for record in made.hidden_shares
    ]
    load_evidence(engine, run, replace(made, hidden_shares=mixed))
    rows, _ = neurons.pair_page(engine, run.id, {"layer": "0"}, size=100)
    assert {row.values["diff_hidden_share"] for row in rows} == {None}
    assert {row.values["diff_effect"] for row in rows} == {None}
    _, found = neurons.pair_page(engine, run.id, {"diff_effect__gte": "-1000"})
    assert found == 0


def test_before_the_stage_columns_are_empty(engine: Engine, run: RunRecord) -> None:
    rows, total = neurons.page(engine, run.id, size=100)
    assert all(row.values[key] is None for row in rows for key in OF_EVIDENCE)
    for key in OF_EVIDENCE:
        assert neurons.page(engine, run.id, sort=f"-{key}")[1] == total
    assert neurons.page(engine, run.id, {"hidden_share__gte": "0"}) == ([], 0)
    assert neurons.page(engine, run.id, {"hidden_method": "exact"}) == ([], 0)
    pairs, n_pairs = neurons.pair_page(engine, run.id, sort="-diff_hidden_share", size=100)
    assert n_pairs == total // 2
    assert pairs[0].values["diff_hidden_share"] is None
    assert neurons.pair_page(engine, run.id, {"left_senses__gte": "1"}) == ([], 0)
    assert neurons.random_neuron(engine, run.id, {"effect__gte": "0"}) is None


def test_a_single_sided_run_has_columns_of_its_side(engine: Engine) -> None:
    run = publish_synthetic(engine, slug="solo", single_sided=True, n_top=1, n_band=1)
    publish_synthetic_evidence(engine, run)
    rows, total = neurons.page(engine, run.id, {"polysemanticity__gte": "0"}, "-hidden_share")
    assert total == 14
    assert rows[0].values["hidden_share"] == 0.93
    pairs, _ = neurons.pair_page(engine, run.id, {}, "-left_hidden_share", size=100)
    assert len(pairs) == 16
    assert pairs[0].values["left_hidden_share"] == 0.93
    assert pairs[0].values["right_hidden_share"] is None
    assert pairs[-1].neuron == DEAD
