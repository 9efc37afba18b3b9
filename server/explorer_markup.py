"""The rows of the explorer's tables as markup.

They stand here and not in a template because a page has a thousand cells: as a template they took a
quarter of the page's time, most of it to look names up and to escape what is escaped already.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from server.activation_names import activation_name
from server.number_text import UNDEFINED, aligned_markup, number
from server.pages.explorer import CellValue, ColumnView, ExplorerPage, IndexRow, VersionRow
from server.pages.labels import CountsView
from store.records import VERDICTS

_NONE = aligned_markup(None)


def version_rows(page: ExplorerPage, shown: Sequence[ColumnView]) -> Markup:
    """A row a version; `shown` are the columns."""
    acts = {"left": page.left_act_fn, "right": page.right_act_fn or ""}
    names = {side: escape(activation_name(act)) for side, act in acts.items()}
    cells = [(column.key, f"<td{_numeric(column)}>") for column in shown]
    return Markup("".join(_version_row(row, cells, names[row.side]) for row in page.rows))  # type: ignore[union-attr, arg-type]


def _version_row(row: VersionRow, cells: Sequence[tuple[str, str]], act: str) -> str:
    values = row.values
    parts = [
        f'<tr class="{row.side}">\n<td><a href="{escape(row.href)}">{row.name}</a> '
        f'<span class="act">{act}</span></td>\n'
    ]
    for key, opening in cells:
        parts.append(f"{opening}{aligned_markup(values[key])}</td>")
        if key == "hidden_share":
            parts.append(f'<td class="method">{_method(values)}</td>')
    parts.append(f"<td>{_labels(row.labels)}</td>\n</tr>\n")
    return "".join(parts)


def index_rows(page: ExplorerPage, shown: Sequence[ColumnView]) -> Markup:
    """A row an index; `shown` are the columns of both versions and of their difference."""
    cells = [
        (
            column.key,
            f'<td class="{column.part}{" number" if _numeric(column) else ""}">',
            column.part if column.group == "hidden_share" and column.part != "diff" else None,
        )
        for column in shown
    ]
    return Markup("".join(_index_row(row, cells) for row in page.rows))  # type: ignore[arg-type]


def _index_row(row: IndexRow, cells: Sequence[tuple[str, str, str | None]]) -> str:
    values = row.values
    parts = [f'<tr>\n<td><a href="{escape(row.href)}">{row.name}</a></td>\n']
    for key, opening, part in cells:
        value = values[key]
        parts.append(f"{opening}{aligned_markup(value)}")
        if part and value is not None and values[f"{part}_hidden_method"] == "estimate":
            error = values[f"{part}_hidden_error"]
            known = "" if error is None else f", mean error {_rounded(error)}"
            parts.append(f' <span class="method" title="an estimate{known}">est.</span>')
        parts.append("</td>")
    labels = row.labels
    parts.append(f"<td>{_labels(labels.left)}</td><td>{_labels(labels.right)}</td>\n</tr>\n")
    return "".join(parts)


def _numeric(column: ColumnView) -> str:
    return ' class="number"' if column.kind in ("number", "integer") else ""


def _method(values: dict[str, CellValue]) -> str:
    """How a hidden share is known."""
    method, error = values["hidden_method"], values["hidden_error"]
    if values["hidden_share"] is None or not method:
        return _NONE
    if method == "exact":
        return "exact"
    return "estimate" if error is None else f"estimate ± {_rounded(error)}"


def _rounded(error: CellValue) -> str:
    return number(error, 2) if isinstance(error, (int, float)) else UNDEFINED


def _labels(counts: CountsView) -> str:
    """The verdicts that any annotator gave, with how many did."""
    if not counts.total:
        return _NONE
    found = [(verdict, getattr(counts, verdict)) for verdict in VERDICTS]
    return "".join(
        f'<span title="{verdict}">{verdict[:4]} {n}</span> ' for verdict, n in found if n
    )
