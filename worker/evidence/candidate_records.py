"""Candidate invisible features of a run: found, tested, and described as records.

    for record in candidates(engine, device, layout, lean, windows, baselines, settings, seed,
                             reporter): ...   # a layer's search, then its candidates

Documents are split by hash: on the finding ones directions are found, on the held-out ones they
are tested. What does not do more than 95 % of random directions of the same variance is dropped;
a layer without any candidate is a result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from store.evidence_records import CandidateRecord, CandidateSearchRecord
from worker.engine import Engine
from worker.evidence.baselines import Baselines
from worker.evidence.batches import batches
from worker.evidence.candidate_description import (
    CandidateSettings,
    Description,
    Rows,
    Tested,
)
from worker.evidence.candidate_jobs import (
    CarrierJob,
    CarrierTask,
    DirectionJob,
    DirectionTask,
    FindingJob,
)
from worker.evidence.candidates import (
    Doubles,
    Floats,
    Found,
    LayerOutputs,
    find,
    random_directions,
)
from worker.evidence.effect_mass import Place
from worker.evidence.windows import EvidenceWindows, take_windows
from worker.hashing import key_hashes
from worker.layout import Layout
from worker.lean import LeanModel
from worker.reporter import Reporter

_PURPOSE = 0xCA4D
#: One document in so many is held out from the finding.
HELD_OUT = 5
#: Random directions: so many for a first look, after which hopeless candidates are dropped.
FIRST, ALL = 12, 39
BEATEN = 0.95


def split(
    windows: EvidenceWindows, seed: int, settings: CandidateSettings
) -> tuple[EvidenceWindows, EvidenceWindows]:
    """(finding, held-out) windows: no document in both."""
    document = windows.windows.document
    held = key_hashes(seed ^ _PURPOSE, document) % np.uint64(HELD_OUT) == 0
    finding = EvidenceWindows(take_windows(windows.windows, np.flatnonzero(~held)))
    testing = EvidenceWindows(take_windows(windows.windows, np.flatnonzero(held)))
    return (
        _first(finding, settings.find_tokens),
        _first(testing, settings.test_tokens),
    )


def _first(windows: EvidenceWindows, tokens: int) -> EvidenceWindows:
    return EvidenceWindows(take_windows(windows.windows, np.arange(windows.first(tokens))))


def candidates(
    engine: Engine,
    device: str,
    layout: Layout,
    lean: Mapping[str, LeanModel],
    windows: EvidenceWindows,
    baselines: Baselines,
    settings: CandidateSettings,
    seed: int,
    reporter: Reporter,
) -> Iterator[CandidateRecord | CandidateSearchRecord]:
    """By side and layer: the search, then its candidates by rank. `lean` are the models on the
    CPU, for their weights."""
    finding, testing = split(windows, seed, settings)
    if not len(finding) or not len(testing):
        for own, layer in layout.layers():
            yield CandidateSearchRecord(own.side, layer, 0, None, 0, 0)
        return
    reporter.step("candidates", len(finding), "windows")
    parts, done = [], 0
    for part in engine.run(FindingJob(layout, baselines), batches(finding, len(finding), device)):
        parts.append(part)
        done += part.count
        reporter.advance(done)
    parts.sort(key=lambda part: part.start)
    outputs = {place: _joined([part.layers[place] for part in parts]) for place in parts[0].layers}
    means = {
        (one.side, layer): _mean_output(lean[one.side], layer, baselines[one.side, layer].mean)
        for one, layer in layout.layers()
    }
    found = {
        place: find(outputs[place], means[place], _layer_seed(seed, place)) for place in outputs
    }
    tested = _test(engine, device, testing, outputs, means, found, seed, reporter)
    rows = Rows.of(finding, parts)
    carried = _carriers(engine, device, layout, finding, tested, rows, reporter)
    for place, kept in tested.items():
        orphan = outputs[place].orphan
        yield CandidateSearchRecord(
            side=place[0],
            layer=place[1],
            n_tokens=len(orphan),
            orphan_share=float(orphan.mean()) if len(orphan) else None,
            n_tried=len(found[place]),
            n_kept=len(kept),
        )
        describe = Description(layout, lean, baselines, means, settings, rows, place)
        for rank, one in enumerate(kept):
            yield describe.record(one, rank, outputs[place], carried[place][rank])


def _joined(parts: list[LayerOutputs]) -> LayerOutputs:
    return LayerOutputs(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("output", "kl", "orphan", "document")
        )
    )


def _mean_output(lean: LeanModel, layer: int, post: Floats) -> Floats:
    block: Any = lean.model.layers[layer]
    with torch.inference_mode():
        mean: torch.Tensor = block.mlp.fc_out(torch.from_numpy(post).to(block.mlp.fc_out.weight))
    return mean.float().cpu().numpy()


def _layer_seed(seed: int, place: Place) -> int:
    words = [seed, place[1], int(place[0] == "right")]
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def _test(
    engine: Engine,
    device: str,
    testing: EvidenceWindows,
    outputs: Mapping[Place, LayerOutputs],
    means: dict[Place, Floats],
    found: Mapping[Place, list[Found]],
    seed: int,
    reporter: Reporter,
) -> dict[Place, list[Tested]]:
    """Those whose ablation costs more than that of 95 % of random directions.

    Where no other direction varies as much, the random ones' costs are scaled up by the variance:
    in favour of them, since KL grows with the square of what is ablated at most.
    """
    randoms: dict[Place, list[tuple[Floats, Doubles]]] = {}
    for place, ones in found.items():
        x = outputs[place].output.astype(np.float64) - means[place]
        covariance = x.T @ x / max(1, len(x))
        randoms[place] = [
            random_directions(covariance, one.direction, ALL, _layer_seed(seed, place) + i)
            for i, one in enumerate(ones)
        ]
    total = sum(map(len, found.values()))
    reporter.step("directions", total, "candidates")
    first = _effects(
        engine, device, testing, means,
        {
            place: [np.vstack([one.direction[None], random[:FIRST]])
                    for one, (random, _) in zip(found[place], randoms[place], strict=True)]
            for place in found
        },
    )  # fmt: skip
    allowed = int(ALL * (1 - BEATEN))
    hopeful = {
        place: [
            i
            for i, (kl, (_, factor)) in enumerate(zip(first[place], randoms[place], strict=True))
            if (kl[1:] * factor[:FIRST] >= kl[0]).sum() <= allowed
        ]
        for place in found
    }
    reporter.advance(total - sum(map(len, hopeful.values())))
    second = _effects(
        engine, device, testing, means,
        {
            place: [randoms[place][i][0][FIRST:] for i in chosen]
            for place, chosen in hopeful.items()
        },
    )  # fmt: skip
    kept: dict[Place, list[Tested]] = {}
    for place, chosen in hopeful.items():
        kept[place] = []
        for i, more in zip(chosen, second[place], strict=True):
            effect = first[place][i][0]
            random = np.concatenate([first[place][i][1:], more]) * randoms[place][i][1]
            share = float((random < effect).mean())
            if share >= BEATEN:
                median = float(np.median(random))
                kept[place].append(Tested(found[place][i], float(effect), share, median))
        kept[place].sort(key=lambda one: -one.effect)
    reporter.advance(total)
    return kept


def _effects(
    engine: Engine,
    device: str,
    testing: EvidenceWindows,
    means: dict[Place, Floats],
    directions: Mapping[Place, list[Floats]],
) -> dict[Place, list[Doubles]]:
    """KL in nats a token of ablating each direction; each array [J] as its directions [J, d]."""
    some = {place: np.vstack(ones) for place, ones in directions.items() if ones}
    tasks = [
        DirectionTask(batch, place, ones)
        for batch in batches(testing, len(testing), device)
        for place, ones in some.items()
    ]
    sums = {place: np.zeros(len(ones)) for place, ones in some.items()}
    n_tokens = dict.fromkeys(some, 0)
    results = sorted(engine.run(DirectionJob(means), tasks), key=lambda one: one.start)
    for result in results:
        sums[result.place] += result.kl
        n_tokens[result.place] += result.n_tokens
    return {
        place: np.split(
            sums[place] / max(1, n_tokens[place]), np.cumsum([len(one) for one in ones])[:-1]
        )
        if ones
        else []
        for place, ones in directions.items()
    }


def _carriers(
    engine: Engine,
    device: str,
    layout: Layout,
    finding: EvidenceWindows,
    tested: Mapping[Place, list[Tested]],
    rows: Rows,
    reporter: Reporter,
) -> dict[Place, list[dict[str, Doubles]]]:
    """Each candidate's weighted mean of `post`, by side: [n]."""
    tasks: list[CarrierTask] = []
    totals: dict[Place, Doubles] = {}
    for place, kept in tested.items():
        weights = np.zeros((len(kept), len(rows.window)), np.float32)
        for i, one in enumerate(kept):
            weights[i, one.found.places] = one.found.weights
        totals[place] = weights.sum(axis=1, dtype=np.float64)
        for batch in batches(finding, len(finding), device):
            here = weights[:, slice(*rows.starts[batch.start])]
            if here.any():
                tasks.append(CarrierTask(batch, place, here))
    reporter.step("carriers", len(tasks), "batches")
    sums: dict[Place, dict[str, Doubles]] = {}
    results = list(engine.run(CarrierJob(layout), tasks))
    for result in sorted(results, key=lambda one: one.start):
        of_place = sums.setdefault(result.place, {})
        for side, values in result.sums.items():
            of_place[side] = of_place.get(side, 0.0) + values
    reporter.advance(len(tasks))
    return {
        place: [
            {side: values[i] / totals[place][i] for side, values in sums[place].items()}
            for i in range(len(kept))
        ]
        for place, kept in tested.items()
    }
