"""`/{pair}/{layer}/{neuron}/labels`: read them, add one by a form or by JSON."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from server import access, error_responses, respond, urls
from server.compose.labels import add_label, labels_page
from server.compose.selection import check_neuron, shown_run
from server.errors import BadLabel
from server.pages.errors import ErrorPage
from server.pages.labels import LabelCreated, LabelsPage
from server.routes.bodies import read_body
from server.routes.parameters import (
    BAD_PARAMETER,
    NOT_FOUND,
    UNAVAILABLE,
    Annotator,
    Layer,
    Neuron,
    Pair,
    RunName,
    TheSite,
)
from server.site import Site
from store.records import Side, Verdict

router = APIRouter(responses={**NOT_FOUND, **BAD_PARAMETER, **UNAVAILABLE})

DESCRIPTION_LENGTH = 500

#: An address within the site: no scheme, no host, nothing that a browser could read as one.
WAY_BACK = re.compile(r"/[a-z0-9][A-Za-z0-9/?&=.,:_~%#+-]*", re.ASCII)


class Label(BaseModel):
    """A label as it is sent. `run` is the run that was looked at, `back` where a form returns."""

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    description: str = Field("", max_length=DESCRIPTION_LENGTH)
    confidence: int | None = Field(None, ge=1, le=5)
    run: str | None = Field(None, max_length=64)
    back: str | None = Field(None, max_length=3000, description="Forms only.")
    key: str | None = Field(
        None,
        max_length=64,
        description="What you call this label: sent again with the same key it is kept once.",
    )

    @field_validator("confidence", "run", "back", "key", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("description", mode="before")
    @classmethod
    def _one_kind_of_newline(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return value.replace("\r\n", "\n").strip()


class LabelBody(Label):
    """A label of a neuron's version."""

    side: Side


async def read_label(request: Request) -> LabelBody:
    """The label of a version in the request's body. Errors: BadLabel, UnreadableBody."""
    return await read_body(request, LabelBody, BadLabel, "A label")


@router.get("/{pair}/{layer:int}/{neuron:int}/labels.json", summary="Labels of a neuron")
def labels_json(
    request: Request,
    response: Response,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    side: Annotated[Side | None, Query(description="Only this side.")] = None,
    run: RunName = None,
) -> LabelsPage:
    """Both versions' counts and history, as they are now."""
    response.headers["Cache-Control"] = "no-store"
    return make(request, site, pair, layer, neuron, side, run)


@router.get("/{pair}/{layer:int}/{neuron:int}/labels", include_in_schema=False)
def labels_html(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    side: Side | None = None,
    run: RunName = None,
    fragment: Literal["1"] | None = None,
) -> Response:
    """The page, or with `?fragment=1` what a page of a neuron loads into itself."""
    return respond.page(
        request,
        "labels.html",
        make(request, site, pair, layer, neuron, side, run),
        {"Cache-Control": "no-store"},
        fragment=fragment is not None,
    )


def make(
    request: Request,
    site: Site,
    pair: str,
    layer: int,
    neuron: int,
    side: Side | None,
    run: str | None,
) -> LabelsPage:
    """The page object of this address."""
    shown = shown_run(site, pair, run)
    check_neuron(shown, layer, neuron)
    return labels_page(
        site,
        shown,
        layer,
        neuron,
        side,
        respond.is_pinned(request, shown),
        access.labelling_as(request),
    )


ANSWERS: dict[int | str, dict[str, Any]] = {
    303: {"description": "After an HTML form: back to the page."},
    401: {"model": ErrorPage, "description": "Nobody is logged in."},
    403: {"model": ErrorPage, "description": "From another site, no CSRF token, or no annotator."},
    413: {"model": ErrorPage, "description": "The body is too large."},
    415: {"model": ErrorPage, "description": "The body is neither a form nor JSON."},
}


def body_described(model: type[Label]) -> dict[str, Any]:
    """The body of a label for the OpenAPI document."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
                for kind in ("application/json", "application/x-www-form-urlencoded")
            },
        }
    }


@router.post(
    "/{pair}/{layer:int}/{neuron:int}/labels",
    status_code=201,
    response_model=LabelCreated,
    summary="Label a version",
    responses=ANSWERS,
    openapi_extra=body_described(LabelBody),
)
def add(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    person: Annotator,
    label: Annotated[LabelBody, Depends(read_label)],
) -> Any:
    """Append a label to the version's history; the annotator's latest counts."""
    shown = shown_run(site, pair, label.run)
    check_neuron(shown, layer, neuron)
    created = add_label(
        site,
        person,
        shown,
        label.side,
        layer,
        neuron,
        label.verdict,
        label.description,
        label.confidence,
        label.key,
    )
    if error_responses.wants_json(request):
        return created
    return RedirectResponse(way_back(pair, label.back, urls.neuron(pair, layer, neuron)), 303)


def way_back(pair: str, asked: str | None, otherwise: str) -> str:
    """Where a form returns: the page it names, if that is one of this pair's or a queue, else the
    labelled."""
    if asked and WAY_BACK.fullmatch(asked) and asked.startswith((f"/{pair}/", "/labels")):
        return asked
    return otherwise
