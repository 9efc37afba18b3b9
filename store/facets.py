"""How many rows each further filter would leave: by layer, by band of a column, by verdict.

counts(engine, run_id, "version", {"side": "left"}, [Band("hidden_share", 0.5, 0.75)])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, case, func, or_, select

from store import runs, selections, tables
from store.engine import reading
from store.labels import is_latest
from store.points import Rows
from store.records import Verdict
from store.selections import asked


@dataclass(frozen=True)
class Band:
    """Values of a column from `low` to `high`, both ends included; None: open."""

    key: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FacetCounts:
    """`layers` has the layers that any row is in; `bands` are in the order asked for."""

    layers: dict[int, int]
    bands: tuple[int, ...]


def counts(
    engine: Engine, run_id: str, rows: Rows, filters: Mapping[str, str], bands: Sequence[Band]
) -> FacetCounts:
    """Of the rows that `filters` let through, those of each layer and band, by one scan."""
    select_from = selections.of_pairs if rows == "pair" else selections.of_versions
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        selection = select_from(run, asked(filters) | {band.key for band in bands})
        layer = selection.place[-2]
        found = connection.execute(
            select(layer, func.count(), *(_within(selection.resolve, band) for band in bands))
            .select_from(selection.source)
            .where(*selection.where(filters))
            .group_by(layer)
            .order_by(layer)
        ).all()
    return FacetCounts(
        layers={row[0]: row[1] for row in found},
        bands=tuple(sum(row[2 + n] for row in found) for n in range(len(bands))),
    )


def _within(resolve: Any, band: Band) -> ColumnElement[int]:
    value = resolve(band.key)
    ends = []
    if band.low is not None:
        ends.append(value >= band.low)
    if band.high is not None:
        ends.append(value <= band.high)
    return func.sum(case((and_(*ends), 1), else_=0))


def verdicts(engine: Engine, run_id: str, filters: Mapping[str, str]) -> dict[Verdict, int]:
    """Versions that filters let through → how many have each verdict, of any annotator's latest.

    It begins with the labels, which are few, and not with the versions.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        found = connection.execute(_of_verdicts(run, tuple(filters.items())))
        return {row[0]: row[1] for row in found}


@lru_cache(maxsize=256)
def _of_verdicts(run: runs.PublishedRun, given: tuple[tuple[str, str], ...]) -> Select[Any]:
    label, neuron, filters = tables.label, tables.neuron, dict(given)
    selection = selections.of_versions(run, asked(filters) | {"density"})  # the table itself
    sides = [("left", run.left_model_id)]
    if run.right_model_id is not None:
        sides.append(("right", run.right_model_id))
    labelled = (
        select(label.c.model_id, label.c.layer, label.c.neuron, label.c.verdict)
        .where(
            label.c.model_id.in_([model for _, model in sides]),
            label.c.neuron.is_not(None),
            is_latest(),
        )
        .distinct()
        .subquery()
    )
    at = and_(
        or_(*(and_(neuron.c.side == side, labelled.c.model_id == model) for side, model in sides)),
        neuron.c.layer == labelled.c.layer,
        neuron.c.neuron == labelled.c.neuron,
    )
    return (
        select(labelled.c.verdict, func.count())
        .select_from(labelled.join(selection.source, at))
        .where(*selection.where(filters))
        .group_by(labelled.c.verdict)
    )
