"""Batches of evidence windows: what the jobs of this package are given, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from worker.activations import BATCH_TOKENS, padded
from worker.evidence.windows import EvidenceWindows, take_windows
from worker.windows import TokenWindows


@dataclass(frozen=True)
class OfBatch:
    """What a job gives for a batch: `start` is the rank of its first window, `count` how many."""

    start: int
    count: int


@dataclass(frozen=True)
class Totals:
    """What a worker has summed over its batches, given once at the end."""


@dataclass(frozen=True)
class Batch:
    """Some consecutive evidence windows, padded with masked rows to a fixed number.

    `start` is the rank of the first among the evidence windows, `count` how many are real.
    """

    start: int
    count: int
    windows: TokenWindows

    def __str__(self) -> str:
        return f"evidence windows {self.start}–{self.start + self.count - 1}"

    @property
    def ranks(self) -> npt.NDArray[np.int64]:
        """Rank of each real window."""
        return np.arange(self.start, self.start + self.count)

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """Flat places b · n_ctx + position of the unmasked tokens, ascending [R]."""
        return np.flatnonzero(self.windows.mask).astype(np.int64)

    @cached_property
    def window_of_row(self) -> npt.NDArray[np.int64]:
        """The window (0-based within the batch) of each row [R]."""
        window: npt.NDArray[np.int64] = self.rows // self.windows.mask.shape[1]
        return window

    def tokens(self, device: torch.device) -> Tensor:
        """[B, n_ctx] int64."""
        return torch.from_numpy(self.windows.tokens).long().to(device)

    def mask(self, device: torch.device) -> Tensor:
        """[B, n_ctx] bool: False at BOS and padding."""
        return torch.from_numpy(self.windows.mask).to(device)

    def places(self, device: torch.device) -> Tensor:
        """`rows` as a tensor."""
        return torch.from_numpy(self.rows).to(device)

    def targets(self, device: torch.device) -> Tensor:
        """The token that follows each position within its window, −1 where none does."""
        following = np.full(self.windows.tokens.shape, -1, np.int64)
        known = self.windows.mask[:, 1:]
        following[:, :-1] = np.where(known, self.windows.tokens[:, 1:], -1)
        return torch.from_numpy(following).to(device)


def batches(windows: EvidenceWindows, count: int, device: str) -> Iterator[Batch]:
    """The first `count` windows, in batches of the device's size."""
    n_ctx = windows.windows.mask.shape[1]
    size = max(1, BATCH_TOKENS[torch.device(device).type] // n_ctx)
    for start in range(0, count, size):
        here = np.arange(start, min(start + size, count))
        yield Batch(start, len(here), padded(take_windows(windows.windows, here), size))
