"""Labels: an append-only history per (weights SHA-256, layer, neuron)."""

from __future__ import annotations

from sqlalchemy import Engine

from store.records import LabelCounts, LabelRecord


def add(engine: Engine, label: LabelRecord) -> LabelRecord:
    """Append a label; the label as stored, with `id` and `created_at` (now when None).

    Errors: `UnknownModel`; `StoreError` for a neuron that the model does not have, a description
    over 500 characters or a confidence outside 1–5.
    """
    raise NotImplementedError


def history(engine: Engine, weights_sha256: str, layer: int, neuron: int) -> list[LabelRecord]:
    """All labels of a version, newest first; `latest` marks each annotator's newest."""
    raise NotImplementedError


def counts(engine: Engine, weights_sha256: str, layer: int, neuron: int) -> LabelCounts:
    """Each annotator's latest verdict on a version, counted."""
    raise NotImplementedError


def counts_of_layer(engine: Engine, weights_sha256: str, layer: int) -> dict[int, LabelCounts]:
    """Neuron → counts, for those neurons of a layer that have labels."""
    raise NotImplementedError
