"""A team's server over one small run, and a running study on it, on each kind of database.

    otto owns the site; ann and bo rate; rae reads

Tests that rate or close make studies of their own with `begun`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from store.engine import Engine, open_engine
from store.records import RunRecord
from tests import databases
from tests.server.team import add_account, logged_in, team_app
from tests.synthetic_run import publish_synthetic

SETTINGS: dict[str, Any] = {
    "neurons": 6,
    "snippets": 6,
    "raters": 3,
    "repeat_share": 0.2,
    "planted_share": 0.2,
    "seed": 1,
}


@dataclass(frozen=True)
class Team:
    """A server with its run; browsers by account."""

    app: FastAPI
    engine: Engine
    url: str
    run: RunRecord
    _numbers: Iterator[int] = field(default_factory=count)

    def browser(self, name: str | None) -> TestClient:
        """A browser in which this account is logged in."""
        return logged_in(self.app, name)

    def rater(self) -> str:
        """A new annotator, who rates nothing yet."""
        name = f"rater-{next(self._numbers)}"
        add_account(self.engine, name)
        return name

    def drafted(self, **settings: Any) -> str:
        """The slug of a new draft."""
        slug = f"study-{next(self._numbers)}"
        sent = {"run": self.run.id, "title": "What is it?", "slug": slug, **SETTINGS, **settings}
        answer = self.browser("otto").post("/studies", json=sent)
        assert answer.status_code == 201, answer.text
        return slug

    def begun(self, *raters: str, **settings: Any) -> str:
        """The slug of a running study that these have begun to rate."""
        slug = self.drafted(**settings)
        answer = self.browser("otto").post(f"/studies/{slug}/start", json={})
        assert answer.status_code == 200, answer.text
        for name in raters:
            begun = self.browser(name).post(f"/studies/{slug}/begin", json={})
            assert begun.status_code == 204, begun.text
        return slug


#: A pair of other models, of which no study is.
OTHER = "another-pair"


@contextmanager
def team_on(kind: str) -> Iterator[Team]:
    """The team on one kind of database."""
    with databases.fresh(kind) as url:
        engine = open_engine(url)
        run = publish_synthetic(engine, slug="solo-match", layers=1, d_mlp=20)
        publish_synthetic(engine, slug=OTHER, layers=1, d_mlp=3, seed=1)
        app = team_app(engine, url, public_reading=True)
        add_account(engine, "bo")
        yield Team(app, engine, url, run)
        engine.dispose()


@pytest.fixture(scope="session")
def teams() -> Iterator[Callable[[str], Team]]:
    """The team on a kind of database, made when it is first asked for and kept to the end."""
    with ExitStack() as opened:
        yield cache(lambda kind: opened.enter_context(team_on(kind)))


@pytest.fixture(scope="session", params=databases.KINDS)
def team(request: pytest.FixtureRequest, teams: Callable[[str], Team]) -> Team:
    """The team on SQLite, then on Postgres."""
    return teams(request.param)
