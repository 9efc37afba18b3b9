"""Where along the display site a quantity lies: sums by segment of quantiles and by bin.

fold = Fold.empty(n)
fold.add(values, display, thresholds)
fold.segments, fold.mass
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from store.histogram_edges import MIDDLE, N_BINS, N_SIDE
from worker.accumulators.distribution import torch_bins
from worker.evidence.baselines import HEADLINE, N_SEGMENTS, Floats

Doubles = npt.NDArray[np.float64]
_BITS_DROPPED = 20
_FIRST_CODE = (127 - 16) << 3


@dataclass
class Fold:
    """Sums over the rows seen so far.

    `segments` [n, 10]: between neighbouring quantiles of CURVE_QUANTILES; `mass` [2, n, 387]: by
    the histogram's bins, below the headline quantile and from it on.
    """

    segments: Doubles
    mass: Doubles

    @classmethod
    def empty(cls, n: int) -> Fold:
        return cls(np.zeros((n, N_SEGMENTS)), np.zeros((2, n, N_BINS)))

    def merge(self, other: Fold) -> Fold:
        return Fold(self.segments + other.segments, self.mass + other.mass)

    def add(
        self, values: Tensor, display: Tensor, thresholds: Floats, window: Tensor, windows: int
    ) -> Doubles:
        """values, display: [R, n]; thresholds [11, n]; window [R], of each row.

        Returns the sums by window and part [2, windows, n].
        """
        inner = np.ascontiguousarray(thresholds[1:-1].T)
        sums = np.zeros((2, windows, values.shape[1]))
        if values.device.type == "cpu":
            shown = display.contiguous().numpy()
            _fold(
                values.contiguous().numpy(),
                shown,
                shown.view(np.uint32),
                inner,
                window.numpy(),
                self.segments,
                self.mass,
                sums,
            )
            return sums
        return self._add_on_device(values, display, inner, window, sums)

    def _add_on_device(
        self, values: Tensor, display: Tensor, inner: Floats, window: Tensor, sums: Doubles
    ) -> Doubles:
        rows, n = values.shape
        exact = torch.float32 if values.device.type == "mps" else torch.float64
        flat = values.reshape(-1).to(exact)
        neuron = torch.arange(n, device=values.device).expand(rows, n)
        segment = (display[..., None] >= torch.from_numpy(inner).to(display.device)).sum(-1)
        high = (segment >= HEADLINE).long()

        def total(index: Tensor, size: int) -> Doubles:
            found = torch.zeros(size, dtype=exact, device=values.device)
            found.index_add_(0, index.reshape(-1), flat)
            return found.double().cpu().numpy()

        self.segments += total(neuron * N_SEGMENTS + segment, n * N_SEGMENTS).reshape(n, -1)
        bins = (high * n + neuron) * N_BINS + torch_bins(display)
        self.mass += total(bins, 2 * n * N_BINS).reshape(2, n, N_BINS)
        places = (high * sums.shape[1] + window[:, None]) * n + neuron
        sums += total(places, sums.size).reshape(sums.shape)
        return sums


@numba.njit(cache=True, nogil=True)
def _fold(values, display, bits, inner, window, segments, mass, sums):  # type: ignore[no-untyped-def]
    """values, display, bits [R, n]; inner [n, 9] ascending; the last three are added to."""
    for r in range(values.shape[0]):
        w = window[r]
        for j in range(values.shape[1]):
            x = display[r, j]
            f = np.float64(values[r, j])
            s = 0
            for k in range(inner.shape[1]):
                s += x >= inner[j, k]
            high = 1 if s >= HEADLINE else 0
            u = bits[r, j]
            m = np.int64((u & np.uint32(0x7FFFFFFF)) >> np.uint32(_BITS_DROPPED)) - (
                _FIRST_CODE - 1
            )
            m = max(np.int64(0), min(np.int64(N_SIDE + 1), m))
            place = MIDDLE - m if u >> np.uint32(31) else MIDDLE + m
            segments[j, s] += f
            mass[high, j, place] += f
            sums[high, w, j] += f
