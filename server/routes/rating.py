"""`/studies/{slug}/rate`: begin, look at a card, say what it is, pause, go on.

Whatever a rater's browser gets from here is of one size for all cards, uncompressed, and kept by
nobody. Each form works without JavaScript.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from server import error_responses, respond, urls
from server.blind import card_markup
from server.compose import rating
from server.errors import BadStudy
from server.pages.studies import Rated, RatePage
from server.routes.bodies import described, read_body
from server.routes.parameters import BAD_PARAMETER, UNAVAILABLE, Annotator, TheSite
from server.routes.study_parameters import STUDY_ANSWERS, Slug
from store import raters
from store.raters import LONGEST_RULE
from store.study_records import GivenRating, RatingVerdict

router = APIRouter(responses={**STUDY_ANSWERS, **BAD_PARAMETER, **UNAVAILABLE})

CardName = Annotated[
    str | None, Query(max_length=40, description="A card that was rated before, to correct it.")
]

_PAGE = TypeAdapter(RatePage)


class RatingBody(BaseModel):
    """A rating as it is sent; `card` is the name of the card on the page."""

    model_config = ConfigDict(extra="forbid")

    card: str = Field(max_length=40)
    verdict: RatingVerdict
    rule: str = Field("", max_length=LONGEST_RULE)
    confidence: int | None = Field(None, ge=1, le=5)

    @field_validator("confidence", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("rule", mode="before")
    @classmethod
    def _one_line(cls, value: object) -> object:
        return " ".join(value.split()) if isinstance(value, str) else value


async def read_rating(request: Request) -> RatingBody:
    """The rating in the request's body. Errors: BadStudy, UnreadableBody."""
    return await read_body(request, RatingBody, BadStudy, "A rating")


@router.get(
    "/studies/{slug}/rate.json",
    response_model=RatePage,
    summary="The card before a rater",
)
def rate_json(site: TheSite, person: Annotator, slug: Slug, card: CardName = None) -> Any:
    """Which card comes next for whoever asks, and what it shows; its clock runs from now."""
    shown = rating.rate_page(site, slug, person, card)
    body = card_markup.as_json(_PAGE.dump_python(shown.page, mode="json"))
    filled = card_markup.filled_up(body, shown.json_fill)
    return Response(filled, media_type="application/json", headers=card_markup.HEADERS)


@router.get("/studies/{slug}/rate", include_in_schema=False)
def rate_html(
    request: Request, site: TheSite, person: Annotator, slug: Slug, card: CardName = None
) -> Response:
    shown = rating.rate_page(site, slug, person, card)
    html = respond.drawn(request, "rate.html", shown.page).encode()
    filled = card_markup.filled_up(html, shown.html_fill)
    return Response(filled, media_type="text/html", headers=card_markup.HEADERS)


@router.post(
    "/studies/{slug}/rate",
    status_code=201,
    response_model=Rated,
    summary="Rate a card",
    openapi_extra=described(RatingBody),
)
def rate(
    request: Request,
    site: TheSite,
    person: Annotator,
    slug: Slug,
    sent: Annotated[RatingBody, Depends(read_rating)],
) -> Any:
    """Keep what a rater says of a card; the last rating of a card counts, all are kept."""
    given = GivenRating(sent.verdict, sent.rule, sent.confidence)
    rated = rating.rate(site, slug, person, sent.card, given)
    if error_responses.wants_json(request):
        return rated
    return RedirectResponse(urls.study_rate(slug), 303)


@router.post("/studies/{slug}/begin", status_code=204, summary="Begin to rate a study")
def begin(request: Request, site: TheSite, person: Annotator, slug: Slug) -> Response:
    """Take a place in the study; from now on the neurons on its cards are closed to the rater."""
    rating.join(site, slug, person)
    return _done(request, slug)


@router.post("/studies/{slug}/pause", status_code=204, summary="Stop the clock")
def pause(request: Request, site: TheSite, person: Annotator, slug: Slug) -> Response:
    """Stop the clock of the card before the rater."""
    raters.pause(site.engine, slug, person.name)
    return _done(request, slug)


@router.post("/studies/{slug}/resume", status_code=204, summary="Let the clock run on")
def resume(request: Request, site: TheSite, person: Annotator, slug: Slug) -> Response:
    """Go on with the card that was paused."""
    raters.resume(site.engine, slug, person.name)
    return _done(request, slug)


def _done(request: Request, slug: str) -> Response:
    if error_responses.wants_json(request):
        return Response(status_code=204)
    return RedirectResponse(urls.study_rate(slug), 303)
