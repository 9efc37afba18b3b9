"""Forward passes in parts: what an ablation needs to begin in the middle of a model.

    trace = run(lean, tokens)
    x = trace.residual[layer] + lean.model.layers[layer].mlp.fc_out(changed_post)
    hidden = finish(lean, x, layer)          # what the unembedding reads, [B, T, d_model]

`residual[l]` is the stream that the MLP of layer l reads and adds to. With `gradients` every
`post` stands in one autograd graph that begins at layer 0's, so that one backward pass gives the
gradients of all layers' `post` at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from transformer_lens.model_bridge.sources.native import NativeMLP

from worker.lean import LeanModel, _attention


@dataclass(frozen=True)
class Trace:
    """A forward pass, layer by layer."""

    residual: list[Tensor]  # [B, T, d_model] before each MLP's output is added
    pre: list[Tensor]  # [B, T, d_mlp]
    activated: list[Tensor]  # [B, T, d_mlp] what the activation function gives (`mid` or `post`)
    post: list[Tensor]  # [B, T, d_mlp]
    stream: Tensor  # [B, T, d_model] after the last layer, before the final LayerNorm
    hidden: Tensor  # [B, T, d_model] what the unembedding reads


def run(lean: LeanModel, tokens: Tensor, gradients: bool = False) -> Trace:
    """tokens: integers [B, T]. The model's parameters must not require gradients."""
    model = lean.model
    assert model.pos is not None
    residual: list[Tensor] = []
    pre: list[Tensor] = []
    activated: list[Tensor] = []
    post: list[Tensor] = []
    with torch.set_grad_enabled(gradients):
        x = model.tok_embed(tokens) + model.pos.weight[: tokens.shape[1]]
        for layer, block in enumerate(model.layers):
            x = x + _attention(block.attn, block.ln1(x))
            mlp = mlp_of(lean, layer)
            before = mlp.fc_in(block.ln2(x))
            after = mlp.act(before)
            read = after if mlp.ln is None else mlp.ln(after)
            if gradients and layer == 0:
                read = read.detach().requires_grad_()
            residual.append(x)
            pre.append(before)
            activated.append(after)
            post.append(read)
            x = x + mlp.fc_out(read)
        hidden = model.ln_out(x)
    return Trace(residual, pre, activated, post, x, hidden)


def finish(lean: LeanModel, x: Tensor, layer: int) -> Tensor:
    """What the unembedding reads, when the stream behind layer `layer` is x [B, T, d_model]."""
    model = lean.model
    for later in range(layer + 1, len(model.layers)):
        block = model.layers[later]
        mlp = mlp_of(lean, later)
        x = x + _attention(block.attn, block.ln1(x))
        after = mlp.act(mlp.fc_in(block.ln2(x)))
        x = x + mlp.fc_out(after if mlp.ln is None else mlp.ln(after))
    hidden: Tensor = model.ln_out(x)
    return hidden


def mlp_of(lean: LeanModel, layer: int) -> NativeMLP:
    """The MLP of a layer, with its type."""
    return cast(NativeMLP, lean.model.layers[layer].mlp)


def unembedding(lean: LeanModel) -> Tensor:
    """W_U as its layer keeps it: [d_vocab, d_model]."""
    weight: Tensor = lean.model.head.weight
    return weight
