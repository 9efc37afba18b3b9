"""Senses: a neuron's contexts in clusters, as many as the silhouette favours, one allowed.

    found = cluster(vectors, rows, seed)      # labels [N, m], centroids [N, k, d], silhouette [N]

Contexts of the strong bands are clustered together by k-means with k = 2 … MOST_SENSES; the k of
the largest mean silhouette [Rousseeuw 1987] is taken if that reaches LEAST_SILHOUETTE, else all
is one sense. Silhouettes are of cosine distances between whitened contexts. A sense is a cluster,
not a meaning: what it means is for the reader of its examples to say.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from store.evidence_records import SenseRecord
from worker.evidence.k_means import k_means
from worker.evidence.polysemanticity import STARTS, Floats, Longs, gathered

MOST_SENSES = 5
LEAST_SILHOUETTE = 0.15
#: A sense holds at least so many contexts, or it is not told apart.
LEAST_CONTEXTS = 3
TOKENS_LISTED = 8
_CHUNK = 64


@dataclass(frozen=True)
class Senses:
    """Of N neurons: label of each context [N, m] (−1 where absent), the largest sense first, and
    unit centroids [N, MOST_SENSES, d] (zero where there is no such sense)."""

    labels: npt.NDArray[np.int64]
    centroids: Floats
    count: Longs  # [N], 0 for a neuron without contexts


def cluster(vectors: Floats, rows: Longs, seed: int) -> Senses:
    """vectors: [T, d] whitened, unit length; rows: [N, m] places in them, −1 for none."""
    n, m = rows.shape
    labels = np.full((n, m), -1, np.int64)
    centroids = np.zeros((n, MOST_SENSES, vectors.shape[1]), np.float32)
    count = np.zeros(n, np.int64)
    some = np.flatnonzero((rows >= 0).any(axis=1))
    for a in range(0, len(some), _CHUNK):
        part = some[a : a + _CHUNK]
        points, present = gathered(vectors, rows[part])
        found, k = _best(points, present, seed)
        labels[part], count[part] = found.numpy(), k.numpy()
        for j in range(MOST_SENSES):
            member = (found == j).float()
            mean = torch.bmm(member[:, None], points)[:, 0]
            centroids[part, j] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return Senses(labels, centroids, count)


def _best(points: Tensor, present: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Labels [N, m] by falling size, and the number of senses [N]."""
    best = torch.where(present, 0, -1)
    score = torch.full((len(points),), LEAST_SILHOUETTE)
    count = torch.ones(len(points), dtype=torch.int64)
    distances = 1 - torch.bmm(points, points.transpose(1, 2))  # [N, m, m]
    for k in range(2, MOST_SENSES + 1):
        clusters = k_means(points, present, k, STARTS, seed)
        value = _silhouette(distances, clusters.labels, k)
        whole = clusters.sizes.min(dim=1).values >= LEAST_CONTEXTS
        better = whole & (value > score)
        order = clusters.sizes.argsort(dim=1, descending=True, stable=True)
        rank = order.argsort(dim=1)
        ranked = torch.where(present, rank.gather(1, clusters.labels.clamp(min=0)), -1)
        best = torch.where(better[:, None], ranked, best)
        score = torch.where(better, value, score)
        count = torch.where(better, k, count)
    return best, count


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
    shown_sense the sense of each (−1 for none).
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
