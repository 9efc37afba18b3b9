"""The tokens at which each neuron is highest and lowest, one per document (EVIDENCE §2).

`top` and `bottom` are ranked by the display site; exact ties are broken by `pre` where the
display site is `post` (it saturates), then by the lower (document, window, position). Of each
window only its highest and lowest token can count, and almost always neither reaches the k-th
best so far: then a window costs one comparison a neuron.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numba
import numpy as np
import numpy.typing as npt
import torch

from worker.accumulators.accumulator import Arrays, LayerBatch
from worker.layout import SideLayout
from worker.settings import StatisticsSettings

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

_PARTS = ("key", "tie", "document", "window", "position")


@dataclass(frozen=True)
class Ranked:
    """The k best tokens of each neuron, best first; unused places have document −1.

    `key` and `tie` are the display site's and the tie-breaking value, negated for `bottom`.
    """

    key: Floats  # [n, k]
    tie: Floats  # [n, k]
    document: Longs  # [n, k]
    window: Longs  # [n, k]
    position: Longs  # [n, k]

    @classmethod
    def empty(cls, n: int, k: int) -> Ranked:
        lowest = np.full((n, k), -np.inf, dtype=np.float32)
        none = np.full((n, k), -1, dtype=np.int64)
        return cls(lowest, lowest.copy(), none, none.copy(), none.copy())

    @property
    def parts(self) -> tuple[Floats, Floats, Longs, Longs, Longs]:
        return self.key, self.tie, self.document, self.window, self.position

    def merge(self, other: Ranked) -> Ranked:
        merged = Ranked(
            self.key.copy(),
            self.tie.copy(),
            self.document.copy(),
            self.window.copy(),
            self.position.copy(),
        )
        _merge(*merged.parts, *other.parts)
        return merged


class Extremes:
    """Accumulator of one layer: `top` and `bottom`."""

    def __init__(self, layout: SideLayout, top: Ranked, bottom: Ranked) -> None:
        self._layout = layout
        self.top = top
        self.bottom = bottom

    @classmethod
    def empty(cls, layout: SideLayout, settings: StatisticsSettings) -> Self:
        n = layout.n_neurons
        return cls(layout, Ranked.empty(n, settings.top), Ranked.empty(n, settings.bottom))

    def update(self, batch: LayerBatch) -> None:
        if not len(batch.rows.index):
            return
        display = self._layout.display_site
        tie = "pre" if display == "post" else display
        windows = batch.rows.windows
        keys = (windows.document, windows.window.astype(np.int64))
        if batch.on_cpu:
            values, ties = batch.flat(display), batch.flat(tie)
            rows = (batch.rows.index, batch.rows.starts, batch.rows.n_ctx)
            _fold(values, ties, *rows, *keys, self.top.parts, self.bottom.parts)
            return
        mask = torch.from_numpy(windows.mask)
        for sign, ranked in ((1.0, self.top), (-1.0, self.bottom)):
            self._fold_torch(batch.sites[display], batch.sites[tie], sign, mask, keys, ranked)

    def merge(self, other: Self) -> Self:
        top, bottom = self.top.merge(other.top), self.bottom.merge(other.bottom)
        return type(self)(self._layout, top, bottom)

    def compute(self) -> dict[str, Ranked]:
        return {"top": self.top, "bottom": self.bottom}

    def arrays(self) -> Arrays:
        found: Arrays = {}
        for band, ranked in (("top", self.top), ("bottom", self.bottom)):
            for name in _PARTS:
                found[f"{band}_{name}"] = getattr(ranked, name)
        return found

    @classmethod
    def of_arrays(cls, layout: SideLayout, settings: StatisticsSettings, arrays: Arrays) -> Self:
        top, bottom = (
            Ranked(*(arrays[f"{band}_{name}"] for name in _PARTS)) for band in ("top", "bottom")
        )
        return cls(layout, top, bottom)

    @staticmethod
    def _fold_torch(
        values: torch.Tensor,
        ties: torch.Tensor,
        sign: float,
        mask: torch.Tensor,
        keys: tuple[Longs, Longs],
        ranked: Ranked,
    ) -> None:
        """As `_fold`: the device finds the few (window, neuron) that may count."""
        outside = ~mask.to(values.device)[:, :, None]
        best = (values * sign).masked_fill(outside, -torch.inf).amax(dim=1)  # [B, n]
        threshold = torch.from_numpy(ranked.key[:, -1].copy()).to(values.device)
        found = (best >= threshold) & ~outside.all(dim=1)
        b, j = torch.nonzero(found, as_tuple=True)
        columns = values[b, :, j].cpu().numpy()  # [C, n_ctx]
        tied = ties[b, :, j].cpu().numpy()
        _fold_columns(
            columns, tied, np.float32(sign), mask.numpy(), b.cpu().numpy(), j.cpu().numpy(),
            *keys, *ranked.parts,
        )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _fold(values, ties, index, starts, n_ctx, documents, windows, top, bottom):  # type: ignore[no-untyped-def]
    """Offer each window's highest and lowest token to each neuron; values, ties [B * n_ctx, n]."""
    n = values.shape[1]
    low, high = np.empty(n, np.float32), np.empty(n, np.float32)
    for b in range(len(starts) - 1):
        rows = index[starts[b] : starts[b + 1]]
        if len(rows) == 0:
            continue
        _range(values, rows, low, high)
        at = (rows, b * n_ctx, documents[b], windows[b])
        _offer_all(values, ties, np.float32(1), high, at, top)
        _offer_all(values, ties, np.float32(-1), low, at, bottom)


