"""What the MLPs read on the corpus's first windows, kept on disk from the first pass to the gather.

A neuron's activations along a snippet follow from what its MLP reads there, d_model numbers a
token, and from three numbers of a token where the activation function is SoLU
(`neuron_values.numbers_of`). Where they were kept, no model runs again for the windows that
examples show; where they were not (beyond the limit, on a full disk, in half precision) they are
made again, and are the same.

    files = InputFiles.of(directory, layout, configs, batch_windows=8, shard_windows=128)
    spool = files.begin(shard)                    # by a worker; None beyond the limit
    spool.take(*numbers_of(lean, layer, batch))   # each layer of each batch, as the layout has them
    spool.end()

A file holds one shard: float32 [batches, a row]; a row has for each side and layer, in the order of
the layout, the MLP's inputs [places, d_model] and then the scales [3, places], `places` being the
tokens of a batch, padding and all. The keys of its windows and its checksum lie beside it, written
last: a file without them does not count, and one that is not what was written is removed.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from store.records import Side
from worker.checksums import crc32, crc32_of
from worker.contexts import Keys, window_keys
from worker.layout import Layout
from worker.neuron_values import Floats, Reads, is_solu
from worker.shards import Shard

#: As much is kept at most, and no more than this part of the disk's free space.
MOST_BYTES = 4 << 30
_PART_OF_FREE = 4

_SCALES = 3


@dataclass(frozen=True)
class Block:
    """One side's layer within a row of a file."""

    side: Side
    layer: int
    d_model: int
    scaled: bool

    def size(self, places: int) -> int:
        """Numbers that the block takes."""
        return places * (self.d_model + _SCALES * self.scaled)


