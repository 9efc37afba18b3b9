"""The gather pass: the windows that examples show are run once more, and their values taken.

A request is one example: (side, layer, neuron) at a focus. Its row in the gathered arrays holds
the snippet's values at every site, for the version itself and for the other model's neurons of
the same index and of the best match. Workers write disjoint rows of the same files, so a run's
examples never stand in memory together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store.records import SIDES, SITES, HalfArray, Side
from worker import array_files
from worker.accumulators import LayerBatch
from worker.accumulators.accumulator import Rows
from worker.activations import Models, padded, stream
from worker.contexts import Contexts
from worker.layout import Layout
from worker.sample import to_half
from worker.settings import StatisticsSettings
from worker.windows import TokenWindows

#: One example to be gathered. `window` is the index within the run's contexts, `band` within
#: `store.records.BANDS`; `match` is −1 where there is none. The snippet is
#: [start, start + length) of the window. `recorded` is the display site's value at the focus as
#: the first pass had it, `is_half` whether in half precision.
REQUEST = np.dtype(
    [
        ("side", "u1"), ("layer", "<i4"), ("neuron", "<i4"), ("band", "u1"), ("rank", "<i4"),
        ("match", "<i4"), ("window", "<i8"), ("position", "<i4"), ("start", "<i4"),
        ("length", "<i4"), ("recorded", "<f4"), ("is_half", "?"),
    ]
)  # fmt: skip
Requests = npt.NDArray[np.void]

WHOSE = ("own", "same_index", "match")


@dataclass(frozen=True)
class Gathered:
    """Files of N rows: `values[whose]` [N, 3 sites, snippet] float16, sites as in SITES;
    `focus` [N, 3] float32, the display site's value of each of WHOSE at the focus; and of each of
    `scaled`, the sides with a LayerNorm after the activation, `scales(side)` [N, 3, snippet]
    float32, what `store.token_scales` keeps of the snippet's tokens."""

    directory: Path
    n: int
    snippet: int
    scaled: tuple[Side, ...] = ()

    def create(self) -> None:
        """Make the files, all zero."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for name, dtype, shape in self._files():
            array_files.create(self.directory / name, dtype, shape)

    def values(self, whose: str, mode: Any = "r") -> HalfArray:
        return np.lib.format.open_memmap(self.directory / f"{whose}.npy", mode)

    def focus(self, mode: Any = "r") -> npt.NDArray[np.float32]:
        return np.lib.format.open_memmap(self.directory / "focus.npy", mode)

    def scales(self, side: Side, mode: Any = "r") -> npt.NDArray[np.float32]:
        return np.lib.format.open_memmap(self.directory / f"scales_{side}.npy", mode)

    def _files(self) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
        for whose in WHOSE:
            yield f"{whose}.npy", np.float16, (self.n, len(SITES), self.snippet)
        yield "focus.npy", np.float32, (self.n, len(WHOSE))
        for side in self.scaled:
            yield f"scales_{side}.npy", np.float32, (self.n, 3, self.snippet)


@dataclass(frozen=True)
class GatherTask:
    """Some windows and the requests on them.

    `rows`: their places in the gathered arrays; `slot`: the window of each within the task.
    """

    windows: TokenWindows
    requests: Requests
    rows: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int64]

    def __str__(self) -> str:
        return f"gathering document {self.windows.document[0]}"


@dataclass(frozen=True)
class GatherJob:
    """What a worker needs to know."""

    gathered: Gathered
    layout: Layout
    batch_windows: int

    def open(self, models: Models) -> GatherWork:
        return GatherWork(self, models)


class GatherWork:
    """`handle` gives the number of windows done."""

    def __init__(self, job: GatherJob, models: Models) -> None:
        self._job = job
        self._models = models
        self._values = {whose: job.gathered.values(whose, "r+") for whose in WHOSE}
        self._focus = job.gathered.focus("r+")
        self._scales = {side: job.gathered.scales(side, "r+") for side in job.gathered.scaled}

    def handle(self, task: GatherTask) -> int:
        size = self._job.batch_windows
        sides: tuple[Side, ...] = tuple(one.side for one in self._job.layout.sides)
        for first in range(0, len(task.windows), size):
            here = (task.slot >= first) & (task.slot < first + size)
            windows = padded(_slice(task.windows, first, first + size), size)
            self._take_batch(
                sides, windows, task.requests[here], task.rows[here], task.slot[here] - first
            )
        return len(task.windows)

    def finish(self) -> None:
        for array in (*self._values.values(), self._focus, *self._scales.values()):
            array.flush()  # type: ignore[attr-defined]

    def _take_batch(
        self,
        sides: tuple[Side, ...],
        windows: TokenWindows,
        requests: Requests,
        rows: npt.NDArray[np.int64],
        slot: npt.NDArray[np.int64],
    ) -> None:
        n_ctx = windows.tokens.shape[1]

        def take(side: Side, layer: int, batch: LayerBatch) -> None:
            at = requests["layer"] == layer
            if side in self._scales and at.any():
                found, row = requests[at], rows[at]
                offset = np.arange(self._job.gathered.snippet)
                inside = offset[None, :] < found["length"][:, None]
                start = slot[at] * n_ctx + found["start"]
                places = start[:, None] + np.where(inside, offset, 0)
                scales = token_scales(batch)[:, places].transpose(1, 0, 2)
                self._scales[side][row] = np.where(inside[:, None, :], scales, np.nan)
            own = requests["side"] == SIDES.index(side)
            has_match = requests["match"] >= 0
            display = self._job.layout[side].display_site
            for w, (chosen, neuron) in enumerate(
                [
                    (at & own, requests["neuron"]),
                    (at & ~own, requests["neuron"]),
                    (at & ~own & has_match, requests["match"]),
                ]
            ):
                if not chosen.any():
                    continue
                found, row = requests[chosen], rows[chosen]
                column = neuron[chosen].astype(np.int64)
                base = slot[chosen] * n_ctx
                offset = np.arange(self._job.gathered.snippet)
                inside = offset[None, :] < found["length"][:, None]
                places = base[:, None] + np.where(inside, found["start"][:, None] + offset, 0)
                for site in batch.sites:
                    taken = _pick(batch, site, places, column[:, None])
                    self._values[WHOSE[w]][row, SITES.index(site)] = to_half(
                        np.where(inside, taken, 0)
                    )
                focus = base + found["position"]
                self._focus[row, w] = _pick(batch, display, focus, column)

        stream(self._models, sides, Rows.of(windows), take)


def gather_tasks(
    requests: Requests, contexts: Contexts, n_ctx: int, bos: int, size: int = 64
) -> Iterator[GatherTask]:
    """Tasks of `size` windows over all that are requested, each window once."""
    order = np.argsort(requests["window"], kind="stable")
    windows, first = np.unique(requests["window"][order], return_index=True)
    ends = np.append(first, len(order))
    for a in range(0, len(windows), size):
        chosen = windows[a : a + size]
        rows = order[ends[a] : ends[a + len(chosen)]]
        slot = np.searchsorted(chosen, requests["window"][rows])
        yield GatherTask(_token_windows(contexts, chosen, n_ctx, bos), requests[rows], rows, slot)


def make_snippets(requests: Requests, contexts: Contexts, settings: StatisticsSettings) -> None:
    """Fill in `start` and `length`: up to so many tokens around the focus, within its window."""
    position = requests["position"].astype(np.int64)
    start = np.maximum(position - settings.before, 0)
    end = np.minimum(position + settings.after + 1, contexts.lengths[requests["window"]])
    requests["start"], requests["length"] = start, end - start


def mismatches(
    requests: Requests, gathered: Gathered, scale: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Requests whose focus value is not what the first pass recorded.

    scale: [N], each version's spread, by which differences are judged; a thousandth of it, or of
    the value, is rounding (different batch shapes, a device's kernels).
    """
    again = gathered.focus()[:, 0].astype(np.float64)
    recorded = requests["recorded"].astype(np.float64)
    again = np.where(requests["is_half"], to_half(again.astype(np.float32)), again)
    tolerance = 1e-3 * (np.abs(recorded) + scale) + 1e-6
    return np.flatnonzero(~(np.abs(again - recorded) <= tolerance))


