"""Versions of neurons: one whole, or pages of the explorer."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Select,
    bindparam,
    func,
    select,
)

from store import kept_orders, labels, rows, runs, selections, tables
from store.beside import Beside
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS
from store.engine import reading
from store.prepared import Prepared
from store.records import SIDES, ExplorerRow, LabelCounts, NeuronRecord, PairRow, Side, Site
from store.runs import PublishedRun
from store.selections import Place, Selection, asked
from store.version_query import any_of, at, here, places

LARGEST_PAGE = 1_000

#: Rows that are asked for with one statement; fewer are filled up to one of the sizes, so that few
#: statements are made.
_SIZES = (1, 10, 50, 100)
_AT_ONCE = _SIZES[-1]


def get(engine: Engine, run_id: str, side: Side, layer: int, neuron: int) -> NeuronRecord | None:
    """A version with its histograms, partners and logit effects; None if the run has none such.

    `RunNotFound` for an unknown run.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        version = at(run, side, layer, neuron)
        found, counts, beside = _version.one(connection, version)
        if found is None:
            return None
        hook_points = dict(_hook_points.tuples(connection, version))
        return rows.to_neuron(found, hook_points, counts, beside, run.n_vocabulary)


def page(
    engine: Engine,
    run_id: str,
    filters: Mapping[str, str] | None = None,
    sort: str | None = None,
    page: int = 1,
    size: int = 50,
    total: int | None = None,
) -> tuple[list[ExplorerRow], int]:
    """Rows of one page (1-based) and the number of rows on all: a row a version.

    `filters` and `sort` as `store.filters` reads them, with the keys of
    `store.columns.VERSION_COLUMNS`; what is equal stands by side, layer, neuron.
    `ExplorerRow.values` has all columns. With `total`, known from another page of the same filters,
    nothing is counted. Errors: `RunNotFound`, `UnknownColumn`, `InvalidFilter`.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        chosen = _chosen(connection, run, selections.of_versions, filters, sort, page, size)
        if total is None:
            total = _total(connection, run, selections.of_versions, filters)
        return versions_at(connection, run, chosen), total


def versions_at(
    connection: Connection, run: PublishedRun, chosen: list[Place]
) -> list[ExplorerRow]:
    """The rows of these (side, layer, neuron), in their order."""
    by_place = _values(connection, run, "version", chosen)
    counted = _label_counts(connection, run, chosen)
    made = []
    for side, layer, index in chosen:
        counts = counted.get((run.model_id(side), layer, index), LabelCounts())
        row = by_place[side, layer, index] | _label_values(counts)
        made.append(ExplorerRow(side=side, layer=layer, neuron=index, values=row, labels=counts))
    return made


def pair_page(
    engine: Engine,
    run_id: str,
    filters: Mapping[str, str] | None = None,
    sort: str | None = None,
    page: int = 1,
    size: int = 50,
    total: int | None = None,
) -> tuple[list[PairRow], int]:
    """As `page`, a row an index: keys `layer`, `neuron`, `left_X`, `right_X`, `diff_X` (l − r).

    The keys are those of `store.columns.PAIR_COLUMNS`; in a single-sided run `right_X` and
    `diff_X` are None.
    """
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        chosen = _chosen(connection, run, selections.of_pairs, filters, sort, page, size)
        if total is None:
            total = _total(connection, run, selections.of_pairs, filters)
        return indices_at(connection, run, chosen), total


def indices_at(connection: Connection, run: PublishedRun, chosen: list[Place]) -> list[PairRow]:
    """The rows of these (layer, neuron), in their order."""
    by_place = _values(connection, run, "pair", chosen)
    counted = _label_counts(connection, run, chosen)
    made = []
    for layer, index in chosen:
        on_left = counted.get((run.left_model_id, layer, index), LabelCounts())
        on_right = counted.get((run.right_model_id, layer, index), LabelCounts())
        row = by_place[layer, index]
        row |= _label_values(on_left, "left_") | _label_values(on_right, "right_")
        made.append(
            PairRow(
                layer=layer,
                neuron=index,
                values=row,
                left_labels=on_left,
                right_labels=on_right,
            )
        )
    return made


def random_neuron(
    engine: Engine,
    run_id: str,
    filters: Mapping[str, str] | None = None,
    seed: int | None = None,
) -> tuple[int, int] | None:
    """(layer, neuron) of one version that the filters let through; None when they let none.

    Each version is as likely as the next; the same seed gives the same one.
    """
    filters = filters or {}
    with reading(engine) as connection:
        run = runs.published(connection, run_id)
        selection = selections.of_versions(run, asked(filters))
        where = selection.where(filters)
        total = _count(connection, selection, where)
        if total == 0:
            return None
        row = connection.execute(
            select(*selection.place)
            .select_from(selection.source)
            .where(*where)
            .order_by(*selection.place)
            .offset(random.Random(seed).randrange(total))
            .limit(1)
        ).one()
    return row[1], row[2]


_example = tables.example
_columns = (*tables.VERSION, "partners", "promoted", "suppressed")
_version = Beside(
    (tables.neuron, tables.VERSION),
    (tables.histogram, tables.VERSION),
    # Partners and logit effects stand with the examples, of which nothing else is wanted here.
    (select(*(_example.c[name] for name in _columns)).subquery(), tables.VERSION),
)


@Prepared
def _hook_points() -> Select[tuple[Site, str]]:
    """Site and name of a version's hook points, which are those of its layer."""
    hook_point = tables.hook_point
    of_layer = here(hook_point, "run_key", "side", "layer")
    return select(hook_point.c.site, hook_point.c.name).where(*of_layer)


