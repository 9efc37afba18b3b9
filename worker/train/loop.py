"""Training one version, from its first step or its last checkpoint to the end.

What is deterministic stays so across an interruption: the batches follow from the seed and the
step, there is no dropout, and a checkpoint holds weights, optimizer and step exactly. So a
resumed run gives the weights of an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformer_lens.model_bridge.sources.native import NativeModel, initialize_native_model

from worker.errors import TrainError
from worker.lean import LeanModel
from worker.models import build_native
from worker.train.cross_entropy import unembedding_cross_entropy
from worker.train.data import NO_TARGET, WindowStore, batch_rows
from worker.train.settings import TrainSettings

CHECKPOINT_SECONDS = 180.0
REPORT_SECONDS = 1.0
CURVE_POINTS = 400


@dataclass
class State:
    """Everything a checkpoint holds."""

    model: NativeModel
    optimizer: torch.optim.Optimizer
    step: int = 0
    tokens: int = 0  # predicted so far
    seconds: float = 0.0
    curve: list[tuple[int, float]] = field(default_factory=list)  # (tokens, mean training loss)
    recent: list[Tensor] = field(default_factory=list)  # losses since the curve's last point


@dataclass(frozen=True)
class Report:
    """Where a version's training stands; written as JSON for whoever shows it."""

    step: int
    steps: int
    tokens: int
    loss: float | None
    rate: float  # tokens a second since this process began
    seconds_left: float | None
    error: str | None = None
    hint: str = ""


def build_model(settings: TrainSettings, side: str) -> NativeModel:
    """The side's model with its starting weights: those that sides share are equal."""
    model = build_native(settings.config(side))
    initialize_native_model(model, model.cfg, seed=settings.seed)
    return model


def step_count(settings: TrainSettings, store: WindowStore) -> int:
    """Steps until `settings.tokens` tokens were seen, at the store's mean tokens a window."""
    if not len(store):
        raise TrainError("the corpus gives no text to train on", "give more text")
    return max(1, math.ceil(settings.tokens * len(store) / store.n_tokens / settings.batch))


def train_version(
    settings: TrainSettings,
    side: str,
    store: WindowStore,
    device: torch.device,
    checkpoint: Path,
    report: Callable[[Report], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> State | None:
    """Train one side until its last step, and leave its last state in `checkpoint`.

    Goes on from `checkpoint` if it is there. Returns None where `should_stop` asked to stop:
    then the checkpoint holds the step reached. Raises `TrainError` if the loss is not finite.
    """
    torch.set_flush_denormal(True)
    steps = step_count(settings, store)
    state = _start(settings, side, device, checkpoint)
    dtype = compute_dtype(device)
    lean = LeanModel(state.model)
    weight = state.model.head.weight
    began, saved, reported = time.monotonic(), time.monotonic(), 0.0
    before, tokens_before = state.seconds, state.tokens
    span = max(1, steps // CURVE_POINTS)
    for rows in batch_rows(len(store), settings.batch, steps, settings.seed, state.step):
        tokens = torch.from_numpy(store.tokens[rows]).to(device, torch.long)
        targets = torch.from_numpy(store.targets[rows]).to(device, torch.long).flatten()
        known = (targets != NO_TARGET).nonzero().squeeze(1)
        with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            hidden = lean.forward(tokens, want="hidden")
        assert hidden is not None
        picked = hidden.flatten(0, 1)[known].float()
        loss = unembedding_cross_entropy(picked, weight, targets[known], dtype)
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(settings, state.step, steps)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip)
        state.optimizer.step()
        state.step += 1
        state.tokens += len(known)
        state.recent.append(loss.detach())
        now = time.monotonic()
        state.seconds = before + now - began
        stop = should_stop()
        last = state.step == steps
        if state.step % span == 0 or last:
            state.curve.append((state.tokens, round(_mean_loss(state, side), 4)))
            state.recent = []
        if now - reported >= REPORT_SECONDS or last or stop:
            reported = now
            rate = (state.tokens - tokens_before) / max(now - began, 1e-9)
            left = (steps - state.step) * state.tokens / state.step / rate
            loss_now = state.curve[-1][1] if state.curve else None
            report(Report(state.step, steps, state.tokens, loss_now, rate, left))
        if now - saved >= CHECKPOINT_SECONDS or last or stop:
            if state.recent:
                _mean_loss(state, side)
            save_checkpoint(state, checkpoint)
            saved = time.monotonic()
        if stop and state.step < steps:
            return None
    return state


def _mean_loss(state: State, side: str) -> float:
    mean = torch.stack(state.recent).mean().item()
    if not math.isfinite(mean):
        raise TrainError(
            f"the loss of {side} became {mean} by step {state.step}",
            "lower the learning rate, or train with another seed",
        )
    return mean


def learning_rate(settings: TrainSettings, step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine from the peak to `final_rate` of it."""
    warm = max(1, round(settings.warm_up * steps))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    gone = (step - warm) / max(1, steps - warm)
    share = settings.final_rate + (1 - settings.final_rate) * 0.5 * (1 + math.cos(math.pi * gone))
    return settings.learning_rate * share


def compute_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it faster than float32."""
    fast = device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
    return torch.bfloat16 if fast else torch.float32


def save_checkpoint(state: State, path: Path) -> None:
    """Write the checkpoint whole or not at all."""
    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "model": state.model.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "step": state.step,
            "tokens": state.tokens,
            "seconds": state.seconds,
            "curve": state.curve,
            "recent": [loss.item() for loss in state.recent],
        },
        temporary,
    )
    temporary.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote, on the CPU."""
    return dict(torch.load(path, map_location="cpu", weights_only=True))


def _start(settings: TrainSettings, side: str, device: torch.device, checkpoint: Path) -> State:
    model = build_model(settings, side).to(device)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=settings.betas,
        fused=device.type in ("cpu", "cuda"),
    )
    state = State(model, optimizer)
    if checkpoint.is_file():
        saved = read_checkpoint(checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        state.step, state.tokens = saved["step"], saved["tokens"]
        state.seconds = saved["seconds"]
        state.curve = [(int(tokens), float(loss)) for tokens, loss in saved["curve"]]
        state.recent = [torch.tensor(loss, device=device) for loss in saved["recent"]]
    return state


def write_report(path: Path, report: Report) -> None:
    """Leave a report where another process can read it whole."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(vars(report)), "utf-8")
    temporary.replace(path)
