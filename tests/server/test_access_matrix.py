"""Each role, and nobody, at each route, where reading is public and where it is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, Route

from server.access import ROLES as NESTED
from tests.server.access_matrix import OPEN, PARTS, READING, RULES, rule_of
from tests.server.conftest import Served
from tests.server.team import ROLES, logged_in, team_app


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every route; a mount is read."""
    found = []
    for route in whole(app.routes):
        methods = {"GET"} if isinstance(route, Mount) else set(route.methods or ())
        found += [(method, route.path) for method in sorted(methods - {"HEAD", "OPTIONS"})]
    return found


def whole(routes: Iterable[BaseRoute]) -> Iterator[Route | Mount]:
    """The routes, with those of the routers that were included."""
    for route in routes:
        if isinstance(route, Route | Mount):
            yield route
        else:
            yield from whole(route.original_router.routes)  # type: ignore[attr-defined]


def filled(path: str) -> str:
    """The path with something in place of its parts."""

    def part(match: re.Match[str]) -> str:
        name = match[1]
        assert name in PARTS, f"{path}: name {name} in access_matrix.PARTS"
        return PARTS[name]

    return re.sub(r"\{(\w+)(?::\w+)?\}", part, path)


@pytest.fixture(params=["public", "private"])
def team(request: pytest.FixtureRequest, served: Served) -> tuple[FastAPI, bool]:
    """A server in team mode over the shared runs, and whether reading is public there."""
    public = request.param == "public"
    url = served.app.state.site.settings.database_url
    return team_app(served.engine, url, public_reading=public), public


def test_every_route_is_in_the_matrix(served: Served) -> None:
    routes = routes_of(served.app)
    missing = [one for one in routes if rule_of(*one) is None]
    assert missing == [], "add them to tests/server/access_matrix.py"
    gone = sorted(set(RULES) - set(routes))
    assert gone == [], "these are no routes any more"


def test_the_matrix_would_notice_a_new_route() -> None:
    app = FastAPI()

    @app.delete("/new")
    def new() -> None: ...

    assert [one for one in routes_of(app) if rule_of(*one) is None] == [("DELETE", "/new")]


@pytest.mark.parametrize("name", [None, *ROLES])
def test_each_role_gets_as_far_as_the_matrix_says(
    team: tuple[FastAPI, bool], name: str | None
) -> None:
    app, public = team
    wrong = []
    client = logged_in(app, name)
    for method, path in routes_of(app):
        rule = rule_of(method, path)
        if (method, path) == ("POST", "/logout"):
            continue  # it ends the session: test_login.py
        address = filled(path) + ("/base.css" if path == "/static" else "")
        answer = client.request(method, address, json={} if method != "GET" else None)
        to_login = answer.headers.get("location", "").startswith("/login")
        kept_out = answer.status_code in (401, 403) or to_login
        if (method, path) == ("POST", "/login"):
            kept_out = answer.status_code == 401
        if kept_out == may(name, rule, public):
            wrong.append((method, path, answer.status_code))
        assert answer.status_code < 500, (method, path, answer.text[:200])
    assert wrong == []


def may(name: str | None, rule: str | None, public: bool) -> bool:
    """Whether an account of ROLES, or nobody, gets through."""
    if rule == OPEN or (rule == READING and public):
        return True
    if name is None:
        return False
    least = "reader" if rule == READING else rule
    return NESTED.index(ROLES[name]) >= NESTED.index(least)  # type: ignore[arg-type]


def test_local_mode_lets_its_one_person_do_everything(served: Served) -> None:
    for method, path in routes_of(served.app):
        if method == "GET" and path != "/static" and not path.startswith("/log"):
            answer = served.client.get(filled(path))
            assert answer.status_code not in (401, 403), path
    assert served.client.get("/login.json").status_code == 404
    assert served.client.post("/logout", json={}).status_code == 404
