"""Activations of single neurons along snippets, from what their MLP reads there.

    reads = reads_of(lean, layer, batch)            of a batch in memory, or `mlp_inputs`' from disk
    LayerNeurons(lean, layer).values(reads, ...)

Each product is summed by itself, in one order: a value depends neither on what is computed beside
it nor on whether its inputs were kept on disk or made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numba
import numpy as np
import numpy.typing as npt
import torch
from transformer_lens.model_bridge.sources.native import NativeMLP

from store.records import Site
from worker.accumulators import LayerBatch
from worker.lean import LeanModel

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reads:
    """What one layer's neurons are computed from, on the tokens of some batches.

    `data` [*], of which the g-th batch's part begins at `begins[g]`: [places, width], then the
    scales [3, places] where there are any. `width` is d_model, or the number of neurons where
    `data` holds their `pre` itself.
    """

    data: Floats
    begins: npt.NDArray[np.int64]
    places: int
    width: int


def is_solu(act_fn: str | None) -> bool:
    """Whether an activation function divides by a sum over the layer's neurons."""
    return act_fn in ("solu", "solu_ln")


def numbers_of(lean: LeanModel, layer: int, batch: LayerBatch) -> tuple[Floats, Floats | None]:
    """What a layer's neurons are computed from on a batch of P tokens: the MLP's inputs
    [P, d_model], or `pre` [P, neurons] of a model in half precision, whose products no other way of
    computing gives bit by bit; and the scales [3, P] under SoLU: log Z = log Σ exp(pre), and of the
    LayerNorm behind it mean / deviation and 1 / deviation (0 and 1 where there is none).
    """
    source, pre = batch.source, batch.sites["pre"]
    assert source is not None
    single = source.mlp_in.dtype == torch.float32
    read = source.mlp_in if single else pre
    found = read.reshape(-1, read.shape[-1]).contiguous().cpu().numpy()
    if not is_solu(lean.model.cfg.act_fn):
        return found, None
    activated = batch.sites.get("mid", batch.sites["post"])
    log_z = _log_z(pre, activated) if single else pre.logsumexp(dim=-1).flatten()
    mean, inverse = torch.zeros_like(log_z), torch.ones_like(log_z)
    ln = cast(NativeMLP, lean.model.layers[layer].mlp).ln
    if ln is not None:
        assert source.mean is not None
        assert source.inverse is not None
        mean, inverse = source.mean, source.inverse
        if not single:  # these are rounded as the model's activations are, what it used is not
            mid = batch.sites["mid"]
            _, mean, inverse = torch.native_layer_norm(mid, mid.shape[-1:], None, None, ln.eps)
        mean, inverse = mean.flatten(), inverse.flatten()
    return found, torch.stack([log_z, mean * inverse, inverse]).cpu().numpy()


def _log_z(pre: torch.Tensor, activated: torch.Tensor) -> torch.Tensor:
    """log Σ exp(pre) of each token, [P]. SoLU gives a token's largest `pre` x the token's largest
    value x · exp(x) / Z, so Z is had without exponentials where x is well above 0."""
    largest = pre.amax(dim=-1).flatten()
    found = largest - (activated.amax(dim=-1).flatten() / largest).log()
    too_small = largest < 0.1
    if bool(too_small.any()):
        found[too_small] = pre.flatten(0, -2)[too_small].logsumexp(dim=-1)
    return found


def reads_of(lean: LeanModel, layer: int, batch: LayerBatch) -> Reads:
    """The same in memory, of one batch."""
    read, scales = numbers_of(lean, layer, batch)
    parts = [read.ravel()] if scales is None else [read.ravel(), scales.ravel()]
    return Reads(np.concatenate(parts), np.zeros(1, np.int64), len(read), read.shape[1])


class LayerNeurons:
    """The neurons of one layer of one model."""

    def __init__(self, lean: LeanModel, layer: int) -> None:
        mlp = cast(NativeMLP, lean.model.layers[layer].mlp)
        self._mlp = mlp
        self._is_solu = is_solu(lean.model.cfg.act_fn)
        self._dtype = mlp.fc_in.weight.dtype
        self._weight, self._bias = (_single(one) for one in (mlp.fc_in.weight, mlp.fc_in.bias))
        if mlp.ln is not None:
            self._ln_weight, self._ln_bias = (_single(one) for one in (mlp.ln.weight, mlp.ln.bias))

    def values(
        self, reads: Reads, group: Longs, first: Longs, inside: npt.NDArray[np.bool_], neuron: Longs
    ) -> dict[Site, Floats]:
        """Each site's values along N snippets of up to S tokens, [N, S], zero where not `inside`.

        The i-th snippet is of neuron[i], and begins at place first[i] of the batch group[i].
        """
        pre = np.zeros(inside.shape, np.float32)
        length = inside.sum(axis=1)
        begins = reads.begins[group] + first * reads.width
        if self._dtype == torch.float32:
            _products(reads.data, begins, length, self._weight, self._bias, neuron, pre)
        else:
            _pick(reads.data, begins, length, reads.width, neuron, pre)
        found: dict[Site, Floats] = {"pre": pre}
        if not self._is_solu:
            found["post"] = self._mlp.act(torch.from_numpy(pre).to(self._dtype)).float().numpy()
        else:
            log_z, shift, inverse = self.scales(reads, group, first, inside)
            probability = self._rounded(np.exp(pre - log_z))
            activated = self._rounded(probability * pre)
            found["post"] = activated
            if self._mlp.ln is not None:
                weight, bias = self._ln_weight[neuron, None], self._ln_bias[neuron, None]
                found["mid"] = activated
                found["post"] = self._rounded((activated * inverse - shift) * weight + bias)
        return {site: np.where(inside, values, np.float32(0)) for site, values in found.items()}

    @staticmethod
    def scales(reads: Reads, group: Longs, first: Longs, inside: npt.NDArray[np.bool_]) -> Floats:
        """The scales along the same snippets, [3, N, S]; those outside mean nothing."""
        offset = np.arange(inside.shape[1])
        place = first[:, None] + np.where(inside, offset, 0)
        begins = (reads.begins[group] + reads.places * reads.width)[:, None] + place
        found: Floats = reads.data[begins + reads.places * np.arange(3)[:, None, None]]
        return found

    def _rounded(self, values: Floats) -> Floats:
        """To the model's precision."""
        if self._dtype == torch.float32:
            return values
        return torch.from_numpy(values).to(self._dtype).float().numpy()


def _single(parameter: torch.Tensor) -> Floats:
    return np.ascontiguousarray(parameter.detach().float().cpu().numpy())


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _products(data, begins, length, weight, bias, neuron, out):  # type: ignore[no-untyped-def]
    """out[i, t] = weight[neuron[i]] · data[begins[i] + t * width: … + width] + bias[neuron[i]]."""
    width = weight.shape[1]
    for i in range(len(begins)):
        row = weight[neuron[i]]
        for t in range(length[i]):
            start = begins[i] + t * width
            read = data[start : start + width]
            total = np.float32(0)
            for k in range(width):
                total += read[k] * row[k]
            out[i, t] = total + bias[neuron[i]]


@numba.njit(cache=True, nogil=True)
def _pick(data, begins, length, width, neuron, out):  # type: ignore[no-untyped-def]
    """The same where the products stand there."""
    for i in range(len(begins)):
        for t in range(length[i]):
            out[i, t] = data[begins[i] + t * width + neuron[i]]
