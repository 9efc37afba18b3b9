"""A layer's candidate invisible features: the list of both versions, and one of them."""

from __future__ import annotations

from server import invisible_words, urls
from server.compose.contexts import band_views, context_view
from server.compose.labels import model_of
from server.compose.pair_links import pair_links, stage_view, version_names
from server.compose.selection import check_neuron
from server.errors import CandidateNotFound
from server.pages.fields import Link
from server.pages.invisible import (
    CandidatePage,
    CandidateSides,
    CarrierView,
    InvisiblePage,
    ListedView,
    SearchView,
    SideCandidates,
)
from server.site import Site
from server.token_text import token_string
from store import evidence
from store.evidence import ListedCandidate, ShownCandidate
from store.evidence_records import CandidateSearchRecord
from store.records import RunRecord, Side
from store.types import LARGEST_INTEGER

#: Carriers that a row of the list names.
LISTED_CARRIERS = 5


def check_layer(run: RunRecord, layer: int) -> None:
    """Raise NeuronNotFound unless the run's models have this layer."""
    check_neuron(run, layer, 0)


def invisible_page(site: Site, run: RunRecord, layer: int, pinned: bool) -> InvisiblePage:
    """`/{pair}/{layer}/invisible`."""
    slug, run_id = run.pair.slug, run.id if pinned else None
    names, stage = version_names(run), stage_view(site, run)
    sides: dict[str, SideCandidates] = {}
    if stage.published:
        found = evidence.candidates(site.engine, run.id, layer)
        searches = {
            one.side: one
            for one in evidence.candidate_searches(site.engine, run.id)
            if one.layer == layer
        }
        vocabulary = site.vocabulary(run.id)
        for side in _sides(run):
            search = searches.get(side)
            sides[side] = SideCandidates(
                side=side,
                act_fn=model_of(run, side).act_fn,
                name=names[side],
                search=None if search is None else search_view(search, names[side]),
                candidates=tuple(
                    listed_view(one, slug, run_id, vocabulary)
                    for one in found
                    if one.record.side == side
                ),
            )
    return InvisiblePage(
        pair=slug,
        pair_name=run.pair.name,
        run=run.id,
        pinned=pinned,
        permalink=urls.invisible(slug, layer, run.id),
        layer=layer,
        left_act_fn=run.pair.left.act_fn,
        right_act_fn=None if run.pair.right is None else run.pair.right.act_fn,
        stage=stage,
        versions=CandidateSides(sides.get("left"), sides.get("right")),
        links=pair_links(run, pinned, "invisible", layer),
        json_href=urls.json_twin(urls.invisible(slug, layer, run_id)),
    )


def _sides(run: RunRecord) -> tuple[Side, ...]:
    return ("left",) if run.pair.right is None else ("left", "right")


def search_view(search: CandidateSearchRecord, name: str) -> SearchView:
    """What was searched, in numbers and in words."""
    return SearchView(
        n_tokens=search.n_tokens,
        orphan_share=search.orphan_share,
        n_tried=search.n_tried,
        n_kept=search.n_kept,
        text=invisible_words.search_text(
            name, search.n_tokens, search.orphan_share, search.n_tried, search.n_kept
        ),
    )


def carrier_views(
    carriers: tuple[tuple[int, float], ...], slug: str, layer: int, run_id: str | None
) -> tuple[CarrierView, ...]:
    """Neurons with their shares, largest first."""
    return tuple(
        CarrierView(
            neuron=neuron,
            name=urls.neuron_name(layer, neuron),
            href=urls.neuron(slug, layer, neuron, run=run_id),
            share=share,
        )
        for neuron, share in carriers
    )


def listed_view(
    listed: ListedCandidate, slug: str, run_id: str | None, vocabulary: list[bytes]
) -> ListedView:
    """A row of the list."""
    one = listed.record
    return ListedView(
        k=listed.k,
        name=urls.candidate_name(one.layer, listed.k),
        href=urls.candidate(slug, one.layer, listed.k, run_id),
        effect=one.effect,
        random_quantile=one.random_quantile,
        random_median=one.random_median,
        participation=one.participation,
        token_share=one.token_share,
        carriers=carrier_views(one.carriers[:LISTED_CARRIERS], slug, one.layer, run_id),
        context=None if listed.best is None else context_view("top", 0, listed.best, vocabulary),
    )


