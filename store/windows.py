"""Which documents and windows a run has already: a stage adds only what is missing."""

from __future__ import annotations

from sqlalchemy import Connection, select

from store import tables
from store.records import DocumentRecord, WindowRecord


def unknown_documents(
    connection: Connection, key: int, records: list[DocumentRecord]
) -> list[DocumentRecord]:
    """Those that the run does not have, each once."""
    by_id = {int(record.document): record for record in records}
    document = tables.document.c
    for known in connection.scalars(
        select(document.document).where(
            document.run_key == key, document.document.in_(sorted(by_id))
        )
    ):
        del by_id[known]
    return list(by_id.values())


def unknown_windows(
    connection: Connection, key: int, records: list[WindowRecord]
) -> list[WindowRecord]:
    """Those that the run does not have, each once."""
    by_key = {(int(record.document), int(record.window)): record for record in records}
    window = tables.window.c
    for document, number in connection.execute(
        select(window.document, window.window).where(
            window.run_key == key, window.document.in_(sorted({place[0] for place in by_key}))
        )
    ):
        by_key.pop((document, number), None)
    return list(by_key.values())
