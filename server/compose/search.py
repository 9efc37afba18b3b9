"""Search in a pair: tokens and labels that a query means, one of both listed page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from server import urls
from server.compose.labels import model_of
from server.compose.pair_links import pair_links, version_names
from server.compose.search_tokens import TokenAnswer, suggestions, token_answer
from server.compose.selection import check_neuron
from server.errors import BadPage, VersionMissing
from server.number_text import count
from server.pages.evidence import SideName
from server.pages.fields import Link
from server.pages.search import Found, LabelHitView, SearchPage
from server.search_address import Asked
from server.site import Site
from store import search as search_store
from store.records import RunRecord, Side
from store.search import LabelHit

Place = tuple[Side, int]


def search_page(site: Site, run: RunRecord, asked: Asked, pinned: bool) -> SearchPage:
    """`/{pair}/search`. Errors: NeuronNotFound for a layer, VersionMissing for a side that the pair
    does not have, BadParameter for a token, BadPage past the last one."""
    slug, run_id = run.pair.slug, run.id if pinned else None
    _check(run, asked)

    def address(state: Asked, run: str | None = run_id) -> str:
        return urls.search(slug, state.parameters(), run)

    answer = token_answer(site, run, asked, address, run_id)
    places = _label_places(site, run, asked)
    n_labels = sum(places.values())
    found = asked.found or _found(answer, n_labels)
    by_place = places if found == "labels" else answer.places
    chosen = _chosen(by_place, asked)
    # Columns stand beside each other: a page is as long as the longer one.
    total = sum(chosen.values()) if found == "labels" else _longest(chosen)
    n_pages = max(1, -(-total // asked.size))
    if asked.page > n_pages:
        pages = "is one page" if n_pages == 1 else f"are {n_pages} pages"
        raise BadPage(
            f"There {pages}; page {asked.page} does not exist.", address(replace(asked, page=1))
        )
    labels: tuple[LabelHitView, ...] = ()
    if found == "labels" and total:
        labels = _labels(site, run, asked, run_id)

    def at(page: int, there: bool) -> str | None:
        return address(replace(asked, page=page)) if there else None

    page = asked.page
    return SearchPage(
        pair=slug,
        pair_name=run.pair.name,
        run=run.id,
        pinned=pinned,
        permalink=address(asked, run.id),
        left_act_fn=run.pair.left.act_fn,
        right_act_fn=None if run.pair.right is None else run.pair.right.act_fn,
        query=asked.query,
        has_index=answer.has_index,
        found=found,
        found_links=_found_links(answer, n_labels, found, replace(asked, page=1), address),
        exact=answer.exact,
        containing=answer.containing,
        n_containing=answer.n_containing,
        hits=answer.hits if found == "tokens" else None,
        labels=labels,
        n_labels=n_labels,
        layer=asked.layer,
        side=asked.side,
        layer_links=_layer_links(run, by_place, replace(asked, page=1), address),
        side_links=_side_links(run, by_place, replace(asked, page=1), address),
        page=page,
        size=asked.size,
        total=total,
        n_pages=n_pages,
        first_href=at(1, page > 1),
        previous_href=at(page - 1, page > 1),
        next_href=at(page + 1, page < n_pages),
        last_href=at(n_pages, page < n_pages),
        suggestions=() if asked.query else suggestions(site, run, run_id),
        links=pair_links(run, pinned),
        json_href=urls.json_twin(address(asked)),
    )


def _check(run: RunRecord, asked: Asked) -> None:
    if asked.layer is not None:
        check_neuron(run, asked.layer, 0)
    if asked.side == "right" and run.pair.right is None:
        raise VersionMissing(f"{run.pair.slug} has no right model.", urls.explorer(run.pair.slug))


def _found(answer: TokenAnswer, n_labels: int) -> Found:
    """What is listed unless the address says it."""
    has_tokens = answer.has_index and (answer.exact or answer.containing or answer.hits)
    return "labels" if n_labels and not has_tokens else "tokens"


def _label_places(site: Site, run: RunRecord, asked: Asked) -> dict[Place, int]:
    words = search_store.words_of(asked.query)
    return search_store.label_places(site.engine, run.id, words) if words else {}


def _chosen(by_place: Mapping[Place, int], asked: Asked) -> dict[Place, int]:
    """Those of the layer and side that were asked for."""
    return {
        (side, layer): n
        for (side, layer), n in by_place.items()
        if asked.side in (None, side) and asked.layer in (None, layer)
    }


def _longest(by_place: Mapping[Place, int]) -> int:
    sides = {side for side, _ in by_place}
    return max(
        (sum(n for (of, _), n in by_place.items() if of == side) for side in sides), default=0
    )


def _labels(
    site: Site, run: RunRecord, asked: Asked, run_id: str | None
) -> tuple[LabelHitView, ...]:
    hits = search_store.labels(
        site.engine,
        run.id,
        search_store.words_of(asked.query),
        side=asked.side,
        layer=asked.layer,
        page=asked.page,
        size=asked.size,
    )
    return tuple(_label_view(hit, run, run_id) for hit in hits)


def _label_view(hit: LabelHit, run: RunRecord, run_id: str | None) -> LabelHitView:
    slug = run.pair.slug
    if hit.neuron is not None:
        name = urls.neuron_name(hit.layer, hit.neuron)
        href = urls.neuron(slug, hit.layer, hit.neuron, run=run_id)
    else:
        assert hit.k is not None
        name = urls.candidate_name(hit.layer, hit.k)
        href = urls.candidate(slug, hit.layer, hit.k, run_id)
    return LabelHitView(
        side=hit.side,
        layer=hit.layer,
        neuron=hit.neuron,
        k=hit.k,
        name=name,
        href=href,
        act_fn=model_of(run, hit.side).act_fn,
        annotator=hit.annotator,
        verdict=hit.verdict,
        description=hit.description,
        confidence=hit.confidence,
        created_at=hit.created_at,
    )


def _found_links(
    answer: TokenAnswer, n_labels: int, found: Found, first: Asked, address: Callable[[Asked], str]
) -> tuple[Link, ...]:
    tokens = len(answer.exact) + answer.n_containing
    kinds: tuple[tuple[Found, str, str], ...] = (
        ("tokens", f"tokens {count(tokens)}", "tokens of the vocabulary with this text"),
        ("labels", f"labels {count(n_labels)}", "what people wrote about neurons and candidates"),
    )
    whole = replace(first, side=None, layer=None)
    states = {
        "tokens": replace(whole, found="tokens"),
        "labels": replace(whole, found="labels", token=None, by="mean"),
    }
    return tuple(
        Link(address(states[kind]), text, title, kind == found) for kind, text, title in kinds
    )


def _layer_links(
    run: RunRecord, by_place: Mapping[Place, int], first: Asked, address: Callable[[Asked], str]
) -> tuple[Link, ...]:
    def number(layer: int | None) -> int:
        return sum(_chosen(by_place, replace(first, layer=layer)).values())

    choices = [None, *range(run.pair.left.n_layers)]
    return tuple(
        Link(
            address(replace(first, layer=layer)),
            f"{'all' if layer is None else layer} ({count(number(layer))})",
            "all layers" if layer is None else f"layer {layer}",
            layer == first.layer,
        )
        for layer in choices
    )


def _side_links(
    run: RunRecord, by_place: Mapping[Place, int], first: Asked, address: Callable[[Asked], str]
) -> tuple[Link, ...]:
    if run.pair.right is None:
        return ()

    def number(side: SideName | None) -> int:
        return sum(_chosen(by_place, replace(first, side=side)).values())

    names = version_names(run)
    choices: tuple[tuple[SideName | None, str], ...] = (
        (None, "both"),
        ("left", names["left"]),
        ("right", names["right"]),
    )
    return tuple(
        Link(
            address(replace(first, side=side)),
            f"{text} ({count(number(side))})",
            "both versions" if side is None else side,
            side == first.side,
        )
        for side, text in choices
    )
