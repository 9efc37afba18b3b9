"""The explorer: rows of one page, the filters as sentences, and the links that change them."""

from __future__ import annotations

from typing import Literal

from server import urls
from server.activation_names import activation_name
from server.compose.labels import counts_view
from server.definitions import DEFINITIONS
from server.errors import BadPage, NothingMatches
from server.filters import Selection
from server.pages.explorer import ColumnView, ExplorerPage, FilterView, VersionRow
from server.pages.fields import Link
from server.site import Site
from store import neurons
from store.columns import VERSION_COLUMNS, ExplorerColumn
from store.records import ExplorerRow, PairRecord, RunRecord

#: What the table shows unless asked; the rest can be sorted and filtered by.
MAIN_COLUMNS = frozenset(
    {
        "layer",
        "neuron",
        "side",
        "kurtosis",
        "max",
        "density",
        "same_index_correlation",
        "same_index_rank",
        "best_neuron",
        "best_correlation",
        "excess",
        "mutual",
        "logit_kurtosis",
        "labels",
    }
)

#: How a column's key begins → the definition that covers it.
DEFINED_TOGETHER = {
    "side": "version",
    "density": "density",
    "q": "quantile",
    "same_index": "same_index",
    "best_": "best_match",
    "mutual": "best_match",
    "excess": "null",
    "assigned_": "assignment",
    "logit_": "logit_effects",
    "label": "label",
}


