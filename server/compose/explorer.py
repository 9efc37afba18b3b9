"""The explorer: rows of one page, the filters as sentences, and the links that change them."""

from __future__ import annotations

import random
from collections.abc import Mapping

from server import urls
from server.compose.correspondence import correspondence_view
from server.compose.explorer_columns import column_views, title_of
from server.compose.explorer_scatter import scatter_choice
from server.compose.facets import facet_views
from server.compose.labels import counts_view
from server.compose.pair_links import pair_links, stage_view, version_names
from server.compose.scatter import scatter_page
from server.errors import BadPage, BadParameter, NothingMatches
from server.filters import Filter, Selection
from server.kept import state_of
from server.pages.explorer import (
    ExplorerPage,
    FilterView,
    IndexRow,
    PairLabels,
    VersionRow,
)
from server.pages.fields import Link, Rows
from server.site import Site
from store import neurons
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS
from store.records import ExplorerRow, PairRow, RunRecord

#: Ready-made sorts: (what a row is, sort, exact values only, text, title); {left} and {right} are
#: the versions' names. Those by a column of the evidence are offered when the run has it.
SORTS: tuple[tuple[Rows, str, bool, str, str], ...] = (
    ("version", "-hidden_share", True, "most hidden", "exact hidden shares, the highest first"),
    ("version", "-polysemanticity", False, "most polysemantic", "by the score, a heuristic"),
    ("version", "excess", False, "least corresponding", "best match against a random basis"),
    ("version", "-excess", False, "most alike", "best match against a random basis"),
    ("version", "-kurtosis", False, "rare but strong", "the heaviest tails first"),
    ("pair", "-diff_hidden_share", False, "more hidden in {left}", "largest difference first"),
    ("pair", "diff_hidden_share", False, "more hidden in {right}", "largest difference first"),
    ("pair", "left_same_index_correlation", False, "gone their own ways", "the same index least"),
)


_ANY_SORT = "SORTED-BY"


