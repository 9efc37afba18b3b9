"""One version after another that an annotator has not labelled, each to one annotator at a time.

    item = next_version(engine, run_id, "ada", {"layer": "0"}, "-kurtosis")

The order is the explorer's. What an annotator has before them is claimed for a while, so that the
others get the ones after it; where nothing else is left they get it, too, since both may label.
What was skipped comes after all others. A claim ends with the label, and by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Integer,
    and_,
    case,
    cast,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from store import runs, selections
from store.engine import reading, writing
from store.labels import annotator_id, is_withdrawn
from store.records import Side
from store.runs import PublishedRun
from store.selections import Selection, asked
from store.tables import annotator, label
from store.tables_access import label_claim, label_skip
from store.types import now

#: How long a version is kept from the others, once it was given out.
CLAIMED = timedelta(minutes=10)

#: Versions that are looked at together: of so many annotators each finds one that is free.
_AT_ONCE = 64

Place = tuple[Side, int, int]


@dataclass(frozen=True)
class Progress:
    """Of `total` versions that filters let through the annotator has labelled `labelled`."""

    labelled: int
    total: int


@dataclass(frozen=True)
class OwnLabel:
    """An annotator's newest label on a version of a run."""

    id: int
    side: Side
    layer: int
    neuron: int
    verdict: str


def next_version(
    engine: Engine,
    run_id: str,
    name: str,
    filters: Mapping[str, str],
    sort: str | None = None,
    but: Collection[Place] = (),
) -> Place | None:
    """(side, layer, neuron) of the next version for this annotator, claimed; None: none is left.

    `but` are versions that they have before them already. Errors: `RunNotFound`, `UnknownColumn`,
    `InvalidFilter`.
    """
    by = _annotator(engine, name)
    for free in (True, False):
        for place, model_id in _open(engine, run_id, by, filters, sort, but, free=free):
            if not free or _claim(engine, by, model_id, place):
                return place
    return None


def claim(engine: Engine, run_id: str, name: str, place: Place) -> bool:
    """Claim a version that an annotator asked for by its name; whether nobody else has."""
    side, _, _ = place
    with reading(engine) as connection:
        model_id = runs.published(connection, run_id).model_id(side)
    by = _annotator(engine, name)
    return model_id is not None and _claim(engine, by, model_id, place)


def progress(engine: Engine, run_id: str, name: str, filters: Mapping[str, str]) -> Progress:
    """How far an annotator is with what the filters let through."""
    with reading(engine) as connection:
        run, selection = _selection(connection, run_id, filters, None)
        by = _known(connection, name)
        done = case((_labelled(run, selection, by), 1), else_=0)
        total, labelled = connection.execute(
            select(func.count(), func.sum(done))
            .select_from(selection.source)
            .where(*selection.where(filters))
        ).one()
    return Progress(labelled or 0, total or 0)


def last_label(engine: Engine, run_id: str, name: str) -> OwnLabel | None:
    """The annotator's newest label on a version of the run that they have not taken back."""
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        models = [run.left_model_id, run.right_model_id]
        row = connection.execute(
            select(label)
            .where(
                label.c.annotator_id == _known(connection, name),
                label.c.model_id.in_([one for one in models if one is not None]),
                label.c.neuron.is_not(None),
                ~is_withdrawn(),
            )
            .order_by(label.c.id.desc())
            .limit(1)
        ).one_or_none()
    if row is None:
        return None
    side: Side = "left" if row.model_id == run.left_model_id else "right"
    return OwnLabel(row.id, side, row.layer, row.neuron, row.verdict)


def skip(engine: Engine, run_id: str, name: str, place: Place) -> None:
    """Put a version after all others for this annotator, and give it free."""
    side, layer, neuron = place
    with writing(engine) as connection:
        model_id = runs.published(connection, run_id).model_id(side)
        by = annotator_id(connection, name)
        moment = now()
        key = {"annotator_id": by, "model_id": model_id, "layer": layer, "neuron": neuron}
        made = _insert(engine)(label_skip).values(**key, skipped_at=moment)
        connection.execute(
            made.on_conflict_do_update(index_elements=list(key), set_={"skipped_at": moment})
        )
        connection.execute(
            delete(label_claim).where(*(label_claim.c[name] == key[name] for name in key))
        )


