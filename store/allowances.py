"""How often something may be done in a stretch of time, counted where all processes see it.

    wait = take(engine, "login", "account:ada", most=10, seconds=900)
    if wait: ...                            # seconds until it may be tried again

A stretch begins with what is first done in it. Counting is one statement, so of many who come at
once no more get through than may.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, case, delete, update
from sqlalchemy.dialects import postgresql, sqlite

from store.engine import writing
from store.tables_access import allowance
from store.types import now


def take(
    engine: Engine, kind: str, subject: str, *, most: int, seconds: int, at: datetime | None = None
) -> int:
    """Count one more; 0 when it is among the `most` of this stretch, else the seconds to its end.

    What is refused is not counted. `at` is this moment, unless a test has another.
    """
    moment = at or now()
    over = allowance.c.ends_at <= moment
    insert: Any = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
    begun = insert(allowance).values(
        kind=kind, subject=subject, ends_at=moment + timedelta(seconds=seconds), taken=1
    )
    counted = begun.on_conflict_do_update(
        index_elements=["kind", "subject"],
        set_={
            "taken": case(
                (over, 1), (allowance.c.taken > most, most + 1), else_=allowance.c.taken + 1
            ),
            "ends_at": case((over, begun.excluded.ends_at), else_=allowance.c.ends_at),
        },
    ).returning(allowance.c.taken, allowance.c.ends_at)
    with writing(engine) as connection:
        taken, ends_at = connection.execute(counted).one()
        if taken == 1:  # now and then: what is over is of no use to anybody
            connection.execute(
                delete(allowance).where(allowance.c.ends_at <= moment - timedelta(days=1))
            )
    if taken <= most:
        return 0
    # By a clock read after the wait for the row: another may have begun the stretch meanwhile.
    left: float = (ends_at - (at or now())).total_seconds()
    return max(1, math.ceil(left))


def give_back(engine: Engine, kind: str, subject: str) -> None:
    """Uncount one: what was done turned out to be no reason to stop anybody."""
    with writing(engine) as connection:
        connection.execute(
            update(allowance)
            .where(allowance.c.kind == kind, allowance.c.subject == subject)
            .where(allowance.c.taken > 0)
            .values(taken=allowance.c.taken - 1)
        )
