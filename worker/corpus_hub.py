"""Corpora on the Hugging Face hub, streamed through `datasets`:
`hf:NAME[@REVISION][:config][:split]`.

Rows have a column `text`, or `tokens` that were made by the pair's own tokenizer. Nothing is kept
on disk: each pass over the corpus streams it anew, always at the commit that was found first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from worker.corpus_files import Flaw, Record, label, record_of_row
from worker.errors import CorpusError
from worker.hub.repository import FIRST_WORD, HubError, translated

SPLITS = ("train", "validation", "test")


def is_of_hub(spec: str) -> bool:
    """Whether a CORPUS spec names a data set of the hub."""
    return spec.startswith("hf:")


@dataclass(frozen=True)
class HubCorpus:
    """One split of one dataset; its rows come in their own order.

    `asked` is the revision that was named (a commit, a tag or a branch), None for the newest.
    """

    name: str
    config: str | None
    split: str
    asked: str | None = None

    @classmethod
    def parse(cls, spec: str) -> HubCorpus:
        """From `hf:NAME[@REVISION][:config][:split]`; a single word after the name is a split if
        it is the name of a usual one (train, validation, test), else a config."""
        name, *rest = spec.removeprefix("hf:").split(":")
        name, at, asked = name.partition("@")
        if not name or (at and not asked) or len(rest) > 2:
            raise CorpusError(
                f"corpus {spec!r} is not of the form hf:NAME[@REVISION][:config][:split]",
                "for example hf:NeelNanda/c4-code-20k",
            )
        config, split = None, "train"
        if len(rest) == 2:
            config, split = rest[0] or None, rest[1] or "train"
        elif rest and rest[0].split("[")[0] in SPLITS:
            split = rest[0]
        elif rest:
            config = rest[0] or None
        return cls(name, config, split, asked or None)

    @property
    def spec(self) -> str:
        """What is read, without its revision."""
        return self._spec(self.name)

    @property
    def pinned(self) -> str:
        """A spec that means the same whatever the hub has later. Asks the hub, once."""
        return self._spec(f"{self.name}@{self.revision}")

    def _spec(self, name: str) -> str:
        return ":".join(["hf", name, *([self.config] if self.config else []), self.split])

    @property
    def source(self) -> str:
        """Of rows that name none: the dataset's name, with its config if one was asked for."""
        name = self.name.rsplit("/", 1)[-1]
        return label(f"{name}/{self.config}" if self.config else name)

    @cached_property
    def revision(self) -> str:
        """The commit that is read: of the revision that was asked for, else the one that the hub
        serves now. `CorpusError` where it cannot be had."""
        from huggingface_hub import HfApi

        try:
            with translated(self.name, "dataset", revision=self.asked):
                about = HfApi().dataset_info(self.name, revision=self.asked, timeout=FIRST_WORD)
                if about.gated:  # what it is, it tells everyone, but not what it holds
                    HfApi().auth_check(self.name, repo_type="dataset")
        except HubError as error:
            raise CorpusError(f"corpus {self.spec!r}: {error.message}", error.hint) from error
        return str(about.sha)

    def identity(self) -> str:
        """Name, config, split and revision."""
        return f"{self.spec}@{self.revision}"

    def rows(self) -> Iterator[Record | Flaw]:
        """The split's rows as documents."""
        rows = self._load()
        while True:
            try:
                number, row = next(rows)
            except StopIteration:
                return
            except CorpusError:
                raise
            except Exception as error:  # datasets lets through whatever its parts raise
                raise self._broken(error) from error
            if number == 1:
                self._check_columns(row)
            yield record_of_row(row, self.source, f"{self.name}:{number}")

    def _load(self) -> Iterator[tuple[int, dict[str, Any]]]:
        revision = self.revision
        from datasets import load_dataset

        data = load_dataset(
            self.name, self.config, split=self.split, streaming=True, revision=revision
        )
        yield from enumerate(data, 1)

    def _check_columns(self, row: dict[str, Any]) -> None:
        if not {"text", "tokens"} & row.keys():
            raise CorpusError(
                f"corpus {self.spec!r} has no column text or tokens; its columns are "
                f"{', '.join(sorted(row))}",
                "name another data set, or write its texts to a .jsonl file",
            )

    def _broken(self, error: Exception) -> CorpusError:
        return CorpusError(
            f"corpus {self.spec!r} cannot be read from the hub: {type(error).__name__}: {error}",
            "check its config, its split and the network; the same command with --resume goes on",
        )
