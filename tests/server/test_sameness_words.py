"""Are they the same thing? The answer goes with the correlations and names the twin, if any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.compose.neuron import View, neuron_page
from server.neuron_words import compared
from server.pages.neuron import NeuronPage, Versions
from server.sameness_words import are_twins, sameness, verdict
from tests.server.conftest import Served

NOTHING = {
    "same_index_correlation": 0.01,
    "best_neuron": 6,
    "best_correlation": 0.21,
    "null": 0.25,
    "mutual": False,
    "best_href": "/tiny-pair/0/6",
}
ELSEWHERE = NOTHING | {"best_neuron": 5, "best_correlation": 0.74, "mutual": True, "null": 0.59}
HERE = ELSEWHERE | {"best_neuron": 3, "same_index_correlation": 0.74}


@pytest.fixture
def page(served: Served) -> NeuronPage:
    """L0N3, SoLU beside GeLU."""
    return neuron_page(served.app.state.site, served.newest, 0, 3, View(), pinned=False)


def measured(page: NeuronPage, left: dict[str, Any], right: dict[str, Any]) -> NeuronPage:
    """The page with these correlations of either version."""
    assert page.versions.left is not None
    assert page.versions.right is not None
    return replace(
        page,
        versions=Versions(
            replace(
                page.versions.left,
                correspondence=replace(page.versions.left.correspondence, **left),
            ),
            replace(
                page.versions.right,
                correspondence=replace(page.versions.right.correspondence, **right),
            ),
        ),
    )


def test_twins_are_the_same_as_far_as_correlation_goes(page: NeuronPage) -> None:
    twins = measured(page, HERE, HERE)
    answer, reasons = sameness(twins)
    assert answer == "As far as correlation goes, yes."
    assert "other’s best match, at 0.74; the best of a random basis reaches 0.59" in reasons
    assert are_twins(twins)


def test_a_hair_above_one_draw_of_a_random_basis_is_no_twin(page: NeuronPage) -> None:
    barely = {"best_correlation": 0.62, "same_index_correlation": 0.62}
    answer, _ = sameness(measured(page, HERE | barely, HERE | barely))
    assert answer == (
        "No counterpart found: the best of GeLU, 0.62, is not clearly above what a random basis "
        "reaches (0.59)."
    )
    clearly = {"best_correlation": 0.645, "same_index_correlation": 0.645}
    assert are_twins(measured(page, HERE | clearly, HERE | clearly))


def test_a_twin_at_another_index_is_named_and_linked(page: NeuronPage) -> None:
    apart = measured(page, ELSEWHERE, NOTHING)
    answer, reasons = sameness(apart)
    assert answer == "Not at the same index: the twin of SoLU L0N3 is GeLU L0N5 (mutual, 0.74)."
    assert "GeLU L0N3 has no counterpart: the best of SoLU, 0.21, is not clearly above" in reasons
    assert "The same index correlates 0.01" in reasons
    assert [piece.href for piece in verdict(apart).answer if piece.href] == ["/tiny-pair/0/6"]
    assert not are_twins(apart)
    _, reasons = sameness(measured(page, ELSEWHERE, ELSEWHERE))
    assert "The twin of GeLU L0N3 is SoLU L0N5 (mutual, 0.74)." in reasons


def test_a_twin_elsewhere_of_one_that_is_related_here(page: NeuronPage) -> None:
    related = measured(page, ELSEWHERE | {"same_index_correlation": 0.66}, ELSEWHERE)
    assert sameness(related)[0] == (
        "Related at the same index (0.66), but the twin of SoLU L0N3 is GeLU L0N5 (mutual, 0.74)."
    )


def test_no_counterpart_is_told_from_a_match_that_is_not_mutual(page: NeuronPage) -> None:
    answer, reasons = sameness(measured(page, NOTHING, NOTHING))
    assert answer == (
        "No counterpart found: the best of GeLU, 0.21, is not clearly above what a random basis "
        "reaches (0.25)."
    )
    assert "GeLU L0N3 has none either" in reasons
    one_sided = NOTHING | {"null": 0.15}
    answer, reasons = sameness(measured(page, one_sided, one_sided))
    assert answer == (
        "No twin found: the closest to SoLU L0N3, GeLU L0N6 (0.21), has a closer match itself."
    )
    assert "GeLU L0N3 has no twin; closest to it is SoLU L0N6 (0.21, not mutual)." in reasons
    beside = one_sided | {"best_neuron": 3, "same_index_correlation": 0.21}
    assert sameness(measured(page, beside, beside))[0] == (
        "Related (0.21), but not twins: GeLU L0N3 has a closer match."
    )
    mutual_below = NOTHING | {"mutual": True}
    assert sameness(measured(page, mutual_below, NOTHING))[0].startswith("No counterpart found")


def test_without_a_correlation_nothing_is_claimed(page: NeuronPage) -> None:
    unknown = measured(page, NOTHING | {"same_index_correlation": None}, NOTHING)
    assert sameness(unknown)[0] == "Cannot be said."
    assert are_twins(unknown) is None
    assert page.versions.left is not None
    single = replace(page, versions=Versions(page.versions.left, None))
    assert sameness(single)[0] == "One version only."
    assert "no neuron that this one can be matched" in sameness(replace(single, pairing="match"))[1]


def test_hidden_shares_are_compared_of_twins_only(page: NeuronPage) -> None:
    assert page.hidden_comparison is not None
    assert "Two different neurons" not in compared(measured(page, HERE, HERE))
    said = compared(measured(page, ELSEWHERE, NOTHING))
    assert said.startswith("Two different neurons, not one in two models: SoLU L0N3 hides ")
    assert "less than" not in said
