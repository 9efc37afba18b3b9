"""Effects of a run, from its plan and its token sample as the statistics left them."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from store.evidence_records import (
    EstimateCheckRecord,
    HiddenShareRecord,
    JointDensityRecord,
    LayerEvidenceRecord,
    LossDifferenceRecord,
)
from tests import databases
from tests.worker.tiny_pair import DEAD, SHAPE, make_corpus, make_pair
from worker.evidence.ablation_job import AblationJob
from worker.evidence.baselines import of_sample
from worker.evidence.batches import batches
from worker.evidence.run_inputs import evidence_windows, run_effects
from worker.evidence.settings import EffectSettings
from worker.plan import make_plan
from worker.precompute import precompute
from worker.reporter import Silent
from worker.sample import open_sample
from worker.settings import StatisticsSettings

SETTINGS = EffectSettings(
    tokens=900, last_low=600, early_low=300, early_high=600, panel=600, resamples=20
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """(plan, sample, records) of a tiny pair, with a published statistics stage."""
    base = tmp_path_factory.mktemp("run")
    pair, corpus = make_pair(base / "tiny-pair"), make_corpus(base / "texts")
    settings = StatisticsSettings(sample_size=500, loss_tokens=200)
    arguments = {"tokens": 1500, "device": "cpu", "workers": 1, "seed": 3, "settings": settings}
    with databases.fresh("sqlite", migrated=True) as url:
        done = precompute(pair, str(corpus), database_url=url, work_dir=base / "work", **arguments)
    plan = make_plan(pair, str(corpus), **arguments)
    sample = open_sample(Path(base / "work" / done.id / "sample"))
    with plan.engine() as engine:
        records = list(run_effects(plan, engine, sample, SETTINGS, Silent()))
    return plan, sample, records


def of_kind(run, kind):  # type: ignore[no-untyped-def]
    return [record for record in run[2] if isinstance(record, kind)]


def test_a_run_gets_every_record(run) -> None:  # type: ignore[no-untyped-def]
    n = SHAPE["d_mlp"]
    assert len(of_kind(run, HiddenShareRecord)) == 2 * 2 * n
    assert len(of_kind(run, EstimateCheckRecord)) == len(of_kind(run, LayerEvidenceRecord)) == 4
    assert len(of_kind(run, JointDensityRecord)) == 2 * n
    losses = of_kind(run, LossDifferenceRecord)
    assert {(one.side, one.against) for one in losses} == {
        ("left", "right"),
        ("left", "control"),
        ("control", "right"),
    }
    whole = {(one.side, one.against): one for one in losses if not one.source}
    assert whole["left", "right"].difference == pytest.approx(
        whole["left", "control"].difference + whole["control", "right"].difference
    )


def test_a_dead_neuron_has_no_share_and_others_have(run) -> None:  # type: ignore[no-untyped-def]
    for one in of_kind(run, HiddenShareRecord):
        dead = one.side == "right" and one.layer == 0 and one.neuron == DEAD
        assert (one.share is None) == dead
        assert (one.effect == 0) == dead


def test_evidence_windows_are_windows_of_the_run(run) -> None:  # type: ignore[no-untyped-def]
    plan, _, _ = run
    windows = evidence_windows(plan, SETTINGS)
    assert SETTINGS.tokens <= windows.n_tokens < SETTINGS.tokens + SHAPE["n_ctx"]
    everything = evidence_windows(plan, EffectSettings(tokens=10**9))
    assert 1500 <= everything.n_tokens < 1500 + SHAPE["n_ctx"]


def test_jobs_and_batches_travel_to_other_processes(run) -> None:  # type: ignore[no-untyped-def]
    plan, sample, _ = run
    windows = evidence_windows(plan, SETTINGS)
    job = AblationJob(plan.layout, of_sample(sample, plan.layout), 3, 2, 3, {})
    batch = next(batches(windows, len(windows), "cpu"))
    again = pickle.loads(pickle.dumps((job, batch)))
    assert (again[0].baselines["left", 0].mean == job.baselines["left", 0].mean).all()
    assert (again[1].rows == batch.rows).all()
