"""One computation at a time, in a thread of its own, with a bounded queue and a time limit.

    turns = Turns(waiting=8, limit_s=10)
    found = await turns.take(lambda deadline: compute(deadline))

A thread cannot be stopped from outside. A computation therefore asks its `Deadline` between its
steps; one that is past it ends, and until it has, it holds its turn: nothing runs beside it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from worker.live.errors import Busy, TooSlow

Found = TypeVar("Found")

log = logging.getLogger("twinscope.worker")

WAITING = 8
LIMIT_S = 10.0


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock, and how many seconds there were until it."""

    at: float
    limit_s: float

    @classmethod
    def after(cls, limit_s: float) -> Deadline:
        """`limit_s` seconds from now."""
        return cls(time.monotonic() + limit_s, limit_s)

    def check(self) -> None:
        """Raise TooSlow once the moment has passed."""
        if time.monotonic() > self.at:
            raise too_slow(self.limit_s)


def too_slow(limit_s: float) -> TooSlow:
    """What is said of a computation that ran past its limit."""
    return TooSlow(
        f"The live worker did not finish this text within {limit_s:g} s",
        "try a shorter one, or try again in a moment",
    )


class Turns:
    """`waiting` may wait beside the one that runs; `limit_s` is from the question to its answer."""

    def __init__(self, waiting: int = WAITING, limit_s: float = LIMIT_S) -> None:
        self.waiting = waiting
        self.limit_s = limit_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._lock = threading.Lock()
        self._taken = 0  # running and waiting

    @property
    def taken(self) -> int:
        """How many computations run or wait."""
        return self._taken

    async def take(self, compute: Callable[[Deadline], Found]) -> Found:
        """What `compute` gives, when its turn comes; in the order of calling.

        Errors: Busy where too many wait or its turn did not come within the limit, TooSlow where
        it came and did not suffice, and whatever `compute` raises.
        """
        future = self._queue(compute, Deadline.after(self.limit_s))
        found = asyncio.wrap_future(future)
        await asyncio.wait({found}, timeout=self.limit_s)
        if found.done():
            return found.result()
        never_began = future.cancel()
        found.cancel()
        if never_began:
            raise Busy(
                f"The live worker did not come to this text within {self.limit_s:g} s",
                "others wait, too: try again in a moment",
            )
        raise too_slow(self.limit_s)

    def begin(self, compute: Callable[[], object]) -> None:
        """Have something done when nothing else is, without waiting for it or for its limit."""

        def begun(_: Deadline) -> None:
            try:
                compute()
            except Exception as error:  # a question that needs it will meet it again, and say so
                log.error("%s: %s", type(error).__name__, error)

        self._queue(begun, Deadline.after(float("inf")), uncounted=True)

    def close(self) -> None:
        """Let go of the thread; what still waits is never done."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _queue(
        self, compute: Callable[[Deadline], Found], deadline: Deadline, uncounted: bool = False
    ) -> Future[Found]:
        with self._lock:
            if self._taken > self.waiting:
                raise Busy(
                    f"{self.waiting} texts wait at the live worker already, and no more may",
                    "try again in a moment",
                )
            self._taken += not uncounted
        future = self._thread.submit(compute, deadline)
        if not uncounted:
            future.add_done_callback(self._ended)
        return future

    def _ended(self, _: Future[Found]) -> None:
        with self._lock:
            self._taken -= 1
