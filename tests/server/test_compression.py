"""Answers are compressed once, for those who take it, and are the same when they are unpacked."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from starlette.testclient import TestClient

from server import compression
from server.compression import Compression, gzipped

TEXT = "Twinscope, " * 1000


@pytest.fixture(params=["as installed", "without ISA-L"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    if request.param == "without ISA-L":
        monkeypatch.setattr(compression, "_FAST", None)
    app = FastAPI()
    app.add_middleware(Compression)

    async def parts() -> AsyncIterator[str]:
        for _ in range(3):
            yield TEXT

    app.get("/text")(lambda: PlainTextResponse(TEXT))
    app.get("/short")(lambda: PlainTextResponse("short"))
    app.get("/streamed")(lambda: StreamingResponse(parts(), media_type="text/csv"))
    app.get("/picture")(lambda: Response(TEXT.encode(), media_type="image/png"))
    app.get("/none")(lambda: Response(status_code=304))
    app.get("/done")(
        lambda: Response(
            gzip.compress(TEXT.encode()),
            media_type="text/plain",
            headers={"Content-Encoding": "gzip", "Vary": "Accept-Encoding"},
        )
    )
    return TestClient(app)


@pytest.mark.parametrize(("path", "times"), [("/text", 1), ("/streamed", 3), ("/done", 1)])
def test_text_is_sent_compressed(client: TestClient, path: str, times: int) -> None:
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip, br"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers.get("content-length", str(len(raw))) == str(len(raw))
    assert gzip.decompress(raw).decode() == TEXT * times
    assert len(raw) < len(TEXT) / 10


@pytest.mark.parametrize("path", ["/text", "/streamed"])
def test_who_does_not_take_it_gets_it_as_it_is(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding", "a cache in between must tell them apart"
    assert answer.text.startswith(TEXT)


@pytest.mark.parametrize("path", ["/short", "/picture", "/none"])
def test_what_would_not_get_smaller_is_left_alone(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_the_same_bytes_each_time() -> None:
    once = gzipped(TEXT.encode())
    assert once == gzipped(TEXT.encode())
    assert zlib.decompress(once, 16 + zlib.MAX_WBITS).decode() == TEXT
