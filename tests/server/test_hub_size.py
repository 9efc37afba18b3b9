"""Every list, chart and filter answers rightly on a run of the hub's size (bench/walk.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.hub_run import SLUG, fill
from bench.walk import walk
from server.app import create_app
from server.settings import Settings
from store import schema
from store.engine import open_engine


@pytest.mark.slow
def test_every_list_chart_and_filter(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.sqlite3"
    engine = open_engine(url, must_be_current=False)
    try:
        schema.upgrade(engine)
        fill(engine, versions=40_960, with_examples=1_024)
        steps = walk(create_app(Settings(database_url=url), engine), SLUG)
    finally:
        engine.dispose()
    assert len(steps) > 500
    assert [step for step in steps if step.wrong] == []
