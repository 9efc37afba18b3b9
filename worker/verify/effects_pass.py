"""Effects by whole forward passes: ablations in double precision, and the estimate's gradients.

A neuron's `post` is set to its mean on one part of its tokens, the whole model is run, and the KL
divergence of its predictions from the unchanged ones is summed. The estimate is its own formula,
½·δ²·E[(∂ log p(ŷ)/∂z)²], with gradients through the library's model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from store.records import Side
from worker.activations import Models
from worker.evidence.windows import EvidenceWindows, take_windows
from worker.hashing import token_hashes
from worker.pairs import Version
from worker.verify.chosen import Chosen, Longs, Place
from worker.verify.plain import PlainModels, activations, replaced
from worker.windows import TokenWindows

Doubles = npt.NDArray[np.float64]
Halves = npt.NDArray[np.float16]

#: Keeps these draws apart from others with the run's seed: part of the estimate's definition.
_PURPOSE = 0xEFFEC7
_ELEMENTS = 1 << 24  # of the logits that stand in memory at once


@dataclass(frozen=True)
class Part:
    """The two parts of a version's tokens: display site below `headline`, and from it on."""

    mean: float  # of post, in single precision
    headline: float


#: By side, layer and neuron.
Parts = dict[tuple[Side, int, int], Part]


@dataclass(frozen=True)
class EffectTask:
    """Evidence windows from rank `first` on, for one side."""

    side: Side
    first: int
    windows: TokenWindows

    def __str__(self) -> str:
        return f"evidence windows from {self.first} on, {self.side}"


#: Sums of the low and the high part [2] by version.
Sums = dict[tuple[Side, int, int], Doubles]


