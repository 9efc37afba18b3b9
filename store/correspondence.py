"""How much of each layer has a twin in the other model: counts over its versions."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from sqlalchemy import ColumnElement, Engine, and_, case, func, select

from store import runs, tables
from store.engine import reading
from store.records import ABOVE_NULL, Side
from store.shown_evidence import CORRELATION_QUANTILES, LayerCorrespondence


def correspondence(engine: Engine, run_id: str) -> list[LayerCorrespondence]:
    """By layer, then left and right; empty for a single-sided run.

    `RunNotFound` for an unknown run.
    """
    neuron = tables.neuron.c
    place = (neuron.layer, neuron.side)
    above_null = neuron.best_correlation - neuron.null_correlation >= ABOVE_NULL
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        if run.right_model_id is None:
            return []
        counted = connection.execute(
            select(
                *place,
                func.count().label("n"),
                func.count(neuron.best_correlation).label("n_defined"),
                _number_where(neuron.best_neuron == neuron.neuron).label("n_same_index"),
                _number_where(neuron.mutual).label("n_mutual"),
                _number_where(above_null).label("n_above_null"),
                _number_where(and_(neuron.mutual, above_null)).label("n_twins"),
            )
            .where(neuron.run_key == run.key)
            .group_by(*place)
            .order_by(*place)
        ).all()
        best: defaultdict[tuple[int, Side], list[float]] = defaultdict(list)
        assigned: defaultdict[tuple[int, Side], list[float]] = defaultdict(list)
        for layer, side, correlation, of_assigned in connection.execute(
            select(*place, neuron.best_correlation, neuron.assigned_correlation).where(
                neuron.run_key == run.key, neuron.best_correlation.is_not(None)
            )
        ):
            best[layer, side].append(correlation)
            if of_assigned is not None:
                assigned[layer, side].append(of_assigned)
    return [
        LayerCorrespondence(
            **row._mapping,
            best_quantiles=_quantiles(best[row.layer, row.side]),
            assigned_median=_median(assigned[row.layer, row.side]),
        )
        for row in counted
    ]


def _number_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _quantiles(values: list[float]) -> tuple[float, ...]:
    return tuple(np.quantile(values, CORRELATION_QUANTILES).tolist()) if values else ()


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None
