"""From a page object to an answer: HTML through a template, JSON through its declared type.

    return respond.page(request, "neuron.html", neuron_page, headers)

Pages of a pinned run are kept by the reader's browser for a day and revalidated by an ETag that
is known before the page is made; everything else is asked for anew each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from server.site import TEMPLATES, site_of
from server.static import static_address
from server.template_functions import FILTERS, FUNCTIONS
from store.records import RunRecord

PINNED = "public, max-age=86400"
FRESH = "no-cache"


class NotModified(Exception):
    """The reader has this page already: answered with 304 and these headers."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__("not modified")
        self.headers = dict(headers)


def environment() -> Environment:
    """Templates escape everything that is not marked as safe, and know no undefined name."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["static"] = static_address
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
    """The page object drawn by a template; without `headers` it is asked for anew each time."""
    html = site_of(request).templates.get_template(template).render(page=page_object, **context)
    return HTMLResponse(html, status, dict(headers or {"Cache-Control": FRESH}))


def is_pinned(request: Request, run: RunRecord) -> bool:
    """Whether the address names this very run (a prefix or "latest" may mean another tomorrow)."""
    return request.query_params.get("run") == run.id


def freshness(request: Request, run: RunRecord) -> dict[str, str]:
    """Cache headers of a page of `run`. Raises NotModified when the reader has it already.

    The ETag is weak (the body may be compressed) and made of what decides on the page: the
    address, the run with its stages, and the build of this server.
    """
    if not is_pinned(request, run):
        return {"Cache-Control": FRESH}
    address = f"{request.url.path}?{request.url.query}"
    parts = (site_of(request).build, run.id, *run.stages, address)
    etag = 'W/"' + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20] + '"'
    headers = {"Cache-Control": PINNED, "ETag": etag}
    known = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in known or etag.removeprefix("W/") in known or "*" in known:
        raise NotModified(headers)
    return headers
