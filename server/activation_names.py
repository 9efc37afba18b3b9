"""Activation functions as people write them: `solu_ln` → SoLU. JSON keeps the model's own word."""

from __future__ import annotations

_NAMES = {
    "solu_ln": "SoLU",
    "solu": "SoLU without LayerNorm",
    "gelu": "GeLU",
    "gelu_new": "GeLU",
    "gelu_fast": "GeLU",
    "relu": "ReLU",
    "silu": "SiLU",
    "swish": "SiLU",
}


def activation_name(act_fn: str) -> str:
    """The name on a page; a function that is not known keeps its own."""
    return _NAMES.get(act_fn, act_fn)
