"""How far runs have come: one row a run, overwritten as it goes."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from store.records import ProgressRecord


def report(engine: Engine, record: ProgressRecord) -> None:
    """Write a run's progress over what stood there.

    `updated_at` None means now. `started_at` None keeps what stood there, or now when the run was
    not running.
    """
    raise NotImplementedError


def current(engine: Engine, silent: timedelta = timedelta(minutes=2)) -> list[ProgressRecord]:
    """Progress of all runs, the last updated first.

    A running one that said nothing for `silent` is given as "interrupted": its process was killed.
    """
    raise NotImplementedError


def get(
    engine: Engine, run_id: str, silent: timedelta = timedelta(minutes=2)
) -> ProgressRecord | None:
    """Progress of one run, by the same rule."""
    raise NotImplementedError


def forget(engine: Engine, run_id: str) -> None:
    """Remove a run's progress."""
    raise NotImplementedError
