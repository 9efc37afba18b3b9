"""Every fault has a status, a code and a sentence, the same on the page and in the JSON."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from server import compose
from server.app import create_app
from server.settings import Settings
from store import schema
from store.engine import open_engine
from store.errors import DatabaseUnreachable
from tests.server.conftest import Served, client_of
from tests.server.test_pages import text_of

CASES = [
    ("/nothing", 404, "pair_not_found", "The pairs here are: solo, tiny-pair.", "/"),
    ("/coming-pair", 404, "run_not_published", "“streaming”, 25% of it done", "/runs/abcdef0123"),
    ("/coming-pair/0/0", 404, "run_not_published", "no published run yet", "/runs/abcdef0123"),
    (
        "/tiny-pair/7/0",
        404,
        "neuron_not_found",
        "tiny-pair has layers 0–1; layer 7 does not exist.",
        "/tiny-pair",
    ),
    (
        "/tiny-pair/1/99999999999999999999",
        404,
        "neuron_not_found",
        "tiny-pair has neurons 0–7 in each layer; neuron 99999999999999999999 does not exist.",
        "/tiny-pair?layer=1",
    ),
    ("/solo/1/0", 404, "neuron_not_found", "solo has layer 0 only; layer 1 does not", "/solo"),
    ("/tiny-pair/0/0?run=ffffffffff", 404, "run_not_found", "no run “ffffffffff”", "/tiny-pair"),
    ("/tiny-pair?run={solo}", 404, "run_of_another_pair", "is of solo, not of", "/solo?run={solo}"),
    ("/runs/ffffffffff", 404, "run_not_found", "There is no run “ffffffffff”.", "/runs"),
    ("/tiny-pair/0/0?pairing=both", 422, "bad_parameter", "pairing: Input should be", None),
    ("/tiny-pair/0/0?site=middle", 422, "bad_parameter", "site: Input should be", None),
    ("/tiny-pair?sort=beauty", 422, "bad_sort", "no column “beauty” to sort by", "kurtosis"),
    ("/tiny-pair?beauty__gte=1", 422, "bad_filter", "no column “beauty” to filter", "kurtosis"),
    (
        "/tiny-pair?kurtosis__gte=much",
        422,
        "bad_filter",
        "kurtosis is compared with a number",
        None,
    ),
    ("/tiny-pair?kurtosis__gte=nan", 422, "bad_filter", "number", None),
    ("/tiny-pair?side=middle", 422, "bad_filter", "side is one of left, right", None),
    ("/tiny-pair?side__gte=left", 422, "bad_filter", "side has no order", None),
    (
        "/tiny-pair?page=9",
        422,
        "bad_page",
        "There is one page; page 9 does not exist.",
        "/tiny-pair",
    ),
    ("/tiny-pair?size=1000", 422, "bad_page", "size is a whole number from 1 to 20", None),
    ("/tiny-pair/random?kurtosis__gte=1e9", 404, "nothing_matches", "kurtosis at least 1e9", None),
    ("/tiny-pair/search?q=L5N1", 404, "neuron_not_found", "layer 5 does not exist", None),
    ("/tiny-pair/search?q=1/8", 404, "neuron_not_found", "neuron 8 does not exist", None),
    ("/tiny-pair/search?q=L9C0", 404, "neuron_not_found", "layer 9 does not exist", None),
    (f"/tiny-pair/search?q={'x' * 201}", 422, "bad_parameter", "200 characters at most", None),
    (f"/search?q={'x' * 201}", 422, "bad_parameter", "this one has 201", None),
    ("/tiny-pair/search?q=x&token=99999", 422, "bad_parameter", "99999 is none", None),
    ("/tiny-pair/search?q=x&token=-1", 422, "bad_parameter", "-1 is none", None),
    (
        "/tiny-pair/search?q=self&layer=7",
        404,
        "neuron_not_found",
        "layer 7 does not exist",
        "/tiny-pair",
    ),
    ("/tiny-pair/search?q=self&page=0", 422, "bad_page", "page is a whole number from 1", None),
    (
        f"/tiny-pair/search?q=self&page=1{'0' * 30}",
        422,
        "bad_page",
        "There is one page",
        "/tiny-pair/search?q=self",
    ),
    ("/tiny-pair/search?q=self&size=21", 422, "bad_page", "from 1 to 20", None),
    ("/tiny-pair/search?q=self&side=up", 422, "bad_parameter", "side", None),
    ("/solo/search?q=self&side=right", 404, "version_not_found", "solo has no right model", None),
    ("/nowhere/search?q=self", 404, "pair_not_found", "no pair named “nowhere”", "/"),
    ("/solo/0/0/labels?side=right", 404, "version_not_found", "solo has no right model", "/solo"),
    (f"/tiny-pair/0/invisible/{'9' * 20}", 404, "candidate_not_found", "there are:", None),
    (f"/tiny-pair/0/invisible/{'9' * 20}/labels", 404, "candidate_not_found", "there are:", None),
    ("/tiny-pair/zero/1", 404, "route_not_found", "There is no page at /tiny-pair/zero/1.", "/"),
    ("/tiny-pair/0/-1", 404, "route_not_found", "There is no page at", "/"),
    ("/static/nothing.css", 404, "route_not_found", "There is no page at /static/nothing", "/"),
    ("/static/%2e%2e/%2e%2e/server/app.py", 404, "route_not_found", "There is no page at", "/"),
]


def error_of(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    assert list(found) == ["error"]
    assert list(found["error"]) == ["status", "code", "message", "hint"]
    return dict(found["error"])


@pytest.mark.parametrize(
    ("address", "status", "code", "words", "hint"), CASES, ids=[case[0] for case in CASES]
)
def test_faults(
    served: Served, address: str, status: int, code: str, words: str, hint: str | None
) -> None:
    address = address.format(solo=served.solo.id)
    answer = served.client.get(address, headers={"Accept": "application/json"})
    error = error_of(answer.text)
    assert (answer.status_code, error["status"], error["code"]) == (status, status, code)
    assert words in error["message"]
    if hint is not None:
        assert hint.format(solo=served.solo.id) in error["hint"]
    assert answer.headers["cache-control"] == "no-store"

    page = served.client.get(address)
    assert page.status_code == status
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert error["message"] in text_of(page.text)


@pytest.mark.parametrize(
    "address",
    ["/a%00.json", "/a%00/0/1.json", "/runs/a%00.json", "/studies/a%00.json", "/tiny-pair?run=%00",
     "/tiny-pair/0/1.json?run=a%00", "/tiny-pair/search.json?q=x&run=%00", "/labels.json?pair=%00",
     "/labels.csv?pair=%00", "/labels/queue.json?pair=%00", "/studies/new.json?run=%00",
     "/studies/new.json?like=%00"],
)  # fmt: skip
def test_a_nul_in_an_address_is_the_asker_s_fault(served: Served, address: str) -> None:
    answer = served.client.get(address, headers={"Accept": "application/json"})
    assert answer.status_code in (200, 404, 422), answer.text
    if answer.status_code != 200:
        assert "\0" not in answer.text


@pytest.mark.parametrize("number", [3_000_000_000, 10**20])
def test_no_label_has_so_large_a_number(served: Served, number: int) -> None:
    answer = served.client.post(f"/labels/{number}/withdraw", json={})
    assert answer.status_code == 404
    assert error_of(answer.text)["code"] == "label_not_found"


def test_a_json_address_answers_in_json(served: Served) -> None:
    assert error_of(served.client.get("/nothing/0/0.json").text)["code"] == "pair_not_found"
    assert error_of(served.client.get("/a/b/c/d.json").text)["code"] == "route_not_found"


def test_what_a_fault_repeats_is_escaped(served: Served) -> None:
    page = served.client.get("/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert page.status_code == 404
    assert "<script>alert" not in page.text
    page = served.client.get("/tiny-pair?sort=<b>x</b>")
    assert "<b>x" not in page.text


def test_a_method_that_is_not_taken(served: Served) -> None:
    answer = served.client.delete("/runs.json")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    error = error_of(answer.text)
    assert error["code"] == "method_not_allowed"
    assert error["message"] == "/runs.json does not take DELETE, only GET."


def test_an_endless_address(served: Served) -> None:
    answer = served.client.get(f"/tiny-pair.json?sort={'x' * 5000}")
    assert answer.status_code == 414
    assert error_of(answer.text)["code"] == "address_too_long"


def test_a_fault_that_nobody_foresaw(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The reader gets the error's shape, the log the reason; neither gets the other's."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret reason")

    monkeypatch.setattr("server.routes.home.home_page", fail)
    with caplog.at_level(logging.ERROR, "twinscope.server"):
        answer = served.client.get("/index.json")
        page = served.client.get("/")
    assert answer.status_code == page.status_code == 500
    assert error_of(answer.text)["code"] == "internal_error"
    for text in (answer.text, page.text):
        assert "secret reason" not in text
        assert "Traceback" not in text
    assert "content-security-policy" in page.headers
    assert "secret reason" in caplog.text


def test_an_error_page_that_fails_is_still_an_answer(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("server.respond.page", fail)
    answer = served.client.get("/nothing")
    assert answer.status_code == 404
    assert answer.text.startswith("There is no pair named “nothing”.")


def test_a_database_that_went_away(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnreachable("The database at db:5432 does not answer.", "Is it running?")

    monkeypatch.setattr("store.runs.list_runs", away)
    monkeypatch.setattr("store.schema.must_be_current", away)
    for address in ("/index.json", "/healthz"):
        answer = served.client.get(address)
        assert answer.status_code == 503
        error = error_of(answer.text)
        assert error["code"] == "database_unavailable"
        assert error["message"] == "The database at db:5432 does not answer."
    assert served.client.get("/").status_code == 503


def test_a_database_file_that_was_removed(tmp_path: Path) -> None:
    """SQLite makes an empty file in its place: that is no database of ours, and says so."""
    file = tmp_path / "removed.sqlite3"
    engine = open_engine(f"sqlite:///{file}", must_be_current=False)
    schema.upgrade(engine)
    with client_of(create_app(Settings(), engine)) as client:
        assert client.get("/healthz").status_code == 200
        engine.dispose()
        for left in tmp_path.glob("removed.sqlite3*"):
            left.unlink()
        answer = client.get("/healthz")
        assert answer.status_code == 503
        assert "Traceback" not in answer.text
    engine.dispose()


def test_a_server_without_any_run_says_so(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'empty.sqlite3'}", must_be_current=False)
    schema.upgrade(engine)
    with client_of(create_app(Settings(), engine)) as client:
        assert client.get("/").status_code == 200
        assert client.get("/runs").status_code == 200
        error = error_of(client.get("/pystd-2l.json").text)
        assert error["message"] == "There is no pair named “pystd-2l”. There is no pair here yet."
    engine.dispose()


def test_composing_needs_no_web_framework() -> None:
    """Page objects are made by plain functions (the exported page will need them, too)."""
    for path in Path(compose.__file__ or "").parent.glob("*.py"):
        assert "fastapi" not in path.read_text("utf-8"), path.name
