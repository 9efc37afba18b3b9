"""The layer panel: what a whole layer does, and how much of it no single neuron shows.

- keep-top-q curve: the loss recovered when only each neuron's top activations are kept and the
  others are set to their mean;
- orphan effect: the share of the layer's mean-ablation KL on tokens where no neuron reaches its
  own headline quantile (the same firing rate in both versions: a threshold at a part of the
  maximum would count against heavy tails by construction);
- LN rescue: that KL by decile of the standard deviation before the LayerNorm: is the effect
  carried where the activation function's output is small, and the LayerNorm amplifies it?
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from store.bootstrap_tails import bootstrap_tails
from store.evidence_records import CURVE_QUANTILES, LayerEvidenceRecord
from worker.activations import Models
from worker.evidence.baselines import Baseline, Baselines
from worker.evidence.batches import Batch, OfBatch
from worker.evidence.divergence import dense_divergences
from worker.evidence.effect_mass import Place
from worker.evidence.passes import Trace, finish, mlp_of, run, unembedding
from worker.layout import Layout
from worker.lean import LeanModel

_ROWS = {"cpu": 256, "mps": 1024, "cuda": 4096}
#: Losses of a layer, in this order: nothing dropped, then from each quantile on, all dropped.
N_LOSSES = len(CURVE_QUANTILES)


@dataclass(frozen=True)
class LayerOfBatch:
    """One layer on a batch: per row [R] the KL of ablating the layer, whether no neuron reaches
    its headline quantile, and the standard deviation before the LayerNorm (NaN without one)."""

    window: npt.NDArray[np.int64]  # [R] rank of the evidence window
    kl: npt.NDArray[np.float32]
    orphan: npt.NDArray[np.bool_]
    spread: npt.NDArray[np.float32]
    losses: npt.NDArray[np.float64]  # [11] summed over the tokens that have a target
    n_targets: int


@dataclass(frozen=True)
class PanelOfBatch(OfBatch):
    """Every layer of both sides on a batch."""

    layers: dict[Place, LayerOfBatch]


@dataclass(frozen=True)
class LayerPanelJob:
    """The panel of every layer of both sides."""

    layout: Layout
    baselines: Baselines

    def open(self, models: Models) -> LayerPanelWork:
        return LayerPanelWork(self, models)


class LayerPanelWork:
    """One worker's part."""

    def __init__(self, job: LayerPanelJob, models: Models) -> None:
        self._job = job
        self._models = models

    def handle(self, batch: Batch) -> PanelOfBatch:
        device = self._models.device
        found: dict[Place, LayerOfBatch] = {}
        with torch.inference_mode():
            for one in self._job.layout.sides:
                lean = self._models.lean[one.side]
                trace = run(lean, batch.tokens(device))
                for layer in range(one.n_layers):
                    baseline = self._job.baselines[one.side, layer]
                    found[one.side, layer] = measure_layer(lean, trace, batch, layer, baseline)
        return PanelOfBatch(batch.start, batch.count, found)

    def finish(self) -> None:
        return None


def measure_layer(
    lean: LeanModel, trace: Trace, batch: Batch, layer: int, baseline: Baseline
) -> LayerOfBatch:
    """One forward pass from the layer on for each point of the curve."""
    device = trace.stream.device
    rows = batch.places(device)
    mask = batch.mask(device)[..., None]
    post, display = trace.post[layer], trace.activated[layer]
    thresholds = torch.from_numpy(baseline.thresholds).to(device)
    dropped = torch.from_numpy(baseline.dropped).to(device)
    targets = batch.targets(device).flatten()
    losses = [_loss(lean, trace.hidden, targets)]
    hidden = trace.hidden
    for k in range(1, N_LOSSES):
        kept = (display >= thresholds[k]) | ~mask
        changed = torch.where(kept, post, dropped[k])
        x = trace.residual[layer] + mlp_of(lean, layer).fc_out(changed)
        hidden = finish(lean, x, layer)
        losses.append(_loss(lean, hidden, targets))
    shown = display.flatten(0, 1)[rows]
    has_norm = mlp_of(lean, layer).ln is not None
    spread = shown.std(dim=1, correction=0) if has_norm else shown.new_full((len(rows),), np.nan)
    return LayerOfBatch(
        window=batch.start + batch.window_of_row,
        kl=_divergences(lean, trace, hidden, rows).cpu().numpy(),  # all were dropped last
        orphan=(shown < torch.from_numpy(baseline.headline).to(device)).all(1).cpu().numpy(),
        spread=spread.cpu().numpy(),
        losses=np.array(losses),
        n_targets=int((targets >= 0).sum()),
    )


