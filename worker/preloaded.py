"""What the fork server imports before workers are forked from it: the jobs' code, and numba with
all that it reads before its first compiled function runs, a second's work of each process else.
"""

from __future__ import annotations

import numba

from worker import engine_local, statistics_job

__all__ = ["engine_local", "statistics_job"]


@numba.njit(cache=True)
def _next(n):  # type: ignore[no-untyped-def]
    return n + 1


_next(0)
