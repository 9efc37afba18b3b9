"""The pair directory from a run's checkpoints: weights, configs, losses, curves, provenance.

It serves the end of a run and, through `python -m worker.train.export_checkpoint`, any moment
before: a pair can be taken from the checkpoints of a run that goes on.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from worker.errors import TrainError
from worker.lean import LeanModel
from worker.models import build_native
from worker.tokenizer import END_OF_TEXT, token_bytes
from worker.train.data import WindowStore, open_windows
from worker.train.loop import read_checkpoint
from worker.train.losses import HeldOutLoss, held_out_losses
from worker.train.settings import TrainSettings, WorkFiles

NAMES = {"solu_ln": "SoLU", "solu": "SoLU without LayerNorm", "gelu": "GeLU", "relu": "ReLU"}


def write_pair(
    work: WorkFiles, out: Path, device: torch.device, held_out_tokens: int | None = None
) -> dict[str, Any]:
    """Write the pair that the checkpoints in `work` make into `out`, and return its `[training]`.

    Left and right must have a checkpoint; the control is left out while it has none. `pair.toml`
    comes last: until it is there, the directory is no pair. The losses are taken on all held-out
    windows, or on evenly chosen ones of about `held_out_tokens` tokens.
    """
    settings = TrainSettings.load(work.settings)
    held_out = open_windows(work.held_out)
    if held_out_tokens is not None:
        held_out = held_out.thinned(held_out_tokens)
    sides = [side for side in settings.versions if work.checkpoint(side).is_file()]
    if missing := {"left", "right"} - set(sides):
        raise TrainError(
            f"{' and '.join(sorted(missing))} of {work.directory} has no checkpoint yet",
            "wait for the first, some minutes after the start",
        )
    out.mkdir(parents=True, exist_ok=True)
    tokens = token_bytes(Tokenizer.from_file(str(work.tokenizer)))
    curves, losses, seen = {}, {}, {}
    with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as temporary:
        new = Path(temporary)
        for side in sides:
            saved = read_checkpoint(work.checkpoint(side))
            state = {name: tensor.half().contiguous() for name, tensor in saved["model"].items()}
            save_file(state, new / f"{side}.safetensors")
            (new / f"{side}.json").write_text(json.dumps(settings.config(side), indent=1) + "\n")
            losses[side] = _measure(settings, side, state, held_out, tokens, device)
            curves[side], seen[side] = saved["curve"], saved["tokens"]
        shutil.copyfile(work.tokenizer, new / "tokenizer.json")
        (new / "training.csv").write_text(_curves_csv(curves), "utf-8")
        training = _training(settings, open_windows(work.windows), losses, seen)
        (new / "pair.toml").write_text(_pair_toml(out, settings, sides, training), "utf-8")
        for path in sorted(new.iterdir(), key=lambda path: path.name == "pair.toml"):
            path.chmod(0o644)
            path.replace(out / path.name)
    return training


def _measure(
    settings: TrainSettings,
    side: str,
    state: dict[str, torch.Tensor],
    held_out: WindowStore,
    tokens: list[bytes],
    device: torch.device,
) -> dict[str, HeldOutLoss]:
    """Losses of the weights as they are written, in half precision."""
    model = build_native(settings.config(side))
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    model.requires_grad_(False)
    return held_out_losses(LeanModel(model.to(device)), held_out, tokens, device)


def _training(
    settings: TrainSettings,
    windows: WindowStore,
    losses: dict[str, dict[str, HeldOutLoss]],
    seen: dict[str, int],
) -> dict[str, Any]:
    """How the pair was made and how good it is, as `[training]` has it."""
    totals = {side: sum(by.values(), HeldOutLoss(0, 0, 0.0)) for side, by in losses.items()}
    one = next(iter(totals.values()))
    return {
        "corpus": list(settings.corpora),
        "tokens": min(seen["left"], seen["right"]),
        "tokens_available": windows.n_tokens,
        "seed": settings.seed,
        "date": datetime.now(UTC).date().isoformat(),
        "made_by": "twinscope train",
        "torch": str(torch.__version__),
        "hyperparameters": {
            "optimizer": "AdamW",
            "batch_windows": settings.batch,
            "learning_rate": settings.learning_rate,
            "warm_up": settings.warm_up,
            "final_rate": settings.final_rate,
            "weight_decay": settings.weight_decay,
            "betas": list(settings.betas),
            "clip": settings.clip,
        },
        "held_out": {
            "tokens": one.tokens,
            "bytes_per_token": _digits(one.bytes / one.tokens if one.tokens else None),
        },
        "losses": {
            side: {
                "tokens_trained": seen[side],
                "nats_per_token": _digits(totals[side].nats_per_token),
                "bits_per_byte": _digits(totals[side].bits_per_byte),
                "sources": {
                    source: {
                        "tokens": loss.tokens,
                        "nats_per_token": _digits(loss.nats_per_token),
                        "bits_per_byte": _digits(loss.bits_per_byte),
                    }
                    for source, loss in by.items()
                },
            }
            for side, by in losses.items()
        },
    }


def _digits(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _curves_csv(curves: dict[str, list[tuple[int, float]]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["side", "tokens", "loss"])
    for side, points in curves.items():
        writer.writerows([side, tokens, loss] for tokens, loss in points)
    return text.getvalue()


def _pair_toml(
    out: Path, settings: TrainSettings, sides: list[str], training: dict[str, Any]
) -> str:
    names = {side: NAMES.get(act_fn, act_fn) for side, act_fn in settings.versions.items()}
    pair: dict[str, Any] = {
        "name": f"{out.resolve().name}: {names['left']} and {names['right']}",
        "description": f"{settings.n_layers} layers, d_model {settings.d_model}, d_mlp "
        f"{settings.d_mlp}, trained from the same weights on the same batches of "
        f"{', '.join(Path(corpus).name for corpus in settings.corpora)}.",
        "bos_token": END_OF_TEXT,
    }
    for side in sides:
        pair[side] = {
            "name": names[side],
            "config": f"{side}.json",
            "weights": f"{side}.safetensors",
        }
    return to_toml(pair | {"training": training})


def to_toml(table: dict[str, Any], prefix: str = "") -> str:
    """A nested dict of strings, numbers and lists of them as TOML; None is left out."""
    plain = {k: v for k, v in table.items() if not isinstance(v, dict) and v is not None}
    lines = [
        f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in plain.items()
    ]
    if prefix and (plain or not table):
        lines.insert(0, f"\n[{prefix}]\n")
    for key, value in table.items():
        if isinstance(value, dict):
            lines.append(to_toml(value, f"{prefix}.{_key(key)}" if prefix else _key(key)))
    return "".join(lines)


def _key(key: str) -> str:
    bare = key.replace("-", "").replace("_", "")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key, ensure_ascii=False)
