"""Progress of long work: one protocol, and the reporters that show it in different places.

reporter.step("statistics", total=1_000_000, unit="tokens")
reporter.advance(65_536)
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Protocol

from store.records import ProgressRecord


class Reporter(Protocol):
    """Where progress goes. Steps follow one another; `advance` gives what is done in all."""

    def step(self, name: str, total: int | None, unit: str) -> None:
        """Begin a step; the one before is done."""
        ...

    def advance(self, done: int, total: int | None = None) -> None:
        """`done` of the current step; `total` corrects what `step` said."""
        ...

    def note(self, line: str) -> None:
        """One line for the reader."""
        ...


class Silent:
    """Says nothing."""

    def step(self, name: str, total: int | None, unit: str) -> None:
        pass

    def advance(self, done: int, total: int | None = None) -> None:
        pass

    def note(self, line: str) -> None:
        pass


class Terminal:
    """Bars with rate and time left, one a step; a context manager."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description:>16}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[amount]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        )
        self._task: Any = None
        self._unit = ""

    def __enter__(self) -> Terminal:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._finish()
        self._bars.stop()

    def step(self, name: str, total: int | None, unit: str) -> None:
        self._finish()
        self._unit = unit
        self._task = self._bars.add_task(name, total=total, amount="")

    def advance(self, done: int, total: int | None = None) -> None:
        if self._task is None:
            return
        task = self._bars.tasks[self._task]
        of = task.total if total is None else total
        rate = f"  {task.speed:,.0f}/s" if task.speed else ""
        amount = f"{done:,}" + (f" of {int(of):,}" if of else "") + f" {self._unit}{rate}"
        self._bars.update(self._task, completed=done, total=of, amount=amount)

    def note(self, line: str) -> None:
        self._bars.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _finish(self) -> None:
        if self._task is not None:
            task = self._bars.tasks[self._task]
            self._bars.update(self._task, total=task.completed or 1, completed=task.completed or 1)


class Site:
    """Writes a run's progress to the database, at most once in `interval` seconds.

    `write` is `store.progress.report` on an engine; a fault there is not the computation's: it is
    dropped, because the next write, or the publication, meets it again. Another thread may call
    `beat`, so that a step that says nothing for minutes is not taken for one that was killed.
    """

    def __init__(
        self,
        write: Any,
        run_id: str,
        pair_slug: str,
        corpus_spec: str,
        stage: str = "statistics",
        interval: float = 1.0,
    ) -> None:
        self._write = write
        self._names = (run_id, pair_slug, corpus_spec)
        self._stage = stage
        self._interval = interval
        self._step = ("starting", "tokens")
        self._total: int | None = None
        self._done = 0
        self._began = self._wrote = 0.0
        self._lock = threading.RLock()

    def step(self, name: str, total: int | None, unit: str) -> None:
        with self._lock:
            self._step, self._total, self._done = (name, unit), total, 0
            self._began = time.monotonic()
            self._report("running")

    def advance(self, done: int, total: int | None = None) -> None:
        with self._lock:
            self._done = done
            self._total = self._total if total is None else total
            if time.monotonic() - self._wrote >= self._interval:
                self._report("running")

    def beat(self, seconds: float) -> None:
        """Say the same again, if nothing was said for so long."""
        with self._lock:
            if time.monotonic() - self._wrote >= seconds:
                self._report("running")

    def note(self, line: str) -> None:
        pass

    def end(self, state: Any, message: str | None = None) -> None:
        """The last word: "done", "failed" or "interrupted", with its line."""
        with self._lock:
            self._report(state, message)

    def _report(self, state: Any, message: str | None = None) -> None:
        from store.errors import StoreError

        self._wrote = time.monotonic()
        run_id, pair_slug, corpus_spec = self._names
        step, unit = self._step
        elapsed = self._wrote - self._began
        record = ProgressRecord(
            run_id=run_id,
            pair_slug=pair_slug,
            corpus_spec=corpus_spec,
            stage=self._stage,
            step=step,
            done=self._done,
            total=self._total,
            unit=unit,
            rate=self._done / elapsed if self._done and elapsed > 0 else None,
            state=state,
            message=message,
        )
        try:
            self._write(record)
        except StoreError:
            if state != "running":
                raise


class Several:
    """Tells each of several reporters."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def step(self, name: str, total: int | None, unit: str) -> None:
        for reporter in self._reporters:
            reporter.step(name, total, unit)

    def advance(self, done: int, total: int | None = None) -> None:
        for reporter in self._reporters:
            reporter.advance(done, total)

    def note(self, line: str) -> None:
        for reporter in self._reporters:
            reporter.note(line)
