"""The Ray engine: an actor per GPU, or per core, on one machine or a cluster.

    with RayActors(versions, "cuda", workers=8) as engine:
        for result in engine.run(job, tasks): ...

The same jobs and tasks as on the local engine, so the same results. An actor that dies is replaced
and its tasks are done again: those in work and, for a job that keeps what it found until it is
written (`engine.remembers`), all since its worker last said that everything is safe.

Actors read weights and read and write the run's work directory by the paths the coordinator gave
them: on several machines both lie on a file system that all of them share. Ray is optional
(`pip install '.[ray]'`) and is imported in these modules only.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from worker.engine import NOT_YET, EngineError, Job, Stamp, kept, remembers
from worker.errors import UsageError
from worker.interrupts import deferred_interrupt
from worker.pairs import Version
from worker.ray_actor import Actor, Outcome, Task
from worker.ray_cluster import cluster, leave

_AHEAD = 256  # tasks drawn ahead of the actors
_PATIENCE = 30.0  # seconds that an interrupted actor has to finish
_START = 300.0  # seconds that an actor may wait for its place in the cluster
_DEATHS = 3  # a task at which so many actors have died is not tried again


class RayActors:
    """`workers` actors of a Ray cluster; a context manager. See `worker.engine.Engine`."""

    def __init__(self, versions: Mapping[str, Version], device: str, workers: int) -> None:
        self.workers = workers
        self.cpu_seconds = 0.0
        self._setup = (dict(versions), device)
        self._actors: list[Actor] = []
        self._started_here = False

    def __enter__(self) -> Self:
        import ray

        self._started_here = not ray.is_initialized()
        resources = cluster(self.workers)
        self._fits(resources)
        self._actors = [Actor(self._setup) for _ in range(self.workers)]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for actor in self._actors:
            actor.stop()
        self._actors = []
        if self._started_here:
            leave()

    def run(self, job: Job, tasks: Iterable[Any], stamp: Stamp | None = None) -> Iterator[Any]:
        source, waiting = iter(tasks), deque[Task]()
        drained = False
        deaths: Counter[str | int] = Counter()
        self.cpu_seconds = 0.0
        for actor in self._actors:
            actor.begin(job)
        with deferred_interrupt() as check:
            while True:
                for actor in sorted(self._actors, key=lambda one: len(one.given)):
                    while waiting and actor.has_room:
                        if actor.is_finished:  # before another one died
                            actor.begin(job)
                        actor.give(waiting.popleft(), stamp)
                drawn = None
                if not drained and len(waiting) < _AHEAD:
                    drawn = next(source, None)
                    drained = drawn is None
                    if drawn is not None and drawn is not NOT_YET:
                        waiting.append(Task(drawn))
                if drained and not waiting:
                    present = [actor for actor in self._actors if actor.starting is None]
                    if present and all(actor.is_finished for actor in present):
                        break
                    for actor in present:
                        actor.finish_when_idle()
                may_rest = drained or drawn is NOT_YET or len(waiting) >= _AHEAD
                yield from self._collect(job, waiting, deaths, 0.2 if may_rest else 0.0)
                try:
                    check()
                except KeyboardInterrupt:
                    self._finish_early(job)
                    raise

    def _collect(
        self, job: Job, waiting: deque[Task], deaths: Counter[str | int], timeout: float
    ) -> Iterator[Any]:
        """What actors report within `timeout` seconds; the dead are replaced."""
        import ray

        by_reference = {a.awaited: a for a in self._actors if a.awaited is not None}
        if not by_reference:
            return
        self._require_a_place()
        ready, _ = ray.wait(list(by_reference), num_returns=1, timeout=timeout)
        for reference in ready:
            actor = by_reference[reference]
            try:
                outcome = ray.get(reference)
            except ray.exceptions.RayError as error:
                self._replace(actor, job, waiting, deaths, error)
                continue
            if outcome.error is not None:
                raise outcome.error
            yield from self._taken(actor, outcome, remembers(job))

    def _require_a_place(self) -> None:
        """`EngineError` when Ray has started no actor for too long."""
        if all(
            a.starting is not None and time.monotonic() - a.since > _START for a in self._actors
        ):
            raise EngineError(
                f"Ray gave no actor a place within {_START:.0f} s",
                "others may hold the cluster: see ray status, or give fewer --workers",
            )

    def _taken(self, actor: Actor, outcome: Outcome, keeps: bool) -> Iterator[Any]:
        if actor.starting is not None:
            actor.starting = None
            return
        if actor.finishing is not None:
            actor.is_finished, actor.finishing = True, None
            actor.unsafe.clear()
            self.cpu_seconds += outcome.cpu_seconds
            if outcome.result is not None:
                yield outcome.result
            return
        task, _ = actor.given.popleft()
        again, task.answered = task.answered, True
        if keeps:
            actor.unsafe.append(task)
        if kept(outcome.result):
            actor.unsafe.clear()
        # What a task said before its actor died has been passed on; only what is safe now is news.
        if not again or kept(outcome.result):
            yield outcome.result

    def _replace(
        self,
        actor: Actor,
        job: Job,
        waiting: deque[Task],
        deaths: Counter[str | int],
        error: Exception,
    ) -> None:
        """Another actor for a dead one; all that is lost with it is to be done again."""
        lost = [*actor.unsafe, *(task for task, _ in actor.given)]
        first = actor.given[0][0] if actor.given else None
        at: str | None = None
        if first is not None:
            at = str(first.task)
        elif actor.starting is not None:
            at = "their start"
        elif actor.finishing is not None:
            at = "the end of their work"
        if at is not None:
            key = at if first is None else id(first)
            deaths[key] += 1
            if deaths[key] >= _DEATHS:
                raise EngineError(
                    f"{_DEATHS} Ray actors died at {at}: {_first_line(error)}",
                    "what is complete is kept: run the same command again with --resume",
                ) from error
        waiting.extendleft(reversed(lost))
        actor.stop()
        fresh = Actor(self._setup)
        self._actors[self._actors.index(actor)] = fresh
        fresh.begin(job)

    def _finish_early(self, job: Job) -> None:
        """Let each actor end its task and write what it has."""
        import ray

        for actor in self._actors:
            actor.finish_now()
        open_ = [actor.finishing for actor in self._actors if actor.finishing is not None]
        with suppress(ray.exceptions.RayError):
            ray.wait(open_, num_returns=len(open_), timeout=_PATIENCE)

    def _fits(self, resources: Mapping[str, float]) -> None:
        kind = "GPU" if self._setup[1].startswith("cuda") else "CPU"
        there = int(resources.get(kind, 0))
        if self.workers > there:
            raise UsageError(
                f"{self.workers} actors need {self.workers} {kind}s, and the Ray cluster has "
                f"{there}",
                f"give --workers {there or 1} or fewer",
            )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
