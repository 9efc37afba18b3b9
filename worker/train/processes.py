"""Versions trained side by side: a process each, one torch thread each.

A process is asked to stop by SIGTERM (Ctrl-C goes to its parent alone), or finds that its parent
is gone; it then writes its checkpoint and leaves.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from worker.errors import TrainError, WorkerError
from worker.train.data import open_windows
from worker.train.interrupt import ignored, noted
from worker.train.loop import Report, train_version, write_report
from worker.train.settings import TrainSettings, WorkFiles

POLL_SECONDS = 0.2


def train_in_processes(
    settings: TrainSettings, work: WorkFiles, at_once: int, show: Callable[[str, Report], None]
) -> None:
    """Train all versions to their end, at most `at_once` at a time, in their order.

    `show(side, report)` is called as reports come. If one fails or this process is interrupted,
    the others are stopped first; their checkpoints hold.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(settings.versions)
    running: dict[str, BaseProcess] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                side = waiting.pop(0)
                work.progress(side).unlink(missing_ok=True)
                process: BaseProcess = context.Process(
                    target=_train_one,
                    args=(work.directory, side, os.getpid()),
                    name=f"train {side}",
                )
                with ignored(signal.SIGINT):
                    process.start()
                running[side] = process
            time.sleep(POLL_SECONDS)
            for side, process in list(running.items()):
                alive = process.is_alive()
                report = _read_report(work.progress(side))
                if report is not None:
                    show(side, report)
                if not alive:
                    process.join()
                    del running[side]
                    _check_end(side, process.exitcode, report)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()


def _check_end(side: str, code: int | None, report: Report | None) -> None:
    if report is not None and report.error:
        raise TrainError(report.error, report.hint)
    if code != 0 or report is None or report.step < report.steps:
        raise TrainError(
            f"the process that trained {side} ended with code {code}",
            "go on from its checkpoint with --resume",
        )


def _read_report(path: Path) -> Report | None:
    try:
        return Report(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None


def _train_one(directory: Path, side: str, parent: int) -> None:
    """The body of a version's process."""
    torch.set_num_threads(1)
    work = WorkFiles(directory)

    def report(progress: Report) -> None:
        write_report(work.progress(side), progress)

    try:
        with noted(signal.SIGTERM) as asked_to_stop:
            train_version(
                TrainSettings.load(work.settings),
                side,
                open_windows(work.windows),
                torch.device("cpu"),
                work.checkpoint(side),
                report,
                lambda: asked_to_stop() or os.getppid() != parent,
            )
    except WorkerError as error:
        report(Report(0, 0, 0, None, 0.0, None, error.message, error.hint))
