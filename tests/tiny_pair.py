"""A pair of very small models with seeded random weights, written to disk as a pair is."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file
from transformer_lens.model_bridge.sources.native import initialize_native_model

from worker.models import build_native
from worker.tokenizer import train_tokenizer

TOML = """
name = "A tiny pair"
description = "Random weights, for the tests."
bos_token = "<|endoftext|>"
[left]
name = "tiny SoLU"
config = "left.json"
weights = "left.safetensors"
[right]
name = "tiny GeLU"
config = "right.json"
weights = "right.safetensors"
"""


def write_tiny_pair(parent: Path, slug: str = "tiny-pair", *, d_mlp: int = 16) -> Path:
    """A pair's directory: two layers of `d_mlp` neurons, d_model 8, n_ctx 32, 300 tokens."""
    directory = parent / slug
    directory.mkdir(parents=True)
    (directory / "pair.toml").write_text(TOML)
    for side, act_fn in (("left", "solu_ln"), ("right", "gelu")):
        config = {
            "n_layers": 2,
            "d_model": 8,
            "n_ctx": 32,
            "d_head": 4,
            "n_heads": 2,
            "d_mlp": d_mlp,
            "d_vocab": 300,
            "act_fn": act_fn,
            "normalization_type": "LN",
        }
        model = build_native(config)
        initialize_native_model(model, model.cfg, seed=1)
        (directory / f"{side}.json").write_text(json.dumps(config))
        save_file(
            {name: tensor.half() for name, tensor in model.state_dict().items()},
            directory / f"{side}.safetensors",
        )
    train_tokenizer(["def f(self): return self.value\n" * 20], 300).save(
        str(directory / "tokenizer.json")
    )
    return directory
