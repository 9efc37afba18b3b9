"""Evidence windows: the stated part of a run's corpus on which evidence is gathered.

    windows = draw_windows(token_windows(...), seed, max_tokens=100_000)
    windows.first(16_384)                  # the number of windows that hold as many tokens

Whole windows are drawn by the seeded hash of (document, window): the lowest until `max_tokens`
unmasked tokens are reached. So the draw depends neither on shards nor on workers, a smaller draw
is the beginning of a larger one, and both sides are measured on the same windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.hashing import key_hashes
from worker.windows import TokenWindows

# Keeps this draw apart from the other things that are drawn with the run's seed.
_PURPOSE = 0x5E1F
_PRUNE = 4096  # windows gathered before those that cannot be drawn any more are dropped


@dataclass(frozen=True)
class EvidenceWindows:
    """Windows by ascending hash."""

    windows: TokenWindows

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def n_tokens(self) -> int:
        """Unmasked tokens in all."""
        return self.windows.unmasked

    def first(self, tokens: int) -> int:
        """How many of the first windows it takes to hold `tokens` unmasked tokens, or all."""
        return _count(self.windows.mask, tokens)


def draw_windows(
    batches: Iterable[TokenWindows], seed: int, max_tokens: int
) -> EvidenceWindows | None:
    """The windows of lowest hash among all that pass; None if none does.

    Memory holds what may still be drawn, not the corpus.
    """
    kept: list[TokenWindows] = []
    waiting = 0
    for batch in batches:
        kept.append(batch)
        waiting += len(batch)
        if waiting >= _PRUNE:
            kept, waiting = [_lowest(kept, seed, max_tokens)], 0
    if not kept:
        return None
    return EvidenceWindows(_lowest(kept, seed, max_tokens))


def _lowest(parts: list[TokenWindows], seed: int, max_tokens: int) -> TokenWindows:
    together = TokenWindows(
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.mask for part in parts]),
        np.concatenate([part.document for part in parts]),
        np.concatenate([part.window for part in parts]),
    )
    hashes = key_hashes(seed ^ _PURPOSE, together.document, together.window)
    order = np.lexsort([together.window, together.document, hashes])
    ordered = take_windows(together, order)
    return take_windows(ordered, np.arange(_count(ordered.mask, max_tokens)))


def take_windows(windows: TokenWindows, index: npt.NDArray[np.int64]) -> TokenWindows:
    """Some of the windows, in the order of `index`."""
    return TokenWindows(
        windows.tokens[index], windows.mask[index], windows.document[index], windows.window[index]
    )


def _count(mask: npt.NDArray[np.bool_], tokens: int) -> int:
    if tokens <= 0:
        return 0
    reached = np.cumsum(mask.sum(axis=1, dtype=np.int64))
    return min(len(mask), int(np.searchsorted(reached, tokens)) + 1)
