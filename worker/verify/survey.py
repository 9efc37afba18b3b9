"""The run's corpus read once without a model: how much there is, and which tokens are drawn.

A token belongs to the sample when its hash is among the lowest; an evidence window likewise. Both
depend on keys alone, so they are known before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from worker.evidence.windows import EvidenceWindows, draw_windows
from worker.hashing import HashArray, token_hashes
from worker.plan import Plan
from worker.reporter import Reporter
from worker.windows import TokenWindows, token_windows


@dataclass(frozen=True)
class Survey:
    """`threshold` is the largest hash in the token sample."""

    n_documents: int
    n_windows: int
    n_tokens: int
    threshold: int
    evidence: EvidenceWindows | None


def windows_of(plan: Plan, size: int) -> Iterator[TokenWindows]:
    """The windows of the run in its order, `size` at a time."""
    documents = plan.corpus.documents(plan.order_seed)
    yield from token_windows(documents, plan.tokenizer, plan.n_ctx, size, plan.tokens)


def hashes_of(plan: Plan, windows: TokenWindows) -> HashArray:
    """[B, n_ctx], of masked positions too."""
    return token_hashes(plan.seed, windows.document, windows.window, windows.mask.shape[1])


def survey(plan: Plan, evidence_tokens: int, n_tokens: int, reporter: Reporter) -> Survey:
    """Read the corpus; `n_tokens` is what the run says, for the progress bar."""
    reporter.step("reading", n_tokens, "tokens")
    counts = {"documents": 0, "windows": 0, "tokens": 0}
    lowest: HashArray = np.empty(0, np.uint64)
    size = plan.settings.sample_size

    def counted() -> Iterator[TokenWindows]:
        nonlocal lowest
        before = -1
        for windows in windows_of(plan, 256):
            counts["windows"] += len(windows)
            counts["tokens"] += windows.unmasked
            following = np.concatenate([[before], windows.document])
            counts["documents"] += int((following[1:] != following[:-1]).sum())
            before = int(windows.document[-1])
            lowest = np.concatenate([lowest, hashes_of(plan, windows)[windows.mask]])
            if len(lowest) > size:
                lowest = np.partition(lowest, size - 1)[:size]
            reporter.advance(counts["tokens"])
            yield windows

    drawn = draw_windows(counted(), plan.seed, max(1, evidence_tokens))
    return Survey(
        counts["documents"],
        counts["windows"],
        counts["tokens"],
        int(lowest.max()) if len(lowest) else 0,
        drawn if evidence_tokens else None,
    )
