"""Exact effects: the KL divergence that true mean-ablations of single neurons cause.

Each version's tokens are split at the headline quantile of its display site. In the last layer
tokens do not meet again, so the ablation of one activation changes one prediction: the stream
changes by −δ·w_out, the final LayerNorm's scale is recomputed, and the logits change by a multiple
of their own and of the neuron's logit effects. KL is had for every (token, neuron). In an earlier
layer, all activations of one part of a window are ablated at once and the pass is run anew from
there on; KL is summed over the window's tokens.

The many tokens of the low part are measured on fewer windows than the few of the high part: both
are means per token, so they can be added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from worker.evidence.baselines import Baseline
from worker.evidence.batches import Batch
from worker.evidence.divergence import Changes, dense_divergences, divergences
from worker.evidence.passes import Trace, finish, mlp_of, unembedding
from worker.lean import LeanModel

_TOKENS = 8  # of the last layer, taken together: their rows stay in a core's cache
_REPLAYS = {"cpu": 8, "mps": 32, "cuda": 256}  # windows run anew together
_ROWS = {"cpu": 256, "mps": 1024, "cuda": 4096}  # predictions compared together


def last_layer_effects(
    lean: LeanModel,
    trace: Trace,
    batch: Batch,
    baseline: Baseline,
    everywhere: npt.NDArray[np.bool_],
) -> Tensor:
    """KL [R, n] of ablating each activation of the last layer alone, at the batch's rows.

    everywhere [R]: rows at which all neurons are measured; at the others only those at or above
    their headline quantile are, and the rest are 0.
    """
    device = trace.stream.device
    layer = len(trace.post) - 1
    rows = batch.places(device)
    delta, high = deviations(trace, layer, rows, baseline)
    x = trace.stream.flatten(0, 1)[rows]  # [R, d]
    out = mlp_of(lean, layer).fc_out.weight.T  # [n, d]
    head = unembedding(lean)
    norm = lean.model.ln_out
    if not isinstance(norm, nn.Identity):
        eps = float(cast(float, norm.eps))
        gain = getattr(norm, "weight", None)
        head = head if gain is None else head * gain
        x, out = x - x.mean(1, keepdim=True), out - out.mean(1, keepdim=True)
    p = torch.softmax(lean.model.head(trace.hidden.flatten(0, 1)[rows]).float(), dim=-1)  # [R, V]
    own, effects = x @ head.T, out @ head.T  # logits before the scale [R, V], [n, V]
    if isinstance(norm, nn.Identity):
        a, b = torch.zeros_like(delta), -delta
    else:
        before = torch.rsqrt(x.square().mean(1, keepdim=True) + eps)
        crossed = x @ out.T / x.shape[1]
        variance = before.pow(-2) + delta * (delta * out.square().mean(1) - 2 * crossed)
        after = torch.rsqrt(variance.clamp_min(eps))
        a, b = after - before, -delta * after
    centre = a * (p * own).sum(1, keepdim=True) + b * (p @ effects.T)
    wanted = high | torch.from_numpy(everywhere).to(device)[:, None]
    row, neuron = _by_blocks(wanted)
    changes = Changes(row, row, neuron, a[row, neuron], b[row, neuron], centre[row, neuron])
    found = torch.zeros_like(delta)
    found[row, neuron] = divergences(p, changes, own, effects)
    return found


def deviations(trace: Trace, layer: int, rows: Tensor, baseline: Baseline) -> tuple[Tensor, Tensor]:
    """δ = post − its mean, and whether the display site reaches the headline quantile: [R, n]."""
    device = rows.device
    mean, headline = (torch.from_numpy(x).to(device) for x in (baseline.mean, baseline.headline))
    post = trace.post[layer].flatten(0, 1)[rows]
    display = trace.activated[layer].flatten(0, 1)[rows]
    return post - mean, display >= headline


def _by_blocks(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Places of a [R, n] mask, neuron after neuron within each block of rows."""
    rows, neurons = [], []
    step = _TOKENS if wanted.device.type == "cpu" else len(wanted)
    for start in range(0, len(wanted), step):
        neuron, row = torch.nonzero(wanted[start : start + step].T, as_tuple=True)
        rows.append(row + start)
        neurons.append(neuron)
    return torch.cat(rows), torch.cat(neurons)


