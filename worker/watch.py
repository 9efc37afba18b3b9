"""How long the steps of a stage took, and the workers' processor time where they had a part."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from worker.engine import Engine


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
