"""What the scores of meaning are worth, on units of known meaning, and what they cost.

    python -m bench.evidence_meanings pystd-2l --tokens 1000000 --work DIR

Computes (or reuses) a run of the pair in DIR, then prints
- the processor seconds of every part, as the evidence stage runs it;
- of each layer of each version the AUC of the score and of each band: merged neurons (two, three,
  five; equal and unequal scale) and mid-band units against single neurons, beside token entropy
  alone and units that are only denser;
- senses: how many of them units have, and how well they match the parts;
- the candidates of the pair, and the counterexamples.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.merged_neurons import Neurons, Unit, adjusted_rand, auc, auc_interval, spread_out
from store import examples, schema
from store.engine import open_engine
from store.evidence_records import (
    SCORED_BANDS,
    CandidateRecord,
    CandidateSearchRecord,
    CounterexampleRecord,
    PolysemanticityRecord,
)
from store.records import BANDS, Side
from worker.activations import load_models
from worker.corpus import open_corpus
from worker.engine import Engine
from worker.engine_local import Processes
from worker.evidence import baselines
from worker.evidence.candidate_description import CandidateSettings
from worker.evidence.candidate_records import candidates
from worker.evidence.embeddings import Embeddings, Places, codes_of
from worker.evidence.meanings import SampledRun, meanings, open_contexts
from worker.evidence.meanings_job import to_cluster
from worker.evidence.polysemanticity import contexts_of, scores
from worker.evidence.senses import MOST_SENSES, cluster
from worker.evidence.shown import Shown, highest, top_rows
from worker.evidence.substitution import substitutions
from worker.evidence.substitution_starts import most_monosemantic, starts
from worker.evidence.token_purity import entropy_and_largest
from worker.evidence.whitening import Whitening
from worker.evidence.windows import EvidenceWindows, draw_windows
from worker.layout import Layout
from worker.pairs import Pair, load_pair
from worker.precompute import precompute
from worker.reporter import Silent
from worker.sample import open_sample
from worker.settings import StatisticsSettings
from worker.tokenizer import load_tokenizer
from worker.windows import token_windows

UNITS = 256
MONOSEMANTIC = 8
EVIDENCE_TOKENS = 100_000
SENSES_OF = ("single", "two", "three", "mid-band")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("pair")
    parser.add_argument("--corpus", default="stdlib")
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="of the units that are drawn")
    given = parser.parse_args()
    torch.set_num_threads(1)
    work = given.work or Path(tempfile.mkdtemp(prefix="twinscope-bench-"))
    pair = load_pair(given.pair)
    run, shown = open_run(pair, given.corpus, given.tokens, work, given.workers)
    versions = {"left": pair.left, "right": pair.right}
    with Processes(versions, "cpu", given.workers) as processes:
        engine = Metered(processes)
        found = list(meanings(engine, run, shown, 0, work / "meanings", Silent()))
        engine.lap("meanings")
        scored = [one for one in found if isinstance(one, PolysemanticityRecord)]
        mined = [one for one in found if isinstance(one, CounterexampleRecord)]
        begun = list(starts(most_monosemantic(scored, MONOSEMANTIC), shown, run.contexts))
        changed = list(substitutions(engine, begun, run.layout, run.settings, Silent()))
        engine.lap("substitution")
        windows = evidence_windows(pair, given.corpus, given.tokens, run.n_ctx)
        models = load_models(versions, "cpu")
        levels = baselines.of_sample(run.sample, run.layout)
        engine.lap("drawing windows, baselines")
        listed = list(
            candidates(
                engine, "cpu", run.layout, models.lean, windows, levels,
                CandidateSettings(), 0, Silent(),
            )
        )  # fmt: skip
        engine.lap("candidates")
    report_records(scored)
    report_counterexamples("mined", mined, len(scored))
    report_counterexamples("by substitution", changed, len(begun))
    report_candidates(listed)
    for one, layer in run.layout.layers():
        report_units(run, shown, work / "meanings", one.side, layer, given.seed)


class Metered:
    """An engine that prints the processor seconds of each job."""

    def __init__(self, engine: Engine) -> None:
        self.workers = engine.workers
        self.cpu_seconds = 0.0
        self._engine = engine
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def run(self, job: Any, tasks: Iterable[Any], stamp: Any = None) -> Iterator[Any]:
        yield from self._engine.run(job, tasks, stamp)
        self.cpu_seconds = self._engine.cpu_seconds
        print(f"{self.cpu_seconds:16.1f} s  {type(job).__name__}", flush=True)

    def lap(self, what: str) -> None:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        print(f"{wall:7.1f} {cpu:8.1f} s  {what}: wall clock, coordinator", flush=True)
        self._wall, self._cpu = time.perf_counter(), time.process_time()


def open_run(
    pair: Pair, corpus: str, tokens: int, work: Path, workers: int
) -> tuple[SampledRun, Shown]:
    """The statistics stage of a run in `work`, and the examples it shows."""
    work.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{work / 'twinscope.sqlite3'}"
    database = open_engine(url, must_be_current=False)
    schema.upgrade(database)
    settings = StatisticsSettings()
    record = precompute(
        pair, corpus, tokens=tokens, device="cpu", workers=workers,
        work_dir=work, database_url=url, settings=settings,
    )  # fmt: skip
    layout = Layout.of_configs({"left": pair.left.config, "right": pair.right.config})
    shown = Shown.of_rows(
        ((one.side, layer), examples.places(database, record.id, one.side, layer))
        for one, layer in layout.layers()
    )
    database.dispose()
    directory = work / record.id / "sample"
    width = int(pair.left.config["d_model"])
    return SampledRun(
        layout, open_sample(directory), open_contexts(directory), settings,
        int(pair.left.config["n_ctx"]), {"left": width, "right": width},
        load_tokenizer(pair.tokenizer_path, pair.bos_token, pair.left.config["d_vocab"]).bos,
    ), shown  # fmt: skip


def evidence_windows(pair: Pair, corpus: str, tokens: int, n_ctx: int) -> EvidenceWindows:
    """As the evidence stage draws them."""
    tokenizer = load_tokenizer(pair.tokenizer_path, pair.bos_token, pair.left.config["d_vocab"])
    documents = open_corpus(corpus).documents(0)
    drawn = draw_windows(
        token_windows(documents, tokenizer, n_ctx, 256, tokens), 0, EVIDENCE_TOKENS
    )
    assert drawn is not None
    return drawn


def report_records(found: list[PolysemanticityRecord]) -> None:
    """Scores and senses of the pair's own versions."""
    print("\nversions: quartiles of the score; share with 1, 2, 3, 4, 5 senses")
    for side, layer in dict.fromkeys((one.side, one.layer) for one in found):
        mine = [one for one in found if (one.side, one.layer) == (side, layer)]
        known = [one.score for one in mine if one.score is not None]
        counts = Counter(len(one.senses) for one in mine)
        quartiles = np.quantile(known, (0.25, 0.5, 0.75)).round(2)
        shares = [f"{counts[k] / len(mine):.2f}" for k in range(1, MOST_SENSES + 1)]
        print(f"  {side} L{layer}: {quartiles}  {'  '.join(shares)}")


