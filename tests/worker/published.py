"""All that a run has published, as plain values that can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from store import examples, neurons, runs, search
from store.engine import Engine
from store.records import NeuronRecord, RunRecord, ShownExample
from store.token_records import TokenNeuronsRecord


def versions(engine: Engine, run: RunRecord) -> list[tuple[NeuronRecord, list[ShownExample]]]:
    """Every version with its examples."""
    found = []
    for side, model in (("left", run.pair.left), ("right", run.pair.right)):
        if model is None:
            continue
        for layer in range(model.n_layers):
            for neuron in range(model.d_mlp):
                record = neurons.get(engine, run.id, side, layer, neuron)
                assert record is not None
                found.append((record, examples.of_neuron(engine, run.id, side, layer, neuron)))
    return found


def token_neurons(engine: Engine, run: RunRecord) -> list[TokenNeuronsRecord]:
    """The whole inverted index, by token."""
    counts = search.token_counts(engine, run.id)
    assert counts is not None
    return [
        record
        for token in counts.tokens.tolist()
        for record in search.neurons_of_token(engine, run.id, token)
    ]


def everything(engine: Engine, run: RunRecord) -> dict[str, Any]:
    """The run's numbers, arrays as lists. Float sums are rounded to nine digits."""
    return {
        "counts": (run.n_documents, run.n_windows, run.n_tokens),
        "layers": [plain(layer) for layer in runs.layers(engine, run.id)],
        "losses": [plain(loss) for loss in runs.losses(engine, run.id)],
        "token_counts": plain(search.token_counts(engine, run.id)),
        "token_neurons": [plain(record) for record in token_neurons(engine, run)],
        "versions": [plain(version) for version in versions(engine, run)],
    }


def plain(value: Any) -> Any:
    """Dataclasses and arrays as dicts and lists, floats to nine significant digits."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
