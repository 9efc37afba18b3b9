"""A stage's progress in the database, with how it ended, for the site to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from store import progress
from store.engine import Engine as Database
from store.errors import StoreError
from worker.errors import WorkerError
from worker.reporter import Site


@contextmanager
def shown_progress(
    database: Database, run_id: str, pair_slug: str, corpus_spec: str, stage: str
) -> Iterator[Site]:
    """A reporter to the run's row of progress; whatever ends the block is written there."""
    site = Site(partial(progress.report, database), run_id, pair_slug, corpus_spec, stage)
    try:
        yield site
    except BaseException as error:
        with suppress(StoreError):
            if isinstance(error, KeyboardInterrupt):
                site.end("interrupted", "Go on with the same command and --resume.")
            elif isinstance(error, (WorkerError, StoreError)):
                site.end("failed", str(error))
            else:
                site.end("failed", f"{type(error).__name__}: {error}".splitlines()[0])
        raise
    site.end("done")
