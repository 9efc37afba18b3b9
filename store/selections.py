"""Where the explorer's rows come from: as few tables as the columns at hand ask for.

Every version has a row of evidence once that stage is published, so evidence alone, the statistics
alone and both joined have the same rows; a sort by one column reads one table by its index.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_

from store import tables, tables_evidence
from store.columns import (
    INDEX_KEYS,
    PAIR_COLUMNS,
    VERSION_COLUMNS,
    ExplorerColumn,
    VersionTables,
    difference,
)
from store.filters import Resolve, conditions, ordering
from store.runs import PublishedRun

Place = tuple[Any, ...]


@dataclass(frozen=True)
class Selection:
    """Rows of `source` within `scope`; `place` names one, `resolve` gives the value of a column."""

    columns: Mapping[str, ExplorerColumn]
    source: FromClause
    scope: tuple[ColumnElement[bool], ...]
    place: Place
    resolve: Resolve

    def where(self, filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
        """Conditions of the rows that filters let through."""
        return [*self.scope, *conditions(filters, self.columns, self.resolve)]

    def order(self, sort: str | None) -> list[Any]:
        """What to order by, so that equal rows stand by their place."""
        return [*ordering(sort, self.columns, self.resolve), *self.place]


def asked(filters: Mapping[str, str], sort: str | None = None) -> set[str]:
    """Keys of the columns that filters and sort name, whether or not there are such."""
    named = {name.partition("__")[0] for name in filters}
    return named | {sort.removeprefix("-")} if sort else named


def of_versions(run: PublishedRun, keys: Collection[str]) -> Selection:
    """A row a version, for columns with these keys."""
    version, source = _version(run, _wanted(VERSION_COLUMNS, keys))
    neuron = version.neuron.c
    return Selection(
        VERSION_COLUMNS,
        source,
        (neuron.run_key == run.key,),
        (neuron.side, neuron.layer, neuron.neuron),
        lambda key: VERSION_COLUMNS[key].expression(version, run),
    )


def of_pairs(run: PublishedRun, keys: Collection[str]) -> Selection:
    """A row an index of the left version, with the right one's values or NULL."""
    wanted = _wanted(PAIR_COLUMNS, keys)
    left, source = _version(run, wanted, "left_version")
    right, _ = _version(run, wanted, "right_version")
    at = and_(
        right.neuron.c.run_key == left.neuron.c.run_key,
        right.neuron.c.side == "right",
        right.neuron.c.layer == left.neuron.c.layer,
        right.neuron.c.neuron == left.neuron.c.neuron,
    )
    source = source.outerjoin(right.neuron, at)
    if right.evidence is not None and right.evidence is not right.neuron:
        source = source.outerjoin(right.evidence, _same_version(right))

    def resolve(key: str) -> ColumnElement[Any]:
        side, _, name = key.partition("_")
        if key in INDEX_KEYS:
            return VERSION_COLUMNS[key].expression(left, run)
        if side == "diff":
            return difference(VERSION_COLUMNS[name], left, right, run)
        return VERSION_COLUMNS[name].expression(left if side == "left" else right, run)

    scope = (left.neuron.c.run_key == run.key, left.neuron.c.side == "left")
    return Selection(
        PAIR_COLUMNS, source, scope, (left.neuron.c.layer, left.neuron.c.neuron), resolve
    )


def _wanted(columns: Mapping[str, ExplorerColumn], keys: Collection[str]) -> list[ExplorerColumn]:
    """Those columns that stand in one of the two tables: keys of a version stand in both."""
    return [
        columns[key]
        for key in keys
        if key in columns and key not in tables.VERSION and not columns[key].verdicts
    ]


def _version(
    run: PublishedRun, wanted: list[ExplorerColumn], alias: str | None = None
) -> tuple[VersionTables, FromClause]:
    """The tables of a version for these columns, and what to select from."""
    neuron: FromClause = tables.neuron
    evidence: FromClause = tables_evidence.neuron_evidence
    if alias is not None:
        neuron, evidence = _alias(neuron, alias), _alias(evidence, f"{alias}_evidence")
    if not run.has_evidence or not any(column.of_evidence for column in wanted):
        return VersionTables(neuron, None), neuron
    if all(column.of_evidence for column in wanted):
        return VersionTables(evidence, evidence), evidence
    version = VersionTables(neuron, evidence)
    return version, neuron.join(evidence, _same_version(version))


@cache
def _alias(table: FromClause, name: str) -> FromClause:
    """The same object each time: setting up its fifty columns takes longer than most queries."""
    return table.alias(name)


def _same_version(version: VersionTables) -> ColumnElement[bool]:
    assert version.evidence is not None
    neuron, evidence = version.neuron.c, version.evidence.c
    return and_(*(evidence[name] == neuron[name] for name in tables.VERSION))
