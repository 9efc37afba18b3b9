"""`/runs` and `/runs/{id}`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse

from server import respond
from server.compose.runs import run_page, runs_page
from server.pages.runs import RunPage, RunsPage
from server.routes.parameters import NOT_FOUND, UNAVAILABLE, TheSite

router = APIRouter(responses=UNAVAILABLE)

RunId = Annotated[str, Path(description="A run's id or a unique prefix of it, or “latest”.")]


@router.get("/runs.json", summary="All runs")
def runs_json(site: TheSite, response: Response) -> RunsPage:
    """Published runs, the newest first, and precomputes that are not done."""
    response.headers["Cache-Control"] = respond.FRESH
    return runs_page(site)


@router.get("/runs", include_in_schema=False)
def runs(request: Request, site: TheSite) -> HTMLResponse:
    return respond.page(request, "runs.html", runs_page(site))


@router.get("/runs/{run_id}.json", responses=NOT_FOUND, summary="One run")
def run_json(site: TheSite, run_id: RunId, response: Response) -> RunPage:
    """Progress, parameters, provenance, held-out losses and problems found in the corpus."""
    response.headers["Cache-Control"] = respond.FRESH
    return run_page(site, run_id)


@router.get("/runs/{run_id}", include_in_schema=False)
def run(request: Request, site: TheSite, run_id: RunId) -> HTMLResponse:
    return respond.page(request, "run.html", run_page(site, run_id))
