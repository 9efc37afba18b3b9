"""Serving the application with uvicorn: what `twinscope serve` calls."""

from __future__ import annotations

import contextlib
import errno
import gc
import ipaddress
import os
import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from server.app import create_app
from server.errors import PortInUseError, ServerError
from server.settings import Settings
from server.warm_up import warm_up
from store.engine import Engine

#: Connections that may wait to be accepted.
BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on the address; port 0 takes any free one.

    Errors: PortInUseError, and ServerError for an address that this machine does not have.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, since asyncio has only such sockets send at once: else the body of an answer
    # waits for the reader's acknowledgement of its head, which comes 40 ms late.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"Port {port} on {host} is in use.", f"Try --port {port + 1}, or --port 0 for any."
            ) from error
        if error.errno == errno.EACCES:
            raise ServerError(
                f"Port {port} may not be used by this user.", "Try one above 1023."
            ) from error
        raise ServerError(f"Cannot listen on {host}: {error.strerror or error}.") from error
    except OverflowError as error:
        opened.close()
        raise ServerError(f"Port {port} does not exist; ports are 0–65535.") from error
    return opened


def check_host(host: str, settings: Settings) -> None:
    """Raise ServerError for an address beyond loopback in local mode, which has no login."""
    if settings.mode == "team" or settings.behind_proxy or is_loopback(host):
        return
    raise ServerError(
        f"In local mode there is no login, so the server listens on loopback only, not on {host}.",
        "For a team set TWINSCOPE_MODE=team; where a container or a proxy guards the port, "
        "TWINSCOPE_BEHIND_PROXY=1.",
    )


def is_loopback(host: str) -> bool:
    """Whether an address reaches this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_of(opened: socket.socket) -> str:
    """The address that a browser opens."""
    host, port = opened.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    settings: Settings | None = None,
    *,
    engine: Engine | None = None,
    leash: bool = False,
    shared: int | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted (Ctrl-C or SIGTERM), then let answers under way finish.

    `on_ready` is called with the address once it answers. With `leash` the end of standard input
    ends it, too: a parent that holds the other end cannot leave it behind. `shared` is the number
    of a socket that listens already, on which other processes answer, too. Errors before anything
    is served: PortInUseError, ServerError, SettingsError, and the store's about the database.
    """
    settings = settings or Settings.from_environment()
    check_host(host, settings)
    opened = listen(host, port) if shared is None else socket.socket(fileno=shared)
    with opened:
        app = create_app(settings, engine)
        # A page is a hundred thousand objects without cycles, freed with the answer: looking for
        # cycles among them every 700 objects takes a tenth of its time.
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        run_app(
            app,
            opened,
            leash=leash,
            shared=shared is not None,
            on_ready=on_ready,
            afterwards=lambda: warm_up(app),
        )


def run_app(
    app: ASGIApp,
    opened: socket.socket,
    *,
    leash: bool = False,
    shared: bool = False,
    on_ready: Callable[[str], None] | None = None,
    afterwards: Callable[[], None] | None = None,
) -> None:
    """Serve any application on a socket that listens already, with an end as `serve` has it.

    `afterwards` is called in a thread of its own once it answers. Of a `shared` socket one
    connection is taken at a time: a process that is busy takes none, and the others get them.
    """
    server = _Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who asks is read where the settings say whether to believe it
            timeout_graceful_shutdown=5,
            backlog=1 if shared else BACKLOG,
        ),
        (lambda: on_ready(address_of(opened))) if on_ready else None,
        afterwards,
    )
    if leash:
        threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
    # uvicorn shuts down and then passes the signal on: leaving is what was asked for.
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[opened])


def _end_with_stdin(server: uvicorn.Server) -> None:
    """Have the server stop once standard input ends."""
    while os.read(0, 4096):
        pass
    server.should_exit = True


class _Server(uvicorn.Server):
    """Says when it is ready: a browser opened earlier would find nothing."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_ready: Callable[[], None] | None,
        afterwards: Callable[[], None] | None,
    ) -> None:
        super().__init__(config)
        self._on_ready, self._afterwards = on_ready, afterwards

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for opened in sockets or ():  # how many may wait is not how many are taken at a time
            opened.listen(BACKLOG)
        if self._on_ready is not None and self.started:
            self._on_ready()
        if self._afterwards is not None and self.started:
            threading.Thread(target=self._afterwards, daemon=True).start()
