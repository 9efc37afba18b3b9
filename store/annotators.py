"""Annotators by name: whoever labels, or rates in a study."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from store.tables import annotator
from store.types import now


def annotator_id(connection: Connection, name: str) -> int:
    """The id of whoever labels or rates under this name, added when it is not there yet."""
    found = select(annotator.c.id).where(annotator.c.name == name)
    known = connection.scalar(found)
    if known is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(annotator).values(name=name, created_at=now()))
        except IntegrityError:
            pass  # their first two labels came at once
        known = connection.execute(found).scalar_one()
    return int(known)
