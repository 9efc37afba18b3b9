"""`/labels/queue`: one version after another to label, with the explorer's filters and sort."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from server import error_responses, filters, respond, urls
from server.access import Person
from server.compose.label_queue import place_name, queue_page, read_place
from server.compose.selection import shown_run
from server.errors import BadParameter
from server.pages.labels import QueuePage
from server.routes.bodies import described, read_body
from server.routes.labels import ANSWERS, WAY_BACK
from server.routes.parameters import (
    BAD_PARAMETER,
    NOT_FOUND,
    UNAVAILABLE,
    Annotator,
    RunName,
    TheSite,
    explorer_parameters,
)
from server.site import Site
from store import label_queue
from store.records import Side

router = APIRouter(responses={**NOT_FOUND, **BAD_PARAMETER, **UNAVAILABLE, **ANSWERS})

OfPair = Annotated[str, Query(description="The pair's slug.", alias="pair")]
At = Annotated[str | None, Query(description="This version: “left:L0N17”.")]
But = Annotated[str | None, Query(description="Any but this version, which you have already.")]

_OWN = ("pair", "at", "but", "fragment", "page", "size", "x", "y", "log_x", "log_y", "rows")


def make(
    request: Request,
    site: Site,
    person: Person,
    pair: str,
    at: str | None,
    but: str | None,
    run: str | None,
) -> QueuePage:
    """The page object of this address: what it shows is claimed for whoever asks."""
    shown = shown_run(site, pair, run)
    if request.query_params.get("rows") == "pair":
        raise BadParameter(
            "The queue has a version after another, so rows=pair has no meaning here.",
            urls.label_queue({"pair": pair}),
        )
    given = [one for one in request.query_params.multi_items() if one[0] not in _OWN]
    selection = filters.read(given, site.settings.max_page_size)
    return queue_page(
        site,
        person,
        shown,
        selection,
        respond.is_pinned(request, shown),
        read_place(shown, at) if at else None,
        read_place(shown, but) if but else None,
    )


@router.get(
    "/labels/queue.json",
    summary="The next version to label",
    openapi_extra={"parameters": explorer_parameters()},
)
def queue_json(
    request: Request,
    response: Response,
    site: TheSite,
    person: Annotator,
    pair: OfPair,
    at: At = None,
    but: But = None,
    run: RunName = None,
) -> QueuePage:
    """A version that you have not labelled, in the explorer's order; nobody else is given it for
    ten minutes, unless nothing else is left for them."""
    response.headers["Cache-Control"] = "no-store"
    return make(request, site, person, pair, at, but, run)


@router.get("/labels/queue", include_in_schema=False)
def queue_html(
    request: Request,
    site: TheSite,
    person: Annotator,
    pair: OfPair,
    at: At = None,
    but: But = None,
    run: RunName = None,
    fragment: Literal["1"] | None = None,
) -> Response:
    page = make(request, site, person, pair, at, but, run)
    return respond.page(
        request,
        "label_queue.html",
        page,
        {"Cache-Control": "no-store"},
        fragment=fragment is not None,
    )


class Skip(BaseModel):
    """A version to pass over: it comes again after all others."""

    model_config = ConfigDict(extra="forbid")

    pair: str
    side: Side
    layer: int = Field(ge=0, le=9999)
    neuron: int = Field(ge=0, le=999_999_999)
    run: str | None = Field(None, max_length=64)
    back: str | None = Field(None, max_length=3000, description="Forms only.")


async def read_skip(request: Request) -> Skip:
    """The body of a skip. Errors: BadForm, UnreadableBody."""
    return await read_body(request, Skip)


@router.post(
    "/labels/skip",
    status_code=204,
    response_model=None,
    summary="Pass over a version",
    openapi_extra=described(Skip),
)
def skip(
    request: Request,
    site: TheSite,
    person: Annotator,
    sent: Annotated[Skip, Depends(read_skip)],
) -> Any:
    """It is given to others at once, and to you after all that you have not labelled."""
    shown = shown_run(site, sent.pair, sent.run or None)
    place = read_place(shown, place_name((sent.side, sent.layer, sent.neuron)))
    label_queue.skip(site.engine, shown.id, person.name, place)
    if error_responses.wants_json(request):
        return Response(status_code=204)
    back = sent.back if sent.back and WAY_BACK.fullmatch(sent.back) else ""
    return RedirectResponse(back or urls.label_queue({"pair": sent.pair}), 303)
