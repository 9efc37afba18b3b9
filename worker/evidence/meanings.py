"""Meanings of all versions: polysemanticity, senses, and counterexamples mined from the corpus.

    for record in meanings(engine, run, shown, seed, directory, reporter): ...

All of it is made from the run's token sample and the examples it shows: their windows are run once
more for the context embeddings, and those of mined counterexamples a second time for the values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.evidence_records import CounterexampleRecord, PolysemanticityRecord
from store.records import SIDES, SITES, Side
from worker.contexts import Contexts, split_keys, window_keys
from worker.engine import Engine
from worker.evidence.embeddings import Places, codes_of, embed
from worker.evidence.meanings_job import MeaningsJob, MeaningsOfLayer
from worker.evidence.shown import Shown
from worker.gather import REQUEST, Gathered, GatherJob, Requests, gather_tasks, make_snippets
from worker.layout import Layout
from worker.reporter import Reporter
from worker.sample import Sample
from worker.settings import StatisticsSettings

_GATHER_WINDOWS = 8


@dataclass(frozen=True)
class SampledRun:
    """What the statistics stage left: `contexts` hold the windows of the sample and of every
    shown example (their documents are not needed)."""

    layout: Layout
    sample: Sample
    contexts: Contexts
    settings: StatisticsSettings
    n_ctx: int
    d_model: dict[Side, int]
    bos: int


def open_contexts(directory: Path) -> Contexts:
    """The windows that the statistics stage keeps beside the sample."""
    with np.load(directory / "windows.npz") as arrays:
        return Contexts(arrays["keys"], arrays["offsets"], arrays["tokens"], {})


def meanings(
    engine: Engine, run: SampledRun, shown: Shown, seed: int, directory: Path, reporter: Reporter
) -> Iterator[PolysemanticityRecord | CounterexampleRecord]:
    """Polysemanticity of every version, side by side and layer by layer, then counterexamples.

    `directory` is for files that may be removed afterwards.
    """
    keys = run.sample.keys
    places_of = {
        place: codes_of(run.contexts, run.n_ctx, some["document"], some["window"], some["position"])
        for place, some in shown.examples.items()
    }
    codes = codes_of(run.contexts, run.n_ctx, keys["document"], keys["window"], keys["position"])
    places = Places(np.unique(np.concatenate([codes, *places_of.values()])), run.n_ctx)
    embeddings = embed(
        engine, places, run.contexts, run.layout, run.d_model, directory, run.bos, reporter
    )
    job = MeaningsJob(
        layout=run.layout,
        sample=run.sample.directory,
        embeddings=embeddings,
        tokens=np.stack([places.tokens(run.contexts, back) for back in (1, 0)], axis=1),
        codes=codes,
        shown=shown,
        shown_codes=places_of,
        seed=seed,
    )
    tasks = [(one.side, layer) for one, layer in run.layout.layers()]
    reporter.step("meanings", len(tasks), "layers")
    found: dict[tuple[Side, int], MeaningsOfLayer] = {}
    for result in engine.run(job, tasks):
        found[result.place] = result
        reporter.advance(len(found))
    for place in tasks:
        yield from found[place].records
    yield from _mined(engine, run, [found[place] for place in tasks], directory, reporter)


def _mined(
    engine: Engine,
    run: SampledRun,
    layers: list[MeaningsOfLayer],
    directory: Path,
    reporter: Reporter,
) -> Iterator[CounterexampleRecord]:
    """Mined counterexamples with the values of their snippets, by a forward pass of their own."""
    mined = [(of.place, *one) for of in layers for one in of.mined]
    wanted = _requests(run, layers)
    gathered = Gathered(directory / "mined", len(wanted), run.settings.snippet)
    gathered.create()
    reporter.step("counterexamples", len(np.unique(wanted["window"])), "windows")
    done = 0
    job = GatherJob(gathered, run.layout, _GATHER_WINDOWS)
    for windows in engine.run(job, gather_tasks(wanted, run.contexts, run.n_ctx, run.bos)):
        done += int(windows)
        reporter.advance(done)
    values, focus = gathered.values("own"), gathered.focus()
    documents, windows_ = split_keys(run.contexts.keys[wanted["window"]])
    for i, ((side, layer), neuron, rank, one) in enumerate(mined):
        length = int(wanted["length"][i])
        yield CounterexampleRecord(
            side=side,
            layer=layer,
            neuron=neuron,
            kind=one.kind,
            rank=rank,
            document=int(documents[i]),
            window=int(windows_[i]),
            position=int(wanted["position"][i]),
            start=int(wanted["start"][i]),
            activation=float(focus[i, 0]),
            values={
                site: np.array(values[i, SITES.index(site), :length])
                for site in run.layout[side].sites
            },
            distance=one.distance,
            rule=one.rule,
        )


def _requests(run: SampledRun, layers: list[MeaningsOfLayer]) -> Requests:
    """One request for each mined counterexample, in their order."""
    keys = run.sample.keys
    index = run.contexts.find(window_keys(keys["document"], keys["window"]))
    found = np.zeros(sum(len(of.mined) for of in layers), REQUEST)
    i = 0
    for of in layers:
        side, layer = of.place
        for neuron, rank, one in of.mined:
            row = found[i]
            row["side"], row["layer"], row["neuron"] = SIDES.index(side), layer, neuron
            row["rank"], row["match"] = rank, -1
            row["window"], row["position"] = index[one.place], keys["position"][one.place]
            i += 1
    make_snippets(found, run.contexts, run.settings)
    return found
