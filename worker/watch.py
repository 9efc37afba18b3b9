"""How long the steps of a stage took, and the workers' processor time where they had a part."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from worker.engine import Engine

_Found = TypeVar("_Found")


class Watch:
    """Seconds of each step since the watch was made; `engine` may come later."""

    def __init__(self, engine: Engine) -> None:
        self.started_at = datetime.now(UTC)
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._engine = engine
        self._last = time.monotonic()

    def lap(self, name: str, *, by_workers: bool = True) -> None:
        """A step ends here; the next begins."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 2)
        self._last = now
        if by_workers:
            self.cpu_seconds[name] = round(self._engine.cpu_seconds, 2)

    def timed(self, name: str, step: Callable[..., _Found], *given: Any) -> _Found:
        """What a step gives that this process does beside others, in a thread of its own."""
        began, cpu = time.monotonic(), time.thread_time()
        found = step(*given)
        self.beside(name, time.monotonic() - began, time.thread_time() - cpu)
        return found

    def beside(self, name: str, seconds: float, cpu_seconds: float) -> None:
        """A step took so long while others went on."""
        self.seconds[name] = round(seconds, 2)
        self.cpu_seconds[name] = round(cpu_seconds, 2)


class StepTimes:
    """A reporter that keeps each step's seconds and processor seconds; `close` ends the last."""

    def __init__(self, engine: Engine) -> None:
        self._watch = Watch(engine)
        self._step: str | None = None

    @property
    def started_at(self) -> datetime:
        return self._watch.started_at

    @property
    def seconds(self) -> dict[str, float]:
        return self._watch.seconds

    @property
    def cpu_seconds(self) -> dict[str, float]:
        return self._watch.cpu_seconds

    def step(self, name: str, total: int | None, unit: str) -> None:
        self.close()
        self._step = name

    def advance(self, done: int, total: int | None = None) -> None:
        pass

    def note(self, line: str) -> None:
        pass

    def close(self) -> None:
        """The last step ends here."""
        if self._step is not None:
            self._watch.lap(self._step)
        self._step = None
