"""What a study may draw from: versions with how many examples they have, and whole windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine, select

from store import mined_packing, packing, runs, tables, tables_evidence
from store.engine import reading
from store.example_packing import unpack_places
from store.records import BANDS, Side, WindowRecord


@dataclass(frozen=True)
class DrawableVersion:
    """A version by its number in the layer; `examples` counts them by band, and mined silent
    contexts as "silent". `density` is None for a neuron that never changes."""

    neuron: int
    density: float | None
    examples: dict[str, int]


def versions(engine: Engine, run_id: str, side: Side, layer: int) -> list[DrawableVersion]:
    """All versions of a layer, by number. Errors: `RunNotFound`."""
    neuron, example = tables.neuron.c, tables.example.c
    mined = tables_evidence.mined_counterexample.c
    counts: dict[int, dict[str, int]] = {}
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        for number, packed in connection.execute(
            select(example.neuron, example.places).where(
                *(example.run_key == run.key, example.side == side, example.layer == layer),
                example.places.is_not(None),
            )
        ):
            found = np.bincount(unpack_places(packed)["band"]).tolist()
            counts[number] = {BANDS[band]: n for band, n in enumerate(found) if n}
        if run.has_evidence:
            for number, packed in connection.execute(
                select(mined.neuron, mined.mined).where(
                    mined.run_key == run.key, mined.side == side, mined.layer == layer
                )
            ):
                kinds = [one.kind for one in mined_packing.unpack(side, layer, number, packed)]
                if silent := kinds.count("silent"):
                    counts.setdefault(number, {})["silent"] = silent
        listed = connection.execute(
            select(neuron.neuron, neuron.density)
            .where(neuron.run_key == run.key, neuron.side == side, neuron.layer == layer)
            .order_by(neuron.neuron)
        )
        return [
            DrawableVersion(number, density, counts.get(number, {})) for number, density in listed
        ]


def windows(engine: Engine, run_id: str, most: int) -> list[WindowRecord]:
    """Whole token windows of a run by (document, window), `most` of them. Errors: `RunNotFound`."""
    window = tables.window.c
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        found = connection.execute(
            select(window.document, window.window, window.tokens)
            .where(window.run_key == run.key)
            .order_by(window.document, window.window)
            .limit(most)
        )
        return [
            WindowRecord(document, number, packing.unpack_window(packed, run.n_vocabulary))
            for document, number, packed in found
        ]
