"""The one place where exceptions become answers: an error page, or JSON of the same words.

JSON goes to whoever asked for a `.json` address or prefers it by `Accept`; the HTML page is the
answer to everyone else. No answer holds a traceback.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from server import errors, login_answers, respond
from server.pages.errors import ErrorPage, ErrorView
from server.respond import NotModified
from store import errors as store_errors

log = logging.getLogger("twinscope.server")

#: The store's errors, the most special first: (class, the page error that it becomes).
TRANSLATIONS: tuple[tuple[type[store_errors.StoreError], type[errors.PageError]], ...] = (
    (store_errors.DatabaseUnreachable, errors.StoreUnavailable),
    (store_errors.SchemaMismatch, errors.StoreOutdated),
    (store_errors.RunNotFound, errors.RunNotFound),
    (store_errors.AmbiguousRun, errors.RunAmbiguous),
    (store_errors.UnknownColumn, errors.BadFilter),
    (store_errors.InvalidFilter, errors.BadFilter),
    (store_errors.UnknownModel, errors.VersionMissing),
    (store_errors.UnstorableValue, errors.BadParameter),
    (store_errors.KeyTaken, errors.BadLabel),
    (store_errors.StudyNotFound, errors.StudyNotFound),
    (store_errors.StudyExists, errors.StudyConflict),
    (store_errors.StudyFrozen, errors.StudyConflict),
    (store_errors.NotARater, errors.StudyConflict),
    (store_errors.InvalidStudy, errors.BadStudy),
    (store_errors.LabelNotFound, errors.LabelNotFound),
    (store_errors.NotTheirs, errors.Forbidden),
)


def register(app: FastAPI) -> None:
    """Have `app` answer every exception that a route may raise."""

    async def page_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.PageError)
        return answer(request, error)

    async def store_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, store_errors.StoreError)
        return answer(request, translate(error))

    async def not_modified(request: Request, error: Exception) -> Response:
        assert isinstance(error, NotModified)
        return Response(status_code=304, headers=error.headers)

    async def validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(request, bad_parameters(error))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(request, of_http(request, error), error.headers)

    app.add_exception_handler(errors.PageError, page_error)
    app.add_exception_handler(store_errors.StoreError, store_error)
    app.add_exception_handler(NotModified, not_modified)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)


def translate(error: store_errors.StoreError) -> errors.PageError:
    """A fault of the store in the words of a page."""
    for kind, page_error in TRANSLATIONS:
        if isinstance(error, kind):
            if page_error.status == 503:
                log.error("%s", error.message)
            return page_error(error.message, error.hint)
    log.error("The store failed: %s", error.message)
    return unexpected()


def unexpected() -> errors.PageError:
    """What a reader is told about a fault that nobody foresaw; the log holds the rest."""
    error = errors.PageError(
        "Something went wrong here that nobody foresaw.",
        "The server's log holds the reason; the other pages work.",
    )
    error.status, error.code = 500, "internal_error"
    return error


def bad_parameters(
    error: RequestValidationError, of_body: type[errors.PageError] = errors.BadForm
) -> errors.PageError:
    """The first thing wrong with a request's parameters or body, as a sentence."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    name = ".".join(place) or "the request's body"
    reason = str(first["msg"]).removeprefix("Value error, ")
    kind = of_body if first["loc"][0] == "body" else errors.BadParameter
    return kind(f"{name}: {reason}.".replace("..", "."))


def of_http(request: Request, error: HTTPException) -> errors.PageError:
    """An address that leads nowhere (404), a method that it does not take (405), and their like."""
    path = request.url.path
    if error.status_code == 404:
        kind: errors.PageError = errors.PageError(f"There is no page at {path[:200]}.", "/")
        kind.code = "route_not_found"
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow") or "GET"
        kind = errors.PageError(
            f"{path[:200]} does not take {request.method}, only {allowed}.", path[:200]
        )
        kind.code = "method_not_allowed"
    else:
        kind = errors.PageError(str(error.detail) or "The request cannot be answered.")
    kind.status = error.status_code
    return kind


def wants_json(request: Request) -> bool:
    """Whether the asker reads JSON rather than a page.

    The address says so, or JSON was sent, or `Accept` names it before it names a page.
    """
    if request.url.path.endswith(".json") or request.url.path == "/healthz":
        return True
    if request.headers.get("content-type", "").lower().startswith("application/json"):
        return True
    for part in request.headers.get("accept", "").lower().split(","):
        media = part.split(";")[0].strip()
        if media in ("text/html", "application/xhtml+xml"):
            return False
        if media == "application/json":
            return True
    return False


def answer(
    request: Request, error: errors.PageError, headers: Mapping[str, str] | None = None
) -> Response:
    """The error as the asker reads it; never kept by a cache."""
    view = ErrorPage(ErrorView(error.status, error.code, error.message, error.hint))
    kept = {**(headers or {}), "Cache-Control": "no-store", "Vary": "Accept"}
    if error.retry_after is not None:
        kept["Retry-After"] = str(error.retry_after)
    if wants_json(request):
        return JSONResponse(dataclasses.asdict(view), error.status, kept)
    try:
        other = login_answers.instead(request, error)
        if other is not None:
            return other
        return respond.page(request, "error.html", view, kept, error.status)
    except Exception:
        log.exception("The error page itself failed")
        words = error.message if error.hint is None else f"{error.message} {error.hint}"
        return PlainTextResponse(words, error.status, kept)
