"""The outermost layer: headers on every answer, foreign hosts and origins refused, no traceback.

Local mode has no login, so a page of another site must not reach it: a request must address one
of our names (else a foreign name that resolves to this machine could read everything), and one
that carries an `Origin` must come from the same host and port (else a foreign form could label).
"""

from __future__ import annotations

import logging
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import error_responses
from server.errors import AddressTooLong, BodyTooLarge, ForeignHost, ForeignOrigin, PageError
from server.settings import Settings

log = logging.getLogger("twinscope.server")

MAX_ADDRESS = 4000
#: A text of one's own stands in its page's address: 2,000 characters of up to 12 bytes each there.
MAX_LIVE_ADDRESS = 26_000

#: Of the empty string: Plotly, loaded when a reader explores a figure, adds an empty <style> and
#: fills it through the CSSOM. No rule can be injected through an element without content.
EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"


def policy(frame_ancestors: str = "'none'") -> str:
    """The Content-Security-Policy of an answer that these sites may show in a frame."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' {EMPTY_STYLE}",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            f"frame-ancestors {frame_ancestors}",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


CONTENT_SECURITY_POLICY = policy()

#: The only addresses that another site may show in a frame: nothing there can be changed.
EMBEDDED = re.compile(r"/[^/]+/\d+/\d+/embed")

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware; wraps everything else, the compression too."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False
        bodiless = scope["method"] == "HEAD"
        if bodiless:  # whatever can be read can be asked about: link previews do
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if bodiless and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                if EMBEDDED.fullmatch(scope["path"]):  # errors too, else a frame stays empty
                    headers["Content-Security-Policy"] = policy(self.settings.frame_ancestors)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        request = Request(scope)
        try:
            refused = refusal(Headers(scope=scope), self.settings) or _too_long(scope)
            if refused is not None:
                answer = error_responses.answer(request, refused)
                await answer(scope, receive, send_with_headers)
                return
            limited = _limited(receive, self.settings.max_body_bytes)
            await self.app(scope, limited, send_with_headers)
        except BodyTooLarge as error:
            if started:
                raise
            await error_responses.answer(request, error)(scope, receive, send_with_headers)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if started:
                raise
            answer = error_responses.answer(request, error_responses.unexpected())
            await answer(scope, receive, send_with_headers)


def host_name(netloc: str) -> str:
    """The name of `name:port` in lower case, without the brackets of an IPv6 address."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def refusal(headers: Headers, settings: Settings) -> PageError | None:
    """Why the request is not answered at all, or None: a foreign `Host`, a foreign `Origin`."""
    host = headers.get("host", "")
    if host_name(host) not in settings.allowed_hosts:
        return ForeignHost(
            f"This server does not answer to the name “{host[:100]}”.",
            "Open it as http://localhost, or name it in TWINSCOPE_ALLOWED_HOSTS.",
        )
    origin = headers.get("origin")
    if origin is not None and _netloc(origin) != host.lower():
        return ForeignOrigin(
            f"This request was sent by a page of another site ({origin[:100]}).",
            "Only pages of this server may send requests to it.",
        )
    if origin is None and headers.get("sec-fetch-site") == "cross-site":
        if headers.get("sec-fetch-mode") == "navigate":
            return None
        return ForeignOrigin(
            "This request was sent by a page of another site.",
            "Only pages of this server may send requests to it.",
        )
    return None


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _too_long(scope: Scope) -> PageError | None:
    length = len(scope["raw_path"] or b"") + len(scope["query_string"])
    most = MAX_LIVE_ADDRESS if scope["path"].endswith(("/live", "/live.json")) else MAX_ADDRESS
    if length <= most:
        return None
    return AddressTooLong(f"The address is {length} bytes long; at most {most} are read here.", "/")


def _limited(receive: Receive, limit: int) -> Receive:
    """`receive` that raises BodyTooLarge once more than `limit` bytes of body have come."""
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > limit:
                raise BodyTooLarge(
                    f"The request's body is larger than {limit // 1024} KiB.",
                    "A label's description holds 500 characters.",
                )
        return message

    return receive_limited
