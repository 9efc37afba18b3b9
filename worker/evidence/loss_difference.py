"""The interpretability tax: loss differences on the same tokens of held-out documents.

A document's nats are summed over its tokens that are predicted within its windows (BOS predicts
the first of each). Differences are of these sums over all documents of a source, and their
intervals a paired bootstrap over documents: whole documents are drawn again, with all their sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from store.evidence_records import LossDifferenceRecord
from worker.activations import Models, padded
from worker.windows import TokenWindows

_ROWS = {"cpu": 256, "mps": 1024, "cuda": 4096}

#: Which differences are taken, where both sides are there.
DIFFERENCES = (("left", "right"), ("left", "control"), ("control", "right"))


@dataclass(frozen=True)
class DocumentLosses:
    """Sums of some documents, in parts: a document may appear more than once."""

    document: npt.NDArray[np.int64]  # [N]
    n_tokens: npt.NDArray[np.int64]  # [N]
    n_bytes: npt.NDArray[np.int64]  # [N]
    nats: dict[str, npt.NDArray[np.float64]]  # by side, [N]

    @classmethod
    def together(cls, parts: Sequence[DocumentLosses]) -> DocumentLosses:
        """One row a document, by ascending id."""
        document = np.concatenate([part.document for part in parts])
        ids, place = np.unique(document, return_inverse=True)

        def total(values: list[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
            summed = np.bincount(place, np.concatenate(values).astype(np.float64), len(ids))
            return summed.astype(np.float64)

        return cls(
            ids,
            total([part.n_tokens for part in parts]).astype(np.int64),
            total([part.n_bytes for part in parts]).astype(np.int64),
            {side: total([part.nats[side] for part in parts]) for side in parts[0].nats},
        )


@dataclass(frozen=True)
class DocumentLossJob:
    """The loss of each window's document under every loaded model; `token_bytes` [d_vocab] is
    the number of bytes of each token."""

    token_bytes: npt.NDArray[np.int64]

    def open(self, models: Models) -> DocumentLossWork:
        return DocumentLossWork(self, models)


class DocumentLossWork:
    """One worker's part."""

    def __init__(self, job: DocumentLossJob, models: Models) -> None:
        self._job = job
        self._models = models

    def handle(self, windows: TokenWindows) -> DocumentLosses:
        """A row for each window."""
        device, count = self._models.device, len(windows)
        size = -(-count // 8) * 8
        whole = padded(windows, size)
        tokens = torch.from_numpy(whole.tokens).long().to(device)
        known = torch.from_numpy(whole.mask[:, 1:]).to(device)
        window, position = torch.nonzero(known, as_tuple=True)
        targets = tokens[:, 1:][known]
        nats: dict[str, npt.NDArray[np.float64]] = {}
        with torch.inference_mode():
            for side, lean in self._models.lean.items():
                sums = torch.zeros(size, dtype=torch.float64)
                hidden = lean.forward(tokens, want="hidden")
                assert hidden is not None
                rows = hidden[window, position]
                step = _ROWS[device.type]
                for start in range(0, len(rows), step):
                    part = slice(start, start + step)
                    logits = lean.model.head(rows[part]).float()
                    losses = F.cross_entropy(logits, targets[part], reduction="none")
                    sums.index_add_(0, window[part].cpu(), losses.double().cpu())
                nats[side] = sums[:count].numpy()
        mask = windows.mask[:, 1:]
        n_bytes = np.where(mask, self._job.token_bytes[windows.tokens[:, 1:]], 0).sum(axis=1)
        n_tokens = mask.sum(axis=1, dtype=np.int64)
        return DocumentLosses(windows.document, n_tokens, n_bytes, nats)

    def finish(self) -> None:
        return None


def records(
    losses: DocumentLosses, source: dict[int, str], resamples: int, seed: int
) -> Iterator[LossDifferenceRecord]:
    """Differences of all pairs of models, over all documents ("") and by source."""
    sources = np.array([source[int(one)] for one in losses.document])
    for name in ["", *sorted(set(sources.tolist()))]:
        chosen = np.flatnonzero((sources == name) | (name == ""))
        for side, against in DIFFERENCES:
            if side in losses.nats and against in losses.nats:
                yield _record(losses, chosen, side, against, name, resamples, seed)


def _record(
    losses: DocumentLosses,
    chosen: npt.NDArray[np.int64],
    side: str,
    against: str,
    source: str,
    resamples: int,
    seed: int,
) -> LossDifferenceRecord:
    tokens = losses.n_tokens[chosen].astype(np.float64)
    excess = losses.nats[side][chosen] - losses.nats[against][chosen]
    return LossDifferenceRecord(
        side=side,
        against=against,
        source=source,
        n_documents=len(chosen),
        n_tokens=int(tokens.sum()),
        n_bytes=int(losses.n_bytes[chosen].sum()),
        difference=float(excess.sum() / tokens.sum()),
        interval=_interval(excess, tokens, resamples, seed),
    )


def _interval(
    excess: npt.NDArray[np.float64], tokens: npt.NDArray[np.float64], resamples: int, seed: int
) -> tuple[float, float]:
    generator = np.random.default_rng(seed)
    n = len(excess)
    found = np.empty(resamples)
    for i in range(resamples):
        drawn = generator.integers(n, size=n)
        found[i] = excess[drawn].sum() / tokens[drawn].sum()
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)
