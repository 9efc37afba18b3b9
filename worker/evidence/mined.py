"""Mined counterexamples: tokens of the corpus that speak against what the top examples suggest.

- *unlike*: activation at least half of the maximum, yet the context is further from every top
  example than any top example is from its nearest fellow; chosen farthest first, so that they
  are also unlike each other.
- *silent*: at least half of the top examples share a token (or the two tokens up to it), and here
  the same stands, but the neuron is silent: at most a tenth of the maximum and not above its own
  0.9 quantile; those whose contexts are nearest to a top example come first.

Both are looked for in the run's token sample.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

#: Of each kind at most, for one version.
MOST = 3
STRONG = 0.5
SILENT = 0.1
RULE = 0.5


@dataclass(frozen=True)
class Mined:
    """One counterexample; `place` is its place in the sample."""

    kind: Literal["unlike", "silent"]
    place: int
    distance: float
    rule: str = ""


def unlike(vectors: Floats, top: Longs, strong: Longs, rows: Longs) -> list[Mined]:
    """vectors: [T, d] unit length; top: rows of the top examples; strong: places in the sample
    of the strong tokens, and rows: theirs in `vectors`."""
    fresh = ~np.isin(rows, top)
    strong, rows = strong[fresh], rows[fresh]
    if not len(strong) or len(top) < 2:
        return []
    own = 1 - vectors[top] @ vectors[top].T
    np.fill_diagonal(own, np.inf)
    limit = own.min(axis=1).max()
    nearest = (1 - vectors[rows] @ vectors[top].T).min(axis=1)
    remaining = nearest.copy()
    found = []
    for _ in range(min(MOST, len(strong))):
        best = int(remaining.argmax())
        if remaining[best] <= limit:
            break
        found.append(Mined("unlike", int(strong[best]), float(nearest[best])))
        remaining = np.minimum(remaining, 1 - vectors[rows] @ vectors[rows[best]])
    return found


def silent(
    vectors: Floats,
    top: Longs,
    top_tokens: Longs,
    values: Floats,
    limit: float,
    tokens: Longs,
    rows: Longs,
) -> list[Mined]:
    """top_tokens: [m, 2], each top example's token before the focus and at it; values, rows: [K],
    of the sample; tokens: [K, 2]; `limit`: the largest activation that counts as silent."""
    if not len(top_tokens):
        return []
    predicted, rule = _predicted(top_tokens, tokens)
    places = np.flatnonzero(predicted & (values <= limit))
    places = places[~np.isin(rows[places], top)]
    if not len(places):
        return []
    distance = (1 - vectors[rows[places]] @ vectors[top].T).min(axis=1)
    order = np.argsort(distance, kind="stable")[:MOST]
    return [Mined("silent", int(places[i]), float(distance[i]), rule) for i in order]


def _predicted(top_tokens: Longs, tokens: Longs) -> tuple[npt.NDArray[np.bool_], str]:
    """Where the top examples' rule holds, and the rule in words; the narrower rule first."""
    n = len(top_tokens)
    pairs = Counter(map(tuple, top_tokens.tolist())).most_common(1)[0]
    if pairs[1] >= RULE * n:
        return (tokens == np.array(pairs[0])).all(axis=1), (
            f"same two tokens as {pairs[1]} of {n} top examples"
        )
    single = Counter(top_tokens[:, 1].tolist()).most_common(1)[0]
    if single[1] >= RULE * n:
        return tokens[:, 1] == single[0], f"same token as {single[1]} of {n} top examples"
    return np.zeros(len(tokens), bool), ""
