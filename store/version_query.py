"""Queries that are built once and asked again with other values: one version, one page of rows.

    connection.execute(of_version(tables.histogram), at(run, "left", 0, 17))

Building a statement and its cache key costs SQLAlchemy more than the database takes to answer; a
statement that is the same object, with its values bound by name, costs a sixth of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, bindparam, or_, select

from store import tables
from store.runs import PublishedRun


def here(table: Any, *names: str) -> list[ColumnElement[bool]]:
    """Conditions of the rows of one version, or of these parts of it; `at` gives the values."""
    return [
        table.c[name] == bindparam(f"at_{name}", type_=table.c[name].type)
        for name in names or tables.VERSION
    ]


def at(run: PublishedRun, side: str, layer: int, neuron: int) -> dict[str, Any]:
    """The values of `here`."""
    return {
        f"at_{n}": v for n, v in zip(tables.VERSION, (run.key, side, layer, neuron), strict=True)
    }


@cache
def of_version(table: Table, *order: str) -> Select[Any]:
    """All columns of a version's rows, in the order of these columns."""
    return select(table).where(*here(table)).order_by(*(table.c[name] for name in order))


def any_of(place: Sequence[Any], number: int) -> ColumnElement[bool]:
    """Whether a row stands at one of `number` places, whose values `places` gives.

    As alternatives, each of which both databases find by the primary key; a list of tuples would
    have SQLite scan, and one of values would be compiled anew each time.
    """
    return or_(
        *(
            and_(
                *(
                    part == bindparam(f"at_{n}_{name}", type_=part.type)
                    for name, part in zip("abc", place, strict=False)
                )
            )
            for n in range(number)
        )
    )


def places(chosen: Sequence[Sequence[Any]], number: int) -> dict[str, Any]:
    """The values of `any_of`; the last place again where there are fewer than `number`."""
    filled = [*chosen, *[chosen[-1]] * (number - len(chosen))]
    return {
        f"at_{n}_{name}": part
        for n, place in enumerate(filled)
        for name, part in zip("abc", place, strict=False)
    }