@dataclass(frozen=True)
class WindowEffects:
    """KL summed over each window's tokens, NaN where it was not measured: [windows, neurons]."""

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    both: npt.NDArray[np.float64]


class Replays:
    """Ablations in one batch that are run through the model again from one layer on."""

    def __init__(self, lean: LeanModel, trace: Trace, batch: Batch, layer: int) -> None:
        self._lean, self._trace, self._layer = lean, trace, layer
        device = trace.stream.device
        self._mask = batch.mask(device)
        self._head = unembedding(lean)
        self._out = mlp_of(lean, layer).fc_out.weight.T  # [n, d]
        self._stream = trace.residual[layer] + mlp_of(lean, layer).fc_out(trace.post[layer])
        self._p = torch.softmax(lean.model.head(trace.hidden).float(), dim=-1)  # [B, T, V]
        self._expected = self._p @ self._head  # [B, T, d]

    def effects(self, window: Tensor, neuron: Tensor, change: Tensor) -> Tensor:
        """KL summed over the tokens of window[k] when neuron[k]'s post is changed by change[k].

        window, neuron: [K]; change: [K, T], 0 where nothing changes; returns [K] on the CPU.
        """
        step = _REPLAYS[change.device.type]
        parts = [
            self._replay(window[k : k + step], neuron[k : k + step], change[k : k + step])
            for k in range(0, len(window), step)
        ]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)

    def _replay(self, window: Tensor, neuron: Tensor, change: Tensor) -> Tensor:
        x = self._stream[window] + change[:, :, None] * self._out[neuron][:, None, :]
        moved = finish(self._lean, x, self._layer) - self._trace.hidden[window]  # [K, T, d]
        # Nothing before the first change can differ, and masked tokens are not counted.
        reached = (change != 0).cumsum(1) > 0
        k, position = torch.nonzero(reached & self._mask[window], as_tuple=True)
        sums = torch.zeros(len(window), dtype=torch.float64)  # MPS has no float64
        step = _ROWS[x.device.type]
        width = self._p.shape[1]
        flat = self._p.flatten(0, 1)
        for start in range(0, len(k), step):
            one, at = k[start : start + step], position[start : start + step]
            shift = moved[one, at]  # [r, d]
            centre = (shift * self._expected[window[one], at]).sum(1)
            found = dense_divergences(flat, window[one] * width + at, shift @ self._head.T, centre)
            sums.index_add_(0, one.cpu(), found.cpu().double())
        return sums


def early_layer_effects(
    lean: LeanModel,
    trace: Trace,
    batch: Batch,
    layer: int,
    baseline: Baseline,
    neurons: npt.NDArray[np.int64],
    low: npt.NDArray[np.bool_],
    high: npt.NDArray[np.bool_],
) -> WindowEffects:
    """Exact effects of some neurons of an earlier layer, by window of the batch.

    low, high: [windows] say where each part is measured; `both` (the two parts ablated at once)
    is measured where both are.
    """
    device = trace.stream.device
    replays = Replays(lean, trace, batch, layer)
    chosen = torch.from_numpy(neurons).to(device)
    mean, headline = (
        torch.from_numpy(x).to(device)[chosen] for x in (baseline.mean, baseline.headline)
    )
    mask = batch.mask(device)[: batch.count, :, None]
    delta = (trace.post[layer][: batch.count][..., chosen] - mean) * mask  # [B, T, m]
    strong = (trace.activated[layer][: batch.count][..., chosen] >= headline) & mask
    fires = strong.any(1).cpu().numpy()  # [B, m]

    def measured(wanted: npt.NDArray[np.bool_], part: Tensor) -> npt.NDArray[np.float64]:
        """wanted [B, m]; part [B, T, m] is what of δ is taken away."""
        found = np.full(wanted.shape, np.nan)
        window, place = (torch.from_numpy(x).to(device) for x in np.nonzero(wanted))
        effects = replays.effects(window, chosen[place], -part[window, :, place])
        found[wanted] = effects.numpy()
        return found

    everyone = np.ones(fires.shape, bool)
    of_low = measured(everyone & low[:, None], torch.where(strong, 0.0, delta))
    of_high = measured(fires & high[:, None], torch.where(strong, delta, 0.0))
    of_high[high[:, None] & ~fires] = 0.0
    both = measured(fires & (low & high)[:, None], delta)
    both = np.where(fires, both, of_low)  # without a strong token, all there is is low
    return WindowEffects(of_low, of_high, both)
