"""Filters and sorting as the explorer's URL has them, against a table of columns.

    KEY=VALUE, KEY__eq=VALUE    equal
    KEY__gte=VALUE              at least
    KEY__lte=VALUE              at most
    sort=KEY, sort=-KEY         ascending, descending; what is undefined stands last either way

An empty value is no filter: an HTML form sends its empty fields, too. Keys are looked up and values
are bound, so nothing of the URL becomes SQL.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement

from store.columns import ExplorerColumn
from store.errors import InvalidFilter, UnknownColumn

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "gte": operator.ge,
    "lte": operator.le,
}

#: The value of a column in the query at hand.
Resolve = Callable[[str], ColumnElement[Any]]

_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def conditions(
    filters: Mapping[str, str], columns: Mapping[str, ExplorerColumn], resolve: Resolve
) -> list[ColumnElement[bool]]:
    """A condition for each filter. Errors: `UnknownColumn`, `InvalidFilter`."""
    made = []
    for name, text in filters.items():
        key, _, operation = name.partition("__")
        column = _column(key, columns)
        operation = operation or "eq"
        if operation not in OPERATORS:
            raise InvalidFilter(
                f"There is no filter {name}.", f"Operators are {', '.join(OPERATORS)}."
            )
        if operation != "eq" and column.type in ("text", "boolean"):
            raise InvalidFilter(f"{key} has no order; filter it with {key}__eq.")
        if str(text).strip():
            value = _value(column, str(text).strip())
            # "+ 0" keeps the indexes for sorting: SQLite would take one for any range, however
            # wide, and then look up most rows of the table one by one.
            left = resolve(key) + 0 if column.type == "number" else resolve(key)
            made.append(OPERATORS[operation](left, value))
    return made


def ordering(
    sort: str | None, columns: Mapping[str, ExplorerColumn], resolve: Resolve
) -> list[ColumnElement[Any]]:
    """What to order by for `sort`, nothing for None or "". Errors: `UnknownColumn`."""
    if not sort:
        return []
    key = sort.removeprefix("-")
    _column(key, columns)
    expression = resolve(key)
    return [(expression.desc() if sort.startswith("-") else expression.asc()).nulls_last()]


def _column(key: str, columns: Mapping[str, ExplorerColumn]) -> ExplorerColumn:
    if key not in columns:
        raise UnknownColumn(
            f"The explorer has no column {key!r}.", f"Its columns are {', '.join(columns)}."
        )
    return columns[key]


def _value(column: ExplorerColumn, text: str) -> float | int | str | bool:
    """The text as a value of the column's type."""
    if column.type == "text":
        if text not in column.choices:
            raise InvalidFilter(f"{column.key} is one of {', '.join(column.choices)}.")
        return text
    if column.type == "boolean":
        if text.lower() not in _BOOLEANS:
            raise InvalidFilter(f"{column.key} is true or false, not {text!r}.")
        return _BOOLEANS[text.lower()]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidFilter(f"{column.key} is compared with a number, not {text!r}.")
    return number
