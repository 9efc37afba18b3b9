"""`twinscope evidence`: from a published run to its evidence stage.

The order of things: the run is opened again and must still be what it was; evidence windows are
drawn; losses of all models on held-out documents; effects (estimate, exact ablation, layer panel,
joint density); meanings (polysemanticity, senses, mined counterexamples); candidate invisible
features; publication in one piece. An interrupted stage goes on with `resume=True` from the parts
that were finished.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from store import evidence as stored
from store import runs
from store.engine import Engine as Database
from store.engine import data_dir, open_engine
from store.errors import AlreadyPublished
from store.evidence_records import (
    CandidateRecord,
    CandidateSearchRecord,
    CounterexampleRecord,
    EstimateCheckRecord,
    HiddenShareRecord,
    JointDensityRecord,
    LayerEvidenceRecord,
    LossDifferenceRecord,
    PolysemanticityRecord,
)
from store.publish_evidence import loading_stage
from store.records import RunRecord
from worker.activations import load_models
from worker.contexts import Contexts, split_keys, window_keys
from worker.engine import Engine
from worker.engines import EngineName
from worker.errors import UsageError, named_disk_faults
from worker.evidence.baselines import of_sample
from worker.evidence.candidate_records import candidates
from worker.evidence.effects import effects, loss_differences
from worker.evidence.finished_parts import FinishedParts
from worker.evidence.meanings import SampledRun, meanings, open_contexts
from worker.evidence.published_run import (
    document_records,
    evidence_windows,
    held_out_stream,
    plan_of_run,
    shown_examples,
    token_sample,
    window_records,
)
from worker.evidence.settings import EvidenceSettings
from worker.evidence.windows import EvidenceWindows
from worker.pairs import Version
from worker.plan import Plan
from worker.reporter import Reporter, Several, Silent
from worker.run_directory import RunDirectory
from worker.run_progress import shown_progress
from worker.sample import Sample
from worker.watch import StepTimes

STAGE = "evidence"
T = TypeVar("T")


def evidence(
    run_name: str,
    *,
    pair_spec: str | Path | None = None,
    corpus_spec: list[str] | None = None,
    settings: EvidenceSettings | None = None,
    device: str = "auto",
    engine: EngineName = "local",
    workers: int | None = None,
    work_dir: Path | None = None,
    resume: bool = False,
    database_url: str | None = None,
    reporter: Reporter | None = None,
) -> RunRecord:
    """Compute and publish the evidence stage of a published run; the run as stored.

    A stage that is published already is left as it is, by whatever version of the method; asking
    for other settings than its own is a `UsageError`. Raises `WorkerError` or `StoreError` before
    any work where something does not fit, `KeyboardInterrupt` when interrupted.
    """
    database = open_engine(database_url)
    reporter = reporter or Silent()
    settings = settings or EvidenceSettings()
    try:
        run = runs.get_run(database, run_name)
        known = _published(database, run, settings)
        if known is not None:
            reporter.note(known)
            return run
        spec = run.corpus.spec
        with shown_progress(database, run.id, run.pair.slug, spec, STAGE) as site:
            plan = plan_of_run(
                run,
                pair_spec=pair_spec,
                corpus_spec=corpus_spec,
                device=device,
                engine=engine,
                workers=workers,
            )
            path = (work_dir or data_dir() / "work") / run.id
            with RunDirectory.locked(path) as directory, named_disk_faults("the coordinator"):
                everyone = Several(reporter, site)
                return _compute(database, plan, run, directory, settings, everyone, resume)
    finally:
        database.dispose()


def _published(database: Database, run: RunRecord, settings: EvidenceSettings) -> str | None:
    """What to say of a stage that is published already; None where it is not."""
    stage = stored.stage(database, run.id, STAGE)
    if stage is None:
        return None
    said = f"The evidence of run {run.id} is published already."
    asked = json.loads(json.dumps(settings.as_dict()))
    version, own = asked.pop("version"), stage.parameters.get("version")
    asked["version"] = own  # nobody asks for one
    differing = sorted(_flat(asked).items() ^ _flat(stage.parameters).items())
    if differing:
        names = sorted({name for name, _ in differing})
        raise UsageError(
            f"the evidence of run {run.id} is published with other settings "
            f"({', '.join(names)} differ), and what is published is never changed",
            "ask for the same settings, or precompute a new run with another --seed",
        )
    if version != own:
        said += f" It is by version {own} of the method, of which this is {version}."
    return said


def _flat(settings: dict[str, Any], before: str = "") -> dict[str, Any]:
    """One level of nested settings as `effects.tokens`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {before + name: value}
    return flat


def _compute(
    database: Database,
    plan: Plan,
    run: RunRecord,
    directory: RunDirectory,
    settings: EvidenceSettings,
    reporter: Reporter,
    resume: bool,
) -> RunRecord:
    sample = token_sample(plan, directory, reporter)
    # Differences of small divergences and gradients of a half-precision model would be noise.
    plan = plan.in_float32()
    key = json.dumps([run.identity_sha256, settings.as_dict(), plan.device], sort_keys=True)
    finished = FinishedParts(
        directory.evidence,
        hashlib.sha256(key.encode()).hexdigest(),
        resume=resume,
        note=reporter.note,
    )
    with plan.engine() as engine:
        times = StepTimes(engine)
        everyone = Several(reporter, times)
        found = Findings.gather(database, plan, run, engine, sample, finished, settings, everyone)
        times.close()
        forward = _forward_cost(run)
    provenance = {
        "started_at": times.started_at.isoformat(timespec="seconds"),
        "seconds": times.seconds,
        "cpu_seconds": times.cpu_seconds,
        "forward_seconds_a_token": forward,
        "device": plan.device,
        "machine": platform.machine(),
        "engine": plan.engine_name,
        "workers": plan.workers,
        "evidence_windows": len(found.windows),
        "evidence_tokens": found.windows.n_tokens,
        "sample_tokens": len(sample),
        "torch": torch.__version__,
    }
    with suppress(AlreadyPublished):  # by another process, meanwhile
        found.publish(database, plan, run, settings.as_dict(), provenance, reporter)
    finished.clear()
    return runs.get_run(database, run.id)


