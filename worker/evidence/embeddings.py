"""Context embeddings: the residual stream that an MLP reads, at chosen tokens of a run.

    places = Places.of(contexts, n_ctx, document, window, position)
    embeddings = embed(engine, places, contexts, layout, directory, bos)
    embeddings.block("left", 0)               # float16 [T, d_model]

A layer's embedding is the input of its second LayerNorm, `blocks.{L}.hook_resid_mid`: everything
that the MLP can know at that token. Windows are run as far as their last chosen token only (what
comes later cannot change it), those of similar length together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from store.records import HalfArray, Side
from worker import array_files
from worker.activations import Models
from worker.contexts import Contexts, window_keys
from worker.engine import Engine
from worker.evidence.passes import mlp_of
from worker.halves import to_half
from worker.layout import Layout
from worker.lean import LeanModel, _attention
from worker.reporter import Reporter

Longs = npt.NDArray[np.int64]

TASK_WINDOWS = 64
_BATCH_WINDOWS = 16
_LENGTH_STEP = 8  # batches are padded to a multiple of this


@dataclass(frozen=True)
class Places:
    """T distinct tokens: `codes` [T], window's index in the contexts · n_ctx + position, ascend."""

    codes: Longs
    n_ctx: int

    @classmethod
    def of(
        cls,
        contexts: Contexts,
        n_ctx: int,
        document: npt.ArrayLike,
        window: npt.ArrayLike,
        position: npt.ArrayLike,
    ) -> Places:
        """The tokens of these keys, each once; KeyError where a window is not in the contexts."""
        return cls(np.unique(codes_of(contexts, n_ctx, document, window, position)), n_ctx)

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self, codes: Longs) -> Longs:
        """Row of each code; KeyError if one is not here."""
        at = np.searchsorted(self.codes, codes)
        if len(codes) and (self.codes[np.minimum(at, len(self.codes) - 1)] != codes).any():
            raise KeyError("a token that is referred to was not embedded")
        return at

    def tokens(self, contexts: Contexts, back: int = 0) -> npt.NDArray[np.int32]:
        """Token id at each place, or `back` tokens before it (BOS at the window's beginning)."""
        window, position = np.divmod(self.codes, self.n_ctx)
        at = np.maximum(position - back, 0)
        return np.asarray(contexts.tokens[contexts.offsets[window] + at], dtype=np.int32)


def codes_of(
    contexts: Contexts,
    n_ctx: int,
    document: npt.ArrayLike,
    window: npt.ArrayLike,
    position: npt.ArrayLike,
) -> Longs:
    """Codes of tokens by their keys, in the order given."""
    index = contexts.find(window_keys(document, window))
    return index * n_ctx + np.asarray(position, np.int64)


@dataclass(frozen=True)
class Embeddings:
    """Files `{side}.{layer}.npy`, each [T, d_model] float16 by row of `places`."""

    directory: Path
    places: Places

    def block(self, side: Side, layer: int, mode: Any = "r") -> HalfArray:
        return np.lib.format.open_memmap(self._path(side, layer), mode)

    def create(self, side: Side, layer: int, d_model: int) -> None:
        """Make one file, all zero."""
        path = self._path(side, layer)
        path.parent.mkdir(parents=True, exist_ok=True)
        array_files.create(path, np.float16, (len(self.places), d_model))

    def _path(self, side: Side, layer: int) -> Path:
        return self.directory / f"{side}.{layer}.npy"


@dataclass(frozen=True)
class EmbeddingTask:
    """Windows of similar length with the places wanted: tokens [B, length], BOS behind the end."""

    tokens: npt.NDArray[np.int32]
    slot: Longs  # [P] window within the task
    position: Longs  # [P]
    row: Longs  # [P] row in the files

    def __str__(self) -> str:
        return f"embedding {len(self.tokens)} windows"


@dataclass(frozen=True)
class EmbeddingJob:
    """What a worker needs to know."""

    embeddings: Embeddings
    layout: Layout

    def open(self, models: Models) -> EmbeddingWork:
        return EmbeddingWork(self, models)