def explorer_page(site: Site, run: RunRecord, selection: Selection, pinned: bool) -> ExplorerPage:
    """One page of the rows that the filters let through.

    Raises BadPage past the last one, BadParameter for pairs of a single-sided run.
    """
    slug, run_id = run.pair.slug, run.id if pinned else None
    _check_rows(run, selection)
    size = selection.size or site.settings.default_page_size
    rows, total = _rows(site, run, selection, size, run_id)
    n_pages = max(1, -(-total // size))

    def address(state: Selection) -> str:
        return urls.explorer(slug, state.parameters(), run_id)

    if selection.page > n_pages:
        pages = "is one page" if n_pages == 1 else f"are {n_pages} pages"
        raise BadPage(
            f"There {pages}; page {selection.page} does not exist.", address(selection.at_page(1))
        )
    names, stage = version_names(run), stage_view(site, run)
    title = title_of(names)
    sorted_by = address(selection.sorted_by(_ANY_SORT))  # one address stands for 250
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
        of=selection.rows,
        stage=stage,
        summary=summary(selection, total, names),
        filters=tuple(
            FilterView(
                key=one.key,
                operator=one.operator,
                value=one.value,
                sentence=one.said(title),
                remove_href=address(selection.without(one)),
            )
            for one in selection.filters
        ),
        columns=tuple(
            column
            for column in column_views(
                selection,
                stage.published,
                names,
                lambda sort: sorted_by.replace(_ANY_SORT, sort),
            )
            if run.pair.right is not None or not selection.columns[column.key].of_both
        ),
        rows=rows,
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
        row_links=_row_links(run, selection, run_id),
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
        side_links=_side_links(selection, names, slug, run_id),
        sorts=_sorts(run, selection, names, stage.published, run_id),
        facets=facet_views(site, run, selection, names, stage.published, address),
        downloads=_downloads(slug, selection, run_id),
        scatter=scatter_choice(run, selection, stage.published, run_id),
        drawn_scatter=scatter_page(site, run, selection, pinned) if selection.plot else None,
        plot_fields=tuple(
            (name, str(value))
            for name, value in {
                **selection.plotted(None).parameters(paged=False),
                "run": run_id,
            }.items()
            if value is not None
        ),
        correspondence=correspondence_view(site, run, names, run_id),
        links=pair_links(run, pinned, "explorer"),
        json_href=urls.json_twin(urls.explorer(slug, selection.parameters(), run_id)),
    )


def _check_rows(run: RunRecord, selection: Selection) -> None:
    if selection.rows == "pair" and run.pair.right is None:
        raise BadParameter(
            f"{run.pair.slug} has a single model, so rows=pair has nothing to set side by side.",
            urls.explorer(run.pair.slug),
        )


def _rows(
    site: Site, run: RunRecord, selection: Selection, size: int, run_id: str | None
) -> tuple[tuple[VersionRow | IndexRow, ...], int]:
    slug = run.pair.slug
    filters = selection.for_store()
    asked = (site.engine, run.id, filters, selection.sort or None, selection.page, size)
    of_labels = any(selection.columns[one.key].verdicts for one in selection.filters)
    key = ("total", state_of(run), selection.rows, tuple(sorted(filters.items())))
    total = None if of_labels else site.kept.find(key)
    if selection.rows == "pair":
        indices, total = neurons.pair_page(*asked, total)
    else:
        versions, total = neurons.page(*asked, total)
    if not of_labels:
        site.kept.keep(key, total, 200)
    if selection.rows == "pair":
        return tuple(index_row(row, slug, run_id) for row in indices), total
    return tuple(version_row(row, slug, run_id) for row in versions), total


def random_address(site: Site, run: RunRecord, selection: Selection, pinned: bool) -> str:
    """The page of one neuron among those that the filters let through, by chance."""
    slug, run_id = run.pair.slug, run.id if pinned else None
    _check_rows(run, selection)
    filters = selection.for_store()
    if selection.rows == "pair":
        found = _random_index(site, run, filters)
    else:
        found = neurons.random_neuron(site.engine, run.id, filters)
    if found is None:
        kind = "index" if selection.rows == "pair" else "version"
        raise NothingMatches(
            f"No {kind} of {slug} has {' and '.join(one.sentence for one in selection.filters)}.",
            urls.explorer(slug, selection.parameters(), run_id),
        )
    return urls.neuron(slug, *found, run=run_id)


def _random_index(site: Site, run: RunRecord, filters: dict[str, str]) -> tuple[int, int] | None:
    _, total = neurons.pair_page(site.engine, run.id, filters, size=1)
    if not total:
        return None
    page = random.randrange(total) + 1
    rows, _ = neurons.pair_page(site.engine, run.id, filters, page=page, size=1)
    return (rows[0].layer, rows[0].neuron) if rows else None


def _filters_only(selection: Selection) -> dict[str, str | int | None]:
    rows = selection.rows if selection.rows != "version" else None
    return {"rows": rows, **{one.parameter: one.value for one in selection.filters}}


def _downloads(slug: str, selection: Selection, run_id: str | None) -> tuple[Link, ...]:
    """The same rows, all of them, as files."""
    state = {**selection.plotted(None).parameters(paged=False), "size": None}
    return tuple(
        Link(urls.explorer_file(slug, ending, state, run_id), ending.upper(), title)
        for ending, title in (
            ("csv", "A line a row, all columns, for spreadsheets"),
            ("jsonl", "An object a line, all columns"),
            ("parquet", "All columns with their types, units and definitions, compressed"),
        )
    )


def _row_links(run: RunRecord, selection: Selection, run_id: str | None) -> tuple[Link, ...]:
    if run.pair.right is None:
        return ()
    kinds: tuple[tuple[Rows, str, str], ...] = (
        ("version", "a version", "one row a version"),
        ("pair", "both versions", "one row an index: left, right and their difference"),
    )
    return tuple(
        Link(
            urls.explorer(run.pair.slug, selection.with_rows(rows).parameters(), run_id),
            text,
            title,
            rows == selection.rows,
        )
        for rows, text, title in kinds
    )


def _side_links(
    selection: Selection, names: Mapping[str, str], slug: str, run_id: str | None
) -> tuple[Link, ...]:
    if selection.rows == "pair" or len(names) < 2:
        return ()
    side = selection.value_of("side")

    def at(key: str | None) -> str:
        return urls.explorer(slug, selection.with_filter("side", key).parameters(), run_id)

    return (
        Link(at(None), "both", "", side is None),
        *(Link(at(key), name, key, side == key) for key, name in names.items()),
    )


def _sorts(
    run: RunRecord,
    selection: Selection,
    names: Mapping[str, str],
    has_evidence: bool,
    run_id: str | None,
) -> tuple[Link, ...]:
    """Ready-made sorts; layer and size stay, other filters do not."""
    exact = Filter("hidden_method", "eq", "exact")
    layer = selection.value_of("layer")
    place = () if layer is None else (Filter("layer", "eq", layer),)
    links = []
    for rows, sort, exactly, text, title in SORTS:
        key = sort.removeprefix("-")
        column = (PAIR_COLUMNS if rows == "pair" else VERSION_COLUMNS)[key]
        if column.of_evidence and not has_evidence:
            continue
        if run.pair.right is None and (rows == "pair" or column.of_both):
            continue
        chosen = Selection(
            rows=rows,
            filters=(*place, *((exact,) if exactly else ())),
            sort=sort,
            size=selection.size,
        )
        links.append(
            Link(
                urls.explorer(run.pair.slug, chosen.parameters(), run_id),
                text.format(**names),
                title,
                (rows, sort) == (selection.rows, selection.sort),
            )
        )
    return tuple(links)


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


def index_row(row: PairRow, slug: str, run_id: str | None) -> IndexRow:
    """A row with both versions and the address of their page."""
    return IndexRow(
        layer=row.layer,
        neuron=row.neuron,
        name=urls.neuron_name(row.layer, row.neuron),
        href=urls.neuron(slug, row.layer, row.neuron, run=run_id),
        values={key: row.values.get(key) for key in PAIR_COLUMNS},
        labels=PairLabels(counts_view(row.left_labels), counts_view(row.right_labels)),
    )


def summary(selection: Selection, total: int, names: Mapping[str, str]) -> str:
    """`512 versions with layer 0 and kurtosis at least 10, by kurtosis, the highest first.`"""
    one, many = ("index", "indices") if selection.rows == "pair" else ("version", "versions")
    title = title_of(names)
    text = f"{total:,} {one if total == 1 else many}"
    if selection.filters:
        text += " with " + " and ".join(each.said(title) for each in selection.filters)
    if selection.sort:
        column = selection.columns[selection.sort.removeprefix("-")]
        first = "highest" if selection.sort.startswith("-") else "lowest"
        text += f", by {title(column)}, the {first} first"
    return text + "."
