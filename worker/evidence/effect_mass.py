"""Effect mass: a second-order estimate of what mean-ablating each activation would do.

    F(t) = ½ · δ(t)² · E_ŷ[(∂ log p(ŷ) / ∂z(t))²],   δ = z_post − its mean

ŷ is drawn from the model's own prediction at every position, and the gradient is of the sum over
positions: in expectation the products between positions vanish, and F is the second-order KL
divergence of the ablation [Theis et al. 2018; Molchanov et al. 2019]. It is non-negative and adds
up over tokens. One forward pass and S backward passes through the layers give it for all neurons
of all layers; the backward pass through the unembedding is taken once for all S.

The net attribution Σ z·∂L/∂z is near zero at a trained model's stationary point, and is never
used; nor is anything attributed before the LayerNorm, where a token's values shift and scale
together without effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from store.records import Side
from worker.activations import Models
from worker.evidence.baselines import Baselines
from worker.evidence.batches import Batch, OfBatch, Totals
from worker.evidence.folding import Doubles, Fold
from worker.evidence.passes import run, unembedding
from worker.hashing import token_hashes
from worker.layout import Layout
from worker.lean import LeanModel

_PURPOSE = 0xEFFEC7
Place = tuple[Side, int]


def squared_gradients(
    lean: LeanModel, tokens: Tensor, mask: Tensor, uniforms: list[Tensor]
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Activations and mean squared gradients: (activated, post, squares), one [B, T, n] a layer.

    tokens, mask: [B, T]; uniforms: S draws from [0, 1), [B, T] each, that choose ŷ.
    """
    trace = run(lean, tokens, gradients=True)
    weight = unembedding(lean)
    with torch.no_grad():
        p = torch.softmax(lean.model.head(trace.hidden.detach()).float(), dim=-1)
        mean = p @ weight  # E_p[W_U]: [B, T, d_model]
        cumulative = p.cumsum(dim=-1)
    squares = [torch.zeros_like(post) for post in trace.post]
    for s, uniform in enumerate(uniforms):
        with torch.no_grad():
            drawn = torch.searchsorted(cumulative, uniform[..., None] * cumulative[..., -1:])
            drawn = drawn[..., 0].clamp_(max=p.shape[-1] - 1)
            seed = (weight[drawn] - mean) * mask[..., None]
        gradients = torch.autograd.grad(
            trace.hidden, trace.post, seed, retain_graph=s + 1 < len(uniforms)
        )
        with torch.no_grad():
            for square, gradient in zip(squares, gradients, strict=True):
                square.addcmul_(gradient, gradient, value=1 / len(uniforms))
    activated = [one.detach() for one in trace.activated]
    return activated, [post.detach() for post in trace.post], squares


def draws(seed: int, batch: Batch, samples: int, device: torch.device) -> list[Tensor]:
    """S uniform numbers for each token, by its key alone: [B, T] each."""
    found = []
    for s in range(samples):
        document = np.maximum(batch.windows.document, 0)  # −1 in masked rows
        hashes = token_hashes(
            (seed ^ _PURPOSE) + s,
            document,
            np.maximum(batch.windows.window, 0),
            batch.windows.mask.shape[1],
        )
        uniform = (hashes >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
        found.append(torch.from_numpy(uniform).to(device))
    return found


@dataclass(frozen=True)
class MassOfBatch(OfBatch):
    """`sums` [2, windows, n] of F below and from the headline quantile on, by (side, layer)."""

    n_tokens: npt.NDArray[np.int64]  # [windows]
    sums: dict[Place, Doubles]


@dataclass(frozen=True)
class MassTotals(Totals):
    """What one worker has folded, by (side, layer)."""

    folds: dict[Place, Fold]


@dataclass(frozen=True)
class EffectMassJob:
    """Effect mass of all versions on evidence windows."""

    remembers: ClassVar[bool] = True  # what it folded comes with `finish`

    layout: Layout
    baselines: Baselines
    samples: int
    seed: int

    def open(self, models: Models) -> EffectMassWork:
        return EffectMassWork(self, models)


class EffectMassWork:
    """One worker's part."""

    def __init__(self, job: EffectMassJob, models: Models) -> None:
        self._job = job
        self._models = models
        self._folds = {
            (one.side, layer): Fold.empty(one.n_neurons) for one, layer in job.layout.layers()
        }

    def handle(self, batch: Batch) -> MassOfBatch:
        """One forward pass and S backward passes of each side."""
        device = self._models.device
        rows, window = batch.places(device), torch.from_numpy(batch.window_of_row).to(device)
        uniforms = draws(self._job.seed, batch, self._job.samples, device)
        sums: dict[Place, Doubles] = {}
        for one in self._job.layout.sides:
            activated, posts, squares = squared_gradients(
                self._models.lean[one.side], batch.tokens(device), batch.mask(device), uniforms
            )
            for layer in range(one.n_layers):
                baseline = self._job.baselines[one.side, layer]
                mean = torch.from_numpy(baseline.mean).to(device)
                delta = posts[layer].flatten(0, 1)[rows] - mean
                values = 0.5 * delta * delta * squares[layer].flatten(0, 1)[rows]
                sums[one.side, layer] = self._folds[one.side, layer].add(
                    values,
                    activated[layer].flatten(0, 1)[rows],
                    baseline.thresholds,
                    window,
                    batch.count,
                )
        counts = batch.windows.mask[: batch.count].sum(axis=1, dtype=np.int64)
        return MassOfBatch(batch.start, batch.count, counts, sums)

    def finish(self) -> MassTotals:
        """All that was folded."""
        return MassTotals(self._folds)
