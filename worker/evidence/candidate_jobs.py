"""The passes behind candidate invisible features, as jobs over batches of evidence windows.

- finding: what every layer's MLP puts out at each token, what ablating the layer costs there, and
  whether any neuron reaches its headline quantile;
- test: the KL that ablating a direction of the output to its mean causes on held-out tokens;
- carriers: weighted sums of `post` over the tokens of each candidate, in both versions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.activations import Models
from worker.evidence.baselines import Baselines
from worker.evidence.batches import Batch, OfBatch
from worker.evidence.candidates import Floats, LayerOutputs
from worker.evidence.divergence import dense_divergences
from worker.evidence.effect_mass import Place
from worker.evidence.passes import Trace, finish, mlp_of, run, unembedding
from worker.layout import Layout
from worker.lean import LeanModel

_ROWS = {"cpu": 256, "mps": 1024, "cuda": 4096}


@dataclass(frozen=True)
class OutputsOfBatch(OfBatch):
    """Every layer of both sides at the batch's rows, whose flat places are `row`."""

    row: npt.NDArray[np.int64]
    layers: dict[Place, LayerOutputs]


@dataclass(frozen=True)
class FindingJob:
    """`handle` takes a Batch and gives OutputsOfBatch."""

    layout: Layout
    baselines: Baselines

    def open(self, models: Models) -> FindingWork:
        return FindingWork(self, models)


class FindingWork:
    """One worker's part."""

    def __init__(self, job: FindingJob, models: Models) -> None:
        self._job, self._models = job, models

    @torch.inference_mode()
    def handle(self, batch: Batch) -> OutputsOfBatch:
        device = self._models.device
        document = batch.windows.document[batch.window_of_row]
        found: dict[Place, LayerOutputs] = {}
        for one in self._job.layout.sides:
            lean = self._models.lean[one.side]
            trace = run(lean, batch.tokens(device))
            own = Predictions(lean, trace, batch.places(device))
            for layer in range(one.n_layers):
                baseline = self._job.baselines[one.side, layer]
                output = mlp_of(lean, layer).fc_out(trace.post[layer])
                mean = mlp_of(lean, layer).fc_out(torch.from_numpy(baseline.mean).to(device))
                mask = batch.mask(device)[..., None]
                x = trace.residual[layer] + torch.where(mask, mean, output)
                shown = trace.activated[layer].flatten(0, 1)[own.rows]
                headline = torch.from_numpy(baseline.headline).to(device)
                found[one.side, layer] = LayerOutputs(
                    output=output.flatten(0, 1)[own.rows].half().cpu().numpy(),
                    kl=own.divergences(finish(lean, x, layer)).cpu().numpy(),
                    orphan=(shown < headline).all(1).cpu().numpy(),
                    document=document,
                )
        return OutputsOfBatch(batch.start, batch.count, batch.rows, found)

    def finish(self) -> None:
        return None


class Predictions:
    """The model's own predictions at some rows, and what others diverge from them."""

    def __init__(self, lean: LeanModel, trace: Trace, rows: Tensor) -> None:
        self.rows = rows
        self._head = unembedding(lean)
        self._own = trace.hidden.flatten(0, 1)[rows]
        step = _ROWS[rows.device.type]
        self._parts = torch.split(torch.arange(len(rows), device=rows.device), step)
        self._p = [
            torch.softmax(lean.model.head(self._own[part]).float(), dim=-1) for part in self._parts
        ]
        self._expected = [p @ self._head for p in self._p]  # [r, d]

    def divergences(self, hidden: Tensor) -> Tensor:
        """KL [R] of what the unembedding would read instead, hidden [B, T, d]."""
        changed = hidden.flatten(0, 1)[self.rows]
        found = [self._own.new_zeros(0)]
        for part, p, expected in zip(self._parts, self._p, self._expected, strict=True):
            shift = changed[part] - self._own[part]
            places = torch.arange(len(part), device=part.device)
            found.append(
                dense_divergences(p, places, shift @ self._head.T, (shift * expected).sum(1))
            )
        return torch.cat(found)


@dataclass(frozen=True)
class DirectionTask:
    """A batch of held-out windows and the unit directions [J, d] of one layer, ablated in turn."""

    batch: Batch
    place: Place
    directions: Floats

    def __str__(self) -> str:
        return f"directions of layer {self.place[1]}, {self.batch}"


@dataclass(frozen=True)
class DirectionEffects:
    """KL summed over the batch's unmasked tokens, of each direction [J]."""

    start: int
    place: Place
    kl: npt.NDArray[np.float64]
    n_tokens: int


@dataclass(frozen=True)
class DirectionJob:
    """`handle` takes a DirectionTask and gives DirectionEffects; means: [d] of each layer."""

    means: dict[Place, Floats]

    def open(self, models: Models) -> DirectionWork:
        return DirectionWork(self, models)


class DirectionWork:
    """One worker's part."""

    def __init__(self, job: DirectionJob, models: Models) -> None:
        self._job, self._models = job, models

    @torch.inference_mode()
    def handle(self, task: DirectionTask) -> DirectionEffects:
        device = self._models.device
        side, layer = task.place
        lean, batch = self._models.lean[side], task.batch
        trace = run(lean, batch.tokens(device))
        own = Predictions(lean, trace, batch.places(device))
        output = mlp_of(lean, layer).fc_out(trace.post[layer])
        centred = output - torch.from_numpy(self._job.means[task.place]).to(device)
        centred = centred * batch.mask(device)[..., None]
        stream = trace.residual[layer] + output
        sums = np.empty(len(task.directions))
        for j, direction in enumerate(torch.from_numpy(task.directions).to(device)):
            x = stream - (centred @ direction)[..., None] * direction
            sums[j] = float(own.divergences(finish(lean, x, layer)).double().sum())
        return DirectionEffects(batch.start, task.place, sums, len(own.rows))

    def finish(self) -> None:
        return None


@dataclass(frozen=True)
class CarrierTask:
    """Weights [C, R] of the batch's rows for each candidate of a layer (of one side)."""

    batch: Batch
    place: Place
    weights: Floats

    def __str__(self) -> str:
        return f"carriers of layer {self.place[1]}, {self.batch}"


@dataclass(frozen=True)
class CarrierSums:
    """Σ w·post of every neuron of the layer, by side: [C, n] float64."""

    start: int
    place: Place
    sums: dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class CarrierJob:
    """`handle` takes a CarrierTask and gives CarrierSums."""

    layout: Layout

    def open(self, models: Models) -> CarrierWork:
        return CarrierWork(self, models)


class CarrierWork:
    """One worker's part."""

    def __init__(self, job: CarrierJob, models: Models) -> None:
        self._job, self._models = job, models

    @torch.inference_mode()
    def handle(self, task: CarrierTask) -> CarrierSums:
        device = self._models.device
        rows = task.batch.places(device)
        weights = torch.from_numpy(task.weights).to(device)
        sums: dict[str, npt.NDArray[np.float64]] = {}
        for one in self._job.layout.sides:
            trace = run(self._models.lean[one.side], task.batch.tokens(device))
            post = trace.post[task.place[1]].flatten(0, 1)[rows]
            sums[one.side] = (weights @ post).double().cpu().numpy()
        return CarrierSums(task.batch.start, task.place, sums)

    def finish(self) -> None:
        return None
