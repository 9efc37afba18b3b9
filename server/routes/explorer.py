"""`/{pair}`, the explorer, and the two ways out of it: at random, and by name."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import TypeAdapter

from server import filters, respond, urls
from server.blind.closed import in_own_thread, without_labels
from server.compose.explorer import explorer_page, random_address
from server.compose.scatter import scatter_page
from server.compose.selection import shown_run
from server.pages.explorer import ExplorerPage
from server.pages.scatter import ScatterPage
from server.routes.parameters import (
    BAD_PARAMETER,
    NOT_FOUND,
    UNAVAILABLE,
    Pair,
    RunName,
    TheSite,
    explorer_parameters,
    paging_parameters,
    plot_parameters,
)
from server.site import Site
from store.engine import one_snapshot

_SCATTER = TypeAdapter(ScatterPage)

router = APIRouter(responses={**NOT_FOUND, **BAD_PARAMETER, **UNAVAILABLE})


def read_selection(request: Request, site: Site) -> filters.Selection:
    """What the address selects."""
    return filters.read(request.query_params.multi_items(), site.settings.max_page_size)


@router.get(
    "/{pair}/random",
    status_code=307,
    response_class=RedirectResponse,
    summary="One neuron at random",
    openapi_extra={"parameters": explorer_parameters()},
)
def random_neuron(
    request: Request, site: TheSite, pair: Pair, run: RunName = None
) -> RedirectResponse:
    """Leads to one neuron among those that the explorer's filters let through."""
    shown = shown_run(site, pair, run)
    address = random_address(
        site, shown, read_selection(request, site), respond.is_pinned(request, shown)
    )
    return RedirectResponse(address, 307, {"Cache-Control": "no-store"})


@router.get(
    "/{pair}.json",
    summary="The explorer: versions of neurons, filtered and sorted",
    openapi_extra={"parameters": [*explorer_parameters(), *paging_parameters()]},
)
@in_own_thread
def explorer_json(
    request: Request, site: TheSite, pair: Pair, response: Response, run: RunName = None
) -> ExplorerPage:
    """One row a version, or with rows=pair an index with both versions and their difference.

    Labels' counts are those of now, so the answer is never cached.
    """
    response.headers["Cache-Control"] = respond.FRESH
    return make(request, site, pair, run)


@router.get(
    "/{pair}/scatter.json",
    response_model=ScatterPage,
    summary="Two columns of all rows, for a scatter",
    openapi_extra={"parameters": [*explorer_parameters(), *plot_parameters()]},
)
@in_own_thread
def scatter_json(request: Request, site: TheSite, pair: Pair, run: RunName = None) -> Response:
    """At most 100,000 points: of more rows those of the lowest hash of their place."""
    shown = shown_run(site, pair, run)
    selection = read_selection(request, site)
    page = scatter_page(site, shown, selection, respond.is_pinned(request, shown))
    return Response(
        _SCATTER.dump_json(page),
        media_type="application/json",
        headers={"Cache-Control": respond.FRESH},
    )


@router.get("/{pair}", include_in_schema=False)
@in_own_thread
def explorer(request: Request, site: TheSite, pair: Pair, run: RunName = None) -> Response:
    selection = read_selection(request, site)
    if selection.added is not None:
        return _with_added(request, site, pair, run, selection)
    return respond.page(request, "explorer.html", make(request, site, pair, run))


def make(request: Request, site: Site, pair: str, run: str | None) -> ExplorerPage:
    """The page object of this address."""
    with one_snapshot(site.engine):
        shown = shown_run(site, pair, run)
        pinned = respond.is_pinned(request, shown)
        page = explorer_page(site, shown, read_selection(request, site), pinned)
    return without_labels(request, page)


def _with_added(
    request: Request, site: Site, pair: str, run: str | None, selection: filters.Selection
) -> HTMLResponse | RedirectResponse:
    """To the address that holds the filter of the form's three fields like any other."""
    shown = shown_run(site, pair, run)
    assert selection.added is not None
    address = urls.explorer(
        pair,
        {**selection.parameters(paged=False), selection.added.parameter: selection.added.value},
        shown.id if respond.is_pinned(request, shown) else None,
    )
    return RedirectResponse(address, 303)
