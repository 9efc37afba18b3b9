"""What cookies are signed with: made once, kept in the database, the same for all its processes."""

from __future__ import annotations

import secrets

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from store.engine import reading, writing
from store.tables_access import site_secret

LENGTH = 32


def load(engine: Engine) -> bytes:
    """The secret, made now if there is none yet."""
    query = select(site_secret.c.secret)
    with reading(engine) as connection:
        found = connection.scalar(query)
    if found is None:
        with writing(engine) as connection:
            try:
                with connection.begin_nested():
                    connection.execute(
                        insert(site_secret).values(id=1, secret=secrets.token_bytes(LENGTH))
                    )
            except IntegrityError:
                pass  # another process was first
            found = connection.execute(query).scalar_one()
    return bytes(found)
