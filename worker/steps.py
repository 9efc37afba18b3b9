"""The steps of a run: functions of the plan, the engine and what the steps before found."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from store.records import SIDES, LossRecord
from worker.batch_size import PROBE, ProbeJob
from worker.checksums import seal
from worker.contexts import Contexts
from worker.engine import Engine
from worker.errors import WorkerError
from worker.examples import requests
from worker.gather import (
    Gathered,
    GatherJob,
    Requests,
    gather_tasks,
    mismatches,
    take_recorded,
)
from worker.layer_job import LayerJob, LayerResults, LayerTask
from worker.losses import HeldOutStream, LossJob, LossSums
from worker.partials import Merged
from worker.plan import Plan
from worker.reporter import Reporter
from worker.run_directory import RunDirectory
from worker.sample import Sample, write_sample
from worker.statistics import Statistics
from worker.statistics_job import FLUSH_SECONDS
from worker.token_neuron import ByToken, TokenIndex, token_ids
from worker.token_pass import Tally, TokenPass, input_files


class MismatchError(WorkerError):
    """The gather pass did not see what the first pass recorded."""


@dataclass(frozen=True)
class Pass:
    """What the pass over the tokens found."""

    merged: Merged
    n_documents: int
    n_windows: int
    n_tokens: int
    tally: Tally = field(default_factory=Tally)


def tried_batch(plan: Plan, engine: Engine) -> Plan:
    """The plan with a batch that the device has room for: a GPU is asked by trying.

    Raises `DeviceError` where not even one window fits.
    """
    if plan.device == "cpu":
        return plan
    job = ProbeJob(plan.layout, plan.settings, plan.n_ctx, plan.batch_windows)
    (batch_windows,) = engine.run(job, [PROBE])
    return dataclasses.replace(plan, batch_windows=batch_windows)


def statistics_pass(
    plan: Plan,
    engine: Engine,
    directory: RunDirectory,
    reporter: Reporter,
    flush_seconds: float = FLUSH_SECONDS,
) -> TokenPass:
    """Stream the corpus through the models; goes on from whole partials in the directory, and
    leaves all partials there."""
    tokens = TokenPass(plan, directory, reporter)
    tokens.run(engine, flush_seconds)
    return tokens


def merged(plan: Plan, tokens: TokenPass, directory: RunDirectory) -> tuple[Pass, Sample]:
    """What the pass found, of all partials; and the token sample in its lasting place, written
    under another name first. By this process alone, so that workers can do something else."""
    found = tokens.store.merge(tokens.partials)
    lost = tokens.wanted - found.shards
    if lost:
        raise WorkerError(f"{len(lost)} shards were lost", "run the same command with --resume")
    unfinished = directory.sample.with_name("sample.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    about = {"run": plan.run_id, "identity": plan.identity}
    write_sample(unfinished, found.parts, plan.layout, plan.settings.sample_size, about)
    write_contexts(unfinished, found.contexts)
    seal(unfinished)
    shutil.rmtree(directory.sample, ignore_errors=True)
    unfinished.rename(directory.sample)
    stream = tokens.stream
    return (
        Pass(found, stream.n_documents, stream.n_windows, stream.n_tokens, tokens.tally),
        Sample(directory.sample, np.load(directory.sample / "keys.npy")),
    )


def write_contexts(directory: Path, contexts: Contexts) -> None:
    """The windows that the sample and the extremes stand in, beside the sample."""
    np.savez(
        directory / "windows.npz",
        keys=contexts.keys,
        offsets=contexts.offsets,
        tokens=contexts.tokens,
    )


def layer_results(
    plan: Plan, engine: Engine, directory: RunDirectory, reporter: Reporter
) -> LayerResults:
    """Draws and correspondence of all layers; `logit_effects` adds to them."""
    job = LayerJob(directory.sample, plan.layout, plan.settings, plan.seed)
    found = LayerResults.empty()
    _take_layers("comparison", list(job.comparison()), job, engine, reporter, found)
    return found


def logit_effects(
    plan: Plan,
    engine: Engine,
    directory: RunDirectory,
    reporter: Reporter,
    results: LayerResults,
) -> None:
    """Logit effects of all layers, into `results`."""
    job = LayerJob(directory.sample, plan.layout, plan.settings, plan.seed)
    _take_layers("logit effects", list(job.logit_effects()), job, engine, reporter, results)


def _take_layers(
    name: str,
    tasks: list[LayerTask],
    job: LayerJob,
    engine: Engine,
    reporter: Reporter,
    into: LayerResults,
) -> None:
    reporter.step(name, len(tasks), "parts")
    for done, (task, result) in enumerate(engine.run(job, tasks), 1):
        into.take(task, result)
        reporter.advance(done)


def token_index(
    plan: Plan,
    engine: Engine,
    directory: RunDirectory,
    found: Merged,
    sample: Sample,
    reporter: Reporter,
) -> TokenIndex:
    """Which versions are highest on each token of the sample, on disk."""
    by_token = ByToken.of_ids(token_ids(sample.keys, found.contexts))
    index = TokenIndex.create(directory.token_index, plan.layout, by_token)
    job = index.job(directory.sample)
    tasks = list(job.tasks())
    reporter.step("search index", len(tasks), "parts")
    for done, _ in enumerate(engine.run(job, tasks), 1):
        reporter.advance(done)
    return index


def held_out_losses(plan: Plan, engine: Engine, reporter: Reporter) -> list[LossRecord]:
    """Losses of every side on held-out documents; none where the corpus has none."""
    reporter.step("losses", plan.settings.loss_tokens, "tokens")
    lengths = np.array([len(token) for token in plan.vocabulary], dtype=np.int64)
    stream = HeldOutStream(
        plan.corpus.documents(plan.seed),
        plan.tokenizer,
        plan.n_ctx,
        lengths,
        plan.settings.loss_tokens,
        task_windows=2 * plan.batch_windows,
    )
    sums = LossSums()
    job = LossJob(tuple(plan.versions), plan.batch_windows)
    for n_tokens, nats in engine.run(job, stream):
        sums.add(n_tokens, nats)
        reporter.advance(sums.n_tokens)
    reporter.advance(sums.n_tokens, total=sums.n_tokens)
    return stream.records(sums.nats)


def gather_examples(
    plan: Plan,
    engine: Engine,
    directory: RunDirectory,
    found: Merged,
    results: LayerResults,
    sample: Sample,
    reporter: Reporter,
) -> tuple[Requests, Gathered]:
    """The values of examples along their snippets."""
    wanted = requests(found.statistics, results, sample, found.contexts)
    scaled = tuple(one.side for one in plan.layout.sides if one.has_layer_norm)
    gathered = Gathered(directory.gathered, len(wanted), plan.settings.snippet, scaled)
    gathered.create()
    inputs = input_files(plan, directory)
    if inputs is not None:
        inputs.remove_damaged(reporter.note)
    reporter.step("gather", len(np.unique(wanted["window"])), "windows")
    job = GatherJob(gathered, plan.layout, plan.batch_windows, inputs)
    done = 0
    size = 8 * plan.batch_windows
    tasks = gather_tasks(wanted, found.contexts, plan.n_ctx, plan.tokenizer.bos, size, inputs)
    for n_windows in engine.run(job, tasks):
        done += n_windows
        reporter.advance(done)
    wrong = mismatches(wanted, gathered, _spreads(found.statistics, wanted))
    if len(wrong):
        first = wanted[wrong[0]]
        raise MismatchError(
            f"{len(wrong)} of {len(wanted)} examples have another activation when their window is "
            f"run again, first L{first['layer']}N{first['neuron']} of {SIDES[first['side']]}: "
            f"{gathered.focus()[wrong[0], 0]:g}, not {first['recorded']:g}",
            "the device does not compute reproducibly: try --device cpu",
        )
    take_recorded(wanted, gathered)
    return wanted, gathered


def _spreads(statistics: Statistics, wanted: Requests) -> np.ndarray:
    """The display site's standard deviation of each request's version."""
    found = np.zeros(len(wanted))
    for one, layer in statistics.layout.layers():
        here = (wanted["side"] == SIDES.index(one.side)) & (wanted["layer"] == layer)
        std = statistics.distribution(one.side, layer).compute()[one.display_site].std
        found[here] = std[wanted["neuron"][here]]
    return found
