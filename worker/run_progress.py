"""A stage's progress in the database, with how it ended, for the site to show."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from store import progress
from store.engine import Engine as Database
from store.errors import StoreError
from worker.errors import WorkerError
from worker.reporter import Site

#: Seconds: less than `progress.SILENT`, after which a run that says nothing counts as killed.
BEAT = 20.0


@contextmanager
def shown_progress(
    database: Database, run_id: str, pair_slug: str, corpus_spec: str, stage: str
) -> Iterator[Site]:
    """A reporter to the run's row of progress; whatever ends the block is written there. As long as
    it lasts the row is written at least once in BEAT seconds."""
    site = Site(partial(progress.report, database), run_id, pair_slug, corpus_spec, stage)
    try:
        with _beating(site):
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


@contextmanager
def _beating(site: Site) -> Iterator[None]:
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            site.beat(BEAT)

    thread = threading.Thread(target=beat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
