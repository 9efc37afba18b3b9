"""Corpora on the Hugging Face hub, streamed through `datasets`: `hf:NAME[:config][:split]`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from worker.corpus_files import Flaw, Record, record_of_row
from worker.errors import CorpusError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class HubCorpus:
    """One split of one dataset; its rows come in their own order."""

    name: str
    config: str | None
    split: str

    @classmethod
    def parse(cls, spec: str) -> HubCorpus:
        """From `hf:NAME[:config][:split]`; a single word after the name is a split if it is the
        name of a usual one (train, validation, test), else a config."""
        name, *rest = spec.removeprefix("hf:").split(":")
        if not name or len(rest) > 2:
            raise CorpusError(
                f"corpus {spec!r} is not of the form hf:NAME[:config][:split]",
                "for example hf:NeelNanda/c4-code-20k",
            )
        config, split = None, "train"
        if len(rest) == 2:
            config, split = rest[0] or None, rest[1] or "train"
        elif rest and rest[0].split("[")[0] in SPLITS:
            split = rest[0]
        elif rest:
            config = rest[0] or None
        return cls(name, config, split)

    @property
    def spec(self) -> str:
        return ":".join(["hf", self.name, *([self.config] if self.config else []), self.split])

    def identity(self) -> str:
        """Name, config, split and the revision that the hub serves now."""
        from huggingface_hub import HfApi

        try:
            revision = HfApi().dataset_info(self.name).sha
        except Exception as error:
            raise self._unreachable(error) from error
        return f"{self.spec}@{revision}"

    def rows(self) -> Iterator[Record | Flaw]:
        """The split's rows as documents."""
        source = self.name.rsplit("/", 1)[-1]
        rows = self._load()
        while True:
            try:
                number, row = next(rows)
            except StopIteration:
                return
            except Exception as error:
                raise self._unreachable(error) from error
            yield record_of_row(row, source, f"{self.name}:{number}")

    def _load(self) -> Iterator[tuple[int, dict[str, Any]]]:
        from datasets import load_dataset

        data = load_dataset(self.name, self.config, split=self.split, streaming=True)
        yield from enumerate(data, 1)

    def _unreachable(self, error: Exception) -> CorpusError:
        return CorpusError(
            f"corpus {self.spec!r} cannot be read from the hub: {type(error).__name__}: {error}",
            "check its name and the network, or give local files",
        )
