"""Examples of a version, with what is needed to show them."""

from __future__ import annotations

from sqlalchemy import Engine

from store.records import ShownExample, Side


def of_neuron(
    engine: Engine, run_id: str, side: Side, layer: int, neuron: int
) -> list[ShownExample]:
    """All examples of a version, by band in the order of `records.BANDS`, then rank."""
    raise NotImplementedError