def _loss(lean: LeanModel, hidden: Tensor, targets: Tensor) -> float:
    """Summed cross-entropy; hidden [B, T, d], targets [B · T] with −1 where there is none."""
    known = torch.nonzero(targets >= 0)[:, 0]
    total = 0.0
    for part in torch.split(known, _ROWS[hidden.device.type]):
        logits = lean.model.head(hidden.flatten(0, 1)[part]).float()
        total += float(
            F.cross_entropy(logits, targets[part], reduction="none").cpu().double().sum()
        )
    return total


def _divergences(lean: LeanModel, trace: Trace, hidden: Tensor, rows: Tensor) -> Tensor:
    """KL of each row's prediction from `hidden` against the model's own [R]."""
    weight = unembedding(lean)
    own, changed = trace.hidden.flatten(0, 1), hidden.flatten(0, 1)
    found = []
    for part in torch.split(rows, _ROWS[hidden.device.type]):
        p = torch.softmax(lean.model.head(own[part]).float(), dim=-1)
        shift = changed[part] - own[part]
        centre = (shift * (p @ weight)).sum(1)
        places = torch.arange(len(part), device=part.device)
        found.append(dense_divergences(p, places, shift @ weight.T, centre))
    return torch.cat(found)


def records(
    batches: Iterable[PanelOfBatch], resamples: int, seed: int
) -> Iterator[LayerEvidenceRecord]:
    """One record a layer and side, of all batches in their order."""
    by_place: dict[Place, list[LayerOfBatch]] = {}
    for batch in batches:
        for place, one in batch.layers.items():
            by_place.setdefault(place, []).append(one)
    for (side, layer), parts in by_place.items():
        kl = np.concatenate([part.kl for part in parts]).astype(np.float64)
        orphan = np.concatenate([part.orphan for part in parts])
        window = np.concatenate([part.window for part in parts])
        spread = np.concatenate([part.spread for part in parts])
        total = float(kl.sum())
        losses = np.sum([part.losses for part in parts], axis=0)
        n_targets = sum(part.n_targets for part in parts)
        gap = float(losses[-1] - losses[0])
        # A curve of what a layer recovers is defined only where the layer helps at all.
        recovered = (losses[-1] - losses) / gap if gap > 1e-9 * max(1, n_targets) else None
        yield LayerEvidenceRecord(
            side=side,
            layer=layer,
            n_tokens=len(kl),
            layer_effect=total / max(1, len(kl)),
            kept_share=() if recovered is None else tuple(1 - q for q in CURVE_QUANTILES),
            loss_recovered=() if recovered is None else tuple(recovered.tolist()),
            orphan_effect=float(kl[orphan].sum() / total) if total > 0 else None,
            orphan_interval=_interval(kl, orphan, window, resamples, seed) if total > 0 else None,
            orphan_token_share=float(orphan.mean()) if len(kl) else None,
            rescue=rescue(kl, spread) if total > 0 and np.isfinite(spread).all() else None,
        )


def rescue(kl: npt.NDArray[np.float64], spread: npt.NDArray[np.float32]) -> tuple[float, ...]:
    """Share of the KL in each decile of the standard deviation, lowest first; sums to 1."""
    order = np.argsort(spread, kind="stable")
    return tuple(float(kl[part].sum() / kl.sum()) for part in np.array_split(order, 10))


def _interval(
    kl: npt.NDArray[np.float64],
    orphan: npt.NDArray[np.bool_],
    window: npt.NDArray[np.int64],
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """95 % bootstrap interval of the orphan effect, over windows."""
    _, place = np.unique(window, return_inverse=True)
    n = int(place.max()) + 1
    whole = np.bincount(place, kl, n)
    part = np.bincount(place, np.where(orphan, kl, 0.0), n)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    shares = (counts @ part) / np.maximum(counts @ whole, np.finfo(float).tiny)
    low, high = np.quantile(shares, bootstrap_tails(n))
    return float(low), float(high)
