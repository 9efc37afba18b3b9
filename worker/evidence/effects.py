"""Effects of all versions: the first half of a run's evidence, as a stream of records.

    engine: of left and right (and control, for the losses)
    baselines = baselines.of_sample(sample, layout)
    windows = draw_windows(token_windows(...), seed, settings.tokens)
    for record in effects(engine, layout, windows, baselines, settings, seed, reporter): ...
    losses = loss_differences(engine, held_out, batch_windows, settings, seed, reporter)

Records come in a fixed order, and their numbers do not depend on the engine or its workers beyond
the rounding of float64 sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from store.evidence_records import (
    EstimateCheckRecord,
    HiddenShareRecord,
    JointDensityRecord,
    LayerEvidenceRecord,
    LossDifferenceRecord,
)
from worker.engine import Engine, Job
from worker.evidence import joint_density, layer_panel, loss_difference
from worker.evidence.ablation import WindowEffects
from worker.evidence.ablation_job import AblationJob, AblationOfBatch
from worker.evidence.baselines import Baselines
from worker.evidence.batches import Totals, batches
from worker.evidence.effect_mass import EffectMassJob, MassOfBatch, Place
from worker.evidence.folding import Fold
from worker.evidence.hidden_share import LayerEffects, Parts, check, hidden_shares
from worker.evidence.mixture import Weights
from worker.evidence.settings import EffectSettings
from worker.evidence.windows import EvidenceWindows
from worker.hashing import key_hashes
from worker.layout import Layout
from worker.losses import HeldOutStream
from worker.reporter import Reporter

EffectRecord = HiddenShareRecord | EstimateCheckRecord | LayerEvidenceRecord | JointDensityRecord


def effects(
    engine: Engine,
    device: str,
    layout: Layout,
    windows: EvidenceWindows,
    baselines: Baselines,
    settings: EffectSettings,
    seed: int,
    reporter: Reporter,
) -> Iterator[EffectRecord]:
    """Estimate checks first (one a layer and side), then hidden shares, layers, joint densities."""
    layers = measure_effects(engine, device, layout, windows, baselines, settings, seed, reporter)
    checks = [check(layer) for layer in layers]
    yield from checks
    for layer, found in zip(layers, checks, strict=True):
        yield from hidden_shares(layer, found.share_mean_error, settings.resamples, seed)
    panel = layer_panel.LayerPanelJob(layout, baselines)
    parts, _ = _run(
        engine, device, panel, windows, windows.first(settings.panel), "layer panel", reporter
    )
    yield from layer_panel.records(parts, settings.resamples, seed)
    if any(one.has_layer_norm for one in layout.sides):
        density = joint_density.JointDensityJob(layout)
        _, totals = _run(engine, device, density, windows, len(windows), "joint density", reporter)
        yield from joint_density.records(totals)


def measure_effects(
    engine: Engine,
    device: str,
    layout: Layout,
    windows: EvidenceWindows,
    baselines: Baselines,
    settings: EffectSettings,
    seed: int,
    reporter: Reporter,
) -> list[LayerEffects]:
    """Estimated and exact effects of each layer of each side, before they become records."""
    mass_job = EffectMassJob(layout, baselines, settings.samples, seed)
    masses: list[MassOfBatch]
    masses, mass_totals = _run(
        engine, device, mass_job, windows, len(windows), "effect mass", reporter
    )
    job = AblationJob(
        layout,
        baselines,
        last_low=windows.first(settings.last_low),
        early_low=windows.first(settings.early_low),
        early_high=windows.first(settings.early_high),
        neurons={
            (one.side, layer): drawn_neurons(seed, layer, one.n_neurons, settings.early_neurons)
            for one, layer in layout.layers()
            if layer < one.n_layers - 1
        },
    )
    ablations: list[AblationOfBatch]
    ablations, totals = _run(
        engine,
        device,
        job,
        windows,
        len(windows),
        "ablation",
        reporter,
        job.work(len(windows)),
        "ablations",
    )
    tokens = np.concatenate([one.n_tokens for one in masses])
    found = []
    for one, layer in layout.layers():
        place = (one.side, layer)
        sums = np.concatenate([part.sums[place] for part in masses], axis=1)
        estimate = Parts(sums[0], sums[1], tokens)
        fold = _merged([total.folds[place] for total in mass_totals])
        if layer == one.n_layers - 1:
            last = np.concatenate([part.last[one.side] for part in ablations], axis=1)
            exact = Parts(last[0, : job.last_low], last[1], tokens)
            exact_fold = _merged([total.folds[one.side] for total in totals])
            neurons = np.arange(one.n_neurons)
            both: float | None = 1.0  # tokens do not meet after the last layer
        else:
            exact, both = _early_parts(ablations, place, job, tokens)
            exact_fold, neurons = None, job.neurons[place]
        found.append(
            LayerEffects(one.side, layer, estimate, fold, neurons, exact, exact_fold, both)
        )
    return found


def _early_parts(
    ablations: list[AblationOfBatch], place: Place, job: AblationJob, tokens: npt.NDArray[np.int64]
) -> tuple[Parts, float | None]:
    """An earlier layer's effects by window, and how well its parts add up."""
    parts: list[WindowEffects] = [one.early[place] for one in ablations if place in one.early]
    low, high, both = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("low", "high", "both")
    )
    whole = np.nansum(both)
    known = np.isfinite(both)
    additivity = float((low[known] + high[known]).sum() / whole) if whole > 0 else None
    return Parts(low[: job.early_low], high[: job.early_high], tokens), additivity


