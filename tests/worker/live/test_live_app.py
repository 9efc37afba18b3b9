"""The live worker over HTTP: what it refuses, and that every answer is JSON with a sentence."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.worker.tiny_pair import make_pair
from worker.live.app import MAX_BODY_BYTES, Models, create_app
from worker.live.question import Answer, Question
from worker.live.turns import Deadline, Turns
from worker.pairs import load_pair

QUESTION = {"pair": "tiny-pair", "weights": {"left": "0" * 64}, "text": "def"}


class StandIn:
    """An answerer that waits for a gate, or fails."""

    def __init__(self) -> None:
        self.loading = False
        self.gate = threading.Event()
        self.gate.set()
        self.fault: Exception | None = None
        self.asked: list[Question] = []

    def prepare(self) -> None:
        pass

    def __call__(self, question: Question, deadline: Deadline) -> Answer:
        self.asked.append(question)
        while not self.gate.wait(0.005):
            deadline.check()
        if self.fault:
            raise self.fault
        return Answer([0, 1], 0, 0, 0, 1, {})


def client_of(answerer: Any, **options: Any) -> TestClient:
    return TestClient(
        create_app(answerer, **options),
        base_url="http://127.0.0.1:8010",
        raise_server_exceptions=False,
    )


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn()


@pytest.fixture
def client(stand_in: StandIn) -> Iterator[TestClient]:
    with client_of(stand_in) as opened:
        yield opened


def refused(answer: Any, status: int, code: str) -> str:
    """The sentence of an error of this status and code."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["status"], error["code"]) == (status, code)
    assert "Traceback" not in answer.text
    assert error["message"].endswith(".")
    return str(error["message"])


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"text": ""}, "bad_question", "empty"),
        ({"text": "x" * 2001}, "text_too_long", "2,001 characters"),
        ({"text": 5}, "bad_question", "text"),
        ({"pair": "../etc"}, "bad_question", "cannot be a pair's name"),
        ({"pair": "live"}, "bad_question", "page of the site"),
        ({"weights": {}}, "bad_question", "weights"),
        ({"weights": {"control": "0"}}, "bad_question", "weights"),
        ({"layer": 1}, "bad_question", "layer and neuron"),
        ({"most_active": 0}, "bad_question", "most_active"),
        ({"most_active": 51}, "bad_question", "most_active"),
        ({"token": "1"}, "bad_question", "token"),
    ],
)
def test_what_cannot_be_read_is_refused(
    client: TestClient, stand_in: StandIn, changed: dict[str, Any], code: str, words: str
) -> None:
    assert words in refused(client.post("/texts", json=QUESTION | changed), 422, code)
    assert stand_in.asked == []


@pytest.mark.parametrize("text", ["x" * 2000, "\x00", "שלום \u202e", "<script>", "😀", "\r\n"])
def test_any_text_is_a_text(client: TestClient, stand_in: StandIn, text: str) -> None:
    assert client.post("/texts", json=QUESTION | {"text": text}).status_code == 200
    assert stand_in.asked[0].text == text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b'{"text": "\\ud800", "pair": "p", "weights": {"left": ""}}'],
)
def test_a_body_that_is_no_question_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/texts", content=body, headers={"Content-Type": "application/json"})
    refused(answer, 422, "bad_question")


def test_other_kinds_and_sizes_of_bodies_are_refused(client: TestClient) -> None:
    refused(client.post("/texts", data={"text": "x"}), 415, "unreadable_body")
    large = QUESTION | {"text": "x" * MAX_BODY_BYTES}
    refused(client.post("/texts", json=large), 413, "body_too_large")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": ""},
        {"Host": "[::1"},
        {"Origin": "http://127.0.0.1:8010"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_foreign_names_and_pages_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    refused(client.post("/texts", json=QUESTION, headers=headers), 403, "foreign_asker")
    refused(client.get("/healthz", headers=headers), 403, "foreign_asker")


def test_further_names_may_be_allowed(stand_in: StandIn) -> None:
    with client_of(stand_in, allowed_hosts=("localhost", "live.lab")) as client:
        assert client.get("/healthz", headers={"Host": "live.lab:1"}).status_code == 200


def test_no_other_address_and_no_other_method(client: TestClient) -> None:
    refused(client.get("/"), 404, "route_not_found")
    refused(client.get("/texts"), 405, "route_not_found")
    assert client.get("/healthz").json() == {"status": "ok", "loading": False, "taken": 0}


def test_a_fault_of_its_own_is_a_sentence(
    client: TestClient, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in.fault = RuntimeError("a secret of the worker")
    answer = client.post("/texts", json=QUESTION)
    assert "nobody foresaw" in refused(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert "a secret of the worker" in caplog.text


def test_beyond_the_queue_is_busy_and_says_when_to_ask_again(stand_in: StandIn) -> None:
    stand_in.gate.clear()
    turns = Turns(waiting=1, limit_s=120)
    with client_of(stand_in, turns=turns) as client, ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(client.post, "/texts", json=QUESTION) for _ in range(2)]
        deadline = time.monotonic() + 60
        while turns.taken < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert turns.taken == 2
        answer = client.post("/texts", json=QUESTION)
        assert "1 texts wait" in refused(answer, 503, "busy")
        assert answer.headers["retry-after"] == "2"
        stand_in.loading = True
        assert "still loading" in refused(client.post("/texts", json=QUESTION), 503, "loading")
        stand_in.gate.set()
        assert [one.result().status_code for one in asked] == [200, 200]


def test_past_the_time_limit_is_said(stand_in: StandIn) -> None:
    stand_in.gate.clear()
    with client_of(stand_in, turns=Turns(limit_s=0.1)) as client:
        answer = client.post("/texts", json=QUESTION)
        assert "within 0.1 s" in refused(answer, 504, "too_slow")
        stand_in.loading = True
        answer = client.post("/texts", json=QUESTION)
        assert answer.headers["retry-after"] == "5"
        refused(answer, 503, "loading")


def test_a_pair_of_ones_own_is_answered_in_json(tmp_path: Path) -> None:
    directory = make_pair(tmp_path / "tiny-pair")
    pair = load_pair(directory)
    weights = {"left": pair.left.sha256, "right": pair.right.sha256}
    with client_of(Models({"tiny-pair": directory}, "cpu"), turns=Turns(limit_s=60)) as client:
        question = QUESTION | {"weights": weights, "layer": 1, "neuron": 2, "most_active": 3}
        answer = client.post("/texts", json=question)
        assert answer.status_code == 200, answer.text
        found = json.loads(answer.text, parse_constant=lambda name: pytest.fail(name))
        assert (found["layer"], found["neuron"]) == (1, 2)
        assert set(found["versions"]["left"]["values"]) == {"pre", "mid", "post"}
        assert set(found["versions"]["right"]["values"]) == {"pre", "post"}
        answer = client.post("/texts", json=question | {"weights": {"left": "0" * 64}})
        assert "its left weights differ" in refused(answer, 409, "other_weights")
        answer = client.post("/texts", json=question | {"pair": "tests"})
        refused(answer, 404, "pair_not_here")
        answer = client.post("/texts", json=question | {"layer": 9})
        assert "L9N2 does not exist" in refused(answer, 422, "bad_question")
