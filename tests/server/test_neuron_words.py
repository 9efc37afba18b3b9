"""The sentences of a neuron page follow its numbers: they change with them and claim no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.compose.neuron import View, neuron_page
from server.compose.neuron_evidence import hidden_comparison
from server.neuron_words import compared, hidden_method, responds, unshown
from server.pages.evidence import HiddenView
from server.pages.neuron import NeuronPage, Versions, VersionView
from tests.server.conftest import Served


@pytest.fixture
def page(served: Served) -> NeuronPage:
    """L0N3 with its evidence."""
    return neuron_page(served.app.state.site, served.newest, 0, 3, View(), pinned=False)


def left_of(page: NeuronPage) -> VersionView:
    assert page.versions.left is not None
    return page.versions.left


def with_hidden(version: VersionView, **changes: Any) -> VersionView:
    assert version.evidence is not None
    assert version.evidence.hidden is not None
    hidden = replace(version.evidence.hidden, **changes)
    return replace(version, evidence=replace(version.evidence, hidden=hidden))


def as_twin(version: VersionView, of: int) -> VersionView:
    """The version with the neuron `of` as its mutual best match, far above a random basis."""
    measured = replace(
        version.correspondence,
        same_index_correlation=0.8,
        best_neuron=of,
        best_correlation=0.8,
        null=0.2,
        mutual=True,
    )
    return replace(version, correspondence=measured)


def both(page: NeuronPage, left: dict[str, Any], right: dict[str, Any]) -> str:
    """What is said when the two versions have these hidden shares."""
    assert page.versions.left is not None
    assert page.versions.right is not None
    versions = Versions(
        as_twin(with_hidden(page.versions.left, **left), page.versions.right.neuron),
        as_twin(with_hidden(page.versions.right, **right), page.versions.left.neuron),
    )
    assert versions.left is not None
    assert versions.right is not None
    found = hidden_comparison(versions.left.evidence, versions.right.evidence)
    return compared(replace(page, versions=versions, hidden_comparison=found))


EXACT = {"method": "exact", "error": None}


def test_exact_values_are_compared_by_their_intervals(page: NeuronPage) -> None:
    low = EXACT | {"share": 0.2, "interval": (0.18, 0.22)}
    high = EXACT | {"share": 0.8, "interval": (0.75, 0.85)}
    assert both(page, low, high) == (
        "By exact values (20.0 % against 80.0 %) SoLU hides 60.0 points less than GeLU."
    )
    assert "GeLU hides 60.0 points less than SoLU" in both(page, high, low)
    near = EXACT | {"share": 0.24, "interval": (0.2, 0.28)}
    said = both(page, low, near)
    assert "no difference is seen between SoLU and GeLU: their 95 % intervals overlap" in said


def test_an_estimate_is_never_set_against_an_exact_value(page: NeuronPage) -> None:
    """The left one's exact 20 % must not stand beside the right one's estimate."""
    exact = EXACT | {"share": 0.2, "estimated_share": 0.35}
    estimate = {"method": "estimate", "share": 0.8, "estimated_share": 0.8, "error": 0.02}
    said = both(page, exact, estimate)
    assert "35.0 % against 80.0 %" in said
    assert "20.0 %" not in said
    assert "one is exact, the other not, so estimates are compared" in said
    assert "SoLU hides 45.0 points less than GeLU" in said
    near = estimate | {"share": 0.37, "estimated_share": 0.37}
    assert "no difference is seen" in both(page, exact, near)
    assert "within their errors" in both(page, exact, near)
    unmeasured = {"method": "estimate", "error": None, "check": None, "estimated_share": 0.9}
    assert "of unknown error" in both(page, unmeasured, unmeasured | {"estimated_share": 0.1})
    assert "neither is exact" in both(page, unmeasured, unmeasured | {"estimated_share": 0.1})


def test_what_is_undefined_is_not_compared(page: NeuronPage) -> None:
    assert "cannot be compared" in both(page, EXACT | {"share": None}, EXACT | {"share": 0.2})


@pytest.mark.parametrize(
    ("share", "word"),
    [
        (0.001, "Almost none"),
        (0.05, "Little"),
        (0.3, "Part"),
        (0.5, "About half"),
        (0.8, "Most"),
        (0.97, "Nearly all"),
        (1.0, "Nearly all"),
    ],
)
def test_the_word_for_a_share_goes_with_its_number(
    page: NeuronPage, share: float, word: str
) -> None:
    said = unshown(with_hidden(left_of(page), share=share, layer_median=0.4), "GeLU")[0]
    assert said.startswith(f"{word} of its effect ({100 * share:.3g}")
    assert "exact; its layer’s median: 40.0 %) lies outside its strongest 0.1 % of tokens." in said
    changes = {"method": "estimate", "error": 0.091, "layer_median": None}
    estimated = with_hidden(left_of(page), share=share, **changes)
    assert "estimate ± 9.1 points" in unshown(estimated, "GeLU")[0]


def test_an_unmeasured_error_is_said() -> None:
    hidden = HiddenView(
        share=0.5,
        method="estimate",
        error=None,
        interval=None,
        effect=0.1,
        estimated_share=0.5,
        estimated_effect=0.1,
        curve=None,  # type: ignore[arg-type]
        mass=(),
        lowest_top_quantile=None,
        lowest_top_share=None,
        layer_median=None,
        check=None,
    )
    assert hidden_method(hidden) == "estimate, its error not measured"
    assert hidden_method(replace(hidden, error=0.12)) == "estimate ± 12.0 points"


def test_senses_candidates_and_counterexamples_are_counted(page: NeuronPage) -> None:
    version = left_of(page)
    assert version.evidence is not None
    said = " ".join(unshown(version, "GeLU"))
    assert (
        "It takes part in three candidate invisible features (two of its own model and one of"
        in said
    )
    assert "Counterexamples: four in the corpus, three by changing a token." in said
    assert "heuristic score" in said
    bare = replace(
        version,
        senses=version.senses[:1],
        evidence=replace(
            version.evidence,
            candidates=(),
            counterexamples=(),
            search=replace(version.evidence.search, searched=False),
        ),
    )
    said = " ".join(unshown(bare, "GeLU"))
    assert "fall into no separate groups" in said
    assert "no candidate invisible feature that was found" in said
    assert "none in the corpus; none was searched for by changing tokens" in said
    two = [
        replace(version.senses[0], rank=n, band=band) for n, band in enumerate(("top", "max25-50"))
    ]
    said = " ".join(unshown(replace(version, senses=tuple(two)), "GeLU"))
    assert "fall into two groups" in said
    assert "one of them most common at 25–50 % of max" in said


def test_what_the_layer_norm_lifts_is_measured_against_the_top(page: NeuronPage) -> None:
    version = left_of(page)

    def lifted_to(post: float) -> str:
        examples = tuple(
            replace(one, values=one.values | {"post": (post,) * len(one.tokens)})
            if one.band == "lifted"
            else replace(one, values=one.values | {"post": (2.0,) * len(one.tokens)})
            for one in version.examples
        )
        return " ".join(unshown(replace(version, examples=examples), "GeLU"))

    n_top = sum(one.band == "top" for one in version.examples)
    assert "to a post of 1.00, below all its top examples (from 2.00)." in lifted_to(1.0)
    assert f"to a post of 3.00, as high as {n_top} of its {n_top} top examples." in lifted_to(3.0)
    right = page.versions.right
    assert right is not None
    assert "LayerNorm" not in " ".join(unshown(right, "SoLU"))


def test_without_evidence_nothing_is_said_of_it(page: NeuronPage) -> None:
    assert unshown(replace(left_of(page), evidence=None), "GeLU") == []


def test_what_it_responds_to_is_counted(page: NeuronPage) -> None:
    version = left_of(page)
    top = [one for one in version.examples if one.band == "top"]

    def of(tokens: list[str]) -> str:
        examples = tuple(
            replace(one, tokens=(token,), focus=0) for one, token in zip(top, tokens, strict=False)
        )
        return responds(replace(version, examples=examples))

    assert of(["a"] * 6) == "one token in all 6 top examples"
    assert of(list("abcdef")) == "6 different tokens in 6 top examples"
    assert of(list("aaabbc")) == "3 different tokens in 6 top examples, one of them 3 times"
    assert of(list("aabc")) == "3 different tokens in 4 top examples, one of them twice"
    assert of([]) == "No top examples."
