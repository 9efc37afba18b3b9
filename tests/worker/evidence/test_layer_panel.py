"""The layer panel: hand-computed shares, and a planted direction that must show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from store.evidence_records import CURVE_QUANTILES, LayerEvidenceRecord
from tests.worker.evidence.planting import (
    DirectEngine,
    baselines_of,
    firing_model,
    layout_of,
    plant,
    random_model,
    random_windows,
)
from worker.evidence import layer_panel
from worker.evidence.batches import batches
from worker.evidence.layer_panel import LayerOfBatch, LayerPanelJob, PanelOfBatch, records
from worker.evidence.passes import mlp_of, run
from worker.lean import LeanModel

#: Wide enough that on many tokens some neuron fires above its headline quantile.
WIDE = {"d_mlp": 256, "d_model": 64, "d_vocab": 80, "n_ctx": 24, "n_layers": 1}


def panel(lean: LeanModel, n: int = 60, seed: int = 0, **shape: int) -> list[LayerEvidenceRecord]:
    windows = random_windows(n, seed, **shape)
    models = {"left": lean}
    job = LayerPanelJob(layout_of(models), baselines_of(models, windows))
    parts = list(DirectEngine(models).run(job, batches(windows, len(windows), "cpu")))
    return list(records(parts, 100, 0))


def by_hand(kl: list[float], orphan: list[bool], spread: list[float]) -> LayerEvidenceRecord:
    layer = LayerOfBatch(
        np.arange(len(kl)),
        np.array(kl, np.float32),
        np.array(orphan),
        np.array(spread, np.float32),
        np.array([1.0, *np.linspace(1.0, 3.0, 10)]),
        4,
    )
    (record,) = records([PanelOfBatch(0, 1, {("left", 0): layer})], 100, 0)
    return record


def test_shares_by_hand() -> None:
    record = by_hand([1, 2, 3, 4] * 5, [True, False, False, True] * 5, [3, 1, 2, 0] * 5)
    assert record.layer_effect == 2.5
    assert record.orphan_effect == 0.5
    assert record.orphan_token_share == 0.5
    assert record.orphan_interval[0] < 0.5 < record.orphan_interval[1]
    assert record.rescue == pytest.approx(
        [0.16, 0.16, 0.12, 0.08, 0.08, 0.12, 0.12, 0.08, 0.04, 0.04]
    )
    assert record.loss_recovered[0] == record.loss_recovered[1] == 1
    assert record.loss_recovered[-1] == 0
    assert record.kept_share == pytest.approx([1 - q for q in CURVE_QUANTILES])


def test_a_layer_that_does_nothing_has_no_shares() -> None:
    record = by_hand([0.0] * 4, [True] * 4, [float("nan")] * 4)
    assert (record.orphan_effect, record.orphan_interval, record.rescue) == (None, None, None)
    assert record.layer_effect == 0


@pytest.mark.parametrize("act_fn", ["solu_ln", "gelu"])
def test_the_layers_divergence_and_losses_are_those_of_whole_passes(act_fn: str) -> None:
    lean = random_model(act_fn)
    windows = random_windows(8)
    (batch,) = batches(windows, 8, "cpu")
    baselines = baselines_of({"left": lean}, windows)
    job = LayerPanelJob(layout_of({"left": lean}), baselines)
    (part,) = DirectEngine({"left": lean}).run(job, [batch])
    cpu = torch.device("cpu")
    trace = run(lean, batch.tokens(cpu))
    for layer in (0, 1):
        found = part.layers["left", layer]
        post = trace.post[layer].clone()
        post[batch.mask(cpu)] = torch.from_numpy(baselines["left", layer].mean)
        handle = mlp_of(lean, layer).fc_out.register_forward_pre_hook(lambda _, __, p=post: (p,))
        changed = torch.log_softmax(lean.model(batch.tokens(cpu)), -1)
        handle.remove()
        base = torch.log_softmax(lean.model(batch.tokens(cpu)), -1)
        kl = (base.exp() * (base - changed)).sum(-1).flatten()[batch.rows]
        np.testing.assert_allclose(found.kl, kl, atol=1e-5, rtol=1e-3)
        targets = batch.targets(cpu)
        known = targets >= 0
        for log_p, loss in ((base, found.losses[0]), (changed, found.losses[-1])):
            nats = -log_p[known].gather(1, targets[known][:, None]).sum()
            assert loss == pytest.approx(float(nats), rel=1e-5)
        display = trace.activated[layer].flatten(0, 1)[batch.rows].numpy()
        silent = (display < baselines["left", layer].headline).all(1)
        np.testing.assert_array_equal(found.orphan, silent)


def test_a_planted_direction_raises_orphan_effect_and_rescue() -> None:
    """Written where the layer is quiet, by all neurons a little: the more, the stronger it is;
    the strongest lies outside what 20 models without it show."""
    shape = {"n_ctx": WIDE["n_ctx"], "d_vocab": WIDE["d_vocab"]}

    def shares(lean: LeanModel) -> tuple[float, float]:
        (record,) = panel(lean, 70, **shape)
        return record.orphan_effect, sum(record.rescue[:5])

    controls = np.array([shares(firing_model("solu_ln", seed=s, **WIDE)) for s in range(20)])
    lean = firing_model("solu_ln", seed=100, **WIDE)
    planted = np.array(
        [shares(plant(lean, 0, strength, seed=7).lean) for strength in (0.0, 0.5, 1.0, 2.0)]
    )
    assert (np.diff(planted, axis=0) > 0).all(), planted
    assert (planted[-1] > np.quantile(controls, 0.975, axis=0)).all(), (planted, controls)


def test_the_orphan_interval_of_few_windows_covers() -> None:
    """Six windows of a layer whose orphans do half of the effect: 86 % by plain percentiles."""
    random = np.random.default_rng(4)
    window, orphan = np.repeat(np.arange(6), 20), np.tile([True, False], 60)
    covered = 0
    for seed in range(200):
        size = random.gamma(0.3, 1, (6, 2))[np.arange(6).repeat(20), np.tile([0, 1], 60)]
        low, high = layer_panel._interval(size, orphan, window, 300, seed)
        covered += low <= 0.5 <= high
    assert covered / 200 > 0.9
