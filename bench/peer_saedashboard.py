"""SAEDashboard on MLP neurons. Runs in an environment of its own, without this project's packages.

    ENV/bin/python bench/peer_saedashboard.py SHARED --side left --layer 0 --neurons 64

A neuron is a feature of a sparse autoencoder that changes nothing (identity matrices, no biases) on
`blocks.L.mlp.hook_post`; its ReLU drops what is negative, and `mid` cannot be had. Settings are the
documented ones for speed: forward passes cached on disk, feature batches of 256 (or all that is
asked for), 64 prompts at once. One thread. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file


def model_of(shared: Path, side: str) -> Any:
    """A HookedTransformer with the side's weights; checked against activations in SHARED."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformers import PreTrainedTokenizerFast

    config = json.loads((shared / f"{side}.json").read_text("utf-8"))
    names = ("n_layers", "d_model", "n_ctx", "d_head", "n_heads", "d_mlp", "d_vocab", "act_fn")
    chosen = {name: config[name] for name in names}
    model = HookedTransformer(
        HookedTransformerConfig(**chosen, normalization_type="LN", device="cpu"),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_file=str(shared / "tokenizer.json"), bos_token="<|endoftext|>",
            eos_token="<|endoftext|>", pad_token="<|endoftext|>",
            # Taken as it is, not loaded anew by a name.
            name_or_path="local", add_bos_token=True,
        ),
    )  # fmt: skip
    state = load_file(shared / f"{side}.safetensors")
    heads, d_head = config["n_heads"], config["d_head"]
    found = {
        "embed.W_E": state["tok_embed.weight"],
        "pos_embed.W_pos": state["pos.weight"],
        "ln_final.w": state["ln_out.weight"],
        "ln_final.b": state["ln_out.bias"],
        "unembed.W_U": state["head.weight"].T.contiguous(),
        "unembed.b_U": torch.zeros(config["d_vocab"]),
    }
    for i in range(config["n_layers"]):
        theirs, ours = f"blocks.{i}.", f"layers.{i}."
        for letter in "qkv":
            weight = state[f"{ours}attn.{letter}.weight"].float()
            found[f"{theirs}attn.W_{letter.upper()}"] = weight.view(heads, d_head, -1).mT
            bias = state[f"{ours}attn.{letter}.bias"]
            found[f"{theirs}attn.b_{letter.upper()}"] = bias.view(heads, d_head)
        found[f"{theirs}attn.W_O"] = state[f"{ours}attn.o.weight"].T.reshape(heads, d_head, -1)
        found[f"{theirs}attn.b_O"] = state[f"{ours}attn.o.bias"]
        for norm in ("ln1", "ln2", "mlp.ln"):
            if f"{ours}{norm}.weight" in state:
                found[f"{theirs}{norm}.w"] = state[f"{ours}{norm}.weight"]
                found[f"{theirs}{norm}.b"] = state[f"{ours}{norm}.bias"]
        for name, of in (("in", "fc_in"), ("out", "fc_out")):
            found[f"{theirs}mlp.W_{name}"] = state[f"{ours}mlp.{of}.weight"].T
            found[f"{theirs}mlp.b_{name}"] = state[f"{ours}mlp.{of}.bias"]
    model.load_state_dict({k: v.float().contiguous() for k, v in found.items()}, strict=False)
    model.eval().requires_grad_(False)
    return model


def check(model: Any, shared: Path, side: str, layer: int) -> None:
    """The peer computes the same activations, or the comparison means nothing."""
    tokens = torch.from_numpy(np.load(shared / "tokens.npy")[:1].astype(np.int64))
    name = f"blocks.{layer}.mlp.hook_post"
    _, cache = model.run_with_cache(tokens, names_filter=name)
    wanted = torch.from_numpy(np.load(shared / f"check-{side}-{layer}.npy"))
    error = float((cache[name][0] - wanted).abs().max())
    if error > 1e-3:
        sys.exit(f"the peer's activations differ by {error:g} from the pair's")


def identity_sae(model: Any, layer: int) -> Any:
    """An autoencoder whose features are the neurons."""
    from sae_lens import StandardSAE, StandardSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    n, name = model.cfg.d_mlp, f"blocks.{layer}.mlp.hook_post"
    metadata = SAEMetadata(hook_name=name, model_name="local", prepend_bos=False)
    sae = StandardSAE(
        StandardSAEConfig(
            d_in=n, d_sae=n, dtype="float32", device="cpu", metadata=metadata,
            apply_b_dec_to_input=False,
        )
    )  # fmt: skip
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(n))
        sae.W_dec.copy_(torch.eye(n))
        sae.b_enc.zero_()
        sae.b_dec.zero_()
    return sae


def measure(
    shared: Path, side: str, layer: int, neurons: int, windows: int | None
) -> dict[str, Any]:
    """Seconds, bytes and memory of so many dashboards."""
    from sae_dashboard.data_writing_fns import save_feature_centric_vis
    from sae_dashboard.sae_vis_data import SaeVisConfig
    from sae_dashboard.sae_vis_runner import SaeVisRunner

    torch.set_num_threads(1)
    model = model_of(shared, side)
    check(model, shared, side, layer)
    sae = identity_sae(model, layer)
    tokens = torch.from_numpy(np.load(shared / "tokens.npy")[:windows].astype(np.int64))
    cache = shared / f"cache-{side}-{layer}"
    config = SaeVisConfig(
        hook_point=f"blocks.{layer}.mlp.hook_post",
        features=list(range(neurons)),
        minibatch_size_features=min(256, neurons),
        minibatch_size_tokens=64,
        device="cpu",
        dtype="float32",
        cache_dir=cache,
        verbose=False,
    )
    began, cpu = time.monotonic(), time.process_time()
    data = SaeVisRunner(config).run(encoder=sae, model=model, tokens=tokens)
    computed, computed_cpu = time.monotonic() - began, time.process_time() - cpu
    page = shared / f"saedashboard-{side}-{layer}.html"
    began, cpu = time.monotonic(), time.process_time()
    save_feature_centric_vis(data, page)
    mask = np.load(shared / "mask.npy")[:windows]
    return {
        "tokens": int(mask.sum()),
        "neurons": neurons,
        "seconds": computed,
        "cpu_seconds": computed_cpu,
        "write_seconds": time.monotonic() - began,
        "write_cpu_seconds": time.process_time() - cpu,
        "bytes_a_neuron": page.stat().st_size / neurons,
        "cache_bytes": sum(file.stat().st_size for file in cache.iterdir()),
    }


def main() -> None:
    """One line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--side", default="left")
    parser.add_argument("--layer", type=int, default=0)
    parser.add_argument("--neurons", type=int, default=64)
    parser.add_argument("--windows", type=int)
    given = parser.parse_args()
    found = measure(given.shared, given.side, given.layer, given.neurons, given.windows)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
