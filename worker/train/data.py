"""The tokens of a run on disk: training windows and held-out windows, as memory maps.

A training row is a window and one token more: the token after the window's last, where the
document goes on, so that the last position is trained as well. Windows are laid down as they
are read; `batch_rows` gives the order in which all versions see them.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worker.corpus import Corpus, Document, open_corpus
from worker.errors import TrainError
from worker.tokenizer import PairTokenizer
from worker.windows import TokenWindows, token_windows

READ_WINDOWS = 256
NO_TARGET = -1
TOKENIZER_CHARACTERS = 12_000_000  # sampled over all corpora, to train the tokenizer


@dataclass(frozen=True)
class WindowStore:
    """Windows on disk. `targets[r, t]` is the token to predict after `tokens[r, :t + 1]`."""

    tokens: np.ndarray  # [R, n_ctx] int32; column 0 is BOS
    targets: np.ndarray  # [R, n_ctx] int32; NO_TARGET where there is none
    source: np.ndarray  # [R] int16, an index into `sources`
    sources: tuple[str, ...]
    n_tokens: int  # unmasked tokens

    def __len__(self) -> int:
        return len(self.tokens)

    def thinned(self, tokens: int) -> WindowStore:
        """Every so-manieth window, so that about `tokens` tokens are left."""
        stride = max(1, self.n_tokens // max(tokens, 1))
        targets = self.targets[::stride]
        left = int((targets[:, :-1] != NO_TARGET).sum())
        source = self.source[::stride]
        return WindowStore(self.tokens[::stride], targets, source, self.sources, left)


def sample_texts(corpora: Sequence[Corpus], seed: int, characters: int) -> Iterator[str]:
    """Texts to train a tokenizer on: equal shares of each corpus, nothing held out."""
    share = characters // len(corpora)
    for corpus in corpora:
        left = share
        for document in corpus.documents(seed):
            if document.text is None or document.held_out:
                continue
            yield document.text[: max(left, 0)]
            left -= len(document.text)
            if left <= 0:
                break


def prepare(
    path: Path,
    specs: Sequence[str],
    tokenizer: PairTokenizer,
    n_ctx: int,
    tokens: int,
    seed: int,
    *,
    held_out: bool,
) -> WindowStore:
    """Lay down windows of about `tokens` tokens, in equal shares from each corpus as long as it
    lasts; only of held-out documents, or only of the others."""
    corpora = [open_corpus(spec) for spec in specs]
    streams = [_Stream(corpus, tokenizer, n_ctx, seed, held_out) for corpus in corpora]
    open_streams = list(range(len(streams)))
    names: dict[str, int] = {}
    path.mkdir(parents=True, exist_ok=True)
    rows = total = 0
    with (
        (path / "tokens.tmp").open("wb") as token_file,
        (path / "targets.tmp").open("wb") as target_file,
        (path / "source.tmp").open("wb") as source_file,
    ):
        while open_streams and total < tokens:
            number = min(open_streams, key=lambda n: streams[n].taken)
            drawn = streams[number].draw()
            if drawn is None:
                open_streams.remove(number)
                continue
            windows, targets, sources = drawn
            windows.tokens.astype(np.int32).tofile(token_file)
            targets.tofile(target_file)
            ids = [names.setdefault(source, len(names)) for source in sources]
            np.array(ids, dtype=np.int16).tofile(source_file)
            rows += len(windows)
            total += windows.unmasked
    for name in ("tokens", "targets", "source"):
        (path / f"{name}.tmp").replace(path / f"{name}.bin")
    facts = {"rows": rows, "n_ctx": n_ctx, "n_tokens": total, "sources": list(names)}
    (path / "windows.tmp").write_text(json.dumps(facts), "utf-8")
    (path / "windows.tmp").replace(path / "windows.json")
    return open_windows(path)


def open_windows(path: Path) -> WindowStore:
    """What `prepare` laid down at `path`."""
    facts = json.loads((path / "windows.json").read_text("utf-8"))
    shape = (facts["rows"], facts["n_ctx"])

    def mapped(name: str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
        if not facts["rows"]:
            return np.empty(shape, dtype=dtype)
        return np.memmap(path / f"{name}.bin", dtype=dtype, mode="r", shape=shape)

    return WindowStore(
        tokens=mapped("tokens", np.int32, shape),
        targets=mapped("targets", np.int32, shape),
        source=mapped("source", np.int16, shape[:1]),
        sources=tuple(facts["sources"]),
        n_tokens=facts["n_tokens"],
    )


def is_prepared(path: Path) -> bool:
    return (path / "windows.json").is_file()


class _Stream:
    """One corpus's windows with their targets, in an order shuffled by the seed."""

    def __init__(
        self, corpus: Corpus, tokenizer: PairTokenizer, n_ctx: int, seed: int, held_out: bool
    ) -> None:
        self.taken = 0
        self._read: deque[tuple[int, str]] = deque()  # (id, source) of documents not yet done
        chosen = self._chosen(corpus, seed, held_out)
        self._batches = token_windows(chosen, tokenizer, n_ctx, READ_WINDOWS)
        self._next = next(self._batches, None)

    def _chosen(self, corpus: Corpus, seed: int, held_out: bool) -> Iterator[Document]:
        for document in corpus.documents(seed):
            if document.held_out == held_out:
                self._read.append((document.id, document.source))
                yield document

    def _source(self, document: int) -> str:
        while self._read[0][0] != document:
            self._read.popleft()
        return self._read[0][1]

    def draw(self) -> tuple[TokenWindows, np.ndarray, list[str]] | None:
        """Some windows, their targets int32 [B, n_ctx] and their sources; None at the end."""
        windows = self._next
        if windows is None:
            return None
        self._next = next(self._batches, None)
        self.taken += windows.unmasked
        sources = [self._source(document) for document in windows.document.tolist()]
        return windows, _targets(windows, self._next), sources


def _targets(windows: TokenWindows, following: TokenWindows | None) -> np.ndarray:
    targets = np.full(windows.tokens.shape, NO_TARGET, dtype=np.int32)
    targets[:, :-1] = np.where(windows.mask[:, 1:], windows.tokens[:, 1:], NO_TARGET)
    document, first = windows.document[1:], windows.tokens[1:, 1]
    if following is not None:
        document = np.append(document, following.document[0])
        first = np.append(first, following.tokens[0, 1])
    n = len(document)
    goes_on = (document == windows.document[:n]) & windows.mask[:n, -1]
    targets[:n, -1] = np.where(goes_on, first, NO_TARGET)
    return targets


def batch_rows(
    rows: int, batch: int, steps: int, seed: int, start: int = 0
) -> Iterator[np.ndarray]:
    """The rows of each step from `start` on: every window once in an order shuffled by the seed,
    then all again in another order, and so on. A pass's last, smaller batch is left out."""
    if rows < batch:
        raise TrainError(
            f"the corpus gives {rows} windows to train on, fewer than one batch of {batch}",
            "give more text",
        )
    a_pass = rows // batch
    order = np.empty(0, dtype=np.int64)
    for step in range(start, steps):
        number, place = divmod(step, a_pass)
        if place == 0 or step == start:
            order = np.random.default_rng([seed, number]).permutation(rows)
        yield np.sort(order[place * batch : (place + 1) * batch])
