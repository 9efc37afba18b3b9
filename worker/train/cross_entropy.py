"""Unembedding and cross-entropy in one step, so that no logits [N, d_vocab] are ever kept.

For each chunk of rows the logits, the loss and both gradients are computed at once in the
forward pass; the backward pass only scales them. On a CPU this is most of a small model's speed.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK_ROWS = 1024


def unembedding_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype
) -> Tensor:
    """Mean cross-entropy of `hidden @ weight.T` against `targets`.

    hidden: float32 [N, d_model]; weight: float32 [d_vocab, d_model]; targets: int64 [N];
    the products are taken in `dtype`, everything else in float32.
    """
    loss: Tensor = _Fused.apply(hidden, weight, targets, dtype)  # type: ignore[no-untyped-call]
    return loss


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        rows = hidden.shape[0]
        hidden_low, weight_low = hidden.to(dtype), weight.to(dtype)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight)
        loss = hidden.new_zeros(())
        for start in range(0, rows, CHUNK_ROWS):
            chunk = hidden_low[start : start + CHUNK_ROWS]
            target = targets[start : start + CHUNK_ROWS, None]
            grad = torch.softmax((chunk @ weight_low.T).float(), dim=1)
            # Far cheaper than logsumexp here; a probability that underflows counts as 1e-37.
            loss -= grad.gather(1, target).clamp_min(1e-37).log().sum()
            grad.scatter_add_(1, target, grad.new_full((len(target), 1), -1.0))
            grad_low = grad.to(dtype)
            grad_hidden[start : start + CHUNK_ROWS] = grad_low @ weight_low
            grad_weight += (grad_low.T @ chunk).float()
        ctx.save_for_backward(grad_hidden / rows, grad_weight / rows)
        return loss / rows

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, grad: Tensor
    ) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors  # type: ignore[attr-defined]
        return grad_hidden * grad, grad_weight * grad, None, None
