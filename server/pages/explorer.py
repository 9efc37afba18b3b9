"""Page object of `/{pair}`, the explorer: rows filtered, sorted, page by page.

A row is a version or, with `rows=pair`, an index with both versions and their difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from server.pages.correspondence import Correspondence
from server.pages.fields import HTML_ONLY, Link, Rows
from server.pages.labels import CountsView
from server.pages.pair_links import PairLinks, StageView
from server.pages.scatter import ScatterPage

Operator = Literal["gte", "lte", "eq"]
CellValue = float | int | str | bool | None


@dataclass(frozen=True)
class ColumnView:
    """A column that one can sort and filter by.

    `sort_href` sorts by it, or turns the direction when it is the one sorted by already;
    `sorted` says how it is sorted now. `definition` is one to three sentences, under
    `definition_key` among the definitions; `anchor` is its place in the docs. `format` is a
    Python format specification for numbers. `shown` says that the table has room for it: the main
    columns, and those that are sorted or filtered by; all can be, and all are in the JSON.
    `heading` is a short title. With `rows=pair` columns come in threes: `group` is what a version
    calls it ("kurtosis"), `part` which of the two it is of, or their difference.
    """

    key: str
    title: str
    unit: str
    definition: str
    definition_key: str | None
    anchor: str
    format: str
    kind: Literal["number", "integer", "text", "boolean"]
    choices: tuple[str, ...]
    shown: bool
    sorted: Literal["ascending", "descending"] | None
    sort_href: str
    heading: str
    group: str
    part: Literal["left", "right", "diff"] | None


@dataclass(frozen=True)
class FilterView:
    """A filter in force, as a human sentence, and the same page without it."""

    key: str
    operator: Operator
    value: str
    sentence: str
    remove_href: str


@dataclass(frozen=True)
class FacetView:
    """Filters that one could add, each with the number of rows that it would leave.

    `links` lead to the page with that filter in place of all others of the column, or without it
    where it is in force (`current`); `counts` are in their order. `most` is the largest.
    """

    key: str
    title: str
    definition_key: str | None
    links: tuple[Link, ...]
    counts: tuple[int, ...]
    most: int


@dataclass(frozen=True)
class ScatterChoice:
    """The scatter's axes as the address has them, or those offered; `shown`: it is asked for.

    `data_href` gives its points, `keys` are the columns that an axis can have.
    """

    x: str
    y: str
    log_x: bool
    log_y: bool
    shown: bool
    data_href: str
    close_href: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class VersionRow:
    """One version: `values[column.key]` for every column, None where undefined."""

    side: Literal["left", "right"]
    layer: int
    neuron: int
    name: str
    href: str
    values: dict[str, CellValue]
    labels: CountsView


@dataclass(frozen=True)
class PairLabels:
    """Labels of both versions of an index."""

    left: CountsView
    right: CountsView


@dataclass(frozen=True)
class IndexRow:
    """One index with both versions: `values` has `left_X`, `right_X` and `diff_X` (left − right).

    A difference is None where it would set an estimate against something else.
    """

    layer: int
    neuron: int
    name: str
    href: str
    values: dict[str, CellValue]
    labels: PairLabels


@dataclass(frozen=True)
class ExplorerPage:
    """`/{pair}`. `total` counts the rows that pass the filters, `page` starts at 1.

    `of` says what a row is; `rows` are VersionRow or IndexRow accordingly. `summary` says in a
    sentence what is shown. `row_links`, `layer_links` and `side_links` are choices, `sorts` ready
    ones. `facets` count what each further filter would leave; `downloads` are the same rows, all of
    them, as files. `query` is the page's own query string without `page` (starts with "?" or is
    empty); `query_fields` are the same as names and values, for a form that adds a filter (its own
    fields are `filter`, a column's key, `operator` and `value`), `plot_fields` those without the
    scatter. `correspondence` is of the whole pair, whatever is selected.
    """

    pair: str
    pair_name: str
    run: str
    pinned: bool
    permalink: str
    left_act_fn: str
    right_act_fn: str | None
    of: Rows
    stage: StageView
    summary: str
    filters: tuple[FilterView, ...]
    columns: tuple[ColumnView, ...]
    rows: tuple[VersionRow | IndexRow, ...]
    layer: int | None
    side: Literal["left", "right"] | None
    sort: str
    page: int
    size: int
    total: int
    n_pages: int
    query: str
    query_fields: Annotated[tuple[tuple[str, str], ...], HTML_ONLY]
    random_href: str
    first_href: str | None
    previous_href: str | None
    next_href: str | None
    last_href: str | None
    row_links: tuple[Link, ...]
    layer_links: tuple[Link, ...]
    side_links: tuple[Link, ...]
    sorts: tuple[Link, ...]
    facets: tuple[FacetView, ...]
    downloads: tuple[Link, ...]
    scatter: ScatterChoice
    drawn_scatter: Annotated[ScatterPage | None, HTML_ONLY]
    plot_fields: Annotated[tuple[tuple[str, str], ...], HTML_ONLY]
    correspondence: Correspondence | None
    links: PairLinks
    json_href: str
