"""Senses: a neuron's strong contexts in groups, one or several.

    found = cluster(vectors, rows, seed)      # labels [N, m], count [N]

Contexts of the strong bands are clustered together by k-means with k = 2 … MOST_SENSES; the k of
the largest mean silhouette [Rousseeuw 1987] is taken. Silhouettes favour tight groups, and a
neuron for one thing in several phrasings has such groups too: so clusters whose centroids are
nearer than APART (cosine distance) are joined, the nearest first, and what remains are the
senses, often one. Distances are between whitened contexts. A sense is a cluster, not a meaning:
what it means is for the reader of its examples to say.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from store.evidence_records import SenseRecord
from worker.evidence.k_means import k_means
from worker.evidence.polysemanticity import STARTS, Floats, Longs, gathered

MOST_SENSES = 5
#: Centroids of two senses are at least so far apart (between single and merged neurons' usual).
APART = 0.75
#: Contexts taken of each band, so that no band outvotes the others.
OF_A_BAND = 32
#: A cluster holds at least so many contexts, or it is not told apart.
LEAST_CONTEXTS = 3
TOKENS_LISTED = 8
_CHUNK = 64


@dataclass(frozen=True)
class Senses:
    """Of N neurons: label of each context [N, m] (−1 where absent), the largest sense first."""

    labels: Longs
    count: Longs  # [N], 0 for a neuron without contexts


def cluster(vectors: Floats, rows: Longs, seed: int) -> Senses:
    """vectors: [T, d] whitened, unit length; rows: [N, m] places in them, −1 for none."""
    n, m = rows.shape
    labels = np.full((n, m), -1, np.int64)
    count = np.zeros(n, np.int64)
    some = np.flatnonzero((rows >= 0).any(axis=1))
    for a in range(0, len(some), _CHUNK):
        part = some[a : a + _CHUNK]
        points, present = gathered(vectors, rows[part])
        for i, found in zip(part, _best(points, present, seed).numpy(), strict=True):
            labels[i] = _joined(found, vectors[np.maximum(rows[i], 0)])
            count[i] = labels[i].max() + 1
    return Senses(labels, count)


def _joined(labels: Longs, points: Floats) -> Longs:
    """Labels [m] by falling size, after those that are not APART were made one."""
    names = range(int(labels.max(initial=0)) + 1)
    sums = [points[labels == name].sum(axis=0, dtype=np.float64) for name in names]
    groups = [[name] for name in names]
    while len(groups) > 1:
        unit = np.stack([one / max(float(np.linalg.norm(one)), 1e-12) for one in sums])
        cosine = unit @ unit.T
        cosine[np.triu_indices(len(unit))] = -2
        i, j = divmod(int(cosine.argmax()), len(unit))  # j < i
        if 1 - cosine[i, j] >= APART:
            break
        sums[j] = sums[j] + sums.pop(i)
        groups[j] += groups.pop(i)
    sizes = [int(np.isin(labels, group).sum()) for group in groups]
    order = sorted(range(len(groups)), key=lambda k: (-sizes[k], groups[k]))
    found = np.full_like(labels, -1)
    for rank, k in enumerate(order):
        found[np.isin(labels, groups[k])] = rank
    return found


def _best(points: Tensor, present: Tensor, seed: int) -> Tensor:
    """Labels [N, m] of the clustering of the largest silhouette."""
    best = torch.where(present, 0, -1)
    score = torch.full((len(points),), -torch.inf)
    distances = 1 - torch.bmm(points, points.transpose(1, 2))  # [N, m, m]
    for k in range(2, MOST_SENSES + 1):
        clusters = k_means(points, present, k, STARTS, seed)
        value = _silhouette(distances, clusters.labels, k)
        whole = clusters.sizes.min(dim=1).values >= LEAST_CONTEXTS
        better = whole & (value > score)
        best = torch.where(better[:, None], clusters.labels, best)
        score = torch.where(better, value, score)
    return best


def _silhouette(distances: Tensor, labels: Tensor, k: int) -> Tensor:
    """Mean silhouette of each set [N]; distances [N, m, m], labels [N, m]."""
    member = torch.nn.functional.one_hot(labels.clamp(min=0), k).float()
    member = member * (labels >= 0)[:, :, None]
    sizes = member.sum(dim=1)  # [N, k]
    sums = torch.bmm(distances, member)  # [N, m, k]
    own = member.bool()
    inner = (sums * member).sum(2) / ((sizes[:, None] * member).sum(2) - 1).clamp(min=1)
    outer = sums / sizes[:, None].clamp(min=1)
    outer = outer.masked_fill(own | (sizes == 0)[:, None], torch.inf).min(dim=2).values
    value = (outer - inner) / torch.maximum(outer, inner).clamp(min=1e-9)
    alone = (sizes[:, None] * member).sum(2) <= 1
    value = value.masked_fill(alone | (labels < 0), 0.0)
    return value.nan_to_num(0.0, 0.0, 0.0).sum(dim=1) / (labels >= 0).sum(dim=1).clamp(min=1)


def sense_records(
    count: int,
    labels: Longs,
    bands: list[str],
    tokens: Longs,
    shown: list[tuple[str, int]],
    shown_sense: Longs,
) -> tuple[SenseRecord, ...]:
    """One neuron's senses, the largest first.

    labels, bands, tokens: [m], the clustered contexts; shown: (band, rank) of its examples and
    shown_sense the sense of each (−1 for those that were not clustered).
    """
    present = labels >= 0
    in_band = Counter(band for band, here in zip(bands, present, strict=True) if here)
    records = []
    for sense in range(count):
        mine = labels == sense
        of_band = Counter(band for band, here in zip(bands, mine, strict=True) if here)
        band = max(of_band, key=lambda name: of_band[name] / in_band[name])  # first among equals
        listed = Counter(tokens[mine].tolist()).most_common()
        listed.sort(key=lambda pair: (-pair[1], pair[0]))
        records.append(
            SenseRecord(
                rank=sense,
                share=float(mine.sum() / present.sum()),
                band=band,
                tokens=tuple(listed[:TOKENS_LISTED]),
                examples=tuple(
                    one for one, s in zip(shown, shown_sense.tolist(), strict=True) if s == sense
                ),
            )
        )
    return tuple(records)
