"""Faults at the edge: one line on stderr and an exit code, never a traceback.

Exit codes: 0 done, 1 a fault with its reason, 2 wrong usage, 130 interrupted (and resumable).
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module

DONE, FAULT, USAGE, INTERRUPTED = 0, 1, 2, 130

#: Where the packages define the faults that a user can mend. Loaded only if the package was.
_DOMAIN = (
    ("worker.errors", "WorkerError"),
    ("store.errors", "StoreError"),
    ("server.errors", "ServerError"),
)


class Fault(Exception):
    """A fault of the command line itself: what was wrong and what to do, in one line."""

    exit_code = FAULT


class UsageFault(Fault):
    """What was typed cannot be meant."""

    exit_code = USAGE


def run(command: Callable[[], object]) -> int:
    """Run a command; its exit code. Faults become one line that starts with `twinscope:`."""
    try:
        command()
    except KeyboardInterrupt:
        print("twinscope: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except Exception as fault:
        if isinstance(fault, _domain_errors()):
            print(f"twinscope: {fault}", file=sys.stderr)
            return int(getattr(fault, "exit_code", FAULT))
        if os.environ.get("TWINSCOPE_DEBUG"):
            traceback.print_exc()
        else:
            reason = " ".join(str(fault).split()) or "no further word"
            print(
                f"twinscope: a fault of Twinscope itself: {type(fault).__name__}: {reason} "
                "(TWINSCOPE_DEBUG=1 shows where)",
                file=sys.stderr,
            )
        return FAULT
    return DONE


def _domain_errors() -> tuple[type[Exception], ...]:
    loaded = [getattr(import_module(name), kind) for name, kind in _DOMAIN if name in sys.modules]
    return (Fault, *loaded)
