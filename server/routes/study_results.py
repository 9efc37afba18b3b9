"""`/studies/{slug}/results` and the ratings as a file: both only once the study is closed."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from server import access, respond
from server.compose.study_results import closed_study, results_of
from server.pages.study_results import StudyResultsPage
from server.routes.parameters import UNAVAILABLE, TheSite
from server.routes.study_parameters import STUDY_ANSWERS, Slug
from server.study_files import COLUMNS, about, rows
from server.table_files import KINDS
from store import studies as study_store

router = APIRouter(responses={**STUDY_ANSWERS, **UNAVAILABLE})

Ending = Annotated[Literal["csv", "jsonl", "parquet"], Path(description="The kind of file.")]


@router.get("/studies/{slug}/results.json", summary="Results of a closed study")
def results_json(
    request: Request, response: Response, site: TheSite, slug: Slug
) -> StudyResultsPage:
    """Shares, differences, falls between conditions, agreement, what raters find of what is known.

    403 until the study is closed, for its owner, too.
    """
    response.headers["Cache-Control"] = respond.FRESH
    return results_of(site, slug, access.person(request))


@router.get("/studies/{slug}/results", include_in_schema=False)
def results(request: Request, site: TheSite, slug: Slug) -> HTMLResponse:
    return respond.page(
        request, "study_results.html", results_of(site, slug, access.person(request))
    )


@router.get(
    "/studies/{slug}/ratings.{ending}",
    response_class=StreamingResponse,
    summary="Ratings of a closed study as a file",
)
def ratings(request: Request, site: TheSite, slug: Slug, ending: Ending) -> StreamingResponse:
    """A row an answer, each rater's last of each card; raters by pseudonym. 403 until closed."""
    study = closed_study(site, slug, access.person(request))
    table = rows(
        study, study_store.items(site.engine, slug), study_store.ratings(site.engine, slug)
    )
    make, media_type = KINDS[ending]
    return StreamingResponse(
        make(COLUMNS, [table], about(study)),
        media_type=media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{slug}-ratings.{ending}"',
            "Link": '</definitions>; rel="describedby"',
            "Cache-Control": respond.FRESH,
        },
    )
