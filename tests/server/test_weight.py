"""What a first visit weighs: a page with all that it loads before a reader does anything."""

from __future__ import annotations

import re

import pytest

from server.app import create_app
from server.settings import Settings
from store.engine import open_engine
from tests import databases
from tests.server.conftest import Served, client_of

MOST = 120_000
"""Bytes, compressed as they are sent (issue 4)."""

LOADED = re.compile(r'<(?:script|link)[^>]+(?:src|href)="(/static/[^"]+)"[^>]*>')


def sent(served: Served, path: str) -> int:
    """Bytes of the answer's body as it is sent."""
    with served.client.stream("GET", path) as answer:
        assert answer.status_code == 200, path
        return sum(len(part) for part in answer.iter_raw())


@pytest.mark.parametrize(
    "path",
    ["/", "/tiny-pair", "/tiny-pair?rows=pair&size=20", "/tiny-pair/0/3", "/tiny-pair/tax",
     "/tiny-pair/0/invisible", "/runs", "/definitions", "/docs"],
)  # fmt: skip
def test_a_first_visit_is_light(served: Served, path: str) -> None:
    html = served.client.get(path).text
    loaded = set(LOADED.findall(html))
    assert loaded, "the pattern finds what the page loads"
    assert not any("plotly" in address for address in loaded), "only when it is asked for"
    files = sum(sent(served, address) for address in loaded)
    assert files + sent(served, path) <= MOST
    assert files <= 25_000, "style and scripts are a fifth of what a page may weigh"


def test_pages_are_sent_compressed(served: Served) -> None:
    for path in ("/", "/tiny-pair", "/tiny-pair/0/3", "/tiny-pair/0/3.json", "/runs.json"):
        answer = served.client.get(path, headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip", path


def test_without_a_run_the_home_page_says_how_to_make_one() -> None:
    with databases.fresh("sqlite") as url:
        engine = open_engine(url)
        html = client_of(create_app(Settings(database_url=url), engine)).get("/").text
        engine.dispose()
    assert "twinscope precompute pystd-2l --corpus stdlib" in html
    assert "SoLU lets" in html
