"""The explorer's headings: which columns the table has room for, what they are called and mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from server.definitions import DEFINITIONS
from server.filters import Selection
from server.pages.explorer import ColumnView
from store.columns import INDEX_KEYS, VERSION_COLUMNS, ExplorerColumn

#: What the table shows unless asked, in this order, with short headings. All others can be sorted
#: and filtered by, and are shown then.
STATISTICS = {
    "density": "density",
    "kurtosis": "kurtosis",
    "q999": "99.9 %",
    "max": "max",
    "same_index_correlation": "ρ same index",
    "same_index_rank": "rank",
    "best_neuron": "best match",
    "best_correlation": "ρ best",
    "null": "ρ random",
    "mutual": "mutual",
    "logit_kurtosis": "logit kurtosis",
}
EVIDENCE = {
    "hidden_share": "hidden share",
    "effect": "effect",
    "polysemanticity": "polysem. score",
    "senses": "senses",
    "candidates": "candidates",
}
#: With a row an index: what is set side by side.
COMPARED = {"density": "density", "kurtosis": "kurtosis", "best_correlation": "ρ best"}
COMPARED_EVIDENCE = {
    "hidden_share": "hidden share",
    "effect": "effect",
    "polysemanticity": "polysem. score",
}

#: How a column's key begins → the definition that covers it; the first that fits.
DEFINED_TOGETHER = {
    "side": "version",
    "density": "density",
    "q": "quantile",
    "same_index": "same_index",
    "best_": "best_match",
    "mutual": "best_match",
    "excess": "excess",
    "assigned_": "assignment",
    "logit_": "logit_effects",
    "label": "label",
    "hidden_method": "exact",
    "hidden_error": "estimate",
    "estimated_": "estimate",
    "polysemanticity": "polysemanticity",
    "senses": "sense",
    "candidates": "candidate",
    "counterexamples": "counterexample",
}

Part = Literal["left", "right", "diff"]
_PARTS: tuple[Part, ...] = ("left", "right", "diff")


def split_key(key: str) -> tuple[str, Part | None]:
    """`left_kurtosis` → ("kurtosis", "left"); a version's own key is itself."""
    if key in VERSION_COLUMNS:
        return key, None
    for part in _PARTS:
        base = key.removeprefix(f"{part}_")
        if base != key and base in VERSION_COLUMNS:
            return base, part
    return key, None


def title_of(names: Mapping[str, str]) -> Callable[[ExplorerColumn], str]:
    """How columns are called where the versions have these names: `hidden share, SoLU − GeLU`."""

    def title(column: ExplorerColumn) -> str:
        base, part = split_key(column.key)
        if part is None:
            return column.name
        own = VERSION_COLUMNS[base].name
        if part == "diff":
            return f"{own}, {names['left']} − {names.get('right', 'right')}"
        return f"{own} of {names.get(part, part)}"

    return title


def main_columns(selection: Selection, has_evidence: bool) -> dict[str, str]:
    """Key of a version's column → its heading, for what the table shows in its order."""
    if selection.rows == "pair":
        found = (COMPARED_EVIDENCE if has_evidence else {}) | COMPARED
    else:
        found = (EVIDENCE if has_evidence else {}) | STATISTICS
    asked = [one.key for one in selection.filters] + [selection.sort.removeprefix("-")]
    for key in asked:
        base, _ = split_key(key)
        if base in VERSION_COLUMNS and base not in (*INDEX_KEYS, "side", "hidden_method", *found):
            found = {base: VERSION_COLUMNS[base].name} | found
    return found


def column_views(
    selection: Selection,
    has_evidence: bool,
    names: Mapping[str, str],
    sort_href: Callable[[str], str],
) -> tuple[ColumnView, ...]:
    """Every column of the selection's rows: those that the table shows first, in its order."""
    shown = main_columns(selection, has_evidence)
    order = {key: place for place, key in enumerate(shown)}
    title = title_of(names)
    views = [
        column_view(
            column,
            title(column),
            shown.get(split_key(column.key)[0]),
            selection,
            sort_href(_turned(key, selection)),
        )
        for key, column in selection.columns.items()
    ]
    return tuple(sorted(views, key=lambda view: order.get(view.group, len(order))))


def column_view(
    column: ExplorerColumn, title: str, heading: str | None, selection: Selection, sort_href: str
) -> ColumnView:
    """A heading: what it means, how it is sorted, and the link that sorts by it.

    `heading` is None for a column that the table has no room for.
    """
    definition = definition_of(column.key)
    direction: Literal["ascending", "descending"] | None = None
    if selection.sort.removeprefix("-") == column.key:
        direction = "descending" if selection.sort.startswith("-") else "ascending"
    base, part = split_key(column.key)
    return ColumnView(
        key=column.key,
        title=title,
        unit=column.unit,
        definition=DEFINITIONS[definition].text if definition else "",
        definition_key=definition,
        anchor=column.anchor,
        format=column.format,
        kind=column.type,
        choices=column.choices,
        shown=heading is not None,
        sorted=direction,
        sort_href=sort_href,
        heading=heading or column.name,
        group=base,
        part=part,
    )


def _turned(key: str, selection: Selection) -> str:
    """Highest first; lowest first when that is how it stands already."""
    return key if selection.sort == f"-{key}" else f"-{key}"


def definition_of(key: str) -> str | None:
    """The key of the column's definition, None for a column that explains itself."""
    base, _ = split_key(key)
    if base in DEFINITIONS:
        return base
    statistic = base.partition("_")[2]
    if base.startswith(("pre_", "mid_", "post_")) and statistic in DEFINITIONS:
        return statistic
    return next(
        (found for start, found in DEFINED_TOGETHER.items() if base.startswith(start)), None
    )
