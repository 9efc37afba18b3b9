"""The explorer's address read: filters, sort and page, each checked and said as a sentence.

    ?layer=0&side=left&kurtosis__gte=10&sort=-kurtosis&page=2&size=50
    ?rows=pair&diff_hidden_share__gte=0.1&sort=-diff_hidden_share
    ?x=kurtosis&y=hidden_share&log_x=1       a scatter of the same rows

A row is a version, or with `rows=pair` an index with both versions; each kind has its own columns.
A filter is `COLUMN__gte`, `COLUMN__lte` or `COLUMN__eq`; an empty value is no filter, so that a
form may send all of its fields. An address that names what does not exist is refused with what
does: silently showing something else would be a wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from server.errors import BadFilter, BadPage, BadParameter, BadSort
from server.pages.explorer import Operator
from server.pages.fields import Rows
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS, ExplorerColumn

OPERATORS: dict[Operator, str] = {"gte": "at least", "lte": "at most", "eq": "exactly"}

#: What a row is → its columns.
COLUMNS: dict[Rows, dict[str, ExplorerColumn]] = {"version": VERSION_COLUMNS, "pair": PAIR_COLUMNS}

_ALL_COLUMNS = {**PAIR_COLUMNS, **VERSION_COLUMNS}
_PLOT = ("x", "y", "log_x", "log_y")
_OWN = ("rows", "run", "sort", "page", "size", "layer", "side", *_PLOT)
#: A filter as three fields of a form that works without scripts; answered by a redirect.
_FORM = ("filter", "operator", "value")


@dataclass(frozen=True)
class Filter:
    """`key` `operator` `value`, as the address has them."""

    key: str
    operator: Operator
    value: str

    @property
    def parameter(self) -> str:
        """Its name in the address; `layer=0` and `side=left` have no operator there."""
        if self.key in ("layer", "side") and self.operator == "eq":
            return self.key
        return f"{self.key}__{self.operator}"

    @property
    def sentence(self) -> str:
        """`kurtosis at least 10`."""
        return self.said(lambda column: column.name)

    def said(self, title: Callable[[ExplorerColumn], str]) -> str:
        """The sentence with the column called as `title` has it."""
        column = _ALL_COLUMNS[self.key]
        name = title(column)
        if column.type == "boolean":
            return f"{name}: {'yes' if self.value.lower() in ('1', 'true', 'yes') else 'no'}"
        if column.type == "text" or self.parameter == "layer":
            return f"{name} {self.value}"
        share, _, whole = column.unit.partition("share of ")
        unit = f" of {whole}" if whole else f" {share}" if share else ""
        return f"{name} {OPERATORS[self.operator]} {self.value}{unit}"


@dataclass(frozen=True)
class Plot:
    """A scatter of two columns of numbers, each axis linear or logarithmic."""

    x: str
    y: str
    log_x: bool = False
    log_y: bool = False

    def parameters(self) -> dict[str, str | int | None]:
        """As the address has them."""
        return {
            "x": self.x,
            "y": self.y,
            "log_x": 1 if self.log_x else None,
            "log_y": 1 if self.log_y else None,
        }


@dataclass(frozen=True)
class Selection:
    """What the explorer shows: which rows, in which order, which page of them, which scatter."""

    rows: Rows = "version"
    filters: tuple[Filter, ...] = ()
    sort: str = ""
    page: int = 1
    size: int | None = None
    plot: Plot | None = None
    added: Filter | None = field(default=None, compare=False)

    def parameters(self, *, paged: bool = True) -> dict[str, str | int | None]:
        """The state as an address's parameters; without defaults, `page` only if `paged`."""
        return {
            "rows": self.rows if self.rows != "version" else None,
            **{one.parameter: one.value for one in self.filters},
            "sort": self.sort or None,
            "size": self.size,
            **(self.plot.parameters() if self.plot else {}),
            "page": self.page if paged and self.page > 1 else None,
        }

    @property
    def columns(self) -> dict[str, ExplorerColumn]:
        """The columns of its rows."""
        return COLUMNS[self.rows]

    def for_store(self) -> dict[str, str]:
        """The filters as `store.neurons.page` (or `pair_page`) takes them."""
        return {f"{one.key}__{one.operator}": one.value for one in self.filters}

    def value_of(self, key: str) -> str | None:
        """The value that a column must equal, None when it may be any."""
        return next(
            (one.value for one in self.filters if (one.key, one.operator) == (key, "eq")), None
        )

    def with_filter(self, key: str, value: str | int | None) -> Selection:
        """The first page of the same with `key` equal to `value`, or to anything (None)."""
        kept = tuple(one for one in self.filters if (one.key, one.operator) != (key, "eq"))
        added = () if value is None else (Filter(key, "eq", str(value)),)
        return replace(self, filters=(*added, *kept), page=1)

    def without(self, removed: Filter) -> Selection:
        """The first page of the same without one filter."""
        kept = tuple(one for one in self.filters if one != removed)
        return replace(self, filters=kept, page=1)

    def with_band(self, key: str, low: float | None, high: float | None) -> Selection:
        """The first page of the same with `key` from `low` to `high` (None: open) and no other
        filter of it."""
        ends: tuple[tuple[Operator, float | None], ...] = (("gte", low), ("lte", high))
        band = tuple(Filter(key, name, f"{end:g}") for name, end in ends if end is not None)
        kept = tuple(one for one in self.filters if one.key != key)
        return replace(self, filters=(*kept, *band), page=1)

    def without_key(self, key: str) -> Selection:
        """The first page of the same without any filter of a column."""
        kept = tuple(one for one in self.filters if one.key != key)
        return replace(self, filters=kept, page=1)

    def with_rows(self, rows: Rows) -> Selection:
        """The first page of rows of another kind: of the filters only those of the place hold."""
        if rows == self.rows:
            return replace(self, page=1)
        kept = tuple(one for one in self.filters if one.key in ("layer", "neuron"))
        return replace(self, rows=rows, filters=kept, sort="", page=1, plot=None)

    def plotted(self, plot: Plot | None) -> Selection:
        """The same with another scatter, or none."""
        return replace(self, plot=plot)

    def sorted_by(self, sort: str) -> Selection:
        """The first page of the same in another order."""
        return replace(self, sort=sort, page=1)

    def at_page(self, page: int) -> Selection:
        """Another page of the same."""
        return replace(self, page=page)


