"""`twinscope precompute`: from a pair and a corpus to a published run.

The order of things: check everything that could be wrong; one pass over the tokens (statistics,
extremes, the token sample) by the engine's workers; losses on held-out documents, while what the
pass left is merged; what is computed per layer from the sample and the weights; the gather pass
over the windows that are shown; publication in one piece. An interrupted run goes on with
`resume=True`.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from store import runs
from store.engine import Engine as Database
from store.engine import data_dir, open_engine
from store.errors import AlreadyPublished, RunNotFound
from store.records import RunRecord
from worker import steps
from worker.engine import Engine
from worker.engines import EngineName
from worker.errors import named_disk_faults
from worker.hub.fetch import find_or_fetch
from worker.pairs import Pair
from worker.plan import Plan, make_plan
from worker.publish import Findings, publish
from worker.reporter import Reporter, Several, Silent, Site
from worker.run_directory import RunDirectory
from worker.run_progress import shown_progress
from worker.settings import StatisticsSettings
from worker.statistics_job import FLUSH_SECONDS
from worker.watch import Watch

_LIBRARIES = ("twinscope", "torch", "transformer-lens", "tokenizers", "numpy", "numba", "scipy")


def precompute(
    pair_spec: str | Path | Pair,
    corpus_spec: str | Sequence[str],
    *,
    tokens: int | None = None,
    device: str = "auto",
    engine: EngineName = "local",
    dtype: str = "float32",
    workers: int | None = None,
    work_dir: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    database_url: str | None = None,
    reporter: Reporter | None = None,
    settings: StatisticsSettings | None = None,
    batch_windows: int | None = None,
    shard_windows: int | None = None,
    flush_seconds: float = FLUSH_SECONDS,
) -> RunRecord:
    """Compute and publish the statistics stage of a run; the run as stored.

    `pair_spec` is a pair's directory or name, or models of the hub, which are fetched first.

    A run that is published already is returned at once, and the reporter gets a line that says so.
    Shares of the shards that `array_job.compute_share` left in the work directory are used.
    `work_dir` holds a directory per run (default: `work` in the data directory), in which the
    token sample stays. Batch, shards and flushing change how the work is done, not what comes out.
    Raises `WorkerError` or `StoreError` before any work where something does not fit,
    `KeyboardInterrupt` when interrupted (continue with `resume=True`).
    """
    database = open_engine(database_url)
    reporter = reporter or Silent()
    try:
        plan = make_plan(
            find_or_fetch(pair_spec, reporter) if isinstance(pair_spec, str) else pair_spec,
            corpus_spec,
            tokens=tokens,
            device=device,
            engine=engine,
            dtype=dtype,
            workers=workers,
            seed=seed,
            settings=settings,
            batch_windows=batch_windows,
            shard_windows=shard_windows,
        )
        known = _published(database, plan.run_id)
        if known is not None:
            reporter.note(f"Run {known.id} of {known.pair.slug} is published already.")
            return known
        for asked, pinned in zip(plan.corpus.specs, plan.corpus.pinned_specs(), strict=True):
            if asked != pinned:
                reporter.note(f"{asked} is read as it is now; to --resume, name it {pinned}")
        path = (work_dir or data_dir() / "work") / plan.run_id
        with (
            RunDirectory.locked(path) as directory,
            _progress(database, plan) as site,
            named_disk_faults("the coordinator"),
        ):
            if not resume and not directory.has_shares:
                directory.clear_passing()
            everyone = Several(reporter, site)
            return _compute(database, plan, directory, everyone, flush_seconds)
    finally:
        database.dispose()


def _compute(
    database: Database,
    plan: Plan,
    directory: RunDirectory,
    reporter: Reporter,
    flush_seconds: float,
) -> RunRecord:
    with plan.engine() as engine:
        watch = Watch(engine)
        plan = steps.tried_batch(plan, engine)
        found, findings = find(plan, engine, directory, reporter, watch, flush_seconds)
        run = run_record(plan, watch, found)
        try:
            stored = publish(database, run, findings, engine, reporter)
        except AlreadyPublished as error:  # by another process, meanwhile
            stored = error.run
    directory.clear_passing()
    return stored


def find(
    plan: Plan,
    engine: Engine,
    directory: RunDirectory,
    reporter: Reporter,
    watch: Watch,
    flush_seconds: float = FLUSH_SECONDS,
) -> tuple[steps.Pass, Findings]:
    """All that a run computes, on an engine that is running; `watch` gets a lap a step."""
    tokens = steps.statistics_pass(plan, engine, directory, reporter, flush_seconds)
    watch.lap("statistics")
    # This process merges what the workers left while they are at the held-out documents.
    with ThreadPoolExecutor(1, thread_name_prefix="merge") as beside:
        merging = beside.submit(watch.timed, "merge", steps.merged, plan, tokens, directory)
        losses = steps.held_out_losses(plan, engine, reporter)
        found, sample = merging.result()
    watch.lap("losses")
    results = steps.layer_results(plan, engine, directory, reporter)
    watch.lap("comparison")
    steps.logit_effects(plan, engine, directory, reporter, results)
    watch.lap("logit effects")
    index = steps.token_index(plan, engine, directory, found.merged, sample, reporter)
    watch.lap("search index")
    wanted, gathered = steps.gather_examples(
        plan, engine, directory, found.merged, results, sample, reporter
    )
    watch.lap("gather")
    merged = found.merged
    findings = Findings(
        plan.layout,
        merged.statistics,
        results,
        wanted,
        gathered,
        merged.contexts,
        losses,
        plan.vocabulary,
        index,
    )
    return found, findings


def run_record(plan: Plan, watch: Watch, found: steps.Pass) -> RunRecord:
    """The run as it goes to the store."""
    return RunRecord(
        id=plan.run_id,
        identity_sha256=plan.sha256,
        identity=plan.identity,
        pair=plan.pair_record(),
        corpus=plan.corpus_record,
        parameters=plan.identity["parameters"],
        provenance=_provenance(plan, watch, found),
        n_documents=found.n_documents,
        n_windows=found.n_windows,
        n_tokens=found.n_tokens,
        created_at=watch.started_at,
    )


def _published(database: Database, run_id: str) -> RunRecord | None:
    try:
        return runs.get_run(database, run_id)
    except RunNotFound:
        return None


def _progress(database: Database, plan: Plan) -> AbstractContextManager[Site]:
    spec = plan.corpus_record.spec
    return shown_progress(database, plan.run_id, plan.pair.slug, spec, "statistics")


def _provenance(plan: Plan, watch: Watch, found: steps.Pass) -> dict[str, Any]:
    problems, tally = plan.corpus.problems, found.tally
    return {
        "started_at": watch.started_at.isoformat(timespec="seconds"),
        "seconds": watch.seconds,
        "cpu_seconds": {
            **watch.cpu_seconds,
            "statistics: forward": round(tally.forward, 2),
            "statistics: accumulators": round(tally.statistics, 2),
        },
        "device": _device_name(plan.device),
        "engine": plan.engine_name,
        "workers": plan.workers,
        "batch_windows": plan.batch_windows,
        "versions": {"python": platform.python_version(), **{n: version(n) for n in _LIBRARIES}},
        "problems": {
            "counts": dict(sorted(problems.counts.items())),
            "listed": [
                {"kind": flaw.kind, "name": _text(flaw.name), "detail": _text(flaw.detail)}
                for flaw in problems.listed
            ],
        },
        "sample": {"tokens": min(found.n_tokens, plan.settings.sample_size)},
        "corpus": plan.corpus.pinned_specs(),
        "training": plan.pair.training,
        "origins": {side: one.origin for side, one in plan.versions.items() if one.origin},
    }


def _device_name(device: str) -> str:
    if device.startswith("cuda") and torch.cuda.is_available():
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({platform.machine()})"


def _text(text: str) -> str:
    """What JSON columns can hold: no NUL, which a corpus may put into a record's name."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
