"""Examples drawn from the token sample: bands below the top, and what a LayerNorm lifts up.

Tokens of the sample are ranked by the display site, ties by hash. The q-quantile stands at rank
⌈q·K⌉ of K (0-based, ascending): its value is the lowest of the band that begins there, so a band
is exactly its share of the tokens, even for a neuron that is zero on most of them. Of each band
the tokens of lowest hash are drawn (EVIDENCE §2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from store.records import HalfArray
from worker.halves import columns
from worker.hashing import HashArray

#: Quantiles at which bands begin, in thousandths.
EDGES = (500, 900, 990, 999)
#: Bands from the lowest to the highest, as `store.records.BANDS` names them.
DRAWN_BANDS = ("q0-50", "q50-90", "q90-99", "q99-99.9", "q99.9-100")

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Draws:
    """Of one layer. Places in the sample; −1 where a band has fewer tokens than are drawn."""

    edges: Floats  # [n, 4]: values of the quantiles .5, .9, .99, .999
    drawn: Longs  # [n, 5 bands, m], by ascending hash; bands as in DRAWN_BANDS
    lifted: Longs | None  # [n, m], highest post first; None without a LayerNorm


def edge_ranks(tokens: int) -> Longs:
    """Ranks at which the bands above the lowest begin, among `tokens` ranked ones."""
    return np.array([-(-edge * tokens // 1000) for edge in EDGES], dtype=np.int64)


def draw(
    display: HalfArray,
    hashes: HashArray,
    m: int,
    post: HalfArray | None = None,
    pre: HalfArray | None = None,
) -> Draws | None:
    """Draw m tokens of each band for each neuron; None for an empty sample.

    display, post, pre: [K, n], rows by ascending key; hashes: [K]. `post` and `pre` are given
    for versions with a LayerNorm: `lifted` are the m highest by `post` (ties by higher `pre`,
    then lower key) among the tokens whose display value lies below its median.
    """
    tokens, n = display.shape
    if not tokens:
        return None
    order = np.argsort(hashes, kind="stable")
    ranks = edge_ranks(tokens)
    edges = np.empty((n, len(EDGES)), np.float32)
    drawn = np.full((n, len(DRAWN_BANDS), m), -1, np.int64)
    lifted = None if post is None else np.full((n, m), -1, np.int64)
    for start in range(0, n, 64):
        end = min(start + 64, n)
        shown = columns(display[:, start:end])
        places = np.minimum(ranks, tokens - 1)
        edges[start:end] = _at_ranks(shown, places) + np.float32(0)  # no negative zero
        _draw(shown, order, ranks, edges[start:end], drawn[start:end])
        if lifted is not None and post is not None and pre is not None:
            high, tie = columns(post[:, start:end]), columns(pre[:, start:end])
            _lift(shown, high, tie, edges[start:end, 0], lifted[start:end])
    return Draws(edges, drawn, lifted)


def _at_ranks(columns: Floats, places: Longs) -> Floats:
    """Each row's values at some places, ascending, of its sorted order: [n, places]."""
    found = np.empty((len(columns), len(places)), np.float32)
    rest, first = columns, 0
    for i, place in enumerate(places):
        # One place at a time is what numpy has vectorised; what lies below it is done with.
        rest = np.partition(rest, place - first, axis=1)
        found[:, i] = rest[:, place - first]
        rest, first = rest[:, place - first :], place
    return found


@numba.njit(cache=True, nogil=True)
def _draw(columns, order, ranks, edges, drawn):  # type: ignore[no-untyped-def]
    """columns [n, K]; order [K] by hash; ranks [4]; edges [n, 4]; drawn [n, 5, m] is filled."""
    n, tokens = columns.shape
    bands = len(ranks) + 1
    m = drawn.shape[2]
    below = np.empty(len(ranks), np.int64)  # tokens below each edge
    seen = np.empty(len(ranks), np.int64)  # tokens at each edge, so far
    taken = np.empty(bands, np.int64)
    size = np.empty(bands, np.int64)
    for b in range(bands):
        first = ranks[b - 1] if b else 0
        last = ranks[b] if b < len(ranks) else tokens
        size[b] = min(m, last - first)
    for j in range(n):
        column = columns[j]
        below[:] = 0
        seen[:] = 0
        taken[:] = 0
        for i in range(tokens):
            for e in range(len(ranks)):
                below[e] += column[i] < edges[j, e]
        missing = size.sum()
        for i in order:
            value = column[i]
            band = 0
            for e in range(len(ranks)):
                edge = edges[j, e]
                if value == edge:
                    band += below[e] + seen[e] >= ranks[e]
                    seen[e] += 1
                else:
                    band += value > edge
            if taken[band] < size[band]:
                drawn[j, band, taken[band]] = i
                taken[band] += 1
                missing -= 1
                if missing == 0:
                    break


@numba.njit(cache=True, nogil=True)
def _lift(columns, post, pre, median, lifted):  # type: ignore[no-untyped-def]
    """lifted [n, m]: the highest by post where the column lies below the median."""
    n, tokens = columns.shape
    m = lifted.shape[1]
    for j in range(n):
        for i in range(tokens):
            if not columns[j, i] < median[j]:
                continue
            place = m
            while place > 0:
                other = lifted[j, place - 1]
                if other >= 0 and not (
                    post[j, i] > post[j, other]
                    or (post[j, i] == post[j, other] and pre[j, i] > pre[j, other])
                ):
                    break
                place -= 1
            if place < m:
                for p in range(m - 1, place, -1):
                    lifted[j, p] = lifted[j, p - 1]
                lifted[j, place] = i
