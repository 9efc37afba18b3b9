"""One rater at a time: how strict, and how true to their own earlier answers.

strictness(hits, clusters)[0].deviation      # of the first rater, from the others on the same cards
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from server.agreement.bootstrap import Floats, ratio_interval
from server.agreement.chance_corrected import Codes
from server.agreement.proportions import Interval, clustered_share


@dataclass(frozen=True)
class ClusteredShare:
    """`hits` among `n` answers about several neurons, with an interval that holds over neurons."""

    hits: int
    n: int
    share: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Strictness:
    """How often a rater says yes, and how much more often than the others on the same cards.

    `deviation` is the mean over `shared` cards (those that somebody else has rated, too) of this
    rater's answer minus the mean of the others': −0.1 is ten points stricter. None without any.
    """

    own: ClusteredShare
    shared: int
    deviation: float | None
    deviation_interval: Interval | None


def share_by_cluster(hits: Sequence[bool], clusters: Sequence[int]) -> ClusteredShare:
    """The share of true answers; `clusters[i]` is the neuron that answer i is about."""
    found: dict[int, list[int]] = {}
    for hit, cluster in zip(hits, clusters, strict=True):
        counts = found.setdefault(cluster, [0, 0])
        counts[0] += hit
        counts[1] += 1
    total = sum(hits)
    return ClusteredShare(
        total,
        len(hits),
        total / len(hits) if hits else None,
        clustered_share([h for h, _ in found.values()], [n for _, n in found.values()]),
    )


def strictness(hits: Floats, clusters: Codes) -> list[Strictness]:
    """Of each rater; `hits` [raters, cards] is 1, 0, or NaN where not rated."""
    rated = np.isfinite(hits)
    answers = np.where(rated, hits, 0.0)
    found = []
    for rater in range(len(hits)):
        mine = rated[rater]
        own = share_by_cluster(
            [bool(one) for one in hits[rater, mine]], [int(one) for one in clusters[mine]]
        )
        others = rated.sum(axis=0) - mine
        shared = mine & (others > 0)
        gaps = hits[rater, shared] - (answers.sum(axis=0) - answers[rater])[shared] / others[shared]
        if not gaps.size:
            found.append(Strictness(own, 0, None, None))
            continue
        names, index = np.unique(clusters[shared], return_inverse=True)
        sums, totals = np.zeros(len(names)), np.zeros(len(names))
        np.add.at(sums, index, gaps)
        np.add.at(totals, index, 1.0)
        found.append(
            Strictness(
                own,
                int(shared.sum()),
                float(gaps.mean()),
                ratio_interval(sums.tolist(), totals.tolist()),
            )
        )
    return found