class EmbeddingWork:
    """`handle` gives the number of windows done."""

    def __init__(self, job: EmbeddingJob, models: Models) -> None:
        self._models = models
        self._sides = job.layout.sides
        self._files = {
            (one.side, layer): job.embeddings.block(one.side, layer, "r+")
            for one, layer in job.layout.layers()
        }

    @torch.inference_mode()
    def handle(self, task: EmbeddingTask) -> int:
        for start in range(0, len(task.tokens), _BATCH_WINDOWS):
            here = (task.slot >= start) & (task.slot < start + _BATCH_WINDOWS)
            slot, position = task.slot[here] - start, task.position[here]
            batch = task.tokens[start : start + _BATCH_WINDOWS, : 1 + int(position.max(initial=0))]
            tokens = torch.from_numpy(batch).long().to(self._models.device)
            for one in self._sides:
                lean = self._models.lean[one.side]
                for layer, x in enumerate(residuals(lean, tokens)):
                    taken = x[torch.from_numpy(slot), torch.from_numpy(position)]
                    self._files[one.side, layer][task.row[here]] = to_half(
                        taken.float().cpu().numpy()
                    )
        return len(task.tokens)

    def finish(self) -> None:
        for file in self._files.values():
            file.flush()  # type: ignore[attr-defined]


def residuals(lean: LeanModel, tokens: torch.Tensor) -> Iterator[torch.Tensor]:
    """What each layer's MLP reads, before its LayerNorm [B, T, d_model]; no more than that is run.

    tokens: integers [B, T].
    """
    model = lean.model
    assert model.pos is not None
    x = model.tok_embed(tokens) + model.pos.weight[: tokens.shape[1]]
    for layer, block in enumerate(model.layers):
        x = x + _attention(block.attn, block.ln1(x))
        yield x
        if layer < len(model.layers) - 1:
            mlp = mlp_of(lean, layer)
            after = mlp.act(mlp.fc_in(block.ln2(x)))
            x = x + mlp.fc_out(after if mlp.ln is None else mlp.ln(after))


def embedding_tasks(places: Places, contexts: Contexts, bos: int) -> list[EmbeddingTask]:
    """Tasks over every window that holds a place, each window once, the longest first."""
    window, position = np.divmod(places.codes, places.n_ctx)
    used, first = np.unique(window, return_index=True)
    ends = np.append(first, len(window))
    last = position[ends[1:] - 1]  # codes ascend, so a window's last place comes last
    tasks = []
    order = np.argsort(-last, kind="stable")
    for a in range(0, len(order), TASK_WINDOWS):
        chosen = order[a : a + TASK_WINDOWS]
        length = min(-(-(int(last[chosen].max()) + 1) // _LENGTH_STEP) * _LENGTH_STEP, places.n_ctx)
        tokens = np.full((len(chosen), length), bos, np.int32)
        rows = []
        for i, w in enumerate(chosen):
            ids = contexts.row(int(used[w]))[:length]
            tokens[i, : len(ids)] = ids
            rows.append(np.arange(ends[w], ends[w + 1]))
        row = np.concatenate(rows)
        slot = np.repeat(np.arange(len(chosen)), [len(r) for r in rows])
        tasks.append(EmbeddingTask(tokens, slot, position[row], row))
    return tasks


def embed(
    engine: Engine,
    places: Places,
    contexts: Contexts,
    layout: Layout,
    d_model: dict[Side, int],
    directory: Path,
    bos: int,
    reporter: Reporter,
) -> Embeddings:
    """Run every window that holds a place and keep what each layer's MLP reads there."""
    embeddings = Embeddings(directory, places)
    for one, layer in layout.layers():
        embeddings.create(one.side, layer, d_model[one.side])
    tasks = embedding_tasks(places, contexts, bos)
    reporter.step("contexts", sum(len(task.tokens) for task in tasks), "windows")
    done = 0
    for result in engine.run(EmbeddingJob(embeddings, layout), tasks):
        done += int(result)
        reporter.advance(done)
    return embeddings
