"""Headers on every answer; foreign hosts and origins, and bodies too large, are refused."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from server.guard import CONTENT_SECURITY_POLICY, refusal
from server.settings import Settings
from tests.server.conftest import Served, client_of
from tests.server.test_errors import error_of

EVERYWHERE = (
    "/",
    "/index.json",
    "/tiny-pair/0/1",
    "/tiny-pair/0/1/labels?fragment=1",
    "/docs",
    "/openapi.json",
    "/healthz",
    "/static/base.css",
    "/static/plotly.min.js",
    "/tiny-pair/random",
    "/nothing",
    "/tiny-pair?sort=nothing",
)


@pytest.mark.parametrize("address", EVERYWHERE)
def test_every_answer_is_guarded(served: Served, address: str) -> None:
    headers = served.client.get(address).headers
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


def test_the_policy_allows_nothing_inline() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; script-src 'self';")
    assert "http" not in CONTENT_SECURITY_POLICY


LABEL = {"side": "left", "verdict": "unclear"}


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "10.0.0.1:8000"],
)
def test_a_foreign_host_is_refused(served: Served, host: str) -> None:
    answer = served.client.get("/index.json", headers={"Host": host})
    assert answer.status_code == 403
    assert error_of(answer.text)["code"] == "foreign_host"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "localhost."]
)
def test_our_own_names_are_answered(served: Served, host: str) -> None:
    assert served.client.get("/index.json", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://localhost:9999", "null", "http://localhost:8000.evil.example"],
)
def test_a_foreign_origin_is_refused(served: Served, origin: str) -> None:
    answer = served.client.post(
        "/tiny-pair/0/1/labels", json=LABEL, headers={"Origin": origin, "Accept": "*/*"}
    )
    assert answer.status_code == 403
    error = error_of(answer.text)
    assert error["code"] == "foreign_origin"
    assert "another site" in error["message"]
    labels = served.client.get("/tiny-pair/0/1/labels.json").json()
    assert labels["versions"]["left"]["counts"]["total"] == 0


def test_our_own_origin_is_answered(served: Served) -> None:
    for host in ("localhost:8000", "127.0.0.1:8123"):
        with client_of(served.app, host) as client:
            answer = client.post(
                "/tiny-pair/1/5/labels", json=LABEL, headers={"Origin": f"http://{host}"}
            )
            assert answer.status_code == 201


def test_without_an_origin_the_browser_says_where_a_request_is_from() -> None:
    settings = Settings()

    def refused(**headers: str) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return refusal(Headers({"host": "localhost", **named}), settings) is not None

    assert refused(sec_fetch_site="cross-site", sec_fetch_mode="no-cors")
    assert not refused(sec_fetch_site="cross-site", sec_fetch_mode="navigate")  # a link
    assert not refused(sec_fetch_site="same-origin", sec_fetch_mode="cors")
    assert not refused()


def test_names_may_be_added() -> None:
    settings = Settings.from_environment({"TWINSCOPE_ALLOWED_HOSTS": "scope.lab, Other.lab"})
    assert refusal(Headers({"host": "scope.lab:80"}), settings) is None
    assert refusal(Headers({"host": "other.lab"}), settings) is None
    assert refusal(Headers({"host": "third.lab"}), settings) is not None


def test_a_body_without_end_is_refused(served: Served) -> None:
    answer = served.client.post(
        "/tiny-pair/0/1/labels",
        content=b"x" * 70_000,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413
    assert error_of(answer.text)["code"] == "body_too_large"
