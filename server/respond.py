"""From a page object to an answer: HTML through a template, JSON through its declared type.

    return respond.page(request, "neuron.html", neuron_page, headers)

Pages of a pinned run have an ETag. Once all that they will ever show is published they are kept by
the reader's browser for a day; as long as a stage is to come they are revalidated each time (a
short answer, while nothing changed). Everything else is asked for anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import TypeAdapter

from server import access
from server.site import TEMPLATES, site_of
from server.static import plotly_styles, static_address
from server.template_functions import FILTERS, FUNCTIONS
from server.templating import PageEnvironment
from store.records import RunRecord

PINNED = "public, max-age=86400"
FRESH = "no-cache"
#: Stages after which a run's pages change no more.
STAGES = frozenset({"statistics", "evidence"})


class NotModified(Exception):
    """The reader has this page already: answered with 304 and these headers."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__("not modified")
        self.headers = dict(headers)


def environment() -> Environment:
    """Templates escape everything that is not marked as safe, and know no undefined name."""
    templates = PageEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        auto_reload=False,  # `build_hash` has been taken of what they are as the server starts
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["static"] = static_address
    templates.globals["plotly_styles"] = plotly_styles
    templates.globals.update(FUNCTIONS)
    templates.filters.update(FILTERS)
    return templates


def page(
    request: Request,
    template: str,
    page_object: object,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
    **context: Any,
) -> HTMLResponse:
    """The page object drawn by a template; without `headers` it is asked for anew each time.

    A page with an `ETag` is the same for everybody and may be kept by a cache, so nothing of
    whoever asks gets into it.
    """
    kept = dict(headers or {"Cache-Control": FRESH})
    draw = drawn_for_all if "ETag" in kept else drawn
    return HTMLResponse(draw(request, template, page_object, **context), status, kept)


def json_answer(kind: type, page_object: object, headers: Mapping[str, str]) -> Response:
    """The page object as JSON of its declared type, for answers that set cookies, too."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    body = adapter.dump_json(page_object)
    return Response(body, media_type="application/json", headers=dict(headers))


def drawn(request: Request, template: str, page_object: object, **context: Any) -> str:
    """The page object drawn by a template for whoever asks.

    Templates get `person` (None: nobody), `team` (whether there are accounts), `csrf_token` and
    `csrf_field()`; see `server.access`.
    """
    token = access.csrf_token(request)
    return _drawn(
        request,
        template,
        page=page_object,
        person=access.person(request),
        csrf_token=token,
        csrf_field=lambda: access.csrf_field(token) if token else "",
        **context,
    )


def drawn_for_all(request: Request, template: str, page_object: object, **context: Any) -> str:
    """The page object drawn the same for everybody: `person` is None and there is no token."""
    nobody: dict[str, Any] = {"person": None, "csrf_token": "", "csrf_field": lambda: ""}
    return _drawn(request, template, page=page_object, **nobody, **context)


def _drawn(request: Request, template: str, **context: Any) -> str:
    site = site_of(request)
    team = site.settings.mode == "team"
    return site.templates.get_template(template).render(team=team, **context)


def is_pinned(request: Request, run: RunRecord) -> bool:
    """Whether the address names this very run (a prefix or "latest" may mean another tomorrow)."""
    return request.query_params.get("run") == run.id


def freshness(request: Request, run: RunRecord, later: Iterable[str | None] = ()) -> dict[str, str]:
    """Cache headers of a page of `run`. Raises NotModified when the reader has it already.

    `later` names the states of what comes to this page after the run's stages (None: not there
    yet). The ETag is weak (the body may be compressed) and made of what decides on the page: the
    address, the run with its stages, `later`, and the build of this server.
    """
    if not is_pinned(request, run):
        return {"Cache-Control": FRESH}
    states = list(later)
    address = f"{request.url.path}?{request.url.query}"
    parts = (site_of(request).build, run.id, *run.stages, *(state or "" for state in states))
    etag = 'W/"' + hashlib.sha256("\n".join((*parts, address)).encode()).hexdigest()[:20] + '"'
    complete = set(run.stages) >= STAGES and None not in states
    headers = {"Cache-Control": PINNED if complete else FRESH, "ETag": etag}
    known = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in known or etag.removeprefix("W/") in known or "*" in known:
        raise NotModified(headers)
    return headers
