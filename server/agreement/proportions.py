"""Shares and their differences with 95 % intervals; for a share of one arm see `server.intervals`.

newcombe(56, 70, 48, 80)               → (0.052, 0.334), of 80 % − 60 %
newcombe_paired(PairCounts(36, 12, 2, 0))   → (0.057, 0.340), of 96 % − 76 %
clustered_share([3, 0, 2], [3, 3, 3])  → Wilson's interval of 5 of 9 answers about three neurons
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from server.intervals import Z95, wilson

Interval = tuple[float, float]


@dataclass(frozen=True)
class PairCounts:
    """What became of pairs: hits in both, in the first only, in the second only, in neither."""

    both: int
    first: int
    second: int
    neither: int

    @property
    def n(self) -> int:
        """All pairs."""
        return self.both + self.first + self.second + self.neither

    @property
    def difference(self) -> float | None:
        """Share of hits in the first minus share in the second; None of no pairs."""
        return (self.first - self.second) / self.n if self.n else None


def pair_counts(first: Sequence[bool], second: Sequence[bool]) -> PairCounts:
    """Pairs counted; `first[i]` and `second[i]` are of one pair."""
    pairs = list(zip(first, second, strict=True))
    return PairCounts(
        sum(a and b for a, b in pairs),
        sum(a and not b for a, b in pairs),
        sum(b and not a for a, b in pairs),
        sum(not a and not b for a, b in pairs),
    )


def newcombe(hits1: int, n1: int, hits2: int, n2: int) -> Interval | None:
    """Interval of share 1 − share 2 of two independent arms; None where an arm is empty.

    Newcombe's hybrid of two Wilson intervals. [Newcombe 1998, Stat. Med. 17, 873–890, method 10]
    """
    if n1 == 0 or n2 == 0:
        return None
    from statsmodels.stats.proportion import confint_proportions_2indep  # heavy

    low, high = confint_proportions_2indep(hits1, n1, hits2, n2, method="newcomb", compare="diff")
    return float(low), float(high)


def newcombe_paired(pairs: PairCounts) -> Interval | None:
    """Interval of the difference of two shares of the same pairs; None of no pairs.

    Two Wilson intervals, joined with the pairs' correlation φ, which is made smaller by a
    continuity correction where it is positive. [Newcombe 1998, Stat. Med. 17, 2635–2650, method 10]
    """
    n, difference = pairs.n, pairs.difference
    if difference is None:
        return None
    hits = (pairs.both + pairs.first, pairs.both + pairs.second)
    (low1, high1), (low2, high2) = (wilson(one, n) or (0.0, 1.0) for one in hits)
    share1, share2 = hits[0] / n, hits[1] / n
    margins = hits[0] * (n - hits[0]) * hits[1] * (n - hits[1])
    product = float(pairs.both * pairs.neither - pairs.first * pairs.second)
    if product > 0:
        product = max(product - n / 2, 0)
    phi = product / math.sqrt(margins) if margins else 0.0
    down, up = share1 - low1, high2 - share2
    other_down, other_up = share2 - low2, high1 - share1
    below = math.sqrt(max(down**2 - 2 * phi * down * up + up**2, 0.0))
    above = math.sqrt(max(other_down**2 - 2 * phi * other_down * other_up + other_up**2, 0.0))
    return max(difference - below, -1.0), min(difference + above, 1.0)


def clustered_share(hits: Sequence[int], totals: Sequence[int]) -> Interval | None:
    """Interval of Σ hits / Σ totals where answers within a cluster (a neuron) are correlated.

    Wilson's interval with the effective number of answers: their number divided by the design
    effect (the share's variance between clusters, over what independent answers would have), with
    the t quantile of clusters − 1 degrees of freedom. The effective number lies between that of
    answers that all repeat their cluster's first one and the number of answers. [Korn & Graubard
    1998, Survey Methodology 24; Dean & Pagano 2015] None without answers or for a single cluster.
    """
    counted = [(h, n) for h, n in zip(hits, totals, strict=True) if n]
    clusters = len(counted)
    if clusters < 2:
        return None
    h, n = np.array(counted, dtype=np.float64).T
    answers = float(n.sum())
    share = float(h.sum()) / answers
    fewest = answers**2 / float((n**2).sum())
    effective = fewest
    if 0 < share < 1:
        from scipy.stats import t  # heavy

        between = clusters / (clusters - 1) * float(((h - share * n) ** 2).sum()) / answers**2
        if between > 0:
            effective = min(max(share * (1 - share) / between, fewest), answers)
        else:
            effective = answers
        effective *= (Z95 / float(t.ppf(0.975, clusters - 1))) ** 2
    return wilson(share * effective, effective)


def difference_of(
    one: float, one_interval: Interval, other: float, other_interval: Interval
) -> Interval:
    """Interval of one − other from their own, independent intervals.

    The method of variance estimates recovery [Zou & Donner 2008, Stat. Med. 27, 1693–1702], of
    which Newcombe's method 10 is the case of two shares.
    """
    difference = one - other
    below = math.hypot(one - one_interval[0], other_interval[1] - other)
    above = math.hypot(one_interval[1] - one, other - other_interval[0])
    return difference - below, difference + above
