"""An application on a real port of loopback, for what a test client cannot be: a browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from server.serve import address_of, listen


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The address under which `app` answers until the block ends."""
    with listen("127.0.0.1", 0) as opened:
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + 120
            while not server.started:
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.01)
            yield address_of(opened)
        finally:
            server.should_exit = True
            thread.join(timeout=120)
            assert not thread.is_alive(), "the server did not end"
