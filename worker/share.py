"""One share of a run's shards, for batch schedulers: `--shard 2/8` is the second of eight.

    share = Share.parse("2/8")
    share.has(shard_number)

Shares are cut by shard number modulo, so they are of one size whatever the corpus; a run's shards
themselves do not depend on them, so any number of shares gives the same run.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from worker.errors import UsageError


@dataclass(frozen=True)
class Share:
    """`number` counts from 1 to `of`."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Share:
        """From "I/N"; `UsageError` for anything else."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if found is not None:
            share = cls(int(found[1]), int(found[2]))
            if 1 <= share.number <= share.of:
                return share
        raise UsageError(
            f"--shard is {text!r}", "give I/N with I from 1 to N: --shard 2/8 is the second of 8"
        )

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def has(self, shard: int) -> bool:
        return shard % self.of == self.number - 1

    def has_all(self, shards: Set[int]) -> bool:
        return all(self.has(shard) for shard in shards)