def _chosen(
    connection: Connection,
    run: PublishedRun,
    select_from: Callable[[PublishedRun, Collection[str]], Selection],
    filters: Mapping[str, str] | None,
    sort: str | None,
    page: int,
    size: int,
) -> list[Place]:
    """The places of one page in their order."""
    size = min(max(size, 1), LARGEST_PAGE)
    before = (max(page, 1) - 1) * size
    given = tuple((filters or {}).items())

    def read(before: int, size: int) -> list[Place]:
        query = _ordered(select_from, run, given, sort)
        found = connection.execute(query, {"before": before, "size": size})
        return [tuple(row) for row in found]

    if select_from is selections.of_pairs and kept_orders.is_kept(dict(given), sort):
        orders = kept_orders.of_engine(connection.engine)
        return orders.page((run, given, sort), before, size, read)
    return read(before, size)


@lru_cache(maxsize=256)
def _ordered(
    select_from: Callable[[PublishedRun, Collection[str]], Selection],
    run: PublishedRun,
    filters: tuple[tuple[str, str], ...],
    sort: str | None,
) -> Select[Any]:
    """The places of `size` rows, those `before` them left out."""
    given = dict(filters)
    selection = select_from(run, asked(given, sort))
    return (
        select(*selection.place)
        .select_from(selection.source)
        .where(*selection.where(given))
        .order_by(*selection.order(sort))
        .offset(bindparam("before", type_=Integer))
        .limit(bindparam("size", type_=Integer))
    )


def _total(
    connection: Connection,
    run: PublishedRun,
    select_from: Callable[[PublishedRun, Collection[str]], Selection],
    filters: Mapping[str, str] | None,
) -> int:
    """How many rows there are on all pages."""
    selection = select_from(run, asked(filters or {}))
    return _count(connection, selection, selection.where(filters or {}))


def _count(connection: Connection, selection: Selection, where: list[ColumnElement[bool]]) -> int:
    counted = select(func.count()).select_from(selection.source).where(*where)
    return connection.scalar(counted) or 0


def _values(
    connection: Connection, run: PublishedRun, kind: str, chosen: list[Place]
) -> dict[Place, dict[str, float | int | str | bool | None]]:
    """All columns of the chosen places: asked apart from the sort, which need not carry them."""
    found: dict[Place, dict[str, float | int | str | bool | None]] = {}
    for start in range(0, len(chosen), _AT_ONCE):
        part = chosen[start : start + _AT_ONCE]
        number = next(size for size in _SIZES if size >= len(part))
        query, keys = _all_columns(run, kind, number)
        width = len(part[0])
        for row in query.tuples(connection, places(part, number)):
            found[row[:width]] = dict(zip(keys, row[width:], strict=True))
    return found


@lru_cache(maxsize=64)
def _all_columns(run: PublishedRun, kind: str, number: int) -> tuple[Prepared, tuple[str, ...]]:
    """Place and columns of `number` rows, and the columns' keys; label counts stand elsewhere."""
    columns = PAIR_COLUMNS if kind == "pair" else VERSION_COLUMNS
    select_from = selections.of_pairs if kind == "pair" else selections.of_versions
    selection = select_from(run, columns)
    keys = tuple(key for key, known in columns.items() if not known.verdicts)
    query = (
        select(*selection.place, *(selection.resolve(key) for key in keys))
        .select_from(selection.source)
        .where(*selection.scope, any_of(selection.place, number))
    )
    return Prepared(lambda: query), keys


def _label_counts(
    connection: Connection, run: PublishedRun, chosen: list[Place]
) -> dict[tuple[int | None, int, int], LabelCounts]:
    """The counts of the versions of these rows, by model, layer and neuron."""
    versions = [
        (model_id, *row[-2:])
        for row in chosen
        for side in (row[:-2] or SIDES)  # a row that is an index has no side
        if (model_id := run.model_id(side)) is not None
    ]
    return dict(labels.counts_at(connection, versions).items())


def _label_values(
    counts: LabelCounts, prefix: str = ""
) -> dict[str, float | int | str | bool | None]:
    return {
        prefix + key: sum(getattr(counts, verdict) for verdict in known.verdicts)
        for key, known in VERSION_COLUMNS.items()
        if known.verdicts
    }
