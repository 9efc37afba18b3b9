"""A synthetic run of the hub's size: 40,960 versions with statistics and evidence, many examples.

    from bench.hub_run import fill
    run = fill(engine, versions=40_960, with_examples=2_048)

Ten layers of 2,048 neurons, both sides. Values are random, and so no easier to store, draw or
compress than real ones; tokens are words with the spaces and newlines of source text. Examples
take most of the time and the disk, so only the first versions of each layer have them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.store import N_WINDOWS, copies, examples_of, load_evidence, windows_of
from store.engine import Engine
from store.publish import loading
from store.records import DocumentRecord, LayerRecord, RunRecord
from store.runs import get_run
from tests.synthetic_run import synthetic

SLUG = "hub-size"
VOCABULARY = 4096
_SYLLABLES = ("re", "turn", "self", "for", "im", "port", "val", "ue", "def", "in", "str", "list")


def layers_of(versions: int) -> int:
    """Layers of 2,048 neurons, as the hub's pairs have them; fewer versions, fewer layers."""
    return max(1, min(10, versions // 2 // 2048))


def fill(engine: Engine, versions: int, with_examples: int, seed: int = 0) -> RunRecord:
    """Publish the run with its evidence; `versions` and `with_examples` count both sides."""
    rng = np.random.default_rng(seed)
    layers = layers_of(versions)
    made = synthetic(layers=layers, d_mlp=8, slug=SLUG, seed=seed)
    shape = {"n_layers": layers, "d_mlp": versions // 2 // layers}
    left, right = made.run.pair.left, made.run.pair.right
    assert right is not None
    pair = replace(made.run.pair, left=replace(left, **shape), right=replace(right, **shape))
    records = list(copies(made, versions // 2, rng, layers))
    with loading(engine, replace(made.run, pair=pair)) as loader:
        loader.vocabulary(_vocabulary(rng))
        loader.documents(
            DocumentRecord(i, "stdlib", f"package/module_{i}.py") for i in range(N_WINDOWS)
        )
        loader.windows(windows_of(VOCABULARY, rng))
        loader.neurons(records)
        loader.examples(examples_of(with_examples // 2, rng, layers))
        loader.layers(LayerRecord(layer, 0.5) for layer in range(layers))
        run = loader.publish()
    load_evidence(engine, run, records, rng)
    return get_run(engine, run.id)


def _vocabulary(rng: np.random.Generator) -> list[bytes]:
    """Words of source text: most begin with a space, some are newlines with indentation."""
    words = []
    for number in range(VOCABULARY):
        syllables = rng.choice(_SYLLABLES, 1 + number % 3)
        word = "".join(syllables)
        kind = number % 10
        words.append(
            ("\n" + "    " * (1 + number % 3)) if kind == 0 else "().:," [number % 5] * 1
            if kind == 1 else (" " + word if kind < 8 else word)
        )  # fmt: skip
    return [word.encode() for word in words]
