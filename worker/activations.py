"""The activations of all models on the same token windows, layer by layer.

    models = load_models(versions, device)
    for windows in ...:
        rows = Rows.of(windows)
        for side, layer, batch in stream(models, rows): ...

A batch is always padded to one shape, so that an activation does not depend on which windows
happened to share its batch: matrix products of one shape treat all rows alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch

from store.records import Side, Site
from worker.accumulators.accumulator import LayerBatch, Rows
from worker.lean import LeanModel, Source
from worker.models import load_native
from worker.pairs import Version
from worker.windows import TokenWindows

#: Tokens in a batch: what fits a core's caches, or fills a GPU.
BATCH_TOKENS = {"cpu": 1024, "mps": 4096, "cuda": 32_768}
#: Windows in a batch where a step goes by windows, whatever their length.
BATCH_WINDOWS = {"cpu": 8, "mps": 32, "cuda": 64}


@dataclass(frozen=True)
class Models:
    """Loaded versions by side ("control" may be among them), on one device."""

    lean: dict[str, LeanModel]
    device: torch.device


def load_models(versions: Mapping[str, Version], device: str) -> Models:
    """Load each version; `PairError` where weights do not fit their config."""
    target = torch.device(device)
    lean = {side: LeanModel(load_native(version, target)) for side, version in versions.items()}
    return Models(lean, target)


def padded(windows: TokenWindows, batch: int) -> TokenWindows:
    """The same windows with masked rows behind them, `batch` in all."""
    missing = batch - len(windows)
    if missing <= 0:
        return windows
    n_ctx = windows.tokens.shape[1]
    bos = windows.tokens[0, 0]
    return TokenWindows(
        np.concatenate([windows.tokens, np.full((missing, n_ctx), bos, np.int32)]),
        np.concatenate([windows.mask, np.zeros((missing, n_ctx), bool)]),
        np.concatenate([windows.document, np.full(missing, -1, np.int64)]),
        np.concatenate([windows.window, np.full(missing, -1, np.int32)]),
    )


def stream(
    models: Models,
    sides: tuple[Side, ...],
    rows: Rows,
    take: Callable[[Side, int, LayerBatch], None],
) -> None:
    """One forward pass of each side; `take(side, layer, batch)` for each layer in turn.

    What `take` gets is only valid during the call: float32, whatever the models compute in.
    """

    def hand_over(side: Side, layer: int, sites: dict[str, torch.Tensor], source: Source) -> None:
        single = {cast(Site, site): values.float() for site, values in sites.items()}
        take(side, layer, LayerBatch(single, rows, source))

    with torch.inference_mode():
        tokens = torch.from_numpy(rows.windows.tokens).long().to(models.device)
        for side in sides:
            models.lean[side].forward(tokens, partial(hand_over, side), want="none")
