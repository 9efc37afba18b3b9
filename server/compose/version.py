"""One version of a neuron as the side by side shows it: statistics, bands, examples, partners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from server import urls
from server.band_titles import band_title
from server.compose.neuron_evidence import evidence_view, sense_views
from server.compose.values import finite
from server.pages.evidence import SiteName
from server.pages.examples import Examples, ExampleView, OtherView
from server.pages.lazy import Pieces, TokenTexts, ValueRows, Wholes, decimals
from server.pages.neuron import (
    BandEdges,
    BandView,
    CorrespondenceView,
    HistogramView,
    LogitEffectsView,
    PartnerView,
    SimilarView,
    SiteView,
    VersionView,
)
from server.token_text import token_string
from store.distributions import HiddenShares
from store.evidence import NeuronEvidence
from store.examples import ShownExamples
from store.histogram_edges import inner_edges
from store.records import (
    BANDS,
    SITES,
    CorrespondenceRecord,
    LogitEffectsRecord,
    NeuronRecord,
    RunRecord,
    ShownExample,
    SiteStatistics,
)

#: band → (definition, bounds as indices into (q50, q90, q99, q999), None is open)
BAND_WORDS: dict[str, tuple[str, int | None, int | None]] = {
    "top": ("The strongest activations, at most one a document.", None, None),
    "q99.9-100": ("Drawn at random from the strongest 0.1 % of the token sample.", 3, None),
    "q99-99.9": ("Drawn between the quantiles 99 % and 99.9 %.", 2, 3),
    "q90-99": ("Drawn between the quantiles 90 % and 99 %.", 1, 2),
    "q50-90": ("Drawn between the median and the quantile 90 %.", 0, 1),
    "q0-50": ("Drawn from below the median.", None, 0),
    "bottom": ("The most negative activations.", None, None),
    "lifted": (
        "The highest after the LayerNorm among tokens whose value before it is below its median.",
        None,
        None,
    ),
}


def version_view(
    *,
    run: RunRecord,
    record: NeuronRecord,
    examples: ShownExamples,
    evidence: NeuronEvidence | None,
    vocabulary: list[bytes],
    opposite: int | None,
    site: SiteName | None,
    sense: int | None,
    sense_hrefs: Sequence[str],
    of_layer: HiddenShares | None,
    scores_of_layer: Sequence[float],
    pinned: bool,
) -> VersionView:
    """`opposite` is the neuron in the other column; `site` and `sense` the ones asked for by the
    address. `evidence` is None until it is published; `sense_hrefs` has one for each sense,
    `of_layer` the hidden shares of its layer, `scores_of_layer` its polysemanticity scores."""
    left = record.side == "left"
    model = run.pair.left if left else run.pair.right
    assert model is not None, "a version of a model that the pair does not have"
    slug, run_id = run.pair.slug, run.id if pinned else None
    name = urls.neuron_name(record.layer, record.neuron)

    def address(layer: int, neuron: int) -> str:
        return urls.neuron(slug, layer, neuron, run=run_id)

    views = example_views(examples, vocabulary, opposite)
    senses = () if evidence is None or evidence.meaning is None else evidence.meaning.senses
    return VersionView(
        side=record.side,
        model=model.name,
        act_fn=model.act_fn,
        weights_sha256=model.weights_sha256,
        layer=record.layer,
        neuron=record.neuron,
        name=name,
        display_site=record.display_site,
        shown_site=site if site in record.sites else record.display_site,
        sites={key: site_view(record.sites[key]) for key in SITES if key in record.sites},
        density=finite(record.density),
        density_threshold=finite(record.density_threshold),
        band_edges=None if record.band_edges is None else BandEdges(*record.band_edges),
        bands=band_views(record, views),
        examples=views,
        senses=sense_views(senses, views, vocabulary, sense_hrefs),
        shown_sense=sense if sense in {one.rank for one in senses} else None,
        logit_effects=logit_effects_view(record.logit_effects, vocabulary),
        evidence=None
        if evidence is None
        else evidence_view(
            run, record, evidence, views, vocabulary, of_layer, scores_of_layer, pinned
        ),
        partners=tuple(
            PartnerView(
                layer=partner.layer,
                neuron=partner.neuron,
                correlation=partner.correlation,
                null=finite(record.correspondence.null),
                mutual=(
                    record.correspondence.mutual
                    if partner.neuron == record.correspondence.best_neuron
                    else None
                ),
                name=urls.neuron_name(partner.layer, partner.neuron),
                href=address(partner.layer, partner.neuron),
            )
            for partner in record.partners
            if partner.kind == "across"
        ),
        similar=tuple(
            SimilarView(
                layer=partner.layer,
                neuron=partner.neuron,
                correlation=partner.correlation,
                name=urls.neuron_name(partner.layer, partner.neuron),
                href=address(partner.layer, partner.neuron),
            )
            for partner in record.partners
            if partner.kind == "within"
        ),
        correspondence=correspondence_view(
            record.correspondence, lambda neuron: address(record.layer, neuron)
        ),
        labels_action=urls.labels(slug, record.layer, record.neuron),
        labels_href=urls.labels(slug, record.layer, record.neuron, side=record.side, run=run_id),
    )


@lru_cache(maxsize=1)
def edges() -> tuple[float, ...]:
    """The inner edges of the histogram's bins, exact in float32 and so in JSON."""
    return tuple(inner_edges().tolist())


