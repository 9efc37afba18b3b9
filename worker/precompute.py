"""`twinscope precompute`: from a pair and a corpus to a published run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from store.records import RunRecord
from worker.reporter import Reporter
from worker.settings import StatisticsSettings


def precompute(
    pair_spec: str | Path,
    corpus_spec: str | Sequence[str],
    *,
    tokens: int | None = None,
    device: str = "auto",
    workers: int | None = None,
    work_dir: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    database_url: str | None = None,
    reporter: Reporter | None = None,
    settings: StatisticsSettings | None = None,
) -> RunRecord:
    """Compute and publish the statistics stage of a run; the run as stored.

    A run that is published already is returned at once, and the reporter gets a line that says so.
    Raises `WorkerError` or `StoreError` before any work where something does not fit,
    `KeyboardInterrupt` when interrupted (continue with `resume=True`).
    """
    raise NotImplementedError
