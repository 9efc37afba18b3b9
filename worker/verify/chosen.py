"""Which versions are recomputed, and what the database says of them.

chosen = choose(plan.layout, 200, seed=0)
stored = read(database, run, chosen)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store import evidence, examples, neurons
from store.engine import Engine as Database
from store.errors import StoreError
from store.records import SIDES, NeuronRecord, RunRecord, ShownExample, Side
from store.shown_evidence import NeuronEvidence
from worker.layout import Layout

Place = tuple[Side, int]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StoredVersion:
    """All that is looked at of one version. `listed` are its columns in the explorer, which stand
    in the database once more."""

    record: NeuronRecord
    examples: list[ShownExample]
    evidence: NeuronEvidence | None
    listed: dict[str, float | int | str | bool | None]

    @property
    def name(self) -> str:
        return f"{self.record.side} L{self.record.layer}N{self.record.neuron}"


#: Neurons, ascending, by side and layer.
Chosen = dict[Place, Longs]
Stored = dict[Place, list[StoredVersion]]


def choose(layout: Layout, sample: int, seed: int) -> Chosen:
    """About as many versions of each layer and side, drawn by the seed; all where it asks for so
    many."""
    places = [(one.side, layer) for one, layer in layout.layers()]
    quotas = [sample // len(places) + (i < sample % len(places)) for i in range(len(places))]
    found: Chosen = {}
    for (side, layer), quota in zip(places, quotas, strict=True):
        drawn = np.random.default_rng([seed, SIDES.index(side), layer])
        order = drawn.permutation(layout[side].n_neurons)
        found[side, layer] = np.sort(order[:quota]).astype(np.int64)
    return found


def read(database: Database, run: RunRecord, chosen: Chosen) -> Stored:
    """What is stored of the chosen versions; `StoreError` where one is missing."""
    found: Stored = {}
    for (side, layer), wanted in chosen.items():
        of_layer = found[side, layer] = []
        for neuron in wanted.tolist():
            record = neurons.get(database, run.id, side, layer, neuron)
            place = {"side": side, "layer": str(layer), "neuron": str(neuron)}
            rows, _ = neurons.page(database, run.id, place)
            if record is None or len(rows) != 1:
                raise StoreError(f"Run {run.id} lacks {side} L{layer}N{neuron}.")
            of_layer.append(
                StoredVersion(
                    record,
                    examples.of_neuron(database, run.id, side, layer, neuron),
                    evidence.of_neuron(database, run.id, side, layer, neuron),
                    rows[0].values,
                )
            )
    return found
