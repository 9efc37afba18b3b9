"""A server over published runs, one for each kind of database, shared by all tests here.

    tiny-pair    two runs, the newer one (seed 1) shown by default; that one has evidence, the
                 older one no index of tokens
    solo         a single-sided run, with evidence
    coming-pair  nothing published, a precompute at 25 %

Tests may add labels (each to a neuron of its own) and change nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from store import progress
from store import runs as run_store
from store.engine import Engine, open_engine
from store.records import ProgressRecord, RunRecord
from tests import databases, needs
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import publish_synthetic


@dataclass(frozen=True)
class Served:
    """A server with what is in its database. `client` is a browser's at the same address."""

    app: FastAPI
    engine: Engine
    client: TestClient
    older: RunRecord
    newest: RunRecord
    solo: RunRecord


def client_of(app: FastAPI, host: str = "localhost:8000") -> TestClient:
    """A client that gets faults as answers, as a browser does, and follows nothing by itself."""
    return TestClient(
        app,
        base_url=f"http://{host}",
        raise_server_exceptions=False,
        follow_redirects=False,
        headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"},
    )


@contextmanager
def server_on(kind: str) -> Iterator[Served]:
    """All of the above on one kind of database."""
    with databases.fresh(kind) as url:
        engine = open_engine(url)
        older = publish_synthetic(engine, seed=0, index=False)
        newest = publish_synthetic(engine, seed=1)
        solo = publish_synthetic(engine, slug="solo", single_sided=True, layers=1)
        for run in (newest, solo):
            publish_synthetic_evidence(engine, run)
        newest, solo = (run_store.get_run(engine, run.id) for run in (newest, solo))
        progress.report(
            engine,
            ProgressRecord(
                run_id="abcdef0123",
                pair_slug="coming-pair",
                corpus_spec="stdlib",
                stage="statistics",
                step="streaming",
                done=250,
                total=1000,
                unit="tokens",
                rate=50.0,
                state="running",
                updated_at=datetime.now(UTC) + timedelta(hours=1),  # else slow tests see it die
            ),
        )
        app = create_app(Settings(database_url=url, annotator="ada", max_page_size=20), engine)
        with client_of(app) as client:
            yield Served(app, engine, client, older, newest, solo)
        engine.dispose()


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], Served]]:
    """The server on a kind of database, made when it is first asked for and kept to the end: tests
    come module by module, and each goes from one kind to the other."""
    with ExitStack() as opened:
        yield cache(lambda kind: opened.enter_context(server_on(kind)))


@pytest.fixture(scope="session", params=databases.KINDS)
def served(request: pytest.FixtureRequest, servers: Callable[[str], Served]) -> Served:
    """The server on SQLite, then on Postgres."""
    return servers(request.param)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The browser that is installed."""
    path = needs.browser()
    if path is None:
        pytest.fail("no browser: apt-get install -y chromium", pytrace=False)
    return browser_type_launch_args | {
        "executable_path": path,
        "args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    }
