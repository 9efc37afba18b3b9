"""Effect mass: its definition, and the three traps that it avoids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.worker.evidence.planting import (
    DirectEngine,
    baselines_of,
    layout_of,
    random_model,
    random_windows,
)
from worker.activations import BATCH_TOKENS
from worker.evidence.ablation import last_layer_effects
from worker.evidence.baselines import of_values
from worker.evidence.batches import Totals, batches
from worker.evidence.effect_mass import EffectMassJob, draws, squared_gradients
from worker.evidence.folding import Fold
from worker.evidence.passes import run
from worker.lean import LeanModel


@pytest.fixture(autouse=True)
def _batches_of_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BATCH_TOKENS, "cpu", 8 * 12)


@pytest.mark.parametrize("act_fn", ["solu_ln", "gelu"])
def test_squared_gradients_are_those_of_the_drawn_tokens_at_post(act_fn: str) -> None:
    lean = random_model(act_fn)
    (batch,) = batches(random_windows(8), 8, "cpu")
    tokens, mask = batch.tokens(torch.device("cpu")), batch.mask(torch.device("cpu"))
    uniforms = draws(5, batch, 2, torch.device("cpu"))
    _, posts, squares = squared_gradients(lean, tokens, mask, uniforms)
    wanted = [torch.zeros_like(post) for post in posts]
    for uniform in uniforms:
        trace = run(lean, tokens, gradients=True)
        log_p = torch.log_softmax(lean.model.head(trace.hidden), -1)
        cumulative = log_p.detach().exp().cumsum(-1)
        drawn = (cumulative <= uniform[..., None] * cumulative[..., -1:]).sum(-1)
        total = (log_p.gather(-1, drawn[..., None])[..., 0] * mask).sum()
        for sum_, gradient in zip(wanted, torch.autograd.grad(total, trace.post), strict=True):
            sum_ += gradient**2 / 2
    for found, true in zip(squares, wanted, strict=True):
        torch.testing.assert_close(found, true, rtol=1e-3, atol=1e-7)


def test_draws_depend_on_the_tokens_key_alone() -> None:
    windows = random_windows(12)
    whole = [draws(3, batch, 2, torch.device("cpu")) for batch in batches(windows, 12, "cpu")]
    assert not torch.equal(whole[0][0], whole[0][1])
    (alone,) = batches(random_windows(8), 8, "cpu")
    for one, other in zip(whole[0], draws(3, alone, 2, torch.device("cpu")), strict=True):
        assert torch.equal(one, other)


def test_for_small_ablations_it_is_the_exact_divergence() -> None:
    lean = random_model("solu_ln")
    (batch,) = batches(random_windows(8), 8, "cpu")
    cpu = torch.device("cpu")
    uniforms = draws(1, batch, 600, cpu)
    _, posts, squares = squared_gradients(lean, batch.tokens(cpu), batch.mask(cpu), uniforms)
    rows = batch.places(cpu)
    baseline = baselines_of({"left": lean}, random_windows(8))["left", 1]
    trace = run(lean, batch.tokens(cpu))
    post = posts[1].flatten(0, 1)[rows]
    everywhere = np.ones(len(rows), bool)
    estimate, exact = torch.zeros(24), torch.zeros(24)
    for row in range(12):
        near = replace(baseline, mean=(post[row] - 0.02).numpy())
        estimate += 0.5 * 0.02**2 * squares[1].flatten(0, 1)[rows][row]
        exact += last_layer_effects(lean, trace, batch, near, everywhere)[row]
    torch.testing.assert_close(estimate, exact, rtol=0.15, atol=1e-9)


def mass(models, windows, baselines, workers=1, samples=2, seed=0):  # type: ignore[no-untyped-def]
    """Results of the job: (of all batches, of all workers)."""
    job = EffectMassJob(layout_of(models), baselines, samples, seed)
    found = list(DirectEngine(models, workers).run(job, batches(windows, len(windows), "cpu")))
    return (
        sorted((one for one in found if not isinstance(one, Totals)), key=lambda one: one.start),
        [one for one in found if isinstance(one, Totals)],
    )


def test_sums_by_window_segment_and_bin_are_the_same_effect() -> None:
    models = {"left": random_model("solu_ln"), "right": random_model("gelu")}
    windows = random_windows(20)
    parts, (totals,) = mass(models, windows, baselines_of(models, windows))
    assert sum(part.n_tokens.sum() for part in parts) == windows.n_tokens
    for place, fold in totals.folds.items():
        by_window = sum(part.sums[place].sum(axis=(0, 1)) for part in parts)
        np.testing.assert_allclose(fold.segments.sum(1), by_window, rtol=1e-9)
        np.testing.assert_allclose(fold.mass.sum((0, 2)), by_window, rtol=1e-9)
        np.testing.assert_allclose(fold.mass[1].sum(1), fold.segments[:, 9:].sum(1), rtol=1e-9)
        assert (by_window > 0).all()


def test_a_device_folds_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(60, 5, generator=generator)
    display = torch.randn(60, 5, generator=generator)
    window = torch.arange(60) // 7
    thresholds = of_values(display.numpy(), display.numpy()).thresholds
    fold, other = Fold.empty(5), Fold.empty(5)
    sums = fold.add(values, display, thresholds, window, 9)
    inner = np.ascontiguousarray(thresholds[1:-1].T)
    again = other._add_on_device(values, display, inner, window, np.zeros((2, 9, 5)))
    np.testing.assert_allclose(again, sums, rtol=1e-12)
    np.testing.assert_allclose(other.segments, fold.segments, rtol=1e-12)
    np.testing.assert_allclose(other.mass, fold.mass, rtol=1e-12)


def test_two_workers_give_what_one_gives() -> None:
    models = {"left": random_model("solu_ln"), "right": random_model("gelu")}
    windows = random_windows(30)
    baselines = baselines_of(models, windows)
    parts, (one,) = mass(models, windows, baselines)
    again, (first, second) = mass(models, windows, baselines, workers=2)
    for place in one.folds:
        for a, b in zip(parts, again, strict=True):
            np.testing.assert_array_equal(a.sums[place], b.sums[place])
        np.testing.assert_allclose(
            first.folds[place].merge(second.folds[place]).mass, one.folds[place].mass, rtol=1e-12
        )


def test_trap_net_attribution_cancels_where_effects_do_not() -> None:
    """Each activation is given a mean for which its net attribution Σ δ·∂L/∂z is zero: shares of
    it would be meaningless, and the effect stays."""
    lean = random_model("gelu")
    windows = random_windows(8)
    (batch,) = batches(windows, 8, "cpu")
    cpu = torch.device("cpu")
    trace = run(lean, batch.tokens(cpu), gradients=True)
    targets = batch.targets(cpu)
    log_p = torch.log_softmax(lean.model.head(trace.hidden), -1)
    loss = -(log_p.gather(-1, targets.clamp_min(0)[..., None])[..., 0] * (targets >= 0)).sum()
    (gradient,) = torch.autograd.grad(loss, trace.post[1])
    z, g = (x.detach().flatten(0, 1)[batch.places(cpu)] for x in (trace.post[1], gradient))
    mean = (z * g).sum(0) / g.sum(0)
    net, gross = ((z - mean) * g).sum(0), ((z - mean) * g).abs().sum(0)
    assert (net.abs() < 1e-3 * gross).all()
    baselines = baselines_of({"left": lean}, windows)
    baselines["left", 1] = replace(baselines["left", 1], mean=mean.numpy())
    (part,), (totals,) = mass({"left": lean}, windows, baselines)
    assert (totals.folds["left", 1].segments >= 0).all()
    assert (part.sums["left", 1].sum((0, 1)) > 1e-4).all()


def test_trap_attribution_before_the_layer_norm_cancels_across_neurons() -> None:
    """Shifting or scaling all of a token's `mid` changes nothing after the LayerNorm, so there
    the attributions of a token's neurons sum to zero, whatever they do; at `post` they do not."""
    lean = random_model("solu_ln").model.double()
    lean.layers[1].mlp.ln.eps = 1e-12  # exactly invariant, but for rounding
    model = LeanModel(lean)
    (batch,) = batches(random_windows(8), 8, "cpu")
    trace = run(model, batch.tokens(torch.device("cpu")))
    mid = trace.activated[1].detach().requires_grad_()
    mlp = lean.layers[1].mlp
    post = mlp.ln(mid)
    post.retain_grad()
    stream = trace.residual[1] + mlp.fc_out(post)
    torch.logsumexp(lean.head(lean.ln_out(stream)), -1).sum().backward()
    assert mid.grad is not None
    assert post.grad is not None
    centred = mid.detach() - mid.detach().mean(-1, keepdim=True)
    at_mid = (centred * mid.grad).sum(-1).abs() / (centred * mid.grad).abs().sum(-1)
    at_post = (post * post.grad).sum(-1).abs() / (post * post.grad).abs().sum(-1)
    assert at_mid.max() < 1e-6
    assert at_post.median() > 0.05
    cpu = torch.device("cpu")
    model = LeanModel(lean.float())
    _, posts, _ = squared_gradients(
        model, batch.tokens(cpu), batch.mask(cpu), draws(0, batch, 1, cpu)
    )
    torch.testing.assert_close(posts[1], post.detach().float())  # what is attributed is `post`


def test_trap_a_constant_activation_has_no_effect_though_it_is_not_zero() -> None:
    """Ablation is to the mean: a LayerNorm's shift of a neuron carries no information."""
    lean = random_model("solu_ln")
    norm = lean.model.layers[1].mlp.ln
    norm.weight.data[3], norm.bias.data[3] = 0.0, 5.0
    windows = random_windows(8)
    baselines = baselines_of({"left": lean}, windows)
    (part,), _ = mass({"left": lean}, windows, baselines)
    effects = part.sums["left", 1].sum((0, 1))
    assert effects[3] == 0
    to_zero = replace(baselines["left", 1], mean=np.zeros(24, np.float32))
    (part,), _ = mass({"left": lean}, windows, {**baselines, ("left", 1): to_zero})
    assert part.sums["left", 1].sum((0, 1))[3] > np.median(effects)
