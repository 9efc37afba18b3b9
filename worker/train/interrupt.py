"""A wish to stop, noted until the work is at a place where it can."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def noted(*signals: signal.Signals) -> Iterator[Callable[[], bool]]:
    """While it lasts `signals` do nothing but make the function that it gives return True.

        with noted(signal.SIGINT) as asked_to_stop:
            while not asked_to_stop(): ...

    For the main thread alone: signals come to no other.
    """
    asked = False

    def note(*_: object) -> None:
        nonlocal asked
        asked = True

    before = {one: signal.signal(one, note) for one in signals}
    try:
        yield lambda: asked
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def ignored(one: signal.Signals) -> Iterator[None]:
    """While it lasts a signal is ignored, for good in processes that are started in it."""
    before = signal.signal(one, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(one, before)
