"""Token windows: documents cut into fixed-length rows of token ids, with their mask.

A window is BOS followed by up to n_ctx - 1 consecutive tokens of one document, without overlap;
the last is padded. BOS and padding are masked here, once: `mask` is what every statistic takes.
A token's key is (document, window, position), `position` being its index in the row (BOS is 0).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from worker.corpus import Document
from worker.errors import CorpusError
from worker.tokenizer import PairTokenizer

GROUP_CHARACTERS = 1 << 20  # texts are encoded together up to this much
PIECE_CHARACTERS = 1 << 20  # a longer text is encoded in pieces: memory stays bounded


@dataclass(frozen=True)
class TokenWindows:
    """B windows as arrays; rows belong together."""

    tokens: np.ndarray  # int32 [B, n_ctx]; padding is BOS
    mask: np.ndarray  # bool [B, n_ctx]; False at BOS and padding
    document: np.ndarray  # int64 [B]; Document.id
    window: np.ndarray  # int32 [B]; index within the document

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def unmasked(self) -> int:
        return int(self.mask.sum())

    def parts(self, size: int) -> Iterator[TokenWindows]:
        """At most `size` windows each, in order."""
        for a in range(0, len(self), size):
            rows = slice(a, a + size)
            yield TokenWindows(
                self.tokens[rows], self.mask[rows], self.document[rows], self.window[rows]
            )


def token_windows(
    documents: Iterable[Document],
    tokenizer: PairTokenizer,
    n_ctx: int,
    batch: int,
    max_tokens: int | None = None,
) -> Iterator[TokenWindows]:
    """Windows of `documents` in their order, `batch` at a time (the last batch may be smaller).

    Stops at the first whole window that reaches `max_tokens` unmasked tokens.
    """
    rows: list[tuple[int, int, np.ndarray]] = []
    taken = 0
    for row in _rows(documents, tokenizer, n_ctx):
        rows.append(row)
        taken += len(row[2])
        done = max_tokens is not None and taken >= max_tokens
        if len(rows) == batch or done:
            yield _pack(rows, n_ctx, tokenizer.bos)
            rows = []
        if done:
            return
    if rows:
        yield _pack(rows, n_ctx, tokenizer.bos)


def _pack(rows: list[tuple[int, int, np.ndarray]], n_ctx: int, bos: int) -> TokenWindows:
    tokens = np.full((len(rows), n_ctx), bos, dtype=np.int32)
    mask = np.zeros((len(rows), n_ctx), dtype=bool)
    for i, (_, _, ids) in enumerate(rows):
        tokens[i, 1 : 1 + len(ids)] = ids
        mask[i, 1 : 1 + len(ids)] = True
    document = np.array([row[0] for row in rows], dtype=np.int64)
    return TokenWindows(tokens, mask, document, np.array([row[1] for row in rows], dtype=np.int32))


def _rows(
    documents: Iterable[Document], tokenizer: PairTokenizer, n_ctx: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """(document, window, ids) of each window; ids [1 ≤ length ≤ n_ctx - 1] without BOS."""
    length = n_ctx - 1
    current, window, rest = -1, 0, np.empty(0, dtype=np.int32)
    for document, ids, ends in _runs(documents, tokenizer):
        if document != current:
            current, window, rest = document, 0, np.empty(0, dtype=np.int32)
        ids = np.concatenate([rest, ids]) if len(rest) else ids
        whole = len(ids) if ends else len(ids) - len(ids) % length
        for start in range(0, whole, length):
            yield document, window, ids[start : min(start + length, whole)]
            window += 1
        rest = ids[whole:]


def _runs(
    documents: Iterable[Document], tokenizer: PairTokenizer
) -> Iterator[tuple[int, np.ndarray, bool]]:
    """Runs of consecutive tokens as (document, ids int32, whether the run ends here)."""
    group: list[tuple[int, str, bool]] = []
    characters = 0
    for document in documents:
        if document.text is None:
            yield from _encode(group, tokenizer)
            group, characters = [], 0
            yield from _cut(document, tokenizer)
            continue
        for piece, last in _pieces(document.text):
            group.append((document.id, piece, last))
            characters += len(piece)
            if characters >= GROUP_CHARACTERS:
                yield from _encode(group, tokenizer)
                group, characters = [], 0
    yield from _encode(group, tokenizer)


def _encode(
    group: list[tuple[int, str, bool]], tokenizer: PairTokenizer
) -> Iterator[tuple[int, np.ndarray, bool]]:
    encoded = tokenizer.encode([piece for _, piece, _ in group]) if group else []
    for (document, _, last), ids in zip(group, encoded, strict=True):
        yield document, np.array(ids, dtype=np.int32), last


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """`text` in pieces of bounded length, cut after a line's end where there is one."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        end = start + PIECE_CHARACTERS
        line_end = text.rfind("\n", start + PIECE_CHARACTERS // 2, end) + 1
        end = line_end or end
        yield text[start:end], False
        start = end
    yield text[start:], True


def _cut(document: Document, tokenizer: PairTokenizer) -> Iterator[tuple[int, np.ndarray, bool]]:
    """A pre-tokenized row, cut at BOS and EOS."""
    ids = np.array(document.tokens, dtype=np.int64)
    if len(ids) and not 0 <= ids.min() <= ids.max() < tokenizer.size:
        raise CorpusError(
            f"document {document.name!r} has token ids from {ids.min()} to {ids.max()}, but the "
            f"pair's tokenizer has {tokenizer.size}",
            "give text, or rows that were tokenized for this pair",
        )
    ids = ids.astype(np.int32)
    breaks = np.flatnonzero(np.isin(ids, list(tokenizer.cut)))
    for start, end in zip([0, *(breaks + 1)], [*breaks, len(ids)], strict=True):
        if end > start:
            yield document.id, ids[start:end], True