def drawn_neurons(seed: int, layer: int, n: int, limit: int | None) -> npt.NDArray[np.int64]:
    """The neurons of lowest hash, ascending: the same on both sides; all without a limit."""
    if limit is None or limit >= n:
        return np.arange(n)
    hashes = key_hashes(seed, np.full(n, layer), np.arange(n))
    return np.sort(np.argsort(hashes, kind="stable")[:limit])


def loss_differences(
    engine: Engine,
    held_out: HeldOutStream,
    batch_windows: int,
    settings: EffectSettings,
    seed: int,
    reporter: Reporter,
    weights: Weights | None = None,
) -> list[LossDifferenceRecord]:
    """Between all models of the engine, on the held-out documents; none where nothing is held out.

    The engine must have the control too, if there is one.
    """
    reporter.step("loss differences", held_out.min_tokens, "tokens")
    job = loss_difference.DocumentLossJob(held_out.token_lengths, batch_windows)
    parts: list[loss_difference.DocumentLosses] = []
    done = 0
    for part in engine.run(job, held_out):
        parts.append(part)
        done += int(part.n_tokens.sum())
        reporter.advance(done)
    reporter.advance(done, total=done)
    if not done:
        return []
    losses = loss_difference.DocumentLosses.together(parts)
    sources = held_out.sources
    return list(loss_difference.records(losses, sources, 5 * settings.resamples, seed, weights))


def _run(
    engine: Engine,
    device: str,
    job: Job,
    windows: EvidenceWindows,
    count: int,
    step: str,
    reporter: Reporter,
    work: npt.NDArray[np.int64] | None = None,
    unit: str = "windows",
) -> tuple[list[Any], list[Any]]:
    """Results of all batches, in the windows' order, and of all workers.

    `work` [count] is how much of `unit` each window means, where they differ.
    """
    work = np.ones(count, np.int64) if work is None else work
    reporter.step(step, int(work.sum()), unit)
    parts: list[Any] = []
    totals: list[Any] = []
    done = 0
    for result in engine.run(job, batches(windows, count, device)):
        if isinstance(result, Totals):
            totals.append(result)
            continue
        parts.append(result)
        done += int(work[result.start : result.start + result.count].sum())
        reporter.advance(done)
    return sorted(parts, key=lambda part: part.start), totals


def _merged(folds: list[Fold]) -> Fold:
    total = folds[0]
    for one in folds[1:]:
        total = total.merge(one)
    return total
