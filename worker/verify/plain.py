"""The library's own model with hooks: what the brute force runs.

    models = PlainModels.load(versions, device)
    for (layer, site), values in activations(models["left"], tokens).items(): ...   # [B, T, n]
    with replaced(model, {layer: change}): logits = model(tokens)

`NativeModel.forward` is run as it stands; hooks on the MLP's own modules read and change values.
They are removed however the block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from transformer_lens.model_bridge.sources.native import NativeMLP, NativeModel

from store.records import Site
from worker.models import load_native
from worker.pairs import Version

#: Values at a layer's site.
Sites = dict[tuple[int, Site], Tensor]


@dataclass(frozen=True)
class PlainModels:
    """The models of a pair by side, "control" among them, on one device."""

    by_side: dict[str, NativeModel]
    device: torch.device

    @classmethod
    def load(cls, versions: Mapping[str, Version], device: torch.device) -> PlainModels:
        """In single precision, as they are on disk."""
        return cls({s: load_native(v, device) for s, v in versions.items()}, device)

    def __getitem__(self, side: str) -> NativeModel:
        return self.by_side[side]

    def tokens(self, ids: Any) -> Tensor:
        """[B, T] ids on the device."""
        return torch.from_numpy(ids).long().to(self.device)


class _Enough(Exception):
    """Everything that was wanted has been seen: the unembedding need not be run."""


def mlp(model: NativeModel, layer: int) -> NativeMLP:
    """The MLP of a layer, with its type."""
    return cast(NativeMLP, model.layers[layer].mlp)


def activations(model: NativeModel, tokens: Tensor) -> Sites:
    """`pre`, `post` and, where a LayerNorm follows the activation function, `mid` of each layer."""
    found: Sites = {}
    last = len(model.layers) - 1

    def keep(layer: int, site: Site) -> Callable[..., None]:
        def hook(module: object, inputs: tuple[Tensor, ...], *output: Tensor) -> None:
            found[layer, site] = output[0] if output else inputs[0]
            if site == "post" and layer == last:
                raise _Enough

        return hook

    handles = []
    try:
        for layer in range(last + 1):
            of = mlp(model, layer)
            handles.append(of.fc_in.register_forward_hook(keep(layer, "pre")))
            if of.ln is not None:
                handles.append(of.ln.register_forward_pre_hook(keep(layer, "mid")))
            handles.append(of.fc_out.register_forward_pre_hook(keep(layer, "post")))
        with torch.inference_mode(), suppress(_Enough):
            model(tokens)
    finally:
        for handle in handles:
            handle.remove()
    return found


@contextmanager
def replaced(
    model: NativeModel, changes: Mapping[int, Callable[[Tensor], Tensor]]
) -> Iterator[None]:
    """Within the block each layer's `post` is what its change makes of it."""

    def changing(change: Callable[[Tensor], Tensor]) -> Callable[..., tuple[Tensor]]:
        return lambda module, inputs: (change(inputs[0]),)

    handles = []
    try:
        for layer, change in changes.items():
            handles.append(mlp(model, layer).fc_out.register_forward_pre_hook(changing(change)))
        yield
    finally:
        for handle in handles:
            handle.remove()