def read(parameters: Sequence[tuple[str, str]], max_size: int) -> Selection:
    """The selection that an address's parameters mean.

    `added` is the filter of a form's three fields, if they were filled: the caller redirects.
    Errors: BadFilter, BadSort, BadPage, BadParameter.
    """
    given: dict[str, str] = {}
    for name, value in parameters:
        if not value.strip():
            continue
        if name in given:
            raise BadParameter(f"“{name[:80]}” is given twice; give it once.")
        given[name] = value.strip()
    rows = _rows(given)
    columns = COLUMNS[rows]
    sort = given.get("sort", "")
    if sort:
        _column(sort.removeprefix("-"), columns, BadSort, "sort by")
    filters = tuple(
        _filter(name, value, columns)
        for name, value in given.items()
        if name not in (*_OWN, *_FORM)
    )
    ends = tuple(Filter(key, "eq", given[key]) for key in ("layer", "side") if key in given)
    for one in (*ends, *filters):
        _check_value(one)
    size = _whole(given, "size", 1, max_size) if "size" in given else None
    return Selection(
        rows=rows,
        filters=(*ends, *filters),
        sort=sort,
        page=_whole(given, "page", 1, None) if "page" in given else 1,
        size=size,
        plot=_plot(given, columns),
        added=_added(given, columns),
    )


