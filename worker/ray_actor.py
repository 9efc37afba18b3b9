"""An actor of the Ray engine: as the coordinator sees it, and what runs in its own process."""

from __future__ import annotations

import platform
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from worker.activations import load_models
from worker.engine import EngineError, Job, Stamp, Work, carried
from worker.pairs import Version

_OUTSTANDING = 2  # tasks given to an actor: one in work, one waiting


@dataclass(eq=False)
class Task:
    task: Any
    answered: bool = False  # its result was passed on once


@dataclass(frozen=True)
class Outcome:
    """What an actor sends back. `error` is the fault to raise here."""

    result: Any
    cpu_seconds: float = 0.0
    error: Exception | None = None


class Actor:
    """One actor as the coordinator sees it: calls are done in the order they were made."""

    def __init__(self, setup: tuple[dict[str, Version], str]) -> None:
        import ray

        needs = {"num_gpus": 1} if setup[1].startswith("cuda") else {"num_cpus": 1}
        make: Any = ray.remote(**needs, max_restarts=0)  # type: ignore[call-overload]
        self._remote = make(Worker).remote(*setup)
        self.given: deque[tuple[Task, Any]] = deque()  # with the references of their results
        self.unsafe: list[Task] = []  # done, but what they gave is in the actor's memory only
        self.starting: Any = self._remote.ready.remote()
        self.since = time.monotonic()
        self.finishing: Any = None
        self.is_finished = False

    @property
    def awaited(self) -> Any:
        """The reference of the oldest call that is not answered, None without one."""
        if self.starting is not None:
            return self.starting
        return self.given[0][1] if self.given else self.finishing

    @property
    def has_room(self) -> bool:
        return self.starting is None and self.finishing is None and len(self.given) < _OUTSTANDING

    def begin(self, job: Job) -> None:
        self.is_finished, self.finishing = False, None
        self._remote.begin.remote(job)

    def give(self, task: Task, stamp: Stamp | None) -> None:
        sent = stamp(task.task) if stamp else task.task
        self.given.append((task, self._remote.handle.remote(sent)))

    def finish_when_idle(self) -> None:
        if not self.given:
            self.finish_now()

    def finish_now(self) -> None:
        if self.starting is None and self.finishing is None and not self.is_finished:
            self.finishing = self._remote.finish.remote()

    def stop(self) -> None:
        import ray

        with suppress(Exception):
            ray.kill(self._remote)


class Worker:
    """In the actor's process."""

    def __init__(self, versions: dict[str, Version], device: str) -> None:
        torch.set_num_threads(1)
        self._failed: Exception | None = None
        self._work: Work | None = None
        self._began = 0.0
        try:
            missing = [str(one.weights) for one in versions.values() if not one.weights.is_file()]
            if missing:
                raise EngineError(
                    f"a Ray actor on {platform.node()} does not see {missing[0]}",
                    "keep pairs and --work-dir on a file system that all machines share",
                )
            self._models = load_models(versions, device)
        except Exception as error:
            self._failed = _carried(error)

    def ready(self) -> Outcome:
        return Outcome(None, error=self._failed)

    def begin(self, job: Job) -> None:
        self._began = time.process_time()
        if self._failed is not None:
            return
        try:
            self._work = job.open(self._models)
        except Exception as error:
            self._failed = _carried(error)

    def handle(self, task: Any) -> Outcome:
        return self._outcome(lambda work: work.handle(task))

    def finish(self) -> Outcome:
        return self._outcome(lambda work: work.finish())

    def _outcome(self, do: Any) -> Outcome:
        if self._failed is not None:
            return Outcome(None, error=self._failed)
        assert self._work is not None
        try:
            result = do(self._work)
        except Exception as error:
            return Outcome(None, error=_carried(error))
        return Outcome(result, time.process_time() - self._began)


def _carried(error: Exception) -> Exception:
    return carried(error, f"a Ray actor on {platform.node()}")
