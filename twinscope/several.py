"""`twinscope serve --processes N`: one socket, N processes that answer on it.

Python answers on one core; a process for each core answers on all of them. This process opens the
socket, starts the others on a leash (twinscope/leash.py) and waits; when one of them ends by
itself, all end, since what starts Twinscope should see it and start it again.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence

from twinscope.demo import interrupt_on_sigterm
from twinscope.faults import Fault
from twinscope.leash import leashed

START_LIMIT_S = 60
LOOK_S = 0.2


def serve(
    host: str,
    port: int,
    processes: int,
    *,
    leash: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted. Errors: those of `server.serve.serve`; `Fault` when a process ends
    by itself or none answers in time."""
    from server.serve import address_of, check_host, listen
    from server.settings import Settings

    check_host(host, Settings.from_environment())
    interrupt_on_sigterm()
    if leash:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        opened = stack.enter_context(listen(host, port))
        number = opened.fileno()
        arguments = ("serve", "--leash", "--host", host, "--socket", str(number))
        children = [
            stack.enter_context(leashed(*arguments, pass_fds=[number])) for _ in range(processes)
        ]
        address = address_of(opened)
        _await_answer(address, children)
        if on_ready is not None:
            on_ready(address)
        while True:
            _none_has_ended(children)
            time.sleep(LOOK_S)


def _await_answer(address: str, children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until one of them answers: the others are no slower to start."""
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        _none_has_ended(children)
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(LOOK_S)
    raise Fault(f"The site did not answer within {START_LIMIT_S} s.")


def _none_has_ended(children: Sequence[subprocess.Popen[bytes]]) -> None:
    if any(child.poll() is not None for child in children):
        raise Fault("A process of the site ended by itself; its own words stand above.")


def _end_with_stdin() -> None:
    """End as Ctrl-C does once standard input ends."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    _thread.interrupt_main()