def _forward_cost(run: RunRecord) -> float | None:
    """Processor seconds a token of the statistics stage's forward passes, all sides together."""
    seconds = run.provenance.get("cpu_seconds", {}).get("statistics: forward")
    return None if not seconds or not run.n_tokens else float(seconds) / run.n_tokens


class Findings:
    """All that the stage has found, and the windows and documents that it shows."""

    def __init__(self, windows: EvidenceWindows, sampled: Contexts, records: list[Any]) -> None:
        self.windows, self.records = windows, records
        self._sampled = sampled

    @classmethod
    def gather(
        cls,
        database: Database,
        plan: Plan,
        run: RunRecord,
        engine: Engine,
        sample: Sample,
        finished: FinishedParts,
        settings: EvidenceSettings,
        reporter: Reporter,
    ) -> Findings:
        """Every part in its order, each only where it is not finished yet."""

        def drawn() -> EvidenceWindows:
            reporter.step("evidence windows", None, "windows")
            windows = evidence_windows(plan, settings.effects)
            assert windows is not None, "a published run has tokens"
            return windows

        windows = finished.get("windows", drawn)
        baselines = of_sample(sample, plan.layout)
        records: list[Any] = list(
            finished.get(
                "losses",
                lambda: loss_differences(
                    engine,
                    held_out_stream(plan, settings.effects),
                    plan.batch_windows,
                    settings.effects,
                    plan.seed,
                    reporter,
                    settings.weights,
                ),
            )
        )
        records += finished.get(
            "effects",
            lambda: list(
                effects(
                    engine,
                    plan.device,
                    plan.layout,
                    windows,
                    baselines,
                    settings.effects,
                    plan.seed,
                    reporter,
                )
            ),
        )
        sampled = SampledRun(
            plan.layout,
            sample,
            open_contexts(sample.directory),
            plan.settings,
            plan.n_ctx,
            {one.side: int(plan.versions[one.side].config["d_model"]) for one in plan.layout.sides},
            plan.tokenizer.bos,
        )
        scratch = sample.directory.with_name("meanings")
        records += finished.get(
            "meanings",
            lambda: list(
                meanings(
                    engine, sampled, shown_examples(database, run), plan.seed, scratch, reporter
                )
            ),
        )
        shutil.rmtree(scratch, ignore_errors=True)
        sides: dict[str, Version] = {one.side: plan.versions[one.side] for one in plan.layout.sides}
        records += finished.get(
            "candidates",
            lambda: list(
                candidates(
                    engine,
                    plan.device,
                    plan.layout,
                    load_models(sides, "cpu").lean,
                    windows,
                    baselines,
                    settings.candidates,
                    plan.seed,
                    reporter,
                )
            ),
        )
        return cls(windows, sampled.contexts, records)

    def of(self, kind: type[T]) -> list[T]:
        """The records of one kind, in their order."""
        return [one for one in self.records if isinstance(one, kind)]

    def publish(
        self,
        database: Database,
        plan: Plan,
        run: RunRecord,
        parameters: dict[str, Any],
        provenance: dict[str, Any],
        reporter: Reporter,
    ) -> None:
        """Load and publish the stage; raises `AlreadyPublished`."""
        reporter.step("publish", len(self.records), "rows")
        listed = self.of(CandidateRecord)
        contexts = [one for c in listed for some in c.contexts.values() for one in some]
        drawn = _keys(contexts)
        mined = np.setdiff1d(_keys(self.of(CounterexampleRecord)), drawn)
        documents = split_keys(np.concatenate([drawn, mined]))[0].tolist()
        with loading_stage(
            database, run.id, STAGE, parameters=parameters, provenance=provenance
        ) as loader:
            loader.documents(document_records(plan, set(documents)))
            loader.windows(window_records(self.windows, drawn))
            loader.windows(self._sampled.window_records(self._sampled.find(mined).tolist()))
            done = sum(
                (
                    loader.hidden_shares(self.of(HiddenShareRecord)),
                    loader.joint_densities(self.of(JointDensityRecord)),
                    loader.polysemanticities(self.of(PolysemanticityRecord)),
                    loader.layers(self.of(LayerEvidenceRecord)),
                    loader.estimate_checks(self.of(EstimateCheckRecord)),
                    loader.loss_differences(self.of(LossDifferenceRecord)),
                    loader.candidate_searches(self.of(CandidateSearchRecord)),
                    loader.candidates(listed),
                    loader.counterexamples(self.of(CounterexampleRecord)),
                )
            )
            reporter.advance(done)
            loader.publish()


def _keys(places: Iterable[Any]) -> np.ndarray:
    """Keys of the windows that these stand in, ascending, each once."""
    both = np.array([(one.document, one.window) for one in places], np.int64).reshape(-1, 2)
    return np.unique(window_keys(both[:, 0], both[:, 1]))
