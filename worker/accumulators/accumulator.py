"""What an accumulator takes and what it must do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self, cast

import numpy as np
import numpy.typing as npt
import torch

from store.records import Site
from worker.layout import SideLayout
from worker.lean import Source
from worker.settings import StatisticsSettings
from worker.windows import TokenWindows

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Rows:
    """Where the unmasked tokens of a batch stand, shared by all layers.

    `index` [T] int64: flat places b * n_ctx + position, ascending; window b's are
    index[starts[b]:starts[b + 1]].
    """

    windows: TokenWindows
    index: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]  # [B + 1]

    @classmethod
    def of(cls, windows: TokenWindows) -> Rows:
        starts = np.zeros(len(windows) + 1, dtype=np.int64)
        np.cumsum(windows.mask.sum(axis=1), out=starts[1:])
        return cls(windows, np.flatnonzero(windows.mask).astype(np.int64), starts)

    @property
    def n_ctx(self) -> int:
        return int(self.windows.mask.shape[1])


@dataclass(frozen=True)
class LayerBatch:
    """One layer's activations on a batch of windows: each site [B, n_ctx, n] float32, and what they
    were computed from."""

    sites: dict[Site, torch.Tensor]
    rows: Rows
    source: Source | None = None

    @cached_property
    def on_cpu(self) -> bool:
        """Whether the numba kernels can read them in place."""
        return all(values.device.type == "cpu" for values in self.sites.values())

    def flat(self, site: Site) -> npt.NDArray[np.float32]:
        """[B * n_ctx, n], contiguous, without a copy where it is so already; on a CPU only."""
        values = self.sites[site]
        flat = values.detach().reshape(-1, values.shape[-1]).contiguous().numpy()
        return cast(npt.NDArray[np.float32], flat)


class Accumulator(Protocol):
    """State of one statistic for all neurons of one layer of one side."""

    @classmethod
    def empty(cls, layout: SideLayout, settings: StatisticsSettings) -> Self:
        """Of no tokens: the identity of `merge`."""
        ...

    def update(self, batch: LayerBatch) -> None:
        """Take in the unmasked tokens of a batch, in place."""
        ...

    def merge(self, other: Self) -> Self:
        """Of both's tokens; neither changes."""
        ...

    def compute(self) -> Any:
        """The statistic itself."""
        ...

    def arrays(self) -> Arrays:
        """The whole state, for `of_arrays`."""
        ...

    @classmethod
    def of_arrays(cls, layout: SideLayout, settings: StatisticsSettings, arrays: Arrays) -> Self:
        """The state that `arrays` gave."""
        ...
