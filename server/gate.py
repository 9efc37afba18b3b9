"""Team mode's gate: whose session a request has, and what it must bring to change anything.

It stands before all routes, so that no route can forget it:

- the session of the cookie is looked up, and its account is the request's person;
- unless reading is public, nobody without a session gets further than the login;
- a request that changes something needs a session and its token, `csrf` in a form or the header
  `X-CSRF-Token`; the login form needs the token of the visit that it was shown to.

What a form sent is kept while it is refused, so that it can be sent again after logging in.
"""

from __future__ import annotations

import hmac
import threading
from dataclasses import replace
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import cookies, error_responses
from server.access import (
    CSRF_FIELD,
    CSRF_HEADER,
    SCOPE_KEY,
    Access,
    Person,
    Sent,
    log_in_to,
)
from server.cookies import SESSION, VISIT, Signer
from server.errors import CsrfMissing, PageError
from server.settings import Settings
from store import sessions, site_secret
from store.engine import Engine
from store.errors import StoreError

#: What everybody gets, whether or not reading is public.
OPEN = ("/login", "/login.json", "/healthz")
STATIC = "/static/"

_HARMLESS = ("GET", "HEAD", "OPTIONS")
_FORM = "application/x-www-form-urlencoded"


class Gate:
    """ASGI middleware; within the guard, which has limited the body and looked at the origin."""

    def __init__(self, app: ASGIApp, settings: Settings, engine: Engine) -> None:
        self.app = app
        self.settings = settings
        self.engine = engine
        self._lock = threading.Lock()
        self._signer: Signer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or self.settings.mode != "team"
            or scope["path"].startswith(STATIC)
        ):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            found = await run_in_threadpool(self._look, request)
        except StoreError as error:
            answer = error_responses.answer(request, error_responses.translate(error))
            await answer(scope, receive, send)
            return
        scope[SCOPE_KEY] = found
        if scope["method"] not in _HARMLESS:
            body = await request.body()
            receive = _again(body, receive)
            found = replace(found, sent=_sent(request, body))
            scope[SCOPE_KEY] = found
        refused = self._refusal(request, found)
        if refused is not None:
            await error_responses.answer(request, refused)(scope, receive, send)
            return
        await self.app(scope, receive, self._private(send))

    def _look(self, request: Request) -> Access:
        """Who asks, by the cookie of a session; else the visit's token, for the login form."""
        signer = self.signer()
        token = signer.token(request, SESSION)
        if token is not None:
            session_id = cookies.session_id(token)
            found = sessions.find(self.engine, session_id)
            if found is not None:
                person = Person.of(found.name, found.role)
                return Access(signer, person, signer.csrf(token), session_id)
        visit = signer.token(request, VISIT)
        return Access(signer, None, "" if visit is None else signer.csrf(visit), None)

    def signer(self) -> Signer:
        """What signs cookies; the secret is read once."""
        with self._lock:
            if self._signer is None:
                kept = b"" if self.settings.secret else site_secret.load(self.engine)
                self._signer = cookies.signer(self.settings, kept)
            return self._signer

    def _refusal(self, request: Request, found: Access) -> PageError | None:
        """Why the request gets no further."""
        path, harmless = request.url.path, request.method in _HARMLESS
        if found.person is None:
            if not harmless and path != "/login":
                return log_in_to(request, "do this")
            if harmless and path not in OPEN and not self.settings.public_reading:
                return log_in_to(request, "read here")
        if harmless:
            return None
        given = request.headers.get(CSRF_HEADER) or (found.sent.token if found.sent else "")
        if found.csrf and hmac.compare_digest(given.encode(), found.csrf.encode()):
            return None
        return CsrfMissing(
            "This was sent without the token of your session, or with an older one.",
            "Send it again from the page that is shown now.",
        )

    def _private(self, send: Send) -> Send:
        """`send` that lets no shared cache keep what only those who are logged in may read."""
        if self.settings.public_reading:
            return send

        async def send_private(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "public" in headers.get("cache-control", ""):
                    headers["Cache-Control"] = "private, no-cache"
            await send(message)

        return send_private


def _sent(request: Request, body: bytes) -> Sent | None:
    """What a form sent; None for what is no form."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != _FORM:
        return None
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=1000)
    except (UnicodeDecodeError, ValueError):
        return None
    token = next((value for name, value in pairs if name == CSRF_FIELD), "")
    fields = tuple((name, value) for name, value in pairs if name != CSRF_FIELD)
    return Sent(request.url.path, fields, token)


def _again(body: bytes, receive: Receive) -> Receive:
    """`receive` that gives the body that was read, then what comes after it."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_again
