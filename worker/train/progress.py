"""Progress of a run: a bar a version on a terminal, a line now and then in a log."""

from __future__ import annotations

import math
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from worker.train.loop import Report

LOG_SECONDS = 30.0


class Progress:
    """Shows reports; a context manager, so that the terminal is left as it was."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description:8}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%  {task.fields[facts]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._logged: dict[str, float] = {}

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def say(self, line: str) -> None:
        """A step of the run, in words."""
        self._console.print(line, highlight=False)

    def show(self, side: str, report: Report) -> None:
        """Where a version stands."""
        facts = _facts(report)
        if self._console.is_terminal:
            if side not in self._tasks:
                self._tasks[side] = self._bars.add_task(side, total=report.steps, facts=facts)
            self._bars.update(
                self._tasks[side], completed=report.step, total=report.steps, facts=facts
            )
            return
        now = time.monotonic()
        last = report.step == report.steps and self._logged.get(side) != math.inf
        if last or now - self._logged.get(side, -LOG_SECONDS) >= LOG_SECONDS:
            self._logged[side] = math.inf if last else now
            self.say(f"{side}: step {report.step:,} of {report.steps:,}, {facts}")


def _facts(report: Report) -> str:
    parts = [] if report.loss is None else [f"loss {report.loss:.3f}"]
    parts.append(f"{report.rate:,.0f} tokens/s")
    if report.seconds_left is not None:
        minutes, seconds = divmod(round(report.seconds_left), 60)
        parts.append(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left")
    return ", ".join(parts)
