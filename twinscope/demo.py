"""`twinscope demo`: the site within seconds, the shipped pair's neurons within minutes.

The site runs as a child process from the start and shows the precompute's progress; the
precompute runs here, with its bars in the terminal. The child is on a leash (twinscope/leash.py)
and holds the live worker on another: however this process ends, both end, too.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager

from twinscope.faults import Fault
from twinscope.leash import leashed

HOST = "127.0.0.1"
START_LIMIT_S = 60


@contextmanager
def site(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The site as a child process, answering on `port`; ended when the block is left.

    Raises `Fault` when the port is taken or the site does not answer in time.
    """
    require_free_port(port)
    with leashed("serve", "--port", str(port), "--leash", "--with-worker") as child:
        _await_health(child, port)
        yield child


def require_free_port(port: int) -> None:
    """Raise `Fault` when something listens on the port already."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Fault(
                f"Port {port} on {HOST} cannot be used ({error.strerror}); take another: "
                f"make demo PORT={port + 1}, or twinscope demo --port {port + 1}."
            ) from None


def open_browser(url: str) -> None:
    """Open the site in a browser, on a desktop only."""
    on_a_desktop = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if on_a_desktop and sys.stdout.isatty() and not os.environ.get("SSH_CONNECTION"):
        webbrowser.open(url)


def interrupt_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that children and files are cleaned up."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def serve_until_interrupted(child: subprocess.Popen[bytes]) -> None:
    """Wait for Ctrl-C, which ends the demo as done; raise `Fault` if the site ends by itself."""
    try:
        child.wait()
    except KeyboardInterrupt:
        print("\nTwinscope has ended; `make demo` starts it again at once.", flush=True)
        return
    raise Fault("The site ended by itself; its own words stand above.")


def _await_health(child: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise Fault("The site did not start; its own words stand above.")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/healthz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise Fault(f"The site did not answer on port {port} within {START_LIMIT_S} s.")
