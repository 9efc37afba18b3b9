"""A run goes on after kill -9 at any point, a full disk, or a database that went away."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine as AnyEngine
from sqlalchemy import event

from store import progress, runs
from store.errors import DatabaseUnreachable
from store.records import RunRecord
from tests import databases
from tests.worker.own_process import in_a_process
from tests.worker.published import everything
from tests.worker.tiny_run import Disturb, Place, opened
from worker.errors import DiskError, WorkerError
from worker.reporter import Silent

KILLS = 5
Reference = tuple[RunRecord, dict[str, Any], int]


class Counted(Silent):
    """Counts what is said of the run's progress."""

    def __init__(self) -> None:
        self.words = 0

    def step(self, name: str, total: int | None, unit: str) -> None:
        self.words += 1

    def advance(self, done: int, total: int | None = None) -> None:
        self.words += 1


class Deadly(Counted):
    """Kills its process, so many words on and some milliseconds later."""

    def __init__(self, words: int, delay: float) -> None:
        super().__init__()
        self._at, self._delay = words, delay

    def step(self, name: str, total: int | None, unit: str) -> None:
        super().step(name, total, unit)
        self._die_if_due()

    def advance(self, done: int, total: int | None = None) -> None:
        super().advance(done, total)
        self._die_if_due()

    def _die_if_due(self) -> None:
        if self.words == self._at:
            threading.Timer(self._delay, os.kill, (os.getpid(), signal.SIGKILL)).start()


OPTIONS: dict[str, Any] = {"shard_windows": 8, "flush_seconds": 0}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def reference(place: Place) -> Reference:
    """What an undisturbed run publishes, and how many words of progress it says."""
    counted = Counted()
    run, found = place.published(reporter=counted, **OPTIONS)
    return run, found, counted.words


def compute_deadly(place: Place, url: str, work: Path, words: int, delay: float) -> None:
    place.compute(url, work_dir=work, reporter=Deadly(words, delay), **OPTIONS)


@pytest.mark.parametrize("kill", range(KILLS))
def test_it_goes_on_after_kill_9(
    place: Place, reference: Reference, tmp_path: Path, kill: int
) -> None:
    run, found, words = reference
    draw = random.Random(kill)
    # One in each fifth of the way, so that every step is met.
    at = max(1, int(words * (kill + draw.random()) / KILLS))
    with databases.fresh("sqlite") as url:
        code = in_a_process(compute_deadly, place, url, tmp_path, at, draw.uniform(0, 0.02))
        assert code == -signal.SIGKILL
        with opened(url) as engine:
            assert runs.list_runs(engine) == []
        again = place.compute(url, work_dir=tmp_path, resume=True, **OPTIONS)
        with opened(url) as engine:
            assert again.id == run.id
            assert everything(engine, again) == found
    assert not (tmp_path / run.id / "partials").exists()


def compute_on_a_full_disk(place: Place, url: str, work: Path, said: Path) -> None:
    # Files of more than so many bytes cannot be written: what a full disk does, without one.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        place.compute(url, work_dir=work, **OPTIONS)
    except WorkerError as fault:
        said.write_text(f"{type(fault).__name__}: {fault}")


def test_a_full_disk_is_named_and_the_run_goes_on(
    place: Place, reference: Reference, tmp_path: Path
) -> None:
    # The database is a server's: only the work directory is on the full disk.
    with databases.fresh("postgres") as url:
        said = tmp_path / "said"
        assert in_a_process(compute_on_a_full_disk, place, url, tmp_path / "work", said) == 0
        words = said.read_text()
        assert words.startswith(DiskError.__name__)
        assert "free some space" in words
        assert "--resume" in words
        with opened(url) as engine:
            assert runs.list_runs(engine) == []
            (record,) = progress.current(engine)
            assert record.state == "failed"
            assert "free some space" in (record.message or "")
        again = place.compute(url, work_dir=tmp_path / "work", resume=True, **OPTIONS)
        with opened(url) as engine:
            assert everything(engine, again) == reference[1]


@contextmanager
def no_more_pages(pages: int) -> Iterator[None]:
    """SQLite files grow by at most so many pages: their disk is full."""

    def limit(connection: Any, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            count = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {count + pages}")

    event.listen(AnyEngine, "connect", limit)
    try:
        yield
    finally:
        event.remove(AnyEngine, "connect", limit)


def test_a_full_disk_under_the_database(place: Place, reference: Reference, tmp_path: Path) -> None:
    with databases.fresh("sqlite") as url:
        with no_more_pages(8), pytest.raises(DatabaseUnreachable, match="no space left"):
            place.compute(url, work_dir=tmp_path, **OPTIONS)
        with opened(url) as engine:
            assert runs.list_runs(engine) == []
        again = place.compute(url, work_dir=tmp_path, resume=True, **OPTIONS)
        with opened(url) as engine:
            assert everything(engine, again) == reference[1]


def test_a_database_that_goes_away_while_publishing(
    place: Place, reference: Reference, tmp_path: Path
) -> None:
    with databases.fresh("postgres") as url:
        name = url.rsplit("/", 1)[1].split("?")[0]

        def shut() -> None:
            databases.on_server("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", name)
            databases.end_connections(name)

        with pytest.raises(DatabaseUnreachable, match="cannot be reached"):
            place.compute(url, work_dir=tmp_path, reporter=Disturb("publish", shut), **OPTIONS)
        databases.on_server("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", name)
        with opened(url) as engine:
            assert runs.list_runs(engine) == []
        again = place.compute(url, work_dir=tmp_path, resume=True, **OPTIONS)
        with opened(url) as engine:
            assert everything(engine, again) == reference[1]


def test_a_partial_that_cannot_be_merged_is_named(
    place: Place, reference: Reference, tmp_path: Path
) -> None:
    notes: list[str] = []

    class Listen(Silent):
        def note(self, line: str) -> None:
            notes.append(line)

    def stop() -> None:
        raise KeyboardInterrupt

    with databases.fresh("sqlite") as url:
        for shard_windows, step in ((24, "comparison"), (8, "gather")):
            with pytest.raises(KeyboardInterrupt):
                place.compute(
                    url,
                    work_dir=tmp_path,
                    resume=True,
                    flush_seconds=0,
                    shard_windows=shard_windows,
                    reporter=Disturb(step, stop),
                )
        partials = sorted((tmp_path / reference[0].id / "partials").iterdir())
        own = [path for path in partials if "shards of 8 windows" in manifest(path)]
        foreign = [path for path in partials if path not in own]
        assert own
        assert foreign
        with (own[0] / "keys.npy").open("r+b") as file:
            file.seek(200)
            file.write(b"damaged")
        again = place.compute(url, work_dir=tmp_path, resume=True, reporter=Listen(), **OPTIONS)
        with opened(url) as engine:
            assert everything(engine, again) == reference[1]
    assert f"{own[0].name} is damaged (keys.npy is not what was written)" in " ".join(notes)
    for path in foreign:
        assert f"{path.name} is not merged: it is of" in " ".join(notes)


def manifest(partial: Path) -> str:
    return (partial / "manifest.json").read_text()
