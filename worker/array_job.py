"""`twinscope precompute --shard I/N`: one share of the shards, for an array job.

Every share reads the whole corpus, since where a window begins depends on what stands before it,
and runs the models on its own shards only. What it finds stays as partials in the run's work
directory, which all shares use; a precompute without `--shard` merges them, does what is missing
and publishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from store import runs
from store.engine import data_dir, open_engine
from store.errors import RunNotFound, StoreError
from worker.errors import named_disk_faults
from worker.hub.fetch import find_or_fetch
from worker.plan import make_plan
from worker.reporter import Reporter, Silent
from worker.run_directory import RunDirectory
from worker.settings import StatisticsSettings
from worker.share import Share
from worker.statistics_job import FLUSH_SECONDS
from worker.steps import tried_batch
from worker.token_pass import TokenPass


@dataclass(frozen=True)
class ShareDone:
    """A share that is complete: its run, and the shards that stand in the work directory."""

    run_id: str
    share: Share
    shards: int


def compute_share(
    pair_spec: str | Path,
    corpus_spec: str | Sequence[str],
    share: Share,
    *,
    tokens: int | None = None,
    device: str = "auto",
    dtype: str = "float32",
    workers: int | None = None,
    work_dir: Path | None = None,
    seed: int = 0,
    database_url: str | None = None,
    reporter: Reporter | None = None,
    settings: StatisticsSettings | None = None,
    batch_windows: int | None = None,
    shard_windows: int | None = None,
    flush_seconds: float = FLUSH_SECONDS,
) -> ShareDone:
    """The share's shards, from where an interrupted try left off; nothing is published.

    The database is only asked whether the run is there already (nothing is computed then); one
    that cannot be reached does not matter. Raises `WorkerError` where something does not fit,
    `KeyboardInterrupt` when interrupted.
    """
    reporter = reporter or Silent()
    plan = make_plan(
        find_or_fetch(pair_spec, reporter) if isinstance(pair_spec, str) else pair_spec,
        corpus_spec,
        tokens=tokens,
        device=device,
        dtype=dtype,
        workers=workers,
        seed=seed,
        settings=settings,
        batch_windows=batch_windows,
        shard_windows=shard_windows,
    )
    if _is_published(plan.run_id, database_url):
        reporter.note(f"Run {plan.run_id} is published already.")
        return ShareDone(plan.run_id, share, 0)
    path = (work_dir or data_dir() / "work") / plan.run_id
    with (
        RunDirectory.shared(path, share) as directory,
        named_disk_faults("the coordinator"),
        plan.engine() as engine,
    ):
        token_pass = TokenPass(tried_batch(plan, engine), directory, reporter, share)
        token_pass.run(engine, flush_seconds)
        return ShareDone(plan.run_id, share, len(token_pass.wanted))


def _is_published(run_id: str, database_url: str | None) -> bool:
    with suppress(StoreError):
        database = open_engine(database_url)
        try:
            with suppress(RunNotFound):
                runs.get_run(database, run_id)
                return True
        finally:
            database.dispose()
    return False
