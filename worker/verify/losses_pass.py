"""Losses of the library's own model on the held-out documents, in double precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from worker.activations import Models
from worker.losses import LossTask
from worker.pairs import Version
from worker.verify.plain import PlainModels

_ELEMENTS = 1 << 24  # of the logits that stand in memory at once


@dataclass(frozen=True)
class LossJob:
    """Every model of the pair."""

    versions: dict[str, Version]

    def open(self, models: Models) -> LossWork:
        return LossWork(PlainModels.load(self.versions, models.device))


@dataclass(frozen=True)
class LossWork:
    """`handle` gives (tokens, {(side, source's index): nats})."""

    models: PlainModels

    def handle(self, task: LossTask) -> tuple[int, dict[tuple[str, int], float]]:
        found: dict[tuple[str, int], float] = {}
        windows = task.windows
        for side, model in self.models.by_side.items():
            size = max(1, _ELEMENTS // (windows.mask.shape[1] * model.head.out_features))
            for start in range(0, len(windows), size):
                part = slice(start, start + size)
                tokens = self.models.tokens(windows.tokens[part])
                mask = torch.from_numpy(windows.mask[part, 1:]).to(tokens.device)
                with torch.inference_mode():
                    logits = model(tokens)[:, :-1]
                    exact = logits.float() if tokens.device.type == "mps" else logits.double()
                    surprise = -torch.log_softmax(exact, -1)
                    nats = surprise.gather(-1, tokens[:, 1:, None])[..., 0] * mask
                for i, value in enumerate(nats.sum(1).tolist()):
                    key = side, int(task.source[start + i])
                    found[key] = found.get(key, 0.0) + float(value)
        return int(np.sum(windows.mask)), found

    def finish(self) -> None:
        return None
