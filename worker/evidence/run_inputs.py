"""What the effects of a run are measured on, from its plan and its token sample.

with plan.engine() as engine:
    for record in run_effects(plan, engine, sample, settings, reporter): ...
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from store.evidence_records import LossDifferenceRecord
from worker.engine import Engine
from worker.evidence.baselines import of_sample
from worker.evidence.effects import EffectRecord, effects, loss_differences
from worker.evidence.settings import EffectSettings
from worker.evidence.windows import EvidenceWindows, draw_windows
from worker.losses import HeldOutStream
from worker.plan import Plan
from worker.reporter import Reporter
from worker.sample import Sample
from worker.windows import token_windows


def run_effects(
    plan: Plan, engine: Engine, sample: Sample, settings: EffectSettings, reporter: Reporter
) -> Iterator[EffectRecord | LossDifferenceRecord]:
    """Loss differences, estimate checks, hidden shares, layers, joint densities, in this order.

    Reads the run's corpus again, to draw the evidence windows. The engine is the run's own, with
    every side and the control; nothing is given where the run has no token.
    """
    held_out = held_out_stream(plan, settings)
    yield from loss_differences(engine, held_out, plan.batch_windows, settings, plan.seed, reporter)
    reporter.step("evidence windows", None, "windows")
    windows = evidence_windows(plan, settings)
    if windows is None or not len(sample):
        return
    baselines = of_sample(sample, plan.layout)
    yield from effects(
        engine, plan.device, plan.layout, windows, baselines, settings, plan.seed, reporter
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
