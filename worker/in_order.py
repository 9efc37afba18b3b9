"""Results of an engine in the order of their tasks, for a single writer.

    for result in in_order(engine, job, tasks): ...

Whoever is free takes the next task, so results come in any order. What comes early waits; so that
this stays little, no task goes out that is more than `ahead` of the first that is not yet done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from worker.activations import Models
from worker.engine import NOT_YET, Engine, Job, Stamp, Work

#: Tasks given out beyond the first that is not done, for each worker.
_AHEAD = 4


@dataclass(frozen=True)
class _Numbered:
    number: int
    task: Any

    def __str__(self) -> str:
        return str(self.task)


@dataclass(frozen=True)
class _NumberedJob:
    job: Job

    def open(self, models: Models) -> _NumberedWork:
        return _NumberedWork(self.job.open(models))


@dataclass(frozen=True)
class _NumberedWork:
    work: Work

    def handle(self, task: _Numbered) -> tuple[int, Any]:
        return task.number, self.work.handle(task.task)

    def finish(self) -> None:
        self.work.finish()


def in_order(
    engine: Engine, job: Job, tasks: Iterable[Any], stamp: Stamp | None = None
) -> Iterator[Any]:
    """What a job gives for each task, in the order of the tasks; see `Engine.run`. The job has no
    last result and remembers nothing (`engine.remembers`)."""
    early: dict[int, Any] = {}
    passed_on = 0
    ahead = _AHEAD * engine.workers

    def numbered() -> Iterator[Any]:
        for number, task in enumerate(tasks):
            while number - passed_on >= ahead:
                yield NOT_YET
            yield _Numbered(number, task)

    def stamped(task: _Numbered) -> _Numbered:
        return _Numbered(task.number, stamp(task.task) if stamp else task.task)

    with closing(engine.run(_NumberedJob(job), numbered(), stamped)) as results:  # type: ignore[type-var]
        for number, result in results:
            early[number] = result
            while passed_on in early:
                yield early.pop(passed_on)
                passed_on += 1
