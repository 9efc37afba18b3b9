"""How much of each layer has a twin in the other model: counts over its versions."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from sqlalchemy import Engine, select

from store import runs, tables
from store.engine import reading
from store.shown_evidence import CORRELATION_QUANTILES, LayerCorrespondence


def correspondence(engine: Engine, run_id: str) -> list[LayerCorrespondence]:
    """By layer, then left and right; empty for a single-sided run.

    `RunNotFound` for an unknown run.
    """
    neuron = tables.neuron.c
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        if run.right_model_id is None:
            return []
        found = connection.execute(
            select(
                neuron.layer,
                neuron.side,
                neuron.neuron,
                neuron.best_neuron,
                neuron.best_correlation,
                neuron.null_correlation,
                neuron.mutual,
                neuron.assigned_correlation,
            ).where(neuron.run_key == run.key)
        )
        by_layer: defaultdict[tuple[int, Any], list[Any]] = defaultdict(list)
        for row in found:
            by_layer[row.layer, row.side].append(row)
    return [_of_layer(layer, side, by_layer[layer, side]) for layer, side in sorted(by_layer)]


def _of_layer(layer: int, side: Any, versions: list[Any]) -> LayerCorrespondence:
    defined = [row for row in versions if row.best_correlation is not None]
    best = [row.best_correlation for row in defined]
    assigned = [row.assigned_correlation for row in defined if row.assigned_correlation is not None]
    return LayerCorrespondence(
        layer=layer,
        side=side,
        n=len(versions),
        n_defined=len(defined),
        n_same_index=sum(row.best_neuron == row.neuron for row in defined),
        n_mutual=sum(row.mutual is True for row in defined),
        n_above_null=sum(map(_above_null, defined)),
        n_twins=sum(row.mutual is True and _above_null(row) for row in defined),
        best_quantiles=tuple(np.quantile(best, CORRELATION_QUANTILES).tolist()) if best else (),
        assigned_median=float(np.median(assigned)) if assigned else None,
    )


def _above_null(row: Any) -> bool:
    return row.null_correlation is not None and row.best_correlation > row.null_correlation
