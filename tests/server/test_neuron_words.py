"""The sentences of a neuron page follow its numbers: they change with them and claim no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from server.compose.neuron import View, neuron_page
from server.compose.neuron_evidence import hidden_comparison, layer_quantile
from server.neuron_words import compared, hidden_method, responds, unshown
from server.pages.evidence import HiddenView, SiteName
from server.pages.examples import Examples, ExampleView
from server.pages.lazy import ValueRows
from server.pages.neuron import NeuronPage, Versions, VersionView
from store.histogram_edges import N_BINS, bin_index
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
    changed = with_hidden(left_of(page), share=share, layer_median=0.4, layer_quantile=0.5)
    said = of_effect(changed)
    assert said.startswith(f"{word} of its effect ({100 * share:.3g}")
    assert said.endswith(
        "exact) lies outside its strongest 0.1 % of tokens: as usual in its layer (median 40.0 %)."
    )
    changes = {"method": "estimate", "error": 0.091, "layer_median": None, "layer_quantile": None}
    estimated = of_effect(with_hidden(left_of(page), share=share, **changes))
    assert "estimate ± 9.1 points" in estimated
    assert "layer" not in estimated


def of_effect(version: VersionView) -> str:
    return next(one.text for one in unshown(version, "GeLU") if "of its effect" in one.text)


def texts(version: VersionView) -> str:
    return " ".join(one.text for one in unshown(version, "GeLU"))


def with_score(version: VersionView, **changes: Any) -> VersionView:
    assert version.evidence is not None
    assert version.evidence.polysemanticity is not None
    found = replace(version.evidence.polysemanticity, **changes)
    return replace(version, evidence=replace(version.evidence, polysemanticity=found))


@pytest.mark.parametrize(
    ("quantile", "words", "unusual"),
    [
        (1.0, "more than in any other of its layer", True),
        (0.967, "more than in 96 % of its layer", True),
        (0.9, "as usual in its layer", False),
        (0.1, "as usual in its layer", False),
        (0.034, "less than in 96 % of its layer", True),
        (0.0, "less than in any other of its layer", True),
    ],
)
def test_only_what_is_unusual_in_its_layer_stands_out(
    page: NeuronPage, quantile: float, words: str, unusual: bool
) -> None:
    version = with_score(
        with_hidden(left_of(page), share=0.7, layer_median=0.4, layer_quantile=quantile),
        score=0.5,
        layer_quantile=0.5,
    )
    said = next(one for one in unshown(version, "GeLU") if "of its effect" in one.text)
    assert words in said.text
    assert said.unusual is unusual


def test_the_most_unusual_comes_first(page: NeuronPage) -> None:
    def first(share_at: float, score_at: float) -> str:
        version = with_hidden(left_of(page), share=0.7, layer_quantile=share_at)
        return unshown(with_score(version, score=0.7, layer_quantile=score_at), "GeLU")[0].text

    assert "of its effect" in first(0.97, 0.95)
    assert "strong contexts" in first(0.95, 0.97)
    assert "strong contexts" in first(0.95, 0.01)
    assert "of its effect" in first(0.6, 0.8), "neither is unusual"


def test_the_words_for_a_score_agree_with_the_senses_shown(page: NeuronPage) -> None:
    one_sense = replace(left_of(page), senses=left_of(page).senses[:1])
    high = texts(with_score(one_sense, score=0.84, layer_quantile=0.88))
    assert "are spread out, but in one group (heuristic score 0.84, as usual in its layer)" in high
    low = texts(with_score(one_sense, score=0.4, layer_quantile=0.05))
    assert "form one group (heuristic score 0.40, lower than 95 % of its layer)" in low
    assert "form one group (heuristic score 0.40)." in texts(
        with_score(one_sense, score=0.4, layer_quantile=None)
    )


def test_a_place_in_the_layer_counts_the_others() -> None:
    assert layer_quantile(0.3, (0.1, 0.2, 0.3, 0.4, 0.5)) == 0.5
    assert layer_quantile(0.5, (0.1, 0.5)) == 1.0
    assert layer_quantile(0.1, (0.1, 0.1, 0.1)) == 0.5
    assert layer_quantile(0.3, (0.3,)) is None
    assert layer_quantile(None, (0.1, 0.2)) is None
    assert layer_quantile(0.3, (0.1, 0.2)) is None, "not of this layer"


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
        layer_quantile=None,
        check=None,
    )
    assert hidden_method(hidden) == "estimate, its error not measured"
    assert hidden_method(replace(hidden, error=0.12)) == "estimate ± 12.0 points"


def test_senses_candidates_and_counterexamples_are_counted(page: NeuronPage) -> None:
    version = left_of(page)
    assert version.evidence is not None
    said = texts(version)
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
    said = texts(bare)
    assert "in one group" in said or "form one group" in said
    assert "no candidate invisible feature that was found" in said
    assert "none in the corpus; none was searched for by changing tokens" in said
    two = [
        replace(version.senses[0], rank=n, band=band) for n, band in enumerate(("top", "max25-50"))
    ]
    said = texts(replace(version, senses=tuple(two)))
    assert "fall into two groups" in said
    assert "one of them most common at 25–50 % of max" in said


def examples_of(views: Sequence[ExampleView]) -> Examples:
    """Examples that are made already."""

    def at_focus(site: SiteName) -> list[float] | None:
        if any(site not in one.values for one in views):
            return None
        return [one.values[site][one.focus] for one in views]

    return Examples(
        bands=[one.band for one in views],
        ranks=[one.rank for one in views],
        activations=[one.activation for one in views],
        focus=[one.pieces[one.focus] for one in views],
        at_focus=at_focus,
        make=lambda places: [views[n] for n in places],
    )


def test_what_the_layer_norm_lifts_is_said_where_it_matters(page: NeuronPage) -> None:
    version = left_of(page)
    post = version.sites["post"]
    counts = [0] * N_BINS
    counts[int(bin_index([0.5])[0])] = 9_990
    counts[int(bin_index([1.5])[0])] = 10
    sites = version.sites | {
        "post": replace(post, histogram=replace(post.histogram, counts=tuple(counts)))
    }

    def lifted_to(post: float) -> str:
        examples = tuple(
            replace(one, values=ValueRows({**one.values.halves, "post": np.full_like(row, height)}))
            for one in version.examples
            for row, height in [(one.values.halves["post"], post if one.band == "lifted" else 2.0)]
        )
        return texts(replace(version, examples=examples_of(examples), sites=sites))

    n_top = sum(one.band == "top" for one in version.examples)
    assert "LayerNorm" not in lifted_to(0.5)
    assert "strong after it: up to 1.00 at post, higher than 99.9 % of tokens." in lifted_to(1.0)
    assert f"up to 3.00 at post, as high as {n_top} of its {n_top} top examples." in lifted_to(3.0)
    right = page.versions.right
    assert right is not None
    assert "LayerNorm" not in texts(right)


def test_without_evidence_nothing_is_said_of_it(page: NeuronPage) -> None:
    assert unshown(replace(left_of(page), evidence=None), "GeLU") == []


def test_what_it_responds_to_is_counted(page: NeuronPage) -> None:
    version = left_of(page)
    top = [one for one in version.examples if one.band == "top"]

    def of(tokens: list[str]) -> str:
        examples = tuple(
            replace(one, pieces=(token.encode(),), focus=0)
            for one, token in zip(top, tokens, strict=False)
        )
        return responds(replace(version, examples=examples_of(examples)))

    assert of(["a"] * 6) == "one token in all 6 top examples"
    assert of(list("abcdef")) == "6 different tokens in 6 top examples"
    assert of(list("aaabbc")) == "3 different tokens in 6 top examples, one of them 3 times"
    assert of(list("aabc")) == "3 different tokens in 4 top examples, one of them twice"
    assert of([]) == "No top examples."
