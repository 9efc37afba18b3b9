"""Ray actors give what one process gives, also when one of them is killed."""

from __future__ import annotations

import functools
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from store import progress
from store.records import ProgressRecord, RunRecord
from tests import databases
from tests.worker.evidence.test_stage import approximately, computed
from tests.worker.published import everything
from tests.worker.tiny_run import Place, opened
from worker import engine_ray, run_progress
from worker.engine import EngineError
from worker.errors import DeviceError, UsageError
from worker.evidence.substitution_search import parse_version, search
from worker.ray_actor import Actor, Task
from worker.reporter import Silent

ray = pytest.importorskip("ray")

pytestmark = [
    pytest.mark.xdist_group("ray"),
    # Ray's own: sockets and processes that it leaves to the interpreter's end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("ray"))


@pytest.fixture(scope="module")
def reference(place: Place) -> tuple[RunRecord, dict[str, Any]]:
    return place.published()


@pytest.fixture(scope="module", autouse=True)
def own_cluster() -> Iterator[None]:
    """Four places for actors, on this machine, whatever cores it has."""
    from worker.ray_cluster import cluster, leave

    before = os.environ.pop("RAY_ADDRESS", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster(4)
    yield
    leave()
    if before is not None:
        os.environ["RAY_ADDRESS"] = before


class Looking(Silent):
    """Reads the run's progress from the database, as its page does, at each word of a bar."""

    def __init__(self, url: str) -> None:
        self._url, self._step = url, ""
        self.bar: list[int] = []
        self.shown: list[ProgressRecord] = []

    def step(self, name: str, total: int | None, unit: str) -> None:
        self._step = name

    def advance(self, done: int, total: int | None = None) -> None:
        if self._step == "statistics":
            self.bar.append(done)
            with opened(self._url) as engine:
                self.shown += progress.current(engine)


# Some only in `make test-full`: each actor takes many seconds of a core to load torch.
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2, 4])
def test_any_number_of_actors_gives_what_one_process_gives(
    place: Place,
    reference: tuple[RunRecord, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    """And its progress is in the bar and on the run's page, as of local workers."""
    written_at_once = functools.partial(run_progress.Site, interval=0.0)
    monkeypatch.setattr(run_progress, "Site", written_at_once)
    with databases.fresh("sqlite") as url:
        looking = Looking(url)
        # Small shards and partials that are written at once: all actors have a part.
        run = place.compute(
            url, engine="ray", workers=workers, shard_windows=8, flush_seconds=0, reporter=looking
        )
        with opened(url) as engine:
            (last,) = progress.current(engine)
            assert everything(engine, run) == reference[1]
    assert run.id == reference[0].id
    assert run.provenance["engine"] == "ray"
    assert run.provenance["workers"] == workers
    assert looking.bar == sorted(looking.bar)
    assert looking.bar[-1] == run.n_tokens
    seen = [one for one in looking.shown if one.step == "statistics"]
    assert {one.state for one in seen} == {"running"}
    assert any(0 < one.done < run.n_tokens for one in seen)
    assert (last.run_id, last.state) == (run.id, "done")


@pytest.mark.slow
def test_evidence_and_searches_by_actors_are_those_of_one_process(tmp_path: Path) -> None:
    found = []
    for engine_name, workers in (("local", 1), ("ray", 2)):
        with databases.fresh("sqlite", migrated=True) as url:
            case = computed(tmp_path / engine_name, url)
            how: Any = {"engine": engine_name, "workers": workers}
            case.evidence(**how)
            of_search = search(
                case.run.id, wanted=parse_version("left:L1N3"), pair_spec=case.pair, device="cpu",
                database_url=url, **how,
            )  # fmt: skip
            assert of_search.found
            found.append(case.published())
            assert found[-1]["left L1N3"]["search"].pop("created_at")
    local, by_actors = found
    assert local.keys() == by_actors.keys()
    for name, value in local.items():
        assert by_actors[name] == approximately(value), name


class Noted(Actor):
    """An actor; all that were made, and the tasks that were given though they were done before."""

    made: ClassVar[list[Noted]] = []
    again: ClassVar[list[Task]] = []

    def __init__(self, setup: Any) -> None:
        super().__init__(setup)
        self.made.append(self)

    def give(self, task: Task, stamp: Any) -> None:
        if task.answered:
            self.again.append(task)
        super().give(task, stamp)

    def pid(self) -> int:
        found: int = ray.get(self._remote.__ray_call__.remote(lambda _: os.getpid()), timeout=300)
        return found


class KillAnActor(Silent):
    """Kills the process of an actor that has worked, once that so many tokens are done."""

    def __init__(self, tokens: int) -> None:
        self._tokens, self._step = tokens, ""
        self.killed = 0
        self.lost: list[Task] = []
        self.done: list[int] = []

    def step(self, name: str, total: int | None, unit: str) -> None:
        self._step = name

    def advance(self, done: int, total: int | None = None) -> None:
        if self._step != "statistics":
            return
        self.done.append(done)
        if done >= self._tokens and not self.killed:
            victim = next(actor for actor in Noted.made if actor.unsafe)
            self.killed = victim.pid()
            assert self.killed in actor_pids()
            self.lost = list(victim.unsafe)
            os.kill(self.killed, signal.SIGKILL)


def actor_pids() -> list[int]:
    """Processes of this cluster's living actors: descendants of ours that Ray has named so."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if entry.name.isdigit() and b"ray::Worker" in (entry / "cmdline").read_bytes():
                raylet = parent(int(entry.name))
                if parent(raylet) == os.getpid():
                    found.append(int(entry.name))
    return sorted(found)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_a_killed_actor_is_replaced_and_its_shards_are_done_again(
    place: Place,
    reference: tuple[RunRecord, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_ray, "Actor", Noted)
    # Nothing is written until the end: all that the killed one had done is lost with it.
    killer = KillAnActor(tokens=900)
    with databases.fresh("sqlite") as url:
        run = place.compute(
            url,
            engine="ray",
            workers=2,
            work_dir=tmp_path,
            shard_windows=8,
            flush_seconds=1000,
            reporter=killer,
        )
        assert killer.killed
        assert killer.killed not in actor_pids()
        assert len(Noted.made) == 3
        assert killer.lost
        assert all(task in Noted.again for task in killer.lost)
        assert killer.done[-1] == run.n_tokens
        with opened(url) as engine:
            assert everything(engine, run) == reference[1]


def test_what_the_cluster_lacks_is_named(place: Place, tmp_path: Path) -> None:
    with databases.fresh("sqlite") as url:
        with pytest.raises(UsageError, match=r"5 actors need 5 CPUs.*has 4.*--workers 4"):
            place.compute(url, engine="ray", workers=5, work_dir=tmp_path)
        with pytest.raises(DeviceError, match="'cuda' is not in the Ray cluster"):
            place.compute(url, engine="ray", device="cuda", work_dir=tmp_path)


@pytest.mark.slow
def test_an_actor_that_does_not_see_the_files_says_so(place: Place, tmp_path: Path) -> None:
    from worker.engine_ray import RayActors
    from worker.pairs import Version, load_pair

    left = load_pair(place.pair).left
    away = Version("left", "left", left.config, tmp_path / "elsewhere.safetensors")
    with (
        RayActors({"left": away}, "cpu", 1) as engine,
        pytest.raises(EngineError, match=r"does not see .*elsewhere.*file system"),
    ):
        list(engine.run(_Nothing(), [1]))


def test_actors_that_die_while_they_finish_are_not_replaced_for_ever(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.engine_ray import RayActors
    from worker.pairs import load_pair

    monkeypatch.setattr(engine_ray, "_DEATHS", 2)  # each of them loads torch
    left = load_pair(place.pair).left
    here = sys.modules[__name__]
    ray.cloudpickle.register_pickle_by_value(here)  # actors do not have the tests on their path
    try:
        with (
            RayActors({"left": left}, "cpu", 1) as engine,
            pytest.raises(EngineError, match=r"2 Ray actors died at the end of their work"),
        ):
            list(engine.run(_DiesAtTheEnd(), [1]))
    finally:
        ray.cloudpickle.unregister_pickle_by_value(here)


class _DiesAtTheEnd:
    def open(self, models: Any) -> Any:
        return self

    def handle(self, task: int) -> int:
        return task

    def finish(self) -> None:
        os._exit(1)


class _Nothing:
    def open(self, models: Any) -> Any:
        raise AssertionError("models were not loaded")
