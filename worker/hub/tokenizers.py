"""The tokenizer of a model of the hub: its `tokenizer.json`, and which token is its BOS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from worker.errors import PairError
from worker.hub.repository import Repository
from worker.reporter import Reporter

FILE = "tokenizer.json"
#: Where a repository says what its BOS is, in the order of trust.
_SAYING = ("special_tokens_map.json", "tokenizer_config.json")
_USUAL = ("<|BOS|>", "<|endoftext|>", "<s>", "<bos>")


@dataclass(frozen=True)
class HubTokenizer:
    """A tokenizer as the repository has it."""

    repository: str
    commit: str
    path: Path
    bos_token: str


def get_tokenizer(repository: Repository, reporter: Reporter) -> HubTokenizer:
    """Raises `HubError` where the hub does not give it, `PairError` where it is none."""
    if FILE not in repository.files:
        raise PairError(
            f"tokenizer {repository.name} has no {FILE}",
            "write one with transformers' save_pretrained and make a pair's directory by hand",
        )
    path = repository.get(FILE, reporter)
    said = [_bos_of(repository.get(file, reporter)) for file in _SAYING if file in repository.files]
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises a bare Exception for any fault in the file
        raise PairError(f"tokenizer {repository.name} cannot be read: {error}") from error
    for token in (*said, *_USUAL):
        if token is not None and tokenizer.token_to_id(token) is not None:
            return HubTokenizer(repository.name, repository.commit, path, token)
    raise PairError(
        f"tokenizer {repository.name} does not say which token begins a text",
        "make a pair's directory by hand and give bos_token in its pair.toml",
    )


def _bos_of(path: Path) -> str | None:
    try:
        found: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    bos = found.get("bos_token") if isinstance(found, dict) else None
    if isinstance(bos, dict):
        bos = bos.get("content")
    return bos if isinstance(bos, str) and bos else None
