"""`/studies`, `/studies/new`, `/studies/{slug}`: make a study, read it, start it, close it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from server import access, error_responses, respond, urls
from server.blind import protocol as protocols
from server.compose import studies as composed
from server.compose import study_new
from server.errors import BadStudy
from server.pages.studies import (
    NewStudyPage,
    ProtocolView,
    StudiesPage,
    StudyCreated,
    StudyForm,
    StudyPage,
)
from server.routes.bodies import described, read_body
from server.routes.parameters import BAD_PARAMETER, UNAVAILABLE, Owner, TheSite
from server.routes.study_parameters import STUDY_ANSWERS, Slug
from store import studies as study_store
from store.studies import LONGEST_SLUG, LONGEST_TEXT, LONGEST_TITLE
from store.study_records import Assignment

router = APIRouter(responses={**STUDY_ANSWERS, **BAD_PARAMETER, **UNAVAILABLE})

NO_STORE = {"Cache-Control": "no-store"}

_Like = Annotated[
    str | None, Query(max_length=80, description="A study whose settings to begin with.")
]


class StudyBody(BaseModel):
    """The settings of a new study; what is left out has the form's default."""

    model_config = ConfigDict(extra="forbid")

    run: str = Field(max_length=64, description="The run's id, or a unique prefix.")
    title: str = Field(max_length=LONGEST_TITLE)
    slug: str = Field("", max_length=LONGEST_SLUG, description="Default: made from the title.")
    question: str = Field("", max_length=LONGEST_TEXT)
    rule: str = Field("", max_length=LONGEST_TEXT)
    layers: str = Field("all", max_length=400, description="“all”, or numbers and commas.")
    neurons: int = Field(60, ge=1, le=5_000, description="Neurons per version.")
    conditions: str = Field("top,range,silent", max_length=40)
    snippets: int = Field(20, ge=5, le=20)
    repeat_share: float = Field(0.1, ge=0, le=0.5)
    planted_share: float = Field(0.1, ge=0, le=0.5)
    raters: int = Field(3, ge=1, le=50)
    assignment: Assignment = "between"
    seed: int | None = Field(None, ge=0, lt=2**53)

    @field_validator("seed", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("slug")
    @classmethod
    def _a_slug(cls, value: str) -> str:
        if value and (study_store.SLUG.fullmatch(value) is None or value in study_new.RESERVED):
            raise ValueError("lower-case letters, digits and single hyphens are needed")
        return value

    @field_validator("question", "rule", "title")
    @classmethod
    def _text(cls, value: str) -> str:
        return re.sub(r"\r\n?", "\n", value).strip()

    def form(self) -> StudyForm:
        """As the page has it."""
        return StudyForm(**self.model_dump())


async def read_study(request: Request) -> StudyBody:
    """The settings in the request's body. Errors: BadStudy, UnreadableBody."""
    return await read_body(request, StudyBody, BadStudy, "A study")


@router.get("/studies.json", summary="All studies")
def studies_json(request: Request, response: Response, site: TheSite) -> StudiesPage:
    """Studies, the newest first; drafts are shown to owners alone."""
    response.headers.update(NO_STORE)
    return composed.studies_page(site, access.person(request))


@router.get("/studies", include_in_schema=False)
def studies_html(request: Request, site: TheSite) -> HTMLResponse:
    page = composed.studies_page(site, access.person(request))
    return respond.page(request, "studies.html", page, NO_STORE)


@router.post(
    "/studies",
    status_code=201,
    response_model=StudyCreated,
    summary="Make a draft of a study",
    openapi_extra=described(StudyBody),
)
def create(
    request: Request,
    site: TheSite,
    person: Owner,
    sent: Annotated[StudyBody, Depends(read_study)],
) -> Any:
    """Nothing is drawn and nobody can rate until it is started."""
    return _answer(request, study_new.create(site, sent.form(), person))


@router.get("/studies/new.json", summary="The form of a new study")
def new_json(
    request: Request, response: Response, site: TheSite, _: Owner, like: _Like = None
) -> NewStudyPage:
    """What settings (query parameters as a new study's) come to: cards, minutes, power."""
    response.headers.update(NO_STORE)
    return study_new.new_page(site, _form(request), like)


@router.get("/studies/new", include_in_schema=False)
def new_html(request: Request, site: TheSite, _: Owner, like: _Like = None) -> HTMLResponse:
    page = study_new.new_page(site, _form(request), like)
    return respond.page(request, "study_new.html", page, NO_STORE)


@router.get("/studies/{slug}.json", summary="One study")
def study_json(request: Request, response: Response, site: TheSite, slug: Slug) -> StudyPage:
    """Protocol, sizes, power, and how far raters are; raters read it without what would unblind."""
    response.headers.update(NO_STORE)
    return composed.study_page(site, slug, access.person(request))


@router.get("/studies/{slug}", include_in_schema=False)
def study_html(request: Request, site: TheSite, slug: Slug) -> HTMLResponse:
    page = composed.study_page(site, slug, access.person(request))
    return respond.page(request, "study.html", page, NO_STORE)


@router.get("/studies/{slug}/protocol.json", summary="The protocol of a study")
def protocol_json(request: Request, response: Response, site: TheSite, slug: Slug) -> ProtocolView:
    """All that was fixed before the study began; while it runs, without what would unblind."""
    response.headers.update(NO_STORE)
    return composed.protocol_of(site, slug, access.person(request))


@router.get("/studies/{slug}/protocol.txt", include_in_schema=False)
def protocol_text(request: Request, site: TheSite, slug: Slug) -> PlainTextResponse:
    view = composed.protocol_of(site, slug, access.person(request))
    return PlainTextResponse(protocols.as_text(view), headers=NO_STORE)


@router.get("/studies/{slug}/frozen.json", summary="All that was frozen")
def frozen(request: Request, site: TheSite, slug: Slug) -> Response:
    """Design, seed, cards and orders, once the study is closed; the SHA-256 of this very file is
    the study's `frozen_sha256`."""
    body = composed.frozen_file(site, slug, access.person(request))
    named = {"Content-Disposition": f'attachment; filename="{slug}-frozen.json"'}
    return Response(body, media_type="application/json", headers={**NO_STORE, **named})


@router.post(
    "/studies/{slug}/start", response_model=StudyCreated, summary="Freeze and start a study"
)
def start(request: Request, site: TheSite, _: Owner, slug: Slug) -> Any:
    """Draw neurons, make cards and orders, freeze them all: nothing of it changes any more."""
    return _answer(request, composed.start(site, slug))


@router.post("/studies/{slug}/close", response_model=StudyCreated, summary="Close a study")
def close(request: Request, site: TheSite, _: Owner, slug: Slug) -> Any:
    """Nobody rates any more; results and cards are shown to everybody."""
    return _answer(request, composed.created(study_store.close(site.engine, slug)))


@router.post("/studies/{slug}/discard", status_code=204, summary="Throw a draft away")
def discard(request: Request, site: TheSite, _: Owner, slug: Slug) -> Response:
    """Remove a study that has not been started."""
    study_store.discard(site.engine, slug)
    if error_responses.wants_json(request):
        return Response(status_code=204)
    return RedirectResponse(urls.studies(), 303)


def _answer(request: Request, done: StudyCreated) -> Any:
    if error_responses.wants_json(request):
        return done
    return RedirectResponse(done.href, 303)


def _form(request: Request) -> StudyForm | None:
    """The settings in the address; None when there are none. Errors: BadStudy."""
    given = {name: value for name, value in request.query_params.items() if name != "like"}
    given.pop(access.CSRF_FIELD, None)
    if not given:
        return None
    try:
        return StudyBody.model_validate({"title": "", "run": "", **given}).form()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the settings"
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise BadStudy(f"{place}: {reason}.", urls.study_new()) from error
