"""Loss on held-out text: nats a token and bits a byte, for each source of the corpus."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from worker.lean import LeanModel
from worker.train.data import WindowStore

BATCH_WINDOWS = 8


@dataclass(frozen=True)
class HeldOutLoss:
    """Mean loss over the held-out tokens of one source; `None` where it has none."""

    tokens: int
    bytes: int
    nats: float  # summed

    @property
    def nats_per_token(self) -> float | None:
        return self.nats / self.tokens if self.tokens else None

    @property
    def bits_per_byte(self) -> float | None:
        return self.nats / math.log(2) / self.bytes if self.bytes else None

    def __add__(self, other: HeldOutLoss) -> HeldOutLoss:
        return HeldOutLoss(
            self.tokens + other.tokens, self.bytes + other.bytes, self.nats + other.nats
        )


def held_out_losses(
    lean: LeanModel, store: WindowStore, token_bytes: list[bytes], device: torch.device
) -> dict[str, HeldOutLoss]:
    """The loss of predicting each token of the held-out windows from those before it in its own
    window, by source; a byte counts with the token that holds it."""
    lengths = np.array([len(token) for token in token_bytes], dtype=np.int64)
    sums = {source: HeldOutLoss(0, 0, 0.0) for source in store.sources}
    for start in range(0, len(store), BATCH_WINDOWS):
        rows = slice(start, start + BATCH_WINDOWS)
        tokens = torch.from_numpy(np.array(store.tokens[rows])).to(device, torch.long)
        # The last position's target lies in the next window, and counts there.
        targets = torch.from_numpy(np.array(store.targets[rows, :-1])).to(device, torch.long)
        with torch.inference_mode():
            logits = lean.forward(tokens)
            assert logits is not None
            losses = F.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(),
                targets.flatten(),
                ignore_index=-1,
                reduction="none",
            ).view(targets.shape)
        nats = losses.double().sum(1).tolist()
        known = store.targets[rows, :-1] >= 0
        n_bytes = np.where(known, lengths[store.targets[rows, :-1]], 0).sum(1)
        for i, source in enumerate(store.source[rows].tolist()):
            one = HeldOutLoss(int(known[i].sum()), int(n_bytes[i]), nats[i])
            sums[store.sources[source]] += one
    return sums
