"""Children on a leash: however this process ends, its children see their stdin close, and end.

    with leashed("serve", "--port", "8000", "--leash") as child:
        ...

The child is in a session of its own, so that Ctrl-C in a terminal reaches this process alone,
which then lets go of the leash; a kill that nobody can catch closes the pipe, too.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

END_LIMIT_S = 10


@contextmanager
def leashed(*arguments: str, pass_fds: Collection[int] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A verb of Twinscope as a child process; ended when the block is left."""
    child = subprocess.Popen(
        [sys.executable, "-m", "twinscope", *arguments],
        stdin=subprocess.PIPE,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    )
    try:
        yield child
    finally:
        if child.stdin:
            child.stdin.close()
        try:
            child.wait(timeout=END_LIMIT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
