"""How far the effects of evidence can be trusted, and what they cost, on a real pair.

    python -m bench.evidence_effects                        # pystd-2l on the standard library
    python -m bench.evidence_effects --tokens 8192 --neurons 100 --skip cost

Two studies, each a table: the estimate against exact ablation (with the number of draws, two
seeds, the path-integrated variant that was tried and not kept, and how well exact parts add up),
and cost as a multiple of a bare forward pass. `bench.evidence_planting` has the layer panel's.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr

from store.records import Side
from tests.worker.evidence.planting import DirectEngine, baselines_of
from worker.activations import load_models
from worker.corpus import open_corpus
from worker.evidence.ablation_job import AblationJob
from worker.evidence.baselines import Baselines
from worker.evidence.batches import Batch, batches
from worker.evidence.effect_mass import EffectMassJob, draws, squared_gradients
from worker.evidence.effects import drawn_neurons, measure_effects
from worker.evidence.folding import Fold
from worker.evidence.hidden_share import LayerEffects, Parts, check
from worker.evidence.layer_panel import LayerPanelJob
from worker.evidence.passes import finish, mlp_of, run, unembedding
from worker.evidence.settings import EffectSettings
from worker.evidence.windows import EvidenceWindows, draw_windows
from worker.layout import Layout
from worker.lean import LeanModel
from worker.pairs import load_pair
from worker.reporter import Silent
from worker.tokenizer import load_tokenizer
from worker.windows import token_windows

CPU = torch.device("cpu")
#: Gauss–Jacobi points and weights on [0, 1] for the weight 1 − α: KL = δ² ∫ (1 − α) I(α) dα.
PATHS = {
    "path, 1 point": ((1 / 3, 0.5),),
    "path, 2 points": (((4 - 6**0.5) / 10, 0.3764), ((4 + 6**0.5) / 10, 0.1236)),
}


@dataclass(frozen=True)
class Setting:
    """A pair in memory, its layout, windows, and baselines."""

    lean: dict[Side, LeanModel]
    layout: Layout
    every_window: EvidenceWindows
    windows: EvidenceWindows
    baselines: Baselines


def prepare(name: str, corpus: str, tokens: int, corpus_tokens: int) -> Setting:
    """Baselines are taken from windows of their own, four times as many as are measured."""
    pair = load_pair(name)
    configs = {"left": pair.left.config, "right": pair.right.config}
    tokenizer = load_tokenizer(
        pair.tokenizer_path, pair.bos_token, int(pair.left.config["d_vocab"])
    )
    models = load_models({"left": pair.left, "right": pair.right}, "cpu")
    lean = {side: models.lean[side] for side in ("left", "right")}
    documents = open_corpus(corpus).documents(order_seed=0)
    found = list(
        token_windows(documents, tokenizer, int(pair.left.config["n_ctx"]), 256, corpus_tokens)
    )
    every = draw_windows(iter(found), 1, 10**12)
    windows = draw_windows(iter(found), 0, tokens)
    others = draw_windows(iter(found), 2, 4 * tokens)
    assert every is not None
    assert windows is not None
    assert others is not None
    baselines = baselines_of(lean, others)
    return Setting(lean, Layout.of_configs(configs), every, windows, baselines)


def row(name: str, layer: LayerEffects, estimate: Parts) -> str:
    """The estimate against the layer's exact effects, on the same neurons and windows."""
    exact, at = layer.exact, layer.neurons
    low, high = estimate.low[: len(exact.low)], estimate.high[: len(exact.high)]
    part = Parts(low[:, at], high[:, at], exact.tokens)
    differences = (part.share() - exact.share())[exact.effect() > 0]
    rho = spearmanr(part.effect(), exact.effect()).statistic
    ratio = part.effect().sum() / exact.effect().sum()
    return (
        f"{layer.side:>5} L{layer.layer}  {name:<16} {len(at):4d} {rho:6.3f} {ratio:7.3f} "
        f"{differences.mean():+7.4f} {np.abs(differences).mean():7.4f}"
    )


def estimate_against_exact(setting: Setting, neurons: int) -> None:
    """All kinds of the estimate on the windows that were measured exactly."""
    tokens = setting.windows.n_tokens
    settings = EffectSettings(
        tokens=tokens,
        last_low=tokens // 2,
        early_low=tokens // 4,
        early_high=tokens,
        early_neurons=neurons,
    )
    layers = measure_effects(
        DirectEngine(setting.lean),
        "cpu",
        setting.layout,
        setting.windows,
        setting.baselines,
        settings,
        0,
        Silent(),
    )
    print("\nside layer  estimate          n    rho  effect    bias   error   (of the share)")
    for layer in layers:
        for samples in (2, 4, 16):
            print(row(f"S = {samples}", layer, estimated(setting, layer, samples, 1, None)))
        one, other = (estimated(setting, layer, 4, seed, None) for seed in (1, 1001))
        for name, points in PATHS.items():
            print(row(name, layer, estimated(setting, layer, 4, 1, points)))
        spread = np.nanmean(np.abs(one.share() - other.share()))
        relative = np.median(np.abs(one.effect() / other.effect() - 1))
        print(f"          two seeds, S = 4: share ± {spread:.4f}, effect ± {100 * relative:.1f} %")
        found = check(layer)
        width = np.median(np.diff(layer.exact.intervals(400, 0), axis=0))
        print(
            f"          low + high over both: {found.additivity:.4f}; median hidden share "
            f"{np.nanmedian(layer.exact.share()):.3f}, width of its interval {width:.3f}"
        )


