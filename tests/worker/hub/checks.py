"""What the tests of the hub let `tests.worker.hub.process` do there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from store import runs
from store.engine import open_engine
from worker.corpus import open_corpus
from worker.errors import WorkerError
from worker.evidence.published_run import plan_of_run
from worker.layout import HOOK_POINTS
from worker.lean import LeanModel, Source
from worker.models import load_native
from worker.pairs import load_pair
from worker.tokenizer import load_tokenizer
from worker.windows import token_windows


def differences(
    repository: str, side: str, directory: str, checkpoint: int | None = None
) -> dict[str, float]:
    """By site (and logits): the largest difference between a kept version's activations and those
    of TransformerLens's own model of the repository, over its largest activation."""
    from transformer_lens.model_bridge.bridge import TransformerBridge

    version = getattr(load_pair(directory), side)
    lean = LeanModel(load_native(version))
    bridge = TransformerBridge.boot_tl_legacy(repository, checkpoint_value=checkpoint)
    tokens = torch.randint(0, version.config["d_vocab"], (3, 20), generator=_seeded())
    ours: dict[str, Tensor] = {}

    def take(layer: int, sites: dict[str, Tensor], _: Source) -> None:
        for site, values in sites.items():
            ours[f"blocks.{layer}.mlp.{HOOK_POINTS[site]}"] = values  # type: ignore[index]

    with torch.inference_mode():
        logits = lean.forward(tokens, sink=take)
        theirs, cache = bridge.run_with_cache(tokens)
    assert logits is not None
    # A constant over the vocabulary is not kept, and a softmax does not see it.
    found = {"logits": _difference(logits - logits.mean(-1, True), theirs - theirs.mean(-1, True))}
    return found | {name: _difference(values, cache[name]) for name, values in ours.items()}


def _difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def documents(spec: str) -> list[list[Any]]:
    """A corpus's documents: id, source, name, text, tokens."""
    return [[d.id, d.source, d.name, d.text, d.tokens] for d in open_corpus(spec).documents()]


def windows(spec: str, directory: str) -> list[list[Any]]:
    """A corpus's windows for a pair: document, window, tokens without padding."""
    pair = load_pair(directory)
    tokenizer = load_tokenizer(pair.tokenizer_path, pair.bos_token, pair.left.config["d_vocab"])
    found = []
    for batch in token_windows(
        open_corpus(spec).documents(), tokenizer, pair.left.config["n_ctx"], 8
    ):
        for i in range(len(batch)):
            length = 1 + int(batch.mask[i].sum())
            ids = batch.tokens[i, :length].tolist()
            found.append([int(batch.document[i]), int(batch.window[i]), ids])
    return found


def planned_again(url: str, run_id: str, pair: str) -> str:
    """The id that a published run's own plan leads to."""
    engine = open_engine(url)
    try:
        run = runs.get_run(engine, run_id)
        return plan_of_run(run, pair_spec=pair, device="cpu", workers=1).run_id
    finally:
        engine.dispose()


def fault(function: str, *arguments: Any) -> str:
    """The line of the fault that one of these raises."""
    try:
        globals()[function](*arguments)
    except WorkerError as error:
        return str(error)
    return ""


def scratch() -> str:
    """A directory of this process's own."""
    return str(Path(tempfile.mkdtemp()))
