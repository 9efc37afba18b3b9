"""What all tests share: a database of one's own on each kind in turn, patience, and the groups by
which they are dealt to the processes of `make test`.

A limit of time in a test is there to end what hangs, not to find what is slow: on a machine that
does other work a page or a process may take ten times as long as alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, expect

from store.engine import Engine, open_engine
from tests import databases

TESTS = Path(__file__).parent

#: In this order they are dealt out: long groups first, so that no process waits for the other's
#: last one.
LONGEST_FIRST = ("end_to_end", "worker", "server")

expect.set_options(timeout=60_000)
PAGE_MS = 120_000

# The same examples each time, however long they take.
settings.register_profile(
    "twinscope",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("twinscope")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test without a group of its own is of its module's: what a module makes once for all its
    tests is made in one process only. The tests in a browser have one group for each package."""
    places = {item: item.path.relative_to(TESTS).with_suffix("") for item in items}
    for item, place in places.items():
        if item.get_closest_marker("xdist_group") is None:
            browser = item.get_closest_marker("browser") is not None
            group = f"{place.parts[0]}/browser" if browser else place.as_posix()
            item.add_marker(pytest.mark.xdist_group(group))

    def turn(item: pytest.Item) -> tuple[int, bool]:
        package = places[item].parts[0]
        known = package in LONGEST_FIRST
        rank = LONGEST_FIRST.index(package) if known else len(LONGEST_FIRST)
        return rank, item.get_closest_marker("browser") is None

    items.sort(key=turn)


@pytest.fixture(scope="session")
def browser(browser: Browser) -> Browser:
    """The plugin's, whose contexts and pages are patient."""

    def patient(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*given: Any, **options: Any) -> Any:
            opened = make(*given, **options)
            opened.set_default_timeout(PAGE_MS)
            return opened

        return made

    for name in ("new_context", "new_page"):
        setattr(browser, name, patient(getattr(browser, name)))
    return browser


@pytest.fixture(params=databases.KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """First "sqlite", then "postgres"."""
    return str(request.param)


@pytest.fixture
def database_url(database_kind: str) -> Iterator[str]:
    """The URL of a fresh database at the current schema."""
    yield from _fresh(database_kind, migrated=True)


@pytest.fixture
def empty_database_url(database_kind: str) -> Iterator[str]:
    """The URL of a fresh database without any table."""
    yield from _fresh(database_kind, migrated=False)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh database at the current schema."""
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


def pytest_sessionfinish() -> None:
    """Leave nothing behind: not on the disk, not on a Postgres that was only lent."""
    databases.drop_templates()


def _fresh(kind: str, *, migrated: bool) -> Iterator[str]:
    try:
        with databases.fresh(kind, migrated=migrated) as url:
            yield url
    except databases.NoPostgres as fault:
        pytest.fail(str(fault), pytrace=False)