def estimated(
    setting: Setting,
    layer: LayerEffects,
    samples: int,
    seed: int,
    points: tuple[tuple[float, float], ...] | None,
) -> Parts:
    """The estimate by window: at the activations, or along the layer's own path to its mean."""
    lean = setting.lean[layer.side]
    baseline = setting.baselines[layer.side, layer.layer]
    mean = torch.from_numpy(baseline.mean)
    fold = Fold.empty(len(mean))
    sums, tokens = [], []
    for batch in batches(setting.windows, len(setting.windows), "cpu"):
        if points is None:
            uniforms = draws(seed, batch, samples, CPU)
            activated, posts, all_squares = squared_gradients(
                lean, batch.tokens(CPU), batch.mask(CPU), uniforms
            )
            display, post, squares = (x[layer.layer] for x in (activated, posts, all_squares))
        else:
            trace = run(lean, batch.tokens(CPU))
            display, post = trace.activated[layer.layer], trace.post[layer.layer]
            squares = torch.zeros_like(post)
            for k, (alpha, weight) in enumerate(points):
                uniforms = draws(seed + 50 * k, batch, samples, CPU)
                moved = post - alpha * (post - mean) * batch.mask(CPU)[..., None]
                found = squares_at(lean, batch, layer.layer, moved, uniforms)
                squares += 2 * weight * found
        rows = batch.places(CPU)
        delta = post.flatten(0, 1)[rows] - mean
        sums.append(
            fold.add(
                0.5 * delta * delta * squares.flatten(0, 1)[rows],
                display.flatten(0, 1)[rows].contiguous(),
                baseline.thresholds,
                torch.from_numpy(batch.window_of_row),
                batch.count,
            )
        )
        tokens.append(batch.windows.mask[: batch.count].sum(axis=1))
    low, high = np.concatenate(sums, axis=1)
    return Parts(low, high, np.concatenate(tokens))


def squares_at(
    lean: LeanModel, batch: Batch, layer: int, post: torch.Tensor, uniforms: list[torch.Tensor]
) -> torch.Tensor:
    """Mean squared gradients with respect to a layer's `post` when it is set to `post`."""
    trace = run(lean, batch.tokens(CPU))
    moved = post.detach().requires_grad_()
    hidden = finish(lean, trace.residual[layer] + mlp_of(lean, layer).fc_out(moved), layer)
    weight = unembedding(lean)
    p = torch.softmax(lean.model.head(hidden.detach()), dim=-1)
    mean, cumulative = p @ weight, p.cumsum(-1)
    squares = torch.zeros_like(post)
    for uniform in uniforms:
        drawn = torch.searchsorted(cumulative, uniform[..., None] * cumulative[..., -1:])[..., 0]
        seed = (weight[drawn.clamp_(max=p.shape[-1] - 1)] - mean) * batch.mask(CPU)[..., None]
        (gradient,) = torch.autograd.grad(hidden, moved, seed, retain_graph=True)
        squares += gradient.square() / len(uniforms)
    return squares


def cost(setting: Setting, neurons: int) -> None:
    """Processor time per token, as a multiple of a bare forward pass of the same models."""
    few = EvidenceWindows(
        draw_windows([setting.windows.windows], 0, 2048).windows  # type: ignore[union-attr]
    )
    tasks = list(batches(few, len(few), "cpu"))
    engine = DirectEngine(setting.lean)
    layout, baselines = setting.layout, setting.baselines
    neurons_of = {
        (one.side, layer): drawn_neurons(0, layer, one.n_neurons, neurons)
        for one, layer in layout.layers()
    }

    def forward() -> None:
        with torch.inference_mode():
            for lean in setting.lean.values():
                for batch in tasks:
                    lean.forward(batch.tokens(CPU))

    def job(made: object) -> None:
        list(engine.run(made, tasks))

    bare = seconds(forward) / few.n_tokens
    every, none = len(few), 0
    print(f"\nbare forward pass of both models, with logits: {1e6 * bare:.0f} µs a token")
    for name, made in (
        ("effect mass, S = 2", EffectMassJob(layout, baselines, 2, 0)),
        ("effect mass, S = 4", EffectMassJob(layout, baselines, 4, 0)),
        ("layer panel", LayerPanelJob(layout, baselines)),
        ("last layer, all neurons", AblationJob(layout, baselines, every, none, none, neurons_of)),
        (
            f"earlier layers, low part, {neurons} neurons",
            AblationJob(layout, baselines, none, every, none, neurons_of),
        ),
        (
            f"earlier layers, high part, {neurons} neurons",
            AblationJob(layout, baselines, none, none, every, neurons_of),
        ),
    ):
        print(f"{name:<44} × {seconds(lambda made=made: job(made)) / few.n_tokens / bare:7.1f}")


def seconds(work: object) -> float:
    """Processor seconds of the second call."""
    work()  # type: ignore[operator]
    began = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - began


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pair", default="pystd-2l")
    parser.add_argument("--corpus", default="stdlib")
    parser.add_argument("--tokens", type=int, default=16_384)
    parser.add_argument("--corpus-tokens", type=int, default=1_000_000)
    parser.add_argument("--neurons", type=int, default=128, help="of each earlier layer")
    parser.add_argument("--skip", nargs="*", default=[], choices=("estimate", "cost"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    setting = prepare(arguments.pair, arguments.corpus, arguments.tokens, arguments.corpus_tokens)
    print(f"{arguments.pair}: {len(setting.windows)} windows, {setting.windows.n_tokens} tokens")
    if "cost" not in arguments.skip:
        cost(setting, arguments.neurons)
    if "estimate" not in arguments.skip:
        estimate_against_exact(setting, arguments.neurons)


if __name__ == "__main__":
    main()
