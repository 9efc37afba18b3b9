"""What runs jobs: the contract, and the engine that runs them in this process.

    with InProcess(versions, device) as engine:
        for result in engine.run(job, tasks):
            ...

A job is opened once per worker, handles any number of tasks, and is finished once. Results come
in any order; a job's own state travels through what `finish` leaves (a file, a result).
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import Any, Protocol, Self

import torch

from store.errors import StoreError
from worker.activations import Models, load_models
from worker.errors import DiskError, WorkerError
from worker.interrupts import deferred_interrupt
from worker.pairs import Version

_AHEAD = 256  # tasks drawn ahead of the worker
_AHEAD_SECONDS = 5.0  # but not longer than this, before the first

#: Among tasks: none is to go out before another one's result has come.
NOT_YET = object()

#: Changes a task just before it goes out, with what is known only then.
Stamp = Callable[[Any], Any]


class EngineError(WorkerError):
    """A worker that died or could not start; what is complete is kept."""


def carried(error: Exception, where: str) -> Exception:
    """A worker's fault as it crosses to the coordinator: one with its reason as it is, a disk's in
    words, anything else with its trace. `where`: "a worker process", say."""
    if isinstance(error, WorkerError | StoreError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return DiskError.of(error, where)
    return RuntimeError(f"in {where}:\n{traceback.format_exc()}")


class Work(Protocol):
    """An opened job."""

    def handle(self, task: Any) -> Any:
        """Do one task; its result."""
        ...

    def finish(self) -> Any:
        """No task is left; the last result, None if there is none."""
        ...


class Job(Protocol):
    """What workers do; it can be pickled.

    A job whose worker keeps part of what it found until `finish` (a partial, sums) says so by
    `remembers = True` (see `remembers`): should the worker die, its tasks are done again. A result
    with a true `kept` says that everything the worker was given so far is safe.
    """

    def open(self, models: Models) -> Work:
        """Begin, in the worker."""
        ...


def remembers(job: Job) -> bool:
    """Whether a worker of this job keeps what it found in memory, until it finishes."""
    return bool(getattr(job, "remembers", False))


def kept(result: Any) -> bool:
    """Whether this result says that all its worker has found so far is safe."""
    return bool(getattr(result, "kept", False))


class Engine(Protocol):
    """Runs one job after another, on models that stay loaded."""

    workers: int
    cpu_seconds: float  # of all workers in the last job that was finished

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def run(self, job: Job, tasks: Iterable[Any], stamp: Stamp | None = None) -> Iterator[Any]:
        """Results of all tasks, then of all `finish`.

        Tasks are drawn as they are needed, a bounded number ahead; NOT_YET among them says that the
        source is to be asked again once another result has come. On Ctrl-C every worker ends its
        task and finishes the job, then `KeyboardInterrupt` is raised. Raises what a task raised,
        and `EngineError` when a worker dies and no other can take its place.
        """
        ...


class InProcess:
    """One worker: this process. For a GPU, and wherever one core is all there is."""

    workers = 1
    cpu_seconds = 0.0

    def __init__(self, versions: Mapping[str, Version], device: str) -> None:
        self._versions = versions
        self._device = device
        self._models: Models | None = None
        self._threads = torch.get_num_threads()

    def __enter__(self) -> Self:
        torch.set_num_threads(1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        torch.set_num_threads(self._threads)
        self._models = None

    def run(self, job: Job, tasks: Iterable[Any], stamp: Stamp | None = None) -> Iterator[Any]:
        if self._models is None:
            self._models = load_models(self._versions, self._device)
        began = time.process_time()
        work = job.open(self._models)
        with deferred_interrupt() as check:
            try:
                for task in _drawn_ahead(tasks):
                    check()
                    yield work.handle(stamp(task) if stamp else task)
                check()
            except KeyboardInterrupt:
                work.finish()
                raise
            last = work.finish()
        self.cpu_seconds = time.process_time() - began
        if last is not None:
            yield last


def _drawn_ahead(tasks: Iterable[Any]) -> Iterator[Any]:
    """The same tasks, some of them drawn before they are needed: what is known about all drawn
    ones (the sample's threshold) then helps with the first."""
    source = iter(tasks)
    waiting: deque[Any] = deque()
    began = time.monotonic()
    while len(waiting) < _AHEAD and time.monotonic() - began < _AHEAD_SECONDS:
        task = next(source, None)
        if task is None or task is NOT_YET:
            break
        waiting.append(task)
    while waiting:
        yield waiting.popleft()
        waiting.extend(task for task in islice(source, 1) if task is not NOT_YET)
