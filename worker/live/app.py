"""The live worker's HTTP app: one question, one answer, and never a traceback.

    POST /texts     a `question.Question` as JSON → a `question.Answer`
    GET  /healthz   {"status": "ok", "loading": false, "taken": 0}

It is for servers, not for browsers: whatever a page sends is refused, and so is a name that is not
the worker's own (a foreign one that resolves to this machine could reach it otherwise). An error
is {"error": {status, code, message, hint}}.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from worker.live.errors import (
    BodyTooLarge,
    Busy,
    ForeignAsker,
    LiveError,
    Loading,
    TooSlow,
    WrongKind,
)
from worker.live.question import Answer, Question, read_question
from worker.live.turns import Deadline, Turns

log = logging.getLogger("twinscope.worker")

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
MAX_BODY_BYTES = 64 * 1024

_ANSWER = TypeAdapter(Answer)


class Answerer(Protocol):
    """What answers questions, one at a time. `loading`: models or libraries are on their way."""

    loading: bool

    def __call__(self, question: Question, deadline: Deadline) -> Answer: ...

    def prepare(self) -> None:
        """Whatever the first question would otherwise wait for."""


class Models:
    """The answerer over pairs on this machine. torch is loaded by `prepare`, not before."""

    def __init__(self, directories: Mapping[str, Path], device: str = "auto") -> None:
        self._directories = dict(directories)
        self._device = device
        self.loading = True

    def prepare(self) -> None:
        """Load torch, and check the device. Raises DeviceError."""
        self.loading = True
        try:
            from worker.live import forward
            from worker.live.loaded import LoadedPairs

            self._answer = forward.answer_text
            self._pairs = LoadedPairs(self._directories, self._device)
        finally:
            self.loading = False

    def __call__(self, question: Question, deadline: Deadline) -> Answer:
        if not hasattr(self, "_pairs"):
            self.prepare()
        self.loading = True
        try:
            pair = self._pairs.get(question)
        finally:
            self.loading = False
        deadline.check()
        return self._answer(pair, question, deadline)


def create_app(
    answerer: Answerer,
    *,
    turns: Turns | None = None,
    allowed_hosts: Collection[str] = LOOPBACK_HOSTS,
) -> Starlette:
    """The app over an answerer, which is prepared in the background once the app has started."""
    taking = turns or Turns()

    @asynccontextmanager
    async def prepared(_: Starlette) -> AsyncIterator[None]:
        taking.begin(answerer.prepare)
        yield
        taking.close()

    async def texts(request: Request) -> Response:
        try:
            _refuse(request, allowed_hosts)
            question = read_question(await _body(request))
            return _json(await _answered(answerer, taking, question))
        except LiveError as error:
            return _fault(error)
        except Exception:
            log.exception("A text could not be answered")
            return _internal()

    async def health(request: Request) -> Response:
        try:
            _refuse(request, allowed_hosts)
        except LiveError as error:
            return _fault(error)
        return JSONResponse(
            {"status": "ok", "loading": answerer.loading, "taken": taking.taken},
            headers={"Cache-Control": "no-store"},
        )

    async def elsewhere(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        fault = LiveError(f"{request.method} {request.url.path[:100]}: {error.detail}")
        fault.status, fault.code = error.status_code, "route_not_found"
        return _fault(fault)

    return Starlette(
        routes=[
            Route("/texts", texts, methods=["POST"]),
            Route("/healthz", health, methods=["GET"]),
        ],
        exception_handlers={HTTPException: elsewhere},
        lifespan=prepared,
    )


async def _answered(answerer: Answerer, turns: Turns, question: Question) -> Answer:
    try:
        return await turns.take(lambda deadline: answerer(question, deadline))
    except (Busy, TooSlow) as error:
        if answerer.loading:
            raise Loading(
                "The live worker is still loading the models", "try again in a few seconds"
            ) from error
        raise


def _refuse(request: Request, allowed_hosts: Collection[str]) -> None:
    """Raise ForeignAsker for a name that is not ours, and for what a page in a browser sent."""
    host = request.headers.get("host", "")
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        name = ""
    if name not in allowed_hosts:
        raise ForeignAsker(
            f"The live worker does not answer to the name “{host[:100]}”",
            "name it in the worker's TWINSCOPE_ALLOWED_HOSTS",
        )
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        raise ForeignAsker("The live worker answers servers, not pages", "ask the site instead")


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise WrongKind("A question is JSON", "send it as application/json")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"A question has at most {MAX_BODY_BYTES // 1024} KiB")
    return body


def _json(answer: Answer) -> Response:
    return Response(
        _ANSWER.dump_json(answer),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _fault(error: LiveError) -> Response:
    headers = {"Cache-Control": "no-store"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    words = {
        "status": error.status,
        "code": error.code,
        "message": f"{error.message}.",
        "hint": error.hint or None,
    }
    return JSONResponse({"error": words}, error.status, headers)


def _internal() -> Response:
    error = LiveError("Something went wrong at the live worker that nobody foresaw")
    error.status, error.code = 500, "internal_error"
    return _fault(error)
