"""Scores of a layer as one distribution: all that are defined, and none before the evidence."""

from __future__ import annotations

import pytest

from store import distributions
from store.engine import Engine
from store.errors import RunNotFound
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import publish_synthetic


def test_scores_of_a_layer_ascend_and_are_those_of_its_versions(engine: Engine) -> None:
    run = publish_synthetic(engine, n_top=1, n_band=1)
    assert distributions.polysemanticity_scores(engine, run.id) == {}
    made = publish_synthetic_evidence(engine, run)
    found = distributions.polysemanticity_scores(engine, run.id)
    places = {(one.side, one.layer) for one in made.polysemanticities if one.score is not None}
    assert found.keys() == places
    for place, scores in found.items():
        expected = [
            one.score
            for one in made.polysemanticities
            if (one.side, one.layer) == place and one.score is not None
        ]
        assert scores == pytest.approx(sorted(expected))


def test_an_unknown_run_has_no_distribution(engine: Engine) -> None:
    with pytest.raises(RunNotFound):
        distributions.polysemanticity_scores(engine, "0000000000")
