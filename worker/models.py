"""Loading a version's model, and choosing the device it runs on."""

from __future__ import annotations

import struct
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge.sources.native import NativeModel

from worker.errors import DeviceError, PairError
from worker.pairs import Version

#: What models are computed in, by the names that the command line and a run's identity have.
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_native(
    version: Version, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> NativeModel:
    """The version's weights in a plain `NativeModel` (no bridge, no hooks), in evaluation mode;
    in the version's own dtype unless another is given.

    Strict: `PairError` names the tensors that are missing, unknown or of another shape.
    """
    try:
        state = load_file(version.weights)
    except (OSError, SafetensorError, struct.error) as error:
        raise PairError(
            f"weights {version.weights} cannot be read: {error}", "copy or train the pair again"
        ) from error
    model = check_fits(version.config, state, f"weights {version.weights} of {version.side}")
    model.load_state_dict(state, strict=True)
    model.requires_grad_(False)
    return model.to(device=device, dtype=dtype or DTYPES[version.dtype]).eval()


def check_fits(config: dict[str, Any], state: dict[str, torch.Tensor], what: str) -> NativeModel:
    """The model that a state dict is of, its parameters not yet set; `PairError` names what does
    not fit. An unembedding with a bias, which the library's own has not, is a wider layer."""
    model = build_native(config)
    if "head.bias" in state:
        model.head = torch.nn.Linear(int(config["d_model"]), len(state["head.bias"]), bias=True)
    misfit = _misfit(model.state_dict(), state)
    if misfit:
        raise PairError(
            f"{what} do not fit the config: {misfit}",
            "give the weights and the config of one model",
        )
    return model


def build_native(config: dict[str, Any]) -> NativeModel:
    """An untrained model from TransformerBridgeConfig's fields, `PairError` if they make none."""
    try:
        return NativeModel(TransformerBridgeConfig(**config))
    except (TypeError, ValueError, AssertionError) as error:
        raise PairError(f"no model can be built from this config: {error}", "mend it") from error


def _misfit(wanted: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> str:
    parts = []
    if missing := sorted(wanted.keys() - found.keys()):
        parts.append(f"missing {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}")
    if unknown := sorted(found.keys() - wanted.keys()):
        parts.append(f"unknown {', '.join(unknown[:3])}{' …' if len(unknown) > 3 else ''}")
    for name in sorted(wanted.keys() & found.keys()):
        if wanted[name].shape != found[name].shape:
            parts.append(f"{name} is {list(found[name].shape)}, not {list(wanted[name].shape)}")
            break
    return ", ".join(parts)


def resolve_device(name: str) -> torch.device:
    """`auto` (the first of cuda, mps, cpu that is there), or a device by its name.

    Raises `DeviceError` for one that this machine lacks.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    hint = f"use one of: {', '.join(_devices())}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"there is no kind of device {name!r}", hint) from error
    known = device.type == "cpu" or name in _devices()
    if not known:
        raise DeviceError(f"device {name!r} is not on this machine", hint)
    return device


def resolve_dtype(name: str, device: torch.device) -> str:
    """`name`, if it is a dtype that models are computed in and that the device can do.

    Raises `DeviceError` otherwise. The answer for a CPU or a GPU is had by trying: a product and a
    fused attention of the size of one head.
    """
    if name not in DTYPES:
        raise DeviceError(f"dtype {name!r} is not known", f"use one of: {', '.join(DTYPES)}")
    if name == "float32":
        return name
    try:
        x = torch.ones((1, 1, 16, 16), dtype=DTYPES[name], device=device)
        torch.nn.functional.scaled_dot_product_attention(x, x @ x, x, is_causal=True)
        capable = device.type != "cuda" or name != "bfloat16" or torch.cuda.is_bf16_supported()
    except (RuntimeError, TypeError):
        capable = False
    if not capable:
        raise DeviceError(f"{device} cannot compute in {name}", "use --dtype float32")
    return name


def _devices() -> list[str]:
    names = ["auto", "cpu"]
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names
