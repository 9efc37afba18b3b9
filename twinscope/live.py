"""`twinscope worker`, and the same as a child of `twinscope serve --with-worker`.

The child gets a socket that listens already. So its address is known at once, and a text that is
sent while it starts waits for it; when it ends, the address is refused.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twinscope.faults import UsageFault
from twinscope.leash import leashed


def run(
    host: str,
    port: int,
    *,
    device: str = "auto",
    pairs: Sequence[Path] = (),
    inherited: int | None = None,
    leash: bool = False,
) -> None:
    """Answer texts until interrupted. `inherited` is the number of a socket that listens."""
    from server.serve import check_host, listen, run_app
    from server.settings import Settings
    from worker.live.app import Models, create_app
    from worker.pairs import load_pair

    settings = Settings.from_environment()
    directories = {load_pair(path).slug: path.expanduser().resolve() for path in pairs}
    if device not in ("auto", "cpu"):
        from worker.models import resolve_device

        resolve_device(device)
    check_host(host, settings)
    opened = listen(host, port) if inherited is None else socket.socket(fileno=inherited)
    app = create_app(Models(directories, device), allowed_hosts=settings.allowed_hosts)
    with opened:
        run_app(app, opened, leash=leash, on_ready=_announce if inherited is None else None)
    # A library that is still being loaded would hold this process up; there is nothing to keep.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def child(*, device: str = "auto", pairs: Sequence[Path] = ()) -> Iterator[str]:
    """The address of a live worker that ends with this block, or with this process."""
    for path in pairs:
        if not path.expanduser().is_dir():
            raise UsageFault(f"--pair: {path} is no directory.")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as opened:
        number = opened.fileno()
        arguments = ["worker", "--leash", "--socket", str(number), "--device", device]
        for path in pairs:
            arguments += ["--pair", str(path)]
        address = f"http://127.0.0.1:{opened.getsockname()[1]}"
        with leashed(*arguments, pass_fds=[number]):
            opened.close()  # ours; the child has its own, and when it ends, nobody listens
            yield address


def _announce(address: str) -> None:
    print(
        f"The live worker is at {address}  (Ctrl-C ends it)\n"
        f"For the site: TWINSCOPE_WORKER_URL={address} twinscope serve",
        flush=True,
    )
