"""Shares of a run's shards, computed apart, make the same run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from store import runs
from tests import databases
from tests.worker.published import everything
from tests.worker.tiny_run import SETTINGS, Disturb, Place, opened, press_ctrl_c
from worker.array_job import ShareDone, compute_share
from worker.errors import UsageError
from worker.plan import Plan
from worker.reporter import Silent
from worker.run_directory import RunDirectory, WorkDirectoryError
from worker.share import Share


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("array"))


def share(place: Place, number: int, of: int, work: Path, **options: Any) -> ShareDone:
    return compute_share(
        place.pair,
        str(place.corpus),
        Share(number, of),
        device="cpu",
        workers=1,
        work_dir=work,
        seed=5,
        tokens=2500,
        settings=SETTINGS,
        batch_windows=8,
        shard_windows=16,
        database_url="sqlite:////dev/null/all.sqlite3",  # not needed
        **options,
    )


class Watch(Silent):
    """What is said, and the first number of tokens that is done."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.notes: list[str] = []

    def advance(self, done: int, total: int | None = None) -> None:
        self.first = done if self.first is None else self.first

    def note(self, line: str) -> None:
        self.notes.append(line)


def test_a_share_finds_its_batch_by_trying_where_a_run_does(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU; here it is told another batch."""
    tried: list[int] = []

    def smaller(plan: Plan, engine: object) -> Plan:
        tried.append(plan.batch_windows)
        return dataclasses.replace(plan, batch_windows=4)

    monkeypatch.setattr("worker.array_job.tried_batch", smaller)
    share(place, 1, 2, tmp_path)
    share(place, 2, 2, tmp_path)
    assert tried == [8, 8]
    with databases.fresh("sqlite") as url:
        assert place.compute(url, work_dir=tmp_path).n_tokens > 2500


def test_shares_that_are_computed_apart_make_the_same_run(place: Place, tmp_path: Path) -> None:
    run, expected = place.published()
    done = [share(place, number, 3, tmp_path) for number in (2, 3)]
    # The first is interrupted, and goes on by itself.
    with pytest.raises(KeyboardInterrupt):
        share(
            place,
            1,
            3,
            tmp_path,
            flush_seconds=0,
            reporter=Disturb("statistics", press_ctrl_c),
        )
    done.append(share(place, 1, 3, tmp_path))
    assert {one.run_id for one in done} == {run.id}
    assert sum(one.shards for one in done) == -(-run.n_windows // 16)
    watch = Watch()
    with databases.fresh("sqlite") as url:
        merged = place.compute(url, work_dir=tmp_path, reporter=watch)
        with opened(url) as engine:
            assert everything(engine, merged) == expected
    assert watch.first is not None
    assert not list((tmp_path / run.id).glob("lock-*-of-*"))


def test_the_last_command_does_what_no_share_did(place: Place, tmp_path: Path) -> None:
    _, expected = place.published()
    share(place, 2, 2, tmp_path)
    with databases.fresh("sqlite") as url:
        merged = place.compute(url, work_dir=tmp_path)
        with opened(url) as engine:
            assert everything(engine, merged) == expected


def test_a_published_run_is_not_computed_again(place: Place, tmp_path: Path) -> None:
    watch = Watch()
    with databases.fresh("sqlite") as url:
        run = place.compute(url)
        done = compute_share(
            place.pair,
            str(place.corpus),
            Share(1, 2),
            device="cpu",
            work_dir=tmp_path,
            seed=5,
            tokens=2500,
            settings=SETTINGS,
            database_url=url,
            reporter=watch,
        )
        with opened(url) as engine:
            assert [one.id for one in runs.list_runs(engine)] == [run.id]
    assert (done.run_id, done.shards) == (run.id, 0)
    assert watch.notes == [f"Run {run.id} is published already."]


def test_one_process_a_share_and_none_beside_the_merger(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunDirectory.shared(path, Share(1, 2)), RunDirectory.shared(path, Share(2, 2)):
        with (
            pytest.raises(WorkDirectoryError, match="another process"),
            RunDirectory.shared(path, Share(1, 2)),
        ):
            pass
        with (
            pytest.raises(WorkDirectoryError, match="another process"),
            RunDirectory.locked(path),
        ):
            pass
    with RunDirectory.locked(path) as directory:
        assert directory.has_shares


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", ""])
def test_a_share_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(UsageError, match="I/N"):
        Share.parse(text)
    assert str(Share.parse("4/4")) == "4/4"
