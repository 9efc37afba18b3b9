"""Windows hold every token of a document once, and the mask covers nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer

from worker import windows
from worker.corpus import Document
from worker.errors import CorpusError, PairError
from worker.tokenizer import END_OF_TEXT, PairTokenizer, token_bytes, train_tokenizer, with_bos
from worker.windows import TokenWindows, token_windows

TEXTS = [
    "def f(x):\n    return x + 1\n" * 9,
    "x",
    "naïve – ‮ עברית \0 <script>alert(1)</script>\n\n" * 5,
]


@pytest.fixture(scope="module")
def tokenizer() -> PairTokenizer:
    trained: Tokenizer = train_tokenizer(["def f(x):\n    return x + 1\n" * 50], 300)
    return with_bos(trained, END_OF_TEXT, "of the tests")


def documents(*texts: str) -> list[Document]:
    return [Document(7 + 2 * n, "tests", f"{n}.txt", text, None) for n, text in enumerate(texts)]


def of_document(batches: list[TokenWindows], id: int) -> list[int]:
    return [
        int(token)
        for batch in batches
        for row in np.flatnonzero(batch.document == id)
        for token in batch.tokens[row][batch.mask[row]]
    ]


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_every_token_of_a_document_stands_in_one_window(
    tokenizer: PairTokenizer, batch: int
) -> None:
    batches = list(token_windows(documents(*TEXTS), tokenizer, n_ctx=8, batch=batch))
    assert all(len(one) == batch for one in batches[:-1])
    vocabulary = token_bytes(tokenizer.tokenizer)
    for number, text in enumerate(TEXTS):
        ids = of_document(batches, 7 + 2 * number)
        assert b"".join(vocabulary[id] for id in ids) == text.encode()
    tokens = np.concatenate([one.tokens for one in batches])
    mask = np.concatenate([one.mask for one in batches])
    document = np.concatenate([one.document for one in batches])
    window = np.concatenate([one.window for one in batches])
    assert (tokens.dtype, document.dtype, window.dtype) == (np.int32, np.int64, np.int32)
    assert not mask[:, 0].any()
    assert (tokens[~mask] == tokenizer.bos).all()
    for id in np.unique(document):
        of = document == id
        assert window[of].tolist() == list(range(of.sum()))
        assert mask[of][:-1, 1:].all(), "only a document's last window is padded"


def test_windows_do_not_depend_on_the_batch(tokenizer: PairTokenizer) -> None:
    one, other = (
        np.concatenate([b.tokens for b in token_windows(documents(*TEXTS), tokenizer, 8, batch)])
        for batch in (2, 5)
    )
    assert (one == other).all()


def test_it_stops_at_the_first_whole_window_that_reaches_the_tokens(
    tokenizer: PairTokenizer,
) -> None:
    batches = list(token_windows(documents(*TEXTS), tokenizer, n_ctx=8, batch=4, max_tokens=50))
    counts = np.concatenate([batch.mask.sum(1) for batch in batches])
    assert counts.sum() >= 50
    assert counts[:-1].sum() < 50


def test_a_text_that_names_a_special_token_is_text(tokenizer: PairTokenizer) -> None:
    batches = list(token_windows(documents(f"a{END_OF_TEXT}b"), tokenizer, n_ctx=128, batch=4))
    ids = of_document(batches, 7)
    assert tokenizer.bos not in ids
    assert b"".join(token_bytes(tokenizer.tokenizer)[id] for id in ids) == b"a<|endoftext|>b"


def test_pre_tokenized_rows_are_cut_at_bos_and_windowed_anew(tokenizer: PairTokenizer) -> None:
    bos = tokenizer.bos
    row = Document(1, "hub", "row", None, [bos, 5, 6, 7, 8, bos, bos, 9])
    (batch,) = token_windows([row], tokenizer, n_ctx=4, batch=9)
    assert [batch.tokens[n][batch.mask[n]].tolist() for n in range(3)] == [[5, 6, 7], [8], [9]]
    assert batch.window.tolist() == [0, 1, 2]


def test_tokens_of_another_vocabulary_are_a_fault(tokenizer: PairTokenizer) -> None:
    row = Document(1, "hub", "row", None, [5, 50_000])
    with pytest.raises(CorpusError, match="'row' has token ids from 5 to 50000"):
        list(token_windows([row], tokenizer, n_ctx=4, batch=9))


def test_a_long_text_is_encoded_in_pieces_and_none_is_lost(
    tokenizer: PairTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "PIECE_CHARACTERS", 100)
    monkeypatch.setattr(windows, "GROUP_CHARACTERS", 250)
    text = "".join(f"line {n}\n" for n in range(200)) + "y" * 1000
    batches = list(token_windows(documents(text, "after"), tokenizer, n_ctx=16, batch=4))
    vocabulary = token_bytes(tokenizer.tokenizer)
    assert b"".join(vocabulary[id] for id in of_document(batches, 7)) == text.encode()
    padded = sum(int((~batch.mask[batch.document == 7, 1:]).sum()) for batch in batches)
    assert padded < 15, "pieces join without padding between them"


def test_a_line_of_300_kilobytes_is_read(tokenizer: PairTokenizer) -> None:
    for line in ("x" * 300_000, " " * 300_000, "ab(" * 100_000):
        batches = token_windows(documents(line), tokenizer, n_ctx=128, batch=64)
        vocabulary = np.array([len(b) for b in token_bytes(tokenizer.tokenizer)])
        assert sum(vocabulary[b.tokens[b.mask]].sum() for b in batches) == 300_000


def test_a_tokenizer_without_the_bos_token_does_not_fit(tokenizer: PairTokenizer) -> None:
    with pytest.raises(PairError, match="has no token '<bos>'"):
        with_bos(tokenizer.tokenizer, "<bos>", "of the tests")
