"""A tiny pair with random weights, made in the process, and a corpus for it.

pair = make_pair(tmp_path / "tiny-pair")
corpus = make_corpus(tmp_path / "texts")
"""

from __future__ import annotations

import json
import random
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from worker.corpus import is_held_out
from worker.models import build_native
from worker.tokenizer import train_tokenizer

SHAPE = {
    "n_layers": 2,
    "d_model": 16,
    "n_ctx": 24,
    "d_head": 8,
    "n_heads": 2,
    "d_mlp": 12,
    "d_vocab": 300,
    "normalization_type": "LN",
}
SIDES = {"left": "solu_ln", "right": "gelu", "control": "solu"}
WORDS = ("def", "class", "return", "self", "import", "x", "y", "count", "total", "name", "None")
#: A neuron of each side's layer 0 that is dead: weights and bias of its `pre` are zero.
DEAD = 5


def make_pair(directory: Path, **shape: Any) -> Path:
    """Write a pair with a control; random weights, larger than at a training's start."""
    directory.mkdir(parents=True)
    toml = ['name = "Tiny"', 'description = "for the tests"', 'bos_token = "<|endoftext|>"']
    for number, (side, act_fn) in enumerate(SIDES.items()):
        config = SHAPE | {"act_fn": act_fn} | shape
        (directory / f"{side}.json").write_text(json.dumps(config))
        torch.manual_seed(number)
        state = build_native(config).state_dict()
        for name, tensor in state.items():
            tensor += 0.4 * torch.randn_like(tensor)
            if name.startswith("layers.0.mlp.fc_in"):
                tensor[DEAD] = 0.0
        save_file(state, directory / f"{side}.safetensors")
        toml += [
            f'[{side}]\nname = "{side}"',
            f'config = "{side}.json"\nweights = "{side}.safetensors"',
        ]
    (directory / "pair.toml").write_text("\n".join(toml))
    texts = [text(seed, 200) for seed in range(20)]
    train_tokenizer(texts, SHAPE["d_vocab"]).save(str(directory / "tokenizer.json"))
    return directory


def make_corpus(directory: Path, documents: int = 40) -> Path:
    """Write documents of 5 to 120 words, at least two of them held out from training."""
    directory.mkdir(parents=True)
    texts = [text(seed, 5 + 23 * seed % 116) for seed in range(documents)]
    more = (text(seed, 60) for seed in range(documents, documents + 10_000))
    texts += islice((one for one in more if is_held_out(one)), 2)
    for number, content in enumerate(texts):
        (directory / f"{number:03d}.py").write_text(content)
    return directory


def text(seed: int, words: int) -> str:
    """Some words, the same for the same seed."""
    chosen = random.Random(seed).choices(WORDS, k=words)
    return " ".join(word + ("\n" if i % 9 == 8 else "") for i, word in enumerate(chosen))
