"""Accounts: annotators who can log in, each with a role and a password's hash.

An account's name is its annotator's, so labels of an account that was removed stay under its name.
Names are compared without case. What ends an account's right to be logged in (another password,
its removal) ends its sessions in the same transaction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from store.engine import reading, writing
from store.errors import AccountExists, AccountNotFound, StoreError
from store.tables import annotator, label
from store.tables_access import ROLES, account, session
from store.types import folded_text, now

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,62}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True)
class AccountRecord:
    """An account. `password` is its hash; `n_sessions` are those that have not expired."""

    name: str
    role: str
    password: str
    created_at: datetime
    changed_at: datetime
    n_labels: int = 0
    n_sessions: int = 0


def add(engine: Engine, name: str, role: str, password: str, *, adopt: bool = False) -> None:
    """Add an account, `password` being a hash.

    With `adopt` labels that were made under this name before are the account's. Errors:
    `AccountExists`, also where there are such labels and `adopt` was not said; `StoreError` for a
    name or a role that cannot be.
    """
    _check(name, role)
    moment = now()
    with writing(engine) as connection:
        if _find(connection, name) is not None:
            raise AccountExists(f"There is an account named {name} already.")
        annotator_id = _annotator(connection, name, adopt)
        values = {"annotator_id": annotator_id, "login": folded_text(name), "role": role}
        try:
            with connection.begin_nested():
                connection.execute(
                    insert(account).values(
                        **values, password=password, created_at=moment, changed_at=moment
                    )
                )
        except IntegrityError:
            raise AccountExists(f"There is an account named {name} already.") from None


def must_be_free(engine: Engine, name: str, role: str, *, adopt: bool) -> None:
    """Raise what `add` would, before a password is asked for."""
    _check(name, role)
    with reading(engine) as connection:
        if _find(connection, name) is not None:
            raise AccountExists(f"There is an account named {name} already.")
        _refuse_labels(connection, name, adopt)


def must_be_there(engine: Engine, name: str) -> None:
    """Raise `AccountNotFound` unless there is such an account."""
    with reading(engine) as connection:
        _must_find(connection, name)


def find(engine: Engine, name: str) -> AccountRecord | None:
    """The account of this name, whatever its case."""
    with reading(engine) as connection:
        row = _find(connection, name)
    return None if row is None else _record(row)


def list_accounts(engine: Engine) -> list[AccountRecord]:
    """All accounts by name, with their labels and sessions counted."""
    labels = (
        select(func.count()).where(label.c.annotator_id == account.c.annotator_id).scalar_subquery()
    )
    sessions = (
        select(func.count())
        .where(session.c.account_id == account.c.id, session.c.expires_at > now())
        .scalar_subquery()
    )
    query = _selection().add_columns(labels.label("n_labels"), sessions.label("n_sessions"))
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(account.c.login)).all()
    return [_record(row, row.n_labels, row.n_sessions) for row in rows]


def set_password(engine: Engine, name: str, password: str, *, keep: str | None = None) -> None:
    """Another password's hash; ends the account's sessions but for the one with the id `keep`.

    Errors: `AccountNotFound`.
    """
    with writing(engine) as connection:
        found = _must_find(connection, name)
        connection.execute(
            update(account)
            .where(account.c.id == found.id)
            .values(password=password, changed_at=now())
        )
        ended = delete(session).where(session.c.account_id == found.id)
        connection.execute(ended if keep is None else ended.where(session.c.id != keep))


def rehash(engine: Engine, name: str, old: str, new: str) -> None:
    """Replace a hash by another of the same password; nothing where it was changed meanwhile."""
    with writing(engine) as connection:
        connection.execute(
            update(account)
            .where(account.c.login == folded_text(name), account.c.password == old)
            .values(password=new)
        )


def set_role(engine: Engine, name: str, role: str) -> None:
    """Another role, at once for those who are logged in. Errors: `AccountNotFound`, `StoreError`
    for a role that there is not."""
    _check(name, role)
    with writing(engine) as connection:
        found = _must_find(connection, name)
        connection.execute(
            update(account).where(account.c.id == found.id).values(role=role, changed_at=now())
        )


def remove(engine: Engine, name: str) -> None:
    """Remove an account with its sessions; its labels stay. Errors: `AccountNotFound`."""
    with writing(engine) as connection:
        found = _must_find(connection, name)
        connection.execute(delete(session).where(session.c.account_id == found.id))
        connection.execute(delete(account).where(account.c.id == found.id))


def _check(name: str, role: str) -> None:
    if NAME.fullmatch(name) is None:
        raise StoreError(
            f"{name!r} cannot be an account's name.",
            "Use 1–64 letters, digits and . _ @ + - between them.",
        )
    if role not in ROLES:
        raise StoreError(f"There is no role {role!r}.", f"Roles are {', '.join(ROLES)}.")


def _annotator(connection: Connection, name: str, adopt: bool) -> int:
    """The id of the annotator of this name, made if there is none."""
    _refuse_labels(connection, name, adopt)
    found = connection.scalar(select(annotator.c.id).where(annotator.c.name == name))
    if found is None:
        made = connection.execute(insert(annotator).values(name=name, created_at=now()))
        assert made.inserted_primary_key is not None
        found = made.inserted_primary_key[0]
    return int(found)


def _refuse_labels(connection: Connection, name: str, adopt: bool) -> None:
    """Refuse a name under which there are labels, unless they are to be the account's."""
    query = (
        select(func.count())
        .select_from(label.join(annotator, annotator.c.id == label.c.annotator_id))
        .where(annotator.c.name == name)
    )
    known = connection.scalar(query) or 0
    if known and not adopt:
        raise AccountExists(
            f"{known} label{'s were' if known > 1 else ' was'} made as {name} before there was "
            "such an account.",
            "With --adopt they are the new account's; else choose another name.",
        )


def _selection() -> Select[Any]:
    return select(account, annotator.c.name).join(
        annotator, annotator.c.id == account.c.annotator_id
    )


def _find(connection: Connection, name: str) -> Row[Any] | None:
    query = _selection().where(account.c.login == folded_text(name))
    return connection.execute(query).one_or_none()


def _must_find(connection: Connection, name: str) -> Row[Any]:
    found = _find(connection, name)
    if found is None:
        raise AccountNotFound(
            f"There is no account named {name}.", "`twinscope users list` has them all."
        )
    return found


def _record(row: Row[Any], n_labels: int = 0, n_sessions: int = 0) -> AccountRecord:
    return AccountRecord(
        name=row.name,
        role=row.role,
        password=row.password,
        created_at=row.created_at,
        changed_at=row.changed_at,
        n_labels=n_labels,
        n_sessions=n_sessions,
    )
