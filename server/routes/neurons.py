"""`/{pair}/{layer}/{neuron}`, the side by side."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from server import respond
from server.compose.neuron import View, neuron_page
from server.compose.selection import check_neuron, shown_run
from server.pages.neuron import NeuronPage, SideName, SiteName
from server.routes.parameters import (
    BAD_PARAMETER,
    NOT_FOUND,
    UNAVAILABLE,
    Layer,
    Neuron,
    Pair,
    RunName,
    TheSite,
)
from server.site import Site

router = APIRouter(responses={**NOT_FOUND, **BAD_PARAMETER, **UNAVAILABLE})

Pairing = Annotated[
    Literal["index", "match"],
    Query(description="The other column: the same index, or the anchor's best match."),
]
Anchor = Annotated[SideName, Query(description="With pairing=match: whose best match is shown.")]
ShownSite = Annotated[
    SiteName | None,
    Query(description="The site that the page draws. Default: each version's display site."),
]


@router.get("/{pair}/{layer:int}/{neuron:int}.json", summary="The side by side")
def neuron_json(
    request: Request,
    response: Response,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    pairing: Pairing = "index",
    anchor: Anchor = "left",
    shown_site: Annotated[ShownSite, Query(alias="site")] = None,
    run: RunName = None,
) -> NeuronPage:
    """Both versions with statistics, examples over the whole range, partners and logit effects.

    With `run` the answer is always the same and may be cached; labels are asked for separately.
    """
    page, headers = make(request, site, pair, layer, neuron, View(pairing, anchor, shown_site), run)
    response.headers.update(headers)
    return page


@router.get("/{pair}/{layer:int}/{neuron:int}", include_in_schema=False)
def neuron_html(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    pairing: Pairing = "index",
    anchor: Anchor = "left",
    shown_site: Annotated[ShownSite, Query(alias="site")] = None,
    run: RunName = None,
) -> HTMLResponse:
    page, headers = make(request, site, pair, layer, neuron, View(pairing, anchor, shown_site), run)
    return respond.page(request, "neuron.html", page, headers)


def make(
    request: Request,
    site: Site,
    pair: str,
    layer: int,
    neuron: int,
    view: View,
    run: str | None,
) -> tuple[NeuronPage, dict[str, str]]:
    """The page object with its cache headers. Raises NotModified before anything is made."""
    shown = shown_run(site, pair, run)
    check_neuron(shown, layer, neuron)
    headers = respond.freshness(request, shown)
    pinned = respond.is_pinned(request, shown)
    return neuron_page(site, shown, layer, neuron, view, pinned), headers
