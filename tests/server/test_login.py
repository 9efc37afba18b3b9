"""Logging in and out, what ends a session, what is limited, and what a form must bring."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from starlette.testclient import TestClient

from server import limits, passwords
from server.access import within
from server.client_address import client_address
from server.cookies import SESSION
from server.errors import SettingsError
from server.serve import check_host
from server.settings import Settings
from store import accounts, allowances
from store.engine import Engine, open_engine, writing
from store.tables_access import session
from store.types import now
from tests import databases
from tests.server.conftest import client_of
from tests.server.team import PASSWORD, add_account, logged_in, team_app


@dataclass(frozen=True)
class Team:
    """A server in team mode without a run."""

    app: FastAPI
    engine: Engine
    url: str


@pytest.fixture(scope="module", params=databases.KINDS)
def team(request: pytest.FixtureRequest) -> Iterator[Team]:
    with databases.fresh(request.param) as url:
        engine = open_engine(url)
        yield Team(team_app(engine, url), engine, url)
        engine.dispose()


def token_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None, page[:300]
    return found[1]


def log_in(client: TestClient, name: str, password: str = PASSWORD, **more: str):  # type: ignore[no-untyped-def]
    token = token_of(client.get("/login").text)
    return client.post("/login", data={"name": name, "password": password, "csrf": token, **more})


def test_in_and_out(team: Team) -> None:
    with client_of(team.app) as client:
        kept_out = client.get("/runs?x=1")
        assert kept_out.status_code == 303
        assert kept_out.headers["location"] == "/login?next=/runs%3Fx%3D1"
        answer = log_in(client, "ANN", next="/runs")
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs")
        cookie = next(
            one for one in answer.headers.get_list("set-cookie") if one.startswith(SESSION)
        )
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
        assert client.get("/runs").status_code == 200
        assert client.get("/login?next=/runs").headers["location"] == "/runs"
        stolen = client.cookies[SESSION]
        out = client.post("/logout", data={"csrf": token_of(client.get("/account").text)})
        assert out.status_code == 303
        assert SESSION not in client.cookies
        client.cookies.set(SESSION, stolen)
        assert client.get("/runs").status_code == 303, "the session ended at the server"


def test_by_https_the_cookie_is_for_that_alone(team: Team) -> None:
    app = team_app(team.engine, team.url, public_url="https://localhost")
    with TestClient(app, base_url="https://localhost", follow_redirects=False) as client:
        answer = log_in(client, "ann")
        assert "__Host-twinscope_session=" in answer.headers["set-cookie"]
        assert "; Secure" in answer.headers["set-cookie"]


def test_a_cookie_that_was_made_up_is_nobody(team: Team) -> None:
    with logged_in(team.app, "ann") as client:
        token, _, signature = client.cookies[SESSION].partition(".")
        client.cookies.clear()
        client.cookies.set(SESSION, f"{token}.{signature[:-2]}AA")
        assert client.get("/runs").status_code == 303


def test_wrong_passwords_and_names_are_answered_alike(team: Team) -> None:
    tried: list[str | None] = []
    seen = passwords.verify

    def watched(password: str, known: str | None) -> tuple[bool, str | None]:
        tried.append(known)
        return seen(password, known)

    with client_of(team.app) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "verify", watched)
        answers = [log_in(client, name, "wrong password") for name in ("rae", "nobody at all")]
    said = [re.sub(r'value="[^"]*"', "", one.text) for one in answers]
    assert [one.status_code for one in answers] == [403, 403]
    assert said[0].replace(" autofocus", "") == said[1].replace(" autofocus", "")
    assert tried[0] is not None
    assert tried[1] is None, "the same effort is made for a name that there is not"


def test_an_unknown_name_takes_the_time_of_a_known_one() -> None:
    checked: list[str] = []

    class Counting:
        def verify_and_update(self, password: str, known: str) -> tuple[bool, None]:
            checked.append(known)
            return True, None

        def hash(self, password: str) -> str:
            return "a hash"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", Counting())
        passwords._nobodys.cache_clear()
        assert passwords.verify("x", None) == (False, None)
        passwords._nobodys.cache_clear()
    assert checked == ["a hash"]


def test_another_password_ends_all_sessions_but_this(team: Team) -> None:
    add_account(team.engine, "pat")
    with client_of(team.app) as here, logged_in(team.app, "pat") as there:
        log_in(here, "pat")
        page = here.get("/account").text
        assert there.get("/runs").status_code == 200
        fields = {
            "csrf": token_of(page),
            "old_password": PASSWORD,
            "new_password": "another long one",
            "new_password_again": "another long one",
        }
        wrong = here.post("/account", data=fields | {"old_password": "no"})
        assert wrong.status_code == 403
        assert "The old password is another one." in html.unescape(wrong.text)
        assert PASSWORD not in wrong.text
        short = {"new_password": "short", "new_password_again": "short"}
        assert here.post("/account", data=fields | short).status_code == 422
        other = here.post("/account", data=fields | {"new_password_again": "something else"})
        assert other.status_code == 422
        before = here.cookies[SESSION]
        assert here.post("/account", data=fields).headers["location"] == "/account?changed=1"
        assert here.get("/runs").status_code == 200
        assert here.cookies[SESSION] != before
        assert there.get("/runs").status_code == 303
        there.cookies.set(SESSION, before)
        assert there.get("/runs").status_code == 303
    with client_of(team.app) as client:
        assert log_in(client, "pat").status_code == 403
        assert log_in(client, "pat", "another long one").status_code == 303


def test_removal_another_role_and_time_hold_at_once(team: Team) -> None:
    add_account(team.engine, "quin", "owner")
    with logged_in(team.app, "quin") as client:
        assert client.get("/account.json").json()["accounts"] != []
        accounts.set_role(team.engine, "quin", "reader")
        assert client.get("/account.json").json()["role"] == "reader"
        assert client.get("/account.json").json()["accounts"] == []
        accounts.remove(team.engine, "quin")
        assert client.get("/account.json").status_code == 401
    with logged_in(team.app, "rae") as client:
        assert client.get("/account.json").status_code == 200
        with writing(team.engine) as connection:
            connection.execute(update(session).values(expires_at=now() - timedelta(seconds=1)))
        assert client.get("/account.json").status_code == 401


def test_a_password_changed_elsewhere_ends_sessions(team: Team) -> None:
    add_account(team.engine, "sam")
    with logged_in(team.app, "sam") as client:
        assert client.get("/runs").status_code == 200
        accounts.set_password(team.engine, "sam", passwords.hashed("set by the owner"))
        assert client.get("/runs").status_code == 303


def test_logins_by_account_are_limited(team: Team) -> None:
    add_account(team.engine, "tim")
    with client_of(team.app) as client:
        for _ in range(limits.LOGINS_OF_ACCOUNT.most):
            assert log_in(client, "tim", "a wrong one").status_code == 403
        refused = log_in(client, "Tim")  # the right password does not help any more
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= limits.LOGINS_OF_ACCOUNT.seconds
        assert re.search(r"Try again in 1[0-5] minutes\.", refused.text)
        assert log_in(client, "rae").status_code == 303, "others may go on"


def test_logins_that_succeed_are_not_counted(team: Team) -> None:
    add_account(team.engine, "una")
    for _ in range(limits.LOGINS_OF_ACCOUNT.most + 3):
        with client_of(team.app) as client:
            assert log_in(client, "una").status_code == 303


def test_logins_from_an_address_are_limited(team: Team) -> None:
    app = team_app(team.engine, team.url, behind_proxy=True)

    def tried(number: int, forwarded: str) -> int:
        with client_of(app) as client:
            client.headers["X-Forwarded-For"] = forwarded
            return log_in(client, f"name{number}", "a wrong one").status_code

    most = limits.LOGINS_FROM_ADDRESS.most
    taken = [
        allowances.take(team.engine, "login", "address:192.0.2.7", most=most, seconds=900)
        for _ in range(most)
    ]
    assert taken == [0] * most
    assert tried(0, "198.51.100.1, 192.0.2.7") == 429, "what the asker says counts for nothing"
    assert tried(1, "192.0.2.7, 192.0.2.8") == 403


@pytest.mark.parametrize(
    ("proxied", "forwarded", "told"),
    [
        (False, "192.0.2.1", "203.0.113.9"),
        (True, "192.0.2.1", "192.0.2.1"),
        (True, "10.0.0.1, 192.0.2.2", "192.0.2.2"),
        (True, "", "203.0.113.9"),
        (True, "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        (True, "::ffff:192.0.2.3", "192.0.2.3"),
        (True, "<script>", "unknown"),
    ],
)
def test_the_address_is_the_one_that_the_proxy_wrote(
    proxied: bool, forwarded: str, told: str
) -> None:
    from starlette.requests import Request

    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    scope = {"type": "http", "headers": headers, "client": ("203.0.113.9", 1)}
    assert client_address(Request(scope), Settings(behind_proxy=proxied)) == told


def test_an_allowance_is_counted_once_for_all(team: Team) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def take(_: int) -> int:
        return allowances.take(team.engine, "test", "all at once", most=5, seconds=60)

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(take, range(20)))
    assert waits.count(0) == 5
    assert all(0 < wait <= 60 for wait in waits if wait)
    later = now() + timedelta(seconds=61)
    assert allowances.take(team.engine, "test", "all at once", most=5, seconds=60, at=later) == 0


def test_a_change_needs_its_sessions_token(team: Team) -> None:
    with logged_in(team.app, "ann") as client, logged_in(team.app, "otto") as other:
        del client.headers["X-CSRF-Token"]
        address, label = "/no-such-pair/0/1/labels", {"side": "left", "verdict": "dead"}
        refused = client.post(address, json=label)
        assert refused.json()["error"]["code"] == "csrf_missing"
        for token in ("", "wrong", other.headers["X-CSRF-Token"]):
            headers = {"X-CSRF-Token": token}
            assert client.post(address, json=label, headers=headers).status_code == 403
        token = client.get("/account.json").json()["csrf_token"]
        assert client.post(address, json=label, headers={"X-CSRF-Token": token}).status_code == 404
        assert client.post(address, data={**label, "csrf": token}).status_code == 404


def test_a_form_without_its_token_is_to_be_confirmed(team: Team) -> None:
    with logged_in(team.app, "ann") as client:
        del client.headers["X-CSRF-Token"]
        text = "a “rule” <b>\n& more"
        fields = {"side": "left", "verdict": "dead", "description": text}
        page = client.post("/no-such-pair/0/1/labels", data=fields)
        assert page.status_code == 403
        sent = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        assert html.unescape(sent["description"]) == text
        sent = {name: html.unescape(value) for name, value in sent.items() if name != "q"}
        assert client.post("/no-such-pair/0/1/labels", data=sent).status_code == 404  # let in


def test_what_was_typed_comes_through_an_expired_login(team: Team) -> None:
    with client_of(team.app) as client:
        fields = {"side": "left", "verdict": "unclear", "description": "kept\nover it"}
        page = client.post("/no-such-pair/0/1/labels", data=fields)
        assert page.status_code == 401
        form = {
            n: html.unescape(v) for n, v in re.findall(r'name="(\w+)" value="([^"]*)"', page.text)
        }
        form.pop("q", None)
        wrong = client.post("/login", data=form | {"name": "ann", "password": "a wrong one"})
        assert html.escape(form["draft"], quote=False)[:20] in html.unescape(wrong.text)
        again = client.post("/login", data=form | {"name": "ann", "password": PASSWORD})
        assert again.status_code == 200
        assert 'action="/no-such-pair/0/1/labels"' in again.text
        sent = {
            n: html.unescape(v) for n, v in re.findall(r'name="(\w+)" value="([^"]*)"', again.text)
        }
        assert sent["description"] == "kept\nover it"


def test_a_password_is_never_written_into_a_page(team: Team) -> None:
    with client_of(team.app) as client:
        page = client.post("/account", data={"old_password": "my secret words"})
        assert page.status_code == 401
        assert "my secret words" not in page.text


@pytest.mark.parametrize(
    "address",
    ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "evil",
     "/\t/evil.example", "/ x", "", None, "/login?next=/login", "/logout", "/" + "x" * 4000],
)  # fmt: skip
def test_a_login_leads_nowhere_else(address: str | None) -> None:
    assert within(address) == "/"


def test_a_login_leads_back(team: Team) -> None:
    assert within("/tiny-pair/0/17?run=9f3a61c04e#top") == "/tiny-pair/0/17?run=9f3a61c04e#top"
    with client_of(team.app) as client:
        assert log_in(client, "ann", next="//evil.example").headers["location"] == "/"


def test_login_by_json(team: Team) -> None:
    with client_of(team.app) as client:
        client.headers["Accept"] = "application/json"
        assert client.post("/login", json={"name": "ann", "password": PASSWORD}).status_code == 403
        token = client.get("/login.json").json()["csrf_token"]
        sent = {"name": "ann", "password": PASSWORD}
        answer = client.post("/login", json=sent, headers={"X-CSRF-Token": token})
        assert answer.status_code == 200
        assert answer.json()["role"] == "annotator"
        assert client.get("/account.json").json()["csrf_token"] == answer.json()["csrf_token"]


def test_private_pages_are_kept_by_no_shared_cache(team: Team) -> None:
    with logged_in(team.app, "rae") as client:
        assert "public" not in client.get("/definitions").headers["cache-control"]


def test_the_secret_is_the_same_for_every_process(team: Team) -> None:
    other = team_app(team.engine, team.url)
    with logged_in(team.app, "rae") as client, client_of(other) as there:
        there.cookies.set(SESSION, client.cookies[SESSION])
        assert there.get("/runs").status_code == 200
    apart = team_app(team.engine, team.url, secret="x" * 32)
    with logged_in(team.app, "rae") as client, client_of(apart) as there:
        there.cookies.set(SESSION, client.cookies[SESSION])
        assert there.get("/runs").status_code == 303


def test_settings_of_team_mode() -> None:
    settings = Settings.from_environment(
        {"TWINSCOPE_MODE": "team", "TWINSCOPE_PUBLIC_READING": "1", "TWINSCOPE_SECRET": "s" * 32}
    )
    assert (settings.mode, settings.public_reading) == ("team", True)
    assert "s" * 32 not in repr(settings)
    check_host("0.0.0.0", settings)
    for wrong, word in (
        ({"TWINSCOPE_MODE": "club"}, "'local' or 'team'"),
        ({"TWINSCOPE_PUBLIC_READING": "1"}, "TWINSCOPE_MODE=team"),
        ({"TWINSCOPE_MODE": "team", "TWINSCOPE_PUBLIC_READING": "maybe"}, "1 or 0"),
        ({"TWINSCOPE_MODE": "team", "TWINSCOPE_SECRET": "short"}, "32 or more"),
    ):
        with pytest.raises(SettingsError, match=re.escape(word)):
            Settings.from_environment(wrong)
