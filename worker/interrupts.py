"""Ctrl-C at safe points only, and SIGTERM where it is treated like Ctrl-C.

    with deferred_interrupt() as check:
        while work:
            do_some()
            check()  # raises KeyboardInterrupt if Ctrl-C was pressed meanwhile

A second Ctrl-C is not deferred. Outside the main thread nothing is changed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Hold SIGINT, and a SIGTERM that has a handler, back until `check` is called."""
    pressed = False

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {signal.SIGINT: signal.signal(signal.SIGINT, note)}
    if callable(signal.getsignal(signal.SIGTERM)):
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, note)
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
