"""What a pass over the corpus finds of the chosen neurons, and how two parts of it are one.

Plain sums and lists: added up, or sorted once more, they are those of the whole corpus, whatever
the order of the parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from store.records import Side, Site
from worker.hashing import HashArray
from worker.verify.chosen import Longs, Place

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Spot = tuple[Side, int, Site]


@dataclass
class Distribution:
    """Of one site's chosen neurons. `low` and `high` [m, 387] are histograms of z less, and plus,
    its rounding: the true counts lie between them. `powers` [4, m] are sums of (z − pivot)^p."""

    n: int
    powers: Doubles
    least: Doubles
    most: Doubles
    low: Longs
    high: Longs
    above: Longs  # [m] values above the stored density's threshold

    def add(self, other: Distribution) -> None:
        self.n += other.n
        self.powers += other.powers
        self.least = np.minimum(self.least, other.least)
        self.most = np.maximum(self.most, other.most)
        self.low += other.low
        self.high += other.high
        self.above += other.above


#: Tokens in the order of their rank: (value, tie, document, window, position), the first two
#: negated for the top, so that the first is the best.
Ranked = list[tuple[float, float, int, int, int]]


@dataclass
class SampleRows:
    """Tokens of the sample in one task: keys [s, 3] and the chosen neurons' values [s, m]."""

    hashes: HashArray
    keys: Longs
    values: dict[Spot, Singles]


@dataclass
class Products:
    """Sums over the sample's tokens for correlations of the chosen neurons x [m] with all neurons
    y [n] of a layer: of half-precision values at the display sites."""

    x: Doubles
    xx: Doubles
    y: Doubles
    yy: Doubles
    xy: Doubles

    def add(self, other: Products) -> None:
        self.x += other.x
        self.xx += other.xx
        self.y += other.y
        self.yy += other.yy
        self.xy += other.xy

    def correlations(self, n: int) -> Doubles:
        """[m, n]; NaN for a neuron that is constant over the sample."""
        cov = self.xy - np.outer(self.x, self.y) / n
        left, right = self.xx - self.x**2 / n, self.yy - self.y**2 / n
        # What is left of a constant is the rounding of these sums.
        flat = 1e-12
        left = np.where(left > flat * self.xx, left, np.nan)
        right = np.where(right > flat * self.yy, right, np.nan)
        found: Doubles = cov / np.sqrt(np.outer(left, right))
        return found


@dataclass
class Found:
    """What a task, or all of them, gave."""

    n_tokens: int = 0
    distributions: dict[Spot, Distribution] = field(default_factory=dict)
    others: dict[Place, tuple[Longs, Doubles, Doubles]] = field(default_factory=dict)
    top: dict[Place, list[Ranked]] = field(default_factory=dict)
    bottom: dict[Place, list[Ranked]] = field(default_factory=dict)
    rows: list[SampleRows] = field(default_factory=list)
    products: dict[tuple[Place, Side], Products] = field(default_factory=dict)
    snippets: dict[int, dict[Site, Singles]] = field(default_factory=dict)
    terms: dict[int, Singles] = field(default_factory=dict)
    windows: dict[tuple[int, int], npt.NDArray[np.int32]] = field(default_factory=dict)

    def add(self, other: Found, k: tuple[int, int]) -> None:
        """Take in another task's; `k` are the lengths of the top and the bottom list."""
        self.n_tokens += other.n_tokens
        for spot, distribution in other.distributions.items():
            if spot in self.distributions:
                self.distributions[spot].add(distribution)
            else:
                self.distributions[spot] = distribution
        for place, (counts, least, most) in other.others.items():
            known = self.others.get(place)
            if known is not None:
                counts = counts + known[0]
                least, most = np.minimum(least, known[1]), np.maximum(most, known[2])
            self.others[place] = counts, least, most
        for mine, theirs, length in (
            (self.top, other.top, k[0]),
            (self.bottom, other.bottom, k[1]),
        ):
            for place, ranked in theirs.items():
                known_ranks = mine.get(place, [[] for _ in ranked])
                mine[place] = [
                    first_of_documents([*a, *b], length)
                    for a, b in zip(known_ranks, ranked, strict=True)
                ]
        self.rows += other.rows
        for key, products in other.products.items():
            if key in self.products:
                self.products[key].add(products)
            else:
                self.products[key] = products
        self.snippets |= other.snippets
        self.terms |= other.terms
        self.windows |= other.windows


def first_of_documents(tokens: Ranked, k: int) -> Ranked:
    """The first k by rank, one a document."""
    seen: set[int] = set()
    kept: Ranked = []
    for token in sorted(tokens):
        if token[2] not in seen:
            seen.add(token[2])
            kept.append(token)
            if len(kept) == k:
                break
    return kept