def report_counterexamples(what: str, found: list[CounterexampleRecord], of: int) -> None:
    kinds = Counter(one.rule.split(" as ")[0] or one.kind for one in found)
    print(f"counterexamples {what}, of {of}: {dict(kinds)}")


def report_candidates(found: list[CandidateRecord | CandidateSearchRecord]) -> None:
    print("\ncandidates: KL in nats a token, against random directions of the same variance")
    for one in found:
        if isinstance(one, CandidateSearchRecord):
            print(
                f"  {one.side} L{one.layer}: {one.n_kept} of {one.n_tried} kept; {one.n_tokens} "
                f"tokens, {one.orphan_share or 0:.1%} of them without a neuron that fires"
            )
        else:
            print(
                f"    #{one.rank}: {one.effect:.2e} against {one.random_median:.2e} (more than "
                f"{one.random_quantile:.0%}), {one.token_share:.1%} of tokens, "
                f"{one.participation:.0f} carriers"
            )


def report_units(
    run: SampledRun, shown: Shown, directory: Path, side: Side, layer: int, seed: int
) -> None:
    """AUCs and senses of one layer, by the functions that the stage itself runs."""
    keys, contexts, n_ctx = run.sample.keys, run.contexts, run.n_ctx
    codes = codes_of(contexts, n_ctx, keys["document"], keys["window"], keys["position"])
    everything = [codes] + [
        codes_of(contexts, n_ctx, some["document"], some["window"], some["position"])
        for some in shown.examples.values()
    ]
    places = Places(np.unique(np.concatenate(everything)), n_ctx)
    embedded = np.asarray(Embeddings(directory, places).block(side, layer))
    rows = places.rows(codes)
    vectors = Whitening.fit(embedded[rows])(embedded)
    neurons = real_neurons(run, shown, places, side, layer)
    tokens = places.tokens(contexts).astype(np.int64)
    place_in_sample = np.full(len(places), -1)
    place_in_sample[rows] = np.arange(len(rows))
    found: dict[str, dict[str, npt.NDArray[np.float64]]] = {}
    senses: dict[str, tuple[npt.NDArray[np.int64], list[float]]] = {}
    for kind, units in drawn_units(neurons, seed).items():
        levels = np.stack([unit.levels for unit in units], axis=1)
        top = np.stack([unit.top for unit in units])
        ones = np.ones(len(units), np.float32)
        bands = contexts_of(levels, keys["hash"], ones, top, rows)
        found[kind] = scores(vectors, bands, 0)
        found[kind]["token entropy"] = entropy_and_largest(tokens[top])[0]
        if kind in SENSES_OF:
            clustered, _ = to_cluster(bands)
            of = cluster(vectors, clustered, 0)
            agreed = []
            for i, unit in enumerate(units):
                at = place_in_sample[np.maximum(clustered[i], 0)]
                known = (clustered[i] >= 0) & (at >= 0)
                parts = unit.part[at[known]]
                if len(np.unique(parts)) > 1:
                    agreed.append(adjusted_rand(of.labels[i][known], parts))
            senses[kind] = of.count, agreed
    print(f"\n{side} L{layer}: AUC against single neurons ({UNITS} units of each kind)")
    names = ["score", *SCORED_BANDS, "token entropy"]
    print(" " * 22 + "".join(f"{name:>14}" for name in ["score", "95 % of it", *names[1:]]))
    for kind in list(found)[1:]:
        values = [auc(found[kind][name], found["single"][name]) for name in names]
        low, high = auc_interval(found[kind]["score"], found["single"]["score"])
        texts = [f"{values[0]:.3f}", f"{low:.2f}–{high:.2f}", *(f"{v:.3f}" for v in values[1:])]
        print(f"  {kind:20}" + "".join(f"{text:>14}" for text in texts))
    medians = [float(np.nanmedian(found["single"][name])) for name in names]
    texts = [f"{medians[0]:.2f}", "", *(f"{value:.2f}" for value in medians[1:])]
    print(f"  {'median of single':20}" + "".join(f"{text:>14}" for text in texts))
    print(f"{side} L{layer}: units with 1, 2, 3, 4, 5 senses; agreement with the parts (ARI)")
    for kind, (count, agreed) in senses.items():
        shares = "  ".join(f"{(count == k).mean():.2f}" for k in range(1, MOST_SENSES + 1))
        text = f"median {np.median(agreed):.2f}" if agreed and kind != "single" else ""
        print(f"  {kind:20} {shares}   {text}")


