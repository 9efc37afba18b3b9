"""The local engine: one process per core, each with one torch thread.

Two torch threads in one process collapse when something else holds a core; processes with one
thread each do not. Processes are forked from a server that has imported torch and the models' code
once (`worker.fork_server`; seconds of work per process otherwise), or spawned. Each has
its own pipe: no lock is shared, so a worker that is killed blocks nobody.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

import torch

from worker import fork_server
from worker.activations import load_models
from worker.engine import NOT_YET, EngineError, Job, Stamp, Work, carried
from worker.interrupts import deferred_interrupt
from worker.pairs import Version

_OUTSTANDING = 2  # tasks given to a worker: one in work, one waiting
_AHEAD = 256  # tasks drawn ahead of the workers
_PATIENCE = 30.0  # seconds that an interrupted worker has to finish


class Processes:
    """`workers` processes on this machine; a context manager."""

    def __init__(self, versions: Mapping[str, Version], device: str, workers: int) -> None:
        self.workers = workers
        self.cpu_seconds = 0.0
        self._setup = (dict(versions), device)
        self._running: list[_Process] = []

    def __enter__(self) -> Self:
        context = fork_server.context()
        with fork_server.one_thread_each():
            self._running = [_Process(context, self._setup) for _ in range(self.workers)]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._running:
            process.stop(at_once=error is not None)
        self._running = []

    def run(self, job: Job, tasks: Iterable[Any], stamp: Stamp | None = None) -> Iterator[Any]:
        source = iter(tasks)
        waiting: deque[Any] = deque()
        drained = False
        for process in self._running:
            process.begin(job)
        self.cpu_seconds = 0.0
        with deferred_interrupt() as check:
            while True:
                self._hand_out(waiting, stamp)
                drawn = None
                if not drained and len(waiting) < _AHEAD:
                    drawn = next(source, None)
                    drained = drawn is None
                    if drawn is not None and drawn is not NOT_YET:
                        waiting.append(drawn)
                idle = drained and not waiting
                if idle:
                    for process in self._running:
                        process.finish_when_done()
                    if all(process.is_finished for process in self._running):
                        self.cpu_seconds = sum(process.cpu_seconds for process in self._running)
                        break
                may_rest = drained or drawn is NOT_YET or len(waiting) >= _AHEAD
                yield from self._collect(0.2 if may_rest else 0.0)
                try:
                    check()
                except KeyboardInterrupt:
                    self._finish_early()
                    raise

    def _hand_out(self, waiting: deque[Any], stamp: Stamp | None) -> None:
        """Fill each worker's hands, the emptiest first."""
        for process in sorted(self._running, key=lambda p: len(p.tasks)):
            while len(process.tasks) < _OUTSTANDING and waiting:
                task = waiting.popleft()
                process.give(stamp(task) if stamp else task)

    def _collect(self, timeout: float) -> Iterator[Any]:
        """What workers report within `timeout` seconds."""
        by_object: dict[Any, _Process] = {}
        for process in self._running:
            by_object[process.connection] = by_object[process.sentinel] = process
        ready = wait(list(by_object), timeout)
        # A worker's last words come before the news of its death.
        for thing in sorted(ready, key=lambda thing: isinstance(thing, int)):
            process = by_object[thing]
            while process.connection.poll():
                result = process.receive()
                if result is not None:
                    yield result
            if isinstance(thing, int):
                raise process.death()

    def _finish_early(self) -> None:
        """Let each worker end its task and write what it has."""
        for process in self._running:
            process.interrupt()
        with suppress(EngineError):
            while not all(process.is_finished for process in self._running):
                busy = [p.connection for p in self._running if not p.is_finished]
                if not wait(busy, _PATIENCE):
                    return
                for _ in self._collect(0.0):
                    pass


class _Process:
    """One worker process as the coordinator sees it."""

    def __init__(self, context: Any, setup: tuple[dict[str, Version], str]) -> None:
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *setup), daemon=True)
        self._process.start()
        theirs.close()
        self.tasks: deque[str] = deque()
        self.is_finished = False
        self.cpu_seconds = 0.0
        self._asked = False

    @property
    def sentinel(self) -> int:
        return int(self._process.sentinel)

    def send(self, *message: Any) -> None:
        try:
            self.connection.send(message)
        except OSError as error:
            raise self.death() from error

    def begin(self, job: Job) -> None:
        self.is_finished = self._asked = False
        self.send("job", job)

    def give(self, task: Any) -> None:
        self.tasks.append(str(task))
        self.send("task", task)

    def finish_when_done(self) -> None:
        if not self._asked:
            self._asked = True
            self.send("finish")

    def interrupt(self) -> None:
        if not self._asked:
            self._asked = True
            with suppress(EngineError):
                self.send("interrupt")

    def receive(self) -> Any:
        """The next result, None for a message without one; raises what the worker raised."""
        try:
            kind, result = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self.death() from error
        if kind == "failed":
            raise result
        if kind == "finished":
            self.tasks.clear()
            self.is_finished = True
            result, self.cpu_seconds = result
        else:
            self.tasks.popleft()
        return result

    def death(self) -> EngineError:
        """Says how the process ended, and at what."""
        self._process.join(1.0)
        code = self._process.exitcode
        how = f"was killed by signal {-code}" if code is not None and code < 0 else "ended"
        at = f" at {self.tasks[0]}" if self.tasks else ""
        return EngineError(
            f"worker process {self._process.pid} {how}{at}",
            "what is complete is kept: run the same command again with --resume",
        )

    def stop(self, at_once: bool) -> None:
        if not at_once:
            with suppress(OSError):
                self.connection.send(("stop",))
            self._process.join(5.0)
        self.connection.close()
        for end in (self._process.terminate, self._process.kill):
            if self._process.is_alive():
                end()
                self._process.join(3.0)
        self._process.close()


def _serve(connection: Connection, versions: dict[str, Version], device: str) -> None:
    """A worker process: jobs and tasks in, results out, until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator says when to end
    torch.set_num_threads(1)
    inbox: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    work: Work | None = None
    began = 0.0
    try:
        models = load_models(versions, device)
        while True:
            kind, *rest = inbox.get()
            if kind == "stop":
                return
            if kind == "job":
                began = time.process_time()
                work = rest[0].open(models)
                continue
            assert work is not None
            if kind == "task":
                connection.send(("done", work.handle(rest[0])))
            else:
                last = work.finish()
                connection.send(("finished", (last, time.process_time() - began)))
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:
        connection.send(("failed", carried(error, "a worker process")))


def _receive(connection: Connection, inbox: queue.SimpleQueue[tuple[Any, ...]]) -> None:
    """Take messages in as they come, so that the coordinator never waits for a busy worker."""
    while True:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            os._exit(1)  # the coordinator is gone: nobody waits for what is in work
        if message[0] == "interrupt":
            with suppress(queue.Empty):
                while True:
                    inbox.get_nowait()
            message = ("finish",)
        inbox.put(message)
