"""Labels by form and by JSON; history is kept, the latest counts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.conftest import Served
from tests.server.test_errors import error_of
from tests.server.test_pages import get_json

JSON = {"Accept": "application/json"}


def labels(served: Served, address: str) -> Any:
    return get_json(served, address + "/labels.json")["versions"]


def test_a_label_by_json(served: Served) -> None:
    answer = served.client.post(
        "/tiny-pair/0/4/labels",
        json={
            "side": "right",
            "verdict": "monosemantic",
            "description": "  fires on\r\n<script>alert(1)</script>  ",
            "confidence": 4,
            "run": served.newest.id,
        },
    )
    assert answer.status_code == 201
    created = answer.json()
    assert created["counts"] == {
        "monosemantic": 1,
        "polysemantic": 0,
        "unclear": 0,
        "dead": 0,
        "total": 1,
    }
    label = created["label"]
    assert label["annotator"] == "ada"
    assert label["description"] == "fires on\n<script>alert(1)</script>"
    assert (label["confidence"], label["run"]) == (4, served.newest.id)
    assert label["created_at"] is not None
    both = labels(served, "/tiny-pair/0/4")
    assert both["right"]["history"] == [label]
    assert both["right"]["own"] == label
    assert both["left"]["history"] == []
    page = served.client.get("/tiny-pair/0/4/labels")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


def test_a_label_by_a_form_leads_back(served: Served) -> None:
    form = {"side": "left", "verdict": "polysemantic", "description": "", "confidence": ""}
    answer = served.client.post("/tiny-pair/0/5/labels", data=form)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/tiny-pair/0/5"
    back = f"/tiny-pair/0/5?pairing=match&run={served.newest.id}#labels"
    answer = served.client.post("/tiny-pair/0/5/labels", data={**form, "back": back})
    assert answer.headers["location"] == back
    answer = served.client.post("/tiny-pair/0/5/labels", data=form, headers=JSON)
    assert answer.status_code == 201
    left = labels(served, "/tiny-pair/0/5")["left"]
    assert left["counts"]["polysemantic"] == left["counts"]["total"] == 1
    assert len(left["history"]) == 3


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/tiny-pair/\\..\\..\\evil",
        "/tiny-pair/0/5\r\nSet-Cookie: a=b",
        "/solo/0/1",
        "javascript:alert(1)",
    ],
)
def test_a_form_leads_nowhere_else(served: Served, back: str) -> None:
    form = {"side": "left", "verdict": "dead", "back": back}
    answer = served.client.post("/tiny-pair/1/4/labels", data=form)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/tiny-pair/1/4"


def test_the_latest_counts_and_history_is_kept(served: Served) -> None:
    for verdict in ("monosemantic", "polysemantic", "unclear"):
        body = {"side": "left", "verdict": verdict}
        assert served.client.post("/tiny-pair/0/6/labels", json=body).status_code == 201
    left = labels(served, "/tiny-pair/0/6")["left"]
    assert [label["verdict"] for label in left["history"]] == [
        "unclear",
        "polysemantic",
        "monosemantic",
    ]
    assert [label["latest"] for label in left["history"]] == [True, False, False]
    assert left["counts"]["unclear"] == left["counts"]["total"] == 1
    assert left["own"]["verdict"] == "unclear"


def test_labels_belong_to_weights_not_to_runs(served: Served) -> None:
    """The older run is of other weights, so its neuron of the same name has no label."""
    served.client.post("/tiny-pair/0/7/labels", json={"side": "left", "verdict": "dead"})
    assert labels(served, "/tiny-pair/0/7")["left"]["counts"]["dead"] == 1
    older = served.client.get(f"/tiny-pair/0/7/labels.json?run={served.older.id}").json()
    assert older["versions"]["left"]["counts"]["total"] == 0


def test_labels_are_no_part_of_the_neurons_page(served: Served) -> None:
    before = served.client.get(f"/tiny-pair/1/3?run={served.newest.id}")
    served.client.post(
        "/tiny-pair/1/3/labels",
        json={"side": "left", "verdict": "monosemantic", "description": "seen nowhere else"},
    )
    after = served.client.get(f"/tiny-pair/1/3?run={served.newest.id}")
    assert after.text == before.text
    fragment = served.client.get("/tiny-pair/1/3/labels?fragment=1&side=left")
    assert fragment.headers["cache-control"] == "no-store"
    assert "seen nowhere else" in fragment.text
    assert "<html" not in fragment.text
    assert "<html" in served.client.get("/tiny-pair/1/3/labels").text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"verdict": "dead"}, "side: Field required"),
        ({"side": "left"}, "verdict: Field required"),
        ({"side": "both", "verdict": "dead"}, "side: Input should be 'left' or 'right'"),
        ({"side": "left", "verdict": "nice"}, "verdict: Input should be 'monosemantic'"),
        ({"side": "left", "verdict": "dead", "confidence": 6}, "confidence: Input should be less"),
        ({"side": "left", "verdict": "dead", "confidence": 0}, "confidence: Input should be gr"),
        ({"side": "left", "verdict": "dead", "confidence": "very"}, "confidence: Input should"),
        ({"side": "left", "verdict": "dead", "description": "x" * 501}, "at most 500 characters"),
        ({"side": "left", "verdict": "dead", "description": "a\0b"}, "holds no NUL"),
        ({"side": "left", "verdict": "dead", "annotator": "eve"}, "annotator: Extra inputs"),
        (["left"], "the request's body: Input should be"),
        (4, "the request's body: Input should be"),
    ],
)
def test_labels_that_cannot_be_kept(served: Served, body: Any, words: str) -> None:
    answer = served.client.post("/tiny-pair/1/1/labels", json=body)
    assert answer.status_code == 422
    error = error_of(answer.text)
    assert error["code"] == "bad_label"
    assert words in error["message"]
    assert labels(served, "/tiny-pair/1/1")["left"]["counts"]["total"] == 0


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 422, "bad_label"),
        (b"\xff", "application/json", 422, "bad_label"),
        (b"[" * 20_000, "application/json", 422, "bad_label"),
        (b'{"confidence":' + b"9" * 5_000 + b"}", "application/json", 422, "bad_label"),
        (b"verdict=\xff", "application/x-www-form-urlencoded", 422, "bad_label"),
        (b"side=left", "text/plain", 415, "unreadable_body"),
    ],
)
def test_bodies_that_cannot_be_read(
    served: Served, content: bytes, kind: str, status: int, code: str
) -> None:
    answer = served.client.post(
        "/tiny-pair/1/1/labels", content=content, headers={"Content-Type": kind, **JSON}
    )
    assert answer.status_code == status
    assert error_of(answer.text)["code"] == code


def test_a_key_is_of_one_label(served: Served) -> None:
    body = {"side": "left", "verdict": "dead", "key": "only-once"}
    assert served.client.post("/tiny-pair/0/5/labels", json=body).status_code == 201
    assert served.client.post("/tiny-pair/0/5/labels", json=body).status_code == 201
    for elsewhere in ("/tiny-pair/0/6/labels", "/tiny-pair/0/invisible/0/labels"):
        sent = body if "invisible" not in elsewhere else {"verdict": "unclear", "key": "only-once"}
        answer = served.client.post(elsewhere, json=sent)
        assert answer.status_code == 422, answer.text
        error = error_of(answer.text)
        assert error["code"] == "bad_label"
        assert "key was kept before, on something else" in error["message"]
    for key in ("a\0b", "\0"):
        answer = served.client.post("/tiny-pair/0/6/labels", json=body | {"key": key})
        assert answer.status_code == 422
        assert "key: a text holds no NUL" in error_of(answer.text)["message"]


@pytest.mark.parametrize(
    ("address", "side", "code"),
    [
        ("/tiny-pair/0/99/labels", "left", "neuron_not_found"),
        ("/nothing/0/0/labels", "left", "pair_not_found"),
        ("/solo/0/1/labels", "right", "version_not_found"),
    ],
)
def test_labels_of_what_does_not_exist(served: Served, address: str, side: str, code: str) -> None:
    answer = served.client.post(address, json={"side": side, "verdict": "dead"})
    assert answer.status_code == 404
    assert error_of(answer.text)["code"] == code
