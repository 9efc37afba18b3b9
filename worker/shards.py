"""A corpus cut into shards: fixed numbers of consecutive windows, whatever the workers.

Shard i holds windows [i · size, (i + 1) · size) of the stream, so that a set of shard numbers says
what was done, and going on is a set difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from store.records import DocumentRecord
from worker.corpus import Document
from worker.hashing import token_hashes
from worker.sample import EVERY_HASH, Threshold
from worker.tokenizer import PairTokenizer
from worker.windows import TokenWindows, token_windows

#: Batches of a shard: about a second of a core's work for a small model.
SHARD_BATCHES = 16


@dataclass(frozen=True)
class Shard:
    """Consecutive windows, and the documents they are of.

    `threshold`: tokens whose hash lies above it are not in the sample (known better later).
    """

    number: int
    windows: TokenWindows
    documents: tuple[DocumentRecord, ...]
    threshold: int = EVERY_HASH

    def __str__(self) -> str:
        first, last = self.windows.document[0], self.windows.document[-1]
        return f"shard {self.number} (documents {first}–{last})"


class ShardStream:
    """Shards of a stream of documents, counted as they pass."""

    def __init__(
        self,
        documents: Iterable[Document],
        tokenizer: PairTokenizer,
        n_ctx: int,
        *,
        size: int,
        max_tokens: int | None,
        seed: int,
        threshold: Threshold,
    ) -> None:
        self._documents = documents
        self._windows = token_windows(self._noted(), tokenizer, n_ctx, size, max_tokens)
        self._seed = seed
        self._seen: dict[int, DocumentRecord] = {}
        self.threshold = threshold
        self.n_documents = self.n_windows = self.n_tokens = 0

    def __iter__(self) -> Iterator[Shard]:
        for number, windows in enumerate(self._windows):
            self.n_documents += int((windows.window == 0).sum())
            self.n_windows += len(windows)
            self.n_tokens += windows.unmasked
            n_ctx = windows.mask.shape[1]
            hashes = token_hashes(self._seed, windows.document, windows.window, n_ctx)
            self.threshold.see(hashes[windows.mask])
            yield Shard(number, windows, self._take(windows), self.threshold.value)

    def _noted(self) -> Iterator[Document]:
        for document in self._documents:
            self._seen[document.id] = DocumentRecord(
                document.id, document.source, document.name, document.held_out
            )
            yield document

    def _take(self, windows: TokenWindows) -> tuple[DocumentRecord, ...]:
        """The shard's documents; forgets those that came before its last one."""
        found = tuple(self._seen[int(i)] for i in np.unique(windows.document))
        last = int(windows.document[-1])
        for id in list(self._seen):
            if id == last:
                break
            del self._seen[id]
        return found
