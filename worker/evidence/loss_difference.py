"""The interpretability tax: loss differences on the same tokens of held-out documents.

A document's nats are summed over its unmasked tokens, each predicted from those before it in its
own window. Differences are of these sums over all documents of a source (or a mean of sources by
stated weights: `worker.evidence.mixture`), and their intervals a paired bootstrap over documents:
whole documents are drawn again, with all their sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from store.bootstrap_tails import bootstrap_tails
from store.evidence_records import LossDifferenceRecord
from worker.activations import Models
from worker.evidence import mixture
from worker.evidence.mixture import Weights
from worker.losses import LossTask, window_nats

#: Which differences are taken, where both sides are there.
DIFFERENCES = (("left", "right"), ("left", "control"), ("control", "right"))


@dataclass(frozen=True)
class DocumentLosses:
    """Sums of some documents, in parts: a document may appear more than once."""

    document: npt.NDArray[np.int64]  # [N]
    source: npt.NDArray[np.int64]  # [N] index of the document's source
    n_tokens: npt.NDArray[np.int64]  # [N]
    n_bytes: npt.NDArray[np.int64]  # [N]
    nats: dict[str, npt.NDArray[np.float64]]  # by side, [N]

    @classmethod
    def together(cls, parts: Sequence[DocumentLosses]) -> DocumentLosses:
        """One row a document, by ascending id."""
        document = np.concatenate([part.document for part in parts])
        ids, first, place = np.unique(document, return_index=True, return_inverse=True)

        def total(values: list[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
            summed = np.bincount(place, np.concatenate(values).astype(np.float64), len(ids))
            return summed.astype(np.float64)

        return cls(
            ids,
            np.concatenate([part.source for part in parts])[first],
            total([part.n_tokens for part in parts]).astype(np.int64),
            total([part.n_bytes for part in parts]).astype(np.int64),
            {side: total([part.nats[side] for part in parts]) for side in parts[0].nats},
        )


@dataclass(frozen=True)
class DocumentLossJob:
    """The loss of each held-out document under every loaded model.

    Tasks are those of `worker.losses.HeldOutStream`; `token_lengths` [d_vocab] in bytes.
    """

    token_lengths: npt.NDArray[np.int64]
    batch_windows: int

    def open(self, models: Models) -> DocumentLossWork:
        return DocumentLossWork(self, models)


@dataclass(frozen=True)
class DocumentLossWork:
    """One worker's part."""

    job: DocumentLossJob
    models: Models

    def handle(self, task: LossTask) -> DocumentLosses:
        """A row for each window."""
        windows = task.windows
        nats = {
            side: np.concatenate(
                [
                    window_nats(self.models, side, part)
                    for part in windows.parts(self.job.batch_windows)
                ]
            )
            for side in self.models.lean
        }
        lengths = np.where(windows.mask, self.job.token_lengths[windows.tokens], 0)
        return DocumentLosses(
            windows.document,
            task.source,
            windows.mask.sum(axis=1, dtype=np.int64),
            lengths.sum(axis=1),
            nats,
        )

    def finish(self) -> None:
        return None


def records(
    losses: DocumentLosses,
    sources: Sequence[str],
    resamples: int,
    seed: int,
    weights: Weights | None = None,
) -> Iterator[LossDifferenceRecord]:
    """Differences of all pairs of models, over all documents (""), by source's name, and of the
    mixture that `weights` state. `CorpusError` where these name a source that is not there."""
    if weights is not None:
        weights.check(sources)
    for name in ["", *sorted(sources)]:
        everyone = np.arange(len(losses.document))
        chosen = everyone if not name else np.flatnonzero(losses.source == sources.index(name))
        for side, against in DIFFERENCES:
            if side in losses.nats and against in losses.nats:
                yield _record(losses, chosen, side, against, name, resamples, seed)
    if weights is not None:
        for side, against in DIFFERENCES:
            if side in losses.nats and against in losses.nats:
                yield _mixed(losses, sources, side, against, weights, resamples, seed)


def _mixed(
    losses: DocumentLosses,
    sources: Sequence[str],
    side: str,
    against: str,
    weights: Weights,
    resamples: int,
    seed: int,
) -> LossDifferenceRecord:
    strata = []
    for name, share in weights.shares:
        of = losses.source == sources.index(name)
        excess = losses.nats[side][of] - losses.nats[against][of]
        counts = (array[of].astype(np.float64) for array in (losses.n_tokens, losses.n_bytes))
        strata.append(mixture.Stratum(share, excess, *counts))
    return LossDifferenceRecord(
        side=side,
        against=against,
        source=weights.label,
        n_documents=sum(len(one.tokens) for one in strata),
        n_tokens=int(sum(one.tokens.sum() for one in strata)),
        n_bytes=mixture.bytes_of(strata),
        difference=mixture.mean(strata),
        interval=mixture.interval(strata, resamples, seed),
    )


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
    low, high = np.quantile(found, bootstrap_tails(n))
    return float(low), float(high)
