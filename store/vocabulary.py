"""The bytes of a run's tokens, so that the server needs no tokenizer."""

from __future__ import annotations

from sqlalchemy import Engine, select

from store import runs, tables
from store.engine import reading


def load(engine: Engine, run_id: str) -> list[bytes]:
    """The bytes of each token id (index = id). `RunNotFound` for an unknown run."""
    token = tables.token
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        found = connection.scalars(
            select(token.c.bytes)
            .where(token.c.vocabulary_id == run.vocabulary_id)
            .order_by(token.c.token)
        )
        return [bytes(packed) for packed in found]