@numba.njit(cache=True, nogil=True)
def _range(values, rows, low, high):  # type: ignore[no-untyped-def]
    """Smallest and largest value of each column among some rows."""
    low[:] = values[rows[0]]
    high[:] = low
    # Two rows at once, so that low and high are read and written half as often.
    for i in range(len(rows) % 2, len(rows), 2):
        x, y = values[rows[i]], values[rows[i + 1]]
        for j in range(len(low)):
            a = x[j] if x[j] < y[j] else y[j]
            low[j] = a if a < low[j] else low[j]
            a = x[j] if x[j] > y[j] else y[j]
            high[j] = a if a > high[j] else high[j]


@numba.njit(cache=True, nogil=True)
def _offer_all(values, ties, sign, found, at, ranked):  # type: ignore[no-untyped-def]
    """Offer a window's extreme value `found` [n] to the neurons whose list it may enter."""
    key, tie, document, window, position = ranked
    rows, first, d, w = at
    last = key.shape[1] - 1
    for j in range(len(found)):
        v = sign * found[j]
        # A document has one place: that it holds a better one already is told without the window.
        if v < key[j, last] or _has_better(key[j], document[j], v, d):
            continue
        t = np.float32(-np.inf)
        p = -1
        for r in rows:
            if values[r, j] == found[j] and (p < 0 or sign * ties[r, j] > t):
                t = sign * ties[r, j]
                p = r - first
        _offer(key[j], tie[j], document[j], window[j], position[j], v, t, d, w, p)


@numba.njit(cache=True, nogil=True)
def _has_better(key, document, v, d):  # type: ignore[no-untyped-def]
    """Whether a list [k], best first, has a token of document d whose value is above v."""
    for i in range(len(key)):
        if not key[i] > v:
            return False
        if document[i] == d:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _fold_columns(  # type: ignore[no-untyped-def]
    columns, ties, sign, mask, b, j, documents, windows, key, tie, document, window, position
):
    """The same for chosen (window, neuron) pairs; columns, ties [C, n_ctx]."""
    for c in range(len(b)):
        v = np.float32(-np.inf)
        t = np.float32(-np.inf)
        p = -1
        for i in range(columns.shape[1]):
            if not mask[b[c], i]:
                continue
            x = sign * columns[c, i]
            y = sign * ties[c, i]
            if p < 0 or x > v or (x == v and y > t):
                v, t, p = x, y, i
        _offer(
            key[j[c]], tie[j[c]], document[j[c]], window[j[c]], position[j[c]],
            v, t, documents[b[c]], windows[b[c]], p,
        )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _merge(  # type: ignore[no-untyped-def]
    key, tie, document, window, position, key2, tie2, document2, window2, position2
):
    for j in range(key2.shape[0]):
        for i in range(key2.shape[1]):
            if document2[j, i] >= 0:
                _offer(
                    key[j], tie[j], document[j], window[j], position[j],
                    key2[j, i], tie2[j, i], document2[j, i], window2[j, i], position2[j, i],
                )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _offer(key, tie, document, window, position, v, t, d, w, p):  # type: ignore[no-untyped-def]
    """Take a token into one neuron's list, [k] each, if it belongs there."""
    k = len(key)
    place = k - 1
    for i in range(k):
        if document[i] == d:
            place = i
            break
    if document[place] >= 0 and not _before(
        v, t, d, w, p, key[place], tie[place], document[place], window[place], position[place]
    ):
        return
    while place > 0 and (
        document[place - 1] < 0
        or _before(
            v, t, d, w, p,
            key[place - 1], tie[place - 1],
            document[place - 1], window[place - 1], position[place - 1],
        )
    ):  # fmt: skip
        key[place] = key[place - 1]
        tie[place] = tie[place - 1]
        document[place] = document[place - 1]
        window[place] = window[place - 1]
        position[place] = position[place - 1]
        place -= 1
    key[place] = v
    tie[place] = t
    document[place] = d
    window[place] = w
    position[place] = p


@numba.njit(cache=True, nogil=True)
def _before(v, t, d, w, p, v2, t2, d2, w2, p2):  # type: ignore[no-untyped-def]
    """Whether the first token ranks before the second."""
    if v != v2:
        return v > v2
    if t != t2:
        return t > t2
    if d != d2:
        return d < d2
    if w != w2:
        return w < w2
    return p < p2