def explorer_page(site: Site, run: RunRecord, selection: Selection, pinned: bool) -> ExplorerPage:
    """One page of the versions that the filters let through. Raises BadPage past the last one."""
    size = selection.size or site.settings.default_page_size
    rows, total = neurons.page(
        site.engine,
        run.id,
        selection.for_store(),
        selection.sort or None,
        selection.page,
        size,
    )
    n_pages = max(1, -(-total // size))
    slug, run_id = run.pair.slug, run.id if pinned else None

    def address(state: Selection) -> str:
        return urls.explorer(slug, state.parameters(), run_id)

    if selection.page > n_pages:
        pages = "is one page" if n_pages == 1 else f"are {n_pages} pages"
        raise BadPage(
            f"There {pages}; page {selection.page} does not exist.", address(selection.at_page(1))
        )
    layer, side = selection.value_of("layer"), selection.value_of("side")
    page = selection.page
    state = {**selection.parameters(paged=False), "run": run_id}
    return ExplorerPage(
        pair=slug,
        pair_name=run.pair.name,
        run=run.id,
        pinned=pinned,
        permalink=urls.explorer(slug, selection.parameters(), run.id),
        left_act_fn=run.pair.left.act_fn,
        right_act_fn=None if run.pair.right is None else run.pair.right.act_fn,
        summary=summary(selection, total),
        filters=tuple(
            FilterView(
                key=one.key,
                operator=one.operator,
                value=one.value,
                sentence=one.sentence,
                remove_href=address(selection.without(one)),
            )
            for one in selection.filters
        ),
        columns=tuple(
            column_view(column, selection, address(selection.sorted_by(_turned(key, selection))))
            for key, column in VERSION_COLUMNS.items()
        ),
        rows=tuple(version_row(row, slug, run_id) for row in rows),
        layer=None if layer is None else int(float(layer)),
        side=None if side is None else ("left" if side == "left" else "right"),
        sort=selection.sort,
        page=page,
        size=size,
        total=total,
        n_pages=n_pages,
        query=urls.query(state),
        query_fields=tuple(
            (name, str(value)) for name, value in state.items() if value is not None
        ),
        random_href=urls.random_neuron(slug, _filters_only(selection), run_id),
        first_href=address(selection.at_page(1)) if page > 1 else None,
        previous_href=address(selection.at_page(page - 1)) if page > 1 else None,
        next_href=address(selection.at_page(page + 1)) if page < n_pages else None,
        last_href=address(selection.at_page(n_pages)) if page < n_pages else None,
        layer_links=(
            Link(address(selection.with_filter("layer", None)), "all layers", "", layer is None),
            *(
                Link(
                    address(selection.with_filter("layer", index)),
                    f"layer {index}",
                    "",
                    layer == str(index),
                )
                for index in range(run.pair.left.n_layers)
            ),
        ),
        side_links=(
            Link(address(selection.with_filter("side", None)), "both", "", side is None),
            *(
                Link(
                    address(selection.with_filter("side", key)),
                    activation_name(act_fn),
                    key,
                    side == key,
                )
                for key, act_fn in _sides(run.pair)
            ),
        ),
        json_href=urls.json_twin(urls.explorer(slug, selection.parameters(), run_id)),
    )


def random_address(site: Site, run: RunRecord, selection: Selection, pinned: bool) -> str:
    """The page of one neuron among those that the filters let through, by chance."""
    slug, run_id = run.pair.slug, run.id if pinned else None
    found = neurons.random_neuron(site.engine, run.id, selection.for_store())
    if found is None:
        raise NothingMatches(
            f"No version of {slug} has {' and '.join(one.sentence for one in selection.filters)}.",
            urls.explorer(slug, selection.parameters(), run_id),
        )
    return urls.neuron(slug, *found, run=run_id)


def _filters_only(selection: Selection) -> dict[str, str | int | None]:
    return {one.parameter: one.value for one in selection.filters}


def _sides(pair: PairRecord) -> list[tuple[str, str]]:
    sides = [("left", pair.left.act_fn)]
    if pair.right is not None:
        sides.append(("right", pair.right.act_fn))
    return sides


def _turned(key: str, selection: Selection) -> str:
    """Highest first; lowest first when that is how it stands already."""
    return key if selection.sort == f"-{key}" else f"-{key}"


def column_view(column: ExplorerColumn, selection: Selection, sort_href: str) -> ColumnView:
    """A heading: what it means, how it is sorted, and the link that sorts by it."""
    definition = definition_of(column)
    direction: Literal["ascending", "descending"] | None = None
    if selection.sort.removeprefix("-") == column.key:
        direction = "descending" if selection.sort.startswith("-") else "ascending"
    return ColumnView(
        key=column.key,
        title=column.name,
        unit=column.unit,
        definition=DEFINITIONS[definition].text if definition else "",
        definition_key=definition,
        anchor=column.anchor,
        format=column.format,
        kind=column.type,
        choices=column.choices,
        shown=column.key in MAIN_COLUMNS
        or direction is not None
        or any(one.key == column.key for one in selection.filters),
        sorted=direction,
        sort_href=sort_href,
    )


def definition_of(column: ExplorerColumn) -> str | None:
    """The key of the column's definition, None for a column that explains itself."""
    if column.key in DEFINITIONS:
        return column.key
    statistic = column.key.partition("_")[2]
    if column.key.startswith(("pre_", "mid_", "post_")) and statistic in DEFINITIONS:
        return statistic
    return next(
        (key for start, key in DEFINED_TOGETHER.items() if column.key.startswith(start)), None
    )


def version_row(row: ExplorerRow, slug: str, run_id: str | None) -> VersionRow:
    """A row with the address of its neuron."""
    return VersionRow(
        side=row.side,
        layer=row.layer,
        neuron=row.neuron,
        name=urls.neuron_name(row.layer, row.neuron),
        href=urls.neuron(slug, row.layer, row.neuron, run=run_id),
        values={key: row.values.get(key) for key in VERSION_COLUMNS},
        labels=counts_view(row.labels),
    )


def summary(selection: Selection, total: int) -> str:
    """`512 versions with layer 0 and kurtosis at least 10, by kurtosis, the highest first.`"""
    text = f"{total:,} version{'' if total == 1 else 's'}"
    if selection.filters:
        text += " with " + " and ".join(one.sentence for one in selection.filters)
    if selection.sort:
        column = VERSION_COLUMNS[selection.sort.removeprefix("-")]
        first = "highest" if selection.sort.startswith("-") else "lowest"
        text += f", by {column.name}, the {first} first"
    return text + "."