def shown_candidate(site: Site, run: RunRecord, layer: int, k: int) -> ShownCandidate:
    """The candidate of this number. Raises CandidateNotFound."""
    slug = run.pair.slug
    stage = stage_view(site, run)
    if not stage.published:
        raise CandidateNotFound(
            f"Run {run.id} of {slug} has no evidence stage, so no candidates.", stage.command
        )
    shown = evidence.candidate(site.engine, run.id, layer, k) if k <= LARGEST_INTEGER else None
    if shown is None:
        last = len(evidence.candidates(site.engine, run.id, layer)) - 1
        first = urls.candidate_name(layer, 0)
        there_are = f"{first} to {urls.candidate_name(layer, last)}" if last >= 0 else "none"
        raise CandidateNotFound(
            f"Layer {layer} of {slug} has no candidate {urls.candidate_name(layer, k)}; "
            f"there are: {there_are}.",
            urls.invisible(slug, layer),
        )
    return shown


def candidate_page(site: Site, run: RunRecord, layer: int, k: int, pinned: bool) -> CandidatePage:
    """`/{pair}/{layer}/invisible/{k}`."""
    slug, run_id = run.pair.slug, run.id if pinned else None
    shown = shown_candidate(site, run, layer, k)
    one, names = shown.record, version_names(run)
    vocabulary = site.vocabulary(run.id)
    contexts = tuple(
        context_view(band, rank, context, vocabulary)
        for band, of_band in shown.contexts.items()
        for rank, context in enumerate(of_band)
    )
    listed = evidence.candidates(site.engine, run.id, layer)
    other = "right" if one.side == "left" else "left"
    name = names[one.side]

    def named(effects: tuple[tuple[int, float], ...]) -> tuple[tuple[str, float], ...]:
        return tuple((token_string(vocabulary[token]), effect) for token, effect in effects)

    def at(number: int) -> str:
        return urls.candidate(slug, layer, number, run_id)

    return CandidatePage(
        pair=slug,
        pair_name=run.pair.name,
        run=run.id,
        pinned=pinned,
        permalink=urls.candidate(slug, layer, k, run.id),
        layer=layer,
        k=k,
        name=urls.candidate_name(layer, k),
        side=one.side,
        act_fn=model_of(run, one.side).act_fn,
        side_name=name,
        other_name=names.get(other),
        rank=one.rank,
        fingerprint=one.fingerprint,
        direction=tuple(float(str(part)) for part in one.direction),
        summary=invisible_words.candidate_text(
            layer=layer,
            name=name,
            effect=one.effect,
            random_quantile=one.random_quantile,
            random_median=one.random_median,
            participation=one.participation,
            token_share=one.token_share,
        ),
        effect=one.effect,
        random_quantile=one.random_quantile,
        random_median=one.random_median,
        participation=one.participation,
        token_share=one.token_share,
        carriers=carrier_views(one.carriers, slug, layer, run_id),
        other_carriers=carrier_views(one.other_carriers, slug, layer, run_id),
        promoted=named(one.promoted),
        suppressed=named(one.suppressed),
        bands=band_views(contexts),
        contexts=contexts,
        list_href=urls.invisible(slug, layer, run_id),
        siblings=tuple(
            Link(
                at(sibling.k),
                str(sibling.k),
                f"{urls.candidate_name(layer, sibling.k)}, {names[sibling.record.side]}",
                sibling.k == k,
            )
            for sibling in listed
        ),
        previous=at(k - 1) if k > 0 else None,
        next=at(k + 1) if k + 1 < len(listed) else None,
        labels_action=urls.candidate_labels(slug, layer, k),
        labels_href=urls.candidate_labels(slug, layer, k, run_id),
        links=pair_links(run, pinned, "invisible", layer),
        json_href=urls.json_twin(at(k)),
    )