def drawn_units(neurons: Neurons, seed: int) -> dict[str, list[Unit]]:
    """Units of every kind, of neurons drawn at random."""
    draw = np.random.default_rng(seed)
    alive = neurons.alive()
    singles = [neurons.single(int(i)) for i in draw.permutation(alive)[:UNITS]]
    parts = np.stack([draw.permutation(alive)[:UNITS] for _ in range(5)], axis=1).tolist()
    two = [neurons.merged(some[:2]) for some in parts]
    return {
        "single": singles,
        "two": two,
        "three": [neurons.merged(some[:3]) for some in parts],
        "five": [neurons.merged(some) for some in parts],
        "two, 1 : 1/2": [neurons.merged(some[:2], [1.0, 0.5]) for some in parts],
        "two, 1 : 1/4": [neurons.merged(some[:2], [1.0, 0.25]) for some in parts],
        "mid-band": [neurons.with_middle(some[0], some[1]) for some in parts],
        "mid-band, 100 tokens": [neurons.with_middle(some[0], some[1], 100) for some in parts],
        "two, as dense as one": [spread_out(unit, 0.5) for unit in two],
        "single, twice dense": [spread_out(unit, 2.0) for unit in singles],
    }


def real_neurons(run: SampledRun, shown: Shown, places: Places, side: Side, layer: int) -> Neurons:
    """The layer's neurons, as levels."""
    values = np.asarray(run.sample.block(side, layer, run.layout[side].display_site))
    values = values.astype(np.float32)
    some = shown[side, layer]
    n = values.shape[1]
    codes = codes_of(run.contexts, run.n_ctx, some["document"], some["window"], some["position"])
    rows = top_rows(some, places.rows(codes), n)
    documents = top_rows(some, some["document"], n)
    activations = np.full(rows.shape, np.nan, np.float32)
    top = some[some["band"] == BANDS.index("top")]
    activations[top["neuron"], top["rank"]] = top["activation"]
    mean = values.mean(axis=0)
    reach = highest(some, n) - mean
    scale = np.where(reach > 0, reach, np.nan).astype(np.float32)
    levels = (values - mean) / scale
    return Neurons(levels, (activations - mean[:, None]) / scale[:, None], rows, documents)


if __name__ == "__main__":
    main()
