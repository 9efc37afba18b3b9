"""The token sample: the unmasked tokens of lowest hash, with all their activations, on disk.

    threshold = Threshold(size)               # the coordinator: sees every token's hash
    spool = Spool(directory, layout)          # a worker: appends rows that may belong
    sample = write_sample(directory, parts, layout, size)   # at the end: the rows that do
    sample.block("left", 0, "mid")            # float16 [K, n], K tokens by ascending key

The running threshold is the size-th lowest hash so far. It only falls, so a row above it can be
dropped at any time, and what is kept at the end is the same whatever the shards and workers were.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from store.records import HalfArray, Side, Site
from worker import array_files
from worker.accumulators.accumulator import LayerBatch, Rows
from worker.halves import to_half_into
from worker.hashing import HashArray
from worker.layout import Layout

EVERY_HASH = 2**64 - 1
_CHUNK_ROWS = 2048

#: A token's key and hash, as the sample's rows are named.
KEY = np.dtype([("hash", "<u8"), ("document", "<i8"), ("window", "<i4"), ("position", "<i4")])
KeyArray = npt.NDArray[np.void]


class Threshold:
    """The largest hash that may still belong to a sample of `size` tokens."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lowest: HashArray = np.empty(0, np.uint64)
        self._waiting: list[HashArray] = []
        self.value = EVERY_HASH

    def see(self, hashes: HashArray) -> None:
        """Take in the hashes of new unmasked tokens."""
        low = hashes[hashes <= np.uint64(self.value)]
        self._waiting.append(low)
        if sum(map(len, self._waiting)) > self._size // 4 or self.value == EVERY_HASH:
            together = np.concatenate([self._lowest, *self._waiting])
            self._waiting = []
            if len(together) > self._size:
                together = np.partition(together, self._size - 1)[: self._size]
            self._lowest = together
            if len(together) == self._size:
                self.value = int(together.max())


class Spool:
    """Rows of candidate tokens, appended to a file as their batches pass."""

    def __init__(self, directory: Path, layout: Layout) -> None:
        self._columns = {(side, layer, site): c for side, layer, site, c in layout.blocks()}
        self._width = layout.width
        self._file: IO[bytes] = (directory / "rows.f16").open("wb")
        self._keys: list[KeyArray] = []
        self._buffer = np.empty((0, self._width), np.float16)
        self._index: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def __len__(self) -> int:
        return sum(map(len, self._keys))

    def begin(self, rows: Rows, hashes: HashArray, threshold: int) -> None:
        """A new batch: hashes [B, n_ctx]; its tokens at or below the threshold are taken."""
        of_rows = hashes.reshape(-1)[rows.index]
        self._index = rows.index[of_rows <= np.uint64(threshold)]
        keys = np.empty(len(self._index), KEY)
        window, position = np.divmod(self._index, rows.n_ctx)
        keys["hash"] = hashes.reshape(-1)[self._index]
        keys["document"] = rows.windows.document[window]
        keys["window"] = rows.windows.window[window]
        keys["position"] = position
        self._keys.append(keys)
        self._buffer = np.empty((len(keys), self._width), np.float16)

    def take(self, side: Side, layer: int, batch: LayerBatch) -> None:
        """One layer of the batch."""
        if not len(self._index):
            return
        for site, values in batch.sites.items():
            column = self._columns[side, layer, site]
            n = values.shape[-1]
            if batch.on_cpu:
                rows = batch.flat(site)[self._index]
            else:
                rows = values.reshape(-1, n)[self._index.tolist()].float().cpu().numpy()
            to_half_into(rows, self._buffer[:, column : column + n])

    def end(self) -> None:
        """All layers of the batch were taken."""
        if len(self._index):
            self._file.write(self._buffer.data)

    def close(self) -> KeyArray:
        """Keys of the rows in the file, in its order."""
        self._file.close()
        return np.concatenate(self._keys) if self._keys else np.empty(0, KEY)


