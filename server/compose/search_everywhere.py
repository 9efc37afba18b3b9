"""A search that names no pair: what each pair's newest run has for it."""

from __future__ import annotations

from server import urls
from server.compose.search import search_page
from server.compose.search_names import named_neuron
from server.errors import NeuronNotFound
from server.pages.fields import Link
from server.pages.search import PairHits, SearchEverywherePage
from server.search_address import Asked
from server.site import Site
from store import runs as run_store
from store.records import RunRecord


def search_everywhere_page(site: Site, query: str) -> SearchEverywherePage:
    """`/search`."""
    pairs = []
    for pair in run_store.list_pairs(site.engine):
        run = run_store.latest_run(site.engine, pair.slug)
        if run is not None:
            pairs.append(_pair_hits(site, run, query))
    return SearchEverywherePage(
        query=query,
        pairs=tuple(pairs),
        json_href=urls.json_twin(urls.search_everywhere(query)),
    )


def _pair_hits(site: Site, run: RunRecord, query: str) -> PairHits:
    slug = run.pair.slug
    page = search_page(site, run, Asked(query=query, size=1), pinned=False)
    return PairHits(
        pair=slug,
        pair_name=run.pair.name,
        run=run.id,
        href=urls.search(slug, {"q": query}),
        neuron=_neuron(run, query),
        exact=page.exact,
        n_containing=page.n_containing,
        n_labels=page.n_labels,
        labels_href=urls.search(slug, {"q": query, "in": "labels"}),
    )


def _neuron(run: RunRecord, query: str) -> Link | None:
    try:
        named = named_neuron(run, query, None)
    except NeuronNotFound:
        return None
    return None if named is None else Link(named, query.strip().upper())
