"""`/`, `/definitions` and `/healthz`."""

from __future__ import annotations

import dataclasses

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from server import respond
from server.compose.home import home_page
from server.definitions import DEFINITIONS
from server.pages.definitions import DefinitionsPage, DefinitionView
from server.pages.health import HealthPage
from server.pages.home import HomePage
from server.routes.parameters import UNAVAILABLE, TheSite
from server.version import version
from store import runs as run_store
from store import schema

router = APIRouter()


@router.get("/index.json", responses=UNAVAILABLE, summary="Pairs, runs, precomputes under way")
def home_json(site: TheSite, response: Response) -> HomePage:
    """What there is: each pair with its newest run, all runs, and what is being computed."""
    response.headers["Cache-Control"] = respond.FRESH
    return home_page(site)


@router.get("/", include_in_schema=False)
def home(request: Request, site: TheSite) -> HTMLResponse:
    return respond.page(request, "home.html", home_page(site))


def definitions_page() -> DefinitionsPage:
    """Every definition that pages show."""
    return DefinitionsPage(
        tuple(
            DefinitionView(key=key, **dataclasses.asdict(definition))
            for key, definition in DEFINITIONS.items()
        )
    )


@router.get("/definitions.json", summary="What each quantity means")
def definitions_json(response: Response) -> DefinitionsPage:
    """The definition behind each number that a page shows."""
    response.headers["Cache-Control"] = respond.FRESH
    return definitions_page()


@router.get("/definitions", include_in_schema=False)
def definitions(request: Request) -> HTMLResponse:
    return respond.page(request, "definitions.html", definitions_page())


@router.get("/healthz", responses=UNAVAILABLE, summary="Is the server up, with its database?")
def healthz(site: TheSite, response: Response) -> HealthPage:
    """200 when the database answers and has this program's tables, else 503."""
    response.headers["Cache-Control"] = "no-store"
    schema.must_be_current(site.engine)
    return HealthPage(status="ok", version=version(), runs=len(run_store.list_runs(site.engine)))
