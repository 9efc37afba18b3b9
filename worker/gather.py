"""The gather pass: the values of examples along their snippets.

They follow from what the MLPs read there, which the first pass kept on disk of as many windows as
there was room for (`worker.mlp_inputs`); other windows are run once more.

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
from worker.halves import to_half
from worker.layout import Layout
from worker.mlp_inputs import InputFiles
from worker.neuron_values import LayerNeurons, Reads, reads_of
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
    """Requests on some windows: those of the shard whose inputs were kept, or `windows`, which are
    run once more.

    `rows`: their places in the gathered arrays; `slot`: the window of each within the shard or
    among the windows.
    """

    source: TokenWindows | int
    requests: Requests
    rows: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int64]

    def __str__(self) -> str:
        if isinstance(self.source, int):
            return f"gathering shard {self.source}"
        return f"gathering document {self.source.document[0]}"


@dataclass(frozen=True)
class GatherJob:
    """What a worker needs to know."""

    gathered: Gathered
    layout: Layout
    batch_windows: int
    inputs: InputFiles | None = None

    def open(self, models: Models) -> GatherWork:
        return GatherWork(self, models)


class GatherWork:
    """`handle` gives the number of windows done."""

    def __init__(self, job: GatherJob, models: Models) -> None:
        self._job = job
        self._models = models
        self._sides: tuple[Side, ...] = tuple(one.side for one in job.layout.sides)
        self._neurons = {
            (one.side, layer): LayerNeurons(models.lean[one.side], layer)
            for one, layer in job.layout.layers()
        }
        self._values = {whose: job.gathered.values(whose, "r+") for whose in WHOSE}
        self._focus = job.gathered.focus("r+")
        self._scales = {side: job.gathered.scales(side, "r+") for side in job.gathered.scaled}

    def handle(self, task: GatherTask) -> int:
        if isinstance(task.source, int):
            assert self._job.inputs is not None
            n_ctx = self._job.inputs.n_ctx
            for side, layer, reads in self._job.inputs.reads(task.source):
                self._take(side, layer, reads, n_ctx, task.requests, task.rows, task.slot)
        else:
            self._run(task.source, task)
        return len(np.unique(task.slot))

    def finish(self) -> None:
        for array in (*self._values.values(), self._focus, *self._scales.values()):
            array.flush()  # type: ignore[attr-defined]

    def _run(self, windows: TokenWindows, task: GatherTask) -> None:
        size, n_ctx = self._job.batch_windows, windows.tokens.shape[1]
        for first in range(0, len(windows), size):
            here = (task.slot >= first) & (task.slot < first + size)
            some = task.requests[here], task.rows[here], task.slot[here] - first

            def take(side: Side, layer: int, batch: LayerBatch, some: Any = some) -> None:
                reads = reads_of(self._models.lean[side], layer, batch)
                self._take(side, layer, reads, n_ctx, *some)

            batch = padded(_slice(windows, first, first + size), size)
            stream(self._models, self._sides, Rows.of(batch), take)

    def _take(
        self,
        side: Side,
        layer: int,
        reads: Reads,
        n_ctx: int,
        requests: Requests,
        rows: npt.NDArray[np.int64],
        slot: npt.NDArray[np.int64],
    ) -> None:
        """One layer's part of some requests, from what its neurons are computed from."""
        at = requests["layer"] == layer
        own = requests["side"] == SIDES.index(side)
        display = SITES.index(self._job.layout[side].display_site)
        for w, (chosen, neuron) in enumerate(
            [
                (at & own, requests["neuron"]),
                (at & ~own, requests["neuron"]),
                (at & ~own & (requests["match"] >= 0), requests["match"]),
            ]
        ):
            if not chosen.any():
                continue
            found, row = requests[chosen], rows[chosen]
            group, first, inside = self._places(reads, n_ctx, found, slot[chosen])
            column = neuron[chosen].astype(np.int64)
            values = self._neurons[side, layer].values(reads, group, first, inside, column)
            for site, taken in values.items():
                self._values[WHOSE[w]][row, SITES.index(site)] = to_half(taken)
                if SITES.index(site) == display:
                    focus = found["position"] - found["start"]
                    self._focus[row, w] = taken[np.arange(len(row)), focus]
        if side in self._scales and at.any():
            group, first, inside = self._places(reads, n_ctx, requests[at], slot[at])
            scales = LayerNeurons.scales(reads, group, first, inside).transpose(1, 0, 2)
            self._scales[side][rows[at]] = np.where(inside[:, None, :], scales, np.nan)

    def _places(
        self, reads: Reads, n_ctx: int, requests: Requests, slot: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Of each snippet its batch, its first place there [N], and what is within it [N, S]."""
        group, window = np.divmod(slot, reads.places // n_ctx)
        inside = np.arange(self._job.gathered.snippet) < requests["length"][:, None]
        return group, window * n_ctx + requests["start"], inside


def gather_tasks(
    requests: Requests,
    contexts: Contexts,
    n_ctx: int,
    bos: int,
    size: int = 64,
    inputs: InputFiles | None = None,
) -> Iterator[GatherTask]:
    """Tasks over all that are requested, each window once: by shards where inputs were kept, then
    of `size` windows."""
    shard = np.full(len(contexts.keys), -1, np.int64)
    slot = np.zeros(len(contexts.keys), np.int64)
    if inputs is not None:
        shard, slot = inputs.find(contexts.keys)
    of = shard[requests["window"]]
    for number in np.unique(of[of >= 0]).tolist():
        rows = np.flatnonzero(of == number)
        yield GatherTask(number, requests[rows], rows, slot[requests["window"][rows]])
    rest = np.flatnonzero(of < 0)
    order = rest[np.argsort(requests["window"][rest], kind="stable")]
    windows, first = np.unique(requests["window"][order], return_index=True)
    ends = np.append(first, len(order))
    for a in range(0, len(windows), size):
        chosen = windows[a : a + size]
        rows = order[ends[a] : ends[a + len(chosen)]]
        place = np.searchsorted(chosen, requests["window"][rows])
        yield GatherTask(_token_windows(contexts, chosen, n_ctx, bos), requests[rows], rows, place)


def make_snippets(requests: Requests, contexts: Contexts, settings: StatisticsSettings) -> None:
    """Fill in `start` and `length`: up to so many tokens around the focus, within its window."""
    position = requests["position"].astype(np.int64)
    start = np.maximum(position - settings.before, 0)
    end = np.minimum(position + settings.after + 1, contexts.lengths[requests["window"]])
    requests["start"], requests["length"] = start, end - start


def take_recorded(requests: Requests, gathered: Gathered) -> None:
    """Where the first pass recorded the activation at the focus in full, that is what is shown: a
    list is in the order of it, to the last bit."""
    focus = gathered.focus("r+")
    exact = ~requests["is_half"]
    focus[exact, 0] = requests["recorded"][exact]
    focus.flush()  # type: ignore[attr-defined]


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
