"""Evidence that is published comes back equal, field by field, on both databases.

Mass by bin is kept to a part in 2,000; everything else is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from store import evidence, packing, runs, tables
from store.engine import Engine, writing
from store.records import ABOVE_NULL, BANDS, RunRecord, Side
from tests.store.test_round_trip import assert_same
from tests.synthetic_evidence import (
    PARAMETERS,
    PROVENANCE,
    SEARCHED,
    SEARCHED_IN_VAIN,
    SyntheticEvidence,
    publish_synthetic_evidence,
)
from tests.synthetic_run import DEAD, publish_synthetic

KINDS = {kind: i for i, kind in enumerate(("unlike", "silent", "substitution"))}


def places(run: RunRecord) -> list[tuple[Side, int, int]]:
    sides: list[Side] = ["left"] if run.pair.right is None else ["left", "right"]
    left = run.pair.left
    return [
        (side, layer, neuron)
        for side in sides
        for layer in range(left.n_layers)
        for neuron in range(left.d_mlp)
    ]


def of_place(records: Iterable[Any], place: tuple[Side, int, int]) -> Any:
    """The record of a version, None where there is none."""
    found = [record for record in records if (record.side, record.layer, record.neuron) == place]
    return found[0] if found else None


@pytest.mark.parametrize("single_sided", [False, True])
def test_evidence_comes_back_as_it_was_published(engine: Engine, single_sided: bool) -> None:
    run = publish_synthetic(engine, single_sided=single_sided, n_top=1, n_band=1)
    made = publish_synthetic_evidence(engine, run)
    searches = [search for search, _ in made.searches]
    counterexamples = made.counterexamples + [one for _, found in made.searches for one in found]
    for place in places(run):
        found = evidence.of_neuron(engine, run.id, *place)
        assert found is not None
        expected = of_place(made.hidden_shares, place)
        assert found.hidden is not None
        np.testing.assert_allclose(
            found.hidden.mass, expected.mass, rtol=5e-3, atol=float(expected.mass.max()) * 1e-9
        )
        assert_same(replace(found.hidden, mass=expected.mass), expected)
        assert_same(found.joint, of_place(made.joint_densities, place))
        assert_same(found.meaning, of_place(made.polysemanticities, place))
        checks = [one for one in made.estimate_checks if (one.side, one.layer) == place[:2]]
        assert_same(found.check, checks[0])
        search = of_place(searches, place)
        assert (found.search is None) == (search is None)
        if found.search is not None:
            assert found.search.created_at is not None
            assert_same(replace(found.search, created_at=None), search)
        mine = [one for one in counterexamples if (one.side, one.layer, one.neuron) == place]
        mine.sort(key=lambda one: (KINDS[one.kind], one.rank))
        assert_same([each.record for each in found.counterexamples], mine)
    assert_same(evidence.layers(engine, run.id), by_layer(made.layers))
    assert_same(evidence.estimate_checks(engine, run.id), by_layer(made.estimate_checks))
    assert_same(evidence.candidate_searches(engine, run.id), by_layer(made.candidate_searches))
    differences = evidence.loss_differences(engine, run.id)
    assert_same(sorted(differences, key=str), sorted(made.loss_differences, key=str))
    assert differences[0].against == ("control" if single_sided else "right")
    assert differences[0].source == ""


def by_layer(records: list[Any]) -> list[Any]:
    return sorted(records, key=lambda record: (record.layer, record.side))


@pytest.fixture
def run(engine: Engine) -> RunRecord:
    """A run with evidence."""
    return publish_synthetic(engine, n_top=1, n_band=1)


@pytest.fixture
def made(engine: Engine, run: RunRecord) -> SyntheticEvidence:
    """Its evidence."""
    return publish_synthetic_evidence(engine, run)


def test_the_stage_says_what_it_was_made_with(
    engine: Engine, run: RunRecord, made: SyntheticEvidence
) -> None:
    stage = evidence.stage(engine, run.id, "evidence")
    assert stage is not None
    assert (stage.stage, stage.parameters, stage.provenance) == ("evidence", PARAMETERS, PROVENANCE)
    assert stage.published_at.tzinfo is not None
    statistics = evidence.stage(engine, run.id, "statistics")
    assert statistics is not None
    assert (statistics.parameters, statistics.provenance) == ({}, {})
    assert evidence.stage(engine, run.id, "counterexamples") is None


def test_candidates_come_back_and_are_numbered(
    engine: Engine, run: RunRecord, made: SyntheticEvidence
) -> None:
    listed = evidence.candidates(engine, run.id, 0)
    assert [(each.k, each.record.side, each.record.rank) for each in listed] == [
        (0, "left", 0),
        (1, "left", 1),
        (2, "right", 0),
    ]
    assert_same(evidence.candidates(engine, run.id), listed)
    assert evidence.candidates(engine, run.id, 1) == []
    expected = {(one.side, one.rank): one for one in made.candidates}
    for each in listed:
        record = expected[each.record.side, each.record.rank]
        assert_same(each.record, replace(record, contexts={}))
        assert each.best is not None
        assert_same(each.best.context, record.contexts["top"][0])
        shown = evidence.candidate(engine, run.id, 0, each.k)
        assert shown is not None
        assert_same(shown.record, record)
        assert shown.fingerprint == record.fingerprint == each.fingerprint
        assert len(shown.fingerprint) == 16
        assert list(shown.contexts) == [band for band in BANDS if band in record.contexts]
    assert len({each.fingerprint for each in listed}) == 3
    for layer, k in ((0, 3), (1, 0), (0, -1)):
        assert evidence.candidate(engine, run.id, layer, k) is None


def test_a_neuron_lists_the_candidates_in_which_it_takes_part(
    engine: Engine, run: RunRecord, made: SyntheticEvidence
) -> None:
    found = evidence.of_neuron(engine, run.id, "right", 0, SEARCHED)
    assert found is not None
    assert [(one.k, one.side, one.own, one.share) for one in found.candidates] == [
        (0, "left", False, 0.31),
        (1, "left", False, 0.31),
        (2, "right", True, 0.31),
    ]
    elsewhere = evidence.of_neuron(engine, run.id, "right", 1, SEARCHED)
    assert elsewhere is not None
    assert elsewhere.candidates == ()


def test_contexts_and_counterexamples_are_shown_with_their_tokens(
    engine: Engine, run: RunRecord, made: SyntheticEvidence
) -> None:
    windows = {(window.document, window.window): window.tokens for window in made.windows}
    names = {document.document: document.name for document in made.documents}
    shown = evidence.candidate(engine, run.id, 0, 0)
    found = evidence.of_neuron(engine, run.id, "left", 0, SEARCHED)
    assert shown is not None
    assert found is not None
    for context in (each for band in shown.contexts.values() for each in band):
        record = context.context
        tokens = windows[record.document, record.window]
        assert_same(context.tokens, tokens[record.start : record.start + len(record.values)])
        assert context.tokens[context.focus] == tokens[record.position]
        assert (context.document_name, context.source) == (names[record.document], "stdlib")
    assert [each.record.kind for each in found.counterexamples] == (
        ["unlike"] * 2 + ["silent"] * 2 + ["substitution"] * 3
    )
    for each in found.counterexamples:
        one = each.record
        tokens = windows[one.document, one.window] if one.tokens is None else one.tokens
        assert_same(each.tokens, tokens[one.start : one.start + len(one.values["pre"])])
        assert each.tokens[each.focus] == tokens[one.position]
        if one.kind == "substitution":
            assert each.changed is not None
            assert each.tokens[each.changed] == tokens[one.changed]
            assert one.original == windows[one.document, one.window][one.changed]
            assert each.tokens[each.changed] != one.original
        else:
            assert each.changed is None


def test_a_search_that_found_nothing_is_told_from_none(
    engine: Engine, run: RunRecord, made: SyntheticEvidence
) -> None:
    in_vain = evidence.of_neuron(engine, run.id, "left", 0, SEARCHED_IN_VAIN)
    never = evidence.of_neuron(engine, run.id, "left", 1, SEARCHED_IN_VAIN)
    assert in_vain is not None
    assert never is not None
    assert in_vain.search is not None
    assert (in_vain.search.tried, in_vain.counterexamples) == (512, ())
    assert never.search is None


def test_a_dead_neuron_has_no_evidence_that_is_not_defined(
    engine: Engine, run: RunRecord, made: SyntheticEvidence
) -> None:
    found = evidence.of_neuron(engine, run.id, "right", 0, DEAD)
    assert found is not None
    assert found.hidden is not None
    assert found.meaning is not None
    assert (found.hidden.share, found.hidden.interval, found.hidden.effect) == (None, None, 0.0)
    assert set(found.hidden.curve) == {None}
    assert set(found.meaning.bands.values()) == {None}
    assert found.joint is None  # GeLU has no LayerNorm after it


def test_how_much_of_a_layer_has_a_twin(engine: Engine, run: RunRecord) -> None:
    first, *_ = found = evidence.correspondence(engine, run.id)
    assert [(each.layer, each.side) for each in found] == [
        (0, "left"),
        (0, "right"),
        (1, "left"),
        (1, "right"),
    ]
    # Eight neurons: the dead one has no correlation, one is matched by its neighbour.
    assert (first.n, first.n_defined, first.n_same_index, first.n_mutual) == (8, 7, 6, 6)
    assert (first.n_above_null, first.n_twins) == (7, 6)
    low, *_, high = first.best_quantiles
    assert 0.3 <= low <= high <= 0.95
    assert first.assigned_median == pytest.approx(first.best_quantiles[2] - 0.05)
    solo = publish_synthetic(engine, slug="solo", single_sided=True, n_top=1, n_band=1)
    assert evidence.correspondence(engine, solo.id) == []


def test_a_match_barely_above_the_null_is_no_twin(engine: Engine) -> None:
    """One draw of a maximum is not exceeded by a hair: one just below the margin, one on it."""
    run = publish_synthetic(engine, slug="barely", n_top=1, n_band=1)
    before, *_ = evidence.correspondence(engine, run.id)
    neuron = tables.neuron
    with writing(engine) as connection:
        key = runs.published(connection, run.id).key
        here = (neuron.c.run_key == key, neuron.c.side == "left", neuron.c.layer == 0)
        mutual = connection.scalars(select(neuron.c.neuron).where(*here, neuron.c.mutual)).all()
        for index, excess in zip(mutual, (ABOVE_NULL - 0.01, ABOVE_NULL + 1e-9), strict=False):
            changed = connection.execute(
                update(neuron)
                .where(*here, neuron.c.neuron == index)
                .values(null_correlation=neuron.c.best_correlation - excess)
            )
            assert changed.rowcount == 1
    after, *_ = evidence.correspondence(engine, run.id)
    assert after.n_mutual == before.n_mutual
    assert (after.n_above_null, after.n_twins) == (before.n_above_null - 1, before.n_twins - 1)


def test_mass_keeps_its_sum_and_its_small_bins() -> None:
    rng = np.random.default_rng(0)
    mass = (rng.lognormal(-9, 3, 387) * (rng.random(387) < 0.5)).astype(np.float32)
    found = packing.unpack_mass(packing.pack_mass(mass))
    assert found.sum() == pytest.approx(mass.sum(), rel=2e-3)
    clear = mass > mass.max() * 1e-4
    np.testing.assert_allclose(found[clear], mass[clear], rtol=5e-3)
    assert (found[mass == 0] == 0).all()
    tiny = np.full(387, 1e-12, np.float32)
    np.testing.assert_allclose(packing.unpack_mass(packing.pack_mass(tiny)), tiny, rtol=5e-3)
    for wrong in (np.array([-1.0]), np.array([np.nan])):
        with pytest.raises(ValueError, match="mass"):
            packing.pack_mass(wrong)
