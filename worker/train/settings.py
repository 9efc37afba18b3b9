"""What a training run is: everything that decides its result, and where its parts lie on disk."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.errors import TrainError, UsageError
from worker.pairs import ACT_FNS


@dataclass(frozen=True)
class TrainSettings:
    """A run's settings; the same settings on the same corpus give the same weights."""

    corpora: tuple[str, ...]
    n_layers: int = 2
    d_model: int = 128
    d_mlp: int = 512
    n_heads: int = 4
    n_ctx: int = 128
    d_vocab: int = 4096
    tokens: int = 30_000_000
    seed: int = 0
    left: str = "solu_ln"
    right: str = "gelu"
    control: str | None = "solu"
    batch: int = 8  # windows a step
    learning_rate: float = 3e-3  # at its peak
    warm_up: float = 0.02  # share of all steps
    final_rate: float = 0.02  # share of the peak at the last step
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    held_out_tokens: int = 1_000_000

    def __post_init__(self) -> None:
        for side, act_fn in self.versions.items():
            if act_fn not in ACT_FNS:
                raise UsageError(
                    f"{side} has no activation function {act_fn!r}",
                    f"use one of {', '.join(ACT_FNS)}",
                )
        for field in ("n_layers", "d_model", "d_mlp", "n_heads", "tokens", "batch"):
            if getattr(self, field) < 1:
                raise UsageError(f"{field} is {getattr(self, field)}", "give at least 1")
        if self.n_ctx < 2:
            raise UsageError(
                f"n_ctx is {self.n_ctx}", "a window needs BOS and a token: give 2 or more"
            )
        if self.d_vocab < 257:
            raise UsageError(f"vocab is {self.d_vocab}", "give at least 257: every byte, and BOS")
        if self.d_model % self.n_heads:
            raise UsageError(
                f"d_model {self.d_model} is no multiple of {self.n_heads} heads", "change either"
            )

    @property
    def versions(self) -> dict[str, str]:
        """The activation function of each side, in the order of their importance."""
        versions = {"left": self.left, "right": self.right}
        return versions | ({"control": self.control} if self.control else {})

    def config(self, side: str) -> dict[str, Any]:
        """TransformerBridgeConfig's fields for one side."""
        return {
            "n_layers": self.n_layers,
            "d_model": self.d_model,
            "n_ctx": self.n_ctx,
            "d_head": self.d_model // self.n_heads,
            "n_heads": self.n_heads,
            "d_mlp": self.d_mlp,
            "d_vocab": self.d_vocab,
            "act_fn": self.versions[side],
            "normalization_type": "LN",
        }

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1), "utf-8")

    @classmethod
    def load(cls, path: Path) -> TrainSettings:
        try:
            fields = json.loads(path.read_text("utf-8"))
            tuples = {name: tuple(fields[name]) for name in ("corpora", "betas")}
            return cls(**fields | tuples)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainError(
                f"the run's settings in {path} cannot be read: {error}", "start the run anew"
            ) from error


@dataclass(frozen=True)
class WorkFiles:
    """Where a run keeps what it needs until the pair is written."""

    directory: Path

    @property
    def settings(self) -> Path:
        return self.directory / "settings.json"

    @property
    def tokenizer(self) -> Path:
        return self.directory / "tokenizer.json"

    @property
    def windows(self) -> Path:
        return self.directory / "windows"

    @property
    def held_out(self) -> Path:
        return self.directory / "held_out"

    def checkpoint(self, side: str) -> Path:
        return self.directory / f"{side}.checkpoint.pt"

    def progress(self, side: str) -> Path:
        return self.directory / f"{side}.progress.json"