def effect_tasks(
    windows: EvidenceWindows, count: int, sides: list[Side], d_vocab: int
) -> Iterator[EffectTask]:
    """The first `count` windows for each side, as many at once as fit."""
    n_ctx = windows.windows.mask.shape[1]
    size = max(1, _ELEMENTS // (n_ctx * d_vocab))
    for side in sides:
        for start in range(0, count, size):
            rows = np.arange(start, min(start + size, count))
            yield EffectTask(side, start, take_windows(windows.windows, rows))


@dataclass(frozen=True)
class AblationJob:
    """True ablations. `low` and `high`: on so many windows, for the last layer and for others."""

    versions: dict[str, Version]
    parts: Parts
    low: dict[bool, int]
    high: dict[bool, int]

    def open(self, models: Models) -> AblationWork:
        return AblationWork(self, PlainModels.load(self.versions, models.device))


class AblationWork:
    """`handle` gives (number of windows, `Sums`)."""

    def __init__(self, job: AblationJob, models: PlainModels) -> None:
        self._job = job
        self._models = models

    def handle(self, task: EffectTask) -> tuple[int, Sums]:
        model = self._models[task.side]
        tokens = self._models.tokens(task.windows.tokens)
        mask = torch.from_numpy(task.windows.mask).to(tokens.device)
        rank = torch.arange(task.first, task.first + len(task.windows), device=tokens.device)
        targets = {key: part for key, part in self._job.parts.items() if key[0] == task.side}
        if not targets:
            return len(task.windows), {}
        sites = activations(model, tokens)
        last = len(model.layers) - 1
        found: Sums = {}
        with torch.no_grad():
            base = model(tokens)
            for key, part in targets.items():
                _, layer, neuron = key
                shown = sites.get((layer, "mid"), sites[layer, "post"])[..., neuron]
                strong = (shown >= part.headline) & mask
                sums = np.zeros(2)
                for i, where, count in (
                    (0, mask & ~strong, self._job.low[layer == last]),
                    (1, strong, self._job.high[layer == last]),
                ):
                    there = where & (rank < count)[:, None]
                    if there.any():
                        with replaced(model, {layer: _set(neuron, there, part.mean)}):
                            changed = model(tokens)
                        sums[i] = float(_divergence(base, changed)[mask].sum())
                found[key] = sums
        return len(task.windows), found

    def finish(self) -> None:
        return None


def _set(neuron: int, where: Tensor, value: float) -> Callable[[Tensor], Tensor]:
    def change(post: Tensor) -> Tensor:
        post = post.clone()
        post[..., neuron] = torch.where(where, value, post[..., neuron])
        return post

    return change


def _divergence(base: Tensor, changed: Tensor) -> Tensor:
    """KL of the changed prediction from the base's [B, T], in double precision if it is there."""
    exact = torch.float32 if base.device.type == "mps" else torch.float64
    log_p = torch.log_softmax(base.to(exact), -1)
    y = changed.to(exact) - base.to(exact)
    mean = (log_p.exp() * y).sum(-1)
    return torch.logsumexp(log_p + y - mean[..., None], -1)


@dataclass(frozen=True)
class EstimateJob:
    """The estimate of all chosen neurons, by its definition, on all evidence windows."""

    versions: dict[str, Version]
    chosen: Chosen
    parts: Parts
    samples: int
    seed: int

    def open(self, models: Models) -> EstimateWork:
        return EstimateWork(self, PlainModels.load(self.versions, models.device))


class EstimateWork:
    """`handle` gives (number of windows, sums [2, m] by place)."""

    def __init__(self, job: EstimateJob, models: PlainModels) -> None:
        self._job = job
        self._models = models

    def handle(self, task: EffectTask) -> tuple[int, dict[Place, Doubles]]:
        job, model = self._job, self._models[task.side]
        tokens = self._models.tokens(task.windows.tokens)
        mask = torch.from_numpy(task.windows.mask).to(tokens.device)
        posts: dict[int, Tensor] = {}

        def keep(layer: int) -> Callable[[Tensor], Tensor]:
            def change(post: Tensor) -> Tensor:
                posts[layer] = post.detach().requires_grad_() if layer == 0 else post
                return posts[layer]

            return change

        layers = list(range(len(model.layers)))
        with replaced(model, {layer: keep(layer) for layer in layers}):
            logits = model(tokens)
        squares = [torch.zeros_like(posts[layer]) for layer in layers]
        p = torch.softmax(logits.detach().double(), -1)
        for s in range(job.samples):
            drawn = _drawn(p, job.seed, s, task.windows)
            rows = (torch.nn.functional.one_hot(drawn, p.shape[-1]) - p) * mask[..., None]
            gradients = torch.autograd.grad(
                logits, [posts[layer] for layer in layers], rows.to(logits.dtype), retain_graph=True
            )
            for square, gradient in zip(squares, gradients, strict=True):
                square += gradient**2 / job.samples
        sites = activations(model, tokens)
        found = {}
        for (side, layer), neurons in job.chosen.items():
            if side == task.side:
                found[side, layer] = self._sums(
                    neurons, side, layer, posts[layer].detach()[mask], squares[layer][mask],
                    sites.get((layer, "mid"), sites[layer, "post"])[mask],
                )  # fmt: skip
        return len(task.windows), found

    def finish(self) -> None:
        return None

    def _sums(
        self,
        neurons: Longs,
        side: Side,
        layer: int,
        post: Tensor,
        squares: Tensor,
        shown: Tensor,
    ) -> Doubles:
        z, g, x = (one.double().cpu().numpy()[:, neurons] for one in (post, squares, shown))
        parts = [self._job.parts[side, layer, int(neuron)] for neuron in neurons]
        mean = np.array([part.mean for part in parts])
        strong = x >= np.array([part.headline for part in parts])
        mass = 0.5 * (z - mean) ** 2 * g
        return np.stack([(mass * ~strong).sum(0), (mass * strong).sum(0)])


def _drawn(p: Tensor, seed: int, sample: int, windows: TokenWindows) -> Tensor:
    """ŷ [B, T]: where the cumulated prediction passes a uniform number that the token's key
    gives."""
    hashes = token_hashes(
        (seed ^ _PURPOSE) + sample, windows.document, windows.window, windows.mask.shape[1]
    )
    uniform = (hashes >> np.uint64(40)).astype(np.float64) / 2.0**24
    cumulated = p.cumsum(-1)
    at = torch.from_numpy(uniform).to(p.device)[..., None] * cumulated[..., -1:]
    return torch.searchsorted(cumulated, at)[..., 0].clamp_(max=p.shape[-1] - 1)


def parts_of(
    chosen: Chosen, post: dict[Place, Halves], shown: dict[Place, Halves], quantile: float
) -> Parts:
    """Means and headlines from the token sample's half-precision rows [K, m]: the quantile stands
    at rank ⌈q·K⌉ of K, from 0."""
    found: Parts = {}
    for (side, layer), neurons in chosen.items():
        columns, display = post[side, layer], shown[side, layer]
        rank = min(int(np.ceil(quantile * len(display))), len(display) - 1)
        for j, neuron in enumerate(neurons.tolist()):
            mean = columns[:, j].astype(np.float64).mean()
            headline = np.sort(display[:, j].astype(np.float32))[rank]
            found[side, layer, neuron] = Part(float(np.float32(mean)), float(headline))
    return found
