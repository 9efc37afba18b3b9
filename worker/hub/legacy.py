"""TransformerLens's own older format: `config.json` in its fields and `*final.pth`, a state dict.

    config = legacy_config(read_json(path), "NeelNanda/SoLU_1L512W_C4_Code")
    file = weights_file(files, checkpoint=None)
    state = native_state(torch.load(…), config)

This is what `TransformerBridge.boot_tl_legacy` reads, and the result is what its model computes
(a test compares them): nothing is folded or centred. It is not called itself, because it neither
keeps to one commit of the repository nor says how far a download is, and its wrappers are not
wanted. Tensors keep the type that they are stored in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint

from worker.errors import PairError
from worker.pairs import ACT_FNS, SIZES

#: How the format is called where a run says what it was computed from.
FORMAT = "legacy TransformerLens, converted as by boot_tl_legacy, no compatibility mode"

#: The bridge's names of components, and those of a plain `NativeModel`.
_NATIVE = {
    "embed.": "tok_embed.",
    "pos_embed.": "pos.",
    "ln_final.": "ln_out.",
    "unembed.": "head.",
    "blocks.": "layers.",
    ".mlp.in.": ".mlp.fc_in.",
    ".mlp.out.": ".mlp.fc_out.",
}
_CHECKPOINT = re.compile(r"checkpoints/.*_(\d+)\.pth")


def is_legacy(config: dict[str, Any]) -> bool:
    """Whether a config.json is of this format."""
    return "model_type" not in config and {"d_model", "n_layers", "act_fn"} <= config.keys()


def legacy_config(found: dict[str, Any], name: str) -> dict[str, Any]:
    """TransformerBridgeConfig's fields, as far as a native model is made of them."""
    if found.get("attn_only"):
        raise PairError(f"{name} has no MLP (attn_only), so it has no neurons", "name another")
    if missing := [field for field in (*SIZES, "act_fn") if field not in found]:
        raise PairError(f"config.json of {name} lacks {', '.join(missing)}", "name another model")
    if found.get("shortformer_pos"):
        raise PairError(
            f"{name} adds its positions to keys and queries (shortformer_pos)",
            "only models with plain absolute positions are supported",
        )
    if found.get("architecture") == "mingpt":
        raise PairError(f"{name} is a minGPT, which reads no text", "name another model")
    if found["act_fn"] not in ACT_FNS:
        raise PairError(
            f"{name} has act_fn {found['act_fn']!r}", f"supported: {', '.join(ACT_FNS)}"
        )
    return {
        **{field: int(found[field]) for field in SIZES},
        "act_fn": found["act_fn"],
        "normalization_type": found.get("normalization", found.get("normalization_type")),
        "final_rms": bool(found.get("final_rms", False)),
    }


def weights_file(files: Iterable[str], name: str, checkpoint: int | None) -> str:
    """The state dict's name in the repository: the final one, or that of a checkpoint."""
    names = sorted(files)
    if checkpoint is None:
        final = [one for one in names if one.endswith("final.pth")]
        if not final:
            raise PairError(
                f"{name} has no *final.pth", "only TransformerLens's older format is read"
            )
        return final[0]
    labels = {int(match[1]): one for one in names if (match := _CHECKPOINT.fullmatch(one))}
    if checkpoint in labels:
        return labels[checkpoint]
    if not labels:
        raise PairError(f"{name} has no checkpoints", "leave @checkpoint out")
    near = sorted(sorted(labels, key=lambda label: abs(label - checkpoint))[:3])
    raise PairError(
        f"{name} has no checkpoint {checkpoint}",
        f"it has {len(labels)}, from {min(labels)} to {max(labels)}; the nearest are "
        f"{', '.join(map(str, near))}",
    )


def native_state(found: dict[str, Tensor], config: dict[str, Any], name: str) -> dict[str, Tensor]:
    """A `NativeModel`'s state dict from a repository's.

    An unembedding's bias is kept as `head.bias` unless all of its entries are equal, when a
    softmax does not see it.
    """
    if "_old" in name:
        found = _turned(found, config["n_layers"])
    try:
        converted = convert_tl_checkpoint(found, TransformerBridgeConfig(**config))
    except (ValueError, RuntimeError) as error:
        raise PairError(f"the weights of {name} do not fit its config: {error}") from error
    state = {}
    for key, tensor in converted.items():
        for old, new in _NATIVE.items():
            if key.startswith(old) or (old.startswith(".") and old in key):
                key = key.replace(old, new, 1)
        state[key] = tensor.contiguous()
    bias = state.get("head.bias")
    if bias is not None and bool((bias == bias.flatten()[0]).all()):
        del state["head.bias"]
    return state


def _turned(found: dict[str, Tensor], n_layers: int) -> dict[str, Tensor]:
    """The oldest SoLU models call a LayerNorm `norm`; up to 6 layers their matrices multiply from
    the left, up to 8 layers their positions lie on their side."""
    state = {}
    for key, tensor in found.items():
        key = key.replace("norm", "ln")
        key = key.replace("ln.", "ln_final.", 1) if key.startswith("ln.") else key
        positions = key == "pos_embed.W_pos"
        turn = n_layers <= 8 if positions else n_layers <= 6 and "W_" in key
        state[key] = tensor.transpose(-2, -1) if turn else tensor
    return state


def read_state(path: Any, name: str) -> dict[str, Tensor]:
    """A state dict from a file of `torch.save`, tensors only; `PairError` for anything else."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises what it likes
        raise PairError(
            f"the weights of {name} cannot be read: {type(error).__name__}: {error}",
            "delete the file from the hub's cache and fetch it again",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(one, Tensor) for one in found.values()):
        raise PairError(f"the weights of {name} are no state dict", "name another model")
    return found
