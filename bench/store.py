"""How quickly a run is loaded and read, and what a version takes on disk.

    python -m bench.store                                   # SQLite, in a temporary directory
    python -m bench.store --url postgresql://… --neurons 4096 --explorer 50000

The run has the shape of the shipped pair (two sites on the right, three on the left, every band
filled), but for snippets of 64 tokens where a real run keeps up to 20: its values are random and do
not follow from each other, so there is nothing to derive, and they take several times the disk that
a real run's do. A neuron page of it takes about as long to make (docs/benchmarks.md).
`--explorer` loads a second run of versions without examples, with evidence of every kind, and times
the explorer's queries on it (the best of five).
The database should be empty before, and both runs are removed afterwards.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from store import evidence, examples, neurons, runs, schema
from store.engine import Engine, open_engine
from store.evidence_records import (
    CounterexampleRecord,
    HiddenShareRecord,
    JointDensityRecord,
    PolysemanticityRecord,
    SenseRecord,
)
from store.histogram_edges import N_BINS
from store.publish import loading
from store.publish_evidence import loading_stage
from store.records import (
    DocumentRecord,
    ExampleRecord,
    NeuronRecord,
    OtherValues,
    RunRecord,
    Site,
    WindowRecord,
)
from tests.synthetic_run import SITES_OF, SyntheticRun, synthetic

LAYERS = 2
SNIPPET = 64
WINDOW = 128
N_WINDOWS = 8_000
SCORED = ("top", "q99.9-100", "q99-99.9", "q90-99")
BAND_SIZES = {
    "top": 20,
    "q99.9-100": 5,
    "q99-99.9": 5,
    "q90-99": 5,
    "q50-90": 5,
    "q0-50": 5,
    "bottom": 5,
}


def windows_of(n_vocabulary: int, rng: np.random.Generator) -> Iterator[WindowRecord]:
    """One window a document."""
    for document in range(N_WINDOWS):
        tokens = rng.integers(0, n_vocabulary, WINDOW).astype(np.int32)
        yield WindowRecord(document, 0, tokens)


def examples_of(
    n_neurons: int, rng: np.random.Generator, layers: int = LAYERS
) -> Iterator[ExampleRecord]:
    """Examples of all bands for `n_neurons` versions a side, spread over the layers."""
    pool = rng.normal(size=200_000).astype(np.float16)

    def values(sites: tuple[Site, ...]) -> dict[Site, np.ndarray]:
        starts = rng.integers(0, len(pool) - SNIPPET, len(sites))
        return {site: pool[s : s + SNIPPET] for site, s in zip(sites, starts, strict=True)}

    own = {"left": SITES_OF["solu_ln"], "right": SITES_OF["gelu"]}
    for side, other in (("left", "right"), ("right", "left")):
        bands = BAND_SIZES | ({"lifted": 5} if side == "left" else {})
        for i in range(n_neurons):
            for band, size in bands.items():
                for rank in range(size):
                    yield ExampleRecord(
                        side=side,  # type: ignore[arg-type]
                        layer=i % layers,
                        neuron=i // layers,
                        band=band,
                        rank=rank,
                        document=int(rng.integers(N_WINDOWS)),
                        window=0,
                        position=50,
                        activation=1.5,
                        start=20,
                        values=values(own[side]),
                        same_index=OtherValues(i // layers, values(own[other]), 0.5),
                        match=OtherValues(0, values(own[other]), 0.5) if i % 2 else None,
                    )


def timed(name: str, start: float, rows: int | None = None) -> None:
    """Print what took how long since `start`."""
    took = time.perf_counter() - start
    rate = f", {rows / took:,.0f} rows/s" if rows else ""
    print(f"  {name:<34}{took * 1000:12,.1f} ms{rate}")


def best(name: str, call: Callable[[], object], times: int = 5) -> None:
    """Print the best of several times, after one to warm up."""
    call()
    took = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    print(f"  {name:<60}{min(took) * 1000:9.1f} ms")


def main() -> None:
    """Load, read, time and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--neurons", type=int, default=1024, help="versions a side")
    parser.add_argument("--explorer", type=int, default=50_000, help="versions in all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        engine = open_engine(
            options.url or f"sqlite:///{directory}/bench.sqlite3", must_be_current=False
        )
        schema.upgrade(engine)
        rng = np.random.default_rng(0)
        made = synthetic(layers=LAYERS, d_mlp=8)
        before = schema.describe(engine).size_bytes or 0
        print(f"{engine.dialect.name}: {2 * options.neurons} versions with examples")
        load_with_examples(engine, made, options.neurons, rng)
        after = schema.describe(engine)
        run = runs.get_run(engine, "latest")
        print(
            f"  database {((after.size_bytes or 0) - before) / 2**20:.1f} MiB, "
            f"{((after.size_bytes or 0) - before) / 2 / options.neurons / 1024:.1f} KiB a version; "
            f"packed {(run.size_bytes or 0) / 2 / options.neurons / 1024:.1f} KiB a version"
        )
        for _ in range(2):
            start = time.perf_counter()
            shown = examples.of_neuron(engine, run.id, "left", 1, 17)
            timed("examples of a version", start, len(shown))
            start = time.perf_counter()
            neurons.get(engine, run.id, "left", 1, 17)
            timed("a version", start)
        start = time.perf_counter()
        runs.delete_run(engine, run.id)
        timed("remove the run", start)

        explorer = synthetic(layers=LAYERS, d_mlp=8, slug="explorer", seed=1)
        versions = list(copies(explorer, options.explorer // 2, rng))
        start = time.perf_counter()
        with loading(engine, explorer.run) as loader:
            loader.vocabulary(explorer.vocabulary)
            loader.neurons(versions)
            run = loader.publish()
        timed("load versions without examples", start, len(versions))
        load_evidence(engine, run, versions, rng)
        print(f"explorer of {len(versions):,} versions")
        for filters, sort in (
            ({}, None),
            ({}, "-kurtosis"),
            ({}, "density"),
            ({}, "-best_correlation"),
            ({"layer": "1", "side": "left"}, "-kurtosis"),
            ({"kurtosis__gte": "5", "density__lte": "0.2"}, "-max"),
            ({}, "-labels"),
            ({}, "-hidden_share"),
            ({}, "effect"),
            ({}, "-senses"),
            ({"layer": "1", "side": "left"}, "-hidden_share"),
            ({"hidden_share__gte": "0.9", "kurtosis__gte": "5"}, "-polysemanticity"),
            ({"hidden_share__gte": "0.5"}, "-kurtosis"),
        ):
            best(
                f"{sort} {' '.join(filters)}",
                partial(neurons.page, engine, run.id, filters, sort, page=3),
            )
        for sort in ("-diff_kurtosis", "-diff_hidden_share", "-left_polysemanticity"):
            best(f"rows=pair, {sort}", partial(neurons.pair_page, engine, run.id, {}, sort))
        best("random", partial(neurons.random_neuron, engine, run.id, {"kurtosis__gte": "5"}))
        best("a version", partial(neurons.get, engine, run.id, "left", 1, 17))
        best("evidence of a version", partial(evidence.of_neuron, engine, run.id, "left", 1, 17))
        best("twins of all layers", partial(evidence.correspondence, engine, run.id))
        start = time.perf_counter()
        runs.delete_run(engine, run.id)
        timed("remove the run with its evidence", start)
        engine.dispose()


def load_evidence(
    engine: Engine, run: RunRecord, versions: list[NeuronRecord], rng: np.random.Generator
) -> None:
    """Evidence of these versions as large as real evidence: every kind, no easier to pack."""
    before = schema.describe(engine).size_bytes or 0
    mass = rng.lognormal(0, 2, (64, N_BINS)) * (np.arange(N_BINS) > 180) * 1e-6
    counts = rng.poisson(rng.lognormal(1, 3, (64, 33, 31))) * (rng.random((64, 33, 31)) < 0.4)
    edges = np.arange(34, dtype=np.float32), np.arange(32, dtype=np.float32)
    curve = (0.0, *np.sort(rng.random(9)).tolist(), 1.0)
    places = [(record.side, record.layer, record.neuron) for record in versions]
    pool = rng.normal(size=(64, SNIPPET)).astype(np.float16)
    acts = {"left": "solu_ln", "right": "gelu"}

    def senses(i: int) -> tuple[SenseRecord, ...]:
        tokens = tuple((int(token), 3) for token in rng.integers(0, 280, 8))
        shown = tuple(("top", rank) for rank in range(12))
        return tuple(SenseRecord(rank, 0.5, "top", tokens, shown) for rank in range(1 + i % 3))

    start = time.perf_counter()
    with loading_stage(engine, run.id) as loader:
        loader.documents([DocumentRecord(0, "stdlib", "module.py")])
        loader.windows([WindowRecord(0, 0, np.arange(WINDOW, dtype=np.int32))])
        loader.hidden_shares(
            HiddenShareRecord(
                *place, rng.lognormal(), rng.random(), "exact", None, (0.1, 0.9), 1.0, 0.5, curve,
                mass[i % 64].astype(np.float32),
            )
            for i, place in enumerate(places)
        )  # fmt: skip
        loader.joint_densities(
            JointDensityRecord(*place, *edges, counts[i % 64])
            for i, place in enumerate(places)
            if place[0] == "left"
        )
        loader.polysemanticities(
            PolysemanticityRecord(
                *place, rng.random(), dict.fromkeys(SCORED, rng.random()), 1.0, 0.4, 0.3,
                senses(i),
            )
            for i, place in enumerate(places)
        )  # fmt: skip
        loader.counterexamples(
            CounterexampleRecord(
                *place, kind, rank, 0, 0, 50, 20, 1.5,
                dict.fromkeys(SITES_OF[acts[place[0]]], pool[(i + rank) % 64]),
                0.7, "the token",
            )
            for i, place in enumerate(places)
            for kind in ("unlike", "silent")
            for rank in range(2)
        )  # fmt: skip
        loader.publish()
    timed("load their evidence", start, len(places))
    size = (schema.describe(engine).size_bytes or 0) - before
    packed = (runs.get_run(engine, run.id).size_bytes or 0) - (run.size_bytes or 0)
    print(
        f"  evidence on disk {size / len(places) / 1024:.2f} KiB a version, "
        f"packed {packed / len(places) / 1024:.2f}"
    )


def load_with_examples(
    engine, made: SyntheticRun, n_neurons: int, rng: np.random.Generator
) -> None:  # type: ignore[no-untyped-def]
    """Load a run of `n_neurons` versions a side, timing each kind of record."""
    vocabulary = [str(i).encode() for i in range(4096)]
    with loading(engine, made.run) as loader:
        loader.vocabulary(vocabulary)
        start = time.perf_counter()
        loader.documents(
            DocumentRecord(i, "stdlib", f"package/module_{i}.py") for i in range(N_WINDOWS)
        )
        timed("documents", start, N_WINDOWS)
        start = time.perf_counter()
        loader.windows(windows_of(len(vocabulary), rng))
        timed("windows", start, N_WINDOWS)
        start = time.perf_counter()
        number = loader.neurons(copies(made, n_neurons, rng))
        timed("versions", start, number)
        start = time.perf_counter()
        number = loader.examples(examples_of(n_neurons, rng))
        timed("examples (with making them)", start, number)
        start = time.perf_counter()
        loader.publish()
        timed("publish", start)


def copies(  # type: ignore[no-untyped-def]
    made: SyntheticRun, n_neurons: int, rng: np.random.Generator, layers: int = LAYERS
):
    """`n_neurons` versions a side: the synthetic ones again and again, with other numbers."""
    for side in ("left", "right"):
        originals = [record for record in made.neurons if record.side == side and record.neuron > 2]
        for i in range(n_neurons):
            record = originals[i % len(originals)]
            site = record.display_site
            statistics = replace(
                record.sites[site], kurtosis=float(rng.gamma(2, 4)), max=float(rng.normal())
            )
            yield replace(
                record,
                layer=i % layers,
                neuron=i // layers,
                density=float(rng.random()),
                sites={
                    name: replace(values, hook_point=f"blocks.{i % layers}.mlp.{name}")
                    for name, values in (record.sites | {site: statistics}).items()
                },
            )


if __name__ == "__main__":
    main()
