"""`twinscope verify`: a published run's numbers recomputed by brute force, and compared.

    found = verify("latest", sample=200, seed=0, reporter=reporter)
    found.ok, found.checks

The order of things: the run is opened again and must still be what it was; versions are drawn; the
corpus is read without a model (how much there is, which tokens are drawn) and then with the
library's own model and hooks; losses; if the evidence is published, its estimate for all drawn
versions and true ablations of some of them; everything is compared, and the result kept.

It costs about one plain forward pass over the corpus, and four backward passes over the evidence
windows. Memory follows the sample, not the corpus.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from store import evidence as stored_evidence
from store import runs, verifications
from store.engine import Engine as Database
from store.engine import open_engine
from store.evidence_records import HEADLINE_QUANTILE, StageRecord
from store.records import RunRecord, Side
from store.verifications import VerificationRecord
from worker.engine import Engine
from worker.errors import UsageError
from worker.evidence.published_run import plan_of_run
from worker.evidence.settings import EffectSettings
from worker.halves import to_half
from worker.losses import HeldOutStream
from worker.plan import Plan
from worker.reporter import Reporter, Silent
from worker.verify import compare_evidence, compare_examples, compare_statistics
from worker.verify.checks import Check, records
from worker.verify.chosen import Chosen, Place, StoredVersion, choose, read
from worker.verify.corpus_pass import CorpusJob, tasks
from worker.verify.effects_pass import (
    AblationJob,
    EstimateJob,
    Halves,
    Parts,
    Sums,
    effect_tasks,
    parts_of,
)
from worker.verify.found import Found
from worker.verify.losses_pass import LossJob
from worker.verify.plain import PlainModels
from worker.verify.rounding import Rounding, measure_rounding
from worker.verify.survey import Survey, survey

#: One of so many chosen versions is truly ablated, as far as the stage did so itself.
ABLATED = 25


def verify(
    run_name: str,
    *,
    sample: int = 200,
    seed: int = 0,
    pair_spec: str | Path | None = None,
    corpus_spec: list[str] | None = None,
    device: str = "auto",
    workers: int | None = None,
    database_url: str | None = None,
    reporter: Reporter | None = None,
) -> tuple[RunRecord, VerificationRecord]:
    """Recompute, compare and keep the result; the run and the result.

    Raises `WorkerError` or `StoreError` where the run cannot be opened again (its weights or its
    corpus are not here, or not what they were). A disagreement is a result, not an error.
    """
    if sample < 1:
        raise UsageError(f"--sample is {sample}", "give a positive number")
    database = open_engine(database_url)
    reporter = reporter or Silent()
    began = time.monotonic()
    try:
        run = runs.get_run(database, run_name)
        plan = plan_of_run(
            run, pair_spec=pair_spec, corpus_spec=corpus_spec, device=device, workers=workers
        )
        chosen = choose(plan.layout, sample, seed)
        checks = _Brute(database, run, plan, chosen, reporter).checks()
        kept = records(checks)
        result = VerificationRecord(
            ok=all(not check.n_failed for check in kept),
            sample=sample,
            versions=sum(map(len, chosen.values())),
            seed=seed,
            seconds=round(time.monotonic() - began, 2),
            code_version=metadata.version("twinscope"),
            checks=kept,
        )
        return run, verifications.add(database, run.id, result)
    finally:
        database.dispose()


class _Brute:
    """One verification: what is stored, and the passes that recompute it."""

    def __init__(
        self, database: Database, run: RunRecord, plan: Plan, chosen: Chosen, reporter: Reporter
    ) -> None:
        self._database, self._run, self._plan = database, run, plan
        self._chosen, self._reporter = chosen, reporter
        self._stored = read(database, run, chosen)
        self._stage = stored_evidence.stage(database, run.id, stored_evidence.EVIDENCE)
        self._settings = _effect_settings(self._stage)

    def checks(self) -> list[Check]:
        """Every comparison."""
        plan, stored = self._plan, self._stored
        models = PlainModels.load(
            {one.side: plan.versions[one.side] for one in plan.layout.sides},
            torch.device(plan.device),
        )
        rounding = measure_rounding(plan, self._chosen, models)
        tokens = 0 if self._settings is None else self._settings.tokens
        read_ = survey(plan, tokens, self._run.n_tokens, self._reporter)
        checks = [compare_statistics.counts_of_run(self._run, read_)]
        with plan.engine() as engine:
            others = self._others()
            found = self._corpus(engine, read_, rounding, others)
            n_sample = sum(len(part.hashes) for part in found.rows)
            checks += compare_statistics.distributions(stored, found, rounding)
            shares = {
                place: compare_examples.Shares(others[place], *found.others[place])
                for place in others
            }
            checks += compare_examples.values(stored, found, plan.layout, rounding, shares)
            checks += compare_examples.ranks(stored, found, plan.layout, rounding, plan.settings)
            checks += compare_statistics.correspondence(stored, found, n_sample)
            checks.append(compare_statistics.logit_effects(stored, models, plan.settings))
            checks += self._losses(engine)
            if self._settings is not None and read_.evidence is not None:
                checks += self._effects(engine, read_, found, self._settings)
        return checks

    def _others(self) -> Chosen:
        """Neurons of each layer that stand as the other version beside chosen ones."""
        found: dict[Place, set[int]] = {place: set() for place in self._chosen}
        for (side, layer), of_layer in self._stored.items():
            other = self._plan.layout.other(side)
            if other is None:
                continue
            for version in of_layer:
                for shown in version.examples:
                    for whose in (shown.example.same_index, shown.example.match):
                        if whose is not None:
                            found[other.side, layer].add(whose.neuron)
        return {place: np.array(sorted(some), np.int64) for place, some in found.items()}

    def _corpus(
        self, engine: Engine, read_: Survey, rounding: dict[Any, Rounding], others: Chosen
    ) -> Found:
        plan = self._plan
        wanted, _ = compare_examples.wanted_of(self._stored, plan.layout)
        thresholds = {
            place: np.array([_or_nan(one.record.density_threshold) for one in of_layer])
            for place, of_layer in self._stored.items()
        }
        k = plan.settings.top, plan.settings.bottom
        job = CorpusJob(
            self._versions(), plan.layout, self._chosen, others, thresholds, rounding, k
        )
        self._reporter.step("corpus", read_.n_tokens, "tokens")
        found = Found()
        for part in engine.run(job, tasks(plan, read_.threshold, wanted)):
            found.add(part, k)
            self._reporter.advance(found.n_tokens)
        return found

    def _losses(self, engine: Engine) -> list[Check]:
        plan = self._plan
        stream, nats = self._nats(engine, plan.settings.loss_tokens)
        of_run = runs.losses(self._database, self._run.id)
        checks = [compare_evidence.losses(of_run, stream, nats)]
        if self._settings is not None:
            if self._settings.loss_tokens != plan.settings.loss_tokens:
                stream, nats = self._nats(engine, self._settings.loss_tokens)
            differences = stored_evidence.loss_differences(self._database, self._run.id)
            checks.append(compare_evidence.loss_differences(differences, stream, nats))
        return checks

    def _nats(
        self, engine: Engine, tokens: int
    ) -> tuple[HeldOutStream, dict[tuple[str, int], float]]:
        plan = self._plan
        lengths = np.array([len(token) for token in plan.vocabulary], dtype=np.int64)
        stream = HeldOutStream(
            plan.corpus.documents(plan.seed), plan.tokenizer, plan.n_ctx, lengths, tokens, 32
        )
        self._reporter.step("losses", tokens, "tokens")
        done, sums = 0, dict[tuple[str, int], float]()
        for n_tokens, nats in engine.run(LossJob(plan.versions), stream):
            done += n_tokens
            self._reporter.advance(done)
            for key, value in nats.items():
                sums[key] = sums.get(key, 0.0) + value
        self._reporter.advance(done, total=done)
        return stream, sums

    def _effects(
        self, engine: Engine, read_: Survey, found: Found, settings: EffectSettings
    ) -> list[Check]:
        plan, windows = self._plan, read_.evidence
        assert windows is not None
        parts = self._parts(found)
        sides: list[Side] = [one.side for one in plan.layout.sides]
        d_vocab = int(plan.pair.left.config["d_vocab"])

        def all_tasks() -> Iterable[Any]:
            return effect_tasks(windows, len(windows), sides, d_vocab)

        total = len(windows) * len(sides)
        mass: dict[Place, Any] = {}
        estimate = EstimateJob(self._versions(), self._chosen, parts, settings.samples, plan.seed)
        for sums in self._run_effects(engine, "estimated effect", estimate, all_tasks, total):
            for place, values in sums.items():
                mass[place] = mass.get(place, 0.0) + values
        n_low = {True: windows.first(settings.last_low), False: windows.first(settings.early_low)}
        n_high = {True: len(windows), False: windows.first(settings.early_high)}
        ablated = self._ablated(parts)
        job = AblationJob(self._versions(), ablated, n_low, n_high)
        exact: Sums = {}
        for sums in self._run_effects(engine, "ablation", job, all_tasks, total):
            for key, values in sums.items():
                exact[key] = exact.get(key, np.zeros(2)) + values
        lengths = windows.windows.mask.sum(axis=1, dtype=np.int64)

        def tokens(side: Side, layer: int) -> tuple[int, int]:
            last = layer == plan.layout[side].n_layers - 1
            return int(lengths[: n_low[last]].sum()), int(lengths[: n_high[last]].sum())

        return [
            *compare_evidence.exact_effects(self._stored, exact, tokens),
            *compare_evidence.estimates(self._stored, mass, windows.n_tokens),
        ]

    def _run_effects(
        self,
        engine: Engine,
        step: str,
        job: Any,
        all_tasks: Callable[[], Iterable[Any]],
        total: int,
    ) -> Iterable[Any]:
        self._reporter.step(step, total, "windows")
        done = 0
        for count, sums in engine.run(job, all_tasks()):
            done += count
            self._reporter.advance(done)
            yield sums

    def _parts(self, found: Found) -> Parts:
        """From the brute force's own token sample."""
        post: dict[Place, Halves] = {}
        shown: dict[Place, Halves] = {}
        for side, layer in self._chosen:
            display = self._plan.layout[side].display_site
            for into, site in ((post, "post"), (shown, display)):
                rows = [part.values[side, layer, site] for part in found.rows]  # type: ignore[index]
                into[side, layer] = to_half(np.concatenate(rows))
        return parts_of(self._chosen, post, shown, HEADLINE_QUANTILE)

    def _ablated(self, parts: Parts) -> Parts:
        """One of ABLATED chosen versions, and one of each layer and side at least, among those
        that the stage has ablated, too."""
        found: Parts = {}
        for (side, layer), of_layer in self._stored.items():
            exact = [one for one in of_layer if _is_exact(one)]
            for version in exact[: max(1, len(of_layer) // ABLATED)]:
                key = side, layer, version.record.neuron
                found[key] = parts[key]
        return found

    def _versions(self) -> dict[str, Any]:
        return {one.side: self._plan.versions[one.side] for one in self._plan.layout.sides}


def _is_exact(version: StoredVersion) -> bool:
    hidden = None if version.evidence is None else version.evidence.hidden
    return hidden is not None and hidden.method == "exact" and bool(hidden.effect)


def _effect_settings(stage: StageRecord | None) -> EffectSettings | None:
    """What the evidence stage was asked for; None where it is not published."""
    if stage is None:
        return None
    try:
        return EffectSettings(**stage.parameters["effects"])
    except (KeyError, TypeError) as error:
        raise UsageError(
            "the evidence of this run was made by another version of Twinscope",
            "verify it with that version",
        ) from error


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