def _token_windows(
    contexts: Contexts, indices: npt.NDArray[np.int64], n_ctx: int, bos: int
) -> TokenWindows:
    tokens = np.full((len(indices), n_ctx), bos, np.int32)
    mask = np.zeros((len(indices), n_ctx), bool)
    document, window = np.empty(len(indices), np.int64), np.empty(len(indices), np.int32)
    for i, record in enumerate(contexts.window_records(indices.tolist())):
        tokens[i, : len(record.tokens)] = record.tokens
        mask[i, 1 : len(record.tokens)] = True
        document[i], window[i] = record.document, record.window
    return TokenWindows(tokens, mask, document, window)


def _slice(windows: TokenWindows, start: int, end: int) -> TokenWindows:
    return TokenWindows(
        windows.tokens[start:end],
        windows.mask[start:end],
        windows.document[start:end],
        windows.window[start:end],
    )


def token_scales(batch: LayerBatch) -> npt.NDArray[np.float32]:
    """[3, B * n_ctx]: log Z, mean / deviation and 1 / deviation of `mid` over the layer's neurons.

    What is made with them is tried before it is stored (`store.example_packing`), so it costs bytes
    and no precision where the activation function is not quite SoLU, or a LayerNorm's epsilon is
    another.
    """
    log_z = batch.sites["pre"].logsumexp(dim=-1)
    mid = batch.sites["mid"]
    inverse = (mid.var(dim=-1, unbiased=False) + 1e-5).rsqrt()
    both = [log_z, mid.mean(dim=-1) * inverse, inverse]
    return np.stack([each.float().cpu().numpy().ravel() for each in both])


def _pick(
    batch: LayerBatch, site: Any, places: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Values at (place b * n_ctx + position, neuron); places and columns broadcast."""
    if batch.on_cpu:
        return batch.flat(site)[places, columns]
    import torch

    values = batch.sites[site]
    flat = values.reshape(-1, values.shape[-1])
    device = values.device
    at = torch.from_numpy(places).to(device), torch.from_numpy(columns).to(device)
    found: npt.NDArray[np.float32] = flat[at[0], at[1]].float().cpu().numpy()
    return found
