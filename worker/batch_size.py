"""How many windows a batch has: what is quick, less where memory does not hold it.

    batch = planned_batch(configs, device, workers, dtype)       # before any model is loaded
    batch = next(engine.run(ProbeJob(layout, settings, n_ctx, batch), [PROBE]))   # on a GPU: tried

A batch is as large as is quick on that kind of device (`BATCH_TOKENS`), halved until it fits. On a
CPU that is estimated from the models' sizes and the memory that is available now; on a GPU from the
memory the device has, and then tried, halving again whenever the device says that it is out of
memory. Where not even one window fits, the message says how much is missing. The size of a shard
does not depend on it, so a run may go on with another batch than it began with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worker.accumulators.accumulator import Rows
from worker.activations import BATCH_TOKENS, Models, stream
from worker.errors import DeviceError
from worker.layout import Layout
from worker.settings import StatisticsSettings
from worker.statistics import Statistics
from worker.windows import TokenWindows

PROBE = "trying a batch"
MIB = 1 << 20
#: Residual streams, q, k, v and their mixture that stand together, in widths of the model.
_STREAMS = 10
#: What one process takes for itself: Python, torch, compiled code.
_PROCESS_BYTES = 400 * MIB
_GPU_CONTEXT_BYTES = 600 * MIB
#: Rows whose logits the losses hold at once, twice (worker.losses).
_LOGIT_ROWS = 4096


@dataclass(frozen=True)
class Need:
    """Estimated bytes of one worker: `fixed` whatever the batch, `window` for each window."""

    fixed: int
    window: int

    def of(self, windows: int) -> int:
        return self.fixed + self.window * windows


def estimate(configs: Iterable[Mapping[str, Any]], device: str, dtype: str) -> Need:
    """From TransformerBridgeConfig's fields of every model that is loaded."""
    width = 4 if dtype == "float32" else 2
    weights = logits = window = 0
    for config in configs:
        d, hidden = int(config["d_model"]), int(config["d_mlp"])
        heads = int(config["n_heads"]) * int(config["d_head"])
        layer = 4 * d * heads + 2 * d * hidden
        parameters = int(config["n_layers"]) * layer
        parameters += (2 * int(config["d_vocab"]) + int(config["n_ctx"])) * d
        weights += width * parameters
        # The sites in their own precision and in float32; sums of a GPU are taken in float64, with
        # deviations and their squares standing beside each other.
        a_token = hidden * (3 * (width + 4) + (4 * 8 if device == "cuda" else 0))
        a_token += _STREAMS * d * width
        window = max(window, int(config["n_ctx"]) * a_token)
        logits = max(logits, 2 * 4 * _LOGIT_ROWS * int(config["d_vocab"]))
    base = _GPU_CONTEXT_BYTES if device == "cuda" else _PROCESS_BYTES
    return Need(base + weights + logits, window)


def planned_batch(
    configs: Iterable[Mapping[str, Any]], device: torch.device, workers: int, dtype: str
) -> int:
    """Windows in a batch; `DeviceError` where one window does not fit beside the weights."""
    configs = list(configs)
    quick = max(1, BATCH_TOKENS[device.type] // int(configs[0]["n_ctx"]))
    room = memory(device)
    if room is None:
        return quick
    need = estimate(configs, device.type, dtype)
    batch = quick
    while batch > 1 and need.of(batch) > room // workers:
        batch //= 2
    if need.of(batch) > room // workers:
        each = f" for each of {workers} workers" if workers > 1 else ""
        raise DeviceError(
            f"these models need about {need.of(1) // MIB:,} MiB of memory{each}, but {device} has "
            f"{room // workers // MIB:,} MiB",
            "use fewer --workers"
            if workers > 1
            else "use a device with more memory, or smaller models",
        )
    return batch


def memory(device: torch.device) -> int | None:
    """Bytes that may be used: available now on a CPU, all that a GPU has; None if not known."""
    if device.type == "cuda":
        if not torch.cuda.is_available():  # a cluster's, seen from a machine without one
            return None
        return int(torch.cuda.get_device_properties(device).total_memory)
    return _available() if device.type == "cpu" else None


def _available(root: Path = Path("/")) -> int | None:
    """What Linux says could be had without swapping, or less where a control group says so."""
    found: list[int] = []
    try:
        for line in (root / "proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(1024 * int(line.split()[1]))
        group = root / "sys/fs/cgroup"
        limit = (group / "memory.max").read_text("ascii").strip()
        if limit != "max":
            used = int((group / "memory.current").read_text("ascii"))
            found.append(max(0, int(limit) - used))
    except (OSError, ValueError):
        pass
    return min(found, default=None)


@dataclass(frozen=True)
class ProbeJob:
    """Tries a batch on the worker's device; the result is the largest that went through."""

    layout: Layout
    settings: StatisticsSettings
    n_ctx: int
    batch_windows: int

    def open(self, models: Models) -> Probe:
        return Probe(self, models)


@dataclass(frozen=True)
class Probe:
    """`handle` gives the number of windows; `DeviceError` where none fits."""

    job: ProbeJob
    models: Models

    def handle(self, task: object) -> int:
        batch = self.job.batch_windows
        while True:
            try:
                self._try(batch)
                return batch
            except torch.OutOfMemoryError as error:
                if batch == 1:
                    raise DeviceError(
                        f"{self.models.device} is out of memory with one window of "
                        f"{self.job.n_ctx} tokens",
                        "end what else uses the device, or take one with more memory",
                    ) from error
            # Out of the handler, so that what the failed try held is free.
            if self.models.device.type == "cuda":
                torch.cuda.empty_cache()
            batch //= 2

    def finish(self) -> None:
        return None

    def _try(self, batch: int) -> None:
        mask = np.ones((batch, self.job.n_ctx), bool)
        mask[:, 0] = False
        windows = TokenWindows(
            np.zeros(mask.shape, np.int32), mask, np.arange(batch), np.zeros(batch, np.int32)
        )
        statistics = Statistics.empty(self.job.layout, self.job.settings)
        sides = tuple(one.side for one in self.job.layout.sides)
        stream(self.models, sides, Rows.of(windows), statistics.update)
        if self.models.device.type == "cuda":
            torch.cuda.synchronize(self.models.device)