@dataclass(frozen=True)
class InputFiles:
    """The files of one run. `n_shards`: those below are kept."""

    directory: Path
    blocks: tuple[Block, ...]
    n_ctx: int
    batch_windows: int
    n_shards: int

    @classmethod
    def of(
        cls,
        directory: Path,
        layout: Layout,
        configs: Mapping[str, dict[str, Any]],
        *,
        batch_windows: int,
        shard_windows: int,
        most_bytes: int = MOST_BYTES,
    ) -> InputFiles:
        """As many shards as there is room for: at most so many bytes, and not much of the disk.

        configs: TransformerBridgeConfig's fields of each side.
        """
        blocks = tuple(
            Block(one.side, layer, int(config["d_model"]), is_solu(config["act_fn"]))
            for one, layer in layout.layers()
            for config in (configs[one.side],)
        )
        n_ctx = int(configs[layout.sides[0].side]["n_ctx"])
        row = sum(block.size(batch_windows * n_ctx) for block in blocks)
        shard = 4 * row * -(-shard_windows // batch_windows)
        room = min(most_bytes, _free(directory) // _PART_OF_FREE)
        return cls(directory, blocks, n_ctx, batch_windows, room // shard)

    def begin(self, shard: Shard) -> InputSpool | None:
        """Where a shard's inputs go; None if they are not kept."""
        return InputSpool(self, shard) if shard.number < self.n_shards else None

    def path(self, number: int) -> Path:
        return self.directory / f"{number:08d}.npy"

    def keys_path(self, number: int) -> Path:
        return self.directory / f"{number:08d}.keys.npz"

    def remove_damaged(self, note: Callable[[str], object]) -> None:
        """Remove the shards whose files are not what was written (a disk's fault, a machine that
        went down), and say so: their windows are run again."""
        numbers = list(self._numbers())
        with ThreadPoolExecutor() as pool:
            for number, whole in zip(numbers, pool.map(self._is_whole, numbers), strict=True):
                if not whole:
                    note(f"what was kept of shard {number} is damaged: its windows are run again.")
                    self.keys_path(number).unlink(missing_ok=True)
                    self.path(number).unlink(missing_ok=True)

    def find(self, wanted: Keys) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The shard whose file has each window (−1: none), and the window's place in it; the keys
        wanted are ascending, each once. Files that are whole: see `remove_damaged`."""
        shard = np.full(len(wanted), -1, np.int64)
        slot = np.zeros(len(wanted), np.int64)
        for number in self._numbers():
            keys, _ = self._beside(number)
            _, at, here = np.intersect1d(wanted, keys, assume_unique=True, return_indices=True)
            shard[at], slot[at] = number, here
        return shard, slot

    def reads(self, number: int) -> Iterator[tuple[Side, int, Reads]]:
        """What a shard's file holds, layer by layer; read as it is touched."""
        rows = np.load(self.path(number), "r")
        places = rows.shape[1] // sum(block.size(1) for block in self.blocks)
        begins = np.arange(len(rows), dtype=np.int64) * rows.shape[1]
        data = np.asarray(rows).reshape(-1)
        for block in self.blocks:
            yield block.side, block.layer, Reads(data, begins, places, block.d_model)
            begins = begins + block.size(places)

    def _numbers(self) -> Iterator[int]:
        """Shards whose file has its keys beside it."""
        for path in sorted(self.directory.glob("*.keys.npz")):
            yield int(path.name.split(".")[0])

    def _beside(self, number: int) -> tuple[Keys, int]:
        """The keys of a shard's windows, and its file's checksum."""
        with self.keys_path(number).open("rb") as file, np.load(file) as beside:
            return beside["keys"], int(beside["crc32"])

    def _is_whole(self, number: int) -> bool:
        try:
            return self._beside(number)[1] == crc32_of(self.path(number))
        except (OSError, EOFError, ValueError, KeyError, BadZipFile):
            return False


class InputSpool:
    """A shard's file while it is written, under another name. Should the disk be full, the shard is
    not kept, and nothing else suffers."""

    def __init__(self, files: InputFiles, shard: Shard) -> None:
        self._files, self._shard = files, shard
        self._temporary = files.directory / f".tmp-{shard.number:08d}-{os.getpid()}"
        batches = -(-len(shard.windows) // files.batch_windows)
        row = sum(block.size(files.batch_windows * files.n_ctx) for block in files.blocks)
        self._file: IO[bytes] | None = None
        self._crc32 = 0
        try:
            files.directory.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("wb")
            header = io.BytesIO()
            about = {"descr": "<f4", "fortran_order": False, "shape": (batches, row)}
            np.lib.format.write_array_header_1_0(header, about)
            self._write(self._file, header.getbuffer())
        except OSError:
            self._give_up()

    def take(self, read: Floats, scales: Floats | None) -> None:
        """The next layer of a batch, as `numbers_of` gives it."""
        if self._file is None:
            return
        try:
            self._write(self._file, read.data)
            if scales is not None:
                self._write(self._file, scales.data)
        except OSError:
            self._give_up()

    def _write(self, file: IO[bytes], data: memoryview) -> None:
        file.write(data)
        self._crc32 = crc32(data, self._crc32)

    def end(self) -> None:
        """All batches were taken."""
        if self._file is None:
            return
        files, number = self._files, self._shard.number
        windows = self._shard.windows
        try:
            self._file.close()
            files.keys_path(number).unlink(missing_ok=True)
            self._temporary.rename(files.path(number))
            with self._temporary.open("wb") as file:
                keys = window_keys(windows.document, windows.window)
                np.savez(file, keys=keys, crc32=self._crc32)
            self._temporary.rename(files.keys_path(number))
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        """Leave nothing of the shard on the disk; closing a file may fail where writing it did."""
        files, number = self._files, self._shard.number
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        for path in (self._temporary, files.keys_path(number), files.path(number)):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._file = None


def _free(directory: Path) -> int:
    """Free bytes on the disk that the directory is, or will be, on."""
    here = next(path for path in (directory, *directory.parents) if path.exists())
    return shutil.disk_usage(here).free
