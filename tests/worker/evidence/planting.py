"""Small models with known contents, for tests of evidence.

    lean = random_model("solu_ln", seed=1)
    planted = plant(lean, layer=0, strength=2.0, seed=3)
    planted.lean, planted.direction, planted.token_ids

`plant` writes an invisible feature into a layer: on a set of tokens where the layer is quiet, a
pattern of small amplitude over all neurons, none of which stands out, and a read-out of it by
W_out along one direction of the stream.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformer_lens.model_bridge.sources.native import initialize_native_model

from store.records import Side
from worker.activations import Models
from worker.evidence.baselines import Baseline, of_values
from worker.evidence.passes import mlp_of, run
from worker.evidence.windows import EvidenceWindows
from worker.layout import Layout
from worker.lean import LeanModel
from worker.models import build_native
from worker.windows import TokenWindows

SHAPE = {
    "n_layers": 2,
    "d_model": 16,
    "n_ctx": 12,
    "d_head": 8,
    "n_heads": 2,
    "d_mlp": 24,
    "d_vocab": 50,
}
#: Amplitude of a planted pattern, in standard deviations of the neurons' inputs.
AMPLITUDE = 0.2
#: Share of the tokens that an id must make up for a feature to be planted on it.
FREQUENT = 0.003
#: What a firing model adds to a neuron's input on the token that it answers to.
FIRING = 4.0


def random_model(act_fn: str, seed: int = 1, spread: float = 0.3, **shape: Any) -> LeanModel:
    """A model of random weights, biases and gains; its parameters require no gradients."""
    config = SHAPE | {"act_fn": act_fn, "normalization_type": "LN"} | shape
    model = build_native(config)
    initialize_native_model(model, model.cfg, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    for parameter in model.parameters():
        parameter.data += spread * torch.randn(parameter.shape, generator=generator)
    return LeanModel(model.requires_grad_(False))


def firing_model(act_fn: str, seed: int = 1, loud: float = 0.6, **shape: Any) -> LeanModel:
    """A random model in which every neuron answers to one token id, among a share `loud` of them:
    on the others no neuron fires, and a LayerNorm after the activation lifts up what is small.
    Each MLP adds half as much to the stream as it finds there."""
    lean = random_model(act_fn, seed, 0.1, **shape)
    generator = torch.Generator().manual_seed(seed + 2)
    model = lean.model
    model.tok_embed.weight *= 5  # what a token is outweighs where it stands and what came before
    answering = torch.randperm(model.cfg.d_vocab, generator=generator)
    answering = answering[: int(loud * model.cfg.d_vocab)]
    for layer, block in enumerate(model.layers):
        mlp = mlp_of(lean, layer)
        n, d = mlp.fc_in.weight.shape
        ids = answering[torch.randint(0, len(answering), (n,), generator=generator)]
        read = block.ln2(model.tok_embed.weight[ids])
        mlp.fc_in.weight += (FIRING / d) * read
    tokens = torch.randint(1, model.cfg.d_vocab, (40, model.cfg.n_ctx), generator=generator)
    for layer in range(len(model.layers)):
        found = run(lean, tokens).residual[layer].square().sum(-1).mean().sqrt()
        mlp = mlp_of(lean, layer)
        mlp.fc_out.weight *= 0.5 * found / _strength(mlp.fc_out(run(lean, tokens).post[layer]))
    return lean


def random_windows(n: int, seed: int = 0, n_ctx: int = 12, d_vocab: int = 50) -> EvidenceWindows:
    """Windows of random tokens (BOS is 0), every third one shorter than n_ctx."""
    generator = np.random.default_rng(seed)
    tokens = generator.integers(1, d_vocab, (n, n_ctx)).astype(np.int32)
    mask = np.ones((n, n_ctx), bool)
    mask[::3, n_ctx - 3 :] = False
    tokens[~mask] = 0
    tokens[:, 0], mask[:, 0] = 0, False
    windows = TokenWindows(tokens, mask, np.arange(n, dtype=np.int64), np.zeros(n, np.int32))
    return EvidenceWindows(windows)


def baselines_of(
    models: Mapping[Side, LeanModel], windows: EvidenceWindows
) -> dict[tuple[Side, int], Baseline]:
    """Baselines from all unmasked tokens of the windows."""
    found = {}
    mask = torch.from_numpy(windows.windows.mask)
    for side, lean in models.items():
        trace = run(lean, torch.from_numpy(windows.windows.tokens).long())
        for layer, (shown, post) in enumerate(zip(trace.activated, trace.post, strict=True)):
            found[side, layer] = of_values(shown[mask].numpy(), post[mask].numpy())
    return found


def layout_of(models: Mapping[Side, LeanModel]) -> Layout:
    """The layout of a pair of models."""
    return Layout.of_configs(
        {
            side: {
                "n_layers": len(lean.model.layers),
                "d_mlp": mlp_of(lean, 0).fc_in.weight.shape[0],
                "act_fn": lean.model.cfg.act_fn,
            }
            for side, lean in models.items()
        }
    )


class DirectEngine:
    """An engine of one worker on models that exist already; tasks may be dealt to several."""

    def __init__(self, models: Mapping[str, LeanModel], workers: int = 1) -> None:
        self.workers = workers
        self._models = Models(dict(models), torch.device("cpu"))

    def run(self, job: Any, tasks: Iterable[Any], stamp: Any = None) -> Iterator[Any]:
        works = [job.open(self._models) for _ in range(self.workers)]
        for i, task in enumerate(tasks):
            yield works[i % self.workers].handle(task)
        for work in works:
            last = work.finish()
            if last is not None:
                yield last


@dataclass(frozen=True)
class Planted:
    """A model with an invisible feature in it.

    `direction` [d_model], of length one, is what the layer writes where the feature is present;
    `token_ids` are the tokens that it is present on.
    """

    lean: LeanModel
    direction: Tensor
    token_ids: Tensor


def plant(
    lean: LeanModel,
    layer: int,
    strength: float,
    seed: int,
    tokens: Tensor | None = None,
    share: float = 0.1,
) -> Planted:
    """A copy of `lean` with a direction planted in a layer; `lean` itself stays as it is.

    tokens: windows [W, T], BOS first and padded with it, that tell where the layer is quiet
    (random ones without). Of the frequent token ids those are chosen on which the standard
    deviation of the activations is lowest and a neuron's highest activations are rarest, until
    they make up `share` of the tokens. There the layer writes `strength` times the root mean
    square of what it writes anyway, along the unembedding of a token drawn by the seed.
    """
    generator = torch.Generator().manual_seed(seed)
    model = copy.deepcopy(lean.model)
    changed = LeanModel(model)
    d_vocab, n_ctx = model.cfg.d_vocab, model.cfg.n_ctx
    if tokens is None:
        tokens = torch.randint(1, d_vocab, (4096 // n_ctx, n_ctx), generator=generator)
    ids = tokens[:, 1:].flatten()
    real = ids != tokens[0, 0] if bool((tokens[:, 0] == tokens[0, 0]).all()) else ids >= 0
    mlp = mlp_of(changed, layer)
    read = model.layers[layer].ln2(run(changed, tokens).residual[layer])[:, 1:].flatten(0, 1)
    ids, read = ids[real], read[real]
    before = mlp.fc_in(read)
    chosen = _quiet_ids(mlp.act(before), ids, d_vocab, share)
    present = torch.isin(ids, chosen).float()
    probe, low = _probe(read, present)
    signs = torch.randint(0, 2, (len(mlp.fc_in.bias),), generator=generator) * 2.0 - 1.0
    pattern = AMPLITUDE * before.std(dim=0) * signs
    promoted = model.head.weight[torch.randint(1, d_vocab, (1,), generator=generator)[0]]
    direction = promoted - model.head.weight.mean(0)
    direction = (direction - direction.mean()) / (direction - direction.mean()).norm()
    if strength == 0:
        return Planted(changed, direction, chosen)
    written = mlp.fc_out(_read(mlp, before))
    mlp.fc_in.weight += pattern[:, None] * probe
    mlp.fc_in.bias -= pattern * low
    post = _read(mlp, mlp.fc_in(read))
    reader, low = _probe(post, present)
    amount = strength * _strength(written)
    mlp.fc_out.weight += amount * direction[:, None] * reader
    mlp.fc_out.bias -= amount * direction * low
    return Planted(changed, direction, chosen)


def _quiet_ids(activated: Tensor, ids: Tensor, d_vocab: int, share: float) -> Tensor:
    """Frequent token ids on which the layer is quiet, the quietest first, up to a share."""
    spread = activated.std(dim=1)
    highest = torch.from_numpy(np.quantile(activated.numpy(), 0.999, axis=0)).float()
    loud = (activated >= highest).any(dim=1) | (spread >= spread.median())
    total = torch.zeros(d_vocab).index_add_(0, ids, loud.float())
    count = torch.zeros(d_vocab).index_add_(0, ids, torch.ones(len(ids)))
    frequent = count >= max(3, FREQUENT * len(ids))
    order = torch.argsort(torch.where(frequent, total / count.clamp_min(1), torch.inf), stable=True)
    order = order[frequent[order]]
    covered = count[order].cumsum(0) <= share * len(ids)
    return order[: max(1, int(covered.int().cumprod(0).sum()))]


def _probe(x: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """A direction by which x tells where `present` is 1 (ridge regression), scaled so that the
    means of x along it differ by one; and the mean where it is 0."""
    centred = x - x.mean(0)
    gram = centred.T @ centred / len(x)
    ridge = 0.01 * gram.diagonal().mean() * torch.eye(len(gram))
    probe = torch.linalg.solve(gram + ridge, centred.T @ (present - present.mean()) / len(x))
    score = x @ probe
    high, low = score[present == 1].mean(), score[present == 0].mean()
    return probe / (high - low), low / (high - low)


def _strength(written: Tensor) -> Tensor:
    """Root mean square of what an MLP writes, over all tokens, about its mean."""
    flat = written.flatten(0, -2)
    return (flat - flat.mean(0)).square().sum(1).mean().sqrt()


def _read(mlp: Any, before: Tensor) -> Tensor:
    after: Tensor = mlp.act(before)
    return after if mlp.ln is None else mlp.ln(after)


def _unit(generator: torch.Generator, d: int) -> Tensor:
    direction = torch.randn(d, generator=generator)
    return direction / direction.norm()
