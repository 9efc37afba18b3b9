"""A synthetic run of the hub's size: 40,960 versions with statistics, evidence and examples.

    from bench.hub_run import fill
    run = fill(engine, versions=40_960)                          # two million examples: minutes
    run = fill(engine, versions=40_960, with_examples=2_048)     # of the first of each layer

Ten layers of 2,048 neurons, both sides. Values are random, and so no easier to store, draw or
compress than real ones; tokens are words with the spaces and newlines of source text. Examples
take most of the time and the disk, so fewer versions may have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bench.store import BAND_SIZES, N_WINDOWS, SNIPPET, copies, load_evidence, windows_of
from store.engine import Engine
from store.publish import loading
from store.records import DocumentRecord, ExampleRecord, LayerRecord, OtherValues, RunRecord
from store.runs import get_run
from tests.synthetic_run import SITES_OF, synthetic

SLUG = "hub-size"
VOCABULARY = 4096
ACTS = {"left": "solu_ln", "right": "gelu"}
_SYLLABLES = ("re", "turn", "self", "for", "im", "port", "val", "ue", "def", "in", "str", "list")


def layers_of(versions: int) -> int:
    """Layers of 2,048 neurons, as the hub's pairs have them; fewer versions, fewer layers."""
    return max(1, min(10, versions // 2 // 2048))


def fill(
    engine: Engine, versions: int, with_examples: int | None = None, seed: int = 0
) -> RunRecord:
    """Publish the run with its evidence; `versions` and `with_examples` count both sides, and
    without `with_examples` all have examples."""
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
        loader.examples(
            _examples((versions if with_examples is None else with_examples) // 2, rng, layers)
        )
        loader.layers(LayerRecord(layer, 0.5) for layer in range(layers))
        run = loader.publish()
    load_evidence(engine, run, records, rng)
    return get_run(engine, run.id)


def _examples(n_neurons: int, rng: np.random.Generator, layers: int) -> Iterator[ExampleRecord]:
    """Examples of all bands for `n_neurons` versions a side, as `bench.store.examples_of` makes
    them, but quickly enough for millions: random numbers are drawn for a version at once."""
    pool = rng.normal(size=200_000).astype(np.float16)
    for side, other in (("left", "right"), ("right", "left")):
        own_sites, other_sites = SITES_OF[ACTS[side]], SITES_OF[ACTS[other]]
        bands = BAND_SIZES | ({"lifted": 5} if side == "left" else {})
        places = [(band, rank) for band, size in bands.items() for rank in range(size)]
        for i in range(n_neurons):
            starts = rng.integers(0, len(pool) - SNIPPET, (len(places), 8)).tolist()
            documents = rng.integers(N_WINDOWS, size=len(places)).tolist()
            quantiles = rng.random(len(places)).tolist()
            highest = np.sort(np.abs(rng.normal(size=len(places))))[::-1].tolist()
            for n, (band, rank) in enumerate(places):
                at = iter(starts[n])
                own, same, match = (
                    {
                        site: pool[start : start + SNIPPET]
                        for site, start in zip(sites, at, strict=False)
                    }
                    for sites in (own_sites, other_sites, other_sites)
                )
                yield ExampleRecord(
                    side=side,  # type: ignore[arg-type]
                    layer=i % layers,
                    neuron=i // layers,
                    band=band,
                    rank=rank,
                    document=documents[n],
                    window=0,
                    position=50,
                    activation=highest[n],
                    start=20,
                    values=own,
                    same_index=OtherValues(i // layers, same, quantiles[n]),
                    match=OtherValues(0, match, quantiles[n]) if i % 2 else None,
                )


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
