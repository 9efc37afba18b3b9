"""A lean forward pass over a `NativeModel`'s own parameters, for training and precompute alike.

    lean = LeanModel(load_native(version))
    lean.forward(tokens, sink=lambda layer, sites, source: ..., want="none")

It computes what `NativeModel.forward` computes (checked to 1e-5), in fewer and larger steps: q, k
and v in one product, fused attention, and no unembedding or last output projection unless they
are wanted. Gradients flow to the native parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from transformer_lens.model_bridge.sources.native import NativeAttention, NativeMLP, NativeModel

from worker.errors import PairError


@dataclass(frozen=True)
class Source:
    """What a layer's activations were computed from: what the MLP read [B, T, d_model], and the
    mean and 1 / deviation [B, T, 1] by which a LayerNorm behind the activation function went."""

    mlp_in: Tensor
    mean: Tensor | None = None
    inverse: Tensor | None = None


#: Gets a layer, its activations by site, and what they were computed from.
Sink = Callable[[int, dict[str, Tensor], Source], None]
Want = Literal["logits", "hidden", "none"]


class LeanModel:
    """The lean forward of one model.

    Covers absolute positions, causal attention without GQA, a plain MLP and LN, LNPre or no
    normalization; `PairError` names what else a config asks for.
    """

    def __init__(self, model: NativeModel) -> None:
        unsupported = _unsupported(model)
        if unsupported:
            raise PairError(
                f"a model with {unsupported} is not supported",
                "use absolute positions, causal attention and a plain MLP",
            )
        self.model = model

    def forward(
        self, tokens: Tensor, sink: Sink | None = None, want: Want = "logits"
    ) -> Tensor | None:
        """tokens: integers [B, T ≤ n_ctx]. For each layer in turn `sink(layer, sites, source)` gets
        `pre`, `post` and, where a LayerNorm follows the activation, `mid`: each [B, T, d_mlp].

        Returns logits [B, T, d_vocab]; or `hidden`, what the unembedding reads [B, T, d_model];
        or nothing, and then the work after the last layer's activations is left out.
        """
        model = self.model
        assert model.pos is not None
        x = model.tok_embed(tokens) + model.pos.weight[: tokens.shape[1]]
        last = len(model.layers) - 1
        for layer, block in enumerate(model.layers):
            x = x + _attention(block.attn, block.ln1(x))
            mlp = cast(NativeMLP, block.mlp)
            post = _activations(mlp, block.ln2(x), layer, sink)
            if layer == last and want == "none":
                return None
            x = x + mlp.fc_out(post)
        hidden: Tensor = model.ln_out(x)
        if want == "hidden":
            return hidden
        logits: Tensor = model.head(hidden)
        return logits


def _attention(attention: NativeAttention, x: Tensor) -> Tensor:
    batch, length, _ = x.shape
    weight = torch.cat([attention.q.weight, attention.k.weight, attention.v.weight])
    bias = torch.cat([attention.q.bias, attention.k.bias, attention.v.bias])
    qkv = F.linear(x, weight, bias).view(batch, length, 3, attention.n_heads, attention.d_head)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, head, T, d_head]
    # The fused kernel's backward pass on a CPU takes five times as long as its parts written out.
    attend = _attend if qkv.requires_grad and qkv.device.type == "cpu" else _attend_fused
    mixed = attend(q, k, v, 1 / attention.scale)
    out: Tensor = attention.o(mixed.transpose(1, 2).reshape(batch, length, -1))
    return out


def _attend_fused(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)


def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    length = q.shape[-2]
    future = torch.full((length, length), float("-inf"), dtype=q.dtype, device=q.device).triu(1)
    q, k, v_flat = ((x.flatten(0, 1)) for x in (q * scale, k, v))
    scores = torch.baddbmm(future, q, k.transpose(1, 2))  # [B head, T, T]
    return torch.bmm(torch.softmax(scores, dim=-1), v_flat).view(v.shape)


def _activations(mlp: NativeMLP, x: Tensor, layer: int, sink: Sink | None) -> Tensor:
    pre = mlp.fc_in(x)
    if mlp.ln is not None and not pre.requires_grad:
        # SoLU, the only one that a LayerNorm follows: the same product in the softmax's own memory.
        activated = torch.softmax(pre, dim=-1).mul_(pre)
    else:
        activated = mlp.act(pre)
    if mlp.ln is None:
        if sink is not None:
            sink(layer, {"pre": pre, "post": activated}, Source(x))
        return activated
    ln = mlp.ln
    post, mean, inverse = torch.native_layer_norm(  # what `ln` calls, and keeps the first of
        activated, ln.normalized_shape, ln.weight, ln.bias, ln.eps
    )
    if sink is not None:
        sink(layer, {"pre": pre, "mid": activated, "post": post}, Source(x, mean, inverse))
    return post


def _unsupported(model: NativeModel) -> str:
    cfg = model.cfg
    faults = {
        "rotary positions": model.pos is None,
        "a gated MLP": cfg.gated_mlp,
        "attention only": cfg.attn_only,
        "grouped keys and values": (cfg.n_key_value_heads or cfg.n_heads) != cfg.n_heads,
        "attention that is not causal": cfg.attention_dir != "causal",
        "capped attention scores": cfg.attn_scores_soft_cap > 0,
        "capped logits": cfg.output_logits_soft_cap > 0,
    }
    return next((name for name, present in faults.items() if present), "")
