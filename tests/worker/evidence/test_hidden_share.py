"""Hidden shares: hand-computed parts, and the whole stage on a pair of random models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from store.evidence_records import (
    CURVE_QUANTILES,
    EstimateCheckRecord,
    HiddenShareRecord,
    JointDensityRecord,
    LayerEvidenceRecord,
)
from tests.worker.evidence.planting import (
    DirectEngine,
    baselines_of,
    layout_of,
    random_model,
    random_windows,
)
from worker.activations import BATCH_TOKENS
from worker.evidence.baselines import of_values
from worker.evidence.effects import drawn_neurons, effects
from worker.evidence.folding import Fold
from worker.evidence.hidden_share import LayerEffects, Parts, check, hidden_shares
from worker.evidence.settings import EffectSettings
from worker.reporter import Silent


@pytest.fixture(autouse=True)
def _batches_of_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BATCH_TOKENS, "cpu", 8 * 12)


SETTINGS = EffectSettings(
    tokens=400, last_low=250, early_low=100, early_high=200, panel=200, resamples=50
)


def test_an_effect_is_the_sum_of_two_means_per_token() -> None:
    parts = Parts(
        low=np.array([[6.0, 0.0], [2.0, 0.0]]),
        high=np.array([[1.0, 0.0], [0.0, 0.0], [3.0, 0.0]]),
        tokens=np.array([10, 6, 4]),
    )
    low, high = parts.rates()
    assert low[0] == 8 / 16
    assert high[0] == 4 / 20
    assert parts.effect()[0] == 0.7
    assert parts.share()[0] == pytest.approx(5 / 7)
    assert np.isnan(parts.share()[1])
    assert (parts.intervals(20, 0)[:, 0] >= 0).all()
    assert (parts.intervals(20, 0)[:, 0] <= 1).all()


def hand_made(neurons: list[int], exact_fold: Fold | None) -> LayerEffects:
    """Two neurons; the estimate's low part is 3 (a third of it in bin 10) and 1, the high 1, 1."""
    fold = Fold.empty(2)
    fold.segments[:, 2], fold.segments[:, 5], fold.segments[:, 9] = (1.0, 0.0), (2.0, 1.0), 1.0
    fold.mass[0, :, 10], fold.mass[0, :, 200], fold.mass[1, :, 300] = (1.0, 0.0), (2.0, 1.0), 1.0
    estimate = Parts(np.array([[3.0, 1.0]]), np.array([[1.0, 1.0]]), np.array([10]))
    exact = Parts(np.array([[6.0]]), np.array([[4.0]]), np.array([10]))
    return LayerEffects("left", 0, estimate, fold, np.array(neurons), exact, exact_fold, 1.0)


def test_exact_parts_are_spread_as_the_estimate_is() -> None:
    one, other = hidden_shares(hand_made([0], None), 0.05, 10, 0)
    assert (one.method, one.error, one.share) == ("exact", None, pytest.approx(0.6))
    assert one.effect == pytest.approx(1.0)
    assert one.estimated_share == pytest.approx(0.75)
    assert one.curve == pytest.approx((0, 0, 0, 0.2, 0.2, 0.2, 0.6, 0.6, 0.6, 0.6, 1))
    assert one.mass[[10, 200, 300]] == pytest.approx([0.2, 0.4, 0.4])
    assert (other.method, other.error, other.share) == ("estimate", 0.05, pytest.approx(0.5))
    assert other.mass.sum() == pytest.approx(other.effect)


def test_the_estimate_is_checked_on_the_same_neurons() -> None:
    found = check(hand_made([0], None))
    assert found.n_neurons == 1
    assert found.share_bias == pytest.approx(0.15)
    assert found.share_mean_error == pytest.approx(0.15)
    flipped = hand_made([0], None)
    low = replace(flipped, exact=Parts(np.array([[9.0]]), np.array([[1.0]]), np.array([10])))
    assert check(low).share_bias == pytest.approx(-0.15)
    assert check(low).share_mean_error == pytest.approx(0.15)


def test_a_version_without_effect_has_no_share() -> None:
    layer = hand_made([0, 1], None)
    nothing = Parts(np.zeros((1, 2)), np.zeros((1, 2)), np.array([10]))
    silent = replace(layer, estimate=nothing, estimate_fold=Fold.empty(2), exact=nothing)
    for record in hidden_shares(silent, None, 10, 0):
        assert (record.share, record.interval, record.estimated_share) == (None, None, None)
        assert record.curve == (None,) * len(CURVE_QUANTILES)
        assert record.effect == 0


