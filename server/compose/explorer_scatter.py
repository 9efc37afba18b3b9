"""What the explorer says of its scatter: the axes to choose from, and where its points are."""

from __future__ import annotations

from server import urls
from server.compose.scatter import drawable, offered
from server.filters import Selection
from server.pages.explorer import ScatterChoice
from store.records import RunRecord


def scatter_choice(
    run: RunRecord, selection: Selection, has_evidence: bool, run_id: str | None
) -> ScatterChoice:
    """The chosen axes, or those offered while none are."""
    plot = offered(selection, has_evidence, run.pair.right is not None)
    state = {**selection.plotted(plot).parameters(paged=False), "sort": None, "size": None}
    return ScatterChoice(
        x=plot.x,
        y=plot.y,
        log_x=plot.log_x,
        log_y=plot.log_y,
        shown=selection.plot is not None,
        data_href=urls.scatter(run.pair.slug, state, run_id),
        close_href=urls.explorer(run.pair.slug, selection.plotted(None).parameters(), run_id),
        keys=drawable(selection, has_evidence),
    )
