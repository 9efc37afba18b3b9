"""Opening databases, and what is said when that fails: one line, no password."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from store import schema
from store.engine import data_dir, database_url, one_snapshot, open_engine, reading, writing
from store.errors import DatabaseUnreachable, SchemaMismatch, StoreError
from tests import databases


def test_where_the_database_is_by_default(tmp_path: Path) -> None:
    environ = {"TWINSCOPE_DATA_DIR": str(tmp_path)}
    assert database_url(environ) == f"sqlite:///{tmp_path}/twinscope.sqlite3"
    assert (
        database_url(environ | {"TWINSCOPE_DATABASE_URL": "postgresql://h/n"}) == "postgresql://h/n"
    )
    assert database_url(environ | {"TWINSCOPE_DATABASE_URL": ""}).startswith("sqlite:///")
    assert data_dir({}).name == "twinscope"


def test_sqlite_is_opened_for_many_readers_and_guards_its_keys(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new directory/a.sqlite3"
    engine = open_engine(url, must_be_current=False)
    with reading(engine) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 30_000
    engine.dispose()


def test_a_reader_keeps_its_snapshot_while_another_writes(database_url: str) -> None:
    engine = open_engine(database_url)
    insert = text("INSERT INTO pair (slug, name, description) VALUES (:slug, '', '')")
    count = text("SELECT count(*) FROM pair")
    with reading(engine) as reader:
        assert reader.execute(count).scalar() == 0
        with writing(engine) as writer:
            writer.execute(insert, {"slug": "a"})
        assert reader.execute(count).scalar() == 0
    with reading(engine) as reader:
        assert reader.execute(count).scalar() == 1
    engine.dispose()


def test_a_fault_within_a_shared_snapshot_is_named_where_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite3"
    engine = open_engine(f"sqlite:///{path}", must_be_current=False)
    schema.upgrade(engine)
    with one_snapshot(engine):
        with pytest.raises(ZeroDivisionError), reading(engine):
            raise ZeroDivisionError
        with pytest.raises(OperationalError, match="no such table"), reading(engine) as connection:
            connection.execute(text("SELECT 1 FROM missing"))
        locked = OperationalError("", {}, sqlite3.OperationalError("locked"))
        locked.orig.sqlite_errorcode = sqlite3.SQLITE_BUSY  # type: ignore[union-attr]
        with pytest.raises(DatabaseUnreachable, match="held by another"), reading(engine):
            raise locked
    engine.dispose()


def test_a_transaction_that_fails_is_rolled_back(database_url: str) -> None:
    engine = open_engine(database_url)
    insert = text("INSERT INTO pair (slug, name, description) VALUES ('a', '', '')")
    with pytest.raises(ZeroDivisionError), writing(engine) as connection:
        connection.execute(insert).rowcount // 0
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM pair")).scalar() == 0
    engine.dispose()


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = taken.getsockname()[1]
        with pytest.raises(DatabaseUnreachable) as caught:
            open_engine(f"postgresql://someone:s3cr3t@127.0.0.1:{port}/name")
    said = f"{caught.value.message} {caught.value.hint}"
    assert f"127.0.0.1:{port} cannot be reached" in said
    assert "s3cr3t" not in str(caught.value)
    assert "\n" not in said


def test_a_missing_database_on_a_server_is_named() -> None:
    url = databases.postgres_url().replace("/postgres?", "/no_such_database?")
    with pytest.raises(DatabaseUnreachable, match="no_such_database"):
        open_engine(url)


@pytest.mark.parametrize(
    "url",
    ["mysql://root:s3cr3t@localhost/x", "not a url", "sqlite://", "postgresql://h:port/x", ""],
)
def test_urls_that_are_no_database_of_ours(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_engine(url)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.hint is not None
    assert "sqlite:///" in caught.value.hint


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, " * 100)
    with pytest.raises(SchemaMismatch, match="not a Twinscope database"):
        open_engine(f"sqlite:///{path}")
    assert path.read_text().startswith("no database")


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnreachable, match="cannot be made"):
        open_engine(f"sqlite:///{tmp_path}/file/below/a.sqlite3")
    with pytest.raises(DatabaseUnreachable, match="cannot be opened"):
        open_engine(f"sqlite:///{tmp_path}", must_be_current=False)


@pytest.mark.skipif(os.getuid() == 0, reason="root writes where it likes")
def test_a_directory_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DatabaseUnreachable, match="cannot be opened for writing"):
        open_engine(f"sqlite:///{tmp_path}/a.sqlite3", must_be_current=False)


def test_no_postgres_is_a_failure_that_names_one_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(databases.NoPostgres) as caught:
        databases._binaries()
    assert "`apt-get install" in str(caught.value) or "`pip install" in str(caught.value)


def test_the_tests_server_goes_with_a_killed_process() -> None:
    program = "from tests import databases; print(databases.postgres_url(), flush=True); input()"
    environ = {**os.environ, "PYTEST_XDIST_TESTRUNUID": f"killed-{os.getpid()}"}
    environ.pop(databases.URL_VARIABLE, None)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    home = Path(process.stdout.readline().split("host=")[1].split("&")[0])
    assert home.exists()
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 120
    while home.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not home.exists()


def test_the_package_says_which_version_it_needs() -> None:
    versions = Path(__file__).resolve().parents[2] / "migrations" / "versions"
    assert schema.head() == max(path.name[:4] for path in versions.glob("[0-9]*.py"))
