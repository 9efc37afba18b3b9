"""The scatter of two columns: its points, rounded for a drawing, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from server import urls
from server.compose.explorer_columns import definition_of, title_of
from server.compose.pair_links import version_names
from server.definitions import DEFINITIONS
from server.errors import BadParameter
from server.filters import Plot, Selection
from server.kept import state_of
from server.pages.scatter import AxisView, PointsView, ScatterPage
from server.site import Site
from store import points as point_store
from store.columns import ExplorerColumn
from store.points import Points
from store.records import RunRecord

_DIGITS = 5


def scatter_page(site: Site, run: RunRecord, selection: Selection, pinned: bool) -> ScatterPage:
    """The points of the selection's scatter. Raises BadParameter when it names none."""
    plot = selection.plot
    if plot is None:
        raise BadParameter(
            "A scatter needs x and y, each a column of numbers.",
            f"{urls.scatter(run.pair.slug, {'x': 'kurtosis', 'y': 'max'})}",
        )
    if selection.rows == "pair" and run.pair.right is None:
        raise BadParameter(f"{run.pair.slug} has a single model, so there are no pairs to draw.")
    names = version_names(run)
    found = points_of(site, run, selection, plot)
    x, y = (
        _axis(selection.columns[key], log, values, names)
        for key, log, values in ((plot.x, plot.log_x, found.x), (plot.y, plot.log_y, found.y))
    )
    run_id = run.id if pinned else None
    slug, state = run.pair.slug, {**selection.parameters(paged=False), "sort": None, "size": None}
    return ScatterPage(
        pair=slug,
        run=run.id,
        of=selection.rows,
        left_name=names["left"],
        right_name=names.get("right"),
        x=x,
        y=y,
        matching=found.matching,
        defined=found.defined,
        subset=found.defined > len(found.x),
        summary=_summary(found, x, y, selection),
        query=urls.query({"run": run_id}),
        permalink=urls.scatter(slug, state, run.id),
        href=urls.scatter(slug, state, run_id),
        points=PointsView(
            side=found.side.tolist(),
            layer=found.layer.tolist(),
            neuron=found.neuron.tolist(),
            x=found.x.tolist(),
            y=found.y.tolist(),
        ),
    )


def points_of(site: Site, run: RunRecord, selection: Selection, plot: Plot) -> Points:
    """The points, rounded; kept in memory unless labels, which change, have a part in them."""
    filters = selection.for_store()

    def load() -> Points:
        found = point_store.points(site.engine, run.id, selection.rows, filters, plot.x, plot.y)
        return Points(
            found.matching,
            found.defined,
            found.side,
            found.layer,
            found.neuron,
            rounded(found.x),
            rounded(found.y),
        )

    asked = {plot.x, plot.y, *(one.key for one in selection.filters)}
    if any(selection.columns[key].verdicts for key in asked):
        return load()
    key = ("points", state_of(run), selection.rows, tuple(filters.items()), plot.x, plot.y)
    return site.kept.get(key, load, lambda found: found.size_bytes)


def rounded(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each value with five significant digits, as the shortest decimal that reads back as it."""
    size = np.abs(values)
    with np.errstate(divide="ignore"):
        exponent = np.where(size > 0, np.floor(np.log10(size)), 0.0)
    power = 10.0 ** np.abs(_DIGITS - 1 - exponent)
    fine = exponent <= _DIGITS - 1
    whole = np.rint(np.where(fine, values * power, values / power))
    found: npt.NDArray[np.float64] = np.where(fine, whole / power, whole * power)
    return found


def _axis(
    column: ExplorerColumn,
    log: bool,
    values: npt.NDArray[np.float64],
    names: Mapping[str, str],
) -> AxisView:
    definition = definition_of(column.key)
    return AxisView(
        key=column.key,
        title=title_of(names)(column),
        unit=column.unit,
        definition=DEFINITIONS[definition].text if definition else "",
        log=log,
        n_outside=int((values <= 0).sum()) if log else 0,
    )


def _summary(found: Points, x: AxisView, y: AxisView, selection: Selection) -> str:
    many = "indices" if selection.rows == "pair" else "versions"
    drawn = len(found.x)
    if found.defined > drawn:
        text = f"{drawn:,} of {found.defined:,} {many}, drawn by a hash of their place"
    else:
        text = f"{drawn:,} {many}"
    missing = found.matching - found.defined
    if missing:
        text += (
            f"; {missing:,} more lack {'the value' if x.key == y.key else 'one of the two values'}"
        )
    outside = [f"{axis.n_outside:,} at or below zero on {axis.title}" for axis in (x, y)
               if axis.n_outside]  # fmt: skip
    if outside:
        text += f"; a logarithmic axis leaves out {' and '.join(outside)}"
    return text + "."


def offered(selection: Selection, has_evidence: bool, paired: bool) -> Plot:
    """The axes that the form begins with."""
    if selection.plot is not None:
        return selection.plot
    if selection.rows == "pair":
        key = "hidden_share" if has_evidence else "kurtosis"
        return Plot(f"left_{key}", f"right_{key}")
    across = "best_correlation" if paired else "density"
    return Plot(across, "hidden_share" if has_evidence else "kurtosis")


def drawable(selection: Selection, has_evidence: bool) -> tuple[str, ...]:
    """Columns that an axis can have: numbers of which this run has any."""
    return tuple(
        key
        for key, column in selection.columns.items()
        if column.type in ("number", "integer") and (has_evidence or not column.of_evidence)
    )
