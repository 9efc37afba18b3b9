"""The application: routes in an order in which none shadows another, behind one guard.

    uvicorn --factory server.app:create_app

Layers from the outside in: guard (headers, hosts, origins, faults), gate (sessions, tokens),
compression, routes.
"""

from __future__ import annotations

from fastapi import Depends, FastAPI, Request, Response

from server import error_responses, respond
from server.blind import closed
from server.compression import Compression
from server.gate import Gate
from server.guard import Guard
from server.routes import (
    accounts,
    docs,
    explorer,
    explorer_downloads,
    home,
    invisible,
    label_list,
    label_queue,
    labels,
    live,
    neurons,
    rating,
    runs,
    search,
    sharing,
    studies,
    study_results,
    tax,
)
from server.settings import Settings
from server.site import STATIC, Site, build_hash
from server.static import PLOTLY, HashedStaticFiles, plotly_response
from server.version import version
from store.engine import Engine, open_engine

DESCRIPTION = (
    "Every page's address with “.json” appended gives the object that the page is drawn from "
    "(the home page's is /index.json). With ?run= an answer is pinned to that run and never "
    "changes. An error is {“error”: {status, code, message, hint}}; its code is for programs."
)


def create_app(settings: Settings | None = None, engine: Engine | None = None) -> FastAPI:
    """The application for a database that is there and current.

    Without `settings` those of the environment hold, without `engine` the settings' database is
    opened. Errors: SettingsError, and store.errors.DatabaseUnreachable or SchemaMismatch.
    """
    settings = settings or Settings.from_environment()
    app = FastAPI(
        title="Twinscope",
        version=version(),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.site = Site(
        settings=settings,
        engine=engine if engine is not None else open_engine(settings.database_url),
        templates=respond.environment(),
        build=build_hash(),
    )
    error_responses.register(app)
    app.add_middleware(Compression)
    app.add_middleware(Gate, settings=settings, engine=app.state.site.engine)
    app.add_middleware(Guard, settings=settings)

    @app.get(f"/static/{PLOTLY}", include_in_schema=False)
    def plotly(request: Request) -> Response:
        return plotly_response(request)

    app.mount("/static", HashedStaticFiles(directory=STATIC, check_dir=False), name="static")
    # A neuron's pages, most of what is asked for, are found first: no other address has two numbers
    # after its first word. Then fixed words: `/{pair}` would take them all. No pair is named by one
    # of them (worker.pairs.RESERVED), and a test holds the two lists together.
    for module in (
        *(neurons, labels, sharing),
        *(home, docs, accounts, runs, studies, rating, study_results),
        *(label_queue, label_list, tax, live, search, invisible),
        explorer_downloads,
        explorer,
    ):
        app.include_router(module.router, dependencies=[Depends(closed.guard)])
    return app
