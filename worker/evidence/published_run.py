"""A published run, opened again for a later stage: its plan, its token sample, what it shows.

    plan = plan_of_run(run, pair_spec=None, corpus_spec=None, device="auto", workers=None)
    sample = token_sample(plan, directory, reporter)
    shown = shown_examples(database, run)

The plan must lead to the run's own identity: a pair or a corpus that has changed since is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from store import examples
from store.engine import Engine as Database
from store.records import SIDES, DocumentRecord, RunRecord, WindowRecord
from worker import steps
from worker.checksums import is_sealed
from worker.contexts import Keys, window_keys
from worker.engines import EngineName
from worker.errors import CorpusError, PairError, UsageError, WorkerError
from worker.evidence.settings import EffectSettings
from worker.evidence.shown import Shown
from worker.evidence.windows import EvidenceWindows, draw_windows
from worker.identity import identity_sha256
from worker.losses import HeldOutStream
from worker.pairs import Pair, load_pair
from worker.plan import Plan, make_plan
from worker.reporter import Reporter
from worker.run_directory import RunDirectory
from worker.sample import Sample, open_sample
from worker.settings import StatisticsSettings
from worker.windows import token_windows


def pair_of_run(run: RunRecord, spec: str | Path | None) -> Pair:
    """The pair that a run was computed with; `PairError` where it is not here any more."""
    try:
        pair = load_pair(spec or run.pair.slug)
    except WorkerError as error:
        if spec is not None:
            raise
        raise PairError(error.message, _where_to_find(run)) from error
    versions = {"left": run.pair.left, "right": run.pair.right}
    for side in SIDES:
        version, model = getattr(pair, side), versions[side]
        if (version is None) != (model is None) or (
            version is not None and model is not None and version.sha256 != model.weights_sha256
        ):
            raise PairError(
                f"the {side} weights of {pair.slug} are not those of run {run.id}",
                "name the directory of the run's own pair with --pair, or precompute a new run",
            )
    return pair


def _where_to_find(run: RunRecord) -> str:
    names = "--".join(one.name for one in (run.pair.left, run.pair.right) if one is not None)
    if run.provenance.get("origins"):
        return f"fetch it again (twinscope fetch {names}), or name its directory with --pair"
    return "name its directory with --pair"


def plan_of_run(
    run: RunRecord,
    *,
    pair_spec: str | Path | None = None,
    corpus_spec: Sequence[str] | None = None,
    device: str = "auto",
    engine: EngineName = "local",
    workers: int | None = None,
) -> Plan:
    """What the run was computed by, on this machine. Raises `WorkerError` if it cannot be."""
    parameters = dict(run.parameters)
    tokens, seed = parameters.pop("tokens"), parameters.pop("seed")
    try:
        settings = StatisticsSettings(**parameters)
    except TypeError as error:
        raise UsageError(
            f"run {run.id} was made by another version of Twinscope", "precompute a new run"
        ) from error
    plan = make_plan(
        pair_of_run(run, pair_spec),
        corpus_spec or run.provenance.get("corpus") or run.corpus.spec.split(),
        tokens=tokens,
        device=device,
        engine=engine,
        dtype=run.identity["dtype"],
        workers=workers,
        seed=seed,
        settings=settings,
    )
    if plan.corpus_record.fingerprint != run.corpus.fingerprint:
        raise CorpusError(
            f"corpus {plan.corpus_record.spec!r} is not what run {run.id} was computed on any more",
            "bring it back (name its new place with --corpus, one of the hub with its revision: "
            "hf:NAME@REVISION), or precompute a new run",
        )
    # The device may be another: what a stage measures is its own, and says on what.
    identity = {**plan.identity, "device": run.identity["device"]}
    if identity_sha256(identity) != run.identity_sha256:
        differing = sorted(k for k in identity if identity[k] != run.identity.get(k))
        raise UsageError(
            f"run {run.id} has another identity ({', '.join(differing)} differ)",
            "precompute a new run",
        )
    return replace(plan, identity=run.identity, sha256=run.identity_sha256)


def token_sample(plan: Plan, directory: RunDirectory, reporter: Reporter) -> Sample:
    """The run's token sample; where its directory was lost or damaged, made again by the same
    pass."""
    if is_sealed(directory.sample):
        return open_sample(directory.sample)
    how = "damaged" if directory.sample.exists() else "not here"
    reporter.note(f"The token sample of run {plan.run_id} is {how}: it is made again.")
    with plan.engine() as engine:
        tokens = steps.statistics_pass(steps.tried_batch(plan, engine), engine, directory, reporter)
    _, sample = steps.merged(plan, tokens, directory)
    directory.clear_passing()
    return sample


def shown_examples(database: Database, run: RunRecord) -> Shown:
    """Every example that the run shows, without its values."""
    return Shown.of_rows(
        ((side, layer), examples.places(database, run.id, side, layer))
        for side, model in zip(SIDES, (run.pair.left, run.pair.right), strict=True)
        if model is not None
        for layer in range(model.n_layers)
    )


def evidence_windows(plan: Plan, settings: EffectSettings) -> EvidenceWindows | None:
    """Drawn from the windows that the run read; None if there are none."""
    every_window = token_windows(
        plan.corpus.documents(plan.order_seed), plan.tokenizer, plan.n_ctx, 256, plan.tokens
    )
    return draw_windows(every_window, plan.seed, settings.tokens)


def held_out_stream(plan: Plan, settings: EffectSettings) -> HeldOutStream:
    """The held-out documents that losses are compared on: those of the run's own losses, first."""
    lengths = np.array([len(token) for token in plan.vocabulary], dtype=np.int64)
    return HeldOutStream(
        plan.corpus.documents(plan.seed),
        plan.tokenizer,
        plan.n_ctx,
        lengths,
        settings.loss_tokens,
        task_windows=4 * plan.batch_windows,
    )


def document_records(plan: Plan, wanted: set[int]) -> list[DocumentRecord]:
    """Records of some of the corpus's documents, by id; reads as far as the last of them."""
    found: dict[int, DocumentRecord] = {}
    if wanted:
        for document in plan.corpus.documents(plan.order_seed):
            if document.id in wanted:
                found[document.id] = DocumentRecord(
                    document.id, document.source, document.name, document.held_out
                )
                if len(found) == len(wanted):
                    break
    return [found[id] for id in sorted(found)]


def window_records(windows: EvidenceWindows, wanted: Keys) -> Iterator[WindowRecord]:
    """Those of the evidence windows whose key (`contexts.window_keys`) is in `wanted`."""
    of = windows.windows
    for i in np.flatnonzero(np.isin(window_keys(of.document, of.window), wanted)):
        length = 1 + int(of.mask[i].sum())
        yield WindowRecord(int(of.document[i]), int(of.window[i]), of.tokens[i, :length])
