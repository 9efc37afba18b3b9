"""What a version's activations are measured against: its mean, and quantiles of what it shows.

    baselines = of_sample(sample, layout)
    baselines["left", 0].mean             # [n] of post: what an ablation sets it to
    baselines["left", 0].thresholds       # [11, n] of the display site, −inf … +inf

All come from the run's token sample, as the bands of examples do. The quantile q stands at rank
⌈q·K⌉ of K values, ascending from 0; q = 0 and 1 are −inf and +inf, so that nothing lies below the
one and all below the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store.evidence_records import CURVE_QUANTILES, HEADLINE_QUANTILE
from store.records import Side
from worker.layout import Layout
from worker.sample import Sample

Floats = npt.NDArray[np.float32]

#: Index of the headline among the quantiles; segments from here on are the high part.
HEADLINE = CURVE_QUANTILES.index(HEADLINE_QUANTILE)
#: Segment s holds the values from quantile s up to quantile s + 1.
N_SEGMENTS = len(CURVE_QUANTILES) - 1


@dataclass(frozen=True)
class Baseline:
    """Of all versions of one layer of one side."""

    mean: Floats  # [n] mean of post
    thresholds: Floats  # [11, n] CURVE_QUANTILES of the display site
    dropped: Floats  # [11, n] mean of post where the display site lies below; row 0 is unused

    @property
    def headline(self) -> Floats:
        """The headline quantile of each neuron [n]."""
        row: Floats = self.thresholds[HEADLINE]
        return row


Baselines = Mapping[tuple[Side, int], Baseline]


def of_sample(sample: Sample, layout: Layout) -> Baselines:
    """Baselines of every layer; the sample must hold at least one token."""
    found: dict[tuple[Side, int], Baseline] = {}
    for one, layer in layout.layers():
        post = sample.block(one.side, layer, "post")
        shown = post if one.display_site == "post" else sample.block(one.side, layer, "mid")
        found[one.side, layer] = of_values(np.asarray(shown), np.asarray(post))
    return found


def of_values(display: npt.NDArray[np.floating], post: npt.NDArray[np.floating]) -> Baseline:
    """From activations at both sites, [K, n] each."""
    tokens, n = post.shape
    ranks = [min(int(np.ceil(q * tokens)), tokens - 1) for q in CURVE_QUANTILES[1:-1]]
    thresholds = np.empty((len(CURVE_QUANTILES), n), np.float32)
    thresholds[0], thresholds[-1] = -np.inf, np.inf
    dropped = np.zeros((len(CURVE_QUANTILES), n))
    for start in range(0, n, 64):
        part = slice(start, min(start + 64, n))
        shown = np.ascontiguousarray(display[:, part].T, dtype=np.float32)
        values = np.ascontiguousarray(post[:, part].T, dtype=np.float64)
        order = np.argsort(shown, axis=1, kind="stable")
        ascending = np.take_along_axis(shown, order, axis=1)
        sums = np.cumsum(np.take_along_axis(values, order, axis=1), axis=1)
        thresholds[1:-1, part] = ascending[:, ranks].T
        dropped[-1, part] = sums[:, -1] / tokens
        for k in range(1, len(CURVE_QUANTILES) - 1):
            below = (shown < thresholds[k, part][:, None]).sum(axis=1)
            some = np.take_along_axis(sums, np.maximum(below - 1, 0)[:, None], axis=1)[:, 0]
            dropped[k, part] = np.where(below > 0, some / np.maximum(below, 1), dropped[-1, part])
    return Baseline(dropped[-1].astype(np.float32), thresholds, dropped.astype(np.float32))
