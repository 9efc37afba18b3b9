"""A server in team mode over the same runs, and browsers that are logged in, without argon2."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from fastapi import FastAPI
from starlette.testclient import TestClient

from server import cookies, passwords
from server.app import create_app
from server.settings import Settings
from store import accounts, sessions, site_secret
from store.engine import Engine
from store.errors import AccountExists
from store.types import now
from tests.server.conftest import client_of

PASSWORD = "correct horse battery"
ROLES = {"rae": "reader", "ann": "annotator", "otto": "owner"}


def team_app(engine: Engine, url: str, **settings: object) -> FastAPI:
    """A server with an account of each role (see ROLES), all with PASSWORD."""
    passwords.make_cheaper()
    for name, role in ROLES.items():
        add_account(engine, name, role)
    return create_app(Settings(database_url=url, mode="team", **settings), engine)  # type: ignore[arg-type]


def add_account(engine: Engine, name: str, role: str = "annotator") -> None:
    """An account with PASSWORD, unless there is one."""
    with suppress(AccountExists):
        accounts.add(engine, name, role, passwords.hashed(PASSWORD), adopt=True)


def begin_session(engine: Engine, name: str) -> tuple[str, str, str]:
    """A session as a login begins it: (cookie's name, its value, CSRF token)."""
    signer = cookies.signer(Settings(mode="team"), site_secret.load(engine))
    account = accounts.find(engine, name)
    assert account is not None
    token = cookies.new_token()
    sessions.start(
        engine, cookies.session_id(token), name, account.password, now() + timedelta(days=1)
    )
    return cookies.SESSION, signer.cookie(cookies.SESSION, token), signer.csrf(token)


def logged_in(app: FastAPI, name: str | None) -> TestClient:
    """A browser in which this account is logged in (None: nobody); it sends its CSRF token."""
    client = client_of(app)
    if name is not None:
        cookie, value, csrf = begin_session(app.state.site.engine, name)
        client.cookies.set(cookie, value)
        client.headers["X-CSRF-Token"] = csrf
    return client
