"""Losses on held-out documents, a sum a side and source (EVIDENCE §7, DESIGN §2).

A token is predicted from those before it in its own window, BOS first; every unmasked token of a
held-out document counts once. All sides read the same tokens: whole held-out documents, in the
run's order, until at least so many tokens as the settings ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from store.records import LossRecord
from worker.activations import Models
from worker.corpus import Document
from worker.tokenizer import PairTokenizer
from worker.windows import TokenWindows, token_windows

#: Bytes of logits that stand in memory together, by kind of device: a core's cache holds so many,
#: and what is taken from it again costs no page faults.
_LOGITS = {"cpu": 8 << 20, "mps": 64 << 20, "cuda": 256 << 20}

#: Between these a sum of exp(logits) has lost nothing to float32's range.
_SAFE = 1e-25, 1e35


@dataclass(frozen=True)
class LossTask:
    """Windows of held-out documents; `source` [B] indexes the stream's sources."""

    windows: TokenWindows
    source: npt.NDArray[np.int64]

    def __str__(self) -> str:
        return f"held-out document {self.windows.document[0]}"


@dataclass
class HeldOutStream:
    """Tasks over held-out documents, counted as they pass, by source."""

    documents: Iterable[Document]
    tokenizer: PairTokenizer
    n_ctx: int
    token_lengths: npt.NDArray[np.int64]  # bytes of each token id
    min_tokens: int
    task_windows: int
    sources: list[str] = field(default_factory=list)
    n_documents: list[int] = field(default_factory=list)
    n_tokens: list[int] = field(default_factory=list)
    n_bytes: list[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[LossTask]:
        for document in self.documents:
            if not document.held_out:
                continue
            if sum(self.n_tokens) >= self.min_tokens:
                return
            source = self._count(document.source)
            for windows in token_windows([document], self.tokenizer, self.n_ctx, self.task_windows):
                ids = windows.tokens[windows.mask]
                self.n_tokens[source] += len(ids)
                self.n_bytes[source] += int(self.token_lengths[ids].sum())
                yield LossTask(windows, np.full(len(windows), source, np.int64))

    def _count(self, source: str) -> int:
        if source not in self.sources:
            self.sources.append(source)
            for counts in (self.n_documents, self.n_tokens, self.n_bytes):
                counts.append(0)
        index = self.sources.index(source)
        self.n_documents[index] += 1
        return index

    def records(self, nats: dict[tuple[str, int], float]) -> list[LossRecord]:
        """With the sums that the job gave, by (side, source's index)."""
        return [
            LossRecord(
                side,
                self.sources[source],
                self.n_documents[source],
                self.n_tokens[source],
                self.n_bytes[source],
                value,
            )
            for (side, source), value in sorted(nats.items())
        ]


@dataclass(frozen=True)
class LossJob:
    """Sums of nats of every side."""

    sides: tuple[str, ...]
    batch_windows: int

    def open(self, models: Models) -> LossWork:
        return LossWork(self, models)


@dataclass(frozen=True)
class LossWork:
    """`handle` gives (number of tokens, {(side, source): nats})."""

    job: LossJob
    models: Models

    def handle(self, task: LossTask) -> tuple[int, dict[tuple[str, int], float]]:
        sums: dict[tuple[str, int], float] = {}
        place = 0
        for windows in task.windows.parts(self.job.batch_windows):
            for side in self.job.sides:
                nats = window_nats(self.models, side, windows)
                for i, value in enumerate(nats):
                    key = side, int(task.source[place + i])
                    sums[key] = sums.get(key, 0.0) + float(value)
            place += len(windows)
        return task.windows.unmasked, sums

    def finish(self) -> None:
        return None


def window_nats(models: Models, side: str, windows: TokenWindows) -> npt.NDArray[np.float64]:
    """Summed loss of each window's unmasked tokens; [B]."""
    longest = int(windows.mask.sum(axis=1).max()) + 1
    lean = models.lean[side]
    with torch.inference_mode():
        tokens = torch.from_numpy(windows.tokens[:, :longest]).long().to(models.device)
        mask = torch.from_numpy(windows.mask[:, 1:longest]).to(models.device)
        hidden = lean.forward(tokens[:, :-1], want="hidden")
        assert hidden is not None
        rows_at_once = max(16, _LOGITS[models.device.type] // (4 * lean.model.head.out_features))
        nats = torch.zeros(mask.shape, dtype=torch.float32, device=models.device)
        nats[mask] = torch.cat(
            [
                _nats(lean.model.head, rows, targets)
                for rows, targets in zip(
                    torch.split(hidden[mask], rows_at_once),
                    torch.split(tokens[:, 1:][mask], rows_at_once),
                    strict=True,
                )
            ]
        )
        found: npt.NDArray[np.float64] = nats.cpu().numpy().astype(np.float64).sum(axis=1)
    return found


def _nats(
    head: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Loss of each row [R, d_model], its target [R]; [R]. Logits are rarely so large or so small
    that exp alone will not do, which saves a pass over them and an array."""
    logits = head(rows).float()
    of_target = logits.gather(1, targets[:, None])[:, 0]
    total = logits.exp_().sum(1)
    if bool(((total > _SAFE[0]) & (total < _SAFE[1])).all()):
        return total.log_() - of_target
    return F.cross_entropy(head(rows).float(), targets, reduction="none")


@dataclass
class LossSums:
    """Sums over a job's results: tokens, and nats by (side, source)."""

    n_tokens: int = 0
    nats: dict[tuple[str, int], float] = field(default_factory=dict)

    def add(self, n_tokens: int, nats: dict[tuple[str, int], float]) -> None:
        self.n_tokens += n_tokens
        for key, value in nats.items():
            self.nats[key] = self.nats.get(key, 0.0) + value
