"""A pair of the hub's 1-layer size with random weights, and a corpus for it.

    pair = make_pair(directory)                  # 400 MB on disk, once
    corpus = make_corpus(directory, tokens=524_288)

What a forward pass and the statistics cost does not depend on the weights. `pre` has a standard
deviation of about 1, as trained ones have. The corpus is of pre-tokenized rows, as the hub's are,
with ids that fall off as words do (Zipf), in documents of four whole windows: nothing is padded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models

from worker.models import build_native
from worker.tokenizer import END_OF_TEXT

SHAPE: dict[str, Any] = {
    "n_layers": 1,
    "d_model": 512,
    "d_mlp": 2048,
    "n_ctx": 1024,
    "n_heads": 8,
    "d_head": 64,
    "d_vocab": 48_262,
    "normalization_type": "LN",
}
SIDES = {"left": "solu_ln", "right": "gelu"}
SLUG = "hub-size-1l"
WINDOWS_A_DOCUMENT = 4


def make_pair(directory: Path, n_layers: int = 1) -> Path:
    """Write the pair below `directory`, unless it is there already."""
    shape = SHAPE | {"n_layers": n_layers}
    pair = directory / SLUG.replace("1l", f"{n_layers}l")
    if (pair / "pair.toml").is_file():
        return pair
    pair.mkdir(parents=True, exist_ok=True)
    toml = ['name = "Hub size"', 'description = "random"', f'bos_token = "{END_OF_TEXT}"']
    for number, (side, act_fn) in enumerate(SIDES.items()):
        config = shape | {"act_fn": act_fn}
        (pair / f"{side}.json").write_text(json.dumps(config))
        torch.manual_seed(number)
        state = build_native(config).state_dict()
        for name, tensor in state.items():
            if tensor.ndim == 2:  # the normalized input has a variance of 1
                tensor.normal_(0.0, tensor.shape[1] ** -0.5)
            elif name.endswith("bias"):
                tensor.normal_(0.0, 0.1)
        save_file(state, pair / f"{side}.safetensors")
        toml += [
            f'[{side}]\nname = "random {act_fn}"',
            f'config = "{side}.json"\nweights = "{side}.safetensors"',
        ]
    words = {f"word{i}": i for i in range(1, int(shape["d_vocab"]))}
    Tokenizer(models.WordLevel({END_OF_TEXT: 0} | words, END_OF_TEXT)).save(
        str(pair / "tokenizer.json")
    )
    (pair / "pair.toml").write_text("\n".join(toml))
    return pair


def make_corpus(directory: Path, tokens: int) -> Path:
    """Write rows of token ids, at least `tokens` of them; the same for the same number."""
    path = directory / f"rows-{tokens}.jsonl"
    if path.is_file():
        return path
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, int(SHAPE["d_vocab"]))
    cumulative = np.cumsum(share) / share.sum()
    length = WINDOWS_A_DOCUMENT * (int(SHAPE["n_ctx"]) - 1)
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w") as file:
        for _ in range(-(-tokens // length)):
            ids = 1 + np.searchsorted(cumulative, rng.random(length))
            file.write(json.dumps({"tokens": ids.tolist()}) + "\n")
    unfinished.rename(path)
    return path
