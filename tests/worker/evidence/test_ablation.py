"""Exact ablations against brute force: a whole forward pass with the activations replaced."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.worker.evidence.planting import baselines_of, random_model, random_windows
from worker.activations import BATCH_TOKENS
from worker.evidence.ablation import early_layer_effects, last_layer_effects
from worker.evidence.baselines import Baseline
from worker.evidence.batches import Batch, batches
from worker.evidence.passes import finish, run
from worker.lean import LeanModel


@pytest.fixture(autouse=True)
def _batches_of_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BATCH_TOKENS, "cpu", 8 * 12)


CPU = torch.device("cpu")


def brute_force(
    lean: LeanModel, batch: Batch, layer: int, neuron: int, mean: float, where: torch.Tensor
) -> torch.Tensor:
    """KL [B, T] when the neuron's post is set to its mean at `where` [B, T], in float64 and by
    the native model's own forward pass."""
    model = copy.deepcopy(lean.model).double()

    def ablate(_: object, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        post = inputs[0].clone()
        post[..., neuron] = torch.where(where, mean, post[..., neuron])
        return (post,)

    base = F.log_softmax(model(batch.tokens(CPU)), -1)
    hook = model.layers[layer].mlp.fc_out.register_forward_pre_hook(ablate)
    changed = F.log_softmax(model(batch.tokens(CPU)), -1)
    hook.remove()
    return (base.exp() * (base - changed)).sum(-1)


def a_batch() -> Batch:
    (batch,) = batches(random_windows(7), 7, "cpu")
    return batch


def lowered(baseline: Baseline, quantile: int) -> Baseline:
    """The baseline with the headline moved down, so that a few windows have both parts."""
    thresholds = baseline.thresholds.copy()
    thresholds[9] = thresholds[quantile]
    return replace(baseline, thresholds=thresholds)


@pytest.mark.parametrize("normalization", ["LN", "LNPre", None])
@pytest.mark.parametrize("act_fn", ["solu_ln", "gelu"])
def test_the_last_layer_by_one_vector_is_a_whole_forward_pass(
    act_fn: str, normalization: str | None
) -> None:
    lean = random_model(act_fn, normalization_type=normalization, spread=0.3)
    batch = a_batch()
    baseline = baselines_of({"left": lean}, random_windows(40))["left", 1]
    trace = run(lean, batch.tokens(CPU))
    found = last_layer_effects(lean, trace, batch, baseline, np.ones(len(batch.rows), bool))
    assert found.max() > 1e-3
    for neuron in (0, 7, 23):
        mean = float(baseline.mean[neuron])
        true = brute_force(lean, batch, 1, neuron, mean, batch.mask(CPU)).flatten()[batch.rows]
        torch.testing.assert_close(found[:, neuron].double(), true, rtol=2e-5, atol=1e-5)


def test_where_not_everything_is_wanted_only_the_high_part_is_measured() -> None:
    lean, batch = random_model("solu_ln"), a_batch()
    baseline = lowered(baselines_of({"left": lean}, random_windows(40))["left", 1], 5)
    trace = run(lean, batch.tokens(CPU))
    whole = last_layer_effects(lean, trace, batch, baseline, np.ones(len(batch.rows), bool))
    part = last_layer_effects(lean, trace, batch, baseline, batch.window_of_row < 3)
    high = trace.activated[1].flatten(0, 1)[batch.rows] >= torch.from_numpy(baseline.headline)
    wanted = high | torch.from_numpy(batch.window_of_row < 3)[:, None]
    assert 0 < high.sum() < high.numel() / 5
    torch.testing.assert_close(part, torch.where(wanted, whole, 0.0), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("act_fn", ["solu_ln", "gelu"])
def test_an_earlier_layer_is_a_whole_forward_pass_for_each_part(act_fn: str) -> None:
    lean, batch = random_model(act_fn), a_batch()
    baseline = lowered(baselines_of({"left": lean}, random_windows(40))["left", 0], 5)
    neurons = np.array([2, 5, 20])
    everywhere = np.ones(7, bool)
    trace = run(lean, batch.tokens(CPU))
    found = early_layer_effects(
        lean, trace, batch, 0, baseline, neurons, everywhere, batch.ranks < 5
    )
    mask = batch.mask(CPU)
    for m, neuron in enumerate(neurons):
        high = (trace.activated[0][..., neuron] >= baseline.headline[neuron]) & mask
        assert high.any()
        mean = float(baseline.mean[neuron])
        for part, where in (("low", mask & ~high), ("high", high), ("both", mask)):
            true = brute_force(lean, batch, 0, neuron, mean, where)
            sums = torch.where(mask, true, 0.0).sum(1)[:7].numpy()
            of_part = getattr(found, part)[:, m]
            known = np.isfinite(of_part)
            assert known[:5].all()
            np.testing.assert_allclose(of_part[known], sums[known], atol=1e-5, rtol=2e-5)
    assert np.isnan(found.high[5:]).all()


def test_a_pass_in_parts_is_the_whole_pass() -> None:
    lean, batch = random_model("solu_ln", n_layers=3), a_batch()
    tokens = batch.tokens(CPU)
    trace = run(lean, tokens)
    torch.testing.assert_close(trace.hidden, lean.forward(tokens, want="hidden"))
    for layer in range(3):
        x = trace.residual[layer] + lean.model.layers[layer].mlp.fc_out(trace.post[layer])
        torch.testing.assert_close(finish(lean, x, layer), trace.hidden)
