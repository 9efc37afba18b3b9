"""The distribution of every neuron at every site: histogram, moments, extrema (EVIDENCE §1).

Counts are exact and do not depend on rounding: a value's bin is a shift of its float32 bits
(`store.histogram_edges`). On a CPU one compiled sweep over the activations does bins, sums and
extrema; on other devices the same numbers are had from torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numba
import numpy as np
import numpy.typing as npt
import torch

from store.histogram_edges import BINS_PER_POWER, LOWEST_POWER, MIDDLE, N_BINS, N_SIDE
from store.records import Site
from worker.accumulators.accumulator import Arrays, LayerBatch
from worker.accumulators.moments import Moments
from worker.errors import PairError
from worker.layout import SideLayout
from worker.settings import StatisticsSettings

_BITS_DROPPED = 20  # of float32's 23: three bits of mantissa stay, eight bins to a power of two
_FIRST_CODE = (LOWEST_POWER + 127) * BINS_PER_POWER  # of the lowest closed bin
_BLOCK = 256  # neurons whose counts stay in a core's caches while a batch passes
_ROWS = 32  # tokens of such a block: read from memory once, then summed and counted
_RECENT_TOKENS = 2**31 - 1  # what a 32-bit counter holds
_SUMMED_TOKENS = 2**15  # after which sums around one pivot become moments


@dataclass(frozen=True)
class SiteDistribution:
    """What `compute` gives for one site. Arrays are [n]; NaN where undefined."""

    n: int
    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]
    skewness: npt.NDArray[np.float64]
    kurtosis: npt.NDArray[np.float64]
    min: npt.NDArray[np.float32]
    max: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int64]  # [n, N_BINS]


class Distribution:
    """Accumulator over the sites of one layer. `counts[s]` is [n, N_BINS] int64."""

    def __init__(
        self,
        sites: tuple[Site, ...],
        moments: list[Moments],
        low: npt.NDArray[np.float32],  # [S, n]
        high: npt.NDArray[np.float32],  # [S, n]
        counts: npt.NDArray[np.int64],  # [S, n, N_BINS]
    ) -> None:
        self.sites = sites
        self.moments = moments
        self.low = low
        self.high = high
        self.counts = counts
        # Counts not yet in `counts`: on the device, or in half as many bytes as those, which
        # the caches hold twice as well.
        self._on_device: dict[int, torch.Tensor] = {}
        self._recent: npt.NDArray[np.int32] | None = None  # [S, n, N_BINS]
        self._recent_tokens = 0
        # Sums of powers not yet in `moments`, around pivots.
        self._pivots = np.zeros(low.shape)  # [S, n]
        self._sums = np.zeros((len(sites), 4, low.shape[1]))
        self._summed = 0

    @classmethod
    def empty(cls, layout: SideLayout, settings: StatisticsSettings) -> Self:
        shape = (len(layout.sites), layout.n_neurons)
        return cls(
            layout.sites,
            [Moments.empty((layout.n_neurons,)) for _ in layout.sites],
            np.full(shape, np.inf, dtype=np.float32),
            np.full(shape, -np.inf, dtype=np.float32),
            np.zeros((*shape, N_BINS), dtype=np.int64),
        )

    def update(self, batch: LayerBatch) -> None:
        if not len(batch.rows.index):
            return
        if batch.on_cpu:
            self._fold_compiled(batch)
            return
        for s, site in enumerate(self.sites):
            self._fold_torch(s, site, batch)

    def merge(self, other: Self) -> Self:
        return type(self)(
            self.sites,
            [a.merge(b) for a, b in zip(self._all_moments(), other._all_moments(), strict=True)],
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self._all_counts() + other._all_counts(),
        )

    def compute(self) -> dict[Site, SiteDistribution]:
        counts, moments = self._all_counts(), self._all_moments()
        found: dict[Site, SiteDistribution] = {}
        for s, site in enumerate(self.sites):
            std, skewness, kurtosis = moments[s].standardized()
            constant = self.low[s] == self.high[s]
            found[site] = SiteDistribution(
                moments[s].n,
                moments[s].mean,
                np.where(constant, 0.0, std),
                np.where(constant, np.nan, skewness),
                np.where(constant, np.nan, kurtosis),
                self.low[s],
                self.high[s],
                counts[s],
            )
        return found

    def arrays(self) -> Arrays:
        moments = self._all_moments()
        sums = [[m.mean, m.m2, m.m3, m.m4] for m in moments]
        return {
            "n": np.array([m.n for m in moments], dtype=np.int64),
            "moments": np.array(sums, dtype=np.float64),  # [S, 4, n]
            "low": self.low,
            "high": self.high,
            "counts": self._all_counts(),
        }

    @classmethod
    def of_arrays(cls, layout: SideLayout, settings: StatisticsSettings, arrays: Arrays) -> Self:
        moments = [
            Moments(int(n), *sums) for n, sums in zip(arrays["n"], arrays["moments"], strict=True)
        ]
        return cls(layout.sites, moments, arrays["low"], arrays["high"], arrays["counts"])

    def _all_counts(self) -> npt.NDArray[np.int64]:
        for s, counts in self._on_device.items():
            self.counts[s] += counts.cpu().numpy()
        self._on_device.clear()
        if self._recent is not None and self._recent_tokens:
            self.counts += self._recent
            self._recent[:] = 0
            self._recent_tokens = 0
        return self.counts

    def _all_moments(self) -> list[Moments]:
        if self._summed:
            for s, (pivot, sums) in enumerate(zip(self._pivots, self._sums, strict=True)):
                self._take_sums(s, self._summed, pivot, sums)
            self._summed = 0
        return self.moments

    def _take_sums(
        self, s: int, n: int, pivot: npt.NDArray[np.float64], sums: npt.NDArray[np.float64]
    ) -> None:
        """Sums [4, neurons] of powers of n values of a site around a pivot."""
        if not np.isfinite(sums).all():
            raise PairError(
                f"activations at {self.sites[s]} are not finite",
                "the weights are broken: train again",
            )
        self.moments[s] = self.moments[s].merge(Moments.of_sums(n, pivot, *sums))

    def _make_room(self, tokens: int) -> npt.NDArray[np.int32]:
        """The 32-bit counters, with room for so many tokens more."""
        if self._recent is None:
            self._recent = np.zeros(self.counts.shape, np.int32)
        if self._recent_tokens + tokens > _RECENT_TOKENS:
            self._all_counts()
        self._recent_tokens += tokens
        return self._recent

    def _fold_compiled(self, batch: LayerBatch) -> None:
        index = batch.rows.index
        counts = self._make_room(len(index))
        first = not self.moments[0].n
        if not self._summed:
            self._sums[:] = 0
            for s, site in enumerate(self.sites):
                self._pivots[s] = batch.flat(site)[index[0]] if first else self.moments[s].mean
        for s, site in enumerate(self.sites):
            values = batch.flat(site)
            kept = self._pivots[s], counts[s], self._sums[s], self.low[s], self.high[s]
            _sweep(values, values.view(np.uint32), index, *kept)
        self._summed += len(index)
        # A first batch has one token's values for a pivot: what follows has its mean.
        if first or self._summed >= _SUMMED_TOKENS:
            self._all_moments()

    def _fold_torch(self, s: int, site: Site, batch: LayerBatch) -> None:
        values = batch.sites[site]
        index = torch.from_numpy(batch.rows.index).to(values.device)
        rows = values.reshape(-1, values.shape[-1])[index].float()  # [T, n]
        bins = torch_bins(rows)
        n = rows.shape[1]
        offsets = torch.arange(n, device=rows.device) * N_BINS
        counted = torch.bincount((bins + offsets).reshape(-1), minlength=n * N_BINS)
        counts = counted.reshape(n, N_BINS)
        self._on_device[s] = self._on_device[s] + counts if s in self._on_device else counts
        known = self.moments[s]
        pivot = known.mean if known.n else rows[0].cpu().numpy().astype(np.float64)
        # MPS has no float64: there, sums are taken on the CPU.
        exact = rows.cpu() if rows.device.type == "mps" else rows
        d = exact.double() - torch.from_numpy(pivot).to(exact.device)
        d2 = d * d
        sums = torch.stack([d.sum(0), d2.sum(0), (d2 * d).sum(0), (d2 * d2).sum(0)])
        self._take_sums(s, len(index), pivot, sums.cpu().numpy())
        np.minimum(self.low[s], rows.amin(0).cpu().numpy(), out=self.low[s])
        np.maximum(self.high[s], rows.amax(0).cpu().numpy(), out=self.high[s])


def torch_bins(values: torch.Tensor) -> torch.Tensor:
    """`store.histogram_edges.bin_index` in torch: int64, same shape; values float32."""
    bits = values.contiguous().view(torch.int32)
    code = ((bits & 0x7FFFFFFF) >> _BITS_DROPPED).long() - (_FIRST_CODE - 1)
    magnitude = code.clamp(0, N_SIDE + 1)
    return torch.where(bits < 0, MIDDLE - magnitude, MIDDLE + magnitude)


@numba.njit(cache=True, nogil=True)
def _sweep(
    values: npt.NDArray[np.float32],  # [R, n]
    bits: npt.NDArray[np.uint32],  # the same memory
    index: npt.NDArray[np.int64],  # [T] rows to read
    pivot: npt.NDArray[np.float64],  # [n]
    counts: npt.NDArray[np.int32],  # [n, N_BINS], added to
    sums: npt.NDArray[np.float64],  # [4, n], added to
    low: npt.NDArray[np.float32],
    high: npt.NDArray[np.float32],
) -> None:
    """Bins, power sums around the pivot, and extrema of each column, in one reading."""
    n = values.shape[1]
    for a in range(0, n, _BLOCK):
        e = min(a + _BLOCK, n)
        p, s, lo, hi = pivot[a:e], sums[:, a:e], low[a:e], high[a:e]
        place = np.empty((_ROWS, e - a), np.uint32)
        for first in range(0, len(index), _ROWS):
            rows = index[first : first + _ROWS]
            whole = len(rows) - len(rows) % 4
            # Four rows at once: the sums are read and written a quarter as often.
            for i in range(0, whole, 4):
                _add_four(
                    values[rows[i], a:e],
                    values[rows[i + 1], a:e],
                    values[rows[i + 2], a:e],
                    values[rows[i + 3], a:e],
                    p, s[0], s[1], s[2], s[3], lo, hi,
                )  # fmt: skip
            for i in range(whole, len(rows)):
                _add_one(values[rows[i], a:e], p, s[0], s[1], s[2], s[3], lo, hi)
            for i in range(len(rows)):
                _place(bits[rows[i], a:e], place[i])
            _count(place[: len(rows)], counts[a:e].reshape(-1))


@numba.njit(cache=True, nogil=True, fastmath={"contract"})  # x * y + z in one instruction
def _add_four(x0, x1, x2, x3, p, s1, s2, s3, s4, lo, hi):  # type: ignore[no-untyped-def]
    """Four rows [n] into the sums and extrema."""
    for j in range(len(p)):
        v0, v1, v2, v3 = x0[j], x1[j], x2[j], x3[j]
        d0, d1 = np.float64(v0) - p[j], np.float64(v1) - p[j]
        d2, d3 = np.float64(v2) - p[j], np.float64(v3) - p[j]
        q0, q1, q2, q3 = d0 * d0, d1 * d1, d2 * d2, d3 * d3
        s1[j] += (d0 + d1) + (d2 + d3)
        s2[j] += (q0 + q1) + (q2 + q3)
        s3[j] += (q0 * d0 + q1 * d1) + (q2 * d2 + q3 * d3)
        s4[j] += (q0 * q0 + q1 * q1) + (q2 * q2 + q3 * q3)
        # Comparisons that keep the old value unless the new one beats it become one instruction.
        a, b = v0 if v0 < v1 else v1, v2 if v2 < v3 else v3
        a = a if a < b else b
        lo[j] = a if a < lo[j] else lo[j]
        a, b = v0 if v0 > v1 else v1, v2 if v2 > v3 else v3
        a = a if a > b else b
        hi[j] = a if a > hi[j] else hi[j]


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _add_one(x, p, s1, s2, s3, s4, lo, hi):  # type: ignore[no-untyped-def]
    """One row [n] into the sums and extrema."""
    for j in range(len(p)):
        d = np.float64(x[j]) - p[j]
        q = d * d
        s1[j] += d
        s2[j] += q
        s3[j] += q * d
        s4[j] += q * q
        lo[j] = x[j] if x[j] < lo[j] else lo[j]
        hi[j] = x[j] if x[j] > hi[j] else hi[j]


@numba.njit(cache=True, nogil=True)
def _place(bits, place):  # type: ignore[no-untyped-def]
    """Where each of a row's values [n] is counted, in counts [n * N_BINS]; several to an
    instruction."""
    for j in range(len(place)):
        m = np.int32((bits[j] & np.uint32(0x7FFFFFFF)) >> np.uint32(_BITS_DROPPED))
        m = max(np.int32(0), min(np.int32(N_SIDE + 1), m - np.int32(_FIRST_CODE - 1)))
        sign = np.int32(bits[j]) >> np.int32(31)  # 0 or -1
        place[j] = np.uint32(j * N_BINS + MIDDLE) + np.uint32((m ^ sign) - sign)


@numba.njit(cache=True, nogil=True)
def _count(place, counts):  # type: ignore[no-untyped-def]
    """Count what stands at the places [R, n]: eight columns down all rows, since their counters
    stay in the nearest cache; one column alone would wait for its own last count."""
    n = place.shape[1]
    whole = n - n % 8
    for j in range(0, whole, 8):
        for i in range(len(place)):
            for k in range(8):
                counts[place[i, j + k]] += 1
    for j in range(whole, n):
        for i in range(len(place)):
            counts[place[i, j]] += 1