def test_baselines_by_hand() -> None:
    display = np.arange(1000, dtype=np.float32)[:, None][::-1]
    baseline = of_values(display, 2 * display)
    assert baseline.mean[0] == 999
    assert baseline.thresholds[:, 0].tolist()[1:-1] == [100, 250, 500, 750, 900, 950, 990, 995, 999]
    assert baseline.headline[0] == 999
    assert baseline.dropped[3, 0] == 499  # 2 · mean of 0 … 499
    ties = of_values(np.zeros((10, 1), np.float32), np.ones((10, 1), np.float32))
    assert (ties.dropped == np.array([[0.0]] + 10 * [[1.0]], np.float32)).all()


def stage(seed: int = 0, workers: int = 1, **more: object) -> list[object]:
    models = {"left": random_model("solu_ln"), "right": random_model("gelu")}
    windows = random_windows(40)
    return list(
        effects(
            DirectEngine(models, workers),
            "cpu",
            layout_of(models),
            windows,
            baselines_of(models, windows),
            replace(SETTINGS, **more),
            seed,
            Silent(),
        )
    )


def of_kind(records: list[object], kind: type) -> list[object]:
    return [record for record in records if isinstance(record, kind)]


def test_the_stage_gives_every_record_and_they_agree() -> None:
    records = stage()
    checks = of_kind(records, EstimateCheckRecord)
    shares = of_kind(records, HiddenShareRecord)
    assert [(one.side, one.layer) for one in checks] == [
        ("left", 0),
        ("left", 1),
        ("right", 0),
        ("right", 1),
    ]
    assert len(shares) == 2 * 2 * 24
    assert len(of_kind(records, LayerEvidenceRecord)) == 4
    assert len(of_kind(records, JointDensityRecord)) == 2 * 24  # SoLU's alone
    for one in checks:
        assert one.n_neurons == 24
        assert one.effect_spearman > 0.8
        assert one.share_mean_error < 0.2
        assert abs(one.additivity - 1) < 0.01
    for one in shares:
        assert one.method == "exact"
        assert 0 <= one.interval[0] <= one.share <= one.interval[1] + 1e-9 <= 1 + 1e-6
        assert one.curve[0] == 0
        assert one.curve[-1] == 1
        assert list(one.curve) == sorted(one.curve)
        assert one.curve[9] == pytest.approx(one.share, rel=1e-6)
        assert one.mass.sum() == pytest.approx(one.effect, rel=1e-4)
        assert (one.mass >= 0).all()


def test_neither_workers_nor_a_second_time_change_a_number() -> None:
    once, again = stage(), stage(workers=2)
    for one, other in zip(
        of_kind(once, HiddenShareRecord), of_kind(again, HiddenShareRecord), strict=True
    ):
        assert one.share == pytest.approx(other.share, rel=1e-12)
        assert one.estimated_share == pytest.approx(other.estimated_share, rel=1e-12)
        np.testing.assert_array_equal(one.mass, other.mass)


def test_a_limit_leaves_estimates_with_their_measured_error() -> None:
    records = stage(early_neurons=8)
    shares = of_kind(records, HiddenShareRecord)
    checks = {(one.side, one.layer): one for one in of_kind(records, EstimateCheckRecord)}
    exact = {one.neuron for one in shares if one.layer == 0 and one.method == "exact"}
    assert exact == set(drawn_neurons(0, 0, 24, 8).tolist())
    assert checks["left", 0].n_neurons == 8
    for one in shares:
        if one.method == "estimate":
            assert one.share == one.estimated_share
            assert one.error == checks[one.side, one.layer].share_mean_error > 0


def test_no_draw_is_without_the_windows_of_the_low_part() -> None:
    """Three of sixteen: one draw in twenty-five would have none of them, and a share of 0."""
    random = np.random.default_rng(0)
    tokens = np.full(16, 100)
    parts = Parts(random.gamma(2, 9, (3, 50)), random.gamma(2, 1, (16, 50)), tokens)
    low, high = parts.intervals(400, 0)
    assert (low > 0.2).all()
    assert (low <= parts.share()).all()
    assert (high >= parts.share()).all()


def test_intervals_of_few_windows_cover() -> None:
    """The share that all windows would give, 95 % of the time or nearly."""
    random = np.random.default_rng(1)
    covered = []
    for seed in range(60):
        low = random.gamma(1, 3, (25, 20))
        high = random.gamma(1, 1, (131, 20))
        ends = Parts(low, high, np.full(131, 100)).intervals(200, seed)
        covered.append((ends[0] <= 0.75) & (ends[1] >= 0.75))
    assert np.mean(covered) > 0.92
