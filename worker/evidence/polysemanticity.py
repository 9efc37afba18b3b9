"""Polysemanticity: how far apart two meanings of a neuron lie, band by band.

    separation(vectors, rows, seed)           # [N], one score a neuron

A neuron's contexts of a band (whitened, unit length) are split in two by 2-means. With centroids
a and b the separation is |a|·|b| − a·b, that is the cosine distance of the centroids times their
lengths. A centroid's length says how much its contexts have in common: so two halves of a heap
that has nothing in common count as little, however far apart they lie; without that, every weak
band of every neuron would look polysemantic. Lengths are freed of what chance adds to the mean of
a few vectors.

It is a heuristic: it sees that contexts differ, not that meanings do. A neuron for one idea that
many unlike contexts share scores high, and one whose meanings look alike to the model scores low.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from worker.evidence.k_means import Clusters, k_means

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

#: Contexts that a band needs to be split, and those taken of each at most.
LEAST = 8
MOST = 96
STARTS = 4
_CHUNK = 128  # neurons clustered together


def separation(vectors: Floats, rows: Longs, seed: int, starts: int = STARTS) -> Doubles:
    """vectors: [T, d] whitened; rows: [N, m] places in them, −1 for none.

    Returns [N]; NaN where a neuron has fewer than LEAST contexts.
    """
    found = np.full(len(rows), np.nan)
    enough = np.flatnonzero((rows >= 0).sum(axis=1) >= LEAST)
    for a in range(0, len(enough), _CHUNK):
        part = enough[a : a + _CHUNK]
        points, present = gathered(vectors, rows[part])
        found[part] = _of_clusters(k_means(points, present, 2, starts, seed)).numpy()
    return found


def gathered(vectors: Floats, rows: Longs) -> tuple[torch.Tensor, torch.Tensor]:
    """Points [N, m, d] and whether each is there [N, m]; absent ones are zero."""
    present = rows >= 0
    points = vectors[np.maximum(rows, 0)]
    points[~present] = 0
    return torch.from_numpy(points), torch.from_numpy(present)


def _of_clusters(clusters: Clusters) -> torch.Tensor:
    """The separation of two clusters of unit vectors [N]."""
    sizes = clusters.sizes.clamp(min=1)
    squares = clusters.centroids.square().sum(dim=2)  # [N, 2]
    # The mean of m unit vectors without anything in common has squared length 1/m.
    common = ((sizes * squares - 1) / (sizes - 1).clamp(min=1)).clamp(min=0)
    dot = (clusters.centroids[:, 0] * clusters.centroids[:, 1]).sum(dim=1)
    return (common.prod(dim=1).sqrt() - dot).clamp(min=0).double()
