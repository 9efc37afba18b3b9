"""`/{pair}/{layer}/{neuron}`, the side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter

from server import respond
from server.blind.closed import in_own_thread
from server.compose.neuron import View, neuron_page
from server.compose.selection import check_neuron, shown_run
from server.example_drawing import example_values
from server.kept_pages import Made, answer
from server.pages.evidence import SideName, SiteName
from server.pages.neuron import NeuronPage
from server.public_address import base_address
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
from store import searches
from store.engine import one_snapshot

_JSON = TypeAdapter(NeuronPage)

router = APIRouter(responses={**NOT_FOUND, **BAD_PARAMETER, **UNAVAILABLE})


async def _view(
    pairing: Annotated[
        Literal["index", "match"],
        Query(description="The other column: the same index, or the anchor's best match."),
    ] = "index",
    anchor: Annotated[
        SideName, Query(description="With pairing=match: whose best match is shown.")
    ] = "left",
    site: Annotated[
        SiteName | None,
        Query(description="The site that the page draws. Default: each version's display site."),
    ] = None,
    sense: Annotated[
        str | None,
        Query(
            pattern=r"^(left|right):\d{1,3}(,(left|right):\d{1,3})?$",
            description="Draw only the examples of these senses: “left:0”, or “left:0,right:1”.",
        ),
    ] = None,
    examples: Annotated[
        Literal["all"] | None,
        Query(description="“all”: the page draws all examples. Default: the first of each band."),
    ] = None,
) -> View:
    return View(pairing, anchor, site, sense, examples)


#: The state of a neuron's page in its address, for all that is made of the page.
TheView = Annotated[View, Depends(_view)]


@router.get(
    "/{pair}/{layer:int}/{neuron:int}.json",
    response_model=NeuronPage,
    summary="The side by side",
)
@in_own_thread
def neuron_json(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    view: TheView,
    run: RunName = None,
) -> Response:
    """Both versions with statistics, examples over the whole range, partners and logit effects.

    With `run` the answer is always the same and may be cached; labels are asked for separately.
    """

    def made(page: NeuronPage) -> bytes:
        return _JSON.dump_json(page)

    return _kept(request, site, pair, (layer, neuron), view, run, made, "application/json")


@router.get("/{pair}/{layer:int}/{neuron:int}", include_in_schema=False)
@in_own_thread
def neuron_html(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    view: TheView,
    run: RunName = None,
) -> Response:
    def made(page: NeuronPage) -> bytes:
        return respond.drawn_for_all(request, "neuron.html", page).encode()

    return _kept(request, site, pair, (layer, neuron), view, run, made, "text/html")


@router.get("/{pair}/{layer:int}/{neuron:int}/values.json", include_in_schema=False)
@in_own_thread
def neuron_values(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    view: TheView,
    run: RunName = None,
) -> Response:
    """What the popovers of the page's tokens read, asked for by the page once it is needed: values
    in steps, for people. The page's JSON has the values themselves."""

    def made(page: NeuronPage) -> bytes:
        return json.dumps(example_values(page.versions.by_side()), separators=(",", ":")).encode()

    return _kept(request, site, pair, (layer, neuron), view, run, made, "application/json")


def _kept(
    request: Request,
    site: Site,
    pair: str,
    place: tuple[int, int],
    view: View,
    run: str | None,
    body: Callable[[NeuronPage], bytes],
    media_type: str,
) -> Response:
    """The page from memory, or made: a search for substitutions that was published since, which
    may be of this neuron, has it made anew."""
    with one_snapshot(site.engine):
        shown = shown_run(site, pair, run)
        searched = searches.count(site.engine, shown.id)
    check_neuron(shown, *place)
    pinned, base = respond.is_pinned(request, shown), base_address(request)

    def make() -> Made:
        page = neuron_page(site, shown, *place, view, pinned, base)
        return Made(body(page), media_type, (base, *later_states(page)))

    return answer(request, shown, (base, searched), make)


def make(
    request: Request,
    site: Site,
    pair: str,
    layer: int,
    neuron: int,
    view: View,
    run: str | None,
) -> tuple[NeuronPage, dict[str, str]]:
    """The page object with its cache headers. Raises NotModified where the reader has it.

    A version's search for substitutions is published after the run's stages, by itself, so the
    page is made before it is known to be the same.
    """
    shown = shown_run(site, pair, run)
    check_neuron(shown, layer, neuron)
    pinned, base = respond.is_pinned(request, shown), base_address(request)
    page = neuron_page(site, shown, layer, neuron, view, pinned, base)
    return page, respond.freshness(request, shown, [base, *later_states(page)])


def later_states(page: NeuronPage) -> list[str | None]:
    """When each column's substitutions were searched for, None: not yet."""
    found = (page.versions.left, page.versions.right)
    searches = (
        None if version.evidence is None else version.evidence.search
        for version in found
        if version is not None
    )
    return [
        None if search is None or not search.searched else str(search.created_at)
        for search in searches
    ]
