"""Publication by several processes: the same rows, faults with their reasons, nothing by halves."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from store import progress, run_tables, runs
from store.engine import reading
from store.errors import StoreError
from tests import databases
from tests.worker.tiny_run import Disturb, Place, opened, press_ctrl_c
from worker import publish
from worker.engine import NOT_YET, EngineError, Job, Stamp
from worker.examples import ExamplePart
from worker.in_order import in_order


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("publication"))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that the tiny run has many of each kind."""
    for name, size in (("WINDOWS", 5), ("NEURONS", 3), ("VERSIONS", 2), ("TOKENS", 10)):
        monkeypatch.setattr(publish, name, size)


def stored(url: str) -> dict[str, list[Any]]:
    """All rows of the one run, in the order of their keys; no moments, no times."""
    with opened(url) as engine, reading(engine) as connection:
        key = connection.scalar(text("SELECT key FROM run"))
        return {
            table.name: [row for part in run_tables.rows(connection, table, key) for row in part]
            for table in run_tables.of_run()
            if table.name != "run_stage"
        }


def test_any_number_of_workers_stores_the_same_rows(place: Place, tmp_path: Path) -> None:
    """With a fault and an interruption before: the processes' start is most of its time."""
    work, same = tmp_path / "work", tmp_path / "same"

    def kill_a_worker() -> None:
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    with databases.fresh("sqlite") as url:
        with pytest.raises(EngineError, match=r"killed by signal 9 at packing .*--resume"):
            place.compute(url, workers=2, work_dir=work, reporter=Disturb("publish", kill_a_worker))
        assert multiprocessing.active_children() == []
        assert_nothing_is_left(url, "failed")
        shutil.copytree(work, same)  # the same partials, so that even float sums are equal
        with pytest.raises(KeyboardInterrupt):
            place.compute(
                url, work_dir=same, resume=True, reporter=Disturb("publish", press_ctrl_c)
            )
        assert_nothing_is_left(url, "interrupted")
        place.compute(url, work_dir=same, resume=True)
        expected = stored(url)
    assert all(len(expected[name]) > 20 for name in ("window", "example", "token_neuron"))
    with databases.fresh("sqlite") as url:
        place.compute(url, workers=2, work_dir=work, resume=True)
        assert stored(url) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_what_cannot_be_packed_is_named(
    place: Place, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    cut_out = publish.Parts.cut_out

    def spoilt(parts: publish.Parts, span: Any) -> Any:
        part = cut_out(parts, span)
        if isinstance(part, ExamplePart) and part.layer == 1 and part.wanted["neuron"][0] == 0:
            wanted = part.wanted.copy()
            wanted["position"][:1] += 1_000
            return dataclasses.replace(part, wanted=wanted)
        return part

    with databases.fresh("sqlite") as url:
        with monkeypatch.context() as patched:
            patched.setattr(publish.Parts, "cut_out", spoilt)
            with pytest.raises(StoreError, match=r"Some examples .*left L1N0: focus outside"):
                place.compute(url, workers=workers)
        assert multiprocessing.active_children() == []
        assert_nothing_is_left(url, "failed")
        run = place.compute(url, resume=True)
        with opened(url) as engine:
            assert runs.list_runs(engine) == [run]


def assert_nothing_is_left(url: str, state: str) -> None:
    with opened(url) as engine:
        assert runs.list_runs(engine) == []
        assert progress.current(engine)[0].state == state
        with reading(engine) as connection:
            for table in run_tables.of_run():
                counted = connection.scalar(text(f'SELECT count(*) FROM "{table.name}"'))
                assert counted == 0, table.name


class Shuffled:
    """An engine that does the tasks it has been given in any order."""

    cpu_seconds = 0.0

    def __init__(self, workers: int, seed: int) -> None:
        self.workers = workers
        self.most = 0  # tasks drawn whose results were not passed on
        self._random = random.Random(seed)

    def run(self, job: Job, tasks: Iterable[Any], stamp: Stamp | None = None) -> Iterator[Any]:
        work = job.open(None)  # type: ignore[arg-type]
        source, hands = iter(tasks), []
        drained = False
        while hands or not drained:
            while not drained:
                task = next(source, None)
                drained = task is None
                if task is None or task is NOT_YET:
                    break
                hands.append(task)
            self.most = max(self.most, len(hands))
            assert hands or drained, "tasks are held back, and none is at work"
            if hands:
                task = hands.pop(self._random.randrange(len(hands)))
                assert stamp is not None
                yield work.handle(stamp(task))
        work.finish()


class Doubling:
    def open(self, models: Any) -> Doubling:
        return self

    def handle(self, task: int) -> int:
        return 2 * task

    def finish(self) -> None:
        return None


@pytest.mark.parametrize("seed", range(5))
def test_results_come_in_the_order_of_their_tasks(seed: int) -> None:
    engine = Shuffled(workers=1 + seed, seed=seed)
    found = list(in_order(engine, Doubling(), iter(range(200)), lambda task: task + 1))  # type: ignore[arg-type]
    assert found == [2 * (n + 1) for n in range(200)]
    assert engine.most <= 4 * engine.workers


def test_a_writer_that_stops_closes_the_engine() -> None:
    class Closing(Shuffled):
        closed = False

        def run(self, *given: Any) -> Iterator[Any]:
            try:
                yield from super().run(*given)
            finally:
                self.closed = True

    engine = Closing(2, 0)
    results = in_order(engine, Doubling(), iter(range(50)))  # type: ignore[arg-type]
    assert [next(results), next(results)] == [0, 2]
    results.close()  # type: ignore[attr-defined]
    assert engine.closed
