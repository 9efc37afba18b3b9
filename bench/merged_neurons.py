"""Neurons of known meaning, made of real ones: what a score of polysemanticity must tell apart.

A *unit* is a column of levels over the token sample with its top examples; the level of an
activation is its place on the way from the neuron's mean (0) to its maximum (1). A single neuron
is a unit as it is; a merged one is the largest of several neurons' levels, so it is polysemantic
by construction if its parts mean different things. Nobody knows that single neurons have one
meaning: they are only likelier to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

TOP = 20
#: Shares of the maximum between which the second meaning of a mid-band unit lives.
MIDDLE = (0.1, 0.4)


@dataclass(frozen=True)
class Unit:
    """levels [K]; rows of the top examples; which part gives each token its level."""

    levels: Floats
    top: Longs
    part: Longs


@dataclass(frozen=True)
class Neurons:
    """One layer: levels [K, n] of the sample, and of each neuron's top examples [n, m] (NaN where
    there is none), with their rows and documents."""

    levels: Floats
    top_levels: Floats
    top_rows: Longs
    top_documents: Longs

    def alive(self) -> Longs:
        """Neurons with a full list of top examples and finite levels."""
        whole = np.isfinite(self.top_levels).all(axis=1) & np.isfinite(self.levels).all(axis=0)
        return np.flatnonzero(whole)

    def single(self, i: int) -> Unit:
        return Unit(self.levels[:, i], self.top_rows[i], np.zeros(len(self.levels), np.int64))

    def merged(self, parts: list[int], scales: list[float] | None = None) -> Unit:
        """The largest level among `parts`, each multiplied by its scale."""
        factors = np.array(scales or [1.0] * len(parts), np.float32)
        levels = self.levels[:, parts] * factors
        together = (self.top_levels[parts] * factors[:, None]).ravel()
        rows, documents = self.top_rows[parts].ravel(), self.top_documents[parts].ravel()
        order = np.argsort(-together, kind="stable")
        _, first = np.unique(documents[order], return_index=True)  # one a document, the highest
        chosen = order[np.sort(first)][:TOP]
        return Unit(levels.max(axis=1), rows[chosen], levels.argmax(axis=1))

    def with_middle(self, i: int, j: int, count: int | None = None) -> Unit:
        """Neuron i, and j's strongest tokens placed between 10 % and 40 % of i's maximum, with
        levels as i has them there: `count` of them, or as many as i has there itself (at least
        30, at most a tenth of the sample)."""
        own = self.levels[:, i]
        there = np.sort(own[(own >= MIDDLE[0]) & (own < MIDDLE[1])])[::-1]
        if len(there) < 2:
            there = np.array([MIDDLE[1], MIDDLE[0]])
        if count is None:
            count = int(np.clip(len(there), 30, len(own) // 10))
        strongest = np.argsort(-self.levels[:, j], kind="stable")[:count]
        second = np.full(len(own), -np.inf)
        second[strongest] = np.interp(
            np.linspace(0, 1, count), np.linspace(0, 1, len(there)), there
        )
        levels = np.maximum(own, second).astype(np.float32)
        return Unit(levels, self.top_rows[i], (second > own).astype(np.int64))


def spread_out(unit: Unit, factor: float) -> Unit:
    """The same tokens in the same order, `factor` times as many of them above any level.

    A merged unit fires on more tokens than its parts; this tells what that alone does to a score.
    """
    order = np.argsort(-unit.levels, kind="stable")
    ranked = unit.levels[order]
    place = np.minimum((np.arange(len(ranked)) / factor).astype(np.int64), len(ranked) - 1)
    levels = np.empty_like(ranked)
    levels[order] = ranked[place]
    return Unit(levels, unit.top, unit.part)


def auc(positive: Doubles, negative: Doubles) -> float:
    """Probability that a positive scores above a negative, ties halved; NaN counts as lowest."""
    from scipy.stats import rankdata

    both = np.nan_to_num(np.concatenate([positive, negative]), nan=-np.inf)
    ranks = rankdata(both)[: len(positive)]
    n, m = len(positive), len(negative)
    return float((ranks.sum() - n * (n + 1) / 2) / (n * m))


def auc_interval(positive: Doubles, negative: Doubles, resamples: int = 400) -> tuple[float, float]:
    """95 % bootstrap interval of the AUC, over units."""
    draw = np.random.default_rng(0)
    found = [
        auc(draw.choice(positive, len(positive)), draw.choice(negative, len(negative)))
        for _ in range(resamples)
    ]
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def adjusted_rand(one: Longs, other: Longs) -> float:
    """How well two labellings of the same contexts agree: 1 the same, 0 what chance gives."""
    table = np.zeros((int(one.max()) + 1, int(other.max()) + 1))
    np.add.at(table, (one, other), 1)

    def pairs(counts: Doubles) -> float:
        return float((counts * (counts - 1) / 2).sum())

    rows, columns = pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = rows * columns / pairs(np.array([len(one)], np.float64))
    most = (rows + columns) / 2
    return (pairs(table) - expected) / (most - expected) if most > expected else 1.0
