"""A pair's tokenizer: loading it, checking that it fits, its tokens' bytes, and training one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from worker.errors import PairError

END_OF_TEXT = "<|endoftext|>"
# Words with the sign or space before them, numbers by up to three digits, and runs of signs. A
# line's end goes with the next line's indentation: in Python source that is one choice. Measured
# on Python source with 4,096 tokens: 3.42 bytes a token, against 3.22 with GPT-4's pattern.
SPLIT = (
    r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+(?:[\r\n]+[ \t]*)?"
    r"|\s*[\r\n]+[ \t]*|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class PairTokenizer:
    """A tokenizer with the ids that windows need. Text never becomes a special token."""

    tokenizer: Tokenizer
    bos: int
    cut: frozenset[int]  # ids that end a text in pre-tokenized rows: BOS and the EOS kinds

    @property
    def size(self) -> int:
        """The number of token ids, special ones included."""
        return int(self.tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, without BOS."""
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]


def load_tokenizer(path: Path, bos_token: str, d_vocab: int) -> PairTokenizer:
    """Load `tokenizer.json` and check it against the pair.

    Raises `PairError` where the file is missing or broken, has ids that a model with `d_vocab`
    tokens does not know, or lacks `bos_token`.
    """
    if not path.is_file():
        raise PairError(f"tokenizer {path} is missing", "put the pair's tokenizer.json there")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises a bare Exception for any fault in the file
        raise PairError(
            f"tokenizer {path} cannot be read: {error}", "write it with Tokenizer.save"
        ) from error
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if largest >= d_vocab:
        raise PairError(
            f"tokenizer {path} has token ids up to {largest}, but d_vocab is {d_vocab}",
            "use the tokenizer that the models were trained with",
        )
    return with_bos(tokenizer, bos_token, str(path))


def with_bos(tokenizer: Tokenizer, bos_token: str, name: str) -> PairTokenizer:
    """Find the ids of BOS and of the usual ends of text; `PairError` if there is no BOS."""
    bos = tokenizer.token_to_id(bos_token)
    if bos is None:
        raise PairError(
            f"tokenizer {name} has no token {bos_token!r}, the pair's bos_token",
            "set bos_token in pair.toml to one it has",
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # "<|endoftext|>" in a text is text
    ends = (tokenizer.token_to_id(token) for token in (END_OF_TEXT, "</s>", "<|EOS|>", "<|BOS|>"))
    return PairTokenizer(tokenizer, bos, frozenset({bos, *(e for e in ends if e is not None)}))


def token_bytes(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes of each token id; a special token's are its own text.

    Byte-level vocabularies are mapped back to bytes; others have U+2581 as a space and `<0xNN>`
    as a byte. An id without a token gives no bytes.
    """
    added = {id: token.content for id, token in tokenizer.get_added_tokens_decoder().items()}
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    characters = _byte_of_character()
    is_byte_level = isinstance(tokenizer.decoder, decoders.ByteLevel) or all(
        set(token) <= characters.keys() for token, id in vocabulary.items() if id not in added
    )
    known = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for token, id in vocabulary.items():
        if id in added:
            known[id] = added[id].encode()
        elif is_byte_level and set(token) <= characters.keys():
            known[id] = bytes(characters[character] for character in token)
        elif len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            known[id] = bytes([int(token[3:5], 16)])
        else:
            known[id] = token.replace("\u2581", " ").encode()
    return known


def _byte_of_character() -> dict[str, int]:
    """GPT-2's table: printable bytes stand for themselves, the others for U+0100 onwards."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    return table | {chr(0x100 + n): byte for n, byte in enumerate(others)}


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE of `vocabulary` tokens, `<|endoftext|>` (id 0) among them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
