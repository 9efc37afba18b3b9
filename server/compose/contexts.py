"""A candidate's contexts as pages show them."""

from __future__ import annotations

from collections.abc import Sequence

from server.pages.invisible import ContextBandView, ContextView
from server.pages.lazy import ValueRows
from server.token_text import token_string
from store.evidence import ShownContext
from store.records import BANDS

#: band → (title, definition), of the projection.
BAND_WORDS = {
    "top": ("Top", "The strongest projections, at most one a document."),
    "q99.9-100": ("99.9–100 %", "Drawn by chance from the strongest 0.1 % of the tokens searched."),
    "q99-99.9": ("99–99.9 %", "Drawn between the quantiles 99 % and 99.9 % of the projection."),
    "q90-99": ("90–99 %", "Drawn between the quantiles 90 % and 99 %."),
    "q50-90": ("50–90 %", "Drawn between the median and the quantile 90 %."),
    "q0-50": ("0–50 %", "Drawn from below the median."),
    "bottom": ("Bottom", "The most negative projections."),
}


def context_view(band: str, rank: int, shown: ShownContext, vocabulary: list[bytes]) -> ContextView:
    """One context with its tokens as bytes and for display."""
    context = shown.context
    pieces = tuple(vocabulary[token] for token in shown.tokens.tolist())
    return ContextView(
        band=band,
        rank=rank,
        document=shown.document_name,
        document_id=context.document,
        source=shown.source,
        window=context.window,
        position=context.position,
        value=context.value,
        tokens=tuple(token_string(piece) for piece in pieces),
        focus=shown.focus,
        values=ValueRows({"post": context.values})["post"],
        pieces=pieces,
    )


def band_views(contexts: Sequence[ContextView]) -> tuple[ContextBandView, ...]:
    """The bands that have a context, in the order in which bands are shown."""
    views = []
    for key in BANDS:
        places = tuple(n for n, context in enumerate(contexts) if context.band == key)
        if places and key in BAND_WORDS:
            views.append(ContextBandView(key, *BAND_WORDS[key], places))
    return tuple(views)
