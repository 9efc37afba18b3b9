"""Live text with every worker that does not answer: a sentence on the page, the JSON's status."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from server import live_client
from server.app import create_app
from server.settings import Settings
from store.engine import Engine, open_engine
from tests import databases
from tests.server.conftest import client_of
from tests.server.live_stand_in import StandIn, nobody, stand_in
from tests.server.test_pages import text_of
from tests.synthetic_run import publish_synthetic


@pytest.fixture(scope="module")
def standing() -> Iterator[StandIn]:
    with stand_in() as opened:
        yield opened


@pytest.fixture
def worker(standing: StandIn) -> StandIn:
    """The stand-in, well and not asked yet."""
    return standing.fresh()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One run; what a worker does wrong has nothing to do with the kind of database."""
    with databases.fresh("sqlite") as url:
        opened = open_engine(url)
        publish_synthetic(opened)
        yield opened
        opened.dispose()


@pytest.fixture(scope="module")
def client(engine: Engine, standing: StandIn) -> TestClient:
    return client_of(create_app(Settings(worker_url=standing.url), engine))


REFUSALS = [
    (503, "busy", 503, "worker_busy"),
    (503, "loading", 503, "worker_busy"),
    (504, "too_slow", 504, "worker_slow"),
    (409, "other_weights", 409, "other_weights"),
    (404, "pair_not_here", 503, "pair_not_at_worker"),
    (422, "bad_question", 422, "bad_parameter"),
    (500, "internal_error", 502, "worker_unreachable"),
    (403, "foreign_asker", 502, "worker_unreachable"),
]


@pytest.mark.parametrize(("theirs", "their_code", "status", "code"), REFUSALS)
def test_the_workers_refusals_in_its_words(
    client: TestClient, worker: StandIn, theirs: int, their_code: str, status: int, code: str
) -> None:
    worker.behave = worker.refuse(theirs, their_code, "It is so.", "do that")
    answer = client.get("/tiny-pair/live.json?text=abc")
    error = answer.json()["error"]
    assert (answer.status_code, error["status"], error["code"]) == (status, status, code)
    assert "It is so; do that." in error["message"]
    page = client.get("/tiny-pair/live?text=abc")
    assert page.status_code == status
    assert "It is so; do that." in text_of(page.text)
    assert "abc</textarea>" in page.text
    busy = code in ("worker_busy", "worker_slow")
    for one in (answer, page):
        assert ("retry-after" in one.headers) == busy
    without = client.get("/tiny-pair/live")
    assert without.status_code == 200, "a page that nobody asked anything of is no error"
    assert "It is so; do that." in text_of(without.text)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, {}),
        (200, {"tokens": ["a"]}),
        (500, b"Internal Server Error"),
        (302, b""),
        (503, {"error": "none"}),
        (200, b"[" + b"1," * 3_000_000),
    ],
)
def test_an_answer_that_cannot_be_read_is_said(
    client: TestClient, worker: StandIn, status: int, body: Any
) -> None:
    worker.behave = worker.say(status, body)
    answer = client.get("/tiny-pair/live.json?text=abc")
    assert answer.status_code == 502
    assert "cannot be read" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "changed",
    [
        {"tokens": [256, 97]},
        {"tokens": [256, 97, 98, 10**9]},
        {"tokens": [256, 97, 98, -1]},
        {"versions": {}},
        {"token": 4},
        {"token": 0},
        {"layer": 1},
    ],
)
def test_an_answer_to_another_question_is_not_shown(
    client: TestClient, worker: StandIn, changed: dict[str, Any]
) -> None:
    worker.behave = worker.well(**changed)
    answer = client.get("/tiny-pair/live.json?text=abc&layer=0&neuron=3")
    assert answer.status_code == 502, answer.text


def test_a_worker_that_is_not_there_is_said(engine: Engine) -> None:
    with nobody() as address:
        gone = client_of(create_app(Settings(worker_url=address), engine))
        page = gone.get("/tiny-pair/live?text=abc")
        assert page.status_code == 502
        assert "it has ended, or was never started" in text_of(page.text)
        assert "twinscope serve --with-worker" in text_of(page.text)
        assert gone.get("/tiny-pair/live").status_code == 200
        assert gone.get("/tiny-pair/0/3").status_code == 200


def test_a_worker_that_dies_meanwhile_is_said(client: TestClient, worker: StandIn) -> None:
    worker.behave = worker.die()
    answer = client.get("/tiny-pair/live.json?text=abc")
    assert answer.status_code == 502
    assert "went away before it had answered" in answer.json()["error"]["message"]


@pytest.mark.parametrize("behaviour", ["hang", "drip"])
def test_a_worker_without_an_end_is_left(
    client: TestClient, worker: StandIn, monkeypatch: pytest.MonkeyPatch, behaviour: str
) -> None:
    monkeypatch.setattr(live_client, "LIMIT_S", 0.3)
    worker.behave = getattr(worker, behaviour)()
    began = time.monotonic()
    answer = client.get("/tiny-pair/live.json?text=abc")
    assert time.monotonic() - began < 15
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "worker_slow")
    assert answer.headers["retry-after"] == "5"


def test_a_proxy_of_the_environment_is_not_asked(
    client: TestClient, worker: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nobody() as address:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, address)
        assert client.get("/tiny-pair/live?text=abc").status_code == 200
