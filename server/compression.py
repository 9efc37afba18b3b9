"""How answers are compressed: gzip by ISA-L where it is installed, by zlib elsewhere.

    body = gzipped(html)
    app.add_middleware(Compression)

A neuron page takes zlib as long as half of the rest of its making; ISA-L takes a tenth of that, for
a sixth more bytes. Starlette's middleware knows zlib only. What is compressed once and sent often
(scripts, style sheets) is worth zlib's smaller file: see `static`.
"""

from __future__ import annotations

import zlib
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

try:
    from isal import isal_zlib
except ImportError:  # a machine that has no build of it
    isal_zlib = None  # type: ignore[assignment]

_FAST: Any = isal_zlib

_GZIP = 16 + zlib.MAX_WBITS
#: Further levels take several times the time for a hundredth.
_LEVEL, _ZLIB_LEVEL = 2, 5
#: Answers smaller than a packet are sent as they are.
LEAST = 1000
#: Beginnings of the content types that are text, whatever else they are.
_TEXT = ("text/", "application/json", "application/x-ndjson", "application/jsonl", "image/svg")


def gzipped(body: bytes) -> bytes:
    """The body as gzip, the same bytes each time."""
    compressor = _compressor()
    return bytes(compressor.compress(body)) + bytes(compressor.flush())


def accepted(headers: Headers) -> bool:
    """Whether who asks takes gzip."""
    return "gzip" in headers.get("accept-encoding", "")


def _compressor() -> Any:
    if _FAST is not None:
        return _FAST.compressobj(_LEVEL, _FAST.DEFLATED, _GZIP)
    return zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _GZIP)


class Compression:
    """ASGI middleware: text is compressed for who takes it, once."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _Sender(send, accepted(Headers(scope=scope))))


class _Sender:
    """`send` of one answer: its head waits for the first part of its body."""

    def __init__(self, send: Send, accepted: bool) -> None:
        self.send = send
        self.accepted = accepted
        self.head: Message | None = None
        self.compressor: Any = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.head = message
            return
        if self.head is not None:
            head, self.head = self.head, None
            if message["type"] == "http.response.body":
                message = self._begun(head, message)
            await self.send(head)
        elif self.compressor is not None and message["type"] == "http.response.body":
            message = {**message, "body": self._compressed(message)}
        await self.send(message)

    def _begun(self, head: Message, message: Message) -> Message:
        """The first part of the body as it is sent, with the head made to fit."""
        headers = MutableHeaders(raw=head["headers"])
        whole = not message.get("more_body", False)
        if (
            "content-encoding" in headers
            or head["status"] in (204, 206, 304)
            or not headers.get("content-type", "").startswith(_TEXT)
            or (whole and len(message.get("body", b"")) < LEAST)
        ):
            return message
        headers.add_vary_header("Accept-Encoding")
        if not self.accepted:
            return message
        self.compressor = _compressor()
        body = self._compressed(message)
        headers["Content-Encoding"] = "gzip"
        if whole:
            headers["Content-Length"] = str(len(body))
        else:
            del headers["Content-Length"]
        return {**message, "body": body}

    def _compressed(self, message: Message) -> bytes:
        body: bytes = self.compressor.compress(message.get("body", b""))
        if message.get("more_body", False):
            return body + bytes(self.compressor.flush(zlib.Z_SYNC_FLUSH))
        return body + bytes(self.compressor.flush())
