"""Polysemanticity: how far apart two meanings of a neuron lie, band by band.

    bands = contexts_of(display, hashes, highest, top, rows)   # {"top": [n, m] rows, …}
    found = scores(vectors, bands, seed)                       # {"top": [n], …}, "score": [n]

A neuron's contexts of a band (whitened, unit length) are split in two by 2-means; the separation
is the cosine distance of the two centroids: 0 for one point, 1 for two groups at right angles, 2
for opposite ones. The score is the largest separation of the scored bands, because a second
meaning may live below the top. `docs/evidence.md` says how well it tells merged neurons from
single ones, and what else was tried.

It is a heuristic: it sees that contexts differ, not that meanings do. A neuron for one idea that
many unlike contexts share scores high, and so does one whose contexts have nothing in common.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from store.evidence_records import SCORED_BANDS
from worker.bands import DRAWN_BANDS, draw
from worker.evidence.k_means import Clusters, k_means
from worker.hashing import HashArray

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

#: Contexts that a band needs to be split, and those taken of each at most.
LEAST = 8
MOST = 96
STARTS = 4
#: The band "max25-50": from a quarter to half of the way from the mean to the maximum.
MIDDLE = (0.25, 0.5)
_CHUNK = 128  # neurons clustered together


def contexts_of(
    display: npt.NDArray[np.floating],
    hashes: HashArray,
    highest: Floats,
    top: Longs,
    rows: Longs,
    most: int = MOST,
) -> dict[str, Longs]:
    """Rows of the contexts of each scored band [n, m], −1 for none, the lowest hash first.

    display: [K, n] of the token sample, hashes and rows: [K]; highest: [n], the largest
    activation over all tokens (NaN: unknown); top: [n, t], rows of the top examples.
    """
    draws = draw(np.asarray(display, np.float16), hashes, most)
    assert draws is not None, "an empty sample has no contexts"
    drawn = {band: draws.drawn[:, DRAWN_BANDS.index(band)] for band in SCORED_BANDS[1:-1]}
    drawn[SCORED_BANDS[-1]] = _middle(display, hashes, highest, most)
    found = {"top": top}
    for band, places in drawn.items():
        found[band] = np.where(places >= 0, rows[np.maximum(places, 0)], -1)
    return found


def _middle(
    display: npt.NDArray[np.floating], hashes: HashArray, highest: Floats, most: int
) -> Longs:
    """Places in the sample of the tokens of lowest hash in the MIDDLE [n, most]."""
    order = np.argsort(hashes, kind="stable")
    found = np.full((display.shape[1], most), -1, np.int64)
    for a in range(0, len(found), 64):
        columns = np.ascontiguousarray(display[:, a : a + 64].T, dtype=np.float32)
        mean = columns.mean(axis=1, dtype=np.float64)
        reach = highest[a : a + 64] - mean
        low, high = (mean + share * reach for share in MIDDLE)
        here = (columns >= low[:, None]) & (columns < high[:, None])
        for i in np.flatnonzero(reach > 0):
            chosen = order[here[i, order]][:most]
            found[a + i, : len(chosen)] = chosen
    return found


def scores(vectors: Floats, bands: Mapping[str, Longs], seed: int) -> dict[str, Doubles]:
    """Separation in each band [n], and under "score" the largest; NaN where none is defined."""
    found = {band: separation(vectors, rows, seed) for band, rows in bands.items()}
    every = np.stack(list(found.values()))
    known = np.isfinite(every).any(axis=0)
    best = np.where(np.isfinite(every), every, -np.inf).max(axis=0)
    return found | {"score": np.where(known, best, np.nan)}


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
    """Cosine distance of the two centroids [N]."""
    a, b = clusters.centroids.double().unbind(dim=1)
    return (1 - torch.nn.functional.cosine_similarity(a, b, dim=1)).clamp(min=0)
