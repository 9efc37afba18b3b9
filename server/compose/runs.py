"""Runs, models, losses and progress as pages show them."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from server import urls
from server.errors import RunNotFound
from server.pages.fields import Link
from server.pages.runs import (
    CheckView,
    LayerView,
    LossView,
    ModelView,
    ProgressView,
    RunPage,
    RunsPage,
    RunView,
    VerificationView,
)
from server.site import Site
from store import progress as progress_store
from store import runs as run_store
from store import verifications
from store.errors import RunNotFound as UnknownRun
from store.records import LossRecord, ModelRecord, PairRecord, ProgressRecord, RunRecord, Side
from store.verifications import VerificationRecord

#: A running precompute that said nothing for this long is shown as stalled.
SILENCE = timedelta(minutes=2)


def runs_page(site: Site) -> RunsPage:
    """Every published run and whatever is under way."""
    return RunsPage(
        runs=tuple(run_view(run) for run in run_store.list_runs(site.engine)),
        progress=unfinished(site),
    )


def run_page(site: Site, run_id: str) -> RunPage:
    """One run by its id or a unique prefix of it, or a precompute that has not been loaded yet."""
    progress = progress_store.get(site.engine, run_id)
    try:
        run = run_store.get_run(site.engine, run_id)
    except UnknownRun as unknown:
        if progress is None:
            raise RunNotFound(f"There is no run “{run_id}”.", urls.runs()) from unknown
        return _only_progress(progress)
    losses = run_store.losses(site.engine, run.id)
    slug = run.pair.slug
    return RunPage(
        id=run.id,
        run=run_view(run),
        progress=progress_view(progress or progress_store.get(site.engine, run.id)),
        models=model_views(run.pair),
        stages=run.stages,
        identity_sha256=run.identity_sha256,
        corpus_fingerprint=run.corpus.fingerprint,
        identity=run.identity,
        parameters=run.parameters,
        provenance=published_provenance(run.provenance),
        losses=loss_views(losses),
        layers=tuple(
            LayerView(
                layer=layer.layer,
                href=urls.explorer(slug, {"layer": layer.layer}, run.id),
                cka=layer.cka,
            )
            for layer in run_store.layers(site.engine, run.id)
        ),
        corpus_problems=corpus_problems(run.provenance),
        begin=(
            Link(urls.explorer(slug, run=run.id), "Explore its neurons"),
            Link(urls.random_neuron(slug, run=run.id), "A random neuron"),
        ),
        json_href=urls.json_twin(urls.run(run.id)),
        verification=verification_view(verifications.last(site.engine, run.id)),
    )


def verification_view(record: VerificationRecord | None) -> VerificationView | None:
    """The last verification, with what came of it in a sentence."""
    if record is None:
        return None
    values = sum(check.n for check in record.checks)
    wrong = [check for check in record.checks if check.n_failed]
    if wrong:
        found = "differ in " + ", ".join(f"{check.name} ({check.n_failed:,})" for check in wrong)
    else:
        largest = max((check.largest_error for check in record.checks), default=0.0)
        found = f"agree; the largest error is {largest:.2g} of what is allowed"
    return VerificationView(
        verified_at=record.verified_at,
        ok=record.ok,
        versions=record.versions,
        seed=record.seed,
        values=values,
        code_version=record.code_version,
        sentence=f"{values:,} stored values of {record.versions:,} versions {found}.",
        checks=tuple(
            CheckView(
                name=check.name,
                n=check.n,
                n_failed=check.n_failed,
                largest_error=check.largest_error,
                where=check.where,
                tolerance=check.tolerance,
                failed=check.failed,
            )
            for check in record.checks
        ),
    )


def _only_progress(progress: ProgressRecord) -> RunPage:
    return RunPage(
        id=progress.run_id,
        run=None,
        progress=progress_view(progress),
        models=(),
        stages=(),
        identity_sha256=None,
        corpus_fingerprint=None,
        identity={},
        parameters={},
        provenance={},
        losses=(),
        layers=(),
        corpus_problems=(),
        begin=(),
        json_href=urls.json_twin(urls.run(progress.run_id)),
    )


def run_view(run: RunRecord) -> RunView:
    """A run in a list."""
    return RunView(
        id=run.id,
        href=urls.run(run.id),
        pair=run.pair.slug,
        pair_name=run.pair.name,
        pair_href=urls.explorer(run.pair.slug, run=run.id),
        corpus=run.corpus.spec,
        status=run.status,
        n_documents=run.n_documents,
        n_windows=run.n_windows,
        n_tokens=run.n_tokens,
        created_at=run.created_at,
        published_at=run.published_at,
        size_bytes=run.size_bytes,
    )


def model_view(side: Side, model: ModelRecord) -> ModelView:
    """One model of a pair."""
    return ModelView(
        side=side,
        name=model.name,
        act_fn=model.act_fn,
        n_layers=model.n_layers,
        d_model=model.d_model,
        d_mlp=model.d_mlp,
        n_ctx=model.n_ctx,
        d_vocab=model.d_vocab,
        weights_sha256=model.weights_sha256,
    )


def model_views(pair: PairRecord) -> tuple[ModelView, ...]:
    """The models of a pair, left first; one of them in a single-sided run."""
    views = [model_view("left", pair.left)]
    if pair.right is not None:
        views.append(model_view("right", pair.right))
    return tuple(views)


def unfinished(site: Site) -> tuple[ProgressView, ...]:
    """Precomputes that run, failed or were interrupted; those that are done have a run to show."""
    return tuple(
        view
        for record in progress_store.current(site.engine)
        if record.state != "done" and (view := progress_view(record)) is not None
    )


def progress_view(
    record: ProgressRecord | None, now: datetime | None = None
) -> ProgressView | None:
    """Progress with its share and the time left, both None where the total is unknown."""
    if record is None:
        return None
    share = seconds_left = None
    if record.total:
        share = min(record.done / record.total, 1.0)
        if record.rate and record.state == "running":
            seconds_left = max(record.total - record.done, 0) / record.rate
    updated = record.updated_at
    now = now or datetime.now(UTC)
    silent = updated is not None and now - _in_utc(updated) > SILENCE
    return ProgressView(
        run=record.run_id,
        href=urls.run(record.run_id),
        pair=record.pair_slug,
        corpus=record.corpus_spec,
        stage=record.stage,
        step=record.step,
        done=record.done,
        total=record.total,
        unit=record.unit,
        rate=record.rate,
        share=share,
        seconds_left=seconds_left,
        state=record.state,
        stalled=silent and record.state == "running",
        message=record.message,
        started_at=record.started_at,
        updated_at=updated,
    )


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def loss_views(losses: list[LossRecord]) -> tuple[LossView, ...]:
    """A row a version and source, and where there are several sources their sum as "all"."""
    by_side: dict[str, list[LossRecord]] = defaultdict(list)
    for loss in losses:
        by_side[loss.side].append(loss)
    views = []
    for side, rows in by_side.items():
        if len(rows) > 1:
            views.append(_loss_view(side, "all", rows))
        views += [_loss_view(side, row.source, [row]) for row in rows]
    return tuple(views)


def _loss_view(side: str, source: str, rows: list[LossRecord]) -> LossView:
    """nats a token = Σ nats / Σ tokens; bits a byte = Σ nats / ln 2 / Σ bytes."""
    nats = sum(row.nats for row in rows)
    n_tokens = sum(row.n_tokens for row in rows)
    n_bytes = sum(row.n_bytes for row in rows)
    return LossView(
        side=side,
        source=source,
        n_documents=sum(row.n_documents for row in rows),
        n_tokens=n_tokens,
        n_bytes=n_bytes,
        nats_per_token=nats / n_tokens if n_tokens else None,
        bits_per_byte=nats / math.log(2) / n_bytes if n_bytes else None,
    )


def published_provenance(provenance: dict[str, Any]) -> dict[str, Any]:
    """A run's provenance without what stands elsewhere on its page (the corpus's problems) and
    what is nobody's business but the worker's: paths on its machine.
    """
    shown = {key: value for key, value in provenance.items() if "problems" not in key}
    if isinstance(sample := shown.get("sample"), dict):
        shown["sample"] = {key: value for key, value in sample.items() if key != "directory"}
    return shown


def corpus_problems(provenance: dict[str, Any]) -> tuple[str, ...]:
    """What was wrong in the corpus, a sentence each, from the provenance that the worker wrote.

    No NUL is among them, which HTML cannot hold: runs may come from elsewhere.
    """
    return tuple(one.replace("\0", "\N{REPLACEMENT CHARACTER}") for one in _problems(provenance))


def _problems(provenance: dict[str, Any]) -> tuple[str, ...]:
    problems = provenance.get("problems") or provenance.get("corpus_problems") or ()
    if isinstance(problems, str):
        return (problems,)
    if isinstance(problems, dict) and isinstance(problems.get("counts"), dict):
        counted = ", ".join(f"{number} {kind}" for kind, number in problems["counts"].items())
        listed = problems.get("listed") or ()
        named = tuple(f"{one['name']}: {one['detail']} ({one['kind']})" for one in listed)
        return (counted, *named) if counted else named
    if isinstance(problems, dict):
        return tuple(f"{name}: {value}" for name, value in problems.items())
    return tuple(str(problem) for problem in problems)
