"""The fork server: it imports torch and the models' code once, and workers are forked from it.

    start_early(...)     a command, before it imports what it needs itself: both import side by side
    context()            the engine, when it starts its workers

No torch here: what is imported before `start_early` keeps the server waiting.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from pathlib import Path

_PRELOAD = ["worker.preloaded"]
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_NVIDIA = Path("/dev/nvidiactl")


def default_workers() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def context() -> BaseContext:
    """What worker processes are started with: the fork server, or where there is none, anew."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(_PRELOAD)
    return found


def start_early(device: str, engine: str, workers: int | None) -> None:
    """Start the server now, if this looks like work for several processes of this machine."""
    several = (workers or default_workers()) > 1
    on_cpu = device == "cpu" or (device == "auto" and not _NVIDIA.exists())
    if engine == "local" and several and on_cpu and context().get_start_method() == "forkserver":
        from multiprocessing import forkserver  # not everywhere

        # Ctrl-C is the command's, which says so in one line; the server would print a trace.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            with one_thread_each():
                forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Numeric libraries of processes that start in here get one thread."""
    before = {name: os.environ.get(name) for name in _THREAD_SETTINGS}
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
