"""`/{pair}/{layer}/invisible`, one candidate of it, and labels of one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from server import access, error_responses, respond, urls
from server.compose.candidate_labels import add_candidate_label, candidate_labels_page
from server.compose.invisible import candidate_page, check_layer, invisible_page
from server.compose.selection import shown_run
from server.errors import BadLabel
from server.pages.invisible import (
    CandidateLabelCreated,
    CandidateLabelsPage,
    CandidatePage,
    InvisiblePage,
)
from server.routes.bodies import read_body
from server.routes.labels import ANSWERS, Label, body_described, way_back
from server.routes.parameters import (
    BAD_PARAMETER,
    NOT_FOUND,
    UNAVAILABLE,
    Annotator,
    Layer,
    Pair,
    RunName,
    TheSite,
)
from server.site import Site
from store.records import RunRecord, Side

router = APIRouter(responses={**NOT_FOUND, **BAD_PARAMETER, **UNAVAILABLE})

Candidate = Annotated[int, Path(description="The candidate's number in its layer, from 0.")]


class CandidateLabelBody(Label):
    """A label of a candidate. A candidate is of one side, so `side` may be left out."""

    side: Side | None = None


async def read_label(request: Request) -> CandidateLabelBody:
    """The label of a candidate in the request's body. Errors: BadLabel, UnreadableBody."""
    return await read_body(request, CandidateLabelBody, BadLabel, "A label")


def _shown(site: Site, pair: str, layer: int, run: str | None) -> RunRecord:
    shown = shown_run(site, pair, run)
    check_layer(shown, layer)
    return shown


@router.get("/{pair}/{layer:int}/invisible.json", summary="Candidate invisible features")
def invisible_json(
    request: Request,
    response: Response,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    run: RunName = None,
) -> InvisiblePage:
    """The candidates of both versions of a layer, and what was searched for them."""
    page, headers = make(request, site, pair, layer, run)
    response.headers.update(headers)
    return page


@router.get("/{pair}/{layer:int}/invisible", include_in_schema=False)
def invisible_html(
    request: Request, site: TheSite, pair: Pair, layer: Layer, run: RunName = None
) -> HTMLResponse:
    page, headers = make(request, site, pair, layer, run)
    return respond.page(request, "invisible.html", page, headers)


def make(
    request: Request, site: Site, pair: str, layer: int, run: str | None
) -> tuple[InvisiblePage, dict[str, str]]:
    """The list with its cache headers. Raises NotModified before anything is made."""
    shown = _shown(site, pair, layer, run)
    headers = respond.freshness(request, shown)
    return invisible_page(site, shown, layer, respond.is_pinned(request, shown)), headers


@router.get("/{pair}/{layer:int}/invisible/{k:int}.json", summary="One candidate")
def candidate_json(
    request: Request,
    response: Response,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    k: Candidate,
    run: RunName = None,
) -> CandidatePage:
    """Contexts over the range of its projection, carriers and logit effects.

    With `run` the answer is always the same and may be cached; labels are asked for separately.
    """
    page, headers = make_candidate(request, site, pair, layer, k, run)
    response.headers.update(headers)
    return page


@router.get("/{pair}/{layer:int}/invisible/{k:int}", include_in_schema=False)
def candidate_html(
    request: Request, site: TheSite, pair: Pair, layer: Layer, k: Candidate, run: RunName = None
) -> HTMLResponse:
    page, headers = make_candidate(request, site, pair, layer, k, run)
    return respond.page(request, "candidate.html", page, headers)


def make_candidate(
    request: Request, site: Site, pair: str, layer: int, k: int, run: str | None
) -> tuple[CandidatePage, dict[str, str]]:
    """The candidate with its cache headers. Raises NotModified before anything is made."""
    shown = _shown(site, pair, layer, run)
    headers = respond.freshness(request, shown)
    return candidate_page(site, shown, layer, k, respond.is_pinned(request, shown)), headers


@router.get("/{pair}/{layer:int}/invisible/{k:int}/labels.json", summary="Labels of a candidate")
def labels_json(
    request: Request,
    response: Response,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    k: Candidate,
    run: RunName = None,
) -> CandidateLabelsPage:
    """Counts and history, as they are now."""
    response.headers["Cache-Control"] = "no-store"
    return make_labels(request, site, pair, layer, k, run)


@router.get("/{pair}/{layer:int}/invisible/{k:int}/labels", include_in_schema=False)
def labels_html(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    k: Candidate,
    run: RunName = None,
    fragment: Literal["1"] | None = None,
) -> HTMLResponse:
    """The page, or with `?fragment=1` what a candidate's page loads into itself."""
    return respond.page(
        request,
        "candidate_labels.html",
        make_labels(request, site, pair, layer, k, run),
        {"Cache-Control": "no-store"},
        fragment=fragment is not None,
    )


def make_labels(
    request: Request, site: Site, pair: str, layer: int, k: int, run: str | None
) -> CandidateLabelsPage:
    """The page object of this address."""
    shown = _shown(site, pair, layer, run)
    pinned = respond.is_pinned(request, shown)
    return candidate_labels_page(site, shown, layer, k, pinned, access.labelling_as(request))


@router.post(
    "/{pair}/{layer:int}/invisible/{k:int}/labels",
    status_code=201,
    response_model=CandidateLabelCreated,
    summary="Label a candidate",
    responses=ANSWERS,
    openapi_extra=body_described(CandidateLabelBody),
)
def add(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    k: Candidate,
    person: Annotator,
    label: Annotated[CandidateLabelBody, Depends(read_label)],
) -> Any:
    """Append a label to the candidate's history; the annotator's latest counts.

    Labels belong to the direction (its fingerprint), so they outlive the run; `run` says in which
    run `k` is to be looked up (default: the newest).
    """
    shown = _shown(site, pair, layer, label.run)
    created = add_candidate_label(
        site,
        person,
        shown,
        layer,
        k,
        label.side,
        label.verdict,
        label.description,
        label.confidence,
    )
    if error_responses.wants_json(request):
        return created
    return RedirectResponse(way_back(pair, label.back, urls.candidate(pair, layer, k)), 303)
