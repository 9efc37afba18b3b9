"""`/{pair}/search`: neurons by name, by token, by label text; `/search` asks every pair."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from server import respond, urls
from server.compose.search import search_page
from server.compose.search_everywhere import search_everywhere_page
from server.compose.search_names import named_neuron
from server.compose.selection import shown_run
from server.errors import BadPage, BadParameter
from server.pages.evidence import SideName
from server.pages.search import By, Found, SearchEverywherePage, SearchPage
from server.routes.parameters import BAD_PARAMETER, NOT_FOUND, UNAVAILABLE, Pair, RunName, TheSite
from server.search_address import Asked
from server.site import Site
from server.token_search import LONGEST_QUERY
from store import runs as run_store

router = APIRouter(responses={**NOT_FOUND, **BAD_PARAMETER, **UNAVAILABLE})

_NAMED: dict[int | str, dict[str, Any]] = {
    303: {"description": "The query is a neuron's name, such as L1N203: to its page."}
}

Text = Annotated[
    str,
    Query(
        alias="q",
        description=f"A neuron's name, a token, or words of labels; {LONGEST_QUERY} characters at "
        "most. Empty: how to search.",
    ),
]


def asked(
    site: TheSite,
    q: Text = "",
    found: Annotated[
        Found | None, Query(alias="in", description="What is listed. Default: where there is any.")
    ] = None,
    token: Annotated[
        int | None, Query(description="A token's id. Default: the query's most frequent token.")
    ] = None,
    by: Annotated[By, Query(description="Versions by their mean or maximum on the token.")] = (
        "mean"
    ),
    side: Annotated[SideName | None, Query(description="Only this side.")] = None,
    layer: Annotated[int | None, Query(description="Only this layer.")] = None,
    page: Annotated[int, Query(description="From 1.")] = 1,
    size: Annotated[int | None, Query(description="Rows on a page, of each side.")] = None,
) -> Asked:
    """The address read. Errors: BadParameter, BadPage."""
    check_length(q)
    if page < 1:
        raise BadPage(f"page is a whole number from 1; {page} is outside.")
    most = site.settings.max_page_size
    if size is not None and not 1 <= size <= most:
        raise BadPage(f"size is a whole number from 1 to {most}; {size} is outside.")
    return Asked(q, found, token, by, side, layer, page, size or min(Asked.size, most))


TheAsked = Annotated[Asked, Depends(asked)]


@router.get("/search.json", summary="A search in every pair")
def everywhere_json(site: TheSite, response: Response, q: Text = "") -> SearchEverywherePage:
    """What each pair's newest run has for a query."""
    check_length(q)
    response.headers["Cache-Control"] = respond.FRESH
    return search_everywhere_page(site, q)


@router.get("/search", include_in_schema=False)
def everywhere(request: Request, site: TheSite, q: Text = "") -> Response:
    check_length(q)
    pairs = run_store.list_pairs(site.engine)
    if len(pairs) == 1:
        return RedirectResponse(
            urls.search(pairs[0].slug, {"q": q}), 303, {"Cache-Control": "no-store"}
        )
    return respond.page(request, "search_everywhere.html", search_everywhere_page(site, q))


@router.get(
    "/{pair}/search.json",
    response_model=SearchPage,
    responses=_NAMED,
    summary="Neurons by name, by token, by label text",
)
def search_json(
    request: Request,
    response: Response,
    site: TheSite,
    pair: Pair,
    of: TheAsked,
    run: RunName = None,
) -> SearchPage | Response:
    """The versions that are highest on a token, or the labels with these words.

    Labels are those of now, so the answer is never cached.
    """
    found = make(request, site, pair, of, run)
    if isinstance(found, str):
        return _leads_to(urls.json_twin(found))
    response.headers["Cache-Control"] = respond.FRESH
    return found


@router.get("/{pair}/search", include_in_schema=False)
def search(
    request: Request, site: TheSite, pair: Pair, of: TheAsked, run: RunName = None
) -> Response:
    found = make(request, site, pair, of, run)
    if isinstance(found, str):
        return _leads_to(found)
    return respond.page(request, "search.html", found)


def make(request: Request, site: Site, pair: str, of: Asked, run: str | None) -> SearchPage | str:
    """The page object of this address, or the address of the neuron that is named."""
    shown = shown_run(site, pair, run)
    pinned = respond.is_pinned(request, shown)
    named = named_neuron(shown, of.query, shown.id if pinned else None)
    if named is not None and of.found is None and of.token is None:
        return named
    return search_page(site, shown, of, pinned)


def check_length(query: str) -> None:
    """Raise BadParameter for a query that is longer than any search here."""
    if len(query) > LONGEST_QUERY:
        raise BadParameter(
            f"A search has {LONGEST_QUERY} characters at most; this one has {len(query)}."
        )


def _leads_to(address: str) -> RedirectResponse:
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})