@dataclass(frozen=True)
class SamplePart:
    """Candidate rows of one partial: keys [R] and rows [R, width] float16 in a file."""

    keys: KeyArray
    path: Path

    def rows(self, width: int) -> HalfArray:
        if not len(self.keys):
            return np.empty((0, width), np.float16)
        return np.memmap(self.path, np.float16, "r", shape=(len(self.keys), width))


@dataclass(frozen=True)
class Choice:
    """Which rows of several parts belong to the sample, by (document, window, position)."""

    keys: KeyArray
    part: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]


def choose(parts: list[SamplePart], size: int) -> Choice:
    """The `size` tokens of lowest hash among all parts; a token in two parts counts once."""
    keys = np.concatenate([part.keys for part in parts]) if parts else np.empty(0, KEY)
    counts = [len(part.keys) for part in parts]
    part = np.repeat(np.arange(len(parts)), counts)
    row = np.concatenate([np.arange(c) for c in counts]) if parts else np.empty(0, np.int64)
    _, first = np.unique(keys, return_index=True)  # sorted by hash, then key
    order = first[:size]
    order = order[np.lexsort([keys[name][order] for name in ("position", "window", "document")])]
    return Choice(keys[order], part[order], row[order])


def copy_rows(
    parts: list[SamplePart], choice: Choice, width: int, start: int, end: int
) -> HalfArray:
    """Rows [start, end) of the choice."""
    rows = np.empty((end - start, width), np.float16)
    part, row = choice.part[start:end], choice.row[start:end]
    for p in np.unique(part):
        here = part == p
        rows[here] = parts[p].rows(width)[row[here]]
    return rows


def write_rows(path: Path, parts: list[SamplePart], choice: Choice, width: int) -> None:
    """The chosen rows as one part's file."""
    with path.open("wb") as file:
        for start in range(0, len(choice.keys), _CHUNK_ROWS):
            end = min(start + _CHUNK_ROWS, len(choice.keys))
            file.write(copy_rows(parts, choice, width, start, end).tobytes())


@dataclass(frozen=True)
class Sample:
    """A finished sample on disk: `keys.npy`, and a file for each side, layer and site."""

    directory: Path
    keys: KeyArray

    def __len__(self) -> int:
        return len(self.keys)

    def block(self, side: Side, layer: int, site: Site) -> HalfArray:
        """Activations [K, n] float16, read as they are touched."""
        return cast(HalfArray, np.load(self.directory / _block_name(side, layer, site), "r"))


def open_sample(directory: Path) -> Sample:
    """The sample that `write_sample` left in a directory."""
    return Sample(directory, np.load(directory / "keys.npy"))


def write_sample(
    directory: Path, parts: list[SamplePart], layout: Layout, size: int, about: dict[str, Any]
) -> Sample:
    """Write the final sample of all parts; `about` is kept beside it in sample.json."""
    directory.mkdir(parents=True, exist_ok=True)
    choice = choose(parts, size)
    blocks = list(layout.blocks())
    width = {(side, layer, site): layout[side].n_neurons for side, layer, site, _ in blocks}
    files: list[HalfArray] = []
    for side, layer, site, _ in blocks:
        path = directory / _block_name(side, layer, site)
        array_files.create(path, np.float16, (len(choice.keys), width[side, layer, site]))
        files.append(np.lib.format.open_memmap(path, "r+"))
    for start in range(0, len(choice.keys), _CHUNK_ROWS):
        end = min(start + _CHUNK_ROWS, len(choice.keys))
        rows = copy_rows(parts, choice, layout.width, start, end)
        for file, (side, layer, site, column) in zip(files, blocks, strict=True):
            file[start:end] = rows[:, column : column + width[side, layer, site]]
    np.save(directory / "keys.npy", choice.keys)
    (directory / "sample.json").write_text(json.dumps(about, indent=1), "utf-8")
    return Sample(directory, choice.keys)


def _block_name(side: Side, layer: int, site: Site) -> str:
    return f"{side}.{layer}.{site}.npy"
