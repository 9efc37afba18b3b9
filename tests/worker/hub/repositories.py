"""Tiny repositories in the formats of the hub's: TransformerLens's older models, a tokenizer, data
sets in parquet. Weights are random, named and shaped as `HookedTransformer` saved them.

stand_in.add("model", SOLU, model_files("solu_ln", seed=0))
"""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer

from tests.worker.tiny_pair import text
from worker.tokenizer import train_tokenizer

SOLU, GELU = "NeelNanda/SoLU_1L512W_C4_Code", "NeelNanda/GELU_1L512W_C4_Code"
LARGER = "NeelNanda/SoLU_6L768W_C4_Code"
CORPUS = "NeelNanda/c4-code-20k"
TOKENIZER = "NeelNanda/gpt-neox-tokenizer-digits"
SHAPE = {
    "n_layers": 1,
    "d_model": 16,
    "n_ctx": 24,
    "d_head": 8,
    "n_heads": 2,
    "d_mlp": 12,
    "d_vocab": 300,
}


def model_files(act_fn: str, seed: int, *, old: bool = False, **config: Any) -> dict[str, bytes]:
    """A repository's files, with two checkpoints beside the final weights."""
    shape = SHAPE | {k: v for k, v in config.items() if k in SHAPE}
    said = {
        **shape,
        "act_fn": act_fn,
        "attn_only": False,
        "normalization": "LN",
        "tokenizer_name": TOKENIZER,
        "shortformer_pos": False,
        **config,
    }
    files = {"config.json": json.dumps(said).encode(), "README.md": b"---\n---\n"}
    checkpoints = ("checkpoints/tiny_000000021.pth", "checkpoints/tiny_000002100.pth")
    for number, name in enumerate(("final.pth", *checkpoints)):
        files[name] = saved(state(act_fn, 10 * seed + number, shape, old=old))
    return files


def state(act_fn: str, seed: int, shape: dict[str, int], *, old: bool = False) -> dict[str, Any]:
    """A state dict as `HookedTransformer` had it; `old`: as the very first SoLU models had it."""
    random = torch.Generator().manual_seed(seed)

    def tensor(*size: int, about: float = 0.0) -> torch.Tensor:
        return about + 0.4 * torch.randn(*size, generator=random)

    d, heads, head = shape["d_model"], shape["n_heads"], shape["d_head"]
    mlp, vocabulary, n_ctx = shape["d_mlp"], shape["d_vocab"], shape["n_ctx"]
    found = {"embed.W_E": tensor(vocabulary, d), "pos_embed.W_pos": tensor(n_ctx, d)}
    for layer in range(shape["n_layers"]):
        at = f"blocks.{layer}."
        for norm in ("ln1", "ln2"):
            found |= {f"{at}{norm}.w": tensor(d, about=1.0), f"{at}{norm}.b": tensor(d)}
        for name in "QKV":
            found[f"{at}attn.W_{name}"] = tensor(heads, d, head)
            found[f"{at}attn.b_{name}"] = tensor(heads, head)
        found |= {f"{at}attn.W_O": tensor(heads, head, d), f"{at}attn.b_O": tensor(d)}
        found[f"{at}attn.mask"] = torch.ones(n_ctx, n_ctx).tril().bool()
        found[f"{at}attn.IGNORE"] = torch.tensor(-1e5)
        found |= {f"{at}mlp.W_in": tensor(d, mlp), f"{at}mlp.b_in": tensor(mlp)}
        found |= {f"{at}mlp.W_out": tensor(mlp, d), f"{at}mlp.b_out": tensor(d)}
        if act_fn == "solu_ln":
            found |= {f"{at}mlp.ln.w": tensor(mlp, about=1.0), f"{at}mlp.ln.b": tensor(mlp)}
    found |= {"ln_final.w": tensor(d, about=1.0), "ln_final.b": tensor(d)}
    found |= {"unembed.W_U": tensor(d, vocabulary), "unembed.b_U": tensor(vocabulary)}
    return _older(found) if old else found


def _older(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As models of up to 6 layers had it: everything multiplies from the left."""
    older = {}
    for key, tensor in found.items():
        key = key.replace("ln_final", "norm").replace("ln", "norm")
        older[key] = tensor.transpose(-2, -1).contiguous() if "W_" in key else tensor
    return older


def saved(state: dict[str, Any]) -> bytes:
    """As `torch.save` writes it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def tokenizer_files(vocabulary: int = SHAPE["d_vocab"], bos: str | None = None) -> dict[str, bytes]:
    """A tokenizer's repository; its BOS is `<|endoftext|>`."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "tokenizer.json")
        tokenizer(vocabulary).save(str(path))
        files = {"tokenizer.json": path.read_bytes()}
    said = {"bos_token": bos or "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    return files | {"tokenizer_config.json": json.dumps(said).encode()}


def tokenizer(vocabulary: int = SHAPE["d_vocab"]) -> Tokenizer:
    """The tokenizer itself."""
    return train_tokenizer([text(seed, 200) for seed in range(20)], vocabulary)


def dataset_files(rows: list[dict[str, Any]], parts: int = 2) -> dict[str, bytes]:
    """A data set's repository: its rows in parquet, in so many files."""
    size = -(-len(rows) // parts)
    return {
        f"data/train-{part:05}-of-{parts:05}.parquet": parquet(rows[part * size :][:size])
        for part in range(parts)
    }


def corpus_rows(count: int) -> list[dict[str, Any]]:
    """Texts of two kinds, as one column says."""
    kinds = ("c4", "code", "code")
    return [
        {"text": text(seed, 20 + 7 * seed % 50), "meta": {"source": kinds[seed % 3], "url": "x"}}
        for seed in range(count)
    ]


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """Rows as a parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()