def _rows(given: Mapping[str, str]) -> Rows:
    rows = given.get("rows", "version")
    if rows not in COLUMNS:
        raise BadParameter(f"rows={rows[:40]} is not known; rows=version and rows=pair are.")
    if rows == "pair" and "side" in given:
        raise BadParameter(
            "With rows=pair each row holds both sides, so there is no side to choose.",
            "Filter by columns such as left_kurtosis, or leave rows=pair out.",
        )
    return "pair" if rows == "pair" else "version"


def _plot(given: Mapping[str, str], columns: Mapping[str, ExplorerColumn]) -> Plot | None:
    """The scatter of `x` and `y`; None where neither is given."""
    named = [name for name in ("x", "y") if name in given]
    if not named:
        return None
    if len(named) == 1:
        other = "y" if named == ["x"] else "x"
        raise BadParameter(f"A scatter needs both axes; {other} is not given.")
    for name in named:
        key = given[name]
        _column(key, columns, BadParameter, "draw")
        if columns[key].type not in ("number", "integer"):
            raise BadParameter(
                f"{columns[key].name} is no number, so no axis can be made of it.",
                f"Numbers: {_known(numeric(columns))}.",
            )
    logarithmic = [given.get(name, "").lower() in ("1", "true", "yes") for name in _PLOT[2:]]
    return Plot(given["x"], given["y"], *logarithmic)


def numeric(columns: Mapping[str, ExplorerColumn]) -> dict[str, ExplorerColumn]:
    """Those columns whose values are numbers."""
    return {key: one for key, one in columns.items() if one.type in ("number", "integer")}


def _added(given: Mapping[str, str], columns: Mapping[str, ExplorerColumn]) -> Filter | None:
    """The filter of a form's `filter`, `operator` and `value`; None until there is a value."""
    if "filter" not in given or "value" not in given:
        return None
    one = _filter(f"{given['filter']}__{given.get('operator', 'gte')}", given["value"], columns)
    _check_value(one)
    return one


def _filter(name: str, value: str, columns: Mapping[str, ExplorerColumn]) -> Filter:
    key, mark, operator = name.rpartition("__")
    if not mark and name in columns:
        return Filter(name, "eq", value)
    if not mark:
        raise BadParameter(
            f"There is no parameter “{name[:80]}” here.",
            "Filter as COLUMN__gte, COLUMN__lte or COLUMN__eq; the columns are: "
            f"{_known(columns)}.",
        )
    if operator not in OPERATORS:
        raise BadFilter(
            f"“{operator[:40]}” is no way to filter; there are gte (at least), "
            "lte (at most) and eq (exactly)."
        )
    _column(key, columns, BadFilter, "filter by")
    return Filter(key, operator, value)


def _column(
    key: str, columns: Mapping[str, ExplorerColumn], error: type[BadParameter], purpose: str
) -> None:
    """Raise `error` for a column that these rows do not have."""
    if key in columns:
        return
    hint = f"Columns: {_known(columns)}."
    if key in _ALL_COLUMNS:
        rows = "pair" if columns is VERSION_COLUMNS else "version"
        hint = f"It is one of rows={rows}. {hint}"
    raise error(f"There is no column “{key[:80]}” to {purpose}.", hint)


def _known(columns: Mapping[str, ExplorerColumn]) -> str:
    return ", ".join(columns)


def _check_value(one: Filter) -> None:
    """Refuse a fraction where only whole numbers are; the store refuses what is no number."""
    column = _ALL_COLUMNS[one.key]
    whole = r"-?\d+" if one.key.startswith("diff_") else r"\d+"  # of a difference
    if column.type == "integer" and one.operator == "eq" and not re.fullmatch(whole, one.value):
        raise BadFilter(f"{column.name} is a whole number; “{one.value[:40]}” is none.")


def _whole(given: Mapping[str, str], name: str, low: int, high: int | None) -> int:
    text = given[name]
    bounds = f"from {low}" if high is None else f"from {low} to {high}"
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadPage(f"{name} is a whole number {bounds}; “{text[:40]}” is none.")
    number = int(text)
    if number < low or (high is not None and number > high):
        raise BadPage(f"{name} is a whole number {bounds}; {number} is outside.")
    return number
