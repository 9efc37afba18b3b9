"""What a process makes once is made before the first reader asks, and nobody waits for it."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI

from server.app import create_app
from server.compose.explorer import explorer_page
from server.filters import Selection
from server.pages.explorer import ExplorerPage
from server.settings import Settings
from server.site import Site
from server.warm_up import warm_up
from store import schema
from store.engine import open_engine
from store.records import RunRecord
from tests.server.conftest import Served

LOGGER = "twinscope.server"


def templates_of(app: FastAPI) -> set[str]:
    """The templates that are compiled."""
    return {name for _, name in app.state.site.templates.cache}


def test_the_pages_asked_for_most_are_made_once(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(served.app.state.site.settings, served.engine)
    assert not templates_of(app)
    with caplog.at_level(logging.WARNING, LOGGER):
        warm_up(app)
    assert not caplog.records
    assert {"explorer.html", "neuron.html"} <= templates_of(app)


def test_a_pair_s_explorer_is_made_with_each_kind_of_rows(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(served.app.state.site.settings, served.engine)
    made: list[str] = []

    def noted(site: Site, run: RunRecord, selection: Selection, pinned: bool) -> ExplorerPage:
        made.append(selection.rows)
        return explorer_page(site, run, selection, pinned)

    monkeypatch.setattr("server.warm_up.explorer_page", noted)
    monkeypatch.setattr("server.warm_up.runs.get_run", lambda *given: served.newest)
    with caplog.at_level(logging.WARNING, LOGGER):
        warm_up(app)
    assert not caplog.records
    assert made == ["version", "pair"]


def test_nothing_is_made_without_a_run_and_a_fault_is_left_to_its_reader(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    engine = open_engine(url, must_be_current=False)
    schema.upgrade(engine)
    app = create_app(Settings(database_url=url), engine)
    with caplog.at_level(logging.WARNING, LOGGER):
        warm_up(app)
        assert not caplog.records

        def broken(*given: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("server.warm_up.runs.get_run", broken)
        warm_up(app)
    assert [record.message for record in caplog.records] == ["the first pages could not be made"]
    assert app.state.site.making.acquire(blocking=False)
    engine.dispose()


#: An application that answers nothing, served by a process of its own: a browser's tests may have
#: left an event loop in this one. It ends itself by the signal that ends a server.
SERVED = """
import os, signal, threading
from server.serve import listen, run_app

async def application(scope, receive, send):
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return

def say(word):
    print(word, threading.current_thread() is threading.main_thread(), flush=True)

def afterwards():
    say("afterwards")
    os.kill(os.getpid(), signal.SIGTERM)

signal.signal(signal.SIGTERM, signal.default_int_handler)
with listen("127.0.0.1", 0) as opened:
    run_app(application, opened, on_ready=lambda _: say("ready"), afterwards=afterwards)
"""


def test_it_begins_once_the_server_answers() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVED], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["ready True", "afterwards False"]
