"""What a neuron does to the next token's logits directly (EVIDENCE §8).

The effect of neuron i on token v is W_out[i]·W_U[:, v] as the model applies it: W_out[i] is
centred over the residual stream, as the final LayerNorm does, and scaled by that LayerNorm's
weights; the effects are centred over the vocabulary, because the softmax does not see a constant.
The LayerNorm's division by the token's standard deviation is left out: it scales all effects of
all neurons alike at one token.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch

from store.records import LogitEffectsRecord
from worker.activations import Models

_CHUNK = 256


def logit_effects(models: Models, side: str, layer: int, tokens: int) -> list[LogitEffectsRecord]:
    """Records of a layer's neurons."""
    model = models.lean[side].model
    found: list[LogitEffectsRecord] = []
    with torch.inference_mode():
        block = cast(Any, model.layers[layer])
        w_out = block.mlp.fc_out.weight.T.float()  # [d_mlp, d_model]
        unembed = model.head.weight.float()  # [d_vocab, d_model]
        w_out, unembed = _fold(model.ln_out, w_out, unembed)
        for start in range(0, len(w_out), _CHUNK):
            effects = w_out[start : start + _CHUNK] @ unembed.T
            effects -= effects.mean(dim=1, keepdim=True)
            found += _records(effects, min(tokens, effects.shape[1]))
    return found


def _fold(
    norm: torch.nn.Module, w_out: torch.Tensor, unembed: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply what the final normalization does to a direction."""
    if isinstance(norm, torch.nn.Identity):
        return w_out, unembed
    weight = getattr(norm, "weight", None)
    centred = w_out - w_out.mean(dim=1, keepdim=True)
    return centred, unembed if weight is None else unembed * weight.float()


def _records(effects: torch.Tensor, tokens: int) -> list[LogitEffectsRecord]:
    values = effects.double()
    variance = values.square().mean(1)
    skewness = (values**3).mean(1) / variance**1.5
    kurtosis = (values**4).mean(1) / variance**2
    high, low = effects.topk(tokens, dim=1), effects.topk(tokens, dim=1, largest=False)
    found = []
    for i in range(len(effects)):
        found.append(
            LogitEffectsRecord(
                tuple(zip(high.indices[i].tolist(), high.values[i].tolist(), strict=True)),
                tuple(zip(low.indices[i].tolist(), low.values[i].tolist(), strict=True)),
                _defined(float(kurtosis[i])),
                _defined(float(skewness[i])),
            )
        )
    return found


def _defined(value: float) -> float | None:
    return value if np.isfinite(value) else None