def site_view(statistics: SiteStatistics) -> SiteView:
    """Statistics at one site."""
    return SiteView(
        hook_point=statistics.hook_point,
        n=statistics.n,
        mean=finite(statistics.mean),
        std=finite(statistics.std),
        skewness=finite(statistics.skewness),
        kurtosis=finite(statistics.kurtosis),
        min=finite(statistics.min),
        max=finite(statistics.max),
        histogram=HistogramView(edges(), Wholes(statistics.counts)),
    )


def band_views(record: NeuronRecord, examples: Examples) -> tuple[BandView, ...]:
    """Bands in the order in which they are shown; one without examples says so by having none."""
    bounds = record.band_edges
    views = []
    for key in BANDS:
        if key == "lifted" and "mid" not in record.sites:
            continue
        definition, low, high = BAND_WORDS[key]
        views.append(
            BandView(
                key=key,
                title=band_title(key),
                definition=definition,
                low=None if bounds is None or low is None else finite(bounds[low]),
                high=None if bounds is None or high is None else finite(bounds[high]),
                examples=tuple(examples.of_band(key)),
            )
        )
    return tuple(views)


def example_views(
    shown: ShownExamples, vocabulary: Sequence[bytes], opposite: int | None
) -> Examples:
    """All examples of a version, made when they are asked for."""

    def at_focus(site: SiteName) -> list[float] | None:
        halves = shown.at_focus(site)
        return None if halves is None else decimals(halves)

    return Examples(
        bands=shown.bands,
        ranks=shown.ranks,
        activations=shown.activations,
        focus=list(map(vocabulary.__getitem__, shown.focus_tokens)),
        at_focus=at_focus,
        make=lambda places: [example_view(one, vocabulary, opposite) for one in shown.some(places)],
    )


def example_view(
    shown: ShownExample, vocabulary: Sequence[bytes], opposite: int | None
) -> ExampleView:
    """One example with its tokens as bytes and for display."""
    example = shown.example
    pieces = Pieces(shown.tokens, vocabulary)
    return ExampleView(
        band=example.band,
        rank=example.rank,
        document=shown.document_name,
        document_id=example.document,
        source=shown.source,
        window=example.window,
        position=example.position,
        activation=example.activation,
        tokens=TokenTexts(pieces),
        before=TokenTexts(Pieces(shown.before, vocabulary)),
        after=TokenTexts(Pieces(shown.after, vocabulary)),
        focus=shown.focus,
        values=ValueRows(example.values),
        other=other_view(example.layer, shown, opposite),
        pieces=pieces,
    )


def other_view(layer: int, shown: ShownExample, opposite: int | None) -> OtherView | None:
    """The other version's values: of the neuron in the other column where they were kept.

    Kept are those of the same index and of this version's best match; where the other column
    shows a third neuron (a match that is not mutual), the best match's are shown under its name.
    """
    match, same = shown.example.match, shown.example.same_index
    chosen = same if match is None else match
    if chosen is None:
        return None
    if chosen.neuron != opposite and same is not None and same.neuron == opposite:
        chosen = same
    display_site: SiteName = "mid" if "mid" in chosen.values else "post"
    values = ValueRows(chosen.values)
    return OtherView(
        neuron=chosen.neuron,
        name=urls.neuron_name(layer, chosen.neuron),
        shown=chosen.neuron == opposite,
        display_site=display_site,
        activation=values.at(display_site, shown.focus) if display_site in values else None,
        quantile=finite(chosen.quantile),
        values=values,
    )


def logit_effects_view(
    effects: LogitEffectsRecord | None, vocabulary: list[bytes]
) -> LogitEffectsView | None:
    """Promoted and suppressed tokens as display strings."""
    if effects is None:
        return None

    def named(pairs: tuple[tuple[int, float], ...]) -> tuple[tuple[str, float], ...]:
        return tuple((token_string(vocabulary[token]), effect) for token, effect in pairs)

    return LogitEffectsView(
        promoted=named(effects.promoted),
        suppressed=named(effects.suppressed),
        kurtosis=finite(effects.kurtosis),
        skewness=finite(effects.skewness),
    )


def correspondence_view(
    record: CorrespondenceRecord, address: Callable[[int], str]
) -> CorrespondenceView:
    """How strongly the version corresponds to the other model's neurons, with their addresses."""
    best, assigned = record.best_neuron, record.assigned_neuron
    return CorrespondenceView(
        same_index_correlation=finite(record.same_index_correlation),
        same_index_rank=record.same_index_rank,
        best_neuron=record.best_neuron,
        best_correlation=finite(record.best_correlation),
        null=finite(record.null),
        excess=finite(record.excess),
        mutual=record.mutual,
        assigned_neuron=record.assigned_neuron,
        assigned_correlation=finite(record.assigned_correlation),
        best_href=None if best is None else address(best),
        assigned_href=None if assigned is None else address(assigned),
    )
