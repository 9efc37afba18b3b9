"""One computation at a time, a bounded queue, a time limit: with stand-ins that take their time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from worker.live.errors import Busy, TooSlow
from worker.live.turns import Deadline, Turns

T = TypeVar("T")


def waiting_for(gate: threading.Event) -> Callable[[Deadline], str]:
    """A computation that lasts until the gate opens, and asks its deadline meanwhile."""

    def compute(deadline: Deadline) -> str:
        while not gate.wait(0.005):
            deadline.check()
        return "done"

    return compute


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What it gives, on a loop in a thread of its own: a browser's may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def test_one_at_a_time_in_the_order_of_asking() -> None:
    turns = Turns(waiting=8, limit_s=60)
    running, most, order = 0, 0, []

    def job(number: int) -> Callable[[Deadline], int]:
        def compute(_: Deadline) -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            time.sleep(0.01)
            order.append(number)
            running -= 1
            return number

        return compute

    async def ask() -> list[int]:
        return await asyncio.gather(*(turns.take(job(number)) for number in range(9)))

    assert finished(ask()) == list(range(9))
    assert order == list(range(9))
    assert most == 1
    assert turns.taken == 0


def test_no_more_may_wait_than_the_queue_holds() -> None:
    turns, gate = Turns(waiting=2, limit_s=60), threading.Event()

    async def ask() -> list[str | BaseException]:
        asked = [asyncio.create_task(turns.take(waiting_for(gate))) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert turns.taken == 3
        with pytest.raises(Busy, match="2 texts wait"):
            await turns.take(waiting_for(gate))
        gate.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    assert finished(ask()) == ["done"] * 3
    assert turns.taken == 0


def test_the_limit_ends_what_runs_and_what_waits() -> None:
    turns, gate = Turns(waiting=2, limit_s=0.1), threading.Event()

    async def ask() -> list[str | BaseException]:
        began = time.monotonic()
        asked = [asyncio.create_task(turns.take(waiting_for(gate))) for _ in range(2)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert time.monotonic() - began < 30
        return found

    running, waiting = finished(ask())
    assert isinstance(running, TooSlow)
    # Its turn may have come just as the limit passed: either way nobody waits longer.
    assert isinstance(waiting, (Busy, TooSlow))
    deadline = time.monotonic() + 60
    while turns.taken and time.monotonic() < deadline:
        time.sleep(0.01)
    assert turns.taken == 0, "what was given up must end by its deadline"


def test_what_does_not_heed_its_deadline_keeps_its_turn() -> None:
    """The next one waits: two computations never run beside each other."""
    turns, gate = Turns(waiting=2, limit_s=0.1), threading.Event()
    begun = threading.Event()

    async def ask() -> None:
        with pytest.raises(TooSlow):
            await turns.take(lambda _: gate.wait(60))
        assert turns.taken == 1
        with pytest.raises(Busy, match="did not come to this text"):
            await turns.take(lambda _: begun.set())
        gate.set()
        deadline = time.monotonic() + 60
        while turns.taken and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert turns.taken == 0
        turns.limit_s = 60
        assert await turns.take(lambda _: "now") == "now"
        assert not begun.is_set(), "a text that nobody waits for any more must not run"

    finished(ask())


def test_a_fault_of_one_is_not_the_next_ones() -> None:
    turns = Turns()

    def fails(_: Deadline) -> None:
        raise KeyError("x")

    async def ask() -> str:
        with pytest.raises(KeyError):
            await turns.take(fails)
        return await turns.take(lambda _: "well")

    assert finished(ask()) == "well"


def test_what_is_prepared_in_the_background_is_done_first_and_may_fail() -> None:
    turns, done = Turns(), []

    def fails() -> None:
        done.append("prepared")
        raise OSError("no library")

    async def ask() -> None:
        turns.begin(fails)
        assert turns.taken == 0
        await turns.take(lambda _: done.append("asked"))

    finished(ask())
    assert done == ["prepared", "asked"]
