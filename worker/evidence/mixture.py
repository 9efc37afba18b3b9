"""Losses of a mixture of sources by stated weights.

A corpus may hold its sources in another ratio than a model was trained on (the hub's c4-code-20k
has far more code than its models saw). What is measured per source is measured all the same; only
what is said of all sources together depends on the ratio. So a mean by weights that the user
states stands beside it. Counts and statistics of neurons are of the corpus as it was read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from store.bootstrap_tails import bootstrap_tails
from store.evidence_records import MIXTURE
from worker.errors import CorpusError, UsageError

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """Shares of tokens by source, positive, in the order of their names; they sum to 1."""

    shares: tuple[tuple[str, float], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `code=0.2,c4=0.8`; weights that do not sum to 1 are divided by their sum."""
        found: dict[str, float] = {}
        for part in text.split(","):
            match = re.fullmatch(r"\s*(.+?)\s*=\s*(\d+(?:\.\d*)?|\.\d+)\s*", part)
            if match is None or float(match[2]) == 0:
                raise UsageError(
                    f"--weights: {part.strip()!r} is not understood",
                    "write SOURCE=WEIGHT,SOURCE=WEIGHT with positive numbers, as code=0.2,c4=0.8",
                )
            if match[1] in found:
                raise UsageError(f"--weights names {match[1]!r} twice", "name each source once")
            found[match[1]] = float(match[2])
        if len(found) < 2:
            raise UsageError("--weights names one source only", "each source has its own loss")
        total = sum(found.values())
        return cls(tuple((name, found[name] / total) for name in sorted(found)))

    def as_dict(self) -> dict[str, float]:
        return dict(self.shares)

    @property
    def label(self) -> str:
        """`mixture of 80 % c4 and 20 % code`"""
        parts = [f"{100 * share:.3g} % {name}" for name, share in self.shares]
        return MIXTURE + ", ".join(parts[:-1]) + f" and {parts[-1]}"

    def check(self, sources: Sequence[str]) -> None:
        """`CorpusError` where there is no held-out document of one of them."""
        missing = [name for name, _ in self.shares if name not in sources]
        if missing:
            raise CorpusError(
                f"--weights names {missing[0]!r}, but the held-out documents are of "
                f"{', '.join(map(repr, sorted(sources)))}",
                "run `twinscope evidence` with sources that the corpus has, or without --weights",
            )


@dataclass(frozen=True)
class Stratum:
    """Documents of one source, and its share: excess nats, tokens and bytes of each, [N]."""

    share: float
    excess: Doubles
    tokens: Doubles
    bytes: Doubles


def mean(strata: Sequence[Stratum]) -> float:
    """Nats a token of the mixture."""
    return sum(one.share * float(one.excess.sum() / one.tokens.sum()) for one in strata)


def bytes_of(strata: Sequence[Stratum]) -> int:
    """Bytes that as many tokens of the mixture have as were measured."""
    tokens = sum(float(one.tokens.sum()) for one in strata)
    return round(
        tokens * sum(one.share * float(one.bytes.sum() / one.tokens.sum()) for one in strata)
    )


def interval(strata: Sequence[Stratum], resamples: int, seed: int) -> tuple[float, float]:
    """95 % of a bootstrap that draws documents anew within each source, as wide as the source of
    fewest documents asks for."""
    generator = np.random.default_rng(seed)
    found = np.zeros(resamples)
    for i in range(resamples):
        for one in strata:
            drawn = generator.integers(len(one.tokens), size=len(one.tokens))
            found[i] += one.share * one.excess[drawn].sum() / one.tokens[drawn].sum()
    low, high = np.quantile(found, bootstrap_tails(min(len(one.tokens) for one in strata)))
    return float(low), float(high)
