"""Sessions: who is logged in, by the SHA-256 of what their cookie holds.

A session ends when it expires, when it is closed, and with its account's password or account; each
is a row that goes, so that every process knows it at the next request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, delete, insert, select

from store.engine import reading, writing
from store.errors import AccountNotFound
from store.tables import annotator
from store.tables_access import account, session
from store.types import folded_text, now


@dataclass(frozen=True)
class SessionRecord:
    """A session with what its account may do now."""

    name: str
    role: str
    expires_at: datetime


def start(engine: Engine, session_id: str, name: str, password: str, expires_at: datetime) -> None:
    """Begin a session of an account, and forget those that have expired.

    `password` is the hash that was verified: where it was changed meanwhile, or the account is
    gone, nobody is logged in. Errors: `AccountNotFound`.
    """
    moment = now()
    query = (
        select(account.c.id)
        .where(account.c.login == folded_text(name), account.c.password == password)
        .with_for_update()
    )
    with writing(engine) as connection:
        account_id = connection.scalar(query)
        if account_id is None:
            raise AccountNotFound(f"The account {name} was changed while it logged in.")
        connection.execute(delete(session).where(session.c.expires_at <= moment))
        connection.execute(
            insert(session).values(
                id=session_id, account_id=account_id, created_at=moment, expires_at=expires_at
            )
        )


def find(engine: Engine, session_id: str) -> SessionRecord | None:
    """The session, unless it has ended."""
    query = (
        select(annotator.c.name, account.c.role, session.c.expires_at)
        .select_from(
            session.join(account, account.c.id == session.c.account_id).join(
                annotator, annotator.c.id == account.c.annotator_id
            )
        )
        .where(session.c.id == session_id, session.c.expires_at > now())
    )
    with reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else SessionRecord(row.name, row.role, row.expires_at)


def end(engine: Engine, session_id: str) -> None:
    """End a session; nothing, if it has ended."""
    with writing(engine) as connection:
        connection.execute(delete(session).where(session.c.id == session_id))