def _annotator(engine: Engine, name: str) -> int:
    """The annotator's id; only the first time anything is written for it."""
    with reading(engine) as connection:
        known = _known(connection, name)
    if known != -1:
        return known
    with writing(engine) as connection:
        return annotator_id(connection, name)


def _open(
    engine: Engine,
    run_id: str,
    by: int,
    filters: Mapping[str, str],
    sort: str | None,
    but: Collection[Place],
    *,
    free: bool,
) -> list[tuple[Place, int]]:
    """The first versions that the annotator has not labelled, in order, with their models' ids;
    with `free` only those that nobody else has before them."""
    with reading(engine) as connection:
        run, selection = _selection(connection, run_id, filters, sort)
        where = [*selection.where(filters), ~_labelled(run, selection, by)]
        if free:
            where.append(~_claimed(run, selection, by))
        if but:
            where.append(tuple_(*selection.place).not_in([tuple(place) for place in but]))
        skipped = _skipped(run, selection, by)
        rows = connection.execute(
            select(*selection.place)
            .select_from(selection.source)
            .where(*where)
            .order_by(skipped.is_not(None), skipped, *selection.order(sort))
            .limit(_AT_ONCE)
        )
        return [((row[0], row[1], row[2]), run.model_id(row[0]) or 0) for row in rows]


def _claim(engine: Engine, by: int, model_id: int, place: Place) -> bool:
    """Whether the version is the annotator's now: it was free, or theirs, or forgotten."""
    _, layer, neuron = place
    moment = now()
    made = _insert(engine)(label_claim).values(
        model_id=model_id,
        layer=layer,
        neuron=neuron,
        annotator_id=by,
        expires_at=moment + CLAIMED,
    )
    taken = made.on_conflict_do_update(
        index_elements=["model_id", "layer", "neuron"],
        set_={"annotator_id": by, "expires_at": moment + CLAIMED},
        where=or_(label_claim.c.annotator_id == by, label_claim.c.expires_at <= moment),
    ).returning(label_claim.c.annotator_id)
    with writing(engine) as connection:
        return connection.execute(taken).one_or_none() is not None


def _insert(engine: Engine) -> Any:
    return sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert


def _selection(
    connection: Connection, run_id: str, filters: Mapping[str, str], sort: str | None
) -> tuple[PublishedRun, Selection]:
    run = runs.published(connection, run_id)
    return run, selections.of_versions(run, asked(filters, sort))


def _known(connection: Connection, name: str) -> int:
    """The annotator's id; −1 for one who has never labelled."""
    return connection.scalar(select(annotator.c.id).where(annotator.c.name == name)) or -1


def _on(run: PublishedRun, selection: Selection, table: Any) -> ColumnElement[bool]:
    """The condition that a row of `table` is of the version at hand."""
    side, layer, neuron = selection.place
    right: Any = null() if run.right_model_id is None else literal(run.right_model_id)
    model_id = cast(case((side == "left", run.left_model_id), else_=right), Integer)
    return and_(table.c.model_id == model_id, table.c.layer == layer, table.c.neuron == neuron)


def _labelled(run: PublishedRun, selection: Selection, by: int) -> ColumnElement[bool]:
    return (
        select(label.c.id)
        .where(_on(run, selection, label), label.c.annotator_id == by, ~is_withdrawn())
        .correlate(*_tables(selection))
        .exists()
    )


def _claimed(run: PublishedRun, selection: Selection, by: int) -> ColumnElement[bool]:
    return (
        select(label_claim.c.annotator_id)
        .where(
            _on(run, selection, label_claim),
            label_claim.c.annotator_id != by,
            label_claim.c.expires_at > now(),
        )
        .correlate(*_tables(selection))
        .exists()
    )


def _skipped(run: PublishedRun, selection: Selection, by: int) -> ColumnElement[Any]:
    """When the annotator passed over the version last, else NULL."""
    return (
        select(label_skip.c.skipped_at)
        .where(_on(run, selection, label_skip), label_skip.c.annotator_id == by)
        .correlate(*_tables(selection))
        .scalar_subquery()
    )


def _tables(selection: Selection) -> list[Any]:
    """The tables that the selection's places stand in."""
    return list({id(column.table): column.table for column in selection.place}.values())
