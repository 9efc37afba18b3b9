"""Fixtures that several packages' tests use: a database of one's own, on each kind in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.engine import Engine, open_engine
from tests import databases


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
